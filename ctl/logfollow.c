#include "ctl/logfollow.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/strbuf.h"

enum { READ_BYTES = 64 << 10, RACE_TRIES = 20 };

struct logfollow {
    char *path;
    int fd;                     /* -1: none is there yet */
    off_t at;
    struct strbuf part;         /* a line without its end yet */
    size_t gaps;
    bool from_oldest;           /* there was no file at all at the start: whatever appears is new, rotated ones too */
};

/* index 0 is the live file. */
static char *file_name(const struct logfollow *f, unsigned index)
{
    return index ? xasprintf("%s.%u", f->path, index) : xstrdup(f->path);
}

static int open_index(const struct logfollow *f, unsigned index)
{
    cleanup_free char *name = file_name(f, index);
    return open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
}

static unsigned oldest_index(const struct logfollow *f)
{
    unsigned i = 0;
    struct stat st;
    for (unsigned k = 1; k <= LOGFOLLOW_KEEP_MAX; k++) {
        cleanup_free char *name = file_name(f, k);
        if (stat(name, &st) == 0) i = k;
        else if (k > i + 1) break;      /* one may be missing for a moment, while a rotation renames */
    }
    return i;
}

/* What our open file is called now; -1: nothing, it was deleted. */
static int index_of(const struct logfollow *f, int fd)
{
    struct stat own, st;
    if (fstat(fd, &own) < 0) return -1;
    for (unsigned k = 0; k <= LOGFOLLOW_KEEP_MAX; k++) {
        cleanup_free char *name = file_name(f, k);
        if (stat(name, &st) == 0) {
            if (st.st_ino == own.st_ino && st.st_dev == own.st_dev) return (int)k;
        } else if (k > 2) {
            cleanup_free char *next = file_name(f, k + 1);
            if (stat(next, &st) < 0) return -1;
        }
    }
    return -1;
}

struct logfollow *logfollow_new(const char *path)
{
    struct logfollow *f = xcalloc(1, sizeof *f);
    f->path = xstrdup(path);
    f->fd = open_index(f, 0);
    f->from_oldest = f->fd < 0 && oldest_index(f) == 0;
    return f;
}

void logfollow_free(struct logfollow *f)
{
    if (!f) return;
    if (f->fd >= 0) close(f->fd);
    strbuf_done(&f->part);
    free(f->path);
    free(f);
}

size_t logfollow_gaps(const struct logfollow *f) { return f->gaps; }

static void move_to(struct logfollow *f, int fd, off_t at)
{
    if (f->fd >= 0) close(f->fd);
    f->fd = fd, f->at = at;
    strbuf_reset(&f->part);
}

void logfollow_seek_oldest(struct logfollow *f) { logfollow_seek_since(f, INT64_MIN); }

void logfollow_seek_since(struct logfollow *f, int64_t wall_ms)
{
    for (unsigned k = oldest_index(f) + 1; k-- > 0;) {
        struct stat st;
        int fd = open_index(f, k);
        if (fd < 0) continue;
        if (k == 0 || (fstat(fd, &st) == 0 && (int64_t)st.st_mtime * 1000 + 999 >= wall_ms)) {
            move_to(f, fd, 0);
            return;
        }
        close(fd);
    }
}

/* Goes back from `end`: *n is lowered by each newline found. Gives where the line after the last counted newline begins, or 0. */
static off_t back_over_lines(int fd, off_t end, size_t *n)
{
    char data[4096];
    off_t at = end;
    while (at > 0) {
        size_t want = at > (off_t)sizeof data ? sizeof data : (size_t)at;
        ssize_t got = pread(fd, data, want, at - (off_t)want);
        if (got != (ssize_t)want) return at;
        for (size_t i = want; i > 0; i--) {
            off_t pos = at - (off_t)want + (off_t)i;        /* just behind byte i-1 */
            if (data[i - 1] != '\n' || pos == end) continue;
            if (--*n == 0) return pos;
        }
        at -= (off_t)want;
    }
    return 0;
}

void logfollow_seek_last(struct logfollow *f, size_t n)
{
    unsigned oldest = n ? oldest_index(f) : 0;
    for (unsigned k = 0; k <= oldest; k++) {
        struct stat st;
        int fd = open_index(f, k);
        if (fd < 0 || fstat(fd, &st) < 0) {
            if (fd >= 0) close(fd);
            continue;
        }
        size_t left = n;
        off_t at = n ? back_over_lines(fd, st.st_size, &left) : st.st_size;
        move_to(f, fd, at);
        if (n == 0 || left == 0) return;
        n = left;
        if (st.st_size > 0 && --n == 0) return;             /* the first line of the file has no newline in front of it */
    }
}

/* --- reading ------------------------------------------------------------------------------------------ */
static size_t give_lines(struct logfollow *f, const char *data, size_t len, size_t most, size_t *ret_used, logfollow_fn *fn, void *arg)
{
    size_t given = 0, at = 0;
    while (at < len && (most == 0 || given < most)) {
        const char *end = memchr(data + at, '\n', len - at);
        size_t n = end ? (size_t)(end - (data + at)) : len - at;
        strbuf_add(&f->part, data + at, n);
        at += n + (end ? 1 : 0);
        if (!end && f->part.len < LOGFOLLOW_LINE_MAX) break;
        fn(arg, strbuf_str(&f->part), f->part.len);
        strbuf_reset(&f->part);
        given++;
    }
    *ret_used = at;
    return given;
}

/* What the open file has. */
static size_t read_open(struct logfollow *f, size_t most, logfollow_fn *fn, void *arg)
{
    static char data[READ_BYTES];
    size_t given = 0;
    struct stat st;
    if (fstat(f->fd, &st) == 0 && st.st_size < f->at) f->at = 0, f->gaps++;        /* truncated by somebody */
    while (most == 0 || given < most) {
        ssize_t n = pread(f->fd, data, sizeof data, f->at);
        if (n <= 0) break;
        size_t used;
        given += give_lines(f, data, (size_t)n, most ? most - given : 0, &used, fn, arg);
        f->at += (off_t)used;
    }
    return given;
}

static bool at_end(const struct logfollow *f)
{
    struct stat st;
    return fstat(f->fd, &st) < 0 || st.st_size <= f->at;
}

static bool exists(const struct logfollow *f, unsigned index)
{
    cleanup_free char *name = file_name(f, index);
    return access(name, F_OK) == 0;
}

/* The next newer file than `own` (-1: ours was deleted, then the oldest). In the middle of a rotation a name may be missing: what will get
 * that name is then the next lower one. -1: nothing yet, or the names moved while we looked: look again. */
static int open_newer(const struct logfollow *f, int own, unsigned *ret_index)
{
    unsigned first = own > 0 ? (unsigned)own - 1 : oldest_index(f), next = first;
    int fd = open_index(f, next);
    while (fd < 0 && next > 0) fd = open_index(f, --next);
    if (fd < 0) return -1;
    bool moved = index_of(f, f->fd) != own || index_of(f, fd) != (int)next;
    for (unsigned k = next + 1; k <= first; k++) moved = moved || exists(f, k);
    if (moved) {
        close(fd);
        return -1;
    }
    *ret_index = next;
    return fd;
}

/* The next newer file, if ours was rotated and is read to its end: true if there is more to read. */
static bool step_to_newer(struct logfollow *f, logfollow_fn *fn, void *arg)
{
    for (int tries = 0; tries < RACE_TRIES; tries++) {
        unsigned next = 0;
        int own = index_of(f, f->fd);
        if (own == 0) return false;
        int fd = open_newer(f, own, &next);
        if (fd < 0) continue;
        if (!at_end(f)) {                   /* written between our last look and the rename: the caller reads that first */
            close(fd);
            return true;
        }
        if (own < 0) f->gaps++;
        if (f->part.len) logfollow_flush(f, fn, arg);
        move_to(f, fd, 0);
        return true;
    }
    return false;
}

size_t logfollow_read(struct logfollow *f, size_t most, logfollow_fn *fn, void *arg)
{
    size_t given = 0;
    if (f->fd < 0) {
        if (f->from_oldest) logfollow_seek_oldest(f);
        else f->fd = open_index(f, 0);
        if (f->fd < 0) return 0;
    }
    for (;;) {
        given += read_open(f, most ? most - given : 0, fn, arg);
        if (most && given >= most) return given;
        if (!at_end(f) || !step_to_newer(f, fn, arg)) return given;
    }
}

void logfollow_flush(struct logfollow *f, logfollow_fn *fn, void *arg)
{
    if (f->part.len == 0) return;
    fn(arg, strbuf_str(&f->part), f->part.len);
    strbuf_reset(&f->part);
}
