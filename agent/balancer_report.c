#include <math.h>
#include <string.h>
#include "agent/balancer_internal.h"
#include "base/cleanup.h"
#include "base/strbuf.h"
#include "base/banned.h"

struct load { uint32_t in_flight, queued; };

/* A HAProxy that ends its last requests takes no more changes of its lists, and each of its idle clients may send one more request: for a
 * server that drains, that counts as one in flight while there are such clients. */
static bool may_still_send(const struct hapgen *g, const struct hap_row *r)
{
    bool may = hapgen_connections(g) != 0 || g->heard_ms <= g->stopping_ms + HAP_GRACE_MS;
    return g->stopping && !g->let_go && r && !r->maint && !r->drain && r->up && may;
}

static struct load load_of(const struct balancer *b, const struct upstream *u, const struct upstream_server *s)
{
    int64_t in_flight = 0, queued = 0;
    bool more = false;
    for (size_t i = 0; i < GENS_MAX; i++) {
        const struct hapgen *g = &b->gens[i];
        const struct hap_row *r = g->number && g->has_stat ? hap_stat_find(&g->stat, u->service, HAP_SERVER, s->id) : NULL;
        if (!r)
            continue;
        in_flight += MAX_OF(r->scur, 0);
        queued += MAX_OF(r->qcur, 0);
        more |= may_still_send(g, r);
    }
    if (in_flight == 0 && more && s->state == SRV_DRAIN)
        in_flight = 1;
    return (struct load){ (uint32_t)in_flight, (uint32_t)queued };
}

/* Whoever waits for a drain wants to hear of figures that are newer than the acknowledgement, also when they are the same. */
bool balancer_draining(const struct balancer *b)
{
    if (b->echo)
        return true;
    for (size_t i = 0; i < b->want.upstream_n; i++)
        for (size_t k = 0; k < b->want.upstreams[i].server_n; k++)
            if (b->want.upstreams[i].servers[k].state == SRV_DRAIN)
                return true;
    return false;
}

static struct balancer_server_report server_report(const struct balancer *b, const struct upstream *u, const struct upstream_server *s)
{
    const struct hapgen *g = b->cur;
    const struct hap_row *r = g && g->has_stat ? hap_stat_find(&g->stat, u->service, HAP_SERVER, s->id) : NULL;
    struct load l = load_of(b, u, s);
    struct balancer_server_report v = { .state = SRV_MAINT, .in_flight = l.in_flight, .queued = l.queued };
    fixed_printf(v.id, "%s", s->id);
    if (r) {
        v.state = r->maint ? SRV_MAINT : r->drain ? SRV_DRAIN : SRV_READY;
        v.up = r->up && !r->maint;
    }
    return v;
}

static void find_problem(const struct balancer *b, char *ret, size_t size)
{
    const struct hapgen *g = b->cur;
    *ret = 0;
    if (b->problem[0])
        snprintf(ret, size, "%s", b->problem);
    else if (g && g->refusal[0] && !hapgen_synced(g))
        snprintf(ret, size, "HAProxy does not take the list: %s", g->refusal);
    else if (g && g->refused)
        snprintf(ret, size, "%u servers have no usable address", g->refused);
}

static struct balancer_report make(const struct balancer *b)
{
    struct balancer_report r = { .epoch = b->acked_epoch, .revision = b->acked_revision };
    size_t n = 0;
    fixed_printf(r.name, "%s", b->name);
    r.running = b->cur != NULL;
    r.pid = b->cur ? b->cur->pid : 0;
    find_problem(b, r.problem, sizeof r.problem);
    for (size_t i = 0; i < b->want.upstream_n; i++)
        n += b->want.upstreams[i].server_n;
    r.servers = xcalloc(n + 1, sizeof *r.servers);
    for (size_t i = 0; i < b->want.upstream_n; i++)
        for (size_t k = 0; k < b->want.upstreams[i].server_n; k++)
            r.servers[r.server_n++] = server_report(b, &b->want.upstreams[i], &b->want.upstreams[i].servers[k]);
    return r;
}

static bool same(const struct balancer_report *a, const struct balancer_report *b)
{
    if (a->epoch != b->epoch || a->revision != b->revision || a->running != b->running || a->pid != b->pid || a->server_n != b->server_n ||
        strcmp(a->problem, b->problem) != 0)
        return false;
    for (size_t i = 0; i < a->server_n; i++) {
        const struct balancer_server_report *x = &a->servers[i], *y = &b->servers[i];
        if (strcmp(x->id, y->id) != 0 || x->state != y->state || x->up != y->up || x->in_flight != y->in_flight || x->queued != y->queued)
            return false;
    }
    return true;
}

/* The controller lets go of what drains only on figures that were taken after the acknowledgement: so each acknowledgement is followed by one
 * more report, even if it says the same. */
static bool owes_echo(struct balancer *b, const struct balancer_report *r)
{
    int64_t heard = b->cur ? b->cur->heard_ms : 0;
    bool due = b->echo && heard > b->echo_heard_ms;
    if (due || !b->cur)
        b->echo = false;
    if (b->cur && (!b->reported || r->revision != b->last.revision || r->epoch != b->last.epoch)) {
        b->echo = true;
        b->echo_heard_ms = heard;
    }
    return due;
}

void balancer_tell(struct balancer *b, bool always)
{
    struct balancer_report r = make(b);
    bool echo = owes_echo(b, &r);
    if (!always && !echo && b->reported && same(&r, &b->last)) {
        free(r.servers);
        return;
    }
    free(b->last.servers);
    b->last = r;
    b->reported = true;
    b->ops->report(b->arg, &b->last);
}

void balancer_report_now(struct balancer *b) { balancer_tell(b, true); }

/* --- figures -------------------------------------------------------------------------------------------- */
static void latencies(const struct balancer *b, int64_t now_ms, const char *name, struct latwin_figures *ret)
{
    *ret = (struct latwin_figures){ NAN, NAN, NAN, 0, 0 };
    if (b->logs)
        logreader_figures(b->logs, now_ms, name, ret);
}

static double backend_queue(const struct balancer *b, const char *service)
{
    int64_t sum = 0;
    for (size_t i = 0; i < GENS_MAX; i++) {
        const struct hap_row *r = b->gens[i].number && b->gens[i].has_stat ? hap_stat_find(&b->gens[i].stat, service, HAP_BACKEND, NULL) : NULL;
        sum += r ? MAX_OF(r->qcur, 0) : 0;
    }
    return (double)sum;
}

static struct inst_metrics of_instance(const struct balancer *b, int64_t now_ms, int64_t age_ms, const struct upstream *u, const struct upstream_server *s)
{
    struct hapmetrics_figures f = { 0, 0, NAN, NAN, INT64_MAX };
    struct latwin_figures l;
    struct load load = load_of(b, u, s);
    hapmetrics_figures(b->metrics, now_ms, s->id, &f);
    latencies(b, now_ms, s->id, &l);
    struct inst_metrics m = { .age_ms = age_ms, .cpu_pct = NAN, .cpu_of_limit_pct = NAN, .memory_bytes = NAN, .rate = f.rate, .error_rate = f.error_rate,
        .in_flight = load.in_flight, .queue = load.queued, .p50_ms = l.p50_ms, .p95_ms = l.p95_ms, .p99_ms = l.p99_ms, .samples = l.samples };
    fixed_printf(m.id, "%s", s->id);
    return m;
}

static struct svc_metrics of_service(const struct balancer *b, int64_t now_ms, int64_t age_ms, const struct upstream *u)
{
    struct hapmetrics_figures f = { 0, 0, NAN, NAN, INT64_MAX };
    struct latwin_figures l;
    hapmetrics_figures(b->metrics, now_ms, u->service, &f);
    latencies(b, now_ms, u->service, &l);
    struct svc_metrics m = { .age_ms = age_ms, .rate = f.rate, .error_rate = f.error_rate, .in_flight = 0, .queue = backend_queue(b, u->service),
        .p50_ms = l.p50_ms, .p95_ms = l.p95_ms, .p99_ms = l.p99_ms, .samples = l.samples, .requests = f.requests, .errors = f.errors,
        .log_seen = l.seen, .log_expected = f.requests };
    fixed_printf(m.service, "%s", u->service);
    return m;
}

void balancer_metrics(struct balancer *b, int64_t now_ms, struct svc_metrics **sv, size_t *sn, struct inst_metrics **iv, size_t *in)
{
    if (!b->cur || !b->cur->has_stat || b->freed)
        return;                             /* nothing known: nothing said */
    int64_t age = now_ms - b->cur->heard_ms;
    for (size_t i = 0; i < b->want.upstream_n; i++) {
        const struct upstream *u = &b->want.upstreams[i];
        struct svc_metrics s = of_service(b, now_ms, age, u);
        *iv = xrealloc(*iv, (*in + u->server_n + 1) * sizeof **iv);
        for (size_t k = 0; k < u->server_n; k++) {
            struct inst_metrics m = of_instance(b, now_ms, age, u, &u->servers[k]);
            s.in_flight += m.in_flight;
            s.queue += m.queue;
            (*iv)[(*in)++] = m;
        }
        *sv = xrealloc(*sv, (*sn + 1) * sizeof **sv);
        (*sv)[(*sn)++] = s;
    }
}
