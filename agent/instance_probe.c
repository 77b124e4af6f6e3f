/* What an instance's probes and notify messages mean for it: which run in which state, and which verdict is which event. */
#include <string.h>
#include "agent/instance.h"
#include "base/cleanup.h"
#include "base/num.h"
#include "base/strbuf.h"

static const int64_t EXTEND_MAX_MS = 24 * 3600 * 1000;   /* EXTEND_TIMEOUT_USEC at a time: it can be sent again */

static const struct probe_spec *probe_of(const struct inst *i, enum probe_role r)
{
    const struct service_spec *s = &i->spec->spec;
    return r == PROBE_STARTUP ? &s->health.startup : r == PROBE_READINESS ? &s->health.readiness : &s->health.liveness;
}

static bool wants_probe(const struct inst *i, enum probe_role r)
{
    if (!i->spec || !i->running || probe_of(i, r)->kind == PROBE_NONE)
        return false;
    bool startup = i->spec->spec.health.startup.kind != PROBE_NONE;
    switch (r) {
    case PROBE_STARTUP:
        return i->st == IS_STARTING && !i->startup_ok;
    case PROBE_READINESS:
        return (i->st == IS_STARTING && (i->startup_ok || !startup)) || i->st == IS_READY || i->st == IS_UNREADY;
    case PROBE_LIVENESS:    /* with no startup probe only once it was ready: a slow start is not death */
        return (i->st == IS_STARTING && i->startup_ok && startup) || i->st == IS_READY || i->st == IS_UNREADY || i->st == IS_DRAINING;
    case PROBE_ROLE_COUNT:
        break;
    }
    return false;
}

static void probe_end(struct inst *i, struct inst_host *h, enum probe_role r)
{
    if (i->h[r].in_flight) {
        struct agent_action *a = actions_push(&h->q, AA_PROBE_CANCEL, i->id);
        a->role = r;
        a->serial = i->h[r].serial;
    }
    health_end(&i->h[r]);
}

static void probe_begin(struct inst *i, struct inst_host *h, enum probe_role r)
{
    bool starting = i->st == IS_STARTING;
    health_begin(&i->h[r], probe_of(i, r), h->now, r != PROBE_LIVENESS, r == PROBE_LIVENESS, &h->rng);
    if (r == PROBE_READINESS && !starting)
        i->h[r].fast = false;   /* asked at once, then regularly: adopted, or wanted again after a drain */
    if (r == PROBE_LIVENESS && i->beat_ms > 0) {
        i->h[r].beat_ms = i->beat_ms;
        if (i->h[r].spec->kind == PROBE_NOTIFY)
            i->h[r].next_at = h->now + i->beat_ms;
    }
}

void inst_probes_sync(struct inst *i, struct inst_host *h)
{
    for (int n = 0; n < PROBE_ROLE_COUNT; n++) {
        enum probe_role r = (enum probe_role)n;
        if (!wants_probe(i, r))
            probe_end(i, h, r);
        else if (!health_on(&i->h[r]))
            probe_begin(i, h, r);
    }
    if (i->st == IS_READY || i->st == IS_UNREADY)
        health_slow(&i->h[PROBE_READINESS], h->now, &h->rng);
}

/* STARTING with nothing left to probe is ready; so is one whose READY=1 came before its readiness was looked at. */
static void pass_if_nothing_to_ask(struct inst *i, struct inst_host *h)
{
    if (i->st != IS_STARTING || !i->spec || i->said_stopping)
        return;
    if (!i->startup_ok && i->spec->spec.health.startup.kind == PROBE_NOTIFY && i->said_ready)
        i->startup_ok = true;
    if (!i->startup_ok && i->spec->spec.health.startup.kind != PROBE_NONE)
        return;
    enum probe_kind kind = i->spec->spec.health.readiness.kind;
    if (kind == PROBE_NONE || (kind == PROBE_NOTIFY && i->said_ready))
        (void)inst_event(i, h, IE_PASS);
    else
        inst_probes_sync(i, h);
}

void inst_ask(struct inst *i, struct inst_host *h)
{
    if (!h->live)
        return;
    pass_if_nothing_to_ask(i, h);
    for (int r = 0; r < PROBE_ROLE_COUNT; r++) {
        if (!health_due(&i->h[r], h->now))
            continue;
        health_asked(&i->h[r], h->now, ++h->serial);
        struct agent_action *a = actions_push(&h->q, AA_PROBE, i->id);
        a->role = (enum probe_role)r;
        a->serial = i->h[r].serial;
    }
}

static const char *detail_of(const struct health *p)
{
    return p->detail[0] ? p->detail : "no answer";
}

/* Told when the text changes or the count matters, not at each of a fast series. */
static void tell_failing(struct inst *i, struct inst_host *h, const char *what, const struct health *p)
{
    char start[sizeof(i->reason)];
    fixed_printf(start, "%s: %s (", what, detail_of(p));
    bool same = strncmp(i->reason, start, strlen(start)) == 0;
    if (!same || p->fails == MAX_OF(p->spec->fail_after, 1u) || p->fails % 100 == 0)
        inst_reason(i, h, "%s%u %s)", start, p->fails, p->fails == 1 ? "time" : "times");
}

static void startup_verdict(struct inst *i, struct inst_host *h, enum health_verdict v)
{
    struct health *p = &i->h[PROBE_STARTUP];
    if (v == HEALTH_PASSED && i->st == IS_STARTING) {
        i->startup_ok = true;
        inst_reason(i, h, "%s", "");
        inst_probes_sync(i, h);
    } else if (p->fails > 0) {
        tell_failing(i, h, "not started", p);
    }
}

static void readiness_verdict(struct inst *i, struct inst_host *h, enum health_verdict v)
{
    struct health *p = &i->h[PROBE_READINESS];
    if (v == HEALTH_PASSED && !i->said_stopping) {
        (void)inst_event(i, h, IE_PASS);
        return;
    }
    if (p->fails > 0 && (i->st != IS_READY || v == HEALTH_FAILED))
        tell_failing(i, h, "not ready", p);
    if (v == HEALTH_FAILED && i->st == IS_READY)
        (void)inst_event(i, h, IE_FAIL);
}

static void liveness_verdict(struct inst *i, struct inst_host *h, enum health_verdict v)
{
    struct health *p = &i->h[PROBE_LIVENESS];
    if (v == HEALTH_PASSED && i->sick == SICK_LIVENESS) {
        i->sick = SICK_NO;
        if (i->st == IS_READY)
            inst_reason(i, h, "%s", "");
        actions_event(&h->q, i->id, 5, "liveness", "passes its liveness check again");
    } else if (v == HEALTH_FAILED) {
        char why[sizeof(i->why)];
        fixed_printf(why, "not alive: %s (%u %s)", detail_of(p), p->fails, p->fails == 1 ? "time" : "times");
        inst_sicken(i, h, SICK_LIVENESS, why);
    }
}

static void verdict(struct inst *i, struct inst_host *h, enum probe_role r, enum health_verdict v)
{
    if (r == PROBE_STARTUP)
        startup_verdict(i, h, v);
    else if (r == PROBE_READINESS)
        readiness_verdict(i, h, v);
    else
        liveness_verdict(i, h, v);
}

void inst_probed(struct inst *i, struct inst_host *h, enum probe_role role, uint64_t serial, bool ok, const char *detail)
{
    struct health *p = &i->h[role];
    if (!p->in_flight || p->serial != serial)
        return;
    verdict(i, h, role, health_answer(p, h->now, serial, ok, detail, &h->rng));
    inst_ask(i, h);
}

void inst_probe_ticks(struct inst *i, struct inst_host *h)
{
    for (int n = 0; n < PROBE_ROLE_COUNT; n++) {
        enum probe_role r = (enum probe_role)n;
        struct health *p = &i->h[r];
        if (health_overdue(p, h->now)) {
            struct agent_action *a = actions_push(&h->q, AA_PROBE_CANCEL, i->id);
            a->role = r;
            a->serial = p->serial;
            verdict(i, h, r, health_answer(p, h->now, p->serial, false, "no answer", &h->rng));
        } else if (health_beat_missed(p, h->now)) {
            char wait[32], text[HEALTH_DETAIL];
            num_format_duration(p->beat_ms > 0 ? p->beat_ms : p->spec->every_ms, wait, sizeof(wait));
            fixed_printf(text, "no WATCHDOG=1 for %s", wait);
            verdict(i, h, r, health_told(p, h->now, false, text, &h->rng));
        }
    }
}

static void told(struct inst *i, struct inst_host *h, enum probe_role r)
{
    enum health_verdict v = health_told(&i->h[r], h->now, true, "", &h->rng);
    /* one READY=1 is the whole of it: pass_after counts probes, not messages */
    if (health_on(&i->h[r]) && i->h[r].spec->kind == PROBE_NOTIFY && r != PROBE_LIVENESS)
        v = HEALTH_PASSED;
    if (v != HEALTH_UNDECIDED || r == PROBE_LIVENESS)
        verdict(i, h, r, v);
}

static void notify_watchdog(struct inst *i, struct inst_host *h, const struct notify_msg *m)
{
    struct health *p = &i->h[PROBE_LIVENESS];
    if (m->watchdog_ms > 0) {
        i->beat_ms = p->beat_ms = m->watchdog_ms;
        if (health_on(p) && p->spec->kind == PROBE_NOTIFY)
            p->next_at = h->now + m->watchdog_ms;
    }
    if (m->watchdog)
        told(i, h, PROBE_LIVENESS);
    if (m->watchdog_trigger && i->spec && i->spec->spec.health.liveness.kind == PROBE_NOTIFY)
        inst_sicken(i, h, SICK_LIVENESS, "not alive: the instance itself asked for a restart (WATCHDOG=trigger)");
}

static void notify_extend(struct inst *i, const struct inst_host *h, int64_t ms)
{
    int64_t until = h->now + MIN_OF(ms, EXTEND_MAX_MS);
    if (i->st == IS_STARTING && i->within_at != INT64_MAX)
        i->within_at = MAX_OF(i->within_at, until);
    if (i->st == IS_TERM && i->timer_at != INT64_MAX)
        i->timer_at = MAX_OF(i->timer_at, until);
}

void inst_notify(struct inst *i, struct inst_host *h, const struct notify_msg *m)
{
    if (!i->populated)
        return;
    if (m->has_status && strcmp(i->text, m->status) != 0) {
        (void)fixed_copy(i->text, sizeof(i->text), m->status);
        inst_touch(i, h);
    }
    if (m->extend_timeout_ms > 0)
        notify_extend(i, h, m->extend_timeout_ms);
    notify_watchdog(i, h, m);
    if (m->ready) {
        i->said_ready = true;
        i->said_stopping = false;
        told(i, h, PROBE_STARTUP);
        told(i, h, PROBE_READINESS);
    }
    if (m->stopping && i->running) {
        i->said_stopping = true;
        i->said_ready = false;
        if (i->st == IS_READY) {
            inst_reason(i, h, "the instance says that it is stopping");
            (void)inst_event(i, h, IE_FAIL);
        }
    }
    inst_ask(i, h);
}
