/* daemon.c - see daemon.h. */
#include "supervisord/daemon.h"
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "supervisord/api.h"
#include "supervisord/link.h"
#include "supervisord/store.h"

enum { RETRY_MS = 1000, EVENTS_FLUSH_MS = 500, PROBLEMS_MAX = 4 };

struct waiter { daemon_done_fn done; void *arg; };
struct waiters { struct waiter *v; size_t n, cap; };

struct daemon {
    uv_loop_t loop;
    uv_timer_t timer, flush;
    uv_signal_t sigterm, sigint;
    const struct daemon_options *o;
    char *log_folder;
    struct controller *core;
    struct store *store;
    struct events *events;
    struct link *link;
    struct api *api;
    struct systemd *systemd;
    uint64_t epoch;
    bool lost;                              /* the state was lost: the agent's copy is taken over when it says hello */
    bool fresh;                             /* a first start, unless the agent, whose state is elsewhere, knows better */
    bool agent_connected, agent_known;

    struct store_batch durable;             /* what the store is known to hold: to undo a refused change */
    struct store_batch pending;             /* changed since the last commit was begun */
    struct store_batch committing;          /* a copy of what is under way */
    struct waiters waiting, in_commit;
    struct strbuf outgoing;                 /* the desired set that the commit under way makes true; empty: none */
    uint64_t sent_revision, outgoing_revision;
    int64_t retry_at;

    char *store_problem, *lost_note;        /* NULL: none */
    const char *problems[PROBLEMS_MAX];
    bool events_new;
    void (*on_events)(void *arg);
    void *on_events_arg;
    bool ending;
};

static void settle(struct daemon *d);

struct controller *daemon_core(struct daemon *d) { return d->core; }
struct events *daemon_events(struct daemon *d) { return d->events; }
int64_t daemon_now(struct daemon *d) { (void)d; return clock_mono_ms(); }

void daemon_on_events(struct daemon *d, void (*fn)(void *arg), void *arg)
{
    d->on_events = fn;
    d->on_events_arg = arg;
}

static bool is_service(const struct daemon *d) { return d->o->given && d->o->given->api >= 0; }

void daemon_info(struct daemon *d, struct daemon_info *ret)
{
    size_t n = 0;

    if (d->lost_note)
        d->problems[n++] = d->lost_note;
    if (d->store_problem)
        d->problems[n++] = d->store_problem;
    if (!d->agent_connected)
        d->problems[n++] = "no agent is connected: instances run on, but nothing can be changed until it comes back";
    *ret = (struct daemon_info){ d->epoch, d->o->state_folder, d->log_folder, d->agent_connected, d->agent_known, d->problems, n, is_service(d) };
}

static void add_event(struct daemon *d, const struct muster_event *given)
{
    struct muster_event e = *given;

    if (!*e.subject)
        fixed_copy(e.subject, sizeof(e.subject), "muster");
    events_add(d->events, &e);
    d->events_new = true;
    log_line((enum log_level)(e.level >= LOG_ERROR && e.level <= LOG_DEBUGS ? e.level : LOG_INFOS), "%s: %s: %s", e.subject, e.kind, e.text);
}

static void say(struct daemon *d, int level, const char *kind, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
static void say(struct daemon *d, int level, const char *kind, const char *fmt, ...)
{
    struct muster_event e = { .level = level };
    va_list ap;

    fixed_copy(e.kind, sizeof(e.kind), kind);
    fixed_copy(e.subject, sizeof(e.subject), "muster");
    va_start(ap, fmt);
    vsnprintf(e.text, sizeof(e.text), fmt, ap);
    va_end(ap);
    add_event(d, &e);
}

static void waiters_add(struct waiters *w, daemon_done_fn done, void *arg)
{
    if (w->n == w->cap) {
        w->cap = w->cap ? w->cap * 2 : 8;
        w->v = xrealloc(w->v, w->cap * sizeof(*w->v));
    }
    w->v[w->n++] = (struct waiter){ done, arg };
}

/* Empties the list first: an answer may lead to the next change. */
static void waiters_answer(struct waiters *w, int rc, const char *why)
{
    struct waiters now = *w;

    memset(w, 0, sizeof(*w));
    for (size_t i = 0; i < now.n; i++)
        now.v[i].done(now.v[i].arg, rc, why);
    free(now.v);
}

static void take_dirty(struct daemon *d)
{
    struct controller_row row;

    while (controller_next_dirty(d->core, &row))
        store_batch_put(&d->pending, row.kind, row.name, row.json);
}

static void take_events(struct daemon *d)
{
    struct muster_event e;

    while (controller_next_event(d->core, &e))
        add_event(d, &e);
}

/* The desired set as it is now, packed, unless it was sent already. */
static void pack_desired(struct daemon *d)
{
    struct wire_msg m = { .kind = WIRE_DESIRED };

    strbuf_reset(&d->outgoing);
    if (!d->agent_known || !controller_synced(d->core) || controller_revision(d->core) == d->sent_revision)
        return;
    controller_desired(d->core, &m.desired);
    d->outgoing_revision = m.desired.revision;
    wire_pack(&m, &d->outgoing);
    wire_msg_done(&m);
}

static void send_outgoing(struct daemon *d)
{
    if (!d->outgoing.len)
        return;
    link_send(d->link, &d->outgoing);
    d->sent_revision = d->outgoing_revision;
    strbuf_reset(&d->outgoing);
}

static void copy_batch(struct store_batch *into, const struct store_batch *from)
{
    for (size_t i = 0; i < from->n; i++)
        store_batch_put(into, from->v[i].kind, from->v[i].name, xstrdup(from->v[i].json));
}

static void give_core(struct daemon *d, const char *kind, const char *name, const char *json)
{
    struct err e = { "" };

    if (controller_load(d->core, kind, name, json, &e))     /* one bad row must not cost the others */
        say(d, LOG_ERROR, "state", "%s %s in the state file is not understood and left out: %s", kind, name, e.text);
}

static int load_row(void *arg, const char *kind, const char *name, const char *json)
{
    struct daemon *d = arg;

    store_batch_put(&d->durable, kind, name, xstrdup(json));
    give_core(d, kind, name, json);
    return 0;
}

/* A new core, which knows these rows and has yet to hear from the agent. */
static void restart_core(struct daemon *d, const struct store_batch *rows)
{
    struct controller_options o = { d->epoch, controller_revision(d->core) + 1 };
    struct controller_row row;

    controller_free(d->core);
    d->core = controller_new(o);
    strbuf_reset(&d->outgoing);                             /* it was the old core's */
    for (size_t i = 0; i < rows->n; i++)
        if (rows->v[i].json)
            give_core(d, rows->v[i].kind, rows->v[i].name, rows->v[i].json);
    while (controller_next_dirty(d->core, &row))            /* loading dirties nothing that is not stored */
        free(row.json);
}

/* A change that could not be stored is undone: the core begins again from what is durable, and hears from the agent anew. */
static void rebuild_core(struct daemon *d)
{
    store_batch_done(&d->pending);
    restart_core(d, &d->durable);
    if (d->agent_connected) {
        controller_agent_connected(d->core, daemon_now(d), d->epoch, d->sent_revision);
        link_resync(d->link);
    }
}

static void set_store_problem(struct daemon *d, const char *why)
{
    if (why && !d->store_problem)
        say(d, LOG_ERROR, "state", "changes cannot be stored: %s", why);
    if (!why && d->store_problem)
        say(d, LOG_NOTE, "state", "changes can be stored again");
    free(d->store_problem);
    d->store_problem = why ? xasprintf("changes cannot be stored and are refused: %s", why) : NULL;
}

static void commit_failed(struct daemon *d, const char *why)
{
    set_store_problem(d, why);
    d->retry_at = daemon_now(d) + RETRY_MS;
    strbuf_reset(&d->outgoing);
    if (d->in_commit.n || d->waiting.n) {
        store_batch_done(&d->committing);
        rebuild_core(d);
        return;
    }
    struct store_batch newer = d->pending;                  /* nobody waits: keep it, the newer rows over it */
    d->pending = d->committing;
    memset(&d->committing, 0, sizeof(d->committing));
    copy_batch(&d->pending, &newer);
    store_batch_done(&newer);
}

static void on_committed(void *arg, int rc, const char *why)
{
    struct daemon *d = arg;

    if (rc) {
        cleanup_free char *text = xstrdup(why && *why ? why : strerror(-rc));
        commit_failed(d, text);
        waiters_answer(&d->in_commit, rc, text);
        waiters_answer(&d->waiting, rc, text);
    } else {
        set_store_problem(d, NULL);
        copy_batch(&d->durable, &d->committing);
        store_batch_done(&d->committing);
        send_outgoing(d);
        waiters_answer(&d->in_commit, 0, "");
    }
    settle(d);
}

static void begin_commit(struct daemon *d)
{
    struct store_batch copy = { 0 };

    pack_desired(d);
    copy_batch(&d->committing, &d->pending);
    copy = d->pending;
    memset(&d->pending, 0, sizeof(d->pending));
    d->in_commit = d->waiting;
    memset(&d->waiting, 0, sizeof(d->waiting));
    store_commit(d->store, &copy, on_committed, d);
}

static void arm_timer(struct daemon *d);

static void on_timer(uv_timer_t *t)
{
    struct daemon *d = t->data;

    controller_step(d->core, daemon_now(d));
    settle(d);
}

static void arm_timer(struct daemon *d)
{
    int64_t now = daemon_now(d), at = controller_deadline(d->core);

    if (d->pending.n && d->retry_at > now)
        at = MIN_OF(at, d->retry_at);
    if (at == INT64_MAX)
        uv_timer_stop(&d->timer);
    else
        uv_timer_start(&d->timer, on_timer, (uint64_t)(at > now ? at - now : 0), 0);
}

static void tell_listeners(struct daemon *d)
{
    if (d->events_new && d->on_events) {
        d->events_new = false;
        d->on_events(d->on_events_arg);
    }
}

/* After each event: see daemon.h for the order. At the end nothing is begun any more. */
static void settle(struct daemon *d)
{
    if (d->ending)
        return;
    take_dirty(d);
    take_events(d);
    if (!store_busy(d->store)) {
        if (d->pending.n && daemon_now(d) >= (d->waiting.n ? 0 : d->retry_at)) {
            begin_commit(d);
        } else if (!d->pending.n) {
            pack_desired(d);
            send_outgoing(d);
            waiters_answer(&d->waiting, 0, "");     /* nothing to store: it is durable as it is */
        }
    }
    tell_listeners(d);
    arm_timer(d);
    api_kick(d->api);
}

void daemon_commit(struct daemon *d, daemon_done_fn done, void *arg)
{
    waiters_add(&d->waiting, done, arg);
    settle(d);
}

/* --- the agent ------------------------------------------------------------------------------------------ */
/* A new core with all that the old one had to remember: of people's and agents' requests only what has rows is left. */
static void begin_anew(struct daemon *d)
{
    struct store_batch rows = { 0 };

    take_events(d);
    take_dirty(d);                                          /* nothing is undone: what people wait for stays in the core */
    copy_batch(&rows, &d->durable);
    copy_batch(&rows, &d->committing);
    copy_batch(&rows, &d->pending);
    restart_core(d, &rows);
    store_batch_done(&rows);
}

static void raise_epoch_above(struct daemon *d, uint64_t agent_epoch)
{
    struct err e = { "" };

    /* The same number at the first hello stands for another life, whose revisions may have been higher: the store was lost, or
     * the raise of the life before could not be written. */
    if (agent_epoch < d->epoch || (agent_epoch == d->epoch && d->agent_known))
        return;
    if (store_raise_epoch(d->store, agent_epoch + 1, &d->epoch, &e))
        log_error("%s", e.text);
    begin_anew(d);
}

/* As a service the agent has a state folder of its own. A link to its logs in ours is what musterctl reads when nothing runs. */
static void link_logs(const struct daemon *d)
{
    cleanup_free char *link = xasprintf("%s/log", d->o->state_folder);
    char was[PATH_MAX];
    ssize_t n = readlink(link, was, sizeof(was) - 1);

    if (!is_service(d) || !strcmp(link, d->log_folder) || (n < 0 && errno != ENOENT))
        return;                                             /* EINVAL: a folder of that name, of a time as no service */
    was[n > 0 ? n : 0] = '\0';
    if (!strcmp(was, d->log_folder))
        return;
    if (n > 0)
        unlink(link);
    if (symlink(d->log_folder, link))
        log_warn("cannot make the link %s: %s", link, strerror(errno));
}

static void on_agent(void *arg, const struct hello *h)
{
    struct daemon *d = arg;

    raise_epoch_above(d, h->epoch);
    if (is_service(d) && controller_ended(d->core))         /* all was stopped for the agent's end; this is its next life */
        begin_anew(d);
    d->agent_connected = d->agent_known = true;
    free(d->log_folder);
    d->log_folder = xstrdup(h->log_folder);
    link_logs(d);
    if (d->fresh && h->has_had && h->had.item_n) {
        d->lost = true;
        say(d, LOG_ERROR, "state", "the state file %s/state.db was missing, but the agent runs what an earlier one had", d->o->state_folder);
    }
    if (d->lost && h->has_had) {
        controller_recover(d->core, daemon_now(d), &h->had);
        say(d, LOG_WARN, "state", "the lost state was rebuilt from what the agent had: %zu instance%s run on untouched",
            h->had.item_n, h->had.item_n == 1 ? "" : "s");
    }
    d->lost = d->fresh = false;
    controller_agent_connected(d->core, daemon_now(d), h->epoch, h->revision);
    d->sent_revision = 0;           /* whatever was sent before: this link has not got it */
    settle(d);
}

static void on_agent_message(void *arg, const struct wire_msg *m)
{
    struct daemon *d = arg;
    int64_t now = daemon_now(d);

    switch (m->kind) {
    case WIRE_STATUS: controller_status(d->core, now, m->status.v, m->status.n, m->status.full); break;
    case WIRE_METRICS: controller_metrics(d->core, now, m->metrics.iv, m->metrics.in, m->metrics.sv, m->metrics.sn); break;
    case WIRE_BALANCER: controller_balancer(d->core, now, &m->balancer); break;
    case WIRE_EVENT: add_event(d, &m->event); break;
    case WIRE_END: controller_down(d->core, now); break;
    default: break;
    }
    settle(d);
}

static void on_agent_gone(void *arg, const char *why)
{
    struct daemon *d = arg;

    d->agent_connected = false;
    if (!d->ending)
        log_warn("the agent is gone: %s", why);
    controller_agent_gone(d->core, daemon_now(d));
    settle(d);
}

/* --- start and end ---------------------------------------------------------------------------------------- */
static void on_signal(uv_signal_t *s, int signo)
{
    struct daemon *d = s->data;

    log_note("got signal %d, ending; instances run on", signo);
    systemd_stopping(d->systemd);
    d->ending = true;
    uv_stop(&d->loop);
}

static void describe(struct daemon *d, struct strbuf *out)
{
    struct daemon_info info;

    daemon_info(d, &info);
    systemd_describe(d->core, d->agent_known, info.problem_n ? info.problems[0] : NULL, out);
}

static void on_flush(uv_timer_t *t)
{
    struct daemon *d = t->data;
    cleanup_strbuf struct strbuf status = STRBUF_INIT;

    events_flush(d->events);
    describe(d, &status);
    systemd_status(d->systemd, strbuf_str(&status));
}

static bool in_state_folder(const struct daemon *d, const char *name)
{
    cleanup_free char *path = xasprintf("%s/%s", d->o->state_folder, name);

    return access(path, F_OK) == 0;
}

/* A store that is gone beside an agent that has been told what to run is a lost one too, not a first start. As a service the agent has
 * a state folder of its own: whether it has been told anything is known at its hello. */
static int open_store(struct daemon *d, struct err *e)
{
    bool first = !in_state_folder(d, "state.db"), missing = first && in_state_folder(d, "agent/desired");
    int rc = store_open(&d->loop, d->o->state_folder, &d->store, &d->lost, &d->lost_note, e);

    if (!rc && missing && !d->lost) {
        d->lost = true;
        d->lost_note = xasprintf("the state file %s/state.db is missing", d->o->state_folder);
    }
    d->fresh = first && !d->lost && is_service(d);
    return rc;
}

static int start_store(struct daemon *d, struct err *e)
{
    int rc = file_mkdirs(d->o->state_folder, 0750, e);

    if (!rc)
        rc = open_store(d, e);
    if (rc)
        return rc;
    d->events = events_open(d->o->state_folder);
    if (d->lost_note)
        say(d, LOG_ERROR, "state", "%s", d->lost_note);
    struct err why = { "" };
    /* Generations are made from the epoch: one that the lost store may have given already would make an old process pass as a new one,
     * if an apply comes before the agent's hello. The seconds since 1970 are above every count of starts. */
    rc = store_raise_epoch(d->store, d->lost || d->fresh ? (uint64_t)(clock_wall_ms() / 1000) : 0, &d->epoch, &why);
    if (rc)                                                 /* a full disk must not keep the controller away */
        set_store_problem(d, why.text);
    d->core = controller_new((struct controller_options){ d->epoch, 1 });
    rc = store_each(d->store, load_row, d, &why);
    if (rc)
        say(d, LOG_ERROR, "state", "%s", why.text);
    return 0;
}

static int start(struct daemon *d, struct err *e)
{
    static const struct link_ops link_ops = { on_agent, on_agent_message, on_agent_gone };
    cleanup_free char *agent_sock = xasprintf("%s/agent.sock", d->o->run_folder);
    cleanup_free char *api_sock = xasprintf("%s/musterd.sock", d->o->run_folder);
    const struct systemd_sockets given = d->o->given ? *d->o->given : (struct systemd_sockets){ -1, -1 };
    const struct link_socket link_socket = { agent_sock, given.agent, d->o->agent_known ? (int64_t)d->o->agent_uid : LINK_NO_AGENT, d->o->agent_gid };
    int rc;

    uv_loop_init(&d->loop);
    uv_timer_init(&d->loop, &d->timer);
    uv_timer_init(&d->loop, &d->flush);
    d->systemd = systemd_new(&d->loop);
    uv_signal_init(&d->loop, &d->sigterm);
    uv_signal_init(&d->loop, &d->sigint);
    d->timer.data = d->flush.data = d->sigterm.data = d->sigint.data = d;
    if ((rc = start_store(d, e)) || (rc = link_new(&d->loop, &link_socket, &link_ops, d, &d->link, e)) ||
        (rc = api_new(&d->loop, d, api_sock, given.api, &d->api, e)))
        return rc;
    uv_signal_start(&d->sigterm, on_signal, SIGTERM);
    uv_signal_start(&d->sigint, on_signal, SIGINT);
    uv_timer_start(&d->flush, on_flush, EVENTS_FLUSH_MS, EVENTS_FLUSH_MS);
    settle(d);
    return 0;
}

static void close_any(uv_handle_t *h, void *arg)
{
    (void)arg;
    if (!uv_is_closing(h))
        uv_close(h, NULL);
}

/* What is under way becomes durable and is answered; what was not begun is refused. Only then do the parts go. */
static void stop(struct daemon *d)
{
    while (store_busy(d->store))
        uv_run(&d->loop, UV_RUN_ONCE);
    waiters_answer(&d->waiting, -ECANCELED, "the controller is ending");
    api_close(d->api);
    link_close(d->link);
    store_close(d->store);
    uv_walk(&d->loop, close_any, NULL);
    uv_run(&d->loop, UV_RUN_DEFAULT);
    uv_loop_close(&d->loop);
    systemd_free(d->systemd);
    events_close(d->events);
    controller_free(d->core);
    store_batch_done(&d->pending);
    store_batch_done(&d->durable);
    store_batch_done(&d->committing);
    strbuf_done(&d->outgoing);
    free(d->waiting.v);
    free(d->in_commit.v);
    free(d->log_folder);
    free(d->store_problem);
    free(d->lost_note);
}

static void tell_ready(struct daemon *d)
{
    cleanup_strbuf struct strbuf status = STRBUF_INIT;

    describe(d, &status);
    systemd_ready(d->systemd, strbuf_str(&status));
}

int daemon_run(const struct daemon_options *o)
{
    struct daemon *d = xcalloc(1, sizeof(*d));
    struct err e = { "" };

    d->o = o;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    if (start(d, &e)) {
        log_error("%s", e.text);
        free(d);                    /* the process ends: the kernel takes the rest back */
        return EXIT_FAILED;
    }
    log_note("musterd %s started, epoch %llu, state in %s", MUSTER_VERSION, (unsigned long long)d->epoch, o->state_folder);
    tell_ready(d);
    uv_run(&d->loop, UV_RUN_DEFAULT);
    stop(d);
    free(d);
    return EXIT_DONE;
}
