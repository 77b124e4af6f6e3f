/* core_rig.h - a controller with a small world around it for the tests: an agent whose instances do what the test says, a balancer that
 * acknowledges when told to. No clock: the test moves time. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/strbuf.h"
#include "supervisord/core.h"

enum { RIG_MAX = 2048 };
struct rig_inst { struct inst_status st; bool seen, changed; int64_t since; };
struct rig_row { char kind[12], name[NAME_LEN_MAX + 1]; char *json; };
struct rig {
    struct controller *c; int64_t now; uint64_t epoch, seen_revision;
    struct rig_inst *inst; size_t n; int32_t next_pid;
    struct desired had;                     /* the last desired set that the agent took */
    struct rig_row rows[64]; size_t row_n;  /* the store */
    char events[8192];
    bool connected, auto_ready, auto_balance, late_figures /* the balancer's figures are from before its list changed */;
    uint32_t in_flight;                     /* what the balancer says of each server that drains */
};

static inline const char *rig_service_of(const char *id) {
    static char name[64];
    fixed_printf(name, "%s", id);
    *strrchr(name, '.') = '\0';
    return name;
}

static inline struct rig_inst *rig_find(struct rig *r, const char *id) {
    for (size_t i = 0; i < r->n; i++)
        if (!strcmp(r->inst[i].st.id, id))
            return &r->inst[i];
    return NULL;
}

static inline void rig_store(struct rig *r) {
    struct controller_row row;
    while (controller_next_dirty(r->c, &row)) {
        size_t i = 0;
        while (i < r->row_n && (strcmp(r->rows[i].kind, row.kind) != 0 || strcmp(r->rows[i].name, row.name) != 0))
            i++;
        if (i < r->row_n)
            free(r->rows[i].json);
        if (!row.json) {
            if (i < r->row_n)
                r->rows[i] = r->rows[--r->row_n];
            continue;
        }
        if (i == r->row_n) {
            assert_true(r->row_n < ARRAY_LEN(r->rows));
            r->row_n++;
            memcpy(r->rows[i].kind, row.kind, sizeof row.kind);
            memcpy(r->rows[i].name, row.name, sizeof row.name);
        }
        r->rows[i].json = row.json;
    }
}

static inline void rig_events(struct rig *r) {
    struct muster_event e;
    size_t len = strlen(r->events);
    while (controller_next_event(r->c, &e)) {
        if (len > sizeof r->events - 512)
            len = 0;
        len += (size_t)snprintf(r->events + len, sizeof r->events - len, "%s %s: %s\n", e.kind, e.subject, e.text);
    }
}

static inline void rig_check(struct rig *r) {
    struct err e;
    if (controller_check(r->c, &e) < 0)
        fail_msg("check: %s", e.text);
}

/* What an agent does with one wanted instance. */
static inline void rig_obey(struct rig *r, const struct desired_item *it, const struct spec_ref *spec) {
    struct rig_inst *i = rig_find(r, it->id);
    if (!i) {
        assert_true(r->n < RIG_MAX);
        i = &r->inst[r->n++];
        *i = (struct rig_inst){ .st = { .state = INST_WAITING, .retry_in_ms = -1, .port = 20000 + (uint32_t)r->n }, .since = r->now, .changed = true };
        memcpy(i->st.id, it->id, sizeof i->st.id);
        fixed_copy(i->st.service, sizeof i->st.service, rig_service_of(it->id));
    }
    i->seen = true;
    struct inst_status was = i->st;
    if (i->st.generation != spec->generation && !i->st.alive)
        i->st.state = INST_WAITING;         /* the slot's next one */
    i->st.generation = spec->generation;
    i->st.revision = spec->revision;
    if (it->want == WANT_RUN && (i->st.state == INST_WAITING || i->st.state == INST_STOPPED)) {
        i->st.state = r->auto_ready ? INST_READY : INST_STARTING;
        i->st.alive = true;
        i->st.exited = false;
        i->st.pid = ++r->next_pid;
    } else if (it->want == WANT_DRAIN && i->st.alive) {
        i->st.state = INST_DRAINING;
    } else if (it->want == WANT_STOP) {
        i->st.state = INST_STOPPED;
        i->st.alive = false;
        i->st.exited = true;
        i->st.pid = 0;
    }
    if (memcmp(&was, &i->st, sizeof was) != 0) {
        i->changed = true;
        i->since = r->now;
    }
}

static inline void rig_take_desired(struct rig *r) {
    struct desired d;
    controller_desired(r->c, &d);
    assert_true(d.revision >= r->had.revision || d.epoch > r->had.epoch || r->had.epoch == 0);
    for (size_t k = 0; k < r->n; k++)
        r->inst[k].seen = false;
    for (size_t k = 0; k < d.item_n; k++)
        rig_obey(r, &d.items[k], &d.specs[d.items[k].spec_index]);
    for (size_t k = r->n; k-- > 0;)
        if (!r->inst[k].seen)
            r->inst[k] = r->inst[--r->n];
    desired_done(&r->had);
    r->had = d;
    r->seen_revision = d.revision;
}

static inline void rig_send_status(struct rig *r, bool full) {
    struct inst_status *v = xcalloc(r->n + 1, sizeof *v);
    size_t n = 0;
    for (size_t k = 0; k < r->n; k++)
        if (full || r->inst[k].changed) {
            v[n] = r->inst[k].st;
            v[n++].state_age_ms = r->now - r->inst[k].since;
            r->inst[k].changed = false;
        }
    if (n > 0 || full)
        controller_status(r->c, r->now, v, n, full);
    free(v);
    rig_check(r);
}

static inline void rig_send_reports(struct rig *r) {
    for (size_t b = 0; b < r->had.balancer_n; b++) {
        struct balancer_report rep = { .epoch = r->had.epoch, .revision = r->had.revision, .running = true, .pid = 7 };
        fixed_copy(rep.name, sizeof rep.name, r->had.balancers[b].spec.name);
        struct balancer_server_report sv[RIG_MAX];
        rep.servers = sv;
        for (size_t u = 0; u < r->had.balancers[b].upstream_n; u++)
            for (size_t k = 0; k < r->had.balancers[b].upstreams[u].server_n; k++) {
                struct upstream_server *s = &r->had.balancers[b].upstreams[u].servers[k];
                sv[rep.server_n] = (struct balancer_server_report){ .state = r->late_figures ? SRV_READY : s->state, .up = true, .in_flight = s->state == SRV_DRAIN ? r->in_flight : 0 };
                memcpy(sv[rep.server_n++].id, s->id, sizeof s->id);
            }
        controller_balancer(r->c, r->now, &rep);
        rig_check(r);
    }
}

/* Messages go to and fro until nobody has news; time stands still. */
static inline void rig_settle(struct rig *r) {
    for (int k = 0; k < 50; k++) {
        rig_store(r);
        rig_events(r);
        if (!r->connected || !controller_synced(r->c))
            return;
        if (controller_revision(r->c) == r->seen_revision)
            return;
        rig_take_desired(r);
        rig_send_status(r, false);
        if (r->auto_balance) {
            rig_send_reports(r);
            rig_send_reports(r);
        }
    }
    fail_msg("it never comes to rest");
}

static inline void rig_connect(struct rig *r) {
    r->connected = true;
    r->seen_revision = 0;
    controller_agent_connected(r->c, r->now, r->had.epoch, r->had.revision);
    rig_send_status(r, true);
    rig_settle(r);
}

static inline void rig_init(struct rig *r) {
    *r = (struct rig){ .now = 100000, .epoch = 1, .next_pid = 1000, .auto_ready = true, .auto_balance = true };
    r->inst = xcalloc(RIG_MAX, sizeof *r->inst);
    r->c = controller_new((struct controller_options){ .epoch = 1, .revision_start = 1 });
    rig_connect(r);
}

static inline void rig_done(struct rig *r) {
    controller_free(r->c);
    for (size_t i = 0; i < r->row_n; i++)
        free(r->rows[i].json);
    desired_done(&r->had);
    free(r->inst);
}

/* kill -9 of the controller: what is stored is all that is left. With `settle` the agent connects at once. */
static inline void rig_restart(struct rig *r, bool connect) {
    controller_free(r->c);
    r->c = controller_new((struct controller_options){ .epoch = ++r->epoch, .revision_start = 1 });
    r->connected = false;
    r->seen_revision = 0;
    for (size_t i = 0; i < r->row_n; i++) {
        struct err e;
        if (controller_load(r->c, r->rows[i].kind, r->rows[i].name, r->rows[i].json, &e) < 0)
            fail_msg("load: %s", e.text);
    }
    struct controller_row row;
    assert_false(controller_next_dirty(r->c, &row));
    if (connect)
        rig_connect(r);
}

/* Moves time in steps of at most 100 ms, and to each deadline. */
static inline void rig_pass(struct rig *r, int64_t ms) {
    for (int64_t end = r->now + ms; r->now < end;) {
        int64_t at = controller_deadline(r->c);
        r->now = MIN_OF(MIN_OF(r->now + 100, end), MAX_OF(at, r->now + 1));
        controller_step(r->c, r->now);
        rig_check(r);
        rig_settle(r);
    }
}

static inline void rig_set(struct rig *r, const char *id, enum instance_state state) {
    struct rig_inst *i = rig_find(r, id);
    if (!i)
        fail_msg("no %s", id);
    bool dead = state == INST_BACKOFF || state == INST_FAILED;
    if (!i->st.alive && !dead)
        i->st.pid = ++r->next_pid;
    i->st.alive = !dead;
    i->st.exited = dead;
    if (dead) {
        i->st.pid = 0;
        i->st.fails++;
        i->st.last_exit = (struct exit_info){ EXIT_KIND_CODE, 3 };
    } else if (state == INST_READY) {
        i->st.fails = 0;
    }
    i->st.state = state;
    i->since = r->now;
    i->changed = true;
}
static inline void rig_news(struct rig *r) {
    rig_send_status(r, false);
    rig_settle(r);
}

static inline struct config *rig_config(const char *yaml) {
    struct config *conf = xcalloc(1, sizeof *conf);
    struct config_errors errs = { 0 };
    struct config_source src = { "t.yaml", yaml, strlen(yaml), "/srv" };
    if (config_parse(&src, 1, conf, &errs) < 0)
        fail_msg("%s: %s: %s", errs.v[0].where, errs.v[0].path, errs.v[0].text);
    config_errors_done(&errs);
    return conf;
}
static inline void rig_config_free(struct config *conf) {
    config_done(conf);
    free(conf);
}

/* Applies; returns the diff (to be freed) and lets all settle. */
static inline char *rig_apply_from(struct rig *r, const char *source, const char *yaml, bool dry) {
    struct config *conf = rig_config(yaml);
    struct strbuf diff = STRBUF_INIT;
    struct err e = { "" };
    uint32_t changes = 99;
    struct apply_request q = { conf, source, 1000, 1000, "/usr/bin:/bin" };
    int rc = controller_apply(r->c, r->now, &q, dry, &diff, &changes, &e);
    if (rc < 0)
        fail_msg("apply: %s", e.text);
    rig_config_free(conf);
    rig_check(r);
    rig_settle(r);
    return strbuf_take(&diff);
}
static inline void rig_apply(struct rig *r, const char *yaml) { free(rig_apply_from(r, "/srv/muster.yaml", yaml, false)); }

static inline struct service_view rig_service(struct rig *r, const char *name) {
    struct service_view v;
    if (!controller_service(r->c, name, &v))
        fail_msg("no service %s", name);
    return v;
}
static inline uint32_t rig_count(struct rig *r, const char *service, enum want want) {
    struct service_view v = rig_service(r, service);
    uint32_t n = 0;
    for (size_t k = 0; k < v.instance_n; k++)
        n += v.instances[k].want == want;
    return n;
}
/* "api.1+ api.2d": the upstream list that the agent has; + ready, d drain, m maint. */
static inline const char *rig_list(struct rig *r, const char *service) {
    static char text[4096];
    size_t len = 0;
    text[0] = '\0';
    for (size_t b = 0; b < r->had.balancer_n; b++)
        for (size_t u = 0; u < r->had.balancers[b].upstream_n; u++)
            for (size_t k = 0; !strcmp(r->had.balancers[b].upstreams[u].service, service) && k < r->had.balancers[b].upstreams[u].server_n; k++) {
                struct upstream_server *s = &r->had.balancers[b].upstreams[u].servers[k];
                len += (size_t)snprintf(text + len, sizeof text - len, "%s%s%c", len ? " " : "", s->id, "+dm"[s->state]);
                assert_true(len < sizeof text);
            }
    return text;
}
#define rig_said(r, text) do { if (!strstr((r)->events, (text))) fail_msg("nobody said \"%s\":\n%s", (text), (r)->events); } while (0)
#define rig_silent(r, text) do { if (strstr((r)->events, (text))) fail_msg("somebody said \"%s\":\n%s", (text), (r)->events); } while (0)
