#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/cleanup.h"
#include "base/strbuf.h"
#include "net/httpresp.h"

/* status > 0: done with it; 0: refused; -1: more is wanted. */
struct row { const char *text; int status; };

static int feed(const char *text, size_t len, size_t step)
{
    struct httpresp r = {0};
    const char *why = NULL;
    for (size_t at = 0; at < len; at += step) {
        size_t n = MIN_OF(step, len - at);
        char *exact = malloc(n);        /* so that ASan sees one byte too far */
        memcpy(exact, text + at, n);
        enum httpresp_verdict v = httpresp_feed(&r, exact, n, &why);
        free(exact);
        if (v == HTTPRESP_DONE)
            return r.status;
        if (v == HTTPRESP_BAD) {
            assert_non_null(why);
            return 0;
        }
    }
    return -1;
}

static const struct row rows[] = {
    {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200},
    {"HTTP/1.0 200 OK\r\n\r\n", 200},
    {"HTTP/1.1 204\r\n\r\n", 204},
    {"HTTP/1.1 204 \r\n\r\n", 204},
    {"HTTP/1.1 503 Service Unavailable\nX: y\n\n", 503},             /* bare LF, as some scripts send */
    {"HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n", 302},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 200},
    {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\ncontent-length:  2 \r\n\r\nok", 200},
    {"HTTP/1.1 200 OK\r\nX-Empty:\r\n\r\n", 200},
    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", 200},
    {"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 404 Not Found\r\n\r\n", 404},
    {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", 101},
    {"HTTP/1.1 500 \xff\xfe\r\n\r\n", 500},                            /* any bytes in the phrase */
    /* more to come */
    {"", -1}, {"H", -1}, {"HTTP/1.1 200 OK", -1}, {"HTTP/1.1 200 OK\r\n", -1}, {"HTTP/1.1 200 OK\r\nA: b\r\n", -1}, {"HTTP/1.1 100 Continue\r\n\r\n", -1},
    /* refused */
    {"SSH-2.0-OpenSSH_9.2\r\n", 0}, {"\r\n", 0}, {"\n", 0}, {"X", 0}, {"HTTP/2 200\r\n\r\n", 0}, {"HTTP/1.1  200 OK\r\n", 0}, {"HTTP/1.1 2000\r\n", 0},
    {"HTTP/1.1 20\r\n", 0}, {"HTTP/1.1 099 X\r\n", 0}, {"HTTP/1.1 600 X\r\n", 0}, {"HTTP/1.x 200 OK\r\n", 0}, {"http/1.1 200 OK\r\n", 0}, {"HTTP/1.1\t200 OK\r\n", 0},
    {"HTTP/1.1 -20 OK\r\n", 0}, {"HTTP/1.1 200OK\r\n", 0},
    {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n", 0},
    {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n", 0},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 2\r\n\r\n", 0},
    {"HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\n", 0}, {"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\n", 0}, {"HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\n", 0},
    {"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n", 0}, {"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n", 0},
    {"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\n", 0}, {"HTTP/1.1 200 OK\r\n folded: 2\r\n\r\n", 0}, {"HTTP/1.1 200 OK\r\nA: b\r\n\tmore\r\n\r\n", 0},
    {"HTTP/1.1 200 OK\r\n: x\r\n\r\n", 0}, {"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", 0}, {"HTTP/1.1 200 OK\r\nA\rB: c\r\n\r\n", 0}, {"HTTP/1.1 200 OK\r\nA: b\rContent-Length: 1\r\n\r\n", 0},
    {"HTTP/1.1 200 OK\r\n\x01: b\r\n\r\n", 0}, {"HTTP/1.1 200 OK\r\n\xc3\xbc: b\r\n\r\n", 0}, {"HTTP/1.1 100 C\r\nContent-Length: 5\r\n\r\n", 0},
    {"HTTP/1.1 100 C\r\n\r\nrubbish", 0},
};

static void table(void **st)
{
    (void)st;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (size_t step = 1; step < 50; step += step < 8 ? 1 : 41) {
            int got = feed(rows[i].text, strlen(rows[i].text), step);
            if (got != rows[i].status)
                fail_msg("row %zu, %zu bytes a piece: %d, want %d", i, step, got, rows[i].status);
        }
    static const char nul[] = "HTTP/1.1 200 OK\r\nA: b\0c\r\n\r\n";
    assert_int_equal(feed(nul, sizeof nul - 1, 100), 0);
}

static void bounded(void **st)
{
    (void)st;
    cleanup_strbuf struct strbuf b = STRBUF_INIT;
    strbuf_puts(&b, "HTTP/1.1 200 OK\r\n");
    while (b.len < HTTPRESP_HEAD_MAX - 40)
        strbuf_puts(&b, "X-Filler: 0123456789\r\n");
    strbuf_puts(&b, "\r\n");
    assert_int_equal(feed(b.s, b.len, 1), 200);
    assert_int_equal(feed(b.s, b.len, 1000), 200);
    b.len -= 2;
    strbuf_puts(&b, "X-Filler: 0123456789\r\nX-Filler: 0123456789\r\n\r\n");
    assert_int_equal(feed(b.s, b.len, 1), 0);
    assert_int_equal(feed(b.s, b.len, b.len), 0);
    strbuf_reset(&b);
    strbuf_puts(&b, "HTTP/1.1 200 OK\r\nX: ");
    for (int i = 0; i < HTTPRESP_LINE_MAX; i++)
        strbuf_putc(&b, 'x');
    assert_int_equal(feed(b.s, b.len, 7), 0);
    strbuf_reset(&b);
    for (int i = 0; i < 2000; i++)      /* interim answers without end */
        strbuf_puts(&b, "HTTP/1.1 100 C\r\n\r\n");
    assert_int_equal(feed(b.s, b.len, 64), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(table), cmocka_unit_test(bounded)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
