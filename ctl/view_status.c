#include "ctl/view_status.h"
#include <string.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/num.h"
#include "ctl/escape.h"
#include "ctl/jget.h"
#include "ctl/table.h"
#include "ctl/view_words.h"

enum column { C_NAME, C_STATE, C_READY, C_PORT, C_PID, C_UP, C_RESTARTS, C_CPU, C_P95, C_MEM, C_REASON, C_COUNT };
static const struct table_column columns[C_COUNT] = {
    [C_NAME]     = { "NAME",     TABLE_KEEP, false, false },
    [C_STATE]    = { "STATE",    TABLE_KEEP, false, false },
    [C_READY]    = { "READY",    90, false, false },
    [C_PORT]     = { "PORT",     40, true,  false },
    [C_PID]      = { "PID",      30, true,  false },
    [C_UP]       = { "UP",       60, true,  false },
    [C_RESTARTS] = { "RESTARTS", 70, true,  false },
    [C_CPU]      = { "CPU",      50, true,  false },
    [C_P95]      = { "P95",      45, true,  false },     /* of the wide and the live view */
    [C_MEM]      = { "MEM",      20, true,  false },
    [C_REASON]   = { "REASON",   TABLE_KEEP, false, true },
};

void view_age(const char *rfc3339, int64_t now_ms, char *ret, size_t size)
{
    int64_t at;
    if (!*rfc3339 || clock_parse_rfc3339(rfc3339, &at) < 0) (void)snprintf(ret, size, "-");
    else num_human_age(now_ms > at ? now_ms - at : 0, ret, size);
}

static void cell_int(struct table *t, enum column c, long long v, long long none)
{
    if (v == none) table_cell(t, c, COLOR_NONE, "-");
    else table_cellf(t, c, COLOR_NONE, "%lld", v);
}

static void cell_cpu(struct table *t, double pct)
{
    if (isnan(pct)) table_cell(t, C_CPU, COLOR_NONE, "-");
    else table_cellf(t, C_CPU, COLOR_NONE, "%.0f%%", pct);
}

static void cell_memory(struct table *t, double bytes)
{
    char text[24] = "-";
    if (!isnan(bytes) && bytes >= 0) num_human_size((uint64_t)bytes, text, sizeof text);
    table_cell(t, C_MEM, COLOR_NONE, text);
}

static void cell_figure(struct table *t, size_t c, double v, const char *unit)
{
    if (isnan(v)) table_cell(t, c, COLOR_NONE, "-");
    else table_cellf(t, c, COLOR_NONE, v < 10 && v > 0 ? "%.1f%s" : "%.0f%s", v, unit);
}

static struct table *main_table(struct view_options o)
{
    struct table_column shown[C_COUNT];
    memcpy(shown, columns, sizeof shown);
    if (!o.wide && !o.brief) shown[C_P95].priority = 0;
    return table_new(shown, C_COUNT);
}

static void cell_state(struct table *t, const struct look *look, const char *state)
{
    cleanup_strbuf struct strbuf b = STRBUF_INIT;
    look_add_state(look, state, &b);
    table_cell(t, C_STATE, look_state_color(state), strbuf_str(&b));
}

/* "http://127.0.0.1:8080/" -> 8080; -1 if it says none. */
static long long url_port(const char *url)
{
    const char *host = strstr(url, "://"), *colon;
    uint64_t port;
    char digits[8] = "";
    if (!host || !(colon = strrchr(host + 3, ':'))) return -1;
    size_t n = strspn(colon + 1, "0123456789");
    if (n == 0 || n >= sizeof digits) return -1;
    memcpy(digits, colon + 1, n);
    return num_u64(digits, &port) == 0 ? (long long)port : -1;
}

static double sum_of(const json_t *instances, const char *key)
{
    double sum = NAN;
    size_t i;
    json_t *in;
    json_array_foreach(instances, i, in) {
        double v = jget_num(in, key);
        if (!isnan(v)) sum = isnan(sum) ? v : sum + v;
    }
    return sum;
}

static void instance_row(struct table *t, const struct look *look, const json_t *in, const char *indent)
{
    char up[16];
    char next[16];
    cleanup_free char *reason = view_words_reason(in);
    bool ready = jget_bool(in, "ready");
    view_age(jget_str(in, "started"), look->now_ms, up, sizeof up);
    table_row(t);
    table_cellf(t, C_NAME, COLOR_NONE, "%s%s", indent, jget_str(in, "name"));
    cell_state(t, look, jget_str(in, "state"));
    table_cell(t, C_READY, COLOR_NONE, ready ? "yes" : "no");
    cell_int(t, C_PORT, jget_int(in, "port", 0), 0);
    cell_int(t, C_PID, jget_int(in, "pid", 0), 0);
    table_cell(t, C_UP, COLOR_NONE, jget_int(in, "pid", 0) > 0 ? up : "-");
    cell_int(t, C_RESTARTS, jget_int(in, "restarts", -1), -1);
    cell_cpu(t, jget_num(in, "cpu_pct"));
    cell_figure(t, C_P95, jget_num(in, "p95_ms"), "ms");
    cell_memory(t, jget_num(in, "memory_bytes"));
    view_words_next_try(in, look->now_ms, next, sizeof next);
    if (*reason && *next) table_cellf(t, C_REASON, COLOR_NONE, "%s; next try %s%s", reason, strcmp(next, "now") == 0 ? "" : "in ", next);
    else table_cell(t, C_REASON, COLOR_NONE, *reason ? reason : ready ? jget_str(in, "text") : "");
}

static void service_row(struct table *t, const struct look *look, const json_t *s)
{
    const json_t *instances = json_object_get(s, "instances");
    cleanup_free char *reason = view_words_reason(s);
    long long ready = jget_int(s, "ready", 0), desired = jget_int(s, "desired", 0);
    table_row(t);
    table_cell(t, C_NAME, COLOR_BOLD, jget_str(s, "name"));
    cell_state(t, look, jget_str(s, "state"));
    table_cellf(t, C_READY, ready < desired ? COLOR_YELLOW : COLOR_NONE, "%lld/%lld", ready, desired);
    cell_int(t, C_PORT, url_port(jget_str(s, "url")), -1);
    table_cell(t, C_PID, COLOR_NONE, "-");
    table_cell(t, C_UP, COLOR_NONE, "-");
    cell_int(t, C_RESTARTS, isnan(sum_of(instances, "restarts")) ? -1 : (long long)sum_of(instances, "restarts"), -1);
    cell_cpu(t, sum_of(instances, "cpu_pct"));
    cell_figure(t, C_P95, jget_num(s, "p95_ms"), "ms");
    cell_memory(t, sum_of(instances, "memory_bytes"));
    if (*reason) table_cell(t, C_REASON, COLOR_NONE, reason);
    else if (jget_bool(s, "held")) table_cellf(t, C_REASON, COLOR_NONE, "held at %lld by `scale`", desired);
}

static void problem_lines(const json_t *status, const struct look *look, struct strbuf *out)
{
    size_t i;
    json_t *p, *b;
    json_array_foreach(json_object_get(status, "problems"), i, p) {
        cleanup_free char *text = escape_line(json_is_string(p) ? json_string_value(p) : "?");
        strbuf_printf(out, "%s! %s%s\n", look_begin(look, COLOR_RED), text, look_end(look, COLOR_RED));
    }
    json_array_foreach(json_object_get(status, "balancers"), i, b) {
        if (!*jget_str(b, "problem")) continue;
        cleanup_free char *name = escape_line(jget_str(b, "name")), *text = escape_line(jget_str(b, "problem"));
        strbuf_printf(out, "%s! balancer %s: %s%s\n", look_begin(look, COLOR_RED), name, text, look_end(look, COLOR_RED));
    }
}

static void traffic_table(const json_t *status, const struct look *look, struct strbuf *out)
{
    static const struct table_column traffic[] = {
        { "SERVICE", TABLE_KEEP, false, false }, { "REQ/S", 90, true, false }, { "ERR/S", 80, true, false }, { "IN-FLIGHT", 50, true, false },
        { "QUEUE", 60, true, false }, { "P50", 30, true, false }, { "P95", 85, true, false }, { "P99", 20, true, false }, { "URL", TABLE_KEEP, false, true } };
    static const char *const keys[] = { NULL, "rate", "error_rate", "in_flight", "queue", "p50_ms", "p95_ms", "p99_ms" };
    cleanup_table struct table *t = table_new(traffic, ARRAY_LEN(traffic));
    size_t i;
    json_t *s;
    json_array_foreach(json_object_get(status, "services"), i, s) {
        if (!*jget_str(s, "balancer")) continue;
        table_row(t);
        table_cell(t, 0, COLOR_BOLD, jget_str(s, "name"));
        for (size_t c = 1; c < ARRAY_LEN(keys); c++) cell_figure(t, c, jget_num(s, keys[c]), c >= 5 ? "ms" : "");
        table_cell(t, 8, COLOR_CYAN, jget_str(s, "url"));
    }
    if (table_rows(t) == 0) return;
    strbuf_putc(out, '\n');
    table_print(t, look, 0, out);
}

void view_summary(const json_t *status, struct strbuf *out)
{
    const json_t *services = json_object_get(status, "services");
    long long ready = 0, desired = 0;
    size_t i, n = json_array_size(services);
    json_t *s;
    json_array_foreach(services, i, s) ready += jget_int(s, "ready", 0), desired += jget_bool(s, "stopped") ? 0 : jget_int(s, "desired", 0);
    strbuf_printf(out, "%zu service%s, %lld of %lld instance%s ready", n, n == 1 ? "" : "s", ready, desired, desired == 1 ? "" : "s");
}

void view_status(const json_t *status, const struct look *look_in, struct view_options o, struct strbuf *out)
{
    struct look look = *look_in;
    const json_t *services = json_object_get(status, "services");
    size_t i, j;
    json_t *s, *in;
    if (o.wide) look.width = 0;
    problem_lines(status, &look, out);
    if (json_array_size(services) == 0) {
        if (o.brief) strbuf_puts(out, "No services.\n");
        else view_words_empty(out);
        return;
    }
    cleanup_table struct table *t = main_table(o);
    json_array_foreach(services, i, s) {
        service_row(t, &look, s);
        json_array_foreach(json_object_get(s, "instances"), j, in) instance_row(t, &look, in, "  ");
    }
    table_print(t, &look, o.rows_max, out);
    traffic_table(status, &look, out);
    if (o.brief) return;
    view_trouble(status, &look, out);
    view_words_advice(status, &look, out);
}

/* --- ps and top ------------------------------------------------------------------------------------ */
static int by_cpu(const void *a, const void *b)
{
    double x = jget_num(*(json_t *const *)a, "cpu_pct"), y = jget_num(*(json_t *const *)b, "cpu_pct");
    x = isnan(x) ? -1 : x, y = isnan(y) ? -1 : y;
    return x < y ? 1 : x > y ? -1 : strcmp(jget_str(*(json_t *const *)a, "name"), jget_str(*(json_t *const *)b, "name"));
}

void view_instances(const json_t *status, const struct look *look_in, struct view_options o, enum view_order order, struct strbuf *out)
{
    struct look look = *look_in;
    size_t i, j, n = 0, cap = 0;
    json_t *s, *in;
    cleanup_free json_t **all = NULL;
    if (o.wide) look.width = 0;
    problem_lines(status, &look, out);
    json_array_foreach(json_object_get(status, "services"), i, s) {
        json_array_foreach(json_object_get(s, "instances"), j, in) {
            if (n == cap) cap = cap ? 2 * cap : 64, all = xrealloc(all, cap * sizeof *all);
            all[n++] = in;
        }
    }
    if (n == 0) {
        if (json_array_size(json_object_get(status, "services")) == 0) view_words_empty(out);
        else strbuf_puts(out, "No instances. Next: `musterctl status` tells why; `musterctl start SERVICE` starts a stopped one.\n");
        return;
    }
    if (order == VIEW_BY_CPU) qsort(all, n, sizeof *all, by_cpu);
    cleanup_table struct table *t = main_table(o);
    for (i = 0; i < n; i++) instance_row(t, &look, all[i], "");
    table_print(t, &look, o.rows_max, out);
}
