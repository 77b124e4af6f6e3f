/* Options, arguments and the table of commands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <string.h>
#include <cmocka.h>
#include "base/cleanup.h"
#include "ctl/command.h"
#include "ctl/help.h"

static const struct opt opts[] = { { 'f', "file", "FILE", "" }, { 'w', "wait", NULL, "" }, { 'n', "lines", "N", "" }, { 'a', "all", NULL, "" } };

/* Words separated by blanks, as argv. */
static int parse(const char *line, struct args *ret, struct err *e)
{
    static char copy[256];
    static char *argv[32];
    int argc = 0;
    char *save = NULL;
    fixed_copy(copy, sizeof copy, line);
    for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save)) argv[argc++] = w;
    argv[argc] = NULL;
    return args_parse(opts, ARRAY_LEN(opts), argc, argv, ret, e);
}

static void good_lines(void **state)
{
    (void)state;
    static const struct { const char *line, *file, *lines; bool wait, all; size_t pos, rest; } rows[] = {
        { "", NULL, NULL, false, false, 0, 0 },
        { "api 3", NULL, NULL, false, false, 2, 0 },
        { "--file a.yaml api --wait", "a.yaml", NULL, true, false, 1, 0 },
        { "--file=a=b -w", "a=b", NULL, true, false, 0, 0 },
        { "-fa.yaml -wa", "a.yaml", NULL, true, true, 0, 0 },
        { "-f a.yaml -n20", "a.yaml", "20", false, false, 0, 0 },
        { "-wn 5", NULL, "5", true, false, 0, 0 },
        { "api -1", NULL, NULL, false, false, 2, 0 },               /* a number, not an option */
        { "api -.5 -", NULL, NULL, false, false, 3, 0 },
        { "api -- ls --wait -x", NULL, NULL, false, false, 1, 3 },
        { "--file= x", "", NULL, false, false, 1, 0 },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct args a;
        struct err e = { "" };
        assert_int_equal(parse(rows[i].line, &a, &e), 0);
        const char *file = args_get(&a, "file"), *lines = args_get(&a, "lines");
        assert_int_equal(!file, !rows[i].file);
        if (file) assert_string_equal(file, rows[i].file);
        assert_int_equal(!lines, !rows[i].lines);
        if (lines) assert_string_equal(lines, rows[i].lines);
        assert_int_equal(args_has(&a, "wait"), rows[i].wait);
        assert_int_equal(args_has(&a, "all"), rows[i].all);
        assert_int_equal(a.pos_n, rows[i].pos);
        assert_int_equal(a.rest_n, rows[i].rest);
    }
}

static void bad_lines_say_what_and_what_was_meant(void **state)
{
    (void)state;
    static const struct { const char *line, *says; } rows[] = {
        { "--wiat", "did you mean `--wait`" }, { "--fil x", "did you mean `--file`" }, { "--xyzzy", "unknown option `--xyzzy`" },
        { "-z", "unknown option `-z`" },       { "--file", "wants a value" },          { "-f", "wants a value" },
        { "--wait=yes", "takes no value" },    { "-wz", "unknown option `-z`" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct args a;
        struct err e = { "" };
        assert_int_equal(parse(rows[i].line, &a, &e), -EINVAL);
        if (!strstr(e.text, rows[i].says)) fail_msg("%s: %s", rows[i].line, e.text);
    }
}

static void too_many_arguments_are_refused(void **state)
{
    (void)state;
    char *argv[ARGS_MAX + 2];
    struct args a;
    struct err e = { "" };
    for (size_t i = 0; i < ARRAY_LEN(argv); i++) argv[i] = (char *)"x";
    assert_int_equal(args_parse(opts, ARRAY_LEN(opts), ARGS_MAX, argv, &a, &e), 0);
    assert_int_equal(args_parse(opts, ARRAY_LEN(opts), ARGS_MAX + 1, argv, &a, &e), -EINVAL);
}

static void every_command_is_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < command_n; i++) {
        const struct command *c = &commands[i];
        assert_ptr_equal(command_find(c->name), c);
        assert_non_null(c->run);
        assert_true(strlen(c->summary) > 10);
        assert_non_null(strstr(c->help, "Examples:\n"));
        assert_int_equal(c->help[strlen(c->help) - 1], '\n');
        assert_true(c->pos_min <= c->pos_max && c->opt_n <= ARGS_OPTIONS_MAX);
        bool help = false, state_option = false;
        for (size_t o = 0; o < c->opt_n; o++) {
            help = help || strcmp(c->opts[o].name, "help") == 0;
            state_option = state_option || strcmp(c->opts[o].name, "state") == 0;
            for (size_t p = 0; p < o; p++) {
                assert_string_not_equal(c->opts[o].name, c->opts[p].name);
                assert_true(!c->opts[o].letter || c->opts[o].letter != c->opts[p].letter);
            }
        }
        assert_true(help);
        assert_int_equal(state_option, !c->offline);
    }
}

static void help_fits_the_terminal(void **state)
{
    (void)state;
    for (size_t i = 0; i < command_n; i++) {
        cleanup_strbuf struct strbuf out = STRBUF_INIT;
        bool examples = false;
        char *save = NULL;
        help_render(&commands[i], 80, &out);
        for (char *line = strtok_r(out.s, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
            if (strncmp(line, "Examples:", 9) == 0) examples = true;
            else if (line[0] != ' ') examples = false;
            if (!examples && strlen(line) > 80) fail_msg("%s: %s", commands[i].name, line);
        }
    }
}

static void mistyped_commands(void **state)
{
    (void)state;
    static const struct { const char *said, *want; } rows[] = { { "staus", "status" }, { "sclae", "scale" }, { "aply", "apply" }, { "lgos", "logs" }, { "exlpain", "explain" },
        { "ls", "ps" }, { "deploy", "apply" }, { "rm", "delete" }, { "tail", "logs" }, { "frobnicate", NULL } };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *got = command_nearest(rows[i].said);
        assert_int_equal(!got, !rows[i].want);
        if (got) assert_string_equal(got, rows[i].want);
    }
}

static void names_that_may_go_into_a_path(void **state)
{
    (void)state;
    static const struct { const char *s; bool want; } rows[] = { { "api", true }, { "a-1", true }, { "", false }, { "api.1", false }, { "../x", false }, { "a/b", false }, { "a?b", false },
        { "API", false }, { "a b", false }, { "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", true }, { "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false } };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) assert_int_equal(ctl_is_name(rows[i].s), rows[i].want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_lines), cmocka_unit_test(bad_lines_say_what_and_what_was_meant), cmocka_unit_test(too_many_arguments_are_refused),
        cmocka_unit_test(every_command_is_whole), cmocka_unit_test(help_fits_the_terminal), cmocka_unit_test(mistyped_commands), cmocka_unit_test(names_that_may_go_into_a_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
