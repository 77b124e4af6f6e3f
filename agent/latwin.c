#include "agent/latwin.h"
#include <math.h>
#include <string.h>
#include <uthash.h>
#include "base/cleanup.h"
#include "base/hist.h"
#include "base/strbuf.h"
#include "base/banned.h"

struct slices { int64_t number[LATWIN_SLICES]; struct hist hist[LATWIN_SLICES]; };   /* number: now / LATWIN_SLICE_MS; -1 none */
struct name {
    char name[ID_SIZE];
    uint64_t seen;
    int64_t last_ms;
    struct slices *slices;
    UT_hash_handle hh;
};
struct latwin { struct name *names; uint64_t dropped; };

struct latwin *latwin_new(void) { return xcalloc(1, sizeof(struct latwin)); }

void latwin_free(struct latwin *w)
{
    struct name *n, *next;
    if (!w)
        return;
    HASH_ITER(hh, w->names, n, next) {
        HASH_DEL(w->names, n);
        free(n->slices);
        free(n);
    }
    free(w);
}

static struct name *find(const struct latwin *w, const char *name)
{
    struct name *n;
    HASH_FIND_STR(w->names, name, n);
    return n;
}

static struct name *make(struct latwin *w, const char *name)
{
    if (HASH_COUNT(w->names) >= LATWIN_NAMES_MAX) {
        w->dropped++;
        return NULL;
    }
    struct name *n = xcalloc(1, sizeof *n);
    fixed_copy(n->name, sizeof n->name, name);
    HASH_ADD_STR(w->names, name, n);
    return n;
}

static struct hist *slice_of(struct name *n, int64_t now_ms)
{
    int64_t number = now_ms / LATWIN_SLICE_MS;
    int at = (int)(number % LATWIN_SLICES);
    if (!n->slices) {
        n->slices = xcalloc(1, sizeof *n->slices);
        memset(n->slices->number, -1, sizeof n->slices->number);
    }
    if (n->slices->number[at] != number) {
        hist_reset(&n->slices->hist[at]);
        n->slices->number[at] = number;
    }
    return &n->slices->hist[at];
}

void latwin_add(struct latwin *w, int64_t now_ms, const char *name, int64_t us)
{
    struct name *n = find(w, name);
    if (!n && !(n = make(w, name)))
        return;
    n->seen++;
    n->last_ms = now_ms;
    if (us >= 0)
        hist_add(slice_of(n, now_ms), (uint64_t)us);
}

static double quantile_ms(const struct hist *h, double q)
{
    int64_t us = hist_quantile_us(h, q);
    return us < 0 ? NAN : (double)us / 1000;
}

void latwin_figures(const struct latwin *w, int64_t now_ms, const char *name, struct latwin_figures *ret)
{
    const struct name *n = find(w, name);
    *ret = (struct latwin_figures){ NAN, NAN, NAN, 0, n ? n->seen : 0 };
    if (!n || !n->slices)
        return;
    cleanup_free struct hist *all = xcalloc(1, sizeof *all);
    for (int i = 0; i < LATWIN_SLICES; i++) {
        int64_t begin = n->slices->number[i] * LATWIN_SLICE_MS;
        if (n->slices->number[i] >= 0 && begin > now_ms - LATWIN_WINDOW_MS && begin <= now_ms)
            hist_merge(all, &n->slices->hist[i]);
    }
    ret->p50_ms = quantile_ms(all, 0.5);
    ret->p95_ms = quantile_ms(all, 0.95);
    ret->p99_ms = quantile_ms(all, 0.99);
    ret->samples = (uint32_t)MIN_OF(all->total, UINT32_MAX);
}

void latwin_expire(struct latwin *w, int64_t now_ms)
{
    struct name *n, *next;
    HASH_ITER(hh, w->names, n, next) {
        if (now_ms - n->last_ms < LATWIN_IDLE_MS)
            continue;
        free(TAKE(n->slices));
        if (strchr(n->name, '.')) {         /* a service's count is told for as long as this runs */
            HASH_DEL(w->names, n);
            free(n);
        }
    }
}

uint64_t latwin_dropped(const struct latwin *w) { return w->dropped; }
