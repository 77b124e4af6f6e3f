/* group.h - the set of processes that belong to one id: a cgroup of its own where one can be had.
 *
 * The folders are <own cgroup>/muster-<keeper pid>[.n]/<name> (or <below>/muster/<name>), locked (flock) while the keeper lives: v2 (kill and emptiness at once), else a v1 hierarchy (by loops), else none
 * (GROUP_NONE: see proc_scan.h). Limits go to v2 controllers if they are enabled here, else to the v1 hierarchies, else nowhere.
 * No allocation; negative errno. A name is an id made safe by group_name. A process is signalled by pidfd after
 * its membership was checked again, so a recycled pid is never hit. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum group_mode { GROUP_NONE, GROUP_V1, GROUP_V2 };
enum group_limit { LIMIT_MEMORY, LIMIT_PIDS, LIMIT_CPU, LIMIT_COUNT };
struct groups {
    enum group_mode mode;
    int base_fd;                    /* folder muster-PID of the tracking hierarchy; -1 without one */
    char path[128];                 /* of that folder, as /proc/PID/cgroup tells it */
    char line[48];                  /* how its line there begins: "0::", "8:pids:" */
    int limit_fd[LIMIT_COUNT];      /* folder muster-PID where this limit is set; -1: it cannot be had */
    bool limit_v2[LIMIT_COUNT];
    char folder[32];
};
struct group_limits { uint64_t memory_bytes, tasks; uint32_t cpu_milli; };     /* 0: none */

struct groups_from {
    pid_t keeper;                   /* whose number is in the folder's name; 0: this process */
    bool none;                      /* do without */
    const char *below;              /* NULL, or the cgroup (as /proc/PID/cgroup tells it) that the folder goes into: it is called "muster" then */
    pid_t member; const char *name; /* 0, or a process of group `name` of a keeper that is no more: its folders are taken over */
    const char *folder;             /* set by groups_init itself */
};
/* Finds out what can be had and makes the folders. Never fails: at worst mode is GROUP_NONE. */
void groups_init(struct groups *g, const struct groups_from *from);
void groups_done(struct groups *g);             /* removes the (empty) folders */

/* "api.1/liveness" -> "api.1:liveness". buf is ID_SIZE. */
void group_name(const char *id, char *buf);
bool group_has(const struct groups *g, const char *name, pid_t pid);   /* is pid in this very group? false without cgroups */
/* Makes the group's folders and sets the limits. -EOPNOTSUPP: made, but a limit cannot be enforced here. Not for GROUP_NONE. */
int group_make(const struct groups *g, const char *name, const struct group_limits *l);
int group_open(const struct groups *g, const char *name);       /* O_PATH descriptor for CLONE_INTO_CGROUP */
/* In the child, before it drops rights: go into the tracking folder (unless cloned into it) and those with limits. */
int group_join(const struct groups *g, const char *name, bool cloned_into, const struct group_limits *l);
int group_populated(const struct groups *g, const char *name);  /* 1, 0, -errno */
int group_members(const struct groups *g, const char *name, pid_t *ret, int max);       /* the first of them; their number */
/* To every process of it but `except`. The number signalled, or -errno. SIGKILL: all at once where the kernel can. */
int group_signal(const struct groups *g, const char *name, int signo, pid_t except);
/* How many of its processes the kernel has killed for memory so far; 0 if that cannot be known. */
uint64_t group_oom_kills(const struct groups *g, const char *name);
int group_remove(const struct groups *g, const char *name);     /* 0 (also if there is none), -EBUSY */
