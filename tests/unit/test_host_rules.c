/* What a host's rules let be started, and which files may be read for it. As root: only root has anything to refuse. */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "agent/host_rules.h"
#include "agent/spawn_user.h"
#include "base/cleanup.h"
#include "model/agent_config.h"

enum { SUPERVISOR = 61300, LOGGER = 61301, BALANCER = 61302, NOBODY = 65534 };
static char dir[64];

static struct host_rules rules(void)
{
    return (struct host_rules){ .apart = true, .supervisor = { SUPERVISOR, SUPERVISOR }, .logger = { LOGGER, LOGGER }, .balancer = { BALANCER, BALANCER },
                                .controller_uid = NO_ID, .limited = true, .users_n = 1, .users = { NOBODY } };
}

static struct spawn_user user(uint32_t uid, uint32_t gid) { return (struct spawn_user){ .uid = uid, .gid = gid, .name = "x", .groups = { gid }, .groups_n = 1 }; }

static void need_root(void)
{
    if (geteuid() != 0)
        skip();
}

static void who(void **state)
{
    (void)state;
    need_root();
    struct host_rules r = rules(), any = rules(), free_for_all = rules();
    any.any_user = true;
    any.users_n = 0;
    free_for_all.limited = false;
    struct spawn_user nobody = user(NOBODY, NOBODY), root = user(0, 0), daemon = user(1, 1), escape = user(NOBODY, 0), stray = user(NOBODY, NOBODY), gone = user(61555, 61555);
    stray.groups[stray.groups_n++] = 0;
    const struct { const struct host_rules *r; const struct spawn_user *u; int rc; const char *why; } rows[] = {
        { &r, &nobody, 0, "" }, { &r, &root, -EPERM, "allow_root" }, { &r, &daemon, -EPERM, "users" }, { &r, &escape, -EPERM, "not the group of user" },
        { &r, &stray, -EPERM, "not in group 0" }, { &any, &daemon, 0, "" }, { &any, &root, -EPERM, "allow_root" }, { &any, &gone, -EPERM, "not known" },
        { &any, &escape, -EPERM, "not the group" }, { &free_for_all, &root, 0, "" }, { &free_for_all, &escape, 0, "" }, { NULL, &root, 0, "" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err e = { "" };
        int rc = host_rules_allow(rows[i].r, rows[i].u, &e);
        if (rc != rows[i].rc || !strstr(e.text, rows[i].why))
            fail_msg("row %zu: %d %s", i, rc, e.text);
    }
    r.allow_root = true;
    assert_int_equal(host_rules_allow(&r, &root, NULL), 0);
}

/* Whoever runs as one of muster's own users could do with that process what it wants. */
static void nobody_is_a_role(void **state)
{
    (void)state;
    need_root();
    const uint32_t ids[] = { SUPERVISOR, LOGGER, BALANCER };
    struct host_rules r = rules();
    for (int limited = 0; limited < 2; limited++)
        for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
            struct spawn_user u = user(ids[i], ids[i]);
            struct err e = { "" };
            r.limited = limited;
            r.any_user = true;
            assert_int_equal(host_rules_allow(&r, &u, &e), -EPERM);
            assert_non_null(strstr(e.text, "muster's own"));
        }
}

static char *in(const char *name)
{
    static char path[8][128];
    static int n;
    n = (n + 1) % 8;
    fixed_printf(path[n], "%s/%s", dir, name);
    return path[n];
}

static void put(const char *name)
{
    int fd = open(in(name), O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0 && write(fd, "x", 1) == 1);
    close(fd);
}

static void which_files(void **state)
{
    (void)state;
    need_root();
    fixed_printf(dir, "/tmp/muster-rules-%d-XXXXXX", (int)getpid());
    assert_non_null(mkdtemp(dir));
    mkdir(in("ok"), 0700);
    mkdir(in("ok/sub"), 0700);
    mkdir(in("okay"), 0700);
    put("ok/a");
    put("ok/sub/b");
    put("okay/c");
    put("secret");
    assert_int_equal(symlink("../secret", in("ok/link")) | symlink("..", in("ok/up")) | symlink("/proc/self/root", in("ok/root")), 0);
    struct host_rules r = rules();
    r.folders_n = 1;
    fixed_printf(r.folders[0], "%s/ok", dir);
    const struct { const char *name; int rc; } rows[] = {
        { "ok/a", 0 }, { "ok/sub/b", 0 }, { "ok//a", 0 }, { "secret", -EPERM }, { "okay/c", -EPERM }, { "ok/../secret", -EPERM }, { "ok/link", -EPERM },
        { "ok/up/secret", -EPERM }, { "ok/sub/../../secret", -EPERM }, { "ok/nothing", -ENOENT }, { "ok", -EPERM }, { "ok/", -EPERM }, { "ok/root/etc/shadow", -EPERM },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err e = { "" };
        int fd = host_rules_open(&r, in(rows[i].name), &e);
        if (fd >= 0)
            close(fd);
        if ((fd >= 0 ? 0 : fd) != rows[i].rc)
            fail_msg("%s: %d %s", rows[i].name, fd, e.text);
    }
    assert_int_equal(host_rules_open(&r, "/etc/shadow", NULL), -EPERM);
    r.limited = false;
    int fd = host_rules_open(&r, in("secret"), NULL);
    assert_true(fd >= 0);
    close(fd);
    char cmd[128];
    fixed_printf(cmd, "rm -rf %s", dir);
    assert_int_equal(system(cmd), 0);
}

static void made(void **state)
{
    (void)state;
    need_root();
    struct agent_config c = { .users_given = true, .supervisor_user = xstrdup("61400"), .logger_user = xstrdup("61401"), .balancer_user = xstrdup("61402") };
    struct host_rules r, again;
    struct err e = { "" };
    strv_push(&c.users, "nobody");
    assert_int_equal(host_rules_make(&c, "/nonexistent", &r, &e), 0);
    assert_true(r.apart && r.supervisor.uid == 61400 && r.logger.gid == 61401 && r.balancer.uid == 61402);
    assert_int_equal(r.users[0], NOBODY);
    assert_string_equal(r.folders[0], "/etc/muster");
    const char *const bad[] = { "0", "root", "61401", "no-such-user" };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        free(c.supervisor_user);
        c.supervisor_user = xstrdup(bad[i]);
        assert_true(host_rules_make(&c, "/nonexistent", &again, &e) < 0);
    }
    free(c.supervisor_user);
    c.supervisor_user = NULL;
    strv_push(&c.users, "root");
    assert_int_equal(host_rules_make(&c, "/nonexistent", &again, &e), -EPERM);
    agent_config_done(&c);
}

/* Ids that nobody has: apart from each other, the same again, and the owner of the folder wins. */
static void free_ids(void **state)
{
    (void)state;
    need_root();
    if (getpwnam("muster-agent"))
        skip();
    struct agent_config c = { 0 };
    struct host_rules r, again;
    struct err e = { "" };
    fixed_printf(dir, "/tmp/muster-rules-%d-XXXXXX", (int)getpid());
    assert_non_null(mkdtemp(dir));
    assert_int_equal(host_rules_make(&c, dir, &r, &e), 0);
    assert_true(r.apart && r.supervisor.uid != r.logger.uid && r.supervisor.uid != r.balancer.uid && r.any_user);
    assert_in_range(r.supervisor.uid, 61184, 65519);
    assert_null(getpwuid(r.supervisor.uid));
    assert_int_equal(host_rules_make(&c, dir, &again, &e), 0);
    assert_int_equal(again.supervisor.uid, r.supervisor.uid);
    mkdir(in("agent"), 0711);
    assert_return_code(chown(in("agent"), 61777, 61777), errno);
    assert_int_equal(host_rules_make(&c, dir, &again, &e), 0);
    assert_int_equal(again.supervisor.uid, 61777);
    assert_return_code(chown(in("agent"), NOBODY, NOBODY), errno);       /* somebody has that one */
    assert_int_equal(host_rules_make(&c, dir, &again, &e), 0);
    assert_int_equal(again.supervisor.uid, r.supervisor.uid);
    rmdir(in("agent"));
    rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(who), cmocka_unit_test(nobody_is_a_role), cmocka_unit_test(which_files), cmocka_unit_test(made), cmocka_unit_test(free_ids) };
    return cmocka_run_group_tests_name("host rules", tests, NULL, NULL);
}
