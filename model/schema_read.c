/* schema_read.c - walks a map and the table of keys together. See schema.h. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/num.h"
#include "model/schema.h"
#include "model/suggest.h"

size_t reader_enter(struct reader *r, const char *name)
{
    size_t mark = r->path.len;
    char word[PROBLEM_QUOTE_SIZE];
    strbuf_printf(&r->path, "%s%s", mark && *name != '[' ? "." : "", problem_word(name, word));
    return mark;
}

void reader_leave(struct reader *r, size_t mark)
{
    r->path.len = mark;
    if (r->path.s)
        r->path.s[mark] = '\0';
}

int reader_complain(struct reader *r, const struct yaml_node *n, const char *fmt, ...)
{
    cleanup_strbuf struct strbuf text = STRBUF_INIT;
    va_list ap;
    va_start(ap, fmt);
    strbuf_vprintf(&text, fmt, ap);
    va_end(ap);
    problem_add(r->p, r->source, n->line, n->column, strbuf_str(&r->path), "%s", strbuf_str(&text));
    return -EINVAL;
}

/* --- what was expected ------------------------------------------------------------------------------ */
static void bound_text(const struct schema_key *k, int64_t v, char *buf, size_t size)
{
    if (k->type == T_DURATION || k->type == T_DURATION_OR_NEVER || k->type == T_RULE_LATENCY)
        num_format_duration(v, buf, size);
    else if (k->type == T_SIZE)
        num_format_size((uint64_t)v, buf, size);
    else if (k->type == T_NUMBER || k->type == T_RULE_IN_FLIGHT || k->type == T_RULE_QUEUE)
        schema_number_text((double)v / 1000, buf, size);
    else
        snprintf(buf, size, "%lld%s", (long long)v, k->type == T_RULE_CPU ? "%" : "");
}

void schema_range_text(const struct schema_key *k, char *buf, size_t size)
{
    char low[32], high[32];
    *buf = '\0';
    if (k->max == 0 || k->type == T_UMASK)
        return;
    bound_text(k, k->min, low, sizeof low);
    bound_text(k, k->max, high, sizeof high);
    snprintf(buf, size, "%s to %s", low, high);
}

int reader_not(struct reader *r, const struct schema_key *k, const struct yaml_node *n)
{
    const struct schema_codec *c = schema_codec(k->type);
    char what[PROBLEM_QUOTE_SIZE], range[80];
    schema_range_text(k, range, sizeof range);
    const char *hint = n->kind == YAML_SCALAR && n->text[0] == '0' && n->text[1] >= '0' && n->text[1] <= '9' ? ", without leading zeros" : "";
    return reader_complain(r, n, "%s is not %s, expected %s%s", yaml_describe(n, what), c->noun, c->sample ? c->sample : range, hint);
}

int reader_range(struct reader *r, const struct schema_key *k, const struct yaml_node *n)
{
    char what[PROBLEM_QUOTE_SIZE], range[80];
    schema_range_text(k, range, sizeof range);
    return reader_complain(r, n, "%s is out of range, expected %s", yaml_describe(n, what), range);
}

const char *reader_scalar(struct reader *r, const struct schema_key *k, const struct yaml_node *n)
{
    if (n->kind == YAML_SCALAR && n->text[0])
        return n->text;
    reader_not(r, k, n);
    return NULL;
}

/* --- unknown keys ---------------------------------------------------------------------------------------- */
static const struct schema_key *near_key(const struct reader *r, const char *group, const char *word)
{
    struct suggest near = { .word = word };
    for (size_t i = 0; i < r->schema->n; i++)
        if (schema_is_child(&r->schema->keys[i], group))
            suggest_offer(&near, schema_last(&r->schema->keys[i]));
    return near.best ? schema_child(r->schema, group, near.best, strlen(near.best)) : NULL;
}

/* A key of the items of a list that is in this group: `cpu` in scale.on[]. */
static const struct schema_key *key_in_list(const struct reader *r, const char *group, const char *word)
{
    size_t n = strlen(group);
    for (size_t i = 0; i < r->schema->n && n; i++) {
        const struct schema_key *k = &r->schema->keys[i];
        if (strncmp(k->path, group, n) == 0 && k->path[n] == '.' && strchr(k->path, '[') && strcmp(schema_last(k), word) == 0)
            return k;
    }
    return NULL;
}

/* The key's row if it stands elsewhere in the table; NULL: nowhere, or at several places. */
static const struct schema_key *key_elsewhere(const struct reader *r, const char *group, const char *word)
{
    const struct schema_key *found = NULL, *in_list = key_in_list(r, group, word);
    if (in_list)
        return in_list;
    for (size_t i = 0; i < r->schema->n; i++) {
        const struct schema_key *k = &r->schema->keys[i];
        if (strpbrk(k->path, "[*") || strcmp(schema_last(k), word) != 0)
            continue;
        if (found)
            return NULL;
        found = k;
    }
    return found;
}

static void list_keys(const struct reader *r, const char *group, struct strbuf *out)
{
    const char *separator = "";
    for (size_t i = 0; i < r->schema->n; i++)
        if (schema_is_child(&r->schema->keys[i], group)) {
            strbuf_printf(out, "%s%s", separator, schema_last(&r->schema->keys[i]));
            separator = ", ";
        }
}

const struct schema_key *reader_unknown(struct reader *r, const char *group, const struct yaml_node *key)
{
    if (problems_full(r->p)) {          /* a suggestion for each of 50,000 keys would be dear, and nobody would see it */
        r->p->more = true;
        return NULL;
    }
    char what[PROBLEM_QUOTE_SIZE];
    const struct schema_key *near = near_key(r, group, key->text);
    const struct schema_key *elsewhere = near ? NULL : key_elsewhere(r, group, key->text);
    cleanup_strbuf struct strbuf all = STRBUF_INIT;
    list_keys(r, group, &all);
    problem_quote(key->text, what);
    if (near)
        reader_complain(r, key, "unknown key %s, did you mean %s?", what, schema_last(near));
    else if (elsewhere && strchr(elsewhere->path, '.'))
        reader_complain(r, key, "unknown key %s here, it belongs to %.*s", what,
                        (int)MIN_OF((size_t)(schema_last(elsewhere) - elsewhere->path - 1), strcspn(elsewhere->path, "[")), elsewhere->path);
    else if (elsewhere)
        reader_complain(r, key, "unknown key %s here, it belongs one level up, beside `command`: look at the indentation", what);
    else
        reader_complain(r, key, "unknown key %s, expected one of %s", what, strbuf_str(&all));
    return near;
}

/* --- the walk ------------------------------------------------------------------------------------------------ */
int reader_value(struct reader *r, const struct schema_key *k, const struct yaml_node *n, void *field)
{
    if (n->bad)
        return -EINVAL;
    return schema_codec(k->type)->read(r, k, n, field);
}

static int read_pair(struct reader *r, const char *group, const struct yaml_node *key, const struct yaml_node *value, bool *there)
{
    const struct schema_key *k = schema_child(r->schema, group, key->text, strlen(key->text));
    size_t mark = reader_enter(r, key->text);
    int rc = -EINVAL;
    if (!k) {
        const struct schema_key *meant = reader_unknown(r, group, key);
        if (meant)                      /* then that one is not missing as well */
            there[meant - r->schema->keys] = true;
    } else {
        size_t row = (size_t)(k - r->schema->keys);
        there[row] = true;
        if (r->seen)
            r->seen[row] = value;
        rc = reader_value(r, k, value, (char *)r->object + k->offset);
    }
    reader_leave(r, mark);
    return rc;
}

static int check_required(struct reader *r, const char *group, const bool *there, const struct yaml_node *place)
{
    int rc = 0;
    for (size_t i = 0; i < r->schema->n && !r->partial; i++) {
        const struct schema_key *k = &r->schema->keys[i];
        if ((k->flags & KEY_REQUIRED) && !there[i] && schema_is_child(k, group))
            rc = reader_complain(r, place, "`%s` is missing, expected e.g. %s: %s", schema_last(k), schema_last(k), k->example);
    }
    return rc;
}

int reader_group(struct reader *r, const char *group, const struct yaml_node *n, const struct yaml_node *place)
{
    bool there[SCHEMA_KEYS_MAX] = { false };
    int rc = 0;
    if (n->kind != YAML_MAPPING && !yaml_is_empty(n)) {
        char what[PROBLEM_QUOTE_SIZE];
        cleanup_strbuf struct strbuf all = STRBUF_INIT;
        list_keys(r, group, &all);
        return reader_complain(r, n, "%s is not a map, expected keys such as %s", yaml_describe(n, what), strbuf_str(&all));
    }
    for (const struct yaml_node *key = n->first; key && key->next; key = key->next->next)
        if (key->bad || read_pair(r, group, key, key->next, there) < 0)
            rc = -EINVAL;
    return check_required(r, group, there, place) < 0 ? -EINVAL : rc;
}

static bool is_own_field(const struct schema_key *k)
{
    return !strpbrk(k->path, "[*");     /* not a field of a list's items */
}

void schema_defaults(const struct schema *s, void *object)
{
    memset(object, 0, s->object_size);
    struct problems p = {0};
    struct reader r = { .schema = s, .p = &p, .folder = "/", .object = object };
    for (size_t i = 0; i < s->n; i++) {
        const struct schema_key *k = &s->keys[i];
        if (!k->fallback || !is_own_field(k))
            continue;
        struct yaml_node n = { .kind = YAML_SCALAR, .text = k->fallback };
        if (reader_value(&r, k, &n, (char *)object + k->offset) < 0)
            abort();                    /* a default that does not pass its own check is our bug */
    }
    strbuf_done(&r.path);
}

void schema_done(const struct schema *s, void *object)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct schema_key *k = &s->keys[i];
        const struct schema_codec *c = schema_codec(k->type);
        if (c->done && is_own_field(k))
            c->done((char *)object + k->offset);
    }
    memset(object, 0, s->object_size);
}

/* --- printing --------------------------------------------------------------------------------------------------- */
/* Puts the value at the path. Below what is not an object (a short form, or null for "none") there is nothing to put. */
static void put_at(json_t *root, const char *path, json_t *value)
{
    json_t *at = root;
    for (const char *dot; (dot = strchr(path, '.')); path = dot + 1) {
        json_t *next = json_object_getn(at, path, (size_t)(dot - path));
        if (!next) {
            next = json_object();
            json_object_setn_new(at, path, (size_t)(dot - path), next);
        }
        if (!json_is_object(next)) {
            json_decref(value);
            return;
        }
        at = next;
    }
    json_object_set_new(at, path, value);
}

/* "None" is not said at all: nulls go, and what is empty without them. */
static void strip_nulls(json_t *object)
{
    const char *key;
    json_t *value;
    void *next;
    json_object_foreach_safe(object, next, key, value) {
        if (json_is_object(value))
            strip_nulls(value);
        if (json_is_null(value) || (json_is_object(value) && json_object_size(value) == 0))
            json_object_del(object, key);
    }
}

json_t *schema_print(const struct schema *s, const void *object)
{
    json_t *root = json_object();
    for (size_t i = 0; i < s->n; i++) {
        const struct schema_key *k = &s->keys[i];
        const struct schema_codec *c = schema_codec(k->type);
        if (!c->print || !is_own_field(k) || (k->flags & KEY_UNSTORED))
            continue;
        json_t *value = c->print(k, (const char *)object + k->offset);
        if (value)
            put_at(root, k->path, value);
    }
    strip_nulls(root);
    return root;
}
