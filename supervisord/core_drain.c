/* core_drain.c - out of service, always in this order: draining -> the balancer acknowledges the list without it -> nothing in flight
 * (or the drain time is over) -> stop -> the agent says stopped -> the row goes and its slot is free. */
#include "supervisord/core_priv.h"

/* May it have traffic? A status of the generation before it in its slot says nothing about it: then it has not started. */
static bool has_traffic(const struct controller *c, const struct service *s, const struct instance *i)
{
    return i->ever_listed && instance_alive(i) && instance_matches(i) && controller_balancer_of(c, s);
}

/* The agent says so itself: a `stopped` one is not started again unless wanted to run. */
static bool stays_away(const struct instance *i)
{
    return i->absent || (i->known && instance_matches(i) && !i->status.alive && i->status.state == INST_STOPPED);
}

void service_let_go(struct controller *c, struct service *s, struct instance *i, int64_t now)
{
    uint64_t revision = controller_bump(c);
    /* One whose exit was seen drains too: it may be back, ready and in the list by now (the agent beside the balancer sees to that). Told to
     * drain, the agent does not start it again, so once the balancer has this revision, what its status says of it is true. */
    if (i->want == WANT_RUN && i->ever_listed && controller_balancer_of(c, s)) {
        instance_want(i, WANT_DRAIN);
        i->drain_revision = revision;
        i->drain_at = now;
        i->ack_seq = 0;
    } else {
        instance_want(i, WANT_STOP);
    }
    service_changed(s);
}

/* By the last report; an instance that it does not list has nothing there. Figures of the very report that acknowledges may have been
 * taken before the list changed, unless it shows the server as drained already. */
static bool nothing_in_flight(const struct balancer *b, const struct instance *i)
{
    bool listed = i->bal_seq == b->seq, later = b->seq > i->ack_seq;
    if (listed && i->bal_in_flight + i->bal_queued > 0)
        return false;
    return later || (listed && i->bal_state != SRV_READY);
}

/* Whether the drain is through; else *ret_at: when to look again if no news come. */
static bool drained(struct controller *c, const struct service *s, struct instance *i, int64_t now, int64_t *ret_at)
{
    const struct balancer *b = controller_balancer_of(c, s);
    if (!b || stays_away(i))
        return true;
    bool traffic = has_traffic(c, s, i);
    int64_t over = i->drain_at + i->rel->spec.stop.drain_ms;
    bool acked = b->has_report && b->report.epoch == c->epoch && b->report.revision >= i->drain_revision;
    if (acked) {
        if (i->ack_seq == 0)
            i->ack_seq = b->seq;
        if (!traffic || now >= over || nothing_in_flight(b, i))
            return true;
        *ret_at = over;
        return false;
    }
    bool dead = b->has_report && !b->report.running;
    int64_t until = dead || !traffic ? i->drain_at + DEAD_PATIENCE_MS : over + ACK_PATIENCE_MS;
    if (now >= until) {
        if (!dead && traffic)
            controller_event(c, 4, "drain", i->id, "balancer %s does not acknowledge the list without it: stopped all the same", b->name);
        return true;
    }
    *ret_at = until;
    return false;
}

void service_drains(struct controller *c, struct service *s, int64_t now)
{
    for (size_t k = 0; k < s->n; k++) {
        struct instance *i = s->inst[k];
        if (i->want != WANT_DRAIN)
            continue;
        int64_t again = INT64_MAX;
        if (drained(c, s, i, now, &again)) {
            instance_want(i, WANT_STOP);
            controller_bump(c);
            service_changed(s);
        }
        s->next_at = MIN_OF(s->next_at, again);
    }
}

/* Gone: the agent does not have it, never heard of it, or says that it has ended. (Never heard of: not in the next list, so not started.) */
static bool gone(const struct instance *i)
{
    if (!i->known || i->absent)
        return true;
    return !i->status.alive && (i->status.state == INST_STOPPED || !instance_matches(i));
}

void service_reap(struct controller *c, struct service *s)
{
    for (size_t k = s->n; k-- > 0;)
        if (s->inst[k]->want == WANT_STOP && gone(s->inst[k])) {
            service_remove(s, k);
            controller_bump(c);
            service_changed(s);
        }
}
