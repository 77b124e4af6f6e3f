/* core_apply.c - what a file wants: the difference to what is wanted now, and the change of it. */
#include "supervisord/core_priv.h"
#include <stdlib.h>
#include <string.h>

struct apply {
    struct controller *c;
    const struct apply_request *r;
    bool dry;
    struct strbuf *diff;            /* may be NULL */
    uint32_t changes;
};

static void say(struct apply *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct apply *a, const char *fmt, ...)
{
    if (!a->diff)
        return;
    va_list ap;
    va_start(ap, fmt);
    strbuf_vprintf(a->diff, fmt, ap);
    va_end(ap);
}

/* --- refusals: nothing is changed before all of these have passed ---------------------------------------------------- */
static int check_ports(const struct controller *c, const struct apply_request *r, struct err *e)
{
    for (size_t i = 0; i < r->config->service_n; i++) {
        const struct service_spec *n = &r->config->services[i];
        for (size_t k = 0; n->port_kind == PORT_FIXED && k < c->svc_n; k++) {
            const struct service *s = c->svc[k];
            bool stays = strcmp(s->name, n->name) != 0 && !config_service(r->config, s->name) && strcmp(s->source, r->source) != 0 && !s->deleting;
            if (stays && s->target->spec.port_kind == PORT_FIXED && s->target->spec.port == n->port)
                return err_set(e, -EBUSY, "services.%s.port: %u is the port of service %s (from %s)", n->name, n->port, s->name, s->source);
        }
    }
    for (size_t i = 0; i < r->config->balancer_n; i++) {
        const struct balancer_spec *n = &r->config->balancers[i];
        for (size_t k = 0; k < c->bal_n; k++) {
            const struct balancer *b = c->bal[k];
            bool stays = strcmp(b->name, n->name) != 0 && !config_balancer(r->config, b->name) && strcmp(b->source, r->source) != 0;
            if (stays && b->spec.listen_port == n->listen_port && !strcmp(b->spec.listen_host, n->listen_host))
                return err_set(e, -EBUSY, "balancers.%s.haproxy.listen: port %u is the one of balancer %s (from %s)", n->name, n->listen_port,
                               b->name, b->source);
        }
    }
    return 0;
}

static int check_room(const struct controller *c, const struct apply_request *r, struct err *e)
{
    size_t services = c->svc_n, balancers = c->bal_n;
    for (size_t i = 0; i < r->config->service_n; i++)
        services += !controller_find(c, r->config->services[i].name);
    for (size_t i = 0; i < r->config->balancer_n; i++)
        balancers += !controller_find_balancer(c, r->config->balancers[i].name);
    if (services > SERVICES_MAX)
        return err_set(e, -EINVAL, "%zu services, at most %d are possible", services, SERVICES_MAX);
    if (balancers > BALANCERS_MAX)
        return err_set(e, -EINVAL, "%zu balancers, at most %d are possible", balancers, BALANCERS_MAX);
    return 0;
}

/* --- one service ---------------------------------------------------------------------------------------------------------- */
static void set_source(char **source, const char *is)
{
    if (*source && !strcmp(*source, is))
        return;
    free(*source);
    *source = xstrdup(is);
}

static void new_service(struct apply *a, const struct service_spec *spec, char *json)
{
    say(a, "service %s: new\n", spec->name);
    a->changes++;
    if (a->dry)
        return;
    struct controller *c = a->c;
    struct service *s = controller_add_service(c, spec->name);
    s->source = xstrdup(a->r->source);
    s->target = release_new(spec->name, json, controller_generation(c), 1, a->r->owner_uid, a->r->owner_gid, a->r->path_env, NULL);
    assert(s->target);                              /* made from a validated spec */
    s->desired = spec->min;
    service_changed(s);
    controller_event(c, 5, "applied", s->name, "new: revision 1, %u instance%s", s->desired, s->desired == 1 ? "" : "s");
}

/* A new number in the file ends a person's hold; a range keeps the scaled count within it. */
static void recount(struct service *s, const struct service_spec *was, const struct service_spec *is)
{
    bool number_changed = was->fixed != is->fixed || was->max != is->max;
    if (is->fixed && number_changed) {
        s->desired = is->max;
        s->held = false;
    } else if (!is->fixed) {
        s->desired = MAX_OF(is->min, MIN_OF(is->max, s->desired));
        s->held = false;
    }
}

static bool same_owner(const struct release *r, const struct apply_request *q, const struct service_spec *is)
{
    return is->user || (r->owner_uid == q->owner_uid && r->owner_gid == q->owner_gid);
}

static bool same_process(const struct release *r, const struct apply *a, const struct service_spec *is)
{
    return same_owner(r, a->r, is) && service_spec_same_process(&r->spec, is);
}

/* The generation that already runs just this process: going back to it restarts nobody who still has it. */
static const struct release *running_twin(const struct service *s, const struct apply *a, const struct service_spec *is)
{
    const struct release *best = same_process(s->target, a, is) ? s->target : NULL;
    for (size_t k = 0; !best && k < s->n; k++)
        if (instance_wanted(s->inst[k]) && same_process(s->inst[k]->rel, a, is))
            best = s->inst[k]->rel;
    return best;
}

static void retarget(struct service *s, struct release *r)
{
    release_unref(s->target);
    s->target = r;
    for (size_t k = 0; k < s->n; k++)
        if (s->inst[k]->rel != r && s->inst[k]->rel->generation == r->generation) {     /* same process: taken without a restart */
            release_unref(s->inst[k]->rel);
            s->inst[k]->rel = release_ref(r);
        }
    s->paused = false;
    s->pause_reason[0] = s->pause_id[0] = '\0';
}

static void change_service(struct apply *a, struct service *s, const struct service_spec *is, const char *json)
{
    const struct release *twin = running_twin(s, a, is);
    bool in_place = twin == s->target, back = s->deleting;
    uint32_t revision = s->target->revision;
    say(a, "service %s: changed (revision %u -> %u, %s)\n", s->name, revision, revision + 1, in_place ? "in place" : "rolling");
    if (a->diff)
        service_spec_diff(&s->target->spec, is, a->diff);
    if (!same_owner(s->target, a->r, is))
        say(a, "  ~ owner: uid %u -> %u\n", s->target->owner_uid, a->r->owner_uid);
    if (back)
        say(a, "  + it was being deleted and comes back\n");
    a->changes++;
    if (a->dry)
        return;
    struct controller *c = a->c;
    recount(s, &s->target->spec, is);
    if (!strv_equal(&s->target->spec.after, &is->after))
        s->gate_seen = 0;                           /* its bits spoke of the old list */
    struct release *r = twin ? release_new(s->name, json, twin->generation, revision + 1, twin->owner_uid, twin->owner_gid, twin->path_env, NULL)
                             : release_new(s->name, json, controller_generation(c), revision + 1, a->r->owner_uid, a->r->owner_gid, a->r->path_env, NULL);
    assert(r);
    retarget(s, r);
    s->deleting = false;
    set_source(&s->source, a->r->source);
    service_changed(s);
    controller_bump(c);
    controller_event(c, 5, "applied", s->name, "changed: revision %u -> %u%s", revision, revision + 1, in_place ? ", no restart" : "");
}

static void apply_service(struct apply *a, const struct service_spec *spec)
{
    struct service *s = controller_find(a->c, spec->name);
    cleanup_free char *json = service_spec_to_json(spec);
    if (!s) {
        new_service(a, spec, json);
    } else if (s->deleting || strcmp(s->target->json, json) != 0 || !same_owner(s->target, a->r, spec)) {
        change_service(a, s, spec, json);
    } else if (!a->dry && strcmp(s->source, a->r->source) != 0) {
        set_source(&s->source, a->r->source);       /* the same from another file: that is its home now */
        s->dirty = true;
    }
}

static void remove_missing_services(struct apply *a)
{
    for (size_t i = 0; i < a->c->svc_n; i++) {
        struct service *s = a->c->svc[i];
        if (s->deleting || strcmp(s->source, a->r->source) != 0 || config_service(a->r->config, s->name))
            continue;
        say(a, "service %s: removed\n", s->name);
        a->changes++;
        if (a->dry)
            continue;
        s->deleting = true;
        service_changed(s);
        controller_event(a->c, 5, "deleting", s->name, "no longer in %s: drained and stopped", a->r->source);
    }
}

/* --- balancers -------------------------------------------------------------------------------------------------------------- */
static void apply_balancer(struct apply *a, const struct balancer_spec *spec)
{
    struct controller *c = a->c;
    struct balancer *b = controller_find_balancer(c, spec->name);
    cleanup_free char *json = balancer_spec_to_json(spec);
    if (b && !b->deleting && !strcmp(b->json, json)) {
        if (!a->dry && strcmp(b->source, a->r->source) != 0) {
            set_source(&b->source, a->r->source);
            b->dirty = true;
        }
        return;
    }
    say(a, b ? "balancer %s: changed\n" : "balancer %s: new\n", spec->name);
    if (b && a->diff)
        balancer_spec_diff(&b->spec, spec, a->diff);
    a->changes++;
    if (a->dry)
        return;
    if (!b)
        b = controller_add_balancer(c, spec->name);
    struct balancer_spec copy;
    int rc = balancer_spec_from_json(spec->name, json, &copy, NULL);
    assert(rc == 0);
    (void)rc;
    balancer_spec_done(&b->spec);
    b->spec = copy;
    free(b->json);
    b->json = TAKE(json);
    set_source(&b->source, a->r->source);
    b->deleting = false;
    b->dirty = true;
    controller_bump(c);
    for (size_t i = 0; i < c->svc_n; i++)
        c->svc[i]->stale = true;
}

static void remove_missing_balancers(struct apply *a)
{
    for (size_t i = 0; i < a->c->bal_n; i++) {
        struct balancer *b = a->c->bal[i];
        if (b->deleting || strcmp(b->source, a->r->source) != 0 || config_balancer(a->r->config, b->name))
            continue;
        say(a, "balancer %s: removed\n", b->name);
        a->changes++;
        if (!a->dry)
            b->deleting = b->dirty = true;      /* it goes with the last instance behind it */
    }
}

int controller_apply(struct controller *c, int64_t now, const struct apply_request *r, bool dry, struct strbuf *diff, uint32_t *ret_changes, struct err *e)
{
    int rc = check_room(c, r, e);
    if (rc == 0)
        rc = check_ports(c, r, e);
    if (rc == 0 && c->down && !dry)
        rc = err_set(e, -EBUSY, "everything is being ended (down)");
    if (rc < 0)
        return rc;
    if (!dry)
        controller_begin(c, now);
    struct apply a = { .c = c, .r = r, .dry = dry, .diff = diff };
    for (size_t i = 0; i < r->config->balancer_n; i++)
        apply_balancer(&a, &r->config->balancers[i]);
    for (size_t i = 0; i < r->config->service_n; i++)
        apply_service(&a, &r->config->services[i]);
    remove_missing_services(&a);
    remove_missing_balancers(&a);
    if (ret_changes)
        *ret_changes = a.changes;
    if (!dry)
        controller_settle(c);
    return 0;
}
