/* supervisor.c - the agent's unprivileged role: the pure core, and around it keeper, controller, probes, figures and balancers.
 *
 * Start: (1) the last desired set from disk goes to the core, (2) the keeper lists what it has and the core adopts it, (3) only then are
 * actions carried out and the controller is called. So a restart starts nothing twice and stops nothing. */
#include "agent/supervisor.h"
#include <errno.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include "agent/balancers.h"
#include "agent/disk.h"
#include "agent/figures.h"
#include "agent/filter.h"
#include "agent/keeper_proto.h"
#include "agent/news.h"
#include "agent/rights.h"
#include "agent/runner.h"
#include "agent/uplink.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"

enum { SAVE_DELAY_MS = 100, FIGURES_MS = 1000 };

struct supervisor {
    uv_loop_t loop;
    uv_timer_t deadline, save, figures_timer;
    uv_prepare_t before_sleep;
    uv_signal_t sigterm;
    const struct supervisor_options *o;
    char *state_folder, *run_folder;            /* its own: STATE/agent, RUN/agent */
    struct agent_core *core;
    struct keeper_client *keeper;
    struct runner *runner;
    struct ports *ports;
    struct balancers *balancers;
    struct figures *figures;
    struct uplink *uplink;
    struct news *news;
    struct ready_list were_ready;               /* of the supervisor before this one */
    bool ports_told;
    bool listed;                                /* the keeper has told all it has */
    bool end_sent;                              /* K_END was sent */
    bool told_to_end;                           /* by the keeper; a controller that starts anew has to hear it again */
    bool end_refused;                           /* by the keeper, and told */
    bool ready_changed;
    int64_t armed_ms;                           /* what the deadline timer is set to; 0: to nothing */
};

static void settle(void *arg);

/* --- telling the controller ---------------------------------------------------------------------------------- */
static void arm_deadline(struct supervisor *s);

/* Once a round of the loop, before it sleeps: all that changed in the round goes out as one message. */
static void on_before_sleep(uv_prepare_t *p)
{
    struct supervisor *s = p->data;

    news_flush(s->news);
    if (s->listed)
        arm_deadline(s);
}

static void on_balancer_report(void *arg, const struct balancer_report *r)
{
    struct supervisor *s = arg;
    struct wire_msg m = { .kind = WIRE_BALANCER, .balancer = *r };

    if (s->uplink)
        uplink_send(s->uplink, &m);
}

static void on_balancer_event(void *arg, int level, const char *kind, const char *subject, const char *text)
{
    news_event(((struct supervisor *)arg)->news, level, kind, subject, text);
}

/* --- the core's actions ---------------------------------------------------------------------------------------- */
static void on_status_changed(struct supervisor *s, const char *id)
{
    struct inst_status st;

    news_changed(s->news, id);
    s->ready_changed = true;
    if (agent_core_status(s->core, clock_mono_ms(), id, &st)) {
        if (st.exited)
            balancers_instance_gone(s->balancers, id);
        else if (st.state == INST_READY)
            balancers_instance_back(s->balancers, id);
    }
}

static void act(struct supervisor *s, const struct agent_action *a)
{
    switch (a->kind) {
    case AA_STATUS: on_status_changed(s, a->id); break;
    case AA_EVENT: news_event(s->news, a->level, a->event, a->id, a->text); break;
    case AA_FORGET:
        runner_act(s->runner, a);
        news_gone(s->news);
        break;
    default: runner_act(s->runner, a); break;
    }
}

/* Balancers end last: until the last instance is gone they answer people. */
static void maybe_end(struct supervisor *s)
{
    if (s->end_sent || !agent_core_all_ended(s->core))
        return;
    balancers_set(s->balancers, NULL);
    if (!balancers_ended(s->balancers))
        return;
    log_note("all has ended");
    s->end_sent = true;
    keeper_client_end(s->keeper);
}

static void on_save(uv_timer_t *t);
static void on_deadline(uv_timer_t *t)
{
    struct supervisor *s = t->data;

    s->armed_ms = 0;
    agent_core_tick(s->core, clock_mono_ms());
    settle(s);
}

/* Carries out what the core has decided. What is only to be told, and the next deadline, wait for the end of the round. */
static void settle(void *arg)
{
    struct supervisor *s = arg;
    struct agent_action a;

    if (!s->listed)
        return;
    while (agent_core_next(s->core, &a))
        act(s, &a);
    if (s->ready_changed && !uv_is_active((uv_handle_t *)&s->save))
        uv_timer_start(&s->save, on_save, SAVE_DELAY_MS, 0);
    maybe_end(s);
}

static void arm_deadline(struct supervisor *s)
{
    int64_t at = agent_core_deadline(s->core), now = clock_mono_ms();

    if (at == s->armed_ms && at > now)
        return;
    s->armed_ms = at;
    if (at == INT64_MAX) {
        uv_timer_stop(&s->deadline);
        return;
    }
    uv_update_time(&s->loop);
    uv_timer_start(&s->deadline, on_deadline, (uint64_t)(at > now ? at - now : 0), 0);
}

static void save_ready(struct supervisor *s);
static void on_save(uv_timer_t *t) { save_ready(t->data); }

/* --- the keeper ---------------------------------------------------------------------------------------------------- */
static void on_listed(struct supervisor *s);

static void adopt_ready(struct supervisor *s, const struct k_state *k)
{
    const struct ready_entry *r = ready_list_find(&s->were_ready, k->id);

    /* pid 0: it was about to be started when the list was written; of the process itself nothing is known but its generation */
    if (r && k->running && (r->pid == k->pid || r->pid == 0))
        agent_core_adopt_ready(s->core, clock_mono_ms(), k->id, r->ready, r->passed, r->restarts, r->generation);
}

static bool about_balancer(struct supervisor *s, const struct k_msg *m)
{
    bool has_kind = m->verb == K_STATE || m->verb == K_SPAWNED || m->verb == K_EXITED || m->verb == K_EMPTY || m->verb == K_OOM;

    return m->verb == K_HELD || (has_kind && m->u.state.kind == K_BALANCER) || balancers_owns(s->balancers, m->u.id.id);
}

/* Something lives that the core does not know of. It is asked again with the next figures, and people are told why it takes so long. */
static void on_end_refused(struct supervisor *s, const char *why)
{
    s->end_sent = false;
    if (!s->end_refused)
        news_event(s->news, LOG_WARN, "end", "muster", why);
    s->end_refused = true;
}

static void on_keeper(void *arg, const struct k_msg *m, int fd)
{
    struct supervisor *s = arg;

    if (m->verb == K_REPLY && m->u.reply.verb == K_LIST) {
        on_listed(s);
        return;
    }
    if (m->verb == K_REPLY && m->u.reply.verb == K_END && m->u.reply.rc) {
        on_end_refused(s, m->u.reply.detail);
        return;
    }
    if (about_balancer(s, m)) {
        balancers_on_keeper(s->balancers, m);
        if (fd >= 0)
            close(fd);
    } else {
        runner_on_keeper(s->runner, m, fd);
        if (m->verb == K_STATE)
            adopt_ready(s, &m->u.state);
    }
    settle(s);
}

/* Without a keeper there is nothing to supervise with: the next keeper starts a supervisor of its own. */
static void on_keeper_gone(void *arg)
{
    struct supervisor *s = arg;

    log_error("the keeper is gone");
    uv_stop(&s->loop);
}

/* --- the controller ---------------------------------------------------------------------------------------------------- */
static void on_hello(void *arg, struct hello *h)
{
    struct supervisor *s = arg;
    const struct desired *d = agent_core_wanted(s->core);

    h->version = 1;
    fixed_copy(h->name, sizeof(h->name), s->o->name);
    fixed_copy(h->log_folder, sizeof(h->log_folder), s->o->log_folder);
    if (d) {
        h->epoch = d->epoch;
        h->revision = d->revision;
        h->had = *d;
        h->has_had = true;
    }
}

static void on_connected(void *arg)
{
    struct supervisor *s = arg;

    news_full(s->news);
    balancers_report(s->balancers);
    if (s->told_to_end)
        uplink_send(s->uplink, &(struct wire_msg){ .kind = WIRE_END });
}

static void save_ready(struct supervisor *s)
{
    struct err e = { "" };

    s->ready_changed = false;
    if (disk_save_ready(s->run_folder, s->core, clock_mono_ms(), &e))
        log_warn("the list of ready instances is not saved: %s", e.text);
}

static void take_desired(struct supervisor *s, struct desired *d)
{
    struct err e = { "" };

    if (s->ready_changed)   /* which generation runs has to be on disk before another one is wanted there */
        save_ready(s);
    int rc = agent_core_desired(s->core, clock_mono_ms(), d);

    if (rc) {
        log_warn("a desired set of an older controller or revision was refused");
        return;
    }
    const struct desired *wanted = agent_core_wanted(s->core);
    balancers_set(s->balancers, wanted);
    if (disk_save_desired(s->state_folder, wanted, &e))
        log_warn("what is wanted is not saved for a restart: %s", e.text);
    settle(s);
}

static void tell_ports(struct supervisor *s)
{
    struct inst_status st;

    for (size_t i = 0; agent_core_status_at(s->core, clock_mono_ms(), i, &st); i++) {
        uint32_t port = ports_of(s->ports, st.id);
        if (port)
            agent_core_port(s->core, st.id, port);
    }
}

static void on_controller_message(void *arg, struct wire_msg *m)
{
    struct supervisor *s = arg;

    if (m->kind == WIRE_RESYNC)
        on_connected(s);
    else if (m->kind == WIRE_DESIRED && !s->end_sent) {
        take_desired(s, &m->desired);
        if (!s->ports_told)                     /* those that were found running, where no set was on the disk */
            tell_ports(s);
        s->ports_told = true;
    }
}

/* --- figures ------------------------------------------------------------------------------------------------------------- */
static void on_figures(uv_timer_t *t)
{
    struct supervisor *s = t->data;
    struct wire_msg m = { .kind = WIRE_METRICS };

    if (!s->listed)
        return;
    if (figures_round(s->figures, clock_mono_ms(), &m))
        uplink_send(s->uplink, &m);
    wire_msg_done(&m);
    uint64_t pause = (uint64_t)figures_pause_ms(s->figures);
    if (uv_timer_get_repeat(t) != pause)
        uv_timer_start(t, on_figures, pause, pause);
    maybe_end(s);
}

/* --- start and end --------------------------------------------------------------------------------------------------------- */
static void load_desired(struct supervisor *s)
{
    struct desired d;
    struct err e = { "" };
    int rc = disk_load_desired(s->state_folder, &d, &e);

    if (rc == -EBADMSG)
        log_error("%s; what runs is left untouched until the controller says more", e.text);
    if (!rc) {
        d.end = false;                          /* it was about the run before this one */
        agent_core_desired(s->core, clock_mono_ms(), &d);
    }
}

/* The set from the disk may list a process that ended, and another one in its place that has not passed yet: who left while nobody
 * looked is out until it is ready. */
static void keep_out(struct supervisor *s)
{
    struct inst_status st;

    for (size_t i = 0; agent_core_status_at(s->core, clock_mono_ms(), i, &st); i++)
        if (st.state != INST_READY && st.state != INST_UNREADY && st.state != INST_DRAINING)
            balancers_instance_gone(s->balancers, st.id);
}

static void on_listed(struct supervisor *s)
{
    static const struct uplink_ops ops = { on_hello, on_connected, on_controller_message };
    cleanup_free char *path = s->o->controller_socket ? xstrdup(s->o->controller_socket) : xasprintf("%s/agent.sock", s->o->run_folder);

    s->listed = true;
    tell_ports(s);
    ready_list_done(&s->were_ready);
    if (agent_core_wanted(s->core))
        balancers_set(s->balancers, agent_core_wanted(s->core));
    keep_out(s);
    agent_core_tick(s->core, clock_mono_ms());
    s->uplink = uplink_new(&s->loop, path, s->o->controller_uid, &ops, s);
    news_uplink(s->news, s->uplink);
    settle(s);
}

/* Without a controller: what is wanted, but with each instance stopped. Not saved: the next start is a normal one. */
static void stop_all(struct supervisor *s)
{
    cleanup_strbuf struct strbuf packed = STRBUF_INIT;
    struct wire_msg m = { .kind = WIRE_DESIRED };
    struct err e = { "" };
    const struct desired *wanted = agent_core_wanted(s->core);
    struct desired d = { .end = true };

    if (wanted) {
        m.desired = *wanted;                    /* borrowed for the packing: a deep copy by way of the wire */
        wire_pack(&m, &packed);
        if (!wire_unpack_to_agent(packed.s, packed.len, &m, &e))
            d = m.desired;
    }
    for (size_t i = 0; i < d.item_n; i++)
        d.items[i].want = WANT_STOP;
    d.end = true;
    agent_core_desired(s->core, clock_mono_ms(), &d);
    settle(s);
}

/* The keeper was told to end: the controller runs `down`; without one, all is stopped as it stands. */
static void on_sigterm(uv_signal_t *sig, int signo)
{
    struct supervisor *s = sig->data;
    struct wire_msg m = { .kind = WIRE_END };

    (void)signo;
    s->told_to_end = true;
    if (s->end_sent) {                          /* the keeper took K_END: this role's work is done */
        uv_stop(&s->loop);
        return;
    }
    if (s->uplink && uplink_up(s->uplink)) {
        uplink_send(s->uplink, &m);
        return;
    }
    log_note("told to end, and there is no controller: stopping all");
    stop_all(s);
}

static void init_handles(struct supervisor *s)
{
    uv_timer_init(&s->loop, &s->deadline);
    uv_timer_init(&s->loop, &s->save);
    uv_timer_init(&s->loop, &s->figures_timer);
    uv_prepare_init(&s->loop, &s->before_sleep);
    uv_signal_init(&s->loop, &s->sigterm);
    s->deadline.data = s->save.data = s->figures_timer.data = s->before_sleep.data = s->sigterm.data = s;
    uv_signal_start(&s->sigterm, on_sigterm, SIGTERM);
    uv_prepare_start(&s->before_sleep, on_before_sleep);
    uv_timer_start(&s->figures_timer, on_figures, FIGURES_MS, FIGURES_MS);
}

static void init_parts(struct supervisor *s)
{
    static const struct keeper_client_ops keeper_ops = { on_keeper, on_keeper_gone };

    s->core = agent_core_new((uint64_t)clock_mono_ns() ^ (uint64_t)getpid());
    s->news = news_new(s->core);
    s->ports = ports_open(s->state_folder, "127.0.0.1", PORT_FIRST, PORT_LAST);
    if (s->o->apart)
        ports_trust_low(s->ports);
    s->keeper = keeper_client_new(&s->loop, KEEPER_FD, &keeper_ops, s);
    s->runner = runner_new(&(struct runner_options){ &s->loop, s->core, s->keeper, s->ports, "127.0.0.1", settle, s });
    s->balancers = balancers_new(&(struct balancers_options){ &s->loop, s->run_folder, s->state_folder, s->o->apart ? s->o->balancer_uid : NO_ID, s->keeper, on_balancer_report, on_balancer_event, settle, s });
    s->figures = figures_new(s->core, s->runner, s->balancers);
}

int supervisor_main(const struct supervisor_options *o)
{
    struct supervisor *s = xcalloc(1, sizeof(*s));

    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    s->o = o;
    s->state_folder = xasprintf("%s/agent", o->state_folder);
    s->run_folder = xasprintf("%s/agent", o->run_folder);
    uv_loop_init(&s->loop);
    init_handles(s);
    init_parts(s);
    disk_load_ready(s->run_folder, &s->were_ready);
    load_desired(s);
    tell_ports(s);
    keeper_client_list(s->keeper);
    if (geteuid() == 0)                         /* the name services' libraries are loaded while that is allowed */
        (void)getpwnam("haproxy");
    if (filter_load(FILTER_SUPERVISOR))
        return 1;
    uv_run(&s->loop, UV_RUN_DEFAULT);
    news_flush(s->news);
    return 0;
}
