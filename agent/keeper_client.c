#include "agent/keeper_client.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include "agent/keeper_msg.h"
#include "base/cleanup.h"
#include "base/file.h"

struct waiting { struct waiting *next; struct k_msg msg; int fds[K_FDS_MAX]; };
struct keeper_client {
    uv_poll_t poll;
    int fd;
    struct keeper_client_ops ops;
    void *arg;
    struct waiting *first, **last;
    size_t queued;
};

static void on_poll(uv_poll_t *h, int status, int events);

static void arm(struct keeper_client *c)
{
    uv_poll_start(&c->poll, UV_READABLE | (c->first ? UV_WRITABLE : 0), on_poll);
}

static void drop_first(struct keeper_client *c)
{
    struct waiting *w = c->first;
    c->first = w->next;
    if (!c->first)
        c->last = &c->first;
    for (int i = 0; i < K_FDS_MAX; i++)
        if (w->fds[i] >= 0)
            close(w->fds[i]);
    free(w);
    c->queued--;
}

static void write_some(struct keeper_client *c)
{
    while (c->first) {
        int rc = k_msg_send(c->fd, &c->first->msg, k_msg_size(c->first->msg.verb), c->first->fds);
        if (rc == -EAGAIN)
            return;
        drop_first(c);          /* sent; or the keeper is gone, which reading tells */
    }
}

static void ended(struct keeper_client *c)
{
    uv_poll_stop(&c->poll);
    while (c->first)
        drop_first(c);
    if (c->ops.on_end)
        c->ops.on_end(c->arg);
}

static void on_poll(uv_poll_t *h, int status, int events)
{
    struct keeper_client *c = h->data;
    if (status == 0 && (events & UV_WRITABLE)) {
        write_some(c);
        arm(c);
    }
    while (!uv_is_closing((uv_handle_t *)h)) {
        struct k_msg m = { 0 };
        int fds[K_FDS_MAX];
        ssize_t n = k_msg_recv(c->fd, &m, sizeof m, fds);
        if (n == -EAGAIN)
            return;
        if (n <= 0) {
            ended(c);
            return;
        }
        if (fds[1] >= 0)
            close(fds[1]);
        if (m.version == KEEPER_VERSION && m.verb >= K_REPLY && (size_t)n == k_msg_size(m.verb))
            c->ops.on_msg(c->arg, &m, fds[0]);
        else if (fds[0] >= 0)
            close(fds[0]);
    }
}

struct keeper_client *keeper_client_new(uv_loop_t *loop, int fd, const struct keeper_client_ops *ops, void *arg)
{
    struct keeper_client *c = xcalloc(1, sizeof *c);
    *c = (struct keeper_client){ .fd = fd, .ops = *ops, .arg = arg };
    c->last = &c->first;
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    if (uv_poll_init(loop, &c->poll, fd) < 0) {
        free(c);
        return NULL;
    }
    c->poll.data = c;
    arm(c);
    return c;
}

static void on_closed(uv_handle_t *h)
{
    struct keeper_client *c = h->data;
    close(c->fd);
    free(c);
}

void keeper_client_free(struct keeper_client *c)
{
    if (!c)
        return;
    while (c->first)
        drop_first(c);
    uv_close((uv_handle_t *)&c->poll, on_closed);
}

/* fds are taken over. */
static int submit(struct keeper_client *c, struct k_msg *m, int fd0, int fd1)
{
    int fds[K_FDS_MAX] = { fd0, fd1 };
    m->version = KEEPER_VERSION;
    int rc = c->first ? -EAGAIN : k_msg_send(c->fd, m, k_msg_size(m->verb), fds);
    if (rc == -EAGAIN && c->queued < KEEPER_CLIENT_QUEUE_MAX) {
        struct waiting *w = xcalloc(1, sizeof *w);
        *w = (struct waiting){ .msg = *m, .fds = { fd0, fd1 } };
        *c->last = w;
        c->last = &w->next;
        c->queued++;
        arm(c);
        return 0;
    }
    for (int i = 0; i < K_FDS_MAX; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    return rc == -EAGAIN ? -ENOBUFS : rc;
}

static int make_memfd(const struct strbuf *records)
{
    cleanup_close int fd = memfd_create("muster-spawn", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    int rc = write_all(fd, records->s, records->len);
    if (rc < 0)
        return rc;
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
        return -errno;
    return TAKE_FD(fd);
}

int keeper_client_spawn(struct keeper_client *c, const struct k_spawn *fixed, const struct strbuf *records, int output_fd)
{
    struct k_msg m = { .verb = K_SPAWN };
    m.u.spawn = *fixed;
    m.u.spawn.memfd_bytes = records->len;
    int memfd = make_memfd(records), out = -1;
    if (memfd < 0)
        return memfd;
    if (output_fd >= 0 && (out = fcntl(output_fd, F_DUPFD_CLOEXEC, 3)) < 0) {
        int rc = -errno;
        close(memfd);
        return rc;
    }
    return submit(c, &m, memfd, out);
}

static int submit_id(struct keeper_client *c, enum keeper_verb verb, const char *id)
{
    struct k_msg m = { .verb = verb };
    return fixed_copy(m.u.id.id, ID_SIZE, id) ? submit(c, &m, -1, -1) : -EINVAL;
}

static int submit_signal(struct keeper_client *c, enum keeper_verb verb, const char *id, int32_t pid, int signo)
{
    struct k_msg m = { .verb = verb };
    m.u.signal.pid = pid;
    m.u.signal.signo = signo;
    return fixed_copy(m.u.signal.id, ID_SIZE, id) ? submit(c, &m, -1, -1) : -EINVAL;
}

int keeper_client_signal(struct keeper_client *c, const char *id, int32_t pid, int signo) { return submit_signal(c, K_SIGNAL, id, pid, signo); }
int keeper_client_group(struct keeper_client *c, const char *id, int32_t pid, int signo) { return submit_signal(c, K_GROUP, id, pid, signo); }
int keeper_client_forget(struct keeper_client *c, const char *id) { return submit_id(c, K_FORGET, id); }
int keeper_client_unlisten(struct keeper_client *c, const char *id) { return submit_id(c, K_UNLISTEN, id); }
int keeper_client_list(struct keeper_client *c) { return submit_id(c, K_LIST, ""); }
int keeper_client_end(struct keeper_client *c) { return submit_id(c, K_END, ""); }

int keeper_client_listen(struct keeper_client *c, const char *id, const char *address, uint32_t port, uint32_t backlog)
{
    struct k_msg m = { .verb = K_LISTEN };
    m.u.listen.port = port;
    m.u.listen.backlog = backlog;
    if (!fixed_copy(m.u.listen.id, ID_SIZE, id) || !fixed_copy(m.u.listen.address, sizeof m.u.listen.address, address ? address : ""))
        return -EINVAL;
    return submit(c, &m, -1, -1);
}

int keeper_client_who(struct keeper_client *c, const char *id, const uint64_t inodes[WHO_INODES_MAX])
{
    struct k_msg m = { .verb = K_WHO };
    memcpy(m.u.who.inodes, inodes, sizeof m.u.who.inodes);
    return fixed_copy(m.u.who.id, ID_SIZE, id) ? submit(c, &m, -1, -1) : -EINVAL;
}

void spawn_record(struct strbuf *b, char letter, const char *fmt, ...)
{
    strbuf_putc(b, letter);
    va_list ap;
    va_start(ap, fmt);
    strbuf_vprintf(b, fmt, ap);
    va_end(ap);
    strbuf_putc(b, 0);
}
