#include "supervisord/upstream.h"

static bool counts(const struct upstream_member *m) { return m->want == WANT_RUN && m->alive && !m->exited && (m->ready || m->passed); }

static void judge_one(struct upstream_member *m, bool panic)
{
    if (m->exited || !m->alive) {
        m->listed_ret = m->listed;
        m->state_ret = SRV_MAINT;
    } else if (m->want == WANT_RUN && (m->ready || (panic && m->passed))) {
        m->listed_ret = true;
        m->state_ret = SRV_READY;
    } else {
        /* Those that drain, and the unready, keep what is in flight; a new process in an old slot has nothing in flight. */
        m->listed_ret = m->listed;
        m->state_ret = (m->want == WANT_RUN && !m->passed) || m->want == WANT_HOLD ? SRV_MAINT : SRV_DRAIN;
    }
}

bool upstream_judge(struct upstream_member *m, size_t n)
{
    size_t ready = 0, unready = 0;
    for (size_t i = 0; i < n; i++)
        if (counts(&m[i]))
            *(m[i].ready ? &ready : &unready) += 1;
    bool panic = unready > 0 && ready * 2 < ready + unready;
    for (size_t i = 0; i < n; i++)
        judge_one(&m[i], panic);
    return panic;
}

uint32_t upstream_slots(uint32_t want)
{
    uint32_t n = 8;
    while (n < want && n < (1u << 16))
        n *= 2;
    return n;
}
