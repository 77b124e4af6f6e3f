/* keeper_stage.c - descriptors on their way to a child.
 *
 * A keeper of 1,000 instances has some 3,000 descriptors. A forked child would get a copy of the whole table, only to close it: that alone
 * takes longer than an exec. So the child shares the table at first (CLONE_FILES) and leaves it with close_range(CLOSE_RANGE_UNSHARE),
 * which copies only what lies below a number. What a child needs is therefore laid out below that number first: in a stage, one of a few
 * rows of numbers that are reserved while few descriptors are open. Until the child has said its first word it may still read its
 * row, so the row is its own until then. No stage is free (children that hang in a name service): a plain fork, which needs none. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "agent/keeper_impl.h"
#include "agent/sysx.h"

enum { ROW = SPAWN_LISTENERS_MAX + 3 };     /* status, memfd, output, listeners */

static bool is_free(int from, int n)
{
    for (int fd = from; fd < from + n; fd++)
        if (fcntl(fd, F_GETFD) >= 0)
            return false;
    return true;
}

static int reserve(const struct keeper *k)
{
    int base = 3;
    while (!is_free(base, STAGES * ROW))
        base++;
    for (int i = 0; i < STAGES * ROW; i++)
        if (dup3(k->null_fd, base + i, O_CLOEXEC) < 0)
            return -errno;
    return base;
}

void keeper_stage_init(struct keeper *k)
{
    k->stage_end = 0;
    if (sysx_can_unshare_files() < 0)
        return;
    int base = reserve(k);
    if (base < 0)
        return;
    bool ok = k->null_fd < base && k->groups.base_fd < base;       /* the child uses them too */
    for (int i = 0; i < LIMIT_COUNT; i++)
        ok = ok && k->groups.limit_fd[i] < base;
    for (int i = 0; i < STAGES; i++)
        k->stages[i] = (struct stage){ .first_fd = base + i * ROW };
    k->stage_end = ok ? base + STAGES * ROW : 0;
}

static int put(int fd, int at) { return fd < 0 ? -1 : dup3(fd, at, O_CLOEXEC) < 0 ? -errno : at; }

/* The child's descriptors in c become those of the row. */
static int lay_out(struct child_setup *c, int at)
{
    int *const fds[] = { &c->status_fd, &c->memfd, c->log_fd >= 0 ? &c->log_fd : &c->output_fd };
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++, at++)
        if (*fds[i] >= 0 && (*fds[i] = put(*fds[i], at)) < 0)
            return *fds[i];
    for (int i = 0; i < c->listeners_n; i++, at++)
        if ((c->listeners[i] = put(c->listeners[i], at)) < 0)
            return c->listeners[i];
    return 0;
}

static void clear(const struct keeper *k, struct stage *g)
{
    for (int i = 0; i < g->used; i++)
        dup3(k->null_fd, g->first_fd + i, O_CLOEXEC);
    g->slot = 0;
}

bool keeper_stage_take(struct keeper *k, struct slot *s, struct child_setup *c)
{
    for (int i = 0; k->stage_end && i < STAGES; i++) {
        struct stage *g = &k->stages[i];
        if (g->slot)
            continue;
        struct child_setup laid = *c;
        g->used = ROW - SPAWN_LISTENERS_MAX + c->listeners_n;
        if (lay_out(&laid, g->first_fd) < 0) {
            clear(k, g);
            return false;
        }
        g->slot = slot_index(k, s) + 1;
        *c = laid;
        c->shared_below = k->stage_end;
        return true;
    }
    return false;
}

void keeper_stage_clear(struct keeper *k, const struct slot *s)
{
    for (int i = 0; i < STAGES; i++)
        if (k->stages[i].slot == slot_index(k, s) + 1)
            clear(k, &k->stages[i]);
}
