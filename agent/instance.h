/* instance.h - the life of one instance: the table in instance.c decides what each event means in each state.
 *
 * Pure: what is to be done goes into the queue of `inst_host`, time and randomness come from there. Internal to the agent's core.
 * What is wanted stands beside the state (want, want_spec, gone) and is looked at after every event: level-triggered, so a
 * repeated or late wish does no harm. */
#pragma once
#include <uthash.h>
#include "agent/actions.h"
#include "agent/backoff.h"
#include "agent/health.h"
#include "agent/notify.h"
#include "agent/spec_box.h"

/* X(SYMBOL, word of model/words.h, has a main process, is probed for liveness) */
#define INST_TABLE_STATES(X) \
    X(IS_UNCLAIMED, INST_UNREADY,  1, 0) /* runs, found at the start, and no desired set was ever loaded: left alone */ \
    X(IS_WAITING,   INST_WAITING,  0, 0) \
    X(IS_HOOK,      INST_STARTING, 0, 0) /* before_start runs */ \
    X(IS_SPAWNING,  INST_STARTING, 0, 0) /* the keeper was asked */ \
    X(IS_STARTING,  INST_STARTING, 1, 1) /* startup, then readiness is probed */ \
    X(IS_READY,     INST_READY,    1, 1) \
    X(IS_UNREADY,   INST_UNREADY,  1, 1) \
    X(IS_DRAINING,  INST_DRAINING, 1, 1) \
    X(IS_STOPHOOK,  INST_STOPPING, -1, 0) /* before_stop runs */ \
    X(IS_TERM,      INST_STOPPING, -1, 0) /* stop signal sent, to the main process or to what it left behind */ \
    X(IS_KILL,      INST_STOPPING, -1, 0) /* SIGKILL to the group, again each second until it is empty */ \
    X(IS_CLEARING,  INST_BACKOFF,  0, 0) /* ended by itself; what it left behind gets the stop signal, the grace, the kill */ \
    X(IS_STOPPED,   INST_STOPPED,  0, 0) \
    X(IS_BACKOFF,   INST_BACKOFF,  0, 0) \
    X(IS_FAILED,    INST_FAILED,   0, 0)
#define INST_STATE_ENUM_(sym, word, main, live) sym,
enum inst_st { INST_TABLE_STATES(INST_STATE_ENUM_) INST_ST_COUNT };

#define INST_EVENTS(X) \
    X(IE_RUN)      /* wanted (again after each event): to run */ \
    X(IE_HOLD)     /* to exist, not to start yet */ \
    X(IE_DRAIN)    /* to take no new traffic */ \
    X(IE_STOP)     /* to stop, or not wanted at all */ \
    X(IE_REPLACE)  /* to run in another generation than the one that runs */ \
    X(IE_HOOK_OK) X(IE_HOOK_BAD) \
    X(IE_SPAWNED) X(IE_SPAWN_BAD) \
    X(IE_EXIT)     /* the main process ended; `populated` tells of others */ \
    X(IE_EMPTY)    /* nobody of the group is left, the main process had ended before */ \
    X(IE_PASS) X(IE_FAIL)  /* readiness, as decided by pass_after and fail_after */ \
    X(IE_LATE)     /* startup did not pass within its time */ \
    X(IE_SICK)     /* a restart for liveness or memory, granted by the budget (I9) */ \
    X(IE_TIMER)
#define INST_EVENT_ENUM_(sym) sym,
enum inst_event { INST_EVENTS(INST_EVENT_ENUM_) INST_EVENT_COUNT };

enum inst_sick { SICK_NO, SICK_LIVENESS, SICK_MEMORY };

struct inst_host { bool live /* the first tick was */; int64_t now; struct rng rng; uint64_t serial; struct actions q; bool sick_any; size_t dead_n; char broken[160]; /* "" or the first refused cell */ };

struct inst {
    UT_hash_handle hh;
    char id[ID_SIZE], service[NAME_LEN_MAX + 1]; uint32_t number;
    enum inst_st st; int64_t st_since;      /* since: of the public state */
    enum want want; bool claimed, gone, dead;   /* claimed: a desired set has spoken of it; gone: it is in the set no more; dead: over, to be freed */
    struct spec_box *box, *want_box; const struct spec_ref *spec, *want_spec;  /* of the process; of the wanted one. NULL: not known */

    int32_t pid; uint32_t port; bool running, populated, exited; int64_t started_at; struct exit_info last_exit;
    uint64_t spawn_serial;
    bool hook_on; enum hook_kind hook; uint64_t hook_serial; int64_t hook_deadline;
    int64_t timer_at, within_at, ready_since, due;     /* due: inst_deadline as core.c last saw it */
    struct health h[PROBE_ROLE_COUNT];
    bool startup_ok, after_ready_done, said_ready, said_stopping; int64_t beat_ms;

    struct backoff back; int64_t retry_at; uint32_t restarts; bool restart_due;
    bool finished;                          /* ended, and the restart policy says that is all */
    bool failing;                           /* being stopped because it failed: counts as a failure when it has ended */
    enum inst_st end_state;                 /* where IS_CLEARING leads */
    enum inst_sick sick; int64_t sick_since; bool sick_told, budgeted;
    uint32_t budget_of;                     /* so many at once was allowed when it was granted */
    char why[200], trouble[256], reason[256], text[128];    /* why: of failing or sick; trouble: what the last failure was */
    bool status_queued, mark, forget_taken;
};

struct inst *inst_new(struct inst_host *h, const char *id);
void inst_free(struct inst *i);

/* One event through the table, then what is wanted. 0, or -EPROTO for a refused cell: nothing happened, and h->broken says which. */
int inst_event(struct inst *i, struct inst_host *h, enum inst_event e);
/* What is wanted; takes references to the box. spec NULL: nothing any more. */
void inst_want(struct inst *i, struct inst_host *h, struct spec_box *box, const struct spec_ref *spec, enum want want);
void inst_adopt(struct inst *i, struct inst_host *h, int32_t pid, bool running, bool populated, struct exit_info exit, int64_t started_at);
void inst_adopt_ready(struct inst *i, struct inst_host *h, bool ready, bool passed, uint64_t generation);
void inst_tick(struct inst *i, struct inst_host *h);
int64_t inst_deadline(const struct inst *i);
void inst_probed(struct inst *i, struct inst_host *h, enum probe_role role, uint64_t serial, bool pass, const char *detail);
void inst_notify(struct inst *i, struct inst_host *h, const struct notify_msg *m);
void inst_hook_done(struct inst *i, struct inst_host *h, enum hook_kind hook, uint64_t serial, bool ok, const char *detail);
void inst_sicken(struct inst *i, struct inst_host *h, enum inst_sick sick, const char *why);

enum instance_state inst_public(const struct inst *i);
int inst_main_rule(enum inst_st st);     /* 1: has a main process, 0: has none, -1: either */
bool inst_is_live(enum inst_st st);
void inst_settle(struct inst *i, struct inst_host *h);  /* looks at what is wanted */
void inst_touch(struct inst *i, struct inst_host *h);   /* its status is to be told */
void inst_reason(struct inst *i, struct inst_host *h, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Shared between instance.c and instance_probe.c: */
void inst_probes_sync(struct inst *i, struct inst_host *h);     /* starts and ends probes as the state wants */
void inst_ask(struct inst *i, struct inst_host *h);             /* asks what is due */
void inst_probe_ticks(struct inst *i, struct inst_host *h);
const char *inst_st_name(enum inst_st st);
const char *inst_event_name(enum inst_event e);
/* "0.3 s", "42 s", "5 min" */
void inst_secs(int64_t ms, char *buf, size_t size);
