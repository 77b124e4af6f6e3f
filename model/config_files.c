/* config_files.c - reads a configuration file, or a folder of them. Thin: the only file here that opens what a user names
 * to read it as configuration. See spec.h. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "model/spec.h"

enum { FILES_MAX = 200 };

static int add_error(struct config_errors *errs, const char *where, const char *text)
{
    errs->v = xrealloc(errs->v, (errs->n + 1) * sizeof *errs->v);
    errs->v[errs->n++] = (struct config_error){ xstrdup(where), xstrdup(""), xstrdup(text) };
    return -EINVAL;
}

/* The absolute folder of a file: where its relative paths start. */
static char *folder_of(const char *path)
{
    char *real = realpath(path, NULL);
    char *slash = real ? strrchr(real, '/') : NULL;
    if (!slash) {
        free(real);
        return xstrdup("/");
    }
    slash[slash == real] = '\0';
    return real;
}

static int read_one(const char *path, struct config_files *f, struct config_errors *errs)
{
    struct err e;
    char *text;
    size_t len;
    int rc = file_read(path, CONFIG_BYTES_MAX, &text, &len, &e);
    if (rc == -EFBIG)
        return add_error(errs, path, "too big, expected at most 1 MB");
    if (rc == -ENOENT)
        return add_error(errs, path, "there is no such file (musterctl init writes one)");
    if (rc < 0)
        return add_error(errs, path, rc == -EINVAL ? "not a regular file" : strerror(-rc));
    f->src = xrealloc(f->src, (f->n + 1) * sizeof *f->src);
    f->src[f->n++] = (struct config_source){ .name = xstrdup(path), .text = text, .len = len, .folder = folder_of(path) };
    return 0;
}

static int is_yaml(const struct dirent *d)
{
    const char *dot = strrchr(d->d_name, '.');
    return d->d_name[0] != '.' && dot && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0);
}

static int compare_entries(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);      /* not alphasort: the order must not hang on the locale */
}

static int read_folder(const char *path, struct config_files *f, struct config_errors *errs)
{
    struct dirent **entries = NULL;
    int n = scandir(path, &entries, is_yaml, compare_entries), rc = 0;
    if (n < 0)
        return add_error(errs, path, strerror(errno));
    if (n == 0)
        rc = add_error(errs, path, "no *.yaml file in this folder");
    if (n > FILES_MAX)
        rc = add_error(errs, path, "too many files in this folder, expected at most 200");
    for (int i = 0; i < n; i++) {
        cleanup_free char *file = xasprintf("%s%s%s", path, path[strlen(path) - 1] == '/' ? "" : "/", entries[i]->d_name);
        if (n <= FILES_MAX && read_one(file, f, errs) < 0)
            rc = -EINVAL;
        free(entries[i]);
    }
    free(entries);
    return rc;
}

int config_files_read(const char *path, struct config_files *ret, struct config_errors *errs)
{
    struct config_files f = {0};
    struct stat st;
    if (!*path)
        return add_error(errs, "\"\"", "an empty name, expected that of a file");
    int rc = stat(path, &st) == 0 && S_ISDIR(st.st_mode) ? read_folder(path, &f, errs) : read_one(path, &f, errs);
    if (rc < 0)
        config_files_done(&f);
    else
        *ret = f;
    return rc;
}

void config_files_done(struct config_files *f)
{
    for (size_t i = 0; i < f->n; i++) {
        free((char *)f->src[i].name);
        free((char *)f->src[i].text);
        free((char *)f->src[i].folder);
    }
    free(f->src);
    *f = (struct config_files){0};
}
