/* schema_values.c - types that are one scalar: read, print, free. See schema.h. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/num.h"
#include "model/schema.h"
#include "model/suggest.h"

enum { PATH_LENGTH_MAX = 4000, ACCOUNT_ID_MAX = INT32_MAX };

void reader_set_text(void *field, const char *s)
{
    char **p = field;
    free(*p);
    *p = xstrdup(s);
}

void schema_free_text(void *field)
{
    free(*(char **)field);
}

static json_t *print_text(const struct schema_key *k, const void *field)
{
    (void)k;
    const char *s = *(char *const *)field;
    return s ? json_string(s) : NULL;
}

void schema_number_text(double v, char *buf, size_t size)
{
    snprintf(buf, size, "%.15g", v);
}

/* --- group ---------------------------------------------------------------------------------------- */
static int read_group(struct reader *r, const struct schema_key *k, const struct yaml_node *n, void *field)
{
    (void)field;
    return reader_group(r, k->path, n, n);
}

/* --- switches and numbers --------------------------------------------------------------------------- */
static int read_bool(struct reader *r, const struct schema_key *k, const struct yaml_node *n, void *field)
{
    bool yes = n->kind == YAML_SCALAR && strcmp(n->text, "true") == 0;
    if (!yes && (n->kind != YAML_SCALAR || strcmp(n->text, "false") != 0))
        return reader_not(r, k, n);
    *(bool *)field = yes;
    return 0;
}

static json_t *print_bool(const struct schema_key *k, const void *field)
{
    (void)k;
    return json_boolean(*(const bool *)field);
}

static int read_u64(struct reader *r, const struct schema_key *k, const struct yaml_node *n, uint64_t *ret)
{
    const char *s = reader_scalar(r, k, n);
    uint64_t v = 0;
    if (!s)
        return -EINVAL;
    int rc = num_u64(s, &v);
    if (rc == -EINVAL)
        return reader_not(r, k, n);
    if (rc < 0 || v < (uint64_t)k->min || v > (uint64_t)k->max)
        return reader_range(r, k, n);
    *ret = v;
    return 0;
}

static int read_whole(struct reader *r, const struct schema_key *k, const struct yaml_node *n, void *field)
{
    uint64_t v;
    if (read_u64(r, k, n, &v) < 0)
        return -EINVAL;
    *(uint32_t *)field = (uint32_t)v;
    return 0;
}

static json_t *print_whole(const struct schema_key *k, const void *field)
{
    (void)k;
    return json_integer(*(const uint32_t *)field);
}

static int read_count(struct reader *r, const struct schema_key *k, const struct yaml_node *n, void *field)
{
    return read_u64(r, k, n, field);
}

static json_t *print_count(const struct schema_key *k, const void *field)
{
    (void)k;
    uint64_t v = *(const uint64_t *)field;
    return v ? json_integer((json_int_t)v) : NULL;
}

static int read_number(struct reader *r, const struct schema_key *k, const struct yaml_node *n, void *field)
{
    double v;
    const char *s = reader_scalar(r, k, n);
    if (!s)
        return -EINVAL;
    int rc = num_double(s, &v);
    if (rc == -EINVAL)
        return reader_not(r, k, n);
    if (rc < 0 || v * 1000 < (double)k->min || v * 1000 > (double)k->max)
        return reader_range(r, k, n);
    *(double *)field = v;
    return 0;
}

static json_t *print_number(const struct schema_key *k, const void *field)
{
    (void)k;
    double v = *(const double *)field;
    return v > 0 ? json_real(v) : NULL;
}

/* --- durations and sizes --------------------------------------------------------------------------------- */
static int read_duration(struct reader *r, const struct schema_key *k, const struct yaml_node *n, void *field)
{
    int64_t v;
    const char *s = reader_scalar(r, k, n);
    if (!s)
        return -EINVAL;
    if (k->type == T_DURATION_OR_NEVER && strcmp(s, "never") == 0) {
        *(int64_t *)field = -1;
        return 0;
    }
    int rc = num_duration_ms(s, &v);
    if (rc == -EINVAL)
        return reader_not(r, k, n);
    if (rc < 0 || v < k->min || v > k->max)
        return reader_range(r, k, n);
    *(int64_t *)field = v;
    return 0;
}

static json_t *print_duration(const struct schema_key *k, const void *field)
{
    char buf[32];
    int64_t v = *(const int64_t *)field;
    if (k->type == T_DURATION_OR_NEVER && v < 0)
        return json_string("never");
    num_format_duration(v, buf, sizeof buf);
    return json_string(buf);
}

static int read_size(struct reader *r, const struct schema_key *k, const struct yaml_node *n, void *field)
{
    uint64_t v;
    const char *s = reader_scalar(r, k, n);
    if (!s)
        return -EINVAL;
    int rc = num_size_bytes(s, &v);
    if (rc == -EINVAL)
        return reader_not(r, k, n);
    if (rc < 0 || v < (uint64_t)k->min || v > (uint64_t)k->max)
        return reader_range(r, k, n);
    *(uint64_t *)field = v;
    return 0;
}

static json_t *print_size(const struct schema_key *k, const void *field)
{
    (void)k;
    char buf[32];
    uint64_t v = *(const uint64_t *)field;
    num_format_size(v, buf, sizeof buf);
    return v ? json_string(buf) : NULL;
}

/* --- texts ------------------------------------------------------------------------------------------------- */
static int read_text(struct reader *r, const struct schema_key *k, const struct yaml_node *n, void *field)
{
    const char *s = reader_scalar(r, k, n);
    if (!s)
        return -EINVAL;
    if (k->max && strlen(s) > (size_t)k->max)
        return reader_complain(r, n, "this is longer than %lld bytes", (long long)k->max);
    reader_set_text(field, s);
    return 0;
}

/* "/a/./b//c/" -> "/a/b/c"; ".." stays, for with links only the kernel knows what it means. */
static char *tidy_path(const char *folder, const char *s)
{
    cleanup_free char *whole = *s == '/' ? xstrdup(s) : xasprintf("%s/%s", folder, s);
    cleanup_strbuf struct strbuf out = STRBUF_INIT;
    for (const char *p = whole; *p;) {
        size_t n = strcspn(p, "/");
        if (n > 1 || (n == 1 && *p != '.')) {
            strbuf_putc(&out, '/');
            strbuf_add(&out, p, n);
        }
        p += n + (p[n] == '/');
    }
    if (out.len == 0)
        strbuf_putc(&out, '/');
    return strbuf_take(&out);
}

static bool has_control(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            return true;
    return false;
}

char *reader_path_value(struct reader *r, const struct yaml_node *n, const char *s)
{
    char what[PROBLEM_QUOTE_SIZE];
    if (has_control(s))
        reader_complain(r, n, "%s is not a path: it holds a control character", problem_quote(s, what));
    else if (strlen(s) > PATH_LENGTH_MAX)
        reader_complain(r, n, "this path is longer than %d bytes", PATH_LENGTH_MAX);
    else if (*s == '~' || strstr(s, "${"))
        reader_complain(r, n, "%s: ~ and variables are not expanded in a path, expected e.g. /srv/api or a path relative to this file",
                        problem_quote(s, what));
    else
        return tidy_path(r->folder, s);
    return NULL;
}

static int read_path(struct reader *r, const struct schema_key *k, const struct yaml_node *n, void *field)
{
    const char *s = reader_scalar(r, k, n);
    char *path = s ? reader_path_value(r, n, s) : NULL;
    if (!path)
        return -EINVAL;
    free(*(char **)field);
    *(char **)field = path;
    return 0;
}

static int read_word(struct reader *r, const struct schema_key *k, const struct yaml_node *n, void *field)
{
    const char *s = n->kind == YAML_SCALAR ? n->text : "";
    cleanup_free char *words = xstrdup(k->words);
    cleanup_strbuf struct strbuf all = STRBUF_INIT;
    struct suggest near = { .word = s };
    char *save = NULL;
    int i = 0;
    for (char *w = strtok_r(words, "|", &save); w; w = strtok_r(NULL, "|", &save), i++) {
        if (strcmp(w, s) == 0) {
            if (!(k->flags & KEY_UNSTORED))
                *(int *)field = i;      /* an enum whose values are the words' places */
            return 0;
        }
        strbuf_printf(&all, "%s%s", i ? ", " : "", w);
        suggest_offer(&near, w);
    }
    char what[PROBLEM_QUOTE_SIZE];
    yaml_describe(n, what);
    return reader_complain(r, n, "%s is unknown here, expected %s%s%s%s%s", what, i > 1 ? "one of " : "", strbuf_str(&all),
                           near.best ? "; did you mean " : "", near.best ? near.best : "", near.best ? "?" : "");
}

static json_t *print_word(const struct schema_key *k, const void *field)
{
    const char *w = k->words;
    for (int i = *(const int *)field; i > 0 && w; i--)
        w = strchr(w, '|') ? strchr(w, '|') + 1 : NULL;
    return w ? json_stringn(w, strcspn(w, "|")) : NULL;
}

/* --- the system's names -------------------------------------------------------------------------------------- */
static const char *near_signal(const char *s)
{
    struct suggest near = { .word = strncmp(s, "SIG", 3) == 0 ? s + 3 : s };
    for (int i = 1; i < 32; i++)
        suggest_offer(&near, signal_name(i));
    return near.best;
}

static int read_signal(struct reader *r, const struct schema_key *k, const struct yaml_node *n, void *field)
{
    const char *s = reader_scalar(r, k, n);
    int v;
    char what[PROBLEM_QUOTE_SIZE];
    if (!s)
        return -EINVAL;
    if (signal_parse(s, &v) < 0 || strcmp(signal_name(v), "?") == 0) {
        const char *near = near_signal(s);
        return reader_complain(r, n, "%s is not a signal, expected e.g. TERM, INT, QUIT%s%s%s", problem_quote(s, what),
                               near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
    }
    *(int *)field = v;
    return 0;
}

static json_t *print_signal(const struct schema_key *k, const void *field)
{
    (void)k;
    return json_string(signal_name(*(const int *)field));
}

static int read_umask(struct reader *r, const struct schema_key *k, const struct yaml_node *n, void *field)
{
    const char *s = reader_scalar(r, k, n);
    if (!s)
        return -EINVAL;
    size_t len = strlen(s);
    if (len < 3 || len > 4 || strspn(s, "01234567") != len || strtoul(s, NULL, 8) > 0777)
        return reader_complain(r, n, "\"%.40s\" is not a file mode mask, expected three or four octal digits such as \"027\"", s);
    *(uint32_t *)field = (uint32_t)strtoul(s, NULL, 8);
    return 0;
}

static json_t *print_umask(const struct schema_key *k, const void *field)
{
    (void)k;
    return json_sprintf("%03o", *(const uint32_t *)field);
}

static int read_account(struct reader *r, const struct schema_key *k, const struct yaml_node *n, void *field)
{
    const char *s = reader_scalar(r, k, n);
    char what[PROBLEM_QUOTE_SIZE];
    uint64_t id;
    if (!s)
        return -EINVAL;
    if (strspn(s, "0123456789") == strlen(s)) {
        if (num_u64(s, &id) < 0 || id > ACCOUNT_ID_MAX)
            return reader_complain(r, n, "%s is not a user or group id, expected a name or 0 to %d", problem_quote(s, what), ACCOUNT_ID_MAX);
    } else {
        bool good = isalpha((unsigned char)*s) || *s == '_';
        for (const char *c = s; *c; c++)
            good = good && (isalnum((unsigned char)*c) || strchr("_-.@$", *c));
        if (!good || strlen(s) > 64)
            return reader_not(r, k, n);
    }
    reader_set_text(field, s);
    return 0;
}

static int read_name(struct reader *r, const struct schema_key *k, const struct yaml_node *n, void *field)
{
    const char *s = reader_scalar(r, k, n);
    if (!s)
        return -EINVAL;
    reader_set_text(field, s);          /* whether there is such a thing is for spec_check.c */
    return 0;
}

const struct schema_codec SCHEMA_SCALARS[SCHEMA_TYPE_COUNT] = {
    [T_GROUP] = { "a map", "keys", read_group, NULL, NULL },
    [T_BOOL] = { "a switch", "true or false", read_bool, print_bool, NULL },
    [T_WHOLE] = { "a whole number", NULL, read_whole, print_whole, NULL },
    [T_COUNT] = { "a whole number", NULL, read_count, print_count, NULL },
    [T_NUMBER] = { "a number", NULL, read_number, print_number, NULL },
    [T_DURATION] = { "a duration", "e.g. 500ms, 10s, 5m", read_duration, print_duration, NULL },
    [T_DURATION_OR_NEVER] = { "a duration", "e.g. 10s, 5m, never", read_duration, print_duration, NULL },
    [T_SIZE] = { "a size", "e.g. 64K, 512M, 2G", read_size, print_size, NULL },
    [T_TEXT] = { "a text", "e.g. \"one line\"", read_text, print_text, schema_free_text },
    [T_PATH] = { "a path", "e.g. /srv/api, or one relative to this file", read_path, print_text, schema_free_text },
    [T_WORD] = { "a word", "", read_word, print_word, NULL },
    [T_SIGNAL] = { "a signal", "e.g. TERM, INT, QUIT", read_signal, print_signal, NULL },
    [T_UMASK] = { "a file mode mask", "three or four octal digits such as \"027\"", read_umask, print_umask, NULL },
    [T_ACCOUNT] = { "a user or group", "a name such as api, or a number", read_account, print_text, schema_free_text },
    [T_NAME] = { "a name", "a name such as edge", read_name, print_text, schema_free_text },
};
