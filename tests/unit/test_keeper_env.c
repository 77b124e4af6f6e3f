/* What a started process is given, and what it is told when it cannot be started. */
#include "tests/tools/keeper_rig.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <sys/time.h>
#include "model/spawn_env.h"

static struct rig rig;
static bool root(void) { return geteuid() == 0; }
#define NEEDS_ROOT() do { if (!root()) { print_message("skipped: needs root\n"); skip(); } } while (0)

static void start(void)
{
    struct keeper_options o = KEEPER_OPTIONS_INIT;
    o.no_logger = true;
    rig_start(&rig, o);
}

static const char *path_in(const char *name)
{
    static char path[4][160];
    static int n;
    n = (n + 1) % 4;
    snprintf(path[n], sizeof path[n], "%s/%s", rig.dir, name);
    return path[n];
}

static void write_text(const char *path, const char *text, mode_t mode)
{
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    assert_return_code(chmod(path, mode), errno);
}

static struct rig_spawn reporter(void)
{
    struct rig_spawn w = rig_spawn_new("api.1");
    assert_return_code(chmod(rig.dir, 01777), errno);     /* whoever it runs as writes its report there */
    rig_child(&rig, &w, "report", path_in("report"), NULL);
    return w;
}

static const char *run_report(struct rig_spawn *w, int *ret_pid)
{
    int pid = rig_up(&rig, w);
    if (ret_pid)
        *ret_pid = pid;
    const char *s = rig_text(path_in("report"));
    unlink(path_in("report"));
    return s;
}

static void has(const char *text, const char *fmt, ...)
{
    char want[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(want, sizeof want, fmt, ap);
    va_end(ap);
    if (!strstr(text, want))
        fail_msg("'%s' is not in:\n%s", want, text);
}

static void has_not(const char *text, const char *what)
{
    if (strstr(text, what))
        fail_msg("'%s' is in:\n%s", what, text);
}

/* --- what it is given --------------------------------------------------------------------------------------------- */

static void clean_signals_session_and_descriptors(void **state)
{
    (void)state;
    int leaked = dup2(STDERR_FILENO, 40);       /* of whoever started the keeper, not closed on exec */
    start();
    close(leaked);
    int pid;
    struct rig_spawn w = reporter();
    const char *s = run_report(&w, &pid);
    has(s, "SigBlk:\t0000000000000000\n");
    has(s, "SigIgn:\t0000000000000000\n");
    has(s, "SigCgt:\t0000000000000000\n");
    has(s, "Pid: %d\nSid: %d\n", pid, pid);
    has(s, "Fds: 0 1 2\n");
    has(s, "Fd0: /dev/null");
    has(s, "Fd1: /dev/null");
    has(s, "Env: MUSTER_ID=api.1\n");
    has_not(s, "Env: HOME");
    has_not(s, "Env: NOTIFY_SOCKET");
    has_not(s, "Env: CREDENTIALS");
    rig_stop(&rig);
}

static void only_the_given_environment(void **state)
{
    (void)state;
    setenv("MUSTER_TEST_CANARY", "of the keeper", 1);
    start();
    unsetenv("MUSTER_TEST_CANARY");
    struct rig_spawn w = reporter();
    spawn_record(&w.records, 'A', "an argument with blanks; $HOME");
    spawn_record(&w.records, 'E', "PATH=/bin");
    spawn_record(&w.records, 'E', "A=1");
    spawn_record(&w.records, 'E', "A=2=3");
    spawn_record(&w.records, 'E', "EMPTY=");
    spawn_record(&w.records, 'E', "MUSTER_ID=somebody.else");
    spawn_record(&w.records, 'H', "1");
    const char *s = run_report(&w, NULL);
    has_not(s, "CANARY");
    has_not(s, "A=1\n");
    has_not(s, "somebody.else");
    has(s, "Env: A=2=3\n");
    has(s, "Env: EMPTY=\n");
    has(s, "Env: MUSTER_ID=api.1\n");
    has(s, "Env: HOME=/");
    has(s, "Env: LOGNAME=");
    has(s, "Arg: an argument with blanks; $HOME\n");
    rig_stop(&rig);
}

static void listeners_stand_from_three_on(void **state)
{
    (void)state;
    start();
    keeper_client_listen(rig.client, "edge", "127.0.0.1", 29472, 0);
    assert_int_equal(rig_reply(&rig), 0);
    keeper_client_listen(rig.client, "edge", "127.0.0.1", 29472, 0);
    assert_int_equal(rig_reply(&rig), 0);          /* held already */
    keeper_client_listen(rig.client, "tls", "", 29473, 0);
    assert_int_equal(rig_reply(&rig), 0);
    keeper_client_listen(rig.client, "third", "127.0.0.1", 29472, 0);
    assert_int_equal(rig_reply(&rig), -EADDRINUSE);
    assert_string_equal(rig.last.u.reply.detail, "cannot listen at 127.0.0.1:29472: Address already in use");
    keeper_client_listen(rig.client, "third", "localhost", 29474, 0);
    assert_int_equal(rig_reply(&rig), -EINVAL);
    keeper_client_listen(rig.client, "third", "127.0.0.1", 70000, 0);
    assert_int_equal(rig_reply(&rig), -EINVAL);
    struct rig_spawn w = reporter();
    fixed_copy(w.s.listeners[0], ID_SIZE, "tls");
    fixed_copy(w.s.listeners[1], ID_SIZE, "edge");
    int pid;
    const char *s = run_report(&w, &pid);
    has(s, "Fds: 0 1 2 3 4\n");
    has_not(s, "LISTEN_FDS");
    /* the keeper holds them: a connect is taken by the kernel though nobody accepts */
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(29473), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    keeper_client_group(rig.client, "api.1", pid, SIGKILL);
    rig_wait(&rig, K_EMPTY, "api.1");
    rig_reply(&rig);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_return_code(connect(fd, (struct sockaddr *)&a, sizeof a), errno);
    close(fd);
    keeper_client_unlisten(rig.client, "tls");
    assert_int_equal(rig_reply(&rig), 0);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), -1);
    close(fd);
    rig_stop(&rig);
}

static void user_groups_and_no_new_privs(void **state)
{
    (void)state;
    NEEDS_ROOT();
    start();
    struct rig_spawn w = reporter();
    w.s.flags = KF_NO_NEW_PRIVS | KF_NOTIFY;
    w.s.umask = 027;
    w.s.files = 4321;
    spawn_record(&w.records, 'U', "nobody");
    spawn_record(&w.records, 'G', "daemon");
    spawn_record(&w.records, 'G', "2");
    spawn_record(&w.records, 'H', "1");
    spawn_record(&w.records, 'D', "/usr");
    const char *s = run_report(&w, NULL);
    close(rig.last_fd);
    has(s, "Uid:\t65534\t65534\t65534\t65534\n");
    has(s, "Gid:\t65534\t65534\t65534\t65534\n");
    has(s, "Groups:\t1 2 65534 \n");
    has(s, "NoNewPrivs:\t1\n");
    has(s, "CapEff:\t0000000000000000\n");
    has(s, "Umask:\t0027\n");
    has(s, "Files: 4321 4321\n");
    has(s, "Cwd: /usr\n");
    has(s, "Env: USER=nobody\n");
    has(s, "Env: HOME=/nonexistent\n");
    rig_stop(&rig);
}

static void the_owner_where_no_user_is_named(void **state)
{
    (void)state;
    NEEDS_ROOT();
    start();
    struct rig_spawn w = reporter();
    w.s.owner_uid = 1;
    w.s.owner_gid = 1;
    const char *s = run_report(&w, NULL);
    has(s, "Uid:\t1\t1\t1\t1\n");
    has(s, "Groups:\t1 \n");
    has(s, "NoNewPrivs:\t0\n");
    rig_stop(&rig);
}

static void limits_of_the_group(void **state)
{
    (void)state;
    NEEDS_ROOT();
    start();
    struct rig_spawn w = reporter();
    w.s.tasks = 33;
    w.s.memory_bytes = 64 << 20;
    w.s.cpu_milli = 1500;
    run_report(&w, NULL);
    char cmd[512], out[128] = "";
    snprintf(cmd, sizeof cmd, "cd /sys/fs/cgroup; cat $(find . -path '*/muster-%d/api.1/*' \\( -name pids.max -o -name memory.max -o -name memory.limit_in_bytes "
             "-o -name cpu.max -o -name cpu.cfs_quota_us \\) | sort) | sort | tr '\\n' ' '", (int)rig.keeper);
    FILE *f = popen(cmd, "r");
    if (!fgets(out, sizeof out, f))
        out[0] = 0;
    pclose(f);
    rig_stop(&rig);
    if (!out[0]) {
        print_message("skipped: no cgroup controllers\n");
        skip();
    }
    has(out, "33 ");
    has(out, "67108864 ");
    has(out, "150000 ");
}

/* --- secrets and environment files ------------------------------------------------------------------------------------ */

static bool in_any_proc(const char *needle, int but)
{
    char cmd[256], line[64] = "";
    snprintf(cmd, sizeof cmd, "cd /proc; for p in [0-9]*; do [ $p = %d ] || { grep -qa -e '%s' $p/environ 2>/dev/null && echo $p; }; done | head -1", but, needle);
    FILE *f = popen(cmd, "r");
    bool found = fgets(line, sizeof line, f) != NULL;
    pclose(f);
    return found;
}

static void secrets(void **state)
{
    (void)state;
    start();
    char canary[64];
    snprintf(canary, sizeof canary, "canary%d", (int)getpid() * 7 + 1);
    char *text = xasprintf("%s\n", canary);
    write_text(path_in("secret"), text, 0600);
    free(text);
    struct rig_spawn w = reporter();
    if (root())
        spawn_record(&w.records, 'U', "nobody");
    spawn_record(&w.records, 'S', "DB\t%s\tboth", path_in("secret"));
    spawn_record(&w.records, 'S', "ONLY_FILE\t%s\tfile", path_in("secret"));
    spawn_record(&w.records, 'S', "ONLY_VAR\t%s\tvariable", path_in("secret"));
    int pid;
    const char *s = run_report(&w, &pid);
    has(s, "Env: DB=%s\n", canary);
    has(s, "Env: ONLY_VAR=%s\n", canary);
    has_not(s, "Env: ONLY_FILE");
    has(s, "Env: CREDENTIALS_DIRECTORY=%s/credentials/api.1\n", rig.run);
    for (const char *arg = s; (arg = strstr(arg, "Arg: ")); arg++) {
        char *line = strndup(arg, strcspn(arg, "\n"));
        has_not(line, canary);
        free(line);
    }
    assert_false(in_any_proc(canary, pid));
    struct stat st;
    char path[256];
    snprintf(path, sizeof path, "%s/credentials/api.1/DB", rig.run);
    assert_return_code(stat(path, &st), errno);
    assert_int_equal(st.st_mode & 07777, 0400);
    if (root())
        assert_int_equal(st.st_uid, 65534);
    snprintf(path, sizeof path, "%s/credentials/api.1/ONLY_FILE", rig.run);
    assert_return_code(access(path, F_OK), errno);
    snprintf(path, sizeof path, "%s/credentials/api.1/ONLY_VAR", rig.run);
    assert_int_equal(access(path, F_OK), -1);
    snprintf(path, sizeof path, "%s/credentials/api.1", rig.run);
    assert_return_code(stat(path, &st), errno);
    assert_int_equal(st.st_mode & 07777, 0500);
    keeper_client_group(rig.client, "api.1", pid, SIGKILL);
    rig_wait(&rig, K_EMPTY, "api.1");
    rig_reply(&rig);
    /* started again: the files are made anew */
    w = reporter();
    spawn_record(&w.records, 'S', "DB\t%s\tboth", path_in("secret"));
    has(run_report(&w, &pid), "Env: DB=%s\n", canary);
    keeper_client_group(rig.client, "api.1", pid, SIGKILL);
    rig_wait(&rig, K_EMPTY, "api.1");
    rig_reply(&rig);
    keeper_client_forget(rig.client, "api.1");
    assert_int_equal(rig_reply(&rig), 0);
    assert_int_equal(access(path, F_OK), -1);
    rig_stop(&rig);
}

static void environment_file(void **state)
{
    (void)state;
    start();
    write_text(path_in("env"), "# a comment\n\nFROM_FILE=1\n QUOTED = \"two words\\n\" \nSINGLE='a \"b\" \\n'\nOVER=file\nexport  SHELLED=7\n", 0600);
    struct rig_spawn w = reporter();
    spawn_record(&w.records, 'E', "FROM_FILE=0");
    spawn_record(&w.records, 'F', "%s", path_in("env"));
    spawn_record(&w.records, 'E', "OVER=later");
    const char *s = run_report(&w, NULL);
    has(s, "Env: FROM_FILE=1\n");
    has(s, "Env: QUOTED=two words\n\n");
    has(s, "Env: SINGLE=a \"b\" \\n\n");
    has(s, "Env: OVER=later\n");
    has(s, "Env: SHELLED=7\n");
    rig_stop(&rig);
}

static void environment_file_errors(void **state)
{
    (void)state;
    static const struct { const char *text; size_t len; int rc; const char *want; } rows[] = {
        { "A=1\nB=2\n", 8, 0, "" }, { "A=1", 3, 0, "" }, { "", 0, 0, "" }, { "A=\n", 3, 0, "" }, { "A=b=c # d\n", 10, 0, "" }, { "export A=1\n", 11, 0, "" },
        { "export=1\n", 9, 0, "" }, { "export \n", 8, -EINVAL, "f:1: expected KEY=VALUE" }, { "export 1=2\n", 11, -EINVAL, "f:1: not a variable's name" },
        { "A=1\nnothing\n", 12, -EINVAL, "f:2: expected KEY=VALUE" },
        { "\n\n1A=1\n", 7, -EINVAL, "f:3: not a variable's name before the '=' (letters, digits and _, no digit first)" },
        { "=1\n", 3, -EINVAL, "f:1: not a variable's name" }, { "A B=1\n", 6, -EINVAL, "f:1: not a variable's name" },
        { "A=\"x\n", 5, -EINVAL, "f:1: the quote is not closed" }, { "A='x' y\n", 8, -EINVAL, "f:1: the quote is not closed, or something" },
        { "A=1\0B=2\n", 8, -EINVAL, "f: a NUL byte" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct strv env = { 0 };
        struct err e = { "" };
        assert_int_equal(env_parse(&env, rows[i].text, rows[i].len, "f", &e), rows[i].rc);
        has(e.text, "%s", rows[i].want);
        strv_done(&env);
    }
}

/* --- what cannot be started ------------------------------------------------------------------------------------------- */

static void failures_tell_stage_and_cause(void **state)
{
    (void)state;
    start();
    write_text(path_in("plain"), "echo no first line\n", 0755);
    write_text(path_in("locked"), "#!/bin/sh\n", 0644);
    write_text(path_in("lost"), "#!/nonexistent/interpreter\n", 0755);
    write_text(path_in("env"), "A=1\nbad line\n", 0600);
    char *plain = xstrdup(path_in("plain")), *locked = xstrdup(path_in("locked")), *lost = xstrdup(path_in("lost"));
    char *env = xasprintf("F%s", path_in("env"));
    const struct { const char *argv0, *record; enum spawn_stage stage; int rc; const char *want; } rows[] = {
        { "/nonexistent/prog", NULL, STAGE_EXEC, -ENOENT, "cannot execute /nonexistent/prog: no such file or directory" },
        { "no-such-program-here", NULL, STAGE_EXEC, -ENOENT, "cannot find the command no-such-program-here in PATH" },
        { "/usr", NULL, STAGE_EXEC, -EISDIR, "cannot execute /usr: it is a folder" },
        { locked, NULL, STAGE_EXEC, -EACCES, "permission denied" },
        { plain, NULL, STAGE_EXEC, -ENOEXEC, "neither a program nor a script with a #! line" },
        { lost, NULL, STAGE_EXEC, -ENOENT, "the interpreter that its first line names does not exist" },
        { "/bin/true", "D/nonexistent/dir", STAGE_CHDIR, -ENOENT, "cannot enter /nonexistent/dir: no such file or directory" },
        { "/bin/true", "D/etc/passwd", STAGE_CHDIR, -ENOTDIR, "cannot enter /etc/passwd: not a directory" },
        { "/bin/true", "Uno-such-user", STAGE_USER, -ENOENT, "there is no user no-such-user on this host" },
        { "/bin/true", "U4000000000", STAGE_USER, -ENOENT, "there is no user 4000000000 on this host" },
        { "/bin/true", "U4294967295", STAGE_USER, -EINVAL, "4294967295 is not a possible user id" },
        { "/bin/true", "U99999999999999999999", STAGE_USER, -EINVAL, "is not a possible user id" },
        { "/bin/true", "Gno-such-group", STAGE_GROUP, -ENOENT, "there is no group no-such-group on this host" },
        { "/bin/true", "F/nonexistent/env", STAGE_ENV_FILE, -ENOENT, "/nonexistent/env" },
        { "/bin/true", env, STAGE_ENV_FILE, -EINVAL, "env:2: expected KEY=VALUE" },
        { "/bin/true", "SDB\t/nonexistent/secret\tboth", STAGE_SECRET, -ENOENT, "secret DB: " },
        { "/bin/true", "SDB\t/etc\tboth", STAGE_SECRET, -EISDIR, "secret DB: " },
        { "/bin/true", "SD/B\t/etc/passwd\tboth", STAGE_SECRET, -EINVAL, "not a secret's record" },
        { "/bin/true", "Enovalue", STAGE_SETUP, -EINVAL, "not KEY=VALUE" },
        { "/bin/true", "?x", STAGE_SETUP, -EINVAL, "unknown record '?'" },
        { "", NULL, STAGE_EXEC, -EINVAL, "the command is empty" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct rig_spawn w = rig_spawn_new("api.1");
        spawn_record(&w.records, 'A', "%s", rows[i].argv0);
        if (rows[i].record)
            spawn_record(&w.records, rows[i].record[0], "%s", rows[i].record + 1);
        assert_int_equal(rig_send(&rig, &w, -1), 0);
        rig_wait(&rig, K_SPAWN_FAILED, "api.1");
        struct k_failed f = rig.last.u.failed;
        if (f.stage != rows[i].stage || f.rc != rows[i].rc || !strstr(f.detail, rows[i].want))
            fail_msg("row %zu: stage %u, rc %d, '%s'; want %d, %d, '%s'", i, f.stage, f.rc, f.detail, rows[i].stage, rows[i].rc, rows[i].want);
    }
    assert_false(rig_wait_ms(&rig, K_EXITED, "api.1", 20));
    struct rig_spawn w = rig_spawn_new("api.1");        /* and then it can be */
    rig_child(&rig, &w, "sleep", NULL);
    assert_true(rig_up(&rig, &w) > 0);
    free(plain), free(locked), free(lost), free(env);
    rig_stop(&rig);
}

static void too_many_files_for_an_ordinary_user(void **state)
{
    (void)state;
    start();
    struct rig_spawn w = rig_spawn_new("api.1");
    w.s.files = (uint64_t)1 << 40;
    rig_child(&rig, &w, "sleep", NULL);
    assert_int_equal(rig_send(&rig, &w, -1), 0);
    rig_wait(&rig, K_SPAWN_FAILED, "api.1");
    assert_int_equal(rig.last.u.failed.stage, STAGE_LIMIT);
    has(rig.last.u.failed.detail, "cannot allow 1099511627776 open files: operation not permitted");
    rig_stop(&rig);
}

static void a_bad_memfd_is_refused(void **state)
{
    (void)state;
    start();
    struct rig_spawn w = rig_spawn_new("api.1");
    strbuf_add(&w.records, "A/bin/true", 10);           /* no NUL at the end */
    assert_int_equal(rig_send(&rig, &w, -1), 0);
    rig_wait(&rig, K_SPAWN_FAILED, "api.1");
    has(rig.last.u.failed.detail, "the order does not end");
    w = rig_spawn_new("api.1");
    w.s.flags = KF_OUTPUT_FD;
    rig_child(&rig, &w, "sleep", NULL);
    assert_int_equal(rig_send(&rig, &w, -1), -EINVAL);      /* promised, not given */
    rig_stop(&rig);
}

/* --- output of helpers, notify socket ------------------------------------------------------------------------------------ */

static void a_helper_writes_to_the_given_descriptor(void **state)
{
    (void)state;
    start();
    int p[2];
    char text[64] = "";
    assert_return_code(pipe2(p, O_CLOEXEC), errno);
    struct rig_spawn w = rig_spawn_new("api.1/readiness");
    w.s.kind = K_HELPER;
    w.s.flags = KF_OUTPUT_FD;
    rig_child(&rig, &w, "print", "ab", NULL);
    assert_int_equal(rig_send(&rig, &w, p[1]), 0);
    close(p[1]);
    size_t n = 0;
    for (ssize_t got; (got = read(p[0], text + n, sizeof text - 1 - n)) > 0; n += (size_t)got) {}
    assert_string_equal(text, "abab");
    close(p[0]);
    rig_wait(&rig, K_EMPTY, "api.1/readiness");
    rig_stop(&rig);
}

static void the_notify_socket(void **state)
{
    (void)state;
    start();
    struct rig_spawn w = rig_spawn_new("api.1");
    w.s.flags = KF_NOTIFY;
    if (root())
        spawn_record(&w.records, 'U', "nobody");
    rig_child(&rig, &w, "notify", "READY=1", NULL);
    int pid = rig_up(&rig, &w), fd = rig.last_fd;
    assert_true(fd >= 0);
    assert_int_equal(rig_exited(&rig, "api.1").exit.value, 0);
    char path[160], text[64] = "";
    struct stat st;
    snprintf(path, sizeof path, "%s/notify/api.1", rig.run);
    assert_return_code(stat(path, &st), errno);
    assert_true(S_ISSOCK(st.st_mode));
    assert_int_equal(st.st_mode & 077, 0);              /* its user's alone */
    if (root())
        assert_int_equal(st.st_uid, 65534);
    union { char buf[CMSG_SPACE(sizeof(struct ucred))]; struct cmsghdr h; } c;
    struct iovec v = { text, sizeof text - 1 };
    struct msghdr h = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof c };
    assert_int_equal(recvmsg(fd, &h, MSG_DONTWAIT), 7);     /* kept though the sender has exited */
    assert_string_equal(text, "READY=1");
    struct cmsghdr *m = CMSG_FIRSTHDR(&h);
    assert_true(m && m->cmsg_type == SCM_CREDENTIALS);
    assert_int_equal(((struct ucred *)CMSG_DATA(m))->pid, pid);
    close(fd);
    /* told once: a second start brings no descriptor */
    rig_wait(&rig, K_EMPTY, "api.1");
    w = rig_spawn_new("api.1");
    w.s.flags = KF_NOTIFY;
    rig_child(&rig, &w, "sleep", NULL);
    rig_up(&rig, &w);
    assert_int_equal(rig.last_fd, -1);
    snprintf(path, sizeof path, "%s/notify", rig.run);
    assert_return_code(stat(path, &st), errno);
    assert_int_equal(st.st_mode & 07777, 0711);
    rig_stop(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clean_signals_session_and_descriptors), cmocka_unit_test(only_the_given_environment),
        cmocka_unit_test(listeners_stand_from_three_on), cmocka_unit_test(user_groups_and_no_new_privs),
        cmocka_unit_test(the_owner_where_no_user_is_named), cmocka_unit_test(limits_of_the_group), cmocka_unit_test(secrets),
        cmocka_unit_test(environment_file), cmocka_unit_test(environment_file_errors), cmocka_unit_test(failures_tell_stage_and_cause),
        cmocka_unit_test(too_many_files_for_an_ordinary_user), cmocka_unit_test(a_bad_memfd_is_refused),
        cmocka_unit_test(a_helper_writes_to_the_given_descriptor), cmocka_unit_test(the_notify_socket),
    };
    return cmocka_run_group_tests_name("keeper: what a process is given", tests, NULL, NULL);
}
