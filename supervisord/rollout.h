/* rollout.h - the next step from the instances that are to those that are wanted: how many to add, which may go.
 *
 * Pure: facts in, a plan out; no clock (ages are given), no state. Used for plain scaling as well: that is a rollout with nothing old.
 *
 * While old and new are both wanted:
 *   - wanted-to-run in all <= desired + surge                                           (I3)
 *   - available = ready old + new that are ready for healthy_for >= desired - unavailable   (I2)
 *     (as long as nothing old is ready, a new one counts from its first moment: there is nothing to protect)
 *   - old ones without a process go at once and at no cost; old unready ones go before ready ones, at the pace of
 *     total - floor - new that are not available yet, so that a bad release cannot empty a fleet that is just having a bad minute
 *   - paused: nothing old goes, nothing new comes; only a changed `desired` is followed, with old ones
 *   - stop_first (a fixed port): the old row must be gone before the new one starts. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "model/words.h"

struct fleet_member {
    bool is_new; enum want want;
    bool alive, ready, passed;      /* passed: this process was ready at least once */
    int64_t ready_ms;               /* for how long ready */
    bool failing;                   /* a new one that gives reason to pause */
    double in_flight;               /* for the choice of victims; idle ones first */
    uint64_t born;                  /* larger is younger; younger ones go first */
};
struct fleet {
    const struct fleet_member *m; size_t n;
    uint32_t desired, surge, unavailable, room /* how many rows more the balancer's slots allow */;
    int64_t healthy_for_ms;
    bool stop_first, was_paused;
};
struct rollout_plan {
    bool rolling;                   /* something old is still wanted */
    bool paused; int64_t culprit;   /* index of the instance that is the cause; -1 */
    uint32_t add_new, add_old;
    size_t *victims; size_t victim_n;   /* indices, to be drained in this order; freed by rollout_plan_done */
    int64_t again_in_ms;            /* a healthy_for ends then; INT64_MAX: nothing to wait for */
};
void rollout_plan(const struct fleet *f, struct rollout_plan *ret);
void rollout_plan_done(struct rollout_plan *p);
