/* logfollow.h - reads the lines of a rotated log, past and coming, and loses none at a rotation.
 *
 * The live file is PATH; a rotation renames PATH.1 to PATH.2, ..., PATH to PATH.1 and makes a new PATH. The follower keeps its file open, so it knows it by
 * inode whatever it is called now: at its end it looks up where it is called now, and goes on with the next newer one. Acts (files); no timer: the
 * caller polls. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LOGFOLLOW_KEEP_MAX = 1000, LOGFOLLOW_LINE_MAX = 64 << 10 /* a longer line is given in pieces */ };
struct logfollow;
typedef void logfollow_fn(void *arg, const char *line, size_t len);     /* a line without its newline */

/* Never fails: a file that is not there yet is waited for. It stands at the beginning of the live file. */
struct logfollow *logfollow_new(const char *path);
void logfollow_free(struct logfollow *f);
void logfollow_seek_oldest(struct logfollow *f);                /* the oldest rotated one */
void logfollow_seek_since(struct logfollow *f, int64_t wall_ms);/* the oldest file that was written to after then; lines before are for the caller to drop */
void logfollow_seek_last(struct logfollow *f, size_t n);        /* n complete lines before the end, over several files if need be; 0: the end */
/* Gives all complete lines there are now, in order, at most `most` (0: all). Gives their number. */
size_t logfollow_read(struct logfollow *f, size_t most, logfollow_fn *fn, void *arg);
/* The rest of a last line that has no newline yet (at the end of a one-time reading). */
void logfollow_flush(struct logfollow *f, logfollow_fn *fn, void *arg);
/* Rotations that were faster than we read: how often lines may be missing. */
size_t logfollow_gaps(const struct logfollow *f);
