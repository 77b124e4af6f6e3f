#include "net/frame.h"
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HEADER_BYTES = 4, READ_CHUNK = 64 << 10, KEEP_BYTES = 256 << 10 };

struct frame_channel {
    uv_pipe_t pipe;
    struct frame_ops ops;
    void *arg;
    struct strbuf in;           /* what was read and not handed out yet: less than one frame between callbacks */
    size_t queued;              /* bytes given to libuv and not written yet */
    bool closing;
    int rc;
    char why[128];
    char chunk[READ_CHUNK];
};

struct frame_write { uv_write_t req; struct frame_channel *ch; size_t len; char data[]; };

static void on_closed(uv_handle_t *h)
{
    struct frame_channel *ch = h->data;
    ch->ops.on_close(ch->arg, ch->rc, ch->why);
    strbuf_done(&ch->in);
    free(ch);
}

static void fail(struct frame_channel *ch, int rc, const char *why)
{
    if (ch->closing)
        return;
    ch->closing = true;
    ch->rc = rc;
    fixed_copy(ch->why, sizeof ch->why, why);
    uv_close((uv_handle_t *)&ch->pipe, on_closed);
}

static size_t frame_length(const char *head)
{
    const unsigned char *u = (const unsigned char *)head;
    return (size_t)u[0] << 24 | (size_t)u[1] << 16 | (size_t)u[2] << 8 | u[3];
}

/* Hands out whole frames. A callback may close the channel: then the rest is not looked at any more. */
static void hand_out(struct frame_channel *ch)
{
    size_t at = 0;
    while (!ch->closing && ch->in.len - at >= HEADER_BYTES) {
        size_t len = frame_length(ch->in.s + at);
        if (len > FRAME_BYTES_MAX) {
            fail(ch, -EMSGSIZE, "the peer sent a frame that is too long");
            return;
        }
        if (ch->in.len - at - HEADER_BYTES < len)
            break;
        ch->ops.on_frame(ch->arg, ch->in.s + at + HEADER_BYTES, len);
        at += HEADER_BYTES + len;
    }
    if (ch->closing || at == 0)
        return;
    size_t rest = ch->in.len - at;
    if (rest == 0 && ch->in.cap > KEEP_BYTES) {
        strbuf_done(&ch->in);   /* one long frame must not hold its memory for ever */
        return;
    }
    memmove(ch->in.s, ch->in.s + at, rest);
    ch->in.len = rest;
    ch->in.s[rest] = '\0';
}

static void give_chunk(uv_handle_t *h, size_t hint, uv_buf_t *buf)
{
    struct frame_channel *ch = h->data;
    (void)hint;
    *buf = uv_buf_init(ch->chunk, sizeof ch->chunk);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct frame_channel *ch = stream->data;
    if (n == 0 || ch->closing)
        return;
    if (n == UV_EOF) {
        fail(ch, ch->in.len ? -EPROTO : -ECONNRESET, ch->in.len ? "the peer closed in the middle of a frame" : "the peer closed");
        return;
    }
    if (n < 0) {
        fail(ch, (int)n, uv_strerror((int)n));
        return;
    }
    strbuf_add(&ch->in, buf->base, (size_t)n);
    hand_out(ch);
}

struct frame_channel *frame_channel_new(uv_loop_t *loop, int fd, const struct frame_ops *ops, void *arg)
{
    struct frame_channel *ch = xcalloc(1, sizeof *ch);
    ch->ops = *ops;
    ch->arg = arg;
    uv_pipe_init(loop, &ch->pipe, 0);
    ch->pipe.data = ch;
    int rc = uv_pipe_open(&ch->pipe, fd);
    if (rc < 0)
        close(fd);              /* taken over in any case */
    else
        rc = uv_read_start((uv_stream_t *)&ch->pipe, give_chunk, on_read);
    if (rc < 0)
        fail(ch, rc, uv_strerror(rc));
    return ch;
}

static void on_written(uv_write_t *req, int status)
{
    struct frame_write *w = (struct frame_write *)req;
    w->ch->queued -= w->len;
    if (status < 0 && status != UV_ECANCELED)
        fail(w->ch, status, uv_strerror(status));
    free(w);
}

void frame_send(struct frame_channel *ch, const void *data, size_t len)
{
    if (ch->closing)
        return;
    if (len > FRAME_BYTES_MAX) {
        fail(ch, -EMSGSIZE, "an outgoing frame is too long");
        return;
    }
    if (ch->queued + HEADER_BYTES + len > FRAME_QUEUE_MAX) {
        fail(ch, -ENOBUFS, "the peer does not read: too much is queued for it");
        return;
    }
    struct frame_write *w = xmalloc(sizeof *w + HEADER_BYTES + len);
    w->ch = ch;
    w->len = HEADER_BYTES + len;
    for (int i = 0; i < HEADER_BYTES; i++)
        w->data[i] = (char)(len >> (24 - 8 * i));
    if (len)
        memcpy(w->data + HEADER_BYTES, data, len);
    uv_buf_t buf = uv_buf_init(w->data, (unsigned)w->len);
    ch->queued += w->len;
    int rc = uv_write(&w->req, (uv_stream_t *)&ch->pipe, &buf, 1, on_written);
    if (rc < 0) {
        ch->queued -= w->len;
        free(w);
        fail(ch, rc, uv_strerror(rc));
    }
}

void frame_close(struct frame_channel *ch)
{
    if (ch)
        fail(ch, 0, "closed");
}
