#include "agent/hapmetrics.h"
#include <math.h>
#include <string.h>
#include <uthash.h>
#include "agent/haproxy_conf.h"
#include "base/cleanup.h"
#include "base/strbuf.h"
#include "base/banned.h"

enum { POINTS = 7 };
struct point { int64_t ms; uint64_t requests, errors; };
struct name {
    char name[ID_SIZE];
    uint64_t requests, errors;
    struct point point[POINTS];             /* newest first */
    int points;
    UT_hash_handle hh;
};
struct hapmetrics { struct name *names; };

struct hapmetrics *hapmetrics_new(void) { return xcalloc(1, sizeof(struct hapmetrics)); }

void hapmetrics_free(struct hapmetrics *m)
{
    struct name *n, *next;
    if (!m)
        return;
    HASH_ITER(hh, m->names, n, next) {
        HASH_DEL(m->names, n);
        free(n);
    }
    free(m);
}

static struct name *name_of(struct hapmetrics *m, const char *name)
{
    struct name *n;
    HASH_FIND_STR(m->names, name, n);
    if (n || HASH_COUNT(m->names) >= HAPMETRICS_NAMES_MAX)
        return n;
    n = xcalloc(1, sizeof *n);
    fixed_copy(n->name, sizeof n->name, name);
    HASH_ADD_STR(m->names, name, n);
    return n;
}

static uint64_t grown(int64_t before, int64_t is)
{
    if (is <= 0)
        return 0;
    return (uint64_t)(is >= before && before > 0 ? is - before : is);
}

/* Of a service, those that clients got: the backend `_api` stands before `api`, where an answer that was cut counts though it was asked for again. */
static int64_t errors_of(const struct hap_stat *s, const struct hap_row *r)
{
    char outer[sizeof r->proxy + 1];
    fixed_printf(outer, "_%s", r->proxy);
    const struct hap_row *o = r->kind == HAP_BACKEND ? hap_stat_find(s, outer, HAP_BACKEND, NULL) : NULL;
    if (o)
        r = o;
    return MAX_OF(r->hrsp_5xx, 0) + (r->kind == HAP_SERVER ? MAX_OF(r->eresp, 0) : 0);
}

static int64_t requests_of(const struct hap_row *r) { return r->kind == HAP_SERVER ? r->stot : r->req_tot; }

void hapmetrics_add(struct hapmetrics *m, const struct hap_stat *before, const struct hap_stat *is, bool fresh)
{
    for (size_t i = 0; i < is->n; i++) {
        const struct hap_row *r = &is->v[i], *old = before ? hap_stat_find(before, r->proxy, r->kind, r->server) : NULL;
        if (r->kind == HAP_FRONTEND || r->proxy[0] == '_' || (r->kind == HAP_SERVER && (hap_slot_of(r->server, r->proxy) == 0 || (r->maint && requests_of(r) <= 0))))
            continue;                       /* a server of the `raw` part; a slot never used; muster's own */
        struct name *n = name_of(m, r->kind == HAP_SERVER ? r->server : r->proxy);
        if (!n || (!before && !fresh))
            continue;
        n->requests += grown(old ? requests_of(old) : 0, requests_of(r));
        n->errors += grown(old ? errors_of(before, old) : 0, errors_of(is, r));
    }
}

void hapmetrics_sample(struct hapmetrics *m, int64_t now_ms)
{
    struct name *n, *next;
    HASH_ITER(hh, m->names, n, next) {
        memmove(&n->point[1], &n->point[0], sizeof n->point - sizeof n->point[0]);
        n->point[0] = (struct point){ now_ms, n->requests, n->errors };
        n->points = MIN_OF(n->points + 1, POINTS);
    }
}

bool hapmetrics_figures(const struct hapmetrics *m, int64_t now_ms, const char *name, struct hapmetrics_figures *ret)
{
    const struct name *n;
    HASH_FIND_STR(m->names, name, n);
    if (!n)
        return false;
    *ret = (struct hapmetrics_figures){ n->requests, n->errors, NAN, NAN, n->points ? now_ms - n->point[0].ms : INT64_MAX };
    int last = n->points - 1;
    while (last > 1 && n->point[0].ms - n->point[last].ms > HAPMETRICS_RATE_MS)
        last--;
    if (last < 1 || n->point[0].ms <= n->point[last].ms)
        return true;
    double seconds = (double)(n->point[0].ms - n->point[last].ms) / 1000;
    ret->rate = (double)(n->point[0].requests - n->point[last].requests) / seconds;
    ret->error_rate = (double)(n->point[0].errors - n->point[last].errors) / seconds;
    return true;
}
