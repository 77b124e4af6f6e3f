#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <signal.h>
#include <cmocka.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "base/strbuf.h"

static char folder[64];

static char *at(const char *name)
{
    static char path[4][256];
    static int turn;
    turn = (turn + 1) % 4;
    fixed_printf(path[turn], "%s/%s", folder, name);
    return path[turn];
}

static int entries(void)
{
    int n = 0;
    DIR *d = opendir(folder);
    assert_non_null(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n - 2;
}

static void put(const char *name, const char *text)
{
    struct err e;
    assert_int_equal(file_write_atomic(at(name), text, strlen(text), 0640, 1, &e), 0);
}

static void write_and_read(void **st)
{
    (void)st;
    struct err e;
    put("a", "one");
    put("a", "two two");
    cleanup_free char *s = NULL;
    size_t len;
    assert_int_equal(file_read(at("a"), 100, &s, &len, &e), 0);
    assert_string_equal(s, "two two");
    assert_int_equal(len, 7);
    struct stat sb;
    assert_int_equal(stat(at("a"), &sb), 0);
    assert_int_equal(sb.st_mode & 07777, 0640);
    assert_int_equal(entries(), 1);
    unlink(at("a"));
}

static void bounds(void **st)
{
    (void)st;
    put("a", "12345");
    static const struct { size_t max; int rc; } rows[] = {{0, -EFBIG}, {4, -EFBIG}, {5, 0}, {6, 0}, {SIZE_MAX / 8, 0}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *s = NULL;
        struct err e = {""};
        assert_int_equal(file_read(at("a"), rows[i].max, &s, NULL, &e), rows[i].rc);
        assert_true((s != NULL) == (rows[i].rc == 0));
        assert_true((*e.text != 0) == (rows[i].rc != 0));
        free(s);
    }
    char *s = NULL;             /* says it has no size, yet has content */
    assert_int_equal(file_read("/proc/self/status", 100000, &s, NULL, NULL), 0);
    assert_true(strlen(s) > 100);
    free(s);
    assert_int_equal(file_read("/proc/self/status", 100, &s, NULL, NULL), -EFBIG);
    unlink(at("a"));
}

static void refused(void **st)
{
    (void)st;
    char *s = NULL;
    struct err e;
    assert_int_equal(mkfifo(at("fifo"), 0600), 0);
    assert_int_equal(file_read(at("none"), 10, &s, NULL, &e), -ENOENT);
    assert_non_null(strstr(e.text, "No such file"));
    assert_int_equal(file_read(folder, 10, &s, NULL, &e), -EISDIR);
    assert_int_equal(file_read(at("fifo"), 10, &s, NULL, &e), -EINVAL);        /* and does not wait for a writer */
    assert_int_equal(file_read("/dev/zero", 10, &s, NULL, &e), -EINVAL);
    assert_null(s);
    unlink(at("fifo"));
}

/* A write that fails leaves the old file and nothing else. The limit on file sizes plays the full disk. */
static void full_disk(void **st)
{
    (void)st;
    static char big[100000];
    struct rlimit old, small = {0};
    put("a", "old");
    getrlimit(RLIMIT_FSIZE, &old);
    small = old;
    small.rlim_cur = 5000;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    struct err e;
    int rc = file_write_atomic(at("a"), big, sizeof big, 0600, 1, &e);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_int_equal(rc, -EFBIG);
    cleanup_free char *s = NULL;
    assert_int_equal(file_read(at("a"), 100, &s, NULL, &e), 0);
    assert_string_equal(s, "old");
    assert_int_equal(entries(), 1);
    unlink(at("a"));
    assert_int_equal(file_write_atomic(at("no/such/folder"), "x", 1, 0600, 0, &e), -ENOENT);
    assert_int_equal(mkdir(at("d"), 0700), 0);
    assert_int_equal(file_write_atomic(at("d"), "x", 1, 0600, 0, &e), -EISDIR);        /* a folder is in the way */
    assert_int_equal(entries(), 1);
    rmdir(at("d"));
}

static void folders(void **st)
{
    (void)st;
    struct err e;
    assert_int_equal(file_mkdirs(at("x/y//z"), 0700, &e), 0);
    assert_int_equal(file_mkdirs(at("x/y/z/"), 0700, &e), 0);
    put("x/y/z/file", "1");
    assert_int_equal(file_mkdirs(at("x/y/z/file/more"), 0700, &e), -ENOTDIR);
    assert_non_null(strstr(e.text, "x/y/z/file"));
    assert_int_equal(file_mkdirs(at("x/y/z/file"), 0700, &e), -ENOTDIR);
    assert_int_equal(file_mkdirs("", 0700, &e), -EINVAL);
    assert_int_equal(file_mkdirs("/", 0700, &e), 0);
    unlink(at("x/y/z/file"));
    rmdir(at("x/y/z"));
    rmdir(at("x/y"));
    rmdir(at("x"));
    assert_int_equal(entries(), 0);
}

static void to_a_pipe(void **st)
{
    (void)st;
    int p[2];
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(pipe(p), 0);
    assert_int_equal(write_all(p[1], "abc", 3), 0);
    close(p[0]);
    assert_int_equal(write_all(p[1], "abc", 3), -EPIPE);
    assert_int_equal(write_all(p[1], "", 0), 0);
    close(p[1]);
}

static int make_folder(void **st)
{
    (void)st;
    fixed_printf(folder, "/tmp/muster-test-file-%d-XXXXXX", (int)getpid());
    return mkdtemp(folder) ? 0 : -1;
}

static int drop_folder(void **st)
{
    (void)st;
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(write_and_read), cmocka_unit_test(bounds), cmocka_unit_test(refused), cmocka_unit_test(full_disk),
        cmocka_unit_test(folders), cmocka_unit_test(to_a_pipe)};
    return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
