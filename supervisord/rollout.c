#include "supervisord/rollout.h"
#include <stdlib.h>
#include "base/cleanup.h"
#include "base/strbuf.h"

struct census {                     /* counted over those that are wanted (HOLD, RUN), but for `rows` */
    uint32_t rows, total, fresh, old, old_ready, fresh_available;
};

static bool wanted(const struct fleet_member *m) { return m->want == WANT_RUN || m->want == WANT_HOLD; }

static void count(const struct fleet *f, struct census *c)
{
    *c = (struct census){ .rows = (uint32_t)f->n };
    for (size_t i = 0; i < f->n; i++) {
        const struct fleet_member *m = &f->m[i];
        if (!wanted(m))
            continue;
        c->total++;
        if (m->is_new) {
            c->fresh++;
        } else {
            c->old++;
            c->old_ready += m->ready;
        }
    }
}

/* New ones that count as available, and when the next one will. "Nothing old is ready": nothing to protect, so at once. */
static void count_available(const struct fleet *f, struct census *c, struct rollout_plan *p)
{
    for (size_t i = 0; i < f->n; i++) {
        const struct fleet_member *m = &f->m[i];
        if (!wanted(m) || !m->is_new || !m->ready)
            continue;
        int64_t left = c->old_ready == 0 ? 0 : f->healthy_for_ms - m->ready_ms;
        if (left <= 0)
            c->fresh_available++;
        else if (left < p->again_in_ms)
            p->again_in_ms = left;
    }
}

/* Worst first: without a process, never ready, unready; then the idlest; then the youngest. */
static int member_rank(const struct fleet_member *m) { return !m->alive ? 0 : m->ready ? 3 : m->passed ? 2 : 1; }
static int victim_cmp(const void *va, const void *vb, void *fleet)
{
    const struct fleet_member *m = ((const struct fleet *)fleet)->m, *a = &m[*(const size_t *)va], *b = &m[*(const size_t *)vb];
    int ra = member_rank(a), rb = member_rank(b);
    if (ra != rb)
        return ra - rb;
    if (a->in_flight < b->in_flight || a->in_flight > b->in_flight)
        return a->in_flight < b->in_flight ? -1 : 1;
    return a->born > b->born ? -1 : a->born < b->born;
}

/* The wanted members of one kind, worst first. */
static size_t *candidates(const struct fleet *f, bool is_new, size_t *ret_n)
{
    size_t *v = xmalloc((f->n + 1) * sizeof *v), n = 0;
    for (size_t i = 0; i < f->n; i++)
        if (wanted(&f->m[i]) && f->m[i].is_new == is_new)
            v[n++] = i;
    qsort_r(v, n, sizeof *v, victim_cmp, (void *)(uintptr_t)f);
    *ret_n = n;
    return v;
}

static void take(struct rollout_plan *p, const struct fleet *f, size_t index)
{
    if (!p->victims)
        p->victims = xmalloc((f->n + 1) * sizeof *p->victims);
    p->victims[p->victim_n++] = index;
}

static void take_worst(struct rollout_plan *p, const struct fleet *f, bool is_new, uint32_t want)
{
    if (want == 0)
        return;
    size_t n;
    cleanup_free size_t *v = candidates(f, is_new, &n);
    for (size_t i = 0; i < n && i < want; i++)
        take(p, f, v[i]);
}

static uint32_t less(uint32_t a, uint32_t b) { return a > b ? a - b : 0; }

static void plan_steady(const struct fleet *f, const struct census *c, struct rollout_plan *p)
{
    if (c->fresh < f->desired)
        p->add_new = f->stop_first ? MIN_OF(f->desired - c->fresh, less(f->desired, c->rows)) : MIN_OF(f->desired - c->fresh, f->room);
    else
        take_worst(p, f, true, c->fresh - f->desired);
}

/* Who serves while the new ones do not get healthy: old ones, topped up or cut to what `desired` is now; if that is still too many, then
 * of the new ones those that are worst off. */
static void plan_paused(const struct fleet *f, const struct census *c, struct rollout_plan *p)
{
    uint32_t serving = c->old + c->fresh_available, most = f->desired + f->surge, surplus = less(c->old, f->desired);
    uint32_t available = MIN_OF(c->old_ready, c->old - surplus) + c->fresh_available;
    if (serving < f->desired)
        p->add_old = f->stop_first ? 0 : MIN_OF(MIN_OF(f->desired - serving, less(most, c->total)), f->room);
    take_worst(p, f, false, surplus);
    take_worst(p, f, true, MIN_OF(less(c->total - surplus, most), c->fresh - c->fresh_available + less(available, f->desired)));
}

static void plan_rolling(const struct fleet *f, const struct census *c, struct rollout_plan *p)
{
    uint32_t surge = f->stop_first ? 0 : f->surge;
    uint32_t unavailable = surge == 0 && f->unavailable == 0 ? 1 : f->unavailable;    /* else nothing could ever move */
    uint32_t floor = less(f->desired, unavailable), available = c->old_ready + c->fresh_available;
    uint32_t ready_budget = less(available, floor);
    uint32_t unready_budget = less(less(c->total, floor), c->fresh - c->fresh_available);
    uint32_t left = c->total;
    size_t n;
    cleanup_free size_t *v = candidates(f, false, &n);
    for (size_t i = 0; i < n; i++) {
        const struct fleet_member *m = &f->m[v[i]];
        bool go = !m->alive || !m->passed;      /* serves nobody: free */
        if (!go && !m->ready && unready_budget > 0) {
            unready_budget--;
            go = true;
        } else if (!go && m->ready && ready_budget > 0) {
            ready_budget--;
            go = true;
        }
        if (go) {
            take(p, f, v[i]);
            left--;
        }
    }
    uint32_t too_many = MAX_OF(less(c->fresh, f->desired), less(left, f->desired + surge));
    if (too_many > 0) {                         /* `desired` fell meanwhile, or is known anew after a lost store */
        take_worst(p, f, true, MIN_OF(MIN_OF(too_many, c->fresh), c->fresh - c->fresh_available + ready_budget));
        return;
    }
    uint32_t used = f->stop_first ? c->rows : left;
    p->add_new = MIN_OF(MIN_OF(f->desired - c->fresh, less(f->desired + surge, used)), f->stop_first ? UINT32_MAX : f->room);
}

/* Paused while a new one fails; and once paused, until all new ones that are wanted have been healthy for long enough. */
static void judge_pause(const struct fleet *f, const struct census *c, struct rollout_plan *p)
{
    for (size_t i = 0; i < f->n && p->culprit < 0; i++)
        if (wanted(&f->m[i]) && f->m[i].is_new && f->m[i].failing)
            p->culprit = (int64_t)i;
    p->paused = p->culprit >= 0 || (f->was_paused && c->fresh > 0 && c->fresh_available < c->fresh);
}

void rollout_plan(const struct fleet *f, struct rollout_plan *ret)
{
    *ret = (struct rollout_plan){ .culprit = -1, .again_in_ms = INT64_MAX };
    struct census c;
    count(f, &c);
    ret->rolling = c.old > 0;
    if (f->desired == 0) {
        take_worst(ret, f, false, c.old);
        take_worst(ret, f, true, c.fresh);
        return;
    }
    if (!ret->rolling) {
        plan_steady(f, &c, ret);
        return;
    }
    count_available(f, &c, ret);
    judge_pause(f, &c, ret);
    if (ret->paused)
        plan_paused(f, &c, ret);
    else
        plan_rolling(f, &c, ret);
}

void rollout_plan_done(struct rollout_plan *p)
{
    free(p->victims);
    *p = (struct rollout_plan){ 0 };
}
