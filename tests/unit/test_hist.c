#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/cleanup.h"
#include "base/hist.h"
#include "base/rng.h"

static struct hist h, g;        /* too big for a stack that is not ours */

static void empty(void **st)
{
    (void)st;
    hist_reset(&h);
    assert_int_equal(hist_quantile_us(&h, 0.5), -1);
    hist_add(&h, 5);
    assert_int_equal(hist_quantile_us(&h, NAN), -1);
    hist_reset(&h);
    assert_int_equal(hist_quantile_us(&h, 0.5), -1);
}

/* Each single value comes back, never too low, and at most 1/64 too high. */
static void error_bound(void **st)
{
    (void)st;
    for (uint64_t v = 0; v < 4000000000u; v += 1 + v / 97) {
        hist_reset(&h);
        hist_add(&h, v);
        int64_t q = hist_quantile_us(&h, 0.5);
        assert_true(hist_quantile_us(&h, 0) == q && hist_quantile_us(&h, 1) == q);
        if (q < (int64_t)v || q > (int64_t)(v + v / 64))
            fail_msg("%llu came back as %lld", (unsigned long long)v, (long long)q);
    }
}

static void ends(void **st)
{
    (void)st;
    static const uint64_t values[] = {0, 127, 128, 3600000000u, UINT32_MAX, 1ull << 32, UINT64_MAX};
    static const int64_t back[] = {0, 127, 129, 3623878655, UINT32_MAX, UINT32_MAX, UINT32_MAX};
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        hist_reset(&h);
        hist_add(&h, values[i]);
        assert_true(hist_quantile_us(&h, 1) == back[i]);
    }
}

static int order(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void against_sorted(void **st)
{
    (void)st;
    enum { N = 5000 };
    static uint64_t v[N];
    struct rng r = {.state = 3};
    for (int seed = 0; seed < 20; seed++) {
        hist_reset(&h);
        hist_reset(&g);
        for (int i = 0; i < N; i++) {
            v[i] = rng_next(&r) >> (32 + rng_below(&r, 30));
            hist_add(i % 2 ? &h : &g, v[i]);
        }
        hist_merge(&h, &g);
        assert_true(h.total == N);
        qsort(v, N, sizeof *v, order);
        static const double qs[] = {0, 0.01, 0.5, 0.95, 0.99, 0.999, 1};
        for (size_t i = 0; i < ARRAY_LEN(qs); i++) {
            size_t rank = (size_t)ceil(qs[i] * N);
            uint64_t want = v[rank ? rank - 1 : 0];
            int64_t got = hist_quantile_us(&h, qs[i]);
            assert_true(got >= (int64_t)want && got <= (int64_t)(want + want / 64));
        }
    }
    assert_int_equal(hist_quantile_us(&h, -1), hist_quantile_us(&h, 0));
    assert_int_equal(hist_quantile_us(&h, 2), hist_quantile_us(&h, 1));
}

static void full_bucket(void **st)
{
    (void)st;
    hist_reset(&h);
    hist_reset(&g);
    h.count[5] = UINT32_MAX - 1;
    h.total = UINT32_MAX - 1;
    hist_add(&h, 5);
    hist_add(&h, 5);
    assert_true(h.total == UINT32_MAX && h.count[5] == UINT32_MAX);
    hist_add(&g, 5);
    hist_add(&g, 6);
    hist_merge(&h, &g);
    assert_true(h.total == (uint64_t)UINT32_MAX + 1 && h.count[6] == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(empty), cmocka_unit_test(error_bound), cmocka_unit_test(ends), cmocka_unit_test(against_sorted),
        cmocka_unit_test(full_bucket)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
