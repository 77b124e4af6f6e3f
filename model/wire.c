/* wire.c - packing, and what both directions share. Reading is in wire_read.c. */
#include "model/wire.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/utf8.h"
#include "model/muster.pb-c.h"
#include "model/wire_fields.h"

void wire_msg_done(struct wire_msg *m)
{
    switch (m->kind) {
    case WIRE_DESIRED: desired_done(&m->desired); break;
    case WIRE_HELLO: desired_done(&m->hello.had); break;
    case WIRE_STATUS: free(m->status.v); break;
    case WIRE_METRICS: free(m->metrics.iv); free(m->metrics.sv); break;
    case WIRE_BALANCER: free(m->balancer.servers); break;
    default: break;
    }
    *m = (struct wire_msg){0};
}

/* What is packed borrows from the message; only the generated structs themselves, and cleaned texts, live here until the end of wire_pack. */
struct arena { struct arena_part { struct arena_part *next; max_align_t data[]; } *head; };

static void *arena_get(struct arena *a, size_t n, size_t size)
{
    struct arena_part *p = xcalloc(1, sizeof *p + n * size);
    p->next = a->head;
    a->head = p;
    return p->data;
}

static void arena_done(struct arena *a)
{
    while (a->head) {
        struct arena_part *next = a->head->next;
        free(a->head);
        a->head = next;
    }
}
#define cleanup_arena __attribute__((cleanup(arena_done)))

/* n initialised messages in one block, and the array of pointers to them that protobuf-c wants. */
#define MANY(a, Type, init, n, ret_list) __extension__({ \
    Type *many_ = arena_get(a, (n), sizeof *many_); \
    (ret_list) = arena_get(a, (n), sizeof *(ret_list)); \
    for (size_t k_ = 0; k_ < (n); k_++) { \
        many_[k_] = (Type)init; \
        (ret_list)[k_] = &many_[k_]; \
    } \
    many_; })

static char *or_empty(char *s) { static char none[1] = ""; return s ? s : none; }
static char *borrowed(const char *s) { return (char *)(uintptr_t)s; }      /* protobuf-c's structs have no const; packing only reads */

static char *clean_text(struct arena *a, const char *s)
{
    size_t size = strlen(s) + 1;
    char *copy = arena_get(a, size, 1);
    utf8_clean(copy, size, s);
    return copy;
}

static char *kept_json(struct arena *a, char *made)
{
    char *copy = arena_get(a, strlen(made) + 1, 1);
    memcpy(copy, made, strlen(made) + 1);
    free(made);
    return copy;
}

static void put_upstream(struct arena *a, const struct upstream *u, Muster__Upstream *p)
{
    p->service = borrowed(u->service);
    p->n_hosts = u->hosts.n;
    p->hosts = u->hosts.v;
    p->path = or_empty(u->path);
    p->retry = u->retry;
    p->check = u->check;
    p->check_path = or_empty(u->check_path);
    p->panic = u->panic;
#define X(f) p->f = u->f;
    UPSTREAM_NUMBERS(X)
#undef X
    p->n_servers = u->server_n;
    Muster__Server *s = MANY(a, Muster__Server, MUSTER__SERVER__INIT, u->server_n, p->servers);
    for (size_t i = 0; i < u->server_n; i++) {
        s[i].id = u->servers[i].id;
        s[i].address = u->servers[i].address;
        s[i].port = u->servers[i].port;
        s[i].state = u->servers[i].state;
    }
}

static void put_balancer(struct arena *a, const struct balancer_desired *b, Muster__Balancer *p)
{
    p->name = or_empty(b->spec.name);
    p->json = kept_json(a, balancer_spec_to_json(&b->spec));
    p->n_upstreams = b->upstream_n;
    Muster__Upstream *u = MANY(a, Muster__Upstream, MUSTER__UPSTREAM__INIT, b->upstream_n, p->upstreams);
    for (size_t i = 0; i < b->upstream_n; i++)
        put_upstream(a, &b->upstreams[i], &u[i]);
}

static void put_spec(struct arena *a, const struct spec_ref *r, Muster__SpecRef *p)
{
    p->generation = r->generation;
    p->revision = r->revision;
    p->service = or_empty(r->spec.name);
    p->owner_uid = r->owner_uid;
    p->owner_gid = r->owner_gid;
    p->path_env = or_empty(r->path_env);
    p->json = r->json ? r->json : kept_json(a, service_spec_to_json(&r->spec));
}

static Muster__Desired *put_desired(struct arena *a, const struct desired *d)
{
    Muster__Desired *p = arena_get(a, 1, sizeof *p);
    *p = (Muster__Desired)MUSTER__DESIRED__INIT;
    p->epoch = d->epoch;
    p->revision = d->revision;
    p->end = d->end;
    p->n_specs = d->spec_n;
    Muster__SpecRef *r = MANY(a, Muster__SpecRef, MUSTER__SPEC_REF__INIT, d->spec_n, p->specs);
    for (size_t i = 0; i < d->spec_n; i++)
        put_spec(a, &d->specs[i], &r[i]);
    p->n_items = d->item_n;
    Muster__Item *it = MANY(a, Muster__Item, MUSTER__ITEM__INIT, d->item_n, p->items);
    for (size_t i = 0; i < d->item_n; i++) {
        it[i].id = d->items[i].id;
        it[i].spec_index = d->items[i].spec_index;
        it[i].want = d->items[i].want;
    }
    p->n_balancers = d->balancer_n;
    Muster__Balancer *b = MANY(a, Muster__Balancer, MUSTER__BALANCER__INIT, d->balancer_n, p->balancers);
    for (size_t i = 0; i < d->balancer_n; i++)
        put_balancer(a, &d->balancers[i], &b[i]);
    return p;
}

static Muster__Hello *put_hello(struct arena *a, const struct hello *h)
{
    Muster__Hello *p = arena_get(a, 1, sizeof *p);
    *p = (Muster__Hello)MUSTER__HELLO__INIT;
    p->version = h->version;
    p->name = borrowed(h->name);
    p->epoch = h->epoch;
    p->revision = h->revision;
    p->log_folder = borrowed(h->log_folder);
    if (h->has_had)
        p->had = put_desired(a, &h->had);
    return p;
}

static Muster__Status *put_status(struct arena *a, const struct wire_msg *m)
{
    Muster__Status *p = arena_get(a, 1, sizeof *p);
    *p = (Muster__Status)MUSTER__STATUS__INIT;
    p->seq = m->status.seq;
    p->full = m->status.full;
    p->n_instances = m->status.n;
    Muster__InstStatus *s = MANY(a, Muster__InstStatus, MUSTER__INST_STATUS__INIT, m->status.n, p->instances);
    for (size_t i = 0; i < m->status.n; i++) {
        const struct inst_status *v = &m->status.v[i];
        s[i].id = borrowed(v->id);
        s[i].service = borrowed(v->service);
        s[i].state = v->state;
        s[i].exit_kind = v->last_exit.kind;
        s[i].exit_value = v->last_exit.value;
        s[i].reason = clean_text(a, v->reason);
        s[i].text = clean_text(a, v->text);
#define X(f) s[i].f = v->f;
        INST_STATUS_NUMBERS(X)
#undef X
    }
    return p;
}

static Muster__Metrics *put_metrics(struct arena *a, const struct wire_msg *m)
{
    Muster__Metrics *p = arena_get(a, 1, sizeof *p);
    *p = (Muster__Metrics)MUSTER__METRICS__INIT;
    p->n_instances = m->metrics.in;
    Muster__InstMetrics *iv = MANY(a, Muster__InstMetrics, MUSTER__INST_METRICS__INIT, m->metrics.in, p->instances);
    for (size_t i = 0; i < m->metrics.in; i++) {
        const struct inst_metrics *v = &m->metrics.iv[i];
        iv[i].id = borrowed(v->id);
        iv[i].age_ms = v->age_ms;
        iv[i].samples = v->samples;
#define X(f) iv[i].f = v->f;
        INST_METRICS_DOUBLES(X)
#undef X
    }
    p->n_services = m->metrics.sn;
    Muster__SvcMetrics *sv = MANY(a, Muster__SvcMetrics, MUSTER__SVC_METRICS__INIT, m->metrics.sn, p->services);
    for (size_t i = 0; i < m->metrics.sn; i++) {
        const struct svc_metrics *v = &m->metrics.sv[i];
        sv[i].service = borrowed(v->service);
        sv[i].age_ms = v->age_ms;
#define X(f) sv[i].f = v->f;
        SVC_METRICS_DOUBLES(X)
        SVC_METRICS_COUNTS(X)
#undef X
    }
    return p;
}

static Muster__BalancerReport *put_report(struct arena *a, const struct balancer_report *r)
{
    Muster__BalancerReport *p = arena_get(a, 1, sizeof *p);
    *p = (Muster__BalancerReport)MUSTER__BALANCER_REPORT__INIT;
    p->name = borrowed(r->name);
    p->epoch = r->epoch;
    p->revision = r->revision;
    p->running = r->running;
    p->pid = r->pid;
    p->problem = clean_text(a, r->problem);
    p->n_servers = r->server_n;
    Muster__ServerReport *s = MANY(a, Muster__ServerReport, MUSTER__SERVER_REPORT__INIT, r->server_n, p->servers);
    for (size_t i = 0; i < r->server_n; i++) {
        s[i].id = r->servers[i].id;
        s[i].state = r->servers[i].state;
        s[i].up = r->servers[i].up;
        s[i].in_flight = r->servers[i].in_flight;
        s[i].queued = r->servers[i].queued;
    }
    return p;
}

static Muster__Event *put_event(struct arena *a, const struct muster_event *v)
{
    Muster__Event *p = arena_get(a, 1, sizeof *p);
    *p = (Muster__Event)MUSTER__EVENT__INIT;
    p->wall_ms = v->wall_ms;
    p->level = v->level;
    p->kind = borrowed(v->kind);
    p->subject = borrowed(v->subject);
    p->text = clean_text(a, v->text);
    return p;
}

static void pack_into(const ProtobufCMessage *p, struct strbuf *out)
{
    size_t size = protobuf_c_message_get_packed_size(p);
    uint8_t *bytes = xmalloc(size);
    protobuf_c_message_pack(p, bytes);
    strbuf_add(out, bytes, size);
    free(bytes);
}

static void pack_to_agent(struct arena *a, const struct wire_msg *m, struct strbuf *out)
{
    Muster__ToAgent to = MUSTER__TO_AGENT__INIT;
    Muster__Resync resync = MUSTER__RESYNC__INIT;
    if (m->kind == WIRE_DESIRED) {
        to.kind_case = MUSTER__TO_AGENT__KIND_DESIRED;
        to.desired = put_desired(a, &m->desired);
    } else {
        to.kind_case = MUSTER__TO_AGENT__KIND_RESYNC;
        to.resync = &resync;
    }
    pack_into(&to.base, out);
}

void wire_pack(const struct wire_msg *m, struct strbuf *out)
{
    cleanup_arena struct arena a = {0};
    Muster__FromAgent from = MUSTER__FROM_AGENT__INIT;
    Muster__Beat beat = MUSTER__BEAT__INIT;
    Muster__End end = MUSTER__END__INIT;
    switch (m->kind) {
    case WIRE_DESIRED:
    case WIRE_RESYNC:
        pack_to_agent(&a, m, out);
        return;
    case WIRE_HELLO:
        from.kind_case = MUSTER__FROM_AGENT__KIND_HELLO;
        from.hello = put_hello(&a, &m->hello);
        break;
    case WIRE_STATUS:
        from.kind_case = MUSTER__FROM_AGENT__KIND_STATUS;
        from.status = put_status(&a, m);
        break;
    case WIRE_METRICS:
        from.kind_case = MUSTER__FROM_AGENT__KIND_METRICS;
        from.metrics = put_metrics(&a, m);
        break;
    case WIRE_BALANCER:
        from.kind_case = MUSTER__FROM_AGENT__KIND_BALANCER;
        from.balancer = put_report(&a, &m->balancer);
        break;
    case WIRE_EVENT:
        from.kind_case = MUSTER__FROM_AGENT__KIND_EVENT;
        from.event = put_event(&a, &m->event);
        break;
    case WIRE_BEAT:
        from.kind_case = MUSTER__FROM_AGENT__KIND_BEAT;
        beat.seq = m->beat;
        from.beat = &beat;
        break;
    case WIRE_END:
        from.kind_case = MUSTER__FROM_AGENT__KIND_END;
        from.end = &end;
        break;
    case WIRE_NONE:
        assert(!"a message without a kind");
        return;
    }
    pack_into(&from.base, out);
}
