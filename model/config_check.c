/* config_check.c - what must fit between services and balancers. See draft.h. */
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "model/draft.h"
#include "model/suggest.h"

static int compare_name(const void *key, const void *item)
{
    return strcmp(key, ((const struct draft_service *)item)->at.name);
}

/* Index of the service, or -1. They are sorted. */
static int find_service(const struct draft *d, const char *name)
{
    const struct draft_service *s = bsearch(name, d->services, d->service_n, sizeof *d->services, compare_name);
    return s ? (int)(s - d->services) : -1;
}

static const struct draft_balancer *find_balancer(const struct draft *d, const char *name)
{
    for (size_t i = 0; i < d->balancer_n; i++)
        if (strcmp(d->balancers[i].at.name, name) == 0)
            return &d->balancers[i];
    return NULL;
}

/* --- after ---------------------------------------------------------------------------------------------- */
static void complain_unknown_service(struct draft *d, const struct draft_service *s, const char *name)
{
    char what[PROBLEM_QUOTE_SIZE];
    struct suggest near = { .word = name };
    for (size_t i = 0; i < d->service_n && !problems_full(&d->p); i++)
        suggest_offer(&near, d->services[i].at.name);
    draft_complain_in(d, &s->at, "after", name, "there is no service %s%s%s%s", problem_quote(name, what), near.best ? ", did you mean " : "",
                   near.best ? near.best : "", near.best ? "?" : ", expected the name of one in this configuration");
}

enum visit { VISIT_NEW, VISIT_OPEN, VISIT_CLOSED };
struct walk { struct draft *d; enum visit *state; int *path; int depth; };

/* "a -> b -> a", cut in the middle if it is long. */
static void complain_cycle(struct walk *w, int back_to)
{
    cleanup_strbuf struct strbuf text = STRBUF_INIT;
    int from = w->depth - 1;
    while (w->path[from] != back_to)
        from--;
    for (int i = from; i < w->depth; i++)
        if (i < from + 8)
            strbuf_printf(&text, "%s -> ", w->d->services[w->path[i]].at.name);
        else if (i == from + 8)
            strbuf_puts(&text, "... -> ");
    strbuf_puts(&text, w->d->services[back_to].at.name);
    draft_complain(w->d, &w->d->services[back_to].at, "after", "a cycle, so none could start: %s", strbuf_str(&text));
}

/* Depth at most the number of services (CONFIG_SERVICES_MAX). */
static void visit(struct walk *w, int at)
{
    const struct strv *after = &w->d->services[at].spec.after;
    w->state[at] = VISIT_OPEN;
    w->path[w->depth++] = at;
    for (size_t i = 0; i < after->n; i++) {
        int next = find_service(w->d, after->v[i]);
        if (next < 0)
            complain_unknown_service(w->d, &w->d->services[at], after->v[i]);
        else if (w->state[next] == VISIT_OPEN)
            complain_cycle(w, next);
        else if (w->state[next] == VISIT_NEW)
            visit(w, next);
    }
    w->depth--;
    w->state[at] = VISIT_CLOSED;
}

static void check_after(struct draft *d)
{
    cleanup_free enum visit *state = xcalloc(d->service_n, sizeof *state);
    cleanup_free int *path = xcalloc(d->service_n, sizeof *path);
    struct walk w = { d, state, path, 0 };
    for (size_t i = 0; i < d->service_n; i++)
        if (state[i] == VISIT_NEW)
            visit(&w, (int)i);
}

/* --- ports ------------------------------------------------------------------------------------------------ */
struct port_use { uint32_t port; const char *host; const struct draft_item *at; const char *key; };

static int compare_ports(const void *a, const void *b)
{
    const struct port_use *x = a, *y = b;
    if (x->port != y->port)
        return x->port < y->port ? -1 : 1;
    int c = strcmp(x->host, y->host);   /* "" (all addresses) first, so that it meets every other */
    return c ? c : strcmp(x->at->name, y->at->name);
}

static bool overlap(const struct port_use *a, const struct port_use *b)
{
    return a->port == b->port && (!*a->host || !*b->host || strcmp(a->host, b->host) == 0);
}

static void check_ports(struct draft *d)
{
    cleanup_free struct port_use *uses = xcalloc(d->service_n + d->balancer_n, sizeof *uses);
    size_t n = 0;
    for (size_t i = 0; i < d->balancer_n; i++)
        if (d->balancers[i].spec.listen_port)
            uses[n++] = (struct port_use){ d->balancers[i].spec.listen_port, d->balancers[i].spec.listen_host, &d->balancers[i].at, "haproxy.listen" };
    for (size_t i = 0; i < d->service_n; i++)
        if (d->services[i].spec.port_kind == PORT_FIXED)
            uses[n++] = (struct port_use){ d->services[i].spec.port, "", &d->services[i].at, "port" };
    if (n > 1)
        qsort(uses, n, sizeof *uses, compare_ports);
    size_t first = 0;                   /* of the same port */
    for (size_t i = 1; i < n; i++) {
        if (uses[i].port != uses[first].port)
            first = i;
        const struct port_use *other = overlap(&uses[first], &uses[i]) ? &uses[first] : &uses[i - 1];
        if (first != i && overlap(other, &uses[i]))
            draft_complain(d, uses[i].at, uses[i].key, "port %u is also that of %s.%s", uses[i].port, other->at->kind, other->at->name);
    }
}

/* --- balancers and routes ------------------------------------------------------------------------------------- */
static void complain_unknown_balancer(struct draft *d, const struct draft_service *s)
{
    char what[PROBLEM_QUOTE_SIZE];
    const char *key = draft_seen(&s->at, "balance.with") ? "balance.with" : "balance";
    struct suggest near = { .word = s->spec.balance.with };
    for (size_t i = 0; i < d->balancer_n; i++)
        suggest_offer(&near, d->balancers[i].at.name);
    problem_quote(s->spec.balance.with, what);
    if (near.best)
        draft_complain(d, &s->at, key, "there is no balancer %s, did you mean %s?", what, near.best);
    else if (d->balancer_n)
        draft_complain(d, &s->at, key, "there is no balancer %s, expected e.g. %s", what, d->balancers[0].at.name);
    else
        draft_complain(d, &s->at, key, "there is no balancer %s, expected one such as balancers: { edge: { haproxy: { listen: \":8080\" } } }", what);
}

struct route { const char *balancer, *host, *path; const struct draft_service *service; };

static int compare_routes(const void *a, const void *b)
{
    const struct route *x = a, *y = b;
    int c = strcmp(x->balancer, y->balancer);
    c = c ? c : strcmp(x->host, y->host);
    c = c ? c : strcmp(x->path, y->path);
    return c ? c : strcmp(x->service->at.name, y->service->at.name);
}

static size_t count_routes(const struct draft *d)
{
    size_t n = 0;
    for (size_t i = 0; i < d->service_n; i++)
        n += MAX_OF(d->services[i].spec.balance.hosts.n, (size_t)1);
    return n;
}

static void add_routes(const struct draft_service *s, struct route *routes, size_t *n)
{
    const char *path = s->spec.balance.path ? s->spec.balance.path : "/";
    const struct strv *hosts = &s->spec.balance.hosts;
    for (size_t i = 0; i < MAX_OF(hosts->n, (size_t)1); i++)
        routes[(*n)++] = (struct route){ s->spec.balance.with, hosts->n ? hosts->v[i] : "", path, s };
}

static void check_routes(struct draft *d)
{
    cleanup_free struct route *routes = xcalloc(count_routes(d), sizeof *routes);
    size_t n = 0;
    for (size_t i = 0; i < d->service_n; i++) {
        const struct draft_service *s = &d->services[i];
        if (!s->spec.balance.with)
            continue;
        if (find_balancer(d, s->spec.balance.with))
            add_routes(s, routes, &n);
        else
            complain_unknown_balancer(d, s);
    }
    if (n > 1)
        qsort(routes, n, sizeof *routes, compare_routes);
    for (size_t i = 1; i < n; i++) {
        const struct route *a = &routes[i - 1], *b = &routes[i];
        if (strcmp(a->balancer, b->balancer) == 0 && strcmp(a->host, b->host) == 0 && strcmp(a->path, b->path) == 0)
            draft_complain(d, &b->service->at, "balance", "%s%s at %s goes to service %s already: expected other `hosts` or another `path`",
                           *b->host ? b->host : "any host, ", b->path, b->balancer, a->service->at.name);
    }
}

void config_check(struct draft *d)
{
    if (d->service_n == 0 && d->p.n == 0)
        problem_add(&d->p, 0, 1, 1, "", "there is no service in it, expected `services:` with at least one");
    check_after(d);
    check_ports(d);
    check_routes(d);
}
