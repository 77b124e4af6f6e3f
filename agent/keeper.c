/* keeper.c - start, loop, signals, end. The keeper's other files: see keeper_impl.h. */
#include "agent/keeper.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "agent/keeper_impl.h"
#include "agent/keeper_leftover.h"
#include "agent/sysx.h"
#include "base/log.h"

enum { EVENTS_MAX = 64 };
static struct keeper the_keeper;        /* 5,000 slots: in .bss, touched as used */

int64_t keeper_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void keeper_watch_fd(struct keeper *k, int fd, uint32_t events, uint32_t on, uint32_t index)
{
    struct epoll_event e = { .events = events, .data.u64 = (uint64_t)on << 32 | index };
    if (epoll_ctl(k->epoll, EPOLL_CTL_MOD, fd, &e) < 0 && errno == ENOENT)
        epoll_ctl(k->epoll, EPOLL_CTL_ADD, fd, &e);
}

/* --- start ------------------------------------------------------------------------------------------- */

/* 0, or -errno after saying why. The lock is held as long as the keeper lives; its file tells the pid. */
static int take_lock(const char *folder, const char *file, int *ret_fd)
{
    char path[512], text[32] = "";
    snprintf(path, sizeof path, "%s/%s", folder, file);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    int rc = fd < 0 ? -errno : 0;
    if (rc == 0 && flock(fd, LOCK_EX | LOCK_NB) < 0)
        rc = -errno;
    if (rc == -EWOULDBLOCK) {
        sysx_read_file(AT_FDCWD, path, text, sizeof text);
        text[strcspn(text, "\n")] = 0;
        log_error("muster already runs with %s (its keeper is pid %s); attach to it or stop it first", folder, *text ? text : "?");
    } else if (rc < 0)
        log_error("cannot lock %s: %s", path, strerror(-rc));
    if (rc == 0) {
        int n = snprintf(text, sizeof text, "%d\n", (int)getpid());
        if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)n, 0) != n) {
            rc = -errno;
            log_error("cannot write %s: %s", path, strerror(-rc));
        }
    }
    if (rc < 0) {
        if (fd >= 0)
            close(fd);
        return rc;
    }
    *ret_fd = fd;
    return 0;
}

static int take_signals(struct keeper *k)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_DFL);       /* an inherited "ignore" would reap behind our back */
    sigprocmask(SIG_SETMASK, &set, NULL);
    k->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return k->signal_fd < 0 ? -errno : 0;
}

/* What is the same for a start and for a re-exec. */
static int prepare(struct keeper *k, const struct keeper_options *o)
{
    k->o = o;
    sysx_read_file(AT_FDCWD, "/proc/sys/kernel/random/boot_id", k->boot_id, sizeof k->boot_id);
    k->boot_id[strcspn(k->boot_id, "\n")] = 0;
    k->epoll = epoll_create1(EPOLL_CLOEXEC);
    k->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    while (k->null_fd >= 0 && k->null_fd < 3)       /* 0, 1 and 2 are always something */
        k->null_fd = dup(k->null_fd);
    fcntl(k->null_fd, F_SETFD, FD_CLOEXEC);
    umask(0077);
    k->run_dir = open(o->run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = take_signals(k);
    if (k->epoll < 0 || k->null_fd < 0 || k->run_dir < 0 || rc < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) < 0) {
        log_error("cannot start: %s", strerror(rc < 0 ? -rc : errno));
        return -EIO;
    }
    keeper_watch_fd(k, k->signal_fd, EPOLLIN, ON_SIGNAL, 0);
    return 0;
}

static int start(struct keeper *k)
{
    const struct keeper_options *o = k->o;
    int rc;
    if ((rc = take_lock(o->state_dir, "keeper.lock", &k->lock_fd)) < 0 || (rc = take_lock(o->run_dir, "keeper.pid", &k->run_lock_fd)) < 0
        || (rc = keeper_folders_make(o)) < 0)
        return rc;
    keeper_end_leftovers(o->run_dir);
    getrlimit(RLIMIT_NOFILE, &k->files);
    struct rlimit most = { k->files.rlim_max, k->files.rlim_max };
    setrlimit(RLIMIT_NOFILE, &most);
    groups_init(&k->groups, &(struct groups_from){ .none = o->no_cgroups });
    keeper_stage_init(k);
    keeper_roles_init(k);
    return 0;
}

static int start_or_take_over(struct keeper *k, const struct keeper_options *o)
{
    int rc = prepare(k, o);
    if (rc < 0)
        return rc;
    if ((rc = keeper_take_over(k)) == 0) {
        rc = keeper_folders_make(o);        /* the rules may name other users now */
        keeper_roles_check(k);
        return rc;
    }
    if (rc != -ENOENT) {
        log_error("what the version before this one handed over cannot be read (%s): starting as if that one had been killed", strerror(-rc));
        sysx_close_from(3);         /* its locks go with it */
        memset(k, 0, sizeof *k);
        if ((rc = prepare(k, o)) < 0)
            return rc;
    }
    return start(k);
}

/* --- end ----------------------------------------------------------------------------------------------- */

/* A helper (a probe, a hook) that still runs holds up nothing. */
static void forget_all(struct keeper *k)
{
    keeper_signal_all(k, SIGKILL);
    for (uint32_t i = 0; i < k->slots_high; i++)
        if (k->slots[i].used && !k->slots[i].forgetting)
            keeper_forget(k, &k->slots[i]);
}

void keeper_end(struct keeper *k)
{
    if (k->phase >= PHASE_ENDING)
        return;
    k->phase = PHASE_ENDING;
    for (int r = 0; r < ROLE_COUNT; r++)
        if (r != ROLE_LOGGER)
            k->roles[r].wanted = false;
    keeper_role_term(k, ROLE_CONTROLLER, ROLE_END_MS_MAX);
    forget_all(k);
}

/* TERM was asked for: the supervisor is told once it has shown that it is up, or the signal would only kill it. */
void keeper_supervisor_spoke(struct keeper *k)
{
    struct role *r = &k->roles[ROLE_SUPERVISOR];
    if (!r->spoke && k->phase == PHASE_DRAINING)
        keeper_role_term(k, ROLE_SUPERVISOR, 0);
    r->spoke = true;
}

static void force(struct keeper *k, int signo)
{
    k->phase = PHASE_FORCED;
    k->forced_ms = keeper_now_ms() + (signo == SIGKILL ? 0 : FORCED_KILL_MS);
    k->roles[ROLE_SUPERVISOR].wanted = false;
    keeper_role_term(k, ROLE_SUPERVISOR, ROLE_END_MS_MAX);
    keeper_signal_all(k, signo);
}

static void asked_to_end(struct keeper *k)
{
    if (k->phase == PHASE_RUN) {
        log_note("ending: everything is stopped in order (ask again to kill it)");
        k->phase = PHASE_DRAINING;
        if (k->test_supervisor || k->roles[ROLE_SUPERVISOR].spoke)
            keeper_role_term(k, ROLE_SUPERVISOR, 0);
    } else if (k->phase == PHASE_DRAINING) {
        log_warn("asked to end again: killing all groups");
        force(k, SIGTERM);
    }
}

static bool phase_step(struct keeper *k)
{
    uint32_t populated = 0;
    if (k->test_supervisor && k->roles[ROLE_SUPERVISOR].fd < 0 && k->phase < PHASE_FORCED)
        force(k, SIGKILL);
    if (k->phase == PHASE_FORCED) {
        for (uint32_t i = 0; i < k->slots_high; i++)
            populated += k->slots[i].used && k->slots[i].populated;
        if (populated && keeper_now_ms() >= k->forced_ms) {
            keeper_signal_all(k, SIGKILL);
            k->forced_ms = keeper_now_ms() + FORCED_KILL_MS;
        }
        if (!populated)
            keeper_end(k);
    }
    if (k->phase == PHASE_ENDING) {
        if (!k->reply_due && k->roles[ROLE_SUPERVISOR].pid && !k->roles[ROLE_SUPERVISOR].kill_ms)
            keeper_role_term(k, ROLE_SUPERVISOR, ROLE_END_MS_MAX);
        if (!k->roles[ROLE_SUPERVISOR].pid && !k->roles[ROLE_CONTROLLER].pid && !k->slots_n && !k->reply_due) {
            k->phase = PHASE_LOGS;          /* the logger drains and ends when its socket does */
            k->roles[ROLE_LOGGER].wanted = false;
            k->roles[ROLE_LOGGER].kill_ms = keeper_now_ms() + ROLE_END_MS_MAX;
            keeper_role_closed(k, ROLE_LOGGER);
        }
    }
    return k->phase != PHASE_LOGS || k->roles[ROLE_LOGGER].pid;
}

/* --- loop ------------------------------------------------------------------------------------------------ */

static void take_signal(struct keeper *k)
{
    struct signalfd_siginfo si[8];
    ssize_t n;
    while ((n = read(k->signal_fd, si, sizeof si)) > 0)
        for (size_t i = 0; i < (size_t)n / sizeof *si; i++)
            if (si[i].ssi_signo == SIGTERM || si[i].ssi_signo == SIGINT)
                asked_to_end(k);
            else if (si[i].ssi_signo == SIGHUP && si[i].ssi_code != SI_KERNEL)  /* a terminal that closes means nothing */
                keeper_reexec_ask(k);
    keeper_reap(k);
}

static void one_event(struct keeper *k, const struct epoll_event *e)
{
    uint32_t on = (uint32_t)(e->data.u64 >> 32), index = (uint32_t)e->data.u64;
    if (on == ON_SIGNAL)
        take_signal(k);
    else if (on == ON_SUPERVISOR && k->roles[ROLE_SUPERVISOR].fd >= 0)
        keeper_supervisor_readable(k);
    else if (on == ON_LOGGER && k->roles[ROLE_LOGGER].fd >= 0)
        keeper_logger_readable(k);
    else if (on == ON_STATUS && index < KEEPER_SLOTS && k->slots[index].used)
        keeper_status_read(k, &k->slots[index]);
}

static void loop(struct keeper *k)
{
    struct epoll_event events[EVENTS_MAX];
    keeper_roles_tick(k);
    while (phase_step(k)) {
        int timeout = keeper_timeout(k);
        int n = epoll_wait(k->epoll, events, EVENTS_MAX, timeout);
        for (int i = 0; i < n; i++)
            one_event(k, &events[i]);
        keeper_flush(k);            /* news first, housekeeping after */
        if (n <= 0 || keeper_timeout(k) == 0)
            keeper_tick(k);
        keeper_roles_tick(k);
        keeper_flush(k);
        if (k->reexec_due)
            keeper_reexec(k);
    }
}

/* Absolute, since children change their folder. */
static int find_folders(const struct keeper_options *o, struct keeper_options *own)
{
    static char state[PATH_MAX], run[PATH_MAX];
    keeper_passages_open(o);
    if (!realpath(o->state_dir, state) || !realpath(o->run_dir, run)) {
        log_error("cannot find the state or runtime folder: %s", strerror(errno));
        return -ENOENT;
    }
    *own = *o;
    own->state_dir = state;
    own->run_dir = run;
    return 0;
}

int keeper_run(const struct keeper_options *o)
{
    struct keeper *k = &the_keeper;
    static struct keeper_options own;
    unsetenv("MUSTER_ID");
    if (find_folders(o, &own) < 0 || start_or_take_over(k, &own) < 0)
        return EXIT_FAILURE;
    if (keeper_reexec_init(k, o->argv) < 0)
        return EXIT_FAILURE;
    int rc = geteuid() == 0 ? rights_keep_few() : 0;
    if (rc < 0)
        log_warn("the keeper keeps rights that it does not need: %s", strerror(-rc));
    keeper_reap(k);                 /* who died during a re-exec: setting SIGCHLD to its default has dropped the news */
    keeper_flush(k);
    loop(k);
    groups_done(&k->groups);
    unlinkat(k->run_dir, "keeper.pid", 0);
    log_note("ended");
    return EXIT_SUCCESS;
}
