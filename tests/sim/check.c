/* check.c - what must hold after every event, seen from outside of the cores; and what must be in the end. */
#include <string.h>
#include "tests/sim/sim.h"

void check_now(struct world *w)
{
    struct err e = { "" };
    if (w->agent && w->agent_touched && agent_core_check(w->agent, &e) < 0)
        fail(w, "agent: %s", e.text);
    if (w->ctl && w->ctl_touched && controller_check(w->ctl, &e) < 0)
        fail(w, "controller: %s", e.text);
    w->agent_touched = w->ctl_touched = false;
}

/* --- I2: no action of muster's own takes ready instances below what is wanted minus `unavailable` ---------------------- */
static struct { char id[ID_SIZE]; } before[SLOTS];
static size_t before_n;

static bool serves(const struct instance_view *v) { return v->known && v->want == WANT_RUN && v->status.state == INST_READY && v->status.alive; }

void check_before_ctl(struct world *w)
{
    struct service_view v;
    before_n = 0;
    for (size_t k = 0; controller_service_at(w->ctl, k, &v); k++)
        for (size_t j = 0; j < v.instance_n && before_n < SLOTS; j++)
            if (serves(&v.instances[j]))
                memcpy(before[before_n++].id, v.instances[j].id, ID_SIZE);
}

static bool served(const char *id)
{
    for (size_t k = 0; k < before_n; k++)
        if (strcmp(before[k].id, id) == 0)
            return true;
    return false;
}

void check_after_ctl(struct world *w)
{
    struct service_view v;
    for (size_t k = 0; controller_service_at(w->ctl, k, &v); k++) {
        uint32_t ready = 0, taken = 0;
        const char *one = "";
        for (size_t j = 0; j < v.instance_n; j++) {
            const struct instance_view *i = &v.instances[j];
            ready += serves(i);
            if (i->known && i->status.state == INST_READY && i->status.alive && i->want != WANT_RUN && served(i->id)) {
                taken++;
                one = i->id;
            }
        }
        if (taken == 0 || v.stopped || v.state == SVC_DELETING || v.state == SVC_STOPPED || w->down_asked)
            continue;
        uint32_t out = amount_of(v.spec->deploy.unavailable, v.desired, false);
        if (ready + out < v.desired)
            fail(w, "%s taken out with %u ready left of %u wanted, unavailable %u (I2)", one, ready, v.desired, out);
    }
}

/* Nothing is stopped while it has traffic: not in the list any more, or the drain was not for us to wait for. */
void check_stop(struct world *w, const char *id, int32_t pid)
{
    struct inst_status s;
    const struct server *sv = proxy_server(w, id);
    (void)pid;
    if (!sv || sv->state != SRV_READY || !w->proxy_up || w->now - w->proxy_since < 90 * SEC || w->down_asked)
        return;
    if (!w->agent || !agent_core_status(w->agent, w->now, id, &s))
        return;
    if (strncmp(s.reason, "not alive", 9) == 0 || strncmp(s.reason, "not started", 11) == 0 || strncmp(s.reason, "out of memory", 13) == 0)
        return;     /* a failure: it leaves the list by its state */
    fail(w, "%s is stopped while the balancer sends it traffic (%s)", id, s.reason);
}

/* --- the end ----------------------------------------------------------------------------------------------------------------- */
static bool instance_settled(struct world *w, const struct service_view *v, const struct instance_view *i, struct strbuf *why)
{
    const struct proc *p = proc_find(w, i->id);
    struct inst_status s;
    if (i->want != WANT_RUN || !agent_core_status(w->agent, w->now, i->id, &s))
        strbuf_printf(why, "%s is wanted %s; ", i->id, want_word(i->want));
    else if (s.state != INST_READY || !p || !p->running || p->pid != s.pid)
        strbuf_printf(why, "%s is %s (%s); ", i->id, instance_state_word(s.state), s.reason);
    else if (p->generation != i->generation)
        strbuf_printf(why, "%s: generation %llu runs, %llu is wanted; ", i->id, (unsigned long long)p->generation, (unsigned long long)i->generation);
    else if (v->spec->balance.with && (!proxy_server(w, i->id) || proxy_server(w, i->id)->state != SRV_READY))
        strbuf_printf(why, "%s is not in the balancer's list; ", i->id);
    else
        return true;
    return false;
}

bool settled(struct world *w, struct strbuf *why)
{
    size_t rows = 0, live = 0;
    bool ok = true;
    strbuf_reset(why);
    if (!w->ctl || !w->agent || !w->link_up) {
        strbuf_puts(why, "not connected; ");
        return false;
    }
    for (int k = 0; k < SERVICES; k++) {
        struct service_view v;
        if (!controller_service(w->ctl, w->svc[k].name, &v)) {
            strbuf_printf(why, "%s does not exist; ", w->svc[k].name);
            ok = false;
            continue;
        }
        if (v.state != SVC_STEADY || v.ready != v.desired || v.instance_n != v.desired) {
            strbuf_printf(why, "%s is %s (%s), %u of %u ready, %zu rows; ", v.name, service_state_word(v.state), v.reason, v.ready, v.desired, v.instance_n);
            ok = false;
        }
        for (size_t j = 0; j < v.instance_n; j++)
            ok &= instance_settled(w, &v, &v.instances[j], why);
        rows += v.instance_n;
    }
    for (size_t k = 0; k < w->proc_n; k++)
        live += w->proc[k].used && (w->proc[k].running || w->proc[k].left);
    if (live != rows) {
        strbuf_printf(why, "%zu processes for %zu instances; ", live, rows);
        ok = false;
    }
    return ok;
}

void check_converged(struct world *w)
{
    cleanup_strbuf struct strbuf why = STRBUF_INIT;
    if (!settled(w, &why))
        fail(w, "does not come to rest: %s", strbuf_str(&why));
}

void check_ended(struct world *w)
{
    for (size_t k = 0; k < w->proc_n; k++)
        if (w->proc[k].used)
            fail(w, "%s outlives `down` (I6): %s", w->proc[k].id, w->proc[k].running ? "runs" : "its slot is held");
    if (w->proxy_up)
        fail(w, "the balancer outlives `down`");
    if (!w->ctl || !controller_ended(w->ctl))
        fail(w, "`down` does not end");
}
