/* launch.h - starts muster on this machine: the keeper, in a session of its own, which starts all else.
 * Acts (processes, files). */
#pragma once
#include <sys/types.h>
#include "ctl/paths.h"

/* The program beside musterctl's own executable, else in $PATH; -ENOENT and where it was looked for. */
int launch_find(const char *program, char *ret, size_t size, struct err *e);
/* Starts muster-agent and waits until musterd's socket accepts (at most 10 s) or the keeper has ended. *ret_pid: the keeper, our child. On failure
 * what it wrote to its log goes to standard error. */
int launch_muster(struct paths *p, pid_t *ret_pid, struct err *e);
