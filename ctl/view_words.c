#include "ctl/view_words.h"
#include <string.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/num.h"
#include "ctl/escape.h"
#include "ctl/jget.h"
#include "ctl/utf8.h"
#include "ctl/view_status.h"

enum { TROUBLE_SHOWN = 5, LINES_SHOWN = 3 };

void view_words_empty(struct strbuf *out)
{
    strbuf_puts(out, "No services yet.\nNext: `musterctl apply -f muster.yaml`; `musterctl init` writes such a file for your app.\n");
}

bool view_words_in_trouble(const json_t *in)
{
    const char *state = jget_str(in, "state");
    if (strcmp(state, "backoff") == 0 || strcmp(state, "failed") == 0 || strcmp(state, "unready") == 0) return true;
    return strcmp(state, "starting") == 0 && jget_int(in, "fails", 0) > 0;      /* a first start that waits for its port is no trouble */
}

char *view_words_reason(const json_t *in)
{
    char *text = escape_line(jget_str(in, "reason")), *next = strstr(text, "next try in ");
    if (!next) return text;
    while (next > text && strchr(" ,;", next[-1])) next--;
    *next = '\0';
    return text;
}

void view_words_next_try(const json_t *in, int64_t now_ms, char *ret, size_t size)
{
    const char *next = jget_str(in, "next_try");
    int64_t at;
    (void)snprintf(ret, size, "%s", "");
    if (!*next || clock_parse_rfc3339(next, &at) < 0) return;
    if (at <= now_ms) (void)snprintf(ret, size, "now");
    else num_human_age(at - now_ms + 999, ret, size);
}

static void add_next_try(const json_t *in, const struct look *look, struct strbuf *out)
{
    char when[16];
    view_words_next_try(in, look->now_ms, when, sizeof when);
    if (*when) strbuf_printf(out, "    next try: %s%s\n", strcmp(when, "now") == 0 ? "" : "in ", when);
}

/* Behind the timestamp, if the line begins with one: the last lines are recent anyway, and room is scarce. */
static const char *skip_timestamp(const char *line)
{
    char stamp[40] = "";
    int64_t ms;
    size_t n = strcspn(line, " ");
    if (n < 20 || n >= sizeof stamp || !line[n]) return line;
    memcpy(stamp, line, n);
    return clock_parse_rfc3339(stamp, &ms) == 0 ? line + n + 1 : line;
}

/* Log lines are cut to the width rather than wrapped by the terminal: their place here is a glance, the whole is in the log. */
static void add_last_lines(const json_t *in, const struct look *look, struct strbuf *out)
{
    const json_t *lines = json_object_get(in, "last_lines");
    size_t n = json_array_size(lines), from = n > LINES_SHOWN ? n - LINES_SHOWN : 0;
    if (n) strbuf_puts(out, "    last lines of its log:\n");
    for (size_t i = from; i < n; i++) {
        const char *line = json_string_value(json_array_get(lines, i));
        cleanup_free char *text = escape_line(line ? skip_timestamp(line) : "");
        size_t room = look->width > 8 ? look->width - 7 : 0, fit = room ? utf8_fit(text, room) : strlen(text);
        strbuf_printf(out, "    %s|%s %.*s%s\n", look_begin(look, COLOR_DIM), look_end(look, COLOR_DIM), (int)fit, text, text[fit] ? look_ellipsis(look) : "");
    }
}

static void add_trouble(const json_t *in, const struct look *look, struct strbuf *out)
{
    cleanup_free char *name = escape_line(jget_str(in, "name")), *reason = view_words_reason(in);
    cleanup_free char *exit = escape_line(jget_str(in, "last_exit")), *log = escape_line(jget_str(in, "log"));
    const char *state = jget_str(in, "state");
    enum color color = look_state_color(state);
    const char *symbol = look_state_symbol(look, state);
    strbuf_printf(out, "\n  %s%s%s%s %s%s", look_begin(look, color), symbol, *symbol ? " " : "", name, state, look_end(look, color));
    if (*reason) strbuf_printf(out, ": %s", reason);
    strbuf_putc(out, '\n');
    if (*exit && !strstr(reason, exit)) strbuf_printf(out, "    last exit: %s\n", exit);
    add_next_try(in, look, out);
    add_last_lines(in, look, out);
    if (*log) strbuf_printf(out, "    log: %s\n", log);
}

void view_trouble(const json_t *status, const struct look *look, struct strbuf *out)
{
    size_t i, j, n = 0;
    json_t *s, *in;
    json_array_foreach(json_object_get(status, "services"), i, s) {
        json_array_foreach(json_object_get(s, "instances"), j, in) {
            if (!view_words_in_trouble(in)) continue;
            if (n++ < TROUBLE_SHOWN) add_trouble(in, look, out);
        }
    }
    if (n > TROUBLE_SHOWN) strbuf_printf(out, "\n  (%zu more in trouble; `musterctl status SERVICE` shows one service)\n", n - TROUBLE_SHOWN);
}

static const json_t *first_in_state(const json_t *services, const char *state)
{
    size_t i;
    json_t *s;
    json_array_foreach(services, i, s)
        if (strcmp(jget_str(s, "state"), state) == 0) return s;
    return NULL;
}

static const char *first_url(const json_t *services)
{
    size_t i;
    json_t *s;
    json_array_foreach(services, i, s)
        if (*jget_str(s, "url")) return jget_str(s, "url");
    return "";
}

/* One sentence on how it stands, one on what to do: the most pressing only. */
void view_words_advice(const json_t *status, const struct look *look, struct strbuf *out)
{
    const json_t *services = json_object_get(status, "services"), *s;
    cleanup_free char *url = escape_line(first_url(services));
    bool calm = !first_in_state(services, "paused") && !first_in_state(services, "degraded") && !first_in_state(services, "rolling");
    strbuf_printf(out, "\n%s", look_begin(look, calm ? COLOR_GREEN : COLOR_YELLOW));
    view_summary(status, out);
    strbuf_printf(out, ".%s\n", look_end(look, COLOR_GREEN));
    if ((s = first_in_state(services, "paused"))) {
        cleanup_free char *name = escape_line(jget_str(s, "name"));
        strbuf_printf(out, "The new revision of %s does not become healthy; the old one serves on.\n"
                           "Next: `musterctl logs %s`, repair, `musterctl apply -f FILE` again.\n", name, name);
    } else if ((s = first_in_state(services, "degraded"))) {
        cleanup_free char *name = escape_line(jget_str(s, "name"));
        strbuf_printf(out, "Next: `musterctl logs -n 50 %s`, `musterctl events`.\n", name);
    } else if (first_in_state(services, "rolling")) {
        strbuf_puts(out, "Next: `musterctl status --watch` follows the change.\n");
    } else if ((s = first_in_state(services, "stopped"))) {
        cleanup_free char *name = escape_line(jget_str(s, "name"));
        strbuf_printf(out, "Next: `musterctl start %s` starts it again.\n", name);
    } else if (*url) {
        strbuf_printf(out, "Try: curl %s   More: `musterctl top`, `musterctl logs -f`\n", url);
    } else {
        strbuf_puts(out, "More: `musterctl top`, `musterctl logs -f`, `musterctl events`\n");
    }
}
