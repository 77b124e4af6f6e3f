#include "ctl/ending.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/num.h"
#include "ctl/jget.h"
#include "ctl/view_event.h"

enum { POLL_MS = 150, GONE_MS = 1500 };

static long proc_parent(long pid)
{
    cleanup_free char *path = xasprintf("/proc/%ld/stat", pid);
    char text[512];
    cleanup_fclose FILE *f = fopen(path, "re");
    if (!f || !fgets(text, sizeof text, f)) return -1;
    char *end = strrchr(text, ')');             /* the name may hold blanks and brackets */
    long parent;
    return end && sscanf(end + 1, " %*c %ld", &parent) == 1 ? parent : -1;
}

static bool proc_is(long pid, const char *name)
{
    cleanup_free char *path = xasprintf("/proc/%ld/comm", pid);
    char comm[32] = "";
    cleanup_fclose FILE *f = fopen(path, "re");
    if (!f || !fgets(comm, sizeof comm, f)) return false;
    comm[strcspn(comm, "\n")] = '\0';
    return strcmp(comm, name) == 0;
}

int ending_keeper_pidfd(const json_t *status)
{
    long pid = (long)jget_int(status, "pid", -1);
    if (pid <= 1) return -1;
    long parent = proc_parent(pid);
    if (parent <= 1 || !proc_is(parent, "muster-agent")) return -1;
    int fd = pidfd_open((pid_t)parent, 0);
    if (fd >= 0 && proc_parent(pid) != parent) {        /* ended, and its number was given to another, in between */
        close(fd);
        return -1;
    }
    return fd;
}

bool ending_is_over(int pidfd)
{
    struct pollfd p = { .fd = pidfd, .events = POLLIN };
    return pidfd >= 0 && poll(&p, 1, 0) == 1;
}

bool ending_print_events(struct ctl *c, const struct look *look, long long *seq)
{
    cleanup_json json_t *answer = NULL;
    cleanup_strbuf struct strbuf out = STRBUF_INIT;
    cleanup_free char *path = *seq > 0 ? xasprintf("/v1/events?after=%lld&limit=500", *seq) : xstrdup("/v1/events?limit=1");
    bool print = *seq > 0;
    size_t i;
    json_t *ev;
    if (client_call(c->client, "GET", path, NULL, &answer, NULL) < 0) return false;
    json_array_foreach(json_object_get(answer, "events"), i, ev) {
        if (print) view_event_line(ev, look, false, &out);
        *seq = jget_int(ev, "seq", *seq);
    }
    if (fwrite(strbuf_str(&out), 1, out.len, stdout) != out.len || fflush(stdout) != 0) return true;    /* nobody reads: go on stopping */
    return true;
}

/* Who is still there, with pids: for people in a hurry. */
static void tell_how_to_force(struct ctl *c)
{
    cleanup_json json_t *status = NULL;
    cleanup_strbuf struct strbuf pids = STRBUF_INIT;
    size_t i, j;
    json_t *s, *in;
    fputs("\nStill stopping: drain and stop time-outs of the services apply.\n", stderr);
    if (client_call(c->client, "GET", "/v1/status", NULL, &status, NULL) < 0) return;
    json_array_foreach(json_object_get(status, "services"), i, s)
        json_array_foreach(json_object_get(s, "instances"), j, in)
            if (jget_int(in, "pid", 0) > 0) strbuf_printf(&pids, " %lld", jget_int(in, "pid", 0));
    if (pids.len) fprintf(stderr, "To force it: kill -9%s\n", strbuf_str(&pids));
    fputs("Ctrl-C once more leaves; the stop goes on by itself.\n", stderr);
}

struct ending { struct ctl *c; int keeper, stop_fd; unsigned signals; long long seq, musterd; int64_t start, gone_since; };

/* That all shall end is in musterd's memory only: one that died meanwhile and was started again (another pid) must be told again. */
static void look_again(struct ending *en)
{
    cleanup_json json_t *status = NULL;
    ending_print_events(en->c, &en->c->look, &en->seq);
    if (client_call(en->c->client, "GET", "/v1/status", NULL, &status, NULL) < 0) return;
    long long pid = jget_int(status, "pid", -1);
    if (pid == en->musterd) return;
    cleanup_json json_t *none = json_object();
    if (client_call(en->c->client, "POST", "/v1/down", none, NULL, NULL) == 0) en->musterd = pid;
}

/* false: leave. */
static bool take_signal(struct ending *en)
{
    struct signalfd_siginfo si;
    struct pollfd p = { .fd = en->stop_fd, .events = POLLIN };
    if (poll(&p, en->stop_fd >= 0 ? 1 : 0, POLL_MS) != 1 || read(en->stop_fd, &si, sizeof si) != sizeof si) return true;
    if (si.ssi_signo == SIGHUP) return false;
    if (si.ssi_signo != SIGINT && si.ssi_signo != SIGTERM) return true;
    if (en->signals++ > 0) return false;
    tell_how_to_force(en->c);
    return true;
}

static bool is_gone(struct ending *en, int64_t now)
{
    if (en->keeper >= 0) return ending_is_over(en->keeper) && !client_alive(&en->c->paths);
    if (client_alive(&en->c->paths)) en->gone_since = -1;
    else if (en->gone_since < 0) en->gone_since = now;      /* or a musterd that died and is being restarted: then it is back soon */
    return en->gone_since >= 0 && now - en->gone_since >= GONE_MS;
}

static int watch(struct ending *en, int64_t timeout_ms)
{
    for (;;) {
        look_again(en);
        int64_t now = clock_mono_ms();
        if (is_gone(en, now)) break;
        if (now - en->start >= timeout_ms) {
            char time[16];
            num_format_duration(timeout_ms, time, sizeof time);
            ctl_fail(0, "not all has ended within %s; it goes on stopping", time);
            fputs("Next: `musterctl status` shows what is left, `musterctl down` waits again.\n", stderr);
            return EXIT_TIMED_OUT;
        }
        if (!take_signal(en)) return ctl_fail(EXIT_FAILED, "left; the stop goes on by itself");
    }
    if (en->keeper >= 0) paths_clean(&en->c->paths);
    printf("All stopped.\n");
    return EXIT_DONE;
}

int ending_run(struct ctl *c, int64_t timeout_ms, int stop_fd)
{
    struct ending en = { .c = c, .keeper = -1, .stop_fd = stop_fd, .start = clock_mono_ms(), .gone_since = -1 };
    struct err e = { "" };
    cleanup_json json_t *status = NULL;
    int r = client_call(c->client, "GET", "/v1/status", NULL, &status, &e);
    if (r == 0) {
        en.keeper = ending_keeper_pidfd(status);
        en.musterd = jget_int(status, "pid", -1);
        ending_print_events(c, &c->look, &en.seq);
        cleanup_json json_t *none = json_object();
        r = client_call(c->client, "POST", "/v1/down", none, NULL, &e);
    }
    if (r < 0) {
        if (en.keeper >= 0) close(en.keeper);
        return ctl_call_failed(c, r, &e);
    }
    printf("Stopping all, in order ...\n");
    fflush(stdout);
    int result = watch(&en, timeout_ms);
    if (en.keeper >= 0) close(en.keeper);
    return result;
}
