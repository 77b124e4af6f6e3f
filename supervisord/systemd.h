/* systemd.h - musterd as a service of systemd: the sockets it is handed, and what it tells about itself.
 *
 * Acts (descriptors from 3 on, the notify socket, a timer). Where systemd did not start us all of it does nothing, so that the callers
 * need not know. systemd_describe is pure. */
#pragma once
#include <uv.h>
#include "base/err.h"
#include "base/strbuf.h"
#include "supervisord/core.h"

/* -1: not given. They are systemd's too: they must be closed, never shut down or unlinked, or the next musterd could not use them. */
struct systemd_sockets { int api, agent; };
/* To be called before anything else opens or inherits descriptors. -EINVAL and why: what was given is not what musterd.socket and
 * musterd-agent.socket give. */
int systemd_sockets_take(struct systemd_sockets *ret, struct err *e);

/* The one line of `systemctl status`: "3 services, 12/12 ready". problem (may be NULL): what people should know first. */
void systemd_describe(const struct controller *core, bool agent_known, const char *problem, struct strbuf *out);

struct systemd;
/* Starts the watchdog's beat if the service has one: from the loop, at half its time, so that a loop that hangs is seen. */
struct systemd *systemd_new(uv_loop_t *loop);
void systemd_ready(struct systemd *s, const char *status);      /* the sockets answer */
void systemd_status(struct systemd *s, const char *status);     /* told if it is another than the last one */
void systemd_stopping(struct systemd *s);
void systemd_free(struct systemd *s);   /* the timer is closed with the loop's other handles, before this. NULL is fine */
