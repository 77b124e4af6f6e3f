/* Rotation, stamps and what happens when the disk does not take it. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "agent/logfile.h"
#include "base/file.h"
#include "base/strbuf.h"

static char dir[64];
static struct logfile f;
static const int64_t T = 1795568523004;      /* 2026-11-25T01:02:03.004Z */

static int set_up(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/muster-test-%d-XXXXXX", (int)getpid());
    assert_non_null(mkdtemp(dir));
    logfile_init(&f, dir, "api.1");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    logfile_done(&f);
    pid_t p = fork();
    if (p == 0)
        execl("/bin/rm", "rm", "-rf", dir, (char *)NULL);
    waitpid(p, NULL, 0);
    return 0;
}

static const char *text(const char *name)
{
    static char *s;
    char path[160];
    free(s);
    s = NULL;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return file_read(path, 1 << 20, &s, NULL, NULL) < 0 ? "(none)" : s;
}

static void add(const char *s) { logfile_add(&f, T, s, strlen(s)); }

static void pieces_become_lines(void **state)
{
    (void)state;
    logfile_config(&f, 0, 3, false);
    add("on");
    logfile_flush(&f, T);
    assert_string_equal(text("api.1.log"), "on");           /* nothing waits in memory */
    add("e\ntwo\nthr");
    add("ee\n");
    logfile_flush(&f, T);
    assert_string_equal(text("api.1.log"), "one\ntwo\nthree\n");
}

static void stamps_stand_at_the_start_of_lines(void **state)
{
    (void)state;
    logfile_config(&f, 0, 3, true);
    add("one\ntw");
    logfile_flush(&f, T);
    logfile_add(&f, T + 1000, "o\n\n", 3);
    logfile_flush(&f, T);
    assert_string_equal(text("api.1.log"), "2026-11-25T01:02:03.004Z one\n2026-11-25T01:02:03.004Z two\n2026-11-25T01:02:04.004Z \n");
}

static void rotates_between_lines(void **state)
{
    (void)state;
    logfile_config(&f, 10, 2, false);
    add("aaaa\nbbbb\ncccc\ndddd\neeee\nffff\ngggg\n");
    logfile_flush(&f, T);
    assert_string_equal(text("api.1.log"), "gggg\n");
    assert_string_equal(text("api.1.log.1"), "eeee\nffff\n");
    assert_string_equal(text("api.1.log.2"), "cccc\ndddd\n");
    assert_string_equal(text("api.1.log.3"), "(none)");
    logfile_config(&f, 10, 1, false);       /* fewer are kept: the rest goes */
    assert_string_equal(text("api.1.log.2"), "(none)");
    assert_string_equal(text("api.1.log.1"), "eeee\nffff\n");
}

static void keep_none(void **state)
{
    (void)state;
    logfile_config(&f, 10, 0, false);
    add("aaaa\nbbbb\ncccc\n");
    logfile_flush(&f, T);
    assert_string_equal(text("api.1.log"), "cccc\n");
    assert_string_equal(text("api.1.log.1"), "(none)");
}

static void a_line_longer_than_a_file_is_split(void **state)
{
    (void)state;
    logfile_config(&f, 10, 5, false);
    add("ab\n0123456789abcdefghijklmnop\nxy\n");
    logfile_flush(&f, T);
    struct strbuf all = STRBUF_INIT;
    for (int i = 5; i >= 0; i--) {
        char name[32];
        snprintf(name, sizeof name, i ? "api.1.log.%d" : "api.1.log", i);
        const char *s = text(name);
        if (strcmp(s, "(none)")) {
            assert_in_range(strlen(s), 1, 10);
            strbuf_puts(&all, s);
        }
    }
    assert_string_equal(strbuf_str(&all), "ab\n0123456789abcdefghijklmnop\nxy\n");
    strbuf_done(&all);
}

static void an_unfinished_line_is_not_split(void **state)
{
    (void)state;
    logfile_config(&f, 10, 5, false);
    add("aaaa\nbb");
    logfile_flush(&f, T);
    add("bbbb\ncccc\n");
    logfile_flush(&f, T);
    assert_string_equal(text("api.1.log.1"), "aaaa\nbbbbbb\n");     /* larger by the rest of its last line */
    assert_string_equal(text("api.1.log"), "cccc\n");
}

static void a_new_logger_goes_on_in_the_line(void **state)
{
    (void)state;
    logfile_config(&f, 0, 5, true);
    add("one\ntwo");
    logfile_flush(&f, T);
    logfile_done(&f);
    logfile_init(&f, dir, "api.1");
    logfile_config(&f, 0, 5, true);
    add("-two\nthree\n");
    logfile_flush(&f, T);
    assert_string_equal(text("api.1.log"), "2026-11-25T01:02:03.004Z one\n2026-11-25T01:02:03.004Z two-two\n2026-11-25T01:02:03.004Z three\n");
}

static void reopening_within_a_line_does_not_break_it(void **state)
{
    (void)state;
    logfile_config(&f, 0, 5, false);
    add("on");
    logfile_flush(&f, T);
    logfile_reopen(&f);
    add("e\n");
    logfile_flush(&f, T);
    assert_string_equal(text("api.1.log"), "one\n");
}

static void a_removed_folder_is_made_again(void **state)
{
    (void)state;
    char path[160];
    logfile_config(&f, 0, 5, false);
    add("one\n");
    logfile_flush(&f, T);
    snprintf(path, sizeof path, "%s/api.1.log", dir);
    unlink(path);
    assert_return_code(rmdir(dir), errno);
    add("two\n");
    assert_int_equal(logfile_flush(&f, T + 2000), 0);
    assert_string_equal(text("api.1.log"), "two\n");
    struct stat st;
    assert_return_code(stat(path, &st), errno);
    assert_int_equal(st.st_mode & 07777, 0640);
}

static void links_are_not_followed(void **state)
{
    (void)state;
    char path[160], target[160];
    snprintf(path, sizeof path, "%s/api.1.log", dir);
    snprintf(target, sizeof target, "%s/victim", dir);
    assert_return_code(symlink(target, path), errno);
    add("one\n");
    assert_int_equal(logfile_flush(&f, T), -ELOOP);
    assert_string_equal(text("victim"), "(none)");
    unlink(path);
    assert_return_code(mkfifo(path, 0600), errno);      /* nor does a FIFO make it hang */
    add("two\n");
    assert_int_equal(logfile_flush(&f, T), -EINVAL);
    unlink(path);
    add("three\n");
    assert_int_equal(logfile_flush(&f, T), 0);
    assert_non_null(strstr(text("api.1.log"), "muster: 2 lines (8 bytes) were lost here"));
    assert_non_null(strstr(text("api.1.log"), "three\n"));
    assert_int_equal(f.dropped_total, 2);
}

static void a_full_disk_drops_and_counts(void **state)
{
    (void)state;
    if (geteuid() != 0 || mount("none", dir, "tmpfs", 0, "size=64k") < 0) {
        print_message("skipped: needs the right to mount a tmpfs\n");
        skip();
    }
    char line[1024], path[160];
    memset(line, 'x', sizeof line);
    line[sizeof line - 1] = '\n';
    logfile_config(&f, 0, 5, false);
    int rc = 0, written = 0;
    for (int i = 0; i < 99; i++) {
        logfile_add(&f, T, line, sizeof line);
        if (i % 3 == 2 && (rc = logfile_flush(&f, T)) == 0)
            written = i + 1;
    }
    assert_int_equal(rc, -ENOSPC);
    assert_in_range(written, 40, 64);
    uint64_t dropped = f.dropped_total;
    assert_in_range(dropped, 30, 60);
    snprintf(path, sizeof path, "%s/api.1.log", dir);
    assert_int_equal(strlen(text("api.1.log")) % sizeof line, 0);       /* no torn line */
    assert_return_code(truncate(path, 2 * sizeof line), errno);
    add("after\n");
    assert_int_equal(logfile_flush(&f, T + 5000), 0);
    char want[128];
    snprintf(want, sizeof want, "muster: %d lines (", (int)dropped);
    const char *s = text("api.1.log");
    assert_non_null(strstr(s, want));
    assert_non_null(strstr(s, "No space left on device\nafter\n"));
    logfile_reopen(&f);
    assert_return_code(umount(dir), errno);
}

static void a_dropped_beginning_takes_the_rest_of_its_line_along(void **state)
{
    (void)state;
    char path[160];
    snprintf(path, sizeof path, "%s/api.1.log", dir);
    assert_return_code(mkdir(path, 0700), errno);       /* cannot be opened for writing */
    add("one\ntw");
    assert_true(logfile_flush(&f, T) < 0);
    assert_return_code(rmdir(path), errno);
    add("o\nthree\n");
    assert_int_equal(logfile_flush(&f, T), 0);
    assert_null(strstr(text("api.1.log"), "o\nthree"));
    assert_non_null(strstr(text("api.1.log"), "muster: 2 lines (8 bytes) were lost here"));
    assert_non_null(strstr(text("api.1.log"), "\nthree\n"));
}

int main(void)
{
#define T_(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T_(pieces_become_lines), T_(stamps_stand_at_the_start_of_lines), T_(rotates_between_lines), T_(keep_none),
        T_(a_line_longer_than_a_file_is_split), T_(an_unfinished_line_is_not_split), T_(a_new_logger_goes_on_in_the_line),
        T_(reopening_within_a_line_does_not_break_it), T_(a_removed_folder_is_made_again), T_(links_are_not_followed),
        T_(a_full_disk_drops_and_counts), T_(a_dropped_beginning_takes_the_rest_of_its_line_along),
    };
    return cmocka_run_group_tests_name("logfile", tests, NULL, NULL);
}
