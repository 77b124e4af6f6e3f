/* proxy.c - HAProxy and its driver, played: takes lists after a while, tells what is in flight, dies and comes back with its list. */
#include <string.h>
#include "tests/sim/sim.h"

static struct server *find(struct world *w, const char *id)
{
    for (size_t k = 0; k < w->server_n; k++)
        if (strcmp(w->server[k].id, id) == 0)
            return &w->server[k];
    return NULL;
}
const struct server *proxy_server(const struct world *w, const char *id) { return find((struct world *)w, id); }

static void report(struct world *w)
{
    struct balancer_report r = { .epoch = w->proxy_epoch, .revision = w->proxy_revision, .running = w->proxy_up, .pid = w->proxy_up ? 77 : 0 };
    struct balancer_server_report sv[SLOTS];
    fixed_printf(r.name, "edge");
    r.servers = sv;
    for (size_t k = 0; w->proxy_up && k < w->server_n; k++) {
        struct server *s = &w->server[k];
        struct balancer_server_report *o = &sv[r.server_n++];
        s->in_flight = s->state == SRV_READY ? (uint32_t)below(w, 4) : w->now < s->idle_at ? 1 : 0;
        *o = (struct balancer_server_report){ .state = s->state, .up = s->state == SRV_READY, .in_flight = s->in_flight };
        (void)fixed_copy(o->id, sizeof(o->id), s->id);
    }
    if (w->agent)
        agent_report(w, &r);
}

static bool is_gone(const struct world *w, const char *id)
{
    for (size_t k = 0; k < w->gone_n; k++)
        if (strcmp(w->gone[k], id) == 0)
            return true;
    return false;
}

static void set_state(struct world *w, struct server *s)
{
    enum server_state st = is_gone(w, s->id) ? SRV_MAINT : s->wanted;
    if (st == s->state)
        return;
    trace(w, "proxy %s: %s -> %s", s->id, server_state_word(s->state), server_state_word(st));
    if (s->state == SRV_READY)
        s->idle_at = w->now + between(w, 0, 4 * SEC);
    s->state = st;
    const struct proc *p = proc_find(w, s->id);
    if (st == SRV_READY && p && p->running && !p->was_ready)
        fail(w, "%s: gets traffic before its process %d passed (I1)", s->id, p->pid);
}

struct lists { uint64_t epoch, revision; size_t n; struct upstream_server v[]; };

static void on_apply(struct world *w, struct ev *e)
{
    const struct lists *l = e->ptr;
    if (e->life == w->agent_life && w->proxy_up && w->proxy_wanted &&
        (l->epoch > w->proxy_epoch || (l->epoch == w->proxy_epoch && l->revision >= w->proxy_revision))) {
        size_t kept = 0;
        for (size_t k = 0; k < w->server_n; k++) {
            bool listed = false;
            for (size_t j = 0; j < l->n && !listed; j++)
                listed = strcmp(l->v[j].id, w->server[k].id) == 0;
            if (listed)
                w->server[kept++] = w->server[k];
        }
        w->server_n = kept;
        for (size_t j = 0; j < l->n; j++) {
            struct server *s = find(w, l->v[j].id);
            if (!s) {
                if (w->server_n == SLOTS)
                    fail(w, "more than %d servers", SLOTS);
                s = &w->server[w->server_n++];
                *s = (struct server){ .state = SRV_MAINT };
                (void)fixed_copy(s->id, sizeof(s->id), l->v[j].id);
            }
            s->wanted = l->v[j].state;
            set_state(w, s);
        }
        w->proxy_epoch = l->epoch;
        w->proxy_revision = l->revision;
        report(w);
    }
    free(TAKE(e->ptr));
}

/* NULL or without a balancer: it ends. */
void proxy_set(struct world *w, const struct desired *d)
{
    w->proxy_wanted = d && d->balancer_n > 0;
    if (!w->proxy_wanted) {
        if (w->proxy_up) {
            w->proxy_up = false;
            w->server_n = 0;
            report(w);
        }
        return;
    }
    if (!w->proxy_up)
        proxy_start(w);
    size_t n = 0;
    for (size_t k = 0; k < d->balancers[0].upstream_n; k++)
        n += d->balancers[0].upstreams[k].server_n;
    struct lists *l = xcalloc(1, sizeof(*l) + n * sizeof(l->v[0]));
    l->epoch = d->epoch;
    l->revision = d->revision;
    for (size_t k = 0; k < d->balancers[0].upstream_n; k++) {
        const struct upstream *u = &d->balancers[0].upstreams[k];
        if (u->server_n > u->slots)
            fail(w, "%s: %zu servers in %u slots", u->service, u->server_n, u->slots);
        for (size_t j = 0; j < u->server_n; j++)
            l->v[l->n++] = u->servers[j];
    }
    ev_push(w, between(w, 1, 40), (struct ev){ .fn = on_apply, .ptr = l, .drop = free, .life = w->agent_life });
}

void proxy_gone(struct world *w, const char *id)
{
    struct server *s = find(w, id);
    if (is_gone(w, id))
        return;
    if (w->gone_n == SLOTS)
        fail(w, "more than %d are gone", SLOTS);
    (void)fixed_copy(w->gone[w->gone_n++], ID_SIZE, id);
    if (s)
        set_state(w, s);
}

void proxy_back(struct world *w, const char *id)
{
    struct server *s = find(w, id);
    size_t kept = 0;
    for (size_t k = 0; k < w->gone_n; k++)
        if (strcmp(w->gone[k], id) != 0)
            memmove(w->gone[kept++], w->gone[k], ID_SIZE);
    w->gone_n = kept;
    if (s)
        set_state(w, s);
}

void proxy_forget(struct world *w) { w->gone_n = 0; }

static void on_report(struct world *w, struct ev *e)
{
    (void)e;
    if (w->proxy_up && w->agent)
        report(w);
    ev_push(w, 2 * SEC, (struct ev){ .fn = on_report });
}

static void on_restart(struct world *w, struct ev *e)
{
    (void)e;
    if (w->proxy_up || !w->proxy_wanted)
        return;
    w->proxy_up = true;
    w->proxy_since = w->now;
    trace(w, "--- the balancer runs");
    if (w->agent && agent_core_wanted(w->agent))
        proxy_set(w, agent_core_wanted(w->agent));
    report(w);
}

void proxy_start(struct world *w)
{
    ev_push(w, between(w, 20, 300), (struct ev){ .fn = on_restart });
    if (w->proxy_since == 0) {
        w->proxy_since = -1;
        ev_push(w, 2 * SEC, (struct ev){ .fn = on_report });
    }
}

void proxy_kill(struct world *w)
{
    if (!w->proxy_up)
        return;
    hit_all(w, F_PROXY);
    trace(w, "--- the balancer dies");
    w->proxy_up = false;
    report(w);
    proxy_start(w);
}
