/* test_rollout.c - the next step of a rollout, row by row; then whole rollouts played to their end under the invariants. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/rng.h"
#include "base/strbuf.h"
#include "supervisord/rollout.h"

enum { HEALTHY = 10000 };

/* One letter an instance; old ones upper case, new ones lower case:
 * R ready for long, Q ready just now, U unready (had passed), S starting, X no process, F failing (no process), H held, D drains, P to be stopped. */
static struct fleet_member member(char ch, uint64_t born)
{
    struct fleet_member m = { .is_new = ch >= 'a', .want = WANT_RUN, .alive = true, .born = born };
    switch (ch & ~0x20) {
    case 'R': m.ready = m.passed = true; m.ready_ms = 60000; break;
    case 'Q': m.ready = m.passed = true; m.ready_ms = 500; break;
    case 'U': m.passed = true; break;
    case 'S': break;
    case 'X': m.alive = false; break;
    case 'F': m.alive = false; m.failing = m.is_new; break;
    case 'H': m.alive = false; m.want = WANT_HOLD; break;
    case 'D': m.want = WANT_DRAIN; m.passed = true; break;
    case 'P': m.want = WANT_STOP; break;
    default: fail_msg("no member %c", ch);
    }
    return m;
}

struct row {
    const char *name, *fleet; uint32_t desired, surge, unavailable; const char *flags;     /* f: stop first, p: was paused, 1..9: room */
    uint32_t add_new, add_old; const char *victims; bool paused;
};
static const struct row rows[] = {
    /* plain scaling: only new ones */
    { "first", "", 3, 1, 0, "", 3, 0, "", false },
    { "enough", "rrr", 3, 1, 0, "", 0, 0, "", false },
    { "up", "rrr", 5, 1, 0, "", 2, 0, "", false },
    { "up is no rollout: a failing one pauses nothing", "rrf", 5, 1, 0, "", 2, 0, "", false },
    { "down: the youngest", "rrrr", 2, 1, 0, "", 0, 0, "32", false },
    { "down: without a process first, then starting, then unready", "rsxur", 2, 1, 0, "", 0, 0, "213", false },
    { "down: held ones", "rrh", 2, 1, 0, "", 0, 0, "2", false },
    { "what drains is gone already", "rrdd", 2, 1, 0, "", 0, 0, "", false },
    { "to none", "rsx", 0, 1, 0, "", 0, 0, "210", false },
    { "to none with old ones", "RrX", 0, 1, 0, "", 0, 0, "201", false },
    { "no room at the balancer: wait for drains", "rrdddddd", 4, 1, 0, "0", 0, 0, "", false },
    { "room for one", "rrddddd", 4, 1, 0, "1", 1, 0, "", false },
    /* rolling, surge 1, nothing unavailable */
    { "the surge comes first", "RRR", 3, 1, 0, "", 1, 0, "", false },
    { "wait for it", "RRRs", 3, 1, 0, "", 0, 0, "", false },
    { "ready just now is not enough", "RRRq", 3, 1, 0, "", 0, 0, "", false },
    { "healthy: one old may go, the next may come", "RRRr", 3, 1, 0, "", 1, 0, "2", false },
    { "while it drains", "RRDr", 3, 1, 0, "", 1, 0, "", false },
    { "while it drains and the next starts", "RRDrs", 3, 1, 0, "", 0, 0, "", false },
    { "last one", "Rrrr", 3, 1, 0, "", 0, 0, "0", false },
    { "surge 3: all at once", "RRR", 3, 3, 0, "", 3, 0, "", false },
    { "surge 3: as many go as came", "RRRrrs", 3, 3, 0, "", 0, 0, "21", false },
    /* surge 0 */
    { "unavailable 1: one goes first", "RRR", 3, 0, 1, "", 1, 0, "2", false },
    { "unavailable 1: no second one", "RRs", 3, 0, 1, "", 0, 0, "", false },
    { "neither surge nor unavailable: one at a time all the same", "RRR", 3, 0, 0, "", 1, 0, "2", false },
    { "both", "RRRR", 4, 1, 1, "", 2, 0, "3", false },
    /* old ones in trouble */
    { "old without a process go at once, at no cost", "RXF", 3, 1, 0, "", 3, 0, "21", false },
    { "old never ready go at once", "SSS", 3, 1, 0, "", 3, 0, "210", false },
    { "old unready: only at the pace of what is there", "UUU", 3, 1, 0, "", 1, 0, "", false },
    { "old unready: a new one that works replaces one", "UUUr", 3, 1, 0, "", 1, 0, "2", false },
    { "nothing old is ready: ready just now counts", "UUUq", 3, 1, 0, "", 1, 0, "2", false },
    { "old unready goes before old ready", "RURr", 3, 1, 0, "", 1, 0, "1", false },
    { "old held go at once", "HH", 2, 1, 0, "", 2, 0, "10", false },
    /* new ones in trouble (N#7320 N#6864: a bad release kills the good one) */
    { "a failing new one pauses", "RRRf", 3, 1, 0, "", 0, 0, "", true },
    { "failing, with others healthy: still paused", "RRrf", 3, 1, 0, "", 0, 0, "", true },
    { "was paused, the failing one starts again: still", "RRRs", 3, 1, 0, "p", 0, 0, "", true },
    { "was paused, ready but not yet for long: still", "RRRq", 3, 1, 0, "p", 0, 0, "", true },
    { "was paused, healthy now: goes on", "RRRr", 3, 1, 0, "p", 1, 0, "2", false },
    { "was paused, and all new ones were replaced by a third release", "RRRS", 3, 1, 0, "p", 1, 0, "3", false },
    { "paused and scaled up: old ones", "RRRf", 5, 1, 0, "p", 0, 2, "", true },
    { "paused, an old one is missing: topped up", "RRf", 3, 1, 0, "p", 0, 1, "", true },
    { "paused and scaled down: old ones, the youngest", "RRRRf", 2, 1, 0, "p", 0, 0, "32", true },
    { "paused and scaled down, one new one works: no more than surge allows", "RRrf", 2, 1, 0, "p", 0, 0, "3", true },
    { "paused, scaled far down, more fail than surge alone allows: old ones serve", "RRRRRfff", 2, 2, 1, "p", 0, 0, "4327", true },
    { "paused, a new one works: the rollout does not go on behind the back", "RRRrf", 3, 2, 0, "p", 0, 0, "", true },
    { "paused and stopped", "RRf", 0, 1, 0, "p", 0, 0, "102", false },
    { "paused, unready old ones are not touched", "RUUf", 3, 1, 0, "", 0, 0, "", true },
    /* scaled meanwhile */
    { "more wanted", "RRr", 5, 1, 0, "", 3, 0, "", false },
    { "fewer wanted: old ones go", "RRRr", 2, 1, 0, "", 1, 0, "21", false },
    { "fewer wanted than there are new ones: starting ones first", "Rrrss", 2, 1, 0, "", 0, 0, "043", false },
    { "fewer wanted than old and surge: new ones that do not serve yet", "RRRRRRsss", 7, 1, 1, "", 0, 0, "8", false },
    /* a fixed port: stop first */
    { "old goes first", "R", 1, 1, 0, "f", 0, 0, "0", false },
    { "until its row is gone nothing starts", "D", 1, 1, 0, "f", 0, 0, "", false },
    { "nor while it stops", "P", 1, 1, 0, "f", 0, 0, "", false },
    { "then the new one", "", 1, 1, 0, "f", 1, 0, "", false },
};

static void fill(struct fleet *f, struct fleet_member *m, const char *fleet)
{
    f->n = strlen(fleet);
    f->m = m;
    for (size_t k = 0; k < f->n; k++)
        m[k] = member(fleet[k], k);
}

static void each_row(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct row *r = &rows[i];
        struct fleet_member m[16];
        struct fleet f = { .desired = r->desired, .surge = r->surge, .unavailable = r->unavailable, .healthy_for_ms = HEALTHY, .room = UINT32_MAX,
                           .stop_first = strchr(r->flags, 'f'), .was_paused = strchr(r->flags, 'p') };
        if (strpbrk(r->flags, "0123456789"))
            f.room = (uint32_t)(*strpbrk(r->flags, "0123456789") - '0');
        fill(&f, m, r->fleet);
        struct rollout_plan p;
        rollout_plan(&f, &p);
        char victims[17] = "";
        for (size_t k = 0; k < p.victim_n; k++)
            victims[k] = (char)('0' + p.victims[k]);
        if (p.add_new != r->add_new || p.add_old != r->add_old || p.paused != r->paused || strcmp(victims, r->victims) != 0)
            fail_msg("%s: %s: new %u old %u victims %s%s, expected new %u old %u victims %s%s", r->name, r->fleet, p.add_new, p.add_old, victims,
                     p.paused ? " paused" : "", r->add_new, r->add_old, r->victims, r->paused ? " paused" : "");
        rollout_plan_done(&p);
    }
}

static void idle_ones_go_first(void **state)
{
    struct fleet_member m[4];
    struct fleet f = { .desired = 2, .healthy_for_ms = HEALTHY, .room = UINT32_MAX };
    struct rollout_plan p;
    (void)state;
    fill(&f, m, "rrrr");
    m[0].in_flight = 1;
    m[1].in_flight = 0;
    m[2].in_flight = 7;
    m[3].in_flight = 3;
    rollout_plan(&f, &p);
    assert_int_equal(p.victim_n, 2);
    assert_int_equal(p.victims[0], 1);
    assert_int_equal(p.victims[1], 0);
    rollout_plan_done(&p);
}

static void says_when_to_look_again(void **state)
{
    struct fleet_member m[4];
    struct fleet f = { .desired = 3, .surge = 1, .healthy_for_ms = HEALTHY, .room = UINT32_MAX };
    struct rollout_plan p;
    (void)state;
    fill(&f, m, "RRRq");
    rollout_plan(&f, &p);
    assert_int_equal(p.again_in_ms, HEALTHY - 500);
    rollout_plan_done(&p);
    fill(&f, m, "RRRs");
    rollout_plan(&f, &p);
    assert_int_equal(p.again_in_ms, INT64_MAX);
    rollout_plan_done(&p);
}

/* --- whole rollouts ------------------------------------------------------------------------------------------------------ */
struct play { struct rng rng; struct fleet_member m[256]; struct fleet f; uint64_t born; bool bad; };

static void enact(struct play *g, const struct rollout_plan *p)
{
    for (size_t k = 0; k < p->victim_n; k++)
        g->m[p->victims[k]].want = WANT_DRAIN;
    for (uint32_t k = 0; k < p->add_new + p->add_old && g->f.n < ARRAY_LEN(g->m); k++)
        g->m[g->f.n++] = (struct fleet_member){ .is_new = k < p->add_new, .want = WANT_RUN, .born = ++g->born };
}

/* A second passes: starting ones get ready (not the bad release), drained ones end, now and then somebody crashes. */
static void pass_time(struct play *g, bool crashes)
{
    for (size_t k = g->f.n; k-- > 0;) {
        struct fleet_member *m = &g->m[k];
        if (m->want == WANT_DRAIN && rng_below(&g->rng, 3) == 0) {
            *m = g->m[--g->f.n];
        } else if (crashes && rng_below(&g->rng, 60) == 0) {
            m->alive = m->ready = m->passed = false;
        } else if (m->want == WANT_RUN && !m->ready) {
            m->alive = true;
            m->failing = g->bad && m->is_new && rng_below(&g->rng, 5) == 0;
            m->ready = m->passed = !(g->bad && m->is_new) && rng_below(&g->rng, 3) == 0;
            m->ready_ms = 0;
        } else if (m->ready) {
            m->ready_ms += 1000;
        }
    }
}

static uint32_t count_ready(const struct fleet *f)
{
    uint32_t n = 0;
    for (size_t k = 0; k < f->n; k++)
        n += f->m[k].want == WANT_RUN && f->m[k].ready;
    return n;
}
static uint32_t count_wanted(const struct fleet *f, bool is_new)
{
    uint32_t n = 0;
    for (size_t k = 0; k < f->n; k++)
        n += f->m[k].want == WANT_RUN && f->m[k].is_new == is_new;
    return n;
}

static void play(uint64_t seed, bool bad, bool crashes, bool scaled)
{
    struct play g = { .rng = { seed }, .bad = bad };
    g.f = (struct fleet){ .m = g.m, .desired = 1 + (uint32_t)rng_below(&g.rng, 20), .surge = (uint32_t)rng_below(&g.rng, 4),
                          .unavailable = (uint32_t)rng_below(&g.rng, 3), .healthy_for_ms = 3000, .room = UINT32_MAX };
    uint32_t unavailable = g.f.surge == 0 && g.f.unavailable == 0 ? 1 : g.f.unavailable;
    for (uint32_t k = 0; k < g.f.desired; k++)
        g.m[g.f.n++] = (struct fleet_member){ .want = WANT_RUN, .alive = true, .ready = true, .passed = true, .ready_ms = 60000, .born = ++g.born };
    int t = 0;
    for (; t < 2000; t++) {
        struct rollout_plan p;
        if (scaled && rng_below(&g.rng, 20) == 0)
            g.f.desired = 1 + (uint32_t)rng_below(&g.rng, 20);
        uint32_t were = count_wanted(&g.f, true) + count_wanted(&g.f, false);
        uint32_t before = count_ready(&g.f), floor = g.f.desired > unavailable ? g.f.desired - unavailable : 0;
        rollout_plan(&g.f, &p);
        enact(&g, &p);
        uint32_t after = count_ready(&g.f), total = count_wanted(&g.f, true) + count_wanted(&g.f, false);
        if (after < before && after < floor)
            fail_msg("seed %llu, second %d: I2: %u ready taken to %u, floor %u", (unsigned long long)seed, t, before, after, floor);
        if (total > g.f.desired + g.f.surge && (!scaled || total > were))
            fail_msg("seed %llu, second %d: I3: %u wanted, desired %u, surge %u", (unsigned long long)seed, t, total, g.f.desired, g.f.surge);
        g.f.was_paused = p.paused;
        bool over = !p.rolling && count_ready(&g.f) >= g.f.desired;
        rollout_plan_done(&p);
        if (over)
            break;
        pass_time(&g, crashes);
    }
    if (!bad && !scaled && t == 2000)
        fail_msg("seed %llu: never finished", (unsigned long long)seed);
    if (bad && !crashes && !scaled && (t < 2000 || count_ready(&g.f) < (g.f.desired > unavailable ? g.f.desired - unavailable : 0)))
        fail_msg("seed %llu: a bad release was let through: %u of %u ready", (unsigned long long)seed, count_ready(&g.f), g.f.desired);
}

static void good_releases_finish(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        play(seed, false, false, false);
        play(seed, false, true, false);
        play(seed, false, true, true);
    }
}
static void bad_releases_harm_nobody(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        play(seed, true, false, false);
        play(seed, true, true, false);
        play(seed, true, true, true);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_row), cmocka_unit_test(idle_ones_go_first), cmocka_unit_test(says_when_to_look_again),
        cmocka_unit_test(good_releases_finish), cmocka_unit_test(bad_releases_harm_nobody),
    };
    return cmocka_run_group_tests_name("rollout", tests, NULL, NULL);
}
