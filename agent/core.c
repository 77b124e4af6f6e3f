/* The set of instances: who is meant by an event, what is wanted of whom, and the restart budget (I9). */
#include "agent/core.h"
#include <errno.h>
#include <string.h>
#include "agent/instance.h"
#include "base/cleanup.h"
#include "base/strbuf.h"

enum { BUDGET_DIVISOR = 10 };

struct agent_core {
    struct inst_host h;
    struct inst *by_id;                     /* uthash */
    struct inst **list; size_t n, cap;      /* by service, number */
    struct spec_box *wanted;                /* NULL: none was ever loaded */
    int64_t due;                            /* the earliest of all deadlines */
};

struct agent_core *agent_core_new(uint64_t seed)
{
    struct agent_core *c = xcalloc(1, sizeof(*c));
    c->h.rng.state = seed;
    c->h.now = INT64_MIN;
    c->due = INT64_MAX;
    return c;
}

void agent_core_free(struct agent_core *c)
{
    if (!c)
        return;
    HASH_CLEAR(hh, c->by_id);
    for (size_t k = 0; k < c->n; k++)
        inst_free(c->list[k]);
    free(c->list);
    spec_box_unref(c->wanted);
    actions_done(&c->h.q);
    free(c);
}

/* --- the set ---------------------------------------------------------------------------------------------- */
static int order(const struct inst *a, const struct inst *b)
{
    int d = strcmp(a->service, b->service);
    if (d == 0 && a->number != b->number)
        d = a->number < b->number ? -1 : 1;
    return d ? d : strcmp(a->id, b->id);
}

static struct inst *find(const struct agent_core *c, const char *id)
{
    struct inst *i = NULL;
    HASH_FIND_STR(c->by_id, id, i);
    return i;
}

static struct inst *add(struct agent_core *c, const char *id)
{
    struct inst *i = inst_new(&c->h, id);
    HASH_ADD_STR(c->by_id, id, i);
    if (c->n == c->cap) {
        c->cap = c->cap ? c->cap * 2 : 16;
        c->list = xrealloc(c->list, c->cap * sizeof(struct inst *));
    }
    size_t at = c->n++;
    for (; at > 0 && order(c->list[at - 1], i) > 0; at--)
        c->list[at] = c->list[at - 1];
    c->list[at] = i;
    return i;
}

/* Frees those that are over and of which everything was told. */
static void reap(struct agent_core *c)
{
    size_t kept = 0;
    for (size_t k = 0; k < c->n; k++) {
        struct inst *i = c->list[k];
        if (i->dead && i->forget_taken && !i->status_queued) {
            HASH_DEL(c->by_id, i);
            inst_free(i);
            c->h.dead_n--;
        } else {
            c->list[kept++] = i;
        }
    }
    c->n = kept;
}

static void enter(struct agent_core *c, int64_t now)
{
    c->h.now = MAX_OF(now, c->h.now);   /* a clock that went back would make timers due twice */
    if (c->h.dead_n > 0)
        reap(c);
}

/* --- the restart budget -------------------------------------------------------------------------------------- */
static void budget_service(struct agent_core *c, size_t from, size_t to)
{
    uint32_t total = 0, busy = 0;
    for (size_t k = from; k < to; k++) {
        total += !c->list[k]->dead;
        busy += c->list[k]->budgeted;
    }
    uint32_t allowed = MAX_OF(total / BUDGET_DIVISOR, 1u);
    for (;;) {
        struct inst *next = NULL;
        for (size_t k = from; k < to; k++)
            if (c->list[k]->sick != SICK_NO && (!next || c->list[k]->sick_since < next->sick_since))
                next = c->list[k];
        if (!next || busy >= allowed)
            break;
        next->budget_of = allowed;
        (void)inst_event(next, &c->h, IE_SICK);
        next->sick = SICK_NO;
        busy += next->budgeted;
    }
    for (size_t k = from; k < to; k++) {
        struct inst *i = c->list[k];
        if (i->sick == SICK_NO)
            continue;
        c->h.sick_any = true;
        if (!i->sick_told)
            inst_reason(i, &c->h, "%s; waits: %u of %s %s being restarted, at most %u at once", i->why, busy, i->service, busy == 1 ? "is" : "are", allowed);
        i->sick_told = true;
    }
}

static void budget(struct agent_core *c)
{
    if (!c->h.sick_any)
        return;
    c->h.sick_any = false;
    for (size_t from = 0, to; from < c->n; from = to) {
        bool any = false;
        for (to = from; to < c->n && strcmp(c->list[to]->service, c->list[from]->service) == 0; to++)
            any = any || c->list[to]->sick != SICK_NO;
        if (any)
            budget_service(c, from, to);
    }
}

static void look_at_all(struct agent_core *c)
{
    c->due = INT64_MAX;
    for (size_t k = 0; k < c->n; k++)
        c->due = MIN_OF(c->due, c->list[k]->due = inst_deadline(c->list[k]));
}

/* After each event: i is whose it was, NULL: maybe of many. With thousands of instances a look at all for each event would be most of its cost. */
static void leave(struct agent_core *c, struct inst *i)
{
    bool many = !i || c->h.sick_any;
    budget(c);
    int64_t was = i ? i->due : 0, due = i ? inst_deadline(i) : 0;
    if (many || (was == c->due && due > was)) {
        look_at_all(c);
        return;
    }
    i->due = due;
    c->due = MIN_OF(c->due, due);
}

/* --- what is wanted ------------------------------------------------------------------------------------------- */
static int desired_valid(const struct agent_core *c, const struct desired *d)
{
    if (c->wanted && (d->epoch < c->wanted->d.epoch || (d->epoch == c->wanted->d.epoch && d->revision < c->wanted->d.revision)))
        return -ESTALE;
    for (size_t k = 0; k < d->item_n; k++)
        if (d->items[k].spec_index >= d->spec_n || (unsigned)d->items[k].want >= WANT_COUNT || d->items[k].id[0] == '\0')
            return -EINVAL;
    return 0;
}

int agent_core_desired(struct agent_core *c, int64_t now, struct desired *d)
{
    int rc = desired_valid(c, d);
    if (rc < 0) {
        desired_done(d);
        return rc;
    }
    enter(c, now);
    struct spec_box *box = xcalloc(1, sizeof(*box));
    *box = (struct spec_box){ .refs = 1, .d = *d };
    *d = (struct desired){ 0 };
    for (size_t k = 0; k < c->n; k++)
        c->list[k]->mark = false;
    for (size_t k = 0; k < box->d.item_n; k++) {
        const struct desired_item *item = &box->d.items[k];
        struct inst *i = find(c, item->id);
        if (!i)
            i = add(c, item->id);
        if (i->mark)
            continue;       /* named twice: the first counts */
        i->mark = true;
        c->h.dead_n -= i->dead;
        i->dead = i->forget_taken = false;
        inst_want(i, &c->h, box, &box->d.specs[item->spec_index], item->want);
    }
    for (size_t k = 0; k < c->n; k++)
        if (!c->list[k]->mark && !c->list[k]->dead)
            inst_want(c->list[k], &c->h, NULL, NULL, WANT_STOP);
    spec_box_unref(c->wanted);
    c->wanted = box;
    leave(c, NULL);
    return 0;
}

void agent_core_adopt(struct agent_core *c, int64_t now, const char *id, int32_t pid, bool running, bool populated, struct exit_info exit, int64_t started_ms)
{
    enter(c, now);
    struct inst *i = find(c, id);
    if (!i && !running && !populated) {
        actions_push(&c->h.q, AA_FORGET, id);
        return;
    }
    if (!i) {
        i = add(c, id);
        if (c->wanted)
            inst_want(i, &c->h, NULL, NULL, WANT_STOP);
    }
    inst_adopt(i, &c->h, pid, running, populated, exit, started_ms);
    leave(c, i);
}

void agent_core_adopt_ready(struct agent_core *c, int64_t now, const char *id, bool ready, bool passed, uint32_t restarts, uint64_t generation)
{
    enter(c, now);
    struct inst *i = find(c, id);
    if (!i)
        return;
    i->restarts = MAX_OF(i->restarts, restarts);
    inst_adopt_ready(i, &c->h, ready, passed, generation);
    leave(c, i);
}

/* --- answers ---------------------------------------------------------------------------------------------------- */
void agent_core_tick(struct agent_core *c, int64_t now)
{
    enter(c, now);
    bool first = !c->h.live;
    c->h.live = true;
    for (size_t k = 0; k < c->n; k++) {
        if (first)
            inst_settle(c->list[k], &c->h);
        inst_tick(c->list[k], &c->h);
    }
    leave(c, NULL);
}

void agent_core_spawned(struct agent_core *c, int64_t now, const char *id, uint64_t serial, int32_t pid)
{
    enter(c, now);
    struct inst *i = find(c, id);
    if (!i || i->st != IS_SPAWNING || i->spawn_serial != serial || pid <= 0)
        return;
    i->pid = pid;
    i->running = i->populated = true;
    i->exited = false;
    i->started_at = c->h.now;
    (void)inst_event(i, &c->h, IE_SPAWNED);
    leave(c, i);
}

void agent_core_spawn_failed(struct agent_core *c, int64_t now, const char *id, uint64_t serial, const char *cause)
{
    enter(c, now);
    struct inst *i = find(c, id);
    if (!i || i->st != IS_SPAWNING || i->spawn_serial != serial)
        return;
    fixed_printf(i->why, "%s", cause && cause[0] ? cause : "could not be started");
    (void)inst_event(i, &c->h, IE_SPAWN_BAD);
    leave(c, i);
}

void agent_core_exited(struct agent_core *c, int64_t now, const char *id, int32_t pid, struct exit_info exit, bool populated)
{
    enter(c, now);
    struct inst *i = find(c, id);
    if (!i || !i->running || i->pid != pid)
        return;
    i->running = false;
    i->populated = populated;
    i->exited = true;
    i->last_exit = exit;
    (void)inst_event(i, &c->h, IE_EXIT);
    inst_touch(i, &c->h);
    leave(c, i);
}

void agent_core_empty(struct agent_core *c, int64_t now, const char *id)
{
    enter(c, now);
    struct inst *i = find(c, id);
    if (!i || i->running || !i->populated)
        return;
    i->populated = false;
    (void)inst_event(i, &c->h, IE_EMPTY);
    inst_touch(i, &c->h);
    leave(c, i);
}

void agent_core_probed(struct agent_core *c, int64_t now, const char *id, enum probe_role role, uint64_t serial, bool pass, const char *detail)
{
    enter(c, now);
    struct inst *i = find(c, id);
    if (!i || (unsigned)role >= PROBE_ROLE_COUNT)
        return;
    inst_probed(i, &c->h, role, serial, pass, detail);
    leave(c, i);
}

void agent_core_hook_done(struct agent_core *c, int64_t now, const char *id, enum hook_kind hook, uint64_t serial, bool ok, const char *detail)
{
    enter(c, now);
    struct inst *i = find(c, id);
    if (i)
        inst_hook_done(i, &c->h, hook, serial, ok, detail);
    leave(c, i);
}

void agent_core_oom(struct agent_core *c, int64_t now, const char *id)
{
    enter(c, now);
    struct inst *i = find(c, id);
    if (i)
        inst_sicken(i, &c->h, SICK_MEMORY, "out of memory: the kernel killed a process of it");
    leave(c, i);
}

void agent_core_notify(struct agent_core *c, int64_t now, const char *id, const struct notify_msg *m)
{
    enter(c, now);
    struct inst *i = find(c, id);
    if (i)
        inst_notify(i, &c->h, m);
    leave(c, i);
}

void agent_core_port(struct agent_core *c, const char *id, uint32_t port)
{
    struct inst *i = find(c, id);
    if (!i || i->port == port)
        return;
    i->port = port;
    inst_touch(i, &c->h);
}

/* --- results ------------------------------------------------------------------------------------------------------ */
/* Fills in what is borrowed, as it stands now; false: the action is out of date by now. */
static bool resolve(struct agent_core *c, struct agent_action *a)
{
    struct inst *i = find(c, a->id);
    if (a->kind == AA_EVENT)
        return true;
    if (!i)
        return a->kind == AA_FORGET;
    switch (a->kind) {
    case AA_SPAWN:
        a->spec = i->spec;
        return i->st == IS_SPAWNING && i->spawn_serial == a->serial;
    case AA_SIGNAL:
        return i->running && i->pid == a->pid && a->pid > 0;
    case AA_GROUP:
        return i->populated && i->pid == a->pid && a->pid > 0;
    case AA_PROBE: {
        const struct health *p = &i->h[a->role];
        a->probe = p->spec;
        a->spec = i->spec;
        return p->in_flight && p->serial == a->serial;
    }
    case AA_HOOK:
        a->spec = i->spec;
        return i->hook_on && i->hook_serial == a->serial;
    case AA_STATUS:
        i->status_queued = false;
        return true;
    case AA_FORGET:
        i->forget_taken = i->dead;
        return i->dead;
    case AA_PROBE_CANCEL: case AA_HOOK_CANCEL: case AA_EVENT:
        break;
    }
    return true;
}

bool agent_core_next(struct agent_core *c, struct agent_action *ret)
{
    struct agent_action a;
    while (actions_pop(&c->h.q, &a)) {
        if (resolve(c, &a)) {
            *ret = a;
            return true;
        }
    }
    return false;
}

int64_t agent_core_deadline(const struct agent_core *c)
{
    if (!c->h.live)
        return 0;
    return c->due;
}

size_t agent_core_count(const struct agent_core *c) { return c->n; }

static void status_of(const struct agent_core *c, int64_t now, const struct inst *i, struct inst_status *ret)
{
    (void)c;
    *ret = (struct inst_status){ .state = inst_public(i), .alive = i->running, .exited = i->exited && !i->running,
        .pid = i->running ? i->pid : 0, .port = i->port, .restarts = i->restarts, .fails = i->back.fails,
        .state_age_ms = MAX_OF(now - i->st_since, 0), .up_ms = i->running ? MAX_OF(now - i->started_at, 0) : 0,
        .retry_in_ms = -1, .last_exit = i->last_exit };
    (void)fixed_copy(ret->id, sizeof(ret->id), i->id);
    (void)fixed_copy(ret->service, sizeof(ret->service), i->service);
    (void)fixed_copy(ret->reason, sizeof(ret->reason), i->reason);
    (void)fixed_copy(ret->text, sizeof(ret->text), i->text);
    const struct spec_ref *s = i->spec ? i->spec : i->want_spec;
    if (s) {
        ret->generation = s->generation;
        ret->revision = s->revision;
    }
    if ((i->st == IS_BACKOFF || i->st == IS_FAILED || i->st == IS_CLEARING) && i->retry_at != INT64_MAX)
        ret->retry_in_ms = MAX_OF(i->retry_at - now, 0);
}

bool agent_core_status_at(const struct agent_core *c, int64_t now, size_t k, struct inst_status *ret)
{
    if (k >= c->n)
        return false;
    status_of(c, now, c->list[k], ret);
    return true;
}

bool agent_core_status(const struct agent_core *c, int64_t now, const char *id, struct inst_status *ret)
{
    const struct inst *i = find(c, id);
    if (i)
        status_of(c, now, i, ret);
    return i != NULL;
}

const struct desired *agent_core_wanted(const struct agent_core *c) { return c->wanted ? &c->wanted->d : NULL; }

const struct spec_ref *agent_core_spec(const struct agent_core *c, const char *id)
{
    const struct inst *i = find(c, id);
    return i ? (i->spec ? i->spec : i->want_spec) : NULL;
}

bool agent_core_all_ended(const struct agent_core *c)
{
    if (!c->wanted || !c->wanted->d.end)
        return false;
    for (size_t k = 0; k < c->n; k++)
        if (!c->list[k]->dead)
            return false;
    return true;
}

/* --- what must always hold ---------------------------------------------------------------------------------------- */
static int check_one(const struct inst *i, struct err *e)
{
    int want_main = inst_main_rule(i->st);
    if ((want_main == 1 && !i->running) || (want_main == 0 && i->running))
        return err_set(e, -EPROTO, "%s: state %s, main process %s", i->id, inst_st_name(i->st), i->running ? "runs" : "does not run");
    if (i->running && (i->pid <= 0 || !i->populated))
        return err_set(e, -EPROTO, "%s: runs as pid %d, populated %d", i->id, i->pid, i->populated);
    bool empty = i->st == IS_STOPPED || i->st == IS_WAITING || i->st == IS_BACKOFF || i->st == IS_FAILED || i->st == IS_HOOK || i->st == IS_SPAWNING;
    if (empty && i->populated)
        return err_set(e, -EPROTO, "%s: state %s beside leftovers", i->id, inst_st_name(i->st));
    if (!empty && !i->populated)
        return err_set(e, -EPROTO, "%s: state %s with an empty group", i->id, inst_st_name(i->st));
    for (int r = 0; r < PROBE_ROLE_COUNT; r++)
        if (i->h[r].in_flight && !(i->running && inst_is_live(i->st)))
            return err_set(e, -EPROTO, "%s: probed in state %s", i->id, inst_st_name(i->st));
    if (i->h[PROBE_READINESS].in_flight && i->st == IS_DRAINING)
        return err_set(e, -EPROTO, "%s: readiness probed while draining", i->id);
    if (i->dead && i->st != IS_STOPPED)
        return err_set(e, -EPROTO, "%s: forgotten in state %s", i->id, inst_st_name(i->st));
    if (i->hook_on && i->st != IS_HOOK && i->st != IS_STOPHOOK && !inst_is_live(i->st))
        return err_set(e, -EPROTO, "%s: a hook runs in state %s", i->id, inst_st_name(i->st));
    return 0;
}

int agent_core_check(const struct agent_core *c, struct err *e)
{
    if (c->h.broken[0])
        return err_set(e, -EPROTO, "refused: %s", c->h.broken);
    uint32_t busy = 0, allowed = 1;
    for (size_t k = 0; k < c->n; k++) {
        const struct inst *i = c->list[k];
        int rc = check_one(i, e);
        if (rc < 0)
            return rc;
        if (k > 0 && order(c->list[k - 1], i) >= 0)
            return err_set(e, -EPROTO, "%s: out of order", i->id);
        if (k == 0 || strcmp(c->list[k - 1]->service, i->service) != 0)
            busy = 0, allowed = 1;
        busy += i->budgeted;
        allowed = i->budgeted ? MAX_OF(allowed, i->budget_of) : allowed;
        if (busy > allowed)
            return err_set(e, -EPROTO, "%s: %u restarts at once, allowed %u (I9)", i->service, busy, allowed);
    }
    return 0;
}
