/* proc_stat.h - one process as /proc/PID/stat shows it. The parser is pure; the reader blocks only on /proc. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct proc_stat {
    int32_t pid, ppid, session;
    bool zombie;
    uint64_t cpu_us;            /* its own and that of the children it has reaped */
    uint64_t rss_bytes;
};
bool proc_stat_parse(const char *line, struct proc_stat *ret);
bool proc_stat_read(const char *proc_root, int32_t pid, struct proc_stat *ret);     /* false: gone */
/* Calls `seen` for each process. */
void proc_stat_each(const char *proc_root, void (*seen)(void *arg, const struct proc_stat *p), void *arg);
/* A small file into buf (size > 0), terminated; its length or -errno. What does not fit is left out. */
long proc_slurp(const char *path, char *buf, unsigned long size);
