/* figures.c - see figures.h. */
#include "agent/figures.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "agent/sampler.h"
#include "base/strbuf.h"

struct figures {
    struct agent_core *core;
    struct runner *runner;
    struct balancers *balancers;
    struct sampler *sampler;
};

struct figures *figures_new(struct agent_core *core, struct runner *runner, struct balancers *balancers)
{
    struct figures *f = xcalloc(1, sizeof(*f));

    *f = (struct figures){ core, runner, balancers, sampler_new(NULL, NULL) };
    return f;
}

static struct inst_metrics *of_id(struct wire_msg *m, size_t balanced_n, const char *id)
{
    for (size_t i = 0; i < balanced_n; i++)
        if (!strcmp(m->metrics.iv[i].id, id))
            return &m->metrics.iv[i];
    struct inst_metrics *im = &m->metrics.iv[m->metrics.in++];  /* not balanced: CPU and memory only */
    *im = (struct inst_metrics){ .cpu_pct = NAN, .cpu_of_limit_pct = NAN, .memory_bytes = NAN, .rate = NAN, .error_rate = NAN,
                                 .in_flight = NAN, .queue = NAN, .p50_ms = NAN, .p95_ms = NAN, .p99_ms = NAN };
    fixed_copy(im->id, sizeof(im->id), id);
    return im;
}

static void add_samples(struct figures *f, struct wire_msg *m, const struct runner_process *p, const struct sample_result *r, size_t n)
{
    size_t balanced_n = m->metrics.in;

    m->metrics.iv = xrealloc(m->metrics.iv, (balanced_n + n + 1) * sizeof(*m->metrics.iv));
    for (size_t i = 0; i < n; i++) {
        const struct spec_ref *spec = agent_core_spec(f->core, p[i].id);
        struct inst_metrics *im = of_id(m, balanced_n, p[i].id);
        im->cpu_pct = r[i].cpu_pct;
        im->memory_bytes = r[i].memory_bytes;
        im->cpu_of_limit_pct = sample_cpu_of_limit_pct(r[i].cpu_pct, spec ? spec->spec.resources.cpu : 0, r[i].workers);
    }
}

void figures_round(struct figures *f, int64_t now_ms, struct wire_msg *m)
{
    size_t max = agent_core_count(f->core) + 1;
    struct runner_process *p = xcalloc(max, sizeof(*p));
    struct sample_target *t = xcalloc(max, sizeof(*t));
    struct sample_result *r = xcalloc(max, sizeof(*r));
    size_t n = runner_processes(f->runner, p, max);

    for (size_t i = 0; i < n; i++)
        t[i] = (struct sample_target){ p[i].id, p[i].pid, p[i].cgroup };
    sampler_round(f->sampler, now_ms, t, n, r);
    balancers_metrics(f->balancers, now_ms, &m->metrics.sv, &m->metrics.sn, &m->metrics.iv, &m->metrics.in);
    add_samples(f, m, p, r, n);
    free(p);
    free(t);
    free(r);
}
