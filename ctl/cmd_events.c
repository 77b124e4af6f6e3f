/* cmd_events.c - events and explain. */
#include <errno.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/num.h"
#include "ctl/jget.h"
#include "ctl/output.h"
#include "ctl/view_event.h"

enum { EVENTS_SHOWN = 30, EVENTS_MAX = 4096, DECISIONS_SHOWN = 10, DECISIONS_MAX = 100 };

/* From --lines; 0: told already. */
static uint64_t lines_option(const struct ctl *c, uint64_t otherwise, uint64_t max)
{
    const char *s = args_get(&c->args, "lines");
    uint64_t n = otherwise;
    if (s && (num_u64(s, &n) < 0 || n == 0 || n > max)) {
        ctl_fail(0, "--lines: `%s` is not a number from 1 to %llu", s, (unsigned long long)max);
        return 0;
    }
    return n;
}

static bool is_about(const json_t *event, const char *service)
{
    const char *subject = jget_str(event, "subject");
    size_t n = strlen(service);
    return strncmp(subject, service, n) == 0 && (!subject[n] || subject[n] == '.');
}

static void add_event(struct ctl *c, const json_t *ev, enum output form, struct strbuf *out)
{
    if (form == OUTPUT_JSON) {
        cleanup_free char *text = json_dumps(ev, JSON_COMPACT | (c->look.terminal ? JSON_ENSURE_ASCII : 0));
        strbuf_printf(out, "%s\n", text ? text : "{}");
    } else {
        view_event_line(ev, &c->look, form == OUTPUT_WIDE, out);
    }
}

/* Prints what matches of one answer; the last `most` of it. Gives how many it printed, and the last seq in *seq. */
static size_t print_events(struct ctl *c, const json_t *answer, const char *service, size_t most, enum output form, long long *seq)
{
    cleanup_strbuf struct strbuf out = STRBUF_INIT;
    const json_t *events = json_object_get(answer, "events");
    size_t i, matching = 0, printed = 0;
    json_t *ev;
    json_array_foreach(events, i, ev) matching += !service || is_about(ev, service);
    size_t skip = matching > most ? matching - most : 0;
    json_array_foreach(events, i, ev) {
        *seq = jget_int(ev, "seq", *seq);
        if (service && !is_about(ev, service)) continue;
        if (skip > 0) {
            skip--;
            continue;
        }
        add_event(c, ev, form, &out);
        printed++;
    }
    ctl_print(&out);
    return printed;
}

static int follow(struct ctl *c, const char *service, enum output form, long long seq)
{
    for (;;) {
        struct err e = { "" };
        cleanup_json json_t *answer = NULL;
        cleanup_free char *path = xasprintf("/v1/events?after=%lld&limit=500&wait=20", seq);
        int r = client_call(c->client, "GET", path, NULL, &answer, &e);
        if (r < 0) return ctl_call_failed(c, r, &e);
        print_events(c, answer, service, EVENTS_MAX, form, &seq);
    }
}

int cmd_events(struct ctl *c)
{
    const char *service = c->args.pos_n ? c->args.pos[0] : NULL;
    uint64_t n = lines_option(c, EVENTS_SHOWN, EVENTS_MAX);
    enum output form;
    struct err e = { "" };
    long long seq = 0;
    if (n == 0 || !output_form(c, &form)) return EXIT_USAGE;
    cleanup_json json_t *answer = NULL;
    cleanup_free char *path = xasprintf("/v1/events?limit=%llu", (unsigned long long)(service ? EVENTS_MAX : n));
    int r = client_call(c->client, "GET", path, NULL, &answer, &e);
    if (r < 0) return ctl_call_failed(c, r, &e);
    size_t printed = print_events(c, answer, service, n, form, &seq);
    if (args_has(&c->args, "follow")) return follow(c, service, form, seq);
    if (printed == 0 && form != OUTPUT_JSON) {
        cleanup_free char *of = service ? xasprintf(" of %s", service) : xstrdup("");
        fprintf(stderr, "No events%s yet. Next: `musterctl status` shows what there is.\n", of);
    }
    return EXIT_DONE;
}

int cmd_explain(struct ctl *c)
{
    const char *service = c->args.pos[0];
    uint64_t n = lines_option(c, DECISIONS_SHOWN, DECISIONS_MAX);
    enum output form;
    struct err e = { "" };
    if (n == 0 || !output_form(c, &form)) return EXIT_USAGE;
    if (!ctl_is_name(service)) return ctl_service_failed(c, service, -ENOENT, &e);
    cleanup_json json_t *answer = NULL;
    cleanup_strbuf struct strbuf out = STRBUF_INIT;
    cleanup_free char *path = xasprintf("/v1/services/%s/explain?n=%llu", service, (unsigned long long)n);
    int r = client_call(c->client, "GET", path, NULL, &answer, &e);
    if (r < 0) return ctl_service_failed(c, service, r, &e);
    if (form == OUTPUT_JSON || form == OUTPUT_YAML) output_document(answer, form, c->look.terminal, &out);
    else view_explain(answer, &c->look, &out);
    ctl_print(&out);
    return EXIT_DONE;
}
