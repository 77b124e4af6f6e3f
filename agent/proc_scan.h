/* proc_scan.h - groups without cgroups: one walk over /proc. A process belongs to an id if it descends from the keeper (a
 * subreaper, so orphans stay below it) and carries the marker MUSTER_ID=<id>, or is in the session of the id's main process and
 * carries no marker. No allocation. What clears its environment and starts a session of its own escapes. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct proc_seen { pid_t pid, ppid, sid; uint64_t start; char marker[64]; /* "" none */ };
bool proc_look(pid_t pid, struct proc_seen *ret);       /* one; false: a zombie, a kernel thread, or gone */
/* Calls `seen` for each living process (not zombies, not kernel threads). `seen` may signal, must not scan. */
void proc_scan(void (*seen)(void *arg, const struct proc_seen *p), void *arg);
/* How many children has this process (one thread) that `known` does not know? Or -errno where the kernel cannot tell (no
 * CONFIG_PROC_CHILDREN). Whatever is left of a group whose main process is gone hangs below such a child, so 0 saves the walk. `seen`
 * (NULL: none) is called for those that live; it gets what forks and dies all the time far sooner than a walk does. */
int proc_unknown_children(bool (*known)(void *arg, pid_t pid), void (*seen)(void *arg, const struct proc_seen *p), void *arg);
/* When it was started, in clock ticks since boot; 0: it is gone. With the pid that names a process for as long as the host is up. */
uint64_t proc_start_ticks(pid_t pid);
/* Does p descend from `ancestor`? */
bool proc_descends(const struct proc_seen *p, pid_t ancestor);
/* By pidfd, after checking that the pid is still this very process. 0 or -errno (-ESRCH). */
int proc_signal(const struct proc_seen *p, int signo);
