#include "ctl/view_event.h"
#include <string.h>
#include <time.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "ctl/escape.h"
#include "ctl/jget.h"
#include "ctl/view_status.h"

static void add_time(const char *rfc3339, bool utc, struct strbuf *out)
{
    int64_t ms;
    struct tm tm;
    time_t s;
    char text[16];
    if (clock_parse_rfc3339(rfc3339, &ms) < 0) {
        strbuf_puts(out, "--:--:--");
        return;
    }
    if (utc) {
        strbuf_puts(out, rfc3339);
        return;
    }
    s = (time_t)(ms / 1000);
    if (!localtime_r(&s, &tm) || strftime(text, sizeof text, "%H:%M:%S", &tm) == 0) return;
    strbuf_puts(out, text);
}

static enum color level_color(const json_t *event)
{
    const char *level = jget_str(event, "level");
    if (strcmp(level, "error") == 0) return COLOR_RED;
    if (strcmp(level, "warning") == 0) return COLOR_YELLOW;
    return strcmp(jget_str(event, "kind"), "ready") == 0 ? COLOR_GREEN : COLOR_NONE;
}

void view_event_line(const json_t *event, const struct look *look, bool utc, struct strbuf *out)
{
    cleanup_free char *subject = escape_line(jget_str(event, "subject")), *kind = escape_line(jget_str(event, "kind"));
    cleanup_free char *text = escape_line(jget_str(event, "text"));
    enum color color = level_color(event);
    strbuf_puts(out, look_begin(look, COLOR_DIM));
    add_time(jget_str(event, "time"), utc, out);
    strbuf_printf(out, "%s %s%s%s", look_end(look, COLOR_DIM), look_begin(look, COLOR_BOLD), *subject ? subject : "muster", look_end(look, COLOR_BOLD));
    strbuf_printf(out, " %s%s", look_begin(look, color), kind);
    /* Texts that begin with their kind's word ("ready after 1.2s") are not told twice. */
    if (strncmp(text, kind, strlen(kind)) == 0 && (text[strlen(kind)] == ' ' || !text[strlen(kind)])) strbuf_puts(out, text + strlen(kind));
    else if (*text) strbuf_printf(out, " %s", text);
    strbuf_printf(out, "%s\n", look_end(look, color));
}

void view_diff(const char *diff, const struct look *look, struct strbuf *out)
{
    for (const char *end; *diff; diff = *end ? end + 1 : end) {
        end = diff + strcspn(diff, "\n");
        cleanup_free char *raw = xstrndup(diff, (size_t)(end - diff)), *line = escape_line(raw);
        char sign = line[strspn(line, " ")];
        enum color c = sign == '+' ? COLOR_GREEN : sign == '-' ? COLOR_RED : sign == '~' ? COLOR_YELLOW : COLOR_NONE;
        strbuf_printf(out, "%s%s%s\n", look_begin(look, c), line, look_end(look, c));
    }
}

/* --- explain ---------------------------------------------------------------------------------------- */
static void add_figure(double v, struct strbuf *out)
{
    if (isnan(v)) strbuf_puts(out, "unknown");
    else strbuf_printf(out, v == floor(v) || fabs(v) >= 100 ? "%.0f" : "%.1f", v);
}

/* "cpu: 81 (target 60) -> 4 instances; 1 without a figure; within tolerance" */
static void add_rule(const json_t *rule, const struct look *look, struct strbuf *out)
{
    cleanup_free char *metric = escape_line(jget_str(rule, "metric")), *verdict = escape_line(jget_str(rule, "verdict"));
    double quantile = jget_num(rule, "quantile");
    long long missing = jget_int(rule, "missing", 0), proposal = jget_int(rule, "proposal", 0);
    bool ok = strcmp(verdict, "ok") == 0;
    strbuf_printf(out, "      %s%s", look_begin(look, ok ? COLOR_NONE : COLOR_DIM), metric);
    if (!isnan(quantile) && quantile > 0) strbuf_printf(out, " p%g", quantile * 100);
    strbuf_puts(out, ": ");
    add_figure(jget_num(rule, "value"), out);
    strbuf_puts(out, " (target ");
    add_figure(jget_num(rule, "target"), out);
    strbuf_printf(out, ") -> %lld instance%s", proposal, proposal == 1 ? "" : "s");
    if (missing > 0) strbuf_printf(out, "; %lld without a figure", missing);
    if (!ok) strbuf_printf(out, "; %s", verdict);
    strbuf_printf(out, "%s\n", look_end(look, ok ? COLOR_NONE : COLOR_DIM));
}

static void add_decision(const json_t *d, const struct look *look, struct strbuf *out)
{
    cleanup_free char *text = escape_line(jget_str(d, "text"));
    char age[16];
    size_t i;
    json_t *x;
    view_age(jget_str(d, "time"), look->now_ms, age, sizeof age);
    long long from = jget_int(d, "current", 0), to = jget_int(d, "desired", 0);
    strbuf_printf(out, "\n  %s ago  ", age);
    if (json_is_number(json_object_get(d, "desired"))) strbuf_printf(out, "%s%lld -> %lld%s  ", look_begin(look, COLOR_BOLD), from, to, look_end(look, COLOR_BOLD));
    strbuf_printf(out, "%s\n", text);
    json_array_foreach(json_object_get(d, "rules"), i, x) add_rule(x, look, out);
    if (json_array_size(json_object_get(d, "clamps")) == 0) return;
    strbuf_puts(out, "      limited by:");
    json_array_foreach(json_object_get(d, "clamps"), i, x) {
        cleanup_free char *c = escape_line(json_is_string(x) ? json_string_value(x) : "?");
        strbuf_printf(out, "%s %s", i ? "," : "", c);
    }
    strbuf_putc(out, '\n');
}

void view_explain(const json_t *answer, const struct look *look, struct strbuf *out)
{
    cleanup_free char *name = escape_line(jget_str(answer, "name")), *state = escape_line(jget_str(answer, "state"));
    cleanup_free char *reason = escape_line(jget_str(answer, "reason"));
    const json_t *decisions = json_object_get(answer, "decisions");
    size_t i;
    json_t *d;
    strbuf_printf(out, "%s%s%s is ", look_begin(look, COLOR_BOLD), name, look_end(look, COLOR_BOLD));
    strbuf_printf(out, "%s%s%s; wanted: %lld", look_begin(look, look_state_color(state)), state, look_end(look, look_state_color(state)), jget_int(answer, "desired", 0));
    strbuf_printf(out, " instance%s", jget_int(answer, "desired", 0) == 1 ? "" : "s");
    strbuf_printf(out, *reason ? ". %s\n" : ".%s\n", reason);
    if (json_array_size(decisions) == 0)
        strbuf_puts(out, "No decision was taken yet. With `instances: { min: 2, max: 6 }` and `scale: { on: [ { cpu: 60% } ] }` muster scales it.\n");
    else strbuf_puts(out, "Last decisions, newest first:\n");
    json_array_foreach(decisions, i, d) add_decision(d, look, out);
}
