#include "ctl/live.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "ctl/ending.h"
#include "ctl/jget.h"
#include "ctl/screen.h"
#include "ctl/view_event.h"
#include "ctl/view_status.h"

enum { DRAW_MS = 500, PLAIN_MS = 200, EVENTS_KEPT = 50, EVENTS_SHARE = 3 /* at most this part of the screen */, KEEPER_GONE_MS = 2000 };

static size_t count_lines(const struct strbuf *b)
{
    size_t n = 0;
    for (size_t i = 0; i < b->len; i++) n += b->s[i] == '\n';
    return n;
}

static void add_last_events(const json_t *events, const struct look *look, size_t room, struct strbuf *out)
{
    size_t n = json_array_size(events), from = n > room ? n - room : 0;
    for (size_t i = from; i < n; i++) view_event_line(json_array_get(events, i), look, false, out);
}

/* The table gets what the title and the events leave; on a very low screen the events go first. */
void live_render(const json_t *status, const json_t *events, const struct look *look, const char *title, struct strbuf *out)
{
    cleanup_strbuf struct strbuf all = STRBUF_INIT, probe = STRBUF_INIT, seen = STRBUF_INIT;
    size_t height = look->height > 4 ? look->height : 4;
    size_t event_room = MIN_OF(json_array_size(events), MAX_OF(height / EVENTS_SHARE, (size_t)3) - 2);
    if (height < 12) event_room = 0;
    size_t room = height - 2 - (event_room ? event_room + 2 : 0);
    strbuf_printf(&all, "%s\n\n", title);
    view_status(status, look, (struct view_options){ .brief = true }, &probe);
    if (count_lines(&probe) > room) {
        size_t extra = count_lines(&probe) - room;      /* cut rows of the main table, not the traffic below it */
        cleanup_strbuf struct strbuf plain = STRBUF_INIT;
        view_instances(status, look, (struct view_options){ .brief = true }, VIEW_AS_GIVEN, &plain);
        size_t rows = count_lines(&plain) + json_array_size(json_object_get(status, "services"));
        strbuf_reset(&probe);
        view_status(status, look, (struct view_options){ .brief = true, .rows_max = rows > extra + 3 ? rows - extra - 2 : 2 }, &probe);
    }
    strbuf_puts(&all, strbuf_str(&probe));
    if (event_room && count_lines(&all) + 3 <= height) {
        size_t left = height - count_lines(&all) - 2;
        strbuf_printf(&all, "\n%sLAST EVENTS%s\n", look_begin(look, COLOR_DIM), look_end(look, COLOR_DIM));
        add_last_events(events, look, MAX_OF(MIN_OF(left, (size_t)EVENTS_KEPT), (size_t)1), &seen);
        strbuf_puts(&all, strbuf_str(&seen));
    }
    look_clip(look, strbuf_str(&all), height, out);
}

int live_signal_fd(void)
{
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < 5; i++) sigaddset(&set, (int[]){ SIGINT, SIGTERM, SIGHUP, SIGWINCH, SIGTSTP }[i]);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0) return -errno;
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

struct live { struct ctl *c; int signal_fd, keeper; long long seq; json_t *status, *events; bool reached; };

static void fetch(struct live *l)
{
    cleanup_json json_t *answer = NULL;
    json_t *status = NULL, *ev;
    size_t i;
    l->reached = client_call(l->c->client, "GET", "/v1/status", NULL, &status, NULL) == 0;
    if (!l->reached) return;
    json_decref(l->status);
    l->status = status;
    cleanup_free char *path = l->seq ? xasprintf("/v1/events?after=%lld&limit=500", l->seq) : xasprintf("/v1/events?limit=%d", EVENTS_KEPT);
    if (client_call(l->c->client, "GET", path, NULL, &answer, NULL) < 0) return;
    json_array_foreach(json_object_get(answer, "events"), i, ev) {
        l->seq = jget_int(ev, "seq", l->seq);
        json_array_append(l->events, ev);
    }
    while (json_array_size(l->events) > EVENTS_KEPT) json_array_remove(l->events, 0);
}

static bool draw(struct live *l)
{
    cleanup_strbuf struct strbuf title = STRBUF_INIT, out = STRBUF_INIT;
    struct look look = look_detect(STDOUT_FILENO);
    strbuf_printf(&title, "%smuster%s  ", look_begin(&look, COLOR_BOLD), look_end(&look, COLOR_BOLD));
    if (!l->reached) strbuf_printf(&title, "%scontroller not reachable, instances run on; waiting%s", look_begin(&look, COLOR_YELLOW), look_end(&look, COLOR_YELLOW));
    else view_summary(l->status, &title);
    strbuf_printf(&title, "  %sCtrl-C: stop all   q: leave it running%s", look_begin(&look, COLOR_DIM), look_end(&look, COLOR_DIM));
    live_render(l->status, l->events, &look, strbuf_str(&title), &out);
    return screen_draw(strbuf_str(&out));
}

static void suspend(void)
{
    sigset_t tstp;
    screen_leave();
    sigemptyset(&tstp);
    sigaddset(&tstp, SIGTSTP);
    sigprocmask(SIG_UNBLOCK, &tstp, NULL);
    raise(SIGTSTP);
    sigprocmask(SIG_BLOCK, &tstp, NULL);
    screen_enter();
}

/* Waits up to ms for a key or a signal. 1: go on, else an enum live_end as -1 - value. */
static int wait_input(struct live *l, bool keys, int ms)
{
    struct pollfd p[3] = { { .fd = l->signal_fd, .events = POLLIN }, { .fd = keys ? STDIN_FILENO : -1, .events = POLLIN }, { .fd = l->keeper, .events = POLLIN } };
    struct signalfd_siginfo si;
    char key;
    if (poll(p, 3, ms) <= 0) return 1;
    while (read(l->signal_fd, &si, sizeof si) == sizeof si) {
        if (si.ssi_signo == SIGINT || si.ssi_signo == SIGTERM) return -1 - LIVE_STOP;
        if (si.ssi_signo == SIGHUP) return -1 - LIVE_LEAVE;
        if (si.ssi_signo == SIGTSTP && keys) suspend();
    }
    if (p[1].revents & (POLLHUP | POLLERR)) return -1 - LIVE_LEAVE;
    if (p[1].revents & POLLIN) {
        ssize_t n = read(STDIN_FILENO, &key, 1);
        if (n == 1 && (key == 'q' || key == 'Q')) return -1 - LIVE_LEAVE;
        if (n < 0 && errno != EINTR && errno != EAGAIN) return -1 - LIVE_LEAVE;
    }
    if (p[2].revents && ending_is_over(l->keeper)) return -1 - LIVE_GONE;
    return 1;
}

static enum live_end run_screen(struct live *l)
{
    bool keys = isatty(STDIN_FILENO) == 1;
    int r = 1;
    screen_enter();
    while (r == 1) {
        fetch(l);
        r = draw(l) ? wait_input(l, keys, DRAW_MS) : -1 - LIVE_LEAVE;
    }
    screen_leave();
    return (enum live_end)(-1 - r);
}

static enum live_end run_plain(struct live *l)
{
    long long seq = l->seq;
    for (int r = 1;;) {
        ending_print_events(l->c, &l->c->look, &seq);
        if (ferror(stdout)) return LIVE_LEAVE;
        if ((r = wait_input(l, false, PLAIN_MS)) != 1) return (enum live_end)(-1 - r);
    }
}

enum live_end live_run(struct ctl *c, int signal_fd, int keeper)
{
    struct live l = { .c = c, .signal_fd = signal_fd, .keeper = keeper, .status = json_object(), .events = json_array() };
    enum live_end end = c->look.terminal ? run_screen(&l) : run_plain(&l);
    json_decref(l.status);
    json_decref(l.events);
    return end;
}

int live_watch(struct ctl *c, int64_t interval_ms, int (*render)(struct ctl *c, struct strbuf *out))
{
    struct live l = { .c = c, .signal_fd = live_signal_fd(), .keeper = -1 };
    bool terminal = c->look.terminal;
    int status = EXIT_DONE, r = 1;
    if (terminal) screen_enter();
    while (r == 1) {
        cleanup_strbuf struct strbuf text = STRBUF_INIT, clipped = STRBUF_INIT;
        c->look = look_detect(STDOUT_FILENO);
        status = render(c, &text);
        if (status != EXIT_DONE && terminal) {
            screen_leave();                     /* what it said went with the screen: once more, where it stays */
            status = render(c, &text);
            if (status == EXIT_DONE) screen_enter();
        }
        if (status != EXIT_DONE) break;
        if (terminal) {
            look_clip(&c->look, strbuf_str(&text), c->look.height, &clipped);
            if (!screen_draw(strbuf_str(&clipped))) break;
        } else {
            ctl_print(&text);
            putchar('\n');
        }
        r = wait_input(&l, terminal && isatty(STDIN_FILENO) == 1, (int)interval_ms);
    }
    if (terminal) screen_leave();
    return status;
}
