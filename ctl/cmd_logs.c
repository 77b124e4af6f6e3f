#include <errno.h>
#include <string.h>
#include <time.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/num.h"
#include "ctl/command.h"
#include "ctl/escape.h"
#include "ctl/logset.h"

enum { LINES_SHOWN = 100, LINES_MAX = 1000000, POLL_MS = 100, RESCAN_POLLS = 10 };

struct kept { size_t index; char *text; size_t len; };
struct view {
    const struct look *look;
    const struct logset *set;
    bool prefix;
    int64_t since_ms;           /* INT64_MIN: all */
    struct kept *ring; size_t ring_size, ring_first, ring_n;   /* the last N over all logs; size 0: print at once */
};

static void print_line(const struct view *v, size_t index, const char *line, size_t len)
{
    static const enum color colors[] = { COLOR_CYAN, COLOR_YELLOW, COLOR_GREEN, COLOR_MAGENTA, COLOR_BLUE };
    cleanup_strbuf struct strbuf out = STRBUF_INIT;
    if (v->prefix) {
        enum color c = colors[index % ARRAY_LEN(colors)];
        strbuf_printf(&out, "%s%-*s |%s ", look_begin(v->look, c), (int)logset_widest(v->set), logset_name(v->set, index), look_end(v->look, c));
    }
    if (v->look->terminal) escape_bytes(line, len, &out);
    else strbuf_add(&out, line, len);
    strbuf_putc(&out, '\n');
    if (fwrite(out.s, 1, out.len, stdout) != out.len) exit(EXIT_FAILED);
}

static void take_line(void *arg, size_t index, const char *name, int64_t time_ms, const char *line, size_t len)
{
    struct view *v = arg;
    (void)name;
    /* Lines without any timestamp cannot be judged: they stay, rather than be lost. */
    if (time_ms >= 0 && time_ms < v->since_ms) return;
    if (v->ring_size == 0) {
        print_line(v, index, line, len);
        return;
    }
    struct kept *k = &v->ring[(v->ring_first + v->ring_n) % v->ring_size];
    if (v->ring_n < v->ring_size) v->ring_n++;
    else free(k->text), v->ring_first = (v->ring_first + 1) % v->ring_size;
    *k = (struct kept){ index, xstrndup(line, len), len };
}

static void empty_ring(struct view *v)
{
    for (size_t i = 0; i < v->ring_n; i++) {
        struct kept *k = &v->ring[(v->ring_first + i) % v->ring_size];
        print_line(v, k->index, k->text, k->len);
        free(k->text);
    }
    free(v->ring);
    v->ring = NULL, v->ring_size = v->ring_n = 0;
}

/* "10m" before now, or an RFC 3339 time. false: told already. */
static bool since_option(const struct ctl *c, int64_t *ret_ms)
{
    const char *s = args_get(&c->args, "since");
    int64_t ms;
    *ret_ms = INT64_MIN;
    if (!s) return true;
    if (num_duration_ms(s, &ms) == 0) *ret_ms = clock_wall_ms() - ms;
    else if (clock_parse_rfc3339(s, &ms) == 0) *ret_ms = ms;
    else ctl_fail(0, "--since: `%s` is neither a duration (10m, 2h) nor a time (2026-11-25T01:02:03Z)", s);
    return *ret_ms != INT64_MIN;
}

static bool lines_option(const struct ctl *c, size_t *ret)
{
    const char *s = args_get(&c->args, "lines");
    uint64_t n = args_has(&c->args, "since") ? 0 : LINES_SHOWN;
    if (s && (num_u64(s, &n) < 0 || n > LINES_MAX)) {
        ctl_fail(0, "--lines: `%s` is not a number from 0 to %d", s, LINES_MAX);
        return false;
    }
    *ret = n;
    return true;
}

static int no_logs(struct ctl *c, const char *name)
{
    struct err e = { "" };
    cleanup_free char *service = xstrndup(name, strcspn(name, "."));
    cleanup_free char *path = xasprintf("/v1/services/%s", service);
    int r = ctl_is_name(service) && client_alive(&c->paths) ? client_call(c->client, "GET", path, NULL, NULL, &e) : -ENOENT;
    if (r == 0 && args_has(&c->args, "follow")) return EXIT_DONE;       /* it will */
    if (r == 0) return ctl_fail(EXIT_NO_SUCH, "%s has written no log yet (%s)", name, c->paths.log);
    if (client_alive(&c->paths)) return ctl_service_failed(c, service, -ENOENT, &e);
    cleanup_free char *shown = escape_line(name);
    return ctl_fail(EXIT_NO_SUCH, "there is no log of `%s` in %s", shown, c->paths.log);
}

static void follow(struct view *v, struct logset *set)
{
    for (unsigned i = 1;; i++) {
        nanosleep(&(struct timespec){ .tv_nsec = POLL_MS * 1000000L }, NULL);
        if (i % RESCAN_POLLS == 0) logset_rescan(set);
        size_t gaps = logset_gaps(set);
        logset_read(set, take_line, v);
        if (logset_gaps(set) > gaps) fputs("musterctl: some lines were rotated away before they could be read\n", stderr);
        if (fflush(stdout) != 0) exit(EXIT_FAILED);
    }
}

static int show(struct ctl *c, struct logset *set, size_t lines, int64_t since_ms, bool prefix)
{
    struct view v = { .look = &c->look, .set = set, .prefix = prefix, .since_ms = since_ms };
    bool all = lines == 0 && since_ms != INT64_MIN;
    if (since_ms != INT64_MIN) logset_seek_since(set, since_ms);
    else logset_seek_last(set, lines);
    if (!all && lines > 0) v.ring_size = lines, v.ring = xcalloc(lines, sizeof *v.ring);
    logset_read(set, take_line, &v);
    if (!args_has(&c->args, "follow")) logset_flush(set, take_line, &v);
    empty_ring(&v);
    if (fflush(stdout) != 0) return EXIT_FAILED;
    if (args_has(&c->args, "follow")) follow(&v, set);
    return EXIT_DONE;
}

int cmd_logs(struct ctl *c)
{
    struct strv names = { 0 };
    int64_t since_ms;
    size_t lines;
    bool prefix = c->args.pos_n != 1 || !strchr(c->args.pos[0], '.');   /* one instance needs no name in front */
    if (!since_option(c, &since_ms) || !lines_option(c, &lines)) return EXIT_USAGE;
    for (size_t i = 0; i < c->args.pos_n; i++) strv_push(&names, c->args.pos[i]);
    struct logset *set = logset_new(c->paths.log, &names);
    int status = EXIT_DONE;
    for (size_t i = 0; i < names.n && status == EXIT_DONE; i++)
        if (!logset_matches(set, names.v[i])) status = no_logs(c, names.v[i]);
    if (status == EXIT_DONE && logset_count(set) == 0 && !args_has(&c->args, "follow"))
        fprintf(stderr, "No logs in %s yet. Next: `musterctl up FILE`; `musterctl status` if muster runs.\n", c->paths.log);
    if (status == EXIT_DONE) status = show(c, set, lines, since_ms, prefix);
    logset_free(set);
    strv_done(&names);
    return status;
}
