/* keeper_slots.c - the keeper's table: slots by id and by pid, and which have something to tell. */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "agent/keeper_impl.h"
#include "base/fnv.h"

static bool part_valid(const char *s, size_t n)
{
    if (n == 0 || s[0] == '.' || s[0] == '-')
        return false;
    for (size_t i = 0; i < n; i++)
        if (!((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z') || (s[i] >= '0' && s[i] <= '9') || strchr("._@:-", s[i])))
            return false;
    return true;
}

/* "api.1" or "api.1/liveness": an id becomes a folder's name, so nothing in it may lead elsewhere. */
bool keeper_id_valid(const char *id)
{
    size_t n = strnlen(id, ID_SIZE);
    if (n == 0 || n == ID_SIZE)
        return false;
    const char *slash = memchr(id, '/', n);
    if (!slash)
        return part_valid(id, n);
    return part_valid(id, (size_t)(slash - id)) && part_valid(slash + 1, n - (size_t)(slash + 1 - id));
}

static uint32_t hash_id(const char *id) { return fnv_str(FNV_INIT, id) % HASH_SIZE; }
static uint32_t hash_pid(pid_t pid) { return (uint32_t)pid % HASH_SIZE; }

struct slot *slot_find(struct keeper *k, const char *id)
{
    for (uint16_t i = k->by_id[hash_id(id)]; i; i = k->slots[i - 1].id_next)
        if (!strcmp(k->slots[i - 1].id, id))
            return &k->slots[i - 1];
    return NULL;
}

struct slot *slot_by_pid(struct keeper *k, pid_t pid)
{
    for (uint16_t i = k->by_pid[hash_pid(pid)]; i; i = k->slots[i - 1].pid_next)
        if (k->slots[i - 1].pid == pid && k->slots[i - 1].populated)
            return &k->slots[i - 1];
    return NULL;
}

struct slot *slot_make(struct keeper *k, const char *id, uint32_t kind)
{
    struct slot *s = slot_find(k, id);
    if (s)
        return s;
    uint32_t i = 0;
    if (k->slots_n == k->slots_high)
        i = k->slots_high;
    else
        while (k->slots[i].used)
            i++;
    if (i >= KEEPER_SLOTS)
        return NULL;
    if (i == k->slots_high)
        k->slots_high++;
    s = &k->slots[i];
    *s = (struct slot){ .used = true, .kind = (uint8_t)kind, .pidfd = -1, .status_fd = -1, .notify_fd = -1, .log_fd = -1 };
    memcpy(s->id, id, strnlen(id, ID_SIZE - 1));
    uint16_t *head = &k->by_id[hash_id(s->id)];
    s->id_next = *head;
    *head = (uint16_t)(i + 1);
    k->slots_n++;
    return s;
}

static void unlink_pid(struct keeper *k, struct slot *s)
{
    uint16_t me = (uint16_t)(slot_index(k, s) + 1);
    for (uint16_t *p = &k->by_pid[hash_pid(s->pid)]; *p; p = &k->slots[*p - 1].pid_next)
        if (*p == me) {
            *p = s->pid_next;
            break;
        }
    s->pid_next = 0;
}

void slot_set_pid(struct keeper *k, struct slot *s, pid_t pid)
{
    if (s->pid)
        unlink_pid(k, s);
    s->pid = pid;
    if (!pid)
        return;
    uint16_t *head = &k->by_pid[hash_pid(pid)];
    s->pid_next = *head;
    *head = (uint16_t)(slot_index(k, s) + 1);
}

static void unlink_event(struct keeper *k, struct slot *s)
{
    uint16_t me = (uint16_t)(slot_index(k, s) + 1), last = 0;
    for (uint16_t *p = &k->event_first; *p; p = &k->slots[*p - 1].event_next) {
        if (*p == me) {
            *p = s->event_next;
            if (k->event_last == me)
                k->event_last = last;
            break;
        }
        last = *p;
    }
    s->event_queued = false;
    s->events = 0;
    s->event_next = 0;
}

void slot_free(struct keeper *k, struct slot *s)
{
    uint16_t me = (uint16_t)(slot_index(k, s) + 1);
    slot_set_pid(k, s, 0);
    if (s->event_queued)
        unlink_event(k, s);
    keeper_stage_clear(k, s);
    for (uint16_t *p = &k->by_id[hash_id(s->id)]; *p; p = &k->slots[*p - 1].id_next)
        if (*p == me) {
            *p = s->id_next;
            break;
        }
    int fds[] = { s->pidfd, s->status_fd, s->notify_fd, s->log_fd };
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    s->used = s->populated = s->running = false;
    s->id[0] = 0;
    k->slots_n--;
}

void slot_event(struct keeper *k, struct slot *s, enum slot_event e)
{
    s->events |= (uint8_t)e;
    if (s->event_queued)
        return;
    uint16_t me = (uint16_t)(slot_index(k, s) + 1);
    s->event_queued = true;
    s->event_next = 0;
    if (k->event_last)
        k->slots[k->event_last - 1].event_next = me;
    else
        k->event_first = me;
    k->event_last = me;
}

struct slot *slot_event_first(struct keeper *k)
{
    return k->event_first ? &k->slots[k->event_first - 1] : NULL;
}

void slot_event_done(struct keeper *k, uint8_t events)
{
    struct slot *s = slot_event_first(k);
    s->events &= (uint8_t)~events;
    if (!s->events)
        unlink_event(k, s);
}

void slots_events_drop(struct keeper *k)
{
    while (k->event_first)
        unlink_event(k, slot_event_first(k));
}
