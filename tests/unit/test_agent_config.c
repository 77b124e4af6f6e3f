/* agent.yaml: what is read, and what is told of what cannot be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/cleanup.h"
#include "model/agent_config.h"

static char *errors_of(const char *text)
{
    struct agent_config c;
    struct config_errors errs = { 0 };
    struct strbuf out = STRBUF_INIT;
    struct config_source src = { "agent.yaml", text, strlen(text), "/etc/muster" };
    if (agent_config_parse(&src, &c, &errs) == 0)
        agent_config_done(&c);
    config_errors_print(&errs, &out);
    config_errors_done(&errs);
    return strbuf_take(&out);
}

static void read_whole(void **state)
{
    (void)state;
    const char text[] = "name: web1\nusers: [api, 1234]\nallow_root: true\nsecrets: [/srv/secrets, more]\nsupervisor_user: sup\n";
    struct agent_config c;
    struct config_errors errs = { 0 };
    struct config_source src = { "agent.yaml", text, strlen(text), "/etc/muster" };
    assert_int_equal(agent_config_parse(&src, &c, &errs), 0);
    assert_string_equal(c.name, "web1");
    assert_true(c.users_given && c.allow_root);
    assert_int_equal(c.users.n, 2);
    assert_string_equal(c.users.v[1], "1234");
    assert_string_equal(c.secrets.v[0], "/srv/secrets");
    assert_string_equal(c.secrets.v[1], "/etc/muster/more");
    assert_string_equal(c.supervisor_user, "sup");
    assert_null(c.logger_user);
    struct agent_place at = agent_config_place(&c, "supervisor_user: there is no such user");
    assert_int_equal(at.line, 5);
    assert_int_equal(at.column, 18);
    assert_int_equal(agent_config_place(&c, "logger_user").line, 0);
    agent_config_done(&c);
}

static void defaults(void **state)
{
    (void)state;
    static const char *const texts[] = { "", "# nothing\n", "{}\n", "allow_root: false\n" };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct agent_config c;
        struct config_errors errs = { 0 };
        struct config_source src = { "agent.yaml", texts[i], strlen(texts[i]), "/" };
        assert_int_equal(agent_config_parse(&src, &c, &errs), 0);
        assert_true(!c.allow_root && !c.users_given && !c.users.n && !c.name);
        agent_config_done(&c);
    }
}

static void told(void **state)
{
    (void)state;
    static const struct { const char *text, *want; } rows[] = {
        { "alow_root: true\n", "agent.yaml:1:1: alow_root: unknown key \"alow_root\", did you mean allow_root?" },
        { "controllers: [a]\n", "agent.yaml:1:1: controllers: unknown key" },
        { "stop_instances_on_exit: true\n", "unknown key" },          /* until the keeper can do it */
        { "\nusers: api\n", "agent.yaml:2:8: users: \"api\" is not a list" },
        { "users: [api, api]\n", "twice" },
        { "users: [4000000000]\n", "not a user or group id" },
        { "allow_root: yes\n", "allow_root" },
        { "allow_root: true\nallow_root: false\n", "agent.yaml:2:1" },
        { "secrets: [\"\"]\n", "is not a name" },
        { "- a\n", "is not a map" },
        { "users: [a\n", "agent.yaml:" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        cleanup_free char *text = errors_of(rows[i].text);
        if (!strstr(text, rows[i].want))
            fail_msg("row %zu: %s", i, text);
    }
}

static void all_in_one_pass(void **state)
{
    (void)state;
    cleanup_free char *text = errors_of("a: 1\nb: 2\nusers: 3\n");
    int lines = 0;
    for (const char *s = text; *s; s++)
        lines += *s == '\n';
    assert_int_equal(lines, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(read_whole), cmocka_unit_test(defaults), cmocka_unit_test(told), cmocka_unit_test(all_in_one_pass) };
    return cmocka_run_group_tests_name("agent.yaml", tests, NULL, NULL);
}
