#include "model/host_path.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "model/problems.h"

enum { PEM_MAX = 1 << 20 };

static int stat_path(const char *path, struct stat *st, struct err *e)
{
    char what[PROBLEM_QUOTE_SIZE];
    if (stat(path, st) == 0)
        return 0;
    problem_word(path, what);
    if (errno == ENOENT)
        return err_set(e, -EINVAL, "%s does not exist", what);
    return err_set(e, -EINVAL, "%s: %s", what, errno == EACCES ? "permission denied" : strerror(errno));
}

int host_path_folder(const struct host_account *a, const char *path, struct err *e)
{
    struct stat st;
    char what[PROBLEM_QUOTE_SIZE];
    int rc = stat_path(path, &st, e);
    if (rc < 0)
        return rc;
    problem_word(path, what);
    if (!S_ISDIR(st.st_mode))
        return err_set(e, -EINVAL, "%s is not a folder", what);
    if (host_account_access(a, path, X_OK) < 0)
        return err_set(e, -EINVAL, "user %s may not enter %s", a->name, what);
    return 0;
}

int host_path_readable(const char *path, struct err *e)
{
    struct stat st;
    char what[PROBLEM_QUOTE_SIZE];
    int rc = stat_path(path, &st, e);
    if (rc < 0)
        return rc;
    problem_word(path, what);
    if (!S_ISREG(st.st_mode))
        return err_set(e, -EINVAL, "%s is %s, expected a file", what, S_ISDIR(st.st_mode) ? "a folder" : "not a regular file");
    if (faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) < 0)
        return err_set(e, -EINVAL, "%s cannot be read: %s", what, errno == EACCES ? "permission denied" : strerror(errno));
    return 0;
}

int host_path_pem(const char *path, struct err *e)
{
    cleanup_free char *text = NULL;
    char what[PROBLEM_QUOTE_SIZE];
    int rc = host_path_readable(path, e);
    if (rc == 0)
        rc = file_read(path, PEM_MAX, &text, NULL, e);
    if (rc < 0)
        return rc;
    bool certificate = strstr(text, "-----BEGIN CERTIFICATE-----"), key = strstr(text, "PRIVATE KEY-----");
    explicit_bzero(text, strlen(text));
    if (certificate && key)
        return 0;
    return err_set(e, -EINVAL, "%s holds no %s, expected a PEM file with both", problem_word(path, what), certificate ? "private key" : "certificate");
}

/* --- programs ------------------------------------------------------------------------------------------ */
/* What exec would only tell as "no such file" or "exec format error". */
static int check_first_bytes(const char *path, const char *what, struct err *e)
{
    char head[256] = "";
    struct stat st;
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t n = fd < 0 ? -1 : read(fd, head, sizeof head - 1);
    if (n < 0)
        return 0;                       /* executable but not readable: fine */
    if (n == 0)
        return err_set(e, -EINVAL, "%s is empty, expected a program", what);
    if (memcmp(head, "#!", 2) != 0) {
        bool text = n >= 4 && isprint((unsigned char)head[0]) && isprint((unsigned char)head[1]) && isprint((unsigned char)head[2]);
        return text ? err_set(e, -EINVAL, "%s is a script without a first line such as #!/bin/sh", what) : 0;
    }
    char *interpreter = head + 2 + strspn(head + 2, " \t");
    interpreter[strcspn(interpreter, " \t\r\n")] = '\0';
    if (*interpreter == '/' && stat(interpreter, &st) < 0) {
        char shown[PROBLEM_QUOTE_SIZE];
        return err_set(e, -EINVAL, "%s wants the interpreter %s, which does not exist", what, problem_word(interpreter, shown));
    }
    return 0;
}

static int check_program(const struct host_account *a, const char *path, struct err *e)
{
    struct stat st;
    char what[PROBLEM_QUOTE_SIZE];
    int rc = stat_path(path, &st, e);
    if (rc < 0)
        return rc;
    problem_word(path, what);
    if (!S_ISREG(st.st_mode))
        return err_set(e, -EINVAL, "%s is %s, expected a program", what, S_ISDIR(st.st_mode) ? "a folder" : "not a regular file");
    if (!(st.st_mode & 0111))
        return err_set(e, -EINVAL, "%s is not executable (chmod +x?)", what);
    if (host_account_access(a, path, X_OK) < 0)
        return err_set(e, -EINVAL, "user %s may not execute %s", a->name, what);
    return check_first_bytes(path, what, e);
}

/* As execvp: the first that can be executed; else why the first that is there cannot. */
static int search_program(const struct host_account *a, const char *program, const char *search_path, struct err *e)
{
    cleanup_free char *dirs = xstrdup(search_path);
    struct err first = { "" };
    char *save = NULL, what[PROBLEM_QUOTE_SIZE];
    for (char *dir = strtok_r(dirs, ":", &save); dir; dir = strtok_r(NULL, ":", &save)) {
        cleanup_free char *path = xasprintf("%s/%s", dir, program);
        struct stat st;
        struct err why;
        if (stat(path, &st) < 0)
            continue;
        if (check_program(a, path, &why) == 0)
            return 0;
        if (!*first.text)
            first = why;
    }
    if (*first.text)
        return err_set(e, -EINVAL, "%s", first.text);
    return err_set(e, -EINVAL, "there is no program %s in PATH (%.200s)", problem_quote(program, what), search_path);
}

int host_path_program(const struct host_account *a, const char *program, const char *folder, const char *search_path, struct err *e)
{
    if (!strchr(program, '/'))
        return search_program(a, program, search_path, e);
    cleanup_free char *path = *program == '/' ? xstrdup(program) : xasprintf("%s/%s", folder, program);
    return check_program(a, path, e);
}
