#include "agent/group.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "agent/sysx.h"
#include "model/words.h"

enum { CGROUP2_MAGIC = 0x63677270, CGROUP1_MAGIC = 0x27e0eb, TREE_DEPTH_MAX = 8, KILL_ROUNDS_MAX = 20, PROCS_MAX = 4096, SAME_PID_MAX = 1000 };
static const char *const limit_names[LIMIT_COUNT] = { "memory", "pids", "cpu" };

/* --- finding out what can be had ------------------------------------------------------------------- */

/* The path of `pid` in the hierarchy whose line in /proc/PID/cgroup names `controller` ("" for v2), and how that line begins. */
static int path_of(pid_t pid, const char *controller, char *path, size_t path_size, char *line, size_t line_size)
{
    char buf[4096], file[40];
    snprintf(file, sizeof file, "/proc/%d/cgroup", (int)pid);
    ssize_t n = sysx_read_file(AT_FDCWD, file, buf, sizeof buf);
    if (n < 0)
        return (int)n;
    char *save = NULL;
    for (char *l = strtok_r(buf, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
        char *names = strchr(l, ':'), *p = names ? strchr(names + 1, ':') : NULL;
        if (!p)
            continue;
        size_t len = (size_t)(p - names - 1);
        char list[128];
        snprintf(list, sizeof list, ",%.*s,", (int)(len < 100 ? len : 100), names + 1);
        char want[64];
        snprintf(want, sizeof want, ",%s,", controller);
        if (*controller ? !strstr(list, want) : len != 0)
            continue;
        if (strstr(p + 1, "/.."))                   /* outside of our cgroup namespace */
            return -ENOENT;
        snprintf(line, line_size, "%.*s", (int)(p + 1 - l), l);
        return snprintf(path, path_size, "%s", strcmp(p + 1, "/") ? p + 1 : "") < (int)path_size ? 0 : -ENAMETOOLONG;
    }
    return -ENOENT;
}

/* Where our folder goes in a hierarchy: where it is told to, or where it was (a member of a group stands in <there>/<folder>/<name>, or <there> if
 * it has no group in that hierarchy), or our own cgroup. The line tells the hierarchy; it is the same for all processes. */
static int own_path(const struct groups_from *f, const char *controller, char *path, size_t path_size, char *line, size_t line_size)
{
    int rc = path_of(f->member ? f->member : getpid(), controller, path, path_size, line, line_size);
    if (f->below)
        return snprintf(path, path_size, "%s", f->below) < (int)path_size ? 0 : -ENAMETOOLONG;
    char want[64 + ID_SIZE];
    snprintf(want, sizeof want, "/%s/%s", f->folder, f->name ? f->name : "");
    size_t len = strlen(path), tail = strlen(want);
    if (rc == 0 && f->member && len >= tail && !strcmp(path + len - tail, want))
        path[len - tail] = 0;
    return rc;
}

/* The folder's name that a group of a keeper before us is in: "muster-PID[.n]". */
static bool folder_of_member(pid_t pid, const char *name, char *folder, size_t size)
{
    static const char *const trackers[] = { "", "pids", "freezer" };
    char path[256], line[48];
    for (size_t i = 0; i < sizeof trackers / sizeof *trackers; i++) {
        char *last = path_of(pid, trackers[i], path, sizeof path, line, sizeof line) == 0 ? strrchr(path, '/') : NULL;
        if (!last || strcmp(last + 1, name))
            continue;
        *last = 0;
        char *up = strrchr(path, '/');
        if (up && !strncmp(up + 1, "muster", 6) && snprintf(folder, size, "%s", up + 1) < (int)size)
            return true;
    }
    return false;
}

static bool is_fs(const char *path, long magic)
{
    struct statfs s;
    return statfs(path, &s) == 0 && (long)s.f_type == magic;
}

/* Each keeper locks its folders as long as it lives, so what can be locked here belongs to a keeper that was killed. Pids would not
 * tell: several pid namespaces can share one view of the cgroups. What still has processes in it stays. */
static void sweep(int parent)
{
    char buf[4096] __attribute__((aligned(8)));
    long n;
    while ((n = syscall(SYS_getdents64, parent, buf, sizeof buf)) > 0)
        for (long off = 0; off < n;) {
            const struct sysx_dirent *d = (const void *)(buf + off);
            off += d->reclen;
            if (strncmp(d->name, "muster-", 7) || strspn(d->name + 7, "0123456789.") != strlen(d->name + 7))
                continue;
            int fd = openat(parent, d->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
                (void)sysx_rmdir_tree(parent, d->name, TREE_DEPTH_MAX);
            if (fd >= 0)
                close(fd);
        }
}

/* Whatever our umask: the supervisor, which may be another user, reads figures in it. 0 also if it is there. */
static int make_dir(int parent, const char *name)
{
    if (mkdirat(parent, name, 0755) == 0)
        return fchmodat(parent, name, 0755, 0) < 0 ? -errno : 0;
    return errno == EEXIST ? 0 : -errno;
}

/* The folder, made and locked. -EEXIST: another keeper has one of this name. */
static int take_folder(int parent, const char *folder)
{
    struct stat mine, there;
    int rc = make_dir(parent, folder);
    if (rc < 0)
        return rc;
    int fd = openat(parent, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    rc = flock(fd, LOCK_EX | LOCK_NB) < 0 ? -EEXIST : 0;
    if (rc == 0 && (fstat(fd, &mine) < 0 || fstatat(parent, folder, &there, AT_SYMLINK_NOFOLLOW) < 0 || mine.st_ino != there.st_ino))
        rc = -EAGAIN;               /* swept away between the two steps */
    if (rc == 0)
        return fd;
    close(fd);
    return rc;
}

/* Makes <mount><own path>/<folder>; without a folder of that path (a container's view) directly below the mount. The first hierarchy
 * chooses the name: another keeper of the same pid (in a pid namespace of its own) may have it already. */
static int make_folder(const char *mount, char *own, char *folder, size_t folder_size, bool choose)
{
    char path[512];
    struct stat st;
    snprintf(path, sizeof path, "%s%s", mount, own);
    if (stat(path, &st) < 0) {
        *own = 0;
        snprintf(path, sizeof path, "%s", mount);
    }
    int parent = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent < 0)
        return -errno;
    sweep(parent);
    int fd = take_folder(parent, folder);
    size_t len = strlen(folder);
    for (int i = 1; choose && i < SAME_PID_MAX && (fd == -EEXIST || fd == -EAGAIN); i++) {
        snprintf(folder + len, folder_size - len, ".%d", i);
        fd = take_folder(parent, folder);
    }
    close(parent);
    return fd;
}

static int folder_v2(struct groups *g, const struct groups_from *f)
{
    const char *mount = is_fs("/sys/fs/cgroup/unified", CGROUP2_MAGIC) ? "/sys/fs/cgroup/unified" : "/sys/fs/cgroup";
    char own[96];
    int rc = is_fs(mount, CGROUP2_MAGIC) ? own_path(f, "", own, sizeof own, g->line, sizeof g->line) : -ENOENT;
    if (rc < 0)
        return rc;
    int fd = make_folder(mount, own, g->folder, sizeof g->folder, !f->member);
    if (fd >= 0)
        snprintf(g->path, sizeof g->path, "%s/%s", own, g->folder);
    return fd;
}

static int folder_v1(struct groups *g, const struct groups_from *f, const char *controller, char *own, size_t own_size, char *line, size_t line_size)
{
    char mount[64];
    snprintf(mount, sizeof mount, "/sys/fs/cgroup/%s", controller);
    if (!strcmp(controller, "cpu") && !is_fs(mount, CGROUP1_MAGIC))
        snprintf(mount, sizeof mount, "/sys/fs/cgroup/cpu,cpuacct");
    int rc = is_fs(mount, CGROUP1_MAGIC) ? own_path(f, controller, own, own_size, line, line_size) : -ENOENT;
    return rc < 0 ? rc : make_folder(mount, own, g->folder, sizeof g->folder, g->mode == GROUP_NONE && !f->member);
}

/* A cgroup that has processes and hands pids or cpu on becomes the root of a threaded domain, and nobody could enter the cgroups below it
 * (EOPNOTSUPP). Only the root of all may have both; it alone has no cgroup.type. */
static bool parent_may_hand_on(const struct groups *g)
{
    char buf[8];
    return faccessat(g->base_fd, "../cgroup.type", F_OK, 0) < 0 || sysx_read_file(g->base_fd, "../cgroup.procs", buf, sizeof buf) == 0;
}

/* Enabled for our children if the controller is there and can be passed on. */
static bool enable_v2(const struct groups *g, const char *controller)
{
    char text[32], list[256], want[32];
    snprintf(text, sizeof text, "+%s", controller);
    if (parent_may_hand_on(g))
        (void)sysx_write_file(g->base_fd, "../cgroup.subtree_control", text);     /* may fail: then it is on already, or cannot be */
    if (sysx_write_file(g->base_fd, "cgroup.subtree_control", text) < 0)
        return false;
    if (sysx_read_file(g->base_fd, "cgroup.subtree_control", list + 1, sizeof list - 2) < 0)
        return false;
    list[0] = ' ';
    for (char *s = list; *s; s++)
        if (*s == '\n')
            *s = ' ';
    snprintf(want, sizeof want, " %s ", controller);
    return strstr(list, want) != NULL;
}

static void track_v1(struct groups *g, const struct groups_from *f)
{
    static const char *const trackers[] = { "pids", "freezer" };
    for (int i = 0; g->mode == GROUP_NONE && i < 2; i++) {
        char own[96];
        int fd = folder_v1(g, f, trackers[i], own, sizeof own, g->line, sizeof g->line);
        if (fd < 0)
            continue;
        g->base_fd = fd;
        g->mode = GROUP_V1;
        snprintf(g->path, sizeof g->path, "%s/%s", own, g->folder);
    }
}

static void find_limit(struct groups *g, const struct groups_from *f, int i)
{
    char own[256], line[48];
    if (g->mode == GROUP_V2 && enable_v2(g, limit_names[i])) {
        g->limit_fd[i] = g->base_fd;
        g->limit_v2[i] = true;
        return;
    }
    char want[32];
    snprintf(want, sizeof want, ":%s:", limit_names[i]);
    if (g->mode == GROUP_V1 && strstr(g->line, want))
        g->limit_fd[i] = fcntl(g->base_fd, F_DUPFD_CLOEXEC, 3);     /* the tracking folder itself */
    else
        g->limit_fd[i] = folder_v1(g, f, limit_names[i], own, sizeof own, line, sizeof line);
}

static void init_from(struct groups *g, const struct groups_from *f)
{
    g->base_fd = folder_v2(g, f);
    if (g->base_fd >= 0)
        g->mode = GROUP_V2;
    if (g->mode == GROUP_NONE)
        track_v1(g, f);
    for (int i = 0; i < LIMIT_COUNT && (g->mode != GROUP_NONE || !f->member); i++)
        find_limit(g, f, i);
}

void groups_init(struct groups *g, const struct groups_from *from)
{
    struct groups_from f = *from;
    *g = (struct groups){ .base_fd = -1, .limit_fd = { -1, -1, -1 } };
    if (f.none)
        return;
    if (f.member && folder_of_member(f.member, f.name, g->folder, sizeof g->folder)) {
        f.folder = g->folder;
        init_from(g, &f);
        if (g->mode != GROUP_NONE)
            return;
    }
    f.member = 0;
    snprintf(g->folder, sizeof g->folder, f.below ? "muster" : "muster-%d", (int)(f.keeper ? f.keeper : getpid()));
    f.folder = g->folder;
    init_from(g, &f);
}

void groups_done(struct groups *g)
{
    char up[48];
    snprintf(up, sizeof up, "../%s", g->folder);
    for (int i = 0; i < LIMIT_COUNT; i++)
        if (g->limit_fd[i] >= 0 && g->limit_fd[i] != g->base_fd) {
            sysx_rmdir_tree(g->limit_fd[i], up, TREE_DEPTH_MAX);
            close(g->limit_fd[i]);
        }
    if (g->base_fd >= 0) {
        sysx_rmdir_tree(g->base_fd, up, TREE_DEPTH_MAX);
        close(g->base_fd);
    }
    *g = (struct groups){ .base_fd = -1, .limit_fd = { -1, -1, -1 } };
}

/* --- one group --------------------------------------------------------------------------------------- */

void group_name(const char *id, char *buf)
{
    snprintf(buf, ID_SIZE, "%s", id);
    for (char *s = buf; *s; s++)
        if (*s == '/')
            *s = ':';
}

static void file_path(char *buf, size_t size, const char *name, const char *file)
{
    snprintf(buf, size, "%s/%s", name, file);
}

static uint64_t limit_value(const struct group_limits *l, int i)
{
    return i == LIMIT_MEMORY ? l->memory_bytes : i == LIMIT_PIDS ? l->tasks : l->cpu_milli;
}

static int set_file(int dir, const char *name, const char *file, const char *fmt, uint64_t value, bool max)
{
    char path[160], text[64];
    file_path(path, sizeof path, name, file);
    if (max)
        snprintf(text, sizeof text, "max");
    else
        snprintf(text, sizeof text, fmt, (unsigned long long)value);
    return sysx_write_file(dir, path, text);
}

static int set_limit(const struct groups *g, const char *name, int i, uint64_t value)
{
    int dir = g->limit_fd[i];
    bool v2 = g->limit_v2[i];
    if (i == LIMIT_PIDS)
        return set_file(dir, name, "pids.max", "%llu", value, value == 0);
    if (i == LIMIT_CPU && v2)
        return set_file(dir, name, "cpu.max", "%llu 100000", value * 100, value == 0);
    if (i == LIMIT_CPU)
        return set_file(dir, name, "cpu.cfs_quota_us", "%llu", value * 100, false);
    if (v2) {
        (void)set_file(dir, name, "memory.swap.max", "%llu", 0, value == 0);
        return set_file(dir, name, "memory.max", "%llu", value, value == 0);
    }
    /* memory + swap must never be below memory: raise it first, and set it after (it may not exist) */
    (void)set_file(dir, name, "memory.memsw.limit_in_bytes", "%llu", INT64_MAX, false);
    int rc = set_file(dir, name, "memory.limit_in_bytes", "%llu", value, false);
    (void)set_file(dir, name, "memory.memsw.limit_in_bytes", "%llu", value, false);
    return rc;
}

int group_make(const struct groups *g, const char *name, const struct group_limits *l)
{
    int rc = g->mode != GROUP_NONE ? make_dir(g->base_fd, name) : 0;
    if (rc < 0)
        return rc;
    for (int i = 0; i < LIMIT_COUNT; i++) {
        uint64_t value = limit_value(l, i);
        if (g->limit_fd[i] < 0 || (!value && !g->limit_v2[i])) {
            rc = value ? -EOPNOTSUPP : rc;
            continue;
        }
        if (!g->limit_v2[i] && make_dir(g->limit_fd[i], name) < 0)
            rc = -EOPNOTSUPP;
        else if (set_limit(g, name, i, value) < 0 && value)
            rc = -EOPNOTSUPP;
    }
    return rc;
}

int group_open(const struct groups *g, const char *name)
{
    if (g->mode != GROUP_V2)
        return -EOPNOTSUPP;
    int fd = openat(g->base_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int group_join(const struct groups *g, const char *name, bool cloned_into, const struct group_limits *l)
{
    char path[160];
    file_path(path, sizeof path, name, "cgroup.procs");
    int rc = 0;
    if (!cloned_into && g->mode != GROUP_NONE)
        rc = sysx_write_file(g->base_fd, path, "0");
    for (int i = 0; i < LIMIT_COUNT && rc == 0; i++)
        if (g->limit_fd[i] >= 0 && !g->limit_v2[i] && limit_value(l, i))
            (void)sysx_write_file(g->limit_fd[i], path, "0");       /* group_make has told if it cannot be */
    return rc;
}

int group_populated(const struct groups *g, const char *name)
{
    char path[160], buf[256];
    if (g->mode == GROUP_NONE)
        return -EOPNOTSUPP;
    file_path(path, sizeof path, name, g->mode == GROUP_V2 ? "cgroup.events" : "cgroup.procs");
    ssize_t n = sysx_read_file(g->base_fd, path, buf, sizeof buf);
    if (n < 0)
        return n == -ENOENT || n == -ENODEV ? 0 : (int)n;
    return g->mode == GROUP_V2 ? strstr(buf, "populated 1") != NULL : n > 0;
}

bool group_has(const struct groups *g, const char *name, pid_t pid)
{
    char path[40], buf[4096], want[256];
    if (g->mode == GROUP_NONE)
        return false;
    snprintf(path, sizeof path, "/proc/%d/cgroup", (int)pid);
    if (sysx_read_file(AT_FDCWD, path, buf, sizeof buf) < 0)
        return false;
    snprintf(want, sizeof want, "%s%s/%s", g->line, g->path, name);
    size_t len = strlen(want);
    for (char *s = buf; s; s = strchr(s, '\n') ? strchr(s, '\n') + 1 : NULL)
        if (!strncmp(s, want, len) && (s[len] == '\n' || s[len] == 0))
            return true;
    return false;
}

static int signal_member(const struct groups *g, const char *name, pid_t pid, int signo)
{
    int fd = sysx_pidfd_open(pid);
    if (fd < 0)
        return fd;
    int rc = group_has(g, name, pid) ? sysx_pidfd_signal(fd, signo) : -ESRCH;
    close(fd);
    return rc;
}

static bool was_told(const pid_t *told, int n, pid_t pid)
{
    for (int i = 0; i < n; i++)
        if (told[i] == pid)
            return true;
    return false;
}

int group_signal(const struct groups *g, const char *name, int signo, pid_t except)
{
    static char buf[65536];
    static pid_t told[PROCS_MAX];
    char path[160];
    if (g->mode == GROUP_NONE)
        return -EOPNOTSUPP;
    file_path(path, sizeof path, name, "cgroup.kill");
    if (signo == SIGKILL && g->mode == GROUP_V2 && sysx_write_file(g->base_fd, path, "1") == 0)
        return 1;
    file_path(path, sizeof path, name, "cgroup.procs");
    int n = 0;
    /* what forks while we go is seen by the next round; nobody is told twice */
    for (int round = 0, before = -1; round < KILL_ROUNDS_MAX && n != before; round++) {
        before = n;
        ssize_t len = sysx_read_file(g->base_fd, path, buf, sizeof buf);
        if (len < 0)
            return len == -ENOENT || len == -ENODEV ? n : (int)len;
        for (char *s = buf, *end; *s && n < PROCS_MAX; s = end + (*end == '\n')) {
            pid_t pid = (pid_t)strtol(s, &end, 10);
            if (end == s)
                break;
            if (pid > 1 && pid != except && !was_told(told, n, pid) && signal_member(g, name, pid, signo) == 0)
                told[n++] = pid;
        }
    }
    return n;
}

int group_members(const struct groups *g, const char *name, pid_t *ret, int max)
{
    char path[160], buf[8192];
    int n = 0;
    if (g->mode == GROUP_NONE)
        return 0;
    file_path(path, sizeof path, name, "cgroup.procs");
    if (sysx_read_file(g->base_fd, path, buf, sizeof buf) < 0)
        return 0;
    for (char *s = buf, *end; *s && n < max; s = end + (*end == '\n')) {
        ret[n] = (pid_t)strtol(s, &end, 10);
        if (end == s || *end != '\n')          /* what did not fit may be half a number */
            break;
        n++;
    }
    return n;
}

uint64_t group_oom_kills(const struct groups *g, const char *name)
{
    char path[160], buf[1024];
    if (g->limit_fd[LIMIT_MEMORY] < 0)
        return 0;
    file_path(path, sizeof path, name, g->limit_v2[LIMIT_MEMORY] ? "memory.events" : "memory.oom_control");
    if (sysx_read_file(g->limit_fd[LIMIT_MEMORY], path, buf, sizeof buf) < 0)
        return 0;
    const char *s = strstr(buf, "\noom_kill ");     /* never the first line, in v1 and v2 alike */
    return s ? strtoull(s + 10, NULL, 10) : 0;
}

int group_remove(const struct groups *g, const char *name)
{
    int rc = 0;
    for (int i = 0; i < LIMIT_COUNT; i++)
        if (g->limit_fd[i] >= 0 && !g->limit_v2[i]) {
            int one = sysx_rmdir_tree(g->limit_fd[i], name, TREE_DEPTH_MAX);
            rc = one < 0 ? one : rc;
        }
    if (g->mode != GROUP_NONE) {
        int one = sysx_rmdir_tree(g->base_fd, name, TREE_DEPTH_MAX);
        rc = one < 0 ? one : rc;
    }
    return rc;
}
