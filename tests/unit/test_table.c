/* Tables: what gives way when there is no room, and that nothing is ever wider than allowed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "base/cleanup.h"
#include "base/rng.h"
#include "ctl/table.h"
#include "ctl/utf8.h"

static const struct table_column columns[] = {
    { "NAME", TABLE_KEEP, false, false }, { "PORT", 20, true, false }, { "PID", 10, true, false }, { "WHY", TABLE_KEEP, false, true } };

static struct table *sample(const char *why)
{
    struct table *t = table_new(columns, ARRAY_LEN(columns));
    table_row(t);
    table_cell(t, 0, COLOR_GREEN, "api.1");
    table_cell(t, 1, COLOR_NONE, "20001");
    table_cell(t, 2, COLOR_NONE, "77");
    table_cell(t, 3, COLOR_RED, why);
    return t;
}

static char *print(struct table *t, struct look l, size_t rows)
{
    struct strbuf out = STRBUF_INIT;
    table_print(t, &l, rows, &out);
    return strbuf_take(&out);
}

static void columns_give_way_by_priority(void **state)
{
    (void)state;
    static const struct { size_t width; const char *want; } rows[] = {
        { 0,  "NAME    PORT  PID  WHY\napi.1  20001   77  no such file or directory\n" },
        { 80, "NAME    PORT  PID  WHY\napi.1  20001   77  no such file or directory\n" },
        { 42, "NAME   PORT PID WHY\napi.1 20001  77 no such file or directory\n" },         /* gaps first */
        { 38, "NAME    PORT  WHY\napi.1  20001  no such file or\n              directory\n" },  /* then the lowest priority */
        { 30, "NAME  WHY\napi.1 no such file or\n      directory\n" },
        { 20, "NAME  WHY\napi.1 no such file\n      or directory\n" },
        { 12, "NAME  WHY\napi.1 no\n      such\n      file\n      or\n      direct\n      ory\n" },
    };
    cleanup_table struct table *t = sample("no such file or directory");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        cleanup_free char *got = print(t, (struct look){ .width = rows[i].width, .utf8 = true }, 0);
        assert_string_equal(got, rows[i].want);
    }
}

static void a_short_reason_takes_no_more_than_it_needs(void **state)
{
    (void)state;
    cleanup_table struct table *t = sample("ok");
    cleanup_free char *got = print(t, (struct look){ .width = 22 }, 0);
    assert_string_equal(got, "NAME    PORT  PID  WHY\napi.1  20001   77  ok\n");
}

static void rows_that_are_left_out_are_told(void **state)
{
    (void)state;
    cleanup_table struct table *t = sample("x");
    for (int i = 0; i < 5; i++) table_row(t);
    cleanup_free char *got = print(t, (struct look){ .width = 80 }, 2);
    assert_non_null(strstr(got, "(4 more)"));
}

static void color_only_when_asked_and_closed(void **state)
{
    (void)state;
    cleanup_table struct table *t = sample("broken");
    cleanup_free char *plain = print(t, (struct look){ .width = 80 }, 0), *color = print(t, (struct look){ .width = 80, .color = true }, 0);
    assert_null(strchr(plain, '\033'));
    assert_non_null(strstr(color, "\033[32mapi.1\033[0m"));
    assert_non_null(strstr(color, "\033[31mbroken\033[0m\n"));
}

static void cells_cannot_move_the_cursor(void **state)
{
    (void)state;
    cleanup_table struct table *t = sample("\033[2J\nsecond\tline\r\x9b" "0m");
    cleanup_free char *got = print(t, (struct look){ .width = 0 }, 0);
    assert_non_null(strstr(got, "\\x1b[2J second line \\x9b0m\n"));
}

/* Random texts, wide and combining characters and bytes that are not UTF-8 among them. */
static void never_wider_than_the_width(void **state)
{
    (void)state;
    static const char *const bits[] = { "a", "word ", "\xe4\xb8\xad", "e\xcc\x81", "\xff", " ", "verylongwordwithoutblank", "\xf0\x9f\x98\x80", "\033[31m" };
    struct rng r = { 42 };
    for (int round = 0; round < 400; round++) {
        cleanup_table struct table *t = table_new(columns, ARRAY_LEN(columns));
        for (uint64_t row = rng_below(&r, 6); row > 0; row--) {
            table_row(t);
            for (size_t c = 0; c < ARRAY_LEN(columns); c++) {
                cleanup_strbuf struct strbuf b = STRBUF_INIT;
                for (uint64_t n = rng_below(&r, c == 3 ? 30 : 4); n > 0; n--) strbuf_puts(&b, bits[rng_below(&r, ARRAY_LEN(bits))]);
                table_cell(t, c, COLOR_NONE, strbuf_str(&b));
            }
        }
        size_t width = 12 + rng_below(&r, 90);
        cleanup_free char *got = print(t, (struct look){ .width = width, .utf8 = true }, 0);
        char *save = NULL;
        for (char *line = strtok_r(got, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
            if (utf8_columns(line) > width) fail_msg("round %d: %zu > %zu: %s", round, utf8_columns(line), width, line);
    }
}

static void clipping_counts_what_is_seen(void **state)
{
    (void)state;
    cleanup_strbuf struct strbuf out = STRBUF_INIT;
    struct look l = { .width = 5, .color = true };
    look_clip(&l, "\033[31mabcdefg\033[0m\nxy\nthird", 2, &out);
    assert_string_equal(out.s, "\033[31mabcde\033[0m\nxy");
}

static void widths(void **state)
{
    (void)state;
    static const struct { const char *s; size_t want; } rows[] = { { "", 0 }, { "abc", 3 }, { "\xe4\xb8\xad", 2 }, { "e\xcc\x81", 1 }, { "●", 1 }, { "\xff\xfe", 2 },
        { "\xe2\x80\x8b", 0 }, { "\xed\xa0\x80", 3 } };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) assert_int_equal(utf8_columns(rows[i].s), rows[i].want);
    assert_int_equal(utf8_fit("a\xe4\xb8\xad" "b", 2), 1);     /* a wide character is not cut in two */
    assert_int_equal(utf8_fit("a\xe4\xb8\xad" "b", 3), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_give_way_by_priority),
        cmocka_unit_test(a_short_reason_takes_no_more_than_it_needs),
        cmocka_unit_test(rows_that_are_left_out_are_told),
        cmocka_unit_test(color_only_when_asked_and_closed),
        cmocka_unit_test(cells_cannot_move_the_cursor),
        cmocka_unit_test(never_wider_than_the_width),
        cmocka_unit_test(clipping_counts_what_is_seen),
        cmocka_unit_test(widths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
