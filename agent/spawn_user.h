/* spawn_user.h - who a process is to run as: resolved by the name services, then become. Runs in the forked child. */
#pragma once
#include <stdbool.h>
#include <sys/types.h>
#include "base/err.h"
#include "base/strbuf.h"

struct spawn_user {
    uid_t uid; gid_t gid;
    char name[64], home[256];       /* "" unknown */
    gid_t groups[256]; int groups_n;
    bool keep_groups;               /* it is who we are already: the supplementary groups stay */
    bool fault_in_groups;           /* of spawn_user_find's error: it is about `groups` */
};
/* `user`: name or number, NULL: uid and gid as given; `want_home`: name and home are needed; `groups`: further ones. -ENOENT unknown,
 * -EINVAL not a possible id, -EPERM: we are an ordinary user and that is somebody else. */
int spawn_user_find(struct spawn_user *u, const char *user, uid_t uid, gid_t gid, bool want_home, const struct strv *groups, struct err *e);
/* For good. Afterwards nothing of the former rights is left. */
int spawn_user_become(const struct spawn_user *u, struct err *e);
