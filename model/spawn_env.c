#include "model/spawn_env.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/file.h"

bool env_name_valid(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!(s[i] == '_' || (s[i] >= 'A' && s[i] <= 'Z') || (s[i] >= 'a' && s[i] <= 'z') || (i && s[i] >= '0' && s[i] <= '9')))
            return false;
    return n > 0;
}

static char **find(const struct strv *env, const char *key, size_t n)
{
    for (size_t i = 0; i < env->n; i++)
        if (!strncmp(env->v[i], key, n) && env->v[i][n] == '=')
            return &env->v[i];
    return NULL;
}

static void put(struct strv *env, char *kv /* taken over */, size_t key_len)
{
    char **old = find(env, kv, key_len);
    if (!old) {
        strv_push_take(env, kv);
        return;
    }
    free(*old);
    *old = kv;
}

int env_set(struct strv *env, const char *kv)
{
    const char *eq = strchr(kv, '=');
    if (!eq || eq == kv)
        return -EINVAL;
    put(env, xstrdup(kv), (size_t)(eq - kv));
    return 0;
}

void env_set2(struct strv *env, const char *key, const char *value)
{
    put(env, xasprintf("%s=%s", key, value), strlen(key));
}

const char *env_get(const struct strv *env, const char *key)
{
    char **kv = find(env, key, strlen(key));
    return kv ? *kv + strlen(key) + 1 : NULL;
}

/* --- environment files --------------------------------------------------------------------------------------- */

static bool blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

/* What stands after the closing quote must be blank. */
static int quoted(const char *s, const char *end, struct strbuf *out)
{
    char q = *s++;
    for (; s < end && *s != q; s++) {
        char c = *s;
        if (q == '"' && c == '\\' && s + 1 < end) {
            c = *++s;
            c = c == 'n' ? '\n' : c == 't' ? '\t' : c;
            if (c != '\n' && c != '\t' && c != '"' && c != '\\')
                strbuf_putc(out, '\\');
        }
        strbuf_putc(out, c);
    }
    if (s >= end)
        return -EINVAL;
    for (s++; s < end; s++)
        if (!blank(*s))
            return -EINVAL;
    return 0;
}

static int parse_line(struct strv *env, const char *s, const char *end, const char **ret_why)
{
    while (s < end && blank(*s))
        s++;
    while (end > s && blank(end[-1]))
        end--;
    if (s == end || *s == '#')
        return 0;
    if (end - s > 7 && memcmp(s, "export", 6) == 0 && blank(s[6]))      /* as in files that a shell reads too */
        for (s += 6; s < end && blank(*s); s++) {}
    const char *eq = memchr(s, '=', (size_t)(end - s));
    if (!eq) {
        *ret_why = "expected KEY=VALUE";
        return -EINVAL;
    }
    const char *key_end = eq;
    while (key_end > s && blank(key_end[-1]))
        key_end--;
    if (!env_name_valid(s, (size_t)(key_end - s))) {
        *ret_why = "not a variable's name before the '=' (letters, digits and _, no digit first)";
        return -EINVAL;
    }
    cleanup_strbuf struct strbuf kv = STRBUF_INIT;
    strbuf_add(&kv, s, (size_t)(key_end - s));
    size_t key_len = kv.len;
    strbuf_putc(&kv, '=');
    for (eq++; eq < end && blank(*eq); eq++) {}
    if (eq < end && (*eq == '"' || *eq == '\'')) {
        if (quoted(eq, end, &kv) < 0) {
            *ret_why = "the quote is not closed, or something stands behind it";
            return -EINVAL;
        }
    } else
        strbuf_add(&kv, eq, (size_t)(end - eq));
    put(env, strbuf_take(&kv), key_len);
    return 0;
}

int env_parse(struct strv *env, const char *text, size_t len, const char *path, struct err *e)
{
    const char *s = text, *stop = text + len;
    if (memchr(text, 0, len))
        return err_set(e, -EINVAL, "%s: a NUL byte: not a text file", path);
    for (int line = 1; s < stop; line++) {
        const char *end = memchr(s, '\n', (size_t)(stop - s)), *why = "";
        if (!end)
            end = stop;
        if (parse_line(env, s, end, &why) < 0)
            return err_set(e, -EINVAL, "%s:%d: %s", path, line, why);
        s = end + 1;
    }
    return 0;
}

int env_file(struct strv *env, const char *path, struct err *e)
{
    cleanup_free char *text = NULL;
    size_t len;
    int rc = file_read(path, ENV_FILE_BYTES_MAX, &text, &len, e);
    return rc < 0 ? rc : env_parse(env, text, len, path, e);
}

int env_file_fd(struct strv *env, int fd, const char *path, struct err *e)
{
    cleanup_free char *text = NULL;
    size_t len;
    int rc = file_read_fd(fd, path, ENV_FILE_BYTES_MAX, &text, &len, e);
    return rc < 0 ? rc : env_parse(env, text, len, path, e);
}

/* --- secrets --------------------------------------------------------------------------------------------------- */

bool env_secret_wants_file(const char *record)
{
    const char *as = strrchr(record, '\t');
    return as && strcmp(as + 1, "variable");
}

/* Anew each time: the folder is the user's, who may have put anything there under this name. */
static int write_file(int dir, const char *name, const char *data, size_t len, uid_t uid, gid_t gid, struct err *e)
{
    unlinkat(dir, name, 0);
    cleanup_close int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0400);
    if (fd < 0 || fchmod(fd, 0400) < 0)
        return err_sys(e, -errno, "cannot make the file of secret %s", name);
    int rc = write_all(fd, data, len);
    if (rc == 0 && (uid != geteuid() || gid != getegid()) && fchown(fd, uid, gid) < 0)
        rc = -errno;
    return rc < 0 ? err_sys(e, rc, "cannot write the file of secret %s", name) : 0;
}

static int set_variable(struct strv *env, const char *name, const char *data, size_t len, struct err *e)
{
    if (len && data[len - 1] == '\n')
        len--;
    if (len && data[len - 1] == '\r')
        len--;
    if (len > SECRET_VARIABLE_BYTES_MAX)
        return err_set(e, -E2BIG, "secret %s is too long for a variable (%zu bytes); give it `as: file`", name, len);
    if (memchr(data, 0, len))
        return err_set(e, -EINVAL, "secret %s has a NUL byte and cannot be a variable; give it `as: file`", name);
    cleanup_strbuf struct strbuf kv = STRBUF_INIT;
    strbuf_puts(&kv, name);
    strbuf_putc(&kv, '=');
    strbuf_add(&kv, data, len);
    put(env, strbuf_take(&kv), strlen(name));
    return 0;
}

static int open_plainly(void *arg, const char *path, struct err *e)
{
    (void)arg;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    return fd < 0 ? err_sys(e, -errno, "cannot read %s", path) : fd;
}

int env_secret(struct strv *env, const char *record, int dir_fd, uid_t uid, gid_t gid, bool *ret_file, struct err *e)
{
    return env_secret_by(env, record, open_plainly, NULL, dir_fd, uid, gid, ret_file, e);
}

int env_secret_by(struct strv *env, const char *record, env_open_fn *open_file, void *arg, int dir_fd, uid_t uid, gid_t gid, bool *ret_file, struct err *e)
{
    const char *path = strchr(record, '\t'), *as = path ? strchr(path + 1, '\t') : NULL;
    *ret_file = false;
    if (!as || !env_name_valid(record, (size_t)(path - record))
        || (strcmp(as + 1, "both") && strcmp(as + 1, "file") && strcmp(as + 1, "variable")))
        return err_set(e, -EINVAL, "not a secret's record");
    cleanup_free char *name = xstrndup(record, (size_t)(path - record));
    cleanup_free char *file = xstrndup(path + 1, (size_t)(as - path - 1));
    cleanup_free char *data = NULL;
    size_t len;
    cleanup_close int fd = open_file(arg, file, e);
    int rc = fd < 0 ? fd : file_read_fd(fd, file, SECRET_BYTES_MAX, &data, &len, e);
    if (rc < 0)
        return err_wrap(e, rc, "secret %s", name);
    if (strcmp(as + 1, "variable")) {
        rc = write_file(dir_fd, name, data, len, uid, gid, e);
        *ret_file = rc == 0;
    }
    if (rc == 0 && strcmp(as + 1, "file"))
        rc = set_variable(env, name, data, len, e);
    return rc;
}
