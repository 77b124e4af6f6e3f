/* What only this machine can tell, tried with files made for it. As root also for another account. */
#include "tests/unit/config_rig.h"
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/file.h"
#include "model/host_account.h"
#include "model/host_path.h"

static char folder[64];

static char *path_in(const char *name)
{
    return xasprintf("%s/%s", folder, name);
}

static void put(const char *name, const char *text, mode_t mode)
{
    cleanup_free char *path = path_in(name);
    assert_int_equal(file_write_atomic(path, text, strlen(text), mode, 0, NULL), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static const char PEM[] = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----\n";
static const char *const FILES[] = { "good.sh", "plain", "empty", "noshebang", "nointerpreter", "secret", "edge.pem", "cert.pem", "torn.env", "closed/x.sh", "bin/tool" };

static int set_up(void **state)
{
    (void)state;
    fixed_printf(folder, "/tmp/muster-test-host-%d-XXXXXX", (int)getpid());
    if (!mkdtemp(folder) || chmod(folder, 0755) < 0)
        return -1;
    cleanup_free char *closed = path_in("closed"), *bin = path_in("bin");
    if (mkdir(closed, 0700) < 0 || mkdir(bin, 0755) < 0)
        return -1;
    put("good.sh", "#!/bin/sh\n", 0755);
    put("plain", "#!/bin/sh\n", 0644);
    put("empty", "", 0755);
    put("noshebang", "echo hello\n", 0755);
    put("nointerpreter", "#! /no/such/python3 -u\n", 0755);
    put("torn.env", "A=1\nhello\n", 0644);
    put("secret", "x\n", 0600);
    put("edge.pem", PEM, 0600);
    put("cert.pem", "-----BEGIN CERTIFICATE-----\n", 0644);
    put("closed/x.sh", "#!/bin/sh\n", 0755);
    put("bin/tool", "#!/bin/sh\n", 0755);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(FILES); i++) {
        cleanup_free char *path = path_in(FILES[i]);
        (void)unlink(path);
    }
    cleanup_free char *closed = path_in("closed"), *bin = path_in("bin");
    (void)rmdir(closed);
    (void)rmdir(bin);
    return rmdir(folder);
}

/* The messages of one service's keys, whose relative paths start in the folder. */
static char *host_messages(const char *keys, uid_t owner)
{
    cleanup_free char *text = xasprintf("services:\n  a: { %s }\n", keys);
    struct config_source src = { .name = "m.yaml", .text = text, .len = strlen(text), .folder = folder };
    struct config c = {0};
    struct config_errors e = {0};
    struct strbuf out = STRBUF_INIT;
    int rc = config_parse(&src, 1, &c, &e);
    if (rc == 0) {
        int found = config_check_host(&c, &src, 1, owner, &e);
        assert_int_equal(found, (int)e.n);
    }
    config_errors_print(&e, &out);
    config_errors_done(&e);
    config_done(&c);
    return strbuf_take(&out);
}

/* want: after "m.yaml:", @ stands for the folder; "" for no message. */
static void check(const char *keys, uid_t owner, const char *want)
{
    cleanup_free char *got = host_messages(keys, owner);
    cleanup_strbuf struct strbuf all = STRBUF_INIT;
    if (*want)
        strbuf_puts(&all, "m.yaml:");
    for (const char *s = want; *s; s++)
        if (*s == '@')
            strbuf_puts(&all, folder);
        else
            strbuf_putc(&all, *s);
    if (*want ? strncmp(got, strbuf_str(&all), all.len) != 0 : *got)
        fail_msg("%s\n--- gave: %s--- wanted: %s", keys, got, strbuf_str(&all));
}

static void test_programs(void **state)
{
    (void)state;
    static const struct { const char *keys, *want; } ROWS[] = {
        { "command: ./good.sh", "" }, { "command: sh", "" }, { "command: /bin/sh", "" }, { "command: bin/tool", "" },
        { "command: good.sh", "2:17: services.a.command: there is no program \"good.sh\" in PATH (" },
        { "command: ./missing.sh", "2:17: services.a.command: @/./missing.sh does not exist\n" },
        { "command: /no/such/program", "2:17: services.a.command: /no/such/program does not exist\n" },
        { "command: ./plain", "2:17: services.a.command: @/./plain is not executable (chmod +x?)\n" },
        { "command: ./bin", "2:17: services.a.command: @/./bin is a folder, expected a program\n" },
        { "command: /dev/null", "2:17: services.a.command: /dev/null is not a regular file, expected a program\n" },
        { "command: ./empty", "2:17: services.a.command: @/./empty is empty, expected a program\n" },
        { "command: ./noshebang", "2:17: services.a.command: @/./noshebang is a script without a first line such as #!/bin/sh\n" },
        { "command: ./nointerpreter", "2:17: services.a.command: @/./nointerpreter wants the interpreter /no/such/python3, which does not exist\n" },
        { "command: ['${BIN}/tool'], environment: { BIN: ./bin }", "" },
        { "command: ['${BIN}/tool'], environment: { BIN: ./no }", "2:17: services.a.command: @/./no/tool does not exist\n" },
        { "command: ['./${INSTANCE}.sh']", "" },
        { "command: sh, health: { liveness: { command: ./missing } }", "2:52: services.a.health.liveness.command: @/./missing does not exist\n" },
        { "command: sh, hooks: { before_stop: { run: [./missing] } }", "2:50: services.a.hooks.before_stop.run: @/./missing does not exist\n" },
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++)
        check(ROWS[i].keys, geteuid(), ROWS[i].want);
    cleanup_free char *in_path = xasprintf("command: tool, environment: { PATH: \"/no/such:%s/bin\" }", folder);
    check(in_path, geteuid(), "");
}

static void test_folders_and_files(void **state)
{
    (void)state;
    static const struct { const char *keys, *want; } ROWS[] = {
        { "command: sh, directory: no", "2:32: services.a.directory: @/no does not exist\n" },
        { "command: ./missing, directory: plain", "2:39: services.a.directory: @/plain is not a folder\n" },
        { "command: tool, directory: bin", "2:17: services.a.command: there is no program" }, { "command: ./tool, directory: bin", "" },
        { "command: sh, environment_file: no.env", "2:39: services.a.environment_file: @/no.env does not exist\n" },
        { "command: sh, environment_file: bin", "2:39: services.a.environment_file: @/bin is a folder, expected a file\n" },
        { "command: sh, environment_file: torn.env", "2:39: services.a.environment_file: @/torn.env:2: expected KEY=VALUE\n" },
        { "command: sh, environment_file: plain", "" }, { "command: sh, secrets: { A: secret }", "" },
        { "command: sh, secrets: { A: secret, B: { file: no } }", "2:46: services.a.secrets.B: @/no does not exist\n" },
        { "command: sh, secrets: { A: /dev/zero }", "2:35: services.a.secrets.A: /dev/zero is not a regular file, expected a file\n" },
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++)
        check(ROWS[i].keys, geteuid(), ROWS[i].want);
}

static void test_accounts(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        check("command: sh, user: root", geteuid(), "2:27: services.a.user: only root can run it as root: ");
        check("command: sh, groups: [root]", geteuid(), "2:29: services.a.groups: only root can set groups: ");
        return;
    }
    check("command: sh, user: nobdy", 0, "2:27: services.a.user: there is no user \"nobdy\" on this machine, did you mean nobody?\n");
    check("command: sh, user: no-such-account-here", 0, "2:27: services.a.user: there is no user \"no-such-account-here\" on this machine\n");
    check("command: sh, groups: [dameon]", 0, "2:29: services.a.groups: there is no group \"dameon\" on this machine, did you mean daemon?\n");
    check("command: sh, user: daemon, groups: [daemon, 12345]", 0, "");
    check("command: sh, user: 54321", 0, "");
    check("command: closed/x.sh", 0, "");
    check("command: closed/x.sh, user: daemon", 0, "2:17: services.a.command: user daemon may not execute @/closed/x.sh\n");
    check("command: ./x.sh, directory: closed, user: daemon", 0, "2:36: services.a.directory: user daemon may not enter @/closed\n");
    check("command: sh, user: daemon, secrets: { A: secret }", 0, "");     /* read for it, by root */
    const struct passwd *nobody = getpwnam("nobody");
    if (nobody)                         /* the owner of the file, where no user is said */
        check("command: closed/x.sh", nobody->pw_uid, "2:17: services.a.command: user nobody may not execute @/closed/x.sh\n");
}

static void test_pem(void **state)
{
    (void)state;
    cleanup_free char *good = path_in("edge.pem"), *cert = path_in("cert.pem"), *plain = path_in("plain"), *missing = path_in("no.pem");
    struct err e;
    assert_int_equal(host_path_pem(good, &e), 0);
    assert_true(host_path_pem(cert, &e) < 0 && strstr(e.text, "cert.pem holds no private key, expected a PEM file with both"));
    assert_true(host_path_pem(plain, &e) < 0 && strstr(e.text, "holds no certificate"));
    assert_true(host_path_pem(missing, &e) < 0 && strstr(e.text, "does not exist"));
    assert_true(host_path_pem(folder, &e) < 0 && strstr(e.text, "is a folder"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_programs), cmocka_unit_test(test_folders_and_files), cmocka_unit_test(test_accounts), cmocka_unit_test(test_pem),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
