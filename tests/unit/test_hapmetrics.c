/* Counters -> totals and rates (agent/hapmetrics.h), and the latencies of the last 10 s (agent/latwin.h). */
#include <math.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include "agent/hapmetrics.h"
#include "agent/latwin.h"
#include "base/cleanup.h"

static struct hap_row rows[2];
static struct hap_stat snapshot(int which, int64_t requests, int64_t errors)
{
    rows[which] = (struct hap_row){ .proxy = "api", .server = "BACKEND", .kind = HAP_BACKEND, .req_tot = requests, .hrsp_5xx = errors };
    return (struct hap_stat){ &rows[which], 1 };
}

static void test_totals(void **state)
{
    /* Answers of one process in a row, and the totals after each. */
    static const struct { bool first, fresh; int64_t requests, errors; uint64_t total, errors_total; } rows_[] = {
        { true, true, 10, 1, 10, 1 },           /* started by us: all count */
        { false, true, 25, 1, 25, 1 },
        { false, true, 4, 0, 29, 1 },           /* went back: another process under the same name */
        { true, false, 1000, 50, 29, 1 },       /* adopted: counting begins here */
        { false, false, 1003, 51, 32, 2 },
        { false, false, -1, -1, 32, 2 },        /* not said */
    };
    struct hapmetrics *m = hapmetrics_new();
    struct hapmetrics_figures f;
    struct hap_stat before = { NULL, 0 };
    (void)state;
    assert_false(hapmetrics_figures(m, 0, "api", &f));
    for (size_t i = 0; i < ARRAY_LEN(rows_); i++) {
        struct hap_stat is = snapshot(i % 2, rows_[i].requests, rows_[i].errors);
        hapmetrics_add(m, rows_[i].first ? NULL : &before, &is, rows_[i].fresh);
        before = is;
        assert_true(hapmetrics_figures(m, 0, "api", &f));
        if (f.requests != rows_[i].total || f.errors != rows_[i].errors_total)
            fail_msg("row %zu: %d, %d", i, (int)f.requests, (int)f.errors);
    }
    hapmetrics_free(m);
}

/* Behind the inner hop an answer that was cut, and asked for again, is no error that a client got. */
static void test_errors_are_those_of_the_outer_side(void **state)
{
    struct hap_row v[] = { { .proxy = "_api", .server = "BACKEND", .kind = HAP_BACKEND, .req_tot = 9, .hrsp_5xx = 1 },
        { .proxy = "api", .server = "BACKEND", .kind = HAP_BACKEND, .req_tot = 10, .hrsp_5xx = 3 } };
    struct hapmetrics *m = hapmetrics_new();
    struct hapmetrics_figures f;
    (void)state;
    hapmetrics_add(m, NULL, &(struct hap_stat){ v, 2 }, true);
    assert_true(hapmetrics_figures(m, 0, "api", &f));
    assert_true(f.requests == 10 && f.errors == 1);
    assert_false(hapmetrics_figures(m, 0, "_api", &f));
    hapmetrics_free(m);
}

static void test_rates(void **state)
{
    struct hapmetrics *m = hapmetrics_new();
    struct hapmetrics_figures f;
    struct hap_stat before = { NULL, 0 };
    (void)state;
    for (int s = 0; s <= 20; s++) {             /* 10/s for ten seconds, then 100/s, a tenth of them errors */
        int64_t n = s <= 10 ? s * 10 : 100 + (s - 10) * 100;
        struct hap_stat is = snapshot(s % 2, n, n / 10);
        hapmetrics_add(m, s ? &before : NULL, &is, true);
        before = is;
        hapmetrics_sample(m, 1000 * s);
        assert_true(hapmetrics_figures(m, 1000 * s + 100, "api", &f));
        assert_true(s == 0 ? isnan(f.rate) : f.rate > 0);
        assert_int_equal(f.age_ms, 100);
        if (s == 10)
            assert_true(fabs(f.rate - 10) < 0.01 && fabs(f.error_rate - 1) < 0.01);
    }
    assert_true(fabs(f.rate - 100) < 0.01 && fabs(f.error_rate - 10) < 0.01);
    hapmetrics_free(m);
}

static void test_servers_count_attempts_and_no_answer(void **state)
{
    struct hap_row r[] = {
        { .proxy = "api", .server = "api.1", .kind = HAP_SERVER, .stot = 9, .req_tot = -1, .hrsp_5xx = 1, .eresp = 2 },
        { .proxy = "api", .server = "api.2", .kind = HAP_SERVER, .stot = 0, .maint = true },
        { .proxy = "raw", .server = "api.7", .kind = HAP_SERVER, .stot = 9 },
    };
    struct hapmetrics *m = hapmetrics_new();
    struct hapmetrics_figures f;
    (void)state;
    hapmetrics_add(m, NULL, &(struct hap_stat){ r, 3 }, true);
    assert_true(hapmetrics_figures(m, 0, "api.1", &f));
    assert_true(f.requests == 9 && f.errors == 3);
    assert_false(hapmetrics_figures(m, 0, "api.2", &f));    /* a slot never used */
    assert_false(hapmetrics_figures(m, 0, "api.7", &f));    /* not ours */
    hapmetrics_free(m);
}

static void test_window(void **state)
{
    struct latwin *w = latwin_new();
    struct latwin_figures f;
    (void)state;
    latwin_figures(w, 0, "api", &f);
    assert_true(isnan(f.p50_ms) && f.samples == 0 && f.seen == 0);
    for (int i = 1; i <= 100; i++)
        latwin_add(w, 1000, "api", i * 1000);
    latwin_add(w, 1000, "api", -1);
    latwin_figures(w, 9000, "api", &f);
    assert_int_equal(f.samples, 100);
    assert_int_equal(f.seen, 101);
    assert_true(fabs(f.p50_ms - 50) < 1 && fabs(f.p95_ms - 95) < 2 && fabs(f.p99_ms - 99) < 2);
    latwin_figures(w, 12000, "api", &f);        /* over */
    assert_true(f.samples == 0 && isnan(f.p99_ms) && f.seen == 101);
    for (int s = 2; s < 40; s++)
        latwin_add(w, s * 1000, "api", 7000);
    latwin_figures(w, 39500, "api", &f);
    assert_true(f.samples >= 8 && f.samples <= 10);
    assert_true(fabs(f.p50_ms - 7) < 0.2);
    latwin_expire(w, 39500 + LATWIN_IDLE_MS);
    latwin_figures(w, 39500, "api", &f);
    assert_true(f.samples == 0 && f.seen == 139);
    latwin_free(w);
}

static void test_window_is_bounded(void **state)
{
    struct latwin *w = latwin_new();
    (void)state;
    for (int i = 0; i < LATWIN_NAMES_MAX + 5; i++) {
        char name[32];
        snprintf(name, sizeof name, "a.%d", i);
        latwin_add(w, 0, name, -1);
    }
    assert_int_equal(latwin_dropped(w), 5);
    latwin_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_totals), cmocka_unit_test(test_errors_are_those_of_the_outer_side),
        cmocka_unit_test(test_rates), cmocka_unit_test(test_servers_count_attempts_and_no_answer),
        cmocka_unit_test(test_window), cmocka_unit_test(test_window_is_bounded) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
