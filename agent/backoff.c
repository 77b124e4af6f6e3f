#include "agent/backoff.h"
#include "base/cleanup.h"
#include "base/strbuf.h"

void backoff_done(struct backoff *b)
{
    free(b->ring);
    *b = (struct backoff){ 0 };
}

void backoff_reset(struct backoff *b)
{
    b->fails = b->quick = b->soft = 0;
    b->ring_n = b->ring_at = 0;
    b->given_up = false;
}

int64_t backoff_stable_ms(const struct service_spec *s)
{
    return MAX_OF((int64_t)10000, s->restart.max_delay_ms / 3);
}

static int64_t doubled(const struct service_spec *s, uint32_t times, struct rng *rng)
{
    int64_t max = MAX_OF(s->restart.max_delay_ms, 1), wait = MAX_OF(s->restart.delay_ms, (int64_t)BACKOFF_FLOOR_MS);
    while (times-- > 0 && wait < max)
        wait *= 2;
    wait = rng_jitter(rng, MIN_OF(wait, max), 20);
    return MIN_OF(wait, max);
}

static void ring_fit(struct backoff *b, uint32_t cap)
{
    if (b->ring_cap == cap)
        return;
    free(b->ring);      /* the limit changed: counted anew */
    b->ring = xcalloc(cap, sizeof(*b->ring));
    b->ring_cap = cap;
    b->ring_n = b->ring_at = 0;
}

/* Would one more restart now be more than limit_n within limit_ms? Otherwise it is put down. */
static bool over_limit(struct backoff *b, const struct service_spec *s, int64_t now)
{
    uint32_t cap = MIN_OF(s->restart.limit_n, (uint32_t)BACKOFF_RING_MAX);
    if (cap == 0)
        return false;
    ring_fit(b, cap);
    /* full: the oldest of the last `cap` restarts stands at ring_at */
    if (b->ring_n == cap && now - b->ring[b->ring_at] < s->restart.limit_ms)
        return true;
    b->ring[b->ring_at] = now;
    b->ring_at = (b->ring_at + 1) % cap;
    b->ring_n += b->ring_n < cap;
    return false;
}

/* `delay: 0s` asks for no wait, and the limit stops a storm: only what dies right at its start, again and again, waits all the same. */
static int64_t without_delay(struct backoff *b, const struct service_spec *s, int64_t uptime_ms, struct rng *rng)
{
    if (uptime_ms >= BACKOFF_AT_ONCE_MS)
        b->quick = 0;
    else if (++b->quick > BACKOFF_AT_ONCE_FREE)
        return doubled(s, MIN_OF(b->quick - BACKOFF_AT_ONCE_FREE - 1, 40u), rng);
    return 0;
}

int64_t backoff_next(struct backoff *b, const struct service_spec *s, int64_t now, int64_t uptime_ms, struct rng *rng)
{
    b->fails += b->fails < UINT32_MAX;
    b->given_up = b->given_up || over_limit(b, s, now);
    if (b->given_up)
        return rng_jitter(rng, MAX_OF((int64_t)BACKOFF_SLOW_MS, s->restart.limit_ms), 10);
    if (s->restart.delay_ms == 0 && uptime_ms > 0)
        return without_delay(b, s, uptime_ms, rng);
    if (uptime_ms < BACKOFF_QUICK_MS)
        return doubled(s, b->quick++, rng);
    b->quick = 0;
    if (b->soft++ < BACKOFF_SOFT)
        return s->restart.delay_ms;
    return doubled(s, MIN_OF(b->soft - BACKOFF_SOFT - 1, 40u), rng);
}
