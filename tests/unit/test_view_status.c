/* The views, from fixed samples at several widths, against kept files; and what must hold for any width. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "golden.h"
#include "base/clock.h"
#include "ctl/jget.h"
#include "ctl/live.h"
#include "ctl/utf8.h"
#include "ctl/view_status.h"
#include "ctl/wait.h"

static const char *const samples[] = { "empty", "ready", "rolling", "failing", "paused", "stopped", "many" };
static const size_t widths[] = { 60, 80, 120, 200 };

static struct look look_at(size_t width)
{
    struct look l = { .width = width, .height = 24, .symbols = true, .utf8 = true };
    assert_int_equal(clock_parse_rfc3339("2026-11-25T12:00:00.000Z", &l.now_ms), 0);
    return l;
}

static void render(const char *sample, struct look l, struct view_options o, struct strbuf *out)
{
    cleanup_json json_t *j = golden_sample(sample);
    view_status(j, &l, o, out);
}

static void status_is_as_kept(void **state)
{
    (void)state;
    for (size_t w = 0; w < ARRAY_LEN(widths); w++) {
        cleanup_strbuf struct strbuf all = STRBUF_INIT;
        cleanup_free char *name = xasprintf("status-%zu.txt", widths[w]);
        for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
            strbuf_printf(&all, "=== %s\n", samples[i]);
            render(samples[i], look_at(widths[w]), (struct view_options){ 0 }, &all);
        }
        golden_check(name, &all);
    }
}

static void other_views_are_as_kept(void **state)
{
    (void)state;
    cleanup_strbuf struct strbuf ps = STRBUF_INIT, wide = STRBUF_INIT, color = STRBUF_INIT, live = STRBUF_INIT, piped = STRBUF_INIT;
    cleanup_json json_t *j = golden_sample("failing"), *many = golden_sample("many"), *ready = golden_sample("ready");
    struct look l = look_at(80);
    view_instances(ready, &l, (struct view_options){ 0 }, VIEW_AS_GIVEN, &ps);
    view_instances(many, &l, (struct view_options){ .rows_max = 5 }, VIEW_BY_CPU, &ps);
    golden_check("ps-80.txt", &ps);
    render("failing", l, (struct view_options){ .wide = true }, &wide);
    golden_check("status-wide.txt", &wide);
    l.color = true;
    view_status(j, &l, (struct view_options){ 0 }, &color);
    golden_check("status-color.txt", &color);
    l.color = l.symbols = false;
    view_status(j, &l, (struct view_options){ 0 }, &piped);
    golden_check("status-piped.txt", &piped);
    l = look_at(80);
    cleanup_json json_t *events = json_loads("[{\"seq\":1,\"time\":\"2026-11-25T11:59:58.000Z\",\"level\":\"notice\",\"kind\":\"scaled\",\"subject\":\"api\",\"text\":\"2 -> 4\"},"
                                             "{\"seq\":2,\"time\":\"2026-11-25T11:59:59.000Z\",\"level\":\"info\",\"kind\":\"ready\",\"subject\":\"api.3\",\"text\":\"ready after 1.2s\"}]", 0, NULL);
    live_render(many, events, &l, "muster  1 service", &live);
    golden_check("live-80x24.txt", &live);
}

static void no_line_is_wider_than_the_width(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        for (size_t width = 40; width <= 210; width++) {
            cleanup_strbuf struct strbuf out = STRBUF_INIT;
            render(samples[i], look_at(width), (struct view_options){ .brief = true }, &out);   /* sentences and paths outside of tables may wrap */
            char *save = NULL;
            for (char *line = strtok_r(out.s, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
                if (line[0] == '!') continue;
                if (utf8_columns(line) > width) fail_msg("%s at %zu: %zu columns: %s", samples[i], width, utf8_columns(line), line);
            }
        }
    }
}

static void reason_is_never_dropped(void **state)
{
    (void)state;
    for (size_t width = 40; width <= 210; width++) {
        cleanup_strbuf struct strbuf out = STRBUF_INIT;
        render("failing", look_at(width), (struct view_options){ .brief = true }, &out);
        assert_non_null(strstr(out.s, "REASON"));
        assert_non_null(strstr(out.s, "exit"));
    }
}

static void plain_output_has_no_escape_byte_whatever_instances_print(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        cleanup_strbuf struct strbuf out = STRBUF_INIT;
        render(samples[i], look_at(80), (struct view_options){ 0 }, &out);
        assert_null(memchr(out.s, '\033', out.len));
        assert_null(memchr(out.s, '\a', out.len));
    }
}

static void live_never_exceeds_the_screen(void **state)
{
    (void)state;
    cleanup_json json_t *many = golden_sample("many"), *events = json_array();
    for (int i = 0; i < 40; i++) json_array_append_new(events, json_pack("{s:i,s:s,s:s,s:s}", "seq", i, "kind", "ready", "subject", "api.1", "text", "x"));
    for (size_t height = 4; height < 60; height++) {
        cleanup_strbuf struct strbuf out = STRBUF_INIT;
        struct look l = look_at(70);
        l.height = height;
        live_render(many, events, &l, "title", &out);
        size_t lines = 1;
        for (size_t i = 0; i < out.len; i++) lines += out.s[i] == '\n';
        assert_true(lines <= height);
        if (height >= 24) assert_non_null(strstr(out.s, "URL"));      /* the traffic table stays when rows of instances go */
    }
}

/* --- is it there yet? ---------------------------------------------------------------------------------- */
static void waiting_ends_when_it_should(void **state)
{
    (void)state;
    static const struct { const char *sample, *service; enum wait_verdict want; } rows[] = {
        { "empty", NULL, WAIT_DONE },     { "ready", NULL, WAIT_DONE },      { "ready", "api", WAIT_DONE },      { "rolling", NULL, WAIT_ON },
        { "failing", "api", WAIT_BAD },   { "failing", "worker", WAIT_ON },  { "failing", NULL, WAIT_BAD },      { "paused", NULL, WAIT_BAD },
        { "stopped", NULL, WAIT_DONE },   { "ready", "gone", WAIT_DONE },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        cleanup_json json_t *j = golden_sample(rows[i].sample);
        cleanup_strbuf struct strbuf why = STRBUF_INIT;
        enum wait_verdict got = wait_judge(j, rows[i].service, &why);
        if (got != rows[i].want) fail_msg("%s %s: got %d", rows[i].sample, rows[i].service ? rows[i].service : "all", (int)got);
        assert_int_equal(why.len > 0, got != WAIT_DONE);
    }
}

static void waiting_minds_the_balancers(void **state)
{
    (void)state;
    static const struct { const char *balancers, *service; enum wait_verdict want; } rows[] = {
        { "[]", NULL, WAIT_DONE }, { "[{\"name\": \"edge\"}]", NULL, WAIT_DONE },        /* of a musterd that does not tell */
        { "[{\"name\": \"edge\", \"applied\": true, \"problem\": \"\"}]", NULL, WAIT_DONE },
        { "[{\"name\": \"edge\", \"applied\": false, \"problem\": \"\"}]", NULL, WAIT_ON },
        { "[{\"name\": \"edge\", \"applied\": false, \"problem\": \"port taken\"}]", NULL, WAIT_BAD },
        { "[{\"name\": \"edge\", \"applied\": true, \"problem\": \"raw refused\"}]", NULL, WAIT_BAD },
        { "[{\"name\": \"edge\", \"applied\": false, \"problem\": \"port taken\"}]", "api", WAIT_DONE },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        cleanup_json json_t *j = golden_sample("ready");
        cleanup_strbuf struct strbuf why = STRBUF_INIT;
        json_object_set_new(j, "balancers", json_loads(rows[i].balancers, 0, NULL));
        assert_int_equal(wait_judge(j, rows[i].service, &why), rows[i].want);
        assert_int_equal(why.len > 0, rows[i].want != WAIT_DONE);
    }
}

static void waiting_goes_on_for_old_revisions_and_missing_instances(void **state)
{
    (void)state;
    cleanup_json json_t *j = golden_sample("ready");
    json_t *api = json_array_get(json_object_get(j, "services"), 0), *first = json_array_get(json_object_get(api, "instances"), 0);
    json_object_set_new(api, "desired", json_integer(5));
    assert_int_equal(wait_judge(j, NULL, NULL), WAIT_ON);
    json_object_set_new(api, "desired", json_integer(4));
    json_object_set_new(first, "revision", json_integer(6));
    assert_int_equal(wait_judge(j, NULL, NULL), WAIT_ON);
    json_object_set_new(first, "state", json_string("failed"));             /* an old one that failed says nothing of the new */
    assert_int_equal(wait_judge(j, NULL, NULL), WAIT_ON);
    json_object_set_new(first, "revision", json_integer(7));
    assert_int_equal(wait_judge(j, NULL, NULL), WAIT_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_is_as_kept),
        cmocka_unit_test(other_views_are_as_kept),
        cmocka_unit_test(no_line_is_wider_than_the_width),
        cmocka_unit_test(reason_is_never_dropped),
        cmocka_unit_test(plain_output_has_no_escape_byte_whatever_instances_print),
        cmocka_unit_test(live_never_exceeds_the_screen),
        cmocka_unit_test(waiting_ends_when_it_should),
        cmocka_unit_test(waiting_minds_the_balancers), cmocka_unit_test(waiting_goes_on_for_old_revisions_and_missing_instances),
    };
    setenv("TZ", "UTC", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
