/* spawn_child.c - see spawn_child.h. The order: own session and group, descriptors, the order's records, who, environment and secrets
 * (with the keeper's rights), limits, rights dropped, folder (with the user's rights), exec. */
#include "agent/spawn_child.h"
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "model/spawn_env.h"
#include "agent/spawn_user.h"
#include "agent/sysx.h"
#include "base/cleanup.h"

enum { HIGH_FD = 64 };
#define PATH_DEFAULT "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct order { struct strv argv, groups, env; const char *user, *directory; bool home; struct strv ordered; /* E, F and S as they came */ };

static int report_fd;

_Noreturn static void fail(enum spawn_stage stage, int rc, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
_Noreturn static void fail(enum spawn_stage stage, int rc, const char *fmt, ...)
{
    struct child_report r = { .tag = CHILD_FAILED, .stage = (uint8_t)stage, .rc = rc };
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(r.detail, sizeof r.detail, fmt, ap);
    va_end(ap);
    ssize_t n = write(report_fd, &r, sizeof r);
    _exit(n == sizeof r ? 127 : 126);
}

/* strerror with a small first letter: it stands within a line. */
static const char *because(int rc)
{
    static char text[96];
    fixed_copy(text, sizeof text, strerror(-rc));
    text[0] = (char)tolower((unsigned char)text[0]);
    return text;
}

static void reset_signals(void)
{
    sigset_t none;
    struct sigaction dfl = { .sa_handler = SIG_DFL };
    sigemptyset(&none);
    for (int s = 1; s < NSIG; s++)
        sigaction(s, &dfl, NULL);
    /* The C library keeps its hands off its own signals (32, 33), but its posix_spawn leaves them ignored, and make starts programs that way. */
    const char kernel_default[64] = { 0 };      /* a struct sigaction of the kernel's: all zeroes is SIG_DFL, on every architecture */
    for (int s = 32; s < SIGRTMIN; s++)
        syscall(SYS_rt_sigaction, s, kernel_default, NULL, 8);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* --- descriptors ---------------------------------------------------------------------------------------------- */

static int high(int fd, enum spawn_stage stage)
{
    int h = fcntl(fd, F_DUPFD_CLOEXEC, HIGH_FD);
    if (h < 0)
        fail(stage, -errno, "cannot arrange descriptors: %s", because(-errno));
    return h;
}

/* The FIFO is opened anew, for reading too: a writer then never meets a closed pipe, whatever happens to the reader. */
static int open_output(const struct child_setup *c)
{
    if (c->log_fd < 0)
        return high(c->output_fd >= 0 ? c->output_fd : c->null_fd, STAGE_LOG);
    char path[32];
    fixed_printf(path, "/proc/self/fd/%d", c->log_fd);
    cleanup_close int fd = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        fail(STAGE_LOG, -errno, "cannot open the log pipe: %s", because(-errno));
    return high(fd, STAGE_LOG);
}

/* 0 /dev/null, 1 and 2 the output, 3.. listeners; then (until exec) the report pipe and the memfd. All else is closed. */
static int arrange(const struct child_setup *c)
{
    int listeners[SPAWN_LISTENERS_MAX];
    int out = open_output(c), null = high(c->null_fd, STAGE_SETUP), memfd = high(c->memfd, STAGE_SETUP);
    for (int i = 0; i < c->listeners_n; i++)
        listeners[i] = high(c->listeners[i], STAGE_SETUP);
    report_fd = high(report_fd, STAGE_SETUP);
    int next = 3 + c->listeners_n;
    bool ok = dup2(null, 0) == 0 && dup2(out, 1) == 1 && dup2(out, 2) == 2;
    for (int i = 0; i < c->listeners_n; i++)
        ok = ok && dup2(listeners[i], 3 + i) >= 0;
    ok = ok && dup3(report_fd, next, O_CLOEXEC) >= 0;
    report_fd = ok ? next : report_fd;
    ok = ok && dup3(memfd, next + 1, O_CLOEXEC) >= 0 && sysx_close_from(next + 2) == 0;
    if (!ok)
        fail(STAGE_SETUP, -errno, "cannot arrange descriptors: %s", because(-errno));
    return next + 1;
}

/* --- the order's records ----------------------------------------------------------------------------------------- */

static void take_record(struct order *o, const char *r)
{
    switch (*r) {
    case 'A': strv_push(&o->argv, r + 1); break;
    case 'G': strv_push(&o->groups, r + 1); break;
    case 'U': o->user = r + 1; break;
    case 'D': o->directory = r[1] ? r + 1 : NULL; break;
    case 'H': o->home = !strcmp(r + 1, "1"); break;
    case 'E': case 'F': case 'S': strv_push(&o->ordered, r); break;
    default: fail(STAGE_SETUP, -EINVAL, "unknown record '%c' in the order", *r);
    }
}

static void read_order(struct order *o, int memfd, uint64_t bytes)
{
    char *text = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, memfd, 0);
    if (text == MAP_FAILED)
        fail(STAGE_SETUP, -errno, "cannot read the order: %s", because(-errno));
    if (text[bytes - 1] != 0)
        fail(STAGE_SETUP, -EINVAL, "the order does not end");
    for (const char *s = text; s < text + bytes; s += strlen(s) + 1)
        take_record(o, s);
    if (!o->argv.n || !o->argv.v[0][0])
        fail(STAGE_EXEC, -EINVAL, "the command is empty");
}

/* --- environment and secrets ------------------------------------------------------------------------------------ */

/* <run>/credentials/<id>/, of the user, readable for it alone. */
static int open_credentials(const struct child_setup *c, char *path, size_t size)
{
    snprintf(path, size, "%s/credentials/%s", c->run_dir, c->group);
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        fail(STAGE_SECRET, -errno, "cannot make %s: %s", path, because(-errno));
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fchmod(fd, 0700) < 0)
        fail(STAGE_SECRET, -errno, "cannot open %s: %s", path, because(-errno));
    return fd;
}

static void close_credentials(int fd, const struct spawn_user *u, const char *path)
{
    if (fchmod(fd, 0500) < 0 || (geteuid() == 0 && fchown(fd, u->uid, u->gid) < 0))
        fail(STAGE_SECRET, -errno, "cannot hand over %s: %s", path, because(-errno));
    close(fd);
}

static int open_file(void *rules, const char *path, struct err *e) { return host_rules_open(rules, path, e); }

static int read_env_file(const struct child_setup *c, struct order *o, const char *path, struct err *e)
{
    cleanup_close int fd = host_rules_open(c->rules, path, e);
    return fd < 0 ? fd : env_file_fd(&o->env, fd, path, e);
}

static void make_environment(const struct child_setup *c, struct order *o, const struct spawn_user *u)
{
    struct err e = { "" };
    char dir[512];
    int dir_fd = -1;
    env_set2(&o->env, "MUSTER_ID", c->spawn->id);       /* first, where a scan of /proc finds it soonest */
    for (size_t i = 0; i < o->ordered.n; i++) {
        const char *r = o->ordered.v[i];
        bool made;
        if (*r == 'E' && env_set(&o->env, r + 1) < 0)
            fail(STAGE_SETUP, -EINVAL, "not KEY=VALUE in the environment");
        int rc = *r == 'F' ? read_env_file(c, o, r + 1, &e) : 0;
        if (rc < 0)
            fail(STAGE_ENV_FILE, rc, "%s", e.text);
        if (*r != 'S')
            continue;
        if (dir_fd < 0 && env_secret_wants_file(r + 1))
            dir_fd = open_credentials(c, dir, sizeof dir);
        rc = env_secret_by(&o->env, r + 1, open_file, (void *)(uintptr_t)c->rules, dir_fd, u->uid, u->gid, &made, &e);
        if (rc < 0)
            fail(STAGE_SECRET, rc, "%s", e.text);
    }
    if (o->home && u->name[0]) {
        const char *const set[][2] = { { "HOME", u->home }, { "USER", u->name }, { "LOGNAME", u->name } };
        for (size_t i = 0; i < ARRAY_LEN(set); i++)
            if (!env_get(&o->env, set[i][0]))
                env_set2(&o->env, set[i][0], set[i][1]);
    }
    env_set2(&o->env, "MUSTER_ID", c->spawn->id);
    if (c->notify) {
        char path[512];
        fixed_printf(path, "%s/notify/%s", c->run_dir, c->group);
        env_set2(&o->env, "NOTIFY_SOCKET", path);
        if (u->uid != geteuid() && lchown(path, u->uid, u->gid) < 0)
            fail(STAGE_SETUP, -errno, "cannot hand over the notify socket: %s", because(-errno));
    }
    if (dir_fd >= 0) {
        env_set2(&o->env, "CREDENTIALS_DIRECTORY", dir);
        close_credentials(dir_fd, u, dir);
    }
}

/* --- limits, rights, exec ------------------------------------------------------------------------------------------ */

static void set_limits(const struct child_setup *c)
{
    const struct k_spawn *w = c->spawn;
    struct rlimit files = w->files ? (struct rlimit){ w->files, w->files } : c->files;
    if (setrlimit(RLIMIT_NOFILE, &files) < 0) {
        int rc = -errno;
        fail(STAGE_LIMIT, rc, "cannot allow %llu open files: %s (the hard limit of muster is %llu)", (unsigned long long)files.rlim_cur,
             because(rc), (unsigned long long)c->files.rlim_max);
    }
    if ((w->flags & KF_NO_NEW_PRIVS) && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        fail(STAGE_SETUP, -errno, "cannot set no_new_privs: %s", because(-errno));
    umask((mode_t)w->umask);
}

_Noreturn static void exec_failed(const char *path, int rc)
{
    struct stat st;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        fail(STAGE_EXEC, -EISDIR, "cannot execute %s: it is a folder", path);
    if (rc == -ENOENT && access(path, F_OK) == 0)
        fail(STAGE_EXEC, rc, "cannot execute %s: the interpreter that its first line names does not exist", path);
    if (rc == -ENOEXEC)
        fail(STAGE_EXEC, rc, "cannot execute %s: neither a program nor a script with a #! line", path);
    fail(STAGE_EXEC, rc, "cannot execute %s: %s", path, because(rc));
}

/* As execvp, with the PATH of the new environment and no shell for what has no #! line. */
_Noreturn static void execute(struct order *o)
{
    char *const *argv = o->argv.v, *const *envp = o->env.v;
    const char *name = argv[0], *list = env_get(&o->env, "PATH"), *denied = NULL;
    if (strchr(name, '/')) {
        execve(name, argv, envp);
        exec_failed(name, -errno);
    }
    if (!list)
        list = PATH_DEFAULT;
    for (const char *s = list, *end; s; s = *end ? end + 1 : NULL) {
        end = strchrnul(s, ':');
        char *path = end == s ? xasprintf("./%s", name) : xasprintf("%.*s/%s", (int)(end - s), s, name);
        execve(path, argv, envp);
        int rc = -errno;
        if (rc == -ENOENT && access(path, F_OK) == 0)
            exec_failed(path, rc);
        if (rc == -EACCES)
            denied = denied ? denied : path;
        else if (rc != -ENOENT && rc != -ENOTDIR && rc != -ESTALE)
            exec_failed(path, rc);
    }
    if (denied)
        exec_failed(denied, -EACCES);
    fail(STAGE_EXEC, -ENOENT, "cannot find the command %s in PATH (%s)", name, list);
}

/* Whom the order names, if the host's rules let it: told by the keeper, or asked for, and then the keeper is told. A balancer is nobody but its
 * own user, in the group of the supervisor. */
static void find_user(const struct child_setup *c, const struct order *o, struct spawn_user *u)
{
    static struct child_user told = { .tag = CHILD_USER };
    struct err e = { "" };
    if (c->spawn->kind == K_BALANCER && c->rules && c->rules->apart) {
        *u = (struct spawn_user){ .uid = c->rules->balancer.uid, .gid = c->rules->supervisor.gid };
        return;
    }
    if (c->known) {                             /* and allowed: the rules do not change */
        *u = *c->known;
        return;
    }
    int rc = spawn_user_find(u, o->user, c->spawn->owner_uid, c->spawn->owner_gid, o->home, &o->groups, &e);
    if (rc < 0)
        fail(u->fault_in_groups ? STAGE_GROUP : STAGE_USER, rc, "%s", e.text);
    rc = host_rules_allow(c->rules, u, &e);
    if (rc < 0)
        fail(STAGE_USER, rc, "%s", e.text);
    told.user = *u;
    if (write(report_fd, &told, sizeof told) != (ssize_t)sizeof told)
        _exit(126);
}

_Noreturn void spawn_child(const struct child_setup *c)
{
    static struct order o;
    static struct spawn_user u;
    struct err e = { "" };
    report_fd = c->status_fd;
    if (c->shared_below && sysx_leave_files(c->shared_below) < 0)
        _exit(126);                             /* before it is left nothing may be done with it */
    (void)rights_take_all_back();               /* what cannot be is told by what needs it */
    reset_signals();
    setsid();
    int rc = group_join(c->groups, c->group, c->cloned_into, c->limits);
    if (rc < 0)
        fail(STAGE_SETUP, rc, "cannot enter its cgroup: %s", because(rc));
    int memfd = arrange(c);
    read_order(&o, memfd, c->spawn->memfd_bytes);
    find_user(c, &o, &u);
    if (c->log_fd >= 0 && u.uid != geteuid() && fchown(1, u.uid, u.gid) < 0)      /* so that /dev/stdout can be opened again */
        fail(STAGE_LOG, -errno, "cannot hand over the log pipe: %s", because(-errno));
    make_environment(c, &o, &u);
    set_limits(c);
    rc = spawn_user_become(&u, &e);
    if (rc < 0)
        fail(STAGE_USER, rc, "%s", e.text);
    if (o.directory && chdir(o.directory) < 0)
        fail(STAGE_CHDIR, -errno, "cannot enter %s: %s", o.directory, because(-errno));
    close(memfd);
    sysx_close_from(report_fd + 1);             /* what the name services may have left open */
    char tag = CHILD_EXEC;
    if (write(report_fd, &tag, 1) != 1)
        _exit(126);                             /* the keeper is gone: nobody would look after us */
    execute(&o);
}
