/* detect.h - what kind of app lies in a folder, and a first muster.yaml for it.
 *
 * detect_source and detect_render are pure; detect_folder reads the folder (two levels, bounded). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "base/strbuf.h"

enum app_kind { APP_OTHER, APP_FLASK, APP_DJANGO, APP_FASTAPI };    /* FASTAPI: any ASGI app */
struct app {
    enum app_kind kind;
    char module[128];           /* "app", "pkg.wsgi" */
    char object[64];            /* "app", "create_app()" */
    char file[160];             /* where it was seen, "" if nowhere */
    char health_path[64];       /* a route that looks like a health check, or "" */
    char server[160];           /* "gunicorn", ".venv/bin/uvicorn" */
    bool server_found;          /* it is there: in a venv of the folder or in PATH */
};
const char *app_kind_word(enum app_kind k);
/* Looks at one Python source and improves *app if it says more: Flask beats other, an app object beats a factory. */
void detect_source(const char *file, const char *module, const char *text, struct app *app);
void detect_folder(const char *folder, struct app *ret);
void detect_render(const struct app *app, struct strbuf *out);
