/* logtail.h - reading an instance's log over its rotated files: the last lines, and a follower that loses nothing at rotation.
 *
 * The follower knows its file by inode: when that was rotated, it is read to its end, then the next newer file. Only if it
 * was rotated out altogether (the follower slept over `keep` rotations) something is missed; logtail_lost counts that.
 * Calling sequence: open, next until 0, (wait some 100 ms, next until 0) ..., free. Opens nothing through links. */
#pragma once
#include <stdint.h>
#include "base/strbuf.h"

struct logtail;
/* Set to give the last `lines` lines first (SIZE_MAX: all there are). -ENOENT: there is no log (yet). */
int logtail_open(struct logtail **ret, const char *dir, const char *id, size_t lines);
/* 1: the next line, without its end, in *line (overwritten). 0: none now. -errno. */
int logtail_next(struct logtail *t, struct strbuf *line);
const char *logtail_unfinished(const struct logtail *t);    /* what stands behind the last line's end; "" none; borrowed */
uint64_t logtail_lost(const struct logtail *t);
void logtail_free(struct logtail *t);
/* The last n lines at once, an unfinished one included. 0 (also if there is no log), -errno. */
int logtail_last(const char *dir, const char *id, size_t n, struct strv *ret);
