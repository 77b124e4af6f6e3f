/* The wanted set: as told, without what is known to be gone, and with slots that never get fewer. See balancer.h. */
#include <string.h>
#include "agent/balancer_internal.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/strbuf.h"
#include "base/banned.h"

static bool is_gone(const struct balancer *b, const char *id)
{
    for (size_t i = 0; i < b->gone_n; i++)
        if (strcmp(b->gone[i], id) == 0)
            return true;
    return false;
}

static void copy_upstream(struct upstream *to, const struct upstream *from)
{
    *to = *from;
    to->hosts = (struct strv){ 0 };
    strv_copy(&to->hosts, &from->hosts);
    to->path = xstrdup(from->path);
    to->check_path = xstrdup(from->check_path);
    to->servers = xcalloc(from->server_n + 1, sizeof *to->servers);
    if (from->server_n)
        memcpy(to->servers, from->servers, from->server_n * sizeof *to->servers);
}

static void copy_desired(struct balancer_desired *to, const struct balancer_desired *from)
{
    to->spec = from->spec;
    to->spec.name = xstrdup(from->spec.name);
    to->spec.listen_host = xstrdup(from->spec.listen_host ? from->spec.listen_host : "");
    to->spec.tls = xstrdup(from->spec.tls);
    to->spec.raw = xstrdup(from->spec.raw);
    to->upstreams = xcalloc(from->upstream_n + 1, sizeof *to->upstreams);
    to->upstream_n = from->upstream_n;
    for (size_t i = 0; i < from->upstream_n; i++)
        copy_upstream(&to->upstreams[i], &from->upstreams[i]);
}

/* Slots that the service has, in the wanted set so far or in a HAProxy that was adopted. */
static uint32_t slots_before(const struct balancer *b, const struct balancer_desired *was, const char *service)
{
    uint32_t n = 0;
    for (size_t i = 0; i < was->upstream_n; i++)
        if (strcmp(was->upstreams[i].service, service) == 0)
            n = was->upstreams[i].slots;
    for (size_t i = 0; b->cur && !b->cur->fresh && i < b->cur->stat.n; i++) {
        const struct hap_row *r = &b->cur->stat.v[i];
        if (r->kind == HAP_SERVER && strcmp(r->proxy, service) == 0)
            n = MAX_OF(n, hap_slot_of(r->server, service));
    }
    return n;
}

static void write_state(struct balancer *b)
{
    cleanup_free char *text = hap_state_text(&b->want);
    struct err e = { "" };
    if (b->state_text && strcmp(text, b->state_text) == 0)
        return;
    if (file_write_atomic(b->state_file, text, strlen(text), 0644, 0, &e) < 0) {
        fixed_copy(b->problem, sizeof b->problem, e.text);
        b->state_failed = true;
        return;
    }
    if (b->state_failed)
        b->problem[0] = 0;
    b->state_failed = false;
    free(b->state_text);
    b->state_text = TAKE(text);
}

/* The set changed: out with what is gone; the running ones are brought to it. */
static void rebuild_want(struct balancer *b)
{
    struct balancer_desired was = b->want, is = { 0 };
    copy_desired(&is, &b->told);
    for (size_t i = 0; i < is.upstream_n; i++) {
        struct upstream *u = &is.upstreams[i];
        u->slots = hap_slots(u, slots_before(b, &was, u->service));
        for (size_t k = 0; k < u->server_n && b->gone_n; k++)
            if (is_gone(b, u->servers[k].id))
                u->servers[k].state = SRV_MAINT;
    }
    b->want = is;
    balancer_desired_done(&was);
}

static void apply_want(struct balancer *b)
{
    struct hap_paths p = balancer_paths(b, "-", "-");
    struct err e = { "" };
    rebuild_want(b);
    b->serial++;
    uint64_t before = b->signature;
    b->signature = 0;
    if (hap_conf_signature(&b->want, &p, &b->signature, &e) < 0)
        fixed_copy(b->problem, sizeof b->problem, e.text);
    else if (b->signature != before && b->signature != b->bad)
        b->problem[0] = 0;
    write_state(b);
    for (size_t i = 0; i < GENS_MAX; i++) {
        b->gens[i].rounds = 0;
        hapgen_drive(&b->gens[i]);
    }
    balancer_step(b);
}

void balancer_refresh(struct balancer *b) { apply_want(b); }

static const struct upstream *upstream_of(const struct balancer *b, const char *id)
{
    size_t n = strcspn(id, ".");
    for (size_t i = 0; i < b->told.upstream_n; i++)
        if (strncmp(b->told.upstreams[i].service, id, n) == 0 && b->told.upstreams[i].service[n] == '\0')
            return &b->told.upstreams[i];
    return NULL;
}

static bool in_list(const struct upstream *u, const char *id)
{
    for (size_t k = 0; u && k < u->server_n; k++)
        if (strcmp(u->servers[k].id, id) == 0)
            return true;
    return false;
}

/* Kept as long as the service is here, listed or not: a set that was decided before the exit was heard of may still be under way. */
static void forget_gone(struct balancer *b)
{
    size_t kept = 0;
    for (size_t g = 0; g < b->gone_n; g++)
        if (upstream_of(b, b->gone[g]))
            memmove(b->gone[kept++], b->gone[g], ID_SIZE);
    b->gone_n = kept;
}

void balancer_set(struct balancer *b, uint64_t epoch, uint64_t revision, const struct balancer_desired *d)
{
    balancer_desired_done(&b->told);
    copy_desired(&b->told, d);
    b->has_want = true;
    b->stop = false;                        /* wanted again: what was told to end does, a new one is started */
    b->epoch = epoch;
    b->revision = revision;
    forget_gone(b);
    apply_want(b);
}

void balancer_instance_gone(struct balancer *b, const char *id)
{
    const struct upstream *u = upstream_of(b, id);
    if (!u || is_gone(b, id) || b->gone_n == GONE_MAX)
        return;
    b->gone = xrealloc(b->gone, (b->gone_n + 1) * sizeof *b->gone);
    fixed_printf(b->gone[b->gone_n++], "%s", id);
    if (!in_list(u, id))
        return;
    for (size_t i = 0; i < GENS_MAX; i++)
        if (b->gens[i].number)
            hapgen_maint(&b->gens[i], u->service, id);
    apply_want(b);
}

void balancer_instance_back(struct balancer *b, const char *id)
{
    size_t kept = 0, was = b->gone_n;
    for (size_t i = 0; i < b->gone_n; i++)
        if (strcmp(b->gone[i], id) != 0)
            memmove(b->gone[kept++], b->gone[i], ID_SIZE);
    b->gone_n = kept;
    if (kept != was && in_list(upstream_of(b, id), id))
        apply_want(b);
}
