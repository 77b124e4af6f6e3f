/* runner_attempt.c - one try of a probe or hook: over the network (agent/probe.h) or as a process that the keeper runs.
 *
 * A process that outlives its time-out is killed with its group, and its slot is used again only once the group is empty: until
 * then the next try of the same kind waits. So there is never more than one. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include "agent/runner_internal.h"
#include "agent/spawn_plan.h"
#include "base/clock.h"
#include "base/num.h"

struct attempt {
    char id[ID_SIZE];                           /* "api.1/readiness"; the hash key */
    char instance[ID_SIZE];
    struct runner *r;
    int what;
    uint64_t serial;
    struct probe_run *net;                      /* network probe under way */
    bool asking; char passed[40];               /* it passed, so, and the keeper is asked whose the port is */
    bool process;                               /* the keeper has a slot for it */
    int32_t pid;
    bool answered;                              /* the core has its answer, or wants none */
    bool kill_wanted;
    uv_timer_t timer;
    int64_t timeout_ms;
    const struct strv *argv; bool to_log;
    bool next; struct agent_action next_action; /* waits until the slot is empty */
    UT_hash_handle hh;
};

static const char *const what_words[] = {
    [PROBE_STARTUP] = "startup", [PROBE_READINESS] = "readiness", [PROBE_LIVENESS] = "liveness",
    [PROBE_ROLE_COUNT + HOOK_BEFORE_START] = "before-start", [PROBE_ROLE_COUNT + HOOK_AFTER_READY] = "after-ready",
    [PROBE_ROLE_COUNT + HOOK_BEFORE_STOP] = "before-stop",
};

static void attempt_freed(uv_handle_t *h)
{
    free(h->data);
}

static void attempt_end(struct attempt *t)
{
    HASH_DEL(t->r->attempts, t);
    uv_timer_stop(&t->timer);
    uv_close((uv_handle_t *)&t->timer, attempt_freed);
}

static struct attempt *attempt_find(struct runner *r, const char *helper_id)
{
    struct attempt *t = NULL;

    HASH_FIND_STR(r->attempts, helper_id, t);
    return t;
}

static struct attempt *attempt_add(struct runner *r, const char *helper_id)
{
    struct attempt *t = xcalloc(1, sizeof(*t));

    t->r = r;
    fixed_copy(t->id, sizeof(t->id), helper_id);
    uv_timer_init(r->o.loop, &t->timer);
    t->timer.data = t;
    HASH_ADD_STR(r->attempts, id, t);
    return t;
}

static struct attempt *attempt_new(struct runner *r, const struct agent_action *a, int what)
{
    char helper_id[ID_SIZE * 2];

    fixed_printf(helper_id, "%s/%s", a->id, what_words[what]);      /* NAME_LEN_MAX leaves room in an id */
    struct attempt *t = attempt_add(r, helper_id);
    t->what = what;
    t->serial = a->serial;
    fixed_copy(t->instance, sizeof(t->instance), a->id);
    return t;
}

static void answer(struct attempt *t, bool pass, const char *detail)
{
    if (t->answered)
        return;
    t->answered = true;
    uv_timer_stop(&t->timer);
    if (t->what < PROBE_ROLE_COUNT)
        agent_core_probed(t->r->o.core, clock_mono_ms(), t->instance, (enum probe_role)t->what, t->serial, pass, detail);
    else
        agent_core_hook_done(t->r->o.core, clock_mono_ms(), t->instance, (enum hook_kind)(t->what - PROBE_ROLE_COUNT), t->serial, pass, detail);
}

/* --- over the network ---------------------------------------------------------------------------------------- */
/* A stranger that took the port between our look at it and the instance's bind would answer the probe in its place, and then get its
 * traffic. So the first pass of each process counts only if the port is its own. */
static bool must_be_checked(struct attempt *t)
{
    struct runner_inst *i = runner_inst(t->r, t->instance, false);
    struct inst_status s;

    if (!i || i->port_checked || !agent_core_status(t->r->o.core, clock_mono_ms(), t->instance, &s))
        return false;
    t->asking = runner_who_answers(i, t->id, s.port);
    return t->asking;
}

static void on_net_done(void *arg, bool pass, const char *detail)
{
    struct attempt *t = arg;
    struct runner *r = t->r;

    t->net = NULL;
    if (pass && must_be_checked(t)) {
        fixed_copy(t->passed, sizeof(t->passed), detail);
        return;                                 /* until runner_attempt_checked */
    }
    answer(t, pass, detail);
    attempt_end(t);
    runner_settle(r);
}

void runner_attempt_checked(struct runner_inst *i, const char *attempt_id, bool sure, const char *other, uint32_t port)
{
    struct attempt *t = attempt_find(i->r, attempt_id);
    char text[256];

    if (!t || !t->asking)
        return;
    i->port_checked = sure && !other;
    fixed_printf(text, "port %u is answered by %s, not by this instance", (unsigned)port, other ? other : "");
    answer(t, !other, other ? text : t->passed);
    attempt_end(t);
}

static void start_net(struct attempt *t, const struct probe_spec *p)
{
    struct inst_status s;

    if (!agent_core_status(t->r->o.core, clock_mono_ms(), t->instance, &s) || !s.port) {
        answer(t, false, "it has no port");
        attempt_end(t);
        return;
    }
    t->net = p->kind == PROBE_HTTP
        ? probe_http_start(t->r->o.loop, t->r->o.address, s.port, p->http_path, p->timeout_ms, on_net_done, t)
        : probe_tcp_start(t->r->o.loop, t->r->o.address, s.port, p->timeout_ms, on_net_done, t);
    if (!t->net) {
        answer(t, false, "the probe could not be started");
        attempt_end(t);
    }
}

/* --- as a process ----------------------------------------------------------------------------------------------- */
static void kill_group(struct attempt *t)
{
    t->kill_wanted = true;
    if (t->pid > 0)
        keeper_client_group(t->r->o.keeper, t->id, t->pid, SIGKILL);
}

static void on_timeout(uv_timer_t *timer)
{
    struct attempt *t = timer->data;
    char text[96], ms[32];

    num_format_duration(t->timeout_ms, ms, sizeof(ms));
    fixed_printf(text, "%s did not end within %s and was killed", t->what < PROBE_ROLE_COUNT ? "the command" : "the hook", ms);
    answer(t, false, text);
    kill_group(t);
    runner_settle(t->r);
}

static void start_process(struct attempt *t, const struct spec_ref *spec)
{
    cleanup_strbuf struct strbuf records = STRBUF_INIT;
    struct inst_status s = { .port = 0 };
    struct k_spawn k;
    struct err e = { "" };

    agent_core_status(t->r->o.core, clock_mono_ms(), t->instance, &s);
    int rc = spawn_plan_helper(t->id, t->instance, spec, t->argv, t->to_log, (struct spawn_place){ t->r->o.address, s.port }, &k, &records, &e);
    if (!rc && (rc = keeper_client_spawn(t->r->o.keeper, &k, &records, -1)))
        err_set(&e, rc, "the keeper does not answer");
    if (rc) {
        answer(t, false, e.text);
        attempt_end(t);
        return;
    }
    t->process = true;
    uv_timer_start(&t->timer, on_timeout, (uint64_t)t->timeout_ms, 0);
}

static void start_command(struct runner *r, const struct agent_action *a, int what, const struct strv *argv, int64_t timeout_ms)
{
    struct attempt *t = attempt_new(r, a, what);
    const struct spec_ref *spec = a->spec ? a->spec : agent_core_spec(r->o.core, a->id);

    t->argv = argv;
    t->timeout_ms = timeout_ms;
    t->to_log = what >= PROBE_ROLE_COUNT;
    if (!spec) {
        answer(t, false, "the instance is gone");
        attempt_end(t);
        return;
    }
    start_process(t, spec);
}

/* true: the last try's processes still live; this one starts when they are gone. */
static bool must_wait(struct runner *r, const struct agent_action *a, int what)
{
    char helper_id[ID_SIZE * 2];

    fixed_printf(helper_id, "%s/%s", a->id, what_words[what]);
    struct attempt *t = attempt_find(r, helper_id);
    if (!t)
        return false;
    t->next = true;
    t->next_action = *a;
    return true;
}

void runner_probe(struct runner *r, const struct agent_action *a)
{
    if (must_wait(r, a, (int)a->role))
        return;
    if (a->probe->kind == PROBE_COMMAND)
        start_command(r, a, (int)a->role, &a->probe->command, a->probe->timeout_ms);
    else
        start_net(attempt_new(r, a, (int)a->role), a->probe);
}

void runner_hook(struct runner *r, const struct agent_action *a)
{
    const struct spec_ref *spec = a->spec ? a->spec : agent_core_spec(r->o.core, a->id);
    int what = PROBE_ROLE_COUNT + (int)a->hook;

    if (must_wait(r, a, what))
        return;
    if (!spec) {
        agent_core_hook_done(r->o.core, clock_mono_ms(), a->id, a->hook, a->serial, false, "the instance is gone");
        return;
    }
    start_command(r, a, what, &spec->spec.hooks[a->hook].run, spec->spec.hooks[a->hook].timeout_ms);
}

void runner_cancel(struct runner *r, const char *id, int what)
{
    char helper_id[ID_SIZE * 2];

    fixed_printf(helper_id, "%s/%s", id, what_words[what]);
    struct attempt *t = attempt_find(r, helper_id);
    if (!t)
        return;
    t->answered = true;                         /* nobody waits for it */
    t->next = false;
    uv_timer_stop(&t->timer);
    if (t->net) {
        probe_cancel(t->net);
        t->net = NULL;
        attempt_end(t);
    } else if (t->asking) {
        attempt_end(t);
    } else if (t->process) {
        kill_group(t);
    }
}

static void on_helper_exited(struct attempt *t, struct exit_info x)
{
    char text[128] = "";

    if (x.kind != EXIT_KIND_CODE || x.value != 0)
        exit_describe(x, text, sizeof(text));
    answer(t, !*text, text);
}

/* What waited was asked for some events ago: its spec may be another by now. */
static void run_next(struct runner *r, struct agent_action *a)
{
    a->spec = agent_core_spec(r->o.core, a->id);
    if (!a->spec)
        return;
    if (a->kind == AA_HOOK) {
        runner_hook(r, a);
        return;
    }
    const struct service_spec *s = &a->spec->spec;
    a->probe = a->role == PROBE_STARTUP ? &s->health.startup : a->role == PROBE_READINESS ? &s->health.readiness : &s->health.liveness;
    runner_probe(r, a);
}

/* The slot is free: forget it, and run what waited. */
static void on_helper_gone(struct attempt *t)
{
    struct runner *r = t->r;
    struct agent_action next = t->next_action;
    bool has_next = t->next;

    keeper_client_forget(r->o.keeper, t->id);
    attempt_end(t);
    if (has_next)
        run_next(r, &next);
}

/* A helper of an earlier supervisor: nobody waits for its answer, but what is to run in its slot waits until it is gone. Else the
 * first probe after a restart of the supervisor would be refused by the keeper and count as failed. */
static void clear_stranger(struct runner *r, const struct k_state *s)
{
    if (!s->populated) {
        keeper_client_forget(r->o.keeper, s->id);
        return;
    }
    struct attempt *t = attempt_add(r, s->id);
    t->answered = t->process = true;
    t->pid = s->pid;
    kill_group(t);
}

bool runner_attempt_on_keeper(struct runner *r, const struct k_msg *m)
{
    const char *id = m->u.id.id;                /* each body begins with the id */
    struct attempt *t = attempt_find(r, id);

    if (!strchr(id, '/'))
        return false;
    if (!t) {
        if (m->verb == K_STATE || m->verb == K_SPAWNED || m->verb == K_EMPTY || m->verb == K_EXITED)
            clear_stranger(r, &m->u.state);
        return true;
    }
    switch (m->verb) {
    case K_SPAWNED:
        t->pid = m->u.state.pid;
        if (t->kill_wanted)
            kill_group(t);
        break;
    case K_SPAWN_FAILED: answer(t, false, m->u.failed.detail); on_helper_gone(t); break;
    case K_REPLY:
        if (m->u.reply.verb == K_SPAWN && m->u.reply.rc) {
            answer(t, false, m->u.reply.detail);
            on_helper_gone(t);
        }
        break;
    case K_EXITED: on_helper_exited(t, m->u.state.exit); kill_group(t); break;   /* what it left behind goes too */
    case K_EMPTY: on_helper_gone(t); break;
    default: break;
    }
    return true;
}
