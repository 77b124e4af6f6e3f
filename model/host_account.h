/* host_account.h - who a service's instances are on this machine. Asks the name service (may read files, or block on a
 * network directory: not for an event loop). */
#pragma once
#include <stdbool.h>
#include <sys/types.h>
#include "base/err.h"
#include "base/strbuf.h"

enum { HOST_GROUPS_MAX = 256 };
struct host_account { uid_t uid; gid_t gid; gid_t groups[HOST_GROUPS_MAX]; int group_n; char name[65]; };

/* user: a name or a number, NULL: fallback_uid. groups: names or numbers instead of the user's own, empty: the own. -ENOENT and a
 * text with the nearest known name. */
int host_account_find(const char *user, uid_t fallback_uid, const struct strv *groups, struct host_account *ret, struct err *e);
/* May this account do `want` (R_OK, W_OK, X_OK) with the path, by modes and owners, its folders included? Root's own rights are
 * taken into account. For the present user the kernel is asked. 0, -EACCES, or what stat gave. */
int host_account_access(const struct host_account *a, const char *path, int want);
