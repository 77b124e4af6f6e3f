#include "agent/logger.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "agent/filter.h"
#include "agent/keeper_msg.h"
#include "agent/logfile.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/strbuf.h"

enum { SOURCES_MAX = KEEPER_SLOTS, CHUNK_BYTES = 256 * 1024, ROUND_BYTES_MAX = 1 << 20, EVENTS_MAX = 64, ASK_MS = 500 };

struct source { char id[ID_SIZE]; int fd; ino_t ino; struct logfile file; bool complained; };
struct logger {
    int epoll, keeper, copy[2], null;
    char dir[512], chunk[CHUNK_BYTES];
    struct source *sources[SOURCES_MAX];
    int sources_n;
    int64_t asked_ms;
};

/* --- reading ---------------------------------------------------------------------------------------------------- */

/* The folder may be gone, and we may not make one in the state folder. The keeper looks, and answers L_REOPEN. */
static void ask_folder(struct logger *l)
{
    struct l_msg m = { .verb = L_FOLDER };
    int64_t now = clock_mono_ms();
    if (access(l->dir, F_OK) == 0 || now - l->asked_ms < ASK_MS)
        return;
    l->asked_ms = now;
    (void)send(l->keeper, &m, sizeof m, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void complain(struct logger *l, struct source *s)
{
    if (s->file.error)
        ask_folder(l);
    if (s->file.error && !s->complained)
        log_warn("%s: cannot write its log: %s; lines are dropped", s->id, strerror(-s->file.error));
    else if (!s->file.error && s->complained)
        log_note("%s: its log can be written again", s->id);
    s->complained = s->file.error != 0;
}

/* Copies what the pipe holds into l->chunk, without taking it. The number of bytes, 0 if it is empty. */
static size_t peek(struct logger *l, int fd)
{
    ssize_t n = tee(fd, l->copy[1], CHUNK_BYTES, SPLICE_F_NONBLOCK);
    size_t len = 0;
    while (n > 0 && len < (size_t)n) {
        ssize_t got = read(l->copy[0], l->chunk + len, (size_t)n - len);
        if (got <= 0 && errno != EINTR)
            break;
        len += got > 0 ? (size_t)got : 0;
    }
    return len;
}

static void take(const struct logger *l, int fd, size_t len)
{
    while (len) {
        ssize_t n = splice(fd, NULL, l->null, NULL, len, SPLICE_F_NONBLOCK);
        if (n <= 0 && errno != EINTR)
            return;
        len -= n > 0 ? (size_t)n : 0;
    }
}

/* true: there is more. */
static bool read_some(struct logger *l, struct source *s)
{
    int64_t now = clock_wall_ms();
    for (size_t total = 0; total < ROUND_BYTES_MAX;) {
        size_t n = peek(l, s->fd);
        if (!n)
            return false;
        logfile_add(&s->file, now, l->chunk, n);
        logfile_flush(&s->file, now);
        take(l, s->fd, n);
        total += n;
        complain(l, s);
    }
    return true;
}

/* --- sources ----------------------------------------------------------------------------------------------------- */

static struct source *find(struct logger *l, const char *id, int *ret_at)
{
    for (int i = 0; i < l->sources_n; i++)
        if (!strcmp(l->sources[i]->id, id)) {
            *ret_at = i;
            return l->sources[i];
        }
    return NULL;
}

static void set_fd(struct logger *l, struct source *s, int fd)
{
    struct stat st;
    if (fstat(fd, &st) < 0 || (s->fd >= 0 && st.st_ino == s->ino)) {
        close(fd);                      /* told again */
        return;
    }
    if (s->fd >= 0) {
        while (read_some(l, s)) {}
        epoll_ctl(l->epoll, EPOLL_CTL_DEL, s->fd, NULL);
        close(s->fd);
    }
    s->fd = fd;
    s->ino = st.st_ino;
    struct epoll_event e = { .events = EPOLLIN, .data.ptr = s };
    epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &e);
}

static void add(struct logger *l, const struct l_msg *m, int fd)
{
    int at;
    struct source *s = find(l, m->id, &at);
    if (!s && l->sources_n == SOURCES_MAX) {
        log_error("%s: no room for one more log", m->id);
        close(fd);
        return;
    }
    if (!s) {
        s = xcalloc(1, sizeof *s);
        fixed_copy(s->id, sizeof s->id, m->id);
        s->fd = -1;
        logfile_init(&s->file, l->dir, m->id);
        l->sources[l->sources_n++] = s;
    }
    logfile_config(&s->file, m->max_size, m->keep, m->timestamps);
    set_fd(l, s, fd);
}

static void finish(struct logger *l, const struct l_msg *m)
{
    int at = -1;
    struct source *s = find(l, m->id, &at);
    if (s) {
        while (read_some(l, s)) {}
        logfile_end_line(&s->file);
        logfile_flush(&s->file, clock_wall_ms());
        complain(l, s);
        epoll_ctl(l->epoll, EPOLL_CTL_DEL, s->fd, NULL);
        close(s->fd);
        logfile_done(&s->file);
        l->sources[at] = l->sources[--l->sources_n];
        free(s);
    }
    struct l_msg done = { .verb = L_DONE };
    fixed_copy(done.id, sizeof done.id, m->id);
    if (send(l->keeper, &done, sizeof done, MSG_NOSIGNAL) < 0)
        log_warn("%s: cannot tell the keeper that its log is complete: %s", m->id, strerror(errno));
}

static void handle(struct logger *l, struct l_msg *m, int fd)
{
    int at;
    m->id[ID_SIZE - 1] = 0;
    struct source *s = find(l, m->id, &at);
    switch (m->verb) {
    case L_ADD:
        if (fd >= 0)
            add(l, m, fd);
        return;
    case L_CONFIG:
        if (s)
            logfile_config(&s->file, m->max_size, m->keep, m->timestamps);
        break;
    case L_END:
        finish(l, m);
        break;
    case L_REOPEN:
        for (int i = 0; i < l->sources_n; i++)
            logfile_reopen(&l->sources[i]->file);
        break;
    default:
        break;
    }
    if (fd >= 0)
        close(fd);
}

/* false: the keeper closed its end. */
static bool read_keeper(struct logger *l, bool *ret_changed)
{
    struct l_msg m;
    int fds[K_FDS_MAX];
    ssize_t n;
    while ((n = k_msg_recv(l->keeper, &m, sizeof m, fds)) > 0) {
        *ret_changed = true;
        if (fds[1] >= 0)
            close(fds[1]);
        if (n == sizeof m)
            handle(l, &m, fds[0]);
        else if (fds[0] >= 0)
            close(fds[0]);
    }
    return n == -EAGAIN;
}

/* --- start and loop ------------------------------------------------------------------------------------------------ */

static int start(struct logger *l, const char *state_dir)
{
    struct rlimit files;
    signal(SIGPIPE, SIG_IGN);
    umask(0027);
    fixed_printf(l->dir, "%s/log", state_dir);
    l->keeper = KEEPER_FD;
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    l->null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    if (l->epoll < 0 || l->null < 0 || pipe2(l->copy, O_CLOEXEC) < 0)
        return -errno;
    (void)fcntl(l->copy[1], F_SETPIPE_SZ, CHUNK_BYTES);
    struct epoll_event e = { .events = EPOLLIN, .data.ptr = NULL };
    return epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->keeper, &e) < 0 ? -errno : 0;
}

int logger_main(const char *state_dir)
{
    static struct logger l;
    int rc = start(&l, state_dir);
    if (rc < 0) {
        log_error("cannot start: %s", strerror(-rc));
        return EXIT_FAILURE;
    }
    if (filter_load(FILTER_LOGGER) < 0)
        return EXIT_FAILURE;
    for (bool on = true; on;) {
        struct epoll_event events[EVENTS_MAX];
        bool changed = false;
        int n = epoll_wait(l.epoll, events, EVENTS_MAX, -1);
        for (int i = 0; i < n; i++)
            if (!events[i].data.ptr)
                on = read_keeper(&l, &changed);
        for (int i = 0; i < n && !changed; i++)     /* after a change a source may be gone: wait anew */
            if (events[i].data.ptr)
                read_some(&l, events[i].data.ptr);
    }
    for (int i = 0; i < l.sources_n; i++)
        while (read_some(&l, l.sources[i])) {}
    return EXIT_SUCCESS;
}
