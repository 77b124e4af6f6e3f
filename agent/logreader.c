#include "agent/logreader.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include "agent/haplog.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/strbuf.h"
#include "base/banned.h"

enum { BATCH = 32, LINE_BYTES = 600 };
struct logreader {
    pthread_t thread;
    pthread_mutex_t lock;               /* of latwin, lines, bad */
    struct latwin *latwin;
    uint64_t lines, bad;
    _Atomic unsigned uid;
    atomic_bool end;
    int fd;
    char *path;
};

union creds { char bytes[CMSG_SPACE(sizeof(struct ucred))]; struct cmsghdr align; };
struct batch { struct mmsghdr m[BATCH]; struct iovec iov[BATCH]; union creds creds[BATCH]; char text[BATCH][LINE_BYTES]; };

static bool trusted(const struct logreader *r, struct msghdr *m)
{
    struct ucred u;
    struct cmsghdr *c = CMSG_FIRSTHDR(m);
    if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_CREDENTIALS || c->cmsg_len < CMSG_LEN(sizeof u))
        return false;
    memcpy(&u, CMSG_DATA(c), sizeof u);
    return u.uid == 0 || u.uid == geteuid() || u.uid == atomic_load(&r->uid);
}

static void take_line(struct logreader *r, int64_t now, struct msghdr *m, size_t len)
{
    struct haplog l;
    if (!trusted(r, m) || haplog_parse(m->msg_iov->iov_base, len, &l) < 0) {
        r->bad++;
        return;
    }
    int64_t us = haplog_latency_us(&l);
    r->lines++;
    latwin_add(r->latwin, now, l.service, us);
    if (l.instance[0])
        latwin_add(r->latwin, now, l.instance, us);
}

static void arm(struct batch *b)
{
    for (int i = 0; i < BATCH; i++) {
        b->iov[i] = (struct iovec){ b->text[i], LINE_BYTES };
        b->m[i].msg_hdr = (struct msghdr){ .msg_iov = &b->iov[i], .msg_iovlen = 1, .msg_control = b->creds[i].bytes, .msg_controllen = sizeof b->creds[i] };
    }
}

static void *read_lines(void *arg)
{
    struct logreader *r = arg;
    cleanup_free struct batch *b = xcalloc(1, sizeof *b);
    int64_t swept = 0;
    while (!atomic_load(&r->end)) {
        arm(b);
        int n = recvmmsg(r->fd, b->m, BATCH, MSG_WAITFORONE, NULL);
        if (n < 0 && errno != EINTR)
            break;
        int64_t now = clock_mono_ms();
        pthread_mutex_lock(&r->lock);
        for (int i = 0; i < n && !atomic_load(&r->end); i++)
            take_line(r, now, &b->m[i].msg_hdr, b->m[i].msg_len);
        if (now - swept > 10000) {
            latwin_expire(r->latwin, now);
            swept = now;
        }
        pthread_mutex_unlock(&r->lock);
    }
    return NULL;
}

/* Mode 666: HAProxy may run as a user of its own; who sends is checked by its credentials. */
static int bind_socket(const char *path, struct err *e)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    int one = 1, size = 1 << 20;
    if (!fixed_copy(a.sun_path, sizeof a.sun_path, path))
        return err_set(e, -ENAMETOOLONG, "%s: too long for a socket's path (at most %zu bytes)", path, sizeof a.sun_path - 1);
    cleanup_close int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_sys(e, -errno, "log socket");
    unlink(path);
    setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    /* Right from its birth, not by its path afterwards: HAProxy's user may write in the folder, and could put a link in its place. */
    mode_t was = umask(0111);
    int rc = bind(fd, (struct sockaddr *)&a, sizeof a) < 0 ? -errno : 0;
    umask(was);
    if (rc < 0)
        return err_sys(e, rc, "%s", path);
    return TAKE_FD(fd);
}

static int start_thread(struct logreader *r)
{
    sigset_t all, was;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &was);       /* signals are the loop's */
    int rc = pthread_create(&r->thread, NULL, read_lines, r);
    pthread_sigmask(SIG_SETMASK, &was, NULL);
    return -rc;
}

struct logreader *logreader_new(const char *path, unsigned uid, struct err *e)
{
    int fd = bind_socket(path, e);
    if (fd < 0)
        return NULL;
    struct logreader *r = xcalloc(1, sizeof *r);
    *r = (struct logreader){ .latwin = latwin_new(), .fd = fd, .path = xstrdup(path) };
    atomic_store(&r->uid, uid);
    pthread_mutex_init(&r->lock, NULL);
    int rc = start_thread(r);
    if (rc < 0) {
        err_sys(e, rc, "log thread");
        close(fd);
        latwin_free(r->latwin);
        free(r->path);
        free(r);
        return NULL;
    }
    return r;
}

void logreader_trust(struct logreader *r, unsigned uid) { atomic_store(&r->uid, uid); }

void logreader_figures(struct logreader *r, int64_t now_ms, const char *name, struct latwin_figures *ret)
{
    pthread_mutex_lock(&r->lock);
    latwin_figures(r->latwin, now_ms, name, ret);
    pthread_mutex_unlock(&r->lock);
}

void logreader_free(struct logreader *r)
{
    if (!r)
        return;
    atomic_store(&r->end, true);
    shutdown(r->fd, SHUT_RDWR);                     /* wakes the reader: it then gets empty answers */
    pthread_join(r->thread, NULL);
    unlink(r->path);
    close(r->fd);
    pthread_mutex_destroy(&r->lock);
    latwin_free(r->latwin);
    free(r->path);
    free(r);
}
