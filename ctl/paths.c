#include "ctl/paths.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdint.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "base/strbuf.h"

/* Absolute, without `.`, `..`, doubled or trailing slashes: the same folder under two spellings is one muster. Links are resolved by the caller. */
static void normalize(const char *cwd, const char *path, char *ret, size_t size)
{
    cleanup_free char *whole = path[0] == '/' ? xstrdup(path) : xasprintf("%s/%s", cwd, path);
    size_t len = 0;
    char *save = NULL;
    ret[0] = '\0';
    for (char *part = strtok_r(whole, "/", &save); part; part = strtok_r(NULL, "/", &save)) {
        if (strcmp(part, ".") == 0) continue;
        if (strcmp(part, "..") == 0) {
            while (len > 0 && ret[--len] != '/') {}
            ret[len] = '\0';
            continue;
        }
        int n = snprintf(ret + len, size - len, "/%s", part);
        if (n < 0 || (size_t)n >= size - len) break;
        len += (size_t)n;
    }
    if (len == 0) fixed_copy(ret, size, "/");
}

static uint32_t hash_path(const char *s)
{
    uint64_t h = 0xcbf29ce484222325u;           /* FNV-1a, folded to 32 bits */
    for (; *s; s++) h = (h ^ (unsigned char)*s) * 0x100000001b3u;
    return (uint32_t)(h ^ h >> 32);
}

static int default_state(const struct paths_env *env, char *ret, size_t size, struct err *e)
{
    if (env->uid == 0) return fixed_copy(ret, size, "/var/lib/muster"), 0;
    if (env->xdg_state_home && env->xdg_state_home[0] == '/') return (void)snprintf(ret, size, "%s/muster", env->xdg_state_home), 0;
    if (env->home && env->home[0] == '/') return (void)snprintf(ret, size, "%s/.local/state/muster", env->home), 0;
    return err_set(e, -ENOENT, "no home folder known to keep the state in; say --state DIR or set MUSTER_STATE");
}

static void runtime_folder(const struct paths_env *env, struct paths *p)
{
    char suffix[16] = "";
    if (!p->is_default) fixed_printf(suffix, "-%08x", hash_path(p->state));
    if (env->uid == 0) fixed_printf(p->run, "/run/muster%s", suffix);
    else if (env->xdg_runtime_dir && env->xdg_runtime_dir[0] == '/') fixed_printf(p->run, "%.3900s/muster%s", env->xdg_runtime_dir, suffix);
    else fixed_printf(p->run, "%.4000s/run.d", p->state);
    if (strlen(p->run) > RUNTIME_LEN_MAX) fixed_printf(p->run, "/tmp/muster-%u-%08x", (unsigned)env->uid, hash_path(p->state));
}

static void derived(struct paths *p)
{
    fixed_printf(p->socket, "%.4000s/musterd.sock", p->run);
    fixed_printf(p->log, "%.4000s/log", p->state);
    fixed_printf(p->musterd_log, "%.4000s/log/muster.log", p->state);
}

int paths_resolve(const struct paths_env *env, const char *state_option, const char *cwd, struct paths *ret, struct err *e)
{
    struct paths p = { .is_default = true };
    char usual[PATH_MAX] = "";
    const char *said = state_option && *state_option ? state_option : env->muster_state && *env->muster_state ? env->muster_state : NULL;
    if (state_option && !*state_option) return err_set(e, -EINVAL, "--state wants a folder");
    int r = default_state(env, usual, sizeof usual, said ? NULL : e);
    if (r < 0 && !said) return r;
    normalize(cwd, said ? said : usual, p.state, sizeof p.state);
    if (strlen(p.state) > 3900) return err_set(e, -ENAMETOOLONG, "the state folder's path is too long");
    p.is_default = strcmp(p.state, usual) == 0;
    runtime_folder(env, &p);
    derived(&p);
    *ret = p;
    return 0;
}

/* A folder that does not exist yet is named by its nearest existing parent, so that its name is the same before and after it is made. */
static void resolve_links(const char *path, char *ret, size_t size)
{
    char head[PATH_MAX], real[PATH_MAX];
    fixed_copy(head, sizeof head, path);
    for (size_t len = strlen(head); len > 1;) {
        if (realpath(head, real)) {
            (void)snprintf(ret, size, "%s%s", strcmp(real, "/") == 0 && path[len] ? "" : real, path + len);
            return;
        }
        while (len > 1 && head[len - 1] != '/') len--;
        if (len > 1) len--;
        head[len] = '\0';
    }
    fixed_copy(ret, size, path);
}

int paths_find(const char *state_option, bool follow, struct paths *ret, struct err *e)
{
    struct paths_env env = { getenv("MUSTER_STATE"), getenv("XDG_STATE_HOME"), getenv("XDG_RUNTIME_DIR"), getenv("HOME"), geteuid() };
    char cwd[PATH_MAX] = "/", real[PATH_MAX], link[PATH_MAX + 8];
    struct passwd *pw;
    if (!env.home && (pw = getpwuid(env.uid))) env.home = pw->pw_dir;
    if (!getcwd(cwd, sizeof cwd)) fixed_copy(cwd, sizeof cwd, "/");
    struct paths p;
    int r = paths_resolve(&env, state_option, cwd, &p, e);
    if (r < 0) return r;
    resolve_links(p.state, real, sizeof real);
    if (strcmp(real, p.state) != 0 && !p.is_default && (r = paths_resolve(&env, real, cwd, &p, e)) < 0) return r;
    fixed_printf(link, "%s/run", p.state);
    ssize_t n = follow ? readlink(link, real, sizeof real - 1) : -1;
    if (n > 0 && real[0] == '/' && n <= RUNTIME_LEN_MAX) {
        real[n] = '\0';
        fixed_copy(p.run, sizeof p.run, real);
        derived(&p);
    }
    *ret = p;
    return 0;
}

bool paths_use_system_at(const char *run, const char *state, struct paths *p)
{
    struct paths q = { .is_default = true };
    if (access(p->socket, F_OK) == 0) return false;
    fixed_copy(q.run, sizeof q.run, run);
    fixed_copy(q.state, sizeof q.state, state);
    derived(&q);
    if (access(q.socket, F_OK) < 0) return false;
    *p = q;
    return true;
}

bool paths_use_system(const char *state_option, struct paths *p)
{
    const char *said = getenv("MUSTER_STATE");
    if (state_option || (said && *said) || geteuid() == 0) return false;
    return paths_use_system_at("/run/muster", "/var/lib/muster", p);
}

static int make_own(const char *path, mode_t mode, struct err *e)
{
    struct stat st;
    int r = file_mkdirs(path, mode, e);
    if (r < 0) return r;
    if (lstat(path, &st) < 0) return err_sys(e, -errno, "%s", path);
    if (!S_ISDIR(st.st_mode)) return err_set(e, -ENOTDIR, "%s is not a folder", path);
    if (st.st_uid != geteuid()) return err_set(e, -EPERM, "%s belongs to user id %u, not to you (%u)", path, (unsigned)st.st_uid, (unsigned)geteuid());
    return 0;
}

int paths_make(struct paths *p, struct err *e)
{
    char link[PATH_MAX + 8], was[PATH_MAX];
    bool root = geteuid() == 0;
    int r = file_mkdirs(p->state, 0700, e);
    if (r < 0) {
        size_t n = strlen(e->text);
        (void)snprintf(e->text + n, sizeof e->text - n, "; say --state DIR or set MUSTER_STATE");
        return err_wrap(e, r, "state folder");
    }
    if ((r = file_mkdirs(p->log, 0700, e)) < 0) return err_wrap(e, r, "log folder");
    if ((r = make_own(p->run, root ? 0755 : 0700, e)) < 0) return err_wrap(e, r, "runtime folder");
    fixed_printf(link, "%s/run", p->state);
    ssize_t n = readlink(link, was, sizeof was - 1);
    if (n > 0 && (was[n] = '\0', strcmp(was, p->run) == 0)) return 0;
    if (n > 0) (void)unlink(link);
    if (symlink(p->run, link) < 0) return err_sys(e, -errno, "%s", link);
    return 0;
}

enum { CLEAN_DEPTH_MAX = 6, CLEAN_TRIES = 25 };

/* By descriptors and without following links: folders in there belong to instances' users. */
static void remove_tree(int dir, const char *name, int depth)
{
    if (unlinkat(dir, name, 0) == 0 || (errno != EISDIR && errno != EPERM)) return;
    if (unlinkat(dir, name, AT_REMOVEDIR) == 0 || depth == 0) return;
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        if (fd >= 0) close(fd);
        return;
    }
    for (struct dirent *e; (e = readdir(d));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) remove_tree(dirfd(d), e->d_name, depth - 1);
    closedir(d);
    (void)unlinkat(dir, name, AT_REMOVEDIR);
}

void paths_clean(const struct paths *p)
{
    cleanup_free char *lock = xasprintf("%s/keeper.lock", p->state), *link = xasprintf("%s/run", p->state);
    struct stat st;
    cleanup_close int fd = open(lock, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    /* Roles that end a moment after the keeper may still hold its lock; if it stays held the next muster has begun. */
    for (int i = 0; fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0; i++) {
        if (i == CLEAN_TRIES) return;
        nanosleep(&(struct timespec){ .tv_nsec = 20000000L }, NULL);
    }
    if (fd < 0) {                           /* no keeper has ever begun: only what paths_make made */
        if (errno == ENOENT && rmdir(p->run) == 0) (void)unlink(link);
        return;
    }
    if (lstat(p->run, &st) < 0 || !S_ISDIR(st.st_mode) || st.st_uid != geteuid()) return;
    remove_tree(AT_FDCWD, p->run, CLEAN_DEPTH_MAX);
    (void)unlink(link);
}
