/* logset.h - the logs of several instances as one stream, in order of their lines' timestamps.
 * Acts (files); prints nothing itself. */
#pragma once
#include "base/strbuf.h"
#include "ctl/logfollow.h"

struct logset;
/* A line and whose it is: index into the set, and its name ("api.1"); both borrowed. time_ms: of its timestamp, or of the last one before it, or -1. */
typedef void logset_fn(void *arg, size_t index, const char *name, int64_t time_ms, const char *line, size_t len);

/* Folder of NAME.N.log files. names: services or instances; none: all. Only what is there is added; more comes with logset_rescan. */
struct logset *logset_new(const char *folder, const struct strv *names);
void logset_free(struct logset *s);
size_t logset_count(const struct logset *s);
const char *logset_name(const struct logset *s, size_t index);
size_t logset_widest(const struct logset *s);                   /* of the names, for a column */
bool logset_matches(const struct logset *s, const char *name);  /* does this name (service or instance) have a log here? */
void logset_seek_last(struct logset *s, size_t n);
void logset_seek_since(struct logset *s, int64_t wall_ms);
/* Instances that came since; their logs are read from the beginning. */
void logset_rescan(struct logset *s);
/* Gives all that can be read now, merged by time (each log's own order is kept). Memory stays bounded however long they are. */
size_t logset_read(struct logset *s, logset_fn *fn, void *arg);
void logset_flush(struct logset *s, logset_fn *fn, void *arg);  /* what has no newline yet */
size_t logset_gaps(const struct logset *s);
