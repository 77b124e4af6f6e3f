/* Canonical JSON: there and back without loss, refused when wrong, and what is made from it: diff and "does this change a process?". */
#include "tests/unit/config_rig.h"
#include <errno.h>
#include "model/schema.h"

static void check_round_trip(const struct config *c)
{
    for (size_t i = 0; i < c->service_n; i++) {
        struct service_spec back;
        struct err e = { "" };
        cleanup_free char *json = service_spec_to_json(&c->services[i]);
        if (service_spec_from_json(c->services[i].name, json, &back, &e) < 0)
            fail_msg("%s\n%s", json, e.text);
        cleanup_free char *again = service_spec_to_json(&back);
        assert_string_equal(again, json);
        assert_string_equal(back.name, c->services[i].name);
        assert_int_equal(back.concurrency, c->services[i].concurrency);
        assert_null(strchr(json, '\n'));
        service_spec_done(&back);
    }
    for (size_t i = 0; i < c->balancer_n; i++) {
        struct balancer_spec back;
        cleanup_free char *json = balancer_spec_to_json(&c->balancers[i]);
        assert_int_equal(balancer_spec_from_json("x", json, &back, NULL), 0);
        cleanup_free char *again = balancer_spec_to_json(&back);
        assert_string_equal(again, json);
        balancer_spec_done(&back);
    }
}

static void test_round_trips(void **state)
{
    (void)state;
    static const char *const TEXTS[] = {
        "services: { a: { command: x } }\n",
        "services: { a: { command: x, port: 8000 }, b: { command: 'serve ${PORT}', health: { readiness: none } } }\n"
        "balancers: {}\n",
        "services:\n  a:\n    command: [sh, -c, \"echo '\\\"\\n\\t\\u00e4\\U0001F600'\"]\n    environment: { A: \"\", B: \"x\\ny\", C: \"\\x7f\\x01\", D: '$$' }\n"
        "    resources: { cpu: 0.1, memory: 1536K, files: 16, tasks: 7 }\n    deploy: { surge: 33.3%, unavailable: 0.5% }\n"
        "    scale: { on: [ cpu: 62.5%, latency: { p50: 1500ms }, latency: { p99: 1s }, in_flight: 0.3, queue: 2 ], up: { limit: 3/90s }, down: { wait: 0s } }\n"
        "    instances: { min: 1, max: 4000 }\n    stop: { signal: 9, timeout: never, drain: 0s }\n    restart: { limit: 1 in 1d, policy: never }\n"
        "    health: { startup: { notify: true, within: 1d }, liveness: { command: ./c 'a b' } }\n    balance: { with: e, retry: none, hosts: [A.B], path: /x }\n"
        "    log: { timestamps: false, max_size: 4097 }\n    hooks: { after_ready: { run: x } }\n    after: [b]\n    secrets: { S: { file: s, as: variable }, T: /t }\n"
        "    user: 1000\n    groups: [0, g]\n  b: { command: x }\n"
        "balancers:\n  e: { haproxy: { listen: '[::1]:80', raw: \"a\\n  b\\n\", tls: x.pem, queue_timeout: 10ms } }\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(TEXTS); i++) {
        struct config c = rig_good(TEXTS[i]);
        check_round_trip(&c);
        config_done(&c);
    }
    struct config c = rig_good(config_doc_example());
    check_round_trip(&c);
    config_done(&c);
}

/* Stored by one release and read by the next: this form must not change by accident. */
static void test_canonical_form(void **state)
{
    (void)state;
    struct config c = rig_good("services: { a: { command: gunicorn app, instances: { min: 1, max: 3 }, balance: e, resources: { cpu: 0.1 } } }\nbalancers: { e: { haproxy: { listen: 80 } } }\n");
    cleanup_free char *a = service_spec_to_json(&c.services[0]), *e = balancer_spec_to_json(&c.balancers[0]);
    assert_string_equal(a, "{\"command\":[\"gunicorn\",\"app\"],\"directory\":\"/srv/app\",\"umask\":\"022\",\"no_new_privs\":true,\"port\":\"auto\",\"concurrency\":\"auto\","
        "\"instances\":{\"min\":1,\"max\":3},\"health\":{\"readiness\":{\"tcp\":true,\"every\":\"1s\",\"timeout\":\"500ms\",\"pass_after\":1,\"fail_after\":3}},"
        "\"scale\":{\"up\":{\"limit\":\"100%/15s\",\"wait\":\"0s\"},\"down\":{\"limit\":\"10%/30s\",\"wait\":\"5m\"}},"
        "\"restart\":{\"policy\":\"always\",\"delay\":\"100ms\",\"max_delay\":\"30s\",\"limit\":\"10 in 5m\"},\"stop\":{\"signal\":\"TERM\",\"drain\":\"30s\",\"timeout\":\"30s\"},"
        "\"resources\":{\"cpu\":0.1},\"deploy\":{\"surge\":1,\"unavailable\":0,\"healthy_for\":\"10s\"},\"log\":{\"max_size\":\"64M\",\"keep\":5,\"timestamps\":true},"
        "\"balance\":{\"with\":\"e\",\"retry\":\"idempotent\"}}");
    assert_string_equal(e, "{\"haproxy\":{\"listen\":\":80\",\"queue_timeout\":\"5s\"}}");
    config_done(&c);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct { const char *json, *want; } ROWS[] = {
        { "", "service a: not JSON: " }, { "nonsense", "service a: not JSON: " }, { "[]", "service a: a list is not a map" }, { "{}", "service a: `command` is missing" },
        { "{\"command\":[\"x\"],\"port\":-1}", "service a: port: \"-1\" is not a port" }, { "{\"command\":[\"x\"],\"port\":1.5}", "service a: port: \"1.5\" is not a port" },
        { "{\"command\":[\"x\"],\"new\":1}", "service a: new: unknown key \"new\"" }, { "{\"command\":[]}", "service a: command: the command is empty" },
        { "{\"command\":[\"x\"],\"command\":[\"y\"]}", "service a: not JSON: duplicate" }, { "{\"command\":null}", "service a: command: nothing is not a command" },
        { "{\"command\":[\"x\"],\"no_new_privs\":1}", "service a: no_new_privs: \"1\" is not a switch" }, { "{\"command\":[\"a\\u0000b\"]}", "service a: not JSON: " },
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct service_spec s;
        struct err e = { "" };
        assert_int_equal(service_spec_from_json("a", ROWS[i].json, &s, &e), -EINVAL);
        if (strncmp(e.text, ROWS[i].want, strlen(ROWS[i].want)) != 0)
            fail_msg("%s: %s, wanted %s", ROWS[i].json, e.text, ROWS[i].want);
    }
    cleanup_strbuf struct strbuf deep = STRBUF_INIT;
    for (int i = 0; i < 1000; i++)
        strbuf_puts(&deep, "{\"command\":");
    strbuf_puts(&deep, "1");
    for (int i = 0; i < 1000; i++)
        strbuf_puts(&deep, "}");
    struct service_spec s;
    struct err e;
    assert_int_equal(service_spec_from_json("a", deep.s, &s, &e), -EINVAL);
    assert_string_equal(e.text, "service a: nested too deeply, or too much in it");
}

/* --- what is made from it -------------------------------------------------------------------------------- */
static struct config with(const char *keys)
{
    cleanup_free char *text = xasprintf("services: { a: { command: x, %s }, b: { command: y } }\nbalancers: { e: { haproxy: { listen: 80 } } }\n", keys);
    return rig_good(text);
}

static void test_same_process(void **state)
{
    (void)state;
    static const struct { const char *keys; bool same; } ROWS[] = {
        { "umask: 022", true }, { "instances: 5", true }, { "instances: { min: 2, max: 3 }, scale: { on: [ cpu: 5% ] }", true }, { "after: [b]", true },
        { "log: { max_size: 1M }", true }, { "deploy: { surge: 2 }", true }, { "stop: { drain: 1s, signal: INT }", true }, { "restart: { delay: 1s }", true },
        { "concurrency: 3", true },
        { "port: none", false }, { "balance: e, port: auto", false },      /* a readiness probe comes with it */
        { "umask: 027", false }, { "user: root", false }, { "directory: /", false }, { "environment: { A: b }", false }, { "environment_file: x", false },
        { "secrets: { A: b }", false }, { "port: 81", false }, { "health: { readiness: { http: / } }", false }, { "resources: { cpu: 1 }", false },
        { "no_new_privs: false", false }, { "groups: [a]", false }, { "hooks: { before_stop: { run: x } }", false },
    };
    struct config plain = with("umask: 022");
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct config c = with(ROWS[i].keys);
        if (service_spec_same_process(&plain.services[0], &c.services[0]) != ROWS[i].same)
            fail_msg("%s: %s", ROWS[i].keys, ROWS[i].same ? "restarts" : "does not restart");
        config_done(&c);
    }
    config_done(&plain);
    struct config a = with("health: { readiness: { tcp: true } }"), b = with("health: { readiness: { tcp: true } }, balance: { with: e, path: /x }");
    assert_true(service_spec_same_process(&a.services[0], &b.services[0]));
    config_done(&a);
    config_done(&b);
}

static void check_diff(const char *was, const char *is, const char *want)
{
    struct config a = with(was), b = with(is);
    cleanup_strbuf struct strbuf out = STRBUF_INIT;
    service_spec_diff(&a.services[0], &b.services[0], &out);
    assert_string_equal(strbuf_str(&out), want);
    config_done(&a);
    config_done(&b);
}

static void test_diff(void **state)
{
    (void)state;
    check_diff("port: auto", "port: auto", "");
    check_diff("instances: { min: 1, max: 4 }", "instances: { min: 1, max: 6 }", "  ~ instances.max: 4 -> 6\n");
    check_diff("instances: 2", "instances: 3", "  ~ instances: 2 -> 3\n");
    check_diff("instances: 2", "instances: { min: 2, max: 3 }", "  + instances.min: 2\n  + instances.max: 3\n  - instances: 2\n");
    check_diff("port: none", "port: none, user: api, stop: { drain: 5s }", "  + user: api\n  ~ stop.drain: 30s -> 5s\n");
    check_diff("user: api, environment: { A: b, C: d }", "environment: { A: c }", "  ~ environment.A: b -> c\n  - user: api\n  - environment.C: d\n");
    check_diff("umask: 022", "environment: { A: \"\\e[2J\", B: \"x\\ny\" }", "  + environment.A: \"\\u001B[2J\"\n  + environment.B: \"x\\ny\"\n");
    check_diff("groups: [a]", "groups: [a, b]", "  ~ groups: [\"a\"] -> [\"a\", \"b\"]\n");
    struct config a = rig_good("services: { a: { command: x } }\nbalancers: { e: { haproxy: { listen: 80 } } }\n");
    struct config b = rig_good("services: { a: { command: x } }\nbalancers: { e: { haproxy: { listen: 127.0.0.1:81 } } }\n");
    cleanup_strbuf struct strbuf out = STRBUF_INIT;
    balancer_spec_diff(&a.balancers[0], &b.balancers[0], &out);
    assert_string_equal(strbuf_str(&out), "  ~ haproxy.listen: :80 -> 127.0.0.1:81\n");
    config_done(&a);
    config_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trips), cmocka_unit_test(test_canonical_form), cmocka_unit_test(test_refused), cmocka_unit_test(test_same_process),
        cmocka_unit_test(test_diff),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
