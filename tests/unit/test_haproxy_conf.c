/* The generated configuration (agent/haproxy_conf.h): what is in it, what is refused, and what makes a reload. */
#include <errno.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "agent/haproxy_conf.h"
#include "base/cleanup.h"

static const struct hap_paths paths = { .stats_socket = "/run/m/ctl.1.sock", .hop = "/run/m/h.1", .log_socket = "/run/m/log.sock", .state_file = "/run/m/state", .stats_uid = 7,
    .stats_gid = 8, .listen_fd = 3 };

struct fixture { struct upstream_server servers[4]; char *hosts[2]; struct upstream u; struct balancer_desired d; };

static void init(struct fixture *f)
{
    *f = (struct fixture){ .servers = { { "api.1", "127.0.0.1", 20001, SRV_READY }, { "api.3", "::1", 20003, SRV_DRAIN } } };
    f->u = (struct upstream){ .service = "api", .path = (char *)"/v1", .retry = true, .maxconn = 4, .slots = 5, .check = PROBE_HTTP, .check_path = (char *)"/healthz",
        .check_every_ms = 1000, .check_timeout_ms = 500, .check_fail_after = 3, .servers = f->servers, .server_n = 2 };
    f->d = (struct balancer_desired){ .spec = { .name = (char *)"edge", .listen_host = (char *)"", .listen_port = 8080, .queue_timeout_ms = 5000 },
        .upstreams = &f->u, .upstream_n = 1 };
}

static char *text_of(struct fixture *f)
{
    char *text = NULL;
    struct err e = { "" };
    if (hap_conf_text(&f->d, &paths, &text, &e) < 0)
        fail_msg("%s", e.text);
    return text;
}

static void test_what_is_written(void **state)
{
    static const char *const lines[] = {
        "\n    bind fd@3\n", " mode 600 uid 7 gid 8 level admin\n", "\n    timeout queue 5000ms\n", "\n    retries 1\n", "\n    option redispatch 1\n",
        "\n    retry-on conn-failure empty-response\n", "\n    option http-server-close\n",
        "\n    http-request set-header X-Forwarded-For %[src,regsub(^::ffff:,)]\n",         /* an IPv4 client of a listener for both */ "\n    option idle-close-on-response\n",
        "\n    load-server-state-from-file global\n", "\n    use_backend _api if { path -m str -- '/v1' } or { path -m beg -- '/v1/' }\n",
        "\n    use_backend api if { stopping } { path -m str -- '/v1' } or { stopping } { path -m beg -- '/v1/' }\n    use_backend _api ",
        "\n    acl muster_again method GET HEAD OPTIONS TRACE PUT DELETE\n", "\n    http-request disable-l7-retry if !muster_again or muster_long\n",
        "\n    use-server first if muster_again !muster_long\n    server first 'unix@/run/m/h.1.1.sock' weight 0\n    server last 'unix@/run/m/h.1.2.sock'\n",
        "\n    bind 'unix@/run/m/h.1.1.sock' mode 600 backlog 8192\n    errorfile 502 /dev/null\n", "\n    no log\n    maxconn 40000\n", "\nbackend api from _inner\n",
        "\n    timeout queue 5000ms\n    option http-server-close\n    http-reuse never\n    retries 4\n    option redispatch 1\n    retry-on conn-failure\n",
        " observe layer4 error-limit 1 on-error mark-down ",
        ("\n    server api.1 127.0.0.1:20001\n    server-template api. 2-2 127.0.0.1:1 disabled\n    server api.3 ::1:20003 disabled\n"
         "    server-template api. 4-5 127.0.0.1:1 disabled\n"), " maxconn 4\n", " uri '/healthz' ver HTTP/1.1 ", "\nbackend _none from muster\n    http-request return status 404 ",
    };
    struct fixture f;
    (void)state;
    init(&f);
    cleanup_free char *text = text_of(&f);
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        if (!strstr(text, lines[i]))
            fail_msg("%s is not in\n%s", lines[i], text);
    f.u.retry = false;
    cleanup_free char *never = text_of(&f);
    assert_non_null(strstr(never, "\n    http-request disable-l7-retry\n    server first "));
    assert_null(strstr(text, "ssl crt"));
    f.d.spec.tls = (char *)"/etc/it's mine.pem";
    cleanup_free char *tls = text_of(&f);
    assert_non_null(strstr(tls, "bind fd@3 ssl crt '/etc/it'\\''s mine.pem' alpn http/1.1\n"));
    assert_non_null(strstr(tls, "X-Forwarded-Proto https"));
}

/* No value of a user makes a line of its own. */
static void test_nothing_is_injected(void **state)
{
    static char evil[] = "/x\nbackend evil";
    struct fixture f;
    char *text = NULL;
    struct err e = { "" };
    (void)state;
    for (int k = 0; k < 7; k++) {
        init(&f);
        f.hosts[0] = k == 2 ? evil : (char *)"a b";
        switch (k) {
        case 0: f.u.path = evil; break;
        case 1: f.d.spec.tls = evil; break;
        case 2: case 3: f.u.hosts = (struct strv){ f.hosts, 1 }; break;
        case 4: f.u.check_path = evil; break;
        case 5: fixed_printf(f.u.service, "a\nb"); break;
        case 6: f.u.path = (char *)"no-slash"; break;
        }
        if (hap_conf_text(&f.d, &paths, &text, &e) != -EINVAL)
            fail_msg("case %d is taken", k);
        assert_null(text);
        assert_true(e.text[0] != 0);
    }
    init(&f);
    f.u.path = (char *)"/a' } { always_true } #$HOME\"\\";
    cleanup_free char *quoted = text_of(&f);
    assert_non_null(strstr(quoted, "'/a'\\'' } { always_true } #$HOME\"\\'"));
    init(&f);
    fixed_printf(f.servers[0].address, "127.0.0.1 weight 7");       /* no address: the slot stays empty */
    cleanup_free char *addr = text_of(&f);
    assert_null(strstr(addr, "weight 7"));
}

static uint64_t signature(struct fixture *f)
{
    uint64_t sig = 0;
    assert_int_equal(hap_conf_signature(&f->d, &paths, &sig, NULL), 0);
    return sig;
}

static void test_what_needs_a_new_haproxy(void **state)
{
    static char other[] = "/v2";
    (void)state;
    for (int k = 0; k < 14; k++) {
        bool reload = k >= 5;
        struct fixture f;
        init(&f);
        f.hosts[0] = (char *)"a.example.com";
        uint64_t was = signature(&f);
        switch (k) {
        case 0: f.servers[0].state = SRV_MAINT; break;
        case 1: f.servers[0].port = 9; break;
        case 2: f.u.maxconn = 9; break;
        case 3: f.u.server_n = 0; break;
        case 4: f.u.panic = true; break;
        case 5: f.u.slots = 6; break;
        case 6: f.u.path = other; break;
        case 7: f.u.hosts = (struct strv){ f.hosts, 1 }; break;
        case 8: f.d.spec.tls = other; break;
        case 9: f.d.spec.raw = other; break;
        case 10: f.d.spec.queue_timeout_ms = 1; break;
        case 11: f.u.retry = false; break;
        case 12: f.d.spec.listen_port = 1; break;
        case 13: fixed_printf(f.servers[1].id, "api.9"); break;         /* a number beyond the slots */
        }
        if ((signature(&f) != was) != reload)
            fail_msg("case %d", k);
    }
    struct fixture f;
    init(&f);
    cleanup_free char *text = text_of(&f);
    assert_true(hap_conf_signature_of_text(text) == signature(&f));
    assert_true(hap_conf_signature_of_text("# muster signature 00zz") == 0 && hap_conf_signature_of_text("") == 0);
}

static void test_precedence_of_routes(void **state)
{
    static const char *const order[] = { "use_backend _c if", "use_backend _b if", "use_backend _e if", "use_backend _a if", "use_backend _d if", "default_backend _none" };
    static char *exact[] = { (char *)"One.Example.com" }, *wild[] = { (char *)"*.example.com" }, *deep[] = { (char *)"*.deep.example.com" };
    struct upstream u[] = {
        { .service = "a", .path = (char *)"/long/path" }, { .service = "b", .path = (char *)"/", .hosts = { exact, 1 } },
        { .service = "c", .path = (char *)"/p", .hosts = { exact, 1 } }, { .service = "d", .path = (char *)"/" }, { .service = "e", .path = (char *)"/", .hosts = { deep, 1 } },
        { .service = "f", .path = (char *)"/", .hosts = { wild, 1 } },
    };
    struct fixture f;
    (void)state;
    init(&f);
    f.d.upstreams = u;
    f.d.upstream_n = ARRAY_LEN(u);
    cleanup_free char *text = text_of(&f);
    const char *at = text;
    for (size_t i = 0; i < ARRAY_LEN(order); i++)
        if (!(at = strstr(at, order[i])))
            fail_msg("%s comes too early\n%s", order[i], text);
    assert_non_null(strstr(text, "{ var(txn.muster_host) -m str -- 'one.example.com' }"));
    assert_non_null(strstr(text, "{ var(txn.muster_host) -m end -- '.example.com' }"));
}

static void test_slots(void **state)
{
    static const struct { const char *id; uint32_t slot; } rows[] = { { "api.1", 1 }, { "api.4000", 4000 }, { "api.4001", 0 }, { "api.0", 0 }, { "api.01", 0 },
        { "api.", 0 }, { "api", 0 }, { "apix.1", 0 }, { "ap.1", 0 }, { "api.1 ", 0 }, { "api.-1", 0 } };
    struct fixture f;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (hap_slot_of(rows[i].id, "api") != rows[i].slot)
            fail_msg("%s", rows[i].id);
    init(&f);
    assert_int_equal(hap_slots(&f.u, 0), 5);
    assert_int_equal(hap_slots(&f.u, 8), 8);
    fixed_printf(f.servers[1].id, "api.12");
    assert_int_equal(hap_slots(&f.u, 8), 12);
}

static void test_state_file(void **state)
{
    struct fixture f;
    (void)state;
    init(&f);
    f.servers[2] = (struct upstream_server){ "api.2", "10.0.0.2", 5, SRV_MAINT };
    f.servers[3] = (struct upstream_server){ "api.2", "10.0.0.3", 6, SRV_READY };      /* a second one for a slot is none */
    f.u.server_n = 4;
    cleanup_free char *text = hap_state_text(&f.d);
    assert_memory_equal(text, "1\n# be_id be_name ", 18);
    assert_non_null(strstr(text, "\n1 api 1 api.1 127.0.0.1 2 0 1 1 0 6 3 1 6 0 0 0 - 20001 - 0 0 - - 0\n"));
    assert_non_null(strstr(text, "\n1 api 2 api.2 10.0.0.2 0 5 1 1 0 6 3 1 6 0 0 0 - 5 - 0 0 - - 0\n"));
    assert_non_null(strstr(text, "\n1 api 3 api.3 ::1 2 12 1 1 0 6 3 1 6 0 0 0 - 20003 - 0 0 - - 0\n"));
    assert_null(strstr(text, "10.0.0.3"));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_what_is_written), cmocka_unit_test(test_nothing_is_injected),
        cmocka_unit_test(test_what_needs_a_new_haproxy), cmocka_unit_test(test_precedence_of_routes), cmocka_unit_test(test_slots), cmocka_unit_test(test_state_file) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
