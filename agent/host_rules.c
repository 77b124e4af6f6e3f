/* host_rules.c - may this be started? See host_rules.h; they are made in host_rules_make.c. */
#include "agent/host_rules.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/openat2.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "agent/spawn_user.h"
#include "base/cleanup.h"
#include "base/strbuf.h"

/* --- who ---------------------------------------------------------------------------------------------------------- */

static bool is_role(const struct host_rules *r, uint32_t uid)
{
    return r->apart && (uid == r->supervisor.uid || uid == r->logger.uid || uid == r->balancer.uid || (uid != 0 && uid == r->controller_uid));
}

/* A group that the user is not in would be a way to other people's files. */
static int check_groups(const struct spawn_user *u, const struct passwd *pw, struct err *e)
{
    gid_t own[ARRAY_LEN(u->groups)];
    int n = (int)ARRAY_LEN(own);
    if (getgrouplist(pw->pw_name, pw->pw_gid, own, &n) < 0)
        return err_set(e, -E2BIG, "user %s is in too many groups", pw->pw_name);
    if (u->gid != pw->pw_gid)
        return err_set(e, -EPERM, "group %u is not the group of user %s, and the agent's configuration names the users that may run here", (unsigned)u->gid, pw->pw_name);
    for (int i = 0; i < u->groups_n; i++) {
        bool found = false;
        for (int k = 0; k < n; k++)
            found |= own[k] == u->groups[i];
        if (!found)
            return err_set(e, -EPERM, "user %s is not in group %u, and the agent's configuration names the users that may run here", pw->pw_name, (unsigned)u->groups[i]);
    }
    return 0;
}

static bool listed(const struct host_rules *r, uint32_t uid)
{
    for (uint32_t i = 0; i < r->users_n; i++)
        if (r->users[i] == uid)
            return true;
    return r->any_user;
}

int host_rules_allow(const struct host_rules *r, const struct spawn_user *u, struct err *e)
{
    if (!r || geteuid() != 0)               /* an ordinary user starts what it may itself */
        return 0;
    if (is_role(r, u->uid))
        return err_set(e, -EPERM, "user %u is one of muster's own, which run no services", (unsigned)u->uid);
    if (!r->limited)
        return 0;
    if (u->uid == 0)
        return r->allow_root ? 0 : err_set(e, -EPERM, "nothing runs as root here: the agent's configuration does not say `allow_root: true`");
    if (!listed(r, u->uid))
        return err_set(e, -EPERM, "user %s may not run services here: the agent's configuration does not list it in `users`", u->name[0] ? u->name : "without a name");
    const struct passwd *pw = getpwuid(u->uid);
    if (!pw)
        return err_set(e, -EPERM, "user %u is not known on this host any more", (unsigned)u->uid);
    return check_groups(u, pw, e);
}

/* --- which files --------------------------------------------------------------------------------------------------- */

static int open_beneath(const char *folder, const char *rest)
{
    struct open_how how = { .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };
    cleanup_close int dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return -errno;
    int fd = (int)syscall(SYS_openat2, dir, rest, &how, sizeof how);
    return fd < 0 ? -errno : fd;
}

/* What is behind "FOLDER/" in the path; NULL: it is not below it. */
static const char *below(const char *folder, const char *path)
{
    size_t n = strlen(folder);
    if (strncmp(path, folder, n) != 0 || (folder[n - 1] != '/' && path[n] != '/'))
        return NULL;
    path += n;
    return path + strspn(path, "/");
}

int host_rules_open(const struct host_rules *r, const char *path, struct err *e)
{
    int fd;
    if (!r || !r->limited || geteuid() != 0) {
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);      /* not waiting for a FIFO's writer */
        return fd < 0 ? err_sys(e, -errno, "cannot read %s", path) : fd;
    }
    for (uint32_t i = 0; i < r->folders_n; i++) {
        const char *rest = below(r->folders[i], path);
        if (!rest || !*rest)
            continue;
        fd = open_beneath(r->folders[i], rest);
        if (fd == -ELOOP || fd == -EXDEV)
            return err_set(e, -EPERM, "%s is reached by a link or `..`, which is not followed below %s", path, r->folders[i]);
        return fd < 0 ? err_sys(e, fd, "cannot read %s", path) : fd;
    }
    return err_set(e, -EPERM, "%s may not be read for a service: it is in none of the folders that `secrets` of the agent's configuration lists", path);
}
