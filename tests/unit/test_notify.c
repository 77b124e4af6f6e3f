#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "agent/notify.h"
#include "base/cleanup.h"
#include "base/rng.h"

#define NONE .extend_timeout_ms = -1, .watchdog_ms = -1

static void check(const char *text, const struct notify_msg *want)
{
    struct notify_msg m;
    memset(&m, 0xee, sizeof m);
    if (notify_parse(text, strlen(text), &m) != 0)
        fail_msg("refused: %s", text);
    bool same = m.ready == want->ready && m.stopping == want->stopping && m.reloading == want->reloading && m.watchdog == want->watchdog &&
        m.watchdog_trigger == want->watchdog_trigger && m.has_status == want->has_status && strcmp(m.status, want->status) == 0 &&
        m.extend_timeout_ms == want->extend_timeout_ms && m.watchdog_ms == want->watchdog_ms && m.mainpid == want->mainpid && !m.mainpid_in_group;
    if (!same)
        fail_msg("read wrongly: %s", text);
}

static void table(void **st)
{
    (void)st;
    static const struct { const char *text; struct notify_msg want; } rows[] = {
        {"READY=1", {NONE, .ready = true}},
        {"READY=1\n", {NONE, .ready = true}},
        {"READY=0", {NONE}},
        {"READY=11", {NONE}},
        {"READY", {NONE}},
        {" READY=1", {NONE}},
        {"ready=1", {NONE}},
        {"READY=1\r\n", {NONE}},
        {"READYY=1", {NONE}},
        {"\n\n\n", {NONE}},
        {"=", {NONE}},
        {"FDSTORE=1\nFDNAME=x\nBARRIER=1\nX_OWN=abc", {NONE}},
        {"STOPPING=1", {NONE, .stopping = true}},
        {"RELOADING=1\nMONOTONIC_USEC=5", {NONE, .reloading = true}},
        {"WATCHDOG=1", {NONE, .watchdog = true}},
        {"WATCHDOG=trigger", {NONE, .watchdog_trigger = true}},
        {"WATCHDOG=2", {NONE}},
        {"STATUS=loading a=b 5%", {NONE, .has_status = true, .status = "loading a=b 5%"}},
        {"STATUS=", {NONE, .has_status = true}},
        {"STATUS=one\nSTATUS=two", {NONE, .has_status = true, .status = "two"}},
        {"STATUS=\x1b[31m\xff", {NONE, .has_status = true, .status = " [31m?"}},
        {"READY=1\nSTATUS=up\nMAINPID=4242\nWATCHDOG_USEC=5000000", {.extend_timeout_ms = -1, .watchdog_ms = 5000, .ready = true, .has_status = true,
                                                                        .status = "up", .mainpid = 4242}},
        {"EXTEND_TIMEOUT_USEC=30000000", {.extend_timeout_ms = 30000, .watchdog_ms = -1}},
        {"EXTEND_TIMEOUT_USEC=1", {.extend_timeout_ms = 1, .watchdog_ms = -1}},
        {"EXTEND_TIMEOUT_USEC=18446744073709551615", {.extend_timeout_ms = 31536000000, .watchdog_ms = -1}},
        {"EXTEND_TIMEOUT_USEC=18446744073709551616", {NONE}},
        {"EXTEND_TIMEOUT_USEC=-1", {NONE}},
        {"EXTEND_TIMEOUT_USEC=5s", {NONE}},
        {"EXTEND_TIMEOUT_USEC=", {NONE}},
        {"WATCHDOG_USEC=0", {.extend_timeout_ms = -1, .watchdog_ms = 0}},
        {"WATCHDOG_USEC=0x10", {NONE}},
        {"MAINPID=0", {NONE}}, {"MAINPID=1", {NONE}}, {"MAINPID=-5", {NONE}}, {"MAINPID=4294967298", {NONE}}, {"MAINPID=2147483648", {NONE}}, {"MAINPID=12x", {NONE}},
        {"MAINPID=7\nMAINPID=bad", {NONE, .mainpid = 7}},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        check(rows[i].text, &rows[i].want);
}

static void refused(void **st)
{
    (void)st;
    static char big[70000];
    memset(big, '\n', sizeof big);
    struct notify_msg m = {.mainpid = 77};
    assert_int_equal(notify_parse("", 0, &m), -EINVAL);
    assert_int_equal(notify_parse("READY=1\0", 8, &m), -EINVAL);
    assert_int_equal(notify_parse("\0", 1, &m), -EINVAL);
    assert_int_equal(notify_parse("READY=1\0STOPPING=1", 18, &m), -EINVAL);
    assert_int_equal(notify_parse(big, 4097, &m), -EINVAL);
    assert_int_equal(notify_parse(big, sizeof big, &m), -EINVAL);
    assert_int_equal(m.mainpid, 77);                    /* untouched */
    assert_int_equal(notify_parse(big, 4096, &m), 0);   /* 4096 lines */
}

static void long_status(void **st)
{
    (void)st;
    char text[4096];
    memset(text, 'x', sizeof text);
    memcpy(text, "STATUS=", 7);
    struct notify_msg m;
    assert_int_equal(notify_parse(text, sizeof text, &m), 0);
    assert_int_equal(strlen(m.status), sizeof m.status - 1);
    memcpy(text + sizeof text - 8, "\nREADY=1", 8);     /* behind the long line */
    assert_int_equal(notify_parse(text, sizeof text, &m), 0);
    assert_true(m.ready);
}

/* No end of the buffer is overrun: exact-size copies under ASan, every cut of a datagram, and noise. */
static void cuts_and_noise(void **st)
{
    (void)st;
    static const char whole[] = "READY=1\nSTATUS=gr\xc3\xbc\xc3\x9f\nMAINPID=12\nWATCHDOG_USEC=9\nEXTEND_TIMEOUT_USEC=7";
    struct rng r = {.state = 11};
    for (size_t len = 1; len < sizeof whole; len++) {
        char *exact = malloc(len);
        memcpy(exact, whole, len);
        struct notify_msg m;
        assert_int_equal(notify_parse(exact, len, &m), 0);
        for (int i = 0; i < 50; i++) {
            memcpy(exact, whole, len);
            exact[rng_below(&r, len)] = (char)rng_next(&r);
            if (notify_parse(exact, len, &m) == 0)
                assert_true(m.mainpid == 0 || m.mainpid >= 2);
        }
        free(exact);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(table), cmocka_unit_test(refused), cmocka_unit_test(long_status), cmocka_unit_test(cuts_and_noise)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
