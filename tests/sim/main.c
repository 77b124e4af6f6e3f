/* sim --seeds A..B [--hours H] [--trace] - see sim.h. Exit status 0 if every seed came to rest with every invariant kept. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "base/num.h"
#include "tests/sim/sim.h"

void fail(struct world *w, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(w->failure, sizeof(w->failure), fmt, ap);
    va_end(ap);
    longjmp(w->failed, 1);
}

void trace(struct world *w, const char *fmt, ...)
{
    if (!w->trace)
        return;
    va_list ap;
    printf("%9.3f ", (double)w->now / 1000);
    va_start(ap, fmt);
    (void)vprintf(fmt, ap);
    va_end(ap);
    (void)putchar('\n');
}

void hit(struct world *w, enum fault f, const char *id)
{
    struct inst_status s;
    bool known = w->agent && agent_core_status(w->agent, w->now, id, &s);
    w->hits[f][known ? s.state : INST_WAITING]++;
    trace(w, "--- %s: %s", id, fault_word(f));
}

void hit_all(struct world *w, enum fault f)
{
    struct inst_status s;
    bool seen[INSTANCE_STATE_COUNT] = { false };
    for (size_t k = 0; w->agent && agent_core_status_at(w->agent, w->now, k, &s); k++)
        seen[s.state] = true;
    for (int st = 0; st < INSTANCE_STATE_COUNT; st++)
        w->hits[f][st] += seen[st];
}

/* --- daemons that die ------------------------------------------------------------------------------------------------------ */
static void on_agent_up(struct world *w, struct ev *e)
{
    (void)e;
    if (!w->agent)
        agent_start(w);
}
static void on_ctl_up(struct world *w, struct ev *e)
{
    (void)e;
    if (!w->ctl)
        ctl_start(w);
}
static int64_t away(struct world *w) { return chance(w, 800) ? between(w, 20, 2000) : between(w, 2 * SEC, 60 * SEC); }

static void kill_agent(struct world *w)
{
    agent_kill(w);
    ev_push(w, away(w), (struct ev){ .fn = on_agent_up });
}
static void kill_ctl(struct world *w)
{
    ctl_kill(w);
    ev_push(w, away(w), (struct ev){ .fn = on_ctl_up });
}

static void on_fault(struct world *w, struct ev *e)
{
    (void)e;
    if (w->calm)
        return;
    ev_push(w, between(w, 500, 20 * SEC), (struct ev){ .fn = on_fault });
    switch (below(w, 20)) {
    case 0: hit_all(w, F_SUPERVISOR); kill_agent(w); break;
    case 1: hit_all(w, F_CONTROLLER); kill_ctl(w); break;
    case 2:
        if (chance(w, 300)) {
            hit_all(w, F_BOTH);
            kill_agent(w);
            kill_ctl(w);
        }
        break;
    case 3: hit_all(w, F_LINK); channel_break(w); break;
    case 4: proxy_kill(w); break;
    default: keeper_fault(w); break;
    }
}

/* --- one seed ------------------------------------------------------------------------------------------------------------------ */
static int64_t next_at(const struct world *w)
{
    int64_t at = ev_next_at(w);
    if (w->agent)
        at = MIN_OF(at, agent_core_deadline(w->agent));
    if (w->ctl)
        at = MIN_OF(at, controller_deadline(w->ctl));
    return at;
}

static void step(struct world *w)
{
    struct ev e;
    int64_t at = next_at(w);
    w->now = MAX_OF(w->now, at);
    w->steps++;
    if (w->agent && agent_core_deadline(w->agent) <= w->now) {
        agent_core_tick(w->agent, w->now);
        agent_settle(w);
    } else if (w->ctl && controller_deadline(w->ctl) <= w->now) {
        check_before_ctl(w);
        controller_step(w->ctl, w->now);
        check_after_ctl(w);
        ctl_settle(w);
        if (controller_deadline(w->ctl) <= w->now)
            fail(w, "the controller's timer does not move");
    } else if (ev_pop(w, &e)) {
        e.fn(w, &e);
    }
    check_now(w);
}

static void run_until(struct world *w, int64_t until)
{
    uint64_t steps = 0;
    int64_t at = w->now;
    while (next_at(w) <= until) {
        step(w);
        if (w->now != at)
            steps = 0;
        at = w->now;
        if (++steps > 100000)
            fail(w, "time stands still");
    }
    w->now = until;
}

static void calm_down(struct world *w)
{
    cleanup_strbuf struct strbuf why = STRBUF_INIT;
    w->calm = true;
    trace(w, "=== no more faults");
    for (size_t k = 0; k < w->proc_n; k++) {
        struct proc *p = &w->proc[k];
        p->unready_until = p->sick_until = p->hung_until = 0;
        p->no_term = p->leaves = false;
        p->ready_at = p->bad ? INT64_MAX : MIN_OF(p->ready_at, w->now);
    }
    run_until(w, w->now + 65 * SEC);       /* whoever was away is back */
    people_final(w);
    int64_t limit = w->now + 12 * MIN, since = 0;
    while (w->now < limit && since < 60) {
        run_until(w, w->now + SEC);
        since = settled(w, &why) ? since + 1 : 0;
    }
    if (since < 60)
        check_converged(w);
}

static void take_down(struct world *w)
{
    hit_all(w, F_DOWN);
    trace(w, "=== down");
    w->down_asked = true;
    controller_down(w->ctl, w->now);
    ctl_settle(w);
    int64_t limit = w->now + 5 * MIN;
    while (w->now < limit && !(controller_ended(w->ctl) && agent_core_all_ended(w->agent)))
        run_until(w, w->now + SEC);
    run_until(w, w->now + 2 * SEC);
    check_ended(w);
}

static bool run_seed(struct world *w, double hours)
{
    if (setjmp(w->failed) == 0) {
        w->rng.state = w->seed * UINT64_C(0x9e3779b97f4a7c15);
        w->now = 1000000;
        w->pid = 1000;
        agent_start(w);
        ctl_start(w);
        people_start(w);
        ev_push(w, 30 * SEC, (struct ev){ .fn = on_fault });
        run_until(w, w->now + (int64_t)(hours * 60 * MIN));
        calm_down(w);
        take_down(w);
    }
    if (w->failure[0] && w->trace)
        print_world(w);
    agent_core_free(w->agent);
    controller_free(w->ctl);
    ev_clear(w);
    strbuf_done(&w->disk);
    strbuf_done(&w->old_set);
    rows_done(&w->durable);
    rows_done(&w->pending);
    rows_done(&w->inflight);
    return w->failure[0] == '\0';
}

static int usage(void)
{
    (void)fputs("usage: sim [--seeds A..B] [--hours H] [--trace]\n", stderr);
    return 2;
}

int main(int argc, char **argv)
{
    static uint64_t hits[FAULT_COUNT][INSTANCE_STATE_COUNT];
    uint64_t from = 1, to = 1, failed = 0, steps = 0, revisions = 0;
    double hours = 1;
    bool tracing = false;
    for (int k = 1; k < argc; k++) {
        char *dots = NULL;
        if (strcmp(argv[k], "--trace") == 0) {
            tracing = true;
        } else if (strcmp(argv[k], "--seeds") == 0 && k + 1 < argc) {
            dots = strstr(argv[++k], "..");
            if (dots)
                *dots = '\0';
            if (num_u64(argv[k], &from) < 0 || num_u64(dots ? dots + 2 : argv[k], &to) < 0 || to < from)
                return usage();
        } else if (strcmp(argv[k], "--hours") == 0 && k + 1 < argc) {
            if (num_double(argv[++k], &hours) < 0)
                return usage();
        } else {
            return usage();
        }
    }
    for (uint64_t seed = from; seed <= to && failed < 5; seed++) {
        struct world *w = xcalloc(1, sizeof(*w));
        w->seed = seed;
        w->trace = tracing;
        if (!run_seed(w, hours)) {
            failed++;
            printf("seed %llu, at %.3f s: %s\n  again: build/sim --seeds %llu --hours %g --trace\n", (unsigned long long)seed, (double)w->now / 1000, w->failure,
                   (unsigned long long)seed, hours);
        }
        steps += w->steps;
        revisions += w->revisions;
        for (int f = 0; f < FAULT_COUNT; f++)
            for (int st = 0; st < INSTANCE_STATE_COUNT; st++)
                hits[f][st] += w->hits[f][st];
        free(w);
    }
    print_hits(hits);
    printf("seeds %llu..%llu: %llu failed; %llu events, %llu desired sets\n", (unsigned long long)from, (unsigned long long)to, (unsigned long long)failed,
           (unsigned long long)steps, (unsigned long long)revisions);
    return failed ? 1 : 0;
}
