#include "base/file.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/cleanup.h"
#include "base/strbuf.h"

int write_all(int fd, const void *data, size_t len)
{
    const char *p = data;
    while (len > 0) {
        ssize_t n = write(fd, p, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return -EIO;
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

/* Reads to the end of the file; -EFBIG once it is longer than max. The size that stat tells is only a hint: files in
 * /proc say 0, and a growing one lies. */
static int read_to_end(int fd, size_t max, size_t hint, char **ret, size_t *ret_len)
{
    size_t cap = MIN_OF(hint, max) + 1, len = 0;
    cap = MAX_OF(cap, (size_t)512);
    cleanup_free char *buf = xmalloc(cap + 1);
    for (;;) {
        if (len == cap) {
            cap *= 2;
            buf = xrealloc(buf, cap + 1);
        }
        ssize_t n = read(fd, buf + len, cap - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        len += (size_t)n;
        if (len > max)
            return -EFBIG;
    }
    buf[len] = '\0';
    *ret = TAKE(buf);
    if (ret_len)
        *ret_len = len;
    return 0;
}

int file_read(const char *path, size_t max, char **ret, size_t *ret_len, struct err *e)
{
    /* O_NONBLOCK: opening a FIFO must not wait for its writer. */
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    return fd < 0 ? err_sys(e, -errno, "cannot read %s", path) : file_read_fd(fd, path, max, ret, ret_len, e);
}

int file_read_fd(int fd, const char *path, size_t max, char **ret, size_t *ret_len, struct err *e)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_sys(e, -errno, "cannot read %s", path);
    if (S_ISDIR(st.st_mode))
        return err_set(e, -EISDIR, "%s is a folder, not a file", path);
    if (!S_ISREG(st.st_mode))
        return err_set(e, -EINVAL, "%s is not a regular file", path);
    int rc = st.st_size > 0 && (uint64_t)st.st_size > max ? -EFBIG : read_to_end(fd, max, (size_t)st.st_size, ret, ret_len);
    if (rc == -EFBIG)
        return err_set(e, rc, "%s is larger than %zu bytes", path, max);
    return rc < 0 ? err_sys(e, rc, "cannot read %s", path) : 0;
}

static int sync_folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    cleanup_free char *folder = slash ? xstrndup(path, slash == path ? 1 : (size_t)(slash - path)) : xstrdup(".");
    cleanup_close int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (fsync(fd) < 0 && errno != EINVAL)       /* some file systems cannot sync a folder */
        return -errno;
    return 0;
}

static int write_temporary(const char *path, const void *data, size_t len, mode_t mode, int durable)
{
    cleanup_close int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    int rc = write_all(fd, data, len);
    if (rc < 0)
        return rc;
    if (fchmod(fd, mode) < 0 || (durable && fsync(fd) < 0))
        return -errno;
    int closing = TAKE_FD(fd);
    return close(closing) < 0 && errno != EINTR ? -errno : 0;      /* a full disk is told here on NFS */
}

int file_write_atomic(const char *path, const void *data, size_t len, mode_t mode, int durable, struct err *e)
{
    static atomic_uint serial;
    cleanup_free char *tmp = xasprintf("%s.%d-%u.tmp", path, (int)getpid(), atomic_fetch_add(&serial, 1));
    int rc = write_temporary(tmp, data, len, mode, durable);
    if (rc == 0 && rename(tmp, path) < 0)
        rc = -errno;
    if (rc < 0) {
        if (rc != -EEXIST)      /* then it is not ours */
            unlink(tmp);
        return err_sys(e, rc, "cannot write %s", path);
    }
    if (durable && (rc = sync_folder_of(path)) < 0)
        return err_sys(e, rc, "cannot sync the folder of %s", path);
    return 0;
}

static int make_one(const char *path, mode_t mode)
{
    struct stat st;
    if (mkdir(path, mode) == 0)
        return 0;
    if (errno != EEXIST)
        return -errno;
    if (stat(path, &st) < 0)
        return -errno;
    return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int file_mkdirs(const char *path, mode_t mode, struct err *e)
{
    cleanup_free char *part = xstrdup(path);
    for (char *p = part + 1; *part; p++) {
        if (*p != '/' && *p != '\0')
            continue;
        char was = *p;
        *p = '\0';
        int rc = make_one(part, mode);
        if (rc < 0)
            return err_sys(e, rc, "cannot make the folder %s", part);
        if (!was)
            return 0;
        *p = was;
    }
    return err_set(e, -EINVAL, "a folder's path is empty");
}
