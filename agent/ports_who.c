/* ports_who.c - which sockets listen on a port? Whose they are is not for everybody to see: agent/keeper_who.c. */
#include <inttypes.h>
#include <stdio.h>
#include "agent/ports.h"
#include "base/cleanup.h"

enum { TCP_LISTENING = 0x0A };

static size_t add_listeners(const char *table, uint32_t port, uint64_t *ret, size_t n, size_t max)
{
    cleanup_fclose FILE *f = fopen(table, "re");
    char line[512];
    while (f && n < max && fgets(line, sizeof line, f)) {
        unsigned local, state;
        uint64_t inode;
        if (sscanf(line, "%*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*x:%*x %*x:%*x %*x %*u %*u %" SCNu64, &local, &state, &inode) != 3)
            continue;
        if (local == port && state == TCP_LISTENING && inode)
            ret[n++] = inode;
    }
    return n;
}

size_t ports_listeners(uint32_t port, uint64_t *ret, size_t max)
{
    size_t n = add_listeners("/proc/net/tcp", port, ret, 0, max);
    return add_listeners("/proc/net/tcp6", port, ret, n, max);
}
