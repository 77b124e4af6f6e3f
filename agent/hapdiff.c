#include "agent/hapdiff.h"
#include <arpa/inet.h>
#include <inttypes.h>
#include <string.h>
#include "agent/haproxy_conf.h"
#include "base/cleanup.h"
#include "base/banned.h"

struct lists { struct strbuf gone, come, drain, leave; size_t n; };

static void command(struct lists *l, struct strbuf *list, const struct hap_row *r, const char *what)
{
    strbuf_printf(list, "set server %s/%s %s\n", r->proxy, r->server, what);
    l->n++;
}

/* Spellings of one address differ for IPv6. */
static bool same_address(const char *a, const char *b)
{
    unsigned char x[16], y[16];
    if (strcmp(a, b) == 0)
        return true;
    return inet_pton(AF_INET6, a, x) == 1 && inet_pton(AF_INET6, b, y) == 1 && memcmp(x, y, sizeof x) == 0;
}

static void adjust(struct lists *l, const struct upstream *u, const struct hap_row *r)
{
    uint32_t maxconn = MAX_OF(u->maxconn, 1u);
    if (r->slim != (int64_t)maxconn) {
        strbuf_printf(&l->come, "set maxconn server %s/%s %" PRIu32 "\n", r->proxy, r->server, maxconn);
        l->n++;
    }
    if (r->has_state && r->check_on == u->panic) {
        strbuf_printf(&l->come, "%s health %s/%s\n", u->panic ? "disable" : "enable", r->proxy, r->server);
        l->n++;
    }
}

/* False: the slot must wait for the requests of its former address. */
static bool settle_address(struct lists *l, const struct upstream_server *s, const struct hap_row *r)
{
    char text[128];
    if (same_address(r->address, s->address) && r->port == s->port)
        return true;
    if (!r->maint) {
        command(l, &l->gone, r, "state maint");
        if (r->scur > 0)
            return false;
    } else if (r->scur > 0 && r->lastchg < HAPDIFF_REUSE_S) {
        return false;
    }
    fixed_printf(text, "addr %s port %" PRIu32, s->address, s->port);
    command(l, &l->come, r, text);
    return true;
}

static void place(struct lists *l, struct hapdiff *ret, const struct upstream *u, const struct upstream_server *s, const struct hap_row *r)
{
    bool moved = !same_address(r->address, s->address) || r->port != s->port;
    if (s->state == SRV_MAINT) {
        if (!r->maint)
            command(l, &l->gone, r, "state maint");
        return;
    }
    if (!settle_address(l, s, r)) {
        ret->waiting++;
        return;
    }
    adjust(l, u, r);
    if (s->state == SRV_READY && (moved || r->maint || r->drain))
        command(l, &l->come, r, "state ready");
    if (s->state == SRV_DRAIN && (moved || !r->drain))
        command(l, &l->drain, r, "state drain");
}

static const struct upstream_server *wanted_of(const struct upstream *u, const struct upstream_server *const *by_slot, uint32_t top, const char *server)
{
    uint32_t slot = hap_slot_of(server, u->service);
    return slot && slot <= top ? by_slot[slot] : NULL;
}

static void diff_upstream(struct lists *l, struct hapdiff *ret, const struct upstream *u, const struct hap_stat *present)
{
    uint32_t top = hap_slots(u, 0), placed = 0, good = 0;
    cleanup_free const struct upstream_server **by_slot = xcalloc((size_t)top + 1, sizeof *by_slot);
    for (size_t i = 0; i < u->server_n; i++) {
        const struct upstream_server *s = &u->servers[i];
        uint32_t slot = hap_slot_of(s->id, u->service);
        if (slot == 0 || by_slot[slot] || !hap_address_ok(s->address) || s->port == 0 || s->port > 65535) {
            ret->refused++;
            continue;
        }
        by_slot[slot] = s;
        good++;
    }
    const struct hap_row *first = hap_stat_find(present, u->service, HAP_BACKEND, NULL), *end = present->n ? present->v + present->n : NULL;
    for (const struct hap_row *r = first ? first + 1 : end; r < end && strcmp(r->proxy, u->service) == 0; r++) {
        const struct upstream_server *s = wanted_of(u, by_slot, top, r->server);
        if (s) {
            placed++;
            place(l, ret, u, s, r);
        } else if (!r->maint && hap_slot_of(r->server, u->service)) {
            command(l, &l->leave, r, "state maint");
        }
    }
    ret->missing += good - placed;
}

/* Backends that are not wanted any more, in a process that has not been replaced yet: out with their servers. */
static void diff_unwanted(struct lists *l, const struct balancer_desired *want, const struct hap_stat *present)
{
    for (size_t i = 0; i < present->n; i++) {
        const struct hap_row *r = &present->v[i];
        bool wanted = r->kind != HAP_SERVER || r->maint || hap_slot_of(r->server, r->proxy) == 0;   /* the last: of the `raw` part, not ours */
        for (size_t k = 0; k < want->upstream_n && !wanted; k++)
            wanted = strcmp(want->upstreams[k].service, r->proxy) == 0;
        if (!wanted)
            command(l, &l->leave, r, "state maint");
    }
}

void hapdiff(const struct balancer_desired *want, const struct hap_stat *present, struct hapdiff *ret)
{
    struct lists l = { 0 };
    for (size_t i = 0; i < want->upstream_n; i++)
        diff_upstream(&l, ret, &want->upstreams[i], present);
    diff_unwanted(&l, want, present);
    struct strbuf *const order[] = { &l.gone, &l.come, &l.drain, &l.leave };
    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        strbuf_add(&ret->commands, strbuf_str(order[i]), order[i]->len);
        strbuf_done(order[i]);
    }
    ret->n = l.n;
}

void hapdiff_done(struct hapdiff *d)
{
    strbuf_done(&d->commands);
    *d = (struct hapdiff){ 0 };
}
