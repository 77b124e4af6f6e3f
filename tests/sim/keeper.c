/* keeper.c - the keeper and the processes, played: it answers in order, processes are what the seed makes of them. */
#include <signal.h>
#include <string.h>
#include "tests/sim/sim.h"

struct proc *proc_find(struct world *w, const char *id)
{
    for (size_t k = 0; k < w->proc_n; k++)
        if (w->proc[k].used && strcmp(w->proc[k].id, id) == 0)
            return &w->proc[k];
    return NULL;
}

static struct proc *slot(struct world *w, const char *id)
{
    struct proc *p = proc_find(w, id);
    for (size_t k = 0; !p && k < SLOTS; k++)
        if (!w->proc[k].used) {
            p = &w->proc[k];
            *p = (struct proc){ .used = true };
            (void)fixed_copy(p->id, sizeof(p->id), id);
            w->proc_n = MAX_OF(w->proc_n, k + 1);
        }
    if (!p)
        fail(w, "more than %d slots", SLOTS);
    return p;
}

/* --- what the keeper tells. A supervisor that is gone meanwhile does not hear it: the next one lists. --------------- */
static void on_spawned(struct world *w, struct ev *e)
{
    if (w->agent && e->life == w->agent_life) {
        agent_core_spawned(w->agent, w->now, e->id, e->serial, (int32_t)e->a);
        agent_settle(w);
    }
}
static void on_spawn_failed(struct world *w, struct ev *e)
{
    if (w->agent && e->life == w->agent_life) {
        agent_core_spawn_failed(w->agent, w->now, e->id, e->serial, "fork: resource temporarily unavailable");
        agent_settle(w);
    }
}
static void on_exited(struct world *w, struct ev *e)
{
    if (w->agent && e->life == w->agent_life) {
        agent_core_exited(w->agent, w->now, e->id, (int32_t)e->a, (struct exit_info){ (enum exit_kind)(e->b >> 16), (int)(e->b & 0xffff) }, e->serial != 0);
        agent_settle(w);
    }
}
static void on_empty(struct world *w, struct ev *e)
{
    if (w->agent && e->life == w->agent_life) {
        agent_core_empty(w->agent, w->now, e->id);
        agent_settle(w);
    }
}

static void tell(struct world *w, void (*fn)(struct world *, struct ev *), const char *id, int64_t a, int64_t b, uint64_t serial)
{
    struct ev e = { .fn = fn, .a = a, .b = b, .serial = serial, .life = w->agent_life };
    (void)fixed_copy(e.id, sizeof(e.id), id);
    int64_t at = w->now + between(w, 0, 3);
    w->keeper_at = MAX_OF(w->keeper_at, at);
    ev_push(w, w->keeper_at - w->now, e);
}

/* --- processes ------------------------------------------------------------------------------------------------------- */
void proc_die(struct world *w, struct proc *p, enum exit_kind kind, int value, bool leaves)
{
    p->running = false;
    p->left = leaves;
    p->exit = (struct exit_info){ kind, value };
    trace(w, "%s: process %d ends%s", p->id, p->pid, leaves ? ", others of its group live on" : "");
    tell(w, on_exited, p->id, p->pid, ((int64_t)kind << 16) | value, leaves);
    if (!leaves)
        tell(w, on_empty, p->id, 0, 0, 0);
}

static void group_gone(struct world *w, struct proc *p)
{
    if (!p->left)
        return;
    p->left = false;
    tell(w, on_empty, p->id, 0, 0, 0);
}

static void on_own_end(struct world *w, struct ev *e)
{
    struct proc *p = proc_find(w, e->id);
    if (!p || p->pid != e->a)
        return;
    if (p->running)
        proc_die(w, p, e->b < 0 ? EXIT_KIND_SIGNAL : EXIT_KIND_CODE, (int)(e->b < 0 ? -e->b : e->b), p->leaves);
    else
        group_gone(w, p);
}

static void end_in(struct world *w, const struct proc *p, int64_t ms, int code)
{
    struct ev e = { .fn = on_own_end, .a = p->pid, .b = code };
    (void)fixed_copy(e.id, sizeof(e.id), p->id);
    ev_push(w, ms, e);
}

static void character(struct world *w, struct proc *p, const struct spec_ref *spec)
{
    p->bad = false;
    for (size_t k = 0; k < spec->spec.environment.n; k++)
        if (strcmp(spec->spec.environment.v[k].key, "BAD") == 0)
            p->bad = strcmp(spec->spec.environment.v[k].value, "0") != 0;
    p->ready_at = w->now + between(w, 1, 400);
    p->unready_until = p->sick_until = p->hung_until = 0;
    p->no_term = p->leaves = p->term_sent = p->was_ready = false;
    if (p->bad) {
        p->ready_at = INT64_MAX;
        if (chance(w, 700))
            end_in(w, p, between(w, 5, 1500), 1);
        return;
    }
    if (w->calm)
        return;
    if (chance(w, 50)) {
        hit(w, F_SLOW, p->id);
        p->ready_at = w->now + between(w, 1 * SEC, 25 * SEC);
    }
    p->no_term = chance(w, 30);
    p->leaves = chance(w, 60);
}

void keeper_spawn(struct world *w, const struct agent_action *a)
{
    struct proc *p = slot(w, a->id);
    if (p->running || p->left)
        fail(w, "%s: to be started while %s of it lives", a->id, p->running ? "a process" : "a leftover");
    if (!w->calm && chance(w, 20)) {
        hit(w, F_SPAWN, a->id);
        tell(w, on_spawn_failed, a->id, 0, 0, a->serial);
        return;
    }
    p->pid = ++w->pid;
    p->running = p->left = true;
    p->started_at = w->now;
    p->exit = (struct exit_info){ 0 };
    p->generation = a->spec->generation;
    character(w, p, a->spec);
    trace(w, "%s: process %d of generation %llu starts", p->id, p->pid, (unsigned long long)p->generation);
    tell(w, on_spawned, a->id, p->pid, 0, a->serial);
}

static void kill_group(struct world *w, struct proc *p)
{
    if (p->running) {
        proc_die(w, p, EXIT_KIND_SIGNAL, SIGKILL, true);
        p->left = true;
    }
    group_gone(w, p);
}

void keeper_signal(struct world *w, const struct agent_action *a, bool group)
{
    struct proc *p = proc_find(w, a->id);
    if (a->pid <= 0 || (p && p->pid != a->pid))
        fail(w, "%s: signal %d to pid %d, which is not its own (I6)", a->id, a->signo, a->pid);
    if (!p || (!p->running && !p->left))
        return;     /* ended meanwhile: the keeper says no such process */
    trace(w, "%s: signal %d to %s %d", a->id, a->signo, group ? "the group of" : "process", a->pid);
    if (a->signo == SIGKILL) {
        kill_group(w, p);
        return;
    }
    if (!group)
        check_stop(w, a->id, a->pid);
    if (p->no_term) {
        hit(w, F_NO_TERM, a->id);
        return;
    }
    if (p->running && !p->term_sent)
        end_in(w, p, between(w, 1, chance(w, 100) ? 4000 : 300), 0);
    else if (!p->running && chance(w, 700))
        end_in(w, p, between(w, 1, 500), 0);
    if (p->running && p->leaves)
        hit(w, F_STOP_LEFT, a->id);
    p->term_sent = true;
}

void keeper_forget(struct world *w, const char *id)
{
    struct proc *p = proc_find(w, id);
    if (!p)
        return;
    if (p->running || p->left)
        fail(w, "%s: forgotten while it lives", id);
    p->used = false;
}

bool proc_passes(const struct world *w, const struct proc *p, enum probe_role role)
{
    if (!p || !p->running || w->now < p->hung_until)
        return false;
    if (role == PROBE_LIVENESS)
        return w->now >= p->sick_until;
    if (role == PROBE_STARTUP)
        return w->now >= p->ready_at;
    return w->now >= p->ready_at && w->now >= p->unready_until;
}

static void oom(struct world *w, struct proc *p)
{
    hit(w, F_OOM, p->id);
    if (w->agent) {
        agent_core_oom(w->agent, w->now, p->id);
        agent_settle(w);
    }
}

static void befall(struct world *w, struct proc *p)
{
    switch (below(w, 9)) {
    case 0: case 1: case 2:
        hit(w, F_CRASH, p->id);
        proc_die(w, p, EXIT_KIND_SIGNAL, SIGKILL, false);
        break;
    case 3:
        hit(w, F_LEFTOVERS, p->id);
        proc_die(w, p, EXIT_KIND_CODE, 1, true);
        if (chance(w, 500))
            end_in(w, p, between(w, 10, 20 * SEC), 0);
        break;
    case 4:
        hit(w, F_EXIT0, p->id);
        proc_die(w, p, EXIT_KIND_CODE, 0, false);
        break;
    case 5: hit(w, F_HANG, p->id); p->hung_until = w->now + between(w, 1 * SEC, 60 * SEC); break;
    case 6: hit(w, F_UNREADY, p->id); p->unready_until = w->now + between(w, 1 * SEC, 60 * SEC); break;
    case 7: hit(w, F_SICK, p->id); p->sick_until = w->now + between(w, 1 * SEC, 60 * SEC); break;
    default: oom(w, p); break;
    }
}

/* Everything of one service at once: its database is away. */
static void mass(struct world *w)
{
    int s = (int)below(w, SERVICES);
    bool sick = chance(w, 500);
    int64_t until = w->now + between(w, 5 * SEC, 90 * SEC);
    hit_all(w, sick ? F_ALL_SICK : F_ALL_UNREADY);
    trace(w, "--- all of %s %s for %lld ms", w->svc[s].name, sick ? "not alive" : "unready", (long long)(until - w->now));
    for (size_t k = 0; k < w->proc_n; k++) {
        struct proc *p = &w->proc[k];
        if (!p->used || !p->running || service_index_of(w, p->id) != s)
            continue;
        if (sick)
            p->sick_until = until;
        else
            p->unready_until = until;
    }
}

void keeper_fault(struct world *w)
{
    if (chance(w, 40)) {
        mass(w);
        return;
    }
    for (unsigned burst = chance(w, 100) ? 4 : 1; burst > 0 && w->proc_n > 0; burst--) {
        struct proc *p = &w->proc[below(w, w->proc_n)];
        if (p->used && p->running)
            befall(w, p);
    }
}
