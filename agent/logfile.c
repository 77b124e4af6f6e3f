#include "agent/logfile.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/strbuf.h"

enum { BUF_BYTES = 256 * 1024, STAMP_LEN = 25, CHECK_MS = 1000, LEFT_OVER_MAX = 100 };

void logfile_init(struct logfile *f, const char *dir, const char *id)
{
    *f = (struct logfile){ .fd = -1, .buf = xmalloc(BUF_BYTES) };
    fixed_copy(f->dir, sizeof f->dir, dir);
    fixed_copy(f->id, sizeof f->id, id);
}

void logfile_reopen(struct logfile *f)
{
    if (f->fd >= 0)
        close(f->fd);
    f->fd = -1;
}

void logfile_done(struct logfile *f)
{
    logfile_reopen(f);
    free(f->buf);
    f->buf = NULL;
}

static void file_name(const struct logfile *f, unsigned n, char *buf, size_t size)
{
    if (n)
        snprintf(buf, size, "%s.log.%u", f->id, n);
    else
        snprintf(buf, size, "%s.log", f->id);
}

static int open_dir(const struct logfile *f)
{
    int fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT && file_mkdirs(f->dir, 0750, NULL) == 0)
        fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* --- opening and rotating ------------------------------------------------------------------------------------ */

static int open_file(struct logfile *f)
{
    char name[ID_SIZE + 16], last;
    struct stat st;
    if (f->fd >= 0)
        return 0;
    cleanup_close int dir = open_dir(f);
    if (dir < 0)
        return dir;
    file_name(f, 0, name, sizeof name);
    /* non-blocking: should somebody have put a FIFO there, opening it must not hang */
    cleanup_close int fd = openat(dir, name, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0640);
    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -EINVAL;
    f->size = (uint64_t)st.st_size;
    f->torn = st.st_size > 0 && pread(fd, &last, 1, st.st_size - 1) == 1 && last != '\n';
    if (f->torn && !f->dropped_lines && !f->dropped_bytes) {
        /* nothing is missing: our line goes on, or that of a logger before us */
        f->line_bytes = f->line_bytes ? f->line_bytes : 1;
        f->torn = false;
    }
    f->fd = TAKE_FD(fd);
    return 0;
}

/* Somebody else may have removed or moved the file or its folder: then start a new one. */
static void check_place(struct logfile *f, int64_t wall_ms)
{
    char path[sizeof f->dir + ID_SIZE + 16];
    struct stat here, there;
    if (f->fd < 0 || (wall_ms - f->checked_ms < CHECK_MS && wall_ms >= f->checked_ms))
        return;
    f->checked_ms = wall_ms;
    fixed_printf(path, "%s/%s.log", f->dir, f->id);
    if (fstat(f->fd, &here) < 0 || stat(path, &there) < 0 || here.st_ino != there.st_ino || here.st_dev != there.st_dev)
        logfile_reopen(f);
}

static int shift_files(const struct logfile *f, int dir)
{
    char from[ID_SIZE + 16], to[ID_SIZE + 16];
    file_name(f, 0, from, sizeof from);
    if (f->keep == 0)
        return unlinkat(dir, from, 0) < 0 && errno != ENOENT ? -errno : 0;
    for (unsigned n = f->keep; n-- > 0;) {
        file_name(f, n, from, sizeof from);
        file_name(f, n + 1, to, sizeof to);
        if (renameat(dir, from, dir, to) < 0 && errno != ENOENT)
            return -errno;
    }
    return 0;
}

/* Only at a line's start or within one that is longer than the limit; the buffer is flushed. */
static void rotate(struct logfile *f)
{
    cleanup_close int dir = open_dir(f);
    int rc = dir < 0 ? dir : shift_files(f, dir);
    if (rc < 0) {
        f->rotate_again_at = f->size + f->max_size;     /* a file too large is better than lines lost */
        return;
    }
    f->rotate_again_at = 0;
    logfile_reopen(f);
    f->size = 0;
    f->torn = false;
    rc = open_file(f);
    f->error = rc < 0 ? rc : f->error;
}

void logfile_config(struct logfile *f, uint64_t max_size, uint32_t keep, bool timestamps)
{
    f->max_size = max_size;
    f->keep = keep;
    f->timestamps = timestamps;
    f->rotate_again_at = 0;
    cleanup_close int dir = open(f->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir < 0)
        return;
    for (unsigned n = keep + 1, gaps = 0; gaps < 2 && n < keep + LEFT_OVER_MAX; n++) {      /* fewer are kept than before */
        char name[ID_SIZE + 16];
        file_name(f, n, name, sizeof name);
        gaps = unlinkat(dir, name, 0) < 0 ? gaps + 1 : 0;
    }
}

/* --- writing -------------------------------------------------------------------------------------------------------- */

static void count_dropped(struct logfile *f, const char *data, size_t len)
{
    f->dropped_bytes += len;
    for (const char *s = data, *end = data + len; s < end && (s = memchr(s, '\n', (size_t)(end - s))); s++) {
        f->dropped_lines++;
        f->dropped_total++;
    }
}

/* Of the buffer's first `written` bytes whole lines stay in the file; all else is dropped. */
static void drop_rest(struct logfile *f, size_t written)
{
    const char *nl = written ? memrchr(f->buf, '\n', written) : NULL;
    size_t good = nl ? (size_t)(nl - f->buf) + 1 : 0;
    if (written > good && f->fd >= 0 && ftruncate(f->fd, (off_t)(f->size + good)) < 0) {
        f->torn = true;
        good = written;
    }
    f->size += good;
    count_dropped(f, f->buf + good, f->len - good);
    if (f->line_bytes) {                    /* its beginning is gone, so its rest goes, too */
        f->skipping = true;
        f->line_bytes = 0;
        f->dropped_lines++;
        f->dropped_total++;
    }
    f->len = 0;
    logfile_reopen(f);
}

static int write_buf(struct logfile *f, const char *data, size_t len, size_t *ret_written)
{
    *ret_written = 0;
    while (*ret_written < len) {
        ssize_t n = write(f->fd, data + *ret_written, len - *ret_written);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        *ret_written += (size_t)n;
    }
    return 0;
}

/* "muster: 12 lines (340 bytes) were lost here: No space left on device", before what comes now. */
static int tell_gap(struct logfile *f, int64_t wall_ms)
{
    char text[256], stamp[32] = "";
    size_t written;
    if (!f->dropped_lines && !f->dropped_bytes && !f->torn)
        return 0;
    if (f->timestamps) {
        clock_rfc3339(wall_ms, stamp, sizeof stamp - 1);
        stamp[strlen(stamp) + 1] = 0;
        stamp[strlen(stamp)] = ' ';
    }
    const char *why = strerrordesc_np(-f->error);
    int n = snprintf(text, sizeof text, "%s", f->torn ? "\n" : "");
    if (f->dropped_lines || f->dropped_bytes)
        n += snprintf(text + n, sizeof text - (size_t)n, "%smuster: %llu lines (%llu bytes) were lost here: %s\n", stamp,
                      (unsigned long long)f->dropped_lines, (unsigned long long)f->dropped_bytes, f->error && why ? why : "the log could not be written");
    int rc = write_buf(f, text, (size_t)n, &written);
    if (rc < 0) {
        if (written && ftruncate(f->fd, (off_t)f->size) < 0)
            f->torn = true;
        return rc;
    }
    f->size += (uint64_t)n;
    f->torn = false;
    f->dropped_lines = f->dropped_bytes = 0;
    return 0;
}

int logfile_flush(struct logfile *f, int64_t wall_ms)
{
    size_t written = 0;
    check_place(f, wall_ms);
    if (!f->len)
        return f->error;
    int rc = open_file(f);
    if (rc == 0)
        rc = tell_gap(f, wall_ms);
    if (rc == 0)
        rc = write_buf(f, f->buf, f->len, &written);
    f->error = rc;
    if (rc < 0) {
        drop_rest(f, written);
        return rc;
    }
    f->size += f->len;
    f->len = 0;
    return 0;
}

static void put(struct logfile *f, int64_t wall_ms, const char *data, size_t len)
{
    while (len) {
        if (f->len == BUF_BYTES)
            logfile_flush(f, wall_ms);
        if (f->skipping) {
            f->dropped_bytes += len;
            return;
        }
        size_t n = MIN_OF(len, BUF_BYTES - f->len);
        memcpy(f->buf + f->len, data, n);
        f->len += n;
        data += n;
        len -= n;
    }
}

static bool fits(const struct logfile *f, uint64_t more)
{
    uint64_t size = f->size + f->len + more;
    return !f->max_size || size <= f->max_size || size <= f->rotate_again_at;
}

static void begin_line(struct logfile *f, int64_t wall_ms, size_t len)
{
    char stamp[32];
    if (f->fd < 0 && !f->error && open_file(f) == 0 && f->line_bytes)
        return;                             /* it goes on where an earlier logger was ended */
    if (f->size + f->len > 0 && !fits(f, len + (f->timestamps ? STAMP_LEN : 0))) {
        logfile_flush(f, wall_ms);
        if (!f->error)
            rotate(f);
    }
    if (!f->timestamps)
        return;
    clock_rfc3339(wall_ms, stamp, sizeof stamp);
    stamp[STAMP_LEN - 1] = ' ';
    put(f, wall_ms, stamp, STAMP_LEN);
    f->line_bytes = STAMP_LEN;
}

/* A piece of one line, maybe with its end. */
static void add_piece(struct logfile *f, int64_t wall_ms, const char *data, size_t len)
{
    if (!f->line_bytes)
        begin_line(f, wall_ms, len);
    while (f->max_size && f->line_bytes + len > f->max_size && !fits(f, len)) {      /* longer than a file may be */
        uint64_t used = f->size + f->len;
        size_t n = used < f->max_size ? (size_t)(f->max_size - used) : 0;
        f->line_bytes += n;
        put(f, wall_ms, data, n);
        data += n;
        len -= n;
        logfile_flush(f, wall_ms);
        if (f->error || f->skipping)
            return;
        uint64_t line_bytes = f->line_bytes;
        rotate(f);
        f->line_bytes = line_bytes;
    }
    f->line_bytes += len;
    put(f, wall_ms, data, len);
}

void logfile_add(struct logfile *f, int64_t wall_ms, const char *data, size_t len)
{
    while (len) {
        const char *nl = memchr(data, '\n', len);
        size_t n = nl ? (size_t)(nl - data) + 1 : len;
        if (f->skipping)
            f->dropped_bytes += n;
        else
            add_piece(f, wall_ms, data, n);
        if (nl) {
            f->line_bytes = 0;
            f->skipping = false;
        }
        data += n;
        len -= n;
    }
}

void logfile_end_line(struct logfile *f)
{
    if (f->line_bytes && !f->skipping)
        logfile_add(f, 0, "\n", 1);
}
