/* upstream.h - who of a service is in its upstream list, and in which state (I1, I8).
 *
 * Pure. A server is READY iff its instance is wanted to run and was last known ready. One that runs but fails its check
 * drains; one whose exit was seen, or whose new process has not passed yet, is out at once (MAINT); one that never passed is not listed.
 * Panic: if unreadiness alone (not exits, not drains) would leave fewer than half of those that run, they all stay: ignorance or a
 * common cause must not empty a list. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "model/words.h"

struct upstream_member {
    enum want want; bool alive, exited, ready, passed;
    bool listed;                    /* was in the list until now */
    bool listed_ret; enum server_state state_ret;   /* the answer */
};
/* Fills in the answers; true: panic. */
bool upstream_judge(struct upstream_member *m, size_t n);
/* The next power of two at or above `want`, at least 8. */
uint32_t upstream_slots(uint32_t want);
