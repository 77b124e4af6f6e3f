/* hapmetrics.h - counters of successive `show stat` answers -> totals and rates by service and instance.
 *
 * Pure: the time is given. Owns its memory. Several HAProxy processes may feed it (an old one that still ends its requests): each answer is
 * compared with the one before of the same process. A counter that went back counts from 0 (a new process under an old name). */
#pragma once
#include "agent/haproxy_stat.h"

enum { HAPMETRICS_RATE_MS = 5000, HAPMETRICS_NAMES_MAX = 20000 };
struct hapmetrics;
struct hapmetrics_figures {
    uint64_t requests, errors;              /* since the start; errors: 5xx, for an instance also no answer */
    double rate, error_rate;                /* per second, over the last 5 s; NaN until two samples are there */
    int64_t age_ms;                         /* of the newest sample */
};
struct hapmetrics *hapmetrics_new(void);
void hapmetrics_free(struct hapmetrics *m);
/* before: this process's answer before, or NULL. `fresh`: the process was started by us, so its counters all count;
 * else (adopted) the first answer is where counting begins. */
void hapmetrics_add(struct hapmetrics *m, const struct hap_stat *before, const struct hap_stat *is, bool fresh);
void hapmetrics_sample(struct hapmetrics *m, int64_t now_ms);   /* about once a second: the points between which rates are taken */
bool hapmetrics_figures(const struct hapmetrics *m, int64_t now_ms, const char *name, struct hapmetrics_figures *ret);  /* false: unknown name */
