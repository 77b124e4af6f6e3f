/* news.c - see news.h. */
#include "agent/news.h"
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "model/wire.h"

struct news {
    const struct agent_core *core;
    struct uplink *uplink;                              /* NULL: none yet */
    bool gone;
    struct muster_event *events; size_t events_n;       /* the array is there only while there are some */
    char (*changed)[ID_SIZE]; size_t changed_n, changed_cap;
};

struct news *news_new(const struct agent_core *core)
{
    struct news *n = xcalloc(1, sizeof(*n));

    n->core = core;
    return n;
}

void news_free(struct news *n)
{
    if (!n)
        return;
    free(n->events);
    free(n->changed);
    free(n);
}

void news_uplink(struct news *n, struct uplink *u)
{
    n->uplink = u;
}

/* --- events -------------------------------------------------------------------------------------------------- */
static void send_events(struct news *n)
{
    for (size_t i = 0; i < n->events_n; i++) {
        const struct muster_event *e = &n->events[i];
        if (n->uplink)
            uplink_send(n->uplink, &(struct wire_msg){ .kind = WIRE_EVENT, .event = *e });
        log_line((enum log_level)e->level, "%s: %s: %s", e->subject, e->kind, e->text);
    }
    free(n->events);
    n->events = NULL;
    n->events_n = 0;
}

void news_event(struct news *n, int level, const char *kind, const char *subject, const char *text)
{
    if (!n->events)
        n->events = xcalloc(NEWS_EVENTS_MAX, sizeof(*n->events));
    struct muster_event *e = &n->events[n->events_n++];
    e->wall_ms = clock_wall_ms();
    e->level = level;
    fixed_copy(e->kind, sizeof(e->kind), kind);
    fixed_copy(e->subject, sizeof(e->subject), subject);
    fixed_copy(e->text, sizeof(e->text), text);
    if (n->events_n == NEWS_EVENTS_MAX)
        send_events(n);
}

/* --- statuses ------------------------------------------------------------------------------------------------ */
static int by_id(const void *a, const void *b)
{
    return strcmp(a, b);
}

static bool is_repeated(const struct news *n, size_t i)
{
    return i > 0 && !strcmp(n->changed[i], n->changed[i - 1]);
}

static void send_status(struct news *n, bool full)
{
    size_t max = full ? agent_core_count(n->core) : n->changed_n;
    struct wire_msg m = { .kind = WIRE_STATUS };
    int64_t now = clock_mono_ms();

    if (!n->uplink || !uplink_up(n->uplink) || (!full && !max))
        return;
    m.status.v = xcalloc(max ? max : 1, sizeof(*m.status.v));
    m.status.full = full;
    m.status.seq = uplink_next_seq(n->uplink);
    if (!full)
        qsort(n->changed, n->changed_n, ID_SIZE, by_id);
    for (size_t i = 0; i < max; i++)
        if (full ? agent_core_status_at(n->core, now, i, &m.status.v[m.status.n])
                 : !is_repeated(n, i) && agent_core_status(n->core, now, n->changed[i], &m.status.v[m.status.n]))
            m.status.n++;
    uplink_send(n->uplink, &m);
    free(m.status.v);
}

void news_changed(struct news *n, const char *id)
{
    if (n->changed_n == NEWS_CHANGED_MAX)
        news_flush(n);
    if (n->changed_n == n->changed_cap) {
        n->changed_cap = n->changed_cap ? n->changed_cap * 2 : 64;
        n->changed = xrealloc(n->changed, n->changed_cap * sizeof(*n->changed));
    }
    fixed_copy(n->changed[n->changed_n++], ID_SIZE, id);
}

void news_gone(struct news *n)
{
    n->gone = true;
}

void news_full(struct news *n)
{
    send_status(n, true);
    n->changed_n = 0;
}

void news_flush(struct news *n)
{
    if (n->events_n)
        send_events(n);
    if (!n->changed_n && !n->gone)
        return;
    send_status(n, n->gone);
    n->changed_n = 0;
    n->gone = false;
}
