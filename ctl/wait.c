#include "ctl/wait.h"
#include <string.h>
#include <time.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/num.h"
#include "ctl/escape.h"
#include "ctl/jget.h"
#include "ctl/view_status.h"
#include "ctl/view_words.h"

enum { POLL_MS = 150, BAD_FOR_MS = 1000, BAR = 20 };

static bool is_state(const json_t *o, const char *state) { return strcmp(jget_str(o, "state"), state) == 0; }

static const json_t *worst_instance(const json_t *service)
{
    const json_t *worst = NULL;
    size_t i;
    json_t *in;
    json_array_foreach(json_object_get(service, "instances"), i, in) {
        if (is_state(in, "failed")) return in;
        if (!worst && view_words_in_trouble(in)) worst = in;
    }
    return worst;
}

static bool failed_now(const json_t *s)
{
    size_t i;
    json_t *in;
    json_array_foreach(json_object_get(s, "instances"), i, in)
        if (is_state(in, "failed") && jget_int(in, "revision", 0) == jget_int(s, "revision", 0)) return true;
    return false;
}

static bool all_ended(const json_t *s)
{
    size_t i;
    json_t *in;
    json_array_foreach(json_object_get(s, "instances"), i, in)
        if (jget_int(in, "pid", 0) > 0) return false;
    return true;
}

static bool all_ready(const json_t *s)
{
    long long ready = 0;
    size_t i;
    json_t *in;
    json_array_foreach(json_object_get(s, "instances"), i, in) {
        if (jget_int(in, "revision", 0) != jget_int(s, "revision", 0)) return false;
        if (jget_bool(in, "ready")) ready++;
    }
    return is_state(s, "steady") && ready >= jget_int(s, "desired", 0) && jget_int(s, "ready", 0) >= jget_int(s, "desired", 0);
}

static enum wait_verdict judge_one(const json_t *s)
{
    if (is_state(s, "paused") || failed_now(s)) return WAIT_BAD;
    if (jget_bool(s, "stopped") || is_state(s, "stopped")) return all_ended(s) ? WAIT_DONE : WAIT_ON;
    if (is_state(s, "deleting")) return WAIT_ON;
    return all_ready(s) ? WAIT_DONE : WAIT_ON;
}

static void add_why(const json_t *s, struct strbuf *why)
{
    const json_t *in = worst_instance(s);
    cleanup_free char *name = escape_line(jget_str(s, "name")), *reason = view_words_reason(s);
    strbuf_printf(why, "%s is %s", name, jget_str(s, "state"));
    if (!strstr(reason, " ready")) strbuf_printf(why, ", %lld of %lld ready", jget_int(s, "ready", 0), jget_int(s, "desired", 0));
    if (*reason) strbuf_printf(why, ": %s", reason);
    if (in) {
        cleanup_free char *id = escape_line(jget_str(in, "name")), *cause = view_words_reason(in);
        if (!strstr(reason, cause) || !*cause) strbuf_printf(why, "; %s %s%s%s", id, jget_str(in, "state"), *cause ? ": " : "", cause);
    }
    strbuf_putc(why, '\n');
}

/* A balancer counts when all is waited for: after an apply, a port that is taken or a `raw` that HAProxy refuses is its failure.
 * Refused is acknowledged too, since the lists go to the process before: so a problem counts whatever is applied. */
static enum wait_verdict judge_balancers(const json_t *status, struct strbuf *why)
{
    enum wait_verdict all = WAIT_DONE;
    size_t i;
    json_t *b;
    json_array_foreach(json_object_get(status, "balancers"), i, b) {
        const json_t *applied = json_object_get(b, "applied");
        const char *problem = jget_str(b, "problem");
        if (!*problem && (!applied || json_is_true(applied))) continue;
        if (*problem) all = WAIT_BAD;
        else if (all == WAIT_DONE) all = WAIT_ON;
        if (!why) continue;
        cleanup_free char *name = escape_line(jget_str(b, "name")), *text = escape_line(*problem ? problem : "the present configuration is not loaded yet");
        strbuf_printf(why, "balancer %s: %s\n", name, text);
    }
    return all;
}

enum wait_verdict wait_judge(const json_t *status, const char *service, struct strbuf *why)
{
    enum wait_verdict all = WAIT_DONE;
    size_t i;
    json_t *s;
    json_array_foreach(json_object_get(status, "services"), i, s) {
        if (service && strcmp(service, jget_str(s, "name")) != 0) continue;
        enum wait_verdict one = judge_one(s);
        if (one != WAIT_DONE && why) add_why(s, why);
        if (one == WAIT_BAD || (one == WAIT_ON && all == WAIT_DONE)) all = one;
    }
    enum wait_verdict b = service ? WAIT_DONE : judge_balancers(status, why);
    return b == WAIT_BAD || all == WAIT_DONE ? b : all;
}

void wait_progress(const json_t *status, const char *service, struct strbuf *out)
{
    long long ready = 0, desired = 0, ending = 0;
    const json_t *trouble = NULL, *busy = NULL;
    size_t i;
    json_t *s;
    json_array_foreach(json_object_get(status, "services"), i, s) {
        if (service && strcmp(service, jget_str(s, "name")) != 0) continue;
        long long want = jget_bool(s, "stopped") ? 0 : jget_int(s, "desired", 0);
        ready += MIN_OF(want, jget_int(s, "ready", 0)), desired += want;
        if (want == 0) ending += (long long)json_array_size(json_object_get(s, "instances"));
        if (!trouble) trouble = worst_instance(s);
        if (!busy && judge_one(s) != WAIT_DONE && *jget_str(s, "reason")) busy = s;
    }
    int full = desired > 0 ? (int)(ready * BAR / desired) : ending > 0 ? 0 : BAR;
    strbuf_putc(out, '[');
    for (int k = 0; k < BAR; k++) strbuf_putc(out, k < full ? '#' : '-');
    strbuf_printf(out, "] %lld/%lld ready", ready, desired);
    const json_t *what = trouble ? trouble : busy;
    if (!what) return;
    cleanup_free char *name = escape_line(jget_str(what, "name")), *reason = view_words_reason(what);
    strbuf_printf(out, "  %s %s%s%s", name, jget_str(what, "state"), *reason ? ": " : "", reason);
}

/* One line that overwrites itself on a terminal; elsewhere a line for each change. */
static void show(const struct look *err, struct strbuf *line, struct strbuf *last)
{
    if (strcmp(strbuf_str(line), strbuf_str(last)) == 0) return;
    if (err->terminal) {
        cleanup_strbuf struct strbuf clipped = STRBUF_INIT;
        struct look narrow = *err;
        if (narrow.width > 1) narrow.width--;
        look_clip(&narrow, strbuf_str(line), 1, &clipped);
        fprintf(stderr, "\r%s%s", strbuf_str(&clipped), err->color ? "\033[K" : "");
    } else {
        fprintf(stderr, "%s\n", strbuf_str(line));
    }
    strbuf_reset(last);
    strbuf_puts(last, strbuf_str(line));
}

static int ended(struct ctl *c, const json_t *status, const char *service, enum wait_verdict verdict, int64_t waited_ms, int64_t timeout_ms)
{
    cleanup_strbuf struct strbuf why = STRBUF_INIT, text = STRBUF_INIT;
    char time[16];
    wait_judge(status, service, &why);
    num_format_duration(verdict == WAIT_ON ? timeout_ms : waited_ms / 100 * 100, time, sizeof time);
    if (verdict == WAIT_DONE) {
        strbuf_puts(&text, "Done: ");
        if (!service) view_summary(status, &text);
        else strbuf_printf(&text, "%s is as wanted", service);
        printf("%s (after %s).\n", strbuf_str(&text), time);
        return EXIT_DONE;
    }
    struct look look = look_detect(STDERR_FILENO);
    view_trouble(status, &look, &text);
    fprintf(stderr, "%s%s", strbuf_str(&text), text.len ? "\n" : "");
    if (verdict == WAIT_BAD) return ctl_fail(EXIT_FAILED, "%.*s", (int)strcspn(strbuf_str(&why), "\n"), strbuf_str(&why));
    ctl_fail(0, "not ready within %s: %.*s", time, (int)strcspn(strbuf_str(&why), "\n"), strbuf_str(&why));
    fprintf(stderr, "It goes on trying. Next: `musterctl status`, `musterctl logs%s%s`.\n", service ? " " : "", service ? service : "");
    (void)c;
    return EXIT_TIMED_OUT;
}

int wait_ready(struct ctl *c, const char *service, int64_t timeout_ms)
{
    int64_t start = clock_mono_ms(), bad_since = -1;
    struct look err = look_detect(STDERR_FILENO);
    cleanup_strbuf struct strbuf line = STRBUF_INIT, last = STRBUF_INIT;
    cleanup_json json_t *status = NULL;
    for (;;) {
        struct err e = { "" };
        json_t *fresh = NULL;
        enum wait_verdict v = WAIT_ON;
        int r = client_call(c->client, "GET", "/v1/status", NULL, &fresh, &e);
        int64_t now = clock_mono_ms();
        strbuf_reset(&line);
        if (r == 0) {
            json_decref(status);
            status = fresh;
            v = wait_judge(status, service, NULL);
            wait_progress(status, service, &line);
        } else {
            strbuf_printf(&line, "%s; waiting for it to come back", e.text);
        }
        show(&err, &line, &last);
        if (v != WAIT_BAD) bad_since = -1;
        else if (bad_since < 0) bad_since = now;        /* what was wrong before the change may need a moment to go */
        bool bad = bad_since >= 0 && now - bad_since >= BAD_FOR_MS;
        if (v == WAIT_DONE || bad || now - start >= timeout_ms) {
            if (err.terminal && last.len) fputc('\n', stderr);
            if (!status) return ctl_call_failed(c, r, &e);
            return ended(c, status, service, v == WAIT_BAD && !bad ? WAIT_ON : v, now - start, timeout_ms);
        }
        nanosleep(&(struct timespec){ .tv_nsec = POLL_MS * 1000000L }, NULL);
    }
}
