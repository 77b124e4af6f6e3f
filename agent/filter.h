/* filter.h - which system calls a role may make (seccomp): what its work needs, and no other. Another call ends the process at once
 * (SIGSYS; the keeper says so and starts it anew). No exec, no fork, no ptrace, no new executable memory, no change of who it is. Calls that newer
 * C libraries try before older ones are answered with ENOSYS. Also for threads begun before and after.
 * In a build with a sanitizer there is no filter: its run-time makes calls of its own. */
#pragma once
#include <stdbool.h>

enum filter_role { FILTER_SUPERVISOR, FILTER_LOGGER };
/* Loaded last before the role reads anything from a peer; for good. 0, or -errno (told in the log) - but where the kernel has no seccomp it is 0, and
 * told. */
int filter_load(enum filter_role role);
/* Is there one in this build? */
bool filter_built(void);
