/* schema_special.c - types with forms of their own: ports, instances, probes, hooks, balance, addresses. See schema.h. */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/num.h"
#include "model/schema.h"

enum { URL_PATH_MAX = 1000 };

static const void *object_of(const struct schema_key *k, const void *field)
{
    return (const char *)field - k->offset;
}

static bool is_word(const struct yaml_node *n, const char *word)
{
    return n->kind == YAML_SCALAR && strcmp(n->text, word) == 0;
}

/* A whole number within the row's range; anything else is told. */
static int read_ranged(struct reader *r, const struct schema_key *k, const struct yaml_node *n, uint32_t *ret)
{
    const char *s = reader_scalar(r, k, n);
    uint64_t v = 0;
    if (!s)
        return -EINVAL;
    int rc = num_u64(s, &v);
    if (rc == -EINVAL)
        return reader_not(r, k, n);
    if (rc < 0 || v < (uint64_t)k->min || v > (uint64_t)k->max)
        return reader_range(r, k, n);
    *ret = (uint32_t)v;
    return 0;
}

/* --- port, concurrency, instances --------------------------------------------------------------------- */
static int read_port(struct reader *r, const struct schema_key *k, const struct yaml_node *n, void *field)
{
    struct service_spec *s = (struct service_spec *)object_of(k, field);
    uint32_t port = 0;
    bool named = is_word(n, "auto") || is_word(n, "none");
    if (!named && read_ranged(r, k, n, &port) < 0)
        return -EINVAL;
    s->port_kind = is_word(n, "auto") ? PORT_AUTO : is_word(n, "none") ? PORT_NONE : PORT_FIXED;
    s->port = port;
    return 0;
}

static json_t *print_port(const struct schema_key *k, const void *field)
{
    const struct service_spec *s = object_of(k, field);
    if (s->port_kind == PORT_FIXED)
        return json_integer(s->port);
    return json_string(s->port_kind == PORT_AUTO ? "auto" : "none");
}

static int read_concurrency(struct reader *r, const struct schema_key *k, const struct yaml_node *n, void *field)
{
    struct service_spec *s = (struct service_spec *)object_of(k, field);
    bool automatic = is_word(n, "auto");
    uint32_t v = 1;                     /* until spec_finish has seen the command */
    if (!automatic && read_ranged(r, k, n, &v) < 0)
        return -EINVAL;
    s->concurrency_auto = automatic;
    s->concurrency = v;
    return 0;
}

static json_t *print_concurrency(const struct schema_key *k, const void *field)
{
    const struct service_spec *s = object_of(k, field);
    return s->concurrency_auto ? json_string("auto") : json_integer(s->concurrency);
}

static int read_instances(struct reader *r, const struct schema_key *k, const struct yaml_node *n, void *field)
{
    struct service_spec *s = (struct service_spec *)object_of(k, field);
    uint32_t v = 0;
    if (n->kind == YAML_MAPPING) {
        s->min = 1;
        s->max = 0;                     /* until it has been read */
        s->fixed = false;
        return reader_group(r, k->path, n, n);
    }
    if (read_ranged(r, k, n, &v) < 0)
        return -EINVAL;
    s->min = s->max = v;
    s->fixed = true;
    return 0;
}

static json_t *print_instances(const struct schema_key *k, const void *field)
{
    const struct service_spec *s = object_of(k, field);
    return s->fixed ? json_integer(s->min) : NULL;
}

/* --- probes ------------------------------------------------------------------------------------------------ */
static int read_probe(struct reader *r, const struct schema_key *k, const struct yaml_node *n, void *field)
{
    struct probe_spec *p = field;
    if (is_word(n, "none"))
        return 0;
    if (n->kind != YAML_MAPPING)
        return reader_not(r, k, n);
    int rc = reader_group(r, k->path, n, n);
    if (rc == 0 && p->kind == PROBE_NONE && !r->partial)
        return reader_complain(r, n, "what is probed is missing, expected one of http, tcp, command, notify");
    return rc;
}

static json_t *print_probe(const struct schema_key *k, const void *field)
{
    (void)k;
    const struct probe_spec *p = field;
    return p->kind == PROBE_NONE ? json_null() : NULL;
}

static int take_kind(struct reader *r, const struct yaml_node *n, struct probe_spec *p, enum probe_kind kind)
{
    if (p->kind != PROBE_NONE)
        return reader_complain(r, n, "a probe is exactly one of http, tcp, command, notify, and there is one already");
    p->kind = kind;
    return 0;
}

/* Only what can stand in a request line and in HAProxy's configuration unquoted. */
static bool is_url_path(const char *s)
{
    if (*s != '/' || strlen(s) > URL_PATH_MAX)
        return false;
    for (; *s; s++)
        if (!isalnum((unsigned char)*s) && !strchr("/?&=._~%:@!*,;+-", *s))
            return false;
    return true;
}

static int read_probe_http(struct reader *r, const struct schema_key *k, const struct yaml_node *n, void *field)
{
    struct probe_spec *p = field;
    int rc = take_kind(r, n, p, PROBE_HTTP);
    const char *s = reader_scalar(r, k, n);
    if (!s || !is_url_path(s))
        return s ? reader_not(r, k, n) : -EINVAL;
    reader_set_text(&p->http_path, s);
    return rc;
}

static int read_probe_flag(struct reader *r, const struct schema_key *k, const struct yaml_node *n, void *field)
{
    if (!is_word(n, "true"))
        return reader_not(r, k, n);
    return take_kind(r, n, field, k->type == T_PROBE_TCP ? PROBE_TCP : PROBE_NOTIFY);
}

static int read_probe_command(struct reader *r, const struct schema_key *k, const struct yaml_node *n, void *field)
{
    struct probe_spec *p = field;
    int rc = take_kind(r, n, p, PROBE_COMMAND);
    return schema_codec(T_COMMAND)->read(r, k, n, &p->command) < 0 ? -EINVAL : rc;
}

static json_t *print_probe_part(const struct schema_key *k, const void *field)
{
    const struct probe_spec *p = field;
    if (k->type == T_PROBE_HTTP)
        return p->kind == PROBE_HTTP ? json_string(p->http_path) : NULL;
    if (k->type == T_PROBE_COMMAND)
        return p->kind == PROBE_COMMAND ? schema_codec(T_COMMAND)->print(k, &p->command) : NULL;
    return p->kind == (k->type == T_PROBE_TCP ? PROBE_TCP : PROBE_NOTIFY) ? json_true() : NULL;
}

static void done_probe_http(void *field)
{
    free(((struct probe_spec *)field)->http_path);
}

static void done_probe_command(void *field)
{
    strv_done(&((struct probe_spec *)field)->command);
}

/* --- hooks, balance -------------------------------------------------------------------------------------------- */
static int read_hook(struct reader *r, const struct schema_key *k, const struct yaml_node *n, void *field)
{
    (void)field;
    if (is_word(n, "none"))
        return 0;
    return n->kind == YAML_MAPPING ? reader_group(r, k->path, n, n) : reader_not(r, k, n);
}

static json_t *print_hook(const struct schema_key *k, const void *field)
{
    (void)k;
    return ((const struct hook_spec *)field)->run.n == 0 ? json_null() : NULL;
}

static int read_balance(struct reader *r, const struct schema_key *k, const struct yaml_node *n, void *field)
{
    struct service_spec *s = (struct service_spec *)object_of(k, field);
    if (n->kind == YAML_MAPPING)
        return reader_group(r, k->path, n, n);
    const char *name = reader_scalar(r, k, n);
    if (!name)
        return -EINVAL;
    reader_set_text(&s->balance.with, name);
    return 0;
}

static json_t *print_balance(const struct schema_key *k, const void *field)
{
    const struct service_spec *s = object_of(k, field);
    return s->balance.with ? NULL : json_null();
}

/* "/v1/" and "/v1" are the same; "/" is no restriction at all. */
static int read_url_path(struct reader *r, const struct schema_key *k, const struct yaml_node *n, void *field)
{
    const char *s = reader_scalar(r, k, n);
    if (!s || !is_url_path(s) || strchr(s, '?'))
        return s ? reader_not(r, k, n) : -EINVAL;
    reader_set_text(field, s);
    char *path = *(char **)field;
    for (size_t len = strlen(path); len > 0 && path[len - 1] == '/'; len--)
        path[len - 1] = '\0';
    if (*path == '\0') {
        free(path);
        *(char **)field = NULL;
    }
    return 0;
}

static json_t *print_url_path(const struct schema_key *k, const void *field)
{
    (void)k;
    const char *s = *(char *const *)field;
    return s ? json_string(s) : NULL;
}

static int read_retry(struct reader *r, const struct schema_key *k, const struct yaml_node *n, void *field)
{
    if (!is_word(n, "idempotent") && !is_word(n, "none"))
        return reader_not(r, k, n);
    *(bool *)field = is_word(n, "idempotent");
    return 0;
}

static json_t *print_retry(const struct schema_key *k, const void *field)
{
    (void)k;
    return json_string(*(const bool *)field ? "idempotent" : "none");
}

/* --- addresses -------------------------------------------------------------------------------------------------- */
/* ":8080", "8080", "127.0.0.1:8080", "[::1]:8080" -> host ("" any) and the port's text. */
static int split_address(const char *s, char *host, size_t size, const char **ret_port)
{
    const char *colon = strrchr(s, ':');
    struct in6_addr addr;
    size_t len = colon ? (size_t)(colon - s) : 0;
    *ret_port = colon ? colon + 1 : s;
    *host = '\0';
    if (len == 0)
        return 0;
    bool six = s[0] == '[' && s[len - 1] == ']';
    snprintf(host, size, "%.*s", (int)(six ? len - 2 : len), s + six);
    return inet_pton(six ? AF_INET6 : AF_INET, host, &addr) == 1 ? 0 : -EINVAL;
}

static int read_listen(struct reader *r, const struct schema_key *k, const struct yaml_node *n, void *field)
{
    struct balancer_spec *b = (struct balancer_spec *)object_of(k, field);
    const char *s = reader_scalar(r, k, n), *port_text;
    char host[64];
    uint64_t port = 0;
    if (!s)
        return -EINVAL;
    if (split_address(s, host, sizeof host, &port_text) < 0)
        return reader_not(r, k, n);
    int rc = num_u64(port_text, &port);
    if (rc == -EINVAL)
        return reader_not(r, k, n);
    if (rc < 0 || port < 1 || port > 65535) {
        char what[PROBLEM_QUOTE_SIZE];
        return reader_complain(r, n, "the port in %s is out of range, expected 1 to 65535", problem_quote(s, what));
    }
    reader_set_text(&b->listen_host, host);
    b->listen_port = (uint32_t)port;
    return 0;
}

static json_t *print_listen(const struct schema_key *k, const void *field)
{
    const struct balancer_spec *b = object_of(k, field);
    bool six = b->listen_host && strchr(b->listen_host, ':');
    return json_sprintf("%s%s%s:%u", six ? "[" : "", b->listen_host ? b->listen_host : "", six ? "]" : "", b->listen_port);
}

#define ONE_OF_PROBES "a map such as { http: /healthz }, or none"
const struct schema_codec SCHEMA_SPECIALS[SCHEMA_TYPE_COUNT] = {
    [T_PORT] = { "a port", "auto, none or 1 to 65535", read_port, print_port, NULL },
    [T_CONCURRENCY] = { "a number of requests", "auto or 1 to 100000", read_concurrency, print_concurrency, NULL },
    [T_INSTANCES] = { "a number of instances", "1 to 4000, or a range such as { min: 2, max: 6 }", read_instances, print_instances, NULL },
    [T_PROBE] = { "a probe", ONE_OF_PROBES, read_probe, print_probe, NULL },
    [T_PROBE_HTTP] = { "a path in a URL", "e.g. /healthz", read_probe_http, print_probe_part, done_probe_http },
    [T_PROBE_TCP] = { "a choice", "true (or leave it out)", read_probe_flag, print_probe_part, NULL },
    [T_PROBE_COMMAND] = { "a command", "e.g. [./check, --quick]", read_probe_command, print_probe_part, done_probe_command },
    [T_PROBE_NOTIFY] = { "a choice", "true (or leave it out)", read_probe_flag, print_probe_part, NULL },
    [T_HOOK] = { "a hook", "a map such as { run: [./migrate], timeout: 30s }", read_hook, print_hook, NULL },
    [T_BALANCE] = { "a balancer", "its name, or a map such as { with: edge }", read_balance, print_balance, NULL },
    [T_URL_PATH] = { "a path in a URL", "e.g. /v1", read_url_path, print_url_path, schema_free_text },
    [T_RETRY] = { "a rule for retries", "idempotent or none", read_retry, print_retry, NULL },
    [T_LISTEN] = { "an address to listen at", "e.g. \":8080\", \"127.0.0.1:8080\", \"[::1]:8080\"", read_listen, print_listen, schema_free_text },
};
