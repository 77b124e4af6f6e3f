/* sim.h - one host in virtual time: the real cores of agent and controller, everything around them played from a seed.
 *
 *   people -> controller core -> channel -> agent core -> keeper and processes
 *     (people.c)   (ctl.c)      (channel.c)  (agentd.c)     (keeper.c)
 *                                              `-> balancer (proxy.c)
 *
 * Nothing here reads a clock or a random device: a seed is one history, bit for bit. After every event the cores' own checks and
 * the invariants of check.c are looked at; the first that does not hold ends the run with the command that repeats it. */
#pragma once
#include <setjmp.h>
#include <stdio.h>
#include "agent/core.h"
#include "base/cleanup.h"
#include "base/rng.h"
#include "base/strbuf.h"
#include "model/wire.h"
#include "supervisord/core.h"

enum { SERVICES = 4, SLOTS = 256, ROWS = 32, PEOPLE_MAX = 64, MS = 1, SEC = 1000, MIN = 60000 };

/* What goes wrong, and what people do: columns of the table that the run ends with. */
#define FAULTS(X) \
    X(F_CRASH, "crash") X(F_EXIT0, "clean exit") X(F_LEFTOVERS, "crash+leftovers") X(F_HANG, "hung") X(F_UNREADY, "unready") X(F_SICK, "not alive") X(F_OOM, "oom") \
    X(F_SPAWN, "spawn fails") X(F_SLOW, "slow start") X(F_NO_TERM, "ignores TERM") X(F_STOP_LEFT, "leftovers at stop") X(F_LOST_PROBE, "lost probe") X(F_HOOK, "hook fails") \
    X(F_ALL_UNREADY, "all unready") X(F_ALL_SICK, "none alive") X(F_SUPERVISOR, "supervisor dies") X(F_CONTROLLER, "controller dies") X(F_BOTH, "both die") \
    X(F_LINK, "link breaks") X(F_REPEAT, "repeated msg") X(F_STALE, "old leader's msg") X(F_PROXY, "haproxy dies") X(F_STORE_FULL, "store refuses") X(F_STORE_LOST, "store lost") \
    X(F_APPLY, "apply") X(F_BAD, "bad revision") X(F_SCALE, "scale") X(F_RESTART, "restart") X(F_STOP, "stop") X(F_START, "start") X(F_DELETE, "delete") X(F_DOWN, "down")
#define FAULT_ENUM_(sym, word) sym,
enum fault { FAULTS(FAULT_ENUM_) FAULT_COUNT };

struct world;
struct ev {
    int64_t at; uint64_t seq;
    void (*fn)(struct world *w, struct ev *e);
    void (*drop)(void *p); void *ptr;       /* freed by drop unless fn took it */
    uint64_t life;                          /* of whom it is for: another life, and it is lost */
    char id[ID_SIZE]; int64_t a, b; uint64_t serial;
};

struct proc {                               /* a slot of the keeper and what runs in it */
    char id[ID_SIZE]; bool used;
    int32_t pid; bool running, left; struct exit_info exit; int64_t started_at;
    uint64_t generation; bool bad; int64_t ready_at, unready_until, sick_until, hung_until;
    bool no_term, leaves; bool term_sent;
    bool was_ready;                         /* this process passed once, as the agent told */
};
struct note { char id[ID_SIZE]; int32_t pid; bool ready, passed; uint32_t restarts; uint64_t generation; };
struct server { char id[ID_SIZE]; enum server_state state, wanted; int64_t idle_at; uint32_t in_flight; };
struct row { char kind[12], name[NAME_LEN_MAX + 1]; char *json; };
struct rows { struct row v[ROWS]; size_t n; };

struct mark { uint64_t issued, acked; bool deleted; };   /* of a service's specification: which one the store has to have */
struct sim_service {
    const char *name; bool scaled, balanced, startup, hooks; const char *after; unsigned surge, unavailable;
    unsigned count;                         /* in the file */
    uint64_t mark; bool bad, present, stopped; struct mark store;
    double load;                            /* requests in flight in all */
    int64_t dirty_until;                    /* I2 is not judged by outsiders' doing till then */
};

struct world {
    uint64_t seed; struct rng rng; int64_t now, faults_until, end; bool trace, calm; uint64_t steps;
    struct ev *heap; size_t heap_n, heap_cap; uint64_t seq;
    jmp_buf failed; char failure[600];

    struct proc proc[SLOTS]; size_t proc_n; int32_t pid; int64_t keeper_at;     /* keeper_at: its answers keep their order */

    struct agent_core *agent; uint64_t agent_life; bool agent_touched, forgotten;
    struct strbuf disk;                     /* the packed desired set */
    struct note notes[SLOTS]; size_t note_n; bool notes_pending;
    char changed[SLOTS][ID_SIZE]; size_t changed_n;

    struct controller *ctl; uint64_t ctl_life; bool ctl_touched, agent_known;
    uint64_t epoch, sent_revision; struct rows durable, pending, inflight; bool committing, lost;
    struct { int kind; int svc; uint64_t value; } waiting[PEOPLE_MAX], acking[PEOPLE_MAX]; size_t waiting_n, acking_n;

    bool link_up; uint64_t link; int64_t to_agent_at, to_ctl_at; struct strbuf old_set;     /* old_set: of an earlier epoch, packed */

    char gone[SLOTS][ID_SIZE]; size_t gone_n;  /* left, and not ready again: out whatever the list says; the driver's memory */
    bool proxy_up, proxy_wanted; int64_t proxy_since; uint64_t proxy_epoch, proxy_revision; struct server server[SLOTS]; size_t server_n;

    struct sim_service svc[SERVICES]; bool down_asked;
    uint64_t hits[FAULT_COUNT][INSTANCE_STATE_COUNT], revisions, restarts;
};

/* heap.c */
void ev_push(struct world *w, int64_t delay, struct ev e);
bool ev_pop(struct world *w, struct ev *ret);
int64_t ev_next_at(const struct world *w);
void ev_clear(struct world *w);
/* main.c */
void fail(struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3), noreturn));
void trace(struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static inline uint64_t below(struct world *w, uint64_t n) { return rng_below(&w->rng, n); }
static inline bool chance(struct world *w, unsigned permille) { return rng_below(&w->rng, 1000) < permille; }
static inline int64_t between(struct world *w, int64_t a, int64_t b) { return a + (int64_t)rng_below(&w->rng, (uint64_t)(b - a + 1)); }
void hit(struct world *w, enum fault f, const char *id);        /* in the state of that instance */
void hit_all(struct world *w, enum fault f);                    /* in each state that some instance is in */
/* report.c */
const char *fault_word(enum fault f);
void print_world(struct world *w);
void print_hits(uint64_t hits[FAULT_COUNT][INSTANCE_STATE_COUNT]);
/* keeper.c */
struct proc *proc_find(struct world *w, const char *id);
void keeper_spawn(struct world *w, const struct agent_action *a);
void keeper_signal(struct world *w, const struct agent_action *a, bool group);
void keeper_forget(struct world *w, const char *id);
void proc_die(struct world *w, struct proc *p, enum exit_kind kind, int value, bool leaves);
bool proc_passes(const struct world *w, const struct proc *p, enum probe_role role);
void keeper_fault(struct world *w);                             /* something happens to a process */
/* agentd.c */
void agent_start(struct world *w);
void agent_kill(struct world *w);
void agent_settle(struct world *w);
void agent_message(struct world *w, struct wire_msg *m);        /* from the controller; takes it */
void agent_linked(struct world *w);                             /* says hello, sends all */
void agent_report(struct world *w, const struct balancer_report *r);
/* channel.c */
void channel_connect_soon(struct world *w);
void channel_break(struct world *w);
void channel_to_agent(struct world *w, struct wire_msg *m);     /* takes it */
void channel_to_ctl(struct world *w, struct wire_msg *m);
void wire_free(void *m);
/* ctl.c */
void ctl_start(struct world *w);
void ctl_kill(struct world *w);
void ctl_settle(struct world *w);
void ctl_message(struct world *w, struct wire_msg *m);
void ctl_agent_gone(struct world *w);
void rows_done(struct rows *r);
enum { ACK_NONE, ACK_APPLY, ACK_SCALE, ACK_DELETE };
void ctl_commit(struct world *w, int kind, int svc, uint64_t value);    /* answer a person when it is durable */
/* proxy.c */
void proxy_set(struct world *w, const struct desired *d);       /* NULL: end */
void proxy_gone(struct world *w, const char *id);
void proxy_back(struct world *w, const char *id);
void proxy_forget(struct world *w);                             /* the driver died with the supervisor */
void proxy_kill(struct world *w);
const struct server *proxy_server(const struct world *w, const char *id);
void proxy_start(struct world *w);
/* people.c */
void people_start(struct world *w);
void people_final(struct world *w);                             /* the last wishes, all good */
void people_applied(struct world *w, int svc, int kind, uint64_t value);
int service_index_of(const struct world *w, const char *id);
/* check.c */
void check_now(struct world *w);
void check_before_ctl(struct world *w);                         /* remembers who was ready and wanted (I2) */
void check_after_ctl(struct world *w);
void check_stop(struct world *w, const char *id, int32_t pid);  /* a stop signal goes out */
void check_converged(struct world *w);
void check_ended(struct world *w);
bool settled(struct world *w, struct strbuf *why);
