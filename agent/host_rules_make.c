/* host_rules_make.c - from agent.yaml, the user database and what lies on the disk to fixed records for the keeper. Runs in a child that ends
 * afterwards: the keeper itself neither parses nor asks name services.
 *
 * A role without an account gets an id that nobody has, from the range that systemd's DynamicUser takes them from: the owner of its folder, if
 * that is one (so it stays the same), else the first free one from a place in the range that the state folder's name gives. */
#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "agent/host_rules.h"
#include "base/cleanup.h"
#include "base/fnv.h"
#include "base/log.h"
#include "base/num.h"
#include "model/agent_config.h"

enum { FREE_FIRST = 61184, FREE_LAST = 65519, FREE_N = FREE_LAST - FREE_FIRST + 1, ROLES_N = 3 };

/* --- ids that nobody has --------------------------------------------------------------------------------------------- */

struct taken { bool running[FREE_N]; };

/* Somebody's processes may run under an id that no database knows: those of another muster, for one. */
static void look_at_processes(struct taken *t)
{
    DIR *d = opendir("/proc");
    struct stat st;
    for (struct dirent *e; d && (e = readdir(d));)
        if (e->d_name[0] >= '1' && e->d_name[0] <= '9' && fstatat(dirfd(d), e->d_name, &st, 0) == 0 && st.st_uid >= FREE_FIRST && st.st_uid <= FREE_LAST)
            t->running[st.st_uid - FREE_FIRST] = true;
    if (d)
        closedir(d);
}

static bool is_free(uint32_t id, const struct role_id *others, int n)
{
    char path[64];
    for (int i = 0; i < n; i++)
        if (others[i].uid == id || others[i].gid == id)
            return false;
    fixed_printf(path, "/run/systemd/dynamic-uid/%u", (unsigned)id);
    return id >= FREE_FIRST && id <= FREE_LAST && !getpwuid(id) && !getgrgid(id) && access(path, F_OK) < 0;
}

static int find_free(const char *state, const char *folder, const struct role_id *others, int n, struct role_id *ret, struct err *e)
{
    static struct taken t;
    struct stat st;
    cleanup_free char *path = xasprintf("%s/%s", state, folder);
    if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && is_free(st.st_uid, others, n)) {
        *ret = (struct role_id){ st.st_uid, st.st_uid };
        return 0;
    }
    look_at_processes(&t);
    uint32_t h = fnv_str(fnv_str(FNV_INIT, state), folder), at = (h ^ h >> 16) % FREE_N;
    for (int i = 0; i < FREE_N; i++, at = (at + 1) % FREE_N)
        if (!t.running[at] && is_free(FREE_FIRST + at, others, n)) {
            *ret = (struct role_id){ FREE_FIRST + at, FREE_FIRST + at };
            return 0;
        }
    return err_set(e, -ENOENT, "no user id from %d to %d is free for muster's own processes; name users for them in agent.yaml", FREE_FIRST, FREE_LAST);
}

/* --- accounts ---------------------------------------------------------------------------------------------------------- */

/* A number may be nobody's. */
static int find_account(const char *key, const char *user, struct role_id *ret, struct err *e)
{
    uint64_t number;
    bool is_number = num_u64(user, &number) == 0;
    const struct passwd *pw = is_number ? getpwuid((uid_t)number) : getpwnam(user);
    if (!pw && !is_number)
        return err_set(e, -ENOENT, "%s: there is no user %s on this host", key, user);
    *ret = pw ? (struct role_id){ pw->pw_uid, pw->pw_gid } : (struct role_id){ (uint32_t)number, (uint32_t)number };
    return ret->uid ? 0 : err_set(e, -EPERM, "%s: root has the rights that this process must not have", key);
}

static int make_role(const char *key, const char *said, const char *usual, const char *state, const char *folder, struct role_id *ids, int n, struct err *e)
{
    const struct passwd *pw = said ? NULL : getpwnam(usual);
    int rc = 0;
    if (said)
        rc = find_account(key, said, &ids[n], e);
    else if (pw && pw->pw_uid)
        ids[n] = (struct role_id){ pw->pw_uid, pw->pw_gid };
    else
        rc = find_free(state, folder, ids, n, &ids[n], e);
    for (int i = 0; i < n && rc == 0; i++)
        if (ids[i].uid == ids[n].uid)
            rc = err_set(e, -EINVAL, "%s: user id %u is that of another of muster's processes, from which it must be kept apart", key, (unsigned)ids[n].uid);
    return rc;
}

static int make_roles(const struct agent_config *c, const char *state, struct host_rules *r, struct err *e)
{
    struct role_id ids[ROLES_N];
    int rc = make_role("supervisor_user", c->supervisor_user, "muster-agent", state, "agent", ids, 0, e);
    if (rc == 0)
        rc = make_role("logger_user", c->logger_user, "muster-log", state, "log", ids, 1, e);
    if (rc == 0)
        rc = make_role("balancer_user", c->balancer_user, "haproxy", state, "balancer", ids, 2, e);
    if (rc < 0)
        return rc;
    for (int i = 0; i < ROLES_N; i++)
        if (!rights_can_become(ids[i].uid, ids[i].gid)) {
            log_warn("this container cannot run a process as user %u, so all of muster runs as root", (unsigned)ids[i].uid);
            return 0;
        }
    r->apart = true;
    r->supervisor = ids[0];
    r->logger = ids[1];
    r->balancer = ids[2];
    return 0;
}

static int make_controller(const struct agent_config *c, struct host_rules *r, struct err *e)
{
    struct role_id id;
    const struct passwd *pw = c->controller_user ? NULL : getpwnam("muster");
    if (pw)
        r->controller_uid = pw->pw_uid;
    if (!c->controller_user || strcmp(c->controller_user, "root") == 0 || strcmp(c->controller_user, "0") == 0)
        return 0;                           /* root is believed in any case */
    int rc = find_account("controller_user", c->controller_user, &id, e);
    r->controller_uid = rc == 0 ? id.uid : r->controller_uid;
    return rc;
}

/* --- what may be started --------------------------------------------------------------------------------------------------- */

static int make_users(const struct agent_config *c, struct host_rules *r, struct err *e)
{
    r->any_user = !c->users_given;
    if (c->users.n > RULES_USERS_MAX)
        return err_set(e, -E2BIG, "users: more than %d", RULES_USERS_MAX);
    for (size_t i = 0; i < c->users.n; i++) {
        struct role_id id;
        int rc = find_account("users", c->users.v[i], &id, e);
        if (rc == -EPERM)
            return err_set(e, rc, "users: root is allowed by `allow_root: true`, not here");
        if (rc < 0)
            return rc;
        r->users[r->users_n++] = id.uid;
    }
    return 0;
}

static int put_path(char *field, const char *key, const char *path, struct err *e)
{
    if (path && !fixed_copy(field, RULES_PATH_SIZE, path))
        return err_set(e, -ENAMETOOLONG, "%s: longer than %d bytes", key, RULES_PATH_SIZE - 1);
    return 0;
}

static int make_folders(const struct agent_config *c, struct host_rules *r, struct err *e)
{
    if (c->secrets.n > RULES_FOLDERS_MAX)
        return err_set(e, -E2BIG, "secrets: more than %d folders", RULES_FOLDERS_MAX);
    if (!c->secrets.n)
        fixed_copy(r->folders[r->folders_n++], RULES_PATH_SIZE, "/etc/muster");
    for (size_t i = 0; i < c->secrets.n; i++)
        if (put_path(r->folders[r->folders_n++], "secrets", c->secrets.v[i], e) < 0)
            return -ENAMETOOLONG;
    return 0;
}

int host_rules_make(const struct agent_config *c, const char *state, struct host_rules *ret, struct err *e)
{
    static const struct role_id none = { NO_ID, NO_ID };
    struct host_rules r = { .supervisor = none, .logger = none, .balancer = none, .controller_uid = NO_ID, .allow_root = c->allow_root };
    fixed_copy(r.name, sizeof r.name, c->name ? c->name : "local");
    int rc = make_users(c, &r, e);
    if (rc == 0)
        rc = make_folders(c, &r, e);
    if (rc < 0 || (rc = put_path(r.state, "state_folder", c->state_folder, e)) < 0 || (rc = put_path(r.run, "run_folder", c->run_folder, e)) < 0
        || (rc = put_path(r.controller_socket, "controller_socket", c->controller_socket, e)) < 0)
        return rc;
    if (geteuid() == 0 && ((rc = make_controller(c, &r, e)) < 0 || (rc = make_roles(c, state, &r, e)) < 0))
        return rc;
    *ret = r;
    return 0;
}

/* --- the child --------------------------------------------------------------------------------------------------------------- */

static int read_config(const char *file, struct agent_config *ret)
{
    struct config_files f;
    struct config_errors errs = { 0 };
    cleanup_strbuf struct strbuf text = STRBUF_INIT;
    int rc = config_files_read(file, &f, &errs);
    if (rc == 0) {
        rc = agent_config_parse(&f.src[0], ret, &errs);
        config_files_done(&f);
    }
    config_errors_print(&errs, &text);
    fputs(strbuf_str(&text), stderr);
    config_errors_done(&errs);
    return rc;
}

static int child(const char *file, const char *state, int out)
{
    struct agent_config c = { 0 };
    struct host_rules r;
    struct err e = { "" };
    if (file && read_config(file, &c) < 0)
        return EXIT_USAGE;
    if (!state)
        state = c.state_folder ? c.state_folder : "/var/lib/muster-agent";
    if (host_rules_make(&c, state, &r, &e) < 0) {
        struct agent_place at = agent_config_place(&c, e.text);
        if (at.line)
            fprintf(stderr, "%s:%u:%u: %s\n", file, (unsigned)at.line, (unsigned)at.column, e.text);
        else
            fprintf(stderr, "%s: %s\n", file ? file : "muster-agent", e.text);
        return file ? EXIT_USAGE : EXIT_FAILED;
    }
    r.limited = file != NULL;
    return write(out, &r, sizeof r) == sizeof r ? EXIT_DONE : EXIT_FAILED;
}

/* The records may be longer than a pipe holds: read while it runs. */
int host_rules_load(const char *file, const char *state, struct host_rules *ret)
{
    static struct host_rules r;
    size_t got = 0;
    int p[2], status = 0;
    pid_t pid = pipe(p) < 0 ? -1 : fork();
    if (pid < 0) {
        log_error("cannot read the agent's configuration: %s", strerror(errno));
        return EXIT_FAILED;
    }
    if (pid == 0) {
        close(p[0]);
        _exit(child(file, state, p[1]));
    }
    close(p[1]);
    for (ssize_t n; got < sizeof r && ((n = read(p[0], (char *)&r + got, sizeof r - got)) > 0 || (n < 0 && errno == EINTR));)
        got += n > 0 ? (size_t)n : 0;
    close(p[0]);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    if (!WIFEXITED(status) || WEXITSTATUS(status))
        return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILED;
    if (got != sizeof r)
        return EXIT_FAILED;
    *ret = r;
    return 0;
}
