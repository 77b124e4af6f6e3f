/* ports.h - which TCP port belongs to which instance id. An id keeps its port for its slot's life: over restarts of the instance, of
 * the agent and of the machine, because the balancer's list and people's notes name it.
 *
 * The table is one text file ("api.1 20000" lines), replaced atomically at each change; lines that are rubbish are dropped and told in
 * the log. At most PORTS_MAX ids. Not pure: it binds sockets to see whether a port is free, and reads /proc. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "base/strbuf.h"

enum { PORT_FIRST = 20000, PORT_LAST = 29999, PORTS_MAX = 10000 };
struct ports;

/* Reads <state_folder>/ports if it is there. `address` is the instances' address, e.g. 127.0.0.1. Ports in the kernel's
 * ip_local_port_range are never given out, unless the whole range lies in it. Never NULL: an unreadable file counts as empty. */
struct ports *ports_open(const char *state_folder, const char *address, uint32_t first, uint32_t last);
void ports_free(struct ports *p);
/* The id's port: the one it has if it can be bound, else (fixed == 0) the next free one; with fixed != 0 that very one. Kept for the id.
 * -EADDRINUSE with who listens there (fixed only), -EADDRNOTAVAIL when the range is used up or the table is full, else bind's errno.
 * That the file could not be written is no failure (it is logged): the port serves until the agent's end. */
int ports_take(struct ports *p, const char *id, uint32_t fixed, uint32_t *ret_port, struct err *e);
void ports_give_back(struct ports *p, const char *id);      /* the slot is over; fine if it has none */
/* The table was lost and id runs already: its port is what its process was given (PORT in its environment). 0: cannot be known, or another has it. */
uint32_t ports_recover(struct ports *p, const char *id, int32_t pid);
uint32_t ports_of(const struct ports *p, const char *id);   /* 0: none */
/* Whose are the sockets that listen on the TCP port? `first`: a pid that is looked at first (0: none); mine: is this pid of ours (NULL: none is)?
 * OTHER: at least one is seen, none is ours; buf then says "pid 123 (python3)". UNSEEN: somebody listens, but who may not be looked at. */
enum port_holder { PORT_HOLDER_NONE, PORT_HOLDER_MINE, PORT_HOLDER_OTHER, PORT_HOLDER_UNSEEN };
enum port_holder ports_holder(uint32_t port, int32_t first, bool (*mine)(void *arg, int32_t pid), void *arg, char *buf, size_t size);
/* Who listens on the TCP port, "pid 123 (python3)" or "" if that cannot be seen. True if anybody listens. */
bool ports_in_use_by(uint32_t port, char *buf, size_t size);
