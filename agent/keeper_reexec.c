/* keeper_reexec.c - SIGHUP: the program on disk takes over in place. Same pid, same children, same descriptors; what the keeper knows goes along in
 * a sealed memfd whose number is in the environment. First the new program is asked, in a child, whether it can: a broken one costs nothing. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "agent/keeper_impl.h"
#include "agent/sysx.h"
#include "base/log.h"

enum { TRIAL_S = 5, SEALS = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL };
static const char variable[] = "MUSTER_HANDOVER";

/* --- before the exec ------------------------------------------------------------------------------------ */

int keeper_reexec_init(struct keeper *k, char *const *argv)
{
    static char exe[2 * PATH_MAX], var[sizeof variable + 16], ask[] = "--takes-over", format[16];
    char cwd[PATH_MAX];
    size_t n = 0;
    k->argv = argv;
    k->exe = exe;
    if (argv && argv[0][0] == '/')
        snprintf(exe, sizeof exe, "%s", argv[0]);
    else if (argv && strchr(argv[0], '/') && getcwd(cwd, sizeof cwd))
        snprintf(exe, sizeof exe, "%s/%s", cwd, argv[0]);
    else {
        ssize_t len = readlink("/proc/self/exe", exe, sizeof exe - 1);
        exe[len > 0 ? len : 0] = 0;
    }
    for (n = 0; argv && argv[n]; n++) {}
    k->trial_argv = calloc(n + 3, sizeof *k->trial_argv);
    if (!k->trial_argv)
        return -ENOMEM;
    snprintf(format, sizeof format, "%d", REC_FORMAT);
    k->trial_argv[0] = exe;
    k->trial_argv[1] = ask;
    k->trial_argv[2] = format;
    for (size_t i = 1; i < n; i++)          /* with what it would be told: a configuration that is wrong by now, for one */
        k->trial_argv[i + 2] = argv[i];
    n = 0;
    while (environ[n])
        n++;
    k->envp = calloc(n + 2, sizeof *k->envp);       /* here, since nothing is allocated later */
    if (!k->envp)
        return -ENOMEM;
    k->envp[0] = var;
    memcpy(k->envp + 1, environ, n * sizeof *environ);
    return 0;
}

static void trial(const struct keeper *k)
{
    sigset_t none;
    sigemptyset(&none);
    for (int s = 1; s < NSIG; s++)
        signal(s, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    dup2(k->null_fd, 0);
    dup2(k->null_fd, 1);
    sysx_close_from(3);
    alarm(TRIAL_S);
    execv(k->exe, k->trial_argv);
    dprintf(2, "muster-agent: cannot execute %s: %s\n", k->exe, strerror(errno));
    _exit(127);
}

void keeper_reexec_ask(struct keeper *k)
{
    if (k->phase >= PHASE_FORCED || !k->argv) {
        log_warn("asked to start anew in place: not %s", k->argv ? "while all is being ended" : "possible here");
        return;
    }
    if (k->trial_pid)
        return;
    pid_t pid = fork();
    if (pid == 0)
        trial(k);
    if (pid < 0)
        log_error("asked to start anew in place, but cannot fork: %s", strerror(errno));
    else
        k->trial_pid = pid;
}

bool keeper_trial_exited(struct keeper *k, pid_t pid, int code, int status)
{
    if (pid != k->trial_pid)
        return false;
    k->trial_pid = 0;
    k->reexec_due = code == CLD_EXITED && status == 0;
    if (!k->reexec_due)
        log_error("%s cannot take over (%s %d): going on as before", k->exe, code == CLD_EXITED ? "exit code" : "signal", status);
    return true;
}

/* --- the exec --------------------------------------------------------------------------------------------- */

static void each_fd(struct keeper *k, void (*f)(int *fd))
{
    int *own[] = { &k->lock_fd, &k->run_lock_fd, &k->groups.base_fd, &k->groups.limit_fd[0], &k->groups.limit_fd[1], &k->groups.limit_fd[2] };
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        f(own[i]);
    for (int r = 0; r < ROLE_COUNT; r++)
        f(&k->roles[r].fd);
    for (int i = 0; i < HELD_MAX; i++)
        if (k->held[i].used)
            f(&k->held[i].fd);
    for (uint32_t i = 0; i < k->slots_high; i++) {
        struct slot *s = &k->slots[i];
        int *fds[] = { &s->pidfd, &s->status_fd, &s->notify_fd, &s->log_fd };
        for (size_t j = 0; s->used && j < sizeof fds / sizeof *fds; j++)
            f(fds[j]);
    }
}

static void pass(int *fd)
{
    if (*fd >= 0)
        (void)fcntl(*fd, F_SETFD, 0);
}

/* A number that is no descriptor is none; which is what a memory of another time would have, too. */
static void keep(int *fd)
{
    if (*fd >= 0 && fcntl(*fd, F_SETFD, FD_CLOEXEC) < 0)
        *fd = -1;
}

struct out { int fd, rc; size_t n; char buf[65536]; };

static void put(struct out *o, enum rec_kind kind, const void *body, size_t size)
{
    if (o->n + sizeof(struct rec_head) + size > sizeof o->buf || kind == REC_NONE) {
        ssize_t n = o->n ? write(o->fd, o->buf, o->n) : 0;
        if (n != (ssize_t)o->n)
            o->rc = n < 0 ? -errno : -ENOSPC;
        o->n = 0;
    }
    if (kind != REC_NONE)
        o->n += rec_put(o->buf + o->n, kind, 0, body, size);
}

static int write_all_records(struct keeper *k, int fd)
{
    static struct out o;
    static struct rec_keeper self;
    o = (struct out){ .fd = fd };
    keeper_self_write(k, &self);
    put(&o, REC_KEEPER, &self, sizeof self);
    for (int r = 0; r < ROLE_COUNT; r++) {
        struct rec_role role;
        keeper_role_write(&k->roles[r], &role);
        put(&o, REC_ROLE, &role, sizeof role);
    }
    for (int i = 0; i < HELD_MAX; i++) {
        struct rec_held held = { k->held[i].listen, k->held[i].fd };
        if (k->held[i].used)
            put(&o, REC_HELD, &held, sizeof held);
    }
    for (uint32_t i = 0; i < k->slots_high; i++) {
        struct rec_slot slot;
        if (!k->slots[i].used)
            continue;
        keeper_slot_write(&k->slots[i], &slot);
        put(&o, REC_SLOT, &slot, sizeof slot);
    }
    put(&o, REC_NONE, NULL, 0);
    return o.rc < 0 ? o.rc : fcntl(fd, F_ADD_SEALS, SEALS) < 0 ? -errno : 0;
}

/* Comes back only if it failed, and then with everything as it was. Not while something waits for the supervisor to read: who it was for and
 * how far it had got would have to go along. */
void keeper_reexec(struct keeper *k)
{
    if (k->blocked)
        return;
    k->reexec_due = false;
    int fd = memfd_create("muster-handover", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int rc = fd < 0 ? -errno : write_all_records(k, fd);
    if (rc == 0) {
        snprintf(k->envp[0], sizeof variable + 16, "%s=%d", variable, fd);
        each_fd(k, pass);
        pass(&fd);
        execve(k->exe, k->argv, k->envp);
        rc = -errno;
        each_fd(k, keep);
    }
    if (fd >= 0)
        close(fd);
    log_error("cannot start %s in place: %s; going on as before", k->exe, strerror(-rc));
}

/* --- after the exec ------------------------------------------------------------------------------------------ */

static struct role *role_of(struct keeper *k, const char *name)
{
    for (int r = 0; r < ROLE_COUNT; r++)
        if (!strncmp(k->roles[r].name, name, sizeof((struct rec_role *)0)->name))
            return &k->roles[r];
    return NULL;
}

static void take_record(struct keeper *k, enum rec_kind kind, const char *buf)
{
    struct rec_role role;
    struct rec_held held;
    struct rec_slot slot;
    if (kind == REC_ROLE) {
        rec_body(buf, &role, sizeof role);
        struct role *q = role_of(k, role.name);
        if (q) {
            keeper_role_read(q, &role);
            q->fd = role.fd;
        }
    } else if (kind == REC_HELD) {
        rec_body(buf, &held, sizeof held);
        for (int i = 0; i < HELD_MAX; i++)
            if (!k->held[i].used) {
                k->held[i] = (struct held){ .listen = held.listen, .fd = held.fd, .used = true };
                return;
            }
    } else if (kind == REC_SLOT) {
        rec_body(buf, &slot, sizeof slot);
        struct slot *s = keeper_slot_read(k, &slot);
        if (!s)
            return;
        s->pidfd = slot.pidfd;
        s->status_fd = slot.status_fd;
        s->notify_fd = slot.notify_fd;
        s->log_fd = slot.log_fd;
    }
}

/* All but the first, which was read. -EBADMSG: what follows cannot be read. */
static int take_records(struct keeper *k, int fd, off_t at)
{
    char buf[sizeof(struct rec_head) + REC_SIZE_MAX];
    struct rec_head h;
    ssize_t n;
    while ((n = pread(fd, buf, sizeof buf, at)) > 0) {
        if (!rec_whole(buf, (size_t)n, &h))
            return -EBADMSG;
        take_record(k, (enum rec_kind)h.kind, buf);
        at += (off_t)(sizeof h + h.size);
    }
    return n < 0 ? -errno : 0;
}

static void watch_again(struct keeper *k)
{
    static const uint32_t on[ROLE_COUNT] = { ON_SUPERVISOR, ON_LOGGER, 0 };
    for (int r = 0; r < ROLE_COUNT; r++)
        if (on[r] && k->roles[r].fd >= 0)
            keeper_watch_fd(k, k->roles[r].fd, EPOLLIN, on[r], 0);
    for (uint32_t i = 0; i < k->slots_high; i++)
        if (k->slots[i].used && k->slots[i].status_fd >= 0)
            keeper_watch_fd(k, k->slots[i].status_fd, EPOLLIN, ON_STATUS, i);
}

/* Roles of another version speak another language: their sockets are closed, they end and are started anew. */
static void part_from_roles(struct keeper *k)
{
    for (int r = 0; r < ROLE_COUNT; r++)
        if (r != ROLE_CONTROLLER)
            keeper_role_closed(k, (enum role_kind)r);
}

static int take_over(struct keeper *k, int fd)
{
    static struct rec_keeper self;
    char buf[sizeof(struct rec_head) + REC_SIZE_MAX];
    struct rec_head h;
    ssize_t n = pread(fd, buf, sizeof buf, 0);
    if (n <= 0 || !rec_whole(buf, (size_t)n, &h) || h.kind != REC_KEEPER)
        return -EBADMSG;
    rec_body(buf, &self, sizeof self);
    if (self.pid != getpid() || self.format != REC_FORMAT || self.phase > PHASE_LOGS || self.group_mode > GROUP_V2)
        return -ESTALE;
    keeper_self_read(k, &self);
    keeper_roles_init(k);
    int rc = take_records(k, fd, (off_t)(sizeof h + h.size));
    each_fd(k, keep);
    if (rc < 0)
        return rc;
    keeper_stage_init(k);
    keeper_slots_count(k);
    watch_again(k);
    if (self.protocol != KEEPER_VERSION)
        part_from_roles(k);
    log_note("version %.23s was replaced by %s in place", self.version, MUSTER_VERSION);
    return 0;
}

int keeper_take_over(struct keeper *k)
{
    const char *text = getenv(variable);
    if (!text)
        return -ENOENT;
    int fd = (int)strtol(text, NULL, 10);
    unsetenv(variable);
    /* A variable that somebody set, or that came down from another keeper, names no such memfd. */
    if (fd <= 2 || fcntl(fd, F_GET_SEALS) != SEALS)
        return -ENOENT;
    int rc = take_over(k, fd);
    close(fd);
    return rc;
}
