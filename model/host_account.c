#include "model/host_account.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/num.h"
#include "model/problems.h"
#include "model/suggest.h"

enum { SUGGEST_ENTRIES_MAX = 5000 };

/* The nearest name in the user (or group) database. It is borrowed from `buf`. */
static const char *near_account(bool user, const char *word, char *buf, size_t size)
{
    struct suggest near = { .word = word };
    int best = INT_MAX;
    *buf = '\0';
    user ? setpwent() : setgrent();
    for (int i = 0; i < SUGGEST_ENTRIES_MAX; i++) {
        const struct passwd *pw = user ? getpwent() : NULL;
        const struct group *gr = user ? NULL : getgrent();
        if (!pw && !gr)
            break;
        near.best = NULL;
        suggest_offer(&near, pw ? pw->pw_name : gr->gr_name);
        if (near.best && near.distance < best) {
            best = near.distance;
            fixed_copy(buf, size, near.best);
        }
    }
    user ? endpwent() : endgrent();
    return *buf ? buf : NULL;
}

static int unknown_account(bool user, const char *word, struct err *e)
{
    char buf[65], what[PROBLEM_QUOTE_SIZE];
    const char *near = near_account(user, word, buf, sizeof buf);
    return err_set(e, -ENOENT, "there is no %s %s on this machine%s%s%s", user ? "user" : "group", problem_quote(word, what),
                   near ? ", did you mean " : "", near ? near : "", near ? "?" : "");
}

static int find_user(const char *user, uid_t fallback_uid, struct host_account *a, struct err *e)
{
    uint64_t id;
    bool number = user && num_u64(user, &id) == 0;
    a->uid = number ? (uid_t)id : fallback_uid;
    errno = 0;
    const struct passwd *pw = user && !number ? getpwnam(user) : getpwuid(a->uid);
    if (!pw && user && !number)
        return unknown_account(true, user, e);
    a->uid = pw ? pw->pw_uid : a->uid;
    a->gid = pw ? pw->pw_gid : (gid_t)a->uid;
    if (pw)
        fixed_copy(a->name, sizeof a->name, pw->pw_name);
    else
        fixed_printf(a->name, "%u", (unsigned)a->uid);
    a->group_n = HOST_GROUPS_MAX;
    if (!pw || getgrouplist(pw->pw_name, a->gid, a->groups, &a->group_n) < 0)
        a->group_n = a->group_n > HOST_GROUPS_MAX ? HOST_GROUPS_MAX : 0;
    return 0;
}

static int find_groups(const struct strv *groups, struct host_account *a, struct err *e)
{
    int n = 0;
    for (size_t i = 0; i < groups->n && n < HOST_GROUPS_MAX; i++) {
        uint64_t id;
        bool number = num_u64(groups->v[i], &id) == 0;
        const struct group *gr = number ? NULL : getgrnam(groups->v[i]);
        if (!gr && !number)
            return unknown_account(false, groups->v[i], e);
        a->groups[n++] = gr ? gr->gr_gid : (gid_t)id;
    }
    if (n)
        a->group_n = n;
    return 0;
}

int host_account_find(const char *user, uid_t fallback_uid, const struct strv *groups, struct host_account *ret, struct err *e)
{
    struct host_account a = {0};
    int rc = find_user(user, fallback_uid, &a, e);
    if (rc == 0)
        rc = find_groups(groups, &a, e);
    if (rc == 0)
        *ret = a;
    return rc;
}

/* --- access ------------------------------------------------------------------------------------------ */
static bool in_group(const struct host_account *a, gid_t gid)
{
    if (a->gid == gid)
        return true;
    for (int i = 0; i < a->group_n; i++)
        if (a->groups[i] == gid)
            return true;
    return false;
}

/* The bits of path_resolution(7): R_OK, W_OK and X_OK are those of a mode's last digit. */
static bool allows(const struct host_account *a, const struct stat *st, int want)
{
    unsigned mode = st->st_mode;
    if (a->uid == 0)
        return !(want & X_OK) || S_ISDIR(mode) || (mode & 0111);
    unsigned shift = a->uid == st->st_uid ? 6 : in_group(a, st->st_gid) ? 3 : 0;
    return ((mode >> shift) & (unsigned)want) == (unsigned)want;
}

/* Every folder above the (resolved) path must be searchable. */
static int check_folders(const struct host_account *a, char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        struct stat st;
        *slash = '\0';
        int rc = stat(path, &st) < 0 ? -errno : allows(a, &st, X_OK) ? 0 : -EACCES;
        *slash = '/';
        if (rc < 0)
            return rc;
    }
    return 0;
}

int host_account_access(const struct host_account *a, const char *path, int want)
{
    struct stat st;
    if (geteuid() == a->uid || geteuid() != 0)
        return faccessat(AT_FDCWD, path, want, AT_EACCESS) < 0 ? -errno : 0;
    cleanup_free char *real = realpath(path, NULL);
    if (!real || stat(real, &st) < 0)
        return -errno;
    int rc = check_folders(a, real);
    return rc < 0 ? rc : allows(a, &st, want) ? 0 : -EACCES;
}
