/* api.c - see api.h. */
#include "supervisord/api.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "net/frame.h"
#include "supervisord/daemon.h"
#include "supervisord/view_json.h"

enum { BODY_MAX = 4 << 20, CONNECTIONS_MAX = 256, LAST_ROUNDS = 32 };

struct api {
    uv_loop_t *loop;
    struct daemon *daemon;
    struct MHD_Daemon *mhd;
    uv_poll_t poll;
    uv_timer_t timer;               /* libmicrohttpd's own time-outs */
    uv_timer_t events_timer;        /* held event calls that have waited enough */
    uv_idle_t kick;
    struct api_call *waiting;       /* held GET /v1/events */
    char *path;
    bool given;                     /* the listening socket is systemd's too */
    bool closing;
    int handles;
};

/* Runs libmicrohttpd once, and again when its next time-out is due. */
static void on_timer(uv_timer_t *t)
{
    struct api *a = t->data;
    MHD_UNSIGNED_LONG_LONG ms;

    MHD_run(a->mhd);
    if (MHD_get_timeout(a->mhd, &ms) == MHD_YES)
        uv_timer_start(t, on_timer, ms, 0);
}

static void on_ready(uv_poll_t *p, int status, int events)
{
    struct api *a = p->data;

    (void)status; (void)events;
    on_timer(&a->timer);
}

static void on_kick(uv_idle_t *i)
{
    struct api *a = i->data;

    uv_idle_stop(i);
    on_timer(&a->timer);
}

void api_kick(struct api *a)
{
    if (a && !a->closing)
        uv_idle_start(&a->kick, on_kick);
}

/* --- answers ---------------------------------------------------------------------------------------------- */
static void resume(struct api_call *c)
{
    if (!c->suspended)
        return;
    c->suspended = false;
    MHD_resume_connection(c->connection);
    api_kick(c->api);
}

void api_answer_text(struct api_call *c, unsigned status, const char *type, char *text)
{
    c->answered = true;
    c->status = status;
    free(c->answer);
    c->answer = text;
    c->content_type = type;
    resume(c);
}

void api_answer_json(struct api_call *c, unsigned status, json_t *body)
{
    char *text = json_dumps(body, JSON_COMPACT | JSON_PRESERVE_ORDER);

    json_decref(body);
    if (text)
        api_answer_text(c, status, "application/json", text);
    else                            /* jansson refuses what is not UTF-8 */
        api_answer_text(c, 500, "application/json", xstrdup("{\"error\":\"the answer is not valid JSON\"}"));
}

void api_answer_error(struct api_call *c, unsigned status, const char *fmt, ...)
{
    char text[768];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    json_t *j = json_object();
    json_object_set_new(j, "error", view_text(text));       /* a path, a URL: any bytes, and the cut may go through a character */
    api_answer_json(c, status, j);
}

void api_hold(struct api_call *c)
{
    if (!c->suspended && !c->answered) {
        c->suspended = true;
        MHD_suspend_connection(c->connection);
    }
}

const char *api_query(struct api_call *c, const char *name)
{
    return MHD_lookup_connection_value(c->connection, MHD_GET_ARGUMENT_KIND, name);
}

/* --- held event calls -------------------------------------------------------------------------------------- */
static void answer_waiting(struct api *a, bool all, int64_t now)
{
    struct api_call **p = &a->waiting;

    while (*p) {
        struct api_call *c = *p;
        if (all || c->wait_until <= now) {
            *p = c->next_waiting;
            api_events_answer(c);
        } else {
            p = &c->next_waiting;
        }
    }
}

static void on_events_timer(uv_timer_t *t)
{
    struct api *a = t->data;

    answer_waiting(a, false, daemon_now(a->daemon));
    if (!a->waiting)
        uv_timer_stop(t);
}

static void on_new_events(void *arg)
{
    answer_waiting(arg, true, 0);
}

void api_wait_events(struct api_call *c, int64_t until_ms)
{
    struct api *a = c->api;

    c->wait_until = until_ms;
    c->next_waiting = a->waiting;
    a->waiting = c;
    api_hold(c);
    uv_timer_start(&a->events_timer, on_events_timer, 250, 250);
}

/* --- libmicrohttpd ------------------------------------------------------------------------------------------- */
static enum MHD_Result send_answer(struct api_call *c)
{
    struct MHD_Response *r = MHD_create_response_from_buffer(strlen(c->answer), c->answer, MHD_RESPMEM_MUST_COPY);
    enum MHD_Result rc;

    if (!r)
        return MHD_NO;
    MHD_add_response_header(r, "Content-Type", c->content_type);
    MHD_add_response_header(r, "Cache-Control", "no-store");
    rc = MHD_queue_response(c->connection, c->status, r);
    MHD_destroy_response(r);
    return rc;
}

static bool peer_allowed(struct api_call *c)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(c->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    int pid;

    if (!info || unix_peer_uid(info->connect_fd, &c->peer_uid, &pid))
        return false;
    return c->peer_uid == 0 || c->peer_uid == geteuid() || (c->api->given && unix_peer_in_group(info->connect_fd, getegid()));
}

static void refuse_peer(struct api_call *c)
{
    const char *more = c->api->given ? " and members of its group" : "";

    api_answer_error(c, 403, "user %u may not talk to this musterd: only root, user %u%s may", c->peer_uid, geteuid(), more);
}

static bool take_body(struct api_call *c, const char *data, size_t len)
{
    if (c->body_len + len > BODY_MAX)
        return false;
    c->body = xrealloc(c->body, c->body_len + len + 1);
    memcpy(c->body + c->body_len, data, len);
    c->body_len += len;
    c->body[c->body_len] = '\0';
    return true;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
                                  const char *data, size_t *len, void **context)
{
    struct api *a = cls;
    struct api_call *c = *context;

    (void)version;
    if (!c) {
        c = *context = xcalloc(1, sizeof(*c));
        c->connection = connection;
        c->daemon = a->daemon;
        c->api = a;
        return MHD_YES;
    }
    c->url = url;
    c->method = method;
    if (c->answered)
        return *len ? (*len = 0, MHD_YES) : send_answer(c);
    if (*len) {
        if (!take_body(c, data, *len))
            api_answer_error(c, 413, "the request is larger than %d bytes", BODY_MAX);
        *len = 0;
        return MHD_YES;
    }
    if (a->closing)                 /* nobody would be there to end a held call */
        api_answer_error(c, 503, "the controller is ending");
    else if (!peer_allowed(c))
        refuse_peer(c);
    else
        api_route(c);
    return c->answered ? send_answer(c) : MHD_YES;
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **context, enum MHD_RequestTerminationCode code)
{
    struct api_call *c = *context;

    (void)cls; (void)connection; (void)code;
    if (!c)
        return;
    for (struct api_call **p = &c->api->waiting; *p; p = &(*p)->next_waiting)
        if (*p == c) {
            *p = c->next_waiting;
            break;
        }
    free(c->body);
    free(c->answer);
    free(c);
    *context = NULL;
}

static void init_handles(struct api *a, int epoll_fd)
{
    uv_poll_init(a->loop, &a->poll, epoll_fd);
    uv_timer_init(a->loop, &a->timer);
    uv_timer_init(a->loop, &a->events_timer);
    uv_idle_init(a->loop, &a->kick);
    a->poll.data = a->timer.data = a->events_timer.data = a->kick.data = a;
    uv_poll_start(&a->poll, UV_READABLE, on_ready);
}

int api_new(uv_loop_t *loop, struct daemon *d, const char *socket_path, int given_fd, struct api **ret, struct err *e)
{
    int fd = given_fd >= 0 ? given_fd : unix_listen(socket_path, 0600, -1, e);

    if (fd < 0)
        return err_wrap(e, fd, "API socket %s", socket_path);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    struct api *a = xcalloc(1, sizeof(*a));
    a->loop = loop;
    a->daemon = d;
    a->mhd = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_request, a,
                              MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
                              MHD_OPTION_CONNECTION_TIMEOUT, 60u, MHD_OPTION_NOTIFY_COMPLETED, on_completed, a, MHD_OPTION_END);
    const union MHD_DaemonInfo *info = a->mhd ? MHD_get_daemon_info(a->mhd, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
    if (!info) {
        close(fd);
        free(a);
        return err_set(e, -EIO, "API socket %s: libmicrohttpd did not start", socket_path);
    }
    a->path = xstrdup(socket_path);
    a->given = given_fd >= 0;
    init_handles(a, info->epoll_fd);
    daemon_on_events(d, on_new_events, a);
    *ret = a;
    return 0;
}

static void on_closed(uv_handle_t *h)
{
    struct api *a = h->data;

    if (--a->handles)
        return;
    MHD_stop_daemon(a->mhd);
    free(a->path);
    free(a);
}

void api_close(struct api *a)
{
    if (!a)
        return;
    MHD_UNSIGNED_LONG_LONG ms = 0;

    answer_waiting(a, true, 0);
    a->closing = true;
    if (a->given)                   /* else MHD_stop_daemon could shut down what is systemd's too; who connects now waits for the next musterd */
        close(MHD_quiesce_daemon(a->mhd));
    for (int i = 0; i < LAST_ROUNDS && ms == 0; i++) {      /* what is answered goes out */
        MHD_run(a->mhd);
        if (MHD_get_timeout(a->mhd, &ms) != MHD_YES)
            break;
    }
    if (!a->given)
        unlink(a->path);
    a->handles = 4;
    uv_close((uv_handle_t *)&a->poll, on_closed);
    uv_close((uv_handle_t *)&a->timer, on_closed);
    uv_close((uv_handle_t *)&a->events_timer, on_closed);
    uv_close((uv_handle_t *)&a->kick, on_closed);
}
