/* test_spawn_plan.c - from a spec to the keeper's records: expansion, environment, and that no secret's value is in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include "agent/spawn_plan.h"

static const char yaml[] =
    "services:\n"
    "  api:\n"
    "    command: run --bind ${HOST}:${PORT} --name ${INSTANCE} ${MODE} $$HOME\n"
    "    directory: /srv/api\n"
    "    environment: { MODE: fast, URL: \"http://${HOST}:${PORT}/${MODE}\" }\n"
    "    secrets: { TOKEN: /etc/token }\n"
    "    umask: \"027\"\n"
    "    resources: { cpu: 1.5, memory: 512M, tasks: 100 }\n"
    "    hooks: { before_start: { run: [prep, \"${PORT}\"], timeout: 5s } }\n";

static struct config config;
static struct spec_ref ref;

static int setup(void **state)
{
    struct config_source src = { "t.yaml", yaml, sizeof(yaml) - 1, "/srv" };
    struct config_errors errs = { 0 };

    (void)state;
    if (config_parse(&src, 1, &config, &errs))
        return -1;
    ref = (struct spec_ref){ .generation = 1, .revision = 1, .owner_uid = 7, .owner_gid = 8, .path_env = NULL, .spec = config.services[0] };
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    config_done(&config);
    return 0;
}

/* Is "<letter><text>" one of the records? */
static bool has(const struct strbuf *b, const char *record)
{
    for (const char *p = b->s; p < b->s + b->len; p += strlen(p) + 1)
        if (!strcmp(p, record))
            return true;
    return false;
}

static void an_instance(void **state)
{
    static const char *const want[] = {
        "Arun", "A--bind", "A127.0.0.1:20001", "A--name", "Aapi.1", "Afast", "A$HOME", "EHOST=127.0.0.1", "EPORT=20001", "EINSTANCE=api.1", "EMODE=fast",
        "EURL=http://127.0.0.1:20001/fast", "D/srv/api", "STOKEN\t/etc/token\tboth", "H1", "EPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    };
    cleanup_strbuf struct strbuf b = STRBUF_INIT;
    struct k_spawn k;
    struct err e = { "" };

    (void)state;
    assert_int_equal(spawn_plan_instance("api.1", &ref, (struct spawn_place){ "127.0.0.1", 20001 }, &k, &b, &e), 0);
    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++)
        if (!has(&b, want[i]))
            fail_msg("no record %s", want[i]);
    assert_int_equal(k.kind, K_INSTANCE);
    assert_int_equal(k.umask, 027);
    assert_int_equal(k.cpu_milli, 1500);
    assert_int_equal(k.memory_bytes, 512u << 20);
    assert_int_equal(k.tasks, 100);
    assert_int_equal(k.owner_uid, 7);
    assert_string_equal(k.log_id, "api.1");
}

static void a_callers_path_is_passed_on(void **state)
{
    cleanup_strbuf struct strbuf b = STRBUF_INIT;
    struct spec_ref with = ref;
    struct k_spawn k;
    char path[] = "/venv/bin:/usr/bin";

    (void)state;
    with.path_env = path;
    assert_int_equal(spawn_plan_instance("api.1", &with, (struct spawn_place){ "127.0.0.1", 1 }, &k, &b, NULL), 0);
    assert_true(has(&b, "EPATH=/venv/bin:/usr/bin"));
}

static void who_is_watched_is_told_how_often(void **state)
{
    cleanup_strbuf struct strbuf b = STRBUF_INIT, none = STRBUF_INIT;
    struct spec_ref with = ref;
    struct k_spawn k;

    (void)state;
    with.spec.health.liveness.kind = PROBE_NOTIFY;
    with.spec.health.liveness.every_ms = 2500;
    assert_int_equal(spawn_plan_instance("api.1", &with, (struct spawn_place){ "127.0.0.1", 1 }, &k, &b, NULL), 0);
    assert_true(has(&b, "EWATCHDOG_USEC=2500000"));
    with.spec.health.liveness.kind = PROBE_TCP;
    assert_int_equal(spawn_plan_instance("api.1", &with, (struct spawn_place){ "127.0.0.1", 1 }, &k, &none, NULL), 0);
    assert_false(has(&none, "EWATCHDOG_USEC=2500000"));
}

static void a_hook_runs_as_the_instance_would(void **state)
{
    cleanup_strbuf struct strbuf b = STRBUF_INIT;
    struct k_spawn k;
    struct err e = { "" };

    (void)state;
    assert_int_equal(spawn_plan_helper("api.1/before-start", "api.1", &ref, &ref.spec.hooks[HOOK_BEFORE_START].run, true,
                                       (struct spawn_place){ "127.0.0.1", 20001 }, &k, &b, &e), 0);
    assert_true(has(&b, "Aprep") && has(&b, "A20001") && has(&b, "EMODE=fast") && has(&b, "D/srv/api"));
    assert_int_equal(k.kind, K_HELPER);
    assert_string_equal(k.id, "api.1/before-start");
    assert_string_equal(k.log_id, "api.1");
}

static void without_a_port_PORT_is_an_error(void **state)
{
    cleanup_strbuf struct strbuf b = STRBUF_INIT;
    struct k_spawn k;
    struct err e = { "" };

    (void)state;
    assert_int_equal(spawn_plan_instance("api.1", &ref, (struct spawn_place){ "127.0.0.1", 0 }, &k, &b, &e), -EINVAL);
    assert_non_null(strstr(e.text, "PORT"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_instance), cmocka_unit_test(a_callers_path_is_passed_on), cmocka_unit_test(who_is_watched_is_told_how_often),
        cmocka_unit_test(a_hook_runs_as_the_instance_would), cmocka_unit_test(without_a_port_PORT_is_an_error),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
