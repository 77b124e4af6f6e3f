/* keeper_watch.c - how things end: reaping, groups that outlive their main process, forgetting, and the timers of it all. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "agent/keeper_impl.h"
#include "agent/proc_scan.h"
#include "agent/sysx.h"
#include "base/log.h"

enum { THROTTLED_MS = 10 };
enum { CHASE_ROUNDS = 20 };         /* looks at what forks and dies faster than /proc can be walked */

/* --- who of a group lives ------------------------------------------------------------------------------ */

/* A main process is known by its pid (between fork and exec it carries the keeper's environment); others by their marker; what has
 * none, by its session. A pid that was recycled by a stranger fails the last check. */
static struct slot *slot_of_process(struct keeper *k, const struct proc_seen *p)
{
    struct slot *s = slot_by_pid(k, p->pid);
    if (s && s->running)
        return s;
    for (int i = 0; i < ROLE_COUNT; i++)
        if (k->roles[i].pid == p->pid)
            return NULL;
    s = p->marker[0] ? slot_find(k, p->marker) : slot_by_pid(k, p->sid);
    return s && s->populated && proc_descends(p, getpid()) ? s : NULL;
}

/* Kills on the way what was forked while the last kill went round: one walk serves all groups. */
static void note_seen(void *arg, const struct proc_seen *p)
{
    struct slot *s = slot_of_process(arg, p);
    if (s && s->kill_all && !s->running)
        (void)proc_signal(p, SIGKILL);
    if (s)
        s->seen = true;
}

struct kill_scan { struct keeper *k; struct slot *only; int signo, told; };

static void note_kill(void *arg, const struct proc_seen *p)
{
    struct kill_scan *q = arg;
    struct slot *s = slot_of_process(q->k, p);
    if (s && (s == q->only || !q->only) && !(s->running && p->pid == s->pid) && proc_signal(p, q->signo) == 0)
        q->told++;
}

/* Is that process of the slot's group? By cgroup where there is one. */
bool keeper_is_member(struct keeper *k, const struct slot *s, pid_t pid)
{
    struct proc_seen p;
    char name[ID_SIZE];
    if (k->groups.mode == GROUP_NONE)
        return proc_look(pid, &p) && slot_of_process(k, &p) == s;
    group_name(s->id, name);
    return group_has(&k->groups, name, pid);
}

static void became_empty(struct keeper *k, struct slot *s)
{
    s->populated = false;
    k->lingering_n--;
    slot_event(k, s, SE_EMPTY);
}

/* One slot without main process: gone, or killed once more (what was forked while the last kill went round). */
static void judge_by_cgroup(struct keeper *k, struct slot *s)
{
    char name[ID_SIZE];
    group_name(s->id, name);
    if (group_populated(&k->groups, name) == 0)
        became_empty(k, s);
    else if (s->kill_all)
        keeper_group_signal(k, s, SIGKILL);
}

static bool lingers(const struct slot *s) { return s->used && s->populated && !s->running; }

static bool is_known(void *arg, pid_t pid)
{
    struct keeper *k = arg;
    struct slot *s = slot_by_pid(k, pid);
    for (int i = 0; i < ROLE_COUNT; i++)
        if (k->roles[i].pid == pid)
            return true;
    return (s && s->running) || pid == k->trial_pid;
}

/* A scan that saw nobody is no proof if somebody died meanwhile: its child may have been born behind the scan's back. The topmost process
 * of a group is always our own child, so such a death waits for us. */
static bool somebody_died(void)
{
    siginfo_t si = { 0 };
    return waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT) == 0 && si.si_pid != 0;
}

/* Looks at each slot whose main process is gone and whose group was populated when last seen. */
void keeper_watch_all(struct keeper *k)
{
    if (!k->lingering_n)
        return;
    bool scan = k->groups.mode == GROUP_NONE, killing = false;
    for (uint32_t i = 0; scan && i < k->slots_high; i++) {
        k->slots[i].seen = false;
        killing |= lingers(&k->slots[i]) && k->slots[i].kill_all;
    }
    int orphans = scan ? proc_unknown_children(is_known, note_seen, k) : 0;
    for (int i = 0; i < CHASE_ROUNDS && orphans > 0 && killing; i++)
        orphans = proc_unknown_children(is_known, note_seen, k);
    if (scan && orphans != 0)
        proc_scan(note_seen, k);
    bool sure = !scan || !somebody_died();
    for (uint32_t i = 0; i < k->slots_high; i++)
        if (lingers(&k->slots[i]) && !scan)
            judge_by_cgroup(k, &k->slots[i]);
        else if (lingers(&k->slots[i]) && sure && !k->slots[i].seen)
            became_empty(k, &k->slots[i]);
}

static int signal_main(struct slot *s, int signo)
{
    if (signo == SIGKILL)
        s->kill_all = true;
    return s->running && s->pidfd >= 0 ? sysx_pidfd_signal(s->pidfd, signo) : -ESRCH;
}

int keeper_group_signal(struct keeper *k, struct slot *s, int signo)
{
    char name[ID_SIZE];
    group_name(s->id, name);
    int main_rc = signal_main(s, signo);
    /* once the main process is reaped, its pid may be another member's by now */
    int told = group_signal(&k->groups, name, signo, s->running ? s->pid : 0);
    if (told == -EOPNOTSUPP) {
        struct kill_scan q = { k, s, signo, 0 };
        proc_scan(note_kill, &q);
        told = q.told;
    }
    return main_rc == 0 || told > 0 ? 0 : told < 0 ? told : -ESRCH;
}

void keeper_signal_all(struct keeper *k, int signo)
{
    bool scan = k->groups.mode == GROUP_NONE;
    for (uint32_t i = 0; i < k->slots_high; i++)
        if (k->slots[i].used && k->slots[i].populated) {
            if (scan)
                signal_main(&k->slots[i], signo);
            else
                keeper_group_signal(k, &k->slots[i], signo);
        }
    struct kill_scan q = { k, NULL, signo, 0 };
    if (scan)
        proc_scan(note_kill, &q);
}

/* --- reaping --------------------------------------------------------------------------------------------- */

static void check_oom(struct keeper *k, struct slot *s)
{
    char name[ID_SIZE];
    if (!s->limited)
        return;
    group_name(s->id, name);
    uint64_t n = group_oom_kills(&k->groups, name);
    if (n > s->oom_kills)
        slot_event(k, s, SE_OOM);
    s->oom_kills = n;
}

static void spawn_failed(struct keeper *k, struct slot *s)
{
    if (!s->failed) {               /* it died before it could say anything */
        s->failure = (struct k_failed){ .stage = STAGE_SETUP, .rc = -ECHILD };
        memcpy(s->failure.id, s->id, ID_SIZE);
        snprintf(s->failure.detail, sizeof s->failure.detail, "the process ended before it executed anything (%s %d)",
                 s->exit.kind == EXIT_KIND_SIGNAL ? "signal" : "exit code", s->exit.value);
    }
    s->populated = s->failed = false;
    slot_set_pid(k, s, 0);
    s->exit = (struct exit_info){ 0 };
    slot_event(k, s, SE_FAILED);
}

static void main_exited(struct keeper *k, struct slot *s, const siginfo_t *si)
{
    keeper_status_read(k, s);
    s->running = false;
    s->exit = si->si_code == CLD_EXITED ? (struct exit_info){ EXIT_KIND_CODE, si->si_status }
                                        : (struct exit_info){ EXIT_KIND_SIGNAL, si->si_status };
    if (s->pidfd >= 0)
        close(s->pidfd);
    s->pidfd = -1;
    keeper_status_read(k, s);
    if (s->failed || !s->began) {
        spawn_failed(k, s);
        return;
    }
    check_oom(k, s);
    slot_event(k, s, SE_EXITED);
    k->lingering_n++;
    if (k->groups.mode != GROUP_NONE)
        judge_by_cgroup(k, s);
}

/* Main processes, roles, and orphans (which come to us as the subreaper; one may be the last of its group). Without cgroups, the
 * groups of all that ended are looked at in one go. */
void keeper_reap(struct keeper *k)
{
    bool look = k->groups.mode == GROUP_NONE;
    for (;;) {
        siginfo_t si = { 0 };
        if (waitid(P_ALL, 0, &si, WEXITED | WNOHANG) < 0 || si.si_pid == 0)
            break;
        struct slot *s = slot_by_pid(k, si.si_pid);
        if (s && s->running)
            main_exited(k, s, &si);
        else if (!keeper_role_exited(k, si.si_pid, si.si_code, si.si_status) && !keeper_trial_exited(k, si.si_pid, si.si_code, si.si_status))
            look = true;
    }
    if (look)
        keeper_watch_all(k);
}

/* --- forgetting -------------------------------------------------------------------------------------------- */

void keeper_forget(struct keeper *k, struct slot *s)
{
    char name[ID_SIZE], path[32 + ID_SIZE];
    group_name(s->id, name);
    if (s->credentials) {
        snprintf(path, sizeof path, "credentials/%s", name);
        int rc = sysx_remove_folder(k->run_dir, path);
        if (rc < 0)
            log_warn("%s: cannot remove its credentials: %s", s->id, strerror(-rc));
    }
    snprintf(path, sizeof path, "notify/%s", name);
    if (s->notify_fd >= 0) {
        unlinkat(k->run_dir, path, 0);
        close(s->notify_fd);
        s->notify_fd = -1;
    }
    s->forgetting = true;
    k->forgetting_n++;
    s->deadline_ms = keeper_now_ms() + FORGET_MS_MAX;
    keeper_log_end(k, s);
}

/* The kernel may need a moment until a cgroup can be removed; the logger, until its pipe is drained. */
static void forget_step(struct keeper *k, struct slot *s, int64_t now)
{
    char name[ID_SIZE], path[32 + ID_SIZE];
    group_name(s->id, name);
    int rc = s->populated ? -EBUSY : group_remove(&k->groups, name);
    bool late = now >= s->deadline_ms;
    if (!late && (rc < 0 || s->log_fd >= 0))
        return;
    if (rc < 0)
        log_warn("%s: cannot remove its cgroup: %s", s->id, strerror(-rc));
    if (s->log_fd >= 0) {
        log_warn("%s: the logger did not come to the end of its output", s->id);
        snprintf(path, sizeof path, "fifo/%s", name);
        unlinkat(k->run_dir, path, 0);
    }
    k->forgetting_n--;
    k->lingering_n -= s->populated && !s->running;
    k->starting_n -= s->status_fd >= 0;
    slot_free(k, s);
}

/* --- timers -------------------------------------------------------------------------------------------------- */

static void setup_late(struct slot *s)
{
    s->failed = true;
    s->failure = (struct k_failed){ .stage = STAGE_SETUP, .rc = -ETIMEDOUT };
    memcpy(s->failure.id, s->id, ID_SIZE);
    snprintf(s->failure.detail, sizeof s->failure.detail,
             "not executed after %d s (a name service or a file that does not answer?)", SETUP_MS_MAX / 1000);
    if (s->pidfd >= 0)
        sysx_pidfd_signal(s->pidfd, SIGKILL);
}

void keeper_tick(struct keeper *k)
{
    int64_t now = keeper_now_ms();
    k->tick_ms = now;
    bool oom = k->limited && now >= k->oom_ms;
    if (oom)
        k->oom_ms = now + OOM_MS;
    keeper_requests_again(k);
    keeper_watch_all(k);
    for (uint32_t i = 0; i < k->slots_high && (oom || k->forgetting_n || k->starting_n); i++) {
        struct slot *s = &k->slots[i];
        if (!s->used)
            continue;
        if (s->forgetting)
            forget_step(k, s, now);
        else if (s->status_fd >= 0 && now >= s->deadline_ms && !s->failed)
            setup_late(s);
        else if (oom && s->running)
            check_oom(k, s);
    }
}

/* Coarse on purpose: nothing here is walked per event, and an idle keeper sleeps. */
int keeper_timeout(const struct keeper *k)
{
    int64_t now = keeper_now_ms(), due = keeper_roles_deadline(k);
    int every = k->throttled ? THROTTLED_MS : k->lingering_n || k->forgetting_n ? WATCH_MS : k->starting_n || k->limited ? OOM_MS : 0;
    if (every && k->tick_ms + every < due)
        due = k->tick_ms + every;
    if (k->phase == PHASE_FORCED && k->forced_ms < due)
        due = k->forced_ms;
    if (due == INT64_MAX)
        return -1;
    return due <= now ? 0 : due - now > 60000 ? 60000 : (int)(due - now);
}
