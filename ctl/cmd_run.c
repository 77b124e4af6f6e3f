/* cmd_run.c - runs a command as a service's instances run, and becomes it. Secrets go into the environment and files only, never into argv. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <poll.h>
#include "base/cleanup.h"
#include "base/num.h"
#include "ctl/command.h"
#include "ctl/jget.h"
#include "model/spawn_env.h"
#include "model/spec.h"

enum { GROUPS_MAX = 64 };

struct identity { uid_t uid; gid_t gid; gid_t groups[GROUPS_MAX]; size_t group_n; char *name, *home; };

struct plan { struct service_spec spec; uint32_t owner_uid, owner_gid; char *path_env; };

static int fetch_plan(struct ctl *c, const char *service, struct plan *ret)
{
    struct err e = { "" };
    cleanup_json json_t *answer = NULL;
    cleanup_free char *path = xasprintf("/v1/services/%s/spec", service);
    if (!ctl_is_name(service)) return ctl_service_failed(c, service, -ENOENT, &e);
    int r = client_call(c->client, "GET", path, NULL, &answer, &e);
    if (r < 0) return ctl_service_failed(c, service, r, &e);
    cleanup_free char *spec = json_dumps(json_object_get(answer, "spec"), JSON_COMPACT);
    if (!spec || service_spec_from_json(service, spec, &ret->spec, &e) < 0) return ctl_fail(EXIT_FAILED, "%s: %s", service, spec ? e.text : "its revision does not run anywhere yet");
    ret->owner_uid = (uint32_t)jget_int(answer, "owner_uid", geteuid());
    ret->owner_gid = (uint32_t)jget_int(answer, "owner_gid", getegid());
    if (*jget_str(answer, "path_env")) ret->path_env = xstrdup(jget_str(answer, "path_env"));
    return EXIT_DONE;
}

static int find_user(const struct plan *p, struct identity *ret)
{
    uint64_t number;
    const char *user = p->spec.user;
    struct passwd *pw = user ? getpwnam(user) : getpwuid(p->owner_uid);
    if (!pw && user && num_u64(user, &number) == 0 && number < UINT32_MAX) pw = getpwuid((uid_t)number);
    if (!pw && user) return ctl_fail(EXIT_FAILED, "user: there is no user `%s` here", user);
    ret->uid = pw ? pw->pw_uid : p->owner_uid;
    ret->gid = pw ? pw->pw_gid : p->owner_gid;
    ret->name = xstrdup(pw ? pw->pw_name : "");
    ret->home = xstrdup(pw ? pw->pw_dir : "/");
    for (size_t i = 0; i < p->spec.groups.n && i < GROUPS_MAX; i++) {
        const char *g = p->spec.groups.v[i];
        struct group *gr = getgrnam(g);
        if (!gr && num_u64(g, &number) == 0 && number < UINT32_MAX) ret->groups[ret->group_n++] = (gid_t)number;
        else if (gr) ret->groups[ret->group_n++] = gr->gr_gid;
        else return ctl_fail(EXIT_FAILED, "groups: there is no group `%s` here", g);
    }
    if (geteuid() != 0 && ret->uid != geteuid())
        return ctl_fail(EXIT_REFUSED, "%s runs as user %s: only root or that user may do this. Next: sudo musterctl run ...", p->spec.name, *ret->name ? ret->name : "of another id");
    return EXIT_DONE;
}

/* --- environment ------------------------------------------------------------------------------------------ */
static int add_environment(const struct plan *p, const struct identity *id, struct strv *env)
{
    struct kv base[] = { { (char *)"HOST", (char *)"127.0.0.1" }, { (char *)"PORT", (char *)"0" }, { (char *)"INSTANCE", p->spec.name } };
    struct kvs vars = { base, ARRAY_LEN(base) };
    const char *lang = getenv("LANG"), *term = getenv("TERM");
    env_set2(env, "PATH", p->path_env ? p->path_env : "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    env_set2(env, "HOME", id->home);
    if (*id->name) env_set2(env, "USER", id->name), env_set2(env, "LOGNAME", id->name);
    env_set2(env, "LANG", lang ? lang : "C.UTF-8");
    if (term) env_set2(env, "TERM", term);       /* a person sits here */
    for (size_t i = 0; i < ARRAY_LEN(base); i++) env_set2(env, base[i].key, base[i].value);
    for (size_t i = 0; i < p->spec.environment.n; i++) {
        struct err e = { "" };
        cleanup_free char *value = NULL;
        const struct kv *kv = &p->spec.environment.v[i];
        if (spec_expand(kv->value, &vars, &value, &e) < 0) return ctl_fail(EXIT_FAILED, "environment.%s: %s", kv->key, e.text);
        env_set2(env, kv->key, value);
    }
    struct err e = { "" };
    if (p->spec.environment_file && env_file(env, p->spec.environment_file, &e) < 0) return ctl_fail(EXIT_FAILED, "environment_file: %s", e.text);
    return EXIT_DONE;
}

/* --- secrets ------------------------------------------------------------------------------------------------ */
static void remove_folder(const struct plan *p, const char *folder)
{
    for (size_t i = 0; i < p->spec.secret_n; i++) {
        cleanup_free char *path = xasprintf("%s/%s", folder, p->spec.secrets[i].name);
        (void)unlink(path);
    }
    (void)rmdir(folder);
}

/* After the exec nobody of ours is left to remove the files: a small process stays and waits for the end of the one that we become. It is not
 * the command's child in its eyes (double fork), or a shell would wonder. */
static int leave_cleaner(const struct plan *p, const char *folder)
{
    int own = pidfd_open(getpid(), 0);
    pid_t child = own < 0 ? -1 : fork();
    if (child < 0) return -errno;
    if (child > 0) {
        close(own);
        return waitpid(child, NULL, 0) == child ? 0 : -errno;
    }
    if (fork() != 0) _exit(0);
    setsid();
    for (int s = 1; s < NSIG; s++)
        if (s == SIGINT || s == SIGTERM || s == SIGHUP || s == SIGQUIT) signal(s, SIG_IGN);
    int null = open("/dev/null", O_RDWR);
    for (int fd = 0; fd < 3 && null >= 0; fd++) dup2(null, fd);     /* or a pipe that the caller reads would stay open */
    struct pollfd pfd = { .fd = own, .events = POLLIN };
    while (poll(&pfd, 1, -1) < 0 && errno == EINTR) {}
    remove_folder(p, folder);
    _exit(0);
}

static int make_folder(const struct ctl *c, const struct identity *id, char **ret, int *ret_fd)
{
    char *folder = xasprintf("%s/run-%ld.d", c->paths.run, (long)getpid());
    if (mkdir(folder, 0700) == 0 && (*ret_fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) >= 0 &&
        (geteuid() != 0 || fchown(*ret_fd, id->uid, id->gid) == 0)) {
        *ret = folder;
        return EXIT_DONE;
    }
    int status = ctl_fail(EXIT_FAILED, "secrets: a folder in %s: %s", c->paths.run, strerror(errno));
    (void)rmdir(folder);
    free(folder);
    return status;
}

static int add_secrets(const struct ctl *c, const struct plan *p, const struct identity *id, struct strv *env)
{
    static const char *const as[] = { [SECRET_BOTH] = "both", [SECRET_FILE] = "file", [SECRET_VARIABLE] = "variable" };
    cleanup_free char *folder = NULL;
    cleanup_close int dir = -1;
    int status = EXIT_DONE;
    for (size_t i = 0; i < p->spec.secret_n && status == EXIT_DONE; i++) {
        const struct secret *s = &p->spec.secrets[i];
        struct err e = { "" };
        bool file;
        cleanup_free char *record = xasprintf("%s\t%s\t%s", s->name, s->file, as[s->as]);
        if (s->as != SECRET_VARIABLE && !folder) status = make_folder(c, id, &folder, &dir);
        if (status == EXIT_DONE && env_secret(env, record, dir, id->uid, id->gid, &file, &e) < 0) status = ctl_fail(EXIT_FAILED, "%s", e.text);
    }
    if (!folder) return status;
    env_set2(env, "CREDENTIALS_DIRECTORY", folder);
    if (status == EXIT_DONE && leave_cleaner(p, folder) == 0) return EXIT_DONE;
    remove_folder(p, folder);
    return status == EXIT_DONE ? ctl_fail(EXIT_FAILED, "secrets: nobody could be left to remove them: %s", strerror(errno)) : status;
}

/* --- becoming it -------------------------------------------------------------------------------------------- */
static int take_rights(const struct plan *p, const struct identity *id)
{
    gid_t all[GROUPS_MAX + 1];
    umask((mode_t)p->spec.umask);
    if (geteuid() == 0) {
        if (p->spec.groups.n > 0 || !*id->name) {
            memcpy(all, id->groups, id->group_n * sizeof *all);
            if (setgroups(id->group_n, all) < 0) return ctl_fail(EXIT_FAILED, "groups: %s", strerror(errno));
        } else if (initgroups(id->name, id->gid) < 0) {
            return ctl_fail(EXIT_FAILED, "groups of %s: %s", id->name, strerror(errno));
        }
        if (setresgid(id->gid, id->gid, id->gid) < 0 || setresuid(id->uid, id->uid, id->uid) < 0) return ctl_fail(EXIT_FAILED, "user: %s", strerror(errno));
    }
    if (p->spec.no_new_privs && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return ctl_fail(EXIT_FAILED, "no_new_privs: %s", strerror(errno));
    if (chdir(p->spec.directory) < 0) return ctl_fail(EXIT_FAILED, "directory: %s: %s", p->spec.directory, strerror(errno));
    return EXIT_DONE;
}

static int become(struct ctl *c, struct strv *env)
{
    char **argv = c->args.rest;         /* ends with main's NULL */
    signal(SIGPIPE, SIG_DFL);
    environ = env->v; /* execvp looks in the service's PATH */
    execvp(argv[0], argv);
    return ctl_fail(errno == ENOENT ? 127 : 126, "cannot execute %s: %s", argv[0], strerror(errno));
}

int cmd_run(struct ctl *c)
{
    struct plan p = { .owner_uid = 0 };
    struct identity id = { 0 };
    struct strv env = { 0 };
    int status = fetch_plan(c, c->args.pos[0], &p);
    if (status == EXIT_DONE) status = find_user(&p, &id);
    if (status == EXIT_DONE) status = add_environment(&p, &id, &env);
    if (status == EXIT_DONE) status = add_secrets(c, &p, &id, &env);
    if (status == EXIT_DONE) status = take_rights(&p, &id);
    if (status == EXIT_DONE) status = become(c, &env);
    return status;
}
