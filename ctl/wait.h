/* wait.h - is what was asked for there yet?
 *
 * wait_judge and wait_progress are pure; wait_ready acts: polls musterd, shows progress on standard error. */
#pragma once
#include "ctl/command.h"

enum wait_verdict { WAIT_ON, WAIT_DONE, WAIT_BAD };
/* Of GET /v1/status: done when each service (or the one named) is steady with all wanted instances ready in its revision, or stopped with no
 * process left; bad when one is paused or an instance of the present revision failed. A named service that is not there is done (deleted). With none
 * named the balancers count too: they must have applied what is wanted, without a problem. `why`
 * (may be NULL) gets what is awaited or bad, one line a service. */
enum wait_verdict wait_judge(const json_t *status, const char *service, struct strbuf *why);
/* "[#####-----] 2/4 ready  api.3 backoff: exit code 3" */
void wait_progress(const json_t *status, const char *service, struct strbuf *out);
/* Waits and says how it ended. EXIT_DONE, EXIT_FAILED, EXIT_TIMED_OUT. */
int wait_ready(struct ctl *c, const char *service, int64_t timeout_ms);
