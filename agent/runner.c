/* runner.c - see runner.h. Probes by command, and hooks, are in runner_attempt.c; notify sockets in runner_notify.c. */
#include "agent/runner.h"
#include <errno.h>
#include <signal.h>
#include <string.h>
#include "agent/runner_internal.h"
#include "agent/spawn_plan.h"
#include "base/clock.h"
#include "base/log.h"

struct runner *runner_new(const struct runner_options *o)
{
    struct runner *r = xcalloc(1, sizeof(*r));

    r->o = *o;
    return r;
}

struct runner_inst *runner_inst(struct runner *r, const char *id, bool make)
{
    struct runner_inst *i = NULL;

    HASH_FIND_STR(r->insts, id, i);
    if (!i && make) {
        i = xcalloc(1, sizeof(*i));
        i->r = r;
        fixed_copy(i->id, sizeof(i->id), id);
        HASH_ADD_STR(r->insts, id, i);
    }
    return i;
}

static void inst_free(struct runner_inst *i)
{
    HASH_DEL(i->r->insts, i);
    runner_notify_close(i);
    free(i);
}

void runner_settle(struct runner *r)
{
    r->o.settle(r->o.arg);
}

/* The slot's port: its own of old, or a new one. A fixed port that a stranger holds is a failed start with a name to it. */
static int place_of(struct runner *r, const char *id, const struct service_spec *spec, struct spawn_place *ret, struct err *e)
{
    *ret = (struct spawn_place){ r->o.address, 0 };
    if (spec->port_kind == PORT_NONE)
        return 0;
    return ports_take(r->o.ports, id, spec->port_kind == PORT_FIXED ? spec->port : 0, &ret->port, e);
}

static void act_spawn(struct runner *r, const struct agent_action *a)
{
    struct runner_inst *i = runner_inst(r, a->id, true);
    cleanup_strbuf struct strbuf records = STRBUF_INIT;
    struct k_spawn k;
    struct spawn_place at;
    struct err e = { "" };
    int rc = place_of(r, a->id, &a->spec->spec, &at, &e);

    i->serial = a->serial;
    i->port_checked = false;
    if (!rc) {
        agent_core_port(r->o.core, a->id, at.port);
        rc = spawn_plan_instance(a->id, a->spec, at, &k, &records, &e);
        k.port = at.port;
    }
    if (!rc && (rc = keeper_client_spawn(r->o.keeper, &k, &records, -1)))
        err_set(&e, rc, "the keeper does not answer: %s", strerror(-rc));
    if (rc && !(rc == -EADDRINUSE && a->spec->spec.port_kind == PORT_FIXED && runner_who_holds(i, a->spec->spec.port)))
        agent_core_spawn_failed(r->o.core, clock_mono_ms(), a->id, a->serial, e.text);
}

static void act_forget(struct runner *r, const char *id)
{
    struct runner_inst *i = runner_inst(r, id, false);

    keeper_client_forget(r->o.keeper, id);
    ports_give_back(r->o.ports, id);
    if (i)
        inst_free(i);
}

void runner_act(struct runner *r, const struct agent_action *a)
{
    switch (a->kind) {
    case AA_SPAWN: act_spawn(r, a); break;
    case AA_SIGNAL: keeper_client_signal(r->o.keeper, a->id, a->pid, a->signo); break;
    case AA_GROUP: keeper_client_group(r->o.keeper, a->id, a->pid, a->signo); break;
    case AA_FORGET: act_forget(r, a->id); break;
    case AA_PROBE: runner_probe(r, a); break;
    case AA_PROBE_CANCEL: runner_cancel(r, a->id, (int)a->role); break;
    case AA_HOOK: runner_hook(r, a); break;
    case AA_HOOK_CANCEL: runner_cancel(r, a->id, PROBE_ROLE_COUNT + (int)a->hook); break;
    case AA_STATUS: case AA_EVENT: break;
    }
}

static void on_spawned(struct runner *r, const struct k_state *s, int fd)
{
    struct runner_inst *i = runner_inst(r, s->id, true);

    i->pid = s->pid;
    fixed_copy(i->cgroup, sizeof(i->cgroup), s->cgroup);
    if (fd >= 0)
        runner_notify_open(i, fd);
    agent_core_spawned(r->o.core, clock_mono_ms(), s->id, i->serial, s->pid);
}

static void on_failed(struct runner *r, const char *id, const char *text)
{
    struct runner_inst *i = runner_inst(r, id, false);

    if (i)
        agent_core_spawn_failed(r->o.core, clock_mono_ms(), id, i->serial, text);
}

/* What the keeper has when this supervisor starts: see supervisor.c for the order. */
static void on_state(struct runner *r, const struct k_state *s, int fd)
{
    struct runner_inst *i = runner_inst(r, s->id, true);

    i->pid = s->running ? s->pid : 0;
    fixed_copy(i->cgroup, sizeof(i->cgroup), s->cgroup);
    if (fd >= 0)
        runner_notify_open(i, fd);
    if (s->running && s->port && !ports_of(r->o.ports, s->id) && ports_recover(r->o.ports, s->id, s->port))
        log_warn("%s: its port was not in the table any more, the keeper says %u", s->id, (unsigned)s->port);
    agent_core_adopt(r->o.core, clock_mono_ms(), s->id, s->pid, s->running, s->populated, s->exit, s->started_mono_ms);
}

static void on_exited(struct runner *r, const struct k_state *s)
{
    struct runner_inst *i = runner_inst(r, s->id, false);

    if (i)
        i->pid = 0;
    agent_core_exited(r->o.core, clock_mono_ms(), s->id, s->pid, s->exit, s->populated);
}

void runner_on_keeper(struct runner *r, const struct k_msg *m, int fd)
{
    if (runner_attempt_on_keeper(r, m)) {       /* a helper's: "api.1/readiness" */
        if (fd >= 0)
            close(fd);
        return;
    }
    switch (m->verb) {
    case K_SPAWNED: on_spawned(r, &m->u.state, TAKE_FD(fd)); break;
    case K_SPAWN_FAILED: on_failed(r, m->u.failed.id, m->u.failed.detail); break;
    case K_STATE: on_state(r, &m->u.state, TAKE_FD(fd)); break;
    case K_EXITED: on_exited(r, &m->u.state); break;
    case K_EMPTY: agent_core_empty(r->o.core, clock_mono_ms(), m->u.state.id); break;
    case K_OOM: agent_core_oom(r->o.core, clock_mono_ms(), m->u.state.id); break;
    case K_REPLY:
        if (m->u.reply.verb == K_WHO)
            runner_who_on_reply(r, &m->u.reply);
        else if (m->u.reply.verb == K_SPAWN && m->u.reply.rc)
            on_failed(r, m->u.reply.id, m->u.reply.detail);
        break;
    default: break;
    }
    if (fd >= 0)
        close(fd);
}

size_t runner_processes(const struct runner *r, struct runner_process *ret, size_t max)
{
    struct runner_inst *i, *tmp;
    size_t n = 0;

    HASH_ITER(hh, r->insts, i, tmp)
        if (i->pid > 0 && n < max)
            ret[n++] = (struct runner_process){ i->id, i->pid, i->cgroup };
    return n;
}
