/* core_step.c - one step of each service that has news: compares what is wanted with what is known. */
#include "supervisord/core_priv.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/utf8.h"
#include "supervisord/rollout.h"
#include "supervisord/upstream.h"

/* --- `after` ---------------------------------------------------------------------------------------------------- */
static bool dependency_met(const struct controller *c, const char *name)
{
    const struct service *d = controller_find(c, name);
    if (!d)
        return true;                            /* deleted meanwhile: nothing to wait for */
    return !d->stopped && !d->deleting && d->ready >= MIN_OF(d->desired, d->target->spec.min);
}

static bool gate_bit(const struct service *s, size_t i) { return i < 64 && (s->gate_seen >> i & 1); }

const char *service_waits_for(const struct controller *c, const struct service *s)
{
    const struct strv *after = &s->target->spec.after;
    for (size_t i = 0; !s->gate_open && i < after->n; i++)
        if (!gate_bit(s, i) && !dependency_met(c, after->v[i]))
            return after->v[i];
    return NULL;
}

static bool nothing_wanted(const struct controller *c, const struct service *s) { return c->down || service_goal(s) == 0; }

/* Notes which of `after` have been ready; true if it has to be stepped for that. It stays open while anything of the service is wanted. */
static bool try_gate(struct controller *c, struct service *s)
{
    const struct strv *after = &s->target->spec.after;
    if (s->gate_open || nothing_wanted(c, s))
        return false;
    for (size_t i = 0; i < after->n && i < 64; i++)
        if (!gate_bit(s, i) && dependency_met(c, after->v[i])) {
            s->gate_seen |= UINT64_C(1) << i;
            service_changed(s);                 /* it is stored, and the reason names the next one */
        }
    if (service_waits_for(c, s))
        return s->stale;
    s->gate_open = true;
    if (after->n > 0 && s->n > 0)
        controller_event(c, 6, "after", s->name, "what it comes after is ready: it starts");
    service_changed(s);
    return true;
}

static void release_holds(struct controller *c, struct service *s, int64_t now)
{
    for (size_t i = 0; s->gate_open && i < s->n; i++)
        if (s->inst[i]->want == WANT_HOLD) {
            instance_want(s->inst[i], WANT_RUN);
            s->inst[i]->run_at = now;
            controller_bump(c);
            service_changed(s);
        }
}

static void close_gate(struct service *s)
{
    if (s->n == 0 && service_goal(s) == 0 && s->gate_open && s->target->spec.after.n > 0) {
        s->gate_open = false;
        s->gate_seen = 0;
        s->dirty = true;
    }
}

/* --- the plan --------------------------------------------------------------------------------------------------- */
static double load_of(const struct balancer *b, const struct instance *i)
{
    if (b && b->seq > 0 && i->bal_seq == b->seq)
        return (double)i->bal_in_flight + i->bal_queued;
    return i->has_metrics && isfinite(i->metrics.in_flight) ? i->metrics.in_flight : 0;
}

static struct fleet_member *members(const struct controller *c, const struct service *s, int64_t now)
{
    struct fleet_member *m = xmalloc((s->n + 1) * sizeof *m);
    const struct balancer *b = controller_balancer_of(c, s);
    for (size_t k = 0; k < s->n; k++) {
        const struct instance *i = s->inst[k];
        bool ready = instance_ready(i), is_new = i->rel->generation == s->target->generation;
        m[k] = (struct fleet_member){
            .is_new = is_new, .want = i->want, .alive = instance_alive(i) && instance_matches(i), .ready = ready,
            .passed = instance_passed(i), .ready_ms = ready && i->ready_since > 0 ? now - i->ready_since : 0,
            .failing = is_new && instance_failing(i, now), .in_flight = load_of(b, i), .born = i->born,
        };
    }
    return m;
}

/* `down` ends dependents first: not before those that come after it are gone. */
static bool down_may_go(const struct controller *c, const struct service *s)
{
    for (size_t i = 0; i < c->svc_n; i++)
        if (c->svc[i] != s && c->svc[i]->n > 0 && strv_has(&c->svc[i]->target->spec.after, s->name))
            return false;
    return true;
}

static void rollout_event(struct controller *c, struct service *s, int level, const char *text)
{
    struct scale_why w = { .at_ms = c->now, .current = s->desired, .desired = s->desired, .wanted = s->desired, .deciding_rule = -1 };
    fixed_copy(w.text, sizeof w.text, text);
    service_explain(s, &w);
    controller_event(c, level, "rollout", s->name, "%s", text);
}

static void note_rolling(struct controller *c, struct service *s, bool rolling)
{
    char text[160];
    if (rolling == s->rolling)
        return;
    s->rolling = rolling;
    if (service_goal(s) == 0 || c->down)
        return;
    if (rolling)
        fixed_printf(text, "rollout of revision %u started", s->target->revision);
    else
        fixed_printf(text, "rollout of revision %u finished", s->target->revision);
    rollout_event(c, s, 5, text);
    s->dirty = true;
}

static void note_paused(struct controller *c, struct service *s, const struct rollout_plan *p, int64_t now)
{
    if (p->paused && p->culprit >= 0) {
        const struct instance *i = s->inst[p->culprit];
        char raw[300], why[300];
        instance_fail_reason(i, now, raw, sizeof raw);
        utf8_clean(why, sizeof why, raw);       /* it is stored as JSON */
        if (!s->paused || strcmp(s->pause_id, i->id) != 0 || i->status.fails <= 3) {    /* later tries do not rewrite the cause */
            fixed_printf(s->pause_reason, "revision %u: %s", i->rel->revision, why);
            fixed_copy(s->pause_id, sizeof s->pause_id, i->id);
        }
    }
    if (p->paused == s->paused)
        return;
    s->paused = p->paused;
    s->dirty = true;
    char text[480];
    if (s->paused)
        fixed_printf(text, "rollout paused, the old revision serves on: %s", s->pause_reason);
    else
        fixed_printf(text, "rollout of revision %u goes on: its instances are healthy now", s->target->revision);
    if (!s->paused)
        s->pause_reason[0] = s->pause_id[0] = '\0';
    if (service_goal(s) > 0 && p->rolling)
        rollout_event(c, s, s->paused ? 4 : 5, text);
}

/* A fixed port: nobody new may start while somebody else still holds it. */
static bool port_is_held(const struct service *s)
{
    const struct service_spec *t = &s->target->spec;
    for (size_t k = 0; t->port_kind == PORT_FIXED && k < s->n; k++) {
        const struct instance *i = s->inst[k];
        const struct service_spec *o = &i->rel->spec;
        bool keeps_it = instance_wanted(i) && i->rel->generation == s->target->generation;
        if (!keeps_it && o->port_kind == PORT_FIXED && o->port == t->port)
            return true;
    }
    return false;
}

static uint32_t ready_wanted(const struct service *s)
{
    uint32_t n = 0;
    for (size_t k = 0; k < s->n; k++)
        n += s->inst[k]->want == WANT_RUN && instance_ready(s->inst[k]);
    return n;
}

static uint32_t wanted_count(const struct service *s)
{
    uint32_t n = 0;
    for (size_t k = 0; k < s->n; k++)
        n += instance_wanted(s->inst[k]);
    return n;
}

/* Our own bugs, for controller_check: what a step may never do on purpose (I2, I3). */
static void verify(struct service *s, const struct fleet *f, bool rolling, uint32_t ready_before, uint32_t wanted_before)
{
    uint32_t ready = ready_wanted(s), wanted = wanted_count(s);
    uint32_t may_miss = !rolling ? 0 : f->stop_first || (f->surge == 0 && f->unavailable == 0) ? MAX_OF(f->unavailable, 1u) : f->unavailable;
    if (f->desired > 0 && ready < ready_before && ready + may_miss < f->desired && !s->broken[0])
        fixed_printf(s->broken, "I2: %s: %u ready were taken to %u, desired %u", s->name, ready_before, ready, f->desired);
    if (wanted > wanted_before && wanted > f->desired + f->surge && !s->broken[0])
        fixed_printf(s->broken, "I3: %s: grew from %u to %u, desired %u and surge %u", s->name, wanted_before, wanted, f->desired, f->surge);
}

static void add_instances(struct controller *c, struct service *s, struct release *rel, uint32_t n, int64_t now)
{
    for (uint32_t k = 0; rel && k < n; k++) {
        struct instance *i = service_add(s, rel, s->gate_open ? WANT_RUN : WANT_HOLD);
        if (!i)
            return;                             /* INSTANCES_MAX rows: those that drain go first */
        i->run_at = now;
        controller_bump(c);
        service_changed(s);
    }
}

static void follow_plan(struct controller *c, struct service *s, const struct rollout_plan *p, int64_t now)
{
    struct release *old = p->add_old > 0 ? service_old_release(s) : NULL;
    size_t n = p->victim_n;
    cleanup_free struct instance **victims = xcalloc(n + 1, sizeof *victims);
    for (size_t k = 0; k < n; k++)
        victims[k] = s->inst[p->victims[k]];    /* indices change once something is added */
    for (size_t k = 0; k < n; k++)
        service_let_go(c, s, victims[k], now);
    add_instances(c, s, s->target, p->add_new, now);
    add_instances(c, s, old, p->add_old, now);
}

static void plan(struct controller *c, struct service *s, int64_t now)
{
    if (c->down && !down_may_go(c, s))
        return;
    const struct service_spec *spec = &s->target->spec;
    uint32_t goal = c->down ? 0 : service_goal(s);
    bool balanced = controller_balancer_of(c, s);
    cleanup_free struct fleet_member *m = members(c, s, now);
    struct fleet f = {
        .m = m, .n = s->n, .desired = goal, .surge = service_surge(s), .unavailable = amount_of(spec->deploy.unavailable, goal, false),
        .room = balanced ? (s->slots > s->n ? s->slots - (uint32_t)s->n : 0) : UINT32_MAX, .healthy_for_ms = spec->deploy.healthy_for_ms,
        .stop_first = port_is_held(s), .was_paused = s->paused,
    };
    struct rollout_plan p;
    rollout_plan(&f, &p);
    note_rolling(c, s, p.rolling);
    note_paused(c, s, &p, now);
    uint32_t ready = ready_wanted(s), wanted = wanted_count(s);
    follow_plan(c, s, &p, now);
    verify(s, &f, p.rolling, ready, wanted);
    if (p.again_in_ms != INT64_MAX)
        s->next_at = MIN_OF(s->next_at, now + p.again_in_ms);
    for (size_t k = 0; p.rolling && k < s->n; k++)
        if (s->inst[k]->rel == s->target && instance_fail_at(s->inst[k]) > now)
            s->next_at = MIN_OF(s->next_at, instance_fail_at(s->inst[k]));
    rollout_plan_done(&p);
}

/* --- the upstream list --------------------------------------------------------------------------------------------- */
static uint32_t port_of(const struct instance *i) { return i->status.port > 0 ? i->status.port : i->listed_port; }

static void list_one(struct controller *c, struct instance *i, const struct upstream_member *m)
{
    bool listed = m->listed_ret && port_of(i) > 0;
    if (listed == i->listed && (!listed || (m->state_ret == i->srv && port_of(i) == i->listed_port)))
        return;
    i->listed = listed;
    i->srv = m->state_ret;
    i->listed_port = port_of(i);
    i->ever_listed |= listed;
    controller_bump(c);
}

static void note_panic(struct controller *c, struct service *s, bool panic)
{
    if (panic == s->panic)
        return;
    s->panic = panic;
    controller_bump(c);
    if (panic)
        controller_event(c, 4, "panic", s->name, "more than half of what runs fails its readiness check at once: all stay in the upstream list");
    else
        controller_event(c, 5, "panic", s->name, "over: the upstream list follows readiness again");
}

static void list_servers(struct controller *c, struct service *s)
{
    bool balanced = controller_balancer_of(c, s);
    cleanup_free struct upstream_member *m = xcalloc(s->n + 1, sizeof *m);
    for (size_t k = 0; k < s->n; k++) {
        const struct instance *i = s->inst[k];
        bool mine = instance_matches(i);
        m[k] = (struct upstream_member){ .want = i->want, .alive = mine && i->status.alive, .exited = mine && i->status.exited,
                                         .ready = instance_ready(i), .passed = instance_passed(i), .listed = i->listed };
    }
    bool panic = upstream_judge(m, s->n);
    note_panic(c, s, balanced && panic);
    for (size_t k = 0; k < s->n; k++) {
        m[k].listed_ret &= balanced;
        list_one(c, s->inst[k], &m[k]);
    }
}

/* --- a step ----------------------------------------------------------------------------------------------------------- */
static void announce(struct controller *c, struct service *s)
{
    if (s->n == 0 && service_goal(s) == 0 && s->announced) {
        s->announced = false;
        s->dirty = true;
        if (s->stopped && !s->deleting)
            controller_event(c, 5, "stopped", s->name, "all its instances have ended");
    }
    if (s->announced || service_goal(s) == 0 || s->rolling || s->ready < s->desired || c->down)
        return;
    s->announced = true;
    s->dirty = true;
    controller_event(c, 5, "up", s->name, s->desired == 1 ? "its instance is ready" : "all %u instances are ready", s->desired);
}

static void step_service(struct controller *c, struct service *s, int64_t now)
{
    service_rebase(s, now);
    s->stale = false;
    s->next_at = INT64_MAX;
    if (c->synced) {
        uint32_t slots = service_slots(s);
        if (slots != s->slots) {
            s->slots = slots;
            s->dirty = true;
            controller_bump(c);
        }
        service_drains(c, s, now);
        service_reap(c, s);
        close_gate(s);
        try_gate(c, s);
        release_holds(c, s, now);
        plan(c, s, now);
        list_servers(c, s);
        service_reap(c, s);
    }
    service_judge(s, now, service_waits_for(c, s));
    if (c->synced)
        announce(c, s);
    s->views_stale = true;
}

/* Services wait for each other (`after`, and in reverse while going down), so a step may wake others; each wakes each once at most. */
void controller_run(struct controller *c, int64_t now)
{
    bool more = true;
    for (size_t round = 0; more && round < 2 * c->svc_n + 4; round++) {
        more = false;
        for (size_t i = 0; i < c->svc_n; i++) {
            struct service *s = c->svc[i];
            if (!s->stale && now < s->next_at)
                continue;
            bool had = s->n > 0;
            uint32_t desired = s->desired;
            step_service(c, s, now);
            if (s->desired != desired && !s->broken[0])
                fixed_printf(s->broken, "I10: %s: a step changed what is desired, %u to %u", s->name, desired, s->desired);
            more |= s->stale;
            if (c->down && had && s->n == 0)
                for (size_t k = 0; k < c->svc_n; k++)
                    more |= c->svc[k]->stale = true;
        }
        for (size_t i = 0; c->synced && i < c->svc_n; i++)
            more |= try_gate(c, c->svc[i]);
    }
}
