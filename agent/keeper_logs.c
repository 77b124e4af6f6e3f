/* keeper_logs.c - the FIFOs that outputs go to, and handing them to the logger.
 *
 * The keeper holds each FIFO open for reading and writing as long as its slot is there: what is in it outlives the logger and
 * the instance, and a new logger goes on reading where the old one stopped. Messages to the logger are flags in the slots. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "agent/keeper_impl.h"
#include "agent/keeper_msg.h"
#include "base/log.h"

enum { FOLDER_MS = 500, PIPE_BYTES = 256 * 1024 };       /* room for when the logger is away; as root only (others share 64 MiB per user) */

static void fifo_path(const struct slot *s, char *buf, size_t size)
{
    char name[ID_SIZE];
    group_name(s->id, name);
    snprintf(buf, size, "fifo/%s", name);
}

static void set_due(struct keeper *k, struct slot *s, bool *flag)
{
    if (!s->log_due && !s->log_end_due)
        k->log_due_n++;
    *flag = true;
}

int keeper_log_open(struct keeper *k, struct slot *s, const struct k_spawn *w)
{
    bool timestamps = (w->flags & KF_LOG_TIMESTAMPS) != 0;
    bool same = s->log_fd >= 0 && s->log_timestamps == timestamps && s->log_max_size == w->log_max_size && s->log_keep == w->log_keep;
    s->log_timestamps = timestamps;
    s->log_max_size = w->log_max_size;
    s->log_keep = w->log_keep;
    if (s->log_fd < 0) {
        char path[16 + ID_SIZE];
        fifo_path(s, path, sizeof path);
        unlinkat(k->run_dir, path, 0);
        if (mkfifoat(k->run_dir, path, 0600) < 0)
            return -errno;
        s->log_fd = openat(k->run_dir, path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
        if (s->log_fd < 0)
            return -errno;
        if (geteuid() == 0)
            (void)fcntl(s->log_fd, F_SETPIPE_SZ, PIPE_BYTES);
    }
    if (!same)
        set_due(k, s, &s->log_due);
    keeper_logger_flush(k);
    return 0;
}

static void log_close(struct keeper *k, struct slot *s)
{
    char path[16 + ID_SIZE];
    fifo_path(s, path, sizeof path);
    unlinkat(k->run_dir, path, 0);
    close(s->log_fd);
    s->log_fd = -1;
    if (s->log_due || s->log_end_due)
        k->log_due_n--;
    s->log_due = s->log_end_due = s->log_ending = false;
}

void keeper_log_end(struct keeper *k, struct slot *s)
{
    if (s->log_fd < 0)
        return;
    if (!k->roles[ROLE_LOGGER].wanted) {
        log_close(k, s);
        return;
    }
    set_due(k, s, &s->log_end_due);
    s->log_ending = true;
    keeper_logger_flush(k);
}

static int send_one(struct keeper *k, struct slot *s)
{
    struct l_msg m = { .timestamps = s->log_timestamps, .keep = s->log_keep, .max_size = s->log_max_size };
    memcpy(m.id, s->id, ID_SIZE);
    int rc = 0;
    if (s->log_due) {
        m.verb = L_ADD;
        rc = k_msg_send(k->roles[ROLE_LOGGER].fd, &m, sizeof m, (int[K_FDS_MAX]){ s->log_fd, -1 });
        s->log_due = rc < 0;
    }
    if (rc == 0 && s->log_end_due) {
        m.verb = L_END;
        rc = k_msg_send(k->roles[ROLE_LOGGER].fd, &m, sizeof m, (int[K_FDS_MAX]){ -1, -1 });
        s->log_end_due = rc < 0;
    }
    if (rc == 0)
        k->log_due_n--;
    return rc;
}

void keeper_logger_flush(struct keeper *k)
{
    int fd = k->roles[ROLE_LOGGER].fd, rc = 0;
    if (fd < 0)
        return;
    for (uint32_t i = 0; i < k->slots_high && k->log_due_n && rc == 0; i++)
        if (k->slots[i].used && (k->slots[i].log_due || k->slots[i].log_end_due))
            rc = send_one(k, &k->slots[i]);
    bool blocked = rc == -EAGAIN;       /* any other error: it is dying, its successor gets all */
    if (blocked != k->logger_blocked)
        keeper_watch_fd(k, fd, blocked ? EPOLLIN | EPOLLOUT : EPOLLIN, ON_LOGGER, 0);
    k->logger_blocked = blocked;
}

void keeper_logger_again(struct keeper *k)
{
    k->logger_blocked = false;
    for (uint32_t i = 0; i < k->slots_high; i++) {
        struct slot *s = &k->slots[i];
        if (!s->used || s->log_fd < 0)
            continue;
        set_due(k, s, &s->log_due);
        if (s->log_ending)
            set_due(k, s, &s->log_end_due);
    }
    keeper_logger_flush(k);
}

static void done(struct keeper *k, struct slot *s)
{
    if (!s->log_ending)
        return;
    s->log_ending = false;
    if (s->forgetting)
        log_close(k, s);
    else
        set_due(k, s, &s->log_due);     /* started anew meanwhile */
}

/* The logger may not make it itself: it would need a right in the state folder. Asked at most once a second. */
static void make_folder(struct keeper *k)
{
    struct l_msg m = { .verb = L_REOPEN };
    int64_t now = keeper_now_ms();
    if (now < k->folder_ms)
        return;
    k->folder_ms = now + FOLDER_MS;
    if (keeper_log_folder(k->o) == 0)
        (void)k_msg_send(k->roles[ROLE_LOGGER].fd, &m, sizeof m, (int[K_FDS_MAX]){ -1, -1 });     /* not taken: it asks again */
}

void keeper_logger_readable(struct keeper *k)
{
    struct l_msg m;
    ssize_t n;
    while ((n = recv(k->roles[ROLE_LOGGER].fd, &m, sizeof m, MSG_DONTWAIT)) > 0) {
        if (n == sizeof m && m.verb == L_FOLDER)
            make_folder(k);
        if (n != sizeof m || m.verb != L_DONE || !keeper_id_valid(m.id))
            continue;
        struct slot *s = slot_find(k, m.id);
        if (s && s->log_fd >= 0)
            done(k, s);
    }
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        keeper_role_closed(k, ROLE_LOGGER);
        return;
    }
    keeper_logger_flush(k);
}
