#include "ctl/detect.h"
#include <ctype.h>
#include <dirent.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/file.h"

enum { SOURCE_BYTES_MAX = 1 << 20, FILES_MAX = 400 };

const char *app_kind_word(enum app_kind k)
{
    static const char *const words[] = { [APP_OTHER] = "other", [APP_FLASK] = "Flask", [APP_DJANGO] = "Django", [APP_FASTAPI] = "FastAPI" };
    return words[k];
}

/* --- one source ----------------------------------------------------------------------------------------- */
/* "app = Flask(__name__)", "api: FastAPI = fastapi.FastAPI(" at the beginning of a line: the name, or false. */
static bool assigns(const char *line, size_t len, const char *constructor, char *ret, size_t size)
{
    size_t n = 0, clen = strlen(constructor);
    while (n < len && (isalnum((unsigned char)line[n]) || line[n] == '_')) n++;
    const char *eq = memchr(line, '=', len);
    if (n == 0 || n >= size || !eq || isdigit((unsigned char)line[0])) return false;
    size_t gap = n + strspn(line + n, " ");
    if (line + gap != eq && line[gap] != ':') return false;
    const char *value = eq + 1, *end = line + len;
    while (value < end && *value == ' ') value++;
    for (const char *dot; (dot = memchr(value, '.', (size_t)(end - value))) && dot < value + strcspn(value, "(");) value = dot + 1;
    if ((size_t)(end - value) <= clen || strncmp(value, constructor, clen) != 0 || value[clen] != '(') return false;
    memcpy(ret, line, n);
    ret[n] = '\0';
    return true;
}

static bool starts(const char *line, size_t len, const char *with)
{
    return len >= strlen(with) && strncmp(line, with, strlen(with)) == 0;
}

static void find_health(const char *text, struct app *app)
{
    static const char *const paths[] = { "/healthz", "/health", "/livez", "/readyz", "/ping", "/status", "/up" };
    if (*app->health_path) return;
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        cleanup_free char *one = xasprintf("(\"%s\"", paths[i]), *two = xasprintf("('%s'", paths[i]);
        if (!strstr(text, one) && !strstr(text, two)) continue;
        fixed_copy(app->health_path, sizeof app->health_path, paths[i]);
        return;
    }
}

/* How good a find is, so that the best of a folder wins: an app object at the top of a well-known file. */
static int worth(enum app_kind kind, const char *module, bool factory)
{
    static const char *const usual[] = { "app", "main", "wsgi", "asgi", "api", "application", "server", "run" };
    int w = kind == APP_OTHER ? 0 : factory ? 10 : 20;
    for (size_t i = 0; i < ARRAY_LEN(usual); i++)
        if (strcmp(module, usual[i]) == 0) return w + 9 - (int)i;
    return w;
}

static void take(struct app *app, enum app_kind kind, const char *file, const char *module, const char *object)
{
    bool factory = strchr(object, '(') != NULL, had_factory = strchr(app->object, '(') != NULL;
    if (worth(kind, module, factory) <= worth(app->kind, app->module, had_factory)) return;
    app->kind = kind;
    fixed_copy(app->file, sizeof app->file, file);
    fixed_copy(app->module, sizeof app->module, module);
    fixed_copy(app->object, sizeof app->object, object);
}

void detect_source(const char *file, const char *module, const char *text, struct app *app)
{
    static const struct { const char *constructor; enum app_kind kind; } makes[] = { { "Flask", APP_FLASK }, { "FastAPI", APP_FASTAPI },
        { "Starlette", APP_FASTAPI }, { "Litestar", APP_FASTAPI }, { "Quart", APP_FASTAPI }, { "get_wsgi_application", APP_DJANGO }, { "get_asgi_application", APP_FASTAPI } };
    bool flask = strstr(text, "Flask") != NULL, fastapi = strstr(text, "FastAPI") != NULL;
    char name[64];
    find_health(text, app);
    for (const char *line = text, *end; *line; line = *end ? end + 1 : end) {
        end = line + strcspn(line, "\n");
        size_t len = (size_t)(end - line);
        for (size_t i = 0; i < ARRAY_LEN(makes); i++)
            if (assigns(line, len, makes[i].constructor, name, sizeof name)) take(app, makes[i].kind, file, module, name);
        if ((flask || fastapi) && (starts(line, len, "def create_app(") || starts(line, len, "def make_app("))) {
            cleanup_free char *call = xasprintf("%.*s()", (int)(strcspn(line + 4, "(")), line + 4);
            take(app, flask ? APP_FLASK : APP_FASTAPI, file, module, call);
        }
    }
}

/* --- a folder --------------------------------------------------------------------------------------------- */
static void look_at_file(const char *folder, const char *package, const char *name, struct app *app)
{
    cleanup_free char *path = *package ? xasprintf("%s/%s/%s", folder, package, name) : xasprintf("%s/%s", folder, name);
    cleanup_free char *file = *package ? xasprintf("%s/%s", package, name) : xstrdup(name);
    cleanup_free char *stem = xstrndup(name, strlen(name) - 3), *text = NULL;
    cleanup_free char *module = !*package ? xstrdup(stem) : strcmp(stem, "__init__") == 0 ? xstrdup(package) : xasprintf("%s.%s", package, stem);
    if (file_read(path, SOURCE_BYTES_MAX, &text, NULL, NULL) < 0) return;
    detect_source(file, module, text, app);
}

static bool is_python(const char *name)
{
    size_t n = strlen(name);
    return n > 3 && strcmp(name + n - 3, ".py") == 0 && strncmp(name, "test_", 5) != 0 && strcmp(name, "conftest.py") != 0 && strcmp(name, "setup.py") != 0;
}

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* Names in a folder, sorted, so that the answer does not depend on the file system's order. */
static void list(const char *path, struct strv *ret)
{
    DIR *d = opendir(path);
    if (!d) return;
    for (struct dirent *e; ret->n < FILES_MAX && (e = readdir(d));)
        if (e->d_name[0] != '.') strv_push(ret, e->d_name);
    closedir(d);
    if (ret->n) qsort(ret->v, ret->n, sizeof *ret->v, by_text);
}

static void look_into(const char *folder, const char *package, struct app *app)
{
    cleanup_free char *path = *package ? xasprintf("%s/%s", folder, package) : xstrdup(folder);
    struct strv names = { 0 };
    list(path, &names);
    for (size_t i = 0; i < names.n; i++)
        if (is_python(names.v[i])) look_at_file(folder, package, names.v[i], app);
    for (size_t i = 0; i < names.n && !*package; i++) {
        cleanup_free char *sub = xasprintf("%s/%s", path, names.v[i]);
        struct stat st;
        static const char *const skipped[] = { "venv", "env", "node_modules", "tests", "test", "docs", "build", "dist", "migrations", "__pycache__" };
        bool skip = stat(sub, &st) < 0 || !S_ISDIR(st.st_mode);
        for (size_t k = 0; k < ARRAY_LEN(skipped); k++) skip = skip || strcmp(names.v[i], skipped[k]) == 0;
        if (!skip) look_into(folder, names.v[i], app);
    }
    strv_done(&names);
}

static bool in_path(const char *program)
{
    const char *path = getenv("PATH");
    for (const char *at = path ? path : ""; *at; at += strcspn(at, ":"), at += *at == ':') {
        cleanup_free char *name = xasprintf("%.*s/%s", (int)strcspn(at, ":"), at, program);
        if (access(name, X_OK) == 0) return true;
    }
    return false;
}

static void find_server(const char *folder, const char *program, struct app *app)
{
    static const char *const venvs[] = { ".venv/bin", "venv/bin", "env/bin" };
    for (size_t i = 0; i < ARRAY_LEN(venvs); i++) {
        cleanup_free char *path = xasprintf("%s/%s/%s", folder, venvs[i], program);
        if (access(path, X_OK) != 0) continue;
        app->server_found = true;
        fixed_printf(app->server, "%s/%s", venvs[i], program);
        return;
    }
    app->server_found = in_path(program);
    fixed_copy(app->server, sizeof app->server, program);
}

void detect_folder(const char *folder, struct app *ret)
{
    struct app app = { .kind = APP_OTHER };
    look_into(folder, "", &app);
    find_server(folder, app.kind == APP_FASTAPI ? "uvicorn" : app.kind == APP_OTHER ? "python3" : "gunicorn", &app);
    *ret = app;
}

/* --- the file --------------------------------------------------------------------------------------------- */
static void add_command(const struct app *app, struct strbuf *out)
{
    bool factory = strchr(app->object, '(') != NULL;
    switch (app->kind) {
    case APP_FLASK: case APP_DJANGO:
        strbuf_printf(out, "    command: %s --bind ${HOST}:${PORT} --workers 2 %s%s:%s%s\n", app->server, factory ? "\"" : "", app->module, app->object, factory ? "\"" : "");
        break;
    case APP_FASTAPI:
        strbuf_printf(out, "    command: %s --host ${HOST} --port ${PORT} %s%s:%.*s\n", app->server, factory ? "--factory " : "", app->module,
                      (int)strcspn(app->object, "("), app->object);
        break;
    case APP_OTHER:
        strbuf_puts(out, "    # Your server here. It must listen on ${HOST}:${PORT}: muster gives each instance a port of its own.\n"
                         "    command: python3 -m http.server --bind ${HOST} ${PORT}\n");
        break;
    }
}

static void add_health(const struct app *app, struct strbuf *out)
{
    strbuf_puts(out, "    # An instance gets traffic only while this passes.");
    if (*app->health_path) strbuf_printf(out, "\n    health: { readiness: { http: %s } }\n", app->health_path);
    else strbuf_puts(out, " Better: { http: /healthz }, once your app has such a path.\n    health: { readiness: { tcp: true } }\n");
}

void detect_render(const struct app *app, struct strbuf *out)
{
    strbuf_puts(out, "# What muster should run. Check: musterctl check   Run: musterctl up   All keys: docs/CONFIG.md\n");
    if (app->kind != APP_OTHER) strbuf_printf(out, "# Found: a %s app in %s.\n", app_kind_word(app->kind), app->file);
    strbuf_puts(out, "services:\n  api:\n");
    add_command(app, out);
    strbuf_puts(out, "    # directory: /srv/api                  # default: this file's folder\n"
                     "    # environment: { APP_ENV: production }\n"
                     "    # Between min and max; the rule that asks for most wins. Or a plain number, `instances: 3`, and no `scale`.\n"
                     "    instances: { min: 2, max: 4 }\n"
                     "    scale: { on: [ { cpu: 60% } ] }        # more rules: { latency: { p95: 250ms } }, { in_flight: 8 }\n");
    add_health(app, out);
    strbuf_puts(out, "    # stop: { drain: 30s, timeout: 30s }   # how long requests and the process may take to end\n"
                     "    balance: edge\n"
                     "# muster runs this HAProxy; \":8080\" is open to all hosts.\n"
                     "balancers: { edge: { haproxy: { listen: \"127.0.0.1:8080\" } } }\n");
}
