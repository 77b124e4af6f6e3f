#include "agent/keeper_leftover.h"
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "agent/proc_scan.h"
#include "agent/sysx.h"
#include "base/log.h"

enum { TERM_MS = 2000, KILL_MS = 1000, POLL_MS = 20, PROC_TEXT_MAX = 256 * 1024 };

struct left { const char *in_run /* "RUN/" */; int signo; bool mains; unsigned n; char first[64]; };

static bool names_folder(pid_t pid, const char *file, const char *folder)
{
    static char text[PROC_TEXT_MAX];
    char path[40];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
    ssize_t n = sysx_read_file(AT_FDCWD, path, text, sizeof text);
    return n > 0 && memmem(text, (size_t)n, folder, strlen(folder));
}

/* Instances have their notify socket in their environment, HAProxy its configuration in its arguments. */
static void seen(void *arg, const struct proc_seen *p)
{
    struct left *l = arg;
    if (!p->marker[0] || p->pid == getpid() || (!names_folder(p->pid, "environ", l->in_run) && !names_folder(p->pid, "cmdline", l->in_run)))
        return;
    if (!l->n++)
        snprintf(l->first, sizeof l->first, "%s", p->marker);
    if (l->signo && (!l->mains || p->sid == p->pid))
        (void)proc_signal(p, l->signo);
}

static unsigned look(struct left *l, int signo, bool mains)
{
    l->signo = signo;
    l->mains = mains;
    l->n = 0;
    proc_scan(seen, l);
    return l->n;
}

static bool gone_within(struct left *l, int ms)
{
    for (; ms > 0; ms -= POLL_MS) {
        if (!look(l, 0, false))
            return true;
        nanosleep(&(struct timespec){ .tv_nsec = POLL_MS * 1000000L }, NULL);
    }
    return false;
}

int keeper_end_leftovers(const char *run_dir)
{
    char run[PATH_MAX], folder[PATH_MAX + 2];
    struct left l = { .in_run = folder };
    if (!realpath(run_dir, run))
        return 0;
    snprintf(folder, sizeof folder, "%s/", run);
    unsigned found = look(&l, SIGTERM, true);
    if (!found)
        return 0;
    log_warn("the keeper before this one was killed and left %u processes running (%s%s): they are ended, and what is wanted is started anew",
             found, l.first, found > 1 ? " and others" : "");
    if (!gone_within(&l, TERM_MS)) {
        look(&l, SIGKILL, false);
        if (!gone_within(&l, KILL_MS))
            log_error("%u of them cannot be ended (%s)", l.n, l.first);
    }
    return (int)found;
}
