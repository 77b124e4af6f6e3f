/* service.h - one service as the controller knows it: its releases, its instances (slots), how many are wanted, its state.
 *
 * Pure: no I/O, clock or randomness. Owns all it points to. Internal to supervisord's core (core*.c); others use core.h.
 *
 * What is wanted of one instance goes one way only (service.c has the table):
 *
 *     HOLD ---> RUN ---> DRAIN ---> STOP ---> (row removed, slot free)
 *       |        |                   ^
 *       +--------+-------------------+      what has no traffic is not drained
 */
#pragma once
#include <assert.h>
#include <errno.h>
#include "model/desired.h"
#include "model/status.h"
#include "supervisord/core.h"
#include "supervisord/scaler.h"

enum { EXPLAIN_KEPT = 32, SETTLED_MS = 10000 /* an instance's first seconds as ready do not feed the scaler (I10) */ };

struct release {                        /* a spec as instances run it; shared by reference count */
    unsigned refs;
    uint64_t generation;                /* unique per (service, change of process or restart) */
    uint32_t revision, owner_uid, owner_gid;
    char *path_env, *json;
    struct service_spec spec;
};
/* NULL and *e if the JSON is none of ours. */
struct release *release_new(const char *name, const char *json, uint64_t generation, uint32_t revision, uint32_t owner_uid,
                            uint32_t owner_gid, const char *path_env, struct err *e);
struct release *release_ref(struct release *r);
void release_unref(struct release *r);

struct instance {
    uint32_t slot; char id[ID_SIZE];
    struct release *rel;
    enum want want;
    uint64_t born;                      /* larger is younger */
    int64_t run_at;                     /* since when wanted RUN (or since our first full status, if that is later) */
    uint64_t drain_revision;            /* the desired revision in which it first is DRAIN */
    int64_t drain_at;                   /* when that was decided */
    uint64_t ack_seq;                   /* the balancer's report that first acknowledged it; 0: none yet */
    enum server_state srv; bool listed; uint32_t listed_port;   /* as in the upstream list; listed: it is in it at all */
    bool ever_listed;                   /* has got traffic, or may have */
    uint64_t full_seq;                  /* the last full status that had it */
    bool known, absent;                 /* a status came since our start; absent: the last full one did not have it */
    struct inst_status status; int64_t status_at;
    int64_t ready_since;                /* 0: not ready now */
    int64_t settled_pid;                /* the process that was seen settled: still counts for a scale-up when unready (overload) */
    int32_t ready_pid; uint32_t ready_port; /* the process last seen ready */
    struct inst_metrics metrics; int64_t metrics_at; bool has_metrics;
    uint64_t bal_seq; uint32_t bal_in_flight, bal_queued; enum server_state bal_state;   /* of the balancer's report number bal_seq */
};

struct service {
    char name[NAME_LEN_MAX + 1];
    char *source;
    struct release *target;             /* what is wanted */
    struct instance **inst; size_t n, cap;  /* by slot */
    uint32_t free_hint;                 /* no slot below is free */
    uint64_t born_next;
    uint32_t desired; bool held;
    bool stopped, deleting;
    bool gate_open; uint64_t gate_seen; /* `after`: bit i: after.v[i] has been ready since the hold began */
    bool rolling, paused; char pause_reason[320]; char pause_id[ID_SIZE];
    bool announced;                     /* all were ready once: said */
    bool panic; uint32_t slots;
    enum service_state state; char reason[400];
    uint32_t ready;                     /* wanted to run and ready, any generation */
    struct svc_metrics metrics; int64_t metrics_at; bool has_metrics;
    struct scale_memory mem; bool mem_aged;     /* mem_aged: loaded, times are still ages (negative), see service_rebase */
    int64_t decided_at;
    struct scale_why why[EXPLAIN_KEPT]; size_t why_n, why_at;   /* a ring; why_at: the next to write */
    int64_t next_at;                    /* its own deadline */
    bool stale;                         /* something changed: step it */
    bool dirty;                         /* row to be stored */
    struct instance_view *views; bool views_stale;
    char broken[160];                   /* the first step that broke I2, I3 or I10, for controller_check; "" */
};

struct service *service_new(const char *name);
void service_free(struct service *s);

/* The lowest free slot, 1..; a new instance of `rel` in it (a reference is taken). NULL beyond INSTANCES_MAX rows. */
struct instance *service_add(struct service *s, struct release *rel, enum want want);
struct instance *service_add_slot(struct service *s, uint32_t slot, struct release *rel, enum want want);   /* for loading; NULL if taken */
void service_remove(struct service *s, size_t index);
struct instance *service_slot(const struct service *s, uint32_t slot);  /* NULL: none */
/* "api.12" -> "api" and 12; -EINVAL. */
int instance_id_parse(const char *id, char *name, size_t name_size, uint32_t *ret_slot);
/* The only way to change what is wanted; asserts that the table allows it. */
void instance_want(struct instance *i, enum want want);

bool instance_matches(const struct instance *i);    /* its status speaks of the generation that is wanted in this slot */
bool instance_alive(const struct instance *i);
bool instance_ready(const struct instance *i);      /* last known ready; an agent that restarted and does not know yet changes nothing */
bool instance_passed(const struct instance *i);     /* its present process was ready at least once */
bool instance_failing(const struct instance *i, int64_t now);  /* of a new release: reason enough to pause */
void instance_fail_reason(const struct instance *i, int64_t now, char *buf, size_t size);
int64_t instance_fail_at(const struct instance *i); /* when it will be failing if nothing changes; INT64_MAX */
bool instance_wanted(const struct instance *i);     /* HOLD or RUN */

uint32_t service_goal(const struct service *s);     /* 0 while stopped or being deleted */
/* Of the releases that are not the target and still wanted, the one that serves best: most ready instances, then the newest. NULL: none. */
struct release *service_old_release(const struct service *s);
uint32_t service_surge(const struct service *s);
/* Server slots at the balancer: a power of two, at least 8, never fewer than before while the service exists. */
uint32_t service_slots(const struct service *s);
/* Derives s->state and s->reason from what is known: the table in service.c. */
void service_judge(struct service *s, int64_t now, const char *waits_for);
void service_explain(struct service *s, const struct scale_why *w);     /* keeps it; one that repeats the last outcome replaces it */
void service_rebase(struct service *s, int64_t now);                    /* ages -> times, once, after loading */
