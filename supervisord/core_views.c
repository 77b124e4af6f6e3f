/* core_views.c - what the API shows. */
#include "supervisord/core_priv.h"
#include <stdlib.h>
#include <string.h>

static void fill_instance(const struct service *s, const struct instance *i, struct instance_view *v)
{
    *v = (struct instance_view){ .generation = i->rel->generation, .revision = i->rel->revision, .want = i->want,
                                 .old_revision = i->rel->generation != s->target->generation, .known = i->known,
                                 .status = i->status, .status_at = i->status_at, .metrics = i->metrics, .metrics_at = i->metrics_at,
                                 .has_metrics = i->has_metrics };
    memcpy(v->id, i->id, sizeof v->id);
}

/* Built when asked for, kept until the service changes. */
static void build_views(struct service *s)
{
    if (!s->views_stale && s->views)
        return;
    s->views = xrealloc(s->views, (s->n + 1) * sizeof *s->views);
    for (size_t k = 0; k < s->n; k++)
        fill_instance(s, s->inst[k], &s->views[k]);
    s->views_stale = false;
}

static void fill_service(struct service *s, struct service_view *v)
{
    build_views(s);
    const struct service_spec *spec = &s->target->spec;
    *v = (struct service_view){
        .name = s->name, .revision = s->target->revision, .state = s->state, .reason = s->reason, .desired = s->desired, .ready = s->ready,
        .min = spec->min, .max = spec->max, .fixed = spec->fixed, .held = s->held, .stopped = s->stopped, .spec = spec,
        .instances = s->views, .instance_n = s->n, .metrics = s->metrics, .has_metrics = s->has_metrics, .metrics_at = s->metrics_at,
        .last_why = s->why_n > 0 ? &s->why[(s->why_at + EXPLAIN_KEPT - 1) % EXPLAIN_KEPT] : NULL,
    };
}

size_t controller_service_count(const struct controller *c) { return c->svc_n; }

bool controller_service_at(const struct controller *c, size_t i, struct service_view *ret)
{
    if (i >= c->svc_n)
        return false;
    fill_service(c->svc[i], ret);
    return true;
}

bool controller_service(const struct controller *c, const char *name, struct service_view *ret)
{
    struct service *s = controller_find(c, name);
    if (s)
        fill_service(s, ret);
    return s;
}

size_t controller_explain(const struct controller *c, const char *name, const struct scale_why **ret, size_t max)
{
    const struct service *s = controller_find(c, name);
    size_t n = 0;
    for (; s && n < s->why_n && n < max; n++)
        ret[n] = &s->why[(s->why_at + EXPLAIN_KEPT - 1 - n) % EXPLAIN_KEPT];
    return n;
}

bool controller_balancer_at(const struct controller *c, size_t i, struct balancer_view *ret)
{
    if (i >= c->bal_n)
        return false;
    const struct balancer *b = c->bal[i];
    *ret = (struct balancer_view){ .name = b->name, .spec = &b->spec, .report = b->has_report ? &b->report : NULL,
        .applied = b->has_report && b->report.epoch == c->epoch && b->report.revision >= c->revision };
    return true;
}
