/* tiny.c - an HTTP server as small as can be: notes when main() began (as stamp does), then answers 200 to each connection on
 * 127.0.0.1:$PORT and closes it. Blocking, one at a time. usage: tiny FILE */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "tests/tools/stamp.h"

static void stamp(const char *file, int64_t mono_ns)
{
    int fd = open(file, O_RDWR | O_CLOEXEC);
    struct stamps *s = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd >= 0)
        close(fd);
    if (s == MAP_FAILED)
        return;
    uint64_t i = atomic_fetch_add(&s->n, 1);
    if (i < STAMPS_MAX) {
        s->v[i].mono_ns = mono_ns;
        atomic_store(&s->v[i].pid, getpid());
    }
}

static void answer(int fd)
{
    static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n";
    char buf[4096];
    size_t n = 0;
    ssize_t got;
    while (n < sizeof buf - 1 && (got = read(fd, buf + n, sizeof buf - 1 - n)) > 0) {
        n += (size_t)got;
        buf[n] = 0;
        if (strstr(buf, "\r\n\r\n"))
            break;
    }
    ssize_t sent = write(fd, text, sizeof text - 1);
    (void)sent;
}

int main(int argc, char **argv)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    const char *port = getenv("PORT");
    if (argc < 2 || !port)
        return 2;
    stamp(argv[1], (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec);
    int one = 1, s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(s, (struct sockaddr *)&a, sizeof a) < 0 || listen(s, 128) < 0)
        return 3;
    for (;;) {
        int fd = accept4(s, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            continue;
        answer(fd);
        close(fd);
    }
}
