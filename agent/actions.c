#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "agent/actions.h"
#include "base/strbuf.h"

static void actions_grow(struct actions *q)
{
    size_t cap = q->cap ? q->cap * 2 : 32;
    struct agent_action *v = xmalloc(cap * sizeof(*v));
    for (size_t i = 0; i < q->n; i++)
        v[i] = q->v[(q->head + i) % q->cap];
    free(q->v);
    q->v = v;
    q->cap = cap;
    q->head = 0;
}

struct agent_action *actions_push(struct actions *q, enum agent_action_kind kind, const char *id)
{
    if (q->n == q->cap)
        actions_grow(q);
    struct agent_action *a = &q->v[(q->head + q->n++) % q->cap];
    *a = (struct agent_action){ .kind = kind };
    (void)fixed_copy(a->id, sizeof(a->id), id);
    return a;
}

void actions_event(struct actions *q, const char *id, int level, const char *kind, const char *fmt, ...)
{
    if (q->events >= ACTIONS_EVENTS_MAX) {
        q->events_dropped++;
        return;
    }
    struct agent_action *a = actions_push(q, AA_EVENT, id);
    q->events++;
    a->level = level;
    (void)fixed_copy(a->event, sizeof(a->event), kind);
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(a->text, sizeof(a->text), fmt, ap);
    va_end(ap);
}

bool actions_pop(struct actions *q, struct agent_action *ret)
{
    if (q->n == 0)
        return false;
    *ret = q->v[q->head];
    q->head = (q->head + 1) % q->cap;
    q->n--;
    q->events -= ret->kind == AA_EVENT;
    return true;
}

void actions_done(struct actions *q)
{
    free(q->v);
    *q = (struct actions){ 0 };
}
