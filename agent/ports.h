/* ports.h - which TCP port belongs to which instance id. An id keeps its port for its slot's life: over restarts of the instance, of
 * the agent and of the machine, because the balancer's list and people's notes name it.
 *
 * The table is one text file ("api.1 20000" lines), replaced atomically at each change; lines that are rubbish are dropped and told in
 * the log. At most PORTS_MAX ids. Not pure: it binds sockets to see whether a port is free. */
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
/* The table was lost and id runs already, with this port, as the keeper remembers it. 0: it has another one in the table, or another has it. */
uint32_t ports_recover(struct ports *p, const char *id, uint32_t port);
/* Instances may bind low ports and we may not: what only a right forbids us counts as free. */
void ports_trust_low(struct ports *p);
uint32_t ports_of(const struct ports *p, const char *id);   /* 0: none */
/* The inodes of the sockets that listen on the TCP port, of several addresses or by SO_REUSEPORT; at most max. Their number. */
size_t ports_listeners(uint32_t port, uint64_t *ret, size_t max);
