/* agentd.c - the agent's supervisor around its real core: as agent/supervisor.c does, without the system. */
#include <errno.h>
#include <string.h>
#include "agent/notify.h"
#include "tests/sim/sim.h"

static const int64_t SAVE_DELAY = 100;

static uint32_t port_of(const char *id)
{
    uint32_t h = 2166136261u;
    for (; *id; id++)
        h = (h ^ (unsigned char)*id) * 16777619u;
    return 20000 + h % 10000;
}

/* --- answers to probes and hooks ----------------------------------------------------------------------------------- */
static void on_probed(struct world *w, struct ev *e)
{
    if (!w->agent || e->life != w->agent_life)
        return;
    const struct proc *p = proc_find(w, e->id);
    bool pass = proc_passes(w, p, (enum probe_role)e->a);
    agent_core_probed(w->agent, w->now, e->id, (enum probe_role)e->a, e->serial, pass,
                      pass ? "" : p && p->running ? w->now < p->hung_until ? "no answer within 500ms" : "HTTP 503 from /healthz" : "connection refused");
    agent_settle(w);
}

static void probe(struct world *w, const struct agent_action *a)
{
    if (!w->calm && chance(w, 2)) {     /* the prober itself is lost */
        hit(w, F_LOST_PROBE, a->id);
        return;
    }
    struct ev e = { .fn = on_probed, .life = w->agent_life, .serial = a->serial, .a = a->role };
    (void)fixed_copy(e.id, sizeof(e.id), a->id);
    const struct proc *p = proc_find(w, a->id);
    bool hung = p && w->now < p->hung_until;
    ev_push(w, hung ? a->probe->timeout_ms : between(w, 1, 20), e);
}

static void on_hooked(struct world *w, struct ev *e)
{
    if (!w->agent || e->life != w->agent_life)
        return;
    agent_core_hook_done(w->agent, w->now, e->id, (enum hook_kind)e->a, e->serial, e->b != 0, "exit code 1");
    agent_settle(w);
}

static void hook(struct world *w, const struct agent_action *a)
{
    bool ok = w->calm || !chance(w, 100);
    if (!ok)
        hit(w, F_HOOK, a->id);
    if (!ok && chance(w, 200))
        return;     /* no answer at all */
    struct ev e = { .fn = on_hooked, .life = w->agent_life, .serial = a->serial, .a = a->hook, .b = ok };
    (void)fixed_copy(e.id, sizeof(e.id), a->id);
    ev_push(w, between(w, 5, 200), e);
}

/* --- status ----------------------------------------------------------------------------------------------------------- */
static void save_notes(struct world *w)
{
    struct inst_status s;
    w->note_n = 0;
    w->notes_pending = false;
    for (size_t k = 0; agent_core_status_at(w->agent, w->now, k, &s); k++) {
        struct note *n = &w->notes[w->note_n++];
        *n = (struct note){ .pid = s.pid, .ready = s.state == INST_READY, .passed = s.state == INST_UNREADY || s.state == INST_DRAINING, .restarts = s.restarts, .generation = s.generation };
        (void)fixed_copy(n->id, sizeof(n->id), s.id);
    }
}

static void on_save(struct world *w, struct ev *e)
{
    if (w->agent && e->life == w->agent_life && w->notes_pending)
        save_notes(w);
}

static void status_changed(struct world *w, const char *id)
{
    struct inst_status s;
    bool listed = false;
    for (size_t k = 0; k < w->changed_n && !listed; k++)
        listed = strcmp(w->changed[k], id) == 0;
    if (!listed)
        (void)fixed_copy(w->changed[w->changed_n++], ID_SIZE, id);
    if (!w->notes_pending)
        ev_push(w, SAVE_DELAY, (struct ev){ .fn = on_save, .life = w->agent_life });
    w->notes_pending = true;
    if (!agent_core_status(w->agent, w->now, id, &s))
        return;
    struct proc *p = proc_find(w, id);
    if (p && s.state == INST_READY && s.pid == p->pid)
        p->was_ready = true;
    if (s.exited)
        proxy_gone(w, id);
    else if (s.state == INST_READY)
        proxy_back(w, id);
}

static void send_status(struct world *w, bool full)
{
    size_t max = full ? agent_core_count(w->agent) : w->changed_n;
    struct wire_msg m = { .kind = WIRE_STATUS };
    if (w->link_up && (full || max > 0)) {
        m.status.full = full;
        m.status.v = xcalloc(max + 1, sizeof(*m.status.v));
        for (size_t k = 0; k < max; k++)
            m.status.n += full ? agent_core_status_at(w->agent, w->now, k, &m.status.v[m.status.n])
                               : agent_core_status(w->agent, w->now, w->changed[k], &m.status.v[m.status.n]);
        channel_to_ctl(w, &m);
    }
    w->changed_n = 0;
    w->forgotten = false;
}

static void act(struct world *w, const struct agent_action *a)
{
    switch (a->kind) {
    case AA_SPAWN:
        agent_core_port(w->agent, a->id, port_of(a->id));
        keeper_spawn(w, a);
        break;
    case AA_SIGNAL: keeper_signal(w, a, false); break;
    case AA_GROUP: keeper_signal(w, a, true); break;
    case AA_FORGET:
        keeper_forget(w, a->id);
        w->forgotten = true;
        break;
    case AA_PROBE: probe(w, a); break;
    case AA_HOOK: hook(w, a); break;
    case AA_STATUS: status_changed(w, a->id); break;
    case AA_EVENT: trace(w, "agent %s: %s: %s", a->id, a->event, a->text); break;
    case AA_PROBE_CANCEL: case AA_HOOK_CANCEL: break;
    }
}

void agent_settle(struct world *w)
{
    struct agent_action a;
    w->agent_touched = true;
    while (agent_core_next(w->agent, &a))
        act(w, &a);
    if (w->changed_n > 0 || w->forgotten)
        send_status(w, w->forgotten);
    if (agent_core_all_ended(w->agent) && w->proxy_wanted)
        proxy_set(w, NULL);
}

/* --- the controller ---------------------------------------------------------------------------------------------------- */
static void pack(struct strbuf *out, const struct desired *d)
{
    struct wire_msg m = { .kind = WIRE_DESIRED, .desired = *d };
    strbuf_reset(out);
    wire_pack(&m, out);
}

void agent_message(struct world *w, struct wire_msg *m)
{
    if (m->kind == WIRE_RESYNC)
        send_status(w, true);
    if (m->kind != WIRE_DESIRED)
        return;
    uint64_t epoch = m->desired.epoch, revision = m->desired.revision;
    const struct desired *had = agent_core_wanted(w->agent);
    bool older = had && (epoch < had->epoch || (epoch == had->epoch && revision < had->revision));
    if (w->notes_pending)
        save_notes(w);
    int rc = agent_core_desired(w->agent, w->now, &m->desired);
    if (older != (rc == -ESTALE) || (rc < 0 && rc != -ESTALE))
        fail(w, "desired set %llu/%llu: %s (I5)", (unsigned long long)epoch, (unsigned long long)revision, rc < 0 ? "refused" : "taken");
    if (rc == 0) {
        pack(&w->disk, agent_core_wanted(w->agent));
        proxy_set(w, agent_core_wanted(w->agent));
    }
    agent_settle(w);
}

void agent_linked(struct world *w)
{
    struct wire_msg m = { .kind = WIRE_HELLO };
    const struct desired *d = agent_core_wanted(w->agent);
    m.hello.version = 1;
    fixed_printf(m.hello.name, "local");
    if (d) {
        struct err e = { "" };
        struct wire_msg copy;
        m.hello.epoch = d->epoch;
        m.hello.revision = d->revision;
        if (w->lost) {      /* had is only looked at by a controller that lost its store */
            if (wire_unpack_to_agent(w->disk.s, w->disk.len, &copy, &e) < 0)
                fail(w, "the agent's disk copy: %s", e.text);
            m.hello.had = copy.desired;
            m.hello.has_had = true;
        }
    }
    channel_to_ctl(w, &m);
    send_status(w, true);
}

void agent_report(struct world *w, const struct balancer_report *r)
{
    struct wire_msg m = { .kind = WIRE_BALANCER, .balancer = *r };
    m.balancer.servers = xcalloc(r->server_n + 1, sizeof(*r->servers));
    if (r->server_n > 0)
        memcpy(m.balancer.servers, r->servers, r->server_n * sizeof(*r->servers));
    channel_to_ctl(w, &m);
}

/* --- life -------------------------------------------------------------------------------------------------------------------- */
static void adopt(struct world *w, const struct proc *p)
{
    agent_core_adopt(w->agent, w->now, p->id, p->pid, p->running, p->running || p->left, p->exit, p->started_at);
    agent_core_port(w->agent, p->id, port_of(p->id));
    for (size_t k = 0; k < w->note_n; k++)
        if (strcmp(w->notes[k].id, p->id) == 0 && (w->notes[k].pid == p->pid || w->notes[k].pid == 0) && p->running)
            agent_core_adopt_ready(w->agent, w->now, p->id, w->notes[k].ready, w->notes[k].passed, w->notes[k].restarts, w->notes[k].generation);
}

void agent_start(struct world *w)
{
    w->agent_life++;
    w->agent = agent_core_new(rng_next(&w->rng));
    w->agent_touched = true;
    w->notes_pending = false;
    if (w->disk.len > 0) {
        struct wire_msg m;
        struct err e = { "" };
        if (wire_unpack_to_agent(w->disk.s, w->disk.len, &m, &e) < 0)
            fail(w, "the agent's disk copy: %s", e.text);
        (void)agent_core_desired(w->agent, w->now, &m.desired);
        wire_msg_done(&m);
    }
    for (size_t k = 0; k < w->proc_n; k++)
        if (w->proc[k].used)
            adopt(w, &w->proc[k]);
    if (agent_core_wanted(w->agent))
        proxy_set(w, agent_core_wanted(w->agent));
    struct inst_status s;
    for (size_t k = 0; agent_core_status_at(w->agent, w->now, k, &s); k++)
        if (s.state != INST_READY && s.state != INST_UNREADY && s.state != INST_DRAINING)
            proxy_gone(w, s.id);
    agent_core_tick(w->agent, w->now);
    agent_settle(w);
    channel_connect_soon(w);
}

void agent_kill(struct world *w)
{
    if (!w->agent)
        return;
    trace(w, "--- the supervisor dies");
    agent_core_free(w->agent);
    w->agent = NULL;
    w->agent_life++;
    w->changed_n = 0;
    w->forgotten = false;
    proxy_forget(w);
    channel_break(w);
}
