/* keeper_who.c - whose is a listening socket? The supervisor may not look into other users' processes, and has to know: what answers a probe at
 * an instance's port must be the instance, and who holds a port that is wanted should be named. Bounded in time, since the loop waits. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "agent/keeper_impl.h"
#include "agent/sysx.h"

enum { ALL_MS_MAX = 50, ALL_EVERY_MS = 200, MEMBERS_MAX = 64 };

struct look { char links[WHO_INODES_MAX][32]; int64_t until_ms; bool late; };

static bool each(int dir, bool (*fn)(void *arg, int dir, const char *name), void *arg)
{
    char buf[8192] __attribute__((aligned(8)));
    long n;
    while ((n = syscall(SYS_getdents64, dir, buf, sizeof buf)) > 0)
        for (long off = 0; off < n;) {
            const struct sysx_dirent *d = (const void *)(buf + off);
            off += d->reclen;
            if (d->name[0] >= '0' && d->name[0] <= '9' && fn(arg, dir, d->name))
                return true;
        }
    return false;
}

static bool is_it(void *arg, int dir, const char *name)
{
    const struct look *l = arg;
    char link[sizeof l->links[0]];
    ssize_t n = readlinkat(dir, name, link, sizeof link - 1);
    if (n <= 0)
        return false;
    link[n] = 0;
    for (int i = 0; i < WHO_INODES_MAX; i++)
        if (!strcmp(link, l->links[i]))
            return true;
    return false;
}

static bool has_it(struct look *l, pid_t pid)
{
    char path[40];
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool found = dir >= 0 && each(dir, is_it, l);
    if (dir >= 0)
        close(dir);
    return found;
}

struct walk { struct keeper *k; const struct slot *s; struct look *l; pid_t other; bool ours; };

/* true: the walk is over. One of the group ends it; a stranger may have the socket beside it (passed on by a fork). */
static bool one_process(void *arg, int dir, const char *name)
{
    struct walk *w = arg;
    pid_t pid = (pid_t)strtol(name, NULL, 10);
    (void)dir;
    if (keeper_now_ms() > w->l->until_ms) {
        w->l->late = true;
        return true;
    }
    if (!has_it(w->l, pid))
        return false;
    w->ours = w->s && keeper_is_member(w->k, w->s, pid);
    if (!w->other)
        w->other = pid;
    return w->ours;
}

static void name_it(pid_t pid, char *detail, size_t size)
{
    char path[40], comm[32] = "?";
    snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
    sysx_read_file(AT_FDCWD, path, comm, sizeof comm);
    comm[strcspn(comm, "\n")] = 0;
    for (char *c = comm; *c; c++)
        *c = *c >= ' ' && *c < 0x7f ? *c : '?';
    snprintf(detail, size, "pid %d (%s)", (int)pid, comm);
}

static bool group_has_it(struct keeper *k, const struct slot *s, struct look *l)
{
    pid_t pids[MEMBERS_MAX];
    char name[ID_SIZE];
    if (s->running && has_it(l, s->pid))
        return true;
    group_name(s->id, name);
    int n = group_members(&k->groups, name, pids, MEMBERS_MAX);
    for (int i = 0; i < n && keeper_now_ms() <= l->until_ms; i++)
        if (has_it(l, pids[i]))
            return true;
    return false;
}

int keeper_who(struct keeper *k, const struct slot *s, const uint64_t inodes[WHO_INODES_MAX], char *detail, size_t detail_size)
{
    struct look l = { .until_ms = keeper_now_ms() + ALL_MS_MAX };
    struct walk w = { k, s, &l, 0, false };
    for (int i = 0; i < WHO_INODES_MAX; i++)
        if (inodes[i])
            snprintf(l.links[i], sizeof l.links[i], "socket:[%llu]", (unsigned long long)inodes[i]);
    if (s && (s->running || s->populated) && group_has_it(k, s, &l))
        return 0;
    if (keeper_now_ms() < k->who_ms)
        return -EAGAIN;
    k->who_ms = keeper_now_ms() + ALL_EVERY_MS;
    int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (proc < 0)
        return -errno;
    each(proc, one_process, &w);
    close(proc);
    if (w.ours)
        return 0;
    if (w.other) {
        name_it(w.other, detail, detail_size);
        return -EADDRINUSE;
    }
    return l.late ? -EAGAIN : -ENOENT;
}
