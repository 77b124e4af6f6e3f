#include "agent/probe.h"
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include "base/num.h"
#include "base/strbuf.h"
#include "net/httpresp.h"

enum { CHUNK_BYTES = 2048, PATH_MAX_BYTES = 4096 };

struct probe_run {
    uv_tcp_t tcp;
    uv_timer_t timer;
    uv_connect_t connect;
    uv_write_t write;
    int open_handles;
    bool over;                  /* told or cancelled; only closing is left */
    bool connected;
    int start_error;            /* of a connect that failed at once: told from the timer, as cb must not run inside start */
    int64_t timeout_ms;
    probe_cb cb;
    void *arg;
    char *request;              /* NULL: tcp */
    struct httpresp answer;
    char chunk[CHUNK_BYTES];
};

static void on_closed(uv_handle_t *h)
{
    struct probe_run *run = h->data;
    if (--run->open_handles > 0)
        return;
    free(run->request);
    free(run);
}

static void close_all(struct probe_run *run)
{
    run->over = true;
    uv_close((uv_handle_t *)&run->tcp, on_closed);
    uv_close((uv_handle_t *)&run->timer, on_closed);
}

static void finish(struct probe_run *run, bool pass, const char *detail)
{
    if (run->over)
        return;
    close_all(run);
    run->cb(run->arg, pass, detail);
}

static void on_timer(uv_timer_t *timer)
{
    struct probe_run *run = timer->data;
    char ms[32], text[96];
    if (run->start_error) {
        finish(run, false, uv_strerror(run->start_error));
        return;
    }
    num_format_duration(run->timeout_ms, ms, sizeof ms);
    fixed_printf(text, "no %s within %s", run->connected ? "answer" : "connection", ms);
    finish(run, false, text);
}

static void on_head(struct probe_run *run)
{
    char text[32];
    fixed_printf(text, "HTTP %d", run->answer.status);
    finish(run, run->answer.status >= 200 && run->answer.status <= 399, text);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct probe_run *run = stream->data;
    if (n == 0 || run->over)
        return;
    if (n < 0) {
        finish(run, false, n != UV_EOF ? uv_strerror((int)n) : run->answer.head_bytes ? "closed in the middle of its answer" : "closed without an answer");
        return;
    }
    const char *why = "";
    switch (httpresp_feed(&run->answer, buf->base, (size_t)n, &why)) {
    case HTTPRESP_DONE: on_head(run); break;
    case HTTPRESP_BAD: finish(run, false, why); break;
    case HTTPRESP_MORE: break;
    }
}

static void give_chunk(uv_handle_t *h, size_t hint, uv_buf_t *buf)
{
    struct probe_run *run = h->data;
    (void)hint;
    *buf = uv_buf_init(run->chunk, sizeof run->chunk);
}

static void on_written(uv_write_t *req, int status)
{
    struct probe_run *run = req->handle->data;
    /* Some servers answer and close before they have read all: then there may be an answer to read, which will tell. */
    if (status < 0 && status != UV_ECANCELED && status != UV_EPIPE && status != UV_ECONNRESET)
        finish(run, false, uv_strerror(status));
}

/* With nobody at a port of the ephemeral range, TCP can connect a socket to itself, and the probe would read its own request. */
static bool is_own_echo(const uv_tcp_t *tcp)
{
    struct sockaddr_storage here = {0}, there = {0};
    int n = sizeof here, m = sizeof there;
    if (uv_tcp_getsockname(tcp, (struct sockaddr *)&here, &n) < 0 || uv_tcp_getpeername(tcp, (struct sockaddr *)&there, &m) < 0)
        return false;
    return n == m && memcmp(&here, &there, (size_t)n) == 0;
}

static void on_connected(uv_connect_t *req, int status)
{
    struct probe_run *run = req->handle->data;
    if (run->over)
        return;
    if (status < 0 || is_own_echo(&run->tcp)) {
        finish(run, false, uv_strerror(status < 0 ? status : UV_ECONNREFUSED));
        return;
    }
    run->connected = true;
    if (!run->request) {
        finish(run, true, "connected");
        return;
    }
    uv_buf_t buf = uv_buf_init(run->request, (unsigned)strlen(run->request));
    int rc = uv_write(&run->write, (uv_stream_t *)&run->tcp, &buf, 1, on_written);
    if (rc == 0)
        rc = uv_read_start((uv_stream_t *)&run->tcp, give_chunk, on_read);
    if (rc < 0)
        finish(run, false, uv_strerror(rc));
}

static int parse_address(const char *address, uint32_t port, struct sockaddr_storage *ret)
{
    if (port < 1 || port > 65535)
        return UV_EINVAL;
    *ret = (struct sockaddr_storage){0};
    if (uv_ip4_addr(address, (int)port, (struct sockaddr_in *)ret) == 0)
        return 0;
    return uv_ip6_addr(address, (int)port, (struct sockaddr_in6 *)ret);
}

static struct probe_run *start(uv_loop_t *loop, const char *address, uint32_t port, int64_t timeout_ms, probe_cb cb, void *arg)
{
    struct sockaddr_storage to;
    if (timeout_ms < 0 || parse_address(address, port, &to) < 0)
        return NULL;
    struct probe_run *run = xcalloc(1, sizeof *run);
    run->cb = cb;
    run->arg = arg;
    run->timeout_ms = timeout_ms;
    run->open_handles = 2;
    uv_tcp_init(loop, &run->tcp);
    uv_timer_init(loop, &run->timer);
    run->tcp.data = run->timer.data = run;
    run->start_error = uv_tcp_connect(&run->connect, &run->tcp, (const struct sockaddr *)&to, on_connected);
    uv_update_time(loop);       /* a loop that was busy has an old time, which would shorten this time-out */
    uv_timer_start(&run->timer, on_timer, run->start_error ? 0 : (uint64_t)timeout_ms, 0);
    return run;
}

static bool path_ok(const char *path)
{
    size_t n = strnlen(path, PATH_MAX_BYTES + 1);
    if (*path != '/' || n > PATH_MAX_BYTES)
        return false;
    for (; *path; path++)
        if ((unsigned char)*path <= ' ' || *path == 0x7f)       /* could end the request line early */
            return false;
    return true;
}

struct probe_run *probe_http_start(uv_loop_t *loop, const char *address, uint32_t port, const char *path, int64_t timeout_ms,
                                   probe_cb cb, void *arg)
{
    if (!path_ok(path))
        return NULL;
    struct probe_run *run = start(loop, address, port, timeout_ms, cb, arg);
    if (!run)
        return NULL;
    bool six = strchr(address, ':') != NULL;
    run->request = xasprintf("GET %s HTTP/1.1\r\nHost: %s%s%s:%u\r\nUser-Agent: muster-probe\r\nAccept: */*\r\nConnection: close\r\n\r\n",
                             path, six ? "[" : "", address, six ? "]" : "", (unsigned)port);
    return run;
}

struct probe_run *probe_tcp_start(uv_loop_t *loop, const char *address, uint32_t port, int64_t timeout_ms, probe_cb cb, void *arg)
{
    return start(loop, address, port, timeout_ms, cb, arg);
}

void probe_cancel(struct probe_run *run)
{
    if (run && !run->over)
        close_all(run);
}
