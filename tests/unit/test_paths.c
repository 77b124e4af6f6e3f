/* Where the state and the sockets are, for root and others, with and without a home. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/cleanup.h"
#include "base/strbuf.h"
#include "ctl/paths.h"

#define ADA "/home/ada"
static void folders(void **state)
{
    (void)state;
    static const struct { struct paths_env env; const char *option, *want_state, *want_run; bool is_default; } rows[] = {
        { { NULL, NULL, NULL, "/root", 0 }, NULL, "/var/lib/muster", "/run/muster", true },
        { { NULL, "/x", "/run/user/0", "/root", 0 }, NULL, "/var/lib/muster", "/run/muster", true },
        { { NULL, NULL, "/run/user/7", ADA, 7 }, NULL, ADA "/.local/state/muster", "/run/user/7/muster", true },
        { { NULL, "/s", "/run/user/7", ADA, 7 }, NULL, "/s/muster", "/run/user/7/muster", true },
        { { NULL, "relative", "/run/user/7", ADA, 7 }, NULL, ADA "/.local/state/muster", "/run/user/7/muster", true },    /* the XDG rule: ignore it */
        { { NULL, NULL, NULL, ADA, 7 }, NULL, ADA "/.local/state/muster", ADA "/.local/state/muster/run.d", true },
        { { NULL, NULL, "/run/user/7", ADA, 7 }, "/tmp/x", "/tmp/x", "/run/user/7/muster-", false },
        { { "/tmp/x", NULL, "/run/user/7", ADA, 7 }, NULL, "/tmp/x", "/run/user/7/muster-", false },
        { { "/tmp/y", NULL, "/run/user/7", ADA, 7 }, "/tmp/x", "/tmp/x", "/run/user/7/muster-", false },
        { { NULL, NULL, NULL, NULL, 0 }, "/tmp/x", "/tmp/x", "/run/muster-", false },
        { { NULL, NULL, NULL, NULL, 7 }, "sub/./../st//", "/cwd/st", "/cwd/st/run.d", false },
        { { NULL, NULL, "/run/user/7", ADA, 7 }, ADA "/.local/state/muster/", ADA "/.local/state/muster", "/run/user/7/muster", true },   /* the default, said aloud */
        { { NULL, NULL, NULL, ADA, 7 }, "/a/very/long/folder/that/does/not/leave/room/for/the/name/of/a/socket/in/it", NULL, "/tmp/muster-7-", false },
        { { "", NULL, NULL, ADA, 7 }, NULL, ADA "/.local/state/muster", NULL, true },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct paths p;
        struct err e = { "" };
        assert_int_equal(paths_resolve(&rows[i].env, rows[i].option, "/cwd", &p, &e), 0);
        if (rows[i].want_state) assert_string_equal(p.state, rows[i].want_state);
        if (rows[i].want_run && rows[i].want_run[strlen(rows[i].want_run) - 1] == '-') assert_int_equal(strncmp(p.run, rows[i].want_run, strlen(rows[i].want_run)), 0);
        else if (rows[i].want_run) assert_string_equal(p.run, rows[i].want_run);
        assert_int_equal(p.is_default, rows[i].is_default);
        assert_true(strlen(p.run) <= RUNTIME_LEN_MAX);
        assert_int_equal(strncmp(p.socket, p.run, strlen(p.run)), 0);
    }
}

static void two_state_folders_never_share_a_runtime_folder(void **state)
{
    (void)state;
    struct paths_env env = { NULL, NULL, "/run/user/7", ADA, 7 };
    struct paths a, b, c;
    assert_int_equal(paths_resolve(&env, "/tmp/one", "/", &a, NULL), 0);
    assert_int_equal(paths_resolve(&env, "/tmp/two", "/", &b, NULL), 0);
    assert_int_equal(paths_resolve(&env, "/tmp/./one/", "/", &c, NULL), 0);
    assert_string_not_equal(a.run, b.run);
    assert_string_equal(a.run, c.run);
}

static void refused(void **state)
{
    (void)state;
    struct paths_env none = { NULL, NULL, NULL, NULL, 7 };
    struct paths p;
    struct err e = { "" };
    assert_int_equal(paths_resolve(&none, NULL, "/", &p, &e), -ENOENT);
    assert_non_null(strstr(e.text, "--state"));
    assert_int_equal(paths_resolve(&none, "", "/", &p, &e), -EINVAL);
}

static void made_folders_are_found_again_from_another_environment(void **state)
{
    (void)state;
    char top[] = "/tmp/muster-paths-XXXXXX";
    assert_non_null(mkdtemp(top));
    cleanup_free char *dir = xasprintf("%s/state", top), *run = xasprintf("%s/r", top), *link = xasprintf("%s/run", dir);
    struct paths made, found;
    struct stat st;
    setenv("XDG_RUNTIME_DIR", run, 1);
    assert_int_equal(mkdir(run, 0700), 0);
    assert_int_equal(paths_find(dir, false, &made, NULL), 0);
    assert_int_equal(paths_make(&made, NULL), 0);
    assert_int_equal(paths_make(&made, NULL), 0);           /* again does no harm */
    assert_int_equal(stat(made.state, &st), 0);
    assert_int_equal(st.st_mode & 077, 0);
    assert_int_equal(lstat(link, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    setenv("XDG_RUNTIME_DIR", "/nowhere", 1);
    assert_int_equal(paths_find(dir, true, &found, NULL), 0);
    assert_string_equal(found.socket, made.socket);
    assert_int_equal(unlink(link), 0);
    assert_int_equal(rmdir(made.run), 0);
    assert_int_equal(rmdir(made.log), 0);
    assert_int_equal(rmdir(dir), 0);
    (void)rmdir(run);
    assert_int_equal(rmdir(top), 0);
}

static void the_machines_muster_is_reached_by_who_runs_none(void **state)
{
    (void)state;
    char top[] = "/tmp/muster-paths-XXXXXX";
    assert_non_null(mkdtemp(top));
    struct paths own = { .is_default = true }, p;
    fixed_printf(own.run, "%s/own", top);
    fixed_printf(own.socket, "%s/own.sock", top);
    cleanup_free char *socket = xasprintf("%s/musterd.sock", top), *log = xasprintf("%s/state/log", top), *state_folder = xasprintf("%s/state", top);
    p = own;
    assert_false(paths_use_system_at(top, state_folder, &p));       /* there is none */
    assert_memory_equal(&p, &own, sizeof p);
    fclose(fopen(socket, "w"));
    assert_true(paths_use_system_at(top, state_folder, &p));
    assert_string_equal(p.socket, socket);
    assert_string_equal(p.log, log);
    fclose(fopen(own.socket, "w"));                                 /* one's own goes first */
    p = own;
    assert_false(paths_use_system_at(top, state_folder, &p));
    setenv("MUSTER_STATE", "/said", 1);
    assert_false(paths_use_system(NULL, &p));
    assert_false(paths_use_system("/said", &p));
    unsetenv("MUSTER_STATE");
    unlink(socket), unlink(own.socket);
    assert_int_equal(rmdir(top), 0);
}

static void a_runtime_folder_of_somebody_else_is_refused(void **state)
{
    (void)state;
    if (geteuid() != 0) skip();                             /* needs a folder of another user */
    char top[] = "/tmp/muster-paths-XXXXXX";
    assert_non_null(mkdtemp(top));
    struct paths p = { .is_default = false };
    struct err e = { "" };
    fixed_printf(p.state, "%s/s", top);
    fixed_printf(p.log, "%s/s/log", top);
    fixed_printf(p.run, "%s/run", top);
    assert_int_equal(mkdir(p.run, 0700), 0);
    assert_int_equal(chown(p.run, 65534, 65534), 0);
    assert_int_equal(paths_make(&p, &e), -EPERM);
    assert_int_equal(rmdir(p.run), 0);
    assert_int_equal(symlink("/tmp", p.run), 0);
    assert_true(paths_make(&p, &e) < 0);
    unlink(p.run), rmdir(p.log), rmdir(p.state);
    assert_int_equal(rmdir(top), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folders), cmocka_unit_test(two_state_folders_never_share_a_runtime_folder), cmocka_unit_test(refused),
        cmocka_unit_test(made_folders_are_found_again_from_another_environment), cmocka_unit_test(a_runtime_folder_of_somebody_else_is_refused),
        cmocka_unit_test(the_machines_muster_is_reached_by_who_runs_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
