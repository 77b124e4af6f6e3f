/* stamp.c - a child as small as can be: notes when main() began in a mapped file, then waits for a signal.
 * usage: stamp FILE [TAG]     (TAG: else the number at the end of $INSTANCE or $MUSTER_ID) */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "tests/tools/stamp.h"

int main(int argc, char **argv)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    if (argc < 2)
        return 2;
    int fd = open(argv[1], O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return 3;
    struct stamps *s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (s == MAP_FAILED)
        return 4;
    close(fd);
    const char *id = argc > 2 ? argv[2] : getenv("INSTANCE") ? getenv("INSTANCE") : getenv("MUSTER_ID");
    const char *dot = id ? strrchr(id, '.') : NULL;
    uint64_t i = atomic_fetch_add(&s->n, 1);
    if (i < STAMPS_MAX) {
        s->v[i].mono_ns = (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
        s->v[i].tag = id ? atoi(dot ? dot + 1 : id) : 0;
        atomic_store(&s->v[i].pid, getpid());
    }
    for (;;)
        pause();
}
