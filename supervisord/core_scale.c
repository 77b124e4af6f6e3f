/* core_scale.c - figures in, the scaler asked, its answer carried out and remembered. */
#include "supervisord/core_priv.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void settle(struct instance *i, int64_t now)
{
    if (instance_ready(i) && i->ready_since > 0 && now - i->ready_since >= SETTLED_MS)
        i->settled_pid = i->status.pid;
}

static struct scale_sample sample_of(struct instance *i, int64_t now)
{
    settle(i, now);
    struct scale_sample s = { .ready = instance_ready(i), .m = i->metrics };
    s.settled = instance_alive(i) && i->settled_pid > 0 && i->settled_pid == i->status.pid;
    if (!i->has_metrics)
        s.m = (struct inst_metrics){ .age_ms = INT64_MAX / 2, .cpu_pct = NAN, .cpu_of_limit_pct = NAN };
    else
        s.m.age_ms += now - i->metrics_at;
    return s;
}

/* At most `desired` samples: what a rollout has on top feeds no signal (I10). New ones are the surplus. */
static uint32_t collect(struct service *s, int64_t now, struct scale_sample *v)
{
    uint32_t n = 0;
    for (int fresh = 0; fresh < 2; fresh++)
        for (size_t k = 0; k < s->n && n < s->desired; k++) {
            struct instance *i = s->inst[k];
            if (i->want == WANT_RUN && (i->rel->generation == s->target->generation) == fresh)
                v[n++] = sample_of(i, now);
        }
    return n;
}

static void decide(struct controller *c, struct service *s, int64_t now)
{
    cleanup_free struct scale_sample *v = xcalloc(s->n + 1, sizeof *v);
    struct svc_metrics svc = s->metrics;
    svc.age_ms += now - s->metrics_at;
    const struct service_spec *spec = &s->target->spec;
    struct scale_input in = {
        .policy = &spec->scale, .min = spec->min, .max = spec->max, .current = s->desired, .samples = v, .n = collect(s, now, v),
        .svc = s->has_metrics ? &svc : NULL, .now_ms = now, .stale_after_ms = METRICS_STALE_MS,
    };
    uint32_t desired;
    struct scale_why why;
    s->decided_at = now;
    if (scaler_decide(&in, &s->mem, &desired, &why) < 0)
        return;
    service_explain(s, &why);
    if (desired == s->desired)
        return;
    controller_event(c, 5, "scaled", s->name, "%u -> %u: %s", s->desired, desired, why.text);
    s->desired = desired;
    service_changed(s);
}

static bool scales(const struct controller *c, const struct service *s)
{
    return c->synced && !c->down && service_goal(s) > 0 && s->gate_open && !s->target->spec.fixed && s->target->spec.scale.rule_n > 0;
}

void controller_metrics(struct controller *c, int64_t now, const struct inst_metrics *iv, size_t in, const struct svc_metrics *sv, size_t sn)
{
    controller_begin(c, now);
    for (size_t k = 0; k < in; k++) {
        struct service *s;
        struct instance *i = controller_instance(c, iv[k].id, &s);
        if (!i)
            continue;
        i->metrics = iv[k];
        i->metrics_at = now;
        i->has_metrics = s->views_stale = true;
    }
    for (size_t k = 0; k < sn; k++) {
        struct service *s = controller_find(c, sv[k].service);
        if (!s)
            continue;
        s->metrics = sv[k];
        s->metrics_at = now;
        s->has_metrics = true;
    }
    for (size_t k = 0; k < c->svc_n; k++)
        if (scales(c, c->svc[k]) && (c->svc[k]->decided_at == 0 || now - c->svc[k]->decided_at >= DECIDE_EVERY_MS))
            decide(c, c->svc[k], now);
    controller_settle(c);
}
