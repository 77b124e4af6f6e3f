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
#include <sys/stat.h>
#include <unistd.h>
#include "agent/balancer_internal.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/num.h"
#include "base/strbuf.h"
#include "base/banned.h"

static const char id_prefix[] = "balancer:";

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
void balancer_id(const struct balancer *b, uint32_t gen, char *ret) { snprintf(ret, ID_SIZE, "%s%s.%" PRIu32, id_prefix, b->name, gen); }
static void check_id(const struct balancer *b, char *ret) { snprintf(ret, ID_SIZE, "%s%s/check", id_prefix, b->name); }
static void listener_id(const struct balancer *b, uint32_t n, char *ret) { snprintf(ret, ID_SIZE, "%s%s:%" PRIu32, id_prefix, b->name, n); }

bool balancer_name_of_id(const char *keeper_id, char *ret, size_t size)
{
    size_t skip = sizeof id_prefix - 1;
    if (strncmp(keeper_id, id_prefix, skip) != 0)
        return false;
    size_t n = strcspn(keeper_id + skip, ".:/");
    if (n == 0 || !keeper_id[skip + n] || size == 0)
        return false;
    snprintf(ret, size, "%.*s", (int)n, keeper_id + skip);
    return true;
}

bool balancer_owns(const struct balancer *b, const char *keeper_id)
{
    char name[ID_SIZE];
    return balancer_name_of_id(keeper_id, name, sizeof name) && strcmp(name, b->name) == 0;
}

/* The number behind '.' or ':' of an id of ours; 0: another kind of id. */
static uint32_t number_of(const struct balancer *b, const char *id, char separator)
{
    uint64_t v;
    if (!balancer_owns(b, id))
        return 0;
    const char *rest = id + sizeof id_prefix - 1 + strlen(b->name);
    return *rest == separator && num_u64(rest + 1, &v) == 0 && v <= UINT32_MAX ? (uint32_t)v : 0;
}

static struct hapgen *gen_of(struct balancer *b, const char *id)
{
    uint32_t n = number_of(b, id, '.');
    for (size_t i = 0; i < GENS_MAX && n; i++)
        if (b->gens[i].number == n)
            return &b->gens[i];
    return NULL;
}

static struct hap_paths paths_of(const struct balancer *b, const char *socket)
{
    return (struct hap_paths){ .stats_socket = socket, .log_socket = b->log_socket, .state_file = b->state_file, .stats_uid = geteuid(),
        .stats_gid = getegid(), .user = b->user[0] ? b->user : NULL, .group = b->group, .listen_fd = 3 };
}

/* --- the wanted set ------------------------------------------------------------------------------------- */
static bool is_gone(const struct balancer *b, const char *id)
{
    for (size_t i = 0; i < b->gone_n; i++)
        if (strcmp(b->gone[i], id) == 0)
            return true;
    return false;
}

static void copy_upstream(struct upstream *to, const struct upstream *from)
{
    *to = *from;
    to->hosts = (struct strv){ 0 };
    strv_copy(&to->hosts, &from->hosts);
    to->path = xstrdup(from->path);
    to->check_path = xstrdup(from->check_path);
    to->servers = xcalloc(from->server_n + 1, sizeof *to->servers);
    if (from->server_n)
        memcpy(to->servers, from->servers, from->server_n * sizeof *to->servers);
}

static void copy_desired(struct balancer_desired *to, const struct balancer_desired *from)
{
    to->spec = from->spec;
    to->spec.name = xstrdup(from->spec.name);
    to->spec.listen_host = xstrdup(from->spec.listen_host ? from->spec.listen_host : "");
    to->spec.tls = xstrdup(from->spec.tls);
    to->spec.raw = xstrdup(from->spec.raw);
    to->upstreams = xcalloc(from->upstream_n + 1, sizeof *to->upstreams);
    to->upstream_n = from->upstream_n;
    for (size_t i = 0; i < from->upstream_n; i++)
        copy_upstream(&to->upstreams[i], &from->upstreams[i]);
}

/* Slots that the service has, in the wanted set so far or in a HAProxy that was adopted. */
static uint32_t slots_before(const struct balancer *b, const struct balancer_desired *was, const char *service)
{
    uint32_t n = 0;
    for (size_t i = 0; i < was->upstream_n; i++)
        if (strcmp(was->upstreams[i].service, service) == 0)
            n = was->upstreams[i].slots;
    for (size_t i = 0; b->cur && !b->cur->fresh && i < b->cur->stat.n; i++) {
        const struct hap_row *r = &b->cur->stat.v[i];
        if (r->kind == HAP_SERVER && strcmp(r->proxy, service) == 0)
            n = MAX_OF(n, hap_slot_of(r->server, service));
    }
    return n;
}

static void write_state(struct balancer *b)
{
    cleanup_free char *text = hap_state_text(&b->want);
    struct err e = { "" };
    if (b->state_text && strcmp(text, b->state_text) == 0)
        return;
    if (file_write_atomic(b->state_file, text, strlen(text), 0644, 0, &e) < 0) {
        fixed_copy(b->problem, sizeof b->problem, e.text);
        b->state_failed = true;
        return;
    }
    if (b->state_failed)
        b->problem[0] = 0;
    b->state_failed = false;
    free(b->state_text);
    b->state_text = TAKE(text);
}

/* The set changed: out with what is gone; the running ones are brought to it. */
static void rebuild_want(struct balancer *b)
{
    struct balancer_desired was = b->want, is = { 0 };
    copy_desired(&is, &b->told);
    for (size_t i = 0; i < is.upstream_n; i++) {
        struct upstream *u = &is.upstreams[i];
        u->slots = hap_slots(u, slots_before(b, &was, u->service));
        for (size_t k = 0; k < u->server_n && b->gone_n; k++)
            if (is_gone(b, u->servers[k].id))
                u->servers[k].state = SRV_MAINT;
    }
    b->want = is;
    balancer_desired_done(&was);
}

static void apply_want(struct balancer *b)
{
    struct hap_paths p = paths_of(b, "-");
    struct err e = { "" };
    rebuild_want(b);
    b->serial++;
    uint64_t before = b->signature;
    b->signature = 0;
    if (hap_conf_signature(&b->want, &p, &b->signature, &e) < 0)
        fixed_copy(b->problem, sizeof b->problem, e.text);
    else if (b->signature != before && b->signature != b->bad)
        b->problem[0] = 0;
    write_state(b);
    for (size_t i = 0; i < GENS_MAX; i++) {
        b->gens[i].rounds = 0;
        hapgen_drive(&b->gens[i]);
    }
    balancer_step(b);
}

void balancer_refresh(struct balancer *b) { apply_want(b); }

static const struct upstream *upstream_of(const struct balancer *b, const char *id)
{
    size_t n = strcspn(id, ".");
    for (size_t i = 0; i < b->told.upstream_n; i++)
        if (strncmp(b->told.upstreams[i].service, id, n) == 0 && b->told.upstreams[i].service[n] == '\0')
            return &b->told.upstreams[i];
    return NULL;
}

static bool in_list(const struct upstream *u, const char *id)
{
    for (size_t k = 0; u && k < u->server_n; k++)
        if (strcmp(u->servers[k].id, id) == 0)
            return true;
    return false;
}

/* Kept as long as the service is here, listed or not: a set that was decided before the exit was heard of may still be under way. */
static void forget_gone(struct balancer *b)
{
    size_t kept = 0;
    for (size_t g = 0; g < b->gone_n; g++)
        if (upstream_of(b, b->gone[g]))
            memmove(b->gone[kept++], b->gone[g], ID_SIZE);
    b->gone_n = kept;
}

void balancer_set(struct balancer *b, uint64_t epoch, uint64_t revision, const struct balancer_desired *d)
{
    balancer_desired_done(&b->told);
    copy_desired(&b->told, d);
    b->has_want = true;
    b->stop = false;                        /* wanted again: what was told to end does, a new one is started */
    b->epoch = epoch;
    b->revision = revision;
    forget_gone(b);
    apply_want(b);
}

void balancer_instance_gone(struct balancer *b, const char *id)
{
    const struct upstream *u = upstream_of(b, id);
    if (!u || is_gone(b, id) || b->gone_n == GONE_MAX)
        return;
    b->gone = xrealloc(b->gone, (b->gone_n + 1) * sizeof *b->gone);
    fixed_printf(b->gone[b->gone_n++], "%s", id);
    if (!in_list(u, id))
        return;
    for (size_t i = 0; i < GENS_MAX; i++)
        if (b->gens[i].number)
            hapgen_maint(&b->gens[i], u->service, id);
    apply_want(b);
}

void balancer_instance_back(struct balancer *b, const char *id)
{
    size_t kept = 0, was = b->gone_n;
    for (size_t i = 0; i < b->gone_n; i++)
        if (strcmp(b->gone[i], id) != 0)
            memmove(b->gone[kept++], b->gone[i], ID_SIZE);
    b->gone_n = kept;
    if (kept != was && in_list(upstream_of(b, id), id))
        apply_want(b);
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
    listener_id(b, b->last_listener + 1, id);
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
    listener_id(b, h->number, listener);
    int rc = b->ops->spawn(b->arg, id, check ? argv_check : argv_run, env, listener, fd[1]);
    close(fd[1]);
    if (rc < 0)
        close(fd[0]);
    else
        *ret_output = fd[0];
    return rc;
}

static int write_conf(struct balancer *b, const char *path, const char *socket, struct err *e)
{
    cleanup_free char *text = NULL;
    struct hap_paths p = paths_of(b, socket);
    int rc = hap_conf_text(&b->want, &p, &text, e);
    return rc < 0 ? rc : file_write_atomic(path, text, strlen(text), 0644, 0, e);
}

static void start_failed(struct balancer *b, int64_t now, const char *why)
{
    fixed_copy(b->problem, sizeof b->problem, why);
    b->deaths++;
    b->retry_ms = now + MIN_OF((int64_t)100 << MIN_OF(b->deaths, 6u), 5000);
}

static void start_check(struct balancer *b, int64_t now)
{
    char id[ID_SIZE], path[512], socket[512];
    struct err e = { "" };
    check_id(b, id);
    fixed_printf(path, "%s/check.cfg", b->dir);
    fixed_printf(socket, "%s/check.sock", b->dir);      /* named, never bound: a check binds nothing */
    int rc = write_conf(b, path, socket, &e);
    if (rc == 0 && (rc = run(b, id, path, true, &b->check_output)) < 0)
        err_sys(&e, rc, "cannot validate the configuration");
    if (rc < 0)
        return start_failed(b, now, e.text);
    b->check_runs = true;
    b->checking = b->signature;
}

static void start_next(struct balancer *b, int64_t now)
{
    char id[ID_SIZE], conf[512], socket[512];
    struct err e = { "" };
    struct hapgen *g = hapgen_new(b, b->last_number + 1);
    if (!g)
        return;                             /* too many old ones: their end is waited for (see mind_old) */
    b->last_number = g->number;
    balancer_id(b, g->number, id);
    hapgen_paths(b, g->number, conf, socket);
    unlink(socket);
    g->signature = b->signature;
    g->fresh = true;
    g->listener = held_for(b)->number;
    int rc = write_conf(b, conf, socket, &e);
    if (rc == 0 && (rc = run(b, id, conf, false, &g->output)) < 0)
        err_sys(&e, rc, "cannot start HAProxy");
    if (rc < 0) {
        hapgen_end(g);
        return start_failed(b, now, e.text);
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

static void retire(struct balancer *b, struct hapgen *g, int64_t now)
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
            retire(b, g, now);              /* of before a restart of ours */
        if (!g->stopping)
            continue;
        if (!oldest || g->number < oldest->number)
            oldest = g;
        if (g->ctl && !g->asking && g->heard_ms > g->stopping_ms && hapgen_connections(g) == 0)
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
            retire(b, g, now);
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
        listener_id(b, h->number, id);
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
            retire(b, &b->gens[i], now);
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

/* The revision is told as applied once every process that takes new connections has its lists. */
static void acknowledge(struct balancer *b)
{
    bool settled = b->has_want && !b->next && !b->check_runs;
    for (size_t i = 0; i < GENS_MAX; i++)
        if (b->gens[i].number && !b->gens[i].stopping && !hapgen_synced(&b->gens[i]))
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
        acknowledge(b);
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

/* --- what the keeper says -------------------------------------------------------------------------------------- */
/* The alert that says why, without HAProxy's own decoration; "" if there is none. */
static void read_cause(int fd, char *ret, size_t size)
{
    char text[8192], *alert;
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    *ret = 0;
    if (n <= 0)
        return;
    text[n] = 0;
    if (!(alert = strstr(text, "[ALERT]")) && !(alert = strstr(text, "[WARNING]")))
        alert = text;
    char *from = strstr(alert, ") : ");
    from = from ? from + 4 : alert;
    snprintf(ret, size, "%.*s", (int)strcspn(from, "\n"), from);
}

static void check_ended(struct balancer *b, const struct k_state *s)
{
    char why[200];
    if (!b->check_runs)
        return;
    read_cause(b->check_output, why, sizeof why);
    close(b->check_output);
    b->check_runs = false;
    if (s->exit.kind == EXIT_KIND_CODE && s->exit.value == 0) {
        b->good = b->checking;
    } else {
        char how[64];
        exit_describe(s->exit, how, sizeof how);
        b->bad = b->checking;
        fixed_printf(b->problem, "HAProxy refuses the configuration: %s", why[0] ? why : how);
        balancer_event(b, 3, "balancer", "%s; %s", b->problem, b->cur ? "the one before stays" : "nothing is served");
    }
}

static void gen_ended(struct balancer *b, struct hapgen *g, const struct k_state *s)
{
    char how[64], why[160], id[ID_SIZE];
    int64_t now = balancer_now(b);
    exit_describe(s->exit, how, sizeof how);
    read_cause(g->output, why, sizeof why);
    if (g == b->next) {
        char text[256];
        fixed_printf(text, "HAProxy does not start (%s)%s%s", how, why[0] ? ": " : "", why);
        start_failed(b, now, text);
        balancer_event(b, 3, "balancer", "%s", text);
        if (b->cur && b->cur->signature != b->signature)
            b->bad = b->signature;          /* the one before serves on */
        b->next = NULL;
    } else if (g == b->cur) {
        b->cur = NULL;
        if (!b->stop) {
            b->deaths = now - g->born_ms < 2000 ? b->deaths + 1 : 0;
            b->retry_ms = b->deaths > 1 ? now + MIN_OF((int64_t)50 << MIN_OF(b->deaths, 7u), 5000) : 0;
            balancer_event(b, 4, "balancer", "HAProxy %d ended (%s); it is started again, its socket is held meanwhile", (int)g->pid, how);
        }
    }
    balancer_id(b, g->number, id);
    hapgen_end(g);
    if (b->stop && !s->populated)           /* who ends us may not wait for K_EMPTY */
        b->ops->forget(b->arg, id);
}

static void spawned(struct balancer *b, const struct k_state *s)
{
    char id[ID_SIZE];
    struct hapgen *g = gen_of(b, s->id);
    check_id(b, id);
    if (strcmp(s->id, id) == 0)
        b->check_pid = s->pid;
    if (!g)
        return;
    g->pid = s->pid;
    g->heard_ms = balancer_now(b);
    if (b->stop)
        retire(b, g, g->heard_ms);
    hapgen_drive(g);
}

static void spawn_failed(struct balancer *b, const struct k_failed *f)
{
    char id[ID_SIZE], why[256];
    struct hapgen *g = gen_of(b, f->id);
    fixed_printf(why, "HAProxy cannot be started: %s", f->detail[0] ? f->detail : strerror(f->rc < 0 ? -f->rc : f->rc));
    check_id(b, id);
    if (strcmp(f->id, id) == 0 && b->check_runs) {
        close(b->check_output);
        b->check_runs = false;
    } else if (g) {
        if (b->next == g)
            b->next = NULL;
        hapgen_end(g);
    } else {
        return;
    }
    if (strcmp(why, b->problem) != 0)
        balancer_event(b, 3, "balancer", "%s", why);
    start_failed(b, balancer_now(b), why);
    b->ops->forget(b->arg, f->id);
}

static void hold(struct balancer *b, uint32_t number, const char *address, uint32_t port)
{
    struct held *place = NULL;
    for (size_t i = 0; i < LISTENERS_HELD_MAX; i++)
        if (b->held[i].number == number || (!place && b->held[i].number == 0))
            place = &b->held[i];
    b->last_listener = MAX_OF(b->last_listener, number);
    if (!place)
        return;
    *place = (struct held){ .number = number, .port = port, .ready = true };
    fixed_copy(place->address, sizeof place->address, address);
}

/* The wanted address overlaps with one that we hold ourselves (":8080" after "127.0.0.1:8080"): that one must go first. */
static bool give_up_port(struct balancer *b, uint32_t port)
{
    bool any = false;
    char id[ID_SIZE];
    for (size_t i = 0; i < LISTENERS_HELD_MAX; i++)
        if (b->held[i].number && b->held[i].port == port) {
            listener_id(b, b->held[i].number, id);
            b->ops->unlisten(b->arg, id);
            b->held[i] = (struct held){ 0 };
            any = true;
        }
    for (size_t i = 0; any && i < GENS_MAX; i++)
        if (b->gens[i].number && !b->gens[i].stopping)
            retire(b, &b->gens[i], balancer_now(b));
    if (any) {
        b->cur = NULL;
        b->retry_ms = balancer_now(b) + 100;
        balancer_event(b, 5, "balancer", "the address to listen on overlaps with the one before: not reachable for a moment");
    }
    return any;
}

static void listened(struct balancer *b, const struct k_reply *r)
{
    uint32_t n = number_of(b, r->id, ':');
    if (r->verb != K_LISTEN || n == 0 || !b->listen_asked || n != b->asked.number)
        return;
    b->listen_asked = false;
    if (r->rc == 0) {
        b->retry_ms = 0;
        hold(b, n, b->asked.address, b->asked.port);
        return;
    }
    if (r->rc == -EADDRINUSE && give_up_port(b, b->asked.port))
        return;
    char why[256];
    fixed_printf(why, "cannot listen on %s:%" PRIu32 ": %s", b->asked.address, b->asked.port, r->detail[0] ? r->detail : strerror(-r->rc));
    if (strcmp(why, b->problem) != 0)
        balancer_event(b, 3, "balancer", "%s", why);
    fixed_copy(b->problem, sizeof b->problem, why);
}

static void refused_request(struct balancer *b, const struct k_reply *r)
{
    struct k_failed f = { .rc = r->rc };
    if (r->verb != K_SPAWN || r->rc == 0)
        return;
    fixed_printf(f.id, "%s", r->id);
    fixed_printf(f.detail, "%s", r->detail);
    spawn_failed(b, &f);
}

void balancer_on_keeper(struct balancer *b, const struct k_msg *m)
{
    struct hapgen *g;
    char id[ID_SIZE];
    if (b->freed || !balancer_owns(b, m->u.id.id))
        return;
    switch (m->verb) {
    case K_REPLY:
        listened(b, &m->u.reply);
        refused_request(b, &m->u.reply);
        break;
    case K_SPAWNED: spawned(b, &m->u.state); break;
    case K_SPAWN_FAILED: spawn_failed(b, &m->u.failed); break;
    case K_EXITED:
        check_id(b, id);
        if (strcmp(m->u.state.id, id) == 0)
            check_ended(b, &m->u.state);
        else if ((g = gen_of(b, m->u.state.id)) != NULL)
            gen_ended(b, g, &m->u.state);
        break;
    case K_EMPTY:
        check_id(b, id);
        if (!gen_of(b, m->u.state.id) && !(b->check_runs && strcmp(m->u.state.id, id) == 0))
            b->ops->forget(b->arg, m->u.state.id);
        break;
    case K_STATE: balancer_adopt(b, &m->u.state); return;
    case K_HELD:
        if (number_of(b, m->u.listen.id, ':'))
            hold(b, number_of(b, m->u.listen.id, ':'), m->u.listen.address, m->u.listen.port);
        return;
    default: return;
    }
    balancer_step(b);
}

/* The newest one serves; those before it were being replaced, and are told so again once the newest has its lists. */
void balancer_adopt(struct balancer *b, const struct k_state *s)
{
    uint32_t number = number_of(b, s->id, '.');
    char conf[512], socket[512];
    cleanup_free char *text = NULL;
    b->last_number = MAX_OF(b->last_number, number);
    if (!s->running) {
        if (!s->populated)
            b->ops->forget(b->arg, s->id);
        return;
    }
    struct hapgen *g = number == 0 || gen_of(b, s->id) ? NULL : hapgen_new(b, number);
    if (!g)
        return;
    hapgen_paths(b, number, conf, socket);
    if (file_read(conf, 4 << 20, &text, NULL, NULL) == 0)
        g->signature = hap_conf_signature_of_text(text);
    g->pid = s->pid;
    if (!b->cur || b->cur->number < number)
        b->cur = g;
    b->good = b->cur->signature;
    hapgen_drive(g);
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
