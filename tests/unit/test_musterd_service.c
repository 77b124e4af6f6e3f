/* test_musterd_service.c - musterd as a service of systemd: sockets it is handed, what it tells, who may speak with it. systemd is played by
 * the test; the real one is in tests/systemd. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/strbuf.h"
#include "net/frame.h"
#include "supervisord/daemon.h"
#include "supervisord/link.h"
#include "tests/unit/daemon_rig.h"

enum { STRANGER = 65534 };
static int api_fd = -1, agent_fd = -1, notify_fd = -1;

static char *in_folder(const char *name) { return xasprintf("%s/%s", folder, name); }

static int setup(void **state)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };

    (void)state;
    fixed_printf(folder, "/tmp/muster-service-%d-XXXXXX", (int)getpid());
    if (!mkdtemp(folder) || chmod(folder, 0755))
        return -1;
    cleanup_free char *api = in_folder("musterd.sock"), *agent = in_folder("agent.sock"), *notify = in_folder("notify");
    api_fd = unix_listen(api, 0666, -1, NULL);
    agent_fd = unix_listen(agent, 0666, -1, NULL);
    notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    fixed_copy(a.sun_path, sizeof(a.sun_path), notify);
    return api_fd < 0 || agent_fd < 0 || bind(notify_fd, (struct sockaddr *)&a, sizeof(a));
}

static int teardown(void **state)
{
    (void)state;
    close(api_fd), close(agent_fd), close(notify_fd);
    return drop_all();
}

/* What systemd does between fork and exec. */
static void as_service(const char *names)
{
    cleanup_free char *notify = in_folder("notify");
    char pid[16], n[16];
    int api = fcntl(api_fd, F_DUPFD, 20), agent = fcntl(agent_fd, F_DUPFD, 20), count = 1;

    for (const char *c = names; *c; c++)
        count += *c == ':';
    dup2(api, 3);
    dup2(agent, 4);
    fixed_printf(pid, "%d", (int)getpid());
    fixed_printf(n, "%d", count);
    setenv("LISTEN_PID", pid, 1);
    setenv("LISTEN_FDS", n, 1);
    setenv("LISTEN_FDNAMES", names, 1);
    setenv("NOTIFY_SOCKET", notify, 1);
    setenv("WATCHDOG_PID", pid, 1);
    setenv("WATCHDOG_USEC", "200000", 1);
}

static void start_service(void)
{
    struct systemd_sockets given;
    struct daemon_options o = { .state_folder = folder, .run_folder = folder, .given = &given };

    child = fork();
    if (child == 0) {
        as_service("api:agent");
        _exit(systemd_sockets_take(&given, NULL) ? 99 : daemon_run(&o));
    }
    assert_true(child > 0);
}

/* Waits for a message with this line in it. */
static void told(const char *line)
{
    int64_t until = clock_mono_ms() + CAP_MS;
    char text[1024];

    for (;;) {
        struct pollfd p = { .fd = notify_fd, .events = POLLIN };
        assert_true(clock_mono_ms() < until);
        if (poll(&p, 1, 100) <= 0)
            continue;
        ssize_t n = recv(notify_fd, text, sizeof(text) - 1, 0);
        assert_true(n > 0);
        text[n] = '\0';
        if (strstr(text, line))
            return;
    }
}

static int connect_api(void)
{
    cleanup_free char *path = in_folder("musterd.sock");
    int fd = unix_connect(path, NULL);

    assert_true(fd >= 0);
    return fd;
}

static void say(int fd, const char *request) { assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), (ssize_t)strlen(request)); }

/* The answer's status, 0 if none came. */
static int answer_of(int fd)
{
    int64_t until = clock_mono_ms() + CAP_MS;
    char answer[4096];

    while (clock_mono_ms() < until) {
        struct pollfd p = { .fd = fd, .events = POLLIN };
        if (poll(&p, 1, 100) <= 0)
            continue;
        ssize_t n = read(fd, answer, sizeof(answer) - 1);
        if (n <= 0)
            return 0;
        answer[n] = '\0';
        return atoi(answer + strlen("HTTP/1.1 "));
    }
    return 0;
}

#define STATUS_CALL "GET /v1/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
static int ask(const char *request)
{
    cleanup_close int fd = connect_api();

    say(fd, request);
    return answer_of(fd);
}

static void it_tells_how_it_is(void **state)
{
    (void)state;
    start_service();
    told("READY=1\nSTATUS=0 services, waiting for muster-agent");
    assert_int_equal(ask(STATUS_CALL), 200);
    int64_t began = clock_mono_ms();
    for (int i = 0; i < 5; i++)
        told("WATCHDOG=1");
    assert_in_range(clock_mono_ms() - began, 300, 2000);    /* every 100 ms, not in a hurry */
    assert_int_equal(end_child(), 0);
    told("STOPPING=1");
}

/* The sockets are systemd's: they outlive each musterd, and who connects between two of them is answered by the second. */
static void a_call_between_two_lives_is_answered(void **state)
{
    cleanup_free char *path = in_folder("musterd.sock");

    (void)state;
    for (int life = 0; life < 3; life++) {
        cleanup_close int early = connect_api();
        say(early, STATUS_CALL);
        start_service();
        assert_int_equal(answer_of(early), 200);
        assert_int_equal(end_child(), 0);
        assert_int_equal(access(path, F_OK), 0);
    }
}

static void down_is_systemds_business(void **state)
{
    (void)state;
    start_service();
    assert_int_equal(ask("POST /v1/down HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"), 409);
    assert_int_equal(ask(STATUS_CALL), 200);
    assert_int_equal(end_child(), 0);
}

/* The status that a stranger gets who is in these groups. */
static int asks_as(size_t n, const gid_t *groups)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        if (setgroups(n, groups) || setresgid(STRANGER, STRANGER, STRANGER) || setresuid(STRANGER, STRANGER, STRANGER))
            _exit(1);
        _exit(ask(STATUS_CALL) / 10);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WEXITSTATUS(status) * 10;
}

static void members_of_its_group_may_speak_with_it(void **state)
{
    gid_t many[200];

    (void)state;
    if (geteuid() != 0)
        skip();                     /* others cannot become a stranger */
    for (size_t i = 0; i < ARRAY_LEN(many); i++)
        many[i] = (gid_t)(50000 + i);
    start_service();
    assert_int_equal(asks_as(1, (gid_t[]){ getegid() }), 200);
    assert_int_equal(asks_as(0, NULL), 400);
    assert_int_equal(asks_as(ARRAY_LEN(many), many), 400);
    many[ARRAY_LEN(many) - 1] = getegid();
    assert_int_equal(asks_as(ARRAY_LEN(many), many), 200);
    assert_int_equal(end_child(), 0);
}

/* One that made its socket itself is for root and its user only, whatever the groups. */
static void nobody_else_without_systemd(void **state)
{
    struct daemon_options o = { .state_folder = folder, .run_folder = folder };
    cleanup_free char *path = in_folder("musterd.sock");
    struct stat st;

    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(unlink(path), 0);
    child = fork();
    if (child == 0)
        _exit(daemon_run(&o));
    for (int i = 0; i < CAP_MS / 10 && access(path, F_OK); i++)
        usleep(10000);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(chmod(path, 0666), 0);
    assert_int_equal(asks_as(1, (gid_t[]){ getegid() }), 400);
    assert_int_equal(ask(STATUS_CALL), 200);
    assert_int_equal(end_child(), 0);
}

static void the_agents_account_may_connect(void **state)
{
    static const struct { int64_t account; bool taken; } cases[] = { { STRANGER, true }, { STRANGER - 1, false }, { LINK_NO_AGENT, false } };

    (void)state;
    if (geteuid() != 0)
        skip();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_free char *path = xasprintf("%s/link%zu", folder, i);
        struct link_socket where = { path, -1, cases[i].account, STRANGER };
        struct link_ops none = { 0 };
        struct link *l = NULL;
        uv_loop_t loop;
        char c;

        uv_loop_init(&loop);
        assert_int_equal(link_new(&loop, &where, &none, NULL, &l, NULL), 0);
        struct stat st;
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, cases[i].account == LINK_NO_AGENT ? 0600 : 0660);
        assert_int_equal(st.st_gid, cases[i].account == LINK_NO_AGENT ? getegid() : (gid_t)STRANGER);
        assert_int_equal(chmod(path, 0666), 0);
        pid_t pid = fork();
        if (pid == 0) {
            if (setgroups(0, NULL) || setresgid(STRANGER, STRANGER, STRANGER) || setresuid(STRANGER, STRANGER, STRANGER))
                _exit(9);
            int fd = unix_connect(path, NULL);
            struct pollfd p = { .fd = fd, .events = POLLIN };
            _exit(fd >= 0 && poll(&p, 1, 500) == 1 && read(fd, &c, 1) == 0 ? 1 : 0);    /* 1: it was refused */
        }
        int status = -1;
        for (int64_t until = clock_mono_ms() + CAP_MS; waitpid(pid, &status, WNOHANG) == 0 && clock_mono_ms() < until; usleep(1000))
            uv_run(&loop, UV_RUN_NOWAIT);
        assert_int_equal(WEXITSTATUS(status), cases[i].taken ? 0 : 1);
        link_close(l);
        uv_run(&loop, UV_RUN_DEFAULT);
        assert_int_equal(uv_loop_close(&loop), 0);
    }
}

static void other_sockets_are_refused(void **state)
{
    static const struct { const char *names; int rc; } cases[] = {
        { "api:agent", 0 }, { "agent:api", 0 }, { "api", 0 }, { "agent", 0 }, { "api:api", EINVAL }, { "musterd.socket:agent", EINVAL }, { "unknown", EINVAL }, { "api:agent:api", EINVAL },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int status = -1;
        pid_t pid = fork();
        if (pid == 0) {
            struct systemd_sockets s;
            as_service(cases[i].names);
            dup2(notify_fd, 5);     /* no stream socket */
            _exit(-systemd_sockets_take(&s, NULL));
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(WEXITSTATUS(status), cases[i].rc);
    }
    struct systemd_sockets s = { 7, 7 };
    assert_int_equal(systemd_sockets_take(&s, NULL), 0);    /* not started by systemd */
    assert_int_equal(s.api, -1);
    assert_int_equal(s.agent, -1);
}

static void one_line_of_text(void **state)
{
    struct controller *c = controller_new((struct controller_options){ 1, 1 });
    struct strbuf out = STRBUF_INIT;

    (void)state;
    systemd_describe(c, false, "no agent is connected", &out);
    assert_string_equal(strbuf_str(&out), "0 services, waiting for muster-agent");
    strbuf_reset(&out);
    systemd_describe(c, true, NULL, &out);
    assert_string_equal(strbuf_str(&out), "0 services, 0/0 ready");
    strbuf_reset(&out);
    systemd_describe(c, true, "the disk is full", &out);
    assert_string_equal(strbuf_str(&out), "0 services, 0/0 ready; the disk is full");
    strbuf_done(&out);
    controller_free(c);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_tells_how_it_is, setup, teardown),
        cmocka_unit_test_setup_teardown(a_call_between_two_lives_is_answered, setup, teardown),
        cmocka_unit_test_setup_teardown(down_is_systemds_business, setup, teardown),
        cmocka_unit_test_setup_teardown(members_of_its_group_may_speak_with_it, setup, teardown),
        cmocka_unit_test_setup_teardown(nobody_else_without_systemd, setup, teardown),
        cmocka_unit_test_setup_teardown(the_agents_account_may_connect, setup, teardown),
        cmocka_unit_test_setup_teardown(other_sockets_are_refused, setup, teardown),
        cmocka_unit_test(one_line_of_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
