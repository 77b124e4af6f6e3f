/* core_priv.h - what the files core*.c share; nobody else includes it. */
#pragma once
#include "base/cleanup.h"
#include "base/strbuf.h"
#include "supervisord/core.h"
#include "supervisord/service.h"

enum {
    SERVICES_MAX = 1000, BALANCERS_MAX = 100,
    EVENTS_MAX = 1024,              /* waiting to be taken; at the bound the oldest goes */
    METRICS_STALE_MS = 15000, DECIDE_EVERY_MS = 1000,
    ACK_PATIENCE_MS = 60000,        /* a balancer that does not acknowledge holds a drain up so much longer at most */
    DEAD_PATIENCE_MS = 5000,        /* one that does not run: no traffic comes, but it may be just being restarted */
    DOWN_PATIENCE_MS = 10000,       /* `down`: for the balancers to say that they ended */
};

struct balancer {
    char name[NAME_LEN_MAX + 1];
    char *source, *json;
    struct balancer_spec spec;
    bool deleting;                  /* goes with the last instance that stands behind it */
    bool dirty;
    struct balancer_report report; bool has_report; int64_t report_at;
    uint64_t seq;                   /* reports got */
};
struct tomb { char kind[12]; char name[NAME_LEN_MAX + 1]; };    /* a row to be deleted from the store */

struct controller {
    uint64_t epoch, revision, generation;
    bool bumped;                    /* the revision rose in this event already */
    struct service **svc; size_t svc_n;         /* by name */
    struct balancer **bal; size_t bal_n;        /* by name */
    bool connected, synced, resend;
    uint64_t full_seq;
    bool down, end; int64_t down_at;
    struct tomb *tombs; size_t tomb_n;
    struct muster_event *events; size_t event_at, event_n;
    int64_t now;                    /* of the last event */
};

/* core.c */
uint64_t controller_bump(struct controller *c);     /* what agents shall have changes in this event; its revision */
void controller_event(struct controller *c, int level, const char *kind, const char *subject, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
void controller_begin(struct controller *c, int64_t now);   /* each event begins so */
void controller_settle(struct controller *c);               /* and ends so */
struct service *controller_find(const struct controller *c, const char *name);
struct service *controller_add_service(struct controller *c, const char *name); /* must not exist */
struct balancer *controller_find_balancer(const struct controller *c, const char *name);
struct balancer *controller_add_balancer(struct controller *c, const char *name);
void controller_remove_balancer(struct controller *c, struct balancer *b);      /* with its row */
struct instance *controller_instance(const struct controller *c, const char *id, struct service **ret);
struct balancer *controller_balancer_of(const struct controller *c, const struct service *s);   /* NULL: not balanced */
uint64_t controller_generation(struct controller *c);       /* a new unique one */
void service_changed(struct service *s);                    /* row and views */

/* core_step.c */
void controller_run(struct controller *c, int64_t now);     /* steps all services that have something to do */
/* The first of `after` that it still waits for; NULL: none. */
const char *service_waits_for(const struct controller *c, const struct service *s);

/* core_drain.c */
void service_let_go(struct controller *c, struct service *s, struct instance *i, int64_t now);  /* drain, or stop what has no traffic */
void service_drains(struct controller *c, struct service *s, int64_t now);     /* DRAIN -> STOP where through; lowers s->next_at */
void service_reap(struct controller *c, struct service *s);                    /* rows of what has ended */

/* core_json.c */
char *service_to_json(const struct service *s, int64_t now);
int service_from_json(const char *name, const char *json, struct service **ret, struct err *e);
char *balancer_row_to_json(const struct balancer *b);
int balancer_row_from_json(const char *name, const char *json, struct balancer **ret, struct err *e);
void controller_balancer_free(struct balancer *b);
