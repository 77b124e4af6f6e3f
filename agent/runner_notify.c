/* runner_notify.c - the notify socket of an instance: who sent, is it of the group, what does it say. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include "agent/notify.h"
#include "agent/runner_internal.h"
#include "base/clock.h"
#include "base/file.h"

enum { DATAGRAM_MAX = 4096, READS_AT_ONCE = 16, FDS_MAX = 16 };

/* In a cgroup: its membership; without: the session of the main process. */
bool runner_in_group(const struct runner_inst *i, int32_t pid)
{
    char path[64];
    cleanup_free char *text = NULL;

    if (pid <= 0 || i->pid <= 0)
        return false;
    if (pid == i->pid)
        return true;
    if (!*i->cgroup)
        return getsid(pid) == i->pid;
    fixed_printf(path, "/proc/%d/cgroup", pid);
    if (file_read(path, 65536, &text, NULL, NULL))
        return false;
    char *line = strstr(text, "0::");
    if (!line)
        return false;
    line += 3;
    line[strcspn(line, "\n")] = '\0';
    size_t n = strlen(line), m = strlen(i->cgroup);
    return n >= m && !strcmp(line + n - m, i->cgroup);
}

/* Descriptors that come along (FDSTORE) are not kept. */
static int32_t sender_of(struct msghdr *h)
{
    int32_t pid = 0;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
        if (c->cmsg_level != SOL_SOCKET)
            continue;
        if (c->cmsg_type == SCM_CREDENTIALS) {
            struct ucred u;
            memcpy(&u, CMSG_DATA(c), sizeof(u));
            pid = u.pid;
        } else if (c->cmsg_type == SCM_RIGHTS) {
            size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            for (size_t k = 0; k < n; k++) {
                int fd;
                memcpy(&fd, CMSG_DATA(c) + k * sizeof(int), sizeof(fd));
                close(fd);
            }
        }
    }
    return pid;
}

static bool read_one(struct runner_inst *i)
{
    char data[DATAGRAM_MAX + 1];
    union { char buf[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(FDS_MAX * sizeof(int))]; struct cmsghdr align; } control;
    struct iovec iov = { data, sizeof(data) };
    struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.buf, .msg_controllen = sizeof(control.buf) };
    struct notify_msg m;
    ssize_t n = recvmsg(i->notify_fd, &h, MSG_DONTWAIT | MSG_CMSG_CLOEXEC | MSG_TRUNC);

    if (n < 0)
        return errno == EINTR;
    int32_t pid = sender_of(&h);
    if ((size_t)n > DATAGRAM_MAX || notify_parse(data, (size_t)n, &m))
        return true;                            /* rubbish costs its sender only */
    m.mainpid_in_group = m.mainpid > 0 && runner_in_group(i, pid) && runner_in_group(i, m.mainpid);
    agent_core_notify(i->r->o.core, clock_mono_ms(), i->id, &m);
    return true;
}

static void on_readable(uv_poll_t *p, int status, int events)
{
    struct runner_inst *i = p->data;
    int n = 0;

    (void)status; (void)events;
    while (n < READS_AT_ONCE && read_one(i))    /* bounded: a flood of one must not keep the others waiting */
        n++;
    runner_settle(i->r);
}

void runner_notify_open(struct runner_inst *i, int fd)
{
    int on = 1;

    runner_notify_close(i);
    setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
    i->notify = xcalloc(1, sizeof(*i->notify));
    i->notify_fd = fd;
    uv_poll_init(i->r->o.loop, i->notify, fd);
    i->notify->data = i;
    uv_poll_start(i->notify, UV_READABLE, on_readable);
}

static void poll_freed(uv_handle_t *h)
{
    free(h);
}

void runner_notify_close(struct runner_inst *i)
{
    if (!i->notify)
        return;
    uv_poll_stop(i->notify);
    uv_close((uv_handle_t *)i->notify, poll_freed);
    close(i->notify_fd);
    i->notify = NULL;
}
