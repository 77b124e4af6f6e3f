/* ${NAME} in commands, and the words of a command line. */
#include "tests/unit/config_rig.h"
#include <errno.h>
#include "model/shellwords.h"

static struct kv VARS[] = { { (char *)"HOST", (char *)"127.0.0.1" }, { (char *)"PORT", (char *)"20001" }, { (char *)"EMPTY", (char *)"" },
                            { (char *)"PORTS", (char *)"no" }, { (char *)"NESTED", (char *)"${PORT}$$" } };

static void test_expand(void **state)
{
    (void)state;
    static const struct { const char *s, *want, *error; } ROWS[] = {
        { "", "", NULL }, { "plain", "plain", NULL }, { "${HOST}:${PORT}", "127.0.0.1:20001", NULL }, { "a${EMPTY}b", "ab", NULL },
        { "$$", "$", NULL }, { "$${PORT}", "${PORT}", NULL }, { "$$${PORT}", "$20001", NULL }, { "$PORT", "$PORT", NULL }, { "a$", "a$", NULL },
        { "$(x)", "$(x)", NULL }, { "${NESTED}", "${PORT}$$", NULL }, { "}{", "}{", NULL }, { "${PORTS}", "no", NULL },
        { "${NO}", NULL, "${NO} is not known" }, { "${port}", NULL, "${port} is not known" }, { "${PORT", NULL, "${PORT is not closed by }" },
        { "${}", NULL, "${} is not a variable's name; write $${ for a plain ${" }, { "${PORT:-1}", NULL, "${PORT:-1} is not a variable's name; write $${ for a plain ${" },
        { "${1A}", NULL, "${1A} is not a variable's name; write $${ for a plain ${" },
    };
    const struct kvs vars = { VARS, ARRAY_LEN(VARS) };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        char untouched[] = "untouched", *got = untouched;
        struct err e = { "" };
        int rc = spec_expand(ROWS[i].s, &vars, &got, &e);
        assert_int_equal(rc < 0, ROWS[i].error != NULL);
        assert_string_equal(e.text, ROWS[i].error ? ROWS[i].error : "");
        assert_string_equal(got, ROWS[i].want ? ROWS[i].want : "untouched");
        if (rc == 0)
            free(got);
    }
    assert_int_equal(spec_expand("${NO}", &vars, &(char *){NULL}, NULL), -EINVAL);
}

static void test_shellwords_refused(void **state)
{
    (void)state;
    static const char *const ROWS[] = { "", "  ", "a 'b", "a \"b", "a \\", "a & b", "a;b", "a > b", "a < b", "a || b", "a `b`", "a \"`b`\"", "a $(b)", "A=1", "A=1 b" };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct strv words = {0};
        struct err e = { "" };
        if (shellwords_split(ROWS[i], &words, &e) != -EINVAL || !*e.text || words.n)
            fail_msg("\"%s\" was accepted", ROWS[i]);
    }
}

static void test_shellwords_bound(void **state)
{
    (void)state;
    struct strv words = {0};
    struct err e;
    cleanup_strbuf struct strbuf text = STRBUF_INIT;
    for (int i = 0; i < SHELL_WORDS_MAX; i++)
        strbuf_puts(&text, "x ");
    assert_int_equal(shellwords_split(text.s, &words, NULL), 0);
    assert_int_equal(words.n, SHELL_WORDS_MAX);
    strv_done(&words);
    strbuf_puts(&text, "x");
    assert_int_equal(shellwords_split(text.s, &words, &e), -EINVAL);
}

/* What single quotes or a backslash keep from a shell is kept from the expansion too. */
static void test_quoting_survives_expansion(void **state)
{
    (void)state;
    static const struct { const char *line, *word; } ROWS[] = {
        { "'${PORT}'", "${PORT}" }, { "\\${PORT}", "${PORT}" }, { "\"\\${PORT}\"", "${PORT}" }, { "\"${PORT}\"", "20001" }, { "x${PORT}y", "x20001y" }, { "'$$'", "$$" },
        { "\"a\\\"b\"", "a\"b" }, { "\"a\\b\"", "a\\b" }, { "a\\\n b", "a" },
    };
    const struct kvs vars = { VARS, ARRAY_LEN(VARS) };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct strv words = {0};
        cleanup_free char *got = NULL;
        assert_int_equal(shellwords_split(ROWS[i].line, &words, NULL), 0);
        assert_int_equal(spec_expand(words.v[0], &vars, &got, NULL), 0);
        assert_string_equal(got, ROWS[i].word);
        strv_done(&words);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expand), cmocka_unit_test(test_shellwords_refused), cmocka_unit_test(test_shellwords_bound),
        cmocka_unit_test(test_quoting_survives_expansion),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
