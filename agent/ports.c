#include "agent/ports.h"
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <uthash.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/num.h"
#include "model/words.h"

enum { FILE_MAX = 1 << 20, PORT_TOP = 65535 };

struct ports_entry { char id[ID_SIZE]; uint32_t port; UT_hash_handle hh; };
struct ports {
    char *path, *address;
    bool trust_low;
    uint32_t first, last;
    uint32_t local_first, local_last;   /* the kernel's own range; first > last: none to avoid */
    uint32_t next;                      /* where to look next: a port just given back is the last to be used again, its clients may still call */
    struct ports_entry *by_id;
    struct ports_entry *by_port[PORT_TOP + 1];
};

/* --- the table --- */

static struct ports_entry *find(const struct ports *p, const char *id)
{
    struct ports_entry *e;
    HASH_FIND_STR(p->by_id, id, e);
    return e;
}

static void drop(struct ports *p, struct ports_entry *e)
{
    p->by_port[e->port] = NULL;
    HASH_DEL(p->by_id, e);
    free(e);
}

static void put(struct ports *p, const char *id, uint32_t port)
{
    struct ports_entry *e = xcalloc(1, sizeof *e);
    fixed_copy(e->id, sizeof e->id, id);
    e->port = port;
    HASH_ADD_STR(p->by_id, id, e);
    p->by_port[port] = e;
}

/* --- the file --- */

static void save(struct ports *p)
{
    cleanup_strbuf struct strbuf b = STRBUF_INIT;
    struct err e;
    for (struct ports_entry *i = p->by_id; i; i = i->hh.next)
        strbuf_printf(&b, "%s %u\n", i->id, (unsigned)i->port);
    /* Not synced: after a power cut no instance runs, and a lost line costs a new number, not a request. */
    if (file_write_atomic(p->path, strbuf_str(&b), b.len, 0600, 0, &e) < 0)
        log_warn("%s", e.text);
}

static bool id_ok(const char *s)
{
    size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-");
    return n > 0 && s[n] == '.' && s[n + 1] && strspn(s + n + 1, "0123456789") == strlen(s + n + 1) && strlen(s) < ID_SIZE;
}

uint32_t ports_recover(struct ports *p, const char *id, uint32_t port)
{
    if (!id_ok(id) || find(p, id) || port < 1 || port > PORT_TOP || p->by_port[port] || HASH_COUNT(p->by_id) >= PORTS_MAX)
        return 0;
    put(p, id, port);
    save(p);
    return port;
}

/* "api.1 20000"; cuts it. */
static bool load_line(struct ports *p, char *line)
{
    uint64_t port;
    char *blank = strchr(line, ' ');
    if (!blank)
        return false;
    *blank = '\0';
    if (!id_ok(line) || num_u64(blank + 1, &port) < 0 || port < 1 || port > PORT_TOP)
        return false;
    if (find(p, line) || p->by_port[port] || HASH_COUNT(p->by_id) >= PORTS_MAX)
        return false;
    put(p, line, (uint32_t)port);
    if (port >= p->next && port < p->last)
        p->next = (uint32_t)port + 1;
    return true;
}

static void load(struct ports *p)
{
    struct err e;
    cleanup_free char *text = NULL;
    size_t len = 0;
    unsigned dropped = 0;
    int rc = file_read(p->path, FILE_MAX, &text, &len, &e);
    if (rc == -ENOENT)
        return;
    if (rc < 0) {
        log_warn("the table of ports is not used: %s", e.text);
        return;
    }
    for (size_t i = 0; i < len; i++)    /* a NUL would hide the lines behind it */
        if (text[i] == '\0')
            text[i] = '?';
    for (char *line = text, *end; *line; line = end) {
        end = line + strcspn(line, "\n");
        bool whole = *end == '\n';
        if (whole)
            *end++ = '\0';
        if (!whole || !load_line(p, line))      /* a last line that was cut off may have lost digits */
            dropped++;
    }
    if (dropped)
        log_warn("%s: %u lines were not understood and are dropped; those instances get new ports", p->path, dropped);
}

/* --- free or not --- */

static void read_local_range(struct ports *p)
{
    cleanup_free char *text = NULL;
    unsigned a, b;
    p->local_first = 1, p->local_last = 0;
    if (file_read("/proc/sys/net/ipv4/ip_local_port_range", 256, &text, NULL, NULL) < 0 || sscanf(text, "%u %u", &a, &b) != 2)
        return;
    if (a <= p->first && p->last <= b)
        log_note("ports %u to %u are in the kernel's own range (ip_local_port_range): outgoing connections may take them", p->first, p->last);
    else
        p->local_first = a, p->local_last = b;
}

/* 0 or -errno. SO_REUSEADDR as servers set it: connections of the last run in TIME_WAIT are no obstacle. */
static int try_bind(const struct ports *p, uint32_t port)
{
    const char *address = p->address;
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    bool six = strchr(address, ':') != NULL;
    if (inet_pton(six ? AF_INET6 : AF_INET, address, six ? (void *)&v6.sin6_addr : (void *)&v4.sin_addr) != 1)
        return -EINVAL;
    cleanup_close int fd = socket(six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        return -errno;
    int rc = six ? bind(fd, (struct sockaddr *)&v6, sizeof v6) : bind(fd, (struct sockaddr *)&v4, sizeof v4);
    if (rc < 0 && errno == EACCES && p->trust_low)
        return 0;
    return rc < 0 ? -errno : 0;
}

void ports_trust_low(struct ports *p) { p->trust_low = true; }

static bool mine_to_give(const struct ports *p, uint32_t port)
{
    return port >= p->first && port <= p->last && !(port >= p->local_first && port <= p->local_last);
}

static int explain(uint32_t port, int rc, struct err *e)
{
    if (rc != -EADDRINUSE)
        return err_sys(e, rc, "port %u", (unsigned)port);
    return err_set(e, rc, "port %u is in use by another program", (unsigned)port);
}

static int take_fixed(struct ports *p, const char *id, uint32_t port, struct err *e)
{
    int rc = port > PORT_TOP ? -EINVAL : try_bind(p, port);
    if (rc < 0)
        return explain(port, rc, e);
    struct ports_entry *mine = find(p, id), *other = p->by_port[port];
    if (mine && mine == other)
        return 0;
    if (mine)
        drop(p, mine);
    if (other)                  /* it does not run, or the port could not be bound: it gets another one when it starts */
        drop(p, other);
    put(p, id, port);
    save(p);
    return 0;
}

static int take_next(struct ports *p, const char *id, uint32_t *ret_port, struct err *e)
{
    if (HASH_COUNT(p->by_id) >= PORTS_MAX)
        return err_set(e, -EADDRNOTAVAIL, "more than %d instances with a port of their own", PORTS_MAX);
    uint32_t port = p->next;
    int rc = -EADDRINUSE;
    for (uint32_t tries = p->last - p->first + 1; tries > 0; tries--, port = port < p->last ? port + 1 : p->first) {
        if (!mine_to_give(p, port) || p->by_port[port] || (rc = try_bind(p, port)) == -EADDRINUSE)
            continue;
        if (rc < 0)
            return explain(port, rc, e);        /* no address like this here: the next port will not help */
        put(p, id, port);
        save(p);
        p->next = port < p->last ? port + 1 : p->first;
        *ret_port = port;
        return 0;
    }
    return err_set(e, -EADDRNOTAVAIL, "no port from %u to %u is free", (unsigned)p->first, (unsigned)p->last);
}

int ports_take(struct ports *p, const char *id, uint32_t fixed, uint32_t *ret_port, struct err *e)
{
    if (!id_ok(id))
        return err_set(e, -EINVAL, "not an instance's id: %s", id);
    if (fixed) {
        int rc = take_fixed(p, id, fixed, e);
        if (rc == 0)
            *ret_port = fixed;
        return rc;
    }
    struct ports_entry *mine = find(p, id);
    if (mine && mine_to_give(p, mine->port)) {
        if (try_bind(p, mine->port) == 0) {
            *ret_port = mine->port;
            return 0;
        }
        log_note("%s: port %u was taken by another program, so it gets a new one", id, (unsigned)mine->port);
    }
    uint32_t was = mine ? mine->port : 0;
    if (mine)
        drop(p, mine);
    int rc = take_next(p, id, ret_port, e);
    if (rc < 0 && was)
        put(p, id, was);        /* better luck with the old one next time */
    return rc;
}

void ports_give_back(struct ports *p, const char *id)
{
    struct ports_entry *mine = find(p, id);
    if (!mine)
        return;
    drop(p, mine);
    save(p);
}

uint32_t ports_of(const struct ports *p, const char *id)
{
    struct ports_entry *mine = find(p, id);
    return mine ? mine->port : 0;
}

struct ports *ports_open(const char *state_folder, const char *address, uint32_t first, uint32_t last)
{
    struct ports *p = xcalloc(1, sizeof *p);
    p->path = xasprintf("%s/ports", state_folder);
    p->address = xstrdup(address);
    p->first = p->next = first;
    p->last = last;
    read_local_range(p);
    load(p);
    return p;
}

void ports_free(struct ports *p)
{
    if (!p)
        return;
    struct ports_entry *e, *next;
    HASH_ITER(hh, p->by_id, e, next)
        drop(p, e);
    free(p->path);
    free(p->address);
    free(p);
}
