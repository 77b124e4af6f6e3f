/* test_disk.c - the agent's memory: what is saved comes back; each byte flipped or cut is noticed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "agent/disk.h"
#include "base/cleanup.h"
#include "base/file.h"

static char folder[64], path[96];

static int setup(void **state)
{
    (void)state;
    fixed_printf(folder, "/tmp/muster-disk-%d-XXXXXX", (int)getpid());
    if (!mkdtemp(folder))
        return -1;
    fixed_printf(path, "%s/desired", folder);
    return 0;
}

static int teardown(void **state)
{
    char cmd[128];

    (void)state;
    fixed_printf(cmd, "rm -rf %s", folder);
    return system(cmd);
}

static void make(struct desired *d)
{
    static const char yaml[] = "services: { api: { command: run, directory: /srv, instances: 2 } }\n";
    struct config_source src = { "t.yaml", yaml, sizeof(yaml) - 1, "/srv" };
    struct config config;
    struct config_errors errs = { 0 };

    assert_int_equal(config_parse(&src, 1, &config, &errs), 0);
    *d = (struct desired){ .epoch = 3, .revision = 9, .specs = xcalloc(1, sizeof(*d->specs)), .spec_n = 1, .items = xcalloc(2, sizeof(*d->items)), .item_n = 2 };
    d->specs[0] = (struct spec_ref){ .generation = 5, .revision = 1, .owner_uid = 1000, .owner_gid = 1000, .path_env = xstrdup("/bin"),
                                     .json = service_spec_to_json(&config.services[0]) };
    assert_int_equal(service_spec_from_json("api", d->specs[0].json, &d->specs[0].spec, NULL), 0);
    fixed_printf(d->items[0].id, "api.1");
    fixed_printf(d->items[1].id, "api.2");
    d->items[0].want = WANT_RUN;
    d->items[1].want = WANT_DRAIN;
    config_done(&config);
}

static void what_is_saved_comes_back(void **state)
{
    struct desired d, back;
    struct err e = { "" };

    (void)state;
    assert_int_equal(disk_load_desired(folder, &back, &e), -ENOENT);
    make(&d);
    assert_int_equal(disk_save_desired(folder, &d, &e), 0);
    assert_int_equal(disk_load_desired(folder, &back, &e), 0);
    assert_int_equal(back.epoch, 3);
    assert_int_equal(back.revision, 9);
    assert_int_equal(back.item_n, 2);
    assert_string_equal(back.items[1].id, "api.2");
    assert_int_equal(back.items[1].want, WANT_DRAIN);
    assert_string_equal(back.specs[0].json, d.specs[0].json);
    desired_done(&back);
    desired_done(&d);
}

static void each_flipped_byte_is_noticed(void **state)
{
    struct desired d, back;
    struct err e = { "" };
    cleanup_free char *text = NULL;
    size_t len = 0;

    (void)state;
    make(&d);
    assert_int_equal(disk_save_desired(folder, &d, &e), 0);
    desired_done(&d);
    assert_int_equal(file_read(path, 1 << 20, &text, &len, &e), 0);
    for (size_t i = 0; i < len; i++) {
        text[i] ^= 0x11;
        assert_int_equal(file_write_atomic(path, text, len, 0600, 0, &e), 0);
        assert_int_equal(disk_load_desired(folder, &back, &e), -EBADMSG);
        text[i] ^= 0x11;
    }
    for (size_t cut = 0; cut < len; cut += 7) {
        assert_int_equal(file_write_atomic(path, text, cut, 0600, 0, &e), 0);
        assert_int_equal(disk_load_desired(folder, &back, &e), -EBADMSG);
    }
}

/* Its sum is right and it says nothing that an agent is told: refused, never taken for an empty list. */
static void whole_and_not_understood(void **state)
{
    struct desired back = { .epoch = 77 };
    struct err e = { "" };

    (void)state;
    const struct { const char *s; size_t len; } bodies[] = { { "", 0 }, { "rubbish", 7 }, { "\xff\xff\xff", 3 }, { "\n\xff", 2 } };
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        cleanup_strbuf struct strbuf out = STRBUF_INIT;
        uint64_t sum = 0xcbf29ce484222325u;
        for (size_t k = 0; k < bodies[i].len; k++)
            sum = (sum ^ (unsigned char)bodies[i].s[k]) * 0x100000001b3u;
        strbuf_printf(&out, "muster-desired 1 %zu %016llx\n", bodies[i].len, (unsigned long long)sum);
        strbuf_add(&out, bodies[i].s, bodies[i].len);
        assert_int_equal(file_write_atomic(path, out.s, out.len, 0600, 0, &e), 0);
        assert_int_equal(disk_load_desired(folder, &back, &e), -EBADMSG);
        assert_int_equal(back.epoch, 77);
    }
}

static void a_strange_ready_list_is_empty_or_right(void **state)
{
    struct ready_list l;
    struct err e;
    char ready[96];
    static const char text[] = "api.1 12 1 3 7\nrubbish\n\napi.2 x 1 1 1\napi.3 9 0 0 2\n";

    (void)state;
    disk_load_ready(folder, &l);
    assert_int_equal(l.n, 0);
    fixed_printf(ready, "%s/agent.ready", folder);
    assert_int_equal(file_write_atomic(ready, text, sizeof(text) - 1, 0600, 0, &e), 0);
    disk_load_ready(folder, &l);
    assert_int_equal(l.n, 2);
    assert_true(ready_list_find(&l, "api.1")->ready);
    assert_int_equal(ready_list_find(&l, "api.1")->restarts, 3);
    assert_int_equal(ready_list_find(&l, "api.1")->generation, 7);
    assert_false(ready_list_find(&l, "api.3")->ready);
    assert_null(ready_list_find(&l, "api.2"));
    ready_list_done(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_saved_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(each_flipped_byte_is_noticed, setup, teardown),
        cmocka_unit_test_setup_teardown(whole_and_not_understood, setup, teardown),
        cmocka_unit_test_setup_teardown(a_strange_ready_list_is_empty_or_right, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
