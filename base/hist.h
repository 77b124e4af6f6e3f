/* hist.h - a histogram of latencies with log-linear buckets (after Gil Tene's HdrHistogram): values 1 us .. 1 h in
 * microseconds, error at most 1/64. Fixed size, no allocation. */
#pragma once
#include <stdint.h>
enum { HIST_BUCKETS = 64 * 27 };
struct hist { uint64_t total; uint32_t count[HIST_BUCKETS]; };
void hist_add(struct hist *h, uint64_t us);
void hist_merge(struct hist *into, const struct hist *from);
/* The value (us) below or at which a share q (0..1) of the samples lies; -1 if there are none. */
int64_t hist_quantile_us(const struct hist *h, double q);
void hist_reset(struct hist *h);
