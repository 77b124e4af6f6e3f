/* Probe scheduling and counting (agent/health.h), and the wait after an exit (agent/backoff.h). */
#include "tests/unit/agent_rig.h"
#include "agent/backoff.h"
#include "agent/health.h"

static struct probe_spec http(int64_t every, uint32_t pass_after, uint32_t fail_after)
{
    return (struct probe_spec){ .kind = PROBE_HTTP, .every_ms = every, .timeout_ms = 500, .pass_after = pass_after, .fail_after = fail_after };
}

static void test_counts(void **state)
{
    (void)state;
    static const struct { uint32_t pass_after, fail_after; const char *answers, *verdicts; } rows[] = {
        { 1, 3, "+", "P" },
        { 1, 3, "--+--", "..P.." },
        { 1, 3, "---", "..F" },
        { 1, 3, "----+", "..FFP" },
        { 2, 2, "+-++", "...P" },
        { 3, 1, "++-+++", "..F..P" },
        { 0, 0, "+-", "PF" },       /* zero is taken as one */
    };
    for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
        struct probe_spec p = http(1000, rows[k].pass_after, rows[k].fail_after);
        struct rng rng = { 1 };
        struct health h;
        health_begin(&h, &p, 0, true, false, &rng);
        for (size_t j = 0; rows[k].answers[j]; j++) {
            health_asked(&h, (int64_t)j, j + 1);
            enum health_verdict v = health_answer(&h, (int64_t)j, j + 1, rows[k].answers[j] == '+', "x", &rng);
            assert_int_equal(".PF"[v], rows[k].verdicts[j]);
        }
    }
}

static void test_fast_schedule(void **state)
{
    (void)state;
    static const int64_t gaps[] = { 10, 20, 40, 80, 160, 320, 640, 1000, 1000 };
    struct probe_spec p = http(1000, 1, 3);
    struct rng rng = { 1 };
    struct health h;
    int64_t now = 500;
    health_begin(&h, &p, now, true, false, &rng);
    assert_true(health_due(&h, now));       /* the first at once */
    for (size_t k = 0; k < ARRAY_LEN(gaps); k++) {
        health_asked(&h, now, k);
        assert_false(health_due(&h, now + 100000));     /* K#110070: at most one under way */
        now += 3;
        health_answer(&h, now, k, false, "refused", &rng);
        assert_int_equal(health_deadline(&h) - now, gaps[k]);
        now += gaps[k];
        assert_true(health_due(&h, now));
    }
}

static void test_regular_schedule_is_jittered(void **state)
{
    (void)state;
    struct probe_spec p = http(1000, 1, 3);
    int64_t least = INT64_MAX, most = 0;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct rng rng = { seed };
        struct health h;
        health_begin(&h, &p, 0, false, false, &rng);
        least = MIN_OF(least, health_deadline(&h));
        most = MAX_OF(most, health_deadline(&h));
        health_asked(&h, 1000, 1);
        health_answer(&h, 1400, 1, true, "", &rng);     /* a slow answer makes the next no later */
        assert_in_range(health_deadline(&h), 1900, 2100);
    }
    assert_in_range(least, 900, 960);
    assert_in_range(most, 1040, 1100);
}

static void test_stale_answers_change_nothing(void **state)
{
    (void)state;
    struct probe_spec p = http(1000, 1, 1);
    struct rng rng = { 1 };
    struct health h;
    health_begin(&h, &p, 0, true, false, &rng);
    assert_int_equal(health_answer(&h, 0, 1, true, "", &rng), HEALTH_UNDECIDED);    /* never asked */
    health_asked(&h, 0, 5);
    assert_int_equal(health_answer(&h, 1, 4, false, "", &rng), HEALTH_UNDECIDED);   /* another one's */
    assert_int_equal(health_answer(&h, 1, 5, true, "", &rng), HEALTH_PASSED);
    assert_int_equal(health_answer(&h, 1, 5, false, "", &rng), HEALTH_UNDECIDED);   /* repeated */
    assert_int_equal(h.fails, 0);
    health_end(&h);
    assert_int_equal(health_deadline(&h), INT64_MAX);
}

static void test_K110070_hung_probe_is_dropped(void **state)
{
    (void)state;
    struct probe_spec p = http(1000, 1, 1);
    struct rng rng = { 1 };
    struct health h;
    health_begin(&h, &p, 0, true, false, &rng);
    health_asked(&h, 0, 1);
    assert_false(health_overdue(&h, p.timeout_ms + HEALTH_GRACE_MS - 1));
    assert_true(health_overdue(&h, p.timeout_ms + HEALTH_GRACE_MS));
    assert_int_equal(health_deadline(&h), p.timeout_ms + HEALTH_GRACE_MS);
}

static void test_beats(void **state)
{
    (void)state;
    struct probe_spec p = { .kind = PROBE_NOTIFY, .every_ms = 1000, .fail_after = 2 };
    struct rng rng = { 1 };
    struct health h;
    health_begin(&h, &p, 0, false, true, &rng);
    assert_false(health_due(&h, 5000));                 /* nobody is asked */
    assert_true(health_beat_missed(&h, 1000));
    assert_int_equal(health_told(&h, 1000, false, "", &rng), HEALTH_UNDECIDED);
    assert_false(health_beat_missed(&h, 1999));
    assert_int_equal(health_told(&h, 2000, false, "", &rng), HEALTH_FAILED);
    assert_int_equal(health_told(&h, 2100, true, "", &rng), HEALTH_PASSED);
    assert_int_equal(health_deadline(&h), 3100);
    /* as startup or readiness it has no deadline of its own */
    health_begin(&h, &p, 0, true, false, &rng);
    assert_int_equal(health_deadline(&h), INT64_MAX);
}

static struct service_spec restart(int64_t delay, int64_t max, uint32_t n, int64_t window)
{
    struct service_spec s = { 0 };
    s.restart.delay_ms = delay;
    s.restart.max_delay_ms = max;
    s.restart.limit_n = n;
    s.restart.limit_ms = window;
    return s;
}

static void test_backoff_grows_and_is_capped(void **state)
{
    (void)state;
    static const struct { int64_t uptime, least, most; } rows[] = {     /* one after the other */
        { 5000, 50, 50 },       /* a run of a second or more: just the delay */
        { 300, 80, 120 }, { 300, 160, 240 }, { 0, 320, 480 }, { 0, 640, 960 }, { 0, 1280, 1600 }, { 0, 1280, 1600 }, { 0, 1280, 1600 },
        { 2000, 50, 50 }, { 2000, 50, 50 }, { 2000, 80, 120 }, { 2000, 160, 240 },  /* dies every two seconds: no storm either */
    };
    for (uint64_t seed = 1; seed < 50; seed++) {
        struct service_spec s = restart(50, 1600, 100, 300000);
        struct backoff b = { 0 };
        struct rng rng = { seed };
        for (size_t k = 0; k < ARRAY_LEN(rows); k++)
            assert_in_range(backoff_next(&b, &s, (int64_t)k * 1000, rows[k].uptime, &rng), rows[k].least, rows[k].most);
        assert_int_equal(b.fails, ARRAY_LEN(rows));
        backoff_reset(&b);
        assert_int_equal(backoff_next(&b, &s, 0, 1000, &rng), 50);
        assert_int_equal(b.fails, 1);
        backoff_done(&b);
    }
}

/* `delay: 0s` means it; but what dies at its very start again and again, or cannot be started, is no storm. */
static void test_no_delay_is_no_delay(void **state)
{
    (void)state;
    static const struct { int64_t uptime, least, most; } rows[] = {
        { 300, 0, 0 }, { 60, 0, 0 }, { 60, 0, 0 }, { 60, 0, 0 }, { 60, 0, 0 }, { 60, 0, 0 }, { 60, 0, 0 },
        { 9, 0, 0 }, { 9, 0, 0 }, { 9, 0, 0 }, { 9, 0, 0 }, { 9, 0, 0 }, { 9, 80, 120 }, { 9, 160, 240 }, { 60, 0, 0 }, { 9, 0, 0 },
        { 0, 80, 400 }, { 0, 160, 800 },
    };
    for (uint64_t seed = 1; seed < 50; seed++) {
        struct service_spec s = restart(0, 1600, 100, 300000);
        struct backoff b = { 0 };
        struct rng rng = { seed };
        for (size_t k = 0; k < ARRAY_LEN(rows); k++)
            assert_in_range(backoff_next(&b, &s, (int64_t)k * 1000, rows[k].uptime, &rng), rows[k].least, rows[k].most);
        backoff_done(&b);
    }
}

/* D#2416: giving up is loud, not for ever. P#839: the count is reset by a stable run, and only by that. */
static void test_D2416_limit_then_slow_retry(void **state)
{
    (void)state;
    struct service_spec s = restart(0, 30000, 3, 10000);
    struct backoff b = { 0 };
    struct rng rng = { 1 };
    for (int k = 0; k < 3; k++) {
        backoff_next(&b, &s, k * 1000, 5000, &rng);
        assert_false(b.given_up);
    }
    assert_in_range(backoff_next(&b, &s, 3000, 5000, &rng), 54000, 66000);
    assert_true(b.given_up);
    assert_in_range(backoff_next(&b, &s, 70000, 5000, &rng), 54000, 66000);     /* still, though the window is over */
    backoff_reset(&b);
    assert_int_equal(backoff_next(&b, &s, 70000, 5000, &rng), 0);
    backoff_done(&b);
    /* three restarts spread over more than the window are fine for ever */
    b = (struct backoff){ 0 };
    for (int k = 0; k < 50; k++)
        backoff_next(&b, &s, k * 4000, 5000, &rng);
    assert_false(b.given_up);
    backoff_done(&b);
}

static void test_stable_time(void **state)
{
    (void)state;
    struct service_spec s = restart(0, 3000, 3, 10000);
    assert_int_equal(backoff_stable_ms(&s), 10000);
    s.restart.max_delay_ms = 60000;
    assert_int_equal(backoff_stable_ms(&s), 20000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts), cmocka_unit_test(test_fast_schedule), cmocka_unit_test(test_regular_schedule_is_jittered),
        cmocka_unit_test(test_stale_answers_change_nothing), cmocka_unit_test(test_K110070_hung_probe_is_dropped), cmocka_unit_test(test_beats),
        cmocka_unit_test(test_backoff_grows_and_is_capped), cmocka_unit_test(test_no_delay_is_no_delay), cmocka_unit_test(test_D2416_limit_then_slow_retry), cmocka_unit_test(test_stable_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
