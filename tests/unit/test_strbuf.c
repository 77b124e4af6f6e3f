/* Strings, lists of strings, errors in layers, cleaned text. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "base/cleanup.h"
#include "base/err.h"
#include "base/strbuf.h"
#include "base/utf8.h"

static void grows(void **st)
{
    (void)st;
    cleanup_strbuf struct strbuf b = STRBUF_INIT;
    assert_string_equal(strbuf_str(&b), "");
    for (int i = 0; i < 10000; i++)
        strbuf_printf(&b, "%d,", i);
    assert_int_equal(b.len, strlen(b.s));
    assert_memory_equal(b.s, "0,1,2,3,", 8);
    assert_string_equal(b.s + b.len - 5, "9999,");
    size_t cap = b.cap;
    strbuf_reset(&b);
    assert_string_equal(strbuf_str(&b), "");
    assert_int_equal(b.cap, cap);
    strbuf_add(&b, "a\0b", 3);
    strbuf_putc(&b, 'c');
    strbuf_puts(&b, "");
    assert_int_equal(b.len, 4);
    assert_memory_equal(b.s, "a\0bc", 5);
}

static void printf_at_each_border(void **st)
{
    (void)st;
    char want[300];
    for (int n = 0; n < 290; n++) {         /* lengths around each capacity */
        cleanup_strbuf struct strbuf b = STRBUF_INIT;
        memset(want, 'x', (size_t)n);
        want[n] = '\0';
        strbuf_printf(&b, "%s", want);
        strbuf_printf(&b, "%s", want);
        assert_int_equal(b.len, 2 * n);
        assert_string_equal(b.s + n, want);
    }
}

static void take_never_null(void **st)
{
    (void)st;
    struct strbuf b = STRBUF_INIT;
    cleanup_free char *s = strbuf_take(&b);
    assert_string_equal(s, "");
    assert_null(b.s);
    cleanup_free char *t = xasprintf("%s-%d", "a", 5);
    assert_string_equal(t, "a-5");
    assert_null(xstrdup(NULL));
    cleanup_free char *u = xstrndup("abc", 10);
    assert_string_equal(u, "abc");
}

static void fixed(void **st)
{
    (void)st;
    static const struct { const char *src, *dst; int whole; } rows[] = {{"", "", 1}, {"abc", "abc", 1}, {"abcd", "abc", 0}, {"abcdefgh", "abc", 0}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char dst[4] = "zzz";
        assert_int_equal(fixed_copy(dst, sizeof dst, rows[i].src), rows[i].whole);
        assert_string_equal(dst, rows[i].dst);
    }
    char one[1] = {'z'};
    assert_int_equal(fixed_copy(one, 1, "a"), 0);
    assert_int_equal(one[0], 0);
    char none = 'z';
    assert_int_equal(fixed_copy(&none, 0, "a"), 0);
    assert_int_equal(none, 'z');
}

static void lists(void **st)
{
    (void)st;
    struct strv a = {0}, b = {0};
    assert_true(strv_equal(&a, &b));
    for (int i = 0; i < 1000; i++) {
        strv_push_take(&a, xasprintf("%d", i));
        assert_null(a.v[a.n]);
    }
    strv_copy(&b, &a);
    assert_true(strv_equal(&a, &b));
    assert_true(a.v[5] != b.v[5]);
    assert_true(strv_has(&b, "999"));
    assert_false(strv_has(&b, "1000"));
    strv_push(&b, "more");
    assert_false(strv_equal(&a, &b));
    strv_done(&a);
    strv_done(&b);
    strv_done(&b);
    assert_int_equal(a.n + b.n, 0);
}

static void errors_in_layers(void **st)
{
    (void)st;
    struct err e;
    assert_int_equal(err_sys(&e, -ENOENT, "%s", "/x"), -ENOENT);
    assert_string_equal(e.text, "/x: No such file or directory");
    assert_int_equal(err_wrap(&e, -EIO, "state %d", 1), -EIO);
    assert_string_equal(e.text, "state 1: /x: No such file or directory");
    assert_int_equal(err_set(&e, -EINVAL, "again: %s", e.text), -EINVAL);      /* from itself */
    assert_string_equal(e.text, "again: state 1: /x: No such file or directory");
    for (int i = 0; i < 100; i++)
        err_wrap(&e, -EIO, "layer number %d", i);
    assert_int_equal(strlen(e.text), sizeof e.text - 1);
    assert_memory_equal(e.text, "layer number 99: layer number 98", 32);
    assert_int_equal(err_set(NULL, -EPERM, "x"), -EPERM);
    assert_int_equal(err_sys(NULL, -EPERM, "x"), -EPERM);
    assert_int_equal(err_wrap(NULL, -EPERM, "x"), -EPERM);
    struct err empty = {""};
    err_wrap(&empty, -EPERM, "x");
    assert_string_equal(empty.text, "x");
}

static void clean_text(void **st)
{
    (void)st;
    static const struct { const char *src, *dst; int whole; } rows[] = {
        {"", "", 1}, {"plain", "plain", 1}, {"a\nb\tc\x7f", "a b c ", 1}, {"\x1b[31mred", " [31mred", 1}, {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f", 1},
        {"\xe2\x82\xac \xf0\x9f\x98\x80", "\xe2\x82\xac \xf0\x9f\x98\x80", 1}, {"\xc3", "?", 1}, {"\xc3(", "?(", 1}, {"\xff\xfe", "??", 1},
        {"\xc0\xaf", "??", 1} /* overlong */, {"\xe0\x80\xaf", "???", 1}, {"\xf0\x80\x80\xaf", "????", 1},
        {"\xed\xa0\x80", "???", 1} /* surrogate */, {"\xf4\x90\x80\x80", "????", 1}, {"\xc2\x9b" "31m", " 31m", 1} /* C1 */,
        {"0123456789abcdef", "0123456789abcde", 0}, {"0123456789abcd\xc3\xbc", "0123456789abcd", 0}, {"\xe2\x82", "??", 1}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char dst[16];
        int whole = utf8_clean(dst, sizeof dst, rows[i].src);
        assert_string_equal(dst, rows[i].dst);
        assert_int_equal(whole, rows[i].whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(grows), cmocka_unit_test(printf_at_each_border), cmocka_unit_test(take_never_null),
        cmocka_unit_test(fixed), cmocka_unit_test(lists), cmocka_unit_test(errors_in_layers), cmocka_unit_test(clean_text)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
