/* ending.h - stopping all of muster, and seeing that it is gone.
 * Acts: musterd's API, pidfds. */
#pragma once
#include "ctl/command.h"

/* Which process is the whole of it: the keeper, found as the parent of the musterd that answers. -1 if it cannot be told. To be closed. */
int ending_keeper_pidfd(const json_t *status);
bool ending_is_over(int pidfd);             /* the process has ended; false for -1 */
/* POSTs down, shows what happens (events, one a line) and returns when musterd's socket and the keeper are gone. stop_fd: a signalfd or -1; a
 * first signal there tells how to force, a second one leaves (EXIT_FAILED). EXIT_DONE, EXIT_TIMED_OUT, ... */
int ending_run(struct ctl *c, int64_t timeout_ms, int stop_fd);
/* Takes and prints the events after *seq (0: prints none, only finds the last). false: not reached. */
bool ending_print_events(struct ctl *c, const struct look *look, long long *seq);
