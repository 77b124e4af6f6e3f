/* What entering a state brings with it (signals, hooks, timers, events), and inst_go, the one function that makes every transition. */
#include <signal.h>
#include <stdio.h>
#include "agent/instance.h"
#include "agent/instance_priv.h"
#include "base/cleanup.h"

int inst_stop_signal(const struct inst *i)
{
    return i->spec ? i->spec->spec.stop.signal : SIGTERM;
}

static int64_t stop_deadline(const struct inst *i, const struct inst_host *h)
{
    int64_t timeout = i->spec ? i->spec->spec.stop.timeout_ms : STOP_TIMEOUT_UNKNOWN_MS;
    return timeout < 0 ? INT64_MAX : h->now + timeout;
}

void inst_to_group(const struct inst *i, struct inst_host *h, int signo)
{
    struct agent_action *a = actions_push(&h->q, AA_GROUP, i->id);
    a->pid = i->pid;
    a->signo = signo;
}

/* --- hooks ------------------------------------------------------------------------------------------ */
bool inst_has_hook(const struct inst *i, enum hook_kind k)
{
    return i->spec && i->spec->spec.hooks[k].run.n > 0;
}

static void hook_start(struct inst *i, struct inst_host *h, enum hook_kind k)
{
    i->hook_on = true;
    i->hook = k;
    i->hook_serial = ++h->serial;
    i->hook_deadline = h->now + i->spec->spec.hooks[k].timeout_ms + HOOK_GRACE_MS;
    struct agent_action *a = actions_push(&h->q, AA_HOOK, i->id);
    a->hook = k;
    a->serial = i->hook_serial;
}

void inst_hook_cancel(struct inst *i, struct inst_host *h)
{
    if (!i->hook_on)
        return;
    i->hook_on = false;
    i->hook_deadline = INT64_MAX;
    struct agent_action *a = actions_push(&h->q, AA_HOOK_CANCEL, i->id);
    a->hook = i->hook;
    a->serial = i->hook_serial;
}

const char *inst_hook_word(enum hook_kind k)
{
    static const char *const words[HOOK_COUNT] = { "before_start", "after_ready", "before_stop" };
    return (unsigned)k < HOOK_COUNT ? words[k] : "?";
}

/* --- entry and exit duties, and the one function that makes every transition ------------------------------ */
static void enter_spawning(struct inst *i, struct inst_host *h)
{
    i->spawn_serial = ++h->serial;
    actions_push(&h->q, AA_SPAWN, i->id)->serial = i->spawn_serial;
}

static void enter_ready(struct inst *i, struct inst_host *h, bool adopted)
{
    i->ready_since = h->now;
    i->timer_at = i->spec ? h->now + backoff_stable_ms(&i->spec->spec) : INT64_MAX;
    i->budgeted = false;
    if (!adopted)
        actions_event(&h->q, i->id, 6, "ready", "ready");
    inst_reason(i, h, "%s", "");
    if (i->after_ready_done)
        return;
    i->after_ready_done = true;
    if (inst_has_hook(i, HOOK_AFTER_READY))
        hook_start(i, h, HOOK_AFTER_READY);
}

static void enter_term(struct inst *i, struct inst_host *h, int64_t was_timer)
{
    i->timer_at = MIN_OF(stop_deadline(i, h), was_timer);
    if (i->running) {
        struct agent_action *a = actions_push(&h->q, AA_SIGNAL, i->id);
        a->pid = i->pid;
        a->signo = inst_stop_signal(i);
    } else {
        inst_to_group(i, h, inst_stop_signal(i));
    }
    actions_event(&h->q, i->id, 6, "stopping", "stop signal %s sent%s%s", signal_name(inst_stop_signal(i)), i->failing ? ": " : "", i->failing ? i->why : "");
}

static void enter_kill(struct inst *i, struct inst_host *h)
{
    inst_to_group(i, h, SIGKILL);
    i->timer_at = h->now + KILL_AGAIN_MS;
    actions_event(&h->q, i->id, 4, "killed", "did not end within its stop timeout: killed with its whole group");
}

static void enter_clearing(struct inst *i, struct inst_host *h)
{
    i->timer_at = stop_deadline(i, h);
    inst_to_group(i, h, inst_stop_signal(i));
    actions_event(&h->q, i->id, 5, "leftovers", "left processes behind: they get the stop signal, and it is not started again before they are gone");
}

static void enter_stopped(struct inst *i, struct inst_host *h)
{
    if (!i->finished) {
        backoff_reset(&i->back);
        i->restart_due = false;
    }
    i->budgeted = false;
    char how[48];
    exit_describe(i->last_exit, how, sizeof(how));
    const char *why = i->reason[0] ? i->reason : how;
    actions_event(&h->q, i->id, 6, "stopped", "stopped%s%s", why[0] ? ": " : "", why);
}

static void entry_duties(struct inst *i, struct inst_host *h, enum inst_st from, int64_t was_timer)
{
    i->timer_at = INT64_MAX;
    switch (i->st) {
    case IS_HOOK:     hook_start(i, h, HOOK_BEFORE_START); break;
    case IS_SPAWNING: enter_spawning(i, h); break;
    case IS_STARTING:
        if (i->spec && (i->spec->spec.health.startup.kind == PROBE_NOTIFY || i->spec->spec.health.readiness.kind == PROBE_NOTIFY))
            inst_reason(i, h, "waits for its READY=1");
        i->within_at = i->spec && i->spec->spec.health.startup.kind != PROBE_NONE ? i->started_at + i->spec->spec.health.startup.within_ms : INT64_MAX;
        break;
    case IS_READY:    enter_ready(i, h, from == IS_UNCLAIMED); break;
    case IS_UNREADY:  actions_event(&h->q, i->id, 4, "unready", "%s", i->reason); break;
    case IS_DRAINING: actions_event(&h->q, i->id, 6, "draining", "takes no new requests"); break;
    case IS_STOPHOOK: hook_start(i, h, HOOK_BEFORE_STOP); break;
    case IS_TERM:     enter_term(i, h, from == IS_CLEARING ? was_timer : INT64_MAX); break;
    case IS_KILL:     enter_kill(i, h); break;
    case IS_CLEARING: enter_clearing(i, h); break;
    case IS_STOPPED:  enter_stopped(i, h); break;
    case IS_BACKOFF:  i->timer_at = i->retry_at; break;
    case IS_FAILED:   i->timer_at = i->retry_at; i->budgeted = false; break;
    case IS_UNCLAIMED: case IS_WAITING: case INST_ST_COUNT: break;
    }
}

void inst_go(struct inst *i, struct inst_host *h, enum inst_st next)
{
    enum inst_st from = i->st;
    if (next == from)
        return;
    enum instance_state was = inst_public(i);
    int64_t was_timer = i->timer_at;
    /* after_ready may go on while it gets unready or drains; everything else ends with its state */
    if (!(i->hook_on && i->hook == HOOK_AFTER_READY && inst_is_live(next)))
        inst_hook_cancel(i, h);
    if (!inst_is_live(next))
        i->sick = SICK_NO;
    i->st = next;
    entry_duties(i, h, from, was_timer);
    inst_probes_sync(i, h);
    if (inst_public(i) != was)
        i->st_since = h->now;
    inst_touch(i, h);
}
