#include "agent/proc_stat.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/num.h"
#include "base/strbuf.h"

long proc_slurp(const char *path, char *buf, unsigned long size)
{
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    size_t len = 0;
    while (len < size - 1) {
        ssize_t n = read(fd, buf + len, size - 1 - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        len += (size_t)n;
    }
    buf[len] = '\0';
    return (long)len;
}

/* "123 (name) S 1 ..."; the name may hold blanks and brackets, so the last bracket counts. proc(5) numbers the fields. */
bool proc_stat_parse(const char *line, struct proc_stat *ret)
{
    const char *bracket = strrchr(line, ')');
    char state;
    int pid, ppid, session;
    unsigned long long utime, stime;
    long long cutime, cstime, rss;
    if (!bracket || sscanf(line, "%d", &pid) != 1)
        return false;
    int n = sscanf(bracket + 1, " %c %d %*d %d %*d %*d %*u %*u %*u %*u %*u %llu %llu %lld %lld %*d %*d %*d %*d %*u %*u %lld",
                   &state, &ppid, &session, &utime, &stime, &cutime, &cstime, &rss);
    if (n != 8 || cutime < 0 || cstime < 0 || rss < 0)
        return false;
    uint64_t ticks = utime + stime + (uint64_t)cutime + (uint64_t)cstime;
    *ret = (struct proc_stat){
        .pid = pid, .ppid = ppid, .session = session, .zombie = state == 'Z' || state == 'X',
        .cpu_us = ticks * (1000000 / (uint64_t)sysconf(_SC_CLK_TCK)),
        .rss_bytes = (uint64_t)rss * (uint64_t)sysconf(_SC_PAGESIZE),
    };
    return true;
}

bool proc_stat_read(const char *proc_root, int32_t pid, struct proc_stat *ret)
{
    char path[PATH_MAX], line[1024];
    fixed_printf(path, "%s/%d/stat", proc_root, pid);
    return proc_slurp(path, line, sizeof line) > 0 && proc_stat_parse(line, ret);
}

void proc_stat_each(const char *proc_root, void (*seen)(void *arg, const struct proc_stat *p), void *arg)
{
    DIR *d = opendir(proc_root);
    for (struct dirent *e; d && (e = readdir(d));) {
        uint64_t pid;
        struct proc_stat p;
        if (num_u64(e->d_name, &pid) == 0 && pid <= INT32_MAX && proc_stat_read(proc_root, (int32_t)pid, &p))
            seen(arg, &p);
    }
    if (d)
        closedir(d);
}
