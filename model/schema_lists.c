/* schema_lists.c - types that hold several values: commands, lists of names, environment, secrets. See schema.h. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "model/schema.h"
#include "model/shellwords.h"

enum { LIST_MAX = 1000 };

static json_t *print_list(const struct schema_key *k, const void *field)
{
    (void)k;
    const struct strv *l = field;
    if (l->n == 0)
        return NULL;
    json_t *a = json_array();
    for (size_t i = 0; i < l->n; i++)
        json_array_append_new(a, json_string(l->v[i]));
    return a;
}

static void done_list(void *field)
{
    strv_done(field);
}

/* --- commands ---------------------------------------------------------------------------------------- */
static int read_words(struct reader *r, const struct yaml_node *n, struct strv *out)
{
    int rc = 0;
    char what[PROBLEM_QUOTE_SIZE];
    for (const struct yaml_node *i = n->first; i && rc == 0; i = i->next) {
        if (i->bad)
            rc = -EINVAL;
        else if (i->kind == YAML_MAPPING)
            rc = reader_complain(r, i, "a map is not a word of a command: within [...] a word with { } or `: ` wants quotes, e.g. \"${PORT}\"");
        else if (i->kind != YAML_SCALAR || yaml_is_empty(i))
            rc = reader_complain(r, i, "%s is not a word of a command, expected a text (write \"\" for an empty one)", yaml_describe(i, what));
        else if (out->n == SHELL_WORDS_MAX)
            rc = reader_complain(r, i, "more than %d words", SHELL_WORDS_MAX);
        else
            strv_push(out, i->text);
    }
    return rc;
}

static int read_command(struct reader *r, const struct schema_key *k, const struct yaml_node *n, void *field)
{
    struct strv words = {0};
    struct err e;
    int rc = 0;
    if (n->kind == YAML_SEQUENCE)
        rc = read_words(r, n, &words);
    else if (!reader_scalar(r, k, n))
        rc = -EINVAL;
    else if (shellwords_split(n->text, &words, &e) < 0)
        rc = reader_complain(r, n, "not a command: %s", e.text);
    if (rc == 0 && (words.n == 0 || !*words.v[0]))
        rc = reader_complain(r, n, "the command is empty, expected %s", schema_codec(k->type)->sample);
    if (rc < 0) {
        strv_done(&words);
        return rc;
    }
    strv_done(field);
    *(struct strv *)field = words;
    return 0;
}

/* --- lists of names ---------------------------------------------------------------------------------- */
/* A list whose items are each checked by `item`, which may replace the text. */
typedef int item_fn(struct reader *r, const struct schema_key *k, const struct yaml_node *n, char **text);

static int read_list(struct reader *r, const struct schema_key *k, const struct yaml_node *n, struct strv *out, item_fn *item)
{
    char what[PROBLEM_QUOTE_SIZE], index[24];
    if (n->kind != YAML_SEQUENCE && !yaml_is_empty(n))
        return reader_not(r, k, n);
    int rc = 0;
    uint32_t at = 0;
    for (const struct yaml_node *i = n->first; i; i = i->next, at++) {
        fixed_printf(index, "[%u]", at);
        size_t mark = reader_enter(r, index);
        cleanup_free char *text = i->kind == YAML_SCALAR ? xstrdup(i->text) : NULL;
        if (i->bad)
            rc = -EINVAL;
        else if (!text || !*text)
            rc = reader_complain(r, i, "%s is not a name, expected %s", yaml_describe(i, what), schema_codec(k->type)->sample);
        else if (item(r, k, i, &text) < 0)
            rc = -EINVAL;
        else if (strv_has(out, text))
            rc = reader_complain(r, i, "%s is in the list twice", problem_quote(text, what));
        else if (out->n == LIST_MAX)
            rc = reader_complain(r, i, "more than %d in the list", LIST_MAX);
        else
            strv_push(out, text);
        reader_leave(r, mark);
        if (problems_full(r->p))
            break;
    }
    return rc;
}

static int item_name(struct reader *r, const struct schema_key *k, const struct yaml_node *n, char **text)
{
    (void)r, (void)k, (void)n, (void)text;
    return 0;
}

static int read_names(struct reader *r, const struct schema_key *k, const struct yaml_node *n, void *field)
{
    return read_list(r, k, n, field, item_name);
}

static int item_account(struct reader *r, const struct schema_key *k, const struct yaml_node *n, char **text)
{
    (void)k;
    static const struct schema_key one = { .type = T_ACCOUNT };
    return schema_codec(T_ACCOUNT)->read(r, &one, n, text);
}

static int read_accounts(struct reader *r, const struct schema_key *k, const struct yaml_node *n, void *field)
{
    return read_list(r, k, n, field, item_account);
}

static int item_path(struct reader *r, const struct schema_key *k, const struct yaml_node *n, char **text)
{
    (void)k;
    char *path = reader_path_value(r, n, *text);
    if (!path)
        return -EINVAL;
    free(*text);
    *text = path;
    return 0;
}

static int read_paths(struct reader *r, const struct schema_key *k, const struct yaml_node *n, void *field)
{
    return read_list(r, k, n, field, item_path);
}

/* Host names are compared without case: kept in small letters. */
static int item_host(struct reader *r, const struct schema_key *k, const struct yaml_node *n, char **text)
{
    size_t len = strlen(*text), label = 0;
    bool good = len <= 253;
    for (char *c = *text; *c && good; c++) {
        *c = (char)tolower((unsigned char)*c);
        label = *c == '.' ? 0 : label + 1;
        good = (isalnum((unsigned char)*c) || *c == '-' || *c == '.') && label <= 63 && !(*c == '.' && (c == *text || c[-1] == '.'));
    }
    if (!good || (*text)[len - 1] == '.') {
        char what[PROBLEM_QUOTE_SIZE];
        return reader_complain(r, n, "%s is not a host name, expected %s", yaml_describe(n, what), schema_codec(k->type)->sample);
    }
    return 0;
}

static int read_hosts(struct reader *r, const struct schema_key *k, const struct yaml_node *n, void *field)
{
    return read_list(r, k, n, field, item_host);
}

/* --- environment ---------------------------------------------------------------------------------------- */
static bool is_variable_name(const char *s)
{
    if (!isalpha((unsigned char)*s) && *s != '_')
        return false;
    for (; *s; s++)
        if (!isalnum((unsigned char)*s) && *s != '_')
            return false;
    return true;
}

/* What muster itself sets; a file that sets them too would silently win or lose. */
static const char *reserved_reason(const char *name)
{
    static const char *const NAMES[] = { "INSTANCE", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID",
                                         "LISTEN_FDNAMES", "CREDENTIALS_DIRECTORY" };
    for (size_t i = 0; i < ARRAY_LEN(NAMES); i++)
        if (strcmp(name, NAMES[i]) == 0)
            return "muster sets it for each instance";
    if (strncmp(name, "MUSTER_", 7) == 0)
        return "names that begin with MUSTER_ are muster's own";
    return NULL;
}

static int check_variable(struct reader *r, const struct yaml_node *key)
{
    char what[PROBLEM_QUOTE_SIZE];
    const char *why = reserved_reason(key->text);
    if (!is_variable_name(key->text) || strlen(key->text) > 200)
        return reader_complain(r, key, "%s is not a variable's name, expected letters, digits and _, e.g. APP_ENV", problem_quote(key->text, what));
    if (why)
        return reader_complain(r, key, "%s cannot be set here: %s", key->text, why);
    return 0;
}

static int read_environment_value(struct reader *r, const struct yaml_node *key, const struct yaml_node *value, struct kvs *out)
{
    char what[PROBLEM_QUOTE_SIZE];
    if (check_variable(r, key) < 0 || value->bad)
        return -EINVAL;
    if (value->kind != YAML_SCALAR || yaml_is_empty(value))
        return reader_complain(r, value, "%s is not a text, expected a value (write \"\" for an empty one)", yaml_describe(value, what));
    out->v[out->n++] = (struct kv){ xstrdup(key->text), xstrdup(value->text) };
    return 0;
}

static int read_environment(struct reader *r, const struct schema_key *k, const struct yaml_node *n, void *field)
{
    struct kvs *out = field;
    if (n->kind != YAML_MAPPING && !yaml_is_empty(n))
        return reader_not(r, k, n);
    if (n->n / 2 > LIST_MAX)
        return reader_complain(r, n, "more than %d variables", LIST_MAX);
    int rc = 0;
    out->v = xrealloc(out->v, (out->n + n->n / 2 + 1) * sizeof *out->v);
    for (const struct yaml_node *key = n->first; key && key->next; key = key->next->next) {
        if (key->bad) {
            rc = -EINVAL;
            continue;
        }
        size_t mark = reader_enter(r, key->text);
        if (read_environment_value(r, key, key->next, out) < 0)
            rc = -EINVAL;
        reader_leave(r, mark);
    }
    return rc;
}

static json_t *print_environment(const struct schema_key *k, const void *field)
{
    (void)k;
    const struct kvs *e = field;
    if (e->n == 0)
        return NULL;
    json_t *o = json_object();
    for (size_t i = 0; i < e->n; i++)
        json_object_set_new(o, e->v[i].key, json_string(e->v[i].value));
    return o;
}

static void done_environment(void *field)
{
    struct kvs *e = field;
    for (size_t i = 0; i < e->n; i++) {
        free(e->v[i].key);
        free(e->v[i].value);
    }
    free(e->v);
}

/* --- secrets ------------------------------------------------------------------------------------------------ */
static int read_secret(struct reader *r, const struct yaml_node *key, const struct yaml_node *value, struct secret *out)
{
    if (check_variable(r, key) < 0 || value->bad)
        return -EINVAL;
    const struct schema_key *file = schema_find(r->schema, "secrets.*.file");
    if (value->kind != YAML_MAPPING)
        return reader_value(r, file, value, &out->file);
    struct reader sub = *r;             /* the same place and problems, another object */
    sub.object = out;
    sub.seen = NULL;
    int rc = reader_group(&sub, "secrets.*", value, value);
    r->path = sub.path;                 /* it may have been moved while it grew */
    return rc;
}

static int read_secrets(struct reader *r, const struct schema_key *k, const struct yaml_node *n, void *field)
{
    struct service_spec *s = r->object;
    (void)field;
    if (n->kind != YAML_MAPPING && !yaml_is_empty(n))
        return reader_not(r, k, n);
    if (n->n / 2 > LIST_MAX)
        return reader_complain(r, n, "more than %d secrets", LIST_MAX);
    int rc = 0;
    s->secrets = xcalloc(n->n / 2 + 1, sizeof *s->secrets);
    for (const struct yaml_node *key = n->first; key && key->next; key = key->next->next) {
        if (key->bad) {
            rc = -EINVAL;
            continue;
        }
        size_t mark = reader_enter(r, key->text);
        struct secret *one = &s->secrets[s->secret_n];
        if (read_secret(r, key, key->next, one) < 0)
            rc = -EINVAL;
        one->name = xstrdup(key->text);
        s->secret_n++;
        reader_leave(r, mark);
    }
    return rc;
}

static json_t *print_secrets(const struct schema_key *k, const void *field)
{
    const struct service_spec *s = (const void *)((const char *)field - k->offset);
    static const char *const WORDS[] = { [SECRET_BOTH] = "both", [SECRET_FILE] = "file", [SECRET_VARIABLE] = "variable" };
    if (s->secret_n == 0)
        return NULL;
    json_t *o = json_object();
    for (size_t i = 0; i < s->secret_n; i++) {
        const struct secret *one = &s->secrets[i];
        json_t *value = one->as == SECRET_BOTH ? json_string(one->file)
                                               : json_pack("{s:s, s:s}", "file", one->file ? one->file : "", "as", WORDS[one->as]);
        json_object_set_new(o, one->name, value);
    }
    return o;
}

/* `field` is the pointer; the count stands behind it in the struct. */
static void done_secrets(void *field)
{
    struct service_spec *s = (void *)((char *)field - offsetof(struct service_spec, secrets));
    for (size_t i = 0; i < s->secret_n; i++) {
        free(s->secrets[i].name);
        free(s->secrets[i].file);
    }
    free(s->secrets);
}

const struct schema_codec SCHEMA_LISTS[SCHEMA_TYPE_COUNT] = {
    [T_COMMAND] = { "a command", "e.g. gunicorn app:app, or a list such as [gunicorn, \"app:app\"]", read_command, print_list, done_list },
    [T_NAMES] = { "a list", "a list of names such as [postgres]", read_names, print_list, done_list },
    [T_ACCOUNTS] = { "a list", "a list of groups such as [api, media]", read_accounts, print_list, done_list },
    [T_USERS] = { "a list", "a list of users such as [api, worker]", read_accounts, print_list, done_list },
    [T_PATHS] = { "a list", "a list of folders such as [/etc/muster]", read_paths, print_list, done_list },
    [T_HOSTS] = { "a list", "a list of host names such as [api.example.com]", read_hosts, print_list, done_list },
    [T_ENVIRONMENT] = { "a map of variables", "e.g. { APP_ENV: production }", read_environment, print_environment, done_environment },
    [T_SECRETS] = { "a map of secrets", "e.g. { DATABASE_URL: /etc/muster/secrets/api_db }", read_secrets, print_secrets, done_secrets },
};
