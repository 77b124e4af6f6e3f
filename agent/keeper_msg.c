#include "agent/keeper_msg.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define SIZE_(sym, word, body) [sym] = K_HEAD_SIZE + sizeof(body),
static const size_t sizes[KEEPER_VERB_COUNT] = { KEEPER_REQUESTS(SIZE_) KEEPER_EVENTS(SIZE_) };

size_t k_msg_size(uint32_t verb)
{
    return verb < KEEPER_VERB_COUNT ? sizes[verb] : 0;
}

int k_msg_send(int fd, const void *msg, size_t size, const int fds[K_FDS_MAX])
{
    struct iovec v = { (void *)(uintptr_t)msg, size };
    union { char buf[CMSG_SPACE(K_FDS_MAX * sizeof(int))]; struct cmsghdr align; } c = { .buf = { 0 } };
    struct msghdr h = { .msg_iov = &v, .msg_iovlen = 1 };
    size_t n = fds[0] < 0 ? 0 : fds[1] < 0 ? 1 : 2;
    if (n) {
        h.msg_control = c.buf;
        h.msg_controllen = CMSG_SPACE(n * sizeof(int));
        struct cmsghdr *p = CMSG_FIRSTHDR(&h);
        p->cmsg_level = SOL_SOCKET;
        p->cmsg_type = SCM_RIGHTS;
        p->cmsg_len = CMSG_LEN(n * sizeof(int));
        memcpy(CMSG_DATA(p), fds, n * sizeof(int));
    }
    ssize_t sent;
    do
        sent = sendmsg(fd, &h, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    return sent >= 0 ? 0 : errno == ENOBUFS || errno == ETOOMANYREFS ? -EAGAIN : -errno;
}

ssize_t k_msg_recv(int fd, void *msg, size_t size, int fds[K_FDS_MAX])
{
    struct iovec v = { msg, size };
    union { char buf[CMSG_SPACE(K_FDS_MAX * sizeof(int))]; struct cmsghdr align; } c;
    struct msghdr h = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = c.buf, .msg_controllen = sizeof c.buf };
    ssize_t n;
    for (int i = 0; i < K_FDS_MAX; i++)
        fds[i] = -1;
    do
        n = recvmsg(fd, &h, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    int count = 0;
    for (struct cmsghdr *p = CMSG_FIRSTHDR(&h); p; p = CMSG_NXTHDR(&h, p))
        if (p->cmsg_level == SOL_SOCKET && p->cmsg_type == SCM_RIGHTS)
            for (size_t i = 0; i < (p->cmsg_len - CMSG_LEN(0)) / sizeof(int) && count < K_FDS_MAX; i++)
                memcpy(&fds[count++], CMSG_DATA(p) + i * sizeof(int), sizeof(int));
    return n;
}
