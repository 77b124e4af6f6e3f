/* test_daemon.c - musterd as a process of its own, with an agent played by the test: its epoch, its end, its errors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/strbuf.h"
#include "model/wire.h"
#include "net/frame.h"
#include "supervisord/daemon.h"
#include "tests/unit/daemon_rig.h"

static int setup(void **state)
{
    (void)state;
    fixed_printf(folder, "/tmp/muster-daemon-%d-XXXXXX", (int)getpid());
    return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    return drop_all();
}

static void start_daemon(void)
{
    struct daemon_options o = { .state_folder = folder, .run_folder = folder };

    child = fork();
    if (child == 0)
        _exit(daemon_run(&o));
    assert_true(child > 0);
}

static int connect_to(const char *name)
{
    cleanup_free char *path = xasprintf("%s/%s", folder, name);
    int64_t until = clock_mono_ms() + CAP_MS;
    int fd;

    while ((fd = unix_connect(path, NULL)) < 0 && clock_mono_ms() < until)
        usleep(5000);
    assert_true(fd >= 0);
    return fd;
}

static void tell(int fd, const struct wire_msg *m)
{
    cleanup_strbuf struct strbuf b = STRBUF_INIT;

    wire_pack(m, &b);
    char head[4] = { (char)(b.len >> 24), (char)(b.len >> 16), (char)(b.len >> 8), (char)b.len };
    assert_int_equal(send(fd, head, 4, MSG_NOSIGNAL), 4);
    assert_int_equal(send(fd, b.s, b.len, MSG_NOSIGNAL), (ssize_t)b.len);
}

/* An agent that has had nothing but a number. */
static int agent_with_epoch(uint64_t epoch)
{
    int fd = connect_to("agent.sock");
    struct wire_msg hello = { .kind = WIRE_HELLO }, status = { .kind = WIRE_STATUS };

    hello.hello.version = 1;
    hello.hello.epoch = epoch;
    hello.hello.revision = 1000;
    fixed_copy(hello.hello.name, sizeof(hello.hello.name), "local");
    fixed_copy(hello.hello.log_folder, sizeof(hello.hello.log_folder), "/nowhere");
    tell(fd, &hello);
    status.status.full = true;
    status.status.seq = 1;
    tell(fd, &status);
    return fd;
}

static void read_all(int fd, char *buf, size_t n)
{
    int64_t until = clock_mono_ms() + CAP_MS;

    while (n) {
        struct pollfd p = { .fd = fd, .events = POLLIN };
        assert_true(clock_mono_ms() < until);
        if (poll(&p, 1, 100) <= 0)
            continue;
        ssize_t got = read(fd, buf, n);
        assert_true(got > 0);
        buf += got;
        n -= (size_t)got;
    }
}

static uint64_t told_epoch(int fd)
{
    static char data[1 << 16];
    unsigned char head[4];
    struct wire_msg m;
    struct err e = { "" };

    for (;;) {
        read_all(fd, (char *)head, 4);
        size_t n = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
        assert_true(n <= sizeof(data));
        read_all(fd, data, n);
        assert_int_equal(wire_unpack_to_agent(data, n, &m, &e), 0);
        uint64_t epoch = m.kind == WIRE_DESIRED ? m.desired.epoch : 0;
        wire_msg_done(&m);
        if (epoch)
            return epoch;
    }
}

/* The agent's number, and the least that it may be told: the first life of a store has epoch 1. */
static void the_epoch_is_above_every_other_life(void **state)
{
    static const struct { uint64_t had, least; } cases[] = { { 0, 1 }, { 2, 3 }, { 9, 10 } };   /* life 1, 2, 4: the third case follows epoch 3 */

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        start_daemon();
        cleanup_close int fd = agent_with_epoch(cases[i].had);
        assert_int_equal(told_epoch(fd), cases[i].least);
        assert_int_equal(end_child(), 0);
    }
}

static void ask(const char *request, char *answer, size_t size)
{
    cleanup_close int fd = connect_to("musterd.sock");
    int64_t until = clock_mono_ms() + CAP_MS;
    size_t n = 0;

    assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), (ssize_t)strlen(request));
    while (n + 1 < size && clock_mono_ms() < until) {
        struct pollfd p = { .fd = fd, .events = POLLIN };
        if (poll(&p, 1, 100) <= 0)
            continue;
        ssize_t got = read(fd, answer + n, size - 1 - n);
        if (got <= 0)
            break;
        n += (size_t)got;
    }
    answer[n] = '\0';
}

static void an_error_of_any_bytes_keeps_its_words(void **state)
{
    char answer[4096];

    (void)state;
    start_daemon();
    ask("GET /v1/%ff HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", answer, sizeof(answer));
    assert_non_null(strstr(answer, " 404 "));
    assert_non_null(strstr(answer, "there is no /v1/"));
    assert_int_equal(end_child(), 0);
}

/* With an agent connected and a held call: an exit code of its own, and the call is answered. */
static void it_ends_in_order(void **state)
{
    static const char hold[] = "GET /v1/events?after=1000000&wait=30 HTTP/1.1\r\nHost: x\r\n\r\n";
    char answer[4096] = "";

    (void)state;
    start_daemon();
    cleanup_close int agent = agent_with_epoch(0);
    told_epoch(agent);
    cleanup_close int call = connect_to("musterd.sock");
    assert_int_equal(send(call, hold, sizeof(hold) - 1, MSG_NOSIGNAL), (ssize_t)sizeof(hold) - 1);
    usleep(200000);
    assert_int_equal(end_child(), 0);
    assert_true(read(call, answer, sizeof(answer) - 1) > 0);
    assert_non_null(strstr(answer, " 200 "));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_epoch_is_above_every_other_life, setup, teardown),
        cmocka_unit_test_setup_teardown(an_error_of_any_bytes_keeps_its_words, setup, teardown),
        cmocka_unit_test_setup_teardown(it_ends_in_order, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
