/* The pure parts of the load generator: when requests are due, and how an answer ends. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <math.h>
#include <string.h>
#include "base/cleanup.h"
#include "tests/bench/answer.c"
#include "tests/bench/profile.c"

static void test_profile_text(void **s)
{
    (void)s;
    static const struct { const char *text; int want; } rows[] = {
        { "0:50,20:400,40:50", 0 }, { "0:0,1:5", 0 }, { "", -EINVAL }, { "0:5", -EINVAL }, { "1:5,2:5", -EINVAL }, { "0:5,0:6", -EINVAL },
        { "0:5,2:-1", -EINVAL }, { "0:5;2:1", -EINVAL }, { "0:5,2:1,", -EINVAL }, { "0:x,2:1", -EINVAL }, { "0:nan,2:1", -EINVAL },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct profile p;
        assert_int_equal(profile_parse(rows[i].text, &p), rows[i].want);
    }
}

/* The area below the rate is the number of requests, each is due later than the one before, and none behind the end. */
static void test_profile_counts(void **s)
{
    (void)s;
    struct profile p;
    assert_int_equal(profile_parse("0:0,10:100,20:100,30:0", &p), 0);
    double last = -1;
    uint64_t n = 0;
    for (;; n++) {
        double t = profile_due_s(&p, n);
        if (t < 0)
            break;
        assert_true(t > last && t < 30);
        last = t;
    }
    assert_true(n >= 1999 && n <= 2001);
    assert_true(fabs(profile_due_s(&p, 500) - 10) < 0.01);
    assert_true(fabs(profile_due_s(&p, 1500) - 20) < 0.02);
    assert_true(fabs(profile_rate_at(&p, 5) - 50) < 1e-9);
    profile_constant(4, 2, &p);
    assert_true(fabs(profile_due_s(&p, 7) - 1.75) < 1e-9);
    assert_true(profile_due_s(&p, 8) < 0);
}

struct answer_row { const char *text; int want, status; bool closes; size_t left_over; bool eof_completes; };
static const struct answer_row answers[] = {
    { "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP", 1, 200, false, 4, true },
    { "HTTP/1.1 503 No\r\ncontent-length: 0\r\nConnection: Close\r\n\r\n", 1, 503, true, 0, true },
    { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=1\r\nabc\r\n0a\r\n0123456789\r\n0\r\nT: 1\r\n\r\n", 1, 200, false, 0, true },
    { "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 X\r\n\r\n", 1, 204, false, 0, true },
    { "HTTP/1.1 200 OK\r\n\r\nto the end", 0, 200, true, 0, true },
    { "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", 1, 200, true, 0, true },
    { "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", 0, 200, false, 0, false },
    { "HTTP/1.1 200 OK\r\nContent-Le", 0, 200, false, 0, false },
    { "SSH-2.0-x\r\n", -EBADMSG, 0, false, 0, false },
    { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", -EBADMSG, 200, false, 0, false },
};

/* In one piece and byte by byte: the same. */
static void test_answers(void **s)
{
    (void)s;
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        for (int bytewise = 0; bytewise < 2; bytewise++) {
            const struct answer_row *row = &answers[i];
            struct answer a;
            size_t used, at = 0, n = strlen(row->text);
            int r = 0;
            answer_init(&a);
            while (at < n && r == 0) {
                r = answer_feed(&a, row->text + at, bytewise ? 1 : n, &used);
                at += used;
            }
            assert_int_equal(r, row->want);
            if (r < 0)
                continue;
            assert_int_equal(a.status, row->status);
            assert_int_equal(a.closes, row->closes);
            assert_int_equal(n - at, row->left_over);
            assert_int_equal(answer_eof(&a), row->eof_completes);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_profile_text), cmocka_unit_test(test_profile_counts), cmocka_unit_test(test_answers) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
