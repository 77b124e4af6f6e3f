/* Probes against small servers on the same loop: good, slow, hung, rude, gone. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "agent/probe.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/strbuf.h"

enum manner { ANSWER, BYTE_BY_BYTE, HANG, RESET, CLOSE, ANSWER_EARLY };

struct server {
    uv_tcp_t tcp;
    enum manner manner;
    const char *answer;
    unsigned accepted, open;
    char request[1024];
};
struct client { uv_tcp_t tcp; uv_timer_t slow; struct server *s; size_t sent, got; int handles; char buf[1024]; };

static uv_loop_t loop;

static void client_closed(uv_handle_t *h)
{
    struct client *c = h->data;
    if (--c->handles == 0) {
        c->s->open--;
        free(c);
    }
}

static void client_close(struct client *c)
{
    if (uv_is_closing((uv_handle_t *)&c->tcp))
        return;
    uv_close((uv_handle_t *)&c->tcp, client_closed);
    uv_close((uv_handle_t *)&c->slow, client_closed);
}

static void client_write(struct client *c, size_t n)
{
    uv_buf_t b = uv_buf_init((char *)(uintptr_t)(c->s->answer + c->sent), (unsigned)n);
    uv_try_write((uv_stream_t *)&c->tcp, &b, 1);
    c->sent += n;
}

static void on_slow(uv_timer_t *t)
{
    struct client *c = t->data;
    if (c->s->answer[c->sent])
        client_write(c, 1);
    else
        client_close(c);
}

static void act(struct client *c)
{
    struct linger hard = {.l_onoff = 1};
    int fd;
    switch (c->s->manner) {
    case ANSWER:
    case ANSWER_EARLY:
        client_write(c, strlen(c->s->answer));
        client_close(c);
        break;
    case BYTE_BY_BYTE:
        uv_timer_start(&c->slow, on_slow, 0, 2);
        break;
    case RESET:
        uv_fileno((uv_handle_t *)&c->tcp, &fd);
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
        client_close(c);
        break;
    case CLOSE:
        client_close(c);
        break;
    case HANG:
        break;
    }
}

static void client_alloc(uv_handle_t *h, size_t hint, uv_buf_t *b)
{
    struct client *c = h->data;
    (void)hint;
    *b = uv_buf_init(c->buf + c->got, (unsigned)(sizeof c->buf - 1 - c->got));
}

static void client_read(uv_stream_t *st, ssize_t n, const uv_buf_t *b)
{
    struct client *c = st->data;
    (void)b;
    if (n <= 0) {
        if (n < 0)
            client_close(c);
        return;
    }
    c->got += (size_t)n;
    if (!strstr(c->buf, "\r\n\r\n"))
        return;
    fixed_copy(c->s->request, sizeof c->s->request, c->buf);
    act(c);
}

static void on_connection(uv_stream_t *st, int status)
{
    struct server *s = st->data;
    assert_int_equal(status, 0);
    struct client *c = xcalloc(1, sizeof *c);
    c->s = s;
    c->handles = 2;
    s->accepted++;
    s->open++;
    uv_tcp_init(&loop, &c->tcp);
    uv_timer_init(&loop, &c->slow);
    c->tcp.data = c->slow.data = c;
    assert_int_equal(uv_accept(st, (uv_stream_t *)&c->tcp), 0);
    if (s->manner == ANSWER_EARLY)
        act(c);
    else
        uv_read_start((uv_stream_t *)&c->tcp, client_alloc, client_read);
}

static uint32_t serve(struct server *s, const char *address)
{
    struct sockaddr_storage a = {0};
    int n = sizeof a;
    uv_tcp_init(&loop, &s->tcp);
    s->tcp.data = s;
    if (strchr(address, ':'))
        uv_ip6_addr(address, 0, (struct sockaddr_in6 *)&a);
    else
        uv_ip4_addr(address, 0, (struct sockaddr_in *)&a);
    if (uv_tcp_bind(&s->tcp, (struct sockaddr *)&a, 0) < 0)
        return 0;
    assert_int_equal(uv_listen((uv_stream_t *)&s->tcp, 128, on_connection), 0);
    uv_tcp_getsockname(&s->tcp, (struct sockaddr *)&a, &n);
    return ntohs(((struct sockaddr_in *)&a)->sin_port);         /* the port is at the same place in both */
}

struct told { unsigned calls; bool pass; char detail[128]; int64_t took_ms, started_ms; };

static void on_told(void *arg, bool pass, const char *detail)
{
    struct told *t = arg;
    t->calls++;
    t->pass = pass;
    t->took_ms = clock_mono_ms() - t->started_ms;
    fixed_copy(t->detail, sizeof t->detail, detail);
}

/* Runs until told (at most 5 s), then until nothing of it is left. */
static void wait_told(struct told *t)
{
    int64_t end = clock_mono_ms() + 5000;
    while (!t->calls && clock_mono_ms() < end)
        uv_run(&loop, UV_RUN_ONCE);
    assert_int_equal(t->calls, 1);
}

static void stop(struct server *s)
{
    int64_t end = clock_mono_ms() + 5000;
    uv_close((uv_handle_t *)&s->tcp, NULL);
    while (uv_loop_alive(&loop) && clock_mono_ms() < end)
        uv_run(&loop, UV_RUN_NOWAIT);
    assert_int_equal(s->open, 0);
    assert_false(uv_loop_alive(&loop));         /* no timer, no handle left over */
}

static void http_table(void **st)
{
    (void)st;
    static const struct { enum manner manner; const char *answer; bool pass; const char *detail; } rows[] = {
        {ANSWER, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true, "HTTP 200"},
        {ANSWER, "HTTP/1.0 204 No Content\r\n\r\n", true, "HTTP 204"},
        {ANSWER, "HTTP/1.1 302 Found\r\nLocation: http://example.invalid/\r\n\r\n", true, "HTTP 302"},
        {ANSWER, "HTTP/1.1 399 X\r\n\r\n", true, "HTTP 399"},
        {ANSWER, "HTTP/1.1 400 Bad\r\n\r\n", false, "HTTP 400"},
        {ANSWER, "HTTP/1.1 404 Not Found\r\n\r\n", false, "HTTP 404"},
        {ANSWER, "HTTP/1.1 500 Oops\r\n\r\n", false, "HTTP 500"},
        {ANSWER, "HTTP/1.1 101 Switching\r\n\r\n", false, "HTTP 101"},
        {ANSWER, "SSH-2.0-x\r\n", false, "not an HTTP answer"},
        {ANSWER, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", false, "two different Content-Length"},
        {ANSWER, "HTTP/1.1 200 OK\r\nA: b\r\n", false, "closed in the middle of its answer"},
        {BYTE_BY_BYTE, "HTTP/1.1 200 OK\r\nA: b\r\n\r\n", true, "HTTP 200"},
        {HANG, "", false, "no answer within 300ms"},
        {RESET, "", false, "connection reset by peer"},
        {CLOSE, "", false, "closed without an answer"},
        {ANSWER_EARLY, "HTTP/1.1 503 Busy\r\n\r\n", false, "HTTP 503"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct server s = {.manner = rows[i].manner, .answer = rows[i].answer};
        struct told t = {.started_ms = clock_mono_ms()};
        uint32_t port = serve(&s, "127.0.0.1");
        assert_non_null(probe_http_start(&loop, "127.0.0.1", port, "/healthz?deep=1", 300, on_told, &t));
        assert_int_equal(t.calls, 0);
        wait_told(&t);
        if (t.pass != rows[i].pass || strcmp(t.detail, rows[i].detail) != 0)
            fail_msg("row %zu: %d %s", i, t.pass, t.detail);
        if (rows[i].manner == HANG)
            assert_in_range(t.took_ms, 300, 1000);
        stop(&s);
    }
}

static void request_is_right(void **st)
{
    (void)st;
    static const char *const addresses[] = {"127.0.0.1", "::1"};
    for (size_t i = 0; i < 2; i++) {
        struct server s = {.manner = ANSWER, .answer = "HTTP/1.1 200 OK\r\n\r\n"};
        struct told t = {0};
        char want[256];
        uint32_t port = serve(&s, addresses[i]);
        if (!port) {
            uv_close((uv_handle_t *)&s.tcp, NULL);
            uv_run(&loop, UV_RUN_NOWAIT);
            print_message("skipped: no %s here\n", addresses[i]);
            continue;
        }
        assert_non_null(probe_http_start(&loop, addresses[i], port, "/healthz?deep=1", 1000, on_told, &t));
        wait_told(&t);
        assert_true(t.pass);
        fixed_printf(want, "GET /healthz?deep=1 HTTP/1.1\r\nHost: %s:%u\r\nUser-Agent: muster-probe\r\nAccept: */*\r\nConnection: close\r\n\r\n",
                     i ? "[::1]" : "127.0.0.1", (unsigned)port);
        assert_string_equal(s.request, want);
        stop(&s);
    }
}

static void tcp_probe(void **st)
{
    (void)st;
    struct server s = {.manner = HANG};
    struct told t = {0};
    uint32_t port = serve(&s, "127.0.0.1");
    assert_non_null(probe_tcp_start(&loop, "127.0.0.1", port, 500, on_told, &t));
    wait_told(&t);
    assert_true(t.pass);
    stop(&s);
    for (int http = 0; http < 2; http++) {      /* nobody is there any more */
        t = (struct told){0};
        assert_non_null(http ? probe_http_start(&loop, "127.0.0.1", port, "/", 500, on_told, &t) : probe_tcp_start(&loop, "127.0.0.1", port, 500, on_told, &t));
        assert_int_equal(t.calls, 0);
        wait_told(&t);
        assert_false(t.pass);
        assert_string_equal(t.detail, "connection refused");
    }
    uv_run(&loop, UV_RUN_DEFAULT);
}

/* A listener whose accept queue is full: the kernel drops the SYN, so there is no connection at all. */
static void no_connection(void **st)
{
    (void)st;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int fill[8], l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(l, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(l, 0), 0);
    getsockname(l, (struct sockaddr *)&a, &n);
    for (size_t i = 0; i < ARRAY_LEN(fill); i++) {
        fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        (void)!connect(fill[i], (struct sockaddr *)&a, sizeof a);
    }
    usleep(20000);
    struct told t = {.started_ms = clock_mono_ms()};
    assert_non_null(probe_http_start(&loop, "127.0.0.1", ntohs(a.sin_port), "/", 200, on_told, &t));
    wait_told(&t);
    assert_false(t.pass);
    assert_string_equal(t.detail, "no connection within 200ms");
    assert_in_range(t.took_ms, 200, 900);
    for (size_t i = 0; i < ARRAY_LEN(fill); i++)
        close(fill[i]);
    close(l);
    uv_run(&loop, UV_RUN_DEFAULT);
}

static void refused_at_once(void **st)
{
    (void)st;
    struct told t = {0};
    static const char *const addresses[] = {"", "localhost", "999.1.1.1", "127.0.0.1:80"};
    for (size_t i = 0; i < ARRAY_LEN(addresses); i++)
        assert_null(probe_tcp_start(&loop, addresses[i], 80, 100, on_told, &t));
    assert_null(probe_tcp_start(&loop, "127.0.0.1", 0, 100, on_told, &t));
    assert_null(probe_tcp_start(&loop, "127.0.0.1", 65536, 100, on_told, &t));
    assert_null(probe_tcp_start(&loop, "127.0.0.1", 80, -1, on_told, &t));
    static const char *const paths[] = {"", "x", "/a b", "/a\r\nX: y", "/\x7f"};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++)
        assert_null(probe_http_start(&loop, "127.0.0.1", 80, paths[i], 100, on_told, &t));
    assert_false(uv_loop_alive(&loop));
    /* An address that cannot be reached fails through the callback, as everything else. */
    assert_non_null(probe_tcp_start(&loop, "255.255.255.255", 80, 100, on_told, &t));
    assert_int_equal(t.calls, 0);
    wait_told(&t);
    assert_false(t.pass);
    uv_run(&loop, UV_RUN_DEFAULT);
}

static void cancelled(void **st)
{
    (void)st;
    struct server s = {.manner = HANG};
    uint32_t port = serve(&s, "127.0.0.1");
    struct told t = {0};
    probe_cancel(NULL);
    for (int turns = 0; turns < 6; turns++) {           /* at each step of its way */
        struct probe_run *run = probe_http_start(&loop, "127.0.0.1", port, "/", 60, on_told, &t);
        for (int i = 0; i < turns; i++)
            uv_run(&loop, UV_RUN_NOWAIT);
        probe_cancel(run);
        for (int i = 0; i < 10; i++)
            uv_run(&loop, UV_RUN_NOWAIT);
    }
    usleep(80000);
    uv_run(&loop, UV_RUN_NOWAIT);
    assert_int_equal(t.calls, 0);
    stop(&s);
}

/* 100 probes a second must be well below 1% of a core: below 100 us each with the server's half of the work in it. */
static void cheap(void **st)
{
    (void)st;
    enum { N = 2000 };
    struct server s = {.manner = ANSWER, .answer = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"};
    uint32_t port = serve(&s, "127.0.0.1");
    struct rusage a, b;
    getrusage(RUSAGE_SELF, &a);
    for (int i = 0; i < N; i++) {
        struct told t = {0};
        probe_http_start(&loop, "127.0.0.1", port, "/", 1000, on_told, &t);
        wait_told(&t);
        assert_true(t.pass);
    }
    getrusage(RUSAGE_SELF, &b);
    double us = (double)(b.ru_utime.tv_sec - a.ru_utime.tv_sec + b.ru_stime.tv_sec - a.ru_stime.tv_sec) * 1e6 +
        (double)(b.ru_utime.tv_usec - a.ru_utime.tv_usec + b.ru_stime.tv_usec - a.ru_stime.tv_usec);
    print_message("%.0f us of CPU a probe, the server's half included\n", us / N);
    assert_true(us / N < 1000);         /* loose: sanitizers and busy machines */
    stop(&s);
}

static int open_loop(void **st)
{
    (void)st;
    signal(SIGPIPE, SIG_IGN);
    alarm(60);                  /* a failed test leaves its server on the loop, and the next one could wait for ever */
    return uv_loop_init(&loop);
}

static int close_loop(void **st)
{
    (void)st;
    return uv_loop_close(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(http_table), cmocka_unit_test(request_is_right), cmocka_unit_test(tcp_probe), cmocka_unit_test(no_connection),
        cmocka_unit_test(refused_at_once), cmocka_unit_test(cancelled), cmocka_unit_test(cheap)};
    return cmocka_run_group_tests(tests, open_loop, close_loop);
}
