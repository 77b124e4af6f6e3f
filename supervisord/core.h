/* core.h - the controller's decisions: how many instances of what, which start, drain and stop, who is in which upstream list.
 *
 * Pure: no I/O, no clock, no libuv; time comes with each event (now: monotonic ms). Level-triggered: each event changes what is known, then
 * controller_step compares wanted with known and moves one step; calling it again without news changes nothing.
 * After each event the caller: (1) takes dirty services (controller_next_dirty) and stores them, (2) when they are durable, sends
 * controller_desired if controller_revision has risen, and answers people, (3) takes events (controller_next_event), (4) arms a
 * timer for controller_deadline. */
#pragma once
#include "model/desired.h"
#include "model/status.h"
#include "supervisord/scaler.h"

struct controller;
struct controller_options { uint64_t epoch; uint64_t revision_start; };

struct controller *controller_new(struct controller_options o);
void controller_free(struct controller *c);

/* --- persistence ------------------------------------------------------------------------------------
 * One row a service (and one a balancer): an opaque one-line JSON text that controller_load takes back. */
struct controller_row { char kind[12]; /* "service" | "balancer" */ char name[NAME_LEN_MAX + 1]; char *json; /* NULL: delete the row; else to be freed by the taker */ };
bool controller_next_dirty(struct controller *c, struct controller_row *ret);
int controller_load(struct controller *c, const char *kind, const char *name, const char *json, struct err *e);
/* The store was lost: everything is taken over from what the agent last had (its disk copy), so that nothing is stopped. */
void controller_recover(struct controller *c, int64_t now, const struct desired *agent_had);

/* --- what people want (each: 0, or -ENOENT no such service, -EINVAL/-ERANGE/-EBUSY refused with the reason in e) ------ */
struct apply_request { const struct config *config; const char *source; /* the file's path: services that came from it and are in it no more are deleted */
    uint32_t owner_uid, owner_gid; const char *path_env; };
/* The difference as a person reads it (diff, may be NULL), and how many services/balancers change. dry: nothing else happens. */
int controller_apply(struct controller *c, int64_t now, const struct apply_request *r, bool dry, struct strbuf *diff, uint32_t *ret_changes, struct err *e);
int controller_delete(struct controller *c, int64_t now, const char *service, struct err *e);
int controller_scale(struct controller *c, int64_t now, const char *service, uint32_t count, struct err *e);
int controller_restart(struct controller *c, int64_t now, const char *service, struct err *e);   /* a rollout of the same revision */
int controller_stop(struct controller *c, int64_t now, const char *service, struct err *e);      /* keeps its row and its number; an instance's name ("api.2") is -EINVAL */
int controller_start(struct controller *c, int64_t now, const char *service, struct err *e);
void controller_down(struct controller *c, int64_t now);          /* stop all, dependents first, balancers last; then desired.end */

/* --- what agents tell ------------------------------------------------------------------------------- */
void controller_agent_connected(struct controller *c, int64_t now, uint64_t agent_epoch, uint64_t agent_revision);   /* full status follows */
void controller_agent_gone(struct controller *c, int64_t now);
/* full: what is not in it does not exist there. Before the first full one after connect nothing is decided. */
void controller_status(struct controller *c, int64_t now, const struct inst_status *v, size_t n, bool full);
void controller_balancer(struct controller *c, int64_t now, const struct balancer_report *r);
void controller_metrics(struct controller *c, int64_t now, const struct inst_metrics *iv, size_t in, const struct svc_metrics *sv, size_t sn);

void controller_step(struct controller *c, int64_t now);          /* called by each event above too; also the timer's event */
int64_t controller_deadline(const struct controller *c);

/* --- results ------------------------------------------------------------------------------------------ */
bool controller_synced(const struct controller *c);               /* the connected agent has told all; before that controller_desired must not be sent: it would
                                                                   * be made in ignorance (empty upstream lists after a restart) */
uint64_t controller_revision(const struct controller *c);         /* rises when controller_desired's answer changes */
void controller_desired(const struct controller *c, struct desired *ret);   /* a whole copy, owned by the caller */
bool controller_next_event(struct controller *c, struct muster_event *ret); /* wall_ms and seq left 0 */
bool controller_ended(const struct controller *c);                /* `down` is through: no instance, no balancer runs */

/* --- views, for the API: borrowed until the next event --------------------------------------------------- */
struct instance_view {
    char id[ID_SIZE]; uint64_t generation; uint32_t revision; enum want want; bool old_revision;
    bool known;                             /* the agent has told its status since we started */
    struct inst_status status;              /* if known; ages as of the event that brought it */
    int64_t status_at;                      /* now of that event */
    struct inst_metrics metrics; int64_t metrics_at; bool has_metrics;
};
struct service_view {
    const char *name; uint32_t revision; enum service_state state; const char *reason;   /* reason: why paused, degraded, ...; "" */
    uint32_t desired, ready, min, max; bool fixed, held /* a person's `scale` holds a plain number */, stopped;
    const struct service_spec *spec;
    const struct instance_view *instances; size_t instance_n;
    struct svc_metrics metrics; bool has_metrics; int64_t metrics_at;
    const struct scale_why *last_why;       /* NULL: not scaled yet */
};
size_t controller_service_count(const struct controller *c);
bool controller_service_at(const struct controller *c, size_t i, struct service_view *ret);   /* sorted by name */
bool controller_service(const struct controller *c, const char *name, struct service_view *ret);
/* The last decisions with their reasons, newest first, for `explain` (scaler decisions that changed something or would have, rollout steps). */
size_t controller_explain(const struct controller *c, const char *name, const struct scale_why **ret, size_t max);
struct balancer_view { const char *name; const struct balancer_spec *spec; const struct balancer_report *report; /* NULL: none yet */
                       bool applied; /* what is wanted now is what the balancer has acknowledged */ };
bool controller_balancer_at(const struct controller *c, size_t i, struct balancer_view *ret);
/* Checks I1, I3 and I8 on what is known, and whether any step so far broke I2, I3 or I10: 0, or -EPROTO and why. For the simulator. */
int controller_check(const struct controller *c, struct err *e);
