/* backoff.h - after an exit: how long until the next start, and when is it too often?
 *
 * Pure. A run of at least BACKOFF_QUICK_MS is answered after just `delay` (the first three times in a row; then it grows too, so that a
 * program that dies every two seconds is no storm); quicker exits grow from max(delay, 100 ms) by doubling, +-20%, up to max_delay.
 * With delay 0 there is no wait at all, but for runs shorter than BACKOFF_AT_ONCE_MS from the sixth in a row on, and for failed starts.
 * All is forgotten once the instance was stable: ready for backoff_stable_ms. More than limit_n restarts within limit_ms: given up, and
 * tried again only every max(60 s, limit_ms) until one becomes stable. */
#pragma once
#include <stdbool.h>
#include "base/rng.h"
#include "model/spec.h"

enum { BACKOFF_QUICK_MS = 1000, BACKOFF_FLOOR_MS = 100, BACKOFF_SOFT = 3, BACKOFF_SLOW_MS = 60000, BACKOFF_RING_MAX = 1000,
       BACKOFF_AT_ONCE_MS = 50, BACKOFF_AT_ONCE_FREE = 5 };

struct backoff {
    uint32_t fails;             /* exits and failed starts in a row */
    uint32_t quick, soft;       /* of them: quick ones; others */
    bool given_up;
    int64_t *ring;              /* times of the last restarts, at most limit_n (bounded by BACKOFF_RING_MAX: a larger limit counts as that) */
    uint32_t ring_n, ring_at, ring_cap;
};
void backoff_done(struct backoff *b);
void backoff_reset(struct backoff *b);          /* it was stable, or it is another process now */
int64_t backoff_stable_ms(const struct service_spec *s);
/* One more failure after uptime_ms (0: never ran): the wait until the next start. b->given_up says whether it is the slow retry. */
int64_t backoff_next(struct backoff *b, const struct service_spec *s, int64_t now, int64_t uptime_ms, struct rng *rng);
