#include "agent/proc_scan.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "agent/sysx.h"

enum { ENVIRON_MAX = 128 * 1024, ANCESTORS_MAX = 128 };

/* pid, state, ppid, session and start time of /proc/PID/stat. The name may hold anything, so count from the last ')'. */
static int read_stat(pid_t pid, struct proc_seen *p, char *ret_state)
{
    char path[40], buf[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    ssize_t n = sysx_read_file(AT_FDCWD, path, buf, sizeof buf);
    if (n < 0)
        return (int)n;
    char *s = strrchr(buf, ')');
    int ppid, pgrp, sid;
    unsigned long long start;
    if (!s || sscanf(s + 1, " %c %d %d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
                     ret_state, &ppid, &pgrp, &sid, &start) != 5)
        return -EBADMSG;
    *p = (struct proc_seen){ .pid = pid, .ppid = ppid, .sid = sid, .start = start };
    return 0;
}

static void read_marker(struct proc_seen *p)
{
    static char env[ENVIRON_MAX];
    static const char key[] = "MUSTER_ID=";
    char path[40];
    snprintf(path, sizeof path, "/proc/%d/environ", (int)p->pid);
    ssize_t n = sysx_read_file(AT_FDCWD, path, env, sizeof env);
    for (char *s = env; n > 0 && s < env + n; s += strlen(s) + 1)
        if (!strncmp(s, key, sizeof key - 1)) {
            snprintf(p->marker, sizeof p->marker, "%.63s", s + sizeof key - 1);
            return;
        }
}

/* false: a zombie, a kernel thread, or gone. */
static bool look(pid_t pid, struct proc_seen *p)
{
    char state;
    if (read_stat(pid, p, &state) < 0 || state == 'Z' || state == 'X' || p->pid == 2 || p->ppid == 2)
        return false;
    read_marker(p);
    return true;
}

bool proc_look(pid_t pid, struct proc_seen *ret) { return look(pid, ret); }

void proc_scan(void (*seen)(void *arg, const struct proc_seen *p), void *arg)
{
    static char buf[32768] __attribute__((aligned(8)));
    int dir = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return;
    long n;
    while ((n = syscall(SYS_getdents64, dir, buf, sizeof buf)) > 0)
        for (long off = 0; off < n;) {
            const struct sysx_dirent *d = (const void *)(buf + off);
            off += d->reclen;
            if (d->name[0] < '1' || d->name[0] > '9')
                continue;
            struct proc_seen p;
            if (look((pid_t)strtol(d->name, NULL, 10), &p))
                seen(arg, &p);
        }
    close(dir);
}

int proc_unknown_children(bool (*known)(void *arg, pid_t pid), void (*seen)(void *arg, const struct proc_seen *p), void *arg)
{
    static char buf[65536];
    char path[64];
    int unknown = 0;
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    ssize_t n = sysx_read_file(AT_FDCWD, path, buf, sizeof buf);
    if (n < 0)
        return (int)n;
    if (n == (ssize_t)sizeof buf - 1)
        return -EFBIG;
    for (char *s = buf, *end; *s; s = end) {
        pid_t pid = (pid_t)strtol(s, &end, 10);
        if (end == s)
            break;
        struct proc_seen p;
        if (!known(arg, pid)) {
            unknown++;
            if (seen && look(pid, &p))
                seen(arg, &p);
        }
        end += *end == ' ';
    }
    return unknown;
}

uint64_t proc_start_ticks(pid_t pid)
{
    struct proc_seen p;
    char state;
    return read_stat(pid, &p, &state) < 0 ? 0 : p.start;
}

bool proc_descends(const struct proc_seen *p, pid_t ancestor)
{
    struct proc_seen q = *p;
    char state;
    for (int i = 0; i < ANCESTORS_MAX; i++) {
        if (q.ppid == ancestor)
            return true;
        if (q.ppid <= 1 || read_stat(q.ppid, &q, &state) < 0)
            return false;
    }
    return false;
}

int proc_signal(const struct proc_seen *p, int signo)
{
    int fd = sysx_pidfd_open(p->pid);
    if (fd < 0)
        return fd;
    struct proc_seen again;
    char state;
    int rc = read_stat(p->pid, &again, &state);
    if (rc == 0)
        rc = again.start == p->start && again.sid == p->sid ? sysx_pidfd_signal(fd, signo) : -ESRCH;
    close(fd);
    return rc;
}
