/* test_scaler.c - figures in, a number and its reason out: each rule, limit and wait is a row or a short story. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <math.h>
#include <string.h>
#include "base/cleanup.h"
#include "supervisord/scaler.h"

enum { NOW = 1000000 };

/* --- one decision, no waits, no limits ----------------------------------------------------------------------------------- */
struct row {
    const char *name;
    struct scale_rule rules[3];
    uint32_t min, max, current;
    double cpu[6]; uint32_t cpu_n;              /* percent of what it may use; NAN: the sample lacks it */
    uint32_t unready, unsettled, stale;         /* bit i: sample i */
    bool no_svc; struct svc_metrics svc;
    uint32_t expect; int32_t rule; const char *text;
};
#define CPU(t) { SCALE_CPU, t, 0 }
#define P95(t) { SCALE_LATENCY, t, 0.95 }
#define FLIGHT(t) { SCALE_IN_FLIGHT, t, 0 }
#define QUEUE(t) { SCALE_QUEUE, t, 0 }
#define ALL 0x3f

static const struct row rows[] = {
    { "cpu above: the sum over the target, rounded up", { CPU(60) }, 1, 9, 3, { 83, 83, 83 }, 3, .expect = 5, .text = "cpu is 83% of what 3 instances may use, target 60%: 5 wanted" },
    { "cpu above, by max", { CPU(60) }, 1, 4, 3, { 83, 83, 83 }, 3, .expect = 4, .text = "5 wanted; limited to 4 by max" },
    { "cpu below", { CPU(60) }, 1, 9, 4, { 30, 30, 30, 30 }, 4, .expect = 2 },
    { "cpu below, by min", { CPU(60) }, 3, 9, 4, { 30, 30, 30, 30 }, 4, .expect = 3, .text = "limited to 3 by min" },
    { "cpu within 10% above", { CPU(60) }, 1, 9, 4, { 65, 65, 65, 65 }, 4, .expect = 4 },
    { "cpu within 10% below", { CPU(60) }, 1, 9, 4, { 55, 55, 55, 55 }, 4, .expect = 4 },
    { "cpu exactly divisible is not rounded up by noise", { CPU(50) }, 1, 9, 3, { 100, 100, 100 }, 3, .expect = 6 },
    { "cpu 0 is a figure: idle", { CPU(60) }, 1, 9, 4, { 0, 0, 0, 0 }, 4, .expect = 1 },
    /* missing, NaN, stale, negative, unready: never fewer (E#1850 E#4098) */
    { "no samples at all", { CPU(60) }, 1, 9, 4, { 0 }, 0, .no_svc = true, .expect = 4, .text = "no figures for cpu: 4 wanted" },
    { "all NaN", { CPU(60) }, 1, 9, 4, { NAN, NAN, NAN, NAN }, 4, .expect = 4 },
    { "all stale", { CPU(60) }, 1, 9, 4, { 1, 1, 1, 1 }, 4, .stale = ALL, .expect = 4 },
    { "all negative", { CPU(60) }, 1, 9, 4, { -1, -1, -1, -1 }, 4, .expect = 4 },
    { "infinite", { CPU(60) }, 1, 9, 4, { INFINITY, INFINITY, INFINITY, INFINITY }, 4, .expect = 4 },
    { "all in their first seconds", { CPU(60) }, 1, 9, 4, { 99, 99, 99, 99 }, 4, .unsettled = ALL, .expect = 4 },
    { "asked for fewer: missing ones count as at their target", { CPU(60) }, 1, 9, 4, { 6, 6, NAN, NAN }, 4, .expect = 3 },
    { "asked for fewer: one sample of four", { CPU(60) }, 1, 9, 4, { 0 }, 1, .expect = 3 },
    { "asked for more: missing ones count as idle", { CPU(60) }, 1, 9, 4, { 120, 120, NAN, NAN }, 4, .expect = 4 },
    { "asked for more, enough to need it all the same", { CPU(60) }, 1, 9, 4, { 180, 180, NAN, NAN }, 4, .expect = 6 },
    { "all unready and idle (a hang): not fewer", { CPU(60) }, 1, 9, 4, { 1, 1, 1, 1 }, 4, .unready = ALL, .expect = 4 },
    { "all unready and busy: overload, more (K#64088)", { CPU(60) }, 1, 9, 4, { 99, 99, 99, 99 }, 4, .unready = ALL, .expect = 7 },
    { "a fresh one's start-up burst does not count", { CPU(60) }, 1, 9, 3, { 50, 50, 400 }, 3, .unsettled = 4, .expect = 3 },
    /* totals */
    { "in flight", { FLIGHT(8) }, 1, 9, 2, .svc = { .in_flight = 33 }, .expect = 5, .text = "16.5 requests in flight per instance (of 2), target 8: 5 wanted" },
    { "in flight, fewer", { FLIGHT(8) }, 1, 9, 4, .svc = { .in_flight = 9 }, .expect = 2 },
    { "in flight within tolerance", { FLIGHT(8) }, 1, 9, 4, .svc = { .in_flight = 34 }, .expect = 4 },
    { "in flight NaN", { FLIGHT(8) }, 1, 9, 4, .svc = { .in_flight = NAN }, .expect = 4 },
    { "in flight negative", { FLIGHT(8) }, 1, 9, 4, .svc = { .in_flight = -1 }, .expect = 4 },
    { "no figures of the service", { FLIGHT(8) }, 1, 9, 4, .no_svc = true, .expect = 4 },
    { "stale figures of the service", { FLIGHT(8) }, 1, 9, 4, .svc = { .in_flight = 0, .age_ms = 60000 }, .expect = 4 },
    { "queue", { QUEUE(2) }, 1, 9, 2, .svc = { .queue = 11 }, .expect = 6 },
    { "queue from nothing", { QUEUE(2) }, 0, 9, 0, .svc = { .queue = 1 }, .expect = 1 },
    { "queue empty", { QUEUE(2) }, 1, 9, 3, .svc = { .queue = 0 }, .expect = 1 },
    /* latency */
    { "latency above: proportional to those that serve", { P95(250) }, 1, 9, 3, { 0, 0, 0 }, 3, .svc = { .p95_ms = 500, .samples = 100 }, .expect = 6, .text = "p95 latency is 500 ms, target 250 ms: 6 wanted" },
    { "latency above while half of them just started: wait for these", { P95(250) }, 1, 9, 4, { 0, 0, 0, 0 }, 4, .unsettled = 0xc, .svc = { .p95_ms = 500, .samples = 100 }, .expect = 4 },
    { "too few requests move nothing up", { P95(250) }, 1, 9, 3, { 0, 0, 0 }, 3, .svc = { .p95_ms = 5000, .samples = 59 }, .expect = 3, .rule = -1, .text = "too few requests for latency: 3 wanted" },
    { "60 are enough for p95", { P95(250) }, 1, 9, 3, { 0, 0, 0 }, 3, .svc = { .p95_ms = 5000, .samples = 60 }, .expect = 9 },
    { "300 for p99", { { SCALE_LATENCY, 250, 0.99 } }, 1, 9, 3, { 0, 0, 0 }, 3, .svc = { .p99_ms = 5000, .samples = 299 }, .expect = 3, .rule = -1 },
    { "too few requests move nothing down", { P95(250) }, 1, 9, 3, { 0, 0, 0 }, 3, .svc = { .p95_ms = 1, .samples = 59 }, .expect = 3, .rule = -1 },
    { "no traffic at all: latency alone does not go down", { P95(250) }, 1, 9, 3, { 0, 0, 0 }, 3, .svc = { .p95_ms = NAN }, .expect = 3, .rule = -1 },
    { "no traffic: cpu may go down beside it", { P95(250), CPU(60) }, 1, 9, 3, { 1, 1, 1 }, 3, .svc = { .p95_ms = NAN }, .expect = 1, .rule = 1 },
    { "no answers but much in flight (a hang): cpu may not", { P95(250), CPU(60) }, 1, 9, 3, { 1, 1, 1 }, 3, .svc = { .p95_ms = NAN, .in_flight = 12 }, .expect = 3 },
    { "far below the target: one at a time", { P95(250) }, 1, 9, 6, { 0, 0, 0, 0, 0, 0 }, 6, .svc = { .p95_ms = 10, .samples = 100 }, .expect = 5 },
    { "a bit below the target: says little", { P95(250) }, 1, 9, 6, { 0, 0, 0, 0, 0, 0 }, 6, .svc = { .p95_ms = 150, .samples = 100 }, .expect = 6 },
    { "latency NaN with many requests", { P95(250) }, 1, 9, 3, { 0, 0, 0 }, 3, .svc = { .p95_ms = NAN, .samples = 100 }, .expect = 3 },
    /* several: the largest wins (E#6659), one without data only holds (E#7239) */
    { "the largest wins", { CPU(60), QUEUE(2) }, 1, 9, 3, { 90, 90, 90 }, 3, .svc = { .queue = 14 }, .expect = 7, .rule = 1 },
    { "one wants fewer, one more", { CPU(60), QUEUE(2) }, 1, 9, 3, { 5, 5, 5 }, 3, .svc = { .queue = 14 }, .expect = 7, .rule = 1 },
    { "one without data: up is possible", { CPU(60), QUEUE(2) }, 1, 9, 3, { 90, 90, 90 }, 3, .no_svc = true, .expect = 5 },
    { "one without data: down is not", { CPU(60), QUEUE(2) }, 1, 9, 3, { 5, 5, 5 }, 3, .no_svc = true, .expect = 3, .rule = 1, .text = "no figures for queue: 3 wanted" },
    { "no rules: what there is", { { 0 } }, 1, 9, 3, .expect = 3, .rule = -1 },
    /* ranges */
    { "below min without any data", { CPU(60) }, 2, 9, 1, { 0 }, 0, .expect = 2 },
    { "above max without any data", { CPU(60) }, 2, 4, 9, { 0 }, 0, .expect = 4 },
    { "min and max are one", { CPU(60) }, 3, 3, 3, { 99, 99, 99 }, 3, .expect = 3 },
    { "a target of 0 is no rule", { CPU(0) }, 1, 9, 3, { 99, 99, 99 }, 3, .expect = 3 },
};

static uint32_t ask(const struct row *r, struct scale_why *why)
{
    struct scale_sample s[8];
    uint32_t n = r->cpu_n;
    memset(s, 0, sizeof s);
    for (uint32_t i = 0; i < n; i++)
        s[i] = (struct scale_sample){ .ready = !(r->unready >> i & 1), .settled = !(r->unsettled >> i & 1),
                                      .m = { .age_ms = r->stale >> i & 1 ? 60000 : 500, .cpu_of_limit_pct = r->cpu[i] } };
    struct scale_spec p = { .rules = (struct scale_rule *)(uintptr_t)r->rules, .rule_n = 0 };
    while (p.rule_n < 3 && (p.rules[p.rule_n].target > 0 || (p.rule_n == 0 && strstr(r->name, "target of 0"))))
        p.rule_n++;
    struct scale_input in = { &p, r->min, r->max, r->current, s, n, r->no_svc ? NULL : &r->svc, NOW, 15000 };
    struct scale_memory mem = { 0 };
    uint32_t desired = 99;
    assert_int_equal(scaler_decide(&in, &mem, &desired, why), 0);
    assert_int_equal(why->desired, desired);
    return desired;
}

static void each_rule(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct scale_why why;
        uint32_t is = ask(&rows[i], &why);
        if (is != rows[i].expect || why.deciding_rule != rows[i].rule || (rows[i].text && !strstr(why.text, rows[i].text)))
            fail_msg("%s: %u (rule %d), expected %u (rule %d): %s", rows[i].name, is, why.deciding_rule, rows[i].expect, rows[i].rule, why.text);
        assert_true(why.text[0]);
    }
}

static void refused(void **state)
{
    struct scale_spec p = { 0 };
    struct scale_input in = { .policy = &p, .min = 3, .max = 2, .current = 2 };
    struct scale_memory mem = { 0 };
    uint32_t desired = 77;
    struct scale_why why = { .current = 88 };
    (void)state;
    assert_int_equal(scaler_decide(&in, &mem, &desired, &why), -ERANGE);
    assert_int_equal(desired, 77);
    assert_int_equal(why.current, 88);
}

/* --- stories over time: a service whose queue says how many it wants ------------------------------------------------------------ */
struct world { struct scale_rule rule; struct scale_spec policy; struct scale_memory mem; struct scale_why why; uint32_t current, min, max; int64_t now; };

static void world_init(struct world *w, struct scale_dir up, struct scale_dir down, uint32_t current)
{
    *w = (struct world){ .rule = QUEUE(1), .policy = { .rule_n = 1, .up = up, .down = down }, .current = current, .min = 1, .max = 100, .now = NOW };
    w->policy.rules = &w->rule;
}

/* After `after_ms` the rules want `want` (0: no figures). */
static uint32_t step(struct world *w, int64_t after_ms, double want)
{
    struct svc_metrics svc = { .queue = want > 0 ? want : NAN };
    w->now += after_ms;
    struct scale_input in = { &w->policy, w->min, w->max, w->current, NULL, 0, &svc, w->now, 15000 };
    assert_int_equal(scaler_decide(&in, &w->mem, &w->current, &w->why), 0);
    return w->current;
}

static void up_limit(void **state)
{
    struct world w;
    (void)state;
    world_init(&w, (struct scale_dir){ { .percent = 100, .period_ms = 15000 }, 0 }, (struct scale_dir){ { 0 }, 0 }, 2);
    assert_int_equal(step(&w, 0, 50), 4);
    assert_true(w.why.limited);
    assert_non_null(strstr(w.why.text, "limited to 4 by up.limit"));
    for (int i = 0; i < 14; i++)
        assert_int_equal(step(&w, 1000, 50), 4);
    assert_int_equal(step(&w, 1000, 50), 8);
    world_init(&w, (struct scale_dir){ { .count = 4, .period_ms = 15000 }, 0 }, (struct scale_dir){ { 0 }, 0 }, 2);
    assert_int_equal(step(&w, 0, 3), 3);                /* part of the period's allowance now, the rest later */
    assert_int_equal(step(&w, 5000, 50), 6);
    assert_int_equal(step(&w, 5000, 50), 6);
    assert_int_equal(step(&w, 5000, 50), 7);            /* the first one's period is over */
}

static void down_limit(void **state)
{
    struct world w;
    (void)state;
    world_init(&w, (struct scale_dir){ { 0 }, 0 }, (struct scale_dir){ { .percent = 10, .period_ms = 30000 }, 0 }, 40);
    assert_int_equal(step(&w, 0, 5), 36);
    assert_int_equal(step(&w, 29000, 5), 36);
    assert_int_equal(step(&w, 1000, 5), 33);
    world_init(&w, (struct scale_dir){ { 0 }, 0 }, (struct scale_dir){ { .percent = 10, .period_ms = 30000 }, 0 }, 4);
    assert_int_equal(step(&w, 0, 1), 3);                /* 10% of 4 is none: but one may always go */
    assert_int_equal(step(&w, 10000, 1), 3);
}

static void up_wait(void **state)
{
    struct world w;
    (void)state;
    world_init(&w, (struct scale_dir){ { 0 }, 10000 }, (struct scale_dir){ { 0 }, 0 }, 2);
    assert_int_equal(step(&w, 0, 5), 2);
    assert_true(w.why.waiting);
    assert_int_equal(step(&w, 9000, 5), 2);
    assert_int_equal(step(&w, 500, 2), 2);              /* a break: the wait begins anew */
    assert_int_equal(step(&w, 500, 5), 2);
    assert_int_equal(step(&w, 9999, 5), 2);
    assert_int_equal(step(&w, 1, 5), 5);
}

static void down_wait(void **state)
{
    struct world w;
    (void)state;
    world_init(&w, (struct scale_dir){ { 0 }, 0 }, (struct scale_dir){ { 0 }, 300000 }, 10);
    for (int i = 0; i < 300; i++) {
        assert_int_equal(step(&w, 1000, i == 200 ? 6 : 3), 10);
        assert_true(w.why.waiting);
    }
    assert_int_equal(step(&w, 1000, 3), 6);             /* the largest within the window, not the last */
    int i = 0;
    while (w.current == 6 && i < 400) {
        step(&w, 1000, 3);
        i++;
    }
    assert_int_equal(w.current, 3);                     /* and once that one has left the window */
    assert_in_range(i, 195, 235);
}

static void down_wait_is_not_shortened_by_gaps(void **state)
{
    struct world w;
    (void)state;
    world_init(&w, (struct scale_dir){ { 0 }, 0 }, (struct scale_dir){ { 0 }, 60000 }, 10);
    for (int i = 0; i < 200; i++)
        assert_int_equal(step(&w, 1000, i % 50 == 49 ? 0 : 3), 10);    /* a gap each 50 s: not a minute of certainty */
    assert_true(w.why.no_data || w.why.waiting);
    for (int i = 0; i < 70; i++)
        step(&w, 1000, 3);
    assert_int_equal(w.current, 3);
}

static void flapping_load_keeps_the_size(void **state)
{
    struct world w;
    (void)state;
    world_init(&w, (struct scale_dir){ { .percent = 100, .period_ms = 15000 }, 0 }, (struct scale_dir){ { .percent = 10, .period_ms = 30000 }, 300000 }, 4);
    uint32_t changes = 0, was = 4;
    for (int i = 0; i < 3600; i++) {
        step(&w, 1000, i / 30 % 2 ? 8 : 2);
        changes += w.current != was;
        was = w.current;
    }
    assert_int_equal(w.current, 8);
    assert_int_equal(changes, 1);
}

/* 1,000 changes within one period: the memory is bounded, and the limit still holds. */
static void history_is_bounded(void **state)
{
    struct world w;
    (void)state;
    world_init(&w, (struct scale_dir){ { .count = 90, .period_ms = 10000000 }, 0 }, (struct scale_dir){ { 0 }, 0 }, 1);
    w.max = 1000;
    for (int i = 0; i < 1000; i++) {
        step(&w, 1000, w.current + 5 + w.current / 5);
        assert_in_range(w.mem.change_n, 0, SCALE_HISTORY);
    }
    assert_int_equal(w.current, 91);
    world_init(&w, (struct scale_dir){ { .count = 1000, .period_ms = 10000000 }, 0 }, (struct scale_dir){ { .count = 1000, .period_ms = 10000000 }, 0 }, 10);
    for (int i = 0; i < 1000; i++)
        step(&w, 1000, i % 2 ? 20 : 10);
    assert_in_range(w.mem.change_n, 1, SCALE_HISTORY);
}

/* Whatever the figures: within min..max, and never down without data. */
static void any_figures(void **state)
{
    static const double figures[] = { NAN, -1, 0, 1e-9, 59, 60, 61, 1e9, INFINITY };
    (void)state;
    for (size_t a = 0; a < ARRAY_LEN(figures); a++)
        for (size_t b = 0; b < ARRAY_LEN(figures); b++)
            for (uint32_t flags = 0; flags < 64; flags++) {
                struct row r = { "any", { CPU(60), QUEUE(2) }, 2, 9, 1 + flags % 11, { figures[a], figures[b] }, 2, .unready = flags & 3,
                                 .unsettled = flags >> 2 & 3, .stale = flags >> 4 & 3, .svc = { .queue = figures[b] } };
                struct scale_why why;
                uint32_t is = ask(&r, &why);
                assert_in_range(is, 2, 9);
                if (why.no_data && r.current <= 9)
                    assert_true(is >= r.current);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_rule), cmocka_unit_test(refused), cmocka_unit_test(up_limit), cmocka_unit_test(down_limit),
        cmocka_unit_test(up_wait), cmocka_unit_test(down_wait), cmocka_unit_test(down_wait_is_not_shortened_by_gaps),
        cmocka_unit_test(flapping_load_keeps_the_size), cmocka_unit_test(history_is_bounded), cmocka_unit_test(any_figures),
    };
    return cmocka_run_group_tests_name("scaler", tests, NULL, NULL);
}
