/* Following rotated logs: no line lost, none twice, however the rotations fall. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/cleanup.h"
#include "base/rng.h"
#include "base/strbuf.h"
#include "ctl/logfollow.h"
#include "ctl/logset.h"

enum { KEEP = 4 };
static char dir[64];

static int make_dir(void **state)
{
    (void)state;
    fixed_copy(dir, sizeof dir, "/tmp/muster-logfollow-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    static const char *const names[] = { "api.1", "api.2", "api.10", "web.1" };
    for (size_t n = 0; n < ARRAY_LEN(names); n++)
        for (int k = 0; k <= 12; k++) {
            cleanup_free char *path = k ? xasprintf("%s/%s.log.%d", dir, names[n], k) : xasprintf("%s/%s.log", dir, names[n]);
            (void)unlink(path);
        }
    return rmdir(dir);
}

static char *log_path(const char *name) { return xasprintf("%s/%s.log", dir, name); }

static void append(const char *name, const char *text)
{
    cleanup_free char *path = log_path(name);
    cleanup_close int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

/* One rename of a rotation: step KEEP-1 moves .KEEP-1 to .KEEP, ..., step 0 moves the live file to .1. */
static void rotate_step(const char *name, int step)
{
    cleanup_free char *path = log_path(name), *from = step ? xasprintf("%s.%d", path, step) : xstrdup(path), *to = xasprintf("%s.%d", path, step + 1);
    (void)rename(from, to);
}
static void rotate(const char *name)
{
    for (int step = KEEP - 1; step >= 0; step--) rotate_step(name, step);
}

struct seen { struct strbuf text; long next; bool in_order; size_t n; };
static void take(void *arg, const char *line, size_t len)
{
    struct seen *s = arg;
    strbuf_add(&s->text, line, len);
    strbuf_putc(&s->text, '|');
    s->n++;
}
static void count(void *arg, const char *line, size_t len)
{
    struct seen *s = arg;
    (void)len;
    s->in_order = s->in_order && strtol(line, NULL, 10) == s->next;
    s->next = strtol(line, NULL, 10) + 1;
    s->n++;
}

static void expect(struct logfollow *f, size_t most, const char *want)
{
    struct seen s = { .text = STRBUF_INIT };
    logfollow_read(f, most, take, &s);
    assert_string_equal(strbuf_str(&s.text), want);
    strbuf_done(&s.text);
}

static void lines_parts_and_bounds(void **state)
{
    (void)state;
    cleanup_free char *path = log_path("api.1");
    struct logfollow *f = logfollow_new(path);
    expect(f, 0, "");                           /* not there yet */
    append("api.1", "one\ntwo\nthr");
    expect(f, 1, "one|");
    expect(f, 0, "two|");
    append("api.1", "ee\n\nfive\n");
    expect(f, 0, "three||five|");
    append("api.1", "rest");
    expect(f, 0, "");
    struct seen s = { .text = STRBUF_INIT };
    logfollow_flush(f, take, &s);
    assert_string_equal(strbuf_str(&s.text), "rest|");
    strbuf_done(&s.text);
    logfollow_free(f);
}

static void rotations_between_looks(void **state)
{
    (void)state;
    cleanup_free char *path = log_path("api.1");
    append("api.1", "1\n");
    struct logfollow *f = logfollow_new(path);
    expect(f, 0, "1|");
    append("api.1", "2\n");
    rotate("api.1");
    append("api.1", "3\n");
    rotate("api.1");
    append("api.1", "4\n");
    expect(f, 0, "2|3|4|");
    rotate("api.1");                            /* no live file for a moment */
    expect(f, 0, "");
    append("api.1", "5\n");
    expect(f, 0, "5|");
    assert_int_equal(logfollow_gaps(f), 0);
    logfollow_free(f);
}

/* A log that was not there at the start, and was rotated already before the first look: all of it is new. */
static void a_new_log_rotated_before_the_first_look(void **state)
{
    (void)state;
    cleanup_free char *path = log_path("api.1");
    struct logfollow *f = logfollow_new(path);
    expect(f, 0, "");
    append("api.1", "1\n");
    rotate("api.1");
    append("api.1", "2\n");
    rotate("api.1");
    append("api.1", "3\n");
    expect(f, 0, "1|2|3|");
    assert_int_equal(logfollow_gaps(f), 0);
    logfollow_free(f);
}

static void a_follower_that_is_too_slow_says_so(void **state)
{
    (void)state;
    cleanup_free char *path = log_path("api.1");
    append("api.1", "0\n");
    struct logfollow *f = logfollow_new(path);
    for (int i = 1; i <= 9; i++) {
        cleanup_free char *line = xasprintf("%d\n", i);
        rotate("api.1");
        append("api.1", line);
    }
    expect(f, 0, "0|5|6|7|8|9|");               /* its own file, still open, then the oldest there is */
    assert_int_equal(logfollow_gaps(f), 1);
    logfollow_free(f);
}

/* A writer that rotates at random moments, also stopping between the renames of one rotation, and a reader that looks at random moments. */
static void numbered_writer_loses_nothing(void **state)
{
    (void)state;
    cleanup_free char *path = log_path("api.1");
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct rng r = { seed };
        struct seen s = { .in_order = true };
        struct logfollow *f = logfollow_new(path);
        long written = 0;
        int step = -1, unread = 0;              /* step >= 0: in the middle of a rotation */
        for (int i = 0; i < 3000; i++) {
            switch (rng_below(&r, 6)) {
            case 0: case 1: case 2:
                if (step < 0) {
                    cleanup_free char *line = xasprintf("%ld some text\n", written++);
                    append("api.1", line);
                }
                break;
            case 3:
                if (step < 0 && unread < KEEP - 1) step = KEEP - 1;
                break;
            case 4:
                if (step >= 0) {
                    rotate_step("api.1", step--);
                    if (step < 0) unread++;
                }
                break;
            default:
                logfollow_read(f, rng_below(&r, 3), count, &s);
                if (rng_below(&r, 4) == 0) {
                    if (step < 0) logfollow_read(f, 0, count, &s), unread = 0;
                }
            }
        }
        while (step >= 0) rotate_step("api.1", step--);
        append("api.1", "");
        for (int i = 0; i < 20; i++) logfollow_read(f, 0, count, &s);
        if (!s.in_order || s.next != written || logfollow_gaps(f)) fail_msg("seed %llu: %ld of %ld lines, in order %d", (unsigned long long)seed, s.next, written, s.in_order);
        logfollow_free(f);
        remove_dir(NULL), make_dir(NULL);
        free(path);
        path = log_path("api.1");
    }
}

/* A real writer beside us: a thousand rotations, as fast as a reader that never sleeps can follow within what is kept. */
static void write_and_rotate(int rotations)
{
    for (long n = 0; rotations > 0; n++) {
        cleanup_free char *line = xasprintf("%ld\n", n);
        append("api.1", line);
        if (n % 7 != 6) continue;
        rotate("api.1");
        append("api.1", "");
        rotations--;
        usleep(300);
    }
}

static void a_thousand_rotations_beside_us(void **state)
{
    (void)state;
    enum { ROTATIONS = 1000, LINES = ROTATIONS * 7 };
    cleanup_free char *path = log_path("api.1");
    struct logfollow *f = logfollow_new(path);
    struct seen s = { .in_order = true };
    pid_t pid = fork();
    if (pid == 0) {
        write_and_rotate(ROTATIONS);
        _exit(0);
    }
    for (long looks = 0; s.next < LINES && looks < 20000000; looks++) logfollow_read(f, 0, count, &s);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    for (int i = 0; i < 10; i++) logfollow_read(f, 0, count, &s);
    /* On a busy machine we may be put aside for longer than the kept files reach: that must then have been told. */
    if (logfollow_gaps(f) == 0 && (!s.in_order || s.next != LINES || s.n != LINES)) fail_msg("%ld of %d lines, in order %d", s.next, LINES, s.in_order);
    assert_int_equal(s.next, LINES);
    logfollow_free(f);
}

static void the_last_n_lines_over_files(void **state)
{
    (void)state;
    cleanup_free char *path = log_path("api.1");
    append("api.1", "1\n2\n3\n"), rotate("api.1");
    append("api.1", "4\n5\n"), rotate("api.1");
    append("api.1", ""), rotate("api.1");       /* an empty one in between */
    append("api.1", "6\n7\n");
    static const struct { size_t n; const char *want; } rows[] = { { 0, "" }, { 1, "7|" }, { 2, "6|7|" }, { 3, "5|6|7|" }, { 4, "4|5|6|7|" }, { 5, "3|4|5|6|7|" },
        { 7, "1|2|3|4|5|6|7|" }, { 100, "1|2|3|4|5|6|7|" } };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct logfollow *f = logfollow_new(path);
        logfollow_seek_last(f, rows[i].n);
        expect(f, 0, rows[i].want);
        append("api.1", "");
        logfollow_free(f);
    }
}

static void very_long_lines_come_in_pieces(void **state)
{
    (void)state;
    cleanup_free char *path = log_path("api.1"), *text = xmalloc(3 * LOGFOLLOW_LINE_MAX + 2);
    memset(text, 'x', 3 * LOGFOLLOW_LINE_MAX);
    memcpy(text + 3 * LOGFOLLOW_LINE_MAX, "\n", 2);
    append("api.1", text);
    struct logfollow *f = logfollow_new(path);
    struct seen s = { .text = STRBUF_INIT };
    assert_true(logfollow_read(f, 0, take, &s) >= 3);
    assert_int_equal(s.text.len - s.n, 3 * LOGFOLLOW_LINE_MAX);
    strbuf_done(&s.text);
    logfollow_free(f);
}

/* --- several ------------------------------------------------------------------------------------------------ */
static void merged(void *arg, size_t index, const char *name, int64_t time_ms, const char *line, size_t len)
{
    (void)index, (void)time_ms;
    strbuf_printf(arg, "%s:%.*s|", name, (int)(len > 25 ? len - 25 : len), len > 25 ? line + 25 : line);
}

static void several_are_merged_by_time(void **state)
{
    (void)state;
    struct strv none = { 0 }, api = { 0 }, one = { 0 };
    cleanup_strbuf struct strbuf out = STRBUF_INIT;
    append("api.2", "2026-11-25T10:00:01.000Z b\n2026-11-25T10:00:04.000Z d\n");
    append("api.10", "2026-11-25T10:00:02.000Z c\nno time\n");
    append("api.1", "2026-11-25T10:00:00.000Z a\n");
    append("web.1", "2026-11-25T10:00:03.000Z w\n");
    strv_push(&api, "api");
    strv_push(&one, "api.1");
    struct logset *s = logset_new(dir, &none);
    assert_int_equal(logset_count(s), 4);
    assert_string_equal(logset_name(s, 1), "api.2");        /* numbers in order of number */
    assert_int_equal(logset_widest(s), 6);
    logset_read(s, merged, &out);
    assert_string_equal(strbuf_str(&out), "api.1:a|api.2:b|api.10:c|api.10:no time|web.1:w|api.2:d|");
    logset_free(s);
    s = logset_new(dir, &api);
    assert_int_equal(logset_count(s), 3);
    assert_true(logset_matches(s, "api") && logset_matches(s, "api.10") && !logset_matches(s, "ap") && !logset_matches(s, "web"));
    logset_free(s);
    s = logset_new(dir, &one);                              /* api.10 is not api.1 */
    assert_int_equal(logset_count(s), 1);
    logset_free(s);
    strv_done(&api), strv_done(&one);
}

static void new_instances_come_in(void **state)
{
    (void)state;
    struct strv none = { 0 };
    cleanup_strbuf struct strbuf out = STRBUF_INIT;
    append("api.1", "x\n");
    struct logset *s = logset_new(dir, &none);
    logset_seek_last(s, 0);
    append("api.2", "first\n");
    append("api.1", "y\n");
    logset_rescan(s);
    logset_read(s, merged, &out);
    assert_string_equal(strbuf_str(&out), "api.1:y|api.2:first|");
    logset_free(s);
}

int main(void)
{
#define IN_DIR(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)
    const struct CMUnitTest tests[] = {
        IN_DIR(lines_parts_and_bounds), IN_DIR(rotations_between_looks), IN_DIR(a_new_log_rotated_before_the_first_look),
        IN_DIR(a_follower_that_is_too_slow_says_so), IN_DIR(numbered_writer_loses_nothing), IN_DIR(a_thousand_rotations_beside_us),
        IN_DIR(the_last_n_lines_over_files), IN_DIR(very_long_lines_come_in_pieces), IN_DIR(several_are_merged_by_time), IN_DIR(new_instances_come_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
