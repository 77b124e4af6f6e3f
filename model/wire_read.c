/* wire_read.c - messages from the other side. Nothing in them is believed: each reader copies into the struct that it fills
 * and says at the first wrong field what was wrong. A half-read message is freed by the same wire_msg_done as a whole one. */
#include "model/wire.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/utf8.h"
#include "model/muster.pb-c.h"
#include "model/wire_fields.h"

/* Two bytes on the wire can become a struct of 600, so what decoding may take is bounded apart from the frame's length. */
enum { DECODE_BYTES_MAX = 64 << 20, LIST_MAX = 100000, HOSTS_MAX = 1000, SLOT_NUMBER_MAX = 99999 };

static void *budget_alloc(void *budget, size_t size)
{
    size_t *left = budget;
    if (size > *left)
        return NULL;
    *left -= size;
    return malloc(size ? size : 1);
}

static void budget_free(void *budget, void *p)
{
    (void)budget;
    free(p);
}

/* --- checks: true if fine --- */

static bool number_ok(const char *s)
{
    size_t n = strspn(s, "0123456789");
    return n >= 1 && n <= 5 && s[n] == '\0' && *s != '0';
}

/* [a-z][a-z0-9-]* up to `end` */
static bool name_extent_ok(const char *s, size_t n)
{
    if (n == 0 || n > NAME_LEN_MAX || *s < 'a' || *s > 'z')
        return false;
    return strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") >= n;
}

static bool name_ok(const char *s) { return name_extent_ok(s, strlen(s)); }

/* "api.17", of `service` unless that is NULL. */
static bool id_ok(const char *s, const char *service)
{
    const char *dot = strchr(s, '.');
    if (!dot || !name_extent_ok(s, (size_t)(dot - s)) || !number_ok(dot + 1))
        return false;
    return !service || (strlen(service) == (size_t)(dot - s) && memcmp(service, s, strlen(service)) == 0);
}

static bool chars_ok(const char *s, const char *allowed, size_t max)
{
    size_t n = strspn(s, allowed);
    return s[n] == '\0' && n >= 1 && n <= max;
}

#define ALNUM "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
static bool address_ok(const char *s) { return chars_ok(s, ALNUM ".:-_%", 63); }
static bool host_ok(const char *s) { return chars_ok(s, ALNUM ".*-_:", 253); }
static bool kind_ok(const char *s) { return chars_ok(s, ALNUM "-_.", sizeof ((struct muster_event *)0)->kind - 1); }
static bool subject_ok(const char *s) { return *s == '\0' || chars_ok(s, ALNUM "-_./@", ID_SIZE - 1); }

/* Printable, without blanks at the URL level; "" is fine. */
static bool url_path_ok(const char *s)
{
    if (*s == '\0')
        return true;
    if (*s != '/' || strlen(s) > 4096)
        return false;
    for (; *s; s++)
        if ((unsigned char)*s <= ' ' || *s == 0x7f)
            return false;
    return true;
}

static int bad(struct err *e, const char *what, const char *value)
{
    char shown[64];
    utf8_clean(shown, sizeof shown, value);
    return err_set(e, -EBADMSG, "%s: \"%s\" is not valid", what, shown);
}

static int bad_number(struct err *e, const char *what, int64_t value)
{
    return err_set(e, -EBADMSG, "%s: %lld is out of range", what, (long long)value);
}

static int list_ok(const char *what, size_t n, struct err *e)
{
    return n <= LIST_MAX ? 0 : bad_number(e, what, (int64_t)n);
}

static char *or_null(const char *s) { return *s ? xstrdup(s) : NULL; }

/* A figure that cannot be true counts as missing: ignorance is safe, a closed link because of one division by zero is not. */
static double figure(double v) { return isfinite(v) && v >= 0 ? v : NAN; }

/* --- desired --- */

static int read_server(const Muster__Server *p, const char *service, struct upstream_server *ret, struct err *e)
{
    if (!id_ok(p->id, service))
        return bad(e, "server's id", p->id);
    if (!address_ok(p->address))
        return bad(e, "server's address", p->address);
    if (p->port > 65535)
        return bad_number(e, "server's port", p->port);
    if (p->state >= SERVER_STATE_COUNT)
        return bad_number(e, "server's state", p->state);
    fixed_copy(ret->id, sizeof ret->id, p->id);
    fixed_copy(ret->address, sizeof ret->address, p->address);
    ret->port = p->port;
    ret->state = (enum server_state)p->state;
    return 0;
}

static int check_upstream(const Muster__Upstream *p, struct err *e)
{
    if (!name_ok(p->service))
        return bad(e, "upstream's service", p->service);
    if (!url_path_ok(p->path))
        return bad(e, "upstream's path", p->path);
    if (!url_path_ok(p->check_path))
        return bad(e, "upstream's check_path", p->check_path);
    if (p->check != PROBE_NONE && p->check != PROBE_TCP && (p->check != PROBE_HTTP || !*p->check_path))
        return bad_number(e, "upstream's check", p->check);
    if (p->check_every_ms < 0 || p->check_timeout_ms < 0)
        return bad_number(e, "upstream's check time", MIN_OF(p->check_every_ms, p->check_timeout_ms));
    if (p->slots > SLOT_NUMBER_MAX || p->n_servers > SLOT_NUMBER_MAX)
        return bad_number(e, "upstream's slots", p->slots);
    if (p->n_hosts > HOSTS_MAX)
        return bad_number(e, "upstream's number of hosts", (int64_t)p->n_hosts);
    for (size_t i = 0; i < p->n_hosts; i++)
        if (!host_ok(p->hosts[i]))
            return bad(e, "upstream's host", p->hosts[i]);
    return 0;
}

static int read_upstream(const Muster__Upstream *p, struct upstream *ret, struct err *e)
{
    int rc = check_upstream(p, e);
    if (rc < 0)
        return rc;
    fixed_copy(ret->service, sizeof ret->service, p->service);
    for (size_t i = 0; i < p->n_hosts; i++)
        strv_push(&ret->hosts, p->hosts[i]);
    ret->path = or_null(p->path);
    ret->retry = p->retry;
    ret->check = (enum probe_kind)p->check;
    ret->check_path = or_null(p->check_path);
    ret->panic = p->panic;
#define X(f) ret->f = p->f;
    UPSTREAM_NUMBERS(X)
#undef X
    ret->servers = xcalloc(p->n_servers, sizeof *ret->servers);
    for (; ret->server_n < p->n_servers; ret->server_n++)
        if ((rc = read_server(p->servers[ret->server_n], p->service, &ret->servers[ret->server_n], e)) < 0)
            return rc;
    return 0;
}

static int read_balancer(const Muster__Balancer *p, struct balancer_desired *ret, struct err *e)
{
    if (!name_ok(p->name))
        return bad(e, "balancer's name", p->name);
    int rc = list_ok("number of upstreams", p->n_upstreams, e);
    if (rc < 0)
        return rc;
    if (balancer_spec_from_json(p->name, p->json, &ret->spec, e) < 0)
        return err_wrap(e, -EBADMSG, "balancer %s", p->name);
    ret->upstreams = xcalloc(p->n_upstreams, sizeof *ret->upstreams);
    for (size_t i = 0; i < p->n_upstreams; i++) {
        ret->upstream_n++;
        if ((rc = read_upstream(p->upstreams[i], &ret->upstreams[i], e)) < 0)
            return err_wrap(e, rc, "balancer %s", p->name);
    }
    return 0;
}

static int read_spec(const Muster__SpecRef *p, struct spec_ref *ret, struct err *e)
{
    if (!name_ok(p->service))
        return bad(e, "spec's service", p->service);
    int rc = service_spec_from_json(p->service, p->json, &ret->spec, e);
    if (rc < 0)
        return err_wrap(e, -EBADMSG, "service %s", p->service);
    ret->generation = p->generation;
    ret->revision = p->revision;
    ret->owner_uid = p->owner_uid;
    ret->owner_gid = p->owner_gid;
    ret->path_env = or_null(p->path_env);
    ret->json = xstrdup(p->json);
    return 0;
}

static int item_order(const void *a, const void *b)
{
    return strcmp((*(const Muster__Item *const *)a)->id, (*(const Muster__Item *const *)b)->id);
}

/* Two wishes for one id would make the agent do the one or the other by chance. Reorders a copy only. */
static int check_twice(const Muster__Desired *p, struct err *e)
{
    if (p->n_items < 2)
        return 0;
    Muster__Item **sorted = xmalloc(p->n_items * sizeof *sorted);
    memcpy(sorted, p->items, p->n_items * sizeof *sorted);
    qsort(sorted, p->n_items, sizeof *sorted, item_order);
    int rc = 0;
    for (size_t i = 1; i < p->n_items && rc == 0; i++)
        if (strcmp(sorted[i - 1]->id, sorted[i]->id) == 0)
            rc = err_set(e, -EBADMSG, "item %s is there twice", sorted[i]->id);
    free(sorted);
    return rc;
}

static int read_item(const Muster__Item *p, const struct desired *d, struct desired_item *ret, struct err *e)
{
    if (p->spec_index >= d->spec_n)
        return bad_number(e, "item's spec_index", p->spec_index);
    if (!id_ok(p->id, d->specs[p->spec_index].spec.name))
        return bad(e, "item's id", p->id);
    if (p->want >= WANT_COUNT)
        return bad_number(e, "item's want", p->want);
    fixed_copy(ret->id, sizeof ret->id, p->id);
    ret->spec_index = p->spec_index;
    ret->want = (enum want)p->want;
    return 0;
}

static int read_desired(const Muster__Desired *p, struct desired *ret, struct err *e)
{
    int rc = list_ok("number of items", MAX_OF(MAX_OF(p->n_items, p->n_specs), p->n_balancers), e);
    if (rc < 0)
        return rc;
    ret->epoch = p->epoch;
    ret->revision = p->revision;
    ret->end = p->end;
    ret->specs = xcalloc(p->n_specs, sizeof *ret->specs);
    for (size_t i = 0; i < p->n_specs; i++) {
        ret->spec_n++;
        if ((rc = read_spec(p->specs[i], &ret->specs[i], e)) < 0)
            return rc;
    }
    ret->items = xcalloc(p->n_items, sizeof *ret->items);
    for (; ret->item_n < p->n_items; ret->item_n++)
        if ((rc = read_item(p->items[ret->item_n], ret, &ret->items[ret->item_n], e)) < 0)
            return rc;
    ret->balancers = xcalloc(p->n_balancers, sizeof *ret->balancers);
    for (size_t i = 0; i < p->n_balancers; i++) {
        ret->balancer_n++;
        if ((rc = read_balancer(p->balancers[i], &ret->balancers[i], e)) < 0)
            return rc;
    }
    return check_twice(p, e);
}

/* --- from the agent --- */

static int read_hello(const Muster__Hello *p, struct hello *ret, struct err *e)
{
    ret->version = p->version;
    if (!chars_ok(p->name, ALNUM ".-_", sizeof ret->name - 1))
        return bad(e, "agent's name", p->name);
    if (!fixed_copy(ret->log_folder, sizeof ret->log_folder, p->log_folder) || (*p->log_folder && *p->log_folder != '/'))
        return bad(e, "log_folder", p->log_folder);
    fixed_copy(ret->name, sizeof ret->name, p->name);
    ret->epoch = p->epoch;
    ret->revision = p->revision;
    ret->has_had = p->had != NULL;
    return p->had ? read_desired(p->had, &ret->had, e) : 0;
}

static bool exit_ok(uint32_t kind, int32_t value)
{
    switch (kind) {
    case EXIT_KIND_CODE: return value >= 0 && value <= 255;
    case EXIT_KIND_SIGNAL: return value >= 1 && value <= 64;
    case EXIT_KIND_NONE: case EXIT_KIND_UNKNOWN: return true;
    default: return false;
    }
}

static int read_inst(const Muster__InstStatus *p, struct inst_status *ret, struct err *e)
{
    if (!name_ok(p->service))
        return bad(e, "instance's service", p->service);
    if (!id_ok(p->id, p->service))
        return bad(e, "instance's id", p->id);
    if (p->state >= INSTANCE_STATE_COUNT)
        return bad_number(e, "instance's state", p->state);
    if (p->pid < 0)
        return bad_number(e, "instance's pid", p->pid);
    if (p->port > 65535)
        return bad_number(e, "instance's port", p->port);
    if (!exit_ok(p->exit_kind, p->exit_value))
        return bad_number(e, "instance's exit", p->exit_value);
    if (p->state_age_ms < 0 || p->up_ms < 0 || p->retry_in_ms < -1)
        return bad_number(e, "instance's time", MIN_OF(MIN_OF(p->state_age_ms, p->up_ms), p->retry_in_ms));
    fixed_copy(ret->id, sizeof ret->id, p->id);
    fixed_copy(ret->service, sizeof ret->service, p->service);
    ret->state = (enum instance_state)p->state;
    ret->last_exit = (struct exit_info){(enum exit_kind)p->exit_kind, p->exit_value};
    utf8_clean(ret->reason, sizeof ret->reason, p->reason);
    utf8_clean(ret->text, sizeof ret->text, p->text);
#define X(f) ret->f = p->f;
    INST_STATUS_NUMBERS(X)
#undef X
    return 0;
}

static int read_status(const Muster__Status *p, struct wire_msg *ret, struct err *e)
{
    int rc = list_ok("number of instances", p->n_instances, e);
    if (rc < 0)
        return rc;
    ret->status.seq = p->seq;
    ret->status.full = p->full;
    ret->status.v = xcalloc(p->n_instances, sizeof *ret->status.v);
    for (; ret->status.n < p->n_instances; ret->status.n++)
        if ((rc = read_inst(p->instances[ret->status.n], &ret->status.v[ret->status.n], e)) < 0)
            return rc;
    return 0;
}

static int read_inst_metrics(const Muster__InstMetrics *p, struct inst_metrics *ret, struct err *e)
{
    if (!id_ok(p->id, NULL))
        return bad(e, "figures' id", p->id);
    if (p->age_ms < 0)
        return bad_number(e, "figures' age", p->age_ms);
    fixed_copy(ret->id, sizeof ret->id, p->id);
    ret->age_ms = p->age_ms;
    ret->samples = p->samples;
#define X(f) ret->f = figure(p->f);
    INST_METRICS_DOUBLES(X)
#undef X
    return 0;
}

static int read_svc_metrics(const Muster__SvcMetrics *p, struct svc_metrics *ret, struct err *e)
{
    if (!name_ok(p->service))
        return bad(e, "figures' service", p->service);
    if (p->age_ms < 0)
        return bad_number(e, "figures' age", p->age_ms);
    fixed_copy(ret->service, sizeof ret->service, p->service);
    ret->age_ms = p->age_ms;
#define X(f) ret->f = figure(p->f);
    SVC_METRICS_DOUBLES(X)
#undef X
#define X(f) ret->f = p->f;
    SVC_METRICS_COUNTS(X)
#undef X
    return 0;
}

static int read_metrics(const Muster__Metrics *p, struct wire_msg *ret, struct err *e)
{
    int rc = list_ok("number of figures", MAX_OF(p->n_instances, p->n_services), e);
    if (rc < 0)
        return rc;
    ret->metrics.iv = xcalloc(p->n_instances, sizeof *ret->metrics.iv);
    ret->metrics.sv = xcalloc(p->n_services, sizeof *ret->metrics.sv);
    for (size_t *i = &ret->metrics.in; *i < p->n_instances; ++*i)
        if ((rc = read_inst_metrics(p->instances[*i], &ret->metrics.iv[*i], e)) < 0)
            return rc;
    for (size_t *i = &ret->metrics.sn; *i < p->n_services; ++*i)
        if ((rc = read_svc_metrics(p->services[*i], &ret->metrics.sv[*i], e)) < 0)
            return rc;
    return 0;
}

static int read_server_report(const Muster__ServerReport *p, struct balancer_server_report *ret, struct err *e)
{
    if (!id_ok(p->id, NULL))
        return bad(e, "server's id", p->id);
    if (p->state >= SERVER_STATE_COUNT)
        return bad_number(e, "server's state", p->state);
    fixed_copy(ret->id, sizeof ret->id, p->id);
    ret->state = (enum server_state)p->state;
    ret->up = p->up;
    ret->in_flight = p->in_flight;
    ret->queued = p->queued;
    return 0;
}

static int read_report(const Muster__BalancerReport *p, struct balancer_report *ret, struct err *e)
{
    if (!name_ok(p->name))
        return bad(e, "balancer's name", p->name);
    if (p->pid < 0)
        return bad_number(e, "balancer's pid", p->pid);
    fixed_copy(ret->name, sizeof ret->name, p->name);
    ret->epoch = p->epoch;
    ret->revision = p->revision;
    ret->running = p->running;
    ret->pid = p->pid;
    utf8_clean(ret->problem, sizeof ret->problem, p->problem);
    int rc = list_ok("number of servers", p->n_servers, e);
    if (rc < 0)
        return rc;
    ret->servers = xcalloc(p->n_servers, sizeof *ret->servers);
    for (; ret->server_n < p->n_servers; ret->server_n++)
        if ((rc = read_server_report(p->servers[ret->server_n], &ret->servers[ret->server_n], e)) < 0)
            return rc;
    return 0;
}

static int read_event(const Muster__Event *p, struct muster_event *ret, struct err *e)
{
    if (p->level < 3 || p->level > 6)
        return bad_number(e, "event's level", p->level);
    if (!kind_ok(p->kind))
        return bad(e, "event's kind", p->kind);
    if (!subject_ok(p->subject))
        return bad(e, "event's subject", p->subject);
    if (p->wall_ms < 0)
        return bad_number(e, "event's time", p->wall_ms);
    ret->wall_ms = p->wall_ms;
    ret->level = p->level;
    fixed_copy(ret->kind, sizeof ret->kind, p->kind);
    fixed_copy(ret->subject, sizeof ret->subject, p->subject);
    utf8_clean(ret->text, sizeof ret->text, p->text);
    return 0;
}

/* --- the two directions --- */

static int read_to_agent(const Muster__ToAgent *p, struct wire_msg *ret, struct err *e)
{
    switch (p->kind_case) {
    case MUSTER__TO_AGENT__KIND_DESIRED:
        ret->kind = WIRE_DESIRED;
        return read_desired(p->desired, &ret->desired, e);
    case MUSTER__TO_AGENT__KIND_RESYNC:
        ret->kind = WIRE_RESYNC;
        return 0;
    default:
        return err_set(e, -EBADMSG, "a message of a kind that this version does not know");
    }
}

static int read_from_agent(const Muster__FromAgent *p, struct wire_msg *ret, struct err *e)
{
    switch (p->kind_case) {
    case MUSTER__FROM_AGENT__KIND_HELLO:
        ret->kind = WIRE_HELLO;
        return read_hello(p->hello, &ret->hello, e);
    case MUSTER__FROM_AGENT__KIND_STATUS:
        ret->kind = WIRE_STATUS;
        return read_status(p->status, ret, e);
    case MUSTER__FROM_AGENT__KIND_METRICS:
        ret->kind = WIRE_METRICS;
        return read_metrics(p->metrics, ret, e);
    case MUSTER__FROM_AGENT__KIND_BALANCER:
        ret->kind = WIRE_BALANCER;
        return read_report(p->balancer, &ret->balancer, e);
    case MUSTER__FROM_AGENT__KIND_EVENT:
        ret->kind = WIRE_EVENT;
        return read_event(p->event, &ret->event, e);
    case MUSTER__FROM_AGENT__KIND_BEAT:
        ret->kind = WIRE_BEAT;
        ret->beat = p->beat->seq;
        return 0;
    case MUSTER__FROM_AGENT__KIND_END:
        ret->kind = WIRE_END;
        return 0;
    default:
        return err_set(e, -EBADMSG, "a message of a kind that this version does not know");
    }
}

static int unpack(const ProtobufCMessageDescriptor *type, const void *data, size_t len, struct wire_msg *ret, struct err *e)
{
    size_t budget = DECODE_BYTES_MAX;
    ProtobufCAllocator alloc = {.alloc = budget_alloc, .free = budget_free, .allocator_data = &budget};
    ProtobufCMessage *p = protobuf_c_message_unpack(type, &alloc, len, data);
    if (!p)
        return err_set(e, -EBADMSG, "a message that cannot be decoded (%zu bytes)", len);
    struct wire_msg got = {0};
    int rc = type == &muster__to_agent__descriptor ? read_to_agent((const Muster__ToAgent *)(const void *)p, &got, e)
                                                   : read_from_agent((const Muster__FromAgent *)(const void *)p, &got, e);
    protobuf_c_message_free_unpacked(p, &alloc);
    if (rc < 0)
        wire_msg_done(&got);
    else
        *ret = got;
    return rc;
}

int wire_unpack_to_agent(const void *data, size_t len, struct wire_msg *ret, struct err *e)
{
    return unpack(&muster__to_agent__descriptor, data, len, ret, e);
}

int wire_unpack_from_agent(const void *data, size_t len, struct wire_msg *ret, struct err *e)
{
    return unpack(&muster__from_agent__descriptor, data, len, ret, e);
}
