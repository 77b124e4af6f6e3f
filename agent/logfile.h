/* logfile.h - one instance's output on disk: <dir>/<id>.log, rotated by size to .1 (newest) .. .keep.
 *
 * Lines are never split between files unless longer than the limit; a file may exceed the limit by what arrives later of a line
 * that was begun in it. Writing never fails for the caller: what cannot be written is dropped and counted, writing is tried again
 * at each flush, and the gap is told in the log once it works. No clock. The file is opened beneath the folder, never through a link;
 * a folder or file that somebody removed is made again. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "model/words.h"

struct logfile {
    char dir[512], id[ID_SIZE];
    uint64_t max_size; uint32_t keep; bool timestamps;      /* max_size 0: no limit */
    int fd;
    uint64_t size;                  /* of the file, without what is buffered */
    uint64_t line_bytes;            /* of the unfinished line at the end, file and buffer; 0: at a line's start */
    char *buf; size_t len;
    bool torn, skipping;            /* the file ends in a piece of a line whose rest was dropped; drop up to the next line's start */
    uint64_t dropped_lines, dropped_bytes;      /* not told yet */
    uint64_t dropped_total;         /* lines */
    int error;                      /* -errno of the last flush; 0: it went well */
    int64_t checked_ms;
    uint64_t rotate_again_at;       /* after a failed rotation */
};

void logfile_init(struct logfile *f, const char *dir, const char *id);
void logfile_config(struct logfile *f, uint64_t max_size, uint32_t keep, bool timestamps);
void logfile_add(struct logfile *f, int64_t wall_ms, const char *data, size_t len);     /* any piece of the stream */
int logfile_flush(struct logfile *f, int64_t wall_ms);      /* f->error */
void logfile_end_line(struct logfile *f);       /* the stream is over: ends an unfinished line */
void logfile_reopen(struct logfile *f);
void logfile_done(struct logfile *f);           /* does not flush */
