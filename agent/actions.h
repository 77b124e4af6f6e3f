/* actions.h - the queue of what is to be done. Pure.
 *
 * First in, first out. Bounded: history lines beyond ACTIONS_EVENTS_MAX waiting are dropped and counted; everything else is bounded by
 * the number of instances (a status waits at most once per instance, a probe once per role ...). */
#pragma once
#include "agent/core.h"

enum { ACTIONS_EVENTS_MAX = 4096 };
struct actions {
    struct agent_action *v; size_t head, n, cap;    /* a ring */
    size_t events; uint64_t events_dropped;
};
struct agent_action *actions_push(struct actions *q, enum agent_action_kind kind, const char *id);   /* to be filled in before the next push */
void actions_event(struct actions *q, const char *id, int level, const char *kind, const char *fmt, ...) __attribute__((format(printf, 5, 6)));
bool actions_pop(struct actions *q, struct agent_action *ret);
void actions_done(struct actions *q);
