/* link.h - the controller's end of the agent link: a unix socket on which the one agent of this machine connects.
 * Acts (sockets). Decodes frames and hands them on; a frame that is not understood closes the link with a reason (the agent comes again). */
#pragma once
#include <uv.h>
#include "base/err.h"
#include "model/wire.h"

struct link;
struct link_ops {
    void (*connected)(void *arg, const struct hello *h);        /* first message of a link is its hello */
    void (*message)(void *arg, const struct wire_msg *m);
    void (*gone)(void *arg, const char *why);
};
/* given_fd >= 0: the listening socket, systemd's too (systemd.h); else one is made at socket_path. agent_uid may connect beside root and our own
 * user; LINK_NO_AGENT: nobody else. */
enum { LINK_NO_AGENT = -1 };
struct link_socket { const char *path; int given_fd; int64_t agent_uid, agent_gid; };
int link_new(uv_loop_t *loop, const struct link_socket *where, const struct link_ops *ops, void *arg, struct link **ret, struct err *e);
void link_send(struct link *l, const struct strbuf *packed);    /* dropped if nobody is connected: the next connect sends all */
void link_resync(struct link *l);                               /* asks the agent for its full status */
void link_close(struct link *l);                                /* no callback comes any more; freed from the loop. NULL is fine */
