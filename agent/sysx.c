#include "agent/sysx.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int sysx_pidfd_open(pid_t pid)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    return fd < 0 ? -errno : fd;
}

int sysx_pidfd_signal(int pidfd, int signo)
{
    return syscall(SYS_pidfd_send_signal, pidfd, signo, NULL, 0) < 0 ? -errno : 0;
}

pid_t sysx_clone(int cgroup_fd, bool share_files, int *ret_pidfd)
{
    int pidfd = -1;
    struct clone_args a = {
        .flags = CLONE_PIDFD | (share_files ? CLONE_FILES : 0) | (cgroup_fd >= 0 ? CLONE_INTO_CGROUP : 0), .pidfd = (uintptr_t)&pidfd,
        .exit_signal = SIGCHLD, .cgroup = cgroup_fd >= 0 ? (uint64_t)cgroup_fd : 0,
    };
    pid_t pid = (pid_t)syscall(SYS_clone3, &a, sizeof a);
    if (pid < 0)
        return -errno;
    if (pid > 0)
        *ret_pidfd = pidfd;
    return pid;
}

ssize_t sysx_read_file(int dir, const char *path, char *buf, size_t size)
{
    int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    size_t len = 0;
    ssize_t n = 0;
    while (len < size - 1 && (n = read(fd, buf + len, size - 1 - len)) > 0)
        len += (size_t)n;
    int rc = n < 0 ? -errno : 0;
    close(fd);
    buf[len] = 0;
    return rc < 0 ? rc : (ssize_t)len;
}

int sysx_write_file(int dir, const char *path, const char *text)
{
    int fd = openat(dir, path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    int rc = write(fd, text, strlen(text)) < 0 ? -errno : 0;
    close(fd);
    return rc;
}

int sysx_close_from(int first)
{
    return syscall(SYS_close_range, (unsigned)first, ~0U, 0) < 0 ? -errno : 0;
}

int sysx_leave_files(int below)
{
    return syscall(SYS_close_range, (unsigned)below, ~0U, 2 /* CLOSE_RANGE_UNSHARE */) < 0 ? -errno : 0;
}

int sysx_can_unshare_files(void)
{
    return syscall(SYS_close_range, ~0U, ~0U, 2) < 0 ? -errno : 0;
}

static int open_folder(int dir, const char *name)
{
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int sysx_remove_folder(int dir, const char *name)
{
    char buf[4096] __attribute__((aligned(8)));
    int fd = open_folder(dir, name);
    if (fd < 0)
        return fd == -ENOENT ? 0 : fd;
    if (fchown(fd, geteuid(), (gid_t)-1) < 0 || fchmod(fd, 0700) < 0) {}     /* another user's by now, or read-only to us: rmdir tells if that stays */
    long n;
    while ((n = syscall(SYS_getdents64, fd, buf, sizeof buf)) > 0)
        for (long off = 0; off < n;) {
            const struct sysx_dirent *d = (const void *)(buf + off);
            off += d->reclen;
            if (strcmp(d->name, ".") && strcmp(d->name, ".."))
                unlinkat(fd, d->name, 0);
        }
    close(fd);
    return unlinkat(dir, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

int sysx_rmdir_tree(int dir, const char *name, int depth_max)
{
    if (unlinkat(dir, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
        return 0;
    int rc = -errno;
    int fd = depth_max > 0 ? open_folder(dir, name) : -1;
    if (fd < 0)
        return rc;
    char buf[4096] __attribute__((aligned(8)));
    long n;
    while ((n = syscall(SYS_getdents64, fd, buf, sizeof buf)) > 0)
        for (long off = 0; off < n;) {
            const struct sysx_dirent *d = (const void *)(buf + off);
            off += d->reclen;
            if (d->type == 4 /* DT_DIR */ && strcmp(d->name, ".") && strcmp(d->name, ".."))
                sysx_rmdir_tree(fd, d->name, depth_max - 1);
        }
    close(fd);
    return unlinkat(dir, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}
