/* What a right file becomes: values, defaults, short forms, the document. */
#include "tests/unit/config_rig.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/file.h"
#include "model/schema.h"

static const char SMALL[] =
    "services:\n"
    "  api:\n"
    "    command: gunicorn --bind ${HOST}:${PORT} app:app\n"
    "    instances: { min: 2, max: 6 }\n"
    "    health: { readiness: { http: /healthz } }\n"
    "    scale: { on: [ cpu: 60% ] }\n"
    "    balance: edge\n"
    "balancers: { edge: { haproxy: { listen: \":8080\" } } }\n";

static void test_eight_lines(void **state)
{
    (void)state;
    struct config c = rig_good(SMALL);
    const struct service_spec *s = config_service(&c, "api");
    assert_non_null(s);
    assert_int_equal(s->command.n, 4);
    assert_string_equal(s->command.v[2], "${HOST}:${PORT}");
    assert_int_equal(s->min, 2);
    assert_int_equal(s->max, 6);
    assert_false(s->fixed);
    assert_int_equal(s->health.readiness.kind, PROBE_HTTP);
    assert_string_equal(s->health.readiness.http_path, "/healthz");
    assert_int_equal(s->scale.rule_n, 1);
    assert_true(s->scale.rules[0].target == 60);
    assert_string_equal(s->balance.with, "edge");
    assert_null(s->balance.path);
    const struct balancer_spec *b = config_balancer(&c, "edge");
    assert_non_null(b);
    assert_string_equal(b->listen_host, "");
    assert_int_equal(b->listen_port, 8080);
    assert_int_equal(b->queue_timeout_ms, 5000);
    assert_null(config_service(&c, "edge"));
    assert_null(config_balancer(&c, "api"));
    config_done(&c);
}

static void test_defaults(void **state)
{
    (void)state;
    struct config c = rig_good("services: { w: { command: sleep 1 } }\n");
    const struct service_spec *s = &c.services[0];
    assert_string_equal(s->name, "w");
    assert_string_equal(s->directory, "/srv/app");
    assert_null(s->user);
    assert_int_equal(s->umask, 022);
    assert_true(s->no_new_privs);
    assert_int_equal(s->port_kind, PORT_AUTO);
    assert_true(s->concurrency_auto);
    assert_int_equal(s->concurrency, 100);
    assert_true(s->fixed);
    assert_int_equal(s->min, 1);
    assert_int_equal(s->max, 1);
    assert_int_equal(s->health.startup.kind, PROBE_NONE);
    assert_int_equal(s->health.readiness.kind, PROBE_NONE);
    assert_int_equal(s->health.readiness.every_ms, 1000);
    assert_int_equal(s->health.readiness.timeout_ms, 500);
    assert_int_equal(s->health.readiness.fail_after, 3);
    assert_int_equal(s->health.readiness.pass_after, 1);
    assert_int_equal(s->health.startup.within_ms, 60000);
    assert_int_equal(s->restart.policy, RESTART_ALWAYS);
    assert_int_equal(s->restart.delay_ms, 100);
    assert_int_equal(s->restart.max_delay_ms, 30000);
    assert_int_equal(s->restart.limit_n, 10);
    assert_int_equal(s->restart.limit_ms, 300000);
    assert_int_equal(s->stop.signal, SIGTERM);
    assert_int_equal(s->stop.drain_ms, 30000);
    assert_int_equal(s->stop.timeout_ms, 30000);
    assert_true(s->resources.cpu == 0 && s->resources.memory_bytes == 0 && s->resources.files == 0 && s->resources.tasks == 0);
    assert_true(s->deploy.surge.value == 1 && s->deploy.unavailable.value == 0);
    assert_int_equal(s->deploy.healthy_for_ms, 10000);
    assert_int_equal(s->log.max_size, 64 << 20);
    assert_int_equal(s->log.keep, 5);
    assert_true(s->log.timestamps);
    assert_true(s->scale.up.limit.percent == 100 && s->scale.up.limit.period_ms == 15000 && s->scale.up.wait_ms == 0);
    assert_true(s->scale.down.limit.percent == 10 && s->scale.down.limit.period_ms == 30000 && s->scale.down.wait_ms == 300000);
    assert_null(s->balance.with);
    assert_true(s->balance.retry);
    config_done(&c);
}

/* Readiness where none is said: a connection if the service uses its port, else none. */
static void test_default_readiness(void **state)
{
    (void)state;
    static const struct { const char *keys; enum probe_kind kind; } ROWS[] = {
        { "command: worker", PROBE_NONE },
        { "command: serve ${PORT}", PROBE_TCP },
        { "command: [sh, -c, 'serve $PORT']", PROBE_TCP },
        { "command: worker\n    port: auto", PROBE_TCP },
        { "command: worker\n    port: 8000", PROBE_TCP },
        { "command: worker\n    port: none", PROBE_NONE },
        { "command: worker\n    health: { liveness: { http: /x } }", PROBE_TCP },
        { "command: worker\n    health: { startup: { tcp: true } }", PROBE_TCP },
        { "command: worker\n    health: { liveness: { notify: true } }", PROBE_NONE },
        { "command: worker\n    balance: edge", PROBE_TCP },
        { "command: serve ${PORT}\n    health: { readiness: none }", PROBE_NONE },
        { "command: serve ${PORT}\n    health: { readiness: { notify: true } }", PROBE_NOTIFY },
        { "command: serve ${PORT}\n    health: { readiness: { command: ./check } }", PROBE_COMMAND },
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        cleanup_free char *text = xasprintf("services:\n  a:\n    %s\nbalancers: { edge: { haproxy: { listen: 80 } } }\n", ROWS[i].keys);
        struct config c = rig_good(text);
        if (c.services[0].health.readiness.kind != ROWS[i].kind)
            fail_msg("%s: readiness %d, wanted %d", ROWS[i].keys, c.services[0].health.readiness.kind, ROWS[i].kind);
        config_done(&c);
    }
}

static void test_fixed_port(void **state)
{
    (void)state;
    struct config c = rig_good("services: { a: { command: serve, port: 8000 }, b: { command: serve, port: 8001, deploy: { unavailable: 100% } } }\n");
    assert_int_equal(c.services[0].port_kind, PORT_FIXED);
    assert_int_equal(c.services[0].port, 8000);
    assert_true(c.services[0].deploy.surge.value == 0);
    assert_true(c.services[0].deploy.unavailable.value == 1 && !c.services[0].deploy.unavailable.is_percent);
    assert_true(c.services[1].deploy.unavailable.value == 100 && c.services[1].deploy.unavailable.is_percent);
    config_done(&c);
}

/* Values are what was typed: the key decides the type. */
static void test_source_text(void **state)
{
    (void)state;
    struct config c = rig_good("services:\n"
                               "  a:\n"
                               "    command: no\n"
                               "    environment: { A: no, B: 012, C: 1:20, D: 9022:22, E: ~, F: null, G: \"\", H: 1e3, I: 0x10, J: 2001-01-01, K: .inf, L: 'true' }\n"
                               "    umask: 027\n"
                               "    groups: [no, y]\n");
    const struct service_spec *s = &c.services[0];
    static const char *const WANT[] = { "no", "012", "1:20", "9022:22", "~", "null", "", "1e3", "0x10", "2001-01-01", ".inf", "true" };
    assert_int_equal(s->command.n, 1);
    assert_string_equal(s->command.v[0], "no");
    assert_int_equal(s->environment.n, ARRAY_LEN(WANT));
    for (size_t i = 0; i < ARRAY_LEN(WANT); i++)
        assert_string_equal(s->environment.v[i].value, WANT[i]);
    assert_int_equal(s->umask, 027);
    config_done(&c);
}

static void test_paths(void **state)
{
    (void)state;
    static const struct { const char *typed, *want; } ROWS[] = {
        { "/srv/api", "/srv/api" }, { "api", "/srv/app/api" }, { ".", "/srv/app" }, { "./api/", "/srv/app/api" },
        { "../x", "/srv/app/../x" }, { "/", "/" }, { "//a//./b/", "/a/b" }, { "a b", "/srv/app/a b" }, { "...", "/srv/app/..." }, { ".x", "/srv/app/.x" },
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        cleanup_free char *text = xasprintf("services: { a: { command: x, directory: '%s' } }\n", ROWS[i].typed);
        struct config c = rig_good(text);
        assert_string_equal(c.services[0].directory, ROWS[i].want);
        config_done(&c);
    }
}

static void test_command_words(void **state)
{
    (void)state;
    static const struct { const char *yaml; const char *words[6]; } ROWS[] = {
        { "gunicorn  app:app", { "gunicorn", "app:app" } },
        { "[\"a b\", 'c']", { "a b", "c" } },
        { "[a, \"\", b]", { "a", "", "b" } },
        { "\"a 'b c' d\"", { "a", "b c", "d" } },
        { "'a \"b  c\"d'", { "a", "b  cd" } },
        { "a \\ b", { "a", " b" } },
        { "sh -c 'echo ${PORT}'", { "sh", "-c", "echo $${PORT}" } },
        { "a \"${PORT}\"", { "a", "${PORT}" } },
        { "a ''", { "a", "" } },
        { "a --x=\"1 2\"", { "a", "--x=1 2" } },
        { "a '&&' \"|\" \\>", { "a", "&&", "|", ">" } },
        { ">\n      a\n      b\n", { "a", "b" } },
        { "[sh, -c, 'a && b | c > $HOME/d']", { "sh", "-c", "a && b | c > $HOME/d" } },
        { "\"a 'b='\"", { "a", "b=" } },
        { "'\"A=b\" c'", { "A=b", "c" } },
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        cleanup_free char *text = xasprintf("services:\n  a:\n    command: %s\n", ROWS[i].yaml);
        struct config c = rig_good(text);
        const struct strv *w = &c.services[0].command;
        size_t n = 0;
        while (n < ARRAY_LEN(ROWS[i].words) && ROWS[i].words[n])
            n++;
        assert_int_equal(w->n, n);
        for (size_t k = 0; k < n; k++)
            assert_string_equal(w->v[k], ROWS[i].words[k]);
        config_done(&c);
    }
}

static void test_listen(void **state)
{
    (void)state;
    static const struct { const char *typed, *host; uint32_t port; } ROWS[] = {
        { "':8080'", "", 8080 }, { "8080", "", 8080 }, { "127.0.0.1:80", "127.0.0.1", 80 }, { "'[::1]:443'", "::1", 443 }, { "0.0.0.0:65535", "0.0.0.0", 65535 },
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        cleanup_free char *text = xasprintf("services: { a: { command: x } }\nbalancers: { e: { haproxy: { listen: %s } } }\n", ROWS[i].typed);
        struct config c = rig_good(text);
        assert_string_equal(c.balancers[0].listen_host, ROWS[i].host);
        assert_int_equal(c.balancers[0].listen_port, ROWS[i].port);
        config_done(&c);
    }
}

static void test_many_files(void **state)
{
    (void)state;
    struct config_source src[] = { rig_source("a.yaml", "services: { b: { command: x, balance: edge }, a: { command: y } }\n"),
                                   rig_source("b.yaml", "balancers: { edge: { haproxy: { listen: 80, tls: edge.pem } } }\n") };
    struct config c = {0};
    src[1].folder = "/etc/muster";
    cleanup_free char *messages = rig_parse_sources(src, 2, &c);
    assert_string_equal(messages, "");
    assert_int_equal(c.service_n, 2);
    assert_string_equal(c.services[0].name, "a");
    assert_string_equal(c.services[1].name, "b");
    assert_string_equal(c.balancers[0].tls, "/etc/muster/edge.pem");
    config_done(&c);
}

static void test_amounts(void **state)
{
    (void)state;
    assert_int_equal(amount_of((struct amount){ false, 3 }, 10, true), 3);
    assert_int_equal(amount_of((struct amount){ true, 25 }, 10, true), 3);
    assert_int_equal(amount_of((struct amount){ true, 25 }, 10, false), 2);
    assert_int_equal(amount_of((struct amount){ true, 10 }, 30, true), 3);
    assert_int_equal(amount_of((struct amount){ true, 1 }, 1, true), 1);
    assert_int_equal(amount_of((struct amount){ true, 1 }, 1, false), 0);
    assert_int_equal(amount_of((struct amount){ true, 100 }, 4000, false), 4000);
    assert_int_equal(amount_of((struct amount){ true, 50 }, 0, true), 0);
}

/* --- the document -------------------------------------------------------------------------------------- */
static void test_document_is_current(void **state)
{
    (void)state;
    cleanup_free char *made = config_doc(), *file = NULL;
    assert_int_equal(file_read("docs/CONFIG.md", 1 << 20, &file, NULL, NULL), 0);
    if (strcmp(made, file) != 0)
        fail_msg("docs/CONFIG.md is not what the table makes: run `rm docs/CONFIG.md; make docs/CONFIG.md`");
}

static void test_document_example_passes(void **state)
{
    (void)state;
    struct config c = rig_good(config_doc_example());
    assert_int_equal(c.service_n, 2);
    config_done(&c);
}

/* Each key's own example and default are right where they stand, and the document's example shows each key of a map. */
static void test_every_example_passes(void **state)
{
    (void)state;
    for (size_t i = 0; i < SERVICE_SCHEMA.n; i++) {
        const struct schema_key *k = &SERVICE_SCHEMA.keys[i];
        if (strpbrk(k->path, "[*.") || strcmp(k->path, "command") == 0)
            continue;
        const char *range = strcmp(k->path, "scale") == 0 ? "    instances: { min: 1, max: 2 }\n" : "";
        cleanup_free char *text = xasprintf("services:\n  a:\n    command: x\n%s    %s: %s\n  postgres: { command: y }\n"
                                            "balancers: { edge: { haproxy: { listen: 80 } } }\n", range, k->path, k->example);
        struct config c = rig_good(text);
        config_done(&c);
        assert_true(strlen(k->meaning) > 10);
    }
}

/* --- files ------------------------------------------------------------------------------------------------- */
static void write_text(const char *folder, const char *name, const char *text)
{
    cleanup_free char *path = xasprintf("%s/%s", folder, name);
    assert_int_equal(file_write_atomic(path, text, strlen(text), 0644, 0, NULL), 0);
}

static char *read_messages(const char *path, size_t *ret_n)
{
    struct config_files f = {0};
    struct config_errors e = {0};
    struct strbuf out = STRBUF_INIT;
    int rc = config_files_read(path, &f, &e);
    assert_int_equal(rc < 0, e.n > 0);
    config_errors_print(&e, &out);
    *ret_n = f.n;
    for (size_t i = 0; i < f.n; i++)
        assert_string_equal(f.src[i].folder, path);
    config_files_done(&f);
    config_errors_done(&e);
    return strbuf_take(&out);
}

static void test_reading_files(void **state)
{
    (void)state;
    char folder[64];
    fixed_printf(folder, "/tmp/muster-test-config-%d-XXXXXX", (int)getpid());
    size_t n;
    assert_non_null(mkdtemp(folder));
    cleanup_free char *none = read_messages(folder, &n);
    assert_non_null(strstr(none, "no *.yaml file"));
    write_text(folder, "b.yaml", "services: {}\n");
    write_text(folder, "a.yml", "services: {}\n");
    write_text(folder, ".hidden.yaml", "x");
    write_text(folder, "a.yaml~", "x");
    cleanup_free char *two = read_messages(folder, &n);
    assert_string_equal(two, "");
    assert_int_equal(n, 2);
    cleanup_free char *missing = read_messages("/tmp/muster-no-such-file.yaml", &n);
    assert_non_null(strstr(missing, "/tmp/muster-no-such-file.yaml: there is no such file"));
    cleanup_free char *device = read_messages("/dev/zero", &n);
    assert_non_null(strstr(device, "not a regular file"));
    cleanup_free char *big = xmalloc(CONFIG_BYTES_MAX + 2);
    memset(big, '#', CONFIG_BYTES_MAX + 1);
    big[CONFIG_BYTES_MAX + 1] = '\0';
    write_text(folder, "b.yaml", big);
    cleanup_free char *too_big = read_messages(folder, &n);
    assert_non_null(strstr(too_big, "b.yaml: too big, expected at most 1 MB"));
    static const char *const NAMES[] = { "b.yaml", "a.yml", ".hidden.yaml", "a.yaml~" };
    for (size_t i = 0; i < ARRAY_LEN(NAMES); i++) {
        cleanup_free char *path = xasprintf("%s/%s", folder, NAMES[i]);
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_eight_lines), cmocka_unit_test(test_defaults), cmocka_unit_test(test_default_readiness),
        cmocka_unit_test(test_fixed_port), cmocka_unit_test(test_source_text), cmocka_unit_test(test_paths),
        cmocka_unit_test(test_command_words), cmocka_unit_test(test_listen), cmocka_unit_test(test_many_files),
        cmocka_unit_test(test_amounts), cmocka_unit_test(test_document_is_current), cmocka_unit_test(test_document_example_passes),
        cmocka_unit_test(test_every_example_passes), cmocka_unit_test(test_reading_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
