/* events.h - the history that people read: a bounded ring in memory, and events.db (WAL, synchronous=NORMAL) so that it outlives a restart.
 * Acts (disk). A full disk costs only the disk copy. Sequence numbers only rise, over restarts too. */
#pragma once
#include "base/err.h"
#include "model/status.h"

enum { EVENTS_KEPT = 4096 };
struct events;
struct events *events_open(const char *folder);                 /* never fails: without a usable file it keeps to memory */
void events_close(struct events *ev);
void events_add(struct events *ev, const struct muster_event *e);   /* copies; gives it the next seq, and the wall time if it has none */
uint64_t events_last(const struct events *ev);
/* The i-th event with a seq above `after`, oldest first; NULL: no more. */
const struct muster_event *events_after(const struct events *ev, uint64_t after, size_t i);
void events_flush(struct events *ev);                           /* writes what is new, in one transaction; called by a timer, not per event */
