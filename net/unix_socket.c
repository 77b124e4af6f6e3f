/* unix_socket.c - the descriptors that frame.h's channels run on. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include "base/cleanup.h"
#include "net/frame.h"

enum { CONNECT_CAP_S = 2 };

static int fill_address(const char *path, struct sockaddr_un *a, struct err *e)
{
    *a = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (!fixed_copy(a->sun_path, sizeof a->sun_path, path))
        return err_set(e, -ENAMETOOLONG, "the socket's path is longer than %zu bytes: %s", sizeof a->sun_path - 1, path);
    return 0;
}

/* Binds inside `folder`, which nobody else may enter, so that the socket is never seen with a wider mode than it shall have; the
 * short name under /proc/self/fd keeps the temporary path within the 107 bytes. */
static int bind_hidden(int fd, const char *folder, const char *path, unsigned mode, int gid, struct err *e)
{
    cleanup_close int dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return err_sys(e, -errno, "cannot open %s", folder);
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    fixed_printf(a.sun_path, "/proc/self/fd/%d/s", dir);
    if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0)
        return err_sys(e, -errno, "cannot make a socket in %s", folder);
    int rc = 0;
    if ((gid >= 0 && fchownat(dir, "s", (uid_t)-1, (gid_t)gid, 0) < 0) || fchmodat(dir, "s", (mode_t)mode, 0) < 0)
        rc = err_sys(e, -errno, "cannot set owner and mode of %s", path);
    else if (listen(fd, 128) < 0)
        rc = err_sys(e, -errno, "cannot listen at %s", path);
    else if (renameat(dir, "s", AT_FDCWD, path) < 0)
        rc = err_sys(e, -errno, "cannot make the socket %s", path);
    if (rc < 0)
        unlinkat(dir, "s", 0);
    return rc;
}

/* Only a socket may be replaced: anything else there is somebody's file. */
static int check_target(const char *path, struct err *e)
{
    struct stat st;
    if (lstat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
        return err_set(e, -EEXIST, "%s is there and is not a socket", path);
    return 0;
}

int unix_listen(const char *path, unsigned mode, int gid, struct err *e)
{
    struct sockaddr_un whole;
    int rc = fill_address(path, &whole, e);     /* clients must be able to name it */
    if (rc == 0)
        rc = check_target(path, e);
    if (rc < 0)
        return rc;
    cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_sys(e, -errno, "cannot make a socket");
    cleanup_free char *folder = xasprintf("%s.XXXXXX", path);
    if (!mkdtemp(folder))
        return err_sys(e, -errno, "cannot make a folder beside %s", path);
    rc = bind_hidden(fd, folder, path, mode, gid, e);
    rmdir(folder);
    return rc < 0 ? rc : TAKE_FD(fd);
}

int unix_connect(const char *path, struct err *e)
{
    struct sockaddr_un a;
    int rc = fill_address(path, &a, e);
    if (rc < 0)
        return rc;
    cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_sys(e, -errno, "cannot make a socket");
    /* A peer that does not accept any more (stopped, hung) must not stop us too. */
    struct timeval cap = {.tv_sec = CONNECT_CAP_S};
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &cap, sizeof cap);
    while (connect(fd, (struct sockaddr *)&a, sizeof a) < 0)
        if (errno != EINTR)
            return err_sys(e, -errno, "cannot connect to %s", path);
    if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
        return err_sys(e, -errno, "cannot connect to %s", path);
    return TAKE_FD(fd);
}

int unix_peer_uid(int fd, unsigned *ret_uid, int *ret_pid)
{
    struct ucred c;
    socklen_t len = sizeof c;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c, &len) < 0)
        return -errno;
    *ret_uid = c.uid;
    *ret_pid = c.pid;
    return 0;
}

enum { GROUPS_BYTES_MAX = 65536 * sizeof(gid_t) };          /* NGROUPS_MAX of Linux */

/* SO_PEERGROUPS is of when it connected and needs no look-up of names. */
bool unix_peer_in_group(int fd, unsigned gid)
{
    struct ucred c;
    socklen_t len = sizeof c, room = 64 * sizeof(gid_t);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c, &len) < 0)
        return false;
    if (c.gid == gid)
        return true;
    cleanup_free gid_t *list = xcalloc(1, room);
    int rc = getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, list, &room);
    if (rc < 0 && errno == ERANGE && room <= GROUPS_BYTES_MAX) {     /* room tells by now what it takes */
        list = xrealloc(list, room);
        rc = getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, list, &room);
    }
    for (size_t i = 0; rc == 0 && i < room / sizeof *list; i++)
        if (list[i] == gid)
            return true;
    return false;
}
