/* The life of one instance (agent/instance.c): its table, and every row of the faults list that this logic can have. */
#include "tests/unit/agent_rig.h"
#include "agent/instance.h"

static struct spec_opts http_opts(void) { return (struct spec_opts){ .readiness = PROBE_HTTP }; }

/* api.1 up and ready, no probe but what o says (readiness and startup are answered). */
static int32_t ready(struct rig *r, const struct spec_opts *o)
{
    rig_init(r);
    rig_want(r, o, WANT_RUN);
    rig_live(r);
    int32_t pid = rig_spawned(r, "api.1");
    (void)rig_answer(r, "api.1", PROBE_STARTUP, true, "");
    (void)rig_answer(r, "api.1", PROBE_READINESS, true, "");
    assert_state(r, "api.1", INST_READY);
    return pid;
}

/* --- the table itself: which cells are refused ------------------------------------------------------------- */
/* A row a state, a letter an event in the order of INST_EVENTS: 'x' refused, '.' allowed. */
static const char *const cells[INST_ST_COUNT] = {
    /*                  RUN HOLD DRAIN STOP REPLACE | HOOK_OK BAD | SPAWNED BAD | EXIT EMPTY | PASS FAIL LATE SICK TIMER */
    [IS_UNCLAIMED] = "....." "xx" "xx" ".x" "xxxxx",
    [IS_WAITING]   = "....." "xx" "xx" "xx" "xxxxx",
    [IS_HOOK]      = "....." ".." "xx" "xx" "xxxxx",
    [IS_SPAWNING]  = "....." "xx" ".." "xx" "xxxxx",
    [IS_STARTING]  = "....." "xx" "xx" ".x" ".x..x",
    [IS_READY]     = "....." ".." "xx" ".x" "..x..",
    [IS_UNREADY]   = "....." ".." "xx" ".x" "..x.x",
    [IS_DRAINING]  = "....." ".." "xx" ".x" "xxx.x",
    [IS_STOPHOOK]  = "....." ".." "xx" ".." "xxxxx",
    [IS_TERM]      = "....." "xx" "xx" ".." "xxxx.",
    [IS_KILL]      = "....." "xx" "xx" ".." "xxxx.",
    [IS_CLEARING]  = "....." "xx" "xx" "x." "xxxx.",
    [IS_STOPPED]   = "....." "xx" "xx" "xx" "xxxxx",
    [IS_BACKOFF]   = "....." "xx" "xx" "xx" "xxxx.",
    [IS_FAILED]    = "....." "xx" "xx" "xx" "xxxx.",
};

static void test_refused_cells(void **state)
{
    (void)state;
    for (int st = 0; st < INST_ST_COUNT; st++) {
        assert_int_equal(strlen(cells[st]), INST_EVENT_COUNT);
        for (int ev = 0; ev < INST_EVENT_COUNT; ev++) {
            struct inst_host h = { .live = false, .now = 1000, .rng = { 1 } };
            struct spec_box *box = xcalloc(1, sizeof(*box));
            box->refs = 1;
            box->d.spec_n = 1;
            box->d.specs = xcalloc(1, sizeof(*box->d.specs));
            struct spec_opts o = { 0 };
            rig_spec(box->d.specs, "api", &o);
            struct inst *i = inst_new(&h, "api.1");
            i->box = spec_box_ref(box);
            i->want_box = spec_box_ref(box);
            i->spec = i->want_spec = box->d.specs;
            i->st = (enum inst_st)st;
            i->pid = 5;
            i->populated = i->running = inst_main_rule(i->st) == 1 && ev != IE_EXIT;
            i->end_state = IS_BACKOFF;
            int rc = inst_event(i, &h, (enum inst_event)ev);
            if (rc != (cells[st][ev] == 'x' ? -EPROTO : 0))
                fail_msg("%s x %s: %d", inst_st_name(i->st), inst_event_name((enum inst_event)ev), rc);
            if (rc < 0) {
                assert_int_equal(i->st, st);        /* refused: nothing happened, and it was said */
                assert_int_equal(h.q.n, 0);
                assert_non_null(strstr(h.broken, inst_event_name((enum inst_event)ev)));
            }
            inst_free(i);
            spec_box_unref(box);
            actions_done(&h.q);
        }
    }
}

/* --- starting ---------------------------------------------------------------------------------------------- */
static void test_no_probe_is_ready_at_exec(void **state)
{
    (void)state;
    struct rig r;
    struct spec_opts o = { 0 };
    ready(&r, &o);
    assert_int_equal(rig_status(&r, "api.1").pid, 100);
    rig_done(&r);
}

static void test_hold_then_run(void **state)
{
    (void)state;
    struct rig r;
    struct spec_opts o = { 0 };
    rig_init(&r);
    rig_want(&r, &o, WANT_HOLD);
    rig_live(&r);
    assert_state(&r, "api.1", INST_WAITING);
    assert_null(rig_find(&r, AA_SPAWN, NULL));
    rig_want(&r, &o, WANT_RUN);
    rig_spawned(&r, "api.1");
    assert_state(&r, "api.1", INST_READY);
    rig_done(&r);
}

static void test_startup_then_readiness(void **state)
{
    (void)state;
    struct rig r;
    struct spec_opts o = { .startup = PROBE_TCP, .readiness = PROBE_HTTP, .liveness = PROBE_TCP };
    rig_init(&r);
    rig_want(&r, &o, WANT_RUN);
    rig_live(&r);
    rig_spawned(&r, "api.1");
    assert_int_equal(rig_count(&r, AA_PROBE), 1);       /* at once, and only startup */
    assert_true(rig_answer(&r, "api.1", PROBE_STARTUP, false, "connection refused"));
    assert_string_equal(rig_status(&r, "api.1").reason, "not started: connection refused (1 time)");
    rig_pass(&r, 10);
    assert_true(rig_answer(&r, "api.1", PROBE_STARTUP, true, ""));
    assert_true(rig_answer(&r, "api.1", PROBE_READINESS, false, "HTTP 503 from /healthz"));
    assert_state(&r, "api.1", INST_STARTING);
    rig_pass(&r, 10);
    assert_true(rig_answer(&r, "api.1", PROBE_READINESS, true, ""));
    assert_state(&r, "api.1", INST_READY);
    assert_string_equal(rig_status(&r, "api.1").reason, "");
    rig_done(&r);
}

static void test_within_runs_out(void **state)
{
    (void)state;
    struct rig r;
    struct spec_opts o = { .startup = PROBE_HTTP, .within_ms = 5000 };
    rig_init(&r);
    rig_want(&r, &o, WANT_RUN);
    rig_live(&r);
    int32_t pid = rig_spawned(&r, "api.1");
    while (rig_state(&r, "api.1") == INST_STARTING && r.now < 120000) {
        (void)rig_answer(&r, "api.1", PROBE_STARTUP, false, "HTTP 500 from /healthz");
        rig_pass(&r, 10);
    }
    assert_in_range(r.now, 105000, 105020);
    const struct agent_action *a = rig_find(&r, AA_SIGNAL, "api.1");
    assert_non_null(a);
    assert_int_equal(a->signo, SIGTERM);
    rig_exit(&r, "api.1", pid, EXIT_KIND_CODE, 0, false);
    struct inst_status s = rig_status(&r, "api.1");
    assert_int_equal(s.fails, 1);       /* a clean exit, but not a clean start */
    assert_non_null(strstr(s.reason, "not started within 5s: HTTP 500 from /healthz"));
    rig_done(&r);
}

/* P#5331 S#445: no "running" with pid 0, and the reason is said. */
static void test_P5331_spawn_failed(void **state)
{
    (void)state;
    struct rig r;
    struct spec_opts o = { 0 };
    rig_init(&r);
    rig_want(&r, &o, WANT_RUN);
    rig_live(&r);
    const struct agent_action *a = rig_find(&r, AA_SPAWN, "api.1");
    agent_core_spawned(r.c, r.now, "api.1", a->serial, 0);      /* a pid of 0 is no pid */
    assert_state(&r, "api.1", INST_STARTING);
    agent_core_spawn_failed(r.c, r.now, "api.1", a->serial, "command: cannot execute /srv/x: permission denied");
    rig_take(&r);
    struct inst_status s = rig_status(&r, "api.1");
    assert_int_equal(s.state, INST_BACKOFF);
    assert_int_equal(s.pid, 0);
    assert_false(s.alive);
    assert_non_null(strstr(s.reason, "command: cannot execute /srv/x: permission denied, next try in 0.1 s"));
    rig_pass(&r, 130);
    assert_non_null(rig_find(&r, AA_SPAWN, "api.1"));
    assert_int_equal(rig_status(&r, "api.1").restarts, 1);
    rig_done(&r);
}

static void test_before_start_hook(void **state)
{
    (void)state;
    struct rig r;
    struct spec_opts o = { .hook = { [HOOK_BEFORE_START] = true, [HOOK_AFTER_READY] = true } };
    rig_init(&r);
    rig_want(&r, &o, WANT_RUN);
    rig_live(&r);
    const struct agent_action *a = rig_find(&r, AA_HOOK, "api.1");
    assert_int_equal(a->hook, HOOK_BEFORE_START);
    assert_null(rig_find(&r, AA_SPAWN, NULL));
    uint64_t serial = a->serial;
    agent_core_hook_done(r.c, r.now, "api.1", HOOK_BEFORE_START, serial + 9, true, "");     /* not the one that was asked for */
    rig_take(&r);
    assert_null(rig_find(&r, AA_SPAWN, NULL));
    agent_core_hook_done(r.c, r.now, "api.1", HOOK_BEFORE_START, serial, false, "exit code 2");
    rig_take(&r);
    assert_state(&r, "api.1", INST_BACKOFF);
    assert_non_null(strstr(rig_status(&r, "api.1").reason, "hook before_start: exit code 2"));
    rig_pass(&r, 130);
    a = rig_find(&r, AA_HOOK, "api.1");
    agent_core_hook_done(r.c, r.now, "api.1", HOOK_BEFORE_START, a->serial, true, "");
    rig_take(&r);
    rig_spawned(&r, "api.1");
    assert_int_equal(rig_count(&r, AA_HOOK), 1);        /* after_ready, once */
    a = rig_find(&r, AA_HOOK, "api.1");
    assert_int_equal(a->hook, HOOK_AFTER_READY);
    rig_done(&r);
}

static void test_hook_without_answer_is_given_up(void **state)
{
    (void)state;
    struct rig r;
    struct spec_opts o = { .hook = { [HOOK_BEFORE_START] = true } };
    rig_init(&r);
    rig_want(&r, &o, WANT_RUN);
    rig_live(&r);
    rig_pass(&r, 3001);     /* its timeout and a grace */
    assert_non_null(rig_find(&r, AA_HOOK_CANCEL, "api.1"));
    assert_state(&r, "api.1", INST_BACKOFF);
    rig_done(&r);
}

/* --- stopping ---------------------------------------------------------------------------------------------- */
static void test_drain_stop_forget(void **state)
{
    (void)state;
    struct rig r;
    struct spec_opts o = { .readiness = PROBE_HTTP, .liveness = PROBE_TCP, .hook = { [HOOK_BEFORE_STOP] = true } };
    int32_t pid = ready(&r, &o);
    rig_want(&r, &o, WANT_DRAIN);
    assert_state(&r, "api.1", INST_DRAINING);
    rig_pass(&r, 5000);
    assert_false(rig_answer(&r, "api.1", PROBE_READINESS, true, ""));
    assert_true(rig_answer(&r, "api.1", PROBE_LIVENESS, true, ""));
    assert_null(rig_find(&r, AA_SIGNAL, NULL));         /* untouched */
    rig_want(&r, &o, WANT_STOP);
    assert_state(&r, "api.1", INST_STOPPING);
    assert_null(rig_find(&r, AA_SIGNAL, NULL));         /* first the hook */
    const struct agent_action *a = rig_find(&r, AA_HOOK, "api.1");
    agent_core_hook_done(r.c, r.now, "api.1", HOOK_BEFORE_STOP, a->serial, false, "exit code 1");      /* its failure holds up nothing */
    rig_take(&r);
    a = rig_find(&r, AA_SIGNAL, "api.1");
    assert_int_equal(a->pid, pid);
    rig_exit(&r, "api.1", pid, EXIT_KIND_CODE, 0, false);
    assert_state(&r, "api.1", INST_STOPPED);
    assert_null(rig_find(&r, AA_FORGET, NULL));         /* still in the list */
    rig_want_n(&r, "api", &o, WANT_STOP, 0);
    assert_non_null(rig_find(&r, AA_FORGET, "api.1"));
    rig_tick(&r);
    assert_int_equal(agent_core_count(r.c), 0);
    rig_done(&r);
}

/* D#31288: KILL at the timeout, and again each second until the group is empty. */
static void test_D31288_kill_at_timeout(void **state)
{
    (void)state;
    struct rig r;
    struct spec_opts o = { .timeout_ms = 3000 };
    int32_t pid = ready(&r, &o);
    rig_want_n(&r, "api", &o, WANT_RUN, 0);
    assert_non_null(rig_find(&r, AA_SIGNAL, "api.1"));
    rig_pass(&r, 2999);
    assert_null(rig_find(&r, AA_GROUP, NULL));
    rig_pass(&r, 1);
    for (int k = 0; k < 5; k++) {
        const struct agent_action *a = rig_find(&r, AA_GROUP, "api.1");
        assert_non_null(a);
        assert_int_equal(a->signo, SIGKILL);
        rig_pass(&r, 1000);
    }
    rig_exit(&r, "api.1", pid, EXIT_KIND_SIGNAL, SIGKILL, true);
    agent_core_empty(r.c, r.now, "api.1");
    rig_take(&r);
    assert_non_null(rig_find(&r, AA_FORGET, "api.1"));
    rig_done(&r);
}

/* D#14566 C#1044 S#1101: what the main process left behind has to go before it counts as stopped. D#8122: with the stop signal and the rest
 * of the grace first. */
static void test_D14566_D8122_leftovers_at_stop(void **state)
{
    (void)state;
    struct rig r;
    struct spec_opts o = { .timeout_ms = 3000 };
    int32_t pid = ready(&r, &o);
    rig_want(&r, &o, WANT_STOP);
    rig_pass(&r, 1000);
    rig_exit(&r, "api.1", pid, EXIT_KIND_CODE, 0, true);
    assert_state(&r, "api.1", INST_STOPPING);
    const struct agent_action *a = rig_find(&r, AA_GROUP, "api.1");
    assert_int_equal(a->signo, SIGTERM);
    rig_pass(&r, 1999);
    assert_null(rig_find(&r, AA_GROUP, NULL));
    rig_pass(&r, 1);
    a = rig_find(&r, AA_GROUP, "api.1");
    assert_int_equal(a->signo, SIGKILL);
    assert_state(&r, "api.1", INST_STOPPING);
    agent_core_empty(r.c, r.now, "api.1");
    rig_take(&r);
    assert_state(&r, "api.1", INST_STOPPED);
    rig_done(&r);
}

static void test_timeout_never_waits(void **state)
{
    (void)state;
    struct rig r;
    struct spec_opts o = { .timeout_ms = -1 };
    ready(&r, &o);
    rig_want(&r, &o, WANT_STOP);
    rig_pass(&r, 48LL * 3600 * 1000);
    assert_null(rig_find(&r, AA_GROUP, NULL));
    assert_state(&r, "api.1", INST_STOPPING);
    rig_done(&r);
}

/* D#13288 D#8630: nothing is started beside leftovers, even those that cannot be killed (frozen). */
static void test_D13288_no_start_beside_leftovers(void **state)
{
    (void)state;
    struct rig r;
    struct spec_opts o = { .timeout_ms = 3000 };
    int32_t pid = ready(&r, &o);
    rig_exit(&r, "api.1", pid, EXIT_KIND_SIGNAL, SIGSEGV, true);
    const struct agent_action *a = rig_find(&r, AA_GROUP, "api.1");
    assert_int_equal(a->signo, SIGTERM);
    rig_pass(&r, 60000);
    assert_null(rig_find(&r, AA_SPAWN, NULL));
    struct inst_status s = rig_status(&r, "api.1");
    assert_int_equal(s.state, INST_BACKOFF);
    assert_true(s.exited);
    assert_non_null(strstr(s.reason, "waits for processes that it left behind"));
    agent_core_empty(r.c, r.now, "api.1");
    rig_take(&r);
    assert_non_null(rig_find(&r, AA_SPAWN, "api.1"));   /* then without further delay */
    rig_done(&r);
}

/* P#163: dead ids and strange pids get no signal. */
static void test_P163_nothing_to_signal(void **state)
{
    (void)state;
    static const int32_t pids[] = { 0, -1, 1, 99999 };
    struct rig r;
    struct spec_opts o = { 0 };
    int32_t pid = ready(&r, &o);
    for (size_t k = 0; k < ARRAY_LEN(pids); k++)
        rig_exit(&r, "api.1", pids[k], EXIT_KIND_CODE, 0, false);       /* not its pid: ignored */
    rig_exit(&r, "", pid, EXIT_KIND_CODE, 0, false);
    rig_exit(&r, "api.2", pid, EXIT_KIND_CODE, 0, false);
    assert_state(&r, "api.1", INST_READY);
    rig_want(&r, &o, WANT_STOP);
    rig_exit(&r, "api.1", pid, EXIT_KIND_CODE, 0, false);
    r.n = 0;
    rig_want(&r, &o, WANT_STOP);
    rig_want_n(&r, "api", &o, WANT_STOP, 0);
    assert_int_equal(rig_count(&r, AA_SIGNAL) + rig_count(&r, AA_GROUP), 0);
    rig_done(&r);
}

/* A signal that waits in the queue while its process ends is not sent any more (R#1934: recycled pids). */
static void test_R1934_signal_of_a_dead_process_is_dropped(void **state)
{
    (void)state;
    struct rig r;
    struct spec_opts o = { 0 };
    int32_t pid = ready(&r, &o);
    struct desired d = { .epoch = 1, .revision = ++r.revision };
    agent_core_desired(r.c, r.now, &d);     /* its actions are not taken yet */
    agent_core_exited(r.c, r.now, "api.1", pid, (struct exit_info){ EXIT_KIND_CODE, 0 }, false);
    rig_take(&r);
    assert_int_equal(rig_count(&r, AA_SIGNAL) + rig_count(&r, AA_GROUP), 0);
    assert_non_null(rig_find(&r, AA_FORGET, "api.1"));
    rig_done(&r);
}

/* --- exits ----------------------------------------------------------------------------------------------------- */
/* docker/for-linux#761: codes and signals as they were. FedericoPonzi/Horust#121: each of them under each policy. */
static void test_exit_by_policy(void **state)
{
    (void)state;
    for (int value = 0; value < 256 + 64; value++)
        for (int policy = RESTART_ALWAYS; policy <= RESTART_NEVER; policy++) {
            struct rig r;
            struct spec_opts o = { .policy = (enum restart_policy)policy };
            int32_t pid = ready(&r, &o);
            rig_pass(&r, 2000);
            enum exit_kind kind = value < 256 ? EXIT_KIND_CODE : EXIT_KIND_SIGNAL;
            int v = value < 256 ? value : value - 255;
            rig_exit(&r, "api.1", pid, kind, v, false);
            struct inst_status s = rig_status(&r, "api.1");
            assert_int_equal(s.last_exit.kind, kind);
            assert_int_equal(s.last_exit.value, v);
            bool again = policy == RESTART_ALWAYS || (policy == RESTART_ON_FAILURE && value != 0);
            assert_int_equal(rig_count(&r, AA_SPAWN), again);
            assert_int_equal(s.state, again ? INST_STARTING : value == 0 ? INST_STOPPED : INST_FAILED);
            if (!again)
                assert_non_null(strstr(s.reason, "not started again (restart policy is "));
            rig_pass(&r, 3600000);
            assert_int_equal(rig_count(&r, AA_SPAWN), again);   /* N#17424: a finished task does not run again by itself */
            rig_want(&r, &o, WANT_RUN);                         /* nor because the list is told again */
            assert_int_equal(rig_count(&r, AA_SPAWN), again);
            rig_done(&r);
        }
}

static void test_unknown_exit_is_a_failure(void **state)
{
    (void)state;
    struct rig r;
    struct spec_opts o = { .policy = RESTART_ON_FAILURE };
    int32_t pid = ready(&r, &o);
    rig_pass(&r, 2000);
    rig_exit(&r, "api.1", pid, EXIT_KIND_UNKNOWN, 0, false);
    assert_int_equal(rig_count(&r, AA_SPAWN), 1);
    assert_int_equal(rig_status(&r, "api.1").fails, 1);
    rig_done(&r);
}

/* kill -9 to the next spawn: in the same call, with delay 0. */
static void test_replacement_at_once(void **state)
{
    (void)state;
    struct rig r;
    struct spec_opts o = http_opts();
    int32_t pid = ready(&r, &o);
    rig_pass(&r, 3000);
    r.n = 0;
    rig_exit(&r, "api.1", pid, EXIT_KIND_SIGNAL, SIGKILL, false);
    assert_int_equal(rig_count(&r, AA_SPAWN), 1);
    struct inst_status s = rig_status(&r, "api.1");
    assert_int_equal(s.restarts, 1);
    assert_true(s.exited);
    assert_string_equal(s.reason, "started again after: signal 9 (KILL) after 3.0 s");
    agent_core_empty(r.c, r.now, "api.1");      /* the keeper's late second word */
    rig_take(&r);
    rig_spawned(&r, "api.1");
    assert_true(rig_answer(&r, "api.1", PROBE_READINESS, true, ""));
    assert_state(&r, "api.1", INST_READY);
    assert_int_equal(rig_status(&r, "api.1").fails, 1);
    for (int k = 0; k < 20; k++) {
        rig_pass(&r, 500);
        (void)rig_answer(&r, "api.1", PROBE_READINESS, true, "");
    }
    assert_int_equal(rig_status(&r, "api.1").fails, 0);         /* stable */
    rig_done(&r);
}

/* P#705: 3,176 restarts in seconds. */
static void test_P705_restarts_are_capped(void **state)
{
    (void)state;
    struct rig r;
    struct spec_opts o = { .limit_n = 10, .limit_ms = 300000 };
    rig_init(&r);
    rig_want(&r, &o, WANT_RUN);
    rig_live(&r);
    size_t starts = 0;
    for (int64_t until = r.now + 60000; r.now < until; rig_pass(&r, 10)) {
        if (rig_count(&r, AA_SPAWN) == 0)
            continue;
        starts++;
        rig_exit(&r, "api.1", rig_spawned(&r, "api.1"), EXIT_KIND_CODE, 1, false);
    }
    assert_in_range(starts, 8, 12);
    rig_pass(&r, 300000);
    assert_in_range(starts + rig_count(&r, AA_SPAWN), 9, 14);   /* D#2416: and it is tried again, slowly */
    rig_done(&r);
}

/* C#935 C#536: stop at each step of a start. */
static void test_C935_stop_at_each_step(void **state)
{
    (void)state;
    for (int step = 0; step < 6; step++) {
        struct rig r;
        struct spec_opts o = { .startup = PROBE_TCP, .readiness = PROBE_HTTP, .hook = { [HOOK_BEFORE_START] = true } };
        rig_init(&r);
        rig_want(&r, &o, WANT_RUN);
        if (step == 0)
            rig_want_n(&r, "api", &o, WANT_RUN, 0);
        rig_live(&r);
        int32_t pid = 0;
        if (step >= 2) {
            const struct agent_action *a = rig_find(&r, AA_HOOK, "api.1");
            agent_core_hook_done(r.c, r.now, "api.1", HOOK_BEFORE_START, a->serial, true, "");
            rig_take(&r);
        }
        if (step >= 3)
            pid = rig_spawned(&r, "api.1");
        if (step >= 4)
            assert_true(rig_answer(&r, "api.1", PROBE_STARTUP, true, ""));
        if (step >= 5)
            assert_true(rig_answer(&r, "api.1", PROBE_READINESS, true, ""));
        rig_want_n(&r, "api", &o, WANT_RUN, 0);
        if (step == 1)
            assert_non_null(rig_find(&r, AA_HOOK_CANCEL, "api.1"));
        if (step == 2)          /* the answer to the spawn is still to come: then it is stopped */
            pid = rig_spawned(&r, "api.1");
        if (step >= 2) {
            assert_non_null(rig_find(&r, AA_SIGNAL, "api.1"));
            rig_exit(&r, "api.1", pid, EXIT_KIND_CODE, 0, false);
        }
        if (step > 0)
            assert_non_null(rig_find(&r, AA_FORGET, "api.1"));
        rig_tick(&r);
        assert_int_equal(agent_core_count(r.c), 0);
        assert_null(rig_find(&r, AA_SPAWN, NULL));
        rig_done(&r);
    }
}

static void test_exit_while_draining_is_not_restarted(void **state)
{
    (void)state;
    struct rig r;
    struct spec_opts o = { 0 };
    int32_t pid = ready(&r, &o);
    rig_want(&r, &o, WANT_DRAIN);
    rig_exit(&r, "api.1", pid, EXIT_KIND_CODE, 1, false);
    assert_state(&r, "api.1", INST_STOPPED);
    assert_null(rig_find(&r, AA_SPAWN, NULL));
    rig_want(&r, &o, WANT_RUN);         /* wanted again */
    assert_non_null(rig_find(&r, AA_SPAWN, NULL));
    rig_done(&r);
}

/* --- changes ------------------------------------------------------------------------------------------------------ */
static void test_new_generation_replaces(void **state)
{
    (void)state;
    struct rig r;
    struct spec_opts o = { 0 };
    int32_t pid = ready(&r, &o);
    o.generation = 2;
    o.limit_n = 3;
    rig_want(&r, &o, WANT_RUN);
    assert_state(&r, "api.1", INST_STOPPING);
    assert_int_equal(rig_status(&r, "api.1").generation, 1);    /* what runs, not what is wanted */
    rig_exit(&r, "api.1", pid, EXIT_KIND_CODE, 0, false);
    const struct agent_action *a = rig_find(&r, AA_SPAWN, "api.1");
    assert_non_null(a);
    assert_int_equal(a->spec->generation, 2);
    rig_exit(&r, "api.1", pid, EXIT_KIND_CODE, 0, false);
    assert_int_equal(rig_status(&r, "api.1").restarts, 0);
    assert_int_equal(rig_status(&r, "api.1").fails, 0);
    rig_done(&r);
}

/* S#729: a change that needs no new process makes none. */
static void test_S729_same_generation_keeps_the_process(void **state)
{
    (void)state;
    struct rig r;
    struct spec_opts o = http_opts();
    ready(&r, &o);
    o.timeout_ms = 77000;
    o.readiness = PROBE_TCP;
    rig_want(&r, &o, WANT_RUN);
    assert_int_equal(rig_count(&r, AA_SIGNAL) + rig_count(&r, AA_SPAWN) + rig_count(&r, AA_GROUP), 0);
    assert_int_equal(agent_core_spec(r.c, "api.1")->spec.stop.timeout_ms, 77000);
    rig_pass(&r, 1200);
    assert_int_equal(rig_find(&r, AA_PROBE, "api.1")->probe->kind, PROBE_TCP);
    rig_done(&r);
}

static void test_new_generation_ends_backoff_and_failed(void **state)
{
    (void)state;
    struct rig r;
    struct spec_opts o = { .policy = RESTART_NEVER };
    int32_t pid = ready(&r, &o);
    rig_exit(&r, "api.1", pid, EXIT_KIND_CODE, 3, false);
    assert_state(&r, "api.1", INST_FAILED);
    o.generation = 2;
    rig_want(&r, &o, WANT_RUN);
    assert_int_equal(rig_count(&r, AA_SPAWN), 1);
    rig_done(&r);
}

/* --- health and notify ------------------------------------------------------------------------------------------------ */
static void test_unready_and_back(void **state)
{
    (void)state;
    struct rig r;
    struct spec_opts o = http_opts();
    ready(&r, &o);
    for (int k = 1; k <= 3; k++) {
        assert_state(&r, "api.1", INST_READY);
        rig_pass(&r, 1100);
        assert_true(rig_answer(&r, "api.1", PROBE_READINESS, false, "HTTP 503 from /healthz"));
    }
    assert_state(&r, "api.1", INST_UNREADY);
    assert_string_equal(rig_status(&r, "api.1").reason, "not ready: HTTP 503 from /healthz (3 times)");
    rig_pass(&r, 1100);
    assert_true(rig_answer(&r, "api.1", PROBE_READINESS, true, ""));
    assert_state(&r, "api.1", INST_READY);
    assert_null(rig_find(&r, AA_SIGNAL, NULL));
    rig_done(&r);
}

/* K#81042: a probe that never answers is asked once at a time, and dropped in the end. */
static void test_K81042_hung_probe(void **state)
{
    (void)state;
    struct rig r;
    struct spec_opts o = http_opts();
    ready(&r, &o);
    rig_pass(&r, 1100);
    assert_int_equal(rig_count(&r, AA_PROBE), 1);
    rig_pass(&r, 2300);
    assert_int_equal(rig_count(&r, AA_PROBE), 1);
    assert_null(rig_find(&r, AA_PROBE_CANCEL, NULL));
    rig_pass(&r, 400);
    assert_non_null(rig_find(&r, AA_PROBE_CANCEL, "api.1"));
    rig_pass(&r, 60000);
    assert_state(&r, "api.1", INST_UNREADY);
    rig_done(&r);
}

static struct notify_msg msg(void) { return (struct notify_msg){ .extend_timeout_ms = -1, .watchdog_ms = -1 }; }

static void test_notify_ready_and_stopping(void **state)
{
    (void)state;
    struct rig r;
    struct spec_opts o = { .readiness = PROBE_NOTIFY };
    rig_init(&r);
    rig_want(&r, &o, WANT_RUN);
    rig_live(&r);
    struct notify_msg m = msg();
    m.ready = true;
    agent_core_notify(r.c, r.now, "api.1", &m);         /* before there is a process: whose would it be? */
    rig_spawned(&r, "api.1");
    assert_state(&r, "api.1", INST_STARTING);
    assert_string_equal(rig_status(&r, "api.1").reason, "waits for its READY=1");
    struct notify_msg none = msg();
    agent_core_notify(r.c, r.now, "api.1", &none);      /* D#4234: an empty message does nothing */
    assert_state(&r, "api.1", INST_STARTING);
    m.has_status = true;
    fixed_printf(m.status, "warm");
    agent_core_notify(r.c, r.now, "api.1", &m);
    assert_state(&r, "api.1", INST_READY);
    assert_string_equal(rig_status(&r, "api.1").text, "warm");
    m = msg();
    m.stopping = true;
    agent_core_notify(r.c, r.now, "api.1", &m);
    assert_state(&r, "api.1", INST_UNREADY);
    rig_take(&r);
    rig_done(&r);
}

static void test_notify_extends_startup_and_stop(void **state)
{
    (void)state;
    struct rig r;
    struct spec_opts o = { .startup = PROBE_NOTIFY, .within_ms = 1000, .timeout_ms = 1000 };
    rig_init(&r);
    rig_want(&r, &o, WANT_RUN);
    rig_live(&r);
    rig_spawned(&r, "api.1");
    struct notify_msg m = msg();
    m.extend_timeout_ms = 5000;
    agent_core_notify(r.c, r.now, "api.1", &m);
    rig_pass(&r, 4999);
    assert_state(&r, "api.1", INST_STARTING);
    rig_want(&r, &o, WANT_STOP);
    agent_core_notify(r.c, r.now, "api.1", &m);
    rig_pass(&r, 4999);
    assert_null(rig_find(&r, AA_GROUP, NULL));
    rig_pass(&r, 1);
    assert_int_equal(rig_find(&r, AA_GROUP, "api.1")->signo, SIGKILL);
    rig_done(&r);
}

static void test_watchdog(void **state)
{
    (void)state;
    struct rig r;
    struct spec_opts o = { .liveness = PROBE_NOTIFY, .every_ms = 2000, .fail_after = 2 };
    ready(&r, &o);
    struct notify_msg m = msg();
    m.watchdog = true;
    for (int k = 0; k < 10; k++) {
        rig_pass(&r, 1900);
        agent_core_notify(r.c, r.now, "api.1", &m);
        assert_state(&r, "api.1", INST_READY);
    }
    rig_pass(&r, 3999);
    assert_state(&r, "api.1", INST_READY);
    rig_pass(&r, 2);
    assert_state(&r, "api.1", INST_STOPPING);
    assert_non_null(strstr(rig_status(&r, "api.1").reason, "no WATCHDOG=1 for 2s (2 times)"));
    rig_done(&r);
}

static void test_watchdog_trigger(void **state)
{
    (void)state;
    struct rig r;
    struct spec_opts o = { .liveness = PROBE_NOTIFY };
    ready(&r, &o);
    struct notify_msg m = msg();
    m.watchdog_trigger = true;
    agent_core_notify(r.c, r.now, "api.1", &m);
    rig_take(&r);
    assert_state(&r, "api.1", INST_STOPPING);
    rig_done(&r);
}

/* A slow start is not death: liveness waits for startup, or for the first pass. */
static void test_liveness_only_when_started(void **state)
{
    (void)state;
    struct rig r;
    struct spec_opts o = { .readiness = PROBE_HTTP, .liveness = PROBE_TCP };
    rig_init(&r);
    rig_want(&r, &o, WANT_RUN);
    rig_live(&r);
    rig_spawned(&r, "api.1");
    rig_pass(&r, 30000);
    for (size_t k = 0; k < r.n; k++)
        assert_false(r.log[k].kind == AA_PROBE && r.log[k].role == PROBE_LIVENESS);
    rig_done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused_cells), cmocka_unit_test(test_no_probe_is_ready_at_exec), cmocka_unit_test(test_hold_then_run),
        cmocka_unit_test(test_startup_then_readiness), cmocka_unit_test(test_within_runs_out), cmocka_unit_test(test_P5331_spawn_failed),
        cmocka_unit_test(test_before_start_hook), cmocka_unit_test(test_hook_without_answer_is_given_up), cmocka_unit_test(test_drain_stop_forget),
        cmocka_unit_test(test_D31288_kill_at_timeout), cmocka_unit_test(test_D14566_D8122_leftovers_at_stop), cmocka_unit_test(test_timeout_never_waits),
        cmocka_unit_test(test_D13288_no_start_beside_leftovers), cmocka_unit_test(test_P163_nothing_to_signal),
        cmocka_unit_test(test_R1934_signal_of_a_dead_process_is_dropped), cmocka_unit_test(test_exit_by_policy), cmocka_unit_test(test_unknown_exit_is_a_failure),
        cmocka_unit_test(test_replacement_at_once), cmocka_unit_test(test_P705_restarts_are_capped), cmocka_unit_test(test_C935_stop_at_each_step),
        cmocka_unit_test(test_exit_while_draining_is_not_restarted), cmocka_unit_test(test_new_generation_replaces),
        cmocka_unit_test(test_S729_same_generation_keeps_the_process), cmocka_unit_test(test_new_generation_ends_backoff_and_failed),
        cmocka_unit_test(test_unready_and_back), cmocka_unit_test(test_K81042_hung_probe), cmocka_unit_test(test_notify_ready_and_stopping),
        cmocka_unit_test(test_notify_extends_startup_and_stop), cmocka_unit_test(test_watchdog), cmocka_unit_test(test_watchdog_trigger),
        cmocka_unit_test(test_liveness_only_when_started),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
