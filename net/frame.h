/* frame.h - length-prefixed frames (4 bytes big endian, then that many bytes) over a libuv stream on a unix socket.
 * The loop's only; no call may come from another thread. Bounded both ways: a frame above FRAME_BYTES_MAX or an outgoing queue above FRAME_QUEUE_MAX closes the channel with a reason. */
#pragma once
#include <uv.h>
#include "base/err.h"
#include "base/strbuf.h"
enum { FRAME_BYTES_MAX = 16 << 20, FRAME_QUEUE_MAX = 64 << 20 };
struct frame_channel;
struct frame_ops {
    void (*on_frame)(void *arg, const void *data, size_t len);
    void (*on_close)(void *arg, int rc, const char *why);      /* once; the channel is freed after it returns */
};
/* Takes over an already connected/accepted pipe descriptor. */
struct frame_channel *frame_channel_new(uv_loop_t *loop, int fd, const struct frame_ops *ops, void *arg);
void frame_send(struct frame_channel *ch, const void *data, size_t len);   /* copies */
void frame_close(struct frame_channel *ch);                    /* on_close follows from the loop with rc 0; what is queued is dropped; NULL is fine */
/* A listening unix socket with `mode` (and gid, unless -1) from its birth: bound in a 0700 temporary place, then renamed. fd or -errno. */
int unix_listen(const char *path, unsigned mode, int gid, struct err *e);
int unix_connect(const char *path, struct err *e);             /* blocks for at most 2 s; non-blocking after; fd or -errno */
int unix_peer_uid(int fd, unsigned *ret_uid, int *ret_pid);
/* Was the peer, as it connected, in this group: by its own or a supplementary one? false also if that cannot be known. */
bool unix_peer_in_group(int fd, unsigned gid);
