/* scaler.h - how many instances should a service have now?
 *
 * Pure: no I/O, clock or allocation. Equal inputs give equal answers, so each rule is a row of the table in
 * tests/unit/test_scaler.c. Owns nothing: what it is given is borrowed for the call. */
#pragma once
#include "model/spec.h"
#include "model/status.h"

enum { SCALE_RULES_MAX = 8, SCALE_HISTORY = 64 };

/* One instance as the scaler sees it. Only ready ones of the wanted revision, past their first seconds, count (I10). */
struct scale_sample { bool ready, settled; struct inst_metrics m; };
struct scale_memory {               /* kept by the caller between calls, persisted */
    int64_t changes_at[SCALE_HISTORY]; int32_t changes[SCALE_HISTORY]; uint32_t change_n;   /* for the limits per period */
    int64_t up_since, down_since;   /* since when the rules have asked for more / fewer without a break; 0: not */
    uint32_t down_max;              /* the largest proposal since down_since: the stabilization window's answer */
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
