#include "ctl/sources.h"
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "ctl/command.h"
#include "ctl/escape.h"

static int tell_errors(const char *shown, const struct config_errors *errs)
{
    cleanup_strbuf struct strbuf text = STRBUF_INIT;
    config_errors_print(errs, &text);
    fflush(stdout);
    for (const char *s = strbuf_str(&text), *end; *s; s = *end ? end + 1 : end) {
        end = s + strcspn(s, "\n");
        cleanup_free char *raw = xstrndup(s, (size_t)(end - s)), *line = escape_line(raw);
        fprintf(stderr, "%s\n", line);
    }
    return ctl_fail(EXIT_USAGE, "%s: %zu%s error%s; nothing was applied", shown, errs->n, errs->more ? " or more" : "", errs->n == 1 ? "" : "s");
}

static int missing(const char *path)
{
    ctl_fail(0, "there is no %s here", path);
    fputs("Next: `musterctl init` writes one for the app in this folder; or say which file.\n", stderr);
    return EXIT_USAGE;
}

static void find_owner(const char *path, struct sources *s)
{
    struct stat st;
    s->owner_uid = geteuid(), s->owner_gid = getegid();
    if (s->owner_uid == 0 && stat(path, &st) == 0) s->owner_uid = st.st_uid, s->owner_gid = st.st_gid;
}

int sources_load(const char *path, struct sources *ret)
{
    struct sources s = { .shown = path ? path : "muster.yaml" };
    struct config_errors errs = { 0 };
    int status = EXIT_DONE;
    if (!path && access(s.shown, F_OK) < 0) return missing(s.shown);
    find_owner(s.shown, &s);
    int r = config_files_read(s.shown, &s.files, &errs);
    if (r == 0 && errs.n == 0) r = config_parse(s.files.src, s.files.n, &s.config, &errs);
    if (r == 0 && errs.n == 0) config_check_host(&s.config, s.files.src, s.files.n, s.owner_uid, &errs);
    if (r < 0 || errs.n > 0) status = tell_errors(s.shown, &errs);
    config_errors_done(&errs);
    s.path = realpath(s.shown, NULL);
    if (!s.path) s.path = xstrdup(s.shown);
    if (status == EXIT_DONE) *ret = s;
    else sources_done(&s);
    return status;
}

void sources_done(struct sources *s)
{
    free(s->path);
    config_done(&s->config);
    config_files_done(&s->files);
    memset(s, 0, sizeof *s);
}

json_t *sources_body(const struct sources *s, bool dry_run)
{
    const char *path = getenv("PATH");
    json_t *files = json_array();
    for (size_t i = 0; i < s->files.n; i++) {
        const struct config_source *f = &s->files.src[i];
        json_array_append_new(files, json_pack("{s:s, s:s, s:o}", "name", f->name, "folder", f->folder, "text", json_stringn(f->text, f->len)));
    }
    return json_pack("{s:s, s:o, s:I, s:I, s:s?, s:b}", "source", s->path, "files", files, "owner_uid", (json_int_t)s->owner_uid,
                     "owner_gid", (json_int_t)s->owner_gid, "path_env", path, "dry_run", (int)dry_run);
}

void sources_describe(const struct sources *s, struct strbuf *out)
{
    size_t n = s->config.service_n, b = s->config.balancer_n;
    strbuf_printf(out, "%zu service%s", n, n == 1 ? "" : "s");
    for (size_t i = 0; i < n && i < 8; i++) strbuf_printf(out, "%s%s", i ? ", " : " (", s->config.services[i].name);
    if (n) strbuf_puts(out, n > 8 ? ", ...)" : ")");
    if (b) strbuf_printf(out, ", %zu balancer%s", b, b == 1 ? "" : "s");
}

void sources_note_root(const struct sources *s)
{
    if (s->owner_uid != 0) return;
    for (size_t i = 0; i < s->config.service_n; i++) {
        if (s->config.services[i].user) continue;
        fprintf(stderr, "Note: instances without `user:` run as root, since %s belongs to root.\n", s->shown);
        return;
    }
}
