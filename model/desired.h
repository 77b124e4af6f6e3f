/* desired.h - what the controller wants an agent to have: level-triggered, whole, with a revision.
 * Built by supervisord/, sent as protobuf (model/wire.h), acted on by agent/. */
#pragma once
#include <stdint.h>
#include "model/spec.h"

struct spec_ref {                           /* one spec as many instances share it */
    uint64_t generation;                    /* unique for (service, revision, restart): what a rollout compares */
    uint32_t revision;                      /* api@7 */
    uint32_t owner_uid, owner_gid;          /* run as these if spec.user is NULL */
    char *path_env;                         /* the caller's PATH, or NULL */
    char *json;                             /* canonical; kept for the disk copy */
    struct service_spec spec;
};
struct desired_item {
    char id[ID_SIZE];                       /* "api.1" */
    uint32_t spec_index;                    /* into specs */
    enum want want;
};
struct upstream_server {
    char id[ID_SIZE];
    char address[64]; uint32_t port;
    enum server_state state;
};
struct upstream {                           /* one backend: a service at a balancer */
    char service[NAME_LEN_MAX + 1];
    struct strv hosts; char *path; bool retry;
    uint32_t maxconn;                       /* per server: the spec's concurrency */
    uint32_t slots;                         /* server slots to provide: at least max + surge */
    enum probe_kind check; char *check_path;/* PROBE_HTTP, PROBE_TCP or PROBE_NONE */
    int64_t check_every_ms, check_timeout_ms; uint32_t check_fail_after;
    bool panic;                             /* I8: the balancer's own checks must not take servers out either */
    struct upstream_server *servers; size_t server_n;
};
struct balancer_desired {
    struct balancer_spec spec;
    struct upstream *upstreams; size_t upstream_n;
};
struct desired {
    uint64_t epoch, revision;               /* of the controller; an agent refuses a lower epoch, or a lower revision in one epoch */
    struct spec_ref *specs; size_t spec_n;
    struct desired_item *items; size_t item_n;
    struct balancer_desired *balancers; size_t balancer_n;
    bool end;                               /* `down`: once nothing is left, the agent ends all of muster on this machine */
};
void desired_done(struct desired *d);       /* frees all and zeroes */
void upstream_done(struct upstream *u);
void balancer_desired_done(struct balancer_desired *b);
