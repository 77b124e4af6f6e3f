/* core_news.c - what the agent tells: takes it in, marks whose step it is. */
#include "supervisord/core_priv.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void all_stale(struct controller *c)
{
    for (size_t i = 0; i < c->svc_n; i++)
        c->svc[i]->stale = true;
}

void controller_agent_connected(struct controller *c, int64_t now, uint64_t agent_epoch, uint64_t agent_revision)
{
    controller_begin(c, now);
    c->connected = true;
    c->synced = false;
    if (agent_epoch != c->epoch || agent_revision != c->revision)
        c->resend = true;
    controller_settle(c);
}

void controller_agent_gone(struct controller *c, int64_t now)
{
    controller_begin(c, now);
    c->connected = c->synced = false;           /* nothing is decided on what may be old; nothing leaves a list for it */
    controller_settle(c);
}

/* Remembers the process that was seen ready: an agent that restarts tells of it as starting until its probes have answered. */
static void note_process(struct instance *i, int64_t now)
{
    const struct inst_status *st = &i->status;
    if (!instance_matches(i) || st->exited || !st->alive || (st->pid > 0 && i->ready_pid > 0 && st->pid != i->ready_pid)) {
        i->ready_since = 0;
        if (st->exited || st->pid != i->ready_pid)
            i->settled_pid = 0;
    }
    if (!instance_matches(i))
        return;
    if (st->alive && st->pid > 0 && (st->state == INST_READY || st->state == INST_UNREADY))
        i->ready_pid = st->pid;
    if (st->state == INST_READY && i->ready_since == 0)
        i->ready_since = MAX_OF(now - MAX_OF(st->state_age_ms, 0), 1);
    else if (st->state != INST_READY && !(st->state == INST_STARTING && i->ready_pid == st->pid))
        i->ready_since = 0;
}

/* After our restart: what has passed, or drains, was in the list as far as anybody can know. */
static void assume_listed(struct instance *i)
{
    const struct inst_status *st = &i->status;
    bool leaving = st->alive && (st->state == INST_DRAINING || st->state == INST_STOPPING);
    if (!instance_passed(i) && !(leaving && instance_matches(i)))
        return;
    i->ever_listed = i->listed = true;
    i->listed_port = st->port;
}

static void take_status(struct controller *c, int64_t now, const struct inst_status *st)
{
    struct service *s;
    struct instance *i = controller_instance(c, st->id, &s);
    if (!i)
        return;                                 /* not ours: not in the desired set, so the agent ends it */
    bool first = !i->known;
    i->known = true;
    i->absent = false;
    i->status = *st;
    i->status_at = now;
    i->full_seq = c->full_seq;
    note_process(i, now);
    if (first && !c->synced)
        assume_listed(i);
    s->stale = true;
    s->views_stale = true;
}

static void take_absence(struct controller *c, struct service *s, int64_t now)
{
    for (size_t k = 0; k < s->n; k++) {
        struct instance *i = s->inst[k];
        if (i->full_seq == c->full_seq)
            continue;
        struct inst_status none = { .state = INST_WAITING, .exited = i->known && i->status.alive, .generation = i->rel->generation,
                                    .revision = i->rel->revision, .retry_in_ms = -1, .port = i->status.port };
        memcpy(none.id, i->id, sizeof none.id);
        fixed_copy(none.service, sizeof none.service, s->name);
        i->status = none;
        i->status_at = now;
        i->known = i->absent = true;
        i->ready_since = 0;
    }
}

/* The first whole status after a connect: from now on decisions are made. */
static void sync_up(struct controller *c, int64_t now)
{
    c->synced = true;
    for (size_t i = 0; i < c->svc_n; i++)
        for (size_t k = 0; k < c->svc[i]->n; k++) {
            struct instance *in = c->svc[i]->inst[k];
            if (in->run_at == 0)
                in->run_at = MAX_OF(now, 1);
            if (in->want == WANT_DRAIN && in->drain_revision == 0) {    /* loaded: its acknowledgement was another epoch's */
                in->drain_revision = c->revision + 1;
                in->drain_at = now;
            }
        }
    if (c->resend)
        controller_bump(c);
    c->resend = false;
}

void controller_status(struct controller *c, int64_t now, const struct inst_status *v, size_t n, bool full)
{
    controller_begin(c, now);
    if (full)
        c->full_seq++;
    for (size_t i = 0; i < n; i++)
        take_status(c, now, &v[i]);
    if (full) {
        for (size_t i = 0; i < c->svc_n; i++)
            take_absence(c, c->svc[i], now);
        all_stale(c);
        if (!c->synced)
            sync_up(c, now);
    }
    controller_settle(c);
}

/* --- balancers -------------------------------------------------------------------------------------------------------- */
static void copy_report(struct balancer *b, const struct balancer_report *r)
{
    free(b->report.servers);
    b->report = *r;
    b->report.servers = xcalloc(r->server_n + 1, sizeof *r->servers);
    if (r->server_n > 0)
        memcpy(b->report.servers, r->servers, r->server_n * sizeof *r->servers);
    b->has_report = true;
}

void controller_balancer(struct controller *c, int64_t now, const struct balancer_report *r)
{
    controller_begin(c, now);
    struct balancer *b = controller_find_balancer(c, r->name);
    if (!b)
        return;
    copy_report(b, r);
    b->report_at = now;
    b->seq++;
    for (size_t k = 0; k < r->server_n; k++) {
        struct instance *i = controller_instance(c, r->servers[k].id, NULL);
        if (!i)
            continue;
        i->bal_seq = b->seq;
        i->bal_in_flight = r->servers[k].in_flight;
        i->bal_queued = r->servers[k].queued;
        i->bal_state = r->servers[k].state;
    }
    for (size_t i = 0; i < c->svc_n; i++) {     /* only drains wait for reports */
        struct service *s = c->svc[i];
        for (size_t k = 0; k < s->n && !s->stale && c->synced; k++)
            s->stale = s->inst[k]->want == WANT_DRAIN;
    }
    controller_settle(c);
}
