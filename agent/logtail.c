#include "agent/logtail.h"
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/cleanup.h"
#include "model/words.h"

enum { CHUNK = 64 * 1024, GAPS_MAX = 3, NUMBER_MAX = 1100, TRIES_MAX = 8, LINE_BYTES_MAX = 1 << 20 };

struct logtail {
    char dir[512], id[ID_SIZE];
    int fd; ino_t ino; off_t at;
    struct strbuf buf; size_t done;     /* read; buf.s + done is the next line's start */
    size_t searched;                    /* no line end before this */
    uint64_t lost;
};

static int open_number(const struct logtail *t, unsigned n, ino_t *ret_ino)
{
    char path[sizeof t->dir + ID_SIZE + 16];
    struct stat st;
    if (n)
        fixed_printf(path, "%s/%s.log.%u", t->dir, t->id, n);
    else
        fixed_printf(path, "%s/%s.log", t->dir, t->id);
    cleanup_close int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -EINVAL;
    *ret_ino = st.st_ino;
    return TAKE_FD(fd);
}

static ino_t inode_of(const struct logtail *t, unsigned n)
{
    char path[sizeof t->dir + ID_SIZE + 16];
    struct stat st;
    if (n)
        fixed_printf(path, "%s/%s.log.%u", t->dir, t->id, n);
    else
        fixed_printf(path, "%s/%s.log", t->dir, t->id);
    return lstat(path, &st) < 0 ? 0 : st.st_ino;
}

/* --- where to begin ---------------------------------------------------------------------------------------------- */

/* Counts line ends backwards. Where the last *lines lines begin; 0 with *lines reduced if the file has fewer. */
static off_t find_back(int fd, size_t *lines, bool last_file)
{
    static char chunk[CHUNK];
    struct stat st;
    if (fstat(fd, &st) < 0)
        return 0;
    off_t end = st.st_size;
    bool first = last_file;             /* the line end at the very end of the log ends the last line */
    while (end > 0) {
        off_t from = end > CHUNK ? end - CHUNK : 0;
        ssize_t n = pread(fd, chunk, (size_t)(end - from), from);
        if (n <= 0)
            break;
        for (ssize_t i = n; i-- > 0;) {
            bool nl = chunk[i] == '\n';
            if (nl && !first && (*lines)-- == 0) {
                *lines = 0;
                return from + i + 1;
            }
            first = false;
        }
        end = from;
    }
    return 0;
}

static void use(struct logtail *t, int fd, ino_t ino, off_t at)
{
    if (t->fd >= 0)
        close(t->fd);
    t->fd = fd;
    t->ino = ino;
    t->at = at;
}

/* Goes from the newest file to older ones until enough lines are found. -EAGAIN if it was rotated meanwhile. */
static int place(struct logtail *t, size_t lines)
{
    ino_t newest, ino;
    int fd = open_number(t, 0, &newest);
    if (fd < 0)
        return fd;
    size_t left = lines ? lines - 1 : 0;        /* so many line ends stand between the beginning and the end */
    struct stat st;
    off_t at = lines || fstat(fd, &st) < 0 ? find_back(fd, &left, true) : st.st_size;
    use(t, fd, newest, at);
    for (unsigned n = 1, gaps = 0; lines && at == 0 && left > 0 && gaps < GAPS_MAX && n < NUMBER_MAX; n++) {
        fd = open_number(t, n, &ino);
        if (fd < 0) {
            gaps++;
            continue;
        }
        gaps = 0;
        /* the line end at this file's end is one of those between */
        at = find_back(fd, &left, false);
        use(t, fd, ino, at);
    }
    return inode_of(t, 0) == newest ? 0 : -EAGAIN;
}

int logtail_open(struct logtail **ret, const char *dir, const char *id, size_t lines)
{
    struct logtail *t = xcalloc(1, sizeof *t);
    t->fd = -1;
    int rc = fixed_copy(t->dir, sizeof t->dir, dir) && fixed_copy(t->id, sizeof t->id, id) && *id && !strchr(id, '/') ? -EAGAIN : -EINVAL;
    for (int i = 0; i < TRIES_MAX && rc == -EAGAIN; i++)
        rc = place(t, lines);
    if (rc < 0 && !(rc == -EAGAIN && t->fd >= 0)) {
        logtail_free(t);
        return rc;
    }
    *ret = t;
    return 0;
}

void logtail_free(struct logtail *t)
{
    if (!t)
        return;
    if (t->fd >= 0)
        close(t->fd);
    strbuf_done(&t->buf);
    free(t);
}

uint64_t logtail_lost(const struct logtail *t) { return t->lost; }

const char *logtail_unfinished(const struct logtail *t)
{
    return t->buf.len > t->done ? t->buf.s + t->done : "";
}

/* --- going on ------------------------------------------------------------------------------------------------------ */

static bool take_line(struct logtail *t, struct strbuf *line)
{
    char *s = t->buf.len > t->searched ? memchr(t->buf.s + t->searched, '\n', t->buf.len - t->searched) : NULL;
    size_t end = s ? (size_t)(s - t->buf.s) : t->buf.len;
    t->searched = t->buf.len;
    if (!s && t->buf.len - t->done < LINE_BYTES_MAX)
        return false;
    strbuf_reset(line);
    strbuf_add(line, t->buf.s + t->done, end - t->done);
    t->done = end + (s != NULL);
    t->searched = t->done;
    return true;
}

/* Bytes read; 0 at the end. */
static ssize_t fill(struct logtail *t)
{
    static char chunk[CHUNK];
    ssize_t n = pread(t->fd, chunk, sizeof chunk, t->at);
    if (n <= 0)
        return n < 0 ? -errno : 0;
    t->at += n;
    if (t->done) {                      /* what was given out goes */
        size_t rest = t->buf.len - t->done;
        memmove(t->buf.s, t->buf.s + t->done, rest);
        t->buf.len = rest;
        t->buf.s[rest] = 0;
        t->searched = rest;
        t->done = 0;
    }
    strbuf_add(&t->buf, chunk, (size_t)n);
    return n;
}

/* To the next newer file than ours. true: it is open. Files are renamed from the oldest on, so while a rotation is under way
 * the place next to ours may be empty for a moment: then there is nothing now. */
static bool next_file(struct logtail *t)
{
    ino_t ino;
    for (int tries = 0; tries < TRIES_MAX; tries++) {
        unsigned oldest = 0;
        for (unsigned n = 0, gaps = 0; gaps < GAPS_MAX && n < NUMBER_MAX; n++) {
            ino_t there = inode_of(t, n);
            gaps = there ? 0 : gaps + 1;
            oldest = there ? n : oldest;
            if (there != t->ino)
                continue;
            if (n == 0)
                return false;           /* it is the newest */
            int fd = open_number(t, n - 1, &ino);
            if (fd >= 0 && inode_of(t, n) == t->ino) {
                use(t, fd, ino, 0);
                return true;
            }
            if (fd < 0)
                return false;
            close(fd);
            goto again;
        }
        int fd = open_number(t, oldest, &ino);      /* ours is gone */
        if (fd < 0)
            return false;
        t->lost++;
        use(t, fd, ino, 0);
        return true;
again:;
    }
    return false;
}

int logtail_next(struct logtail *t, struct strbuf *line)
{
    for (;;) {
        if (take_line(t, line))
            return 1;
        ssize_t n = fill(t);
        if (n < 0)
            return (int)n;
        if (n > 0)
            continue;
        if (inode_of(t, 0) == t->ino)
            return 0;
        n = fill(t);                    /* written before it was rotated, after we looked */
        if (n == 0 && !next_file(t))
            return 0;
    }
}

int logtail_last(const char *dir, const char *id, size_t n, struct strv *ret)
{
    struct logtail *t = NULL;
    cleanup_strbuf struct strbuf line = STRBUF_INIT;
    int rc = logtail_open(&t, dir, id, n);
    if (rc < 0)
        return rc == -ENOENT ? 0 : rc;
    while ((rc = logtail_next(t, &line)) > 0)
        strv_push(ret, strbuf_str(&line));
    if (rc == 0 && *logtail_unfinished(t))
        strv_push(ret, logtail_unfinished(t));
    logtail_free(t);
    return rc;
}
