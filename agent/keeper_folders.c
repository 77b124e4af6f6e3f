/* keeper_folders.c - the folders of state and runtime: made, or taken over from whom they belonged to before, with their owners and modes.
 *
 *   STATE           root, others may pass         RUN             root, others may pass
 *   STATE/agent     the supervisor's              RUN/agent       the supervisor's, its group may pass (HAProxy is in it)
 *   STATE/log       the logger's                  RUN/fifo, notify, credentials: root, others may pass to what is theirs
 * Where the roles are no users of their own all belongs to whom the keeper is. Links are never followed below STATE and RUN. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "agent/keeper_impl.h"
#include "agent/sysx.h"
#include "base/log.h"

static struct role_id owner_of(const struct keeper_options *o, bool logger)
{
    const struct host_rules *r = o->rules;
    if (!r || !r->apart)
        return (struct role_id){ geteuid(), getegid() };
    return logger ? r->logger : r->supervisor;
}

static bool is_daemon_log(const char *name) { return !strncmp(name, "muster.log", 10); }

/* By descriptor: what is looked at is what is changed. A file with a second name may be somebody else's. */
static void take_file(int dir, const char *name, const struct role_id *to)
{
    struct stat st;
    int fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1 && (st.st_uid != to->uid || st.st_gid != to->gid)
        && fchownat(fd, "", to->uid, to->gid, AT_EMPTY_PATH) < 0)
        log_warn("cannot hand over %s: %s", name, strerror(errno));
    close(fd);
}

static void take_files(int dir, const struct role_id *to)
{
    char buf[4096] __attribute__((aligned(8)));
    long n;
    while ((n = syscall(SYS_getdents64, dir, buf, sizeof buf)) > 0)
        for (long off = 0; off < n;) {
            const struct sysx_dirent *d = (const void *)(buf + off);
            off += d->reclen;
            if (strcmp(d->name, ".") && strcmp(d->name, "..") && !is_daemon_log(d->name))
                take_file(dir, d->name, to);
        }
}

/* `taken`: it and its files may have been another role's before; else it must be ours. */
static int make_folder(const char *path, mode_t mode, const struct role_id *to, bool taken)
{
    struct stat st;
    int rc = mkdir(path, mode) < 0 && errno != EEXIST ? -errno : 0;
    int fd = rc < 0 ? -1 : open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (rc == 0 && (fd < 0 || fstat(fd, &st) < 0 || (st.st_uid != geteuid() && !(taken && geteuid() == 0)))) {
        rc = fd < 0 && errno != ENOTDIR && errno != ELOOP ? -errno : -ENOTDIR;
        if (rc == -ENOTDIR)
            log_error("%s is not a folder of the user that muster runs as", path);
    }
    if (rc == 0 && (st.st_uid != to->uid || st.st_gid != to->gid) && fchown(fd, to->uid, to->gid) < 0)
        rc = -errno;
    if (rc == 0 && fchmod(fd, mode) < 0)
        rc = -errno;
    if (rc == 0 && taken && geteuid() == 0)
        take_files(fd, to);
    if (fd >= 0)
        close(fd);
    if (rc < 0 && rc != -ENOTDIR)
        log_error("cannot make the folder %s: %s", path, strerror(-rc));
    return rc;
}

/* As root, instances and roles run as others, who must get through to what is theirs. */
static void open_passage(const char *path)
{
    struct stat st;
    mkdir(path, 0711);
    if (geteuid() == 0 && stat(path, &st) == 0 && (st.st_mode & 0111) != 0111 && chmod(path, (st.st_mode & 07777) | 0111) < 0)
        log_warn("cannot let other users pass through %s: %s", path, strerror(errno));
}

/* Before there was a folder for each role these lay in STATE itself. */
static void move_old(const char *state)
{
    static const char *const names[] = { "desired", "ports" };
    int dir = open(state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (size_t i = 0; dir >= 0 && i < sizeof names / sizeof *names; i++) {
        char to[32];
        struct stat st;
        snprintf(to, sizeof to, "agent/%s", names[i]);
        if (fstatat(dir, names[i], &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
            (void)syscall(SYS_renameat2, dir, names[i], dir, to, 1 /* RENAME_NOREPLACE */);
    }
    if (dir >= 0)
        close(dir);
}

void keeper_passages_open(const struct keeper_options *o)
{
    open_passage(o->run_dir);
    open_passage(o->state_dir);
}

int keeper_log_folder(const struct keeper_options *o)
{
    char path[512];
    struct role_id logger = owner_of(o, true);
    snprintf(path, sizeof path, "%s/log", o->state_dir);
    return make_folder(path, 0750, &logger, true);
}

int keeper_folders_make(const struct keeper_options *o)
{
    static const char *const ours[] = { "fifo", "notify", "credentials" };
    const struct role_id me = { geteuid(), getegid() }, supervisor = owner_of(o, false);
    char path[512];
    int rc = keeper_log_folder(o);
    for (size_t i = 0; i < sizeof ours / sizeof *ours && rc == 0; i++) {
        snprintf(path, sizeof path, "%s/%s", o->run_dir, ours[i]);
        rc = make_folder(path, 0711, &me, false);
    }
    if (rc < 0)
        return rc;
    snprintf(path, sizeof path, "%s/agent", o->state_dir);
    (void)mkdir(path, 0700);
    move_old(o->state_dir);
    rc = make_folder(path, 0700, &supervisor, true);
    snprintf(path, sizeof path, "%s/agent", o->run_dir);
    return rc < 0 ? rc : make_folder(path, 0710, &supervisor, true);
}
