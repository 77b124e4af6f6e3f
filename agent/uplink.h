/* uplink.h - the agent's end of the link to the controller. Acts (socket, timer): connects, says hello, and comes again with jitter
 * (50 ms .. 1 s) whenever the link breaks. */
#pragma once
#include <uv.h>
#include "model/wire.h"

struct uplink;
struct uplink_ops {
    void (*hello)(void *arg, struct hello *ret);                /* fill it; ret->had may be borrowed */
    void (*connected)(void *arg);                               /* hello is sent: send the full status */
    void (*message)(void *arg, struct wire_msg *m);             /* desired, resync; may take what is in it */
};
/* controller_uid: whom it believes beside root and its own user; (unsigned)-1: nobody. */
struct uplink *uplink_new(uv_loop_t *loop, const char *socket_path, unsigned controller_uid, const struct uplink_ops *ops, void *arg);
bool uplink_up(const struct uplink *u);
void uplink_send(struct uplink *u, const struct wire_msg *m);   /* dropped while there is no link */
uint64_t uplink_next_seq(struct uplink *u);                     /* for status messages; starts anew with each link */
