/* The keeper with its roles: they die and come again, instances stay; it ends in order, or by force. This program is its own
 * (small) supervisor and its logger, by --role. */
#include "tests/tools/keeper_rig.h"
#include "agent/logger.h"

static struct rig rig;

static char *path_in(const char *dir, const char *name)
{
    static char path[4][160];
    static int n;
    n = (n + 1) % 4;
    snprintf(path[n], sizeof path[n], "%.80s/%s", dir, name);
    return path[n];
}

static void write_text(const char *path, mode_t mode, const char *fmt, ...)
{
    char tmp[200];
    va_list ap;
    snprintf(tmp, sizeof tmp, "%s.tmp", path);
    FILE *f = fopen(tmp, "we");
    if (!f)
        exit(90);
    va_start(ap, fmt);
    vfprintf(f, fmt, ap);
    va_end(ap);
    fclose(f);
    chmod(tmp, mode);
    rename(tmp, path);
}

/* --- the small supervisor: keeps one instance, ends it on TERM (unless state/deaf is there) ------------------------------- */

static struct { uv_loop_t loop; struct keeper_client *c; const char *state; int pid; bool ending, deaf; } sup;

static void sup_spawn(void)
{
    struct rig_spawn w = rig_spawn_new("api.1");
    w.s.flags = KF_LOG;
    spawn_record(&w.records, 'A', "%s", rig.child);
    spawn_record(&w.records, 'A', "sleep");
    keeper_client_spawn(sup.c, &w.s, &w.records, -1);
    strbuf_done(&w.records);
}

static void sup_msg(void *arg, const struct k_msg *m, int fd)
{
    (void)arg, (void)fd;
    if (m->verb == K_STATE || m->verb == K_SPAWNED)
        sup.pid = m->u.state.running ? m->u.state.pid : 0;
    if (m->verb == K_REPLY && m->u.reply.verb == K_END && m->u.reply.rc == 0)
        exit(0);
    if (m->verb == K_REPLY && m->u.reply.verb == K_LIST && !sup.pid)
        sup_spawn();
    if (sup.pid && (m->verb == K_SPAWNED || m->verb == K_REPLY))
        write_text(path_in(sup.state, "up"), 0644, "%d %d\n", getpid(), sup.pid);
    if (m->verb == K_EMPTY && sup.ending)
        keeper_client_end(sup.c);
}

static void sup_gone(void *arg)
{
    (void)arg;
    exit(0);
}

static void sup_term(uv_signal_t *s, int signo)
{
    (void)s, (void)signo;
    sup.ending = true;
    if (!sup.deaf)
        keeper_client_group(sup.c, "api.1", sup.pid, SIGTERM);
}

static int supervisor(const char *state)
{
    static const struct keeper_client_ops ops = { sup_msg, sup_gone };
    uv_signal_t term;
    rig_paths(&rig);                        /* only for the child's path */
    rmdir(rig.dir);
    sup.state = state;
    sup.deaf = access(path_in(state, "deaf"), F_OK) == 0;
    uv_loop_init(&sup.loop);
    uv_signal_init(&sup.loop, &term);
    uv_signal_start(&term, sup_term, SIGTERM);
    sup.c = keeper_client_new(&sup.loop, KEEPER_FD, &ops, NULL);
    keeper_client_list(sup.c);
    uv_run(&sup.loop, UV_RUN_DEFAULT);
    return 0;
}

/* --- the tests ----------------------------------------------------------------------------------------------------------- */

static pid_t run_keeper(const char *controller, const char *errors)
{
    struct keeper_options o = KEEPER_OPTIONS_INIT;
    o.state_dir = rig.state;
    o.run_dir = rig.run;
    o.controller = controller;
    pid_t pid = fork();
    if (pid == 0) {
        int fd = errors ? open(errors, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644) : -1;
        if (fd >= 0)
            dup2(fd, 2);
        log_init("keeper");
        _exit(keeper_run(&o));
    }
    return pid;
}

static void set_up_folders(void)
{
    memset(&rig, 0, sizeof rig);
    rig_paths(&rig);
    mkdir(rig.state, 0755);
}

/* The supervisor's and the instance's pid, told by a supervisor other than `not`. */
static void wait_up(int not, int *ret_supervisor, int *ret_instance)
{
    for (int i = 0; i < 5000; i++, usleep(2000)) {
        *ret_supervisor = 0;
        if (access(path_in(rig.state, "up"), F_OK) == 0
            && sscanf(rig_text(path_in(rig.state, "up")), "%d %d", ret_supervisor, ret_instance) == 2 && *ret_supervisor != not)
            return;
    }
    fail_msg("no supervisor came up");
}

static void the_supervisor_may_die(void **state)
{
    (void)state;
    set_up_folders();
    pid_t keeper = run_keeper(NULL, NULL);
    int supervisor_pid = 0, instance, again;
    wait_up(0, &supervisor_pid, &instance);
    for (int i = 0; i < 4; i++) {
        int64_t before = clock_mono_ms();
        kill(supervisor_pid, SIGKILL);
        wait_up(supervisor_pid, &supervisor_pid, &again);
        assert_true(clock_mono_ms() - before < 1500);
        assert_int_equal(again, instance);
        assert_true(rig_alive(instance));
    }
    kill(keeper, SIGHUP);                   /* a terminal that closes ends nothing */
    usleep(50000);
    assert_true(rig_alive(keeper) && rig_alive(instance));
    assert_int_equal(atoi(rig_text(path_in(rig.run, "keeper.pid"))), keeper);
    kill(keeper, SIGTERM);
    assert_int_equal(rig_wait_exit(keeper, 8000), 0);
    assert_false(rig_alive(instance));
    assert_false(rig_alive(supervisor_pid));
    assert_int_equal(access(path_in(rig.run, "keeper.pid"), F_OK), -1);
    rig_remove(rig.dir);
}

static void a_second_keeper_refuses(void **state)
{
    (void)state;
    set_up_folders();
    pid_t keeper = run_keeper(NULL, NULL);
    int supervisor_pid, instance;
    wait_up(0, &supervisor_pid, &instance);
    char *errors = xstrdup(path_in(rig.dir, "errors"));
    pid_t second = run_keeper(NULL, errors);
    int status = rig_wait_exit(second, 3000);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_FAILURE);
    char want[200];
    snprintf(want, sizeof want, "muster already runs with %s (its keeper is pid %d)", rig.state, (int)keeper);
    assert_non_null(strstr(rig_text(errors), want));
    free(errors);
    assert_true(rig_alive(instance));
    kill(keeper, SIGTERM);
    assert_int_equal(rig_wait_exit(keeper, 8000), 0);
    rig_remove(rig.dir);
}

static void a_second_term_kills(void **state)
{
    (void)state;
    set_up_folders();
    write_text(path_in(rig.state, "deaf"), 0644, "\n");
    pid_t keeper = run_keeper(NULL, NULL);
    int supervisor_pid, instance;
    wait_up(0, &supervisor_pid, &instance);
    kill(keeper, SIGTERM);
    usleep(300000);
    assert_true(rig_alive(keeper) && rig_alive(instance));     /* it goes on waiting */
    kill(keeper, SIGINT);
    assert_int_equal(rig_wait_exit(keeper, 9000), 0);
    assert_false(rig_alive(instance));
    rig_remove(rig.dir);
}

static void a_supervisor_that_dies_while_draining_is_told_again(void **state)
{
    (void)state;
    set_up_folders();
    char *deaf = xstrdup(path_in(rig.state, "deaf"));
    write_text(deaf, 0644, "\n");
    pid_t keeper = run_keeper(NULL, NULL);
    int supervisor_pid, instance;
    wait_up(0, &supervisor_pid, &instance);
    kill(keeper, SIGTERM);
    usleep(100000);
    unlink(deaf);
    free(deaf);
    kill(supervisor_pid, SIGKILL);
    assert_int_equal(rig_wait_exit(keeper, 8000), 0);
    assert_false(rig_alive(instance));
    rig_remove(rig.dir);
}

static void the_controller_has_its_own_session(void **state)
{
    (void)state;
    set_up_folders();
    char *script = xstrdup(path_in(rig.dir, "controller"));
    write_text(script, 0755, "#!/bin/sh\necho $$ $(ps -o sid= -p $$) \"$@\" >%s/seen.tmp; mv %s/seen.tmp %s/seen\nexec sleep 1000\n", rig.dir, rig.dir, rig.dir);
    pid_t keeper = run_keeper(script, NULL);
    int pid = 0, sid = 0, again = 0, supervisor_pid, instance;
    char rest[400] = "", want[400];
    wait_up(0, &supervisor_pid, &instance);
    assert_int_equal(sscanf(rig_text(path_in(rig.dir, "seen")), "%d %d %399[^\n]", &pid, &sid, rest), 3);
    assert_int_equal(pid, sid);
    snprintf(want, sizeof want, "--state %s --run %s", rig.state, rig.run);
    assert_string_equal(rest, want);
    unlink(path_in(rig.dir, "seen"));
    kill(pid, SIGKILL);
    assert_int_equal(sscanf(rig_text(path_in(rig.dir, "seen")), "%d", &again), 1);
    assert_true(again != pid && rig_alive(again) && rig_alive(instance));
    kill(keeper, SIGTERM);
    assert_int_equal(rig_wait_exit(keeper, 8000), 0);
    assert_false(rig_alive(again));
    free(script);
    rig_remove(rig.dir);
}

static void folders_of_others_are_refused(void **state)
{
    (void)state;
    set_up_folders();
    mkdir(rig.run, 0755);
    assert_return_code(symlink("/tmp", path_in(rig.run, "fifo")), errno);
    pid_t keeper = run_keeper(NULL, path_in(rig.dir, "errors"));
    int status = rig_wait_exit(keeper, 3000);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_FAILURE);
    assert_non_null(strstr(rig_text(path_in(rig.dir, "errors")), "fifo is not a folder of the user"));
    rig_remove(rig.dir);
}

int main(int argc, char **argv)
{
    if (argc > 4 && !strcmp(argv[1], "--role")) {
        log_init(argv[2]);
        return !strcmp(argv[2], "logger") ? logger_main(argv[4]) : supervisor(argv[4]);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_supervisor_may_die), cmocka_unit_test(a_second_keeper_refuses), cmocka_unit_test(a_second_term_kills),
        cmocka_unit_test(a_supervisor_that_dies_while_draining_is_told_again), cmocka_unit_test(the_controller_has_its_own_session),
        cmocka_unit_test(folders_of_others_are_refused),
    };
    return cmocka_run_group_tests_name("keeper: roles", tests, NULL, NULL);
}
