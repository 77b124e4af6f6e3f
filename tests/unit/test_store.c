/* test_store.c - the durable rows: whole commits, the epoch, a damaged file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <signal.h>
#include "base/cleanup.h"
#include "base/strbuf.h"
#include "supervisord/store.h"

static char folder[64];
static uv_loop_t loop;

static int setup(void **state)
{
    (void)state;
    fixed_printf(folder, "/tmp/muster-store-%d-XXXXXX", (int)getpid());
    uv_loop_init(&loop);
    return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
    char cmd[128];

    (void)state;
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    fixed_printf(cmd, "rm -rf %s", folder);
    return system(cmd);
}

static struct store *open_it(bool want_lost)
{
    struct store *s = NULL;
    bool lost = !want_lost;
    char *note = NULL;
    struct err e = { "" };

    assert_int_equal(store_open(&loop, folder, &s, &lost, &note, &e), 0);
    assert_int_equal(lost, want_lost);
    assert_int_equal(note != NULL, want_lost);
    free(note);
    return s;
}

static int last_rc;
static char last_why[300];
static void committed(void *arg, int rc, const char *why)
{
    (void)arg;
    last_rc = rc;
    fixed_copy(last_why, sizeof(last_why), why);
}

static void commit(struct store *s, struct store_batch *b)
{
    last_rc = 1;
    assert_int_equal(store_commit(s, b, committed, NULL), 0);
    while (store_busy(s))
        uv_run(&loop, UV_RUN_ONCE);
}

struct seen { int n; char all[256]; };
static int see(void *arg, const char *kind, const char *name, const char *json)
{
    struct seen *x = arg;
    size_t at = strlen(x->all);

    x->n++;
    snprintf(x->all + at, sizeof(x->all) - at, "%s/%s=%s ", kind, name, json);
    return 0;
}

static void rows_survive_and_go(void **state)
{
    struct store *s = open_it(false);
    struct store_batch b = { 0 };
    struct seen x = { 0 };
    struct err e;

    (void)state;
    store_batch_put(&b, "service", "api", xstrdup("{1}"));
    store_batch_put(&b, "service", "web", xstrdup("{2}"));
    store_batch_put(&b, "service", "api", xstrdup("{3}"));      /* the later one counts */
    commit(s, &b);
    assert_int_equal(last_rc, 0);
    store_batch_put(&b, "service", "web", NULL);
    store_batch_put(&b, "balancer", "edge", xstrdup("{4}"));
    commit(s, &b);
    store_close(s);
    s = open_it(false);
    assert_int_equal(store_each(s, see, &x, &e), 0);
    assert_string_equal(x.all, "balancer/edge={4} service/api={3} ");
    store_close(s);
}

static void epoch_rises_over_restarts(void **state)
{
    uint64_t epoch = 0;
    struct err e;

    (void)state;
    for (uint64_t want = 1; want <= 3; want++) {
        struct store *s = open_it(false);
        assert_int_equal(store_raise_epoch(s, 0, &epoch, &e), 0);
        assert_int_equal(epoch, want);
        store_close(s);
    }
    struct store *s = open_it(false);
    assert_int_equal(store_raise_epoch(s, 70, &epoch, &e), 0);
    assert_int_equal(epoch, 70);
    store_close(s);
}

/* Each page of the file damaged in turn: it opens, says so or still has the row; it never fails, never gives a wrong row. */
static void damaged_file_is_put_aside(void **state)
{
    char path[128], cmd[512];
    int lost_count = 0;

    (void)state;
    for (long at = 0; at < 5; at++) {
        struct store *s = open_it(false);
        struct store_batch b = { 0 };
        store_batch_put(&b, "service", "api", xstrdup("{\"a\":1}"));
        commit(s, &b);
        store_close(s);
        fixed_printf(path, "%s/state.db", folder);
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        assert_true(fd >= 0);
        assert_int_equal(pwrite(fd, "garbage garbage garbage garbage ", 32, at < 4 ? at * 4096 : 30), 32);
        close(fd);
        bool lost = false;
        char *note = NULL;
        struct err e = { "" };
        struct seen x = { 0 };
        assert_int_equal(store_open(&loop, folder, &s, &lost, &note, &e), 0);
        assert_int_equal(store_each(s, see, &x, &e), 0);
        assert_true(lost ? x.n == 0 && note && strstr(note, "kept as") : !x.n || !strcmp(x.all, "service/api={\"a\":1} "));
        lost_count += lost;
        free(note);
        store_close(s);
        fixed_printf(cmd, "rm -f %s/state.db*", folder);
        assert_int_equal(system(cmd), 0);
    }
    assert_true(lost_count >= 3);
}

/* A file size limit stands for a full disk: the commit is refused, the old rows stay, and later commits work again. */
static void full_disk_keeps_the_old_rows(void **state)
{
    struct store *s = open_it(false);
    struct store_batch b = { 0 };
    struct rlimit old, tiny;
    struct seen x = { 0 };
    struct err e;
    char *big = xmalloc(300000);

    (void)state;
    memset(big, 'x', 299999);
    big[299999] = '\0';
    store_batch_put(&b, "service", "api", xstrdup("{old}"));
    commit(s, &b);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    tiny = (struct rlimit){ 100000, old.rlim_max };
    setrlimit(RLIMIT_FSIZE, &tiny);
    store_batch_put(&b, "service", "api", big);
    commit(s, &b);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_true(last_rc < 0);
    assert_true(strlen(last_why) > 0);
    assert_int_equal(store_each(s, see, &x, &e), 0);
    assert_string_equal(x.all, "service/api={old} ");
    store_batch_put(&b, "service", "api", xstrdup("{new}"));
    commit(s, &b);
    assert_int_equal(last_rc, 0);
    store_close(s);
}

/* The second row of a change fails, and not in a way after which SQLite itself gives up the whole: nothing of the change is kept. */
static void a_change_is_stored_whole_or_not(void **state)
{
    struct store *s = open_it(false);
    struct store_batch b = { 0 };
    struct seen x = { 0 };
    struct err e;
    char path[128];
    sqlite3 *db = NULL;

    (void)state;
    store_batch_put(&b, "service", "api", xstrdup("{old}"));
    commit(s, &b);
    fixed_printf(path, "%s/state.db", folder);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "CREATE TRIGGER no BEFORE INSERT ON row WHEN new.name = 'bad' BEGIN SELECT RAISE(FAIL, 'not this one'); END",
                                  NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    store_batch_put(&b, "service", "api", xstrdup("{new}"));
    store_batch_put(&b, "service", "bad", xstrdup("{new}"));
    commit(s, &b);
    assert_true(last_rc < 0);
    assert_non_null(strstr(last_why, "not this one"));
    assert_int_equal(store_each(s, see, &x, &e), 0);
    assert_string_equal(x.all, "service/api={old} ");
    store_batch_put(&b, "service", "api", xstrdup("{new}"));
    commit(s, &b);
    assert_int_equal(last_rc, 0);
    store_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rows_survive_and_go, setup, teardown),
        cmocka_unit_test_setup_teardown(epoch_rises_over_restarts, setup, teardown),
        cmocka_unit_test_setup_teardown(damaged_file_is_put_aside, setup, teardown),
        cmocka_unit_test_setup_teardown(full_disk_keeps_the_old_rows, setup, teardown),
        cmocka_unit_test_setup_teardown(a_change_is_stored_whole_or_not, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
