#include "base/rng.h"

uint64_t rng_next(struct rng *r)
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t rng_below(struct rng *r, uint64_t n)
{
    /* Values below 2^64 mod n would make the low remainders likelier: draw again. */
    uint64_t skew = (0 - n) % n, v;
    do
        v = rng_next(r);
    while (v < skew);
    return v % n;
}

double rng_unit(struct rng *r)
{
    return (double)(rng_next(r) >> 11) * 0x1p-53;
}

int64_t rng_jitter(struct rng *r, int64_t value, int pct)
{
    double span = (double)value * pct / 100;
    return value + (int64_t)((rng_unit(r) * 2 - 1) * span);
}
