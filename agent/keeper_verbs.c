/* keeper_verbs.c - the protocol with the supervisor: one request at a time, its reply before anything else, then the events due.
 * When the supervisor does not read, requests are not taken either; events wait as flags in their slots. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "agent/keeper_impl.h"
#include "agent/keeper_msg.h"
#include "agent/sysx.h"
#include "base/log.h"

/* So many starts at once (every slot there is), and then so many a second: one that orders more is made to wait, not refused. A supervisor
 * that somebody has taken over cannot stop the host by forks. */
enum { REQUESTS_PER_ROUND = 64, ROUND_MS_MAX = 20, SPAWNS_AT_ONCE = KEEPER_SLOTS, SPAWNS_PER_S = 500 };

/* --- sending ------------------------------------------------------------------------------------------ */

static int send_msg(const struct keeper *k, struct k_msg *m, int pass_fd)
{
    m->version = KEEPER_VERSION;
    int fds[K_FDS_MAX] = { pass_fd, -1 };
    return k_msg_send(k->roles[ROLE_SUPERVISOR].fd, m, k_msg_size(m->verb), fds);
}

void keeper_state_of(const struct keeper *k, const struct slot *s, struct k_state *ret)
{
    char name[ID_SIZE];
    *ret = (struct k_state){ .kind = s->kind, .pid = s->pid, .running = s->running, .populated = s->populated, .exit = s->exit,
                             .port = s->port, .started_mono_ms = s->started_ms };
    memcpy(ret->id, s->id, ID_SIZE);
    group_name(s->id, name);
    if (k->groups.mode != GROUP_NONE && strlen(k->groups.path) <= 95)    /* none is better than half a path */
        snprintf(ret->cgroup, sizeof ret->cgroup, "%.95s/%.63s", k->groups.path, name);
}

static int send_state(struct keeper *k, struct slot *s, enum keeper_verb verb)
{
    struct k_msg m = { .verb = verb };
    bool notify = s->notify_fd >= 0 && (verb == K_STATE || (verb == K_SPAWNED && !s->notify_told));
    keeper_state_of(k, s, &m.u.state);
    int rc = send_msg(k, &m, notify ? s->notify_fd : -1);
    if (rc == 0 && notify)
        s->notify_told = true;
    return rc;
}

static int send_event(struct keeper *k, struct slot *s)
{
    static const struct { enum slot_event e; enum keeper_verb verb; } order[] = {
        { SE_SPAWNED, K_SPAWNED }, { SE_OOM, K_OOM }, { SE_EXITED, K_EXITED }, { SE_EMPTY, K_EMPTY }, { SE_FAILED, K_SPAWN_FAILED },
    };
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        if (!(s->events & order[i].e))
            continue;
        struct k_msg m = { .verb = K_SPAWN_FAILED };
        m.u.failed = s->failure;
        int rc = order[i].e == SE_FAILED ? send_msg(k, &m, -1) : send_state(k, s, order[i].verb);
        if (rc == 0)
            slot_event_done(k, order[i].e);
        return rc;
    }
    slot_event_done(k, 0xff);
    return 0;
}

/* The answer to K_LIST goes out in as many steps as the socket wants. list_at counts through slots, then held listeners. */
static int send_list(struct keeper *k)
{
    int rc = 0;
    while (k->list_at < k->slots_high && rc == 0) {
        struct slot *s = &k->slots[k->list_at];
        if (s->used && !s->forgetting)
            rc = send_state(k, s, K_STATE);
        k->list_at += rc == 0;
    }
    while (rc == 0 && k->list_at < k->slots_high + HELD_MAX) {
        struct held *h = &k->held[k->list_at - k->slots_high];
        struct k_msg m = { .verb = K_HELD };
        m.u.listen = h->listen;
        if (h->used)
            rc = send_msg(k, &m, -1);
        k->list_at += rc == 0;
    }
    if (rc == 0) {
        k->listing = false;
        k->reply_due = true;
    }
    return rc;
}

static void watch_supervisor(struct keeper *k)
{
    int fd = k->roles[ROLE_SUPERVISOR].fd;
    if (fd >= 0)
        keeper_watch_fd(k, fd, k->blocked ? EPOLLOUT : k->throttled ? 0 : EPOLLIN, ON_SUPERVISOR, 0);
}

void keeper_flush(struct keeper *k)
{
    int fd = k->roles[ROLE_SUPERVISOR].fd, rc = 0;
    struct slot *s;
    if (fd < 0)
        return;
    if (k->listing)
        rc = send_list(k);
    if (rc == 0 && k->reply_due && (rc = send_msg(k, &k->reply, -1)) == 0)
        k->reply_due = false;
    while (rc == 0 && (s = slot_event_first(k)))
        rc = send_event(k, s);
    bool blocked = rc == -EAGAIN;       /* any other error comes again as the end of the socket */
    bool changed = blocked != k->blocked;
    k->blocked = blocked;
    if (changed)
        watch_supervisor(k);
}

/* --- listening sockets -------------------------------------------------------------------------------- */

static int make_address(const struct k_listen *l, struct sockaddr_storage *a, socklen_t *len)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)a;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)a;
    memset(a, 0, sizeof *a);
    if (!l->address[0] || inet_pton(AF_INET6, l->address, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)l->port);
        *len = sizeof *v6;
        return 0;
    }
    if (inet_pton(AF_INET, l->address, &v4->sin_addr) != 1)
        return -EINVAL;
    v4->sin_family = AF_INET;
    v4->sin_port = htons((uint16_t)l->port);
    *len = sizeof *v4;
    return 0;
}

static int listen_at(const struct sockaddr_storage *a, socklen_t len, bool dual, int backlog)
{
    int one = 1, zero = 0;
    int fd = socket(a->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0
        || (a->ss_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, dual ? &zero : &one, sizeof one) < 0)
        || bind(fd, (const struct sockaddr *)a, len) < 0 || listen(fd, backlog) < 0) {
        int rc = -errno;
        close(fd);
        return rc;
    }
    return fd;
}

static int make_listener(const struct k_listen *l)
{
    struct sockaddr_storage a;
    socklen_t len;
    int rc = make_address(l, &a, &len);
    if (rc < 0)
        return rc;
    int backlog = l->backlog && l->backlog < 65536 ? (int)l->backlog : SOMAXCONN;
    int fd = listen_at(&a, len, !l->address[0], backlog);
    if ((fd == -EAFNOSUPPORT || fd == -EADDRNOTAVAIL) && !l->address[0]) {      /* a host without IPv6 */
        struct k_listen v4 = *l;
        snprintf(v4.address, sizeof v4.address, "0.0.0.0");
        make_address(&v4, &a, &len);
        fd = listen_at(&a, len, false, backlog);
    }
    return fd;
}

static int do_listen(struct keeper *k, const struct k_listen *l, struct k_reply *r)
{
    struct held *h = NULL, *room = NULL;
    if (!keeper_id_valid(l->id) || !memchr(l->address, 0, sizeof l->address) || l->port == 0 || l->port > 65535)
        return -EINVAL;
    for (int i = 0; i < HELD_MAX; i++)
        if (!k->held[i].used)
            room = room ? room : &k->held[i];
        else if (!strcmp(k->held[i].listen.id, l->id))
            h = &k->held[i];
    if (h && !strcmp(h->listen.address, l->address) && h->listen.port == l->port)
        return 0;
    if (!h && !room)
        return -ENOSPC;
    int fd = make_listener(l);
    if (fd < 0) {
        snprintf(r->detail, sizeof r->detail, "cannot listen at %.63s:%u: %s", l->address[0] ? l->address : "*", l->port,
                 fd == -EINVAL ? "not an address" : strerror(-fd));
        return fd;
    }
    if (h)
        close(h->fd);
    else
        h = room;
    *h = (struct held){ .listen = *l, .fd = fd, .used = true };
    return 0;
}

static int do_unlisten(struct keeper *k, const struct k_id *id)
{
    for (int i = 0; keeper_id_valid(id->id) && i < HELD_MAX; i++)
        if (k->held[i].used && !strcmp(k->held[i].listen.id, id->id)) {
            close(k->held[i].fd);
            k->held[i].used = false;
            return 0;
        }
    return keeper_id_valid(id->id) ? 0 : -EINVAL;
}

/* --- the other verbs ------------------------------------------------------------------------------------ */

/* A pid is taken only if it is the slot's own; 0, 1 and negative ones would mean many or init. */
static int do_signal(struct keeper *k, const struct k_signal *g, bool group)
{
    if (!keeper_id_valid(g->id) || g->pid <= 1 || g->signo < 1 || g->signo > 64)
        return -EINVAL;
    struct slot *s = slot_find(k, g->id);
    if (!s || s->pid != g->pid || (group ? !s->populated : !s->running))
        return -ESRCH;
    if (group)
        return keeper_group_signal(k, s, g->signo);
    return s->pidfd >= 0 ? sysx_pidfd_signal(s->pidfd, g->signo) : -ESRCH;
}

static int do_forget(struct keeper *k, const struct k_id *id)
{
    if (!keeper_id_valid(id->id))
        return -EINVAL;
    struct slot *s = slot_find(k, id->id);
    if (!s || s->forgetting)
        return 0;
    if (s->running || s->populated)
        return -EBUSY;
    keeper_forget(k, s);
    return 0;
}

static int do_end(struct keeper *k, struct k_reply *r)
{
    for (uint32_t i = 0; i < k->slots_high; i++)
        if (k->slots[i].used && k->slots[i].populated && k->slots[i].kind != K_HELPER) {
            snprintf(r->detail, sizeof r->detail, "%.63s still lives", k->slots[i].id);
            return -EBUSY;
        }
    keeper_end(k);
    return 0;
}

static int do_who(struct keeper *k, const struct k_who *w, struct k_reply *r)
{
    if (!keeper_id_valid(w->id) || !w->inodes[0])
        return -EINVAL;
    return keeper_who(k, slot_find(k, w->id), w->inodes, r->detail, sizeof r->detail);
}

static int handle(struct keeper *k, const struct k_msg *m, const int fds[K_FDS_MAX], struct k_reply *r)
{
    int rc;
    switch ((enum keeper_verb)m->verb) {
    case K_SPAWN:
        memcpy(r->id, m->u.spawn.id, ID_SIZE - 1);
        rc = keeper_spawn(k, &m->u.spawn, fds[0], fds[1], r->detail, sizeof r->detail);
        return rc;
    case K_SIGNAL:
    case K_GROUP:
        memcpy(r->id, m->u.signal.id, ID_SIZE - 1);
        return do_signal(k, &m->u.signal, m->verb == K_GROUP);
    case K_FORGET:
        memcpy(r->id, m->u.id.id, ID_SIZE - 1);
        return do_forget(k, &m->u.id);
    case K_LISTEN:
        memcpy(r->id, m->u.listen.id, ID_SIZE - 1);
        return do_listen(k, &m->u.listen, r);
    case K_UNLISTEN:
        memcpy(r->id, m->u.id.id, ID_SIZE - 1);
        return do_unlisten(k, &m->u.id);
    case K_LIST:
        k->listing = true;
        k->list_at = 0;
        slots_events_drop(k);           /* the list says it all */
        return 0;
    case K_WHO:
        memcpy(r->id, m->u.who.id, ID_SIZE - 1);
        return do_who(k, &m->u.who, r);
    case K_END:
        return do_end(k, r);
    default:
        return -EINVAL;
    }
}

/* --- receiving ------------------------------------------------------------------------------------------ */

static void one_request(struct keeper *k, const struct k_msg *m, size_t size, const int fds[K_FDS_MAX])
{
    k->reply = (struct k_msg){ .verb = K_REPLY };
    struct k_reply *r = &k->reply.u.reply;
    r->verb = size >= K_HEAD_SIZE ? m->verb : 0;
    if (size < K_HEAD_SIZE || m->version != KEEPER_VERSION)
        r->rc = -EPROTO;
    else if (m->verb == K_NONE || m->verb >= K_REPLY || size != k_msg_size(m->verb))
        r->rc = -EINVAL;
    else
        r->rc = handle(k, m, fds, r);
    if (r->rc < 0 && !r->detail[0])
        snprintf(r->detail, sizeof r->detail, "%s", strerror(-r->rc));
    k->reply_due = !k->listing;
    keeper_supervisor_spoke(k);
}

static void add_tokens(struct keeper *k)
{
    int64_t now = keeper_now_ms(), full = (int64_t)SPAWNS_AT_ONCE * 1000;
    if (!k->spawn_tokens_ms)
        k->spawn_tokens_milli = full;
    else
        k->spawn_tokens_milli += (now - k->spawn_tokens_ms) * SPAWNS_PER_S;
    k->spawn_tokens_ms = now;
    if (k->spawn_tokens_milli > full)
        k->spawn_tokens_milli = full;
}

/* What waits in the socket stays there until there is a token again. */
static bool must_wait(struct keeper *k)
{
    if (k->spawn_tokens_milli >= 1000)
        return false;
    add_tokens(k);
    bool wait = k->spawn_tokens_milli < 1000;
    bool again = wait || k->throttled;
    k->throttled = wait;
    if (again)
        watch_supervisor(k);
    return wait;
}

void keeper_requests_again(struct keeper *k)
{
    if (k->throttled)
        (void)must_wait(k);
}

void keeper_supervisor_readable(struct keeper *k)
{
    keeper_flush(k);
    int64_t until = keeper_now_ms() + ROUND_MS_MAX;      /* without cgroups some of them walk through /proc */
    for (int i = 0; i < REQUESTS_PER_ROUND && !k->blocked && !must_wait(k) && keeper_now_ms() <= until; i++) {
        static struct k_msg m;
        int fds[K_FDS_MAX];
        ssize_t n = k_msg_recv(k->roles[ROLE_SUPERVISOR].fd, &m, sizeof m, fds);
        if (n == -EAGAIN)
            return;
        if (n <= 0) {
            keeper_role_closed(k, ROLE_SUPERVISOR);
            return;
        }
        if (n >= (ssize_t)K_HEAD_SIZE && m.verb == K_SPAWN)
            k->spawn_tokens_milli -= 1000;
        one_request(k, &m, (size_t)n, fds);
        for (int j = 0; j < K_FDS_MAX; j++)
            if (fds[j] >= 0)
                close(fds[j]);
        keeper_flush(k);
    }
}
