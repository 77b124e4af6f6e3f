#include "agent/health.h"
#include "base/cleanup.h"
#include "base/strbuf.h"

enum { HEALTH_JITTER_PCT = 10 };

static int64_t health_interval(const struct health *h, struct rng *rng)
{
    if (h->beats && h->spec->kind == PROBE_NOTIFY)
        return h->beat_ms > 0 ? h->beat_ms : h->spec->every_ms;
    int64_t interval = rng_jitter(rng, h->spec->every_ms, HEALTH_JITTER_PCT);
    return MAX_OF(interval, 1);
}

void health_begin(struct health *h, const struct probe_spec *spec, int64_t now, bool fast, bool beats, struct rng *rng)
{
    *h = (struct health){ .next_at = INT64_MAX };
    if (!spec || spec->kind == PROBE_NONE)
        return;
    h->spec = spec;
    h->fast = fast;
    h->beats = beats;
    h->gap_ms = HEALTH_FAST_FIRST_MS;
    if (spec->kind == PROBE_NOTIFY)
        h->next_at = beats ? now + health_interval(h, rng) : INT64_MAX;
    else
        h->next_at = fast ? now : now + health_interval(h, rng);
}

void health_end(struct health *h)
{
    *h = (struct health){ .next_at = INT64_MAX };
}

void health_respec(struct health *h, const struct probe_spec *spec, int64_t now, struct rng *rng)
{
    if (!h->spec || (spec && spec->kind == h->spec->kind)) {
        h->spec = h->spec ? spec : NULL;
        return;
    }
    bool fast = h->fast, beats = h->beats;
    health_begin(h, spec, now, fast, beats, rng);
}

void health_slow(struct health *h, int64_t now, struct rng *rng)
{
    if (!h->spec || !h->fast)
        return;
    h->fast = false;
    if (!h->in_flight && h->spec->kind != PROBE_NOTIFY)
        h->next_at = now + health_interval(h, rng);
}

bool health_due(const struct health *h, int64_t now)
{
    return h->spec && h->spec->kind != PROBE_NOTIFY && !h->in_flight && now >= h->next_at;
}

void health_asked(struct health *h, int64_t now, uint64_t serial)
{
    h->in_flight = true;
    h->serial = serial;
    h->asked_at = now;
    h->next_at = INT64_MAX;
}

bool health_overdue(const struct health *h, int64_t now)
{
    return h->in_flight && now >= h->asked_at + h->spec->timeout_ms + HEALTH_GRACE_MS;
}

bool health_beat_missed(const struct health *h, int64_t now)
{
    return h->spec && h->beats && h->spec->kind == PROBE_NOTIFY && now >= h->next_at;
}

static enum health_verdict health_count(struct health *h, bool pass, const char *detail)
{
    (void)fixed_copy(h->detail, sizeof(h->detail), detail ? detail : "");
    if (pass) {
        h->fails = 0;
        h->passes += h->passes < UINT32_MAX;
        return h->passes >= MAX_OF(h->spec->pass_after, 1u) ? HEALTH_PASSED : HEALTH_UNDECIDED;
    }
    h->passes = 0;
    h->fails += h->fails < UINT32_MAX;
    return h->fails >= MAX_OF(h->spec->fail_after, 1u) ? HEALTH_FAILED : HEALTH_UNDECIDED;
}

/* The regular interval counts from the asking, not from the answer: a slow answer makes no probe rarer. */
static void health_plan(struct health *h, int64_t now, struct rng *rng)
{
    if (!h->fast) {
        int64_t at = h->asked_at + health_interval(h, rng);
        h->next_at = MAX_OF(at, now);
        return;
    }
    int64_t every = MAX_OF(h->spec->every_ms, 1);
    h->next_at = now + MIN_OF(h->gap_ms, every);
    h->gap_ms = MIN_OF(h->gap_ms * 2, every);
}

enum health_verdict health_answer(struct health *h, int64_t now, uint64_t serial, bool pass, const char *detail, struct rng *rng)
{
    if (!h->spec || !h->in_flight || h->serial != serial)
        return HEALTH_UNDECIDED;
    h->in_flight = false;
    health_plan(h, now, rng);
    return health_count(h, pass, detail);
}

enum health_verdict health_told(struct health *h, int64_t now, bool pass, const char *detail, struct rng *rng)
{
    if (!h->spec || h->spec->kind != PROBE_NOTIFY)
        return HEALTH_UNDECIDED;
    if (h->beats)
        h->next_at = now + health_interval(h, rng);
    return health_count(h, pass, detail);
}

int64_t health_deadline(const struct health *h)
{
    if (!h->spec)
        return INT64_MAX;
    return h->in_flight ? h->asked_at + h->spec->timeout_ms + HEALTH_GRACE_MS : h->next_at;
}
