/* SIGHUP: the keeper is replaced in place by the program on disk, N -> N+1 -> N, while processes are started and killed. This program is the
 * keeper, too (--keeper), under two names: `now`, and `next`, a version whose records are longer and of which there is a kind more. */
#include "tests/tools/keeper_rig.h"
#include <dirent.h>
#include <sys/mman.h>
#include "agent/keeper_record.h"

static struct rig rig;
static char agent[120], logged[120];
static int terminal = -1;                   /* its master: the keeper's controlling terminal */

/* --- another version's records ------------------------------------------------------------------------------------------- */

enum { SEALS = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL, MORE = 24, LESS = 40 };

static int running_as_next(void)
{
    char exe[300] = "";
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    return n > 5 && !strcmp(exe + n - 5, "/next");
}

/* What `now` left looks short to `next`: it knows fields at the end that are not there. What `next` left is longer than `now` knows. */
static size_t other_record(char *to, const char *from, const struct rec_head *h)
{
    char body[REC_SIZE_MAX];
    size_t size = h->size;
    memset(body, 0xaa, sizeof body);
    memcpy(body, from + sizeof *h, size);
    if (!running_as_next())
        size += MORE;
    else if (h->kind == REC_SLOT)
        size -= LESS;               /* of failure_detail */
    return rec_put(to, (enum rec_kind)h->kind, h->seq, body, size);
}

static void other_version(void)
{
    static char in[1 << 20], out[2 << 20];
    const char *var = getenv("MUSTER_HANDOVER");
    if (!var)
        return;
    int fd = atoi(var);
    ssize_t n = pread(fd, in, sizeof in, 0);
    size_t at = 0, len = 0;
    struct rec_head h;
    for (; n > 0 && rec_whole(in + at, (size_t)n - at, &h); at += sizeof h + h.size) {
        len += other_record(out + len, in + at, &h);
        if (h.kind == REC_KEEPER)
            len += rec_put(out + len, (enum rec_kind)77, 0, "of a kind unknown", 18);
    }
    int other = memfd_create("other", MFD_ALLOW_SEALING);
    if (write(other, out, len) != (ssize_t)len || fcntl(other, F_ADD_SEALS, SEALS) < 0 || dup2(other, fd) != fd)
        exit(99);
    close(other);
}

/* argv: agent --keeper STATE RUN NO_CGROUPS */
static int keeper_main(char **argv)
{
    struct keeper_options o = KEEPER_OPTIONS_INIT;
    o.state_dir = argv[2];
    o.run_dir = argv[3];
    o.no_cgroups = atoi(argv[4]);
    o.no_logger = true;
    o.argv = argv;
    other_version();
    log_init("keeper");
    return keeper_run(&o);
}

/* --- the rig --------------------------------------------------------------------------------------------------------------- */

static char *path_in(const char *name)
{
    static char path[4][200];
    static int n;
    n = (n + 1) % 4;
    snprintf(path[n], sizeof path[n], "%s/%s", rig.dir, name);
    return path[n];
}

static void copy_program(const char *name)
{
    char *data;
    size_t len;
    assert_int_equal(file_read("/proc/self/exe", 256 << 20, &data, &len, NULL), 0);
    assert_int_equal(file_write_atomic(path_in(name), data, len, 0755, 0, NULL), 0);
    free(data);
}

static void install(const char *name)
{
    unlink(path_in("agent"));
    if (name)
        assert_return_code(symlink(path_in(name), path_in("agent")), errno);
}

/* As rig_start, but what it says goes to a file, and it knows how it was started. */
static void start(bool no_cgroups)
{
    static const struct keeper_client_ops ops = { rig_on_msg, rig_on_end };
    static char *argv[6];
    int sv[2];
    memset(&rig, 0, sizeof rig);
    rig_paths(&rig);
    snprintf(agent, sizeof agent, "%s/agent", rig.dir);
    snprintf(logged, sizeof logged, "%s/logged", rig.dir);
    copy_program("now");
    copy_program("next");
    install("now");
    char *const list[] = { agent, (char[]){ "--keeper" }, rig.state, rig.run, no_cgroups ? (char[]){ "1" } : (char[]){ "0" }, NULL };
    memcpy(argv, list, sizeof list);
    assert_return_code(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv), errno);
    rig.keeper = fork();
    if (rig.keeper == 0) {
        struct keeper_options o = KEEPER_OPTIONS_INIT;
        o.state_dir = rig.state;
        o.run_dir = rig.run;
        o.no_cgroups = no_cgroups;
        o.no_logger = true;
        o.supervisor_fd = sv[1];
        o.argv = argv;
        close(sv[0]);
        setsid();
        if (terminal >= 0 && (open(ptsname(terminal), O_RDWR | O_CLOEXEC) < 0 || close(terminal) < 0))
            _exit(98);
        int fd = open(logged, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        dup2(fd, 2);
        close(fd);
        log_init("keeper");
        _exit(keeper_run(&o));
    }
    close(sv[1]);
    uv_loop_init(&rig.loop);
    rig.client = keeper_client_new(&rig.loop, sv[0], &ops, &rig);
    keeper_client_list(rig.client);
    assert_int_equal(rig_reply(&rig), 0);       /* it is up: a signal before would only end it */
}

static bool says(const char *what) { return strstr(rig_text(logged), what) != NULL; }

static int count(const char *what)
{
    int n = 0;
    for (const char *s = rig_text(logged); (s = strstr(s, what)); s++)
        n++;
    return n;
}

static bool within(int ms, bool (*is)(const char *), const char *what)
{
    for (int64_t end = clock_mono_ms() + ms; clock_mono_ms() < end; rig_spin(&rig, 5))
        if (is(what))
            return true;
    return false;
}

static bool runs_as(const char *name)
{
    char exe[300] = "", link[40];
    snprintf(link, sizeof link, "/proc/%d/exe", (int)rig.keeper);
    ssize_t n = readlink(link, exe, sizeof exe - 1);
    return n > 0 && !strcmp(exe, path_in(name));
}

static void replace(const char *name)
{
    install(name);
    kill(rig.keeper, SIGHUP);
    if (!within(5000, runs_as, name))
        fail_msg("not replaced by %s; it says:\n%s", name, rig_text(logged));
}

/* The fewest of several looks: a keeper that walks through /proc has a few more for a moment. */
static int fds_open(void)
{
    char path[40];
    int least = 1 << 20;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)rig.keeper);
    keeper_client_unlisten(rig.client, "nobody");       /* a keeper that has just been replaced opens what it needs before it answers */
    assert_int_equal(rig_reply(&rig), 0);
    for (int i = 0; i < 20; i++, rig_spin(&rig, 3)) {
        int n = 0;
        DIR *d = opendir(path);
        assert_non_null(d);
        while (readdir(d))
            n++;
        closedir(d);
        least = n < least ? n : least;
    }
    return least;
}

static int up(const char *id, const char *verb)
{
    struct rig_spawn w = rig_spawn_new(id);
    w.s.flags = KF_NOTIFY;
    rig_child(&rig, &w, verb, rig.dir, "3", NULL);
    int pid = rig_up(&rig, &w);
    if (rig.last_fd >= 0)
        close(rig.last_fd);
    return pid;
}

static struct k_state listed(const char *id)
{
    keeper_client_list(rig.client);
    assert_int_equal(rig_reply(&rig), 0);
    rig_wait(&rig, K_STATE, id);
    struct k_state s = rig.last.u.state;
    while (rig_take(&rig, K_STATE, NULL) || rig_take(&rig, K_HELD, NULL))
        if (rig.last_fd >= 0)
            close(rig.last_fd);
    return s;
}

/* --- the tests ------------------------------------------------------------------------------------------------------------------ */

static void all_is_kept(void **state)
{
    start(*(bool *)*state);
    int first = up("api.1", "sleep"), second = up("api.2", "sleep"), orphan = up("api.3", "orphan");
    rig_wait(&rig, K_EXITED, "api.3");
    keeper_client_listen(rig.client, "edge", "127.0.0.1", 29481, 0);
    assert_int_equal(rig_reply(&rig), 0);
    replace("next");                        /* the first one has descriptors of this test */
    int fds = fds_open();
    struct k_state was = listed("api.1");
    for (int i = 0; i < 6; i++) {
        replace(i % 2 ? "next" : "now");
        struct k_state is = listed("api.1");
        assert_int_equal(is.pid, first);
        assert_memory_equal(&is, &was, sizeof is);
        assert_int_equal(listed("api.2").pid, second);
        struct k_state left = listed("api.3");
        assert_true(left.pid == orphan && !left.running && left.populated && left.exit.kind == EXIT_KIND_CODE && left.exit.value == 3);
        keeper_client_listen(rig.client, "edge", "127.0.0.1", 29481, 0);
        assert_int_equal(rig_reply(&rig), 0);           /* held already, or the address would be in use */
        assert_int_equal(fds_open(), fds);
    }
    /* exits, signals, groups and new starts as ever; statuses exact */
    keeper_client_signal(rig.client, "api.1", first, SIGUSR1);
    assert_int_equal(rig_reply(&rig), 0);
    struct k_state s = rig_exited(&rig, "api.1");
    assert_true(s.pid == first && s.exit.kind == EXIT_KIND_SIGNAL && s.exit.value == SIGUSR1);
    rig_wait(&rig, K_EMPTY, "api.1");
    assert_true(up("api.1", "sleep") != first);
    keeper_client_group(rig.client, "api.3", orphan, SIGKILL);
    assert_int_equal(rig_reply(&rig), 0);
    rig_wait(&rig, K_EMPTY, "api.3");
    keeper_client_forget(rig.client, "api.3");
    assert_int_equal(rig_reply(&rig), 0);
    assert_true(rig_alive(second));
    rig_stop(&rig);
    assert_false(rig_alive(second));
}

/* One after the other, without waiting: nothing is answered twice or never, no exit is lost, no start is doubled. */
static void under_a_stream_of_starts_and_kills(void **state)
{
    enum { IDS = 24, ROUNDS = 20000 };
    int pids[IDS] = { 0 }, replaced = 0, exits = 0;
    bool busy[IDS] = { false };
    start(*(bool *)*state);
    up("warm", "sleep");
    replace("next");
    int fds = fds_open();
    int64_t end = clock_mono_ms() + (*(bool *)*state ? 2500 : 4000), next_hup = 0;
    for (int round = 0; round < ROUNDS && clock_mono_ms() < end; round++) {
        int i = round * 7 % IDS;
        char id[ID_SIZE];
        snprintf(id, sizeof id, "api.%d", i);
        if (!pids[i]) {
            struct rig_spawn w = rig_spawn_new(id);
            rig_child(&rig, &w, "sleep", NULL);
            assert_int_equal(rig_send(&rig, &w, -1), 0);
            busy[i] = true;
        } else {
            keeper_client_group(rig.client, id, pids[i], SIGKILL);
            assert_int_equal(rig_reply(&rig), 0);
        }
        if (clock_mono_ms() >= next_hup) {
            kill(rig.keeper, SIGHUP);
            next_hup = clock_mono_ms() + 60;
        }
        if (busy[i]) {
            rig_wait(&rig, K_SPAWNED, id);
            pids[i] = rig.last.u.state.pid;
            busy[i] = false;
        } else {
            struct k_state s = rig_exited(&rig, id);
            assert_true(s.pid == pids[i] && s.exit.kind == EXIT_KIND_SIGNAL && s.exit.value == SIGKILL);
            rig_wait(&rig, K_EMPTY, id);
            pids[i] = 0;
            exits++;
        }
    }
    replaced = count("was replaced by");
    print_message("%d exits, replaced %d times\n", exits, replaced);
    assert_true(replaced >= 10 && exits >= 20);
    for (int i = 0; i < IDS; i++)
        assert_true(!pids[i] || rig_alive(pids[i]));
    for (int i = 0; i < IDS; i++) {
        char id[ID_SIZE];
        snprintf(id, sizeof id, "api.%d", i);
        if (!pids[i])
            continue;
        keeper_client_group(rig.client, id, pids[i], SIGKILL);
        assert_int_equal(rig_reply(&rig), 0);
        rig_exited(&rig, id);
        rig_wait(&rig, K_EMPTY, id);
    }
    rig_spin(&rig, 200);
    assert_int_equal(fds_open(), fds);
    assert_int_equal(rig.n, 0);             /* nothing was said twice */
    rig_stop(&rig);
}

/* The children have not executed anything yet (their orders are long), and do so under the next keeper: the report of one comes, and the failure
 * of the other. */
static void a_start_that_is_under_way(void **state)
{
    start(*(bool *)*state);
    static const char *const ids[] = { "api.1", "api.2" };
    for (int i = 0; i < 2; i++) {
        struct rig_spawn w = rig_spawn_new(ids[i]);
        rig_child(&rig, &w, "sleep", NULL);
        for (int j = 0; j < 12000; j++)
            spawn_record(&w.records, 'E', "VARIABLE_%d=x", j);
        if (i)
            spawn_record(&w.records, 'D', "/nonexistent");
        assert_int_equal(rig_send(&rig, &w, -1), 0);
    }
    replace("next");
    assert_false(rig_take(&rig, K_SPAWNED, "api.1") || rig_take(&rig, K_SPAWN_FAILED, "api.2"));
    replace("now");
    rig_wait(&rig, K_SPAWNED, "api.1");
    assert_true(rig_alive(rig.last.u.state.pid));
    rig_wait(&rig, K_SPAWN_FAILED, "api.2");
    assert_int_equal(rig.last.u.failed.stage, STAGE_CHDIR);
    assert_string_equal(rig.last.u.failed.detail, "cannot enter /nonexistent: no such file or directory");
    rig_stop(&rig);
}

static void a_program_that_cannot_take_over(void **state)
{
    start(*(bool *)*state);
    int pid = up("api.1", "sleep");
    install(NULL);
    kill(rig.keeper, SIGHUP);
    assert_true(within(3000, says, "cannot take over (exit code 127): going on as before"));
    assert_true(says("No such file or directory"));
    static const struct { const char *text; const char *want; } rows[] = {
        { "#!/bin/sh\nexit 3\n", "cannot take over (exit code 3)" },
        { "#!/bin/sh\nkill -9 $$\n", "cannot take over (signal 9)" },
        { "\177ELF and nothing", "Exec format error" },
        { "#!/nonexistent/loader\n", "cannot take over (exit code 127)" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(file_write_atomic(path_in("broken"), rows[i].text, strlen(rows[i].text), 0755, 0, NULL), 0);
        install("broken");
        int before = count("going on as before");
        kill(rig.keeper, SIGHUP);
        for (int j = 0; j < 600 && count("going on as before") == before; j++)
            rig_spin(&rig, 5);
        if (count("going on as before") != before + 1 || !says(rows[i].want))
            fail_msg("row %zu; it says:\n%s", i, rig_text(logged));
    }
    assert_int_equal(count("was replaced"), 0);
    assert_int_equal(listed("api.1").pid, pid);
    assert_true(rig_alive(pid));
    replace("next");                        /* and then it can */
    assert_int_equal(listed("api.1").pid, pid);
    rig_stop(&rig);
}

/* A variable that came down from elsewhere is no handover. */
static void a_foreign_variable_means_nothing(void **state)
{
    setenv("MUSTER_HANDOVER", "2", 1);
    start(*(bool *)*state);
    unsetenv("MUSTER_HANDOVER");
    struct rig_spawn w = rig_spawn_new("api.1");
    assert_return_code(chmod(rig.dir, 01777), errno);
    rig_child(&rig, &w, "report", path_in("report"), NULL);
    rig_up(&rig, &w);
    assert_null(strstr(rig_text(path_in("report")), "HANDOVER"));
    replace("next");
    listed("api.1");
    assert_int_equal(count("was replaced"), 1);
    rig_stop(&rig);
}

/* The kernel's own SIGHUP, of a terminal that goes away. */
static void a_terminal_that_closes_means_nothing(void **state)
{
    terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(terminal >= 0 && grantpt(terminal) == 0 && unlockpt(terminal) == 0);
    start(*(bool *)*state);
    int pid = up("api.1", "sleep");
    close(terminal);
    terminal = -1;
    rig_spin(&rig, 300);
    listed("api.1");
    assert_int_equal(count("was replaced"), 0);
    assert_true(rig_alive(pid) && rig_alive(rig.keeper));
    replace("next");                        /* a person's does */
    assert_int_equal(listed("api.1").pid, pid);
    rig_stop(&rig);
}

int main(int argc, char **argv)
{
    if (argc > 2 && !strcmp(argv[1], "--takes-over"))
        return atoi(argv[2]) == REC_FORMAT ? 0 : 1;
    if (argc > 4 && !strcmp(argv[1], "--keeper"))
        return keeper_main(argv);
    static bool with = false, without = true;
#define BOTH(f) cmocka_unit_test_prestate(f, &with), { #f " (without cgroups)", f, NULL, NULL, &without }
    const struct CMUnitTest tests[] = {
        BOTH(all_is_kept), BOTH(under_a_stream_of_starts_and_kills), BOTH(a_start_that_is_under_way), BOTH(a_program_that_cannot_take_over),
        BOTH(a_foreign_variable_means_nothing), BOTH(a_terminal_that_closes_means_nothing),
    };
    cmocka_set_test_filter(getenv("MUSTER_TEST"));
    return cmocka_run_group_tests_name("keeper: replaced in place", tests, NULL, NULL);
}
