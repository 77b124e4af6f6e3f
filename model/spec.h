/* spec.h - what a user wants: services and balancers as read from YAML, validated, defaults filled in.
 * Plain data, owned by the struct that holds it. One table in model/schema.c names each key, its type, range,
 * default and meaning; the parser, the canonical JSON printer, docs/CONFIG.md and `did you mean` are made from it. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "base/strbuf.h"
#include "model/words.h"

struct kv { char *key, *value; };
struct kvs { struct kv *v; size_t n; };

enum secret_as { SECRET_BOTH, SECRET_FILE, SECRET_VARIABLE };
struct secret { char *name, *file; enum secret_as as; };

enum probe_kind { PROBE_NONE, PROBE_HTTP, PROBE_TCP, PROBE_COMMAND, PROBE_NOTIFY };
struct probe_spec {
    enum probe_kind kind;
    char *http_path;                    /* PROBE_HTTP */
    struct strv command;                /* PROBE_COMMAND: argv, expanded like the service's command */
    int64_t every_ms, timeout_ms;
    int64_t within_ms;                  /* startup only */
    uint32_t fail_after, pass_after;    /* consecutive; startup has no fail_after (0): within_ms decides */
};

enum port_kind { PORT_AUTO, PORT_FIXED, PORT_NONE };
enum restart_policy { RESTART_ALWAYS, RESTART_ON_FAILURE, RESTART_NEVER };

enum scale_metric { SCALE_CPU, SCALE_LATENCY, SCALE_IN_FLIGHT, SCALE_QUEUE, SCALE_METRIC_COUNT };
struct scale_rule {
    enum scale_metric metric;
    double target;                      /* cpu: percent of what it may use; in_flight, queue: per instance; latency: ms */
    double quantile;                    /* latency: 0.5 0.95 0.99 (p50 p95 p99) */
};
/* "100%/15s" or "4/15s": at most so much change within the period. period_ms 0: no limit. */
struct scale_limit { uint32_t count; double percent; int64_t period_ms; };
struct scale_dir { struct scale_limit limit; int64_t wait_ms; };
struct scale_spec {
    struct scale_rule *rules; size_t rule_n;        /* none: not scaled */
    struct scale_dir up, down;
};

struct amount { bool is_percent; double value; };   /* `surge: 1` or `25%` */

struct hook_spec { struct strv run; int64_t timeout_ms; };      /* run.n == 0: none */
enum hook_kind { HOOK_BEFORE_START, HOOK_AFTER_READY, HOOK_BEFORE_STOP, HOOK_COUNT };

struct service_spec {
    char *name;
    struct strv command;                /* argv; a string was split like a shell's words; ${VAR} not expanded yet */
    char *directory;                    /* absolute; NULL: the file's folder was put in by the parser, so never NULL */
    char *user;                         /* NULL: see `owner_uid` of the apply request */
    struct strv groups;
    uint32_t umask;
    bool no_new_privs;
    struct kvs environment;
    char *environment_file;             /* absolute or NULL */
    struct secret *secrets; size_t secret_n;
    enum port_kind port_kind; uint32_t port;
    uint32_t concurrency;               /* always > 0: a number, or what `auto` gave for this command */
    bool concurrency_auto;
    uint32_t min, max; bool fixed;      /* fixed: a plain number, min == max */
    struct { struct probe_spec startup, readiness, liveness; } health;
    struct scale_spec scale;
    struct { enum restart_policy policy; int64_t delay_ms, max_delay_ms; uint32_t limit_n; int64_t limit_ms; } restart;
    struct { int signal; int64_t drain_ms, timeout_ms; } stop;      /* timeout_ms -1: never */
    struct { double cpu; uint64_t memory_bytes; uint64_t files, tasks; } resources;   /* 0: no limit */
    struct { struct amount surge, unavailable; int64_t healthy_for_ms; } deploy;
    struct strv after;
    struct hook_spec hooks[HOOK_COUNT];
    struct { uint64_t max_size; uint32_t keep; bool timestamps; } log;
    struct { char *with; struct strv hosts; char *path; bool retry; } balance;  /* with NULL: not balanced; path NULL: "/" */
};

struct balancer_spec {
    char *name;
    char *listen_host;                  /* "" any, else a numeric address */
    uint32_t listen_port;
    char *tls;                          /* absolute path of a PEM with certificate and key, or NULL */
    char *raw;                          /* HAProxy configuration text, or NULL: goes behind muster's frontend section */
    int64_t queue_timeout_ms;
};

struct config {
    struct service_spec *services; size_t service_n;        /* sorted by name */
    struct balancer_spec *balancers; size_t balancer_n;     /* likewise */
};
void config_done(struct config *c);
void service_spec_done(struct service_spec *s);
void balancer_spec_done(struct balancer_spec *b);
const struct service_spec *config_service(const struct config *c, const char *name);   /* NULL: none */
const struct balancer_spec *config_balancer(const struct config *c, const char *name);

/* --- reading --------------------------------------------------------------------------------- */
struct config_source { const char *name; const char *text; size_t len; const char *folder; };   /* name: for messages; folder: absolute, relative paths start there */
struct config_error { char *where;  /* "muster.yaml:12:15" */ char *path; /* "services.api.health" */ char *text; };
struct config_errors { struct config_error *v; size_t n; bool more; };   /* at most 100 kept */
void config_errors_done(struct config_errors *e);
void config_errors_print(const struct config_errors *e, struct strbuf *out);    /* `file:line:column: path: text` lines */

enum { CONFIG_BYTES_MAX = 1 << 20, CONFIG_DEPTH_MAX = 32, CONFIG_NODES_MAX = 100000 };
/* Merges all sources, validates each value and the whole (cycles, ports, names that refer). 0 and *ret, or -EINVAL and
 * errors (all in one pass), *ret untouched. Reads no file and asks no name service: see config_check_host. */
int config_parse(const struct config_source *src, size_t n, struct config *ret, struct config_errors *errs);
/* What only this machine can tell: users, groups, directories, executables, files readable. Appends errors; returns their number.
 * Needs where keys stood: call it with the same sources. owner_uid: who instances without `user:` run as. */
int config_check_host(const struct config *c, const struct config_source *src, size_t n, uint32_t owner_uid, struct config_errors *errs);
/* Reads a file or a folder of *.yaml / *.yml files (sorted); texts owned by the caller through config_sources_done. */
struct config_files { struct config_source *src; size_t n; };
int config_files_read(const char *path, struct config_files *ret, struct config_errors *errs);
void config_files_done(struct config_files *f);

/* --- canonical JSON: stored, sent to agents, compared --------------------------------------------- */
char *service_spec_to_json(const struct service_spec *s);              /* one line, all keys sorted as in the schema, to be freed */
int service_spec_from_json(const char *name, const char *json, struct service_spec *ret, struct err *e);
char *balancer_spec_to_json(const struct balancer_spec *b);
int balancer_spec_from_json(const char *name, const char *json, struct balancer_spec *ret, struct err *e);
/* Equal but for what changes no running instance (instances, scale, deploy, after, balance, log size ...)? Then an apply restarts nobody. */
bool service_spec_same_process(const struct service_spec *a, const struct service_spec *b);
/* `~ instances.max: 4 -> 6`, `+ user: api`, `- ...` lines, two spaces in front; nothing if equal. */
void service_spec_diff(const struct service_spec *was, const struct service_spec *is, struct strbuf *out);
void balancer_spec_diff(const struct balancer_spec *was, const struct balancer_spec *is, struct strbuf *out);
/* ${NAME} from vars, `$$` a dollar sign; an unknown name is -EINVAL. */
int spec_expand(const char *s, const struct kvs *vars, char **ret, struct err *e);
uint32_t concurrency_of_command(const struct strv *argv);   /* gunicorn, uvicorn, celery options; else 100 */
uint32_t amount_of(struct amount a, uint32_t total, bool round_up);
