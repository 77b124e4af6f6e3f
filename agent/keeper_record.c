#include "agent/keeper_record.h"
#include <string.h>
#include "base/fnv.h"

enum { CHECKED_FROM = sizeof(uint32_t) };

size_t rec_put(void *buf, enum rec_kind kind, uint64_t seq, const void *body, size_t size)
{
    struct rec_head h = { .kind = (uint16_t)kind, .size = (uint16_t)size, .seq = seq };
    char *p = buf;
    memcpy(p, &h, sizeof h);
    if (size)
        memcpy(p + sizeof h, body, size);
    h.check = fnv(FNV_INIT, p + CHECKED_FROM, sizeof h - CHECKED_FROM + size);
    memcpy(p, &h.check, sizeof h.check);
    return sizeof h + size;
}

bool rec_whole(const void *buf, size_t room, struct rec_head *ret)
{
    struct rec_head h;
    if (room < sizeof h)
        return false;
    memcpy(&h, buf, sizeof h);
    if (h.size > room - sizeof h || h.check != fnv(FNV_INIT, (const char *)buf + CHECKED_FROM, sizeof h - CHECKED_FROM + h.size))
        return false;
    *ret = h;
    return true;
}

void rec_body(const void *buf, void *ret, size_t size)
{
    struct rec_head h;
    memcpy(&h, buf, sizeof h);
    size_t n = h.size < size ? h.size : size;
    memcpy(ret, (const char *)buf + sizeof h, n);
    memset((char *)ret + n, 0, size - n);
}

bool rec_slot_valid(const struct rec_slot *r)
{
    return memchr(r->id, 0, ID_SIZE) && r->id[0] && r->kind >= K_INSTANCE && r->kind <= K_BALANCER && (r->pid == 0 || r->pid > 1)
        && r->exit_kind >= EXIT_KIND_NONE && r->exit_kind <= EXIT_KIND_UNKNOWN && r->failure_stage < SPAWN_STAGE_COUNT
        && r->log_keep <= 1000;
}
