/* The keeper for real: starts, ends, signals, groups. Each test runs with cgroups (where they can be had) and without. */
#include "tests/tools/keeper_rig.h"

static struct rig rig;

static struct keeper_options options(void **state)
{
    struct keeper_options o = KEEPER_OPTIONS_INIT;
    o.no_logger = true;
    o.no_cgroups = *(bool *)*state;
    return o;
}

static void start(void **state) { rig_start(&rig, options(state)); }

static int run_exit(const char *verb, int n, struct exit_info *ret)
{
    char arg[16];
    snprintf(arg, sizeof arg, "%d", n);
    struct rig_spawn w = rig_spawn_new("api.1");
    rig_child(&rig, &w, verb, arg, NULL);
    int pid = rig_up(&rig, &w);
    struct k_state s = rig_exited(&rig, "api.1");
    assert_int_equal(s.pid, pid);
    assert_int_equal(s.running, 0);
    rig_wait(&rig, K_EMPTY, "api.1");
    *ret = s.exit;
    return pid;
}

static void exit_codes_are_exact(void **state)
{
    start(state);
    for (int n = 0; n < 256; n += *(bool *)*state ? 51 : 1) {
        struct exit_info x;
        run_exit("exit", n, &x);
        assert_int_equal(x.kind, EXIT_KIND_CODE);
        assert_int_equal(x.value, n);
    }
    rig_stop(&rig);
}

static void signals_are_exact(void **state)
{
    start(state);
    for (int n = 1; n < 65; n++) {
        if (n == SIGCHLD || n == SIGCONT || n == SIGURG || n == SIGWINCH || n == SIGSTOP || n == SIGTSTP || n == SIGTTIN || n == SIGTTOU
            || n == 32 || n == 33)
            continue;
        struct exit_info x;
        run_exit("signal", n, &x);
        assert_int_equal(x.kind, EXIT_KIND_SIGNAL);
        assert_int_equal(x.value, n);
    }
    rig_stop(&rig);
}

static int read_pid(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", rig.dir, name);
    int pid = atoi(rig_text(path));
    unlink(path);
    return pid;
}

static void grandchildren_are_killed(void **state)
{
    start(state);
    struct rig_spawn w = rig_spawn_new("api.1");
    rig_child(&rig, &w, "family", rig.dir, NULL);
    int pid = rig_up(&rig, &w), grandchild = read_pid("grandchild");
    assert_true(grandchild > 1 && rig_alive(grandchild));
    assert_int_equal(keeper_client_group(rig.client, "api.1", pid, SIGKILL), 0);
    assert_int_equal(rig_reply(&rig), 0);
    rig_exited(&rig, "api.1");
    rig_wait(&rig, K_EMPTY, "api.1");
    assert_false(rig_alive(grandchild));
    assert_false(rig_alive(pid));
    rig_stop(&rig);
}

static void leftovers_are_seen(void **state)
{
    start(state);
    struct rig_spawn w = rig_spawn_new("api.1");
    rig_child(&rig, &w, "orphan", rig.dir, "7", NULL);
    int pid = rig_up(&rig, &w);
    struct k_state s = rig_exited(&rig, "api.1");
    int grandchild = read_pid("grandchild");
    assert_int_equal(s.exit.value, 7);
    assert_int_equal(s.populated, 1);
    assert_true(rig_alive(grandchild));
    assert_false(rig_wait_ms(&rig, K_EMPTY, "api.1", 100));
    /* neither started beside it, nor forgotten */
    w = rig_spawn_new("api.1");
    rig_child(&rig, &w, "sleep", NULL);
    assert_int_equal(rig_send(&rig, &w, -1), -EBUSY);
    keeper_client_forget(rig.client, "api.1");
    assert_int_equal(rig_reply(&rig), -EBUSY);
    /* the stop signal reaches it, too */
    keeper_client_group(rig.client, "api.1", pid, SIGTERM);
    assert_int_equal(rig_reply(&rig), 0);
    int64_t before = clock_mono_ms();
    rig_wait(&rig, K_EMPTY, "api.1");
    assert_true(clock_mono_ms() - before < 500);
    assert_false(rig_alive(grandchild));
    keeper_client_forget(rig.client, "api.1");
    assert_int_equal(rig_reply(&rig), 0);
    rig_stop(&rig);
}

static void what_forks_on_is_killed(void **state)
{
    start(state);
    for (int i = 0; i < 5; i++) {
        struct rig_spawn w = rig_spawn_new("api.1");
        rig_child(&rig, &w, "bomb", rig.dir, NULL);
        int pid = rig_up(&rig, &w);
        read_pid("bomb");
        rig_spin(&rig, 10);
        keeper_client_group(rig.client, "api.1", pid, SIGKILL);
        rig_reply(&rig);
        rig_wait(&rig, K_EMPTY, "api.1");
        char cmd[128];
        snprintf(cmd, sizeof cmd, "pgrep -f 'child bomb %s$' | wc -l", rig.dir);
        FILE *f = popen(cmd, "r");
        assert_int_equal(fgetc(f), '0');
        pclose(f);
    }
    rig_stop(&rig);
}

static void strangers_are_never_signalled(void **state)
{
    start(state);
    pid_t bystander = fork();
    if (bystander == 0) {
        setsid();
        for (;;)
            pause();
    }
    struct rig_spawn w = rig_spawn_new("api.1");
    rig_child(&rig, &w, "exit", "0", NULL);
    int dead = rig_up(&rig, &w);
    rig_wait(&rig, K_EMPTY, "api.1");
    w = rig_spawn_new("api.2");
    rig_child(&rig, &w, "sleep", NULL);
    int other = rig_up(&rig, &w);
    const struct { const char *id; int pid, signo, rc; } rows[] = {
        { "", other, SIGKILL, -EINVAL }, { "../x", other, SIGKILL, -EINVAL }, { "api.2/../x", other, SIGKILL, -EINVAL },
        { ".", other, SIGKILL, -EINVAL }, { "api.2", 0, SIGKILL, -EINVAL }, { "api.2", -1, SIGKILL, -EINVAL },
        { "api.2", 1, SIGKILL, -EINVAL }, { "api.2", -other, SIGKILL, -EINVAL }, { "api.2", bystander, SIGKILL, -ESRCH },
        { "api.2", rig.keeper, SIGKILL, -ESRCH }, { "api.1", dead, SIGKILL, -ESRCH }, { "api.1", other, SIGKILL, -ESRCH },
        { "api.1", bystander, SIGKILL, -ESRCH }, { "nobody", other, SIGKILL, -ESRCH }, { "api.2", other, 0, -EINVAL },
        { "api.2", other, 65, -EINVAL }, { "api.2", other, -9, -EINVAL }, { "api.2/x", other, SIGKILL, -ESRCH },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int group = 0; group < 2; group++) {
            (group ? keeper_client_group : keeper_client_signal)(rig.client, rows[i].id, rows[i].pid, rows[i].signo);
            int rc = rig_reply(&rig);
            if (rc != rows[i].rc)
                fail_msg("row %zu: %d, want %d", i, rc, rows[i].rc);
        }
    rig_spin(&rig, 50);
    assert_true(rig_alive(bystander) && rig_alive(other) && kill(rig.keeper, 0) == 0);
    kill(bystander, SIGKILL);
    waitpid(bystander, NULL, 0);
    rig_stop(&rig);
}

static void a_marker_alone_makes_nobody_ours(void **state)
{
    start(state);
    pid_t bystander = fork();
    if (bystander == 0) {
        setsid();
        execle(rig.child, "child", "sleep", (char *)NULL, (char *[]){ (char[]){ "MUSTER_ID=api.1" }, NULL });
        _exit(99);
    }
    usleep(20000);
    struct rig_spawn w = rig_spawn_new("api.1");
    rig_child(&rig, &w, "sleep", NULL);
    int pid = rig_up(&rig, &w);
    keeper_client_group(rig.client, "api.1", pid, SIGKILL);
    rig_wait(&rig, K_EMPTY, "api.1");
    assert_true(rig_alive(bystander));
    kill(bystander, SIGKILL);
    waitpid(bystander, NULL, 0);
    rig_stop(&rig);
}

static void signal_goes_to_the_main_process_only(void **state)
{
    start(state);
    struct rig_spawn w = rig_spawn_new("api.1");
    rig_child(&rig, &w, "family", rig.dir, NULL);
    int pid = rig_up(&rig, &w), grandchild = read_pid("grandchild");
    keeper_client_signal(rig.client, "api.1", pid, SIGTERM);
    assert_int_equal(rig_reply(&rig), 0);
    struct k_state s = rig_exited(&rig, "api.1");
    assert_int_equal(s.exit.kind, EXIT_KIND_SIGNAL);
    assert_int_equal(s.exit.value, SIGTERM);
    assert_int_equal(s.populated, 1);
    assert_true(rig_alive(grandchild));
    keeper_client_signal(rig.client, "api.1", pid, SIGTERM);
    assert_int_equal(rig_reply(&rig), -ESRCH);
    rig_stop(&rig);
    assert_false(rig_alive(grandchild));        /* it went with the keeper */
}

static void list_tells_all(void **state)
{
    start(state);
    struct rig_spawn w = rig_spawn_new("api.1");
    w.s.flags = KF_NOTIFY;
    rig_child(&rig, &w, "sleep", NULL);
    int pid = rig_up(&rig, &w);
    assert_true(rig.last_fd >= 0);
    close(rig.last_fd);
    w = rig_spawn_new("api.2");
    rig_child(&rig, &w, "exit", "3", NULL);
    rig_up(&rig, &w);
    rig_wait(&rig, K_EMPTY, "api.2");
    keeper_client_listen(rig.client, "edge", "127.0.0.1", 29471, 10);
    assert_int_equal(rig_reply(&rig), 0);
    keeper_client_list(rig.client);
    rig_wait(&rig, K_REPLY, NULL);
    assert_int_equal(rig.last.u.reply.verb, K_LIST);
    rig_wait(&rig, K_STATE, "api.1");
    assert_int_equal(rig.last.u.state.pid, pid);
    assert_true(rig.last.u.state.running && rig.last.u.state.populated && rig.last_fd >= 0);
    close(rig.last_fd);
    rig_wait(&rig, K_STATE, "api.2");
    assert_true(!rig.last.u.state.running && !rig.last.u.state.populated && rig.last_fd < 0);
    assert_int_equal(rig.last.u.state.exit.value, 3);
    rig_wait(&rig, K_HELD, "edge");
    assert_int_equal(rig.last.u.listen.port, 29471);
    keeper_client_end(rig.client);
    assert_int_equal(rig_reply(&rig), -EBUSY);
    keeper_client_group(rig.client, "api.1", pid, SIGTERM);
    rig_wait(&rig, K_EMPTY, "api.1");
    rig_reply(&rig);
    keeper_client_end(rig.client);
    assert_int_equal(rig_reply(&rig), 0);
    rig_stop(&rig);
}

static void a_helper_does_not_hold_up_the_end(void **state)
{
    start(state);
    struct rig_spawn w = rig_spawn_new("api.1/liveness");
    w.s.kind = K_HELPER;
    rig_child(&rig, &w, "stubborn", NULL);
    int pid = rig_up(&rig, &w);
    keeper_client_end(rig.client);
    assert_int_equal(rig_reply(&rig), 0);
    assert_int_equal(rig_wait_exit(rig.keeper, 3000), 0);
    assert_false(rig_alive(pid));
    rig.keeper = 0;
    rig_stop(&rig);
}

static void malformed_orders_are_refused(void **state)
{
    start(state);
    struct rig_spawn w = rig_spawn_new("../x");
    rig_child(&rig, &w, "sleep", NULL);
    assert_int_equal(rig_send(&rig, &w, -1), -EINVAL);
    w = rig_spawn_new("api.1");
    w.s.kind = 9;
    rig_child(&rig, &w, "sleep", NULL);
    assert_int_equal(rig_send(&rig, &w, -1), -EINVAL);
    w = rig_spawn_new("api.1");
    w.s.flags = 1u << 30;
    rig_child(&rig, &w, "sleep", NULL);
    assert_int_equal(rig_send(&rig, &w, -1), -EINVAL);
    w = rig_spawn_new("api.1");
    fixed_copy(w.s.listeners[0], ID_SIZE, "nothing");
    rig_child(&rig, &w, "sleep", NULL);
    assert_int_equal(rig_send(&rig, &w, -1), -ENOENT);
    w = rig_spawn_new("api.1");
    rig_child(&rig, &w, "sleep", NULL);
    spawn_record(&w.records, 'Z', "1");
    assert_int_equal(rig_send(&rig, &w, -1), 0);
    rig_wait(&rig, K_SPAWN_FAILED, "api.1");
    assert_int_equal(rig.last.u.failed.rc, -EINVAL);
    rig_stop(&rig);
}

static void twice_is_refused(void **state)
{
    start(state);
    struct rig_spawn w = rig_spawn_new("api.1");
    rig_child(&rig, &w, "sleep", NULL);
    rig_up(&rig, &w);
    w = rig_spawn_new("api.1");
    rig_child(&rig, &w, "sleep", NULL);
    assert_int_equal(rig_send(&rig, &w, -1), -EBUSY);
    rig_stop(&rig);
}

static int count_fds(void)
{
    char cmd[64];
    int n = -1;
    snprintf(cmd, sizeof cmd, "ls /proc/%d/fd | wc -l", (int)rig.keeper);
    FILE *f = popen(cmd, "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%d", &n), 1);
    pclose(f);
    return n;
}

static int count_folders(void)
{
    char cmd[256], out[64] = "";
    snprintf(cmd, sizeof cmd, "find /sys/fs/cgroup -type d -path '*/muster-%d/*' 2>/dev/null | wc -l", (int)rig.keeper);
    FILE *f = popen(cmd, "r");
    assert_non_null(f);
    assert_non_null(fgets(out, sizeof out, f));
    pclose(f);
    return atoi(out);
}

static void nothing_leaks(void **state)
{
    start(state);
    keeper_client_list(rig.client);
    assert_int_equal(rig_reply(&rig), 0);
    int fds = count_fds();
    for (int i = 0; i < 200; i++) {
        char id[32];
        snprintf(id, sizeof id, "api.%d", i);
        struct rig_spawn w = rig_spawn_new(id);
        w.s.memory_bytes = 256 << 20;
        w.s.tasks = 100;
        w.s.flags = KF_NOTIFY;
        rig_child(&rig, &w, "exit", "0", NULL);
        rig_up(&rig, &w);
        close(rig.last_fd);
        rig_wait(&rig, K_EMPTY, id);
        keeper_client_forget(rig.client, id);
        assert_int_equal(rig_reply(&rig), 0);
    }
    int left = 0;
    for (int i = 0; i < 100 && (left = count_folders()) > 0; i++)
        rig_spin(&rig, 20);
    assert_int_equal(left, 0);
    char cmd[256];
    snprintf(cmd, sizeof cmd, "ls %s/notify %s/fifo | grep -c api", rig.run, rig.run);
    FILE *f = popen(cmd, "r");
    assert_int_equal(fgetc(f), '0');
    pclose(f);
    assert_int_equal(count_fds(), fds);
    rig_stop(&rig);
    assert_int_equal(count_folders(), 0);
}

static void memory_kill_is_told(void **state)
{
    if (*(bool *)*state || geteuid() != 0) {
        print_message("skipped: needs root and cgroups\n");
        skip();
    }
    start(state);
    struct rig_spawn w = rig_spawn_new("api.1");
    w.s.memory_bytes = 32 << 20;
    rig_child(&rig, &w, "memory", "100000000", NULL);
    int pid = rig_up(&rig, &w);
    bool told = rig_wait_ms(&rig, K_OOM, "api.1", 4000);
    assert_true(rig_alive(pid));        /* a worker of it was killed, not the main process */
    rig_stop(&rig);
    assert_true(told);
}

int main(void)
{
    static bool with = false, without = true;
#define BOTH(f) cmocka_unit_test_prestate(f, &with), { #f " (without cgroups)", f, NULL, NULL, &without }
    const struct CMUnitTest tests[] = {
        BOTH(exit_codes_are_exact), BOTH(signals_are_exact), BOTH(grandchildren_are_killed), BOTH(leftovers_are_seen),
        BOTH(what_forks_on_is_killed), BOTH(strangers_are_never_signalled), BOTH(a_marker_alone_makes_nobody_ours),
        BOTH(signal_goes_to_the_main_process_only), BOTH(list_tells_all), BOTH(a_helper_does_not_hold_up_the_end), BOTH(malformed_orders_are_refused), BOTH(twice_is_refused),
        BOTH(nothing_leaks), BOTH(memory_kill_is_told),
    };
    cmocka_set_test_filter(getenv("MUSTER_TEST"));          /* one of them alone */
    return cmocka_run_group_tests_name("keeper", tests, NULL, NULL);
}
