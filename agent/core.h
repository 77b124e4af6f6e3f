/* core.h - the agent's decisions: which process to start, signal, kill and probe, and what to tell.
 *
 * Pure: no I/O, no clock, no libuv; randomness (jitter) comes from a seed given at the start; equal event sequences give equal actions.
 * Every call is an event with the time `now` (monotonic ms). After each call (or batch) the caller takes the actions with
 * agent_core_next until it returns false, and arms one timer for agent_core_deadline. An action that cannot be carried out
 * comes back as an event; a lost or repeated event does no harm.
 *
 * The life of one instance is the table in agent/instance.c (states x events, drawing at its head); the counting of probe results
 * is agent/health.c; this file is the set of instances and the restart budget (I9). */
#pragma once
#include <stdbool.h>
#include "base/rng.h"
#include "model/desired.h"
#include "model/status.h"

struct agent_core;
enum probe_role { PROBE_STARTUP, PROBE_READINESS, PROBE_LIVENESS, PROBE_ROLE_COUNT };

enum agent_action_kind {
    AA_SPAWN,           /* start id's process with `spec` (borrowed until the next event) */
    AA_SIGNAL,          /* signo to the main process */
    AA_GROUP,           /* signo (9 to kill) to the whole group */
    AA_FORGET,          /* the slot is over: release its port, FIFO, cgroup */
    AA_PROBE,           /* run this probe once, timeout in ms, answer with serial; at most one a role and instance is ever under way */
    AA_PROBE_CANCEL,    /* drop it (its group too); no answer is awaited */
    AA_HOOK,            /* run this hook, answer with agent_core_hook_done */
    AA_HOOK_CANCEL,
    AA_STATUS,          /* id's status changed: tell the controller, and the balancer driver here */
    AA_EVENT,           /* a line of history (level, kind, text) */
};
struct agent_action {
    enum agent_action_kind kind;
    char id[ID_SIZE];
    int32_t pid; int signo;
    uint64_t serial;                        /* AA_SPAWN, AA_PROBE, AA_HOOK: given back in the answer */
    enum probe_role role; const struct probe_spec *probe;
    enum hook_kind hook;
    const struct spec_ref *spec;
    int level; char event[32]; char text[320];
};

struct agent_core *agent_core_new(uint64_t seed);
void agent_core_free(struct agent_core *c);
bool agent_core_next(struct agent_core *c, struct agent_action *ret);
/* Next time agent_core_tick wants a call; INT64_MAX: none. Until the first tick nothing is started, stopped or probed (what runs must be
 * adopted before), and the deadline is 0: so call tick once after the adoption, also if there was nothing to adopt. */
int64_t agent_core_deadline(const struct agent_core *c);
void agent_core_tick(struct agent_core *c, int64_t now);

/* The whole desired set; takes it over (zeroes *d). -ESTALE (and *d freed) for a lower epoch, or a lower revision within the epoch.
 * An instance not in it any more is stopped at once and forgotten. A changed spec for an id whose service_spec_same_process holds is
 * taken without a restart; another generation under the same id means stop, then start anew. */
int agent_core_desired(struct agent_core *c, int64_t now, struct desired *d);
/* At the agent's start, after agent_core_desired from disk and before any tick: what the keeper has. Unknown ids are adopted as
 * unwanted (WANT_STOP) only if a desired set was ever loaded; else left alone and told. */
void agent_core_adopt(struct agent_core *c, int64_t now, const char *id, int32_t pid, bool running, bool populated, struct exit_info exit, int64_t started_ms);
/* After agent_core_adopt of a running process, what the agent itself had noted about that very pid: was it ready, or had it passed once but was not
 * just then (then it is ready or unready at once, and the next probes decide as usual: no flip; else it is starting), how often was it
 * restarted, which generation is it (0: not known, taken as the wanted one; another than the wanted one: stopped, then started anew). */
void agent_core_adopt_ready(struct agent_core *c, int64_t now, const char *id, bool ready, bool passed, uint32_t restarts, uint64_t generation);

void agent_core_spawned(struct agent_core *c, int64_t now, const char *id, uint64_t serial, int32_t pid);
void agent_core_spawn_failed(struct agent_core *c, int64_t now, const char *id, uint64_t serial, const char *cause);
void agent_core_exited(struct agent_core *c, int64_t now, const char *id, int32_t pid, struct exit_info exit, bool populated);
void agent_core_empty(struct agent_core *c, int64_t now, const char *id);      /* nobody of the group is left */
void agent_core_probed(struct agent_core *c, int64_t now, const char *id, enum probe_role role, uint64_t serial, bool pass, const char *detail);
void agent_core_hook_done(struct agent_core *c, int64_t now, const char *id, enum hook_kind hook, uint64_t serial, bool ok, const char *detail);
void agent_core_oom(struct agent_core *c, int64_t now, const char *id);
/* One parsed notify datagram (agent/notify.h); `from_group`: the sender is of the instance's own group. */
struct notify_msg;
void agent_core_notify(struct agent_core *c, int64_t now, const char *id, const struct notify_msg *m);
void agent_core_port(struct agent_core *c, const char *id, uint32_t port);      /* the shell chose it; for the status */

size_t agent_core_count(const struct agent_core *c);
/* i in 0..count-1; ordered by id's service then number. false: out of range / no such id. */
bool agent_core_status_at(const struct agent_core *c, int64_t now, size_t i, struct inst_status *ret);
bool agent_core_status(const struct agent_core *c, int64_t now, const char *id, struct inst_status *ret);
const struct desired *agent_core_wanted(const struct agent_core *c);           /* the last accepted set, for the disk copy and hello; NULL: none */
const struct spec_ref *agent_core_spec(const struct agent_core *c, const char *id);
/* Told to end (desired.end) and nothing lives any more. */
bool agent_core_all_ended(const struct agent_core *c);
/* Checks what must always hold (at most one probe a role, budget, a pid only in states that have one ...): 0, or -EPROTO and why. For the simulator. */
int agent_core_check(const struct agent_core *c, struct err *e);
