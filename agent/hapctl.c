/* The interactive mode ends each answer with "\n> " (a prompt), and no line of an answer begins with "> ": so many prompts, so many answers. */
#include "agent/hapctl.h"
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/strbuf.h"
#include "base/banned.h"

struct ask { size_t prompts; hapctl_answer answer; void *arg; };
struct hapctl {
    uv_pipe_t pipe;
    uv_connect_t connect;
    uv_timer_t timer;
    struct strbuf in;
    size_t scanned;                         /* of `in`, looked through for prompts */
    struct ask asks[HAPCTL_ASKS_MAX];
    size_t first, count;
    bool open, closing, closed;
    int handles;                            /* still to be closed */
    void (*on_open)(void *arg);
    void (*on_closed)(void *arg, int rc);
    void *arg;
};
struct out { uv_write_t req; char *text; };

static void handle_closed(uv_handle_t *h)
{
    struct hapctl *c = h->data;
    if (--c->handles > 0)
        return;
    strbuf_done(&c->in);
    free(c);
}

static void begin_close(struct hapctl *c)
{
    if (c->closed)
        return;
    c->closed = true;
    uv_close((uv_handle_t *)&c->pipe, handle_closed);
    uv_close((uv_handle_t *)&c->timer, handle_closed);
}

/* The answers' owner may close us, or ask again (which is refused), from within its callbacks: begin_close comes first. */
static void fail(struct hapctl *c, int rc)
{
    if (c->closed)
        return;
    begin_close(c);
    while (c->count > 0 && !c->closing) {
        struct ask a = c->asks[c->first];
        c->first = (c->first + 1) % HAPCTL_ASKS_MAX;
        c->count--;
        if (a.answer)
            a.answer(a.arg, rc, "", 0);
    }
    if (!c->closing)
        c->on_closed(c->arg, rc);
}

static void timed_out(uv_timer_t *t) { fail(t->data, -ETIMEDOUT); }

static void watch(struct hapctl *c)
{
    if (c->closed)
        return;
    if (c->count > 0 || !c->open)
        uv_timer_start(&c->timer, timed_out, HAPCTL_TIMEOUT_MS, 0);
    else
        uv_timer_stop(&c->timer);
}

/* The end of the first ask's answer in `in`, 0 if it is not there yet. Each prompt found is counted off. */
static size_t answer_end(struct hapctl *c, struct ask *a)
{
    for (; c->scanned + 3 <= c->in.len; c->scanned++)
        if (memcmp(c->in.s + c->scanned, "\n> ", 3) == 0) {
            c->scanned += 2;
            if (--a->prompts == 0)
                return ++c->scanned;
        }
    return 0;
}

/* `in` does not change within a callback, and the memory of a closed connection lives until the loop's next turn. */
static void deliver(struct hapctl *c)
{
    size_t end;
    while (!c->closed && c->count > 0 && (end = answer_end(c, &c->asks[c->first])) > 0) {
        struct ask a = c->asks[c->first];
        c->first = (c->first + 1) % HAPCTL_ASKS_MAX;
        c->count--;
        c->in.s[end - 2] = 0;               /* over the "> " of the last prompt */
        if (a.answer)
            a.answer(a.arg, 0, c->in.s, end - 2);
        if (c->closed)
            return;
        memmove(c->in.s, c->in.s + end, c->in.len - end + 1);
        c->in.len -= end;
        c->scanned = 0;
    }
    watch(c);
}

static void on_alloc(uv_handle_t *h, size_t hint, uv_buf_t *buf)
{
    (void)h;
    *buf = uv_buf_init(xmalloc(hint), (unsigned)hint);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
    struct hapctl *c = s->data;
    cleanup_free char *owned = buf->base;
    if (c->closed)
        return;
    if (n < 0) {
        fail(c, n == UV_EOF ? -EPIPE : (int)n);
        return;
    }
    if (c->in.len + (size_t)n > HAPCTL_ANSWER_MAX) {
        fail(c, -EFBIG);
        return;
    }
    strbuf_add(&c->in, owned, (size_t)n);
    deliver(c);
}

static void on_written(uv_write_t *req, int status)
{
    struct out *o = (struct out *)req;
    struct hapctl *c = req->data;
    free(o->text);
    free(o);
    if (status < 0 && status != UV_ECANCELED)
        fail(c, status);
}

int hapctl_ask(struct hapctl *c, const char *commands, size_t n, hapctl_answer answer, void *arg)
{
    if (c->closed || !c->open)
        return -ENOTCONN;
    if (c->count == HAPCTL_ASKS_MAX || n == 0)
        return c->count == HAPCTL_ASKS_MAX ? -ENOBUFS : -EINVAL;
    struct out *o = xcalloc(1, sizeof *o);
    o->text = xstrdup(commands);
    o->req.data = c;
    uv_buf_t buf = uv_buf_init(o->text, (unsigned)strlen(o->text));
    int rc = uv_write(&o->req, (uv_stream_t *)&c->pipe, &buf, 1, on_written);
    if (rc < 0) {
        free(o->text);
        free(o);
        return rc;
    }
    c->asks[(c->first + c->count++) % HAPCTL_ASKS_MAX] = (struct ask){ n, answer, arg };
    watch(c);
    return 0;
}

static void on_prompt(void *arg, int rc, const char *text, size_t len)
{
    struct hapctl *c = arg;
    (void)text;
    (void)len;
    if (rc == 0)
        c->on_open(c->arg);
}

static void on_connected(uv_connect_t *req, int status)
{
    struct hapctl *c = req->data;
    if (c->closed)
        return;
    if (status < 0 || (status = uv_read_start((uv_stream_t *)&c->pipe, on_alloc, on_read)) < 0) {
        fail(c, status);
        return;
    }
    c->open = true;
    int rc = hapctl_ask(c, "prompt\n", 1, on_prompt, c);
    if (rc < 0)
        fail(c, rc);
}

struct hapctl *hapctl_new(uv_loop_t *loop, const char *path, void (*on_open)(void *arg), void (*on_closed)(void *arg, int rc), void *arg)
{
    struct hapctl *c = xcalloc(1, sizeof *c);
    c->on_open = on_open;
    c->on_closed = on_closed;
    c->arg = arg;
    uv_pipe_init(loop, &c->pipe, 0);
    uv_timer_init(loop, &c->timer);
    c->pipe.data = c->timer.data = c->connect.data = c;
    c->handles = 2;
    uv_pipe_connect(&c->connect, &c->pipe, path, on_connected);
    watch(c);
    return c;
}

void hapctl_close(struct hapctl *c)
{
    if (!c)
        return;
    c->closing = true;
    begin_close(c);
}
