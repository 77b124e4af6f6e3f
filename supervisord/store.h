/* store.h - the controller's durable state on one machine: SQLite, WAL, synchronous=FULL.
 *
 * Acts (disk, one worker thread of libuv). A commit is asynchronous and whole: all of its rows or none; one runs at a time.
 * A file that SQLite finds damaged is put aside (state.db.damaged-TIME), never deleted, and the store starts empty with `lost` set. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>
#include "base/err.h"

struct store;
struct store_row { char kind[12]; char name[48]; char *json; /* NULL: delete */ };
struct store_batch { struct store_row *v; size_t n, cap; };

/* Adds or replaces a row of the batch by (kind, name); takes json over. */
void store_batch_put(struct store_batch *b, const char *kind, const char *name, char *json);
void store_batch_done(struct store_batch *b);

/* Opens or makes folder/state.db. lost: there had been a state and it could not be read; note: what was done about it (for people). */
int store_open(uv_loop_t *loop, const char *folder, struct store **ret, bool *ret_lost, char **ret_note, struct err *e);
void store_close(struct store *s);      /* waits for a commit under way */
/* Raises the stored epoch and gives it. -errno if that could not be made durable; *ret_epoch is then the stored one plus one all the same. */
int store_raise_epoch(struct store *s, uint64_t at_least, uint64_t *ret_epoch, struct err *e);
/* Calls fn for each row, in the order of kind and name. */
int store_each(struct store *s, int (*fn)(void *arg, const char *kind, const char *name, const char *json), void *arg, struct err *e);
/* Commits the batch (taken over, zeroed) in the worker; done(arg, 0 or -errno, text) in the loop. -EBUSY while one is under way. */
int store_commit(struct store *s, struct store_batch *b, void (*done)(void *arg, int rc, const char *why), void *arg);
bool store_busy(const struct store *s);
