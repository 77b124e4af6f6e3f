/* core_check.c - the invariants (DESIGN.md): I1, I3 and I8 on what is now, slots and bounds besides. I2, I10, and again I3, speak of
 * changes: core_step.c looks at each of its own steps and leaves the first bad one in `broken`. */
#include "supervisord/core_priv.h"

static int check_instance(const struct service *s, const struct instance *i, struct err *e)
{
    if (i->listed && i->srv == SRV_READY && i->want != WANT_RUN)
        return err_set(e, -EPROTO, "I1: %s is in the upstream list and wanted %s", i->id, want_word(i->want));
    if (i->listed && i->srv == SRV_READY && !instance_ready(i) && !(s->panic && instance_passed(i)))
        return err_set(e, -EPROTO, "I1: %s is in the upstream list and was last known %s", i->id, instance_state_word(i->status.state));
    if (i->listed && i->srv == SRV_READY && instance_matches(i) && i->status.exited)
        return err_set(e, -EPROTO, "I8: the exit of %s was seen and it is in the upstream list", i->id);
    if (i->want == WANT_DRAIN && i->drain_at == 0)
        return err_set(e, -EPROTO, "%s drains since never", i->id);
    return 0;
}

static int check_service(const struct controller *c, const struct service *s, struct err *e)
{
    uint32_t wanted = 0, alive = 0, listed = 0;
    if (s->broken[0])
        return err_set(e, -EPROTO, "%s", s->broken);
    for (size_t k = 0; k < s->n; k++) {
        const struct instance *i = s->inst[k];
        int rc = check_instance(s, i, e);
        if (rc < 0)
            return rc;
        if (k > 0 && s->inst[k - 1]->slot >= i->slot)
            return err_set(e, -EPROTO, "%s: slots out of order", i->id);
        wanted += instance_wanted(i);
        if (i->want == WANT_RUN && instance_passed(i) && i->ever_listed) {
            alive++;
            listed += i->listed && i->srv == SRV_READY;
        }
    }
    if (wanted > s->desired + service_surge(s))
        return err_set(e, -EPROTO, "I3: %s: %u wanted to run, desired %u and surge %u", s->name, wanted, s->desired, service_surge(s));
    if (controller_balancer_of(c, s) && listed * 2 < alive)
        return err_set(e, -EPROTO, "I8: %s: %u of %u that run are in the upstream list", s->name, listed, alive);
    if (!s->target->spec.fixed && (s->desired < s->target->spec.min || s->desired > s->target->spec.max))
        return err_set(e, -EPROTO, "%s: %u desired, outside %u..%u", s->name, s->desired, s->target->spec.min, s->target->spec.max);
    return 0;
}

int controller_check(const struct controller *c, struct err *e)
{
    for (size_t i = 0; c->synced && i < c->svc_n; i++) {
        int rc = check_service(c, c->svc[i], e);
        if (rc < 0)
            return rc;
    }
    return 0;
}
