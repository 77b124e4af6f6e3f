/* What `init` sees in a folder, and that the file it writes is one that the parser takes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "ctl/detect.h"
#include "model/spec.h"

static void sources(void **state)
{
    (void)state;
    static const struct { const char *text; enum app_kind kind; const char *object, *health; } rows[] = {
        { "from flask import Flask\napp = Flask(__name__)\n", APP_FLASK, "app", "" },
        { "import flask\napi=flask.Flask(__name__)\n@api.get('/healthz')\n", APP_FLASK, "api", "/healthz" },
        { "app: Flask = Flask(__name__)\n", APP_FLASK, "app", "" },
        { "from flask import Flask\ndef create_app(config=None):\n    app = Flask(__name__)\n", APP_FLASK, "create_app()", "" },
        { "from fastapi import FastAPI\napp = FastAPI(title='x')\n@app.get(\"/health\")\n", APP_FASTAPI, "app", "/health" },
        { "app = fastapi.FastAPI()\n", APP_FASTAPI, "app", "" },
        { "app = Starlette(routes=[])\n", APP_FASTAPI, "app", "" },
        { "application = get_wsgi_application()\n", APP_DJANGO, "application", "" },
        { "    app = Flask(__name__)\n", APP_OTHER, "", "" },       /* inside of something: not importable */
        { "# app = Flask(__name__)\n", APP_OTHER, "", "" },
        { "app = Flasks(__name__)\n", APP_OTHER, "", "" },
        { "x == Flask(__name__)\n", APP_OTHER, "", "" },
        { "app = make(Flask(1))\n", APP_OTHER, "", "" },
        { "", APP_OTHER, "", "" },
        { "=", APP_OTHER, "", "" },
        { "app =", APP_OTHER, "", "" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct app app = { .kind = APP_OTHER };
        detect_source("app.py", "app", rows[i].text, &app);
        if (app.kind != rows[i].kind) fail_msg("row %zu: %s", i, app_kind_word(app.kind));
        assert_string_equal(app.object, rows[i].object);
        assert_string_equal(app.health_path, rows[i].health);
    }
}

static void the_usual_file_wins(void **state)
{
    (void)state;
    struct app app = { .kind = APP_OTHER };
    detect_source("zzz.py", "zzz", "app = Flask(__name__)\n", &app);
    detect_source("wsgi.py", "wsgi", "app = Flask(__name__)\n", &app);
    detect_source("app.py", "app", "def create_app():\n    return Flask(__name__)\n", &app);
    detect_source("other.py", "other", "app = Flask(__name__)\n", &app);
    assert_string_equal(app.module, "wsgi");
}

/* The path of a file of the folder; valid until the next call. */
static const char *in(const char *top, const char *name)
{
    static char path[128];
    fixed_printf(path, "%s%s", top, name);
    return path;
}

static void a_package_and_a_venv(void **state)
{
    (void)state;
    char top[] = "/tmp/muster-init-XXXXXX";
    assert_non_null(mkdtemp(top));
    static const char *const folders[] = { "/shop", "/.venv", "/.venv/bin", "/tests" };
    static const struct { const char *name, *text; mode_t mode; } files[] = { { "/shop/__init__.py", "from flask import Flask\ndef create_app():\n    pass\n", 0644 },
        { "/.venv/bin/gunicorn", "#!/bin/sh\n", 0755 }, { "/tests/app.py", "app = FastAPI()\n", 0644 }, { "/setup.py", "app = FastAPI()\n", 0644 } };
    for (size_t i = 0; i < ARRAY_LEN(folders); i++) assert_int_equal(mkdir(in(top, folders[i]), 0755), 0);
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        assert_int_equal(file_write_atomic(in(top, files[i].name), files[i].text, strlen(files[i].text), files[i].mode, 0, NULL), 0);
    }
    struct app app;
    detect_folder(top, &app);
    assert_int_equal(app.kind, APP_FLASK);
    assert_string_equal(app.module, "shop");
    assert_string_equal(app.object, "create_app()");
    assert_string_equal(app.server, ".venv/bin/gunicorn");
    assert_true(app.server_found);
    for (size_t i = 0; i < ARRAY_LEN(files); i++) unlink(in(top, files[i].name));
    for (size_t i = ARRAY_LEN(folders); i-- > 0;) rmdir(in(top, folders[i]));
    assert_int_equal(rmdir(top), 0);
}

static void what_is_written_is_valid(void **state)
{
    (void)state;
    static const struct app apps[] = {
        { .kind = APP_FLASK, .module = "app", .object = "app", .file = "app.py", .server = "gunicorn" },
        { .kind = APP_FLASK, .module = "shop", .object = "create_app()", .file = "shop/__init__.py", .server = ".venv/bin/gunicorn", .health_path = "/healthz" },
        { .kind = APP_FASTAPI, .module = "main", .object = "app", .file = "main.py", .server = "uvicorn" },
        { .kind = APP_FASTAPI, .module = "main", .object = "create_app()", .file = "main.py", .server = "uvicorn" },
        { .kind = APP_DJANGO, .module = "site.wsgi", .object = "application", .file = "site/wsgi.py", .server = "gunicorn" },
        { .kind = APP_OTHER },
    };
    for (size_t i = 0; i < ARRAY_LEN(apps); i++) {
        cleanup_strbuf struct strbuf out = STRBUF_INIT, told = STRBUF_INIT;
        struct config config = { 0 };
        struct config_errors errs = { 0 };
        detect_render(&apps[i], &out);
        struct config_source src = { .name = "muster.yaml", .text = out.s, .len = out.len, .folder = "/tmp" };
        int r = config_parse(&src, 1, &config, &errs);
        config_errors_print(&errs, &told);
        if (r < 0) fail_msg("%zu: %s\n%s", i, strbuf_str(&told), out.s);
        assert_int_equal(config.service_n, 1);
        assert_int_equal(config.balancer_n, 1);
        if (apps[i].kind == APP_FLASK && strchr(apps[i].object, '(')) assert_string_equal(config.services[0].command.v[config.services[0].command.n - 1], "shop:create_app()");
        config_done(&config);
        config_errors_done(&errs);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(sources), cmocka_unit_test(the_usual_file_wins), cmocka_unit_test(a_package_and_a_venv), cmocka_unit_test(what_is_written_is_valid) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
