/* systemd.c - see systemd.h. */
#include "supervisord/systemd.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include "base/cleanup.h"

enum { USEC_PER_MS = 1000 };

struct systemd {
    uv_timer_t beat;
    char status[256];
};

/* --- sockets ------------------------------------------------------------------------------------------------ */
static int take_one(struct systemd_sockets *s, const char *name, int fd, struct err *e)
{
    int *place = !strcmp(name, "api") ? &s->api : !strcmp(name, "agent") ? &s->agent : NULL;

    if (!place)
        return err_set(e, -EINVAL, "systemd gave a socket named \"%s\"; wanted are \"api\" and \"agent\" (FileDescriptorName=)", name);
    if (*place >= 0)
        return err_set(e, -EINVAL, "systemd gave two sockets named \"%s\"", name);
    if (sd_is_socket_unix(fd, SOCK_STREAM, 1, NULL, 0) <= 0)
        return err_set(e, -EINVAL, "the socket \"%s\" from systemd is not a listening unix stream socket", name);
    *place = fd;
    return 0;
}

int systemd_sockets_take(struct systemd_sockets *ret, struct err *e)
{
    struct systemd_sockets s = { -1, -1 };
    char **names = NULL;
    int n = sd_listen_fds_with_names(1, &names), rc = 0;

    if (n < 0)
        return err_sys(e, n, "what systemd says about its sockets is not understood");
    for (int i = 0; i < n; i++) {
        if (!rc)
            rc = take_one(&s, names && names[i] ? names[i] : "", SD_LISTEN_FDS_START + i, e);
        if (names)
            free(names[i]);
    }
    free(names);
    if (!rc)
        *ret = s;
    return rc;
}

/* --- what it tells -------------------------------------------------------------------------------------------- */
void systemd_describe(const struct controller *core, bool agent_known, const char *problem, struct strbuf *out)
{
    size_t services = controller_service_count(core);
    uint64_t ready = 0, desired = 0;
    struct service_view s;

    for (size_t i = 0; controller_service_at(core, i, &s); i++) {
        desired += s.stopped ? 0 : s.desired;
        ready += s.ready;
    }
    strbuf_printf(out, "%zu service%s", services, services == 1 ? "" : "s");
    if (!agent_known)
        strbuf_puts(out, ", waiting for muster-agent");
    else
        strbuf_printf(out, ", %llu/%llu ready", (unsigned long long)ready, (unsigned long long)desired);
    if (problem && agent_known)
        strbuf_printf(out, "; %s", problem);
}

static void on_beat(uv_timer_t *t)
{
    (void)t;
    sd_notify(0, "WATCHDOG=1");
}

struct systemd *systemd_new(uv_loop_t *loop)
{
    struct systemd *s = xcalloc(1, sizeof(*s));
    uint64_t usec = 0;

    uv_timer_init(loop, &s->beat);
    if (sd_watchdog_enabled(0, &usec) > 0) {
        uint64_t half_ms = MAX_OF(usec / 2 / USEC_PER_MS, (uint64_t)1);
        uv_timer_start(&s->beat, on_beat, 0, half_ms);
    }
    return s;
}

/* A line end would begin another variable. */
static void one_line(char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < ' ')
            *s = ' ';
}

void systemd_ready(struct systemd *s, const char *status)
{
    fixed_copy(s->status, sizeof(s->status), status);
    one_line(s->status);
    sd_notifyf(0, "READY=1\nSTATUS=%s", s->status);
}

void systemd_status(struct systemd *s, const char *status)
{
    char now[sizeof(s->status)];

    fixed_copy(now, sizeof(now), status);
    one_line(now);
    if (!strcmp(now, s->status))
        return;
    fixed_copy(s->status, sizeof(s->status), now);
    sd_notifyf(0, "STATUS=%s", now);
}

void systemd_stopping(struct systemd *s)
{
    (void)s;
    sd_notify(0, "STOPPING=1\nSTATUS=ending; instances run on");
}

void systemd_free(struct systemd *s) { free(s); }
