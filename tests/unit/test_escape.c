/* What instances print must not be able to do anything to a terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "base/cleanup.h"
#include "base/rng.h"
#include "ctl/escape.h"
#include "ctl/utf8.h"

static void corpus(void **state)
{
    (void)state;
#define ROW(in, out) { in, sizeof(in) - 1, out }
    static const struct { const char *in; size_t len; const char *want; } rows[] = {
        ROW("plain, \tand a tab", "plain, \tand a tab"),
        ROW("\033[31mred\033[0m", "\\x1b[31mred\\x1b[0m"),                  /* CSI */
        ROW("\033]0;title\a", "\\x1b]0;title\\x07"),                        /* OSC, title */
        ROW("\033]52;c;Y3VybA==\033\\", "\\x1b]52;c;Y3VybA==\\x1b\\"),      /* OSC 52, clipboard */
        ROW("\033]8;;http://x\033\\y", "\\x1b]8;;http://x\\x1b\\y"),        /* hyperlink */
        ROW("\033P+q544e\033\\", "\\x1bP+q544e\\x1b\\"),                    /* DCS */
        ROW("a\rb\bc\vd\fe", "a\\x0db\\x08c\\x0bd\\x0ce"),
        ROW("nul\0byte", "nul\\x00byte"),
        ROW("del\x7f", "del\\x7f"),
        ROW("\x9b" "2J", "\\x9b2J"),                                        /* C1 as one byte */
        ROW("\xc2\x9b" "2J", "\\u009b2J"),                                  /* C1 as UTF-8 */
        ROW("\xc2\x85next", "\\u0085next"),
        ROW("gr\xc3\xbc\xc3\x9f \xe4\xb8\xad \xf0\x9f\x98\x80", "gr\xc3\xbc\xc3\x9f \xe4\xb8\xad \xf0\x9f\x98\x80"),
        ROW("\xc0\x9b overlong", "\\xc0\\x9b overlong"),
        ROW("\xed\xa0\x80 surrogate", "\\xed\\xa0\\x80 surrogate"),
        ROW("\xf4\x90\x80\x80 too high", "\\xf4\\x90\\x80\\x80 too high"),
        ROW("cut \xe4\xb8", "cut \\xe4\\xb8"),
        ROW("user\xe2\x80\xae" "txt.exe", "user\\u202etxt.exe"),            /* bidi override */
        ROW("\xe2\x81\xa6x\xe2\x81\xa9", "\\u2066x\\u2069"),
        ROW("\xf3\xa0\x81\x81", "\\U000e0041"),                             /* tag characters */
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        cleanup_strbuf struct strbuf out = STRBUF_INIT;
        escape_bytes(rows[i].in, rows[i].len, &out);
        assert_string_equal(strbuf_str(&out), rows[i].want);
    }
}

static void one_line(void **state)
{
    (void)state;
    static const struct { const char *in, *want; } rows[] = { { "", "" }, { "a\nb", "a b" }, { "a\r\nb\n", "a  b" }, { "tab\there", "tab here" }, { "\033[H", "\\x1b[H" } };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        cleanup_free char *got = escape_line(rows[i].in);
        assert_null(strpbrk(got, "\n\r\t\033"));
        if (i != 2) assert_string_equal(got, rows[i].want);
    }
}

/* Whatever comes in: what comes out is valid UTF-8 without control characters. */
static void random_bytes(void **state)
{
    (void)state;
    struct rng r = { 7 };
    for (int round = 0; round < 2000; round++) {
        char data[64];
        size_t len = rng_below(&r, sizeof data);
        for (size_t i = 0; i < len; i++) data[i] = rng_below(&r, 3) ? (char)rng_next(&r) : "\033\x9b\xc2\x80\xe2"[rng_below(&r, 5)];
        cleanup_strbuf struct strbuf out = STRBUF_INIT;
        escape_bytes(data, len, &out);
        for (size_t i = 0; i < out.len;) {
            uint32_t cp;
            size_t n = utf8_decode(out.s + i, out.len - i, &cp);
            assert_true(n > 0);
            assert_true(cp == '\t' || (cp >= 0x20 && !(cp >= 0x7f && cp < 0xa0)));
            i += n;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(corpus), cmocka_unit_test(one_line), cmocka_unit_test(random_bytes) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
