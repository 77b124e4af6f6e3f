#include <stdlib.h>
#include <string.h>
#include "supervisord/core_priv.h"

struct controller *controller_new(struct controller_options o)
{
    struct controller *c = xcalloc(1, sizeof *c);
    c->epoch = o.epoch;
    c->revision = o.revision_start;
    c->generation = o.epoch << 20;          /* unique across epochs; loading raises it above all that are known */
    c->resend = true;
    c->events = xcalloc(EVENTS_MAX, sizeof *c->events);
    return c;
}

void controller_balancer_free(struct balancer *b)
{
    if (!b)
        return;
    balancer_spec_done(&b->spec);
    free(b->report.servers);
    free(b->source);
    free(b->json);
    free(b);
}

void controller_free(struct controller *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->svc_n; i++)
        service_free(c->svc[i]);
    for (size_t i = 0; i < c->bal_n; i++)
        controller_balancer_free(c->bal[i]);
    free(c->svc);
    free(c->bal);
    free(c->tombs);
    free(c->events);
    free(c);
}

/* --- the sets ------------------------------------------------------------------------------------------------ */
static size_t service_index(const struct controller *c, const char *name)
{
    size_t lo = 0, hi = c->svc_n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (strcmp(c->svc[mid]->name, name) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

struct service *controller_find(const struct controller *c, const char *name)
{
    size_t at = service_index(c, name);
    return at < c->svc_n && !strcmp(c->svc[at]->name, name) ? c->svc[at] : NULL;
}

static void drop_tomb(struct controller *c, const char *kind, const char *name)
{
    for (size_t i = 0; i < c->tomb_n; i++)
        if (!strcmp(c->tombs[i].kind, kind) && !strcmp(c->tombs[i].name, name)) {
            c->tombs[i] = c->tombs[--c->tomb_n];
            return;
        }
}

static void add_tomb(struct controller *c, const char *kind, const char *name)
{
    drop_tomb(c, kind, name);
    c->tombs = xrealloc(c->tombs, (c->tomb_n + 1) * sizeof *c->tombs);
    struct tomb *t = &c->tombs[c->tomb_n++];
    fixed_copy(t->kind, sizeof t->kind, kind);
    fixed_copy(t->name, sizeof t->name, name);
}

static void insert_service(struct controller *c, struct service *s)
{
    size_t at = service_index(c, s->name);
    c->svc = xrealloc(c->svc, (c->svc_n + 1) * sizeof *c->svc);
    memmove(&c->svc[at + 1], &c->svc[at], (c->svc_n - at) * sizeof *c->svc);
    c->svc[at] = s;
    c->svc_n++;
    drop_tomb(c, "service", s->name);
}

struct service *controller_add_service(struct controller *c, const char *name)
{
    struct service *s = service_new(name);
    insert_service(c, s);
    return s;
}

static void remove_service(struct controller *c, size_t at)
{
    add_tomb(c, "service", c->svc[at]->name);
    service_free(c->svc[at]);
    memmove(&c->svc[at], &c->svc[at + 1], (c->svc_n - at - 1) * sizeof *c->svc);
    c->svc_n--;
}

struct balancer *controller_find_balancer(const struct controller *c, const char *name)
{
    for (size_t i = 0; name && i < c->bal_n; i++)
        if (!strcmp(c->bal[i]->name, name))
            return c->bal[i];
    return NULL;
}

static void insert_balancer(struct controller *c, struct balancer *b)
{
    size_t at = 0;
    while (at < c->bal_n && strcmp(c->bal[at]->name, b->name) < 0)
        at++;
    c->bal = xrealloc(c->bal, (c->bal_n + 1) * sizeof *c->bal);
    memmove(&c->bal[at + 1], &c->bal[at], (c->bal_n - at) * sizeof *c->bal);
    c->bal[at] = b;
    c->bal_n++;
    drop_tomb(c, "balancer", b->name);
}

struct balancer *controller_add_balancer(struct controller *c, const char *name)
{
    struct balancer *b = xcalloc(1, sizeof *b);
    fixed_copy(b->name, sizeof b->name, name);
    insert_balancer(c, b);
    return b;
}

void controller_remove_balancer(struct controller *c, struct balancer *b)
{
    add_tomb(c, "balancer", b->name);
    for (size_t i = 0; i < c->bal_n; i++)
        if (c->bal[i] == b) {
            memmove(&c->bal[i], &c->bal[i + 1], (c->bal_n - i - 1) * sizeof *c->bal);
            c->bal_n--;
            break;
        }
    controller_balancer_free(b);
}

struct balancer *controller_balancer_of(const struct controller *c, const struct service *s)
{
    return controller_find_balancer(c, s->target->spec.balance.with);
}

struct instance *controller_instance(const struct controller *c, const char *id, struct service **ret)
{
    char name[NAME_LEN_MAX + 1];
    uint32_t slot;
    struct service *s = instance_id_parse(id, name, sizeof name, &slot) < 0 ? NULL : controller_find(c, name);
    if (ret)
        *ret = s;
    return s ? service_slot(s, slot) : NULL;
}

/* --- small common things --------------------------------------------------------------------------------------- */
uint64_t controller_bump(struct controller *c)
{
    if (!c->synced) {               /* nothing is sent that was made in ignorance: once the agent has told what is */
        c->resend = true;
        return c->revision + 1;
    }
    if (!c->bumped)
        c->revision++;
    c->bumped = true;
    return c->revision;
}

uint64_t controller_generation(struct controller *c) { return ++c->generation; }

void service_changed(struct service *s) { s->dirty = s->stale = s->views_stale = true; }

void controller_event(struct controller *c, int level, const char *kind, const char *subject, const char *fmt, ...)
{
    struct muster_event *e = &c->events[(c->event_at + c->event_n) % EVENTS_MAX];
    if (c->event_n == EVENTS_MAX)
        c->event_at = (c->event_at + 1) % EVENTS_MAX;
    else
        c->event_n++;
    *e = (struct muster_event){ .level = level };
    fixed_copy(e->kind, sizeof e->kind, kind);
    fixed_copy(e->subject, sizeof e->subject, subject);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(e->text, sizeof e->text, fmt, ap);
    va_end(ap);
}

bool controller_next_event(struct controller *c, struct muster_event *ret)
{
    if (c->event_n == 0)
        return false;
    *ret = c->events[c->event_at];
    c->event_at = (c->event_at + 1) % EVENTS_MAX;
    c->event_n--;
    return true;
}

void controller_begin(struct controller *c, int64_t now)
{
    c->now = now;
    c->bumped = false;
}

uint64_t controller_revision(const struct controller *c) { return c->revision; }
bool controller_synced(const struct controller *c) { return c->synced; }
bool controller_ended(const struct controller *c) { return c->end; }

/* --- persistence ------------------------------------------------------------------------------------------------- */
static void fill_row(struct controller_row *r, const char *kind, const char *name, char *json)
{
    *r = (struct controller_row){ .json = json };
    fixed_copy(r->kind, sizeof r->kind, kind);
    fixed_copy(r->name, sizeof r->name, name);
}

bool controller_next_dirty(struct controller *c, struct controller_row *ret)
{
    if (c->tomb_n > 0) {
        struct tomb *t = &c->tombs[--c->tomb_n];
        fill_row(ret, t->kind, t->name, NULL);
        return true;
    }
    for (size_t i = 0; i < c->bal_n; i++)
        if (c->bal[i]->dirty) {
            c->bal[i]->dirty = false;
            fill_row(ret, "balancer", c->bal[i]->name, balancer_row_to_json(c->bal[i]));
            return true;
        }
    for (size_t i = 0; i < c->svc_n; i++)
        if (c->svc[i]->dirty) {
            c->svc[i]->dirty = false;
            fill_row(ret, "service", c->svc[i]->name, service_to_json(c->svc[i], c->now));
            return true;
        }
    return false;
}

static void raise_generation(struct controller *c, const struct service *s)
{
    c->generation = MAX_OF(c->generation, s->target->generation);
    for (size_t i = 0; i < s->n; i++)
        c->generation = MAX_OF(c->generation, s->inst[i]->rel->generation);
}

int controller_load(struct controller *c, const char *kind, const char *name, const char *json, struct err *e)
{
    if (!strcmp(kind, "service")) {
        struct service *s;
        if (controller_find(c, name) || c->svc_n >= SERVICES_MAX)
            return err_set(e, -EINVAL, "service %s: twice, or too many", name);
        int rc = service_from_json(name, json, &s, e);
        if (rc < 0)
            return err_wrap(e, rc, "service %s", name);
        insert_service(c, s);
        raise_generation(c, s);
        return 0;
    }
    if (!strcmp(kind, "balancer")) {
        struct balancer *b;
        if (controller_find_balancer(c, name) || c->bal_n >= BALANCERS_MAX)
            return err_set(e, -EINVAL, "balancer %s: twice, or too many", name);
        int rc = balancer_row_from_json(name, json, &b, e);
        if (rc < 0)
            return err_wrap(e, rc, "balancer %s", name);
        insert_balancer(c, b);
        return 0;
    }
    return err_set(e, -EINVAL, "unknown kind of row: %s", kind);
}

/* --- after each event ---------------------------------------------------------------------------------------------- */
/* Rows whose service is to go, once nothing of it is left. */
static void remove_ended(struct controller *c)
{
    for (size_t i = 0; i < c->svc_n;) {
        struct service *s = c->svc[i];
        if (!s->deleting || s->n > 0) {
            i++;
            continue;
        }
        controller_event(c, 5, "deleted", s->name, "all instances have ended, the service is gone");
        remove_service(c, i);
        controller_bump(c);
    }
    for (size_t i = c->bal_n; i-- > 0;) {
        bool used = !c->bal[i]->deleting;
        for (size_t k = 0; k < c->svc_n && !used; k++)
            used = controller_balancer_of(c, c->svc[k]) == c->bal[i];
        if (!used) {
            controller_remove_balancer(c, c->bal[i]);
            controller_bump(c);
        }
    }
}

static bool balancers_ended(const struct controller *c)
{
    for (size_t i = 0; i < c->bal_n; i++)
        if (c->bal[i]->has_report && c->bal[i]->report.running)
            return false;
    return true;
}

/* `down`: instances first (core_step.c keeps the order), then balancers, then the end. */
static void step_down(struct controller *c)
{
    if (!c->down || c->end || !c->synced)
        return;
    for (size_t i = 0; i < c->svc_n; i++)
        if (c->svc[i]->n > 0)
            return;
    if (c->down_at == 0) {          /* the last instance has gone: from now on controller_desired has no balancers */
        c->down_at = MAX_OF(c->now, 1);
        controller_bump(c);
    }
    if (balancers_ended(c) || c->now >= c->down_at + DOWN_PATIENCE_MS) {
        c->end = true;
        controller_bump(c);
    }
}

void controller_settle(struct controller *c)
{
    controller_run(c, c->now);
    if (c->synced)
        remove_ended(c);
    step_down(c);
}

void controller_step(struct controller *c, int64_t now)
{
    controller_begin(c, now);
    controller_settle(c);
}

int64_t controller_deadline(const struct controller *c)
{
    int64_t at = c->down && c->down_at > 0 && !c->end ? c->down_at + DOWN_PATIENCE_MS : INT64_MAX;
    for (size_t i = 0; i < c->svc_n; i++)
        at = MIN_OF(at, c->svc[i]->next_at);
    return at;
}
