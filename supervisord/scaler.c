/* Formulas: cpu as Kubernetes' horizontal pod autoscaler does it (desired = ceil(current * value / target), missing metrics taken against the
 * direction, tolerance 0.1, stabilization window as the maximum of past answers); the rest is described in the header. */
#include "supervisord/scaler.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/num.h"

static const double TOLERANCE = 0.10, LATENCY_DOWN_BELOW = 0.5;
enum { PROPOSAL_MAX = 1000000 };

static uint32_t round_up(double x)
{
    if (!(x > 0))
        return 0;
    return x >= PROPOSAL_MAX ? PROPOSAL_MAX : (uint32_t)ceil(x - 1e-9);
}
static bool known(double v) { return isfinite(v) && v >= 0; }
static bool fresh(int64_t age_ms, const struct scale_input *in) { return age_ms >= 0 && age_ms <= in->stale_after_ms; }
static bool within(double ratio) { return fabs(ratio - 1) <= TOLERANCE; }

static void nothing_known(const struct scale_input *in, struct scale_rule_why *w)
{
    w->verdict = RULE_NO_DATA;
    w->proposal = in->current;
    w->value = NAN;
}

static void rule_cpu(const struct scale_input *in, struct scale_rule_why *w)
{
    double sum_all = 0, sum_ready = 0;
    uint32_t all = 0, ready = 0;
    for (uint32_t i = 0; i < in->n; i++) {
        const struct scale_sample *s = &in->samples[i];
        if (!s->settled || !fresh(s->m.age_ms, in) || !known(s->m.cpu_of_limit_pct))
            continue;
        double ratio = s->m.cpu_of_limit_pct / w->target;
        sum_all += ratio;
        all++;
        if (s->ready) {
            sum_ready += ratio;
            ready++;
        }
    }
    w->used = all;
    w->missing = in->current > all ? in->current - all : 0;
    w->proposal = in->current;
    if (all == 0) {
        nothing_known(in, w);
        return;
    }
    w->value = sum_all / all * w->target;
    if (within(sum_all / all)) {
        w->verdict = RULE_WITHIN_TOLERANCE;
        return;
    }
    if (sum_all / all > 1) {
        w->proposal = MAX_OF(round_up(sum_all), in->current);       /* missing ones count as idle */
    } else {
        uint32_t others = in->current > ready ? in->current - ready : 0;
        w->proposal = MIN_OF(round_up(sum_ready + others), in->current);
    }
}

/* in_flight and queue: a total over all instances. */
static void rule_total(const struct scale_input *in, double total, struct scale_rule_why *w)
{
    w->proposal = in->current;
    if (!in->svc || !fresh(in->svc->age_ms, in) || !known(total)) {
        nothing_known(in, w);
        return;
    }
    w->used = in->current;
    w->value = in->current > 0 ? total / in->current : total;
    if (in->current > 0 && within(w->value / w->target))
        w->verdict = RULE_WITHIN_TOLERANCE;
    else
        w->proposal = round_up(total / w->target);
}

static double quantile_of(const struct svc_metrics *m, double q) { return q <= 0.5 ? m->p50_ms : q <= 0.95 ? m->p95_ms : m->p99_ms; }

/* Requests that hang finish for no quantile: only with few in flight does silence mean that there is little to do. */
static bool idle(const struct scale_input *in)
{
    const struct svc_metrics *m = in->svc;
    return known(m->in_flight) && known(m->queue) && m->in_flight + m->queue <= in->current;
}

static void rule_latency(const struct scale_input *in, struct scale_rule_why *w)
{
    w->proposal = in->current;
    if (!in->svc || !fresh(in->svc->age_ms, in)) {
        nothing_known(in, w);
        return;
    }
    double enough = ceil(3 / (1 - MIN_OF(w->quantile, 0.999999)) - 1e-9);
    w->value = quantile_of(in->svc, w->quantile);
    w->used = in->svc->samples;
    if (in->svc->samples < enough) {
        w->verdict = RULE_TOO_FEW_SAMPLES;
        return;
    }
    if (!known(w->value)) {
        nothing_known(in, w);
        return;
    }
    double ratio = w->value / w->target;
    uint32_t settled = 0, step = MAX_OF(in->current / 10, 1u);
    for (uint32_t i = 0; i < in->n; i++)
        settled += in->samples[i].ready && in->samples[i].settled;
    if (ratio > 1 + TOLERANCE)
        w->proposal = MAX_OF(round_up((settled > 0 ? settled : in->current) * ratio), in->current);
    else if (ratio < LATENCY_DOWN_BELOW && settled >= in->current)
        w->proposal = MAX_OF(round_up(in->current * ratio), in->current > step ? in->current - step : 0);
    else
        w->verdict = RULE_WITHIN_TOLERANCE;
}

static void ask_rule(const struct scale_input *in, const struct scale_rule *r, struct scale_rule_why *w)
{
    *w = (struct scale_rule_why){ .metric = r->metric, .quantile = r->quantile, .target = r->target, .verdict = RULE_OK };
    if (!(r->target > 0)) {
        nothing_known(in, w);
        return;
    }
    switch (r->metric) {
    case SCALE_CPU: rule_cpu(in, w); break;
    case SCALE_LATENCY: rule_latency(in, w); break;
    case SCALE_IN_FLIGHT: rule_total(in, in->svc ? in->svc->in_flight : NAN, w); break;
    case SCALE_QUEUE: rule_total(in, in->svc ? in->svc->queue : NAN, w); break;
    default: nothing_known(in, w); break;
    }
}

/* --- the largest: a rule without data asks for what there is, so that it never gets smaller ----------------------------- */
static void ask_rules(const struct scale_input *in, struct scale_why *y)
{
    bool spoke = false;
    y->wanted = 0;
    for (size_t k = 0; k < in->policy->rule_n && k < SCALE_RULES_MAX; k++) {
        struct scale_rule_why *w = &y->rules[y->rule_n++];
        ask_rule(in, &in->policy->rules[k], w);
        y->no_data |= w->verdict == RULE_NO_DATA;
        if (w->verdict == RULE_TOO_FEW_SAMPLES && idle(in))
            continue;                       /* says nothing at all: the others may go down without it */
        spoke = true;
        if (y->deciding_rule < 0 || w->proposal > y->wanted) {
            y->wanted = w->proposal;
            y->deciding_rule = (int32_t)k;
        }
    }
    if (!spoke)
        y->wanted = in->current;
}

/* --- waits ---------------------------------------------------------------------------------------------------------------- */
static uint32_t up_after_wait(const struct scale_input *in, struct scale_memory *mem, uint32_t to, struct scale_why *y)
{
    mem->down_since = 0;
    if (mem->up_since == 0)
        mem->up_since = in->now_ms;
    if (in->now_ms - mem->up_since >= in->policy->up.wait_ms)
        return to;
    y->waiting = true;
    return in->current;
}

/* Puts an answer into its part of the window; returns the largest of all parts within down.wait. */
static uint32_t window_max(const struct scale_input *in, struct scale_memory *mem, uint32_t answer)
{
    int64_t part_ms = MAX_OF(in->policy->down.wait_ms / (SCALE_WINDOW - 1), 1), part = in->now_ms / part_ms;
    int64_t skipped = part - mem->window_part;
    if (skipped < 0)
        mem->down_since = 0;                /* another down.wait: what was seen before is measured in other parts */
    if (skipped < 0 || skipped >= SCALE_WINDOW)
        memset(mem->window, 0, sizeof mem->window);
    else
        for (int64_t k = 0; k < skipped; k++)
            mem->window[(part - k) % SCALE_WINDOW] = 0;
    mem->window_part = part;
    uint32_t *mine = &mem->window[part % SCALE_WINDOW], most = 0;
    *mine = MAX_OF(*mine, answer);
    for (int k = 0; k < SCALE_WINDOW; k++)
        most = MAX_OF(most, mem->window[k]);
    return in->policy->down.wait_ms > 0 ? most : answer;
}

static uint32_t down_after_wait(const struct scale_input *in, struct scale_memory *mem, uint32_t most, struct scale_why *y)
{
    mem->up_since = 0;
    if (mem->down_since == 0)
        mem->down_since = in->now_ms;
    mem->down_max = MIN_OF(most, in->current);
    if (in->now_ms - mem->down_since >= in->policy->down.wait_ms && mem->down_max < in->current)
        return mem->down_max;
    y->waiting = true;
    return in->current;
}

/* --- limits ------------------------------------------------------------------------------------------------------------------ */
/* How many moved in this direction within the period. */
static uint32_t moved(const struct scale_memory *mem, int64_t since, bool up)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < mem->change_n; i++)
        if (mem->changes_at[i] > since && (mem->changes[i] > 0) == up)
            sum += mem->changes[i] > 0 ? mem->changes[i] : -mem->changes[i];
    return (uint32_t)MIN_OF(sum, PROPOSAL_MAX);
}

static uint32_t limit(const struct scale_input *in, const struct scale_memory *mem, uint32_t to, struct scale_why *y)
{
    bool up = to > in->current;
    const struct scale_limit *l = up ? &in->policy->up.limit : &in->policy->down.limit;
    if (to == in->current || l->period_ms <= 0)
        return to;
    uint32_t done = moved(mem, in->now_ms - l->period_ms, up);
    uint32_t start = up ? (in->current > done ? in->current - done : 0) : in->current + done;
    double share = start * l->percent / 100;
    uint32_t may = MAX_OF(MAX_OF(l->count, up ? round_up(share) : (uint32_t)MIN_OF(floor(share + 1e-9), (double)PROPOSAL_MAX)), 1u);
    uint32_t left = may > done ? may - done : 0, by = up ? to - in->current : in->current - to;
    if (by <= left)
        return to;
    y->limited = true;
    return up ? in->current + left : in->current - left;
}

/* At the bound the two oldest become one, dated as the younger: the limits then hold a little longer, never shorter. */
static void remember(const struct scale_input *in, struct scale_memory *mem, uint32_t to)
{
    int64_t keep = MAX_OF(in->policy->up.limit.period_ms, in->policy->down.limit.period_ms);
    uint32_t n = 0;
    for (uint32_t i = 0; i < mem->change_n; i++)
        if (mem->changes_at[i] > in->now_ms - keep) {
            mem->changes_at[n] = mem->changes_at[i];
            mem->changes[n++] = mem->changes[i];
        }
    for (uint32_t i = 0; n == SCALE_HISTORY && i + 1 < n; i++)
        if ((mem->changes[i] > 0) == (mem->changes[i + 1] > 0) || i + 2 == n) {
            mem->changes[i + 1] += (mem->changes[i] > 0) == (mem->changes[i + 1] > 0) ? mem->changes[i] : 0;
            memmove(&mem->changes[i], &mem->changes[i + 1], (n - i - 1) * sizeof mem->changes[0]);
            memmove(&mem->changes_at[i], &mem->changes_at[i + 1], (n - i - 1) * sizeof mem->changes_at[0]);
            n--;
        }
    mem->changes_at[n] = in->now_ms;
    mem->changes[n++] = (int32_t)to - (int32_t)in->current;
    mem->change_n = n;
}

/* --- one sentence ---------------------------------------------------------------------------------------------------------------- */
static void tell_rule(const struct scale_why *y, const struct scale_rule_why *w, char *buf, size_t size)
{
    int q = (int)lround(w->quantile * 100);
    switch (w->metric) {
    case SCALE_CPU: snprintf(buf, size, "cpu is %.0f%% of what %u instance%s may use, target %.0f%%", w->value, w->used, w->used == 1 ? "" : "s", w->target); break;
    case SCALE_LATENCY: snprintf(buf, size, "p%d latency is %.0f ms, target %.0f ms", q, w->value, w->target); break;
    case SCALE_IN_FLIGHT: snprintf(buf, size, "%.1f requests in flight per instance (of %u), target %.4g", w->value, y->current, w->target); break;
    case SCALE_QUEUE: snprintf(buf, size, "%.1f requests queued per instance (of %u), target %.4g", w->value, y->current, w->target); break;
    default: snprintf(buf, size, "?"); break;
    }
}

static const char *const metric_word[] = { [SCALE_CPU] = "cpu", [SCALE_LATENCY] = "latency", [SCALE_IN_FLIGHT] = "in_flight", [SCALE_QUEUE] = "queue" };

static void tell_silence(const struct scale_why *y, char *buf, size_t size)
{
    for (uint32_t k = 0; k < y->rule_n; k++)
        if (y->rules[k].verdict == RULE_NO_DATA || y->rules[k].verdict == RULE_TOO_FEW_SAMPLES) {
            snprintf(buf, size, y->rules[k].verdict == RULE_NO_DATA ? "no figures for %s" : "too few requests for %s", metric_word[y->rules[k].metric]);
            return;
        }
    snprintf(buf, size, "no rules");
}

static void tell(const struct scale_input *in, const struct scale_memory *mem, struct scale_why *y)
{
    char cause[160], tail[80] = "", wait[24];
    const struct scale_rule_why *w = y->deciding_rule >= 0 ? &y->rules[y->deciding_rule] : NULL;
    if (w && (w->verdict == RULE_OK || w->verdict == RULE_WITHIN_TOLERANCE))
        tell_rule(y, w, cause, sizeof cause);
    else
        tell_silence(y, cause, sizeof cause);
    bool up = y->wanted > y->current;
    if (y->waiting) {
        int64_t full = up ? in->policy->up.wait_ms : in->policy->down.wait_ms, since = up ? mem->up_since : mem->down_since;
        num_human_age(MAX_OF(full - (in->now_ms - since), 0), wait, sizeof wait);
        snprintf(tail, sizeof tail, up ? "; stays %u, waits %s more" : "; stays %u, waits %s more for fewer", y->desired, wait);
    } else if (y->limited) {
        snprintf(tail, sizeof tail, "; limited to %u by %s", y->desired, up ? "up.limit" : "down.limit");
    } else if (y->clamped_max || y->clamped_min) {
        snprintf(tail, sizeof tail, "; limited to %u by %s", y->desired, y->clamped_max ? "max" : "min");
    } else if (y->desired != y->wanted) {
        snprintf(tail, sizeof tail, "; %u for now: the most that was wanted within down.wait", y->desired);
    }
    snprintf(y->text, sizeof y->text, "%s: %u wanted%s", cause, y->wanted, tail);
}

int scaler_decide(const struct scale_input *in, struct scale_memory *mem, uint32_t *ret_desired, struct scale_why *ret_why)
{
    if (in->min > in->max)
        return -ERANGE;
    struct scale_why y = { .at_ms = in->now_ms, .current = in->current, .deciding_rule = -1 };
    ask_rules(in, &y);
    uint32_t to = MAX_OF(in->min, MIN_OF(in->max, y.wanted));
    y.clamped_max = y.wanted > in->max;
    y.clamped_min = y.wanted < in->min;
    uint32_t most = window_max(in, mem, to);
    if (in->current < in->min || in->current > in->max)
        to = in->current < in->min ? MAX_OF(in->min, to) : MIN_OF(in->max, MAX_OF(to, in->max));   /* a new range holds at once */
    else if (to > in->current)
        to = limit(in, mem, up_after_wait(in, mem, to, &y), &y);
    else if (to < in->current)
        to = limit(in, mem, down_after_wait(in, mem, most, &y), &y);
    else
        mem->up_since = mem->down_since = 0;
    y.desired = to;
    if (to != in->current)
        remember(in, mem, to);
    tell(in, mem, &y);
    *ret_desired = to;
    if (ret_why)
        *ret_why = y;
    return 0;
}
