/* How many requests a command takes at a time, from its command line. */
#include "tests/unit/config_rig.h"
#include "model/shellwords.h"

static void test_commands(void **state)
{
    (void)state;
    static const struct { const char *command; uint32_t want; } ROWS[] = {
        { "gunicorn app:app", 1 }, { "gunicorn -w 4 app:app", 4 }, { "gunicorn -w4 app:app", 4 }, { "gunicorn -w=4 app:app", 4 },
        { "gunicorn --workers 4 app:app", 4 }, { "gunicorn --workers=4 app:app", 4 },
        { "gunicorn --workers 2 --threads 8 app:app", 16 }, { "gunicorn -k gthread --threads 8 app:app", 8 }, { "gunicorn -k gthread app:app", 1 },
        { "gunicorn --worker-class=gthread --threads=8 -w 3 app:app", 24 }, { "gunicorn --worker-class sync -w 3 app:app", 3 },
        { "gunicorn -k gevent -w 2 app:app", 200 }, { "gunicorn -k gevent --worker-connections 20 app:app", 20 }, { "gunicorn -k eventlet --worker-connections 1000 app:app", 100 },
        { "gunicorn -k uvicorn.workers.UvicornWorker -w 2 app:app", 200 },
        { "/usr/bin/gunicorn -w 4 app:app", 4 }, { "venv/bin/gunicorn -w 4 app:app", 4 }, { "python3 -m gunicorn -w 4 app:app", 4 },
        { "python3 /usr/bin/gunicorn -w 4 app:app", 4 }, { "env A=b gunicorn -w 4 app:app", 4 }, { "poetry run gunicorn -w 4 app:app", 4 },
        { "gunicorn -w 4 -w 6 app:app", 6 }, { "gunicorn -w x app:app", 1 }, { "gunicorn -w 0 app:app", 1 }, { "gunicorn app:app -w", 1 },
        { "gunicorn --workers ${N} app:app", 1 }, { "gunicorn --worker-tmp-dir /x app:app", 1 }, { "gunicorn -w 400 --threads 1000 app:app", 100000 },
        { "uvicorn app:app", 100 }, { "uvicorn app:app --port ${PORT}", 100 }, { "uvicorn --workers 2 app:app", 200 },
        { "uvicorn --limit-concurrency 40 app:app", 40 }, { "uvicorn --workers=2 --limit-concurrency=40 app:app", 80 }, { "python3 -m uvicorn app:app", 100 },
        { "celery -A app worker -c 8", 8 }, { "celery -A app worker -c8", 8 }, { "celery -A app worker --concurrency=3", 3 },
        { "celery -A app worker --concurrency 3", 3 }, { "celery -A app worker", 100 }, { "python3 -m celery -A app worker -c 2", 2 },
        { "node server.js", 100 }, { "./serve -w 4 --workers 3", 100 }, { "true", 100 }, { "not-gunicorn -w 4", 100 },
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct strv words = {0};
        assert_int_equal(shellwords_split(ROWS[i].command, &words, NULL), 0);
        uint32_t got = concurrency_of_command(&words);
        if (got != ROWS[i].want)
            fail_msg("%s: %u, wanted %u", ROWS[i].command, got, ROWS[i].want);
        strv_done(&words);
    }
    assert_int_equal(concurrency_of_command(&(struct strv){0}), 100);
}

static void test_auto_or_said(void **state)
{
    (void)state;
    struct config c = rig_good("services: { a: { command: gunicorn -w 4 x }, b: { command: gunicorn -w 4 x, concurrency: 7 } }\n");
    assert_true(c.services[0].concurrency_auto);
    assert_int_equal(c.services[0].concurrency, 4);
    assert_false(c.services[1].concurrency_auto);
    assert_int_equal(c.services[1].concurrency, 7);
    config_done(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_commands), cmocka_unit_test(test_auto_or_said) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
