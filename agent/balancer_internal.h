/* balancer_internal.h - what the files of the HAProxy driver share; nobody else includes it.
 * balancer.c: getting to what should run. balancer_want.c: what should. balancer_keeper.c: what the keeper says. hapgen.c: one HAProxy process and its lists. balancer_report.c: what is told. */
#pragma once
#include "agent/balancer.h"
#include "agent/hapctl.h"
#include "agent/hapdiff.h"
#include "agent/hapmetrics.h"
#include "agent/haproxy_conf.h"
#include "agent/logreader.h"

enum {
    GENS_MAX = 8,                           /* live processes: the present one, one that starts, and old ones that end their last requests */
    GONE_MAX = 4096, LISTENERS_HELD_MAX = 4,
    POLL_MS = 1000, BUSY_POLL_MS = 50, CONNECT_MS = 10,
    MUTE_MS = 5000,                         /* a HAProxy that does not answer for so long is replaced */
    START_MAX_MS = 15000,
    OLD_MAX_MS = 330000,                    /* a little over hard-stop-after */
    STOP_GRACE_MS = 30000,
    ROUNDS_MAX = 5,
};

/* One HAProxy process, from its spawn to its exit. */
struct hapgen {
    struct balancer *b;
    uint32_t number;                        /* 0: the place is free */
    int32_t pid;
    uint64_t signature; uint32_t listener;
    bool fresh;                             /* started by us, so its counters begin at 0 */
    bool stopping;                          /* told to end its last requests (SIGUSR1) */
    bool let_go;                            /* its connection was closed so that it may exit */
    int64_t born_ms, stopping_ms, heard_ms; /* heard: its last answer */
    int output;                             /* read end of its standard output and error, or -1 */
    struct hapctl *ctl; bool open, asking;
    struct hap_stat stat, coming;           /* last whole answer; the one under way */
    bool has_stat;
    uint64_t synced;                        /* the `serial` whose lists it is known to have */
    uint32_t rounds, missing, refused, waiting; int64_t applied_ms;
    uint32_t failures;                      /* connections lost or refused in a row */
    char refusal[120];                      /* what it answered to a command that did not work */
};
struct held { uint32_t number; char address[64]; uint32_t port; bool ready; };

struct balancer {
    uv_loop_t *loop;
    uv_timer_t timer;
    const struct balancer_ops *ops; void *arg;
    char *name, *dir, *haproxy;
    char log_socket[108], state_file[512], user[64], group[64];
    bool apart;                             /* HAProxy has a user of its own from its start on, and is in our group */
    struct logreader *logs;
    struct hapmetrics *metrics; int64_t sampled_ms;

    struct balancer_desired told;           /* as the controller wants it */
    struct balancer_desired want;           /* the same with gone instances in maint, and slots that never get fewer */
    bool has_want;
    uint64_t epoch, revision, serial;       /* serial: raised at each change of `want` */
    uint64_t acked_epoch, acked_revision;
    bool fresh_stat;                        /* figures have come since the last report */
    char (*gone)[ID_SIZE]; size_t gone_n;
    uint64_t signature;                     /* of want; 0: it cannot be expressed */
    char *state_text; bool state_failed;    /* what the state file holds; it could not be written */

    struct hapgen gens[GENS_MAX];
    struct hapgen *cur, *next;              /* serving; starting */
    uint32_t last_number;
    struct held held[LISTENERS_HELD_MAX];
    uint32_t last_listener; struct held asked; bool listen_asked;
    uint64_t good, bad, checking;           /* signatures: validated; refused; being validated */
    bool check_runs; int32_t check_pid; int check_output;
    int64_t retry_ms;                       /* nothing is started before this time */
    uint32_t deaths;                        /* in a row, soon after the start */
    char problem[256];

    bool stop, freed;
    int64_t stop_ms;
    struct balancer_report last; bool reported;
    bool echo; int64_t echo_heard_ms;                   /* one more report is owed, with figures newer than these */
};

static const char balancer_id_prefix[] = "balancer:";

/* balancer.c */
void balancer_step(struct balancer *b);                 /* does whatever is to be done next; called after every event */
void balancer_refresh(struct balancer *b);              /* the first answer of an adopted HAProxy tells what it has: compares anew */
void balancer_id(const struct balancer *b, uint32_t gen, char *ret /* ID_SIZE */);
void balancer_event(struct balancer *b, int level, const char *kind, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
int64_t balancer_now(const struct balancer *b);
void balancer_check_id(const struct balancer *b, char *ret /* ID_SIZE */);
void balancer_listener_id(const struct balancer *b, uint32_t n, char *ret /* ID_SIZE */);
struct hap_paths balancer_paths(const struct balancer *b, const char *socket, const char *hop);
void balancer_start_failed(struct balancer *b, int64_t now, const char *why);   /* told, and tried again after a pause */
void balancer_retire(struct balancer *b, struct hapgen *g, int64_t now);        /* SIGUSR1: it ends its last requests */

/* hapgen.c */
struct hapgen *hapgen_new(struct balancer *b, uint32_t number);     /* NULL: no place is free */
void hapgen_paths(const struct balancer *b, uint32_t number, char conf[512], char socket[512]);
void hapgen_hop(const struct balancer *b, uint32_t number, char ret[512]);     /* hap_paths.hop */
void hapgen_drive(struct hapgen *g);                    /* connects, asks, applies: what its state calls for */
void hapgen_maint(struct hapgen *g, const char *service, const char *id);   /* at once, ahead of everything */
void hapgen_let_go(struct hapgen *g);                   /* closes the connection, so that a stopping one may exit */
void hapgen_end(struct hapgen *g);                      /* it exited: frees all, removes its files */
bool hapgen_synced(const struct hapgen *g);
bool hapgen_busy(const struct hapgen *g);               /* wants to be looked at again soon */
int64_t hapgen_connections(const struct hapgen *g);     /* of clients, idle ones included; -1: not known */
int64_t hapgen_requests(const struct hapgen *g);        /* under way in all backends; -1: not known */

/* balancer_report.c */
void balancer_tell(struct balancer *b, bool always);    /* reports if anything changed since the last one */
bool balancer_draining(const struct balancer *b);       /* a server drains and is not known to be idle yet */
