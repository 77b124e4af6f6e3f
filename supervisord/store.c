/* store.c - see store.h. */
#include "supervisord/store.h"
#include <errno.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/strbuf.h"

struct store {
    uv_loop_t *loop;
    sqlite3 *db;
    char *path;
    uv_work_t work;
    bool busy;
    struct store_batch batch;
    int rc;
    char why[256];
    void (*done)(void *arg, int rc, const char *why);
    void *arg;
};

void store_batch_put(struct store_batch *b, const char *kind, const char *name, char *json)
{
    struct store_row *row = NULL;

    for (size_t i = 0; i < b->n && !row; i++)
        if (!strcmp(b->v[i].kind, kind) && !strcmp(b->v[i].name, name))
            row = &b->v[i];
    if (!row) {
        if (b->n == b->cap) {
            b->cap = b->cap ? b->cap * 2 : 8;
            b->v = xrealloc(b->v, b->cap * sizeof(*b->v));
        }
        row = &b->v[b->n++];
        memset(row, 0, sizeof(*row));
        fixed_copy(row->kind, sizeof(row->kind), kind);
        fixed_copy(row->name, sizeof(row->name), name);
    }
    free(row->json);
    row->json = json;
}

void store_batch_done(struct store_batch *b)
{
    for (size_t i = 0; i < b->n; i++)
        free(b->v[i].json);
    free(b->v);
    memset(b, 0, sizeof(*b));
}

static int errno_of(int sqlite_rc)
{
    switch (sqlite_rc & 0xff) {
    case SQLITE_OK: case SQLITE_DONE: case SQLITE_ROW: return 0;
    case SQLITE_FULL: return -ENOSPC;
    case SQLITE_NOMEM: return -ENOMEM;
    case SQLITE_READONLY: return -EROFS;
    case SQLITE_BUSY: case SQLITE_LOCKED: return -EBUSY;
    case SQLITE_CORRUPT: case SQLITE_NOTADB: return -EBADMSG;
    case SQLITE_CANTOPEN: return -EACCES;
    default: return -EIO;
    }
}

static int run(sqlite3 *db, const char *sql, struct err *e)
{
    int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);

    return rc == SQLITE_OK ? 0 : err_set(e, errno_of(rc), "%s", sqlite3_errmsg(db));
}

/* SQLite finds damage only where it looks: so look everywhere, once, at the start. The tables are small. */
static int check_whole(sqlite3 *db, struct err *e)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &st, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    if (rc == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(st, 0);
        rc = text && !strcmp(text, "ok") ? 0 : err_set(e, -EBADMSG, "%s", text ? text : "damaged");
    } else {
        rc = err_set(e, errno_of(rc), "%s", sqlite3_errmsg(db));
    }
    sqlite3_finalize(st);
    return rc;
}

static int open_db(const char *path, sqlite3 **ret, struct err *e)
{
    sqlite3 *db = NULL;
    int rc = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX, NULL);

    if (rc != SQLITE_OK) {
        rc = err_set(e, errno_of(rc), "%s", db ? sqlite3_errmsg(db) : "out of memory");
        sqlite3_close(db);
        return rc;
    }
    sqlite3_extended_result_codes(db, 1);
    sqlite3_busy_timeout(db, 2000);
    rc = check_whole(db, e);
    if (!rc)
        rc = run(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;", e);
    if (!rc)
        rc = run(db, "CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
                     "CREATE TABLE IF NOT EXISTS row(kind TEXT NOT NULL, name TEXT NOT NULL, json TEXT NOT NULL,"
                     " PRIMARY KEY(kind, name)) WITHOUT ROWID;", e);
    if (rc) {
        sqlite3_close(db);
        return rc;
    }
    chmod(path, 0600);      /* specs may name what others need not know */
    *ret = db;
    return 0;
}

/* Puts the damaged file and SQLite's companions aside, so that a person can still look at them. */
static char *put_aside(const char *path)
{
    cleanup_free char *aside = xasprintf("%s.damaged-%lld", path, (long long)clock_wall_ms() / 1000);
    static const char *const ends[] = { "", "-wal", "-shm" };

    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        cleanup_free char *from = xasprintf("%s%s", path, ends[i]);
        cleanup_free char *to = xasprintf("%s%s", aside, ends[i]);
        rename(from, to);
    }
    return TAKE(aside);
}

int store_open(uv_loop_t *loop, const char *folder, struct store **ret, bool *ret_lost, char **ret_note, struct err *e)
{
    cleanup_free char *path = xasprintf("%s/state.db", folder);
    sqlite3 *db = NULL;
    struct err why = { "" };
    int rc = open_db(path, &db, &why);

    *ret_lost = false;
    *ret_note = NULL;
    if (rc == -EBADMSG) {
        cleanup_free char *aside = put_aside(path);
        rc = open_db(path, &db, e);
        if (!rc) {
            *ret_lost = true;
            *ret_note = xasprintf("the state file %s was damaged (%s); it is kept as %s", path, why.text, aside);
        }
    } else if (rc) {
        err_set(e, rc, "%s", why.text);
    }
    if (rc)
        return err_wrap(e, rc, "state file %s", path);
    struct store *s = xcalloc(1, sizeof(*s));
    s->loop = loop;
    s->db = db;
    s->path = TAKE(path);
    *ret = s;
    return 0;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    while (s->busy)
        uv_run(s->loop, UV_RUN_ONCE);
    sqlite3_close(s->db);
    store_batch_done(&s->batch);
    free(s->path);
    free(s);
}

static uint64_t stored_epoch(struct store *s)
{
    sqlite3_stmt *st = NULL;
    uint64_t epoch = 0;

    if (sqlite3_prepare_v2(s->db, "SELECT value FROM meta WHERE key='epoch'", -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW)
        epoch = (uint64_t)sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return epoch;
}

int store_raise_epoch(struct store *s, uint64_t at_least, uint64_t *ret_epoch, struct err *e)
{
    uint64_t epoch = stored_epoch(s) + 1;

    if (epoch < at_least)
        epoch = at_least;
    cleanup_free char *sql = xasprintf("INSERT INTO meta VALUES('epoch', '%llu') ON CONFLICT(key) DO UPDATE SET value=excluded.value",
                                       (unsigned long long)epoch);
    *ret_epoch = epoch;
    int rc = run(s->db, sql, e);
    return rc ? err_wrap(e, rc, "state file %s", s->path) : 0;
}

int store_each(struct store *s, int (*fn)(void *arg, const char *kind, const char *name, const char *json), void *arg, struct err *e)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(s->db, "SELECT kind, name, json FROM row ORDER BY kind, name", -1, &st, NULL);
    int out = 0;

    while (rc == SQLITE_OK && !out) {
        rc = sqlite3_step(st);
        if (rc != SQLITE_ROW)
            break;
        rc = SQLITE_OK;
        out = fn(arg, (const char *)sqlite3_column_text(st, 0), (const char *)sqlite3_column_text(st, 1), (const char *)sqlite3_column_text(st, 2));
    }
    if (rc != SQLITE_OK && rc != SQLITE_DONE)
        out = err_set(e, errno_of(rc), "state file %s: %s", s->path, sqlite3_errmsg(s->db));
    sqlite3_finalize(st);
    return out;
}

static int write_row(sqlite3 *db, const struct store_row *row)
{
    sqlite3_stmt *st = NULL;
    const char *sql = row->json ? "INSERT INTO row VALUES(?1, ?2, ?3) ON CONFLICT(kind, name) DO UPDATE SET json=excluded.json"
                                : "DELETE FROM row WHERE kind=?1 AND name=?2";
    int rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL);

    if (rc == SQLITE_OK) {
        sqlite3_bind_text(st, 1, row->kind, -1, SQLITE_STATIC);
        sqlite3_bind_text(st, 2, row->name, -1, SQLITE_STATIC);
        if (row->json)
            sqlite3_bind_text(st, 3, row->json, -1, SQLITE_STATIC);
        rc = sqlite3_step(st);
    }
    sqlite3_finalize(st);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static void commit_work(uv_work_t *w)
{
    struct store *s = w->data;
    int rc = sqlite3_exec(s->db, "BEGIN IMMEDIATE", NULL, NULL, NULL);

    for (size_t i = 0; i < s->batch.n && rc == SQLITE_OK; i++)
        rc = write_row(s->db, &s->batch.v[i]);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(s->db, "COMMIT", NULL, NULL, NULL);
    s->rc = errno_of(rc);
    if (rc != SQLITE_OK) {
        fixed_printf(s->why, "%s: %s", s->path, sqlite3_errmsg(s->db));
        sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    }
}

static void commit_done(uv_work_t *w, int status)
{
    struct store *s = w->data;

    s->busy = false;
    store_batch_done(&s->batch);
    s->done(s->arg, status ? status : s->rc, s->rc ? s->why : "");
}

int store_commit(struct store *s, struct store_batch *b, void (*done)(void *arg, int rc, const char *why), void *arg)
{
    if (s->busy)
        return -EBUSY;
    s->busy = true;
    s->batch = *b;
    memset(b, 0, sizeof(*b));
    s->done = done;
    s->arg = arg;
    s->work.data = s;
    return uv_queue_work(s->loop, &s->work, commit_work, commit_done);
}

bool store_busy(const struct store *s)
{
    return s->busy;
}
