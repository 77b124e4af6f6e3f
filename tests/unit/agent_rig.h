/* agent_rig.h - what the tests of the agent's core share: specs made by hand, a core with a clock, and its actions as a list. */
#pragma once
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "agent/core.h"
#include "agent/notify.h"
#include "base/cleanup.h"

struct spec_opts {      /* what differs from: always, delay 0, max 30 s, 10 in 5 m, TERM, 10 s, no probes */
    uint64_t generation; enum restart_policy policy; int64_t delay_ms, max_delay_ms; uint32_t limit_n; int64_t limit_ms, timeout_ms;
    enum probe_kind startup, readiness, liveness; int64_t within_ms, every_ms; uint32_t fail_after, pass_after;
    bool hook[HOOK_COUNT];
};

static inline void rig_probe(struct probe_spec *p, enum probe_kind kind, const struct spec_opts *o)
{
    *p = (struct probe_spec){ .kind = kind, .every_ms = o->every_ms ? o->every_ms : 1000, .timeout_ms = 500, .within_ms = o->within_ms ? o->within_ms : 60000,
        .fail_after = o->fail_after ? o->fail_after : 3, .pass_after = o->pass_after ? o->pass_after : 1 };
    if (kind == PROBE_HTTP)
        p->http_path = xstrdup("/healthz");
}

static inline void rig_spec(struct spec_ref *r, const char *name, const struct spec_opts *o)
{
    *r = (struct spec_ref){ .generation = o->generation ? o->generation : 1, .revision = 1, .json = xstrdup("{}") };
    struct service_spec *s = &r->spec;
    s->name = xstrdup(name);
    s->directory = xstrdup("/");
    strv_push(&s->command, "/bin/app");
    rig_probe(&s->health.startup, o->startup, o);
    rig_probe(&s->health.readiness, o->readiness, o);
    rig_probe(&s->health.liveness, o->liveness, o);
    s->restart.policy = o->policy;
    s->restart.delay_ms = o->delay_ms;
    s->restart.max_delay_ms = o->max_delay_ms ? o->max_delay_ms : 30000;
    s->restart.limit_n = o->limit_n ? o->limit_n : 10;
    s->restart.limit_ms = o->limit_ms ? o->limit_ms : 300000;
    s->stop.signal = SIGTERM;
    s->stop.timeout_ms = o->timeout_ms ? o->timeout_ms : 10000;
    for (int k = 0; k < HOOK_COUNT; k++)
        if (o->hook[k]) {
            strv_push(&s->hooks[k].run, "/bin/hook");
            s->hooks[k].timeout_ms = 1000;
        }
}

enum { RIG_LOG = 512 };
struct rig {
    struct agent_core *c; int64_t now; uint64_t revision; int32_t next_pid;
    struct agent_action log[RIG_LOG]; size_t n;     /* actions taken and not yet looked at */
};

static inline void rig_take(struct rig *r)
{
    struct agent_action a;
    while (agent_core_next(r->c, &a)) {
        if (a.kind == AA_EVENT || a.kind == AA_STATUS)
            continue;
        assert_true(r->n < RIG_LOG);
        r->log[r->n++] = a;
    }
    struct err e = { "" };
    if (agent_core_check(r->c, &e) < 0)
        fail_msg("%s", e.text);
}

/* n instances "NAME.1".. all with the same spec and want; n 0: an empty set. */
static inline void rig_want_n(struct rig *r, const char *name, const struct spec_opts *o, enum want want, size_t n)
{
    struct desired d = { .epoch = 1, .revision = ++r->revision, .spec_n = 1, .item_n = n };
    d.specs = xcalloc(1, sizeof(*d.specs));
    rig_spec(d.specs, name, o);
    d.items = n ? xcalloc(n, sizeof(*d.items)) : NULL;
    for (size_t k = 0; k < n; k++) {
        fixed_printf(d.items[k].id, "%s.%zu", name, k + 1);
        d.items[k].want = want;
    }
    assert_int_equal(agent_core_desired(r->c, r->now, &d), 0);
    rig_take(r);
}
static inline void rig_want(struct rig *r, const struct spec_opts *o, enum want want) { rig_want_n(r, "api", o, want, 1); }

static inline void rig_init(struct rig *r)
{
    *r = (struct rig){ .c = agent_core_new(7), .now = 100000, .next_pid = 100 };
}
static inline void rig_live(struct rig *r) { agent_core_tick(r->c, r->now); rig_take(r); }
static inline void rig_done(struct rig *r) { agent_core_free(r->c); }

/* The first action of that kind (for that id) in the list, taken out; NULL: there is none. */
static inline const struct agent_action *rig_find(struct rig *r, enum agent_action_kind kind, const char *id)
{
    static struct agent_action found;
    for (size_t k = 0; k < r->n; k++)
        if (r->log[k].kind == kind && (!id || strcmp(r->log[k].id, id) == 0)) {
            found = r->log[k];
            memmove(&r->log[k], &r->log[k + 1], (--r->n - k) * sizeof(r->log[0]));
            return &found;
        }
    return NULL;
}
static inline size_t rig_count(const struct rig *r, enum agent_action_kind kind)
{
    size_t n = 0;
    for (size_t k = 0; k < r->n; k++)
        n += r->log[k].kind == kind;
    return n;
}
static inline void rig_tick(struct rig *r) { agent_core_tick(r->c, r->now); rig_take(r); }
/* Lets time pass, timers included. */
static inline void rig_pass(struct rig *r, int64_t ms)
{
    int64_t until = r->now + ms;
    for (;;) {
        int64_t at = agent_core_deadline(r->c);
        if (at > until)
            break;
        r->now = at > r->now ? at : r->now;
        rig_tick(r);
    }
    r->now = until;
    rig_tick(r);
}
static inline struct inst_status rig_status(struct rig *r, const char *id)
{
    struct inst_status s;
    assert_true(agent_core_status(r->c, r->now, id, &s));
    return s;
}
static inline enum instance_state rig_state(struct rig *r, const char *id) { return rig_status(r, id).state; }
#define assert_state(r, id, want) assert_string_equal(instance_state_word(rig_state(r, id)), instance_state_word(want))

/* Answers a waiting AA_SPAWN: the pid. */
static inline int32_t rig_spawned(struct rig *r, const char *id)
{
    const struct agent_action *a = rig_find(r, AA_SPAWN, id);
    assert_non_null(a);
    int32_t pid = r->next_pid++;
    agent_core_spawned(r->c, r->now, id, a->serial, pid);
    rig_take(r);
    return pid;
}
static inline void rig_exit(struct rig *r, const char *id, int32_t pid, enum exit_kind kind, int value, bool populated)
{
    agent_core_exited(r->c, r->now, id, pid, (struct exit_info){ kind, value }, populated);
    rig_take(r);
}
/* Answers the waiting probe of that role; false: there is none. */
static inline bool rig_answer(struct rig *r, const char *id, enum probe_role role, bool pass, const char *detail)
{
    for (size_t k = 0; k < r->n; k++)
        if (r->log[k].kind == AA_PROBE && r->log[k].role == role && strcmp(r->log[k].id, id) == 0) {
            uint64_t serial = r->log[k].serial;
            memmove(&r->log[k], &r->log[k + 1], (--r->n - k) * sizeof(r->log[0]));
            agent_core_probed(r->c, r->now, id, role, serial, pass, detail);
            rig_take(r);
            return true;
        }
    return false;
}
