/* keeper_users.c - who `user` and `groups` of an order are, as the last child that asked the name services has found.
 *
 * A child that has to ask reports what it got before it drops its rights, and later children of the same order are told. An answer counts
 * for USERS_MS_MAX, and not beyond a change of the files that the name services read first: so an account that was changed there is
 * seen by the next start, one that comes from elsewhere (LDAP, systemd) a minute later. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "agent/keeper_impl.h"

enum { USERS_MS_MAX = 60000, ORDER_LOOK_MAX = 64 * 1024 };

static bool same_time(struct timespec a, struct timespec b) { return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec; }

static void drop_if_changed(struct keeper_users *all)
{
    static const char *const files[USER_FILES] = { "/etc/passwd", "/etc/group", "/etc/nsswitch.conf" };
    for (int i = 0; i < USER_FILES; i++) {
        struct stat st = { 0 };
        (void)stat(files[i], &st);          /* none: all zeroes */
        struct user_file *f = &all->files[i];
        if (f->ino == st.st_ino && f->size == st.st_size && same_time(f->mtime, st.st_mtim) && same_time(f->ctime, st.st_ctim))
            continue;
        *f = (struct user_file){ st.st_ino, st.st_size, st.st_mtim, st.st_ctim };
        for (int u = 0; u < USERS_MAX; u++)
            all->v[u].key_len = 0;
    }
}

/* What the answer depends on: the records U, G and H in their order, and the owner. 0: too long to be remembered. */
static size_t key_of(const struct k_spawn *w, int memfd, char *key)
{
    static char order[ORDER_LOOK_MAX];
    ssize_t n = w->memfd_bytes <= sizeof order ? pread(memfd, order, sizeof order, 0) : -1;
    size_t len = 2 * sizeof(uint32_t);
    if (n <= 0 || order[n - 1] != 0)
        return 0;
    memcpy(key, &w->owner_uid, sizeof w->owner_uid);
    memcpy(key + sizeof w->owner_uid, &w->owner_gid, sizeof w->owner_gid);
    for (const char *s = order; s < order + n;) {
        size_t size = strlen(s) + 1;
        if (*s == 'U' || *s == 'G' || *s == 'H') {
            if (len + size > USER_KEY_MAX)
                return 0;
            memcpy(key + len, s, size);
            len += size;
        }
        s += size;
    }
    return len;
}

static struct known_user *find(struct keeper_users *all, const char *key, size_t len)
{
    for (int i = 0; i < USERS_MAX; i++)
        if (all->v[i].key_len == len && !memcmp(all->v[i].key, key, len))
            return &all->v[i];
    return NULL;
}

const struct spawn_user *keeper_user_known(struct keeper *k, struct slot *s, const struct k_spawn *w, int memfd)
{
    struct keeper_users *all = &k->users;
    char key[USER_KEY_MAX];
    s->user = 0;
    drop_if_changed(all);
    size_t len = key_of(w, memfd, key);
    if (!len)
        return NULL;
    struct known_user *u = find(all, key, len);
    if (u && u->has && keeper_now_ms() - u->at_ms < USERS_MS_MAX)
        return &u->user;
    if (!u || u->has) {                     /* else somebody asks already: whoever answers first answers for all */
        if (!u) {
            u = &all->v[all->next];
            all->next = (all->next + 1) % USERS_MAX;
        }
        *u = (struct known_user){ .key_len = len, .asked = ++all->serial };
        memcpy(u->key, key, len);
    }
    s->user = (uint8_t)(u - all->v + 1);
    s->user_asked = u->asked;
    return NULL;
}

/* Its place may have been given to another order meanwhile, or the files have changed: then nobody asks for this any more. */
void keeper_user_found(struct keeper *k, struct slot *s, const struct spawn_user *found)
{
    struct known_user *u = s->user ? &k->users.v[s->user - 1] : NULL;
    s->user = 0;
    if (!u || !u->key_len || u->asked != s->user_asked)
        return;
    u->user = *found;
    u->at_ms = keeper_now_ms();
    u->has = true;
}
