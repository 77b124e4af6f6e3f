#include "agent/sampler.h"
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uthash.h>
#include "agent/proc_stat.h"
#include "base/num.h"
#include "base/strbuf.h"
#include "model/words.h"

enum { PROCS_BYTES_MAX = 64 << 10 };        /* of cgroup.procs: some 8,000 processes; more are not counted */

/* Where a figure of CPU time came from. Two sources must never be subtracted from each other. */
enum source { FROM_NOWHERE, FROM_CGROUP, FROM_SESSION };

struct memory {
    char id[ID_SIZE];
    int32_t pid; enum source source; uint64_t cpu_us;
    int64_t at_ms;
    int stat_fd;                /* of cpu.stat; -1: none */
    double memory_bytes; uint32_t workers;      /* of the last whole look at this pid; NaN and 0: none yet */
    UT_hash_handle hh;
};
struct sampler {
    const char *proc_root;
    char *cgroup_root;          /* NULL: none */
    size_t open_n, open_max;    /* cpu.stat files: never more than half of the descriptors that we may have */
    int64_t forgot_ms;
    struct memory *by_id;
    char procs[PROCS_BYTES_MAX];
};

/* What is gathered about one target in a round. */
struct group {
    struct memory *m;
    bool whole;
    int32_t pid, session;
    enum source source;
    uint64_t cpu_us, rss_bytes, memory_bytes;
    bool has_memory, has_rss;
    uint32_t workers;
    UT_hash_handle hh;          /* by session */
};

static char *find_cgroup_root(void)
{
    static const char *const roots[] = {"/sys/fs/cgroup/unified", "/sys/fs/cgroup"};
    for (size_t i = 0; i < 2; i++) {
        char path[PATH_MAX];
        struct stat st;
        fixed_printf(path, "%s/cgroup.controllers", roots[i]);
        if (stat(path, &st) == 0)
            return xstrdup(roots[i]);
    }
    return NULL;
}

struct sampler *sampler_new(const char *cgroup_root, const char *proc_root)
{
    struct sampler *s = xcalloc(1, sizeof *s);
    s->proc_root = proc_root ? proc_root : "/proc";
    s->cgroup_root = cgroup_root ? xstrdup(cgroup_root) : find_cgroup_root();
    struct rlimit files = { 0, 0 };
    getrlimit(RLIMIT_NOFILE, &files);
    s->open_max = (size_t)(files.rlim_cur / 2);
    s->forgot_ms = INT64_MIN;
    return s;
}

static struct memory *remember(struct sampler *s, const char *id)
{
    struct memory *m;
    HASH_FIND_STR(s->by_id, id, m);
    if (!m) {
        m = xmalloc(sizeof *m);
        *m = (struct memory){ .stat_fd = -1, .memory_bytes = NAN };
        fixed_copy(m->id, sizeof m->id, id);
        HASH_ADD_STR(s->by_id, id, m);
    }
    return m;
}

static void close_stat(struct sampler *s, struct memory *m)
{
    if (m->stat_fd < 0)
        return;
    close(m->stat_fd);
    m->stat_fd = -1;
    s->open_n--;
}

static void forget(struct sampler *s, int64_t before_ms)
{
    struct memory *m, *next;
    HASH_ITER(hh, s->by_id, m, next)
        if (m->at_ms < before_ms) {
            close_stat(s, m);
            HASH_DEL(s->by_id, m);
            free(m);
        }
}

void sampler_free(struct sampler *s)
{
    if (!s)
        return;
    forget(s, INT64_MAX);
    free(s->cgroup_root);
    free(s);
}

/* --- by cgroup --- */

static bool cgroup_file(const struct sampler *s, const char *cgroup, const char *name, char *buf, size_t size)
{
    char path[PATH_MAX];
    fixed_printf(path, "%s/%s/%s", s->cgroup_root, cgroup, name);
    return proc_slurp(path, buf, size) > 0;
}

static int open_stat(struct sampler *s, struct memory *m, const char *cgroup)
{
    char path[PATH_MAX];
    if (m->stat_fd >= 0 || s->open_n >= s->open_max)
        return m->stat_fd;
    fixed_printf(path, "%s/%s/cpu.stat", s->cgroup_root, cgroup);
    m->stat_fd = open(path, O_RDONLY | O_CLOEXEC);
    s->open_n += m->stat_fd >= 0;
    return m->stat_fd;
}

/* The text of cpu.stat. The file of a cgroup that was removed, and made anew under the same name, reads as -ENODEV. */
static bool read_stat(struct sampler *s, struct memory *m, const char *cgroup, char *buf, size_t size)
{
    for (int i = 0; i < 2 && open_stat(s, m, cgroup) >= 0; i++) {
        ssize_t n = pread(m->stat_fd, buf, size - 1, 0);
        if (n > 0) {
            buf[n] = '\0';
            return true;
        }
        close_stat(s, m);
    }
    return cgroup_file(s, cgroup, "cpu.stat", buf, size);
}

/* "usage_usec 1234" of cpu.stat. */
static bool cgroup_cpu(struct sampler *s, struct memory *m, const char *cgroup, uint64_t *ret_us)
{
    char text[1024];
    unsigned long long us;
    if (!read_stat(s, m, cgroup, text, sizeof text))
        return false;
    const char *at = strncmp(text, "usage_usec ", 11) == 0 ? text : strstr(text, "\nusage_usec ");
    if (!at || sscanf(at, " usage_usec %llu", &us) != 1)
        return false;
    *ret_us = us;
    return true;
}

static void count_process(struct group *g, const struct proc_stat *p)
{
    if (p->zombie)
        return;
    g->rss_bytes += p->rss_bytes;
    g->has_rss = true;
    g->workers += p->ppid == g->pid;
}

static void cgroup_processes(struct sampler *s, const char *cgroup, struct group *g)
{
    struct proc_stat p;
    if (!cgroup_file(s, cgroup, "cgroup.procs", s->procs, sizeof s->procs))
        return;
    for (char *line = s->procs, *end; *line; line = end) {
        uint64_t pid;
        end = line + strcspn(line, "\n");
        if (!*end)
            break;              /* the last line of a list that did not fit may be half a number */
        *end++ = '\0';
        if (num_u64(line, &pid) == 0 && pid <= INT32_MAX && proc_stat_read(s->proc_root, (int32_t)pid, &p))
            count_process(g, &p);
    }
}

static bool gather_cgroup(struct sampler *s, const struct sample_target *t, struct group *g)
{
    char text[64];
    if (!s->cgroup_root || !t->cgroup || !*t->cgroup || !cgroup_cpu(s, g->m, t->cgroup, &g->cpu_us))
        return false;
    g->source = FROM_CGROUP;
    if (!g->whole)
        return true;
    if (cgroup_file(s, t->cgroup, "memory.current", text, sizeof text)) {
        text[strcspn(text, "\n")] = '\0';
        g->has_memory = num_u64(text, &g->memory_bytes) == 0;
    }
    cgroup_processes(s, t->cgroup, g);
    return true;
}

/* --- by session --- */

struct walk { struct group *by_session; };

static void on_process(void *arg, const struct proc_stat *p)
{
    struct walk *w = arg;
    struct group *g;
    HASH_FIND_INT(w->by_session, &p->session, g);
    if (!g)
        return;
    /* What a process has reaped is in its own figure, so the sum stays the same when a child ends, unless its parent was gone before. */
    g->cpu_us += p->cpu_us;
    g->source = FROM_SESSION;
    count_process(g, p);
}

static void gather_sessions(struct sampler *s, struct group *groups, size_t n)
{
    struct walk w = {NULL};
    for (size_t i = 0; i < n; i++) {
        struct group *g = &groups[i], *same;
        struct proc_stat p;
        if (g->source != FROM_NOWHERE || g->pid <= 0 || !proc_stat_read(s->proc_root, g->pid, &p) || p.session <= 0)
            continue;
        g->session = p.session;
        HASH_FIND_INT(w.by_session, &g->session, same);
        if (!same)              /* two in one session cannot be told apart: the second stays unknown */
            HASH_ADD_INT(w.by_session, session, g);
    }
    if (w.by_session)
        proc_stat_each(s->proc_root, on_process, &w);
    HASH_CLEAR(hh, w.by_session);
}

/* --- figures --- */

static double cpu_since(const struct group *g, int64_t now_ms)
{
    const struct memory *m = g->m;
    /* Less than before: somebody's share got lost with an orphan. Not zero, just unknown. */
    if (m->source == g->source && m->pid == g->pid && now_ms > m->at_ms && g->cpu_us >= m->cpu_us)
        return (double)(g->cpu_us - m->cpu_us) / 10.0 / (double)(now_ms - m->at_ms);
    return NAN;
}

static struct sample_result result_of(struct group *g, int64_t now_ms)
{
    struct memory *m = g->m;
    double pct = NAN;
    if (m->pid != g->pid || g->whole || g->source == FROM_NOWHERE) {
        m->memory_bytes = g->has_memory ? (double)g->memory_bytes : g->has_rss ? (double)g->rss_bytes : NAN;
        m->workers = g->workers;
    }
    if (g->source != FROM_NOWHERE) {
        pct = cpu_since(g, now_ms);
        m->pid = g->pid;
        m->source = g->source;
        m->cpu_us = g->cpu_us;
    }
    m->at_ms = now_ms;
    return (struct sample_result){ pct, m->memory_bytes, m->workers ? m->workers : 1 };
}

void sampler_round(struct sampler *s, int64_t now_ms, const struct sample_target *t, size_t n, struct sample_result *out)
{
    struct group *groups = xcalloc(n ? n : 1, sizeof *groups);
    for (size_t i = 0; i < n; i++) {
        struct group *g = &groups[i];
        g->pid = t[i].pid;
        g->m = remember(s, t[i].id);
        g->whole = t[i].whole || g->m->pid != g->pid;
        if (g->m->pid != g->pid)
            close_stat(s, g->m);            /* another process may live in another cgroup */
        if (t[i].pid > 0)
            gather_cgroup(s, &t[i], g);
    }
    gather_sessions(s, groups, n);
    for (size_t i = 0; i < n; i++)
        out[i] = result_of(&groups[i], now_ms);
    free(groups);
    if (now_ms - SAMPLER_FORGET_MS > s->forgot_ms) {
        forget(s, now_ms - SAMPLER_FORGET_MS);
        s->forgot_ms = now_ms;
    }
}

double sample_cpu_of_limit_pct(double cpu_pct, double limit_cores, uint32_t workers)
{
    return cpu_pct / (limit_cores > 0 ? limit_cores : workers > 1 ? workers : 1);
}
