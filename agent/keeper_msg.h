/* keeper_msg.h - one record of agent/keeper_proto.h to or from a SOCK_SEQPACKET socket, with its descriptors. libc only, no allocation. */
#pragma once
#include <stddef.h>
#include <sys/types.h>
#include "agent/keeper_proto.h"

enum { K_HEAD_SIZE = offsetof(struct k_msg, u), K_FDS_MAX = 2 };

size_t k_msg_size(uint32_t verb);               /* of the whole record; 0: no such verb */
/* Never blocks. 0, -EAGAIN (also when the kernel is out of buffers), -errno. Descriptors (-1: none, at the end) are borrowed. */
int k_msg_send(int fd, const void *msg, size_t size, const int fds[K_FDS_MAX]);
/* Bytes (0: the other end is closed), or -errno. fds are -1 or ours to close (close on exec). */
ssize_t k_msg_recv(int fd, void *msg, size_t size, int fds[K_FDS_MAX]);
