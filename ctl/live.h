/* live.h - what `up` shows until it is told to end: a full-screen view on a terminal, else one line an event.
 *
 * live_render is pure. live_run acts (terminal, signals, API); it leaves the terminal as it was, whatever happens but SIGKILL. */
#pragma once
#include "ctl/command.h"

enum live_end {
    LIVE_STOP,          /* Ctrl-C or SIGTERM: stop all */
    LIVE_LEAVE,         /* q, hangup, closed output: leave it running */
    LIVE_GONE,          /* muster ended by itself, or somebody else stopped it */
};
/* A whole screen of look->height lines at most, no newline at its end. note: the title line's right half. */
void live_render(const json_t *status, const json_t *events, const struct look *look, const char *title, struct strbuf *out);
/* signal_fd: a signalfd of SIGINT, SIGTERM, SIGHUP, SIGWINCH, SIGTSTP (blocked); keeper: its pidfd or -1. */
enum live_end live_run(struct ctl *c, int signal_fd, int keeper);
/* Redraws what `render` gives every interval_ms until Ctrl-C: `status --watch`, `top`. Without a terminal: one after the other. An exit status. */
int live_watch(struct ctl *c, int64_t interval_ms, int (*render)(struct ctl *c, struct strbuf *out));
int live_signal_fd(void);       /* blocks the signals that live_run takes and gives a signalfd for them; -errno */
