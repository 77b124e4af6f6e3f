/* Bucket k*64 + (v >> k), with k such that v >> k lies in 64..127 (or k = 0): each power of two has 64 buckets of
 * equal width, hence an error of at most 1/64. Values from 2^32 us (71 min) on count as 2^32 - 1. */
#include "base/hist.h"
#include <math.h>
#include <string.h>

static unsigned bucket_of(uint64_t us)
{
    if (us > UINT32_MAX)
        us = UINT32_MAX;
    unsigned top = 63u - (unsigned)__builtin_clzll(us | 1);
    unsigned shift = top > 6 ? top - 6 : 0;
    return shift * 64 + (unsigned)(us >> shift);
}

/* The highest value that falls into the bucket. */
static int64_t bucket_top(unsigned b)
{
    unsigned shift = b < 128 ? 0 : b / 64 - 1;
    uint64_t low = (uint64_t)(b - shift * 64) << shift;
    return (int64_t)(low + (1ull << shift) - 1);
}

void hist_add(struct hist *h, uint64_t us)
{
    uint32_t *c = &h->count[bucket_of(us)];
    if (*c == UINT32_MAX)       /* full: the sample is left out rather than wrapped */
        return;
    ++*c;
    h->total++;
}

void hist_merge(struct hist *into, const struct hist *from)
{
    for (unsigned i = 0; i < HIST_BUCKETS; i++) {
        uint32_t room = UINT32_MAX - into->count[i];
        uint32_t n = from->count[i] < room ? from->count[i] : room;
        into->count[i] += n;
        into->total += n;
    }
}

int64_t hist_quantile_us(const struct hist *h, double q)
{
    if (h->total == 0 || isnan(q))
        return -1;
    if (q < 0)
        q = 0;
    if (q > 1)
        q = 1;
    uint64_t rank = (uint64_t)ceil(q * (double)h->total), seen = 0;
    if (rank == 0)
        rank = 1;
    for (unsigned i = 0; i < HIST_BUCKETS; i++) {
        seen += h->count[i];
        if (seen >= rank)
            return bucket_top(i);
    }
    return bucket_top(HIST_BUCKETS - 1);
}

void hist_reset(struct hist *h)
{
    memset(h, 0, sizeof *h);
}
