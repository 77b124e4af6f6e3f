#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "agent/ports.h"
#include "base/cleanup.h"
#include "base/file.h"

/* A small range of the test's own, below the kernel's and apart from the default one. */
enum { FIRST = 18100, LAST = 18109 };
static char folder[64], table[128];

static int listen_at(const char *address, uint32_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    inet_pton(AF_INET, address, &a.sin_addr);
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 5), 0);
    return fd;
}

static struct ports *open_ports(void) { return ports_open(folder, "127.0.0.1", FIRST, LAST); }

static uint32_t take(struct ports *p, const char *id, uint32_t fixed)
{
    uint32_t port = 0;
    struct err e = {""};
    if (ports_take(p, id, fixed, &port, &e) != 0)
        fail_msg("%s: %s", id, e.text);
    return port;
}

static void put_table(const char *text, size_t len)
{
    assert_int_equal(file_write_atomic(table, text, len, 0600, 0, NULL), 0);
}

static void kept(void **st)
{
    (void)st;
    struct ports *p = open_ports();
    assert_int_equal(ports_of(p, "api.1"), 0);
    uint32_t a = take(p, "api.1", 0), b = take(p, "api.2", 0);
    assert_int_equal(a, FIRST);
    assert_int_equal(b, FIRST + 1);
    assert_int_equal(take(p, "api.1", 0), a);           /* a restart of the instance */
    take(p, "brief.1", 0);
    ports_give_back(p, "brief.1");
    assert_int_equal(take(p, "brief.2", 0), FIRST + 3); /* its old clients may still call at FIRST + 2 */
    ports_give_back(p, "brief.2");
    ports_free(p);
    p = open_ports();                                   /* and of the agent */
    assert_int_equal(ports_of(p, "api.1"), a);
    assert_int_equal(take(p, "api.2", 0), b);
    ports_give_back(p, "api.1");
    ports_give_back(p, "api.1");
    ports_give_back(p, "never.1");
    assert_int_equal(ports_of(p, "api.1"), 0);
    assert_int_equal(take(p, "api.3", 0), FIRST + 2);   /* not the one that was just given back */
    for (int i = 4; i <= 10; i++) {
        char id[16];
        fixed_printf(id, "api.%d", i);
        take(p, id, 0);
    }
    assert_int_equal(take(p, "api.11", 0), FIRST);      /* last of all */
    uint32_t port = 77;
    struct err e;
    assert_int_equal(ports_take(p, "api.12", 0, &port, &e), -EADDRNOTAVAIL);
    assert_int_equal(port, 77);
    ports_give_back(p, "api.5");
    assert_int_equal(ports_take(p, "api.12", 0, &port, &e), 0);
    assert_int_equal(port, FIRST + 4);
    ports_free(p);
}

static void around_others(void **st)
{
    (void)st;
    cleanup_close int a = listen_at("127.0.0.1", FIRST), b = listen_at("0.0.0.0", FIRST + 1);
    struct ports *p = open_ports();
    uint32_t port = take(p, "api.1", 0);
    assert_int_equal(port, FIRST + 2);
    cleanup_close int c = listen_at("127.0.0.1", port);          /* a stranger took it while the instance was down */
    assert_int_equal(take(p, "api.1", 0), FIRST + 3);
    assert_int_equal(ports_of(p, "api.1"), FIRST + 3);
    ports_free(p);
    (void)a, (void)b, (void)c;
}

static void fixed_ports(void **st)
{
    (void)st;
    struct ports *p = open_ports();
    uint32_t port = 77;
    struct err e = {""};
    int fd = listen_at("127.0.0.1", 18200);
    assert_int_equal(ports_take(p, "api.1", 18200, &port, &e), -EADDRINUSE);
    assert_int_equal(port, 77);
    assert_string_equal(e.text, "port 18200 is in use by another program");     /* by whom, the keeper knows */
    close(fd);
    assert_int_equal(take(p, "api.1", 18200), 18200);
    assert_int_equal(ports_of(p, "api.1"), 18200);      /* also after a restart of the agent */
    ports_free(p);
    p = open_ports();
    assert_int_equal(ports_of(p, "api.1"), 18200);
    assert_int_equal(take(p, "api.1", 0), FIRST);       /* `port: auto` again */
    assert_int_equal(take(p, "web.1", FIRST), FIRST);   /* a fixed one wins over one that only was kept */
    assert_int_equal(ports_of(p, "api.1"), 0);
    assert_int_equal(take(p, "api.1", 0), FIRST + 1);
    assert_int_equal(ports_take(p, "api.2", 70000, &port, &e), -EINVAL);
    ports_free(p);
    p = ports_open(folder, "192.0.2.1", FIRST, LAST);   /* an address that is not ours: no search through the range */
    assert_int_equal(ports_take(p, "x.1", 0, &port, &e), -EADDRNOTAVAIL);
    ports_free(p);
}

static void bad_ids(void **st)
{
    (void)st;
    struct ports *p = open_ports();
    static const char *const ids[] = {"", "api", "api.", "../x.1", "api.1\n", "api 1", "api.1/x"};
    uint32_t port;
    for (size_t i = 0; i < ARRAY_LEN(ids); i++)
        assert_int_equal(ports_take(p, ids[i], 0, &port, NULL), -EINVAL);
    ports_free(p);
}

static void torn_tables(void **st)
{
    (void)st;
    static const char rows[] = "api.1 18105\nrubbish\napi.2 0\napi.3 99999\napi.4 x\napi.1 18106\napi.5 18105\n\napi.6  18107\n../x.1 18108\napi.7 018108\napi.9 18109\napi.8 1810";
    put_table(rows, sizeof rows - 1);
    struct ports *p = open_ports();
    assert_int_equal(ports_of(p, "api.1"), 18105);
    assert_int_equal(ports_of(p, "api.9"), 18109);
    static const char *const dropped[] = {"api.2", "api.3", "api.4", "api.5", "api.6", "../x.1", "api.7", "api.8"};
    for (size_t i = 0; i < ARRAY_LEN(dropped); i++)
        assert_int_equal(ports_of(p, dropped[i]), 0);
    take(p, "api.2", 0);
    ports_free(p);
    static char noise[5000];
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (char)(i * 7919 >> 3);
    put_table(noise, sizeof noise);
    p = open_ports();
    assert_int_equal(take(p, "api.1", 0), FIRST);
    ports_free(p);
    put_table("api.1 18105\0api.2 18106\n", 24);
    p = open_ports();
    assert_int_equal(ports_of(p, "api.1") + ports_of(p, "api.2"), 0);
    ports_free(p);
    unlink(table);
    mkdir(table, 0700);         /* cannot be read nor written: it serves all the same */
    p = open_ports();
    assert_int_equal(take(p, "api.1", 0), FIRST);
    ports_free(p);
    rmdir(table);
}

static uint64_t inode_of(int fd)
{
    struct stat sb;
    assert_return_code(fstat(fd, &sb), errno);
    return sb.st_ino;
}

static void listeners(void **st)
{
    (void)st;
    uint64_t inodes[4] = { 0 };
    int fd = listen_at("127.0.0.1", 18201);
    assert_int_equal(ports_listeners(18201, inodes, 4), 1);
    assert_int_equal(inodes[0], inode_of(fd));
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = htons(18201)};
    int one = 1, six = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (six >= 0 && setsockopt(six, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one) == 0 && bind(six, (struct sockaddr *)&a, sizeof a) == 0 && listen(six, 5) == 0) {
        assert_int_equal(ports_listeners(18201, inodes, 4), 2);
        assert_int_equal(inodes[1], inode_of(six));
        assert_int_equal(ports_listeners(18201, inodes, 1), 1);
    }
    close(six);
    close(fd);
    assert_int_equal(ports_listeners(18201, inodes, 4), 0);
}

static void recovered(void **st)
{
    (void)st;
    struct ports *p = open_ports();
    assert_int_equal(ports_recover(p, "api.1", 18104), 18104);
    assert_int_equal(ports_of(p, "api.1"), 18104);
    assert_int_equal(ports_recover(p, "api.1", 18105), 0);      /* it has one */
    assert_int_equal(ports_recover(p, "api.2", 18104), 0);      /* another has it */
    assert_int_equal(ports_recover(p, "api.3", 0), 0);
    assert_int_equal(ports_recover(p, "api.3", 65536), 0);
    assert_int_equal(ports_recover(p, "../x", 18106), 0);
    ports_free(p);
    p = open_ports();
    assert_int_equal(ports_of(p, "api.1"), 18104);
    ports_free(p);
}

static int fresh(void **st)
{
    (void)st;
    unlink(table);
    return 0;
}

static int make_folder(void **st)
{
    (void)st;
    fixed_printf(folder, "/tmp/muster-test-ports-%d-XXXXXX", (int)getpid());
    if (!mkdtemp(folder))
        return -1;
    fixed_printf(table, "%s/ports", folder);
    return 0;
}

static int drop_folder(void **st)
{
    (void)st;
    unlink(table);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup(kept, fresh), cmocka_unit_test_setup(around_others, fresh), cmocka_unit_test_setup(fixed_ports, fresh),
        cmocka_unit_test_setup(bad_ids, fresh), cmocka_unit_test_setup(torn_tables, fresh), cmocka_unit_test_setup(listeners, fresh), cmocka_unit_test_setup(recovered, fresh)};
    return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
