#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "ctl/command.h"
#include "ctl/detect.h"

static int write_new(const char *path, const struct strbuf *text)
{
    cleanup_close int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0 && errno == EEXIST) return ctl_fail(EXIT_REFUSED, "%s is there already, and init never overwrites. Next: musterctl check %s", path, path);
    if (fd < 0) return ctl_fail(EXIT_FAILED, "%s: %s", path, strerror(errno));
    int r = write_all(fd, text->s, text->len);
    if (r == 0) return EXIT_DONE;
    (void)unlink(path);
    return ctl_fail(EXIT_FAILED, "%s: %s", path, strerror(-r));
}

static void tell(const struct app *app, const char *path, bool here)
{
    if (app->kind == APP_OTHER) printf("Wrote %s: no Flask, Django or FastAPI app was found here, so put your own command into it.\n", path);
    else printf("Wrote %s for the %s app in %s (%s:%s).\n", path, app_kind_word(app->kind), app->file, app->module, app->object);
    if (!app->server_found) printf("%s is not installed yet: pip install %s, or apt install %s.\n", app->server, app->server,
                                   strcmp(app->server, "uvicorn") == 0 ? "uvicorn" : app->server);
    printf("Next: musterctl up%s%s, then curl http://127.0.0.1:8080/\n", here ? "" : " ", here ? "" : path);
}

int cmd_init(struct ctl *c)
{
    const char *folder = c->args.pos_n ? c->args.pos[0] : ".";
    cleanup_strbuf struct strbuf text = STRBUF_INIT;
    bool here = strcmp(folder, ".") == 0;
    struct app app;
    struct stat st;
    if (stat(folder, &st) < 0) return ctl_fail(EXIT_NO_SUCH, "%s: %s", folder, strerror(errno));
    if (!S_ISDIR(st.st_mode)) return ctl_fail(EXIT_USAGE, "%s is not a folder; init wants the app's folder", folder);
    detect_folder(folder, &app);
    detect_render(&app, &text);
    if (args_has(&c->args, "dry-run")) {
        ctl_print(&text);
        return EXIT_DONE;
    }
    cleanup_free char *path = here ? xstrdup("muster.yaml") : xasprintf("%s%smuster.yaml", folder, folder[strlen(folder) - 1] == '/' ? "" : "/");
    int status = write_new(path, &text);
    if (status == EXIT_DONE) tell(&app, path, here);
    return status;
}
