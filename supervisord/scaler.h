/* scaler.h - how many instances should a service have now?
 *
 * Pure: no I/O, clock or allocation. Equal inputs give equal answers, so each rule is a row of the table in
 * tests/unit/test_scaler.c. Owns nothing: what it is given is borrowed for the call. */
#pragma once
#include "model/spec.h"
#include "model/status.h"

enum { SCALE_RULES_MAX = 8, SCALE_HISTORY = 64, SCALE_WINDOW = 12 };

/* The rules, each over what is known (a sample counts if it is fresh, finite and past the instance's first seconds):
 *   cpu        sum of use / target over the samples, rounded up. Asked for fewer, each instance without a sample counts as if at its target;
 *              asked for more, as idle; ready ones only may ask for fewer, unready ones too for more (overload makes unready).
 *   in_flight, queue     the service's total / target, rounded up
 *   latency    up: settled instances x value / target. Down: by one or 10% at a time, and only below half of the target, since latency
 *              says little about how much room there is. Fewer than 3/(1-q) requests: says nothing; if few are in flight as well (no more
 *              than one each) the other rules may go down without it, else it holds.
 * Within 10% of the target a rule asks for what there is. The largest answer wins. A rule without data never lets it get smaller. Then:
 * min..max; up.wait (asked for without a break so long); down.wait (the largest answer within that time, kept in SCALE_WINDOW parts);
 * the limits per period, by which at least one may always move. */

/* One instance as the scaler sees it. Only ready ones of the wanted revision, past their first seconds, count (I10). */
struct scale_sample { bool ready, settled; struct inst_metrics m; };
struct scale_memory {               /* kept by the caller between calls, persisted */
    int64_t changes_at[SCALE_HISTORY]; int32_t changes[SCALE_HISTORY]; uint32_t change_n;   /* for the limits per period */
    int64_t up_since, down_since;   /* since when the rules have asked for more / fewer without a break; 0: not */
    uint32_t down_max;              /* the largest answer within down.wait: the stabilization window's answer */
    uint32_t window[SCALE_WINDOW]; int64_t window_part;     /* the largest answer of each part of that time; the number of the newest part */
};
struct scale_input {
    const struct scale_spec *policy; uint32_t min, max, current;
    const struct scale_sample *samples; uint32_t n;
    const struct svc_metrics *svc;  /* NULL: none */
    int64_t now_ms, stale_after_ms; /* older samples are missing ones */
};
enum rule_verdict { RULE_OK, RULE_WITHIN_TOLERANCE, RULE_NO_DATA, RULE_TOO_FEW_SAMPLES };
struct scale_rule_why { enum scale_metric metric; double quantile, target, value; uint32_t used, missing; uint32_t proposal; enum rule_verdict verdict; };
struct scale_why {
    int64_t at_ms; int64_t wall_ms; /* wall_ms is put in by the shell */
    uint32_t current, desired; uint32_t rule_n; struct scale_rule_why rules[SCALE_RULES_MAX];
    int32_t deciding_rule;          /* index of the largest, -1: none */
    uint32_t wanted;                /* before clamps */
    bool clamped_min, clamped_max, limited, waiting, no_data, held;
    char text[256];                 /* one sentence for a person */
};
/* Puts the wanted count, within min..max, in *ret_desired, and why in *ret_why (may be NULL); updates *mem.
 * 0, or -ERANGE if min > max: then nothing is touched. */
int scaler_decide(const struct scale_input *in, struct scale_memory *mem, uint32_t *ret_desired, struct scale_why *ret_why);
