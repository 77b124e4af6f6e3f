/* health.h - one probe role of one instance: when is it asked next, and what do the answers mean?
 *
 * Pure: time and randomness are given. Owns nothing; `spec` is borrowed and must outlive the probe or be replaced by health_respec.
 *
 * Two schedules. Fast (an instance that is not ready yet): at once, then 10, 20, 40 ms ... after each answer, up to `every`.
 * Regular: every `every` +-10%, so that many instances are not probed in step. At most one probe is under way; one that is not answered
 * within its timeout and HEALTH_GRACE_MS is dropped and counts as failed, so a hung prober is no standstill.
 * A notify probe asks nobody: READY=1 passes it; for liveness each `every` (or WATCHDOG_USEC) without WATCHDOG=1 is one failure. */
#pragma once
#include <stdbool.h>
#include "base/rng.h"
#include "model/spec.h"

enum { HEALTH_FAST_FIRST_MS = 10, HEALTH_GRACE_MS = 2000, HEALTH_DETAIL = 128 };

struct health {
    const struct probe_spec *spec;      /* NULL: this role is not probed now */
    bool fast, beats;                   /* beats: notify with a deadline per beat (liveness) */
    bool in_flight;
    uint64_t serial;                    /* of the one in flight */
    int64_t asked_at, next_at;          /* next_at INT64_MAX: nothing to ask */
    int64_t gap_ms;                     /* fast: before the next */
    int64_t beat_ms;                    /* WATCHDOG_USEC; 0: as the spec says */
    uint32_t passes, fails;             /* in a row */
    char detail[HEALTH_DETAIL];         /* of the last answer */
};
enum health_verdict { HEALTH_UNDECIDED, HEALTH_PASSED, HEALTH_FAILED };

/* Starts anew. A spec of PROBE_NONE leaves the role off. `beats`: liveness, see above. */
void health_begin(struct health *h, const struct probe_spec *spec, int64_t now, bool fast, bool beats, struct rng *rng);
void health_end(struct health *h);
static inline bool health_on(const struct health *h) { return h->spec != NULL; }
/* The same role under a changed spec: counts are kept unless the kind changed. */
void health_respec(struct health *h, const struct probe_spec *spec, int64_t now, struct rng *rng);
void health_slow(struct health *h, int64_t now, struct rng *rng);      /* from the fast schedule to the regular one */

/* Now is the time to ask. Then ask and call health_asked. */
bool health_due(const struct health *h, int64_t now);
void health_asked(struct health *h, int64_t now, uint64_t serial);
/* The one in flight was never answered: health_answer it as failed. */
bool health_overdue(const struct health *h, int64_t now);
/* A beat is due and did not come: counts one failure. */
bool health_beat_missed(const struct health *h, int64_t now);
/* An answer. One whose serial is not in flight (late, repeated, cancelled) is undecided and changes nothing. The verdict is given at each
 * answer that has pass_after passes or fail_after failures in a row behind it, not only at the first. */
enum health_verdict health_answer(struct health *h, int64_t now, uint64_t serial, bool pass, const char *detail, struct rng *rng);
/* A verdict without a probe: notify messages and missed beats. */
enum health_verdict health_told(struct health *h, int64_t now, bool pass, const char *detail, struct rng *rng);
int64_t health_deadline(const struct health *h);
