/* rng.h - a small seeded generator (splitmix64; Steele, Lea, Flood 2014) whose state is a plain value, so
 * that a core which owns one is a pure function of its inputs. Not for secrets. */
#pragma once
#include <stdint.h>
struct rng { uint64_t state; };
uint64_t rng_next(struct rng *r);
uint64_t rng_below(struct rng *r, uint64_t n);             /* 0 .. n-1; n > 0 */
double rng_unit(struct rng *r);                            /* [0, 1) */
int64_t rng_jitter(struct rng *r, int64_t value, int pct); /* value +- up to pct percent */
