/* test_controller.c - apply, scale, stop, delete, down, lists and drains, restarts: stories against a small world (core_rig.h). */
#include "core_rig.h"

#define SERVICE(name, rest) "  " name ": { command: run, directory: /srv, " rest " }\n"
#define EDGE "balancers: { edge: { haproxy: { listen: \":8080\" } } }\n"
#define WEB "balance: { with: edge, path: /" "}, health: { readiness: { http: / } }"

static const char TWO[] = EDGE "services:\n" SERVICE("api", "instances: 2, " WEB);
static const char FOUR[] = EDGE "services:\n" SERVICE("api", "instances: 4, " WEB);
static const char RANGE[] = EDGE "services:\n" SERVICE("api", "instances: { min: 2, max: 6 }, scale: { on: [ cpu: 60% ] }, " WEB);

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

static void apply_to_ready(void **state)
{
    struct rig *r = *state;
    char *diff = rig_apply_from(r, "/srv/muster.yaml", TWO, true);
    assert_string_equal(diff, "balancer edge: new\nservice api: new\n");
    free(diff);
    assert_int_equal(controller_service_count(r->c), 0);
    r->auto_ready = false;
    rig_apply(r, TWO);
    assert_string_equal(rig_list(r, "api"), "");            /* never UP before its first pass */
    assert_int_equal(rig_service(r, "api").state, SVC_DEGRADED);
    rig_set(r, "api.1", INST_READY);
    rig_news(r);
    assert_string_equal(rig_list(r, "api"), "api.1+");
    assert_non_null(strstr(rig_service(r, "api").reason, "1 of 2 ready; api.2: starting"));
    rig_set(r, "api.2", INST_READY);
    rig_news(r);
    assert_string_equal(rig_list(r, "api"), "api.1+ api.2+");
    assert_int_equal(rig_service(r, "api").state, SVC_STEADY);
    assert_string_equal(rig_service(r, "api").reason, "");
    rig_said(r, "up api: all 2 instances are ready");
    assert_int_equal(r->had.balancers[0].upstreams[0].slots, 8);
}

/* S#729 S#1154: a reload restarted everything. */
static void the_same_again_changes_nothing(void **state)
{
    struct rig *r = *state;
    rig_apply(r, TWO);
    uint64_t revision = controller_revision(r->c);
    char *diff = rig_apply_from(r, "/srv/muster.yaml", TWO, false);
    assert_string_equal(diff, "");
    free(diff);
    assert_int_equal(controller_revision(r->c), revision);
    assert_int_equal(rig_service(r, "api").revision, 1);
}

static void one_change_touches_one_service(void **state)
{
    struct rig *r = *state;
    rig_apply(r, "services:\n" SERVICE("api", "instances: 2") SERVICE("worker", "instances: 2"));
    int32_t pid = rig_find(r, "worker.1")->st.pid, old = rig_find(r, "api.1")->st.pid;
    char *diff = rig_apply_from(r, "/srv/muster.yaml", "services:\n" SERVICE("api", "instances: 2, umask: \"077\"") SERVICE("worker", "instances: 2"), false);
    assert_non_null(strstr(diff, "service api: changed (revision 1 -> 2, rolling)\n  ~ umask: "));
    assert_null(strstr(diff, "worker"));
    free(diff);
    rig_pass(r, 60000);
    assert_int_equal(rig_find(r, "worker.1")->st.pid, pid);
    assert_int_equal(rig_service(r, "api").state, SVC_STEADY);
    for (size_t k = 0; k < rig_service(r, "api").instance_n; k++) {
        assert_int_equal(rig_service(r, "api").instances[k].revision, 2);
        assert_int_not_equal(rig_service(r, "api").instances[k].status.pid, old);
    }
}

static void instances_restart_nobody(void **state)
{
    struct rig *r = *state;
    rig_apply(r, TWO);
    int32_t pid = rig_find(r, "api.1")->st.pid;
    uint64_t generation = rig_service(r, "api").instances[0].generation;
    char *diff = rig_apply_from(r, "/srv/muster.yaml", FOUR, false);
    assert_non_null(strstr(diff, "service api: changed (revision 1 -> 2, in place)\n  ~ instances: 2 -> 4\n"));
    free(diff);
    assert_int_equal(rig_find(r, "api.1")->st.pid, pid);
    assert_int_equal(rig_count(r, "api", WANT_RUN), 4);
    assert_int_equal(rig_service(r, "api").instances[0].generation, generation);
    assert_int_equal(rig_service(r, "api").instances[0].revision, 2);
    rig_silent(r, "rollout");
}

static void removed_from_the_file(void **state)
{
    struct rig *r = *state;
    rig_apply(r, "services:\n" SERVICE("api", "instances: 2") SERVICE("worker", "instances: 2"));
    free(rig_apply_from(r, "/srv/other.yaml", "services:\n" SERVICE("other", "instances: 1"), false));
    char *diff = rig_apply_from(r, "/srv/muster.yaml", "services:\n" SERVICE("api", "instances: 2"), false);
    assert_string_equal(diff, "service worker: removed\n");
    free(diff);
    assert_int_equal(controller_service_count(r->c), 2);    /* other.yaml's service stays */
    assert_null(rig_find(r, "worker.1"));
    rig_said(r, "deleted worker");
    assert_int_equal(r->row_n, 2);
}

/* --- drain -------------------------------------------------------------------------------------------------------------- */
/* K#43576 K#86280: the stop signal came before the balancer had let go. */
static void a_drain_in_order(void **state)
{
    struct rig *r = *state;
    struct err e;
    rig_apply(r, TWO);
    r->auto_balance = false;
    assert_int_equal(controller_scale(r->c, r->now, "api", 1, &e), 0);
    rig_settle(r);
    assert_string_equal(rig_list(r, "api"), "api.1+ api.2d");
    assert_int_equal(rig_count(r, "api", WANT_DRAIN), 1);
    rig_pass(r, 3000);
    assert_int_equal(rig_count(r, "api", WANT_DRAIN), 1);   /* not acknowledged: it runs on */
    r->in_flight = 2;
    rig_send_reports(r);                                    /* acknowledged, but two requests are in flight */
    rig_send_reports(r);
    rig_pass(r, 3000);
    assert_int_equal(rig_count(r, "api", WANT_DRAIN), 1);
    r->in_flight = 0;
    rig_send_reports(r);
    rig_settle(r);
    assert_null(rig_find(r, "api.2"));                      /* stopped, and its row gone */
    assert_int_equal(rig_service(r, "api").instance_n, 1);
}

static void zero_in_the_acknowledging_report_is_too_early(void **state)
{
    struct rig *r = *state;
    struct err e;
    rig_apply(r, TWO);
    r->auto_balance = false;
    controller_scale(r->c, r->now, "api", 1, &e);
    rig_settle(r);
    r->late_figures = true;
    rig_send_reports(r);                                    /* counted before the list changed */
    rig_settle(r);
    assert_int_equal(rig_count(r, "api", WANT_DRAIN), 1);
    rig_send_reports(r);
    rig_settle(r);
    assert_int_equal(rig_service(r, "api").instance_n, 1);
}

static void one_report_is_enough_if_it_shows_the_drain(void **state)
{
    struct rig *r = *state;
    struct err e;
    rig_apply(r, TWO);
    r->auto_balance = false;
    controller_scale(r->c, r->now, "api", 1, &e);
    rig_settle(r);
    rig_send_reports(r);                                    /* agents tell changes only: an idle server has no second report */
    rig_settle(r);
    assert_int_equal(rig_service(r, "api").instance_n, 1);
}

static void a_drain_has_an_end(void **state)
{
    struct rig *r = *state;
    struct err e;
    rig_apply(r, TWO);
    r->in_flight = 1;                                       /* a request that never ends */
    controller_scale(r->c, r->now, "api", 1, &e);
    rig_settle(r);
    rig_pass(r, 29000);
    assert_int_equal(rig_count(r, "api", WANT_DRAIN), 1);
    rig_pass(r, 1100);
    assert_int_equal(rig_service(r, "api").instance_n, 1);
}

static void a_balancer_that_is_away(void **state)
{
    struct rig *r = *state;
    struct err e;
    rig_apply(r, TWO);
    r->auto_balance = false;
    controller_scale(r->c, r->now, "api", 1, &e);
    rig_settle(r);
    struct balancer_report dead = { .name = "edge", .epoch = r->epoch, .revision = 1 };
    controller_balancer(r->c, r->now, &dead);
    rig_pass(r, 4000);
    assert_int_equal(rig_count(r, "api", WANT_DRAIN), 1);   /* it may be back in a second, with the list it had */
    rig_pass(r, 2000);
    assert_int_equal(rig_service(r, "api").instance_n, 1);
}

static void a_balancer_that_never_acknowledges(void **state)
{
    struct rig *r = *state;
    struct err e;
    rig_apply(r, TWO);
    r->auto_balance = false;
    controller_scale(r->c, r->now, "api", 1, &e);
    rig_pass(r, 89000);
    assert_int_equal(rig_count(r, "api", WANT_DRAIN), 1);
    rig_pass(r, 2000);
    assert_int_equal(rig_service(r, "api").instance_n, 1);
    rig_said(r, "does not acknowledge");
}

/* Its status may be old: the agent may have started it again, and put it into the list. So its end waits for the balancer's word as well,
 * but neither for what is in flight nor for long. */
static void a_process_that_is_gone(void **state)
{
    struct rig *r = *state;
    struct err e;
    rig_apply(r, FOUR);
    r->auto_balance = false;
    r->in_flight = 5;
    controller_scale(r->c, r->now, "api", 2, &e);
    rig_settle(r);
    rig_set(r, "api.3", INST_BACKOFF);
    rig_set(r, "api.4", INST_BACKOFF);
    rig_send_status(r, false);
    assert_int_equal(rig_service(r, "api").instance_n, 4);
    rig_send_reports(r);
    rig_settle(r);
    assert_int_equal(rig_service(r, "api").instance_n, 2);
    rig_set(r, "api.2", INST_BACKOFF);
    rig_send_status(r, false);
    controller_scale(r->c, r->now, "api", 1, &e);
    rig_pass(r, 4500);
    assert_int_equal(rig_service(r, "api").instance_n, 2);
    rig_pass(r, 1000);
    assert_int_equal(rig_service(r, "api").instance_n, 1);
}

static void a_slot_is_free_only_when_it_is_gone(void **state)
{
    struct rig *r = *state;
    struct err e;
    rig_apply(r, TWO);
    r->auto_balance = false;
    controller_scale(r->c, r->now, "api", 1, &e);
    rig_settle(r);
    controller_scale(r->c, r->now, "api", 2, &e);
    rig_settle(r);
    assert_non_null(rig_find(r, "api.3"));                  /* api.2 still drains */
    rig_send_reports(r);
    rig_send_reports(r);
    rig_settle(r);
    assert_null(rig_find(r, "api.2"));
    controller_scale(r->c, r->now, "api", 3, &e);
    rig_settle(r);
    assert_non_null(rig_find(r, "api.2"));                  /* the lowest free one */
}

/* --- lists -------------------------------------------------------------------------------------------------------------- */
static void readiness_and_exits_in_the_list(void **state)
{
    struct rig *r = *state;
    rig_apply(r, FOUR);
    rig_set(r, "api.1", INST_UNREADY);
    rig_news(r);
    assert_string_equal(rig_list(r, "api"), "api.1d api.2+ api.3+ api.4+");
    rig_set(r, "api.2", INST_BACKOFF);
    rig_news(r);
    assert_string_equal(rig_list(r, "api"), "api.1d api.3+ api.4+ api.2m");
    assert_non_null(strstr(rig_service(r, "api").reason, "2 of 4 ready; api.2: backoff, last exit code 3"));
    rig_set(r, "api.2", INST_STARTING);
    rig_news(r);
    assert_string_equal(rig_list(r, "api"), "api.1d api.3+ api.4+ api.2m");
    rig_set(r, "api.1", INST_READY);
    rig_set(r, "api.2", INST_READY);
    rig_news(r);
    assert_string_equal(rig_list(r, "api"), "api.1+ api.2+ api.3+ api.4+");
}

/* K#66230: a database outage made all of them unready at once. */
static void panic_keeps_the_list(void **state)
{
    struct rig *r = *state;
    rig_apply(r, FOUR);
    for (int k = 1; k <= 4; k++) {
        char id[16];
        fixed_printf(id, "api.%d", k);
        rig_set(r, id, INST_UNREADY);
        rig_news(r);
    }
    assert_string_equal(rig_list(r, "api"), "api.1+ api.2+ api.3+ api.4+");
    assert_true(r->had.balancers[0].upstreams[0].panic);
    rig_said(r, "panic api:");
    assert_non_null(strstr(rig_service(r, "api").reason, "panic: 0 of 4 running"));
    rig_set(r, "api.3", INST_BACKOFF);                      /* an exit leaves always */
    rig_news(r);
    assert_string_equal(rig_list(r, "api"), "api.1+ api.2+ api.4+ api.3m");
    rig_set(r, "api.1", INST_READY);
    rig_set(r, "api.2", INST_READY);
    rig_news(r);
    assert_string_equal(rig_list(r, "api"), "api.1+ api.2+ api.4d api.3m");
    assert_false(r->had.balancers[0].upstreams[0].panic);
    rig_said(r, "panic api: over");
}

/* K#100277 K#135795: the agent's restart flipped readiness both ways. */
static void an_agent_restart_changes_no_list(void **state)
{
    struct rig *r = *state;
    rig_apply(r, FOUR);
    controller_agent_gone(r->c, r->now);
    r->connected = false;
    rig_pass(r, 3600000);
    uint64_t revision = controller_revision(r->c);
    assert_int_equal(revision, r->had.revision);
    for (size_t k = 0; k < r->n; k++)
        r->inst[k].st.state = INST_STARTING;                /* adopted; its probes have not answered yet */
    rig_connect(r);
    assert_string_equal(rig_list(r, "api"), "api.1+ api.2+ api.3+ api.4+");
    assert_int_equal(rig_service(r, "api").ready, 4);
    rig_set(r, "api.1", INST_UNREADY);                      /* now it is known */
    rig_news(r);
    assert_string_equal(rig_list(r, "api"), "api.1d api.2+ api.3+ api.4+");
    rig_set(r, "api.2", INST_BACKOFF);                      /* a new process in the slot: starting is not ready */
    rig_set(r, "api.2", INST_STARTING);
    rig_news(r);
    assert_string_equal(rig_list(r, "api"), "api.1d api.3+ api.4+ api.2m");
}

static void a_controller_restart_changes_no_list(void **state)
{
    struct rig *r = *state;
    rig_apply(r, FOUR);
    rig_set(r, "api.1", INST_UNREADY);
    rig_news(r);
    rig_restart(r, false);
    controller_step(r->c, r->now + 100000);
    assert_false(controller_synced(r->c));                  /* nothing may be sent yet */
    controller_agent_connected(r->c, r->now, r->had.epoch, r->had.revision);
    struct inst_status one = r->inst[0].st;
    controller_status(r->c, r->now, &one, 1, false);        /* a delta is not enough */
    assert_false(controller_synced(r->c));
    int32_t pid = rig_find(r, "api.1")->st.pid;
    rig_connect(r);
    assert_string_equal(rig_list(r, "api"), "api.1d api.2+ api.3+ api.4+");
    assert_int_equal(rig_find(r, "api.1")->st.pid, pid);
    assert_int_equal(r->had.epoch, 2);
    rig_silent(r, "up api: all 4 instances are ready\nup api");
}

/* N#2453: a change of leader restarted tasks. */
static void a_hundred_restarts(void **state)
{
    struct rig *r = *state;
    struct err e;
    rig_apply(r, RANGE);
    assert_int_equal(controller_scale(r->c, r->now, "api", 5, &e), 0);
    rig_settle(r);
    int32_t pid[6];
    for (int k = 0; k < 5; k++)
        pid[k] = r->inst[k].st.pid;
    for (int n = 0; n < 100; n++) {
        rig_restart(r, true);
        assert_int_equal(r->n, 5);
        for (int k = 0; k < 5; k++)
            assert_int_equal(r->inst[k].st.pid, pid[k]);
        assert_int_equal(rig_service(r, "api").desired, 5);
        assert_string_equal(rig_list(r, "api"), "api.1+ api.2+ api.3+ api.4+ api.5+");
    }
}

static void a_restart_amid_a_drain(void **state)
{
    struct rig *r = *state;
    struct err e;
    rig_apply(r, TWO);
    r->auto_balance = false;
    controller_scale(r->c, r->now, "api", 1, &e);
    rig_settle(r);
    struct balancer_report old = { .name = "edge", .epoch = 1, .revision = r->had.revision, .running = true };
    rig_restart(r, true);
    assert_string_equal(rig_list(r, "api"), "api.1+ api.2d");
    controller_balancer(r->c, r->now, &old);                /* another epoch's acknowledgement */
    controller_balancer(r->c, r->now, &old);
    rig_settle(r);
    assert_int_equal(rig_count(r, "api", WANT_DRAIN), 1);
    rig_send_reports(r);
    rig_send_reports(r);
    rig_settle(r);
    assert_int_equal(rig_service(r, "api").instance_n, 1);
}

/* --- counts --------------------------------------------------------------------------------------------------------------- */
/* An apply while the agent is away: stored, but nothing is made for the agent before it has told what is. */
static void an_apply_while_the_agent_is_away(void **state)
{
    struct rig *r = *state;
    rig_apply(r, TWO);
    controller_agent_gone(r->c, r->now);
    r->connected = false;
    uint64_t revision = controller_revision(r->c);
    rig_apply(r, FOUR);
    rig_pass(r, 60000);
    assert_int_equal(controller_revision(r->c), revision);
    rig_connect(r);
    assert_true(controller_revision(r->c) > revision);
    assert_int_equal(r->n, 4);
}

static void scale_ranges(void **state)
{
    struct rig *r = *state;
    struct err e;
    rig_apply(r, RANGE);
    assert_int_equal(controller_scale(r->c, r->now, "api", 1, &e), -ERANGE);
    assert_non_null(strstr(e.text, "the range is 2..6"));
    assert_int_equal(controller_scale(r->c, r->now, "api", 7, &e), -ERANGE);
    assert_int_equal(controller_scale(r->c, r->now, "nope", 3, &e), -ENOENT);
    assert_int_equal(controller_scale(r->c, r->now, "api.1", 3, &e), -EINVAL);
    assert_int_equal(rig_service(r, "api").desired, 2);
    assert_int_equal(controller_scale(r->c, r->now, "api", 6, &e), 0);
    assert_false(rig_service(r, "api").held);
    rig_settle(r);
    rig_apply(r, RANGE);
    assert_int_equal(rig_service(r, "api").desired, 6);     /* N#25509 K#25238: a deploy reset the scaled count */
    rig_apply(r, EDGE "services:\n" SERVICE("api", "instances: { min: 2, max: 4 }, scale: { on: [ cpu: 60% ] }, umask: \"077\", " WEB));
    assert_int_equal(rig_service(r, "api").desired, 4);
    assert_int_equal(controller_scale(r->c, r->now, "api", INSTANCES_MAX + 1, &e), -ERANGE);
}

static void a_plain_number_is_held(void **state)
{
    struct rig *r = *state;
    struct err e;
    rig_apply(r, TWO);
    assert_int_equal(controller_scale(r->c, r->now, "api", 5, &e), 0);
    assert_true(rig_service(r, "api").held);
    rig_settle(r);
    rig_restart(r, true);
    assert_int_equal(rig_service(r, "api").desired, 5);
    rig_apply(r, TWO);                                      /* the same number: the person's holds */
    assert_int_equal(rig_service(r, "api").desired, 5);
    rig_apply(r, EDGE "services:\n" SERVICE("api", "instances: 2, umask: \"077\", " WEB));
    assert_int_equal(rig_service(r, "api").desired, 5);     /* another change: holds too */
    rig_apply(r, EDGE "services:\n" SERVICE("api", "instances: 3, umask: \"077\", " WEB));
    assert_int_equal(rig_service(r, "api").desired, 3);
    assert_false(rig_service(r, "api").held);
}

static void feed(struct rig *r, double cpu)
{
    struct inst_metrics m[16];
    size_t n = 0;
    for (size_t k = 0; k < r->n && n < ARRAY_LEN(m); k++) {
        m[n] = (struct inst_metrics){ .age_ms = 100, .cpu_of_limit_pct = cpu, .in_flight = NAN };
        memcpy(m[n++].id, r->inst[k].st.id, sizeof m[0].id);
    }
    controller_metrics(r->c, r->now, m, n, NULL, 0);
    rig_check(r);
    rig_settle(r);
}
static void feed_for(struct rig *r, double cpu, int seconds)
{
    for (int k = 0; k < seconds; k++) {
        rig_pass(r, 1000);
        feed(r, cpu);
    }
}

static void the_scaler_up_and_down(void **state)
{
    struct rig *r = *state;
    rig_apply(r, RANGE);
    feed_for(r, 90, 5);
    assert_int_equal(rig_service(r, "api").desired, 2);     /* their first seconds do not count */
    feed_for(r, 90, 10);
    assert_int_equal(rig_service(r, "api").desired, 3);
    rig_said(r, "scaled api: 2 -> 3: cpu is 90% of what 2 instances may use, target 60%: 3 wanted");
    const struct scale_why *why[4];
    assert_in_range(controller_explain(r->c, "api", why, 4), 1, 4);
    feed_for(r, 90, 60);
    assert_int_equal(rig_service(r, "api").desired, 6);
    feed_for(r, 10, 250);
    assert_int_equal(rig_service(r, "api").desired, 6);     /* down.wait: 5m */
    feed_for(r, 10, 400);
    assert_int_equal(rig_service(r, "api").desired, 2);
    rig_pass(r, 60000);
    assert_int_equal(r->n, 2);
}

/* P#3485, E#1850: the figures stop coming. */
static void no_figures_no_change(void **state)
{
    struct rig *r = *state;
    struct err e;
    rig_apply(r, RANGE);
    controller_scale(r->c, r->now, "api", 5, &e);
    rig_settle(r);
    rig_pass(r, 3600000);
    assert_int_equal(rig_service(r, "api").desired, 5);
    feed_for(r, NAN, 1000);
    assert_int_equal(rig_service(r, "api").desired, 5);
    feed_for(r, 5, 200);
    feed_for(r, NAN, 5);
    feed_for(r, 5, 200);
    assert_int_equal(rig_service(r, "api").desired, 5);     /* known for 200 s only */
}

/* --- after, stop, start, delete, down ---------------------------------------------------------------------------------------- */
static const char CHAIN[] = "services:\n" SERVICE("db", "instances: 1") SERVICE("api", "instances: 2, after: [db]") SERVICE("web", "instances: 1, after: [api]");

static void after_waits_for_readiness(void **state)
{
    struct rig *r = *state;
    r->auto_ready = false;
    rig_apply(r, CHAIN);
    assert_int_equal(rig_count(r, "api", WANT_HOLD), 2);
    assert_string_equal(rig_service(r, "api").reason, "waits for db");
    assert_int_equal(rig_find(r, "api.1")->st.state, INST_WAITING);
    rig_set(r, "db.1", INST_READY);
    rig_news(r);
    assert_int_equal(rig_count(r, "api", WANT_RUN), 2);
    assert_int_equal(rig_count(r, "web", WANT_HOLD), 1);
    rig_set(r, "db.1", INST_UNREADY);                       /* once was enough */
    rig_news(r);
    assert_int_equal(rig_count(r, "api", WANT_RUN), 2);
    rig_set(r, "api.1", INST_READY);
    rig_news(r);
    assert_int_equal(rig_count(r, "web", WANT_HOLD), 1);
    rig_restart(r, true);                                   /* the hold is remembered */
    assert_int_equal(rig_count(r, "api", WANT_RUN), 2);
    assert_int_equal(rig_count(r, "web", WANT_HOLD), 1);
    rig_set(r, "api.2", INST_READY);
    rig_news(r);
    assert_int_equal(rig_count(r, "web", WANT_RUN), 1);
}

static void each_of_after_counts_once(void **state)
{
    struct rig *r = *state;
    r->auto_ready = false;
    rig_apply(r, "services:\n" SERVICE("db", "instances: 1") SERVICE("mq", "instances: 2") SERVICE("api", "instances: 1, after: [db, mq]"));
    rig_set(r, "db.1", INST_READY);
    rig_news(r);
    rig_set(r, "db.1", INST_BACKOFF);                       /* was ready once; never both at a time */
    rig_news(r);
    assert_string_equal(rig_service(r, "api").reason, "waits for mq");
    rig_restart(r, true);
    rig_set(r, "mq.1", INST_READY);
    rig_set(r, "mq.2", INST_READY);
    rig_news(r);
    assert_int_equal(rig_count(r, "api", WANT_RUN), 1);
}

static void stop_and_start(void **state)
{
    struct rig *r = *state;
    struct err e;
    rig_apply(r, FOUR);
    assert_int_equal(controller_stop(r->c, r->now, "api.2", &e), -EINVAL);
    assert_int_equal(controller_stop(r->c, r->now, "api", &e), 0);
    assert_string_equal(rig_list(r, "api"), "api.1+ api.2+ api.3+ api.4+");
    rig_settle(r);
    assert_int_equal(r->n, 0);
    assert_int_equal(rig_service(r, "api").state, SVC_STOPPED);
    assert_int_equal(rig_service(r, "api").desired, 4);
    rig_said(r, "stopped api");
    assert_int_equal(controller_restart(r->c, r->now, "api", &e), -EBUSY);
    rig_restart(r, true);
    assert_int_equal(rig_service(r, "api").state, SVC_STOPPED);
    assert_int_equal(controller_start(r->c, r->now, "api", &e), 0);
    rig_settle(r);
    assert_int_equal(r->n, 4);
    assert_int_equal(rig_service(r, "api").state, SVC_STEADY);
}

static void delete_and_come_back(void **state)
{
    struct rig *r = *state;
    struct err e;
    rig_apply(r, TWO);
    r->in_flight = 1;
    assert_int_equal(controller_delete(r->c, r->now, "api", &e), 0);
    rig_settle(r);
    assert_int_equal(rig_service(r, "api").state, SVC_DELETING);
    assert_int_equal(controller_scale(r->c, r->now, "api", 3, &e), -EBUSY);
    assert_int_equal(controller_delete(r->c, r->now, "api", &e), 0);
    rig_apply(r, TWO);                                      /* wanted again while the old ones drain */
    assert_int_equal(rig_count(r, "api", WANT_RUN), 2);
    assert_int_equal(rig_count(r, "api", WANT_DRAIN), 2);
    r->in_flight = 0;
    rig_send_reports(r);
    rig_settle(r);
    assert_int_equal(r->n, 2);
    assert_int_equal(rig_service(r, "api").state, SVC_STEADY);
    controller_delete(r->c, r->now, "api", &e);
    rig_settle(r);
    assert_int_equal(controller_service_count(r->c), 0);
}

static void down_in_order(void **state)
{
    struct rig *r = *state;
    rig_apply(r, EDGE "services:\n" SERVICE("db", "instances: 1") SERVICE("api", "instances: 2, after: [db], " WEB));
    r->in_flight = 1;
    controller_down(r->c, r->now);
    rig_settle(r);
    assert_int_equal(rig_count(r, "api", WANT_DRAIN), 2);
    assert_int_equal(rig_count(r, "db", WANT_RUN), 1);      /* api comes after db, so it goes before */
    assert_int_equal(r->had.balancer_n, 1);
    assert_false(controller_ended(r->c));
    r->in_flight = 0;
    rig_send_reports(r);
    rig_settle(r);
    assert_int_equal(r->n, 0);
    assert_int_equal(r->had.balancer_n, 0);
    rig_pass(r, 5000);
    assert_false(controller_ended(r->c));                   /* requests may still end at the balancer */
    struct balancer_report ended = { .name = "edge", .epoch = r->epoch, .revision = r->had.revision };
    controller_balancer(r->c, r->now, &ended);
    rig_settle(r);
    assert_true(r->had.end);
    assert_true(controller_ended(r->c));
    rig_restart(r, true);                                   /* `down` is no state: the next start runs what was applied */
    assert_int_equal(r->n, 3);
    assert_false(r->had.end);
}

static void down_does_not_wait_for_ever(void **state)
{
    struct rig *r = *state;
    rig_apply(r, TWO);
    controller_down(r->c, r->now);
    rig_settle(r);
    rig_pass(r, 11000);
    assert_true(controller_ended(r->c));
}

static void a_crash_amid_down(void **state)
{
    struct rig *r = *state;
    rig_apply(r, CHAIN);
    controller_down(r->c, r->now);
    rig_store(r);
    rig_restart(r, true);
    rig_pass(r, 5000);
    assert_int_equal(rig_count(r, "api", WANT_RUN), 2);
    assert_int_equal(rig_service(r, "web").ready, 1);
}

/* --- losses -------------------------------------------------------------------------------------------------------------------- */
static void the_store_is_lost(void **state)
{
    struct rig *r = *state;
    struct err e;
    rig_apply(r, RANGE);
    controller_scale(r->c, r->now, "api", 5, &e);
    rig_settle(r);
    int32_t pid = rig_find(r, "api.5")->st.pid;
    while (r->row_n > 0)
        free(r->rows[--r->row_n].json);
    uint64_t generation = r->inst[0].st.generation;
    r->epoch = 0;                                           /* the epoch's counter is lost as well */
    rig_restart(r, false);
    controller_recover(r->c, r->now, &r->had);
    r->had.epoch = 0;
    rig_connect(r);
    assert_int_equal(r->n, 5);
    assert_int_equal(rig_find(r, "api.5")->st.pid, pid);
    assert_int_equal(rig_service(r, "api").desired, 5);
    assert_string_equal(rig_list(r, "api"), "api.1+ api.2+ api.3+ api.4+ api.5+");
    rig_apply(r, RANGE);                                    /* the file is its source again, and it changes nothing */
    assert_int_equal(rig_find(r, "api.5")->st.pid, pid);
    assert_int_equal(r->row_n, 2);
    controller_restart(r->c, r->now, "api", &e);
    rig_pass(r, 1000);
    for (size_t k = 0; k < r->n; k++)
        if (r->inst[k].st.pid != pid && !strcmp(r->inst[k].st.id, "api.6"))
            assert_true(r->inst[k].st.generation > generation);
    assert_int_equal(rig_service(r, "api").state, SVC_ROLLING);
}

static void the_agent_lost_its_instances(void **state)
{
    struct rig *r = *state;
    rig_apply(r, TWO);
    r->n = 0;                                               /* the machine was booted */
    rig_restart(r, true);
    assert_int_equal(r->n, 2);
    assert_int_equal(rig_service(r, "api").ready, 2);
    assert_string_equal(rig_list(r, "api"), "api.1+ api.2+");
}

static void strangers_are_ignored(void **state)
{
    struct rig *r = *state;
    rig_apply(r, TWO);
    static const char *const ids[] = { "other.1", "api.99", "api", "", "api.0", "api.-1", ".1", "api.1x", "../api.1" };
    uint64_t revision = controller_revision(r->c);
    for (size_t k = 0; k < ARRAY_LEN(ids); k++) {
        struct inst_status st = { .state = INST_READY, .alive = true, .pid = 1 };
        struct inst_metrics m = { .cpu_of_limit_pct = 1 };
        fixed_copy(st.id, sizeof st.id, ids[k]);
        fixed_copy(m.id, sizeof m.id, ids[k]);
        controller_status(r->c, r->now, &st, 1, false);
        controller_metrics(r->c, r->now, &m, 1, NULL, 0);
    }
    struct balancer_report rep = { .name = "nope" };
    controller_balancer(r->c, r->now, &rep);
    assert_int_equal(controller_revision(r->c), revision);
    rig_check(r);
}

/* --- size ------------------------------------------------------------------------------------------------------------------------ */
static void a_thousand_instances(void **state)
{
    struct rig *r = *state;
    rig_apply(r, "services:\n" SERVICE("api", "instances: 1000"));
    assert_int_equal(rig_service(r, "api").ready, 1000);
    uint64_t revision = controller_revision(r->c);
    for (int k = 0; k < 2000; k++) {                        /* takes a second or two if each were to rebuild the world */
        rig_set(r, "api.500", k % 2 ? INST_READY : INST_UNREADY);
        rig_send_status(r, false);
    }
    assert_int_equal(rig_service(r, "api").ready, 1000);
    assert_int_equal(controller_revision(r->c), revision);  /* not balanced: nothing that the agent must know has changed */
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(apply_to_ready), T(the_same_again_changes_nothing), T(one_change_touches_one_service), T(instances_restart_nobody), T(removed_from_the_file),
        T(a_drain_in_order), T(zero_in_the_acknowledging_report_is_too_early), T(one_report_is_enough_if_it_shows_the_drain), T(a_drain_has_an_end), T(a_balancer_that_is_away),
        T(a_balancer_that_never_acknowledges), T(a_process_that_is_gone), T(a_slot_is_free_only_when_it_is_gone),
        T(readiness_and_exits_in_the_list), T(panic_keeps_the_list), T(an_agent_restart_changes_no_list), T(a_controller_restart_changes_no_list),
        T(a_hundred_restarts), T(a_restart_amid_a_drain), T(scale_ranges), T(a_plain_number_is_held), T(the_scaler_up_and_down), T(no_figures_no_change),
        T(after_waits_for_readiness), T(each_of_after_counts_once), T(an_apply_while_the_agent_is_away),
        T(down_does_not_wait_for_ever), T(stop_and_start), T(delete_and_come_back), T(down_in_order), T(a_crash_amid_down), T(the_store_is_lost),
        T(the_agent_lost_its_instances), T(strangers_are_ignored), T(a_thousand_instances),
    };
    return cmocka_run_group_tests_name("controller", tests, NULL, NULL);
}
