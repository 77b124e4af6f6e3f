/* core_recover.c - the store is lost: what the agent last had is what is wanted, so that nothing stops. */
#include "supervisord/core_priv.h"
#include <string.h>

static const struct spec_ref *newest_spec(const struct desired *d, const char *name)
{
    const struct spec_ref *best = NULL;
    for (size_t i = 0; i < d->spec_n; i++)
        if (!strcmp(d->specs[i].spec.name, name) && (!best || d->specs[i].generation > best->generation))
            best = &d->specs[i];
    return best;
}

static struct release *to_release(const struct spec_ref *r)
{
    return release_new(r->spec.name, r->json, r->generation, r->revision, r->owner_uid, r->owner_gid, r->path_env, NULL);
}

static void recover_item(struct controller *c, struct service *s, const struct desired *d, const struct desired_item *it, uint32_t slot)
{
    const struct spec_ref *ref = &d->specs[it->spec_index];
    struct release *r = ref->generation == s->target->generation ? release_ref(s->target) : NULL;
    for (size_t k = 0; !r && k < s->n; k++)
        if (s->inst[k]->rel->generation == ref->generation)
            r = release_ref(s->inst[k]->rel);
    if (!r)
        r = to_release(ref);
    if (r)
        service_add_slot(s, slot, r, it->want);
    release_unref(r);
    c->generation = MAX_OF(c->generation, ref->generation);
}

/* How many were wanted: those that ran, within the range. A plain number that differs was a person's, or a rollout's surplus: the
 * number then holds if there are two generations. */
static void recover_count(struct service *s)
{
    uint32_t n = 0;
    bool two = false;
    for (size_t k = 0; k < s->n; k++) {
        n += instance_wanted(s->inst[k]);
        two |= s->inst[k]->rel->generation != s->target->generation;
    }
    const struct service_spec *spec = &s->target->spec;
    s->stopped = n == 0 && spec->min > 0;
    s->desired = n == 0 || (spec->fixed && two) ? spec->min : spec->fixed ? n : MAX_OF(spec->min, MIN_OF(spec->max, n));
    s->held = spec->fixed && s->desired != spec->max;
    s->gate_open = n > 0;
}

static void recover_balancer(struct controller *c, const struct balancer_desired *b)
{
    if (controller_find_balancer(c, b->spec.name) || c->bal_n >= BALANCERS_MAX)
        return;
    cleanup_free char *json = balancer_spec_to_json(&b->spec);
    struct balancer_spec copy;
    if (balancer_spec_from_json(b->spec.name, json, &copy, NULL) < 0)
        return;
    struct balancer *n = controller_add_balancer(c, b->spec.name);
    n->spec = copy;
    n->json = TAKE(json);
    n->source = xstrdup("");
    n->dirty = true;
}

void controller_recover(struct controller *c, int64_t now, const struct desired *had)
{
    controller_begin(c, now);
    size_t before = c->svc_n;
    for (size_t i = 0; i < had->balancer_n; i++)
        recover_balancer(c, &had->balancers[i]);
    for (size_t i = 0; i < had->item_n; i++) {
        char name[NAME_LEN_MAX + 1];
        uint32_t slot;
        const struct desired_item *it = &had->items[i];
        if (instance_id_parse(it->id, name, sizeof name, &slot) < 0 || it->spec_index >= had->spec_n)
            continue;
        struct service *s = controller_find(c, name);
        if (!s) {
            const struct spec_ref *ref = newest_spec(had, name);
            struct release *target = ref && c->svc_n < SERVICES_MAX ? to_release(ref) : NULL;
            if (!target)
                continue;
            s = controller_add_service(c, name);
            s->target = target;
            s->source = xstrdup("");
        }
        recover_item(c, s, had, it, slot);
    }
    for (size_t i = 0; i < c->svc_n; i++) {
        recover_count(c->svc[i]);
        service_changed(c->svc[i]);
    }
    controller_event(c, 4, "recovered", "", "the store was lost: %zu services taken over from the agent", c->svc_n - before);
    controller_settle(c);
}
