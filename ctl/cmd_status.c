/* cmd_status.c - status, ps, top: one answer of musterd, three views. */
#include <errno.h>
#include <string.h>
#include "base/cleanup.h"
#include "ctl/jget.h"
#include "ctl/live.h"
#include "ctl/output.h"
#include "ctl/view_status.h"

enum { WATCH_MS = 1000 };

/* Keeps the named service only; -ENOENT if it is not there. */
static int keep_only(json_t *status, const char *name)
{
    json_t *kept = json_array(), *s;
    size_t i;
    json_array_foreach(json_object_get(status, "services"), i, s)
        if (strcmp(jget_str(s, "name"), name) == 0) json_array_append(kept, s);
    json_object_set_new(status, "services", kept);
    return json_array_size(kept) ? 0 : -ENOENT;
}

static int fetch(struct ctl *c, json_t **ret)
{
    struct err e = { "" };
    json_t *status = NULL;
    const char *service = c->args.pos_n ? c->args.pos[0] : NULL;
    int r = client_call(c->client, "GET", "/v1/status", NULL, &status, &e);
    if (r < 0) return ctl_call_failed(c, r, &e);
    if (service && keep_only(status, service) < 0) {
        json_decref(status);
        return ctl_service_failed(c, service, -ENOENT, &e);
    }
    *ret = status;
    return EXIT_DONE;
}

static int render(struct ctl *c, struct strbuf *out)
{
    enum output form;
    cleanup_json json_t *status = NULL;
    if (!output_form(c, &form)) return EXIT_USAGE;
    int r = fetch(c, &status);
    if (r != EXIT_DONE) return r;
    struct view_options o = { .wide = form == OUTPUT_WIDE };
    if (form == OUTPUT_JSON || form == OUTPUT_YAML) output_document(status, form, c->look.terminal, out);
    else if (strcmp(c->command->name, "ps") == 0) view_instances(status, &c->look, o, VIEW_AS_GIVEN, out);
    else view_status(status, &c->look, o, out);
    return EXIT_DONE;
}

int cmd_status(struct ctl *c)
{
    cleanup_strbuf struct strbuf out = STRBUF_INIT;
    if (args_has(&c->args, "watch")) return live_watch(c, WATCH_MS, render);
    int r = render(c, &out);
    if (r == EXIT_DONE) ctl_print(&out);
    return r;
}

int cmd_ps(struct ctl *c) { return cmd_status(c); }

static int render_top(struct ctl *c, struct strbuf *out)
{
    cleanup_json json_t *status = NULL;
    int r = fetch(c, &status);
    if (r != EXIT_DONE) return r;
    if (c->look.terminal) {
        strbuf_printf(out, "%smuster%s  ", look_begin(&c->look, COLOR_BOLD), look_end(&c->look, COLOR_BOLD));
        view_summary(status, out);
        strbuf_printf(out, "  %sq or Ctrl-C: leave%s\n\n", look_begin(&c->look, COLOR_DIM), look_end(&c->look, COLOR_DIM));
    }
    view_instances(status, &c->look, (struct view_options){ .brief = true }, VIEW_BY_CPU, out);
    return EXIT_DONE;
}

int cmd_top(struct ctl *c)
{
    cleanup_strbuf struct strbuf out = STRBUF_INIT;
    if (c->look.terminal && !args_has(&c->args, "once")) return live_watch(c, WATCH_MS, render_top);
    int r = render_top(c, &out);
    if (r == EXIT_DONE) ctl_print(&out);
    return r;
}
