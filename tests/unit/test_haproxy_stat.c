/* `show stat` and `show servers state` (agent/haproxy_stat.h). */
#include <errno.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include "agent/haproxy_stat.h"
#include "base/cleanup.h"
#include "base/strbuf.h"

static const char csv[] =
    "# pxname,svname,qcur,qmax,scur,slim,stot,status,econ,eresp,hrsp_5xx,req_tot,lastchg,check_status,last_chk,addr,\n"
    "_muster,FRONTEND,,,3,9982,20,OPEN,,,0,21,,,,,\n"
    "api,api.10,0,0,1,4,7,UP 1/3,0,2,1,,12,L4OK,\"a, \"\"b\"\" c\",127.0.0.1:20010,\n"
    "api,api.2,1,0,0,4,9,MAINT,0,0,0,,3,,,[::1]:20002,\n"
    "api,api.3,0,0,2,4,9,DOWN,0,0,0,,3,,,::1:20003,\n"
    "api,BACKEND,5,9,6,999,16,UP,0,2,1,16,,,,,\n";
static const char states[] =
    "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_check_state srv_port x\n"
    "4 api 1 api.10 127.0.0.1 2 4 6 20010 -\n"
    "4 api 2 api.2 ::1 0 5 14 20002 -\n"
    "4 api 3 api.3 ::1 0 12 2 20003 -\n"
    "4 api 3 api.99 ::1 0 12 2 20003 -\n"
    "4 other 3 api.3 ::1 0 0 2 1 -\n"
    "garbage\n";

static void test_table(void **state)
{
    struct hap_stat s;
    (void)state;
    assert_int_equal(hap_stat_parse(csv, strlen(csv), &s), 0);
    assert_int_equal(s.n, 5);
    const struct hap_row *b = hap_stat_find(&s, "api", HAP_BACKEND, NULL), *r = hap_stat_find(&s, "api", HAP_SERVER, "api.10");
    assert_non_null(b);
    assert_non_null(r);
    assert_int_equal(b->qcur, 5);
    assert_int_equal(b->req_tot, 16);
    assert_int_equal(b->wretr, -1);             /* no such column here */
    assert_int_equal(r->req_tot, -1);           /* empty */
    assert_int_equal(r->scur, 1);
    assert_int_equal(r->eresp, 2);
    assert_string_equal(r->status, "UP 1/3");
    assert_string_equal(r->check, "L4OK");
    assert_string_equal(r->address, "127.0.0.1");
    assert_int_equal(r->port, 20010);
    r = hap_stat_find(&s, "api", HAP_SERVER, "api.2");
    assert_string_equal(r->address, "::1");
    assert_int_equal(r->port, 20002);
    assert_true(r->maint);
    assert_null(hap_stat_find(&s, "api", HAP_SERVER, "api.4"));
    assert_null(hap_stat_find(&s, "api", HAP_FRONTEND, NULL));
    hap_stat_done(&s);
}

static void test_states(void **state)
{
    static const struct { const char *server; bool maint, drain, up, check_on; } rows[] = {
        { "api.10", false, false, true, true }, { "api.2", true, false, false, true }, { "api.3", false, true, false, false },
    };
    struct hap_stat s;
    (void)state;
    assert_int_equal(hap_stat_parse(csv, strlen(csv), &s), 0);
    assert_int_equal(hap_stat_add_states(&s, states, strlen(states)), 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct hap_row *r = hap_stat_find(&s, "api", HAP_SERVER, rows[i].server);
        assert_true(r->has_state);
        if (r->maint != rows[i].maint || r->drain != rows[i].drain || r->up != rows[i].up || r->check_on != rows[i].check_on)
            fail_msg("%s", rows[i].server);
    }
    hap_stat_done(&s);
}

static void test_what_is_no_table(void **state)
{
    static const char *const bad[] = { "", "\n\n", "Unknown command\n", "# pxname,other\na,b\n", "# svname\nx\n" };
    struct hap_stat s = { (void *)1, 7 };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(hap_stat_parse(bad[i], strlen(bad[i]), &s), -EBADMSG);
    assert_true(s.n == 7 && s.v == (void *)1);
    assert_int_equal(hap_stat_parse("# pxname,svname\n,\nx\ny,\n\"", 24, &s), 0);
    assert_int_equal(s.n, 0);
    assert_int_equal(hap_stat_add_states(&s, "no header\n", 10), -EBADMSG);
    hap_stat_done(&s);
}

/* A cell that is longer than any of ours: a name costs its row, anything else is cut, and the next cells are read as ever. */
static void test_long_cells(void **state)
{
    static const size_t lengths[] = { 23, 24, 62, 63, 64, 78, 79, 80, 81, 158, 159, 160, 161, 5000 };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++)
        for (int quoted = 0; quoted < 2; quoted++) {
            cleanup_strbuf struct strbuf b = STRBUF_INIT;
            cleanup_free char *x = xmalloc(lengths[i] + 1);
            memset(x, 'x', lengths[i]);
            x[lengths[i]] = '\0';
            const char *q = quoted ? "\"" : "";
            strbuf_printf(&b, "# pxname,svname,status,scur\napi,api.1,%s%s%s,7\napi,%s%s%s,UP,8\n", q, x, q, q, x, q);
            struct hap_stat s;
            assert_int_equal(hap_stat_parse(b.s, b.len, &s), 0);
            const struct hap_row *r = hap_stat_find(&s, "api", HAP_SERVER, "api.1");
            assert_non_null(r);
            assert_int_equal(r->scur, 7);
            assert_true(strlen(r->status) < sizeof r->status && strspn(r->status, "x") == strlen(r->status));
            assert_int_equal(s.n, lengths[i] < sizeof r->server ? 2 : 1);
            hap_stat_done(&s);
        }
}

static void test_too_many_rows(void **state)
{
    cleanup_strbuf struct strbuf b = STRBUF_INIT;
    struct hap_stat s;
    (void)state;
    strbuf_puts(&b, "# pxname,svname\n");
    for (int i = 0; i <= HAP_ROWS_MAX; i++)
        strbuf_puts(&b, "a,b\n");
    assert_int_equal(hap_stat_parse(b.s, b.len, &s), -E2BIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_table), cmocka_unit_test(test_states), cmocka_unit_test(test_what_is_no_table),
        cmocka_unit_test(test_too_many_rows), cmocka_unit_test(test_long_cells) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
