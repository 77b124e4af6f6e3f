/* The driver (agent/balancer.h) with a real haproxy: each test is one story. Skipped where there is no haproxy. */
#include "tests/unit/haproxy_rig.h"

static bool have_haproxy(void) { return access("/usr/sbin/haproxy", X_OK) == 0 || getenv("MUSTER_HAPROXY"); }
#define NEEDS_HAPROXY() do { (void)state; if (!have_haproxy()) { print_message("skipped: no haproxy here\n"); skip(); } } while (0)

static const struct balancer_server_report *reported(struct rig *r, const char *id)
{
    for (size_t i = 0; i < r->report.server_n; i++)
        if (strcmp(r->report.servers[i].id, id) == 0)
            return &r->report.servers[i];
    fail_msg("%s is not in the report", id);
    return NULL;
}

static void start_with(struct rig *r, int servers)
{
    rig_start(r, servers);
    rig_upstream(r, "api", NULL, "/", 8);
    for (int i = 1; i <= servers; i++)
        rig_list(r, &r->want.upstreams[0], i, SRV_READY);
    rig_apply(r);
}

/* --- lists ------------------------------------------------------------------------------------------------------ */
static bool idle_1(struct rig *r) { return reported(r, "api.1")->in_flight == 0; }
static bool busy_1(struct rig *r) { return reported(r, "api.1")->in_flight == 1; }

static void *slow_client(void *arg)
{
    struct rig *r = arg;
    char out[4096];
    return (void *)(intptr_t)ask(r->port, "GET", "x", "/slow600", "", out, sizeof out);
}

static void test_drain_waits_for_what_is_in_flight(void **state)
{
    struct rig r;
    pthread_t t;
    void *answer;
    char out[4096];
    NEEDS_HAPROXY();
    start_with(&r, 1);
    assert_int_equal(pthread_create(&t, NULL, slow_client, &r), 0);
    rig_run(&r, 100);
    rig_serve(&r, 2);
    rig_list(&r, &r.want.upstreams[0], 2, SRV_READY);
    rig_list(&r, &r.want.upstreams[0], 1, SRV_DRAIN);
    rig_apply(&r);
    assert_int_equal(reported(&r, "api.1")->state, SRV_DRAIN);
    assert_true(rig_until_(&r, busy_1, 1000));
    for (int i = 0; i < 10; i++) {
        assert_int_equal(ask(r.port, "GET", "x", "/", "", out, sizeof out), 200);
        assert_non_null(strstr(out, "server 2"));
    }
    assert_true(rig_until_(&r, idle_1, 2000));
    pthread_join(t, &answer);
    assert_int_equal((intptr_t)answer, 200);
    rig_stop(&r);
}

static void test_lists_change_under_load(void **state)
{
    struct rig r;
    struct load l;
    NEEDS_HAPROXY();
    start_with(&r, 6);
    load_start(&l, &r, 12, true);
    for (int round = 0; round < 30; round++) {
        for (int i = 3; i <= 6; i++)
            rig_list(&r, &r.want.upstreams[0], i, round % 2 ? SRV_READY : SRV_DRAIN);
        rig_apply(&r);
        rig_run(&r, 20);
        for (int i = 3; i <= 6 && round % 4 == 0; i++)
            rig_list(&r, &r.want.upstreams[0], i, SRV_MAINT);
        rig_apply(&r);
    }
    load_stop(&l);
    assert_true(l.sent > 500);
    assert_int_equal(l.get_failed + l.post_failed, 0);
    assert_int_equal(executed_twice(&r), 0);
    rig_stop(&r);
}

static void test_a_slot_moves_to_another_address(void **state)
{
    struct rig r;
    char out[4096];
    NEEDS_HAPROXY();
    start_with(&r, 2);
    r.want.upstreams[0].server_n = 1;
    fixed_printf(r.want.upstreams[0].servers[0].id, "api.1");
    r.want.upstreams[0].servers[0].port = r.servers[2].port;
    r.want.upstreams[0].maxconn = 7;
    rig_apply(&r);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(ask(r.port, "GET", "x", "/", "", out, sizeof out), 200);
        assert_non_null(strstr(out, "server 2"));
    }
    assert_int_equal(r.spawns, 2);              /* validation and one HAProxy: no reload for any of this */
    rig_stop(&r);
}

/* --- an exit was seen -------------------------------------------------------------------------------------------- */
static struct balancer_server_report *maint_1(struct rig *r)
{
    for (size_t i = 0; i < r->report.server_n; i++)
        if (strcmp(r->report.servers[i].id, "api.1") == 0 && r->report.servers[i].state == SRV_MAINT)
            return &r->report.servers[i];
    return NULL;
}
static bool is_maint_1(struct rig *r) { return maint_1(r) != NULL; }
static bool is_ready_1(struct rig *r) { return reported(r, "api.1")->state == SRV_READY && reported(r, "api.1")->up; }

static void test_gone_is_out_within_10_ms(void **state)
{
    struct rig r;
    struct load l;
    int64_t worst = 0;
    int late = 0;
    NEEDS_HAPROXY();
    start_with(&r, 4);
    load_start(&l, &r, 8, true);
    for (int k = 0; k < 60; k++) {
        int64_t t0 = clock_mono_ns();
        balancer_instance_gone(r.b, "api.1");
        assert_true(rig_until_(&r, is_maint_1, 1000));
        int64_t us = (clock_mono_ns() - t0) / 1000;
        worst = MAX_OF(worst, us);
        late += us > 10000;
        rig_set(&r);                            /* the controller's list is older than what was seen here: it stays out */
        rig_run(&r, 5);
        assert_true(is_maint_1(&r));
        balancer_instance_back(r.b, "api.1");
        assert_true(rig_until_(&r, is_ready_1, 1000));
    }
    load_stop(&l);
    print_message("    exit seen to HAProxy's own word that it is out: at most %d us\n", (int)worst);
    assert_true(late <= 2);                     /* p99, and the machine is shared */
    assert_int_equal(l.get_failed + l.post_failed, 0);
    rig_stop(&r);
}

static void test_killed_instances_lose_no_get(void **state)
{
    struct rig r;
    struct load l;
    NEEDS_HAPROXY();
    start_with(&r, 6);
    load_start(&l, &r, 12, true);
    for (int k = 0; k < 6; k++) {
        char id[ID_SIZE];
        int i = 1 + k % 6;
        fixed_printf(id, "api.%d", i);
        rig_run(&r, 100);
        rig_kill(&r, i);
        balancer_instance_gone(r.b, id);
        rig_run(&r, 100);
        rig_serve(&r, i);
        balancer_instance_back(r.b, id);
    }
    rig_run(&r, 100);
    load_stop(&l);
    assert_int_equal(l.get_failed, 0);
    assert_true(l.post_failed <= 6 * 12);
    assert_int_equal(executed_twice(&r), 0);
    rig_stop(&r);
}

/* Four of six die at once, under about 500 requests a second that take 20 ms each. */
static void test_killed_majority_costs_few(void **state)
{
    struct rig r;
    struct load l;
    NEEDS_HAPROXY();
    start_with(&r, 6);
    unsigned lost = 0;
    for (int round = 0; round < 6; round++) {
        memset(&l, 0, sizeof l);
        load_prepare(&l, &r, 14, false);
        for (int i = 0; i < l.n; i++) {
            l.c[i].path = "/slow20";
            l.c[i].keep = true;
        }
        load_go(&l);
        rig_run(&r, 300);
        for (int i = 1; i <= 4; i++)
            kill(r.servers[i].pid, SIGKILL);
        rig_run(&r, 3);
        for (int i = 1; i <= 4; i++) {
            char id[ID_SIZE];
            fixed_printf(id, "api.%d", i);
            rig_kill(&r, i);
            balancer_instance_gone(r.b, id);
        }
        rig_run(&r, 700);
        load_stop(&l);
        lost += l.get_failed;
        assert_true(l.get_failed * 100 <= l.sent);  /* a round takes one second */
        for (int i = 1; i <= 4; i++) {
            char id[ID_SIZE];
            fixed_printf(id, "api.%d", i);
            rig_serve(&r, i);
            balancer_instance_back(r.b, id);
        }
        rig_run(&r, 100);
    }
    print_message("    6 times 4 of 6 killed at once: %u GET lost\n", lost);
    rig_stop(&r);
}

static void test_a_poison_get_takes_at_most_two(void **state)
{
    struct rig r;
    char out[4096];
    NEEDS_HAPROXY();
    start_with(&r, 6);
    assert_int_equal(ask(r.port, "GET", "x", "/poison", "", out, sizeof out), 502);
    assert_true(atomic_load(&r.shared->poisoned) <= 2);
    assert_non_null(strstr(out, "muster: "));
    for (int i = 1; i <= 6; i++)                /* muster sees these exits */
        if (waitpid(r.servers[i].pid, NULL, WNOHANG) > 0) {
            char id[ID_SIZE];
            fixed_printf(id, "api.%d", i);
            r.servers[i].pid = 0;
            balancer_instance_gone(r.b, id);
        }
    rig_run(&r, 20);
    for (int i = 0; i < 30; i++)
        assert_int_equal(ask(r.port, "GET", "x", "/", "", out, sizeof out), 200);
    unsigned before = atomic_load(&r.shared->poisoned);
    assert_int_equal(ask(r.port, "POST", "x", "/poison", "", out, sizeof out), 502);    /* not sent a second time */
    assert_int_equal(atomic_load(&r.shared->poisoned), before + 1);
    rig_stop(&r);
}

/* A connection that has served a request: what fails on it is answered all the same, and the connection stays. */
static void test_a_cut_answer_on_a_kept_connection_is_a_502(void **state)
{
    static const struct { const char *method; unsigned executed; } rows[] = { { "POST", 1 }, { "GET", 2 }, { "PATCH", 1 } };
    struct rig r;
    char out[4096];
    bool close_it;
    NEEDS_HAPROXY();
    start_with(&r, 6);
    int fd = dial(r.port);
    assert_int_equal(ask_on(fd, "GET", "x", "/", "", out, sizeof out, &close_it), 200);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        unsigned before = atomic_load(&r.shared->poisoned);
        int rc = ask_on(fd, rows[i].method, "x", "/poison", "", out, sizeof out, &close_it);
        if (rc != 502 || close_it || !strstr(out, "muster: ") || atomic_load(&r.shared->poisoned) - before != rows[i].executed)
            fail_msg("%s: %d, executed %u times\n%s", rows[i].method, rc, atomic_load(&r.shared->poisoned) - before, out);
        assert_int_equal(ask_on(fd, "GET", "x", "/", "", out, sizeof out, &close_it), 200);
    }
    close(fd);
    rig_stop(&r);
}

static void test_a_502_of_the_application_is_passed_on(void **state)
{
    struct rig r;
    char out[4096];
    NEEDS_HAPROXY();
    start_with(&r, 3);
    assert_int_equal(ask(r.port, "GET", "x", "/made502", "X-Id: 77\r\n", out, sizeof out), 502);
    assert_non_null(strstr(out, "502 Made By It"));
    assert_non_null(strstr(out, "server "));
    assert_int_equal(atomic_load(&r.shared->executed[77]), 1);
    assert_int_equal(ask(r.port, "GET", "x", "/echo", "X-Muster-Service: other\r\n", out, sizeof out), 200);
    assert_null(strcasestr(out, "x-muster-service"));           /* muster's own, between the two sides */
    rig_stop(&r);
}

/* A client that sends no more (but listens) gets its answer. */
static void test_a_half_closed_client_gets_its_answer(void **state)
{
    struct rig r;
    char out[4096], q[] = "GET /slow200 HTTP/1.1\r\nHost: x\r\nX-Id: 5\r\n\r\n";
    bool close_it;
    NEEDS_HAPROXY();
    start_with(&r, 2);
    int fd = dial(r.port);
    assert_int_equal(send(fd, q, strlen(q), MSG_NOSIGNAL), strlen(q));
    shutdown(fd, SHUT_WR);
    assert_int_equal(read_answer(fd, out, sizeof out, &close_it), 200);
    close(fd);
    assert_int_equal(atomic_load(&r.shared->executed[5]), 1);
    rig_stop(&r);
}

/* --- HAProxy itself dies, is replaced, is taken over ----------------------------------------------------------------- */
static pid_t pid_before;
static bool other_pid(struct rig *r) { return r->report.running && r->report.pid != pid_before && rig_acked(r); }

static void test_killed_haproxy_is_back_and_nobody_refused(void **state)
{
    struct rig r;
    struct load l;
    char out[4096];
    NEEDS_HAPROXY();
    start_with(&r, 4);
    rig_list(&r, &r.want.upstreams[0], 4, SRV_DRAIN);
    rig_apply(&r);
    load_start(&l, &r, 12, false);
    for (int k = 0; k < 3; k++) {
        rig_run(&r, 300);
        pid_before = rig_haproxy(&r);
        kill(pid_before, SIGKILL);
        int64_t t0 = clock_mono_ms();
        if (!rig_until_(&r, other_pid, 5000))
            fail_msg("HAProxy is not back: %s\n%s", r.report.problem, r.events);
        print_message("    kill -9 to the list being back: %d ms\n", (int)(clock_mono_ms() - t0));
        assert_true(clock_mono_ms() - t0 < 1000);
        assert_int_equal(ask(r.port, "GET", "x", "/", "", out, sizeof out), 200);
        assert_int_equal(reported(&r, "api.4")->state, SRV_DRAIN);
    }
    load_stop(&l);
    assert_int_equal(l.refused, 0);
    assert_true(l.get_failed <= 3 * 12);            /* what was under way in the killed process */
    rig_stop(&r);
}

static void test_the_state_file_alone_is_enough(void **state)
{
    struct rig r;
    char out[4096];
    NEEDS_HAPROXY();
    start_with(&r, 3);
    r.want.upstreams[0].servers[0].state = SRV_MAINT;
    r.want.upstreams[0].servers[1].state = SRV_DRAIN;
    rig_apply(&r);
    pid_before = rig_haproxy(&r);
    kill(pid_before, SIGKILL);
    rig_until_(&r, NULL, 1);
    uv_run(&r.loop, UV_RUN_ONCE);
    while (r.spawns < 3)
        uv_run(&r.loop, UV_RUN_ONCE);               /* from here the driver does nothing: what is answered is HAProxy's own doing */
    for (int i = 0; i < 5; i++) {
        assert_int_equal(ask(r.port, "GET", "x", "/", "", out, sizeof out), 200);
        assert_non_null(strstr(out, "server 3"));
    }
    assert_true(rig_until_(&r, other_pid, 5000));
    rig_stop(&r);
}

static void test_reload_under_load(void **state)
{
    struct rig r;
    struct load l;
    NEEDS_HAPROXY();
    start_with(&r, 4);
    load_start(&l, &r, 12, true);
    for (int k = 0; k < 4; k++) {
        char host[64];
        rig_run(&r, 150);
        pid_before = rig_haproxy(&r);
        fixed_printf(host, "other%d.example.com", k);
        rig_upstream(&r, k == 0 ? "b" : k == 1 ? "c" : k == 2 ? "d" : "e", host, "/", 4);
        rig_apply(&r);
        assert_int_not_equal(rig_haproxy(&r), pid_before);
    }
    rig_run(&r, 200);
    load_stop(&l);
    assert_int_equal(l.get_failed + l.post_failed, 0);
    assert_int_equal(executed_twice(&r), 0);
    rig_stop(&r);
}

static void test_a_bad_configuration_changes_nothing(void **state)
{
    struct rig r;
    char out[4096];
    NEEDS_HAPROXY();
    start_with(&r, 2);
    pid_before = rig_haproxy(&r);
    r.want.spec.raw = xstrdup("    no-such-directive here");
    rig_list(&r, &r.want.upstreams[0], 1, SRV_DRAIN);
    rig_apply(&r);                                  /* the list is applied all the same */
    assert_int_equal(rig_haproxy(&r), pid_before);
    assert_non_null(strstr(r.report.problem, "no-such-directive"));
    assert_int_equal(reported(&r, "api.1")->state, SRV_DRAIN);
    assert_int_equal(ask(r.port, "GET", "x", "/", "", out, sizeof out), 200);
    free(r.want.spec.raw);
    r.want.spec.raw = xstrdup("    http-response set-header X-Raw yes\nbackend other\n    mode http\n    http-request return status 200");
    rig_apply(&r);
    assert_string_equal(r.report.problem, "");
    assert_int_not_equal(rig_haproxy(&r), pid_before);
    assert_int_equal(ask(r.port, "GET", "x", "/", "", out, sizeof out), 200);
    assert_non_null(strcasestr(out, "x-raw: yes"));
    rig_stop(&r);
}

/* The supervisor was killed and is back: the HAProxy that runs is taken over as it is. */
static void test_a_running_haproxy_is_adopted(void **state)
{
    struct rig r;
    struct load l;
    NEEDS_HAPROXY();
    start_with(&r, 3);
    load_start(&l, &r, 8, true);
    rig_run(&r, 100);
    pid_before = rig_haproxy(&r);
    balancer_free(r.b);
    rig_run(&r, 20);
    r.b = balancer_new(&r.loop, r.dir, r.dir, "edge", &rig_ops, &r);
    r.has_report = false;
    for (size_t i = 0; i < RIG_PROCS; i++) {
        struct k_msg m = { .verb = K_STATE, .u.state = { .kind = K_BALANCER, .running = r.procs[i].running, .populated = r.procs[i].running } };
        if (!r.procs[i].used || !r.procs[i].id[0])
            continue;
        fixed_printf(m.u.state.id, "%s", r.procs[i].id);
        m.u.state.pid = r.procs[i].p.pid;
        balancer_on_keeper(r.b, &m);
    }
    for (size_t i = 0; i < 4; i++) {
        struct k_msg m = { .verb = K_HELD, .u.listen = { .port = r.held[i].port } };
        if (!r.held[i].name[0])
            continue;
        fixed_printf(m.u.listen.id, "%s", r.held[i].name);
        fixed_printf(m.u.listen.address, "%s", r.held[i].host);
        balancer_on_keeper(r.b, &m);
    }
    uint32_t spawns = r.spawns;
    rig_list(&r, &r.want.upstreams[0], 3, SRV_DRAIN);
    rig_apply(&r);
    assert_int_equal(rig_haproxy(&r), pid_before);
    assert_int_equal(r.spawns, spawns);
    assert_int_equal(reported(&r, "api.3")->state, SRV_DRAIN);
    load_stop(&l);
    assert_int_equal(l.get_failed + l.post_failed, 0);
    rig_stop(&r);
}

static bool has_problem(struct rig *r) { return r->has_report && r->report.problem[0]; }

static void test_a_port_in_use_is_told_and_tried_again(void **state)
{
    struct rig r;
    char out[4096];
    NEEDS_HAPROXY();
    rig_start(&r, 1);
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)r.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a) + listen(fd, 5), 0);
    rig_upstream(&r, "api", NULL, "/", 4);
    rig_list(&r, &r.want.upstreams[0], 1, SRV_READY);
    rig_set(&r);
    assert_true(rig_until_(&r, has_problem, 2000));
    assert_non_null(strstr(r.report.problem, "cannot listen on 127.0.0.1:"));
    assert_false(r.report.running);
    close(fd);
    assert_true(rig_until_(&r, rig_acked, 4000));
    assert_string_equal(r.report.problem, "");
    assert_int_equal(ask(r.port, "GET", "x", "/", "", out, sizeof out), 200);
    rig_stop(&r);
}

/* --- what a client sees ------------------------------------------------------------------------------------------------ */
static void test_routing_by_host_and_path(void **state)
{
    static const struct { const char *host, *path; int status; const char *server; } rows[] = {
        { "one.example.com", "/", 200, "server 1" }, { "ONE.example.com:8080", "/x", 200, "server 1" }, { "a.b.example.com", "/", 200, "server 2" },
        { "two.org", "/v1", 200, "server 3" }, { "two.org", "/v1/x", 200, "server 3" }, { "two.org", "/v1x", 404, "no service" },
        { "two.org", "/v1/deep", 200, "server 4" }, { "two.org", "/v1/deep/er", 200, "server 4" }, { "two.org", "/", 404, "muster" },
        { "example.com", "/", 404, "muster" }, { "one.example.com", "/v1/deep", 200, "server 1" },
    };
    struct rig r;
    char out[4096];
    NEEDS_HAPROXY();
    rig_start(&r, 4);
    rig_upstream(&r, "one", "one.example.com", "/", 4);
    rig_upstream(&r, "wild", "*.example.com", "/", 4);
    rig_upstream(&r, "versioned", NULL, "/v1/", 4);
    rig_upstream(&r, "zdeep", NULL, "/v1/deep", 4);
    for (int i = 0; i < 4; i++)
        rig_list(&r, &r.want.upstreams[i], i + 1, SRV_READY);
    rig_apply(&r);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int rc = ask(r.port, "GET", rows[i].host, rows[i].path, "", out, sizeof out);
        if (rc != rows[i].status || !strstr(out, rows[i].server))
            fail_msg("%s%s: %d\n%s", rows[i].host, rows[i].path, rc, out);
    }
    rig_stop(&r);
}

static void test_forwarded_headers_cannot_be_forged(void **state)
{
    struct rig r;
    char out[8192];
    NEEDS_HAPROXY();
    start_with(&r, 1);
    assert_int_equal(ask(r.port, "GET", "my.example.com:8080", "/echo",
        "X-Forwarded-For: 6.6.6.6\r\nX_Forwarded_For: 6.6.6.6\r\nx-forwarded-proto: https\r\nX-Forwarded-Prefix: /evil6\r\nForwarded: for=6.6.6.6\r\n"
        "X-Real-IP: 6.6.6.6\r\nX-Other: kept\r\n", out, sizeof out), 200);
    assert_null(strstr(out, "6.6.6.6"));
    assert_null(strstr(out, "evil6"));
    assert_non_null(strcasestr(out, "x-forwarded-for: 127.0.0.1\r\n"));
    assert_non_null(strcasestr(out, "x-forwarded-proto: http\r\n"));
    assert_non_null(strcasestr(out, "x-forwarded-host: my.example.com:8080\r\n"));
    assert_non_null(strcasestr(out, "x-forwarded-port: "));
    assert_non_null(strcasestr(out, "x-other: kept\r\n"));
    rig_stop(&r);
}

static void test_full_instances_queue(void **state)
{
    struct rig r;
    pthread_t t[3];
    char out[4096];
    NEEDS_HAPROXY();
    start_with(&r, 1);
    r.want.upstreams[0].maxconn = 1;
    r.want.spec.queue_timeout_ms = 250;
    rig_apply(&r);
    int64_t t0 = clock_mono_ms();
    assert_int_equal(pthread_create(&t[0], NULL, slow_client, &r), 0);
    rig_run(&r, 100);
    assert_int_equal(pthread_create(&t[1], NULL, slow_client, &r), 0);   /* may wait 250 ms, and the first takes 600: its time is over before */
    rig_run(&r, 250);
    struct svc_metrics *sv = NULL;
    struct inst_metrics *iv = NULL;
    size_t sn = 0, in = 0;
    void *answer[2];
    rig_run(&r, 1100 - (clock_mono_ms() - t0));
    balancer_metrics(r.b, clock_mono_ms(), &sv, &sn, &iv, &in);
    for (int i = 0; i < 2; i++)
        pthread_join(t[i], &answer[i]);
    assert_int_equal((intptr_t)answer[0], 200);
    assert_int_equal((intptr_t)answer[1], 503);
    assert_int_equal(sn, 1);
    assert_int_equal(in, 1);
    free(sv);
    free(iv);
    assert_int_equal(ask(r.port, "GET", "x", "/", "", out, sizeof out), 200);
    rig_stop(&r);
}

static void test_figures(void **state)
{
    struct rig r;
    struct load l;
    struct svc_metrics *sv = NULL;
    struct inst_metrics *iv = NULL;
    size_t sn = 0, in = 0;
    char out[4096];
    NEEDS_HAPROXY();
    start_with(&r, 2);
    load_start(&l, &r, 8, true);
    rig_run(&r, 3200);
    load_stop(&l);
    for (int i = 0; i < 5; i++)
        assert_int_equal(ask(r.port, "GET", "x", "/events/slow300", "", out, sizeof out), 200);     /* no latency: a stream */
    rig_run(&r, 1100);
    balancer_metrics(r.b, clock_mono_ms(), &sv, &sn, &iv, &in);
    assert_int_equal(sn, 1);
    assert_int_equal(in, 2);
    print_message("    %.0f req/s, p50 %.1f p95 %.1f p99 %.1f ms of %u, requests %d, lines %d\n", sv->rate, sv->p50_ms, sv->p95_ms, sv->p99_ms,
        sv->samples, (int)sv->requests, (int)sv->log_seen);
    assert_int_equal(sv->requests, l.sent + 5);
    assert_int_equal(sv->log_seen, sv->log_expected);
    assert_int_equal(sv->samples, l.sent);
    assert_true(sv->p50_ms >= 2 && sv->p50_ms < 50 && sv->p99_ms < 250);
    assert_true(sv->rate > 50 && iv[0].rate > 20 && iv[0].samples + iv[1].samples == sv->samples);
    assert_true(sv->in_flight == 0 && sv->queue == 0 && sv->errors == 0);
    free(sv);
    free(iv);
    rig_stop(&r);
}

static int run_quietly(const char *prog, const char *const argv[], char *out, size_t size)
{
    int fd[2], status = 0;
    size_t n = 0;
    ssize_t got;
    assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, 0);
        dup2(fd[1], 1);
        dup2(null, 2);
        execvp(prog, (char *const *)argv);
        _exit(127);
    }
    close(fd[1]);
    while (n < size - 1 && (got = read(fd[0], out + n, size - 1 - n)) > 0)
        n += (size_t)got;
    out[n] = 0;
    close(fd[0]);
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static void test_tls(void **state)
{
    struct rig r;
    char out[4096], url[64];
    NEEDS_HAPROXY();
    start_with(&r, 3);
    cleanup_free char *pem = xasprintf("%s/edge.pem", r.dir);
    const char *const make[] = { "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
        "/CN=localhost", "-keyout", pem, "-out", "/dev/stdout", NULL };
    if (run_quietly("openssl", make, out, sizeof out) != 0) {
        rig_stop(&r);
        print_message("skipped: no openssl\n");
        skip();
    }
    int fd = open(pem, O_WRONLY | O_APPEND);
    assert_true(fd >= 0 && write(fd, out, strlen(out)) == (ssize_t)strlen(out));
    close(fd);
    r.want.spec.tls = xstrdup(pem);
    rig_apply(&r);                                  /* from plain to TLS on the same socket, by a reload */
    snprintf(url, sizeof url, "https://127.0.0.1:%u/echo", r.port);
    const char *const post[] = { "curl", "-sk", "--max-time", "5", "-d", "x", "-w", "status %{http_code}", url, NULL };
    const char *const get[] = { "curl", "-sk", "--max-time", "5", "-w", "version %{http_version} status %{http_code}", url, NULL };
    if (run_quietly("curl", get, out, sizeof out) == 127)
        print_message("no curl: TLS only loaded, not spoken\n");
    else {
        assert_non_null(strstr(out, "version 1.1 status 200"));
        assert_non_null(strcasestr(out, "x-forwarded-proto: https"));
        snprintf(url, sizeof url, "https://127.0.0.1:%u/poison", r.port);
        assert_int_equal(run_quietly("curl", post, out, sizeof out), 0);
        assert_non_null(strstr(out, "status 502"));         /* an answer: nothing that makes a client send it again */
        assert_int_equal(atomic_load(&r.shared->poisoned), 1);
    }
    rig_stop(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_drain_waits_for_what_is_in_flight), cmocka_unit_test(test_lists_change_under_load),
        cmocka_unit_test(test_a_slot_moves_to_another_address), cmocka_unit_test(test_gone_is_out_within_10_ms),
        cmocka_unit_test(test_killed_instances_lose_no_get), cmocka_unit_test(test_killed_majority_costs_few),
        cmocka_unit_test(test_a_poison_get_takes_at_most_two), cmocka_unit_test(test_a_cut_answer_on_a_kept_connection_is_a_502),
        cmocka_unit_test(test_a_502_of_the_application_is_passed_on), cmocka_unit_test(test_a_half_closed_client_gets_its_answer),
        cmocka_unit_test(test_killed_haproxy_is_back_and_nobody_refused), cmocka_unit_test(test_the_state_file_alone_is_enough),
        cmocka_unit_test(test_reload_under_load), cmocka_unit_test(test_a_bad_configuration_changes_nothing),
        cmocka_unit_test(test_a_running_haproxy_is_adopted), cmocka_unit_test(test_a_port_in_use_is_told_and_tried_again),
        cmocka_unit_test(test_routing_by_host_and_path), cmocka_unit_test(test_forwarded_headers_cannot_be_forged),
        cmocka_unit_test(test_full_instances_queue), cmocka_unit_test(test_figures), cmocka_unit_test(test_tls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
