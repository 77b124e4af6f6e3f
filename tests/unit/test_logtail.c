/* The last lines over rotated files, and a follower over a thousand rotations. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "agent/logfile.h"
#include "agent/logtail.h"

static char dir[64];

static int set_up(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/muster-test-%d-XXXXXX", (int)getpid());
    assert_non_null(mkdtemp(dir));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pid_t p = fork();
    if (p == 0)
        execl("/bin/rm", "rm", "-rf", dir, (char *)NULL);
    waitpid(p, NULL, 0);
    return 0;
}

static void put(const char *name, const char *text)
{
    char path[160];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *o = fopen(path, "we");
    assert_non_null(o);
    fputs(text, o);
    fclose(o);
}

static void last_lines(void **state)
{
    (void)state;
    static const struct { size_t n; const char *want; } rows[] = {
        { 0, "" }, { 1, "7" }, { 2, "6 7" }, { 3, "5 6 7" }, { 4, "4 5 6 7" }, { 5, "3 4 5 6 7" }, { 6, "2 3 4 5 6 7" },
        { 7, "1 2 3 4 5 6 7" }, { 8, "1 2 3 4 5 6 7" }, { SIZE_MAX, "1 2 3 4 5 6 7" },
    };
    put("api.1.log.2", "1\n2\n");
    put("api.1.log.1", "3\n4\n");
    put("api.1.log", "5\n6\n7\n");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct strv got = { 0 };
        struct strbuf all = STRBUF_INIT;
        assert_int_equal(logtail_last(dir, "api.1", rows[i].n, &got), 0);
        for (size_t j = 0; j < got.n; j++)
            strbuf_printf(&all, "%s%s", j ? " " : "", got.v[j]);
        assert_string_equal(strbuf_str(&all), rows[i].want);
        strbuf_done(&all);
        strv_done(&got);
    }
}

static void an_unfinished_line_counts(void **state)
{
    (void)state;
    struct strv got = { 0 };
    put("api.1.log", "5\n6\n7");
    assert_int_equal(logtail_last(dir, "api.1", 2, &got), 0);
    assert_int_equal(got.n, 2);
    assert_string_equal(got.v[0], "6");
    assert_string_equal(got.v[1], "7");
    strv_done(&got);
}

static void none_and_bad_ids(void **state)
{
    (void)state;
    struct strv got = { 0 };
    struct logtail *t;
    assert_int_equal(logtail_last(dir, "api.1", 5, &got), 0);
    assert_int_equal(got.n, 0);
    assert_int_equal(logtail_open(&t, dir, "api.1", 5), -ENOENT);
    assert_int_equal(logtail_open(&t, dir, "../x", 5), -EINVAL);
    assert_int_equal(logtail_open(&t, dir, "", 5), -EINVAL);
    strv_done(&got);
}

/* The numbers that come now must go on from *next. */
static void drain(struct logtail *t, int *next)
{
    struct strbuf line = STRBUF_INIT;
    while (logtail_next(t, &line) > 0) {
        int n = atoi(strbuf_str(&line) + strlen("number "));
        if (n != *next)
            fail_msg("line %d, want %d", n, *next);
        ++*next;
    }
    strbuf_done(&line);
}

static void a_thousand_rotations(void **state)
{
    (void)state;
    struct logfile f;
    logfile_init(&f, dir, "api.1");
    logfile_config(&f, 200, 5, false);
    int next = 0, rotations = 0;
    uint64_t size = 0;
    logfile_add(&f, 0, "number 0\n", 9);
    logfile_flush(&f, 0);
    struct logtail *t;
    assert_int_equal(logtail_open(&t, dir, "api.1", SIZE_MAX), 0);
    unsigned dice = 1;
    for (int i = 1; rotations < 1000; i++) {
        char text[32];
        int n = snprintf(text, sizeof text, "number %d\n", i);
        logfile_add(&f, 0, text, (size_t)n / 2);                 /* in two pieces, with a look in between now and then */
        if ((dice = dice * 1103515245 + 12345) >> 16 & 1)
            logfile_flush(&f, 0);
        if ((dice >> 17 & 7) == 0)
            drain(t, &next);
        logfile_add(&f, 0, text + n / 2, (size_t)(n - n / 2));
        logfile_flush(&f, 0);
        if (f.size < size)
            rotations++;
        size = f.size;
        if ((dice >> 20 & 3) == 0 || i % 40 == 0)
            drain(t, &next);
        if (rotations == 1000)
            drain(t, &next), assert_int_equal(next, i + 1);
    }
    assert_int_equal(logtail_lost(t), 0);
    logtail_free(t);
    logfile_done(&f);
}

static void a_follower_of_a_live_writer(void **state)
{
    (void)state;
    enum { LINES = 100000 };
    struct logfile f;
    logfile_init(&f, dir, "api.1");
    logfile_config(&f, 4000, 900, false);
    logfile_add(&f, 0, "number 0\n", 9);
    logfile_flush(&f, 0);
    pid_t writer = fork();
    if (writer == 0) {
        for (int i = 1; i < LINES; i++) {
            char text[32];
            logfile_add(&f, 0, text, (size_t)snprintf(text, sizeof text, "number %d\n", i));
            if (i % 7 == 0)
                logfile_flush(&f, 0);
        }
        logfile_flush(&f, 0);
        _exit(0);
    }
    struct logtail *t;
    assert_int_equal(logtail_open(&t, dir, "api.1", SIZE_MAX), 0);
    int next = 0;
    for (int i = 0; i < 10000 && next < LINES; i++) {
        drain(t, &next);
        usleep(500);
    }
    waitpid(writer, NULL, 0);
    assert_int_equal(next, LINES);
    assert_int_equal(logtail_lost(t), 0);
    logtail_free(t);
    logfile_done(&f);
}

static void a_follower_that_slept_says_so(void **state)
{
    (void)state;
    struct logfile f;
    struct logtail *t;
    struct strbuf line = STRBUF_INIT;
    logfile_init(&f, dir, "api.1");
    logfile_config(&f, 8, 2, false);
    logfile_add(&f, 0, "aaaaaa\n", 7);
    logfile_flush(&f, 0);
    assert_int_equal(logtail_open(&t, dir, "api.1", 0), 0);
    for (char c = 'b'; c < 'h'; c++) {
        char text[] = "xxxxxx\n";
        memset(text, c, 6);
        logfile_add(&f, 0, text, 7);
    }
    logfile_flush(&f, 0);
    assert_int_equal(logtail_next(t, &line), 1);
    assert_string_equal(strbuf_str(&line), "eeeeee");       /* the oldest there is */
    assert_int_equal(logtail_lost(t), 1);
    logtail_free(t);
    logfile_done(&f);
    strbuf_done(&line);
}

int main(void)
{
#define T_(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T_(last_lines), T_(an_unfinished_line_counts), T_(none_and_bad_ids), T_(a_thousand_rotations), T_(a_follower_of_a_live_writer),
        T_(a_follower_that_slept_says_so),
    };
    return cmocka_run_group_tests_name("logtail", tests, NULL, NULL);
}
