/* opencontainers/runc#1934, containerd/containerd#2832: a pid is used again by a stranger, and what is meant for the dead hits the stranger.
 * Here pids are used again on purpose (clone3 with set_tid), in a pid namespace of the test's own. Needs root. */
#include <linux/sched.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include "tests/tools/keeper_rig.h"

static struct rig rig;

static void start(void **state)
{
    struct keeper_options o = KEEPER_OPTIONS_INIT;
    o.no_logger = true;
    o.no_cgroups = *(bool *)*state;
    rig_start(&rig, o);
}

/* A bystander with just this pid, in a session of its own. */
static void born_as(pid_t pid)
{
    struct clone_args a = { .exit_signal = SIGCHLD, .set_tid = (uint64_t)(uintptr_t)&pid, .set_tid_size = 1 };
    long rc = syscall(SYS_clone3, &a, sizeof a);
    if (rc == 0) {
        close_range(3, ~0U, 0);         /* the keeper is to see the end of our socket */
        setsid();
        signal(SIGTERM, SIG_DFL);
        for (;;)
            pause();
    }
    if (rc != pid)
        fail_msg("clone3 as %d: %s", (int)pid, strerror(errno));
    usleep(20000);
}

static void bury(pid_t pid)
{
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void a_stranger_with_the_pid_of_a_dead_one_lives(void **state)
{
    start(state);
    struct rig_spawn w = rig_spawn_new("api.1");
    rig_child(&rig, &w, "exit", "0", NULL);
    int pid = rig_up(&rig, &w);
    rig_wait(&rig, K_EMPTY, "api.1");
    born_as(pid);
    const int signals[] = { SIGTERM, SIGKILL };
    for (size_t i = 0; i < 2; i++) {
        keeper_client_signal(rig.client, "api.1", pid, signals[i]);
        assert_int_equal(rig_reply(&rig), -ESRCH);
        keeper_client_group(rig.client, "api.1", pid, signals[i]);
        assert_int_equal(rig_reply(&rig), -ESRCH);
    }
    keeper_client_forget(rig.client, "api.1");
    assert_int_equal(rig_reply(&rig), 0);
    rig_spin(&rig, 100);
    assert_true(rig_alive(pid));
    rig_stop(&rig);
    assert_true(rig_alive(pid));            /* nor was it taken for one of ours at the end */
    bury(pid);
}

/* The main process is dead and its pid a stranger's, while the group still lives. */
static void a_kill_of_what_is_left_spares_the_stranger(void **state)
{
    start(state);
    struct rig_spawn w = rig_spawn_new("api.1");
    rig_child(&rig, &w, "orphan", rig.dir, "3", NULL);
    int pid = rig_up(&rig, &w);
    rig_exited(&rig, "api.1");
    char path[128];
    snprintf(path, sizeof path, "%s/grandchild", rig.dir);
    int grandchild = atoi(rig_text(path));
    assert_true(rig_alive(grandchild));
    born_as(pid);
    keeper_client_signal(rig.client, "api.1", pid, SIGKILL);
    assert_int_equal(rig_reply(&rig), -ESRCH);
    keeper_client_group(rig.client, "api.1", pid, SIGKILL);
    assert_int_equal(rig_reply(&rig), 0);
    rig_wait(&rig, K_EMPTY, "api.1");
    assert_false(rig_alive(grandchild));
    assert_true(rig_alive(pid));
    rig_stop(&rig);
    assert_true(rig_alive(pid));
    bury(pid);
}

static int tests_here(void)
{
    static bool with = false, without = true;
#define BOTH(f) cmocka_unit_test_prestate(f, &with), { #f " (without cgroups)", f, NULL, NULL, &without }
    const struct CMUnitTest tests[] = { BOTH(a_stranger_with_the_pid_of_a_dead_one_lives), BOTH(a_kill_of_what_is_left_spares_the_stranger) };
    return cmocka_run_group_tests_name("keeper_recycled", tests, NULL, NULL);
}

int main(void)
{
    if (geteuid() != 0 || unshare(CLONE_NEWPID | CLONE_NEWNS) < 0) {
        puts("needs root and namespaces");
        return 77;
    }
    pid_t first = fork();
    if (first == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0) {
            puts("no /proc of its own can be mounted");
            exit(77);
        }
        int rc = tests_here();
        fflush(NULL);
        _exit(rc);              /* past the leak checker, here and below: it starts a process, which a namespace without its first cannot have */
    }
    int status = 1;
    waitpid(first, &status, 0);
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}
