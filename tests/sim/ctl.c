/* ctl.c - musterd around its real core: as supervisord/daemon.c does, with a store that may refuse, be cut off or get lost. */
#include <stdlib.h>
#include <string.h>
#include "tests/sim/sim.h"

/* --- rows ------------------------------------------------------------------------------------------------------------ */
static void rows_put(struct world *w, struct rows *r, const char *kind, const char *name, char *json)
{
    size_t k = 0;
    while (k < r->n && (strcmp(r->v[k].kind, kind) != 0 || strcmp(r->v[k].name, name) != 0))
        k++;
    if (k == ROWS)
        fail(w, "more than %d rows", ROWS);
    if (k == r->n)
        r->n++;
    else
        free(r->v[k].json);
    (void)fixed_copy(r->v[k].kind, sizeof(r->v[k].kind), kind);
    (void)fixed_copy(r->v[k].name, sizeof(r->v[k].name), name);
    r->v[k].json = json;
}

static void rows_merge(struct world *w, struct rows *into, struct rows *from)
{
    for (size_t k = 0; k < from->n; k++)
        rows_put(w, into, from->v[k].kind, from->v[k].name, from->v[k].json);
    from->n = 0;
}

void rows_done(struct rows *r)
{
    for (size_t k = 0; k < r->n; k++)
        free(r->v[k].json);
    r->n = 0;
}

static void load(struct world *w, uint64_t revision)
{
    w->ctl = controller_new((struct controller_options){ w->epoch, revision });
    for (size_t k = 0; k < w->durable.n; k++) {
        const struct row *r = &w->durable.v[k];
        struct err e = { "" };
        if (r->json && controller_load(w->ctl, r->kind, r->name, r->json, &e) < 0)
            fail(w, "a row of the store is not understood: %s", e.text);
    }
    struct controller_row row;
    while (controller_next_dirty(w->ctl, &row))
        free(row.json);
}

/* I4: what was acknowledged is there. */
static void check_store(struct world *w)
{
    for (int s = 0; s < SERVICES; s++) {
        struct service_view v;
        struct sim_service *m = &w->svc[s];
        if (m->store.acked == 0 || m->store.deleted)
            continue;
        if (!controller_service(w->ctl, m->name, &v)) {
            if (m->store.issued > m->store.acked)
                continue;   /* a delete that was not acknowledged may have been stored all the same */
            fail(w, "%s: acknowledged and lost by a restart (I4)", m->name);
        }
        uint64_t mark = 0;
        for (size_t k = 0; k < v.spec->environment.n; k++)
            if (strcmp(v.spec->environment.v[k].key, "MARK") == 0)
                mark = strtoull(v.spec->environment.v[k].value, NULL, 10);
        if (mark < m->store.acked)
            fail(w, "%s: mark %llu after a restart, %llu was acknowledged (I4)", m->name, (unsigned long long)mark, (unsigned long long)m->store.acked);
    }
}

/* --- commit and send ------------------------------------------------------------------------------------------------------ */
static void send_desired(struct world *w)
{
    if (!w->agent_known || controller_revision(w->ctl) == w->sent_revision || !w->link_up)
        return;
    struct wire_msg m = { .kind = WIRE_DESIRED };
    controller_desired(w->ctl, &m.desired);
    w->sent_revision = m.desired.revision;
    w->revisions++;
    if (!w->calm && chance(w, 30)) {    /* told twice */
        struct wire_msg again = { .kind = WIRE_DESIRED };
        hit_all(w, F_REPEAT);
        controller_desired(w->ctl, &again.desired);
        channel_to_agent(w, &again);
    }
    if (w->old_set.len > 0 && !w->calm && chance(w, 30)) {     /* an old leader is heard once more */
        struct wire_msg old;
        struct err e = { "" };
        if (wire_unpack_to_agent(w->old_set.s, w->old_set.len, &old, &e) < 0)
            fail(w, "a desired set is not understood: %s", e.text);
        hit_all(w, F_STALE);
        channel_to_agent(w, &old);
    }
    if (chance(w, 50)) {
        strbuf_reset(&w->old_set);
        wire_pack(&m, &w->old_set);
    }
    channel_to_agent(w, &m);
}

static void resync(struct world *w)
{
    struct wire_msg m = { .kind = WIRE_RESYNC };
    if (!w->link_up)
        return;
    controller_agent_connected(w->ctl, w->now, w->epoch, w->sent_revision);
    channel_to_agent(w, &m);
}

static void refused(struct world *w)
{
    hit_all(w, F_STORE_FULL);
    trace(w, "--- the store refuses");
    if (w->acking_n == 0) {     /* nobody waits: tried again with what has come since */
        struct rows newer = w->pending;
        w->pending = w->inflight;
        w->inflight.n = 0;
        rows_merge(w, &w->pending, &newer);
        return;
    }
    uint64_t revision = controller_revision(w->ctl) + 1;
    w->acking_n = w->waiting_n = 0;
    rows_done(&w->inflight);
    rows_done(&w->pending);
    controller_free(w->ctl);
    load(w, revision);
    check_store(w);
    resync(w);
}

static void on_committed(struct world *w, struct ev *e)
{
    if (!w->ctl || e->life != w->ctl_life)
        return;
    w->committing = false;
    if (!w->calm && chance(w, 10)) {
        refused(w);
    } else {
        rows_merge(w, &w->durable, &w->inflight);
        for (size_t k = 0; k < w->acking_n; k++)
            people_applied(w, w->acking[k].svc, w->acking[k].kind, w->acking[k].value);
        w->acking_n = 0;
    }
    ctl_settle(w);
}

static void begin_commit(struct world *w)
{
    w->inflight = w->pending;
    w->pending.n = 0;
    memcpy(w->acking, w->waiting, sizeof(w->waiting));
    w->acking_n = w->waiting_n;
    w->waiting_n = 0;
    w->committing = true;
    ev_push(w, between(w, 1, 15), (struct ev){ .fn = on_committed, .life = w->ctl_life });
}

void ctl_settle(struct world *w)
{
    struct controller_row row;
    struct muster_event e;
    w->ctl_touched = true;
    while (controller_next_dirty(w->ctl, &row))
        rows_put(w, &w->pending, row.kind, row.name, row.json);
    while (controller_next_event(w->ctl, &e))
        trace(w, "controller %s: %s: %s", e.subject, e.kind, e.text);
    if (w->committing)
        return;
    if (w->pending.n > 0) {
        begin_commit(w);
        return;
    }
    send_desired(w);
    for (size_t k = 0; k < w->waiting_n; k++)
        people_applied(w, w->waiting[k].svc, w->waiting[k].kind, w->waiting[k].value);
    w->waiting_n = 0;
}

void ctl_commit(struct world *w, int kind, int svc, uint64_t value)
{
    if (w->waiting_n == PEOPLE_MAX)
        fail(w, "more than %d people wait", PEOPLE_MAX);
    w->waiting[w->waiting_n].kind = kind;
    w->waiting[w->waiting_n].svc = svc;
    w->waiting[w->waiting_n++].value = value;
}

/* --- the agent ---------------------------------------------------------------------------------------------------------------- */
static void on_hello(struct world *w, const struct hello *h)
{
    if (h->epoch > w->epoch) {      /* an older store was brought back */
        w->epoch = h->epoch + 1;
        controller_free(w->ctl);
        load(w, 1);
    }
    if (w->lost && h->has_had)
        controller_recover(w->ctl, w->now, &h->had);
    w->lost = false;
    w->agent_known = true;
    w->sent_revision = 0;
    controller_agent_connected(w->ctl, w->now, h->epoch, h->revision);
}

void ctl_message(struct world *w, struct wire_msg *m)
{
    check_before_ctl(w);
    switch (m->kind) {
    case WIRE_HELLO: on_hello(w, &m->hello); break;
    case WIRE_STATUS:
        controller_status(w->ctl, w->now, m->status.v, m->status.n, m->status.full);
        if (!w->calm && chance(w, 10)) {
            hit_all(w, F_REPEAT);
            controller_status(w->ctl, w->now, m->status.v, m->status.n, m->status.full);
        }
        break;
    case WIRE_METRICS: controller_metrics(w->ctl, w->now, m->metrics.iv, m->metrics.in, m->metrics.sv, m->metrics.sn); break;
    case WIRE_BALANCER: controller_balancer(w->ctl, w->now, &m->balancer); break;
    default: break;
    }
    check_after_ctl(w);
    ctl_settle(w);
}

void ctl_agent_gone(struct world *w)
{
    controller_agent_gone(w->ctl, w->now);
    ctl_settle(w);
}

/* --- life ------------------------------------------------------------------------------------------------------------------------ */
void ctl_start(struct world *w)
{
    w->ctl_life++;
    w->epoch++;
    w->agent_known = false;
    w->sent_revision = 0;
    if (!w->calm && w->epoch > 3 && chance(w, 30)) {
        hit_all(w, F_STORE_LOST);
        trace(w, "--- the store is lost");
        rows_done(&w->durable);
        w->epoch = 1;
        w->lost = true;
        for (int s = 0; s < SERVICES; s++)
            w->svc[s].store = (struct mark){ 0 };
    }
    load(w, 1);
    check_store(w);
    trace(w, "--- the controller starts, epoch %llu", (unsigned long long)w->epoch);
    ctl_settle(w);
}

void ctl_kill(struct world *w)
{
    if (!w->ctl)
        return;
    trace(w, "--- the controller dies");
    if (w->committing && chance(w, 500))
        rows_merge(w, &w->durable, &w->inflight);   /* stored, and nobody was told */
    rows_done(&w->inflight);
    rows_done(&w->pending);
    w->committing = false;
    w->waiting_n = w->acking_n = 0;
    controller_free(w->ctl);
    w->ctl = NULL;
    w->ctl_life++;
    channel_break(w);
}
