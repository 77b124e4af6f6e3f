/* What should run is the wanted set; what is to be done next follows from that and what runs (balancer_step):
 *
 *   hold the socket -> validate the configuration -> start `next` -> it answers and has its lists -> it is `cur`, the one before ends
 *
 * A HAProxy that dies is started again at once from the validated configuration. A refused configuration stays aside, with its cause told,
 * until the wanted one changes; the running HAProxy serves on, and its lists are kept. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "agent/balancer_internal.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/num.h"
#include "base/strbuf.h"
#include "base/banned.h"

int64_t balancer_now(const struct balancer *b) { (void)b; return clock_mono_ms(); }

void balancer_event(struct balancer *b, int level, const char *kind, const char *fmt, ...)
{
    char text[320];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (b->ops->event)
        b->ops->event(b->arg, level, kind, b->name, text);
}

/* --- names -------------------------------------------------------------------------------------------- */
void balancer_id(const struct balancer *b, uint32_t gen, char *ret) { snprintf(ret, ID_SIZE, "%s%s.%" PRIu32, balancer_id_prefix, b->name, gen); }
void balancer_check_id(const struct balancer *b, char *ret) { snprintf(ret, ID_SIZE, "%s%s/check", balancer_id_prefix, b->name); }
void balancer_listener_id(const struct balancer *b, uint32_t n, char *ret) { snprintf(ret, ID_SIZE, "%s%s:%" PRIu32, balancer_id_prefix, b->name, n); }

struct hap_paths balancer_paths(const struct balancer *b, const char *socket, const char *hop)
{
    struct rlimit files = { 0 };
    if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_max == RLIM_INFINITY)
        files.rlim_max = 0;
    return (struct hap_paths){ .stats_socket = socket, .hop = hop, .files = files.rlim_max, .log_socket = b->log_socket,
        .state_file = b->state_file, .stats_uid = geteuid(), .stats_gid = getegid(), .user = b->user[0] ? b->user : NULL, .group = b->group, .apart = b->apart, .listen_fd = 3 };
}

/* --- starting ------------------------------------------------------------------------------------------- */
static char *find_haproxy(void)
{
    static const char *const usual[] = { "/usr/sbin/haproxy", "/usr/local/sbin/haproxy", "/usr/bin/haproxy", "/usr/local/bin/haproxy", "/sbin/haproxy" };
    const char *own = getenv("MUSTER_HAPROXY");
    if (own && own[0])
        return xstrdup(own);
    for (size_t i = 0; i < ARRAY_LEN(usual); i++)
        if (access(usual[i], X_OK) == 0)
            return xstrdup(usual[i]);
    return xstrdup("haproxy");
}

static struct held *held_for(struct balancer *b)
{
    for (size_t i = 0; i < LISTENERS_HELD_MAX; i++) {
        struct held *h = &b->held[i];
        if (h->number && h->port == b->want.spec.listen_port && strcmp(h->address, b->want.spec.listen_host) == 0)
            return h;
    }
    return NULL;
}

static void ask_listen(struct balancer *b, int64_t now)
{
    char id[ID_SIZE];
    if (b->listen_asked || now < b->retry_ms)
        return;
    balancer_listener_id(b, b->last_listener + 1, id);
    int rc = b->ops->listen(b->arg, id, b->want.spec.listen_host, b->want.spec.listen_port);
    b->retry_ms = now + 1000;
    if (rc < 0)
        fixed_printf(b->problem, "cannot listen on %s:%" PRIu32 ": %s", b->want.spec.listen_host, b->want.spec.listen_port, strerror(-rc));
    else
        b->listen_asked = true;
    b->asked = (struct held){ .number = b->last_listener + 1, .port = b->want.spec.listen_port };
    fixed_copy(b->asked.address, sizeof b->asked.address, b->want.spec.listen_host);
}

static int run(struct balancer *b, const char *id, const char *conf, bool check, int *ret_output)
{
    char listener[ID_SIZE], path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
    const struct held *h = held_for(b);
    char *const argv_check[] = { b->haproxy, (char *)"-c", (char *)"-f", (char *)conf, NULL };
    char *const argv_run[] = { b->haproxy, (char *)"-q", (char *)"-db", (char *)"-f", (char *)conf, NULL };
    char *const env[] = { path, NULL };
    int fd[2];
    if (!h)
        return -ENOENT;
    if (pipe2(fd, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    balancer_listener_id(b, h->number, listener);
    int rc = b->ops->spawn(b->arg, id, check ? argv_check : argv_run, env, b->apart ? b->want.spec.tls : NULL, listener, fd[1]);
    close(fd[1]);
    if (rc < 0)
        close(fd[0]);
    else
        *ret_output = fd[0];
    return rc;
}

static int write_conf(struct balancer *b, const char *path, const char *socket, const char *hop, struct err *e)
{
    cleanup_free char *text = NULL;
    struct hap_paths p = balancer_paths(b, socket, hop);
    int rc = hap_conf_text(&b->want, &p, &text, e);
    return rc < 0 ? rc : file_write_atomic(path, text, strlen(text), 0644, 0, e);
}

void balancer_start_failed(struct balancer *b, int64_t now, const char *why)
{
    fixed_copy(b->problem, sizeof b->problem, why);
    b->deaths++;
    b->retry_ms = now + MIN_OF((int64_t)100 << MIN_OF(b->deaths, 6u), 5000);
}

static void start_check(struct balancer *b, int64_t now)
{
    char id[ID_SIZE], path[512], socket[512];
    struct err e = { "" };
    balancer_check_id(b, id);
    fixed_printf(path, "%s/check.cfg", b->dir);
    fixed_printf(socket, "%s/check.sock", b->dir);      /* named, never bound: a check binds nothing */
    int rc = write_conf(b, path, socket, socket, &e);
    if (rc == 0 && (rc = run(b, id, path, true, &b->check_output)) < 0)
        err_sys(&e, rc, "cannot validate the configuration");
    if (rc < 0)
        return balancer_start_failed(b, now, e.text);
    b->check_runs = true;
    b->checking = b->signature;
}

static void start_next(struct balancer *b, int64_t now)
{
    char id[ID_SIZE], conf[512], socket[512], hop[512];
    struct err e = { "" };
    struct hapgen *g = hapgen_new(b, b->last_number + 1);
    if (!g)
        return;                             /* too many old ones: their end is waited for (see mind_old) */
    b->last_number = g->number;
    balancer_id(b, g->number, id);
    hapgen_paths(b, g->number, conf, socket);
    hapgen_hop(b, g->number, hop);
    unlink(socket);
    g->signature = b->signature;
    g->fresh = true;
    g->listener = held_for(b)->number;
    int rc = write_conf(b, conf, socket, hop, &e);
    if (rc == 0 && (rc = run(b, id, conf, false, &g->output)) < 0)
        err_sys(&e, rc, "cannot start HAProxy");
    if (rc < 0) {
        hapgen_end(g);
        return balancer_start_failed(b, now, e.text);
    }
    b->next = g;
}

/* --- ending ----------------------------------------------------------------------------------------------- */
static void send_signal(struct balancer *b, struct hapgen *g, int signo)
{
    char id[ID_SIZE];
    balancer_id(b, g->number, id);
    if (g->pid > 0)
        b->ops->signal(b->arg, id, g->pid, signo);
}

void balancer_retire(struct balancer *b, struct hapgen *g, int64_t now)
{
    g->stopping = true;
    g->stopping_ms = now;
    send_signal(b, g, SIGUSR1);
}

/* Old ones: no client is connected any more -> may exit; too old -> must. */
static void mind_old(struct balancer *b, int64_t now)
{
    size_t live = 0;
    struct hapgen *oldest = NULL;
    for (size_t i = 0; i < GENS_MAX; i++) {
        struct hapgen *g = &b->gens[i];
        if (g->number == 0)
            continue;
        live++;
        if (b->cur && g->number < b->cur->number && !g->stopping && hapgen_synced(b->cur))
            balancer_retire(b, g, now);              /* of before a restart of ours */
        if (!g->stopping)
            continue;
        if (!oldest || g->number < oldest->number)
            oldest = g;
        if (g->ctl && !g->asking && g->heard_ms > g->stopping_ms + HAP_GRACE_MS && hapgen_connections(g) == 0)
            hapgen_let_go(g);
        if (now - g->stopping_ms > OLD_MAX_MS) {
            send_signal(b, g, SIGKILL);
            g->stopping_ms = now;
        }
    }
    if (b->next && now - b->next->born_ms > START_MAX_MS)
        send_signal(b, b->next, SIGKILL);
    if (live == GENS_MAX && oldest && oldest->pid > 0)
        send_signal(b, oldest, SIGTERM);
}

/* In order: nothing new; what is under way ends; then idle connections are no reason to wait. */
static void step_stop(struct balancer *b, int64_t now)
{
    for (size_t i = 0; i < GENS_MAX; i++) {
        struct hapgen *g = &b->gens[i];
        if (g->number == 0 || g->pid == 0)
            continue;
        if (!g->stopping)
            balancer_retire(b, g, now);
        else if (now - b->stop_ms > STOP_GRACE_MS + 2000)
            send_signal(b, g, SIGKILL);
        else if (now - b->stop_ms > STOP_GRACE_MS || (g->heard_ms > g->stopping_ms + 20 && hapgen_requests(g) == 0))
            send_signal(b, g, SIGTERM);
    }
}

/* A socket that nobody uses any more is given back. */
static void release_listeners(struct balancer *b)
{
    char id[ID_SIZE];
    const struct held *present = b->stop || !b->has_want ? NULL : held_for(b);
    if (!present && (!b->stop || !balancer_ended(b)))
        return;
    for (size_t i = 0; i < LISTENERS_HELD_MAX; i++) {
        struct held *h = &b->held[i];
        bool used = h == present || !h->number;
        for (size_t k = 0; k < GENS_MAX && !used; k++)
            used = b->gens[k].number && (b->gens[k].listener == h->number || b->gens[k].listener == 0);
        if (used)
            continue;
        balancer_listener_id(b, h->number, id);
        b->ops->unlisten(b->arg, id);
        *h = (struct held){ 0 };
    }
}

/* --- the next thing to do ----------------------------------------------------------------------------------- */
static void take_over(struct balancer *b, int64_t now)
{
    if (!b->next || !b->next->pid || !hapgen_synced(b->next))
        return;
    struct hapgen *old = b->cur;
    b->cur = b->next;
    b->next = NULL;
    b->bad = 0;
    b->problem[0] = 0;
    for (size_t i = 0; i < GENS_MAX; i++)
        if (b->gens[i].number && &b->gens[i] != b->cur && !b->gens[i].stopping)
            balancer_retire(b, &b->gens[i], now);
    balancer_event(b, 6, "balancer", old ? "HAProxy %d takes over with the new configuration" : "HAProxy %d serves", (int)b->cur->pid);
}

static void step_start(struct balancer *b, int64_t now)
{
    bool mute = b->cur && b->cur->failures >= 3 && now - b->cur->heard_ms > MUTE_MS;
    if (b->next || b->check_runs || (b->cur && b->cur->signature == b->signature && !mute))
        return;
    if (b->cur && !b->cur->fresh && !b->cur->has_stat && !mute)
        return;                             /* an adopted one: first its answer, which tells what it has */
    const struct held *h = held_for(b);
    if (!h || !h->ready)
        return ask_listen(b, now);
    if (b->signature == 0 || b->signature == b->bad || now < b->retry_ms)
        return;
    if (b->good != b->signature)
        start_check(b, now);
    else
        start_next(b, now);
}

/* The revision is told as applied once every process that takes new connections has its lists, and none of a former configuration takes any. */
static void acknowledge(struct balancer *b, int64_t now)
{
    bool settled = b->has_want && !b->next && !b->check_runs;
    for (size_t i = 0; i < GENS_MAX; i++)
        if (b->gens[i].number && (b->gens[i].stopping ? now - b->gens[i].stopping_ms <= HAP_GRACE_MS : !hapgen_synced(&b->gens[i])))
            settled = false;
    bool refused = b->signature == 0 || b->signature == b->bad;
    if (settled && (refused || (b->cur && b->cur->signature == b->signature))) {
        b->acked_epoch = b->epoch;
        b->acked_revision = b->revision;
    }
}

static void on_timer(uv_timer_t *t);

static void arm(struct balancer *b, int64_t now)
{
    bool busy = balancer_draining(b) || (b->stop && !balancer_ended(b)), connect = false;
    for (size_t i = 0; i < GENS_MAX; i++)
        if (b->gens[i].number) {
            busy |= hapgen_busy(&b->gens[i]);
            connect |= b->gens[i].pid && !b->gens[i].open && !b->gens[i].stopping && now - b->gens[i].born_ms < 1000;
        }
    int64_t wait = connect ? CONNECT_MS : busy ? BUSY_POLL_MS : POLL_MS;
    if (b->has_want && !b->cur && b->retry_ms > now)
        wait = MIN_OF(wait, b->retry_ms - now);
    if (!uv_is_active((uv_handle_t *)&b->timer) || uv_timer_get_due_in(&b->timer) > (uint64_t)wait)
        uv_timer_start(&b->timer, on_timer, (uint64_t)wait, 0);
}

void balancer_step(struct balancer *b)
{
    int64_t now = balancer_now(b);
    if (b->freed)
        return;
    if (b->stop) {
        step_stop(b, now);
    } else if (b->has_want) {
        if (b->cur && b->cur->stopping)
            b->cur = NULL;
        if (b->next && b->next->stopping)
            b->next = NULL;
        take_over(b, now);
        step_start(b, now);
        mind_old(b, now);
        acknowledge(b, now);
    }
    release_listeners(b);
    balancer_tell(b, b->fresh_stat && balancer_draining(b));
    b->fresh_stat = false;
    arm(b, now);
}

static void on_timer(uv_timer_t *t)
{
    struct balancer *b = t->data;
    int64_t now = balancer_now(b);
    if (now - b->sampled_ms >= 950) {
        hapmetrics_sample(b->metrics, now);
        b->sampled_ms = now;
    }
    for (size_t i = 0; i < GENS_MAX; i++)
        hapgen_drive(&b->gens[i]);
    balancer_step(b);
}

/* --- life ------------------------------------------------------------------------------------------------------ */
static bool prepare(struct balancer *b, const char *run_dir)
{
    struct err e = { "" };
    fixed_printf(b->state_file, "%s/servers.state", b->dir);
    int cut = snprintf(b->log_socket, sizeof b->log_socket, "%s/log.sock", b->dir);
    /* HAProxy binds its socket under a longer, temporary name: ".<pid>.tmp" */
    if (cut >= (int)sizeof b->log_socket || strlen(b->dir) + strlen("/ctl.4294967295.sock.4294967295.tmp") >= sizeof b->log_socket) {
        balancer_event(b, 3, "balancer", "%s: too long a path for sockets in it", run_dir);
        errno = ENAMETOOLONG;
        return false;
    }
    int rc = file_mkdirs(b->dir, 0711, &e);
    if (rc < 0) {
        balancer_event(b, 3, "balancer", "%s", e.text);
        errno = -rc;
        return false;
    }
    chmod(b->dir, 0711);                    /* HAProxy's own user must get to the log socket */
    b->logs = logreader_new(b->log_socket, geteuid(), &e);
    if (!b->logs)
        balancer_event(b, 4, "balancer", "no latency figures: %s", e.text);
    return true;
}

struct balancer *balancer_new(uv_loop_t *loop, const char *run_dir, const char *state_dir, const char *name, const struct balancer_ops *ops, void *arg)
{
    struct balancer *b = xcalloc(1, sizeof *b);
    (void)state_dir;                        /* nothing of it must outlive a reboot */
    *b = (struct balancer){ .loop = loop, .ops = ops, .arg = arg, .name = xstrdup(name), .dir = xasprintf("%s/%s", run_dir, name),
        .haproxy = find_haproxy(), .metrics = hapmetrics_new(), .check_output = -1 };
    for (size_t i = 0; i < GENS_MAX; i++)
        b->gens[i].b = b;
    uv_timer_init(loop, &b->timer);
    b->timer.data = b;
    if (!prepare(b, run_dir)) {
        int rc = errno;
        balancer_free(b);
        errno = rc;
        return NULL;
    }
    if (geteuid() == 0 && getpwnam("haproxy"))
        balancer_run_as(b, "haproxy", "haproxy");
    return b;
}

void balancer_run_as(struct balancer *b, const char *user, const char *group)
{
    const struct passwd *pw = user ? getpwnam(user) : NULL;
    fixed_printf(b->user, "%s", user ? user : "");
    fixed_printf(b->group, "%s", user && group ? group : "");
    if (pw && b->logs)
        logreader_trust(b->logs, pw->pw_uid);
}

void balancer_runs_apart(struct balancer *b, uint32_t uid)
{
    b->apart = true;
    b->user[0] = b->group[0] = 0;
    chmod(b->dir, 0770);                    /* it binds its sockets there */
    if (b->logs)
        logreader_trust(b->logs, uid);
}

void balancer_stop(struct balancer *b)
{
    if (b->stop)
        return;
    b->stop = true;
    b->stop_ms = balancer_now(b);
    balancer_step(b);
}

bool balancer_ended(const struct balancer *b)
{
    for (size_t i = 0; i < GENS_MAX; i++)
        if (b->gens[i].number)
            return false;
    return !b->check_runs;
}

static void timer_closed(uv_handle_t *h)
{
    struct balancer *b = h->data;
    hapmetrics_free(b->metrics);
    balancer_desired_done(&b->want);
    balancer_desired_done(&b->told);
    free(b->last.servers);
    free(b->gone);
    free(b->state_text);
    free(b->name);
    free(b->dir);
    free(b->haproxy);
    free(b);
}

void balancer_free(struct balancer *b)
{
    if (!b || b->freed)
        return;
    b->freed = true;
    for (size_t i = 0; i < GENS_MAX; i++) {
        struct hapgen *g = &b->gens[i];
        if (g->number == 0)
            continue;
        hapctl_close(g->ctl);
        g->ctl = NULL;
        hap_stat_done(&g->stat);
        hap_stat_done(&g->coming);
        if (g->output >= 0)
            close(g->output);
    }
    if (b->check_runs)
        close(b->check_output);
    logreader_free(b->logs);
    uv_close((uv_handle_t *)&b->timer, timer_closed);
}
