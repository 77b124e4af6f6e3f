/* The set of instances (agent/core.h): desired sets, adoption, the restart budget, and random interleavings. */
#include "tests/unit/agent_rig.h"

/* --- desired sets ------------------------------------------------------------------------------------------- */
static void test_stale_sets_are_refused(void **state)
{
    (void)state;
    static const struct { uint64_t epoch, revision; int rc; } rows[] = {
        { 5, 10, 0 }, { 5, 10, 0 } /* repeated: fine */, { 5, 9, -ESTALE }, { 4, 999, -ESTALE }, { 5, 11, 0 }, { 6, 1, 0 }, { 5, 12, -ESTALE },
    };
    struct rig r;
    rig_init(&r);
    rig_live(&r);
    for (size_t k = 0; k < ARRAY_LEN(rows); k++) {      /* X#10811 K#23731: no order of an old leader is obeyed (I5) */
        struct desired d = { .epoch = rows[k].epoch, .revision = rows[k].revision, .spec_n = 1, .specs = xcalloc(1, sizeof(struct spec_ref)) };
        struct spec_opts o = { 0 };
        rig_spec(d.specs, "api", &o);
        assert_int_equal(agent_core_desired(r.c, r.now, &d), rows[k].rc);
        assert_null(d.specs);       /* taken over or freed */
    }
    assert_int_equal(agent_core_wanted(r.c)->epoch, 6);
    rig_done(&r);
}

static void test_damaged_sets_are_refused_whole(void **state)
{
    (void)state;
    for (int k = 0; k < 3; k++) {
        struct rig r;
        struct spec_opts o = { 0 };
        rig_init(&r);
        rig_live(&r);
        rig_want_n(&r, "api", &o, WANT_RUN, 2);
        struct desired d = { .epoch = 1, .revision = ++r.revision, .item_n = 2 };
        d.items = xcalloc(2, sizeof(*d.items));
        fixed_printf(d.items[0].id, "api.1");
        fixed_printf(d.items[1].id, "api.2");
        if (k != 0) {
            d.spec_n = 1;
            d.specs = xcalloc(1, sizeof(*d.specs));
            rig_spec(d.specs, "api", &o);
        }
        if (k == 1)
            d.items[1].want = (enum want)99;
        if (k == 2)
            d.items[1].id[0] = '\0';
        assert_int_equal(agent_core_desired(r.c, r.now, &d), -EINVAL);
        rig_take(&r);
        assert_int_equal(agent_core_count(r.c), 2);
        assert_int_equal(rig_count(&r, AA_SIGNAL), 0);
        rig_done(&r);
    }
}

static void test_statuses_are_ordered_and_coalesced(void **state)
{
    (void)state;
    static const char *const order[] = { "api.2", "api.10", "web.1" };
    struct rig r;
    struct spec_opts o = { .readiness = PROBE_HTTP };
    rig_init(&r);
    rig_live(&r);
    struct desired d = { .epoch = 1, .revision = 1, .spec_n = 1, .specs = xcalloc(1, sizeof(struct spec_ref)), .item_n = 3 };
    rig_spec(d.specs, "api", &o);
    d.items = xcalloc(3, sizeof(*d.items));
    fixed_printf(d.items[0].id, "web.1");
    fixed_printf(d.items[1].id, "api.10");
    fixed_printf(d.items[2].id, "api.2");
    for (int k = 0; k < 3; k++)
        d.items[k].want = WANT_RUN;
    assert_int_equal(agent_core_desired(r.c, r.now, &d), 0);
    for (size_t k = 0; k < 3; k++) {
        struct inst_status s;
        assert_true(agent_core_status_at(r.c, r.now, k, &s));
        assert_string_equal(s.id, order[k]);
    }
    struct inst_status s;
    assert_false(agent_core_status_at(r.c, r.now, 3, &s));
    assert_false(agent_core_status(r.c, r.now, "api.1", &s));
    agent_core_port(r.c, "api.2", 20001);
    size_t statuses = 0;
    struct agent_action a;
    while (agent_core_next(r.c, &a))
        statuses += a.kind == AA_STATUS;
    assert_int_equal(statuses, 3);      /* each once, however much happened */
    rig_done(&r);
}

static void test_end(void **state)
{
    (void)state;
    struct rig r;
    struct spec_opts o = { 0 };
    rig_init(&r);
    rig_live(&r);
    rig_want_n(&r, "api", &o, WANT_RUN, 1);
    int32_t pid = rig_spawned(&r, "api.1");
    assert_false(agent_core_all_ended(r.c));
    struct desired d = { .epoch = 1, .revision = ++r.revision, .end = true };
    assert_int_equal(agent_core_desired(r.c, r.now, &d), 0);
    rig_take(&r);
    assert_false(agent_core_all_ended(r.c));
    rig_exit(&r, "api.1", pid, EXIT_KIND_CODE, 0, false);
    assert_true(agent_core_all_ended(r.c));
    rig_done(&r);
}

/* --- adoption ---------------------------------------------------------------------------------------------------- */
/* M#21933 M#27057 S#199 S#892 T#5015: the supervisor restarts at each step of an instance's life: never a second process, nothing is signalled. */
static void test_M21933_adopts_without_a_restart(void **state)
{
    (void)state;
    static const struct { int64_t age; bool noted, ready, passed; enum instance_state at_once; } rows[] = {
        { 1000, false, false, false, INST_STARTING },      /* young and nothing known: it has to pass */
        { 70000, false, false, false, INST_READY },        /* older than its startup time: no flip (K#100277) */
        { 1000, true, true, false, INST_READY },
        { 1000, true, false, true, INST_UNREADY },
        { 70000, true, false, false, INST_STARTING },     /* it may never have passed: not `unready` (I1) */
    };
    for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
        struct rig r;
        struct spec_opts o = { .startup = PROBE_TCP, .readiness = PROBE_HTTP, .hook = { [HOOK_BEFORE_START] = true } };
        rig_init(&r);
        rig_want(&r, &o, WANT_RUN);         /* from the disk */
        agent_core_adopt(r.c, r.now, "api.1", 42, true, true, (struct exit_info){ 0 }, r.now - rows[k].age);
        if (rows[k].noted)
            agent_core_adopt_ready(r.c, r.now, "api.1", rows[k].ready, rows[k].passed, 4, 1);
        rig_live(&r);
        assert_state(&r, "api.1", rows[k].at_once);
        assert_int_equal(rig_status(&r, "api.1").pid, 42);
        assert_int_equal(rig_status(&r, "api.1").restarts, rows[k].noted ? 4 : 0);
        (void)rig_answer(&r, "api.1", PROBE_STARTUP, true, "");
        assert_true(rig_answer(&r, "api.1", PROBE_READINESS, true, ""));
        assert_state(&r, "api.1", INST_READY);
        assert_int_equal(rig_count(&r, AA_SPAWN) + rig_count(&r, AA_SIGNAL) + rig_count(&r, AA_GROUP) + rig_count(&r, AA_HOOK), 0);
        rig_done(&r);
    }
}

static void test_adopted_and_dead_in_truth(void **state)
{
    (void)state;
    struct rig r;
    struct spec_opts o = { .readiness = PROBE_HTTP };
    rig_init(&r);
    rig_want(&r, &o, WANT_RUN);
    agent_core_adopt(r.c, r.now, "api.1", 42, true, true, (struct exit_info){ 0 }, r.now - 100000);
    rig_live(&r);
    for (int k = 0; k < 3; k++) {       /* reported ready, and the probes decide as usual */
        assert_state(&r, "api.1", INST_READY);
        assert_true(rig_answer(&r, "api.1", PROBE_READINESS, false, "connection refused"));
        rig_pass(&r, 1100);
    }
    assert_state(&r, "api.1", INST_UNREADY);
    rig_done(&r);
}

static void test_adopts_what_ended_meanwhile(void **state)
{
    (void)state;
    static const struct { enum restart_policy policy; int code; bool populated; size_t spawns; enum instance_state st; } rows[] = {
        { RESTART_ALWAYS, 0, false, 1, INST_STARTING },
        { RESTART_ON_FAILURE, 1, false, 1, INST_STARTING },
        { RESTART_ON_FAILURE, 0, false, 0, INST_STOPPED },
        { RESTART_NEVER, 1, false, 0, INST_FAILED },        /* N#17424: a finished task does not run again */
        { RESTART_ALWAYS, 1, true, 0, INST_BACKOFF },       /* D#8630: leftovers first */
    };
    for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
        struct rig r;
        struct spec_opts o = { .policy = rows[k].policy };
        rig_init(&r);
        rig_want(&r, &o, WANT_RUN);
        agent_core_adopt(r.c, r.now, "api.1", 42, false, rows[k].populated, (struct exit_info){ EXIT_KIND_CODE, rows[k].code }, r.now - 5000);
        rig_live(&r);
        assert_int_equal(rig_count(&r, AA_SPAWN), rows[k].spawns);
        assert_int_equal(rig_status(&r, "api.1").state, rows[k].st);
        assert_int_equal(rig_status(&r, "api.1").last_exit.value, rows[k].code);
        rig_done(&r);
    }
}

static void test_unknown_ids(void **state)
{
    (void)state;
    struct rig r;
    struct spec_opts o = { 0 };
    /* with a desired set: not wanted, so stopped (I6) */
    rig_init(&r);
    rig_want(&r, &o, WANT_RUN);
    agent_core_adopt(r.c, r.now, "old.1", 42, true, true, (struct exit_info){ 0 }, r.now - 5000);
    agent_core_adopt(r.c, r.now, "old.2", 43, false, false, (struct exit_info){ EXIT_KIND_CODE, 0 }, r.now - 5000);
    rig_live(&r);
    assert_non_null(rig_find(&r, AA_FORGET, "old.2"));
    const struct agent_action *a = rig_find(&r, AA_SIGNAL, "old.1");
    assert_non_null(a);
    assert_int_equal(a->signo, SIGTERM);
    rig_pass(&r, 30000);
    assert_int_equal(rig_find(&r, AA_GROUP, "old.1")->signo, SIGKILL);
    rig_exit(&r, "old.1", 42, EXIT_KIND_SIGNAL, SIGKILL, false);
    assert_non_null(rig_find(&r, AA_FORGET, "old.1"));
    rig_done(&r);
    /* N#2560 P#3485: the desired set is lost: nothing is stopped, it waits to be told */
    rig_init(&r);
    agent_core_adopt(r.c, r.now, "api.1", 42, true, true, (struct exit_info){ 0 }, r.now - 5000);
    agent_core_adopt(r.c, r.now, "api.2", 43, true, true, (struct exit_info){ 0 }, r.now - 5000);
    rig_live(&r);
    rig_pass(&r, 3600000);
    assert_int_equal(r.n, 0);
    assert_non_null(strstr(rig_status(&r, "api.1").reason, "left alone"));
    rig_want(&r, &o, WANT_RUN);         /* claims one, ends the other */
    assert_state(&r, "api.1", INST_READY);
    assert_null(rig_find(&r, AA_SIGNAL, "api.1"));
    assert_non_null(rig_find(&r, AA_SIGNAL, "api.2"));
    rig_done(&r);
}

static void test_adopted_other_generation_is_replaced(void **state)
{
    (void)state;
    struct rig r;
    struct spec_opts o = { .generation = 9 };
    rig_init(&r);
    rig_want(&r, &o, WANT_RUN);
    agent_core_adopt(r.c, r.now, "api.1", 42, true, true, (struct exit_info){ 0 }, r.now - 5000);
    agent_core_adopt_ready(r.c, r.now, "api.1", true, false, 0, 8);
    rig_live(&r);
    assert_non_null(rig_find(&r, AA_SIGNAL, "api.1"));
    rig_exit(&r, "api.1", 42, EXIT_KIND_CODE, 0, false);
    assert_int_equal(rig_count(&r, AA_SPAWN), 1);
    rig_done(&r);
}

static void test_nothing_before_the_first_tick(void **state)
{
    (void)state;
    struct rig r;
    struct spec_opts o = { 0 };
    rig_init(&r);
    rig_want(&r, &o, WANT_RUN);
    assert_int_equal(r.n, 0);
    assert_int_equal(agent_core_deadline(r.c), 0);
    rig_live(&r);
    assert_int_equal(rig_count(&r, AA_SPAWN), 1);
    rig_done(&r);
}

/* --- the restart budget (I9) --------------------------------------------------------------------------------------- */
static void all_up(struct rig *r, const struct spec_opts *o, size_t n)
{
    rig_init(r);
    rig_live(r);
    rig_want_n(r, "api", o, WANT_RUN, n);
    for (size_t k = 1; k <= n; k++) {
        char id[ID_SIZE];
        fixed_printf(id, "api.%zu", k);
        rig_spawned(r, id);
        assert_state(r, id, INST_READY);
    }
}

static size_t in_state(const struct rig *r, enum instance_state st)
{
    size_t n = 0;
    struct inst_status s;
    for (size_t k = 0; agent_core_status_at(r->c, r->now, k, &s); k++)
        n += s.state == st;
    return n;
}

/* K#66230: everything fails its liveness check at once (a database outage): no mass restart. */
static void test_K66230_mass_liveness_failure(void **state)
{
    (void)state;
    static const struct { size_t n, allowed; } rows[] = { { 1, 1 }, { 5, 1 }, { 19, 1 }, { 20, 2 }, { 39, 3 } };
    for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
        struct rig r;
        struct spec_opts o = { .liveness = PROBE_HTTP };
        all_up(&r, &o, rows[k].n);
        for (int round = 0; round < 400; round++) {
            rig_pass(&r, 50);
            for (size_t j = 1; j <= rows[k].n; j++) {
                char id[ID_SIZE];
                fixed_printf(id, "api.%zu", j);
                (void)rig_answer(&r, id, PROBE_LIVENESS, false, "HTTP 500 from /healthz");
            }
            assert_true(in_state(&r, INST_STOPPING) <= rows[k].allowed);
        }
        assert_int_equal(rig_count(&r, AA_SIGNAL), rows[k].allowed);
        if (rows[k].n > rows[k].allowed) {      /* the others wait, and say so */
            size_t waiting = 0;
            struct inst_status s;
            for (size_t j = 0; agent_core_status_at(r.c, r.now, j, &s); j++)
                waiting += strstr(s.reason, "waits: ") != NULL && strstr(s.reason, "HTTP 500 from /healthz (3 times)") != NULL;
            assert_int_equal(waiting, rows[k].n - rows[k].allowed);
        }
        /* one comes back: the next may go */
        const struct agent_action *a = rig_find(&r, AA_SIGNAL, NULL);
        char id[ID_SIZE];
        fixed_printf(id, "%s", a->id);
        int32_t pid = a->pid;
        size_t before = rig_count(&r, AA_SIGNAL);
        rig_exit(&r, id, pid, EXIT_KIND_CODE, 0, false);
        assert_int_equal(rig_count(&r, AA_SIGNAL), before);     /* not yet: it is not ready again */
        rig_pass(&r, 200);
        rig_spawned(&r, id);
        assert_int_equal(rig_count(&r, AA_SIGNAL), before + (rows[k].n > rows[k].allowed));
        rig_done(&r);
    }
}

static void test_liveness_recovers_while_waiting(void **state)
{
    (void)state;
    struct rig r;
    struct spec_opts o = { .liveness = PROBE_HTTP, .fail_after = 1 };
    all_up(&r, &o, 2);
    rig_pass(&r, 1100);
    assert_true(rig_answer(&r, "api.1", PROBE_LIVENESS, false, "timed out"));
    assert_true(rig_answer(&r, "api.2", PROBE_LIVENESS, false, "timed out"));
    assert_state(&r, "api.1", INST_STOPPING);
    assert_state(&r, "api.2", INST_READY);
    rig_pass(&r, 1100);
    assert_true(rig_answer(&r, "api.2", PROBE_LIVENESS, true, ""));
    assert_string_equal(rig_status(&r, "api.2").reason, "");
    rig_exit(&r, "api.1", 100, EXIT_KIND_CODE, 0, false);
    rig_pass(&r, 200);
    rig_spawned(&r, "api.1");
    assert_state(&r, "api.2", INST_READY);      /* it needs no restart any more */
    rig_done(&r);
}

/* K#50632 K#78973: the kernel killed a worker, the main process lives: said, and restarted within the budget. */
static void test_K50632_oom_of_a_worker(void **state)
{
    (void)state;
    struct rig r;
    struct spec_opts o = { 0 };
    all_up(&r, &o, 3);
    for (int k = 1; k <= 3; k++) {
        char id[ID_SIZE];
        fixed_printf(id, "api.%d", k);
        agent_core_oom(r.c, r.now, id);
    }
    bool said = false;
    struct agent_action a;
    while (agent_core_next(r.c, &a)) {
        said = said || (a.kind == AA_EVENT && strcmp(a.event, "oom") == 0);
        if (a.kind == AA_SIGNAL)
            r.log[r.n++] = a;
    }
    assert_true(said);
    assert_int_equal(rig_count(&r, AA_SIGNAL), 1);
    rig_done(&r);
}

/* A crash is no restart of ours: the budget does not hold it up. */
static void test_crashes_need_no_budget(void **state)
{
    (void)state;
    struct rig r;
    struct spec_opts o = { 0 };
    all_up(&r, &o, 6);
    rig_pass(&r, 5000);
    for (int k = 1; k <= 4; k++) {
        char id[ID_SIZE];
        fixed_printf(id, "api.%d", k);
        rig_exit(&r, id, 99 + k, EXIT_KIND_SIGNAL, SIGKILL, false);
    }
    assert_int_equal(rig_count(&r, AA_SPAWN), 4);
    rig_done(&r);
}

/* --- S#1387 C#536: 10k random operations on crashing programs --------------------------------------------------------- */
struct world { struct rng rng; struct { bool alive, left; int32_t pid; } p[9]; };

static void random_answer(struct rig *r, struct world *w, const struct agent_action *a)
{
    unsigned n = (unsigned)(a->id[4] - '0');
    char id[ID_SIZE];
    fixed_printf(id, "%s", a->id);
    switch (a->kind) {
    case AA_SPAWN:
        assert_false(w->p[n].alive || w->p[n].left);    /* never two, never beside leftovers */
        if (rng_below(&w->rng, 8) == 0) {
            agent_core_spawn_failed(r->c, r->now, id, a->serial, "fork: no memory");
            break;
        }
        w->p[n].alive = w->p[n].left = true;
        w->p[n].pid = r->next_pid++;
        agent_core_spawned(r->c, r->now, id, a->serial, w->p[n].pid);
        break;
    case AA_SIGNAL:
        assert_true(w->p[n].alive && w->p[n].pid == a->pid);
        if (rng_below(&w->rng, 3) > 0) {
            w->p[n].alive = false;
            w->p[n].left = rng_below(&w->rng, 4) == 0;
            agent_core_exited(r->c, r->now, id, a->pid, (struct exit_info){ EXIT_KIND_CODE, 0 }, w->p[n].left);
        }
        break;
    case AA_GROUP:
        assert_true(w->p[n].left);
        if (a->signo == SIGKILL && rng_below(&w->rng, 4) > 0) {
            if (w->p[n].alive)
                agent_core_exited(r->c, r->now, id, a->pid, (struct exit_info){ EXIT_KIND_SIGNAL, SIGKILL }, true);
            w->p[n].alive = w->p[n].left = false;
            agent_core_empty(r->c, r->now, id);
        }
        break;
    case AA_PROBE:
        if (rng_below(&w->rng, 20) > 0)
            agent_core_probed(r->c, r->now, id, a->role, a->serial, rng_below(&w->rng, 4) > 0, "no luck");
        break;
    case AA_HOOK:
        if (rng_below(&w->rng, 10) > 0)
            agent_core_hook_done(r->c, r->now, id, a->hook, a->serial, rng_below(&w->rng, 3) > 0, "exit code 1");
        break;
    case AA_FORGET:
        assert_false(w->p[n].alive || w->p[n].left);
        break;
    default:
        break;
    }
}

static void random_event(struct rig *r, struct world *w)
{
    static const char *const ids[] = { "api.1", "api.2", "api.3", "api.4", "api.5", "api.6", "api.7", "api.8", "web.1", "" };
    unsigned n = 1 + (unsigned)rng_below(&w->rng, 8);
    const char *id = ids[n - 1];
    switch (rng_below(&w->rng, 9)) {
    case 0: case 1: {
        static const enum want wants[] = { WANT_RUN, WANT_RUN, WANT_RUN, WANT_DRAIN, WANT_STOP, WANT_HOLD };
        struct spec_opts o = { .startup = PROBE_TCP, .readiness = PROBE_HTTP, .liveness = PROBE_TCP, .hook = { true, true, true },
            .generation = 1 + rng_below(&w->rng, 3), .policy = (enum restart_policy)rng_below(&w->rng, 3), .timeout_ms = 500, .within_ms = 2000 };
        struct desired d = { .epoch = 1, .revision = ++r->revision, .spec_n = 1, .specs = xcalloc(1, sizeof(struct spec_ref)), .item_n = rng_below(&w->rng, 9) };
        rig_spec(d.specs, "api", &o);
        d.items = d.item_n ? xcalloc(d.item_n, sizeof(*d.items)) : NULL;
        for (size_t k = 0; k < d.item_n; k++) {
            fixed_printf(d.items[k].id, "api.%zu", k + 1);
            d.items[k].want = wants[rng_below(&w->rng, ARRAY_LEN(wants))];
        }
        assert_int_equal(agent_core_desired(r->c, r->now, &d), 0);
        break;
    }
    case 2:
        if (w->p[n].alive) {
            w->p[n].alive = false;
            w->p[n].left = rng_below(&w->rng, 3) == 0;
            agent_core_exited(r->c, r->now, id, w->p[n].pid, (struct exit_info){ EXIT_KIND_CODE, (int)rng_below(&w->rng, 3) }, w->p[n].left);
        }
        break;
    case 3:
        if (!w->p[n].alive && w->p[n].left) {
            w->p[n].left = false;
            agent_core_empty(r->c, r->now, id);
        }
        break;
    case 4: agent_core_oom(r->c, r->now, ids[rng_below(&w->rng, ARRAY_LEN(ids))]); break;
    case 5: {   /* nonsense: answers to nothing */
        id = ids[rng_below(&w->rng, ARRAY_LEN(ids))];
        agent_core_empty(r->c, r->now, w->p[n].alive ? ids[n - 1] : "web.1");
        agent_core_spawned(r->c, r->now, id, rng_below(&w->rng, 1000000) + 1000000000, 77777);
        agent_core_probed(r->c, r->now, id, (enum probe_role)rng_below(&w->rng, 4), rng_below(&w->rng, 3), true, NULL);
        agent_core_hook_done(r->c, r->now, id, (enum hook_kind)rng_below(&w->rng, 4), 0, true, NULL);
        agent_core_exited(r->c, r->now, id, 88888, (struct exit_info){ EXIT_KIND_CODE, 0 }, false);
        break;
    }
    case 6: {
        struct notify_msg m = { .ready = rng_below(&w->rng, 2), .stopping = rng_below(&w->rng, 4) == 0, .watchdog = true, .extend_timeout_ms = (int64_t)rng_below(&w->rng, 500), .watchdog_ms = -1 };
        agent_core_notify(r->c, r->now, id, &m);
        break;
    }
    default:
        r->now += (int64_t)rng_below(&w->rng, 700);
        agent_core_tick(r->c, r->now);
    }
}

static void test_S1387_random_interleavings(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct rig r;
        struct world w = { .rng = { seed } };
        rig_init(&r);
        agent_core_tick(r.c, r.now);
        for (int step = 0; step < 10000; step++) {
            random_event(&r, &w);
            struct agent_action a;
            for (int k = 0; agent_core_next(r.c, &a); k++) {
                if (k > 1000)
                    fail_msg("seed %llu step %d: actions without end", (unsigned long long)seed, step);
                random_answer(&r, &w, &a);
            }
            struct err e = { "" };
            if (agent_core_check(r.c, &e) < 0)
                fail_msg("seed %llu step %d: %s", (unsigned long long)seed, step, e.text);
        }
        /* everything is taken back: all must end */
        struct desired d = { .epoch = 1, .revision = ++r.revision, .end = true };
        agent_core_desired(r.c, r.now, &d);
        for (int k = 0; k < 200; k++) {
            struct agent_action a;
            while (agent_core_next(r.c, &a))
                random_answer(&r, &w, &a);
            r.now += 500;
            agent_core_tick(r.c, r.now);
            for (unsigned n = 1; n <= 8; n++)
                if (!w.p[n].alive && w.p[n].left && k % 5 == 4) {
                    char id[ID_SIZE];
                    fixed_printf(id, "api.%u", n);
                    w.p[n].left = false;
                    agent_core_empty(r.c, r.now, id);
                }
        }
        if (!agent_core_all_ended(r.c))
            fail_msg("seed %llu: not all ended", (unsigned long long)seed);
        rig_done(&r);
    }
}

/* Equal events give equal actions. */
static void test_is_a_function_of_its_events(void **state)
{
    (void)state;
    uint64_t sums[2] = { 0 };
    for (int run = 0; run < 2; run++) {
        struct rig r;
        struct world w = { .rng = { 99 } };
        rig_init(&r);
        agent_core_tick(r.c, r.now);
        for (int step = 0; step < 3000; step++) {
            random_event(&r, &w);
            struct agent_action a;
            while (agent_core_next(r.c, &a)) {
                for (const char *p = a.kind == AA_EVENT ? a.text : a.id; *p; p++)
                    sums[run] = sums[run] * 31 + (unsigned char)*p;
                sums[run] = sums[run] * 31 + a.serial + (uint64_t)a.kind;
                random_answer(&r, &w, &a);
            }
        }
        rig_done(&r);
    }
    assert_true(sums[0] == sums[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stale_sets_are_refused), cmocka_unit_test(test_damaged_sets_are_refused_whole), cmocka_unit_test(test_statuses_are_ordered_and_coalesced),
        cmocka_unit_test(test_end), cmocka_unit_test(test_M21933_adopts_without_a_restart), cmocka_unit_test(test_adopted_and_dead_in_truth),
        cmocka_unit_test(test_adopts_what_ended_meanwhile), cmocka_unit_test(test_unknown_ids), cmocka_unit_test(test_adopted_other_generation_is_replaced),
        cmocka_unit_test(test_nothing_before_the_first_tick), cmocka_unit_test(test_K66230_mass_liveness_failure), cmocka_unit_test(test_liveness_recovers_while_waiting),
        cmocka_unit_test(test_K50632_oom_of_a_worker), cmocka_unit_test(test_crashes_need_no_budget), cmocka_unit_test(test_S1387_random_interleavings),
        cmocka_unit_test(test_is_a_function_of_its_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
