#include "agent/spawn_user.h"
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/num.h"

enum { ID_NUMBER_MAX = 4294967294u };       /* (uid_t)-1 means "leave it" to the kernel */

static bool is_number(const char *s)
{
    return *s && strspn(s, "0123456789") == strlen(s);
}

static int parse_id(const char *what, const char *s, uint32_t *ret, struct err *e)
{
    uint64_t n;
    if (num_u64(s, &n) < 0 || n > ID_NUMBER_MAX)
        return err_set(e, -EINVAL, "%s is not a possible %s id", s, what);
    *ret = (uint32_t)n;
    return 0;
}

static int take_passwd(struct spawn_user *u, const char *user, struct err *e)
{
    uint32_t id = 0;
    struct passwd *p;
    errno = 0;
    if (is_number(user)) {
        int rc = parse_id("user", user, &id, e);
        if (rc < 0)
            return rc;
        p = getpwuid(id);
    } else
        p = getpwnam(user);
    if (!p && errno && errno != ENOENT && errno != ESRCH && errno != EPERM && errno != EBADF)
        return err_sys(e, -errno, "cannot look up user %s", user);
    if (!p)
        return err_set(e, -ENOENT, "there is no user %s on this host", user);
    u->uid = p->pw_uid;
    u->gid = p->pw_gid;
    fixed_copy(u->name, sizeof u->name, p->pw_name);
    fixed_copy(u->home, sizeof u->home, p->pw_dir);
    return 0;
}

static int add_group(struct spawn_user *u, const char *group, struct err *e)
{
    uint32_t id = 0;
    struct group *g;
    u->fault_in_groups = true;
    if (is_number(group)) {
        int rc = parse_id("group", group, &id, e);
        if (rc < 0)
            return rc;
        g = getgrgid(id);
    } else
        g = getgrnam(group);
    if (!g)
        return err_set(e, -ENOENT, "there is no group %s on this host", group);
    for (int i = 0; i < u->groups_n; i++)
        if (u->groups[i] == g->gr_gid) {
            u->fault_in_groups = false;
            return 0;
        }
    if (u->groups_n == (int)ARRAY_LEN(u->groups))
        return err_set(e, -E2BIG, "more than %zu groups", ARRAY_LEN(u->groups));
    u->groups[u->groups_n++] = g->gr_gid;
    u->fault_in_groups = false;
    return 0;
}

/* An ordinary user has the groups it has, and can become nobody else. */
static int check_ordinary(struct spawn_user *u, const struct strv *groups, struct err *e)
{
    gid_t have[256];
    if (u->uid != geteuid())
        return err_set(e, -EPERM, "cannot run as user %s: muster runs as an ordinary user (id %u) and only root can change that",
                       u->name[0] ? u->name : "of another id", (unsigned)geteuid());
    int n = getgroups(ARRAY_LEN(have), have);
    u->groups_n = 0;
    for (size_t i = 0; i < groups->n; i++) {
        int rc = add_group(u, groups->v[i], e);
        if (rc < 0)
            return rc;
        gid_t want = u->groups[u->groups_n - 1];
        bool found = want == getegid();
        for (int j = 0; j < n; j++)
            found |= have[j] == want;
        u->fault_in_groups = !found;
        if (!found)
            return err_set(e, -EPERM, "cannot join group %s: muster runs as an ordinary user who is not in it", groups->v[i]);
    }
    u->keep_groups = true;
    return 0;
}

int spawn_user_find(struct spawn_user *u, const char *user, uid_t uid, gid_t gid, bool want_home, const struct strv *groups, struct err *e)
{
    *u = (struct spawn_user){ .uid = uid, .gid = gid };
    int rc = user ? take_passwd(u, user, e) : 0;
    if (rc < 0)
        return rc;
    bool same = u->uid == geteuid() && u->gid == getegid() && !groups->n;
    struct passwd *p = !user && (want_home || !same) ? getpwuid(uid) : NULL;
    if (p) {
        fixed_copy(u->name, sizeof u->name, p->pw_name);
        fixed_copy(u->home, sizeof u->home, p->pw_dir);
    }
    if (uid == (uid_t)-1 && !user)
        return err_set(e, -EINVAL, "not a possible user id");
    if (geteuid() != 0)
        return check_ordinary(u, groups, e);
    if (same) {
        u->keep_groups = true;
        return 0;
    }
    u->groups[0] = u->gid;
    u->groups_n = u->name[0] ? (int)ARRAY_LEN(u->groups) : 1;
    if (u->name[0] && getgrouplist(u->name, u->gid, u->groups, &u->groups_n) < 0)
        return err_set(e, -E2BIG, "user %s is in more than %zu groups", u->name, ARRAY_LEN(u->groups));
    for (size_t i = 0; i < groups->n && rc == 0; i++)
        rc = add_group(u, groups->v[i], e);
    return rc;
}

int spawn_user_become(const struct spawn_user *u, struct err *e)
{
    if (!u->keep_groups && setgroups((size_t)u->groups_n, u->groups) < 0)
        return err_sys(e, -errno, "cannot set the groups");
    if (u->keep_groups && u->uid == geteuid() && u->uid == getuid() && u->gid == getegid())
        return 0;
    if (geteuid() != 0)
        return 0;
    if (setresgid(u->gid, u->gid, u->gid) < 0 || setresuid(u->uid, u->uid, u->uid) < 0)
        return err_sys(e, -errno, "cannot become user %u", (unsigned)u->uid);
    if (u->uid != 0 && setresuid((uid_t)-1, 0, (uid_t)-1) == 0)
        return err_set(e, -EPERM, "root's rights would stay");
    return 0;
}
