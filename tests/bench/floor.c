/* floor.c - how fast could anybody be here? The least work that does the job, as a floor for the figures of `make bench`. Each prints one
 * JSON object.
 *   floor start STAMP_PROGRAM CHILDREN KILLS   a parent that starts children by vfork + exec, and on kill -9 of one reaps it and starts
 *                                              it again; each child (build/stamp) notes when its main() began
 *   floor reads FOLDER ROUNDS                  the bare reads of cpu.stat in each folder of FOLDER, one round a 20 ms
 *   floor probes PORT TIMES                    GETs to 127.0.0.1:PORT, each on a connection of its own, one a ms */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "tests/tools/stamp.h"

enum { CHILDREN_MAX = 5000, KILLS_MAX = 10000, WAIT_NS = 2000000000 };
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
    if (argc != 5 || access(argv[2], X_OK) < 0)
        return -EINVAL;
    f->program = argv[2];
    f->children = atoi(argv[3]);
    f->kills = atoi(argv[4]);
    if (f->children < 1 || f->children > CHILDREN_MAX || f->kills < 0 || f->kills > KILLS_MAX)
        return -EINVAL;
    snprintf(f->file, sizeof f->file, "/dev/shm/muster-floor-%d", getpid());
    cleanup_close int fd = open(f->file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, sizeof *f->stamps) < 0)
        return -errno;
    f->stamps = mmap(NULL, sizeof *f->stamps, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return f->stamps == MAP_FAILED ? -errno : 0;
}

static double of_all(const int64_t *took, int n, double quantile)
{
    int i = (int)(n * quantile);
    return n ? (double)took[i < n ? i : n - 1] / 1e6 : 0;
}

static int start_and_kill(int argc, char **argv)
{
    static struct floor f;
    static int64_t took[KILLS_MAX];
    int r = set_up(&f, argc, argv);
    if (r < 0)
        return r;
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
    printf("{\"children\":%d,\"start_all_ms\":%.3f,\"kills\":%d,\"replaced\":%d,\"median_ms\":%.3f,\"p95_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f}\n",
           f.children, (double)all_ns / 1e6, f.kills, n, of_all(took, n, 0.5), of_all(took, n, 0.95), of_all(took, n, 0.99), of_all(took, n, 1));
    return all_ns >= 0 && n == f.kills ? 0 : -EIO;
}

/* --- reads --------------------------------------------------------------------------------------------- */
static double cpu_ms(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e3 + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e3;
}

static int open_stats(const char *folder, int *fd, int max)
{
    DIR *d = opendir(folder);
    int n = 0;
    for (struct dirent *e; d && n < max && (e = readdir(d));) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s/cpu.stat", folder, e->d_name);
        if (e->d_name[0] != '.' && (fd[n] = open(path, O_RDONLY | O_CLOEXEC)) >= 0)
            n++;
    }
    if (d)
        closedir(d);
    return n;
}

static int reads(int argc, char **argv)
{
    static int fd[CHILDREN_MAX];
    char buf[1024];
    int rounds = argc == 4 ? atoi(argv[3]) : 0;
    if (rounds < 1)
        return -EINVAL;
    setrlimit(RLIMIT_NOFILE, &(struct rlimit){ CHILDREN_MAX + 16, CHILDREN_MAX + 16 });
    int n = open_stats(argv[2], fd, CHILDREN_MAX);
    if (!n)
        return -ENOENT;
    double before = cpu_ms();
    for (int r = 0; r < rounds; r++) {
        for (int i = 0; i < n; i++)
            if (pread(fd[i], buf, sizeof buf, 0) < 0)
                return -errno;
        nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
    }
    printf("{\"files\":%d,\"rounds\":%d,\"cpu_ms\":%.3f}\n", n, rounds, cpu_ms() - before);
    return 0;
}

/* --- probes ------------------------------------------------------------------------------------------------ */
static int probe(int port)
{
    static const char ask[] = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    char buf[2048];
    cleanup_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) < 0 || write(fd, ask, sizeof ask - 1) < 0)
        return -errno;
    ssize_t n = read(fd, buf, sizeof buf);
    return n < 0 ? -errno : n < 12 || memcmp(buf, "HTTP/1.1 200", 12) != 0 ? -EBADMSG : 0;
}

static int probes(int argc, char **argv)
{
    int port = argc == 4 ? atoi(argv[2]) : 0, times = port ? atoi(argv[3]) : 0, rc = 0;
    if (times < 1)
        return -EINVAL;
    double before = cpu_ms();
    for (int i = 0; i < times && rc == 0; i++) {
        rc = probe(port);
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    }
    if (rc == 0)
        printf("{\"probes\":%d,\"cpu_ms\":%.3f}\n", times, cpu_ms() - before);
    return rc;
}

int main(int argc, char **argv)
{
    static const struct { const char *name; int (*run)(int argc, char **argv); } modes[] = { { "start", start_and_kill }, { "reads", reads }, { "probes", probes } };
    for (size_t i = 0; argc > 1 && i < ARRAY_LEN(modes); i++) {
        if (strcmp(argv[1], modes[i].name) != 0)
            continue;
        int r = modes[i].run(argc, argv);
        if (r < 0 && r != -EINVAL)
            fprintf(stderr, "floor: %s\n", strerror(-r));
        if (r != -EINVAL)
            return r < 0;
        break;
    }
    fprintf(stderr, "usage: floor start STAMP_PROGRAM CHILDREN KILLS | reads FOLDER ROUNDS | probes PORT TIMES\n");
    return 2;
}
