/* The life of one instance. What each event means in each state is `table` below; this is what it says:
 *
 *   WAITING --run--> HOOK --ok--> SPAWNING --spawned--> STARTING --pass--> READY <--pass/fail--> UNREADY
 *      ^              |               |                    |                 |                     |
 *      |hold          +---bad---------+--bad---+   +-------+---- exit by itself, leftovers --------+
 *      |                                       v   v                         v
 *   BACKOFF <---------------------------- (plan a restart) <---empty---- CLEARING --timer--> kill, each second
 *      |  \--too often--> FAILED --timer (slow)--> HOOK/SPAWNING
 *      +--timer--> HOOK/SPAWNING
 *
 *   STARTING, READY, UNREADY --drain--> DRAINING --stop--> STOPHOOK --done--> TERM --timer--> KILL (each second)
 *                  |   |                                     ^                 |                |
 *                  |   +--stop, replace----------------------+                 +--empty---------+--> STOPPED (or plan a restart,
 *                  +--late, sick (a failure)---------------------------------> TERM                  if it was stopped as failing)
 *
 *   UNCLAIMED: found running with no desired set; the first set claims it (STARTING, READY) or stops it (TERM).
 *
 * STOPPED, WAITING, BACKOFF and FAILED have an empty group, always: nothing is started beside leftovers. */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "agent/instance.h"
#include "agent/instance_priv.h"
#include "base/cleanup.h"
#include "base/num.h"
#include "base/strbuf.h"


static const struct { const char *name; enum instance_state word; int main; bool live; } states[INST_ST_COUNT] = {
#define STATE_ROW_(sym, word, main, live) [sym] = { &#sym[3], word, main, live },
    INST_TABLE_STATES(STATE_ROW_)
};
static const char *const event_names[INST_EVENT_COUNT] = {
#define EVENT_ROW_(sym) [sym] = &#sym[3],
    INST_EVENTS(EVENT_ROW_)
};
const char *inst_st_name(enum inst_st st) { return (unsigned)st < INST_ST_COUNT ? states[st].name : "?"; }
const char *inst_event_name(enum inst_event e) { return (unsigned)e < INST_EVENT_COUNT ? event_names[e] : "?"; }
int inst_main_rule(enum inst_st st) { return states[st].main; }
bool inst_is_live(enum inst_st st) { return states[st].live; }

enum instance_state inst_public(const struct inst *i)
{
    if (i->st == IS_CLEARING && i->end_state != IS_BACKOFF)     /* not started again by itself soon */
        return i->end_state == IS_FAILED ? INST_FAILED : INST_STOPPING;
    return states[i->st].word;
}

void inst_secs(int64_t ms, char *buf, size_t size)
{
    if (ms < 10000)
        (void)snprintf(buf, size, "%.1f s", (double)ms / 1000);
    else if (ms < 600000)
        (void)snprintf(buf, size, "%lld s", (long long)((ms + 500) / 1000));
    else
        (void)snprintf(buf, size, "%lld min", (long long)((ms + 30000) / 60000));
}

void inst_touch(struct inst *i, struct inst_host *h)
{
    if (i->status_queued)
        return;
    i->status_queued = true;
    actions_push(&h->q, AA_STATUS, i->id);
}

void inst_reason(struct inst *i, struct inst_host *h, const char *fmt, ...)
{
    char text[sizeof(i->reason)];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (strcmp(text, i->reason) == 0)
        return;
    memcpy(i->reason, text, sizeof(text));
    inst_touch(i, h);
}

/* --- handlers: what a cell does; each returns the next state --------------------------------------------- */
typedef enum inst_st handler(struct inst *i, struct inst_host *h);

static enum inst_st stay(struct inst *i, struct inst_host *h) { (void)h; return i->st; }

static void take_spec(struct inst *i)
{
    if (i->want_spec == i->spec)
        return;
    bool other = i->spec && i->want_spec && i->spec->generation != i->want_spec->generation;
    spec_box_unref(i->box);
    i->box = spec_box_ref(i->want_box);
    i->spec = i->want_spec;
    if (other) {
        backoff_reset(&i->back);
        i->restart_due = false;
    }
}

static enum inst_st begin(struct inst *i, struct inst_host *h)
{
    if (i->populated) {     /* cannot be (see the head); if it were, a second process would be the worse fault */
        inst_reason(i, h, "waits for processes that it left behind");
        return i->st;
    }
    take_spec(i);
    i->finished = i->failing = i->said_ready = i->said_stopping = i->startup_ok = i->after_ready_done = false;
    i->beat_ms = 0;
    i->text[0] = '\0';
    if (i->restart_due) {
        i->restarts++;
        inst_reason(i, h, "started again after: %s", i->trouble);
    }
    i->restart_due = false;
    return inst_has_hook(i, HOOK_BEFORE_START) ? IS_HOOK : IS_SPAWNING;
}

static enum inst_st begin_unless_over(struct inst *i, struct inst_host *h)
{
    return i->finished ? i->st : begin(i, h);
}

static enum inst_st hold(struct inst *i, struct inst_host *h) { (void)i; (void)h; return IS_WAITING; }

/* Not running and not to run. */
static enum inst_st off(struct inst *i, struct inst_host *h)
{
    i->finished = false;
    inst_reason(i, h, "%s", "");
    return IS_STOPPED;
}
static enum inst_st stay_off(struct inst *i, struct inst_host *h) { (void)h; i->finished = false; return i->st; }

/* A failed start or an end by itself: started again, and when? `uptime_ms` 0: it never ran. */
static enum inst_st plan(struct inst *i, struct inst_host *h, const char *what, int64_t uptime_ms, bool clean)
{
    static const char *const policies[] = { [RESTART_ALWAYS] = "always", [RESTART_ON_FAILURE] = "on-failure", [RESTART_NEVER] = "never" };
    const struct service_spec *s = &i->spec->spec;
    fixed_printf(i->trouble, "%s", what);
    if (s->restart.policy == RESTART_NEVER || (s->restart.policy == RESTART_ON_FAILURE && clean)) {
        i->finished = true;
        i->retry_at = INT64_MAX;
        i->back.fails += !clean;
        inst_reason(i, h, "%s: not started again (restart policy is %s)", what, policies[s->restart.policy]);
        actions_event(&h->q, i->id, clean ? 6 : 3, clean ? "exited" : "failed", "%s", i->reason);
        i->end_state = clean ? IS_STOPPED : IS_FAILED;
        return i->end_state;
    }
    bool was_given_up = i->back.given_up;
    int64_t wait = backoff_next(&i->back, s, h->now, uptime_ms, &h->rng);
    char secs[32];
    inst_secs(wait, secs, sizeof(secs));
    i->retry_at = h->now + wait;
    i->restart_due = true;
    if (i->back.given_up && !was_given_up) {
        char window[32];
        num_format_duration(s->restart.limit_ms, window, sizeof(window));
        inst_reason(i, h, "%s; more than %u restarts in %s, next try in %s", what, s->restart.limit_n, window, secs);
    } else if (wait > 0) {
        inst_reason(i, h, "%s, next try in %s", what, secs);
    } else {
        inst_reason(i, h, "%s, started again at once", what);
    }
    actions_event(&h->q, i->id, i->back.given_up ? 3 : 4, i->back.given_up ? "failed" : "exited", "%s", i->reason);
    i->end_state = i->back.given_up ? IS_FAILED : IS_BACKOFF;
    return i->end_state;
}

static enum inst_st spawn_after_hook(struct inst *i, struct inst_host *h) { (void)i; (void)h; return IS_SPAWNING; }
static enum inst_st start_failed(struct inst *i, struct inst_host *h) { return plan(i, h, i->why, 0, false); }
static enum inst_st unhook(struct inst *i, struct inst_host *h) { return off(i, h); }

static enum inst_st up(struct inst *i, struct inst_host *h)
{
    actions_event(&h->q, i->id, 6, "started", "started as process %d", i->pid);
    return IS_STARTING;
}

static enum inst_st stop(struct inst *i, struct inst_host *h)
{
    i->failing = false;
    inst_reason(i, h, "%s", "");
    return inst_has_hook(i, HOOK_BEFORE_STOP) ? IS_STOPHOOK : IS_TERM;
}
static enum inst_st term(struct inst *i, struct inst_host *h) { (void)i; (void)h; return IS_TERM; }
static enum inst_st to_kill(struct inst *i, struct inst_host *h) { (void)i; (void)h; return IS_KILL; }
static enum inst_st drain(struct inst *i, struct inst_host *h) { inst_reason(i, h, "%s", ""); return IS_DRAINING; }

static enum inst_st undrain(struct inst *i, struct inst_host *h)
{
    if (!i->spec || i->spec->spec.health.readiness.kind == PROBE_NONE)
        return IS_READY;
    inst_reason(i, h, "was draining, is wanted again: not probed yet");
    return IS_UNREADY;
}

static int64_t uptime(const struct inst *i, const struct inst_host *h) { return MAX_OF(h->now - i->started_at, 0); }

static void describe_exit(const struct inst *i, const struct inst_host *h, char *buf, size_t size)
{
    char how[48], secs[32];
    exit_describe(i->last_exit, how, sizeof(how));
    inst_secs(uptime(i, h), secs, sizeof(secs));
    (void)snprintf(buf, size, "%s after %s", how, secs);
}

/* Ended by itself while it was to run. */
static enum inst_st crashed(struct inst *i, struct inst_host *h)
{
    char what[sizeof(i->why) + 80];
    describe_exit(i, h, what, sizeof(what));
    if (i->sick != SICK_NO) {
        size_t len = strlen(what);
        (void)snprintf(what + len, sizeof(what) - len, " (%s)", i->why);
    }
    bool clean = i->last_exit.kind == EXIT_KIND_CODE && i->last_exit.value == 0;
    enum inst_st end = plan(i, h, what, uptime(i, h), clean);
    return i->populated ? IS_CLEARING : end;
}

/* Ended by itself while it was not to be started again anyway. */
static enum inst_st left(struct inst *i, struct inst_host *h)
{
    char what[96];
    describe_exit(i, h, what, sizeof(what));
    inst_reason(i, h, "%s, by itself", what);
    actions_event(&h->q, i->id, 4, "exited", "%s", i->reason);
    return i->populated ? IS_TERM : IS_STOPPED;
}

static enum inst_st ended(struct inst *i, struct inst_host *h)
{
    if (i->populated) {     /* the rest of the timeout is theirs */
        if (i->st == IS_TERM)
            inst_to_group(i, h, inst_stop_signal(i));
        return i->st;
    }
    if (i->failing) {
        i->failing = false;
        return plan(i, h, i->why, uptime(i, h), false);
    }
    return IS_STOPPED;
}

static enum inst_st cleared(struct inst *i, struct inst_host *h) { (void)h; return i->end_state; }
/* Wanted to stop while leftovers are being ended: they keep the deadline they have. */
static enum inst_st clear_to_stop(struct inst *i, struct inst_host *h) { i->finished = false; inst_reason(i, h, "%s", ""); return IS_TERM; }

static enum inst_st kill_again(struct inst *i, struct inst_host *h)
{
    if (i->st == IS_CLEARING && strncmp(i->reason, "waits for processes", 19) != 0) {
        inst_reason(i, h, "waits for processes that it left behind to end");
        actions_event(&h->q, i->id, 4, "killed", "what it left behind did not end within the stop timeout: killed");
    }
    inst_to_group(i, h, SIGKILL);
    i->timer_at = h->now + KILL_AGAIN_MS;
    return i->st;
}

static enum inst_st pass(struct inst *i, struct inst_host *h) { (void)i; (void)h; return IS_READY; }
static enum inst_st fail(struct inst *i, struct inst_host *h) { (void)i; (void)h; return IS_UNREADY; }

static enum inst_st late(struct inst *i, struct inst_host *h)
{
    char within[32], last[HEALTH_DETAIL];
    num_format_duration(i->spec->spec.health.startup.within_ms, within, sizeof(within));
    memcpy(last, i->h[PROBE_STARTUP].detail, sizeof(last));
    fixed_printf(i->why, "not started within %s: %s", within, last[0] ? last : "no answer");
    actions_event(&h->q, i->id, 4, "late", "%s", i->why);
    i->failing = true;
    inst_reason(i, h, "%s", i->why);
    return IS_TERM;
}

static enum inst_st sick(struct inst *i, struct inst_host *h)
{
    i->failing = true;
    i->budgeted = true;
    inst_reason(i, h, "%s", i->why);
    return IS_TERM;
}
static enum inst_st sick_draining(struct inst *i, struct inst_host *h) { inst_reason(i, h, "%s", i->why); return IS_TERM; }

static enum inst_st stable(struct inst *i, struct inst_host *h)
{
    if (i->back.given_up)
        actions_event(&h->q, i->id, 5, "recovered", "runs stably again");
    backoff_reset(&i->back);
    i->timer_at = INT64_MAX;
    inst_touch(i, h);
    return i->st;
}

static enum inst_st claim(struct inst *i, struct inst_host *h)
{
    inst_reason(i, h, "%s", "");
    int64_t within = i->spec->spec.health.startup.within_ms;
    i->startup_ok = uptime(i, h) > within;
    i->after_ready_done = i->startup_ok;
    return i->startup_ok ? IS_READY : IS_STARTING;
}

/* --- the table ------------------------------------------------------------------------------------------ */
/* An empty cell is refused: it cannot come, since core.c lets through only answers to what was asked. */
#define WISHES(run_, hold_, drain_, stop_, replace_) \
    [IE_RUN] = run_, [IE_HOLD] = hold_, [IE_DRAIN] = drain_, [IE_STOP] = stop_, [IE_REPLACE] = replace_
static handler *const table[INST_ST_COUNT][INST_EVENT_COUNT] = {
    [IS_UNCLAIMED] = { WISHES(claim, claim, claim, term, term), [IE_EXIT] = left },
    [IS_WAITING]  = { WISHES(begin, stay, off, off, begin) },
    [IS_HOOK]     = { WISHES(stay, stay, unhook, unhook, unhook), [IE_HOOK_OK] = spawn_after_hook, [IE_HOOK_BAD] = start_failed },
    [IS_SPAWNING] = { WISHES(stay, stay, stay, stay, stay), [IE_SPAWNED] = up, [IE_SPAWN_BAD] = start_failed },
    [IS_STARTING] = { WISHES(stay, stay, drain, stop, stop), [IE_EXIT] = crashed, [IE_PASS] = pass, [IE_LATE] = late, [IE_SICK] = sick },
    [IS_READY]    = { WISHES(stay, stay, drain, stop, stop), [IE_EXIT] = crashed, [IE_PASS] = stay, [IE_FAIL] = fail, [IE_SICK] = sick,
                      [IE_HOOK_OK] = stay, [IE_HOOK_BAD] = stay, [IE_TIMER] = stable },
    [IS_UNREADY]  = { WISHES(stay, stay, drain, stop, stop), [IE_EXIT] = crashed, [IE_PASS] = pass, [IE_FAIL] = stay, [IE_SICK] = sick,
                      [IE_HOOK_OK] = stay, [IE_HOOK_BAD] = stay },
    [IS_DRAINING] = { WISHES(undrain, stay, stay, stop, stop), [IE_EXIT] = left, [IE_SICK] = sick_draining, [IE_HOOK_OK] = stay, [IE_HOOK_BAD] = stay },
    [IS_STOPHOOK] = { WISHES(stay, stay, stay, stay, stay), [IE_HOOK_OK] = term, [IE_HOOK_BAD] = term, [IE_EXIT] = ended, [IE_EMPTY] = ended },
    [IS_TERM]     = { WISHES(stay, stay, stay, stay, stay), [IE_EXIT] = ended, [IE_EMPTY] = ended, [IE_TIMER] = to_kill },
    [IS_KILL]     = { WISHES(stay, stay, stay, stay, stay), [IE_EXIT] = ended, [IE_EMPTY] = ended, [IE_TIMER] = kill_again },
    [IS_CLEARING] = { WISHES(stay, stay, clear_to_stop, clear_to_stop, stay), [IE_EMPTY] = cleared, [IE_TIMER] = kill_again },
    [IS_STOPPED]  = { WISHES(begin_unless_over, stay, stay_off, stay_off, begin) },
    [IS_BACKOFF]  = { WISHES(stay, hold, off, off, begin), [IE_TIMER] = begin },
    [IS_FAILED]   = { WISHES(stay, stay, off, off, begin), [IE_TIMER] = begin },
};

static int dispatch(struct inst *i, struct inst_host *h, enum inst_event e)
{
    handler *fn = table[i->st][e];
    if (!fn) {
        if (!h->broken[0])
            fixed_printf(h->broken, "%s: %s in state %s", i->id, inst_event_name(e), inst_st_name(i->st));
        return -EPROTO;
    }
    inst_go(i, h, fn(i, h));
    return 0;
}

static enum inst_event wish(const struct inst *i)
{
    if (i->gone || i->want == WANT_STOP)
        return IE_STOP;
    if (i->want == WANT_DRAIN)
        return IE_DRAIN;
    if (i->want == WANT_HOLD)
        return IE_HOLD;
    return i->spec && i->want_spec && i->spec->generation != i->want_spec->generation ? IE_REPLACE : IE_RUN;
}

/* What is wanted, and what is due at once, until nothing moves any more. The longest chain that the table allows is
 * CLEARING -> BACKOFF -> HOOK; more rounds than states would be a loop of our own making. */
void inst_settle(struct inst *i, struct inst_host *h)
{
    if (!h->live)
        return;
    for (unsigned round = 0; i->claimed && round < INST_ST_COUNT; round++) {
        enum inst_st was = i->st;
        (void)dispatch(i, h, wish(i));
        if (i->st == was && i->timer_at <= h->now)
            (void)dispatch(i, h, IE_TIMER);
        if (i->st == was)
            break;
    }
    if (i->st == IS_STOPPED && (i->gone || !i->claimed) && !i->dead) {
        i->dead = true;
        h->dead_n++;
        actions_push(&h->q, AA_FORGET, i->id);
    }
    inst_ask(i, h);
}

int inst_event(struct inst *i, struct inst_host *h, enum inst_event e)
{
    int rc = dispatch(i, h, e);
    if (rc == 0)
        inst_settle(i, h);
    return rc;
}

/* --- life of the object ------------------------------------------------------------------------------------ */
struct inst *inst_new(struct inst_host *h, const char *id)
{
    struct inst *i = xcalloc(1, sizeof(*i));
    (void)fixed_copy(i->id, sizeof(i->id), id);
    const char *dot = strrchr(id, '.');
    size_t len = dot ? (size_t)(dot - id) : strlen(id);
    memcpy(i->service, id, MIN_OF(len, sizeof(i->service) - 1));
    uint64_t n = 0;
    if (dot && num_u64(dot + 1, &n) == 0)
        i->number = (uint32_t)n;
    i->st = IS_WAITING;
    i->st_since = h->now;
    i->timer_at = i->within_at = i->hook_deadline = i->retry_at = i->due = INT64_MAX;
    for (int r = 0; r < PROBE_ROLE_COUNT; r++)
        health_end(&i->h[r]);
    return i;
}

void inst_free(struct inst *i)
{
    if (!i)
        return;
    spec_box_unref(i->box);
    spec_box_unref(i->want_box);
    backoff_done(&i->back);
    free(i);
}

static void respec(struct inst *i, struct inst_host *h)
{
    const struct probe_spec *of[PROBE_ROLE_COUNT] = { &i->spec->spec.health.startup, &i->spec->spec.health.readiness, &i->spec->spec.health.liveness };
    for (int r = 0; r < PROBE_ROLE_COUNT; r++) {
        bool asked = i->h[r].in_flight;
        uint64_t serial = i->h[r].serial;
        health_respec(&i->h[r], of[r], h->now, &h->rng);
        if (asked && !i->h[r].in_flight) {
            struct agent_action *a = actions_push(&h->q, AA_PROBE_CANCEL, i->id);
            a->role = (enum probe_role)r;
            a->serial = serial;
        }
    }
    inst_probes_sync(i, h);
}

void inst_want(struct inst *i, struct inst_host *h, struct spec_box *box, const struct spec_ref *spec, enum want want)
{
    i->claimed = true;
    i->gone = spec == NULL;
    i->want = spec ? want : WANT_STOP;
    if (spec) {
        struct spec_box *old = i->want_box;
        i->want_box = spec_box_ref(box);
        i->want_spec = spec;
        spec_box_unref(old);
        if (!i->spec || i->spec->generation == spec->generation) {
            struct spec_box *held = spec_box_ref(i->box);   /* the probes still point into it */
            take_spec(i);
            respec(i, h);
            spec_box_unref(held);
        }
    }
    inst_settle(i, h);
}

void inst_adopt(struct inst *i, struct inst_host *h, int32_t pid, bool running, bool populated, struct exit_info exit, int64_t started_at)
{
    i->pid = pid;
    i->running = running;
    i->populated = populated || running;
    i->last_exit = exit;
    i->started_at = started_at;
    i->exited = !running && exit.kind != EXIT_KIND_NONE;
    if (running && !i->spec) {
        if (!i->claimed)
            inst_reason(i, h, "runs, and no desired set has been loaded: left alone");
        inst_go(i, h, IS_UNCLAIMED);
    } else if (running) {
        i->st = IS_UNCLAIMED;   /* as if it had been one: claim() judges its age */
        inst_go(i, h, claim(i, h));
    } else if (i->populated) {
        i->st = IS_STARTING;    /* ended while nobody looked, with leftovers */
        inst_go(i, h, i->spec && !i->gone ? crashed(i, h) : left(i, h));
    } else if (i->exited && i->spec && i->want == WANT_RUN) {
        i->st = IS_STARTING;
        inst_go(i, h, crashed(i, h));
    }
    actions_event(&h->q, i->id, 6, "adopted", running ? "found running as process %d" : "found not running (last process %d)", pid);
}

void inst_adopt_ready(struct inst *i, struct inst_host *h, bool ready, bool passed, uint64_t generation)
{
    if (!i->running || !i->spec || i->gone || (i->st != IS_STARTING && i->st != IS_READY))
        return;
    if (ready || passed) {
        i->startup_ok = i->after_ready_done = true;
        i->said_ready = ready;
        if (!ready)
            inst_reason(i, h, "was not ready before the agent restarted");
        inst_go(i, h, ready ? IS_READY : IS_UNREADY);
    } else if (i->st == IS_READY) {     /* nor may it ever have been: `unready` would say that it was */
        inst_reason(i, h, "was not ready before the agent restarted");
        i->after_ready_done = false;
        inst_go(i, h, IS_STARTING);
    }
    if (generation && generation != i->spec->generation && i->want_spec == i->spec) {
        /* It is of a generation that nobody has the spec of any more. Told as such by a spec with another number would be a lie: it is
         * stopped with the present one's signal and time, then started anew. */
        inst_go(i, h, stop(i, h));
    }
}

void inst_hook_done(struct inst *i, struct inst_host *h, enum hook_kind hook, uint64_t serial, bool ok, const char *detail)
{
    if (!i->hook_on || i->hook != hook || i->hook_serial != serial)
        return;
    i->hook_on = false;
    i->hook_deadline = INT64_MAX;
    if (!ok) {
        fixed_printf(i->why, "hook %s: %s", inst_hook_word(hook), detail && detail[0] ? detail : "failed");
        actions_event(&h->q, i->id, 4, "hook", "%s", i->why);
    }
    (void)inst_event(i, h, ok ? IE_HOOK_OK : IE_HOOK_BAD);
}

void inst_sicken(struct inst *i, struct inst_host *h, enum inst_sick s, const char *why)
{
    if (!states[i->st].live || !i->running || i->sick != SICK_NO)
        return;
    i->sick = s;
    i->sick_since = h->now;
    i->sick_told = false;
    h->sick_any = true;
    fixed_printf(i->why, "%s", why);
    actions_event(&h->q, i->id, 4, s == SICK_MEMORY ? "oom" : "liveness", "%s", why);
}

void inst_tick(struct inst *i, struct inst_host *h)
{
    if (i->hook_on && h->now >= i->hook_deadline) {
        enum hook_kind k = i->hook;
        uint64_t serial = i->hook_serial;
        inst_hook_cancel(i, h);
        i->hook_on = true;      /* it counts as answered: timed out */
        inst_hook_done(i, h, k, serial, false, "no answer within its timeout");
    }
    inst_probe_ticks(i, h);
    if (i->st == IS_STARTING && !i->startup_ok && h->now >= i->within_at)
        (void)inst_event(i, h, IE_LATE);
    if (h->now >= i->timer_at)
        (void)inst_event(i, h, IE_TIMER);
    inst_ask(i, h);
}

int64_t inst_deadline(const struct inst *i)
{
    int64_t at = MIN_OF(i->timer_at, i->hook_deadline);
    if (i->st == IS_STARTING && !i->startup_ok)
        at = MIN_OF(at, i->within_at);
    for (int r = 0; r < PROBE_ROLE_COUNT; r++)
        at = MIN_OF(at, health_deadline(&i->h[r]));
    return at;
}
