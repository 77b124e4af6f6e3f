/* people.c - who writes the file, types commands and sends the requests. */
#include <stdlib.h>
#include <string.h>
#include "tests/sim/sim.h"

static const struct sim_service services[SERVICES] = {
    { .name = "api", .balanced = true, .startup = true, .surge = 2, .count = 8 },
    { .name = "db", .surge = 1, .unavailable = 1, .count = 3, .hooks = true },
    { .name = "web", .balanced = true, .scaled = true, .after = "db", .surge = 2, .count = 5 },
    { .name = "worker", .after = "db", .surge = 1, .unavailable = 2, .count = 6 },
};

int service_index_of(const struct world *w, const char *id)
{
    for (int k = 0; k < SERVICES; k++) {
        size_t n = strlen(w->svc[k].name);
        if (strncmp(id, w->svc[k].name, n) == 0 && (id[n] == '.' || id[n] == '\0'))
            return k;
    }
    return -1;
}

static void write_service(const struct world *w, const struct sim_service *s, struct strbuf *out)
{
    strbuf_printf(out, "  %s:\n    command: /bin/app\n    directory: /\n    port: auto\n", s->name);
    strbuf_printf(out, "    environment: { MARK: \"%llu\", BAD: \"%d\" }\n", (unsigned long long)s->mark, s->bad);
    if (s->scaled)
        strbuf_printf(out, "    instances: { min: %u, max: %u }\n    scale: { on: [ in_flight: 4 ], down: { wait: 60s } }\n", s->count, s->count + 6);
    else
        strbuf_printf(out, "    instances: %u\n", s->count);
    strbuf_puts(out, "    health:\n");
    if (s->startup)
        strbuf_puts(out, "      startup: { http: /s, within: 10s, every: 2s }\n");
    strbuf_puts(out, "      readiness: { http: /r, every: 5s, timeout: 500ms, fail_after: 3 }\n      liveness: { http: /l, every: 10s, timeout: 500ms, fail_after: 3 }\n");
    strbuf_puts(out, "    restart: { delay: 100ms, max_delay: 10s, limit: 6 in 60s }\n    stop: { drain: 5s, timeout: 5s }\n");
    strbuf_printf(out, "    deploy: { surge: %u, unavailable: %u, healthy_for: 3s }\n", s->surge, s->unavailable);
    int after = s->after ? service_index_of(w, s->after) : -1;
    if (after >= 0 && w->svc[after].present)
        strbuf_printf(out, "    after: [%s]\n", s->after);
    if (s->hooks)
        strbuf_puts(out, "    hooks: { before_start: { run: [/bin/h], timeout: 5s }, after_ready: { run: [/bin/h], timeout: 5s }, before_stop: { run: [/bin/h], timeout: 5s } }\n");
    if (s->balanced)
        strbuf_printf(out, "    balance: { with: edge, path: /%s }\n", s->name);
}

/* The whole file as it stands, applied. */
static void apply(struct world *w)
{
    cleanup_strbuf struct strbuf text = STRBUF_INIT;
    struct config c = { 0 };
    struct config_errors errs = { 0 };
    struct err e = { "" };
    uint32_t changes = 0;
    strbuf_puts(&text, "services:\n");
    for (int k = 0; k < SERVICES; k++)
        if (w->svc[k].present)
            write_service(w, &w->svc[k], &text);
    strbuf_puts(&text, "balancers:\n  edge: { haproxy: { listen: \":8080\" } }\n");
    struct config_source src = { "muster.yaml", text.s, text.len, "/srv" };
    if (config_parse(&src, 1, &c, &errs) < 0) {
        cleanup_strbuf struct strbuf why = STRBUF_INIT;
        config_errors_print(&errs, &why);
        config_errors_done(&errs);
        fail(w, "the file: %s", strbuf_str(&why));
    }
    config_errors_done(&errs);
    struct apply_request r = { .config = &c, .source = "/srv/muster.yaml", .path_env = "/usr/bin:/bin" };
    int rc = controller_apply(w->ctl, w->now, &r, false, NULL, &changes, &e);
    config_done(&c);
    trace(w, "--- apply: %s", rc < 0 ? e.text : "taken");
    for (int k = 0; rc == 0 && k < SERVICES; k++)
        if (w->svc[k].present) {
            w->svc[k].store.issued = MAX_OF(w->svc[k].store.issued, w->svc[k].mark);
            ctl_commit(w, ACK_APPLY, k, w->svc[k].mark);
        }
    ctl_settle(w);
}

void people_applied(struct world *w, int svc, int kind, uint64_t value)
{
    struct mark *m = &w->svc[svc].store;
    if (kind == ACK_APPLY) {
        m->acked = MAX_OF(m->acked, value);
        m->deleted = false;
    } else if (kind == ACK_DELETE && value >= m->acked) {
        m->deleted = true;
    }
}

static uint64_t next_mark(struct world *w)
{
    uint64_t most = 0;
    for (int k = 0; k < SERVICES; k++)
        most = MAX_OF(most, MAX_OF(w->svc[k].mark, w->svc[k].store.issued));
    return most + 1;
}

static void do_delete(struct world *w, int k)
{
    struct err e = { "" };
    unsigned others = 0;
    for (int j = 0; j < SERVICES; j++)
        others += j != k && w->svc[j].present;
    if (others == 0)
        return;     /* a file without a service is none */
    hit_all(w, F_DELETE);
    w->svc[k].present = false;
    w->svc[k].store.issued = next_mark(w);
    int rc = controller_delete(w->ctl, w->now, w->svc[k].name, &e);
    trace(w, "--- delete %s: %s", w->svc[k].name, rc < 0 ? e.text : "taken");
    if (rc < 0)
        w->svc[k].present = true;
    else
        ctl_commit(w, ACK_DELETE, k, w->svc[k].store.issued);
    ctl_settle(w);
}

static void do_something(struct world *w)
{
    int k = (int)below(w, SERVICES);
    struct sim_service *s = &w->svc[k];
    struct err e = { "" };
    switch (below(w, 10)) {
    case 0: case 1: case 2:
        s->present = true;
        s->mark = next_mark(w);
        s->bad = chance(w, 250);
        hit_all(w, s->bad ? F_BAD : F_APPLY);
        apply(w);
        return;
    case 3:     /* the number alone: nobody restarts */
        s->count = (unsigned)between(w, 3, 9);
        hit_all(w, F_APPLY);
        apply(w);
        return;
    case 4: case 5: hit_all(w, F_SCALE); (void)controller_scale(w->ctl, w->now, s->name, (uint32_t)between(w, 2, 11), &e); break;
    case 6: hit_all(w, F_RESTART); (void)controller_restart(w->ctl, w->now, s->name, &e); break;
    case 7: hit_all(w, F_STOP); (void)controller_stop(w->ctl, w->now, s->name, &e); break;
    case 8: hit_all(w, F_START); (void)controller_start(w->ctl, w->now, s->name, &e); break;
    default: do_delete(w, k); return;
    }
    trace(w, "--- somebody: %s: %s", s->name, e.text[0] ? e.text : "taken");
    ctl_settle(w);
}

static void on_person(struct world *w, struct ev *e)
{
    (void)e;
    if (w->calm)
        return;
    if (w->ctl)
        do_something(w);
    ev_push(w, between(w, 10 * SEC, 150 * SEC), (struct ev){ .fn = on_person });
}

/* --- traffic: what the scaler is told ---------------------------------------------------------------------------------- */
static void on_metrics(struct world *w, struct ev *e)
{
    (void)e;
    ev_push(w, 5 * SEC, (struct ev){ .fn = on_metrics });
    if (!w->calm && chance(w, 30))
        w->svc[2].load = (double)between(w, 0, 50);
    if (!w->agent || !w->link_up || (!w->calm && chance(w, 100)))
        return;
    struct inst_status st[SLOTS];
    size_t n = 0, ready = 0;
    for (size_t k = 0; n < SLOTS && agent_core_status_at(w->agent, w->now, k, &st[n]); k++) {
        bool mine = service_index_of(w, st[n].id) == 2 && st[n].state == INST_READY;
        ready += mine;
        n += mine;
    }
    struct wire_msg m = { .kind = WIRE_METRICS };
    m.metrics.iv = xcalloc(n + 1, sizeof(*m.metrics.iv));
    for (size_t k = 0; k < n; k++) {
        struct inst_metrics *v = &m.metrics.iv[m.metrics.in++];
        *v = (struct inst_metrics){ .in_flight = w->svc[2].load / (double)ready };
        memcpy(v->id, st[k].id, sizeof(v->id));
    }
    m.metrics.sv = xcalloc(1, sizeof(*m.metrics.sv));
    m.metrics.sn = 1;
    fixed_printf(m.metrics.sv->service, "web");
    m.metrics.sv->in_flight = w->svc[2].load;
    channel_to_ctl(w, &m);
}

void people_start(struct world *w)
{
    memcpy(w->svc, services, sizeof(services));
    for (int k = 0; k < SERVICES; k++) {
        w->svc[k].present = true;
        w->svc[k].mark = 1;
    }
    w->svc[2].load = 20;
    apply(w);
    ev_push(w, 60 * SEC, (struct ev){ .fn = on_person });
    ev_push(w, 5 * SEC, (struct ev){ .fn = on_metrics });
}

void people_final(struct world *w)
{
    struct err e = { "" };
    for (int k = 0; k < SERVICES; k++) {
        w->svc[k].present = true;
        w->svc[k].bad = false;
        w->svc[k].count = services[k].count;
        w->svc[k].mark = next_mark(w);
    }
    w->svc[2].load = 20;
    apply(w);
    for (int k = 0; k < SERVICES; k++)
        (void)controller_start(w->ctl, w->now, w->svc[k].name, &e);
    ctl_settle(w);
}
