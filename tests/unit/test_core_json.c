/* test_core_json.c - rows: what is stored comes back the same; damage is refused with a reason and harms nothing. */
#include "core_rig.h"
#include "base/rng.h"
#include "supervisord/core_priv.h"

#define EDGE "balancers: { edge: { haproxy: { listen: \":8080\", queue_timeout: 2s } } }\n"
#define API(rest) EDGE "services:\n  db: { command: run, directory: /srv }\n  api: { command: run, directory: /srv, after: [db], balance: { with: edge }, health: { readiness: { http: / } }, " rest " }\n"

static int setup(void **state)
{
    struct rig *r = *state = xcalloc(1, sizeof *r);
    rig_init(r);
    rig_apply(r, API("instances: { min: 3, max: 9 }, scale: { on: [ cpu: 60% ] }"));
    return 0;
}
static int teardown(void **state)
{
    rig_done(*state);
    free(*state);
    return 0;
}

static const char *row_of(struct rig *r, const char *kind, const char *name)
{
    for (size_t k = 0; k < r->row_n; k++)
        if (!strcmp(r->rows[k].kind, kind) && !strcmp(r->rows[k].name, name))
            return r->rows[k].json;
    fail_msg("no row %s %s", kind, name);
    return NULL;
}

static void again(struct rig *r, const char *name)
{
    struct service *s;
    struct err e;
    const char *was = row_of(r, "service", name);
    if (service_from_json(name, was, &s, &e) < 0)
        fail_msg("%s: %s", e.text, was);
    cleanup_free char *is = service_to_json(s, 123456789);
    assert_string_equal(is, was);
    service_free(s);
    assert_null(strchr(was, '\n'));
}

static void service_rows_round(void **state)
{
    struct rig *r = *state;
    struct err e;
    again(r, "api");
    again(r, "db");
    controller_scale(r->c, r->now, "api", 6, &e);
    r->in_flight = 1;
    rig_settle(r);
    controller_scale(r->c, r->now, "api", 4, &e);
    rig_settle(r);
    assert_int_equal(rig_count(r, "api", WANT_DRAIN), 2);
    again(r, "api");
    r->auto_ready = false;
    rig_apply(r, API("instances: { min: 3, max: 9 }, umask: \"077\""));
    rig_set(r, "api.7", INST_FAILED);
    fixed_printf(rig_find(r, "api.7")->st.reason, "it said \"no\"\n\x1b[31m and \xff\xfe bytes");
    rig_news(r);
    assert_int_equal(rig_service(r, "api").state, SVC_PAUSED);
    again(r, "api");
    rig_restart(r, true);
    assert_int_equal(rig_service(r, "api").state, SVC_PAUSED);
    assert_non_null(strstr(rig_service(r, "api").reason, "it said \"no\""));
}

static void stop_and_delete_are_kept(void **state)
{
    struct rig *r = *state;
    struct err e;
    controller_stop(r->c, r->now, "api", &e);
    rig_settle(r);
    again(r, "api");
    rig_restart(r, true);
    assert_true(rig_service(r, "api").stopped);
    controller_start(r->c, r->now, "api", &e);
    rig_settle(r);
    r->in_flight = 1;
    controller_delete(r->c, r->now, "api", &e);
    rig_settle(r);
    rig_restart(r, true);
    assert_int_equal(rig_service(r, "api").state, SVC_DELETING);
}

static void balancer_rows_round(void **state)
{
    struct rig *r = *state;
    struct balancer *b;
    struct err e;
    const char *was = row_of(r, "balancer", "edge");
    assert_int_equal(balancer_row_from_json("edge", was, &b, &e), 0);
    assert_int_equal(b->spec.queue_timeout_ms, 2000);
    cleanup_free char *is = balancer_row_to_json(b);
    assert_string_equal(is, was);
    controller_balancer_free(b);
}

/* A clock that begins anew (the machine was booted): limits hold as long as they had left. */
static void times_are_ages(void **state)
{
    struct rig *r = *state;
    struct service *s = controller_find(r->c, "api"), *back;
    s->mem = (struct scale_memory){ .changes_at = { r->now - 9000, r->now - 10 }, .changes = { 2, -1 }, .change_n = 2 };
    cleanup_free char *json = service_to_json(s, r->now);
    assert_int_equal(service_from_json("api", json, &back, NULL), 0);
    cleanup_free char *kept = service_to_json(back, 77);    /* stored again before any time was told: the ages stay */
    assert_string_equal(kept, json);
    service_rebase(back, 50000);
    assert_int_equal(back->mem.change_n, 2);
    assert_in_range(back->mem.changes_at[0], 50000 - 9001, 50000 - 9000);
    assert_in_range(back->mem.changes_at[1], 50000 - 11, 50000 - 10);
    assert_int_equal(back->mem.changes[1], -1);
    service_rebase(back, 90000);                            /* once only */
    assert_in_range(back->mem.changes_at[1], 50000 - 11, 50000 - 10);
    service_free(back);
}

static void refused(void **state)
{
    static const char *const bad[] = {
        "", "x", "[]", "{}", "null", "{\"v\":2}", "{\"v\":1}", "{\"v\":1,\"releases\":[]}", "{\"v\":1,\"releases\":[{}]}",
        "{\"v\":1,\"releases\":[{\"generation\":1,\"revision\":1,\"uid\":0,\"gid\":0,\"spec\":\"{\"}]}",
        "{\"v\":1,\"releases\":[{\"generation\":-1,\"revision\":1,\"uid\":0,\"gid\":0,\"spec\":\"{}\"}]}",
    };
    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(bad); k++) {
        struct service *s = NULL;
        struct balancer *b = NULL;
        struct err e = { "" };
        assert_true(service_from_json("api", bad[k], &s, &e) < 0);
        assert_true(e.text[0]);
        assert_null(s);
        assert_true(balancer_row_from_json("edge", bad[k], &b, &e) < 0);
        assert_null(b);
    }
    struct controller *c = controller_new((struct controller_options){ 1, 1 });
    struct err e;
    assert_true(controller_load(c, "service", "api", "{}", &e) < 0);
    assert_non_null(strstr(e.text, "service api: "));
    assert_true(controller_load(c, "nonsense", "api", "{}", &e) < 0);
    assert_int_equal(controller_service_count(c), 0);
    controller_free(c);
}

static void replaced(struct rig *r, const char *what, const char *by)
{
    const char *was = row_of(r, "service", "api"), *at = strstr(was, what);
    if (!at)
        fail_msg("no %s in %s", what, was);
    cleanup_free char *is = xasprintf("%.*s%s%s", (int)(at - was), was, by, at + strlen(what));
    struct service *s = NULL;
    struct err e = { "" };
    int rc = service_from_json("api", is, &s, &e);
    if (rc == 0)
        fail_msg("%s as %s was accepted", what, by);
}

static void refused_details(void **state)
{
    struct rig *r = *state;
    replaced(r, "\"desired\":3", "\"desired\":-3");
    replaced(r, "\"desired\":3", "\"desired\":4001");
    replaced(r, "\"desired\":3", "\"desired\":\"3\"");
    replaced(r, "\"desired\":3,", "");
    replaced(r, "\"run\"", "\"walk\"");
    replaced(r, "[2,", "[1,");                              /* one slot twice */
    replaced(r, "[2,", "[0,");
    replaced(r, "[2,", "[99999,");
    replaced(r, "\"generation\":", "\"generation\":1");     /* instances of a release that is not there */
}

/* Each byte flipped, and each length cut: an error or a service, never a crash (the sanitizers look on). */
static void damage(void **state)
{
    struct rig *r = *state;
    cleanup_free char *row = xstrdup(row_of(r, "service", "api"));
    struct rng rng = { 7 };
    size_t len = strlen(row), refusals = 0;
    for (size_t k = 0; k < 2 * len; k++) {
        cleanup_free char *bad = xstrdup(row);
        if (k < len)
            bad[k] = (char)(1 + rng_below(&rng, 255));
        else
            bad[k - len] = '\0';
        struct service *s = NULL;
        struct err e;
        if (service_from_json("api", bad, &s, &e) < 0)
            refusals++;
        else
            service_free(s);
    }
    assert_true(refusals > len);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(service_rows_round), T(stop_and_delete_are_kept), T(balancer_rows_round), T(times_are_ages), T(refused), T(refused_details), T(damage),
    };
    return cmocka_run_group_tests_name("core_json", tests, NULL, NULL);
}
