/* cmd_up.c - up and down: the whole of muster in the foreground, and its end. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "ctl/ending.h"
#include "ctl/jget.h"
#include "ctl/launch.h"
#include "ctl/live.h"
#include "ctl/sources.h"
#include "ctl/view_event.h"
#include "ctl/wait.h"

enum { READY_MS = 120000, DOWN_MS = 600000, EARLY_MS = 5000 };

static const char *state_option(const struct ctl *c) { return args_get(&c->args, "state"); }

/* "" or " --state DIR": what the other commands need to find this one. */
static char *how_to_reach(const struct ctl *c)
{
    return state_option(c) ? xasprintf(" --state %s", c->paths.state) : xstrdup("");
}

static int start_or_attach(struct ctl *c, bool *ret_started)
{
    struct err e = { "" };
    pid_t pid;
    *ret_started = false;
    if (client_alive(&c->paths)) {
        fprintf(stderr, "muster runs already (%s); attaching.\n", c->paths.state);
        return EXIT_DONE;
    }
    if (paths_find(state_option(c), false, &c->paths, &e) < 0) return ctl_fail(EXIT_USAGE, "%s", e.text);
    if (launch_muster(&c->paths, &pid, &e) < 0) {
        paths_clean(&c->paths);
        return ctl_fail(EXIT_FAILED, "%s", e.text);
    }
    *ret_started = true;
    return EXIT_DONE;
}

static int apply(struct ctl *c, const struct sources *s)
{
    struct err e = { "" };
    cleanup_json json_t *body = sources_body(s, false), *answer = NULL;
    cleanup_strbuf struct strbuf out = STRBUF_INIT;
    int r = client_call(c->client, "POST", "/v1/apply", body, &answer, &e);
    if (r < 0) return ctl_call_failed(c, r, &e);
    view_diff(jget_str(answer, "diff"), &c->look, &out);
    if (!c->look.terminal) fputs(strbuf_str(&out), stdout);
    fflush(stdout);
    return EXIT_DONE;
}

static int left(struct ctl *c)
{
    cleanup_free char *reach = how_to_reach(c);
    printf("muster runs on. Look: musterctl status%s   attach: musterctl up%s   stop: musterctl down%s\n", reach, reach, reach);
    fflush(stdout);
    return EXIT_DONE;
}

static int foreground(struct ctl *c, int signal_fd)
{
    cleanup_json json_t *status = NULL;
    client_call(c->client, "GET", "/v1/status", NULL, &status, NULL);
    cleanup_close int keeper = ending_keeper_pidfd(status);
    switch (live_run(c, signal_fd, keeper)) {
    case LIVE_LEAVE: return left(c);
    case LIVE_GONE: printf("muster was stopped.\n"); return EXIT_DONE;
    case LIVE_STOP: break;
    }
    c->look = look_detect(STDOUT_FILENO);
    return ending_run(c, DOWN_MS, signal_fd);
}

static int detached(struct ctl *c, int64_t timeout_ms)
{
    int status = wait_ready(c, NULL, timeout_ms);
    cleanup_free char *reach = how_to_reach(c);
    if (status == EXIT_DONE) printf("Next: musterctl status%s; musterctl down%s stops all.\n", reach, reach);
    else fprintf(stderr, "muster runs on; musterctl down%s stops all.\n", reach);
    return status;
}

int cmd_up(struct ctl *c)
{
    struct sources s;
    bool started, detach = args_has(&c->args, "detach");
    int64_t timeout_ms = ctl_timeout_ms(c, READY_MS);
    if (timeout_ms < 0) return EXIT_USAGE;
    int status = sources_load(c->args.pos_n ? c->args.pos[0] : NULL, &s);
    if (status != EXIT_DONE) return status;
    sources_note_root(&s);
    /* From here on a Ctrl-C is taken in order, also one in the middle of the start; detached, it only ends the waiting. */
    cleanup_close int signal_fd = detach ? -1 : live_signal_fd();
    status = start_or_attach(c, &started);
    if (status == EXIT_DONE) {
        status = apply(c, &s);
        if (status != EXIT_DONE && started) ending_run(c, EARLY_MS, -1);    /* nothing runs yet: leave nothing behind */
        else if (status == EXIT_DONE) status = detach ? detached(c, timeout_ms) : foreground(c, signal_fd);
    }
    sources_done(&s);
    return status;
}

int cmd_down(struct ctl *c)
{
    int64_t timeout_ms = ctl_timeout_ms(c, DOWN_MS);
    if (timeout_ms < 0) return EXIT_USAGE;
    return ending_run(c, timeout_ms, -1);
}
