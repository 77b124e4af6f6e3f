/* CPU and memory of groups: from a made-up cgroup root and /proc, and once from real processes. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "agent/proc_stat.h"
#include "agent/sampler.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/strbuf.h"

static char root[64], cgroups[80], procs[80];

static void put(const char *folder, const char *name, const char *text)
{
    char path[256];
    fixed_printf(path, "%s/%s", folder, name);
    *strrchr(path, '/') = '\0';
    assert_int_equal(file_mkdirs(path, 0700, NULL), 0);
    fixed_printf(path, "%s/%s", folder, name);
    FILE *f = fopen(path, "w");         /* in place, as the kernel's files change */
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void drop(const char *folder, const char *name)
{
    char path[256];
    fixed_printf(path, "%s/%s", folder, name);
    assert_int_equal(unlink(path), 0);
}

/* utime in ticks of 10 ms (whatever sysconf says is used by both sides), rss in pages. */
static void put_process(int pid, char state, int ppid, int session, unsigned utime, unsigned cutime, unsigned rss)
{
    char name[32], text[512];
    fixed_printf(name, "%d/stat", pid);
    fixed_printf(text, "%d (odd ) name) %c %d %d %d 0 -1 4194304 1 2 3 4 %u 0 %u 0 20 0 1 0 1000 1000000 %u 18446744073709551615\n", pid, state, ppid, session, session, utime, cutime, rss);
    put(procs, name, text);
}

static double tick_pct(unsigned ticks, int64_t ms) { return (double)ticks * 1000.0 / (double)sysconf(_SC_CLK_TCK) / (double)ms * 100; }
static bool near(double a, double b) { return fabs(a - b) < 0.001; }

static void parse(void **st)
{
    (void)st;
    struct proc_stat p;
    assert_true(proc_stat_parse("12 (a) b) (c) S 5 12 12 0 -1 4194304 1 2 3 4 10 20 30 40 20 0 1 0 1000 1000000 50 0\n", &p));
    assert_true(p.pid == 12 && p.ppid == 5 && p.session == 12 && !p.zombie);
    assert_true(p.cpu_us == 100 * (1000000 / (uint64_t)sysconf(_SC_CLK_TCK)) && p.rss_bytes == 50 * (uint64_t)sysconf(_SC_PAGESIZE));
    assert_true(proc_stat_parse("12 (x) Z 5 12 12 0 -1 4194304 1 2 3 4 10 20 30 40 20 0 1 0 1000 0 0 0\n", &p) && p.zombie);
    static const char *const bad[] = {"", "12", "12 (x", "12 (x)", "12 (x) S 5", "x (x) S 5 12 12 0 -1 4194304 1 2 3 4 10 20 30 40 20 0 1 0 1000 1000000 50 0"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(proc_stat_parse(bad[i], &p));
}

static void by_cgroup(void **st)
{
    (void)st;
    struct sampler *s = sampler_new(cgroups, procs);
    struct sample_target t = {"api.1", 100, "muster-1/api.1", true};
    struct sample_result r;
    put(cgroups, "muster-1/api.1/cpu.stat", "usage_usec 1000000\nuser_usec 600000\nsystem_usec 400000\n");
    put(cgroups, "muster-1/api.1/memory.current", "123456789\n");
    put(cgroups, "muster-1/api.1/cgroup.procs", "100\n101\n102\n999\n");
    put_process(100, 'S', 1, 100, 5, 0, 10);
    put_process(101, 'S', 100, 100, 5, 0, 20);
    put_process(102, 'S', 100, 555, 5, 0, 30);          /* a session of its own does not get out of a cgroup */
    sampler_round(s, 1000, &t, 1, &r);
    assert_true(isnan(r.cpu_pct) && r.memory_bytes == 123456789 && r.workers == 2);
    put(cgroups, "muster-1/api.1/cpu.stat", "usage_usec 2500000\n");
    sampler_round(s, 2000, &t, 1, &r);
    assert_true(near(r.cpu_pct, 150));
    sampler_round(s, 2000, &t, 1, &r);                  /* no time has passed */
    assert_true(isnan(r.cpu_pct));
    sampler_round(s, 3000, &t, 1, &r);
    assert_true(near(r.cpu_pct, 0));
    put(cgroups, "muster-1/api.1/cpu.stat", "usage_usec 100\n");         /* a new cgroup of the old name */
    sampler_round(s, 4000, &t, 1, &r);
    assert_true(isnan(r.cpu_pct));
    put(cgroups, "muster-1/api.1/cpu.stat", "usage_usec 10100\n");
    sampler_round(s, 5000, &t, 1, &r);
    assert_true(near(r.cpu_pct, 1));
    t.pid = 101;                                        /* restarted */
    sampler_round(s, 6000, &t, 1, &r);
    assert_true(isnan(r.cpu_pct) && r.workers == 1);
    drop(cgroups, "muster-1/api.1/memory.current");     /* without that controller: resident memory */
    sampler_round(s, 7000, &t, 1, &r);
    assert_true(near(r.cpu_pct, 0) && r.memory_bytes == 60.0 * (double)sysconf(_SC_PAGESIZE));
    sampler_round(s, 8000, &t, 0, NULL);                /* not asked for in a round: the next one spans both */
    put(cgroups, "muster-1/api.1/cpu.stat", "usage_usec 30100\n");
    sampler_round(s, 9000, &t, 1, &r);
    assert_true(near(r.cpu_pct, 1));
    sampler_round(s, 10000 + SAMPLER_FORGET_MS, &t, 0, NULL);   /* for a minute: forgotten */
    sampler_round(s, 11000 + SAMPLER_FORGET_MS, &t, 1, &r);
    assert_true(isnan(r.cpu_pct));
    sampler_free(s);
}

/* Between whole looks the figure of CPU is new, those of memory and workers are the last ones; a new process is always looked at wholly. */
static void half_looks(void **st)
{
    (void)st;
    struct sampler *s = sampler_new(cgroups, procs);
    struct sample_target t = {"api.1", 100, "muster-1/api.3", false};
    struct sample_result r;
    put(cgroups, "muster-1/api.3/cpu.stat", "usage_usec 1000000\n");
    put(cgroups, "muster-1/api.3/memory.current", "1000\n");
    put(cgroups, "muster-1/api.3/cgroup.procs", "100\n101\n102\n");
    put_process(100, 'S', 1, 100, 5, 0, 10);
    put_process(101, 'S', 100, 100, 5, 0, 20);
    put_process(102, 'S', 100, 100, 5, 0, 20);
    sampler_round(s, 1000, &t, 1, &r);
    assert_true(r.memory_bytes == 1000 && r.workers == 2);
    put(cgroups, "muster-1/api.3/cpu.stat", "usage_usec 1500000\n");
    put(cgroups, "muster-1/api.3/memory.current", "2000\n");
    put(cgroups, "muster-1/api.3/cgroup.procs", "100\n101\n");
    sampler_round(s, 2000, &t, 1, &r);
    assert_true(near(r.cpu_pct, 50) && r.memory_bytes == 1000 && r.workers == 2);
    t.whole = true;
    sampler_round(s, 3000, &t, 1, &r);
    assert_true(near(r.cpu_pct, 0) && r.memory_bytes == 2000 && r.workers == 1);
    t = (struct sample_target){"api.1", 101, "muster-1/api.3", false};
    put(cgroups, "muster-1/api.3/memory.current", "3000\n");
    sampler_round(s, 4000, &t, 1, &r);
    assert_true(isnan(r.cpu_pct) && r.memory_bytes == 3000);
    sampler_free(s);
}

/* The open cpu.stat of a cgroup that was removed tells nothing any more; a new one may have its name. */
static void cgroup_made_anew(void **st)
{
    (void)st;
    char path[] = "/sys/fs/cgroup/unified/muster-test-XXXXXX", file[80];
    if (!mkdtemp(path)) {
        print_message("skipped: no cgroup can be made here\n");
        skip();
    }
    struct sampler *s = sampler_new("/sys/fs/cgroup/unified", NULL);
    struct sample_target t = {"api.1", getpid(), strrchr(path, '/') + 1, true};
    struct sample_result r;
    fixed_printf(file, "%s/cpu.stat", path);
    bool has = access(file, R_OK) == 0;
    sampler_round(s, 1000, &t, 1, &r);
    sampler_round(s, 2000, &t, 1, &r);
    bool before = near(r.cpu_pct, 0);
    assert_return_code(rmdir(path), errno);
    assert_return_code(mkdir(path, 0755), errno);
    sampler_round(s, 3000, &t, 1, &r);
    assert_return_code(rmdir(path), errno);
    sampler_free(s);
    assert_true(!has || (before && near(r.cpu_pct, 0)));
}

static void rubbish_in_cgroup(void **st)
{
    (void)st;
    struct sampler *s = sampler_new(cgroups, procs);
    struct sample_target t = {"api.1", 100, "muster-1/api.2", true};
    struct sample_result r;
    static const char *const stats[] = {"", "rubbish", "usage_usec", "usage_usec x\n", "not_usage_usec 5\n"};
    put(cgroups, "muster-1/api.2/memory.current", "max\n");
    put(cgroups, "muster-1/api.2/cgroup.procs", "100\nx\n-1\n10");
    put_process(100, 'S', 1, 100, 5, 0, 10);
    for (size_t i = 0; i < ARRAY_LEN(stats); i++) {
        put(cgroups, "muster-1/api.2/cpu.stat", stats[i]);
        for (int64_t at = 0; at < 2; at++)
            sampler_round(s, 1000 * (int64_t)(i * 2 + 1) + at * 1000, &t, 1, &r);
        assert_true(near(r.cpu_pct, 0));                /* falls back to its session */
    }
    put(cgroups, "muster-1/api.2/cpu.stat", "a 1\nusage_usec 50000000\n");
    sampler_round(s, 100000, &t, 1, &r);
    assert_true(isnan(r.cpu_pct));                      /* another source: not comparable */
    assert_true(r.memory_bytes == 10.0 * (double)sysconf(_SC_PAGESIZE));
    sampler_free(s);
}

static void by_session(void **st)
{
    (void)st;
    struct sampler *s = sampler_new("/no/such/root", procs);
    struct sample_target t[] = {{"api.1", 200, "muster-1/api.1", true}, {"api.2", 300, "", true}, {"api.3", 0, NULL, true}, {"api.4", 777, NULL, true}, {"api.5", 201, NULL, true}};
    struct sample_result r[5];
    double page = (double)sysconf(_SC_PAGESIZE);
    put_process(200, 'S', 1, 200, 100, 50, 10);
    put_process(201, 'S', 200, 200, 10, 0, 20);
    put_process(202, 'S', 200, 200, 10, 0, 20);
    put_process(203, 'Z', 200, 200, 7, 0, 99);          /* a zombie has used time, but is no worker and has no memory */
    put_process(204, 'S', 201, 200, 1, 0, 5);
    put_process(300, 'S', 1, 300, 1000, 0, 40);
    put_process(400, 'S', 1, 400, 99, 0, 40);           /* not ours */
    sampler_round(s, 1000, t, 5, r);
    assert_true(isnan(r[0].cpu_pct) && r[0].memory_bytes == 55 * page && r[0].workers == 2);
    assert_true(r[1].memory_bytes == 40 * page && r[1].workers == 1);
    assert_true(isnan(r[2].cpu_pct) && isnan(r[2].memory_bytes) && r[2].workers == 1);
    assert_true(isnan(r[3].memory_bytes));
    assert_true(isnan(r[4].memory_bytes));              /* shares api.1's session: cannot be told apart */
    /* 201 ended and was reaped: what it had used (10, and 5 more) is in its parent's figure now. 202 used 20. */
    drop(procs, "201/stat");
    put_process(200, 'S', 1, 200, 100, 65, 10);
    put_process(202, 'S', 200, 200, 30, 0, 20);
    put_process(204, 'S', 200, 200, 1, 0, 5);
    put_process(300, 'S', 1, 300, 1200, 0, 40);
    sampler_round(s, 2000, t, 2, r);
    assert_true(near(r[0].cpu_pct, tick_pct(25, 1000)) && r[0].workers == 2);
    assert_true(near(r[1].cpu_pct, tick_pct(200, 1000)));
    drop(procs, "202/stat");                            /* taken over and reaped by a stranger: its share is lost */
    sampler_round(s, 3000, t, 2, r);
    assert_true(isnan(r[0].cpu_pct) && near(r[1].cpu_pct, 0));
    sampler_round(s, 4000, t, 2, r);
    assert_true(near(r[0].cpu_pct, 0));
    sampler_free(s);
}

static void limits(void **st)
{
    (void)st;
    assert_true(sample_cpu_of_limit_pct(150, 1.5, 4) == 100);
    assert_true(sample_cpu_of_limit_pct(150, 0, 4) == 37.5);
    assert_true(sample_cpu_of_limit_pct(150, 0, 1) == 150);
    assert_true(sample_cpu_of_limit_pct(150, 0, 0) == 150);
    assert_true(isnan(sample_cpu_of_limit_pct(NAN, 1, 1)));
}

static _Noreturn void burn(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;)
        ;
}

/* A main process that only waits, with one child that burns: the group's figure must show it. */
static void real_processes(void **st)
{
    (void)st;
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    prctl(PR_SET_CHILD_SUBREAPER, 1);           /* the grandchild is ours to reap, too */
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        setsid();
        if (fork() == 0)
            burn();
        (void)!write(ready[1], "x", 1);
        for (;;)
            pause();
    }
    char c;
    assert_int_equal(read(ready[0], &c, 1), 1);
    struct sampler *s = sampler_new(NULL, NULL);
    struct sample_target t = {"api.1", pid, NULL, true};
    struct sample_result r;
    sampler_round(s, clock_mono_ms(), &t, 1, &r);
    bool first_is_nan = isnan(r.cpu_pct);
    usleep(600000);
    int64_t a = clock_mono_ns();
    sampler_round(s, clock_mono_ms(), &t, 1, &r);
    print_message("a round over /proc: %lld us\n", (long long)(clock_mono_ns() - a) / 1000);
    kill(-pid, SIGKILL);
    while (waitpid(-1, NULL, 0) > 0)
        ;
    sampler_round(s, clock_mono_ms(), &t, 1, &(struct sample_result){0});
    sampler_free(s);
    close(ready[0]);
    close(ready[1]);
    assert_true(first_is_nan);
    if (r.cpu_pct < 20 || r.cpu_pct > 130)
        fail_msg("%.1f%%", r.cpu_pct);
    assert_true(r.memory_bytes > 10000 && r.memory_bytes < 1e9 && r.workers == 1);
}

static int make_folder(void **st)
{
    (void)st;
    fixed_printf(root, "/tmp/muster-test-sampler-%d-XXXXXX", (int)getpid());
    if (!mkdtemp(root))
        return -1;
    fixed_printf(cgroups, "%.60s/cgroup", root);
    fixed_printf(procs, "%.60s/proc", root);
    return mkdir(cgroups, 0700) + mkdir(procs, 0700);
}

static int drop_folder(void **st)
{
    (void)st;
    char command[128];
    fixed_printf(command, "rm -rf %s", root);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(parse), cmocka_unit_test(by_cgroup), cmocka_unit_test(half_looks), cmocka_unit_test(cgroup_made_anew),
        cmocka_unit_test(rubbish_in_cgroup), cmocka_unit_test(by_session),
        cmocka_unit_test(limits), cmocka_unit_test(real_processes)};
    return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
