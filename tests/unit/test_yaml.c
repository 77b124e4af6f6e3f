/* The reader of YAML alone: what it refuses, where it says so, and its bounds. Time is judged by what was allocated and by how many
 * nodes were made, not by a clock. */
#include "tests/unit/config_rig.h"
#include "model/yaml.h"
#include "model/yaml_text.h"

struct outcome { char *messages; uint32_t nodes; bool broken; };

static struct outcome read_text(const char *text, size_t len)
{
    struct problems p = {0};
    struct yaml_tree t = {0};
    struct config_errors e = {0};
    struct config_source src = { .name = "y", .folder = "/" };
    struct strbuf out = STRBUF_INIT;
    uint32_t left = CONFIG_NODES_MAX;
    int rc = yaml_read(text, len, 0, &left, &t, &p);
    assert_int_equal(rc < 0, p.n > 0);
    struct outcome o = { .nodes = t.node_n, .broken = t.broken };
    assert_true(t.node_n <= CONFIG_NODES_MAX + CONFIG_DEPTH_MAX);
    problems_give(&p, &src, &e);
    config_errors_print(&e, &out);
    config_errors_done(&e);
    yaml_tree_done(&t);
    o.messages = strbuf_take(&out);
    return o;
}

static void test_refused(void **state)
{
    (void)state;
#define TAB "a tab in the indentation: YAML wants spaces"
#define INDENT "bad indentation: expected another `key: value` like the ones above, in the same column"
    static const struct { const char *text, *want; } ROWS[] = {
        { "a:\n\tb: c\n", "y:2:1: " TAB }, { "a:\n  b: c\n\td: e\n", "y:3:1: " TAB }, { "a:\n  b:\n  \tc: d\n", "y:3:3: " TAB },
        { "a:\n  b: c\n d: e\n", "y:3:2: " INDENT }, { "a:\n   b: c\n  d: e\n", "y:3:3: " INDENT },
        { "a: b\n  c: d\n", "y:2:4: no `:` is expected here: look at the indentation of this line and the one above, and put a value that holds `: ` in quotes" },
        { "a: b: c\n", "y:1:5: no `:` is expected here: look at the indentation of this line and the one above, and put a value that holds `: ` in quotes" },
        { "a: - b\n", "y:1:4: no `- item` is expected here: a list starts on a line of its own" },
        { "a: [b, c\nd: e\n", "y:2:2: expected `,` or `]`: is a list not closed, or does a word with any of {}[],: in it want quotes?" },
        { "a: { b: c\n", "y:2:1: expected `,` or `}`: is a map not closed, or does a word with any of {}[],: in it want quotes?" },
        { "a: \"b\nc: d\n", "y:3:1: a quote is not closed" }, { "a: %b\n", "y:1:4: a value cannot start with this character: put it in quotes" },
        { "a: @b\n", "y:1:4: a value cannot start with this character: put it in quotes" },
        { "a: `b`\n", "y:1:4: a value cannot start with this character: put it in quotes" },
        { "a: \"\\q\"\n", "y:1:5: unknown escape: in \"double quotes\" a backslash starts one, 'single quotes' take it as it is" },
        { "a: b\n---\nc: d\n", "y:2:1: a second document starts here: one file is one document" },
        { "a: &x b\n", "y:1:4: a: anchors (&name) are not used: aliases are not expanded" },
        { "a: b\nc: *x\n", "y:2:4: c: aliases (*name) are not expanded: write the value out" },
        { "a:\n  <<: { b: c }\n", "y:2:3: a.<<: merge keys (<<) are not expanded: write the keys out" },
        { "a: !!int 3\n", "y:1:4: a: tags (!name) are not used: the key decides the type" },
        { "a: !x [b]\n", "y:1:4: a: tags (!name) are not used: the key decides the type" },
        { "a:\n  b: 1\n  c: 2\n  b: 3\n", "y:4:3: a.b: the key \"b\" is there twice, the first is at line 2, column 3" },
        { "a: [ { b: 1, 'b': 2 } ]\n", "y:1:14: a[0].b: the key \"b\" is there twice, the first is at line 1, column 8" },
        { "[a]: b\n", "y:1:1: a key must be a word, not a list or a map" },
        { "a: \"b\\0c\"\n", "y:1:4: a: a NUL cannot be part of a text" },
        { "a: caf\xe9\n", "y:1:7: not a text file: this is not UTF-8 (byte 0xe9), expected a YAML file in UTF-8" },
        { "\x7f" "ELF", "y:1:1: not a text file: a control character (byte 0x7f), expected a YAML file in UTF-8" },
        { "a: \x1b[2J\n", "y:1:4: not a text file: a control character (byte 0x1b), expected a YAML file in UTF-8" },
        { "\xff\xfe" "a", "y:1:1: the file is UTF-16 (byte 0xff), expected a YAML file in UTF-8" },
        { "a: \xed\xa0\x80\n", "y:1:4: not a text file: this is not UTF-8 (byte 0xed), expected a YAML file in UTF-8" },
        { "a: \xc0\xaf\n", "y:1:4: not a text file: this is not UTF-8 (byte 0xc0), expected a YAML file in UTF-8" },
        { "a: \xf4\x90\x80\x80\n", "y:1:4: not a text file: this is not UTF-8 (byte 0xf4), expected a YAML file in UTF-8" },
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct outcome o = read_text(ROWS[i].text, strlen(ROWS[i].text));
        if (strncmp(o.messages, ROWS[i].want, strlen(ROWS[i].want)) != 0)
            fail_msg("\n%s\n--- gave:\n%s--- wanted:\n%s", ROWS[i].text, o.messages, ROWS[i].want);
        free(o.messages);
    }
    struct outcome o = read_text("a: b\0c\n", 7);
    assert_string_equal(o.messages, "y:1:5: not a text file: a NUL byte (byte 0x00), expected a YAML file in UTF-8\n");
    free(o.messages);
}

static void test_accepted(void **state)
{
    (void)state;
    static const char *const TEXTS[] = { "", "# only a comment\n", "---\na: b\n", "a: b\n...\n", "a: b\r\nc: d\r\n", ("\xef\xbb\xbf" "a: b\n"), "a: |\n  x\n  \ty\n",
                                         "a: \xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80\n", "a: b\tc\n", "a:\n- b\n- c\n", "'a': \"b\"\n", "a: http://x/#y\n", "a: :8080\n",
                                         "a: [ b: 60% ]\n", "\"<<\": b\n" };
    for (size_t i = 0; i < ARRAY_LEN(TEXTS); i++) {
        struct outcome o = read_text(TEXTS[i], strlen(TEXTS[i]));
        if (*o.messages)
            fail_msg("%s\n%s", TEXTS[i], o.messages);
        free(o.messages);
    }
}

static void test_tree(void **state)
{
    (void)state;
    static const char TEXT[] = "a: 012\nb: '012'\nc:\nd: [x, [y]]\n";
    struct problems p = {0};
    struct yaml_tree t = {0};
    uint32_t left = 100;
    const struct yaml_node *key;
    assert_int_equal(yaml_read(TEXT, strlen(TEXT), 0, &left, &t, &p), 0);
    assert_int_equal(left, 100 - t.node_n);
    const struct yaml_node *a = yaml_get(t.root, "a", &key);
    assert_string_equal(a->text, "012");
    assert_false(a->quoted);
    assert_int_equal(a->line, 1);
    assert_int_equal(a->column, 4);
    assert_int_equal(key->column, 1);
    assert_true(yaml_get(t.root, "b", NULL)->quoted);
    assert_true(yaml_is_empty(yaml_get(t.root, "c", NULL)));
    const struct yaml_node *d = yaml_get(t.root, "d", NULL);
    assert_int_equal(d->kind, YAML_SEQUENCE);
    assert_int_equal(d->n, 2);
    assert_string_equal(d->first->next->first->text, "y");
    assert_null(yaml_get(t.root, "e", NULL));
    assert_null(yaml_get(d, "x", NULL));
    yaml_tree_done(&t);
}

/* --- bounds --------------------------------------------------------------------------------------------- */
static char *repeat(const char *head, const char *unit, size_t n)
{
    size_t len = strlen(unit), start = strlen(head);
    char *s = xmalloc(start + n * len + 1);
    memcpy(s, head, start);
    for (size_t i = 0; i < n; i++)
        memcpy(s + start + i * len, unit, len);
    s[start + n * len] = '\0';
    return s;
}

/* However much there is, reading stops at 32 levels: so few nodes were made. */
static void test_depth(void **state)
{
    (void)state;
    static const char *const UNITS[] = { "[", "{", "- ", "? ", "[\n", "{a: ", "[[{" };
    for (size_t i = 0; i < ARRAY_LEN(UNITS); i++) {
        for (size_t n = 20000; n <= 200000; n *= 10) {
            cleanup_free char *text = repeat("", UNITS[i], n);
            struct outcome o = read_text(text, strlen(text));
            if (!strstr(o.messages, "nested too deeply: at most 32 levels are read") || o.nodes > 100)
                fail_msg("%s: %u nodes, %s", UNITS[i], o.nodes, o.messages);
            assert_true(o.broken);
            free(o.messages);
        }
    }
    struct outcome exact = read_text("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]", 64);
    assert_string_equal(exact.messages, "");
    free(exact.messages);
}

static void test_nodes(void **state)
{
    (void)state;
    cleanup_free char *text = repeat("a: [", "b,", 150000);
    struct outcome o = read_text(text, strlen(text));
    assert_non_null(strstr(o.messages, "too much in it: at most 100000 keys and values are read"));
    assert_true(o.broken && o.nodes <= CONFIG_NODES_MAX);
    free(o.messages);
    cleanup_free char *same = repeat("", "k: v\n", 49000);
    struct outcome twice = read_text(same, strlen(same));
    assert_non_null(strstr(twice.messages, "y:100:1: k: the key \"k\" is there twice, the first is at line 1, column 1\n"));
    assert_non_null(strstr(twice.messages, "and more"));
    free(twice.messages);
}

/* The classic bomb: nine references to nine references to ... Each is refused where it stands; none is followed. */
static void test_bomb(void **state)
{
    (void)state;
    cleanup_strbuf struct strbuf text = STRBUF_INIT;
    strbuf_puts(&text, "a: &a [x,x,x,x,x,x,x,x,x]\n");
    for (char c = 'b'; c <= 'i'; c++) {
        strbuf_printf(&text, "%c: &%c [", c, c);
        for (int i = 0; i < 9; i++)
            strbuf_printf(&text, "%s*%c", i ? "," : "", c - 1);
        strbuf_puts(&text, "]\n");
    }
    struct outcome o = read_text(text.s, text.len);
    assert_int_equal(o.nodes, 1 + 9 * 11);
    assert_non_null(strstr(o.messages, "y:2:8: b[0]: aliases (*name) are not expanded"));
    free(o.messages);
}

/* All files together: 1 MB, whatever is in them; nothing of a larger one is looked at. */
static void test_bytes(void **state)
{
    (void)state;
    cleanup_free char *big = repeat("", "[[[[[[[[[[", (10 << 20) / 10);
    struct config_source src[] = { rig_source("small.yaml", "services: { a: { command: x } }\n"), rig_source("big.yaml", big) };
    cleanup_free char *got = rig_parse_sources(src, 2, NULL);
    assert_string_equal(got, "big.yaml:1:1: too big: 10485792 bytes with the files before, expected at most 1 MB\n");
    cleanup_free char *alone = rig_parse_sources(src + 1, 1, NULL);
    assert_string_equal(alone, "big.yaml:1:1: too big: 10485760 bytes, expected at most 1 MB\n");
}

static void test_empty_files(void **state)
{
    (void)state;
    static const struct { const char *text, *want; } ROWS[] = {
        { "", "m.yaml:1:1: the file is empty, expected `services:` with at least one service\n" },
        { "# x\n\n", "m.yaml:1:1: the file is empty, expected `services:` with at least one service\n" },
        { "---\n", "m.yaml:2:1: nothing is not a map, expected `services:` with at least one service\n" },
        { "services:\n", "m.yaml:1:1: there is no service in it, expected `services:` with at least one\n" },
        { "services: {}\n", "m.yaml:1:1: there is no service in it, expected `services:` with at least one\n" },
        { "hello\n", "m.yaml:1:1: \"hello\" is not a map, expected `services:` with at least one service\n" },
        { "- a\n", "m.yaml:1:1: a list is not a map, expected `services:` with at least one service\n" },
        { "services: no\n", "m.yaml:1:11: services: \"no\" is not a map, expected names, e.g. api: { command: ... }\n" },
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        cleanup_free char *got = rig_parse(ROWS[i].text, NULL);
        assert_string_equal(got, ROWS[i].want);
    }
}

/* A file that breaks off: what came before is still checked, what may only be unread is not missed. */
static void test_broken_file(void **state)
{
    (void)state;
    cleanup_free char *got = rig_parse("services:\n  a:\n    port: 012\n    after: [b]\n   command: x\n  b:\n    command: y\n", NULL);
    assert_string_equal(got, "m.yaml:3:11: services.a.port: \"012\" is not a port, expected auto, none or 1 to 65535, without leading zeros\n"
                             "m.yaml:5:4: bad indentation: expected another `key: value` like the ones above, in the same column (it began at line 2)\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused), cmocka_unit_test(test_accepted), cmocka_unit_test(test_tree), cmocka_unit_test(test_depth),
        cmocka_unit_test(test_nodes), cmocka_unit_test(test_bomb), cmocka_unit_test(test_bytes), cmocka_unit_test(test_empty_files),
        cmocka_unit_test(test_broken_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
