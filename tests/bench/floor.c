/* floor.c - how fast could anybody be here? The least work that does the job, as a floor for the figures of `make bench`:
 * a parent that starts children by vfork + exec, and on kill -9 of one reaps it and starts it again. Each child (build/stamp) notes
 * when its main() began. Prints one JSON object.
 *   usage: floor STAMP_PROGRAM CHILDREN KILLS */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "tests/tools/stamp.h"

enum { CHILDREN_MAX = 5000, WAIT_NS = 2000000000 };
struct floor {
    const char *program;
    char file[64];
    struct stamps *stamps;
    pid_t pid[CHILDREN_MAX];
    int children, kills;
};
extern char **environ;

static int64_t mono_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static pid_t start(struct floor *f, int i)
{
    char tag[16];
    snprintf(tag, sizeof tag, "%d", i);
    char *argv[] = { (char *)(uintptr_t)f->program, f->file, tag, NULL };
    pid_t pid = vfork();
    if (pid == 0) {
        execve(f->program, argv, environ);
        _exit(127);
    }
    f->pid[i] = pid;
    return pid;
}

/* Waits for the stamp of a pid, searching from record `from`. -1: none came within WAIT_NS. */
static int64_t stamp_of(struct floor *f, pid_t pid, uint64_t from)
{
    int64_t give_up = mono_ns() + WAIT_NS;
    while (mono_ns() < give_up) {
        uint64_t n = atomic_load(&f->stamps->n);
        for (uint64_t i = from; i < n && i < STAMPS_MAX; i++)
            if (atomic_load(&f->stamps->v[i].pid) == pid)
                return f->stamps->v[i].mono_ns;
        nanosleep(&(struct timespec){ .tv_nsec = 20000 }, NULL);
    }
    return -1;
}

static int64_t start_all(struct floor *f)
{
    int64_t t0 = mono_ns(), last = 0;
    for (int i = 0; i < f->children; i++)
        if (start(f, i) < 0)
            return -errno;
    for (int i = 0; i < f->children; i++) {
        int64_t at = stamp_of(f, f->pid[i], 0);
        if (at < 0)
            return -ETIMEDOUT;
        last = MAX_OF(last, at);
    }
    return last - t0;
}

/* kill -9 to the replacement's main(). The reaping is a plain waitpid, as in the simplest supervisor. */
static int64_t kill_one(struct floor *f, int i)
{
    uint64_t from = atomic_load(&f->stamps->n);
    int64_t t0 = mono_ns();
    kill(f->pid[i], SIGKILL);
    pid_t dead;
    do
        dead = waitpid(-1, NULL, 0);
    while (dead < 0 && errno == EINTR);
    pid_t pid = start(f, i);
    if (dead < 0 || pid < 0)
        return -1;
    int64_t at = stamp_of(f, pid, from);
    return at < 0 ? -1 : at - t0;
}

static void end_all(struct floor *f)
{
    for (int i = 0; i < f->children; i++)
        if (f->pid[i] > 0)
            kill(f->pid[i], SIGKILL);
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
        ;
    unlink(f->file);
}

static int set_up(struct floor *f, int argc, char **argv)
{
    if (argc != 4 || access(argv[1], X_OK) < 0)
        return -EINVAL;
    f->program = argv[1];
    f->children = atoi(argv[2]);
    f->kills = atoi(argv[3]);
    if (f->children < 1 || f->children > CHILDREN_MAX || f->kills < 0 || f->kills > 10000)
        return -EINVAL;
    snprintf(f->file, sizeof f->file, "/dev/shm/muster-floor-%d", getpid());
    cleanup_close int fd = open(f->file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, sizeof *f->stamps) < 0)
        return -errno;
    f->stamps = mmap(NULL, sizeof *f->stamps, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return f->stamps == MAP_FAILED ? -errno : 0;
}

int main(int argc, char **argv)
{
    static struct floor f;
    static int64_t took[10000];
    int r = set_up(&f, argc, argv);
    if (r < 0) {
        fprintf(stderr, "floor: %s\nusage: floor STAMP_PROGRAM CHILDREN KILLS\n", strerror(-r));
        return 2;
    }
    int64_t all_ns = start_all(&f);
    int n = 0;
    for (int k = 0; all_ns >= 0 && k < f.kills; k++) {
        nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
        int64_t ns = kill_one(&f, (int)((uint32_t)k * 7919u % (uint32_t)f.children));
        if (ns >= 0)
            took[n++] = ns;
    }
    end_all(&f);
    qsort(took, (size_t)n, sizeof took[0], by_value);
    printf("{\"children\":%d,\"start_all_ms\":%.3f,\"kills\":%d,\"replaced\":%d", f.children, (double)all_ns / 1e6, f.kills, n);
    if (n)
        printf(",\"median_ms\":%.3f,\"p95_ms\":%.3f,\"max_ms\":%.3f", (double)took[n / 2] / 1e6, (double)took[n * 95 / 100] / 1e6, (double)took[n - 1] / 1e6);
    printf("}\n");
    return all_ns >= 0 && n == f.kills ? 0 : 1;
}
