/* keeper_client.h - the supervisor's side of agent/keeper_proto.h, on libuv.
 *
 * Requests go out in the order of the calls; what the socket does not take waits in a queue of at most KEEPER_CLIENT_QUEUE_MAX (then
 * -ENOBUFS, and the caller asks again later). Each request is answered by one K_REPLY through on_msg, in order. */
#pragma once
#include <uv.h>
#include "agent/keeper_proto.h"
#include "base/strbuf.h"

enum { KEEPER_CLIENT_QUEUE_MAX = 8192 };

struct keeper_client;
struct keeper_client_ops {
    void (*on_msg)(void *arg, const struct k_msg *m, int fd /* -1: none; taken over */);
    void (*on_end)(void *arg);      /* the keeper is gone; may be NULL. No on_msg comes after it */
};
/* Takes over fd. NULL only if the loop refuses it (fd stays the caller's). */
struct keeper_client *keeper_client_new(uv_loop_t *loop, int fd, const struct keeper_client_ops *ops, void *arg);
void keeper_client_free(struct keeper_client *c);       /* memory goes in the close callback; not from within on_msg */

/* `fixed` without memfd_bytes (set here); `records` by spawn_record; output_fd is borrowed, -1 without KF_OUTPUT_FD. */
int keeper_client_spawn(struct keeper_client *c, const struct k_spawn *fixed, const struct strbuf *records, int output_fd);
int keeper_client_signal(struct keeper_client *c, const char *id, int32_t pid, int signo);
int keeper_client_group(struct keeper_client *c, const char *id, int32_t pid, int signo);
int keeper_client_who(struct keeper_client *c, const char *id, const uint64_t inodes[WHO_INODES_MAX]);
int keeper_client_forget(struct keeper_client *c, const char *id);
int keeper_client_listen(struct keeper_client *c, const char *id, const char *address, uint32_t port, uint32_t backlog);
int keeper_client_unlisten(struct keeper_client *c, const char *id);
int keeper_client_list(struct keeper_client *c);
int keeper_client_end(struct keeper_client *c);

/* Adds "<letter><text>\0" for a spawn's memfd. */
void spawn_record(struct strbuf *b, char letter, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
