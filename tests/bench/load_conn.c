/* load_conn.c - one connection carries one request at a time.
 *
 *   connecting -> sending -> reading -> idle (pool) -> sending -> ...
 *                                    -> linger (answered, the server closes) -> free
 *
 * A pooled connection that the server closed while it lay idle is dropped without a word: the end of its stream is looked for right
 * before each use. If the end (or a reset) comes after the request went out, that request is lost and counted, as `empty` or
 * `reset` with `+reused`; nothing is ever sent again. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "tests/bench/load.h"

enum { LINGER_NS = 2000000000 };

int pool_init(struct pool *p, const struct options *o, struct report *r, int epoll)
{
    *p = (struct pool){ .o = o, .report = r, .epoll = epoll };
    TAILQ_INIT(&p->free);
    TAILQ_INIT(&p->busy);
    TAILQ_INIT(&p->idle);
    TAILQ_INIT(&p->linger);
    p->all = calloc((size_t)o->conns_max, sizeof *p->all);
    if (!p->all)
        return -ENOMEM;
    for (int i = 0; i < o->conns_max; i++) {
        p->all[i].fd = -1;
        TAILQ_INSERT_TAIL(&p->free, &p->all[i], link);
    }
    return 0;
}

static struct conn_list *list_of(struct pool *p, enum conn_state s)
{
    return s == C_FREE ? &p->free : s == C_IDLE ? &p->idle : s == C_LINGER ? &p->linger : &p->busy;
}

/* The one place where a connection changes its state and list. */
static void set_state(struct pool *p, struct conn *c, enum conn_state s, int64_t now_ns)
{
    struct conn_list *from = list_of(p, c->state), *to = list_of(p, s);
    c->state = s;
    if (from == to)
        return;
    TAILQ_REMOVE(from, c, link);
    p->busy_n -= from == &p->busy;
    p->busy_n += to == &p->busy;
    c->since_ns = now_ns;
    if (to == &p->idle || to == &p->free)
        TAILQ_INSERT_HEAD(to, c, link);
    else
        TAILQ_INSERT_TAIL(to, c, link);
    if (s == C_FREE && c->fd >= 0) {
        close(c->fd);
        c->fd = -1;
    }
}

static void watch(struct pool *p, struct conn *c, uint32_t events, int op)
{
    struct epoll_event e = { .events = events, .data.ptr = c };
    epoll_ctl(p->epoll, op, c->fd, &e);
}

static void fail(struct pool *p, struct conn *c, enum fail why, int64_t now_ns)
{
    report_fail(p->report, &c->req, why, now_ns);
    set_state(p, c, C_FREE, now_ns);
}

static enum fail of_errno(const struct conn *c, int err)
{
    if (c->answer.any)
        return FAIL_PARTIAL;
    if (err == ECONNREFUSED)
        return FAIL_REFUSED;
    if (err == EADDRNOTAVAIL || err == EMFILE || err == ENFILE || err == ENOBUFS)
        return FAIL_LOCAL;
    return err == ECONNRESET || err == EPIPE ? FAIL_RESET : FAIL_CONNECT;
}

static void answered(struct pool *p, struct conn *c, int64_t now_ns)
{
    report_answer(p->report, &c->req, c->answer.status, c->answer.instance, now_ns);
    c->fresh = false;
    set_state(p, c, c->keep && !c->answer.closes ? C_IDLE : C_LINGER, now_ns);
}

static void on_readable(struct pool *p, struct conn *c, int64_t now_ns)
{
    char buf[16384];
    for (;;) {
        ssize_t n = recv(c->fd, buf, sizeof buf, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (c->state == C_IDLE || c->state == C_LINGER) {
            set_state(p, c, C_FREE, now_ns);    /* closed by the server, or bytes that nobody asked for (408 of an idle connection) */
            return;
        }
        if (n < 0) {
            fail(p, c, of_errno(c, errno), now_ns);
            return;
        }
        if (n == 0) {
            if (answer_eof(&c->answer))
                answered(p, c, now_ns);
            else
                fail(p, c, c->answer.any ? FAIL_PARTIAL : FAIL_EMPTY, now_ns);
            return;
        }
        size_t used;
        int r = answer_feed(&c->answer, buf, (size_t)n, &used);
        if (r < 0) {
            fail(p, c, FAIL_BAD, now_ns);
            return;
        }
        if (r == 1)
            answered(p, c, now_ns);
        if (r == 1 || n < (ssize_t)sizeof buf)
            return;
    }
}

static void send_rest(struct pool *p, struct conn *c, int64_t now_ns)
{
    while (c->out_sent < c->out_n) {
        ssize_t n = send(c->fd, c->out + c->out_sent, c->out_n - c->out_sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN) {
            watch(p, c, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
            return;
        }
        if (n < 0) {
            fail(p, c, of_errno(c, errno), now_ns);
            return;
        }
        c->out_sent += (size_t)n;
    }
    if (c->state != C_READING) {
        set_state(p, c, C_READING, now_ns);
        watch(p, c, EPOLLIN, EPOLL_CTL_MOD);
    }
}

static void on_connected(struct pool *p, struct conn *c, int64_t now_ns)
{
    int err = 0;
    socklen_t len = sizeof err;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len);
    if (err) {
        fail(p, c, of_errno(c, err), now_ns);
        return;
    }
    set_state(p, c, C_SENDING, now_ns);
    send_rest(p, c, now_ns);
}

void pool_event(struct pool *p, struct conn *c, uint32_t events, int64_t now_ns)
{
    if (c->state == C_CONNECTING)
        on_connected(p, c, now_ns);
    else if (c->state == C_SENDING && (events & EPOLLOUT) && !(events & (EPOLLERR | EPOLLHUP)))
        send_rest(p, c, now_ns);
    else if (c->state != C_FREE)
        on_readable(p, c, now_ns);      /* an error, too, is told by recv() */
}

static void write_request(const struct pool *p, struct conn *c)
{
    const struct options *o = p->o;
    char id[96], body[128] = "";
    snprintf(id, sizeof id, "%s-%llu", o->id_prefix, (unsigned long long)c->req.n);
    if (c->req.method == POST)
        snprintf(body, sizeof body, "{\"id\":\"%s\"}", id);
    int n = snprintf(c->out, sizeof c->out, "%s %s%cid=%s HTTP/1.1\r\nHost: %s\r\nUser-Agent: muster-load\r\nX-Request-Id: %s\r\n%s",
                     c->req.method == GET ? "GET" : "POST", o->path, strchr(o->path, '?') ? '&' : '?', id, o->host, id, c->keep ? "" : "Connection: close\r\n");
    if (n > 0 && (size_t)n < sizeof c->out) {
        if (c->req.method == POST)
            n += snprintf(c->out + n, sizeof c->out - (size_t)n, "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
        else
            n += snprintf(c->out + n, sizeof c->out - (size_t)n, "\r\n");
    }
    c->out_n = (size_t)n < sizeof c->out ? (size_t)n : sizeof c->out - 1;
    c->out_sent = 0;
}

/* An idle connection that is still open, or NULL. */
static struct conn *take_idle(struct pool *p, int64_t now_ns)
{
    struct conn *c;
    while ((c = TAILQ_FIRST(&p->idle))) {
        char b;
        ssize_t n = recv(c->fd, &b, 1, MSG_PEEK | MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN)
            return c;
        set_state(p, c, C_FREE, now_ns);
    }
    return NULL;
}

static void open_new(struct pool *p, struct conn *c, int64_t now_ns)
{
    c->fd = socket(p->o->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) {
        fail(p, c, FAIL_LOCAL, now_ns);
        return;
    }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
    watch(p, c, EPOLLIN | EPOLLOUT, EPOLL_CTL_ADD);
    if (connect(c->fd, (const struct sockaddr *)&p->o->addr, p->o->addr_len) == 0)
        on_connected(p, c, now_ns);
    else if (errno != EINPROGRESS)
        fail(p, c, of_errno(c, errno), now_ns);
}

void pool_start(struct pool *p, const struct request *q, bool keep, int64_t now_ns)
{
    struct conn *c = keep ? take_idle(p, now_ns) : NULL;
    bool reuse = c != NULL;
    if (!reuse)
        c = TAILQ_FIRST(&p->free);
    if (!c) {
        report_sent(p->report, q);
        report_fail(p->report, q, FAIL_LOCAL, now_ns);
        return;
    }
    c->fresh = !reuse;
    c->keep = keep;
    c->req = *q;
    c->req.reused = reuse;
    answer_init(&c->answer);
    write_request(p, c);
    report_sent(p->report, &c->req);
    set_state(p, c, reuse ? C_SENDING : C_CONNECTING, now_ns);
    if (reuse)
        send_rest(p, c, now_ns);
    else
        open_new(p, c, now_ns);
}

void pool_expire(struct pool *p, int64_t now_ns)
{
    struct conn *c;
    while ((c = TAILQ_FIRST(&p->busy)) && now_ns - c->since_ns > (int64_t)p->o->timeout_ms * 1000000)
        fail(p, c, FAIL_TIMEOUT, now_ns);
    while ((c = TAILQ_FIRST(&p->linger)) && now_ns - c->since_ns > LINGER_NS)
        set_state(p, c, C_FREE, now_ns);
}

void pool_done(struct pool *p)
{
    for (int i = 0; p->all && i < p->o->conns_max; i++)
        if (p->all[i].fd >= 0)
            close(p->all[i].fd);
    free(p->all);
    p->all = NULL;
}
