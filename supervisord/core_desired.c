/* core_desired.c - the whole desired set, made from what is known; a copy for the caller. */
#include "supervisord/core_priv.h"
#include <stdlib.h>
#include <string.h>

static uint32_t add_spec(struct desired *d, const struct service *s, const struct release *r, size_t first)
{
    for (size_t i = first; i < d->spec_n; i++)
        if (d->specs[i].generation == r->generation)
            return (uint32_t)i;
    d->specs = xrealloc(d->specs, (d->spec_n + 1) * sizeof *d->specs);
    struct spec_ref *ref = &d->specs[d->spec_n];
    *ref = (struct spec_ref){ .generation = r->generation, .revision = r->revision, .owner_uid = r->owner_uid, .owner_gid = r->owner_gid,
                              .path_env = xstrdup(r->path_env), .json = xstrdup(r->json) };
    int rc = service_spec_from_json(s->name, r->json, &ref->spec, NULL);
    assert(rc == 0);                        /* it was read from this very text before */
    (void)rc;
    return (uint32_t)d->spec_n++;
}

static void add_items(struct desired *d, const struct service *s)
{
    size_t first = d->spec_n;
    d->items = xrealloc(d->items, (d->item_n + s->n + 1) * sizeof *d->items);
    for (size_t k = 0; k < s->n; k++) {
        struct desired_item *it = &d->items[d->item_n++];
        *it = (struct desired_item){ .spec_index = add_spec(d, s, s->inst[k]->rel, first), .want = s->inst[k]->want };
        memcpy(it->id, s->inst[k]->id, sizeof it->id);
    }
}

/* What HAProxy itself checks between our words: the readiness probe if it can do it, else whether the port is open. */
static void fill_check(struct upstream *u, const struct service_spec *spec)
{
    const struct probe_spec *p = &spec->health.readiness;
    bool has = p->kind == PROBE_HTTP || p->kind == PROBE_TCP;
    u->check = has ? p->kind : PROBE_TCP;
    u->check_path = xstrdup(p->kind == PROBE_HTTP ? p->http_path : NULL);
    u->check_every_ms = has && p->every_ms > 0 ? p->every_ms : 2000;
    u->check_timeout_ms = has && p->timeout_ms > 0 ? p->timeout_ms : 1000;
    u->check_fail_after = has && p->fail_after > 0 ? p->fail_after : 3;
}

static void add_server(struct upstream *u, const struct instance *i)
{
    struct upstream_server *sv = &u->servers[u->server_n++];
    *sv = (struct upstream_server){ .port = i->listed_port, .state = i->srv };
    memcpy(sv->id, i->id, sizeof sv->id);
    fixed_copy(sv->address, sizeof sv->address, "127.0.0.1");
}

static void add_upstream(struct balancer_desired *b, const struct service *s)
{
    const struct service_spec *spec = &s->target->spec;
    b->upstreams = xrealloc(b->upstreams, (b->upstream_n + 1) * sizeof *b->upstreams);
    struct upstream *u = &b->upstreams[b->upstream_n++];
    *u = (struct upstream){ .path = xstrdup(spec->balance.path ? spec->balance.path : "/"), .retry = spec->balance.retry,
                            .maxconn = spec->concurrency, .slots = s->slots, .panic = s->panic };
    fixed_copy(u->service, sizeof u->service, s->name);
    strv_copy(&u->hosts, &spec->balance.hosts);
    fill_check(u, spec);
    u->servers = xcalloc(s->n + 1, sizeof *u->servers);
    for (size_t k = 0; k < s->n && u->server_n < s->slots; k++)
        if (s->inst[k]->listed && s->inst[k]->srv != SRV_MAINT)
            add_server(u, s->inst[k]);
    for (size_t k = 0; k < s->n && u->server_n < s->slots; k++)     /* what is out anyway, as far as slots are left */
        if (s->inst[k]->listed && s->inst[k]->srv == SRV_MAINT)
            add_server(u, s->inst[k]);
}

static void add_balancer(const struct controller *c, struct desired *d, const struct balancer *b)
{
    d->balancers = xrealloc(d->balancers, (d->balancer_n + 1) * sizeof *d->balancers);
    struct balancer_desired *bd = &d->balancers[d->balancer_n++];
    *bd = (struct balancer_desired){ 0 };
    int rc = balancer_spec_from_json(b->name, b->json, &bd->spec, NULL);
    assert(rc == 0);
    (void)rc;
    for (size_t i = 0; i < c->svc_n; i++)
        if (controller_balancer_of(c, c->svc[i]) == b)
            add_upstream(bd, c->svc[i]);
}

void controller_desired(const struct controller *c, struct desired *ret)
{
    *ret = (struct desired){ .epoch = c->epoch, .revision = c->revision, .end = c->end };
    for (size_t i = 0; i < c->svc_n; i++)
        add_items(ret, c->svc[i]);
    for (size_t i = 0; i < c->bal_n && c->down_at == 0; i++)        /* `down`: no balancers any more once all instances are gone */
        add_balancer(c, ret, c->bal[i]);
}
