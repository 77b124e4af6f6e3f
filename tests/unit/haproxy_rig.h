/* haproxy_rig.h - for tests with the real haproxy: a keeper that only forks, small HTTP servers that can be killed, and clients.
 * All in one process with one loop; servers are child processes, clients threads. Everything lies in a folder of its own. */
#pragma once
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <cmocka.h>
#include "agent/balancer.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/strbuf.h"

enum { RIG_PROCS = 32, RIG_SERVERS = 8, RIG_CLIENTS = 24, RIG_IDS = 200000 };

/* --- servers ------------------------------------------------------------------------------------------------- */
struct shared { atomic_uint executed[RIG_IDS]; atomic_uint in_flight[RIG_SERVERS]; atomic_uint poisoned; };
struct server { pid_t pid; uint32_t port; };
struct served { int fd; int index; struct shared *shared; };

static inline void *serve_one(void *arg)
{
    struct served s = *(struct served *)arg;
    char in[4096], out[9000], body[8200] = "";
    size_t n = 0, want = 0;
    free(arg);
    while (n < sizeof in - 1) {
        ssize_t got = read(s.fd, in + n, sizeof in - 1 - n);
        if (got <= 0)
            break;
        n += (size_t)got;
        in[n] = 0;
        char *end = strstr(in, "\r\n\r\n"), *cl = strcasestr(in, "content-length:");
        want = end ? (size_t)(end - in) + 4 + (cl && cl < end ? strtoul(cl + 15, NULL, 10) : 0) : 0;
        if (want && n >= want)
            break;
    }
    if (want && n >= want) {
        char *id = strcasestr(in, "x-id:"), *slow = strstr(in, "/slow");
        atomic_fetch_add(&s.shared->in_flight[s.index], 1);
        if (strstr(in, "/poison")) {
            atomic_fetch_add(&s.shared->poisoned, 1);
            _exit(3);
        }
        if (id)
            atomic_fetch_add(&s.shared->executed[strtoul(id + 5, NULL, 10) % RIG_IDS], 1);
        usleep(slow ? (useconds_t)strtoul(slow + 5, NULL, 10) * 1000 : 2000);
        if (strstr(in, "/echo"))
            snprintf(body, sizeof body, "%s", in);
        else
            snprintf(body, sizeof body, "server %d\n", s.index);
        int len = snprintf(out, sizeof out, "HTTP/1.1 %s\r\nContent-Length: %zu\r\nConnection: close\r\n%s\r\n%s", strstr(in, "/made502") ? "502 Made By It" : "200 OK", strlen(body),
            strstr(in, "/events") ? "Content-Type: text/event-stream\r\n" : "", body);
        ssize_t w = write(s.fd, out, (size_t)len);
        (void)w;
        atomic_fetch_sub(&s.shared->in_flight[s.index], 1);
    }
    close(s.fd);
    return NULL;
}

static inline void server_main(int index, uint32_t port, struct shared *shared)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    signal(SIGPIPE, SIG_IGN);
    for (int k = 4; k < 200; k++)
        if (k != fd)
            close(k);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, 256) < 0)
        _exit(2);
    for (;;) {
        pthread_t t;
        struct served *s = malloc(sizeof *s);
        if (!s)
            _exit(4);
        *s = (struct served){ accept(fd, NULL, NULL), index, shared };
        if (s->fd < 0 || pthread_create(&t, NULL, serve_one, s) != 0)
            _exit(5);
        pthread_detach(t);
    }
}

/* --- the keeper ------------------------------------------------------------------------------------------------ */
struct rig;
struct rig_proc { struct rig *rig; char id[ID_SIZE]; uv_process_t p; bool used, running, check; };
struct rig {
    uv_loop_t loop;
    char dir[64];
    struct balancer *b;
    struct rig_proc procs[RIG_PROCS];
    struct { char name[ID_SIZE]; int fd; char host[64]; uint32_t port; } held[4];
    struct server servers[RIG_SERVERS];
    struct shared *shared;
    struct balancer_report report; bool has_report;
    uint32_t reports, spawns;
    char events[4096];
    uint32_t port;
    struct balancer_desired want; uint64_t revision;
};

static inline void rig_exited(uv_process_t *p, int64_t status, int sig)
{
    struct rig_proc *pr = p->data;
    struct k_msg m = { .verb = K_EXITED };
    pr->running = false;
    fixed_printf(m.u.state.id, "%s", pr->id);
    m.u.state.kind = K_BALANCER;
    m.u.state.pid = p->pid;
    m.u.state.exit = (struct exit_info){ sig ? EXIT_KIND_SIGNAL : EXIT_KIND_CODE, sig ? sig : (int)status };
    if (pr->rig->b)
        balancer_on_keeper(pr->rig->b, &m);
    m.verb = K_EMPTY;
    if (pr->rig->b)
        balancer_on_keeper(pr->rig->b, &m);
}

struct rig_later { uv_timer_t t; struct rig *rig; struct k_msg m; };
static inline void rig_later_done(uv_handle_t *h) { free(h->data); }
static inline void rig_later_fire(uv_timer_t *t)
{
    struct rig_later *l = t->data;
    if (l->rig->b)
        balancer_on_keeper(l->rig->b, &l->m);
    uv_close((uv_handle_t *)t, rig_later_done);
}
/* Answers come in a turn of their own, as the keeper's do. */
static inline void rig_answer(struct rig *r, struct k_msg m)
{
    struct rig_later *l = calloc(1, sizeof *l);
    l->rig = r;
    l->m = m;
    l->t.data = l;
    uv_timer_init(&r->loop, &l->t);
    uv_timer_start(&l->t, rig_later_fire, 0, 0);
}

static inline int rig_spawn(void *arg, const char *id, char *const argv[], char *const env[], const char *tls, const char *listener, int output_fd)
{
    (void)tls;
    struct rig *r = arg;
    struct rig_proc *pr = NULL;
    int fd = -1;
    for (size_t i = 0; i < RIG_PROCS; i++) {
        if (r->procs[i].used && strcmp(r->procs[i].id, id) == 0)
            assert_false(r->procs[i].running);
        if (!pr && (!r->procs[i].used || (strcmp(r->procs[i].id, id) == 0 && !r->procs[i].running)))
            pr = &r->procs[i];
    }
    assert_non_null(pr);
    for (size_t i = 0; i < 4; i++)
        if (strcmp(r->held[i].name, listener) == 0)
            fd = r->held[i].fd;
    assert_true(fd >= 0);
    uv_stdio_container_t io[4] = { { .flags = UV_IGNORE }, { .flags = UV_INHERIT_FD, .data.fd = output_fd }, { .flags = UV_INHERIT_FD, .data.fd = output_fd },
        { .flags = UV_INHERIT_FD, .data.fd = fd } };
    uv_process_options_t o = { .exit_cb = rig_exited, .file = argv[0], .args = (char **)argv, .env = (char **)env, .stdio = io, .stdio_count = 4 };
    memset(pr, 0, sizeof *pr);
    *pr = (struct rig_proc){ .rig = r, .used = true, .running = true, .check = strchr(id, '/') };
    fixed_printf(pr->id, "%s", id);
    r->spawns++;
    int rc = uv_spawn(&r->loop, &pr->p, &o);
    pr->p.data = pr;
    struct k_msg m = { .verb = K_SPAWNED };
    if (rc < 0) {
        pr->running = false;
        m.verb = K_SPAWN_FAILED;
        m.u.failed.rc = rc;
        fixed_printf(m.u.failed.detail, "cannot execute %s: %s", argv[0], strerror(-rc));
    } else {
        m.u.state.pid = pr->p.pid;
        m.u.state.kind = K_BALANCER;
        m.u.state.running = m.u.state.populated = 1;
    }
    fixed_printf(m.u.id.id, "%s", id);
    rig_answer(r, m);
    return 0;
}

static inline void rig_signal(void *arg, const char *id, int32_t pid, int signo)
{
    struct rig *r = arg;
    for (size_t i = 0; i < RIG_PROCS; i++)
        if (r->procs[i].running && strcmp(r->procs[i].id, id) == 0 && r->procs[i].p.pid == pid)
            kill(pid, signo);
}

static inline int rig_listen(void *arg, const char *name, const char *host, uint32_t port)
{
    struct rig *r = arg;
    struct k_msg m = { .verb = K_REPLY, .u.reply = { .verb = K_LISTEN } };
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    inet_pton(AF_INET, host[0] ? host : "0.0.0.0", &a.sin_addr);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, 4096) < 0) {
        m.u.reply.rc = -errno;
        close(fd);
    }
    for (size_t i = 0; i < 4 && m.u.reply.rc == 0; i++)
        if (!r->held[i].name[0]) {
            fixed_printf(r->held[i].name, "%s", name);
            fixed_printf(r->held[i].host, "%s", host);
            r->held[i].fd = fd;
            r->held[i].port = port;
            break;
        }
    fixed_printf(m.u.reply.id, "%s", name);
    rig_answer(r, m);
    return 0;
}

static inline void rig_unlisten(void *arg, const char *name)
{
    struct rig *r = arg;
    for (size_t i = 0; i < 4; i++)
        if (strcmp(r->held[i].name, name) == 0) {
            close(r->held[i].fd);
            r->held[i].name[0] = 0;
        }
}

static inline void rig_closed(uv_handle_t *h) { ((struct rig_proc *)h->data)->used = false; }
static inline void rig_forget(void *arg, const char *id)
{
    struct rig *r = arg;
    for (size_t i = 0; i < RIG_PROCS; i++)
        if (r->procs[i].used && strcmp(r->procs[i].id, id) == 0 && !uv_is_closing((uv_handle_t *)&r->procs[i].p)) {
            assert_false(r->procs[i].running);
            r->procs[i].id[0] = 0;
            uv_close((uv_handle_t *)&r->procs[i].p, rig_closed);
        }
}

static inline void rig_reported(void *arg, const struct balancer_report *b)
{
    struct rig *r = arg;
    free(r->report.servers);
    r->report = *b;
    r->report.servers = xcalloc(b->server_n + 1, sizeof *b->servers);
    memcpy(r->report.servers, b->servers, b->server_n * sizeof *b->servers);
    r->has_report = true;
    r->reports++;
}

static inline void rig_event(void *arg, int level, const char *kind, const char *subject, const char *text)
{
    struct rig *r = arg;
    size_t n = strlen(r->events);
    snprintf(r->events + n, sizeof r->events - n, "%d %s %s: %s\n", level, kind, subject, text);
    if (getenv("RIG_VERBOSE"))
        print_message("event %d %s %s: %s\n", level, kind, subject, text);
}
static const struct balancer_ops rig_ops = { rig_spawn, rig_signal, rig_listen, rig_unlisten, rig_forget, rig_reported, rig_event };

/* --- time --------------------------------------------------------------------------------------------------------- */
static inline void rig_wake(uv_timer_t *t) { (void)t; }
static inline bool rig_until_(struct rig *r, bool (*done)(struct rig *), int64_t cap_ms)
{
    uv_timer_t t;
    int64_t end = clock_mono_ms() + cap_ms;
    bool ok = false;
    uv_timer_init(&r->loop, &t);
    uv_timer_start(&t, rig_wake, 1, 1);
    while (!(ok = done && done(r)) && clock_mono_ms() < end)
        uv_run(&r->loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&t, NULL);
    uv_run(&r->loop, UV_RUN_NOWAIT);
    return ok;
}
static inline void rig_run(struct rig *r, int64_t ms) { rig_until_(r, NULL, ms); }
static inline bool rig_acked(struct rig *r) { return r->has_report && r->report.revision == r->revision && r->report.running; }

/* --- what is wanted ------------------------------------------------------------------------------------------------ */
static inline uint32_t free_port(void)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    getsockname(fd, (struct sockaddr *)&a, &n);
    close(fd);
    return ntohs(a.sin_port);
}

static inline void rig_upstream(struct rig *r, const char *service, const char *host, const char *path, uint32_t slots)
{
    r->want.upstreams = xrealloc(r->want.upstreams, (r->want.upstream_n + 1) * sizeof *r->want.upstreams);
    struct upstream *u = &r->want.upstreams[r->want.upstream_n++];
    *u = (struct upstream){ .path = xstrdup(path), .retry = true, .maxconn = 100, .slots = slots, .check = PROBE_TCP, .check_every_ms = 500,
        .check_timeout_ms = 500, .check_fail_after = 2, .servers = xcalloc(RIG_SERVERS, sizeof(struct upstream_server)) };
    fixed_printf(u->service, "%s", service);
    if (host)
        strv_push(&u->hosts, host);
}

/* Server i of the rig, as instance `service.i`. */
static inline void rig_list(struct rig *r, struct upstream *u, int i, enum server_state state)
{
    char id[ID_SIZE];
    fixed_printf(id, "%s.%d", u->service, i);
    for (size_t k = 0; k < u->server_n; k++)
        if (strcmp(u->servers[k].id, id) == 0) {
            u->servers[k].state = state;
            return;
        }
    struct upstream_server *s = &u->servers[u->server_n++];
    fixed_printf(s->id, "%s", id);
    fixed_printf(s->address, "127.0.0.1");
    s->port = r->servers[i].port;
    s->state = state;
}

static inline void rig_set(struct rig *r) { balancer_set(r->b, 1, ++r->revision, &r->want); }
static inline void rig_apply(struct rig *r)
{
    rig_set(r);
    if (!rig_until_(r, rig_acked, 5000))
        fail_msg("revision %d is not acknowledged: %s\n%s", (int)r->revision, r->report.problem, r->events);
}

static inline void rig_serve(struct rig *r, int i)
{
    uint32_t port = r->servers[i].port ? r->servers[i].port : free_port();
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        server_main(i, port, r->shared);
    r->servers[i] = (struct server){ pid, port };
    for (int k = 0; k < 500; k++) {
        struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        int fd = socket(AF_INET, SOCK_STREAM, 0), rc = connect(fd, (struct sockaddr *)&a, sizeof a);
        close(fd);
        if (rc == 0)
            return;
        usleep(2000);
    }
    fail_msg("server %d does not listen", i);
}

static inline void rig_kill(struct rig *r, int i)
{
    kill(r->servers[i].pid, SIGKILL);
    waitpid(r->servers[i].pid, NULL, 0);
    r->servers[i].pid = 0;
}

static inline void rig_start(struct rig *r, int servers)
{
    memset(r, 0, sizeof *r);
    signal(SIGPIPE, SIG_IGN);
    uv_loop_init(&r->loop);
    snprintf(r->dir, sizeof r->dir, "/tmp/mhap.%d.XXXXXX", (int)getpid());
    assert_non_null(mkdtemp(r->dir));
    chmod(r->dir, 0711);
    r->shared = mmap(NULL, sizeof *r->shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(r->shared != MAP_FAILED);
    for (int i = 1; i <= servers; i++)
        rig_serve(r, i);
    r->port = free_port();
    r->want.spec = (struct balancer_spec){ .name = xstrdup("edge"), .listen_host = xstrdup("127.0.0.1"), .listen_port = r->port, .queue_timeout_ms = 2000 };
    r->b = balancer_new(&r->loop, r->dir, r->dir, "edge", &rig_ops, r);
    assert_non_null(r->b);
}

static inline bool rig_balancer_ended(struct rig *r) { return balancer_ended(r->b); }
static inline void rig_close_all(uv_handle_t *h, void *arg)
{
    (void)arg;
    if (!uv_is_closing(h))
        uv_close(h, NULL);
}
static inline void rig_stop(struct rig *r)
{
    balancer_stop(r->b);
    if (!rig_until_(r, rig_balancer_ended, 6000))
        print_message("HAProxy had to be killed\n");
    balancer_free(r->b);
    r->b = NULL;
    for (size_t i = 0; i < RIG_PROCS; i++)
        if (r->procs[i].running)
            kill(r->procs[i].p.pid, SIGKILL);
    for (int i = 1; i < RIG_SERVERS; i++)
        if (r->servers[i].pid > 0)
            rig_kill(r, i);
    rig_run(r, 30);
    for (size_t i = 0; i < 4; i++)
        if (r->held[i].name[0])
            close(r->held[i].fd);
    uv_walk(&r->loop, rig_close_all, NULL);
    uv_run(&r->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&r->loop), 0);
    free(r->report.servers);
    balancer_desired_done(&r->want);
    munmap(r->shared, sizeof *r->shared);
    cleanup_free char *rm = xasprintf("%s/edge", r->dir), *f = NULL;
    static const char *const left[] = { "servers.state", "check.cfg", "log.sock" };
    for (size_t i = 0; i < ARRAY_LEN(left); i++) {
        f = xasprintf("%s/%s", rm, left[i]);
        unlink(f);
        free(TAKE(f));
    }
    f = xasprintf("%s/edge.pem", r->dir);
    unlink(f);
    assert_int_equal(rmdir(rm), 0);             /* nothing of its own is left there */
    assert_int_equal(rmdir(r->dir), 0);
}

static inline pid_t rig_haproxy(struct rig *r) { return r->report.pid; }

/* --- clients --------------------------------------------------------------------------------------------------------- */
enum { ANSWER_REFUSED = -1, ANSWER_RESET = -2, ANSWER_TIMEOUT = -3 };
static inline int dial(uint32_t port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct timeval tv = { 8, 0 };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0) {
        close(fd);
        return ANSWER_REFUSED;
    }
    return fd;
}

/* Reads one answer with a Content-Length. Its status, or ANSWER_*. *ret_close: the server ends the connection. */
static inline int read_answer(int fd, char *out, size_t size, bool *ret_close)
{
    size_t n = 0, want = 0;
    while (n < size - 1) {
        ssize_t got = read(fd, out + n, size - 1 - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 && (errno == EAGAIN) ? ANSWER_TIMEOUT : ANSWER_RESET;
        n += (size_t)got;
        out[n] = 0;
        char *end = strstr(out, "\r\n\r\n"), *cl = strcasestr(out, "content-length:");
        if (end)
            want = (size_t)(end - out) + 4 + (cl && cl < end ? strtoul(cl + 15, NULL, 10) : 0);
        if (want && n >= want)
            break;
    }
    char *close_at = strcasestr(out, "connection: close");
    *ret_close = close_at != NULL;
    return (int)strtol(out + 9, NULL, 10);
}

static inline int ask_on(int fd, const char *method, const char *host, const char *path, const char *more, char *out, size_t size, bool *ret_close)
{
    char q[2048];
    int n = snprintf(q, sizeof q, "%s %s HTTP/1.1\r\nHost: %s\r\n%s%s\r\n", method, path, host, more, strcmp(method, "POST") == 0 ? "Content-Length: 0\r\n" : "");
    if (send(fd, q, (size_t)n, MSG_NOSIGNAL) != n)
        return ANSWER_RESET;
    return read_answer(fd, out, size, ret_close);
}

static inline int ask(uint32_t port, const char *method, const char *host, const char *path, const char *more, char *out, size_t size)
{
    bool close_it;
    int fd = dial(port), rc;
    if (fd < 0)
        return fd;
    rc = ask_on(fd, method, host, path, more, out, size, &close_it);
    close(fd);
    return rc;
}

struct client {
    pthread_t t;
    struct rig *r;
    bool keep, posts; int pause_us; const char *host, *path;
    atomic_bool *end; atomic_uint *next_id;
    unsigned sent, get_failed, post_failed, refused, statuses[6];
    int64_t last_fail_ms, first_ok_ms;
};

static inline void *client_main(void *arg)
{
    struct client *c = arg;
    char out[8192], more[64];
    int fd = -1;
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    for (unsigned k = 0; !atomic_load(c->end); k++) {
        bool post = c->posts && k % 2, close_it = false;
        snprintf(more, sizeof more, "X-Id: %u\r\n", post ? atomic_fetch_add(c->next_id, 1) % RIG_IDS : 0);
        if (fd < 0)
            fd = dial(c->r->port);
        int rc = fd < 0 ? fd : ask_on(fd, post ? "POST" : "GET", c->host ? c->host : "x", c->path ? c->path : "/", more, out, sizeof out, &close_it);
        c->sent++;
        if (rc >= 100)
            c->statuses[rc / 100 % 6]++;
        if (rc != 200) {
            *(post ? &c->post_failed : &c->get_failed) += 1;
            c->refused += rc == ANSWER_REFUSED;
            c->last_fail_ms = clock_mono_ms();
            if (getenv("RIG_VERBOSE"))
                fprintf(stderr, "client: %s %d on a %s connection\n", post ? "POST" : "GET", rc, c->keep ? "kept" : "new");
        }
        if (fd >= 0 && (!c->keep || close_it || rc < 0)) {
            close(fd);
            fd = -1;
        }
        usleep((useconds_t)c->pause_us);
    }
    if (fd >= 0)
        close(fd);
    return NULL;
}

struct load { struct client c[RIG_CLIENTS]; int n; atomic_bool end; atomic_uint next_id; unsigned sent, get_failed, post_failed, refused; };
static inline void load_prepare(struct load *l, struct rig *r, int n, bool posts)
{
    memset(l, 0, sizeof *l);
    atomic_store(&l->next_id, 1);
    l->n = n;
    for (int i = 0; i < n; i++)
        l->c[i] = (struct client){ .r = r, .keep = i % 2, .posts = posts, .pause_us = 4000 + i * 300, .end = &l->end, .next_id = &l->next_id };
}
static inline void load_go(struct load *l)
{
    for (int i = 0; i < l->n; i++)
        assert_int_equal(pthread_create(&l->c[i].t, NULL, client_main, &l->c[i]), 0);
}
static inline void load_start(struct load *l, struct rig *r, int n, bool posts)
{
    load_prepare(l, r, n, posts);
    load_go(l);
}
static inline void load_stop(struct load *l)
{
    atomic_store(&l->end, true);
    for (int i = 0; i < l->n; i++) {
        pthread_join(l->c[i].t, NULL);
        l->sent += l->c[i].sent;
        l->get_failed += l->c[i].get_failed;
        l->post_failed += l->c[i].post_failed;
        l->refused += l->c[i].refused;
    }
    print_message("    %u requests, lost: %u GET, %u POST; refused connections: %u\n", l->sent, l->get_failed, l->post_failed, l->refused);
}
static inline unsigned executed_twice(const struct rig *r)
{
    unsigned n = 0;
    for (size_t i = 1; i < RIG_IDS; i++)
        n += atomic_load(&r->shared->executed[i]) > 1;
    return n;
}
