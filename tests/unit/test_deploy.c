/* test_deploy.c - whole rollouts through the controller: good ones, bad ones, superseded ones, restarts, and what they must not touch. */
#include "core_rig.h"

#define EDGE "balancers: { edge: { haproxy: { listen: \":8080\" } } }\n"
#define API(rest) EDGE "services:\n  api: { command: run, directory: /srv, balance: { with: edge }, health: { readiness: { http: / } }, " rest " }\n"
static const char ONE[] = API("instances: 3, environment: { R: \"1\" }");
static const char TWO[] = API("instances: 3, environment: { R: \"2\" }");
static const char THREE[] = API("instances: 3, environment: { R: \"3\" }");
static const char RANGE1[] = API("instances: { min: 3, max: 9 }, scale: { on: [ cpu: 60% ] }, environment: { R: \"1\" }");
static const char RANGE2[] = API("instances: { min: 3, max: 9 }, scale: { on: [ cpu: 60% ] }, environment: { R: \"2\" }");

static int setup(void **state)
{
    *state = xcalloc(1, sizeof(struct rig));
    rig_init(*state);
    return 0;
}
static int teardown(void **state)
{
    rig_done(*state);
    free(*state);
    return 0;
}

static uint32_t of_revision(struct rig *r, uint32_t revision)
{
    struct service_view v = rig_service(r, "api");
    uint32_t n = 0;
    for (size_t k = 0; k < v.instance_n; k++)
        n += v.instances[k].revision == revision && v.instances[k].want == WANT_RUN;
    return n;
}
static uint32_t in_list(struct rig *r)
{
    uint32_t n = 0;
    for (const char *p = rig_list(r, "api"); *p; p++)
        n += *p == '+';
    return n;
}
/* The id of the first wanted instance of that revision which is not ready. */
static const char *fresh_one(struct rig *r, uint32_t revision)
{
    for (size_t k = 0; k < r->n; k++)
        if (r->inst[k].st.revision == revision && r->inst[k].st.state != INST_READY)
            return r->inst[k].st.id;
    fail_msg("no instance of revision %u", revision);
    return "";
}
/* Crashes whatever of that revision is not ready, `times` times over. */
static void crash(struct rig *r, uint32_t revision, int times)
{
    char id[ID_SIZE];
    fixed_printf(id, "%s", fresh_one(r, revision));
    for (int k = 0; k < times; k++) {
        rig_set(r, id, INST_BACKOFF);
        rig_news(r);
        rig_pass(r, 100);
    }
}

static void a_good_release(void **state)
{
    struct rig *r = *state;
    rig_apply(r, ONE);
    rig_apply(r, TWO);
    assert_int_equal(rig_service(r, "api").state, SVC_ROLLING);
    assert_int_equal(of_revision(r, 1), 3);
    assert_int_equal(of_revision(r, 2), 1);                 /* surge 1 */
    for (int k = 0; k < 400 && rig_service(r, "api").state == SVC_ROLLING; k++) {
        rig_pass(r, 100);
        assert_in_range(in_list(r), 3, 4);                  /* unavailable 0: capacity is never below 100% */
    }
    assert_int_equal(of_revision(r, 2), 3);
    assert_in_range(r->now, 100000 + 29000, 100000 + 32000);   /* three times healthy_for */
    rig_said(r, "rollout api: rollout of revision 2 started");
    rig_said(r, "rollout api: rollout of revision 2 finished");
    assert_int_equal(rig_service(r, "api").state, SVC_STEADY);
}

/* The first deployment is not a rollout: it does not pause, it does not wait. */
static void the_first_is_none(void **state)
{
    struct rig *r = *state;
    r->auto_ready = false;
    rig_apply(r, ONE);
    crash(r, 1, 5);
    assert_int_equal(rig_service(r, "api").state, SVC_DEGRADED);
    rig_silent(r, "rollout");
    rig_apply(r, TWO);                                      /* the repair: nothing old worked, so nothing is waited for */
    rig_pass(r, 100);
    assert_int_equal(of_revision(r, 2), 3);
    assert_int_equal(of_revision(r, 1), 0);
}

/* N#7320 N#6864: a bad release killed the good one. */
static void a_bad_release_pauses(void **state)
{
    struct rig *r = *state;
    struct err e;
    rig_apply(r, ONE);
    r->auto_ready = false;
    rig_apply(r, TWO);
    crash(r, 2, 2);
    assert_int_equal(rig_service(r, "api").state, SVC_ROLLING);
    crash(r, 2, 1);
    assert_int_equal(rig_service(r, "api").state, SVC_PAUSED);
    assert_non_null(strstr(rig_service(r, "api").reason, "revision 2: api.4: exit code 3"));
    rig_said(r, "rollout paused, the old revision serves on: revision 2: api.4: exit code 3");
    rig_pass(r, 3600000);
    assert_int_equal(of_revision(r, 1), 3);
    assert_int_equal(of_revision(r, 2), 1);
    assert_int_equal(in_list(r), 3);
    r->events[0] = '\0';
    rig_restart(r, true);                                   /* known after a restart, and not said again */
    assert_int_equal(rig_service(r, "api").state, SVC_PAUSED);
    assert_non_null(strstr(rig_service(r, "api").reason, "exit code 3"));
    rig_silent(r, "paused");
    assert_int_equal(controller_scale(r->c, r->now, "api", 5, &e), 0);
    rig_settle(r);
    assert_int_equal(of_revision(r, 1), 5);                 /* scaling goes on, with what works */
    assert_int_equal(of_revision(r, 2), 1);
    controller_scale(r->c, r->now, "api", 2, &e);
    rig_settle(r);
    assert_int_equal(of_revision(r, 1), 2);
    assert_int_equal(in_list(r), 2);
}

static void paused_by_failed_and_by_silence(void **state)
{
    struct rig *r = *state;
    rig_apply(r, ONE);
    r->auto_ready = false;
    rig_apply(r, TWO);
    const char *id = fresh_one(r, 2);
    rig_set(r, id, INST_FAILED);
    fixed_printf(rig_find(r, id)->st.reason, "cannot execute /srv/run: Permission denied");
    rig_news(r);
    assert_int_equal(rig_service(r, "api").state, SVC_PAUSED);
    assert_non_null(strstr(rig_service(r, "api").reason, "Permission denied"));
    rig_apply(r, THREE);
    rig_pass(r, 69000);
    assert_int_equal(rig_service(r, "api").state, SVC_ROLLING);
    rig_pass(r, 2000);                                      /* within 60 s and a grace, it neither exits nor gets ready */
    assert_int_equal(rig_service(r, "api").state, SVC_PAUSED);
    assert_non_null(strstr(rig_service(r, "api").reason, "not ready after 70 s"));
}

static void it_goes_on_by_itself(void **state)
{
    struct rig *r = *state;
    rig_apply(r, ONE);
    r->auto_ready = false;
    rig_apply(r, TWO);
    crash(r, 2, 3);
    assert_int_equal(rig_service(r, "api").state, SVC_PAUSED);
    rig_set(r, fresh_one(r, 2), INST_READY);
    r->auto_ready = true;
    rig_news(r);
    rig_pass(r, 9000);
    assert_int_equal(rig_service(r, "api").state, SVC_PAUSED);     /* not before it has been healthy for 10 s */
    assert_int_equal(of_revision(r, 1), 3);
    rig_pass(r, 40000);
    assert_int_equal(rig_service(r, "api").state, SVC_STEADY);
    assert_int_equal(of_revision(r, 2), 3);
    rig_said(r, "goes on: its instances are healthy now");
}

static void a_third_release_replaces_both(void **state)
{
    struct rig *r = *state;
    rig_apply(r, ONE);
    r->auto_ready = false;
    rig_apply(r, TWO);
    crash(r, 2, 3);
    r->auto_ready = true;
    rig_apply(r, THREE);
    assert_int_equal(of_revision(r, 2), 0);                 /* it served nobody */
    assert_int_equal(of_revision(r, 1), 3);
    rig_pass(r, 60000);
    assert_int_equal(of_revision(r, 3), 3);
    assert_int_equal(r->n, 3);
    assert_int_equal(rig_service(r, "api").state, SVC_STEADY);
}

static void the_old_file_again(void **state)
{
    struct rig *r = *state;
    rig_apply(r, ONE);
    int32_t pid = rig_find(r, "api.1")->st.pid;
    r->auto_ready = false;
    rig_apply(r, TWO);
    crash(r, 2, 3);
    rig_apply(r, ONE);
    rig_pass(r, 2000);
    assert_int_equal(rig_service(r, "api").state, SVC_STEADY);
    assert_int_equal(rig_service(r, "api").revision, 3);
    assert_int_equal(rig_find(r, "api.1")->st.pid, pid);    /* those that run it already go on */
    assert_int_equal(r->n, 3);
}

static void restart_is_a_rollout(void **state)
{
    struct rig *r = *state;
    struct err e;
    rig_apply(r, ONE);
    uint64_t generation = rig_service(r, "api").instances[0].generation;
    assert_int_equal(controller_restart(r->c, r->now, "api", &e), 0);
    rig_settle(r);
    for (int k = 0; k < 400 && rig_service(r, "api").state == SVC_ROLLING; k++) {
        rig_pass(r, 100);
        assert_in_range(in_list(r), 3, 4);
    }
    assert_int_equal(rig_service(r, "api").revision, 1);
    assert_int_equal(r->n, 3);
    for (int k = 0; k < 3; k++)
        assert_true(rig_service(r, "api").instances[k].generation > generation);
    uint64_t revision = controller_revision(r->c);
    rig_apply(r, ONE);
    assert_int_equal(controller_revision(r->c), revision);
}

/* P#3078 P#2573: a fixed port can be held by one at a time. */
static void a_fixed_port_stops_first(void **state)
{
    static const char fixed1[] = API("port: 9001, environment: { R: \"1\" }"), fixed2[] = API("port: 9001, environment: { R: \"2\" }"),
                      other[] = API("port: auto, environment: { R: \"3\" }");
    struct rig *r = *state;
    rig_apply(r, fixed1);
    r->in_flight = 1;
    rig_apply(r, fixed2);
    assert_int_equal(rig_count(r, "api", WANT_RUN), 0);
    assert_int_equal(rig_count(r, "api", WANT_DRAIN), 1);
    rig_pass(r, 5000);
    assert_int_equal(r->n, 1);                              /* nobody starts while the old one has the port */
    r->in_flight = 0;
    rig_send_reports(r);
    rig_settle(r);
    assert_int_equal(r->n, 1);
    assert_int_equal(of_revision(r, 2), 1);
    rig_apply(r, other);                                    /* another port: the usual way, no gap */
    assert_int_equal(of_revision(r, 2), 1);
    assert_int_equal(of_revision(r, 3), 1);
    rig_pass(r, 15000);
    assert_int_equal(of_revision(r, 3), 1);
    assert_int_equal(r->n, 1);
}

/* A process that has just started is busy with that. */
static void feed(struct rig *r, double idle, double starting)
{
    struct inst_metrics m[16];
    size_t n = 0;
    for (size_t k = 0; k < r->n && n < ARRAY_LEN(m); k++) {
        m[n] = (struct inst_metrics){ .age_ms = 100, .cpu_of_limit_pct = r->now - r->inst[k].since < 9000 ? starting : idle, .in_flight = NAN };
        memcpy(m[n++].id, r->inst[k].st.id, sizeof m[0].id);
    }
    controller_metrics(r->c, r->now, m, n, NULL, 0);
    rig_settle(r);
}

/* K#90461 K#72775: an idle rolling update scaled up. */
static void a_rollout_feeds_no_scaler(void **state)
{
    struct rig *r = *state;
    rig_apply(r, RANGE1);
    rig_pass(r, 20000);
    rig_apply(r, RANGE2);
    for (int k = 0; k < 120; k++) {
        rig_pass(r, 1000);
        feed(r, 55, 400);
        struct service_view v = rig_service(r, "api");
        assert_int_equal(v.desired, 3);
    }
    assert_int_equal(of_revision(r, 2), 3);
}

/* Even one that has run for long: 3 instances at 68% of what they may use are worth 4 at 60%, not 5. */
static void the_surplus_is_no_sample(void **state)
{
    static const char slow1[] = API("instances: { min: 3, max: 9 }, scale: { on: [ cpu: 60% ] }, deploy: { healthy_for: 1h }, environment: { R: \"1\" }"),
                      slow2[] = API("instances: { min: 3, max: 9 }, scale: { on: [ cpu: 60% ] }, deploy: { healthy_for: 1h }, environment: { R: \"2\" }");
    struct rig *r = *state;
    rig_apply(r, slow1);
    rig_pass(r, 20000);
    rig_apply(r, slow2);
    rig_pass(r, 20000);
    assert_int_equal(r->n, 4);
    feed(r, 68, 68);
    feed(r, 68, 68);
    assert_int_equal(rig_service(r, "api").desired, 4);
}

/* N#25509 K#25238: a deploy reset the scaled count. */
static void a_rollout_keeps_the_count(void **state)
{
    struct rig *r = *state;
    struct err e;
    rig_apply(r, RANGE1);
    controller_scale(r->c, r->now, "api", 7, &e);
    rig_settle(r);
    rig_apply(r, RANGE2);
    for (int k = 0; k < 1000 && rig_service(r, "api").state == SVC_ROLLING; k++) {
        rig_pass(r, 100);
        assert_int_equal(rig_service(r, "api").desired, 7);
        assert_in_range(in_list(r), 7, 8);
    }
    assert_int_equal(of_revision(r, 2), 7);
}

static void a_restart_of_the_controller_amid(void **state)
{
    struct rig *r = *state;
    rig_apply(r, ONE);
    rig_apply(r, TWO);
    for (int k = 0; k < 60; k++) {
        rig_pass(r, 700);
        rig_restart(r, true);
        assert_in_range(in_list(r), 3, 4);
    }
    assert_int_equal(of_revision(r, 2), 3);
    assert_int_equal(rig_service(r, "api").state, SVC_STEADY);
}

static void the_agent_away_amid(void **state)
{
    struct rig *r = *state;
    rig_apply(r, ONE);
    rig_apply(r, TWO);
    controller_agent_gone(r->c, r->now);
    r->connected = false;
    uint64_t revision = controller_revision(r->c);
    rig_pass(r, 3600000);
    assert_int_equal(controller_revision(r->c), revision);  /* no word, no step */
    assert_int_equal(of_revision(r, 1), 3);
    struct err e;
    assert_int_equal(controller_scale(r->c, r->now, "api", 5, &e), 0);  /* people are heard all the same */
    assert_int_equal(controller_revision(r->c), revision);
    rig_connect(r);
    rig_pass(r, 100000);
    assert_int_equal(of_revision(r, 2), 5);
}

static void an_owner_change_is_a_rollout(void **state)
{
    struct rig *r = *state;
    rig_apply(r, ONE);
    struct config *conf = rig_config(ONE);
    struct strbuf diff = STRBUF_INIT;
    struct err e;
    struct apply_request q = { conf, "/srv/muster.yaml", 2000, 1000, "/bin" };
    uint32_t changes;
    assert_int_equal(controller_apply(r->c, r->now, &q, false, &diff, &changes, &e), 0);
    assert_non_null(strstr(diff.s, "rolling)\n  ~ owner: uid 1000 -> 2000"));
    assert_int_equal(changes, 1);
    strbuf_done(&diff);
    rig_config_free(conf);
}

/* I10, I2, I3 and the list under a hundred releases with everything else going on. */
static void a_hundred_releases(void **state)
{
    struct rig *r = *state;
    struct err e;
    rig_apply(r, RANGE1);
    for (int n = 0; n < 100; n++) {
        char yaml[512];
        fixed_printf(yaml, API("instances: { min: 3, max: 9 }, scale: { on: [ cpu: 60%% ] }, environment: { R: \"%d\" }"), n);
        rig_apply(r, yaml);
        if (n % 3 == 0)
            controller_scale(r->c, r->now, "api", 3 + (uint32_t)n % 7, &e);
        if (n % 5 == 0)
            rig_restart(r, true);
        if (n % 4 == 0)
            rig_pass(r, 25000);
        rig_pass(r, 4000);
    }
    rig_pass(r, 150000);
    assert_int_equal(rig_service(r, "api").state, SVC_STEADY);
    assert_int_equal(of_revision(r, rig_service(r, "api").revision), rig_service(r, "api").desired);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_good_release), T(the_first_is_none), T(a_bad_release_pauses), T(paused_by_failed_and_by_silence), T(it_goes_on_by_itself),
        T(a_third_release_replaces_both), T(the_old_file_again), T(restart_is_a_rollout), T(a_fixed_port_stops_first), T(a_rollout_feeds_no_scaler), T(the_surplus_is_no_sample),
        T(a_rollout_keeps_the_count), T(a_restart_of_the_controller_amid), T(the_agent_away_amid), T(an_owner_change_is_a_rollout), T(a_hundred_releases),
    };
    return cmocka_run_group_tests_name("deploy", tests, NULL, NULL);
}
