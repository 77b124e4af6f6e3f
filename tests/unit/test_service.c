/* test_service.c - slots, ids, what may be wanted after what, when an instance counts as failing, what a service's state is called. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/strbuf.h"
#include "supervisord/service.h"

static struct release *a_release(const char *yaml, uint64_t generation)
{
    struct config conf;
    struct config_errors errs = { 0 };
    cleanup_strbuf struct strbuf text = STRBUF_INIT;
    strbuf_printf(&text, "services: { db: { command: x, directory: / }, api: { command: run, directory: /srv, %s } }", yaml);
    struct config_source src = { "t.yaml", text.s, text.len, "/srv" };
    if (config_parse(&src, 1, &conf, &errs) < 0)
        fail_msg("%s: %s", errs.v[0].path, errs.v[0].text);
    config_errors_done(&errs);
    cleanup_free char *json = service_spec_to_json(config_service(&conf, "api"));
    struct release *r = release_new("api", json, generation, (uint32_t)generation, 1, 1, NULL, NULL);
    assert_non_null(r);
    config_done(&conf);
    return r;
}

static struct service *a_service(const char *yaml)
{
    struct service *s = service_new("api");
    s->target = a_release(yaml, 1);
    s->desired = s->target->spec.min;
    s->gate_open = true;
    return s;
}

static void lowest_free_slot(void **state)
{
    (void)state;
    struct service *s = a_service("instances: 5");
    for (uint32_t k = 1; k <= 5; k++)
        assert_int_equal(service_add(s, s->target, WANT_RUN)->slot, k);
    assert_string_equal(s->inst[4]->id, "api.5");
    service_remove(s, 3);
    service_remove(s, 1);
    assert_null(service_slot(s, 2));
    assert_int_equal(service_slot(s, 5)->slot, 5);
    assert_int_equal(service_add(s, s->target, WANT_RUN)->slot, 2);
    assert_int_equal(service_add(s, s->target, WANT_RUN)->slot, 4);
    assert_int_equal(service_add(s, s->target, WANT_RUN)->slot, 6);
    for (size_t k = 0; k < s->n; k++)
        assert_int_equal(s->inst[k]->slot, k + 1);
    assert_null(service_add_slot(s, 6, s->target, WANT_RUN));
    assert_null(service_add_slot(s, 0, s->target, WANT_RUN));
    assert_non_null(service_add_slot(s, 100, s->target, WANT_RUN));
    service_free(s);
}

static void slots_are_bounded(void **state)
{
    (void)state;
    struct service *s = a_service("instances: 5");
    for (int k = 0; k < 2 * INSTANCES_MAX; k++)
        assert_non_null(service_add(s, s->target, WANT_RUN));
    assert_null(service_add(s, s->target, WANT_RUN));
    service_free(s);
}

static void ids(void **state)
{
    static const struct { const char *id, *name; uint32_t slot; int rc; } rows[] = {
        { "api.1", "api", 1, 0 }, { "a-b.4000", "a-b", 4000, 0 }, { "api.4294967295", "api", UINT32_MAX, 0 }, { "api.4294967296", NULL, 0, -EINVAL },
        { "api", NULL, 0, -EINVAL }, { "api.", NULL, 0, -EINVAL }, { ".1", NULL, 0, -EINVAL }, { "api.0", NULL, 0, -EINVAL }, { "api.01", NULL, 0, -EINVAL },
        { "api.-1", NULL, 0, -EINVAL }, { "api.1 ", NULL, 0, -EINVAL }, { "api.1/readiness", NULL, 0, -EINVAL }, { "", NULL, 0, -EINVAL },
        { "abcdefghijabcdefghijabcdefghijabcdefghij.1", "abcdefghijabcdefghijabcdefghijabcdefghij", 1, 0 },
        { "abcdefghijabcdefghijabcdefghijabcdefghijk.1", NULL, 0, -EINVAL },
    };
    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
        char name[NAME_LEN_MAX + 1] = "";
        uint32_t slot = 0;
        int rc = instance_id_parse(rows[k].id, name, sizeof name, &slot);
        if (rc != rows[k].rc || (rc == 0 && (strcmp(name, rows[k].name) != 0 || slot != rows[k].slot)))
            fail_msg("%s: %d, %s %u", rows[k].id, rc, name, slot);
    }
}

/* One way only: HOLD, RUN, DRAIN, STOP; nothing that drains or stops is called back. */
static void wants(void **state)
{
    static const enum want legal[][2] = { { WANT_HOLD, WANT_RUN }, { WANT_HOLD, WANT_STOP }, { WANT_RUN, WANT_DRAIN }, { WANT_RUN, WANT_STOP }, { WANT_DRAIN, WANT_STOP } };
    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(legal); k++) {
        struct instance i = { .want = legal[k][0] };
        instance_want(&i, legal[k][1]);
        assert_int_equal(i.want, legal[k][1]);
    }
}

/* --- what a status says ----------------------------------------------------------------------------------------------------- */
struct st_row {
    const char *name; enum instance_state state; bool alive, exited, other_generation, absent; int32_t ready_pid; bool was_ready; uint32_t fails;
    bool ready, passed, failing;
};
static const struct st_row st_rows[] = {
    { "ready", INST_READY, true, .ready = true, .passed = true },
    { "unready", INST_UNREADY, true, .passed = true },
    { "starting", INST_STARTING, .alive = true },
    { "starting, three fails in a row", INST_STARTING, true, .fails = 3, .failing = true },
    { "starting, two", INST_STARTING, true, .fails = 2 },
    { "ready after three fails", INST_READY, true, .fails = 3, .ready = true, .passed = true },
    { "unready after three fails", INST_UNREADY, true, .fails = 3, .passed = true, .failing = true },
    { "failed", INST_FAILED, false, true, .failing = true },
    { "backoff", INST_BACKOFF, false, true, .fails = 1 },
    { "the agent restarted and does not know yet: as it was", INST_STARTING, true, .ready_pid = 7, .was_ready = true, .ready = true, .passed = true },
    { "the same, it was unready", INST_STARTING, true, .ready_pid = 7, .passed = true },
    { "another process in its slot", INST_STARTING, true, .ready_pid = 6, .was_ready = true },
    { "ready, but its exit was seen", INST_READY, .alive = true, .exited = true },
    { "ready, without a process", INST_READY, .alive = false },
    { "ready, of the generation before", INST_READY, true, .other_generation = true },
    { "failed, of the generation before", INST_FAILED, false, true, .other_generation = true },
    { "not there", INST_READY, true, .absent = true },
    { "draining", INST_DRAINING, true, .ready_pid = 7, .passed = true },
};

static void statuses(void **state)
{
    (void)state;
    struct release *rel = a_release("instances: 1", 5);
    for (size_t k = 0; k < ARRAY_LEN(st_rows); k++) {
        const struct st_row *r = &st_rows[k];
        struct instance i = { .rel = rel, .want = WANT_RUN, .known = true, .absent = r->absent, .run_at = 1000, .ready_pid = r->ready_pid, .ready_since = r->was_ready,
                              .status = { .state = r->state, .alive = r->alive, .exited = r->exited, .pid = r->alive ? 7 : 0, .fails = r->fails,
                                          .generation = r->other_generation ? 4 : 5 } };
        if (instance_ready(&i) != r->ready || instance_passed(&i) != r->passed || instance_failing(&i, 2000) != r->failing)
            fail_msg("%s: ready %d passed %d failing %d", r->name, instance_ready(&i), instance_passed(&i), instance_failing(&i, 2000));
        i.known = false;
        assert_false(instance_ready(&i) || instance_passed(&i) || instance_failing(&i, 2000));
    }
    release_unref(rel);
}

static void too_long_in_starting(void **state)
{
    static const struct { const char *yaml; int64_t ms; } rows[] = {
        { "instances: 1", 70000 },                          /* 60 s by default, and 10 s of grace */
        { "health: { startup: { http: /, within: 5s } }", 15000 },
        { "health: { startup: { http: /, within: 5s } }, hooks: { before_start: { run: [x], timeout: 20s } }", 35000 },
    };
    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
        struct release *rel = a_release(rows[k].yaml, 5);
        struct instance i = { .rel = rel, .want = WANT_RUN, .known = true, .run_at = 1000, .status = { .state = INST_STARTING, .alive = true, .generation = 5 } };
        assert_false(instance_failing(&i, 1000 + rows[k].ms - 1));
        assert_true(instance_failing(&i, 1000 + rows[k].ms));
        i.ready_pid = 6;                                    /* it was ready once: then its fails tell */
        assert_false(instance_failing(&i, 1000 + rows[k].ms));
        i.ready_pid = 0;
        i.want = WANT_HOLD;
        assert_false(instance_failing(&i, INT64_MAX));
        release_unref(rel);
    }
}

static void causes(void **state)
{
    static const struct { enum instance_state state; const char *reason; struct exit_info exit; const char *text; } rows[] = {
        { INST_BACKOFF, "", { EXIT_KIND_CODE, 3 }, "api.4: exit code 3" },
        { INST_BACKOFF, "exit code 3 after 2 s", { EXIT_KIND_CODE, 3 }, "api.4: exit code 3 after 2 s" },
        { INST_STARTING, "port 9001 is in use", { EXIT_KIND_CODE, 1 }, "api.4: port 9001 is in use (last: exit code 1)" },
        { INST_FAILED, "", { EXIT_KIND_NONE, 0 }, "api.4: failed" },
        { INST_STARTING, "", { EXIT_KIND_NONE, 0 }, "api.4: not ready after 70 s" },
    };
    struct release *rel = a_release("instances: 1", 5);
    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
        struct instance i = { .id = "api.4", .rel = rel, .known = true, .run_at = 1000, .status = { .state = rows[k].state, .generation = 5, .last_exit = rows[k].exit } };
        fixed_copy(i.status.reason, sizeof i.status.reason, rows[k].reason);
        char text[300];
        instance_fail_reason(&i, 71000, text, sizeof text);
        assert_string_equal(text, rows[k].text);
    }
    release_unref(rel);
}

/* --- the state's table ---------------------------------------------------------------------------------------------------------- */
static void states(void **state)
{
    static const struct { bool deleting, stopped, paused, rolling, panic; uint32_t ready; enum service_state is; } rows[] = {
        { .ready = 2, .is = SVC_STEADY }, { .ready = 3, .is = SVC_STEADY }, { .ready = 1, .is = SVC_DEGRADED }, { .panic = true, .ready = 2, .is = SVC_DEGRADED },
        { .rolling = true, .ready = 1, .is = SVC_ROLLING }, { .rolling = true, .paused = true, .is = SVC_PAUSED }, { .stopped = true, .is = SVC_STOPPED },
        { .stopped = true, .rolling = true, .paused = true, .is = SVC_STOPPED }, { .deleting = true, .stopped = true, .is = SVC_DELETING },
    };
    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
        struct service *s = a_service("instances: 2");
        for (uint32_t n = 0; n < 3; n++) {
            struct instance *i = service_add(s, s->target, WANT_RUN);
            i->known = true;
            i->status = (struct inst_status){ .generation = 1, .state = n < rows[k].ready ? INST_READY : INST_UNREADY, .alive = true, .pid = 1 };
        }
        s->deleting = rows[k].deleting;
        s->stopped = rows[k].stopped;
        s->paused = rows[k].paused;
        s->rolling = rows[k].rolling;
        s->panic = rows[k].panic;
        service_judge(s, 0, NULL);
        if (s->state != rows[k].is)
            fail_msg("row %zu: %s, expected %s", k, service_state_word(s->state), service_state_word(rows[k].is));
        assert_int_equal(s->ready, rows[k].ready);
        service_free(s);
    }
}

static void slots_at_the_balancer(void **state)
{
    static const struct { const char *yaml; uint32_t desired, before, slots; } rows[] = {
        { "instances: 1", 1, 0, 8 }, { "instances: { min: 1, max: 7 }", 1, 0, 8 }, { "instances: { min: 1, max: 8 }", 1, 0, 16 },
        { "instances: { min: 1, max: 8 }, deploy: { surge: 100% }", 1, 0, 16 }, { "instances: { min: 1, max: 9 }, deploy: { surge: 100% }", 1, 0, 32 },
        { "instances: 2", 20, 0, 32 },                      /* held by a person */
        { "instances: 2", 2, 64, 64 },                      /* never fewer than before */
    };
    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
        struct service *s = a_service(rows[k].yaml);
        s->desired = rows[k].desired;
        s->slots = rows[k].before;
        assert_int_equal(service_slots(s), rows[k].slots);
        service_free(s);
    }
}

static void explanations_are_a_bounded_ring(void **state)
{
    (void)state;
    struct service *s = a_service("instances: 2");
    for (uint32_t k = 0; k < 100; k++) {
        struct scale_why w = { .at_ms = k, .current = k, .desired = k + 1, .rule_n = 1 };
        service_explain(s, &w);
    }
    assert_int_equal(s->why_n, EXPLAIN_KEPT);
    for (uint32_t k = 0; k < 100; k++) {                    /* "nothing to do" once a second does not push the changes out */
        struct scale_why w = { .at_ms = 100 + k, .current = 100, .desired = 100, .rule_n = 1 };
        service_explain(s, &w);
    }
    size_t last = (s->why_at + EXPLAIN_KEPT - 1) % EXPLAIN_KEPT, before = (s->why_at + EXPLAIN_KEPT - 2) % EXPLAIN_KEPT;
    assert_int_equal(s->why[last].at_ms, 199);
    assert_int_equal(s->why[before].at_ms, 99);
    service_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lowest_free_slot), cmocka_unit_test(slots_are_bounded), cmocka_unit_test(ids), cmocka_unit_test(wants), cmocka_unit_test(statuses),
        cmocka_unit_test(too_long_in_starting), cmocka_unit_test(causes), cmocka_unit_test(states), cmocka_unit_test(slots_at_the_balancer),
        cmocka_unit_test(explanations_are_a_bounded_ring),
    };
    return cmocka_run_group_tests_name("service", tests, NULL, NULL);
}
