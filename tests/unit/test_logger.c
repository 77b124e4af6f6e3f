/* The logger role for real, alone and under a keeper: nothing is lost when it is killed. This program is its own logger (--role logger). */
#include "tests/tools/keeper_rig.h"
#include <sys/syscall.h>
#include "agent/logger.h"
#include "ctl/logfollow.h"

static struct rig rig;

static struct rig_spawn lines(const char *id, const char *n, const char *us)
{
    struct rig_spawn w = rig_spawn_new(id);
    w.s.flags = KF_LOG;
    w.s.log_max_size = 100000;
    w.s.log_keep = 900;
    rig_child(&rig, &w, "lines", n, us, NULL);
    return w;
}

static const char *log_dir(void)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/log", rig.state);
    return path;
}

static void take_line(void *arg, const char *line, size_t len)
{
    strv_push_take(arg, xstrndup(line, len));
}

/* The last n lines of an instance's log over its rotated files (SIZE_MAX: all); false if there is none yet. */
static bool last_lines(const char *id, size_t n, struct strv *ret)
{
    char path[192];
    snprintf(path, sizeof path, "%s/%s.log", log_dir(), id);
    struct logfollow *f = logfollow_new(path);
    if (n == SIZE_MAX)
        logfollow_seek_oldest(f);
    else
        logfollow_seek_last(f, n);
    logfollow_read(f, 0, take_line, ret);
    logfollow_free(f);
    return ret->n > 0;
}

/* Waits until the log's last line is this one. */
static bool wait_last(const char *id, const char *want)
{
    for (int64_t end = clock_mono_ms() + RIG_WAIT_MS; clock_mono_ms() < end; rig_spin(&rig, 10)) {
        struct strv got = { 0 };
        bool same = last_lines(id, 1, &got) && got.n == 1 && !strcmp(got.v[0], want);
        strv_done(&got);
        if (same)
            return true;
    }
    return false;
}

/* Every number from 0 to n-1 in order. A piece may stand twice (the logger was killed between writing and taking). */
static void check_numbers(const char *id, int n, bool twice_allowed)
{
    struct strv got = { 0 };
    assert_true(last_lines(id, SIZE_MAX, &got));
    int next = 0;
    for (size_t i = 0; i < got.n; i++) {
        int x = -1;
        if (sscanf(got.v[i], "line %d", &x) != 1)
            continue;
        if (x > next || (x < next && !twice_allowed))
            fail_msg("%s: line %d, want %d", id, x, next);
        if (x == next)
            next++;
    }
    assert_int_equal(next, n);
    strv_done(&got);
}

static int logger_pid(void)
{
    char cmd[128];
    int pid = 0;
    snprintf(cmd, sizeof cmd, "pgrep -P %d -f 'role logger'", (int)rig.keeper);
    for (int i = 0; i < 200 && pid == 0; i++) {
        FILE *f = popen(cmd, "r");
        if (fscanf(f, "%d", &pid) != 1)
            pid = 0;
        pclose(f);
        if (!pid)
            rig_spin(&rig, 10);
    }
    return pid;
}

static void start(void) { rig_start(&rig, KEEPER_OPTIONS_INIT); }

static void output_comes_into_the_file(void **state)
{
    (void)state;
    start();
    struct rig_spawn w = lines("api.1", "1000", "0");
    rig_up(&rig, &w);
    assert_true(wait_last("api.1", "line 999"));
    check_numbers("api.1", 1000, false);
    rig_stop(&rig);
}

static void both_outputs_and_the_last_word_without_a_line_end(void **state)
{
    (void)state;
    start();
    struct rig_spawn w = rig_spawn_new("api.1");
    w.s.flags = KF_LOG | KF_LOG_TIMESTAMPS;
    w.s.log_keep = 3;
    rig_child(&rig, &w, "print", "hello ", NULL);
    rig_up(&rig, &w);
    rig_wait(&rig, K_EMPTY, "api.1");
    keeper_client_forget(rig.client, "api.1");
    assert_int_equal(rig_reply(&rig), 0);
    char path[160];
    snprintf(path, sizeof path, "%s/api.1.log", log_dir());
    const char *s = "";
    for (int i = 0; i < 200 && !strchr(s, '\n'); i++) {
        rig_spin(&rig, 10);
        s = rig_text(path);
    }
    assert_int_equal(strlen(s), 25 + 12 + 1);
    assert_string_equal(s + 25, "hello hello \n");
    snprintf(path, sizeof path, "%s/fifo/api.1", rig.run);
    for (int i = 0; i < 100 && access(path, F_OK) == 0; i++)
        rig_spin(&rig, 10);
    assert_int_equal(access(path, F_OK), -1);
    rig_stop(&rig);
}

static void a_killed_logger_loses_nothing(void **state)
{
    (void)state;
    start();
    struct rig_spawn w = lines("api.1", "6000", "200");
    rig_up(&rig, &w);
    w = lines("api.2", "20000", "0");
    rig_up(&rig, &w);
    int kills = 0;
    for (int64_t end = clock_mono_ms() + 1500; clock_mono_ms() < end; kills++) {
        int pid = logger_pid();
        rig_spin(&rig, 20 + kills % 7 * 13);
        if (pid > 0)
            kill(pid, SIGKILL);
        rig_spin(&rig, 5);
    }
    assert_true(kills > 5);
    assert_true(wait_last("api.1", "line 5999"));
    assert_true(wait_last("api.2", "line 19999"));
    check_numbers("api.1", 6000, true);
    check_numbers("api.2", 20000, true);
    rig_stop(&rig);
}

static void a_stopped_logger_is_made_up_for(void **state)
{
    (void)state;
    start();
    struct rig_spawn w = lines("api.1", "3000", "0");
    int pid = logger_pid();
    kill(pid, SIGSTOP);
    rig_up(&rig, &w);
    rig_spin(&rig, 100);
    kill(pid, SIGKILL);                     /* a new one continues */
    assert_true(wait_last("api.1", "line 2999"));
    check_numbers("api.1", 3000, false);
    rig_stop(&rig);
}

static void many_logs(void **state)
{
    (void)state;
    start();
    for (int i = 0; i < 50; i++) {
        char id[16];
        snprintf(id, sizeof id, "api.%d", i);
        struct rig_spawn w = lines(id, "200", "0");
        rig_up(&rig, &w);
    }
    for (int i = 0; i < 50; i++) {
        char id[16];
        snprintf(id, sizeof id, "api.%d", i);
        assert_true(wait_last(id, "line 199"));
        check_numbers(id, 200, false);
    }
    rig_stop(&rig);
}

/* Does the child rest, so has written all it had to? (It is neither running nor in a write.) */
static bool rests(int32_t pid)
{
    char path[64], text[128] = "";
    snprintf(path, sizeof path, "/proc/%d/syscall", (int)pid);
    FILE *f = fopen(path, "re");
    bool got = f && fgets(text, sizeof text, f);
    if (f)
        fclose(f);
    return got && strncmp(text, "running", 7) && atoi(text) != SYS_write;
}

static void wait_rests(int32_t pid)
{
    int64_t end = clock_mono_ms() + RIG_WAIT_MS;
    while (!rests(pid) && clock_mono_ms() < end)
        rig_spin(&rig, 20);
}

static void an_unwritable_log_stalls_nobody(void **state)
{
    (void)state;
    start();
    rig_spin(&rig, 50);
    char path[160];
    snprintf(path, sizeof path, "%s/api.1.log", log_dir());
    assert_return_code(mkdir(path, 0700), errno);
    struct rig_spawn w = lines("api.1", "200000", "0");     /* far more than the pipe holds */
    int32_t writer = rig_up(&rig, &w);
    w = lines("api.2", "100", "0");
    rig_up(&rig, &w);
    assert_true(wait_last("api.2", "line 99"));
    wait_rests(writer);
    rig_spin(&rig, 500);                    /* the logger takes what is still in the pipe */
    assert_return_code(rmdir(path), errno);
    w = rig_spawn_new("api.1/hook");        /* a hook's output goes to its instance's log */
    w.s.kind = K_HELPER;
    w.s.flags = KF_LOG;
    fixed_copy(w.s.log_id, ID_SIZE, "api.1");
    rig_child(&rig, &w, "print", "after\n", NULL);
    rig_up(&rig, &w);
    assert_true(wait_last("api.1", "after"));
    struct strv got = { 0 };
    assert_true(last_lines("api.1", SIZE_MAX, &got));
    int n = 0;
    assert_int_equal(sscanf(got.v[0], "muster: %d lines", &n), 1);
    assert_int_equal(n, 200000);
    strv_done(&got);
    rig_stop(&rig);
}

int main(int argc, char **argv)
{
    if (argc > 4 && !strcmp(argv[1], "--role") && !strcmp(argv[2], "logger")) {
        log_init("logger");
        return logger_main(argv[4]);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(output_comes_into_the_file), cmocka_unit_test(both_outputs_and_the_last_word_without_a_line_end),
        cmocka_unit_test(a_killed_logger_loses_nothing), cmocka_unit_test(a_stopped_logger_is_made_up_for), cmocka_unit_test(many_logs),
        cmocka_unit_test(an_unwritable_log_stalls_nobody),
    };
    return cmocka_run_group_tests_name("logger", tests, NULL, NULL);
}
