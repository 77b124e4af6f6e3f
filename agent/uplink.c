/* uplink.c - see uplink.h. */
#include "agent/uplink.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/rng.h"
#include "net/frame.h"

enum { RETRY_MIN_MS = 20, RETRY_MAX_MS = 1000 };

struct uplink {
    uv_loop_t *loop;
    uv_timer_t retry;
    char *path;
    unsigned controller_uid;
    struct uplink_ops ops;
    void *arg;
    struct frame_channel *peer;     /* NULL: none */
    uint64_t seq;
    int64_t retry_ms;
    struct rng rng;
    bool told;                      /* that there is no controller */
};

static void try_connect(uv_timer_t *t);

static void retry_later(struct uplink *u)
{
    int64_t ms = rng_jitter(&u->rng, u->retry_ms, 30);

    u->retry_ms = u->retry_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : u->retry_ms * 2;
    uv_timer_start(&u->retry, try_connect, (uint64_t)ms, 0);
}

static void on_frame(void *arg, const void *data, size_t len)
{
    struct uplink *u = arg;
    struct wire_msg m;
    struct err e = { "" };

    if (wire_unpack_to_agent(data, len, &m, &e)) {
        log_warn("a message of the controller is not understood: %s", e.text);
        frame_close(u->peer);
        return;
    }
    u->retry_ms = RETRY_MIN_MS;     /* it speaks: the next break may be tried again quickly */
    u->ops.message(u->arg, &m);
    wire_msg_done(&m);
}

static void on_close(void *arg, int rc, const char *why)
{
    struct uplink *u = arg;

    (void)rc;
    u->peer = NULL;
    log_note("the controller is gone (%s); instances run on, trying again", why);
    retry_later(u);
}

static const struct frame_ops channel_ops = { on_frame, on_close };

/* Whoever listens there could order anything to be run. */
static bool trusted(const struct uplink *u, int fd, struct err *e)
{
    unsigned uid = (unsigned)-1;
    int pid;
    if (unix_peer_uid(fd, &uid, &pid) == 0 && (uid == 0 || uid == geteuid() || (uid == u->controller_uid && uid != (unsigned)-1)))
        return true;
    err_set(e, -EPERM, "%s belongs to user %u, who is not the controller's", u->path, uid);
    return false;
}

static void try_connect(uv_timer_t *t)
{
    struct uplink *u = t->data;
    struct err e = { "" };
    struct wire_msg m = { .kind = WIRE_HELLO };
    int fd = unix_connect(u->path, &e);

    if (fd >= 0 && !trusted(u, fd, &e)) {
        close(fd);
        fd = -1;
    }
    if (fd < 0) {
        if (!u->told)
            log_note("no controller yet: %s", e.text);
        u->told = true;
        retry_later(u);
        return;
    }
    u->told = false;
    u->seq = 0;
    u->peer = frame_channel_new(u->loop, fd, &channel_ops, u);
    u->ops.hello(u->arg, &m.hello);
    uplink_send(u, &m);
    u->ops.connected(u->arg);
}

struct uplink *uplink_new(uv_loop_t *loop, const char *socket_path, unsigned controller_uid, const struct uplink_ops *ops, void *arg)
{
    struct uplink *u = xcalloc(1, sizeof(*u));

    u->loop = loop;
    u->path = xstrdup(socket_path);
    u->controller_uid = controller_uid;
    u->ops = *ops;
    u->arg = arg;
    u->retry_ms = RETRY_MIN_MS;
    u->rng.state = (uint64_t)clock_mono_ns() ^ (uint64_t)getpid();
    uv_timer_init(loop, &u->retry);
    u->retry.data = u;
    uv_timer_start(&u->retry, try_connect, 0, 0);   /* from the loop: the caller's callbacks want the finished object */
    return u;
}

bool uplink_up(const struct uplink *u)
{
    return u->peer != NULL;
}

void uplink_send(struct uplink *u, const struct wire_msg *m)
{
    cleanup_strbuf struct strbuf out = STRBUF_INIT;

    if (!u->peer)
        return;
    wire_pack(m, &out);
    frame_send(u->peer, out.s, out.len);
}

uint64_t uplink_next_seq(struct uplink *u)
{
    return ++u->seq;
}
