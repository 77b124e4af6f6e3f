/* link.c - see link.h. */
#include "supervisord/link.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/log.h"
#include "net/frame.h"

struct link {
    uv_loop_t *loop;
    uv_poll_t poll;
    int fd;
    struct frame_channel *peer;     /* NULL: none */
    bool greeted;
    uint64_t seq;                   /* of the last status; a gap means lost messages */
    bool seq_known;
    bool closing, poll_closed;      /* libuv tells of the two handles in no order that may be relied on: the last one frees */
    struct link_ops ops;
    void *arg;
    char *path;                     /* NULL: the socket was given */
    int64_t agent_uid;
};

static void drop(struct link *l, const char *why)
{
    log_warn("agent link closed: %s", why);
    if (l->peer)
        frame_close(l->peer);
}

/* A status that does not follow the last one: something was lost, so all is asked for again. A full one needs no predecessor. */
static bool status_in_order(struct link *l, const struct wire_msg *m)
{
    bool ok = m->status.full || (l->seq_known && m->status.seq == l->seq + 1);

    if (ok) {
        l->seq = m->status.seq;
        l->seq_known = true;
    }
    return ok;
}

static void on_frame(void *arg, const void *data, size_t len)
{
    struct link *l = arg;
    struct wire_msg m;
    struct err e = { "" };

    if (wire_unpack_from_agent(data, len, &m, &e)) {
        drop(l, e.text);
        return;
    }
    if (m.kind == WIRE_HELLO) {
        l->greeted = true;
        l->seq_known = false;
        l->ops.connected(l->arg, &m.hello);
    } else if (!l->greeted) {
        drop(l, "the first message is not a hello");
    } else if (m.kind == WIRE_STATUS && !status_in_order(l, &m)) {
        link_resync(l);
    } else {
        l->ops.message(l->arg, &m);
    }
    wire_msg_done(&m);
}

static void free_if_last(struct link *l)
{
    if (l->peer || !l->poll_closed)
        return;
    close(l->fd);
    free(l->path);
    free(l);
}

static void on_close(void *arg, int rc, const char *why)
{
    struct link *l = arg;

    (void)rc;
    l->peer = NULL;
    if (l->closing) {
        free_if_last(l);
        return;
    }
    if (l->greeted)
        l->ops.gone(l->arg, why);
    l->greeted = false;
}

static const struct frame_ops channel_ops = { on_frame, on_close };

static void on_acceptable(uv_poll_t *p, int status, int events)
{
    struct link *l = p->data;
    unsigned uid = (unsigned)-1;
    int pid = 0;

    (void)status; (void)events;
    int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    if (unix_peer_uid(fd, &uid, &pid) || (uid != 0 && uid != geteuid() && (int64_t)uid != l->agent_uid) || l->peer) {
        log_warn("agent link: refused process %d of user %u%s", pid, uid, l->peer ? ": an agent is connected already" : "");
        close(fd);
        return;
    }
    l->greeted = false;
    l->peer = frame_channel_new(l->loop, fd, &channel_ops, l);
}

/* Only root may give a socket away; for others the agent runs as the same user anyway. */
static int listen_there(const struct link_socket *w, struct err *e)
{
    bool share = w->agent_uid != LINK_NO_AGENT && w->agent_uid != (int64_t)geteuid() && geteuid() == 0;

    return w->given_fd >= 0 ? w->given_fd : unix_listen(w->path, share ? 0660 : 0600, share ? (int)w->agent_gid : -1, e);
}

int link_new(uv_loop_t *loop, const struct link_socket *where, const struct link_ops *ops, void *arg, struct link **ret, struct err *e)
{
    int fd = listen_there(where, e);

    if (fd < 0)
        return err_wrap(e, fd, "agent socket %s", where->path);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    struct link *l = xcalloc(1, sizeof(*l));
    l->loop = loop;
    l->fd = fd;
    l->ops = *ops;
    l->arg = arg;
    l->path = where->given_fd >= 0 ? NULL : xstrdup(where->path);
    l->agent_uid = where->agent_uid;
    uv_poll_init(loop, &l->poll, fd);
    l->poll.data = l;
    uv_poll_start(&l->poll, UV_READABLE, on_acceptable);
    *ret = l;
    return 0;
}

void link_send(struct link *l, const struct strbuf *packed)
{
    if (l->peer && l->greeted)
        frame_send(l->peer, packed->s, packed->len);
}

void link_resync(struct link *l)
{
    cleanup_strbuf struct strbuf out = STRBUF_INIT;
    struct wire_msg m = { .kind = WIRE_RESYNC };

    wire_pack(&m, &out);
    link_send(l, &out);
}

static void poll_closed(uv_handle_t *h)
{
    struct link *l = h->data;

    l->poll_closed = true;
    free_if_last(l);
}

void link_close(struct link *l)
{
    if (!l)
        return;
    l->closing = true;
    if (l->peer)
        frame_close(l->peer);
    if (l->path)
        unlink(l->path);
    uv_poll_stop(&l->poll);
    uv_close((uv_handle_t *)&l->poll, poll_closed);
}
