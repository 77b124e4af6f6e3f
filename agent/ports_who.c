/* ports_who.c - who listens on a port? Cheap where the one looked at `first` does; else it looks at all descriptors of all processes. */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "agent/ports.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/utf8.h"

enum { TCP_LISTENING = 0x0A };

enum { LISTENERS_MAX = 16 };                    /* of one port: several addresses, or SO_REUSEPORT; more are not looked at */
struct listeners { char link[LISTENERS_MAX][32]; size_t n; };   /* as /proc/PID/fd shows them: "socket:[123]" */

static void add_listeners(const char *table, uint32_t port, struct listeners *l)
{
    cleanup_fclose FILE *f = fopen(table, "re");
    char line[512];
    while (f && l->n < LISTENERS_MAX && fgets(line, sizeof line, f)) {
        unsigned local, state;
        unsigned long inode;
        if (sscanf(line, "%*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*x:%*x %*x:%*x %*x %*u %*u %lu", &local, &state, &inode) != 3)
            continue;
        if (local == port && state == TCP_LISTENING)
            fixed_printf(l->link[l->n++], "socket:[%lu]", inode);
    }
}

static bool is_one_of(const struct listeners *l, const char *link)
{
    for (size_t i = 0; i < l->n; i++)
        if (!strcmp(l->link[i], link))
            return true;
    return false;
}

static bool has_socket(const char *pid, const struct listeners *wanted)
{
    char path[PATH_MAX], link[64];
    fixed_printf(path, "/proc/%s/fd", pid);
    DIR *d = opendir(path);
    bool found = false;
    for (struct dirent *e; d && !found && (e = readdir(d));) {
        ssize_t n = readlinkat(dirfd(d), e->d_name, link, sizeof link - 1);
        if (n <= 0)
            continue;
        link[n] = '\0';
        found = is_one_of(wanted, link);
    }
    if (d)
        closedir(d);
    return found;
}

static void describe(const char *pid, char *buf, size_t size)
{
    char path[PATH_MAX], name[32] = "?";
    cleanup_free char *comm = NULL;
    fixed_printf(path, "/proc/%s/comm", pid);
    if (file_read(path, 256, &comm, NULL, NULL) == 0) {
        comm[strcspn(comm, "\n")] = '\0';
        utf8_clean(name, sizeof name, comm);
    }
    snprintf(buf, size, "pid %.10s (%s)", pid, name);
}

enum port_holder ports_holder(uint32_t port, int32_t first, bool (*mine)(void *arg, int32_t pid), void *arg, char *buf, size_t size)
{
    struct listeners l = { .n = 0 };
    char pid[16];
    enum port_holder result = PORT_HOLDER_UNSEEN;
    if (size)
        *buf = '\0';
    add_listeners("/proc/net/tcp", port, &l);
    add_listeners("/proc/net/tcp6", port, &l);
    fixed_printf(pid, "%d", first);
    if (l.n == 0)
        return PORT_HOLDER_NONE;
    if (first > 0 && has_socket(pid, &l))
        return PORT_HOLDER_MINE;
    DIR *d = opendir("/proc");
    for (struct dirent *e; d && result != PORT_HOLDER_MINE && (e = readdir(d));) {
        if (e->d_name[0] < '1' || e->d_name[0] > '9' || !has_socket(e->d_name, &l))
            continue;
        if (mine && mine(arg, atoi(e->d_name)))
            result = PORT_HOLDER_MINE;
        else if (result == PORT_HOLDER_UNSEEN) {
            result = PORT_HOLDER_OTHER;
            describe(e->d_name, buf, size);
        }
    }
    if (d)
        closedir(d);
    return result;
}

bool ports_in_use_by(uint32_t port, char *buf, size_t size)
{
    return ports_holder(port, 0, NULL, NULL, buf, size) != PORT_HOLDER_NONE;
}
