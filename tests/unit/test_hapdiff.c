/* Wanted servers against present ones -> runtime commands (agent/hapdiff.h), as a table. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "agent/hapdiff.h"
#include "base/cleanup.h"
#include "base/strbuf.h"

enum { NOT = -1 };
/* One slot, api.1: what HAProxy has, what is wanted, and the commands in order, without "set server api/api.1 ". */
struct row {
    const char *name;
    struct { const char *address; uint32_t port; bool maint, drain, check_on; int64_t scur, slim, lastchg; } has;
    int state; const char *address; uint32_t port; bool panic;
    const char *commands; uint32_t waiting, refused;
};
#define A "127.0.0.1"
static const struct row rows[] = {
    { "as wanted", { A, 80, false, false, true, 5, 4, 1 }, SRV_READY, A, 80, false, "", 0, 0 },
    { "an empty slot is filled", { A, 1, true, false, true, 0, 9, 1 }, SRV_READY, A, 80, false, "addr " A " port 80;maxconn 4;state ready;", 0, 0 },
    { "into drain", { A, 80, false, false, true, 5, 4, 1 }, SRV_DRAIN, A, 80, false, "state drain;", 0, 0 },
    { "still drains", { A, 80, false, true, true, 5, 4, 1 }, SRV_DRAIN, A, 80, false, "", 0, 0 },
    { "back from drain", { A, 80, false, true, true, 5, 4, 1 }, SRV_READY, A, 80, false, "state ready;", 0, 0 },
    { "gone", { A, 80, false, false, true, 5, 4, 1 }, SRV_MAINT, A, 80, false, "state maint;", 0, 0 },
    { "gone while it drains", { A, 80, false, true, true, 5, 4, 1 }, SRV_MAINT, A, 80, false, "state maint;", 0, 0 },
    { "gone already", { A, 80, true, false, true, 5, 4, 1 }, SRV_MAINT, A, 80, false, "", 0, 0 },
    { "not wanted", { A, 80, false, false, true, 0, 4, 1 }, NOT, A, 80, false, "state maint;", 0, 0 },
    { "not wanted, and out", { A, 80, true, false, true, 3, 4, 1 }, NOT, A, 80, false, "", 0, 0 },
    { "moved, idle", { A, 80, false, false, true, 0, 4, 1 }, SRV_READY, A, 81, false, "state maint;addr " A " port 81;state ready;", 0, 0 },
    { "moved, busy: first out", { A, 80, false, false, true, 2, 4, 1 }, SRV_READY, A, 81, false, "state maint;", 1, 0 },
    { "moved, out, busy: wait", { A, 80, true, false, true, 2, 4, 29 }, SRV_READY, A, 81, false, "", 1, 0 },
    { "moved, busy too long", { A, 80, true, false, true, 2, 4, 30 }, SRV_READY, A, 81, false, "addr " A " port 81;state ready;", 0, 0 },
    { "another spelling of an address", { "::1", 80, false, false, true, 0, 4, 1 }, SRV_READY, "0:0::1", 80, false, "", 0, 0 },
    { "panic: its checks stop", { A, 80, false, false, true, 0, 4, 1 }, SRV_READY, A, 80, true, "health off;", 0, 0 },
    { "panic: they are off", { A, 80, false, false, false, 0, 4, 1 }, SRV_READY, A, 80, true, "", 0, 0 },
    { "panic over", { A, 80, false, false, false, 0, 4, 1 }, SRV_READY, A, 80, false, "health on;", 0, 0 },
    { "an address that is a name", { A, 80, true, false, true, 0, 4, 1 }, SRV_READY, "db;shutdown", 80, false, "", 0, 1 },
    { "port 0", { A, 80, true, false, true, 0, 4, 1 }, SRV_READY, A, 0, false, "", 0, 1 },
    { "port 65536", { A, 80, true, false, true, 0, 4, 1 }, SRV_READY, A, 65536, false, "", 0, 1 },
};

static void simplify(const char *in, struct strbuf *out)
{
    for (const char *at = in; *at;) {
        size_t n = strcspn(at, "\n");
        cleanup_free char *line = xstrndup(at, n);
        if (strncmp(line, "set server api/api.1 ", 21) == 0)
            strbuf_printf(out, "%s;", line + 21);
        else if (strncmp(line, "set maxconn server api/api.1 ", 29) == 0)
            strbuf_printf(out, "maxconn %s;", line + 29);
        else
            strbuf_printf(out, "health %s;", strcmp(line, "disable health api/api.1") == 0 ? "off" : strcmp(line, "enable health api/api.1") == 0 ? "on" : "?");
        at += n + (at[n] == '\n');
    }
}

static struct hap_row server_row(const char *proxy, const char *server)
{
    struct hap_row r = { .kind = HAP_SERVER, .has_state = true, .check_on = true, .slim = 4, .port = 80, .address = A };
    fixed_printf(r.proxy, "%s", proxy);
    fixed_printf(r.server, "%s", server);
    return r;
}

static void test_one_slot(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct row *w = &rows[i];
        struct hap_row v[2] = { { .proxy = "api", .server = "BACKEND", .kind = HAP_BACKEND }, server_row("api", "api.1") };
        struct upstream_server s = { .id = "api.1", .port = w->port, .state = w->state == NOT ? SRV_READY : (enum server_state)w->state };
        struct upstream u = { .service = "api", .slots = 1, .maxconn = 4, .panic = w->panic, .servers = &s, .server_n = w->state != NOT };
        struct balancer_desired d = { .upstreams = &u, .upstream_n = 1 };
        struct hapdiff got = { .n = 0 };
        cleanup_strbuf struct strbuf text = STRBUF_INIT;
        fixed_printf(s.address, "%s", w->address);
        fixed_printf(v[1].address, "%s", w->has.address);
        v[1].port = w->has.port;
        v[1].maint = w->has.maint;
        v[1].drain = w->has.drain;
        v[1].check_on = w->has.check_on;
        v[1].scur = w->has.scur;
        v[1].slim = w->has.slim;
        v[1].lastchg = w->has.lastchg;
        hapdiff(&d, &(struct hap_stat){ v, 2 }, &got);
        simplify(strbuf_str(&got.commands), &text);
        if (strcmp(strbuf_str(&text), w->commands) != 0 || got.waiting != w->waiting || got.refused != w->refused)
            fail_msg("%s: \"%s\" waiting %u refused %u", w->name, strbuf_str(&text), got.waiting, got.refused);
        hapdiff_done(&got);
    }
}

/* A whole exchange: those that come are in before those that go are out. */
static void test_the_list_is_never_empty_in_between(void **state)
{
    (void)state;
    struct hap_row v[] = { { .proxy = "api", .server = "BACKEND", .kind = HAP_BACKEND }, server_row("api", "api.1"), server_row("api", "api.2"),
        server_row("api", "api.3"), server_row("api", "api.4") };
    v[3].maint = v[4].maint = true;
    struct upstream_server s[] = { { "api.2", A, 80, SRV_DRAIN }, { "api.3", A, 80, SRV_READY }, { "api.4", A, 80, SRV_READY }, { "api.9", A, 80, SRV_READY } };
    struct upstream u = { .service = "api", .slots = 9, .maxconn = 4, .servers = s, .server_n = 4 };
    struct balancer_desired d = { .upstreams = &u, .upstream_n = 1 };
    struct hapdiff got = { .n = 0 };
    hapdiff(&d, &(struct hap_stat){ v, 5 }, &got);
    assert_string_equal(strbuf_str(&got.commands), "set server api/api.3 state ready\nset server api/api.4 state ready\nset server api/api.2 state drain\n"
        "set server api/api.1 state maint\n");
    assert_int_equal(got.n, 4);
    assert_int_equal(got.missing, 1);           /* api.9: this HAProxy has four slots */
    hapdiff_done(&got);
}

static void test_a_service_that_is_not_wanted_any_more(void **state)
{
    (void)state;
    struct hap_row v[] = { { .proxy = "old", .server = "BACKEND", .kind = HAP_BACKEND }, server_row("old", "old.1"),
        { .proxy = "raw", .server = "BACKEND", .kind = HAP_BACKEND }, server_row("raw", "own") };
    struct balancer_desired d = { .upstream_n = 0 };
    struct hapdiff got = { .n = 0 };
    hapdiff(&d, &(struct hap_stat){ v, 4 }, &got);
    assert_string_equal(strbuf_str(&got.commands), "set server old/old.1 state maint\n");   /* the `raw` part's is not ours */
    hapdiff_done(&got);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_one_slot), cmocka_unit_test(test_the_list_is_never_empty_in_between),
        cmocka_unit_test(test_a_service_that_is_not_wanted_any_more) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
