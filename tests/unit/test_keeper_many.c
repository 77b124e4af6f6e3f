/* moby/moby#29638, containerd/containerd#11087: nothing piles up, however often is started and stopped. MUSTER_STARTS says how often
 * (10,000 without it): cgroups, descriptors, FIFOs, sockets, children and the keeper's memory are as after the first hundred. */
#include "tests/tools/keeper_rig.h"

static struct rig rig;
struct held { int folders, fds, children, files; long rss_kb; };

static int count_of(const char *cmd)
{
    int n = -1;
    FILE *f = popen(cmd, "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%d", &n), 1);
    pclose(f);
    return n;
}

static struct held look(void)
{
    char cmd[512];
    struct held h;
    snprintf(cmd, sizeof cmd, "find /sys/fs/cgroup -type d -path '*/muster-%d/*' 2>/dev/null | wc -l", (int)rig.keeper);
    for (int i = 0; i < 100 && (h.folders = count_of(cmd)) > 0; i++)        /* the last one may still be on its way out */
        rig_spin(&rig, 20);
    snprintf(cmd, sizeof cmd, "ls /proc/%d/fd | wc -l", (int)rig.keeper);
    h.fds = count_of(cmd);
    snprintf(cmd, sizeof cmd, "cat /proc/%d/task/*/children | wc -w", (int)rig.keeper);
    h.children = count_of(cmd);
    snprintf(cmd, sizeof cmd, "find %s %s -name '*api*' | wc -l", rig.run, rig.state);
    h.files = count_of(cmd);
    snprintf(cmd, sizeof cmd, "awk '/^VmRSS/ {print $2}' /proc/%d/status", (int)rig.keeper);
    h.rss_kb = count_of(cmd);
    return h;
}

/* One start and its end: by itself, by a signal, or killed with a grandchild; every second one under a name of its own. */
static void round_trip(int i)
{
    char id[32] = "api.1";
    if (i % 2)
        snprintf(id, sizeof id, "api.%d", i);
    struct rig_spawn w = rig_spawn_new(id);
    w.s.tasks = 100;
    w.s.flags = KF_NOTIFY;
    if (i % 5 == 4)
        rig_child(&rig, &w, "family", rig.dir, NULL);
    else
        rig_child(&rig, &w, "exit", "0", NULL);
    int pid = rig_up(&rig, &w);
    close(rig.last_fd);
    if (i % 5 == 4) {
        keeper_client_group(rig.client, id, pid, SIGKILL);
        rig_reply(&rig);
    }
    rig_wait(&rig, K_EMPTY, id);
    rig_take(&rig, K_EXITED, id);
    keeper_client_forget(rig.client, id);
    assert_int_equal(rig_reply(&rig), 0);
}

static void nothing_piles_up(void **state)
{
    struct keeper_options o = KEEPER_OPTIONS_INIT;
    o.no_logger = true;
    o.no_cgroups = *(bool *)*state;
    const char *asked = getenv("MUSTER_STARTS");
    int n = asked ? atoi(asked) : 10000, i = 0;
    rig_start(&rig, o);
    keeper_client_list(rig.client);
    assert_int_equal(rig_reply(&rig), 0);
    for (; i < 100; i++)
        round_trip(i);
    struct held first = look();
    /* without cgroups each end is a walk through /proc, so fewer; and a loaded machine does what it can in 20 s */
    int64_t until = clock_mono_ms() + (asked ? 3600000 : o.no_cgroups ? 3000 : 20000);
    for (; i < n && clock_mono_ms() < until; i++)
        round_trip(i);
    struct held last = look();
    print_message("%d starts\n", i);
    assert_int_equal(last.folders, 0);
    assert_int_equal(first.folders, 0);
    assert_int_equal(last.fds, first.fds);
    assert_int_equal(last.children, first.children);
    assert_int_equal(last.files, 0);
    assert_true(last.rss_kb <= first.rss_kb + 256);
    rig_stop(&rig);
}

int main(void)
{
    static bool with = false, without = true;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(nothing_piles_up, &with), { "nothing_piles_up (without cgroups)", nothing_piles_up, NULL, NULL, &without },
    };
    return cmocka_run_group_tests_name("keeper_many", tests, NULL, NULL);
}
