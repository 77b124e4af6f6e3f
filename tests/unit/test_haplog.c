/* Access-log lines of HAProxy (agent/haplog.h), as a table. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include "agent/haplog.h"
#include "base/cleanup.h"

struct row { const char *line; int rc; const char *service, *instance; int status; int64_t us; const char *method; };
static const struct row rows[] = {
    { "m1 api api.3 0 1 25 200 -- - 0 GET", 0, "api", "api.3", 200, 26000, "GET" },
    { "m1 api api.3 100 1 25 200 -- - +1 GET\n", 0, "api", "api.3", 200, 126000, "GET" },
    { "m1 api api.3 0 0 0 500 -- - 0 POST", 0, "api", "api.3", 500, 0, "POST" },
    { "m1 api api.3 0 0 9 101 -- - 0 GET", 0, "api", "api.3", 101, -1, "GET" },           /* a websocket */
    { "m1 api api.3 0 0 9 200 CD 1 0 GET", 0, "api", "api.3", 200, -1, "GET" },           /* an event stream */
    { "m1 api api.3 0 1 -1 502 SH - 0 POST", 0, "api", "api.3", 502, -1, "POST" },        /* no answer */
    { "m1 api <NOSRV> -1 -1 -1 503 SC - 0 GET", 0, "api", "", 503, -1, "GET" },
    { "m1 _none <NOSRV> -1 -1 -1 404 LR - 0 GET", 0, "_none", "", 404, -1, "GET" },
    { "m1 api api.3 0 1 -1 -1 CH - 0 GET", 0, "api", "api.3", -1, -1, "GET" },
    { "m1 api api.3 0 1 25 200 -- - 0 <BADREQ>", 0, "api", "api.3", 200, 26000, "<BADREQ>" },
    { "", -1, 0, 0, 0, 0, 0 },
    { "m2 api api.3 0 1 25 200 -- - 0 GET", -1, 0, 0, 0, 0, 0 },
    { "m1 api api.3 0 1 25 200 -- - 0", -1, 0, 0, 0, 0, 0 },
    { "m1 api api.3 0 1 25 200 -- - 0 GET more", -1, 0, 0, 0, 0, 0 },
    { "m1 api  0 1 25 200 -- - 0 GET", -1, 0, 0, 0, 0, 0 },
    { "m1 api api.3 0x 1 25 200 -- - 0 GET", -1, 0, 0, 0, 0, 0 },
    { "m1 api api.3 -2 1 25 200 -- - 0 GET", -1, 0, 0, 0, 0, 0 },
    { "m1 api api.3 99999999999 1 25 200 -- - 0 GET", -1, 0, 0, 0, 0, 0 },
    { "m1 api api.3 0 1 25 2000 -- - 0 GET", -1, 0, 0, 0, 0, 0 },
    { "m1 api api.3 0 1 25 200 ---- - 0 GET", -1, 0, 0, 0, 0, 0 },
    { "m1 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa x 0 1 25 200 -- - 0 GET", -1, 0, 0, 0, 0, 0 },
    { "<134>Nov 25 haproxy[1]: api", -1, 0, 0, 0, 0, 0 },
};

static void test_lines(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct haplog l;
        memset(&l, 0x5a, sizeof l);
        struct haplog before = l;
        int rc = haplog_parse(rows[i].line, strlen(rows[i].line), &l);
        if ((rc < 0) != (rows[i].rc < 0))
            fail_msg("%s: %d", rows[i].line, rc);
        if (rc < 0) {
            assert_memory_equal(&l, &before, sizeof l);
            continue;
        }
        assert_string_equal(l.service, rows[i].service);
        assert_string_equal(l.instance, rows[i].instance);
        assert_string_equal(l.method, rows[i].method);
        assert_int_equal(l.status, rows[i].status);
        if (haplog_latency_us(&l) != rows[i].us)
            fail_msg("%s: %d us", rows[i].line, (int)haplog_latency_us(&l));
    }
}

static void test_bytes_that_are_no_line(void **state)
{
    (void)state;
    char big[4000];
    struct haplog l;
    memset(big, 'a', sizeof big);
    assert_true(haplog_parse(big, sizeof big, &l) < 0);
    assert_true(haplog_parse("m1 api a\0b 0 1 2 200 -- - 0 GET", 31, &l) < 0);
    assert_true(haplog_parse("\n\n\n", 3, &l) < 0);
    /* HAProxy is told `len 512`: a method as long as that fits, one byte more is none of ours */
    const char head[] = "m1 api api.3 0 1 25 200 -- - 0 ";
    memcpy(big, head, sizeof head - 1);
    assert_int_equal(haplog_parse(big, 511, &l), 0);
    assert_true(haplog_parse(big, 512, &l) < 0);
    assert_true(haplog_parse(big, 513, &l) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_lines), cmocka_unit_test(test_bytes_that_are_no_line) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
