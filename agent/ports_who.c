/* ports_who.c - who listens on a port? Only asked when something went wrong: it looks at all descriptors of all processes. */
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

/* The inode of a socket that listens on the port, 0 if there is none in this table. */
static unsigned long listening_inode(const char *table, uint32_t port)
{
    cleanup_fclose FILE *f = fopen(table, "re");
    char line[512];
    while (f && fgets(line, sizeof line, f)) {
        unsigned local, state;
        unsigned long inode;
        if (sscanf(line, "%*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*x:%*x %*x:%*x %*x %*u %*u %lu", &local, &state, &inode) != 3)
            continue;
        if (local == port && state == TCP_LISTENING)
            return inode;
    }
    return 0;
}

static bool has_socket(const char *pid, const char *wanted)
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
        found = strcmp(link, wanted) == 0;
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

bool ports_in_use_by(uint32_t port, char *buf, size_t size)
{
    char wanted[64];
    if (size)
        *buf = '\0';
    unsigned long inode = listening_inode("/proc/net/tcp", port);
    if (!inode && !(inode = listening_inode("/proc/net/tcp6", port)))
        return false;
    fixed_printf(wanted, "socket:[%lu]", inode);
    DIR *d = opendir("/proc");
    for (struct dirent *e; d && (e = readdir(d));)
        if (e->d_name[0] >= '1' && e->d_name[0] <= '9' && has_socket(e->d_name, wanted)) {
            describe(e->d_name, buf, size);
            break;
        }
    if (d)
        closedir(d);
    return true;
}
