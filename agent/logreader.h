/* logreader.h - a thread that reads HAProxy's log datagrams and keeps the latencies of the last 10 s (latwin.h). Acts.
 *
 * A thread of its own, which blocks in recvmmsg: a unix datagram socket queues net.unix.max_dgram_qlen (10) lines, and what comes while
 * it is full is lost in silence. Lines of any other user than this process's, root's and `uid` are not taken. */
#pragma once
#include "agent/latwin.h"
#include "base/err.h"
struct logreader;
struct logreader *logreader_new(const char *path, unsigned uid, struct err *e);     /* binds path (replacing what is there); NULL and e */
void logreader_trust(struct logreader *r, unsigned uid);
void logreader_figures(struct logreader *r, int64_t now_ms, const char *name, struct latwin_figures *ret);
void logreader_free(struct logreader *r);                       /* ends the thread, removes the socket */
