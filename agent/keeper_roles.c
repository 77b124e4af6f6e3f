/* keeper_roles.c - the other processes of muster on this host: started, started again when they die (at once, then with a
 * growing pause of at most a second), ended in order. Instances do not notice. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "agent/keeper_impl.h"
#include "agent/proc_scan.h"
#include "agent/sysx.h"
#include "agent/rights.h"
#include "base/log.h"
#include "model/words.h"

enum { DELAY_FIRST_MS = 50, DELAY_MS_MAX = 1000, STABLE_MS = 10000 };

void keeper_roles_init(struct keeper *k)
{
    static const char *const names[ROLE_COUNT] = { "supervisor", "logger", "controller" };
    for (int i = 0; i < ROLE_COUNT; i++)
        k->roles[i] = (struct role){ .name = names[i], .fd = -1 };
    k->roles[ROLE_SUPERVISOR].wanted = k->o->supervisor_fd < 0;
    k->roles[ROLE_LOGGER].wanted = !k->o->no_logger;
    k->roles[ROLE_CONTROLLER].wanted = k->o->controller != NULL;
    if (k->o->supervisor_fd < 0)
        return;
    k->test_supervisor = true;
    k->roles[ROLE_SUPERVISOR].fd = k->o->supervisor_fd;
    fcntl(k->o->supervisor_fd, F_SETFD, FD_CLOEXEC);
    keeper_watch_fd(k, k->o->supervisor_fd, EPOLLIN, ON_SUPERVISOR, 0);
}

/* What a role is told. It changes its user itself, first of all: the program may lie where only root can execute it. */
struct role_args { char as[32], balancer[32], controller[16], agent[16]; const char *v[24]; };

static void agent_args(const struct keeper *k, enum role_kind r, struct role_args *a)
{
    const struct host_rules *h = k->o->rules;
    size_t n = 0;
    const char *const first[] = { "muster-agent", "--role", k->roles[r].name, "--state", k->o->state_dir, "--run", k->o->run_dir };
    for (; n < sizeof first / sizeof *first; n++)
        a->v[n] = first[n];
    if (h && h->apart) {
        const struct role_id *me = r == ROLE_LOGGER ? &h->logger : &h->supervisor;
        snprintf(a->as, sizeof a->as, "%u:%u", (unsigned)me->uid, (unsigned)me->gid);
        a->v[n++] = "--as";
        a->v[n++] = a->as;
    }
    if (h && r == ROLE_SUPERVISOR) {
        snprintf(a->controller, sizeof a->controller, "%u", (unsigned)h->controller_uid);
        snprintf(a->balancer, sizeof a->balancer, "%u", (unsigned)h->balancer.uid);
        const char *const more[] = { "--controller-user", a->controller, "--balancer-user", a->balancer, "--name", h->name };
        for (size_t i = 0; i < sizeof more / sizeof *more; i++)
            a->v[n++] = more[i];
        if (h->controller_socket[0]) {
            a->v[n++] = "--controller-socket";
            a->v[n++] = h->controller_socket;
        }
    }
    a->v[n] = NULL;
}

static void controller_args(const struct keeper *k, struct role_args *a)
{
    const struct host_rules *h = k->o->rules;
    size_t n = 0;
    const char *const first[] = { "musterd", "--state", k->o->state_dir, "--run", k->o->run_dir };
    for (; n < sizeof first / sizeof *first; n++)
        a->v[n] = first[n];
    if (h && h->apart) {
        snprintf(a->agent, sizeof a->agent, "%u", (unsigned)h->supervisor.uid);
        a->v[n++] = "--agent-user";
        a->v[n++] = a->agent;
    }
    a->v[n] = NULL;
}

static void role_child(const struct keeper *k, enum role_kind r, int fd, pid_t keeper)
{
    const char *exe = r == ROLE_CONTROLLER ? k->o->controller : k->o->exe ? k->o->exe : "/proc/self/exe";
    struct role_args args;
    if (r == ROLE_CONTROLLER)
        controller_args(k, &args);
    else
        agent_args(k, r, &args);
    sigset_t none;
    sigemptyset(&none);
    for (int s = 1; s < NSIG; s++)
        signal(s, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid();                       /* a terminal's Ctrl-C is for the keeper alone */
    dup2(k->null_fd, 0);
    if (fd >= 0) {
        int high = fcntl(fd, F_DUPFD, KEEPER_FD + 1);
        dup2(high, KEEPER_FD);
    }
    sysx_close_from(fd >= 0 ? KEEPER_FD + 1 : KEEPER_FD);
    /* The others see the end of their socket. A controller that outlived its keeper would answer for a muster that is no more. */
    if (r == ROLE_CONTROLLER && (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != keeper))
        _exit(127);
    bool apart = r != ROLE_CONTROLLER && k->o->rules && k->o->rules->apart;
    int rc = rights_before_exec(apart);
    if (rc == 0 && apart && chdir(k->o->state_dir) < 0)     /* the role may not get there by its path */
        rc = -errno;
    if (rc < 0) {
        dprintf(2, "muster-agent: cannot take rights from the %s: %s\n", k->roles[r].name, strerror(-rc));
        _exit(127);
    }
    umask(0077);
    execv(exe, (char *const *)(uintptr_t)args.v);
    dprintf(2, "muster-agent: cannot execute the %s: %s\n", k->roles[r].name, strerror(errno));
    _exit(127);
}

static int role_start(struct keeper *k, enum role_kind r)
{
    struct role *q = &k->roles[r];
    int sv[2] = { -1, -1 };
    if (r != ROLE_CONTROLLER && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0)
        return -errno;
    pid_t keeper = getpid(), pid = fork();
    if (pid == 0)
        role_child(k, r, sv[1], keeper);
    if (sv[1] >= 0)
        close(sv[1]);
    if (pid < 0) {
        int rc = -errno;
        if (sv[0] >= 0)
            close(sv[0]);
        return rc;
    }
    q->pid = pid;
    q->start_ticks = proc_start_ticks(pid);
    q->fd = sv[0];
    q->spoke = false;
    q->started_ms = keeper_now_ms();
    q->restart_ms = q->kill_ms = 0;
    if (r == ROLE_CONTROLLER)
        return 0;
    fcntl(q->fd, F_SETFL, O_NONBLOCK);
    keeper_watch_fd(k, q->fd, EPOLLIN, r == ROLE_SUPERVISOR ? ON_SUPERVISOR : ON_LOGGER, 0);
    if (r == ROLE_LOGGER)
        keeper_logger_again(k);
    return 0;
}

/* The user that a process runs as; NO_ID: it is gone. */
static uint32_t user_of(pid_t pid)
{
    char path[40], text[2048];
    unsigned uid = NO_ID;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    const char *line = sysx_read_file(AT_FDCWD, path, text, sizeof text) > 0 ? strstr(text, "\nUid:") : NULL;
    return line && sscanf(line, " Uid: %u", &uid) == 1 ? uid : NO_ID;
}

void keeper_roles_check(struct keeper *k)
{
    const struct host_rules *h = k->o->rules;
    if (!h)
        return;
    for (int r = 0; r < ROLE_CONTROLLER; r++) {
        uint32_t want = !h->apart ? geteuid() : r == ROLE_LOGGER ? h->logger.uid : h->supervisor.uid;
        if (k->roles[r].pid && user_of(k->roles[r].pid) != want)
            keeper_role_closed(k, (enum role_kind)r);
    }
}

void keeper_role_closed(struct keeper *k, enum role_kind r)
{
    struct role *q = &k->roles[r];
    if (q->fd < 0)
        return;
    epoll_ctl(k->epoll, EPOLL_CTL_DEL, q->fd, NULL);
    close(q->fd);
    q->fd = -1;
    if (r == ROLE_SUPERVISOR) {     /* its successor asks with K_LIST */
        k->reply_due = k->listing = k->blocked = false;
        slots_events_drop(k);
        for (uint32_t i = 0; i < k->slots_high; i++)
            k->slots[i].notify_told = false;
    }
    if (q->pid && k->phase < PHASE_ENDING)
        kill(q->pid, SIGKILL);      /* our child, not reaped yet; without its socket it is of no use */
}

bool keeper_role_exited(struct keeper *k, pid_t pid, int code, int status)
{
    for (int r = 0; r < ROLE_COUNT; r++) {
        struct role *q = &k->roles[r];
        if (q->pid != pid || !pid)
            continue;
        q->pid = 0;
        q->kill_ms = 0;
        keeper_role_closed(k, (enum role_kind)r);
        if (!q->wanted)
            return true;
        char how[64];
        int64_t now = keeper_now_ms();
        exit_describe((struct exit_info){ code == CLD_EXITED ? EXIT_KIND_CODE : EXIT_KIND_SIGNAL, status }, how, sizeof how);
        q->delay_ms = now - q->started_ms >= STABLE_MS || !q->delay_ms ? 0 : q->delay_ms;
        log_warn("the %s ended (%s)%s; starting it again%s", q->name, how,
                 code != CLD_EXITED && status == SIGSYS ? ", since it made a system call that it has no business with" : "", q->delay_ms ? " after a pause" : "");
        q->restart_ms = now + q->delay_ms;
        q->delay_ms = q->delay_ms ? (q->delay_ms * 2 > DELAY_MS_MAX ? DELAY_MS_MAX : q->delay_ms * 2) : DELAY_FIRST_MS;
        return true;
    }
    return false;
}

void keeper_role_term(struct keeper *k, enum role_kind r, int kill_after_ms)
{
    struct role *q = &k->roles[r];
    if (!q->pid)
        return;
    kill(q->pid, SIGTERM);
    if (kill_after_ms && !q->kill_ms)
        q->kill_ms = keeper_now_ms() + kill_after_ms;
}

void keeper_roles_tick(struct keeper *k)
{
    int64_t now = keeper_now_ms();
    for (int r = 0; r < ROLE_COUNT; r++) {
        struct role *q = &k->roles[r];
        if (q->wanted && !q->pid && now >= q->restart_ms) {
            int rc = role_start(k, (enum role_kind)r);
            if (rc < 0) {
                log_error("cannot start the %s: %s", q->name, strerror(-rc));
                q->restart_ms = now + DELAY_MS_MAX;
            }
        }
        if (q->pid && q->kill_ms && now >= q->kill_ms) {
            log_warn("the %s did not end; killing it", q->name);
            kill(q->pid, SIGKILL);
            q->kill_ms = now + DELAY_MS_MAX;
        }
    }
}

int64_t keeper_roles_deadline(const struct keeper *k)
{
    int64_t due = INT64_MAX;
    for (int r = 0; r < ROLE_COUNT; r++) {
        const struct role *q = &k->roles[r];
        if (q->wanted && !q->pid && q->restart_ms < due)
            due = q->restart_ms;
        if (q->pid && q->kill_ms && q->kill_ms < due)
            due = q->kill_ms;
    }
    return due;
}
