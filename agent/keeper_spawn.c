/* keeper_spawn.c - a start, the keeper's side: check the order, make what the child needs, fork, and read the child's report. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "agent/keeper_impl.h"
#include "agent/spawn_child.h"
#include "agent/sysx.h"
#include "base/log.h"

enum { FLAGS_KNOWN = KF_NO_NEW_PRIVS | KF_NOTIFY | KF_LOG | KF_LOG_TIMESTAMPS | KF_OUTPUT_FD };
struct why { char *text; size_t size; };

static int refuse(const struct why *y, int rc, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static int refuse(const struct why *y, int rc, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(y->text, y->size, fmt, ap);
    va_end(ap);
    return rc;
}

/* --- checks -------------------------------------------------------------------------------------------- */

static int check_order(const struct k_spawn *w, int memfd, int output_fd, const struct why *y)
{
    if (!keeper_id_valid(w->id))
        return refuse(y, -EINVAL, "not an id");
    if (w->port > 65535 || w->kind < K_INSTANCE || w->kind > K_BALANCER || (w->flags & ~(unsigned)FLAGS_KNOWN) || w->umask > 0777)
        return refuse(y, -EINVAL, "kind, flags, umask or port out of range");
    if ((w->flags & KF_LOG) && (!keeper_id_valid(w->log_id) || w->log_keep > 1000))
        return refuse(y, -EINVAL, "not a log's id, or too many files kept");
    if (!!(w->flags & KF_OUTPUT_FD) != (output_fd >= 0) || ((w->flags & KF_LOG) && (w->flags & KF_OUTPUT_FD)))
        return refuse(y, -EINVAL, "output descriptor and flags do not fit");
    for (int i = 0; i < SPAWN_LISTENERS_MAX; i++)
        if (w->listeners[i][0] && (!keeper_id_valid(w->listeners[i]) || (i && !w->listeners[i - 1][0])))
            return refuse(y, -EINVAL, "not a listener's name");
    struct stat st;
    int seals = memfd >= 0 ? fcntl(memfd, F_GET_SEALS) : -1;
    if (seals < 0 || (seals & (F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK)) != (F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK))
        return refuse(y, -EINVAL, "no sealed memfd");
    if (fstat(memfd, &st) < 0 || st.st_size <= 0 || st.st_size > MEMFD_BYTES_MAX || (uint64_t)st.st_size != w->memfd_bytes)
        return refuse(y, -EINVAL, "memfd of an unexpected size");
    return 0;
}

static int find_listeners(struct keeper *k, const struct k_spawn *w, struct child_setup *c, const struct why *y)
{
    for (int i = 0; i < SPAWN_LISTENERS_MAX && w->listeners[i][0]; i++) {
        int fd = -1;
        for (int j = 0; j < HELD_MAX && fd < 0; j++)
            if (k->held[j].used && !strcmp(k->held[j].listen.id, w->listeners[i]))
                fd = k->held[j].fd;
        if (fd < 0)
            return refuse(y, -ENOENT, "no listening socket is held as '%.63s'", w->listeners[i]);
        c->listeners[c->listeners_n++] = fd;
    }
    return 0;
}

/* --- what the child needs ----------------------------------------------------------------------------- */

/* Born with mode 0600 (umask 0077 is the keeper's own); the child gives it to its user. */
static int notify_open(struct keeper *k, struct slot *s, const struct why *y)
{
    if (s->notify_fd >= 0)
        return 0;
    char name[ID_SIZE];
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    group_name(s->id, name);
    if (snprintf(a.sun_path, sizeof a.sun_path, "%s/notify/%s", k->o->run_dir, name) >= (int)sizeof a.sun_path)
        return refuse(y, -ENAMETOOLONG, "the path of the notify socket is longer than %zu bytes: choose a shorter runtime folder", sizeof a.sun_path - 1);
    unlink(a.sun_path);
    int one = 1, fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &one, sizeof one) < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0) {
        int rc = -errno;
        if (fd >= 0)
            close(fd);
        return refuse(y, rc, "cannot make the notify socket %s: %s", a.sun_path, strerror(-rc));
    }
    s->notify_fd = fd;
    s->notify_told = false;
    return 0;
}

static int log_of(struct keeper *k, const struct k_spawn *w, int *ret_fd, const struct why *y)
{
    *ret_fd = -1;
    if (!(w->flags & KF_LOG) || k->o->no_logger)
        return 0;
    struct slot *s = slot_make(k, w->log_id, K_INSTANCE);
    int rc = s ? keeper_log_open(k, s, w) : -ENOSPC;
    if (rc < 0)
        return refuse(y, rc, "cannot make the log pipe of %.63s: %s", w->log_id, strerror(-rc));
    *ret_fd = s->log_fd;
    return 0;
}

static void group_of(struct keeper *k, const struct k_spawn *w, struct child_setup *c, struct slot *s)
{
    const struct group_limits *l = c->limits;
    group_name(w->id, c->group);
    /* Linux 6.15 and later kill whatever is cloned into a cgroup whose cgroup.kill was ever used (they compare its count with that of
     * the parent's cgroup), so such a folder is made anew; one that cannot be is entered by the child itself. */
    c->may_clone_into = (s->started_ms && !s->kill_all) || group_remove(&k->groups, c->group) == 0;
    int rc = group_make(&k->groups, c->group, l);
    if (rc == -EOPNOTSUPP && !k->said_limits)
        log_warn("%s: its memory, tasks or cpu limit cannot be enforced on this host: no such cgroup controller (said once)", w->id);
    else if (rc < 0 && rc != -EOPNOTSUPP)
        log_warn("%s: cannot make its cgroup: %s", w->id, strerror(-rc));
    k->said_limits |= rc == -EOPNOTSUPP;
    s->limited = l->memory_bytes != 0;
    k->limited |= s->limited;
    s->oom_kills = s->limited ? group_oom_kills(&k->groups, c->group) : 0;
}

/* --- fork ------------------------------------------------------------------------------------------- */

/* With the group's cgroup from birth where the kernel can, else the child moves itself. */
static pid_t fork_child(const struct keeper *k, struct child_setup *c, int *ret_pidfd)
{
    int dir = c->may_clone_into ? group_open(&k->groups, c->group) : -1;
    pid_t pid = -ENOSYS;
    bool share = c->shared_below > 0;
    if (dir >= 0) {
        c->cloned_into = true;
        pid = sysx_clone(dir, share, ret_pidfd);
        if (pid != 0)
            close(dir);
    }
    if (pid < 0) {
        c->cloned_into = false;
        pid = sysx_clone(-1, share, ret_pidfd);
    }
    if (pid == -ENOSYS || pid == -EPERM) {          /* clone3 is often filtered in containers */
        c->shared_below = 0;
        pid = fork();
        pid = pid < 0 ? -errno : pid;
        if (pid > 0)
            *ret_pidfd = sysx_pidfd_open(pid);
    }
    return pid;
}

static int start(struct keeper *k, struct slot *s, struct child_setup *c, const struct why *y)
{
    int status[2];
    if (pipe2(status, O_CLOEXEC | O_NONBLOCK) < 0)
        return refuse(y, -errno, "no pipe for the child's report: %s", strerror(errno));
    c->status_fd = status[1];
    bool staged = keeper_stage_take(k, s, c);
    int pidfd = -1;
    pid_t pid = fork_child(k, c, &pidfd);
    if (pid == 0)
        spawn_child(c);
    close(status[1]);
    if (staged && (pid < 0 || !c->shared_below))
        keeper_stage_clear(k, s);
    if (pid < 0) {
        close(status[0]);
        return refuse(y, (int)pid, "cannot fork: %s", strerror((int)-pid));
    }
    slot_set_pid(k, s, pid);
    s->pidfd = pidfd;
    s->status_fd = status[0];
    s->running = s->populated = true;
    s->began = s->failed = s->kill_all = false;
    s->exit = (struct exit_info){ 0 };
    s->started_ms = keeper_now_ms();
    s->deadline_ms = s->started_ms + SETUP_MS_MAX;
    k->starting_n++;
    keeper_watch_fd(k, status[0], EPOLLIN, ON_STATUS, slot_index(k, s));
    return 0;
}

int keeper_spawn(struct keeper *k, const struct k_spawn *w, int memfd, int output_fd, char *detail, size_t detail_size)
{
    struct why y = { detail, detail_size };
    struct group_limits limits = { w->memory_bytes, w->tasks, w->cpu_milli };
    struct child_setup c = {
        .spawn = w, .groups = &k->groups, .limits = &limits, .memfd = memfd, .output_fd = output_fd, .null_fd = k->null_fd,
        .log_fd = -1, .files = k->files, .run_dir = k->o->run_dir, .rules = k->o->rules,
    };
    int rc = check_order(w, memfd, output_fd, &y);
    if (rc == 0)
        rc = find_listeners(k, w, &c, &y);
    if (rc < 0)
        return rc;
    if (k->phase >= PHASE_FORCED)
        return refuse(&y, -ESHUTDOWN, "muster is ending");
    struct slot *s = slot_find(k, w->id);
    if (s && (s->running || s->populated))
        return refuse(&y, -EBUSY, s->running ? "it runs already, as pid %d" : "processes that pid %d left behind still live", (int)s->pid);
    s = slot_make(k, w->id, w->kind);
    if (!s)
        return refuse(&y, -ENOSPC, "the keeper holds no more than %d processes", KEEPER_SLOTS);
    s->kind = (uint8_t)w->kind;
    s->port = w->port;
    if (s->forgetting)
        k->forgetting_n--;
    s->forgetting = false;
    s->credentials = true;                  /* maybe: removed with the slot */
    if ((w->flags & KF_NOTIFY) && (rc = notify_open(k, s, &y)) < 0)
        return rc;
    c.notify = (w->flags & KF_NOTIFY) != 0;
    if ((rc = log_of(k, w, &c.log_fd, &y)) < 0)
        return rc;
    c.known = keeper_user_known(k, s, w, memfd);
    group_of(k, w, &c, s);
    return start(k, s, &c, &y);
}

/* --- the report -------------------------------------------------------------------------------------- */

static void take_failure(struct slot *s, const char *buf)
{
    struct child_report r;
    memcpy(&r, buf, sizeof r);
    s->failed = true;
    s->failure = (struct k_failed){ .stage = r.stage, .rc = r.rc };
    memcpy(s->failure.id, s->id, ID_SIZE);
    snprintf(s->failure.detail, sizeof s->failure.detail, "%.191s", r.detail);
}

static void take_user(struct keeper *k, struct slot *s, const char *buf)
{
    static struct child_user u;
    memcpy(&u, buf, sizeof u);
    keeper_user_found(k, s, &u.user);
}

static void take_report(struct keeper *k, struct slot *s, const char *buf, size_t n)
{
    for (size_t i = 0, size; i < n; i += size) {
        size = buf[i] == CHILD_EXEC ? 1 : buf[i] == CHILD_USER ? sizeof(struct child_user) : sizeof(struct child_report);
        if (n - i < size)
            return;
        if (buf[i] == CHILD_EXEC)
            s->began = true;
        else if (buf[i] == CHILD_USER)
            take_user(k, s, buf + i);
        else
            take_failure(s, buf + i);
    }
}

/* Called on a readable or closed pipe, and before the child's end is told, so that K_SPAWNED always comes first. The keeper's own copy of the
 * pipe's end, in the stage, must go before it can close. */
void keeper_status_read(struct keeper *k, struct slot *s)
{
    static char buf[sizeof(struct child_user) + 2 * sizeof(struct child_report)];
    ssize_t n = 0;
    while (s->status_fd >= 0 && ((n = read(s->status_fd, buf, sizeof buf)) > 0 || (n < 0 && errno == EINTR)))
        if (n > 0) {
            take_report(k, s, buf, (size_t)n);
            keeper_stage_clear(k, s);
        }
    if (s->status_fd < 0 || (n < 0 && errno == EAGAIN && s->running))
        return;
    keeper_stage_clear(k, s);
    epoll_ctl(k->epoll, EPOLL_CTL_DEL, s->status_fd, NULL);
    close(s->status_fd);
    s->status_fd = -1;
    k->starting_n--;
    if (s->began && !s->failed)
        slot_event(k, s, SE_SPAWNED);
    /* a failure is told once the child is reaped, so that the slot can be used again at once */
}
