/* figures.c - see figures.h. */
#include "agent/figures.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include "agent/sampler.h"
#include "base/cleanup.h"
#include "base/fnv.h"
#include "base/strbuf.h"

enum { RULE_MS = 1000, PLAIN_MS = 10000, ROUND_MS = 1000, SLICES = 4, SLICE_FROM = 250, EARLY_MS = 100, FIRST_LOOKS = 2, AT_ONCE = 300 };

struct plan {                           /* when an instance is looked at next */
    char id[ID_SIZE];
    int32_t pid;
    int64_t due_ms, whole_ms;
    uint32_t looks;                     /* at this process */
    uint64_t round;
    bool fresh;                         /* looked at in this round */
    struct inst_metrics last;           /* what is told; cpu and memory only */
    UT_hash_handle hh;
};
struct figures {
    struct agent_core *core;
    struct runner *runner;
    struct balancers *balancers;
    struct sampler *sampler;
    struct plan *plans;
    uint64_t round;
    int64_t balancers_ms;               /* when those are asked next */
};

struct figures *figures_new(struct agent_core *core, struct runner *runner, struct balancers *balancers)
{
    struct figures *f = xcalloc(1, sizeof(*f));

    *f = (struct figures){ .core = core, .runner = runner, .balancers = balancers, .sampler = sampler_new(NULL, NULL) };
    return f;
}

/* --- who is looked at ------------------------------------------------------------------------------------------- */
static bool scales_by_cpu(const struct service_spec *s)
{
    for (size_t i = 0; i < s->scale.rule_n; i++)
        if (s->scale.rules[i].metric == SCALE_CPU)
            return true;
    return false;
}

static struct plan *plan_of(struct figures *f, const char *id)
{
    struct plan *p;

    HASH_FIND_STR(f->plans, id, p);
    if (!p) {
        p = xcalloc(1, sizeof(*p));
        fixed_copy(p->id, sizeof(p->id), id);
        HASH_ADD_STR(f->plans, id, p);
    }
    return p;
}

static void drop_plans(struct figures *f)
{
    struct plan *p, *next;

    HASH_ITER(hh, f->plans, p, next)
        if (p->round != f->round) {
            HASH_DEL(f->plans, p);
            free(p);
        }
}

/* Each has its own moment within the period, so that a thousand of them do not hold up the loop at once. Without cgroups all have the
 * same one: there a look costs a walk through /proc, whoever it is for. */
static int64_t next_look(const struct plan *p, int64_t now_ms, int64_t period_ms, bool alone)
{
    int64_t phase = alone ? (int64_t)(fnv_str(FNV_INIT, p->id) % (uint32_t)period_ms) : 0;
    int64_t at = (now_ms - phase) / period_ms * period_ms + phase;

    return at + period_ms - EARLY_MS > now_ms ? at + period_ms : at + 2 * period_ms;
}

static bool plan_due(struct figures *f, struct plan *p, const struct runner_process *r, int64_t now_ms, bool *ret_whole)
{
    if (p->pid != r->pid) {
        p->pid = r->pid;
        p->looks = 0;
        p->due_ms = p->whole_ms = now_ms;
        p->last = (struct inst_metrics){ .cpu_pct = NAN, .cpu_of_limit_pct = NAN, .memory_bytes = NAN };
    }
    if (now_ms + EARLY_MS < p->due_ms)
        return false;
    const struct spec_ref *spec = agent_core_spec(f->core, p->id);
    bool alone = r->cgroup && *r->cgroup;
    *ret_whole = now_ms + EARLY_MS >= p->whole_ms;
    p->looks++;
    if (*ret_whole)
        p->whole_ms = next_look(p, now_ms, PLAIN_MS, alone);
    /* The first figure of a new process needs two looks, and is wanted soon. */
    p->due_ms = p->looks < FIRST_LOOKS ? now_ms + RULE_MS : spec && scales_by_cpu(&spec->spec) ? next_look(p, now_ms, RULE_MS, alone) : p->whole_ms;
    return true;
}

/* --- what is told ----------------------------------------------------------------------------------------------- */
static void note_sample(struct figures *f, struct plan *p, const struct sample_result *r)
{
    const struct spec_ref *spec = agent_core_spec(f->core, p->id);

    p->fresh = true;
    p->last.cpu_pct = r->cpu_pct;
    p->last.memory_bytes = r->memory_bytes;
    p->last.cpu_of_limit_pct = sample_cpu_of_limit_pct(r->cpu_pct, spec ? spec->spec.resources.cpu : 0, r->workers);
}

static void put_sample(struct inst_metrics *im, struct plan *p)
{
    im->cpu_pct = p->last.cpu_pct;
    im->memory_bytes = p->last.memory_bytes;
    im->cpu_of_limit_pct = p->last.cpu_of_limit_pct;
    p->fresh = false;
}

/* A balanced one is told with what its balancers said, each round, so its last sample goes along; others when there is a new one. */
static void merge(struct figures *f, struct wire_msg *m, size_t fresh_n)
{
    size_t balanced_n = m->metrics.in;
    struct plan *p, *next;

    for (size_t i = 0; i < balanced_n; i++) {
        HASH_FIND_STR(f->plans, m->metrics.iv[i].id, p);
        if (p)
            put_sample(&m->metrics.iv[i], p);
    }
    m->metrics.iv = xrealloc(m->metrics.iv, (balanced_n + fresh_n + 1) * sizeof(*m->metrics.iv));
    HASH_ITER(hh, f->plans, p, next) {
        if (!p->fresh)
            continue;
        struct inst_metrics *im = &m->metrics.iv[m->metrics.in++];
        *im = (struct inst_metrics){ .rate = NAN, .error_rate = NAN, .in_flight = NAN, .queue = NAN, .p50_ms = NAN, .p95_ms = NAN, .p99_ms = NAN };
        fixed_copy(im->id, sizeof(im->id), p->id);
        put_sample(im, p);
    }
}

static size_t sample(struct figures *f, int64_t now_ms)
{
    size_t max = agent_core_count(f->core) + 1, due = 0;
    cleanup_free struct runner_process *v = xcalloc(max, sizeof(*v));
    cleanup_free struct sample_target *t = xcalloc(max, sizeof(*t));
    cleanup_free struct sample_result *r = xcalloc(max, sizeof(*r));
    size_t n = runner_processes(f->runner, v, max), most = MAX_OF((size_t)AT_ONCE, n / (SLICES - 1));

    f->round++;
    for (size_t i = 0; i < n; i++) {
        struct plan *p = plan_of(f, v[i].id);
        bool whole = false;
        p->round = f->round;
        if (due < most && plan_due(f, p, &v[i], now_ms, &whole))
            t[due++] = (struct sample_target){ p->id, v[i].pid, v[i].cgroup, whole };
    }
    drop_plans(f);
    if (due)
        sampler_round(f->sampler, now_ms, t, due, r);
    for (size_t i = 0; i < due; i++)
        note_sample(f, plan_of(f, t[i].id), &r[i]);
    return due;
}

bool figures_round(struct figures *f, int64_t now_ms, struct wire_msg *m)
{
    size_t fresh_n = sample(f, now_ms);

    if (now_ms + EARLY_MS >= f->balancers_ms) {
        f->balancers_ms = now_ms + ROUND_MS;
        balancers_metrics(f->balancers, now_ms, &m->metrics.sv, &m->metrics.sn, &m->metrics.iv, &m->metrics.in);
    }
    merge(f, m, fresh_n);
    return m->metrics.in || m->metrics.sn;
}

int64_t figures_pause_ms(const struct figures *f)
{
    return HASH_COUNT(f->plans) >= SLICE_FROM ? ROUND_MS / SLICES : ROUND_MS;
}
