/* Groups as cgroups: made, entered, counted, signalled, removed; and nothing outside is touched. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "agent/group.h"
#include "agent/proc_scan.h"
#include "agent/sysx.h"
#include "model/words.h"

static struct groups g;
static const struct group_limits none;

static int set_up(void **state)
{
    (void)state;
    groups_init(&g, &(struct groups_from){ 0 });
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    groups_done(&g);
    return 0;
}

#define NEEDS_CGROUP() do { if (g.mode == GROUP_NONE) { print_message("skipped: no cgroup can be had here\n"); skip(); } } while (0)

static pid_t member(const char *name, int children)
{
    int p[2];
    char c;
    assert_return_code(pipe(p), errno);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (group_join(&g, name, false, &none) < 0)
            _exit(99);
        for (int i = 0; i < children; i++)
            if (fork() == 0) {
                setsid();
                for (;;)
                    pause();
            }
        if (write(p[1], "x", 1) != 1)
            _exit(98);
        for (;;)
            pause();
    }
    assert_int_equal(read(p[0], &c, 1), 1);
    close(p[0]);
    close(p[1]);
    return pid;
}

static void wait_empty(const char *name)
{
    for (int i = 0; i < 1000 && group_populated(&g, name) == 1; i++)
        usleep(1000);
    assert_int_equal(group_populated(&g, name), 0);
}

static void names_cannot_lead_elsewhere(void **state)
{
    (void)state;
    char name[ID_SIZE];
    group_name("api.1/liveness", name);
    assert_string_equal(name, "api.1:liveness");
    group_name("api.1", name);
    assert_string_equal(name, "api.1");
}

/* The keeper's umask is 0077, and the supervisor, another user, reads figures there. */
static void others_may_look_into_it(void **state)
{
    (void)state;
    NEEDS_CGROUP();
    struct groups own;
    struct stat st;
    mode_t was = umask(0077);
    groups_init(&own, &(struct groups_from){ 0 });
    int rc = group_make(&own, "api.1", &none);
    umask(was);
    assert_int_equal(rc, 0);
    assert_int_equal(fstat(own.base_fd, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0755);
    assert_int_equal(fstatat(own.base_fd, "api.1", &st, 0), 0);
    assert_int_equal(st.st_mode & 0777, 0755);
    groups_done(&own);
}

static void a_group_lives_and_is_killed(void **state)
{
    (void)state;
    NEEDS_CGROUP();
    assert_int_equal(group_make(&g, "api.1", &none), 0);
    assert_int_equal(group_make(&g, "api.1", &none), 0);
    assert_int_equal(group_populated(&g, "api.1"), 0);
    pid_t pid = member("api.1", 3);
    assert_int_equal(group_populated(&g, "api.1"), 1);
    assert_true(group_remove(&g, "api.1") < 0);
    assert_true(group_signal(&g, "api.1", SIGKILL, 0) > 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    wait_empty("api.1");
    assert_int_equal(group_remove(&g, "api.1"), 0);
    assert_int_equal(group_remove(&g, "api.1"), 0);
    assert_int_equal(group_populated(&g, "api.1"), 0);
}

static void a_signal_reaches_each_member_once_and_nobody_else(void **state)
{
    (void)state;
    NEEDS_CGROUP();
    group_make(&g, "api.1", &none);
    group_make(&g, "api.10", &none);
    pid_t pid = member("api.1", 4), other = member("api.10", 0);
    assert_int_equal(group_signal(&g, "api.1", SIGTERM, pid), 4);        /* all but the excepted one */
    assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
    assert_true(group_signal(&g, "api.1", SIGTERM, 0) >= 1);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    wait_empty("api.1");
    assert_int_equal(group_signal(&g, "api.1", SIGTERM, 0), 0);
    assert_int_equal(waitpid(other, NULL, WNOHANG), 0);
    group_signal(&g, "api.10", SIGKILL, 0);
    waitpid(other, NULL, 0);
    wait_empty("api.10");
    assert_int_equal(group_remove(&g, "api.1"), 0);
    assert_int_equal(group_remove(&g, "api.10"), 0);
}

static void born_into_a_group(void **state)
{
    (void)state;
    if (g.mode != GROUP_V2) {
        print_message("skipped: no cgroup v2\n");
        skip();
    }
    group_make(&g, "api.1", &none);
    int dir = group_open(&g, "api.1"), pidfd = -1;
    assert_true(dir >= 0);
    pid_t pid = sysx_clone(dir, false, &pidfd);
    if (pid == 0)
        for (;;)
            pause();
    assert_true(pid > 0 && pidfd >= 0);
    assert_int_equal(group_populated(&g, "api.1"), 1);
    assert_int_equal(sysx_pidfd_signal(pidfd, SIGKILL), 0);
    waitpid(pid, NULL, 0);
    close(pidfd);
    close(dir);
    wait_empty("api.1");
    assert_int_equal(group_remove(&g, "api.1"), 0);
}

/* The case that keeper_spawn.c works around: should it ever fail to hold there, the folder is made anew first. */
static void a_folder_made_anew_after_a_kill_can_be_born_into(void **state)
{
    (void)state;
    if (g.mode != GROUP_V2) {
        print_message("skipped: no cgroup v2\n");
        skip();
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(group_remove(&g, "api.1"), 0);
        group_make(&g, "api.1", &none);
        int dir = group_open(&g, "api.1"), pidfd = -1;
        pid_t pid = sysx_clone(dir, false, &pidfd);
        if (pid == 0)
            for (;;)
                pause();
        usleep(5000);
        assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
        group_signal(&g, "api.1", SIGKILL, 0);
        waitpid(pid, NULL, 0);
        close(pidfd);
        close(dir);
        wait_empty("api.1");
    }
    assert_int_equal(group_remove(&g, "api.1"), 0);
}

struct seen { pid_t pid; bool found; char marker[64]; };
static void on_seen(void *arg, const struct proc_seen *p)
{
    struct seen *s = arg;
    if (p->pid != s->pid)
        return;
    s->found = true;
    snprintf(s->marker, sizeof s->marker, "%s", p->marker);
    assert_true(proc_descends(p, getpid()));
    assert_false(proc_descends(p, p->pid));
    struct proc_seen other = *p;
    other.start++;                                      /* as if the pid were another process's by now */
    assert_int_equal(proc_signal(&other, SIGKILL), -ESRCH);
}

static void a_scan_finds_the_marker_and_knows_the_process_again(void **state)
{
    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        execle("/bin/sleep", "sleep", "1000", (char *)NULL, (char *[]){ (char[]){ "A=1" }, (char[]){ "MUSTER_ID=web.3" }, NULL });
        _exit(99);
    }
    struct seen s = { .pid = pid };
    for (int i = 0; i < 200 && strcmp(s.marker, "web.3"); i++, usleep(2000))
        proc_scan(on_seen, &s);
    assert_true(s.found);
    assert_string_equal(s.marker, "web.3");
    assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    s.found = false;
    proc_scan(on_seen, &s);
    assert_false(s.found);
}

static void nothing_stays_behind(void **state)
{
    (void)state;
    NEEDS_CGROUP();
    struct groups one;
    char path[512];
    groups_init(&one, &(struct groups_from){ .keeper = 1999999999 });       /* no such pid */
    const struct group_limits l = { 1 << 28, 50, 500 };
    int rc = group_make(&one, "api.1", &l);
    assert_true(rc == 0 || rc == -EOPNOTSUPP);
    assert_int_equal(group_oom_kills(&one, "api.1"), 0);
    groups_done(&one);
    snprintf(path, sizeof path, "find /sys/fs/cgroup -name muster-1999999999 2>/dev/null | grep -q .");
    assert_int_not_equal(system(path), 0);
}

static void a_name_is_nobody_elses(void **state)
{
    (void)state;
    NEEDS_CGROUP();
    struct groups one, two;
    groups_init(&one, &(struct groups_from){ .keeper = 1999999998 });
    groups_init(&two, &(struct groups_from){ .keeper = 1999999998 });       /* as in another pid namespace */
    assert_string_not_equal(one.path, two.path);
    assert_int_equal(group_make(&one, "api.1", &none), 0);
    assert_int_equal(group_make(&two, "api.1", &none), 0);
    assert_int_equal(group_remove(&two, "api.1"), 0);
    assert_int_equal(mkdirat(one.base_fd, "api.2", 0755), 0);       /* its own stays */
    groups_done(&two);
    groups_done(&one);
}

static void what_a_killed_keeper_left_is_swept(void **state)
{
    (void)state;
    NEEDS_CGROUP();
    pid_t pid = fork();
    if (pid == 0) {
        struct groups dead;
        groups_init(&dead, &(struct groups_from){ .keeper = 1999999997 });
        group_make(&dead, "api.1", &none);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    assert_int_equal(system("find /sys/fs/cgroup -name muster-1999999997 2>/dev/null | grep -q ."), 0);
    struct groups next;
    groups_init(&next, &(struct groups_from){ .keeper = 1999999996 });
    assert_int_not_equal(system("find /sys/fs/cgroup -name muster-1999999997 2>/dev/null | grep -q ."), 0);
    struct stat st;
    assert_int_equal(fstatat(g.base_fd, "cgroup.procs", &st, 0), 0);        /* those of the living stay */
    groups_done(&next);
}

int main(void)
{
#define T_(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T_(names_cannot_lead_elsewhere), T_(others_may_look_into_it), T_(a_group_lives_and_is_killed), T_(a_signal_reaches_each_member_once_and_nobody_else),
        T_(born_into_a_group), T_(a_folder_made_anew_after_a_kill_can_be_born_into), T_(a_scan_finds_the_marker_and_knows_the_process_again),
        T_(nothing_stays_behind), T_(a_name_is_nobody_elses), T_(what_a_killed_keeper_left_is_swept),
    };
    return cmocka_run_group_tests_name("group", tests, NULL, NULL);
}
