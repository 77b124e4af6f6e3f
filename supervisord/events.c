/* events.c - see events.h. */
#include "supervisord/events.h"
#include <sqlite3.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/strbuf.h"

struct events {
    sqlite3 *db;                                    /* NULL: memory only */
    uint64_t last, flushed;
    struct muster_event ring[EVENTS_KEPT];          /* seq s lies at s % EVENTS_KEPT */
};

static void load(struct events *ev)
{
    sqlite3_stmt *st = NULL;

    if (sqlite3_prepare_v2(ev->db, "SELECT seq, time, level, kind, subject, text FROM event WHERE seq > (SELECT max(seq) FROM event) - ?1 ORDER BY seq",
                           -1, &st, NULL) != SQLITE_OK)
        return;
    sqlite3_bind_int(st, 1, EVENTS_KEPT);
    while (sqlite3_step(st) == SQLITE_ROW) {
        uint64_t seq = (uint64_t)sqlite3_column_int64(st, 0);
        struct muster_event *e = &ev->ring[seq % EVENTS_KEPT];
        memset(e, 0, sizeof(*e));
        e->seq = seq;
        e->wall_ms = sqlite3_column_int64(st, 1);
        e->level = sqlite3_column_int(st, 2);
        fixed_copy(e->kind, sizeof(e->kind), (const char *)sqlite3_column_text(st, 3));
        fixed_copy(e->subject, sizeof(e->subject), (const char *)sqlite3_column_text(st, 4));
        fixed_copy(e->text, sizeof(e->text), (const char *)sqlite3_column_text(st, 5));
        ev->last = ev->flushed = seq;
    }
    sqlite3_finalize(st);
}

static sqlite3 *open_db(const char *path)
{
    sqlite3 *db = NULL;

    if (sqlite3_open(path, &db) == SQLITE_OK &&
        sqlite3_exec(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
                         "CREATE TABLE IF NOT EXISTS event(seq INTEGER PRIMARY KEY, time INTEGER NOT NULL, level INTEGER NOT NULL,"
                         " kind TEXT NOT NULL, subject TEXT NOT NULL, text TEXT NOT NULL);", NULL, NULL, NULL) == SQLITE_OK)
        return db;
    sqlite3_close(db);
    return NULL;
}

struct events *events_open(const char *folder)
{
    struct events *ev = xcalloc(1, sizeof(*ev));
    cleanup_free char *path = xasprintf("%s/events.db", folder);

    ev->db = open_db(path);
    if (!ev->db) {          /* history is worth less than a start: put the bad file aside and begin anew */
        cleanup_free char *aside = xasprintf("%s.damaged", path);
        rename(path, aside);
        ev->db = open_db(path);
    }
    if (ev->db)
        load(ev);
    return ev;
}

void events_close(struct events *ev)
{
    if (!ev)
        return;
    events_flush(ev);
    sqlite3_close(ev->db);
    free(ev);
}

void events_add(struct events *ev, const struct muster_event *e)
{
    struct muster_event *slot = &ev->ring[++ev->last % EVENTS_KEPT];

    *slot = *e;
    slot->seq = ev->last;
    if (!slot->wall_ms)
        slot->wall_ms = clock_wall_ms();
}

uint64_t events_last(const struct events *ev)
{
    return ev->last;
}

const struct muster_event *events_after(const struct events *ev, uint64_t after, size_t i)
{
    uint64_t oldest = ev->last >= EVENTS_KEPT ? ev->last - EVENTS_KEPT + 1 : 1;
    uint64_t seq = (after + 1 > oldest ? after + 1 : oldest) + i;
    const struct muster_event *e = &ev->ring[seq % EVENTS_KEPT];

    return seq <= ev->last && e->seq == seq ? e : NULL;
}

static int insert(sqlite3_stmt *st, const struct muster_event *e)
{
    sqlite3_bind_int64(st, 1, (sqlite3_int64)e->seq);
    sqlite3_bind_int64(st, 2, e->wall_ms);
    sqlite3_bind_int(st, 3, e->level);
    sqlite3_bind_text(st, 4, e->kind, -1, SQLITE_STATIC);
    sqlite3_bind_text(st, 5, e->subject, -1, SQLITE_STATIC);
    sqlite3_bind_text(st, 6, e->text, -1, SQLITE_STATIC);
    int rc = sqlite3_step(st);
    sqlite3_reset(st);
    return rc;
}

void events_flush(struct events *ev)
{
    sqlite3_stmt *st = NULL;

    if (!ev->db || ev->flushed == ev->last)
        return;
    sqlite3_exec(ev->db, "BEGIN", NULL, NULL, NULL);
    if (sqlite3_prepare_v2(ev->db, "INSERT OR REPLACE INTO event VALUES(?1, ?2, ?3, ?4, ?5, ?6)", -1, &st, NULL) == SQLITE_OK) {
        const struct muster_event *e;
        for (size_t i = 0; (e = events_after(ev, ev->flushed, i)); i++)
            insert(st, e);
    }
    sqlite3_finalize(st);
    cleanup_free char *trim = xasprintf("DELETE FROM event WHERE seq <= %lld", (long long)ev->last - 10 * EVENTS_KEPT);
    sqlite3_exec(ev->db, trim, NULL, NULL, NULL);
    if (sqlite3_exec(ev->db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK)
        ev->flushed = ev->last;
    else
        sqlite3_exec(ev->db, "ROLLBACK", NULL, NULL, NULL);
}
