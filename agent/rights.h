/* rights.h - giving up rights, for good. libc and kernel only; no allocation. Each is 0 or a negative errno; what a process
 * cannot give up because it never had it is no failure. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { NO_ID = 0xffffffffu };       /* as a uid or gid: none, stay as you are */

/* In a forked role before its exec: nothing that it executes gains rights, no core dumps (they would hold what others must not read), empty
 * ambient and inheritable sets. `changes`: it will change its user by rights_become, and may keep nothing but what that needs. */
int rights_before_exec(bool changes);
/* In the role, first of all: no supplementary groups, this user and group, no capability in any set, and not readable through /proc by others of
 * the same user. Checked afterwards. */
int rights_become(uid_t uid, gid_t gid);
/* May a process of this host become that user at all (a container may know one id only)? Asked by a process that does it and ends. */
bool rights_can_become(uid_t uid, gid_t gid);

/* The keeper's: what its own loop uses stays effective, the rest only permitted, so that its children (which take all of it back before they
 * read and execute what a user ordered) start with what root has. */
int rights_keep_few(void);
int rights_take_all_back(void);
