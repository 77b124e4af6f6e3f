/* test_upstream.c - who is in an upstream list: one instance's states, then panic. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "base/cleanup.h"
#include "supervisord/upstream.h"

/* One letter an instance, in the list before unless lower case: R ready, U unready, E its exit was seen, D drains (ready), W drains (unready),
 * Z its exit was seen, and all else that is known is older, N a new process that has not passed (n: never listed), S to be stopped (its process is still there), H held.
 * Answers: r ready, d drain, m maint, - not listed. */
static struct upstream_member member(char ch)
{
    struct upstream_member m = { .want = WANT_RUN, .alive = true, .ready = true, .passed = true, .listed = true };
    switch (ch) {
    case 'r': m.listed = false; break;
    case 'R': break;
    case 'U': m.ready = false; break;
    case 'E': m.ready = m.passed = m.alive = false; m.exited = true; break;
    case 'Z': m.exited = true; break;
    case 'D': m.want = WANT_DRAIN; break;
    case 'W': m.want = WANT_DRAIN; m.ready = false; break;
    case 'N': m.ready = m.passed = false; break;
    case 'n': m.ready = m.passed = m.listed = false; break;
    case 'S': m.want = WANT_STOP; break;
    case 'H': m.want = WANT_HOLD; m.alive = m.ready = m.passed = m.listed = false; break;
    default: fail_msg("no member %c", ch);
    }
    return m;
}

static const struct { const char *name, *in, *out; bool panic; } rows[] = {
    { "nobody", "", "", false },
    { "ready ones", "RRr", "rrr", false },
    { "one of two unready: it leaves, half stays", "RU", "rd", false },
    { "two of three unready at once: panic", "RUU", "rrr", true },
    { "two of four: just half stays", "RRUU", "rrdd", false },
    { "three of four: panic", "RUUU", "rrrr", true },
    { "the only one unready: panic, never an empty list", "U", "r", true },
    { "all of them", "UUUU", "rrrr", true },
    { "an exit leaves always", "RRE", "rrm", false },
    { "an exit counts more than anything that was known before", "RRZ", "rrm", false },
    { "exits are no reason to panic", "REEE", "rmmm", false },
    { "exits all: nobody left to keep", "EEEE", "mmmm", false },
    { "exit seen amid a panic leaves too", "UUUE", "rrrm", true },
    { "one alive and unready beside exits: kept", "UEE", "rmm", true },
    { "drains are no reason to panic", "RDDD", "rddd", false },
    { "a drained one is not called back by a panic", "UUW", "rrd", true },
    { "starting, never ready: not in it", "Rnn", "r--", false },
    { "starting, never ready: no reason to panic", "Rnnn", "r---", false },
    { "a new process in an old slot: out until it passes", "RN", "rm", false },
    { "a new process is not kept by a panic", "UUN", "rrm", true },
    { "to be stopped", "RS", "rd", false },
    { "held", "RH", "r-", false },
};

static char letter(const struct upstream_member *m)
{
    return !m->listed_ret ? '-' : m->state_ret == SRV_READY ? 'r' : m->state_ret == SRV_DRAIN ? 'd' : 'm';
}

static void each_row(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct upstream_member m[8];
        size_t n = strlen(rows[i].in);
        char is[9] = "";
        for (size_t k = 0; k < n; k++)
            m[k] = member(rows[i].in[k]);
        bool panic = upstream_judge(m, n);
        for (size_t k = 0; k < n; k++)
            is[k] = letter(&m[k]);
        if (strcmp(is, rows[i].out) != 0 || panic != rows[i].panic)
            fail_msg("%s: %s gives %s%s, expected %s%s", rows[i].name, rows[i].in, is, panic ? " and panic" : "", rows[i].out, rows[i].panic ? " and panic" : "");
    }
}

/* Every mixture of up to six: READY only what may take traffic; at least half of those that run and have passed are in (I8). */
static void every_mixture(void **state)
{
    static const char kinds[] = "RZUEDWNnSH";
    (void)state;
    for (size_t code = 0; code < 1000000; code++) {
        struct upstream_member m[6];
        size_t running = 0, in = 0, rest = code;
        for (size_t k = 0; k < 6; k++, rest /= 10)
            m[k] = member(kinds[rest % 10]);
        bool panic = upstream_judge(m, 6);
        for (size_t k = 0; k < 6; k++) {
            bool ready = m[k].listed_ret && m[k].state_ret == SRV_READY;
            running += m[k].want == WANT_RUN && m[k].passed && !m[k].exited;
            in += ready;
            if (ready && (m[k].want != WANT_RUN || !m[k].alive || m[k].exited || !m[k].passed || (!m[k].ready && !panic)))
                fail_msg("mixture %zu: member %zu gets traffic", code, k);
        }
        if (in * 2 < running)
            fail_msg("mixture %zu: %zu of %zu in the list", code, in, running);
    }
}

static void slots(void **state)
{
    static const uint32_t want[][2] = { { 0, 8 }, { 1, 8 }, { 8, 8 }, { 9, 16 }, { 16, 16 }, { 17, 32 }, { 4001, 4096 }, { 4097, 8192 }, { 4000000000u, 65536 } };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(want); i++)
        assert_int_equal(upstream_slots(want[i][0]), want[i][1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(each_row), cmocka_unit_test(every_mixture), cmocka_unit_test(slots) };
    return cmocka_run_group_tests_name("upstream", tests, NULL, NULL);
}
