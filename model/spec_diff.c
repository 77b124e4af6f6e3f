/* spec_diff.c - what differs between two specs, as lines for a person. See spec.h.
 *
 * Both are printed as canonical JSON and flattened to `path: value`, so that a new key needs nothing here. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "model/schema.h"

/* Is the row, or one above it, such that running processes need not know? */
static bool is_live(const struct schema *s, const char *top)
{
    const struct schema_key *k = schema_find(s, top);
    return k && (k->flags & KEY_LIVE);
}

static void drop_live(const struct schema *s, json_t *object)
{
    const char *key;
    json_t *value;
    void *next;
    json_object_foreach_safe(object, next, key, value)
        if (is_live(s, key))
            json_object_del(object, key);
}

bool service_spec_same_process(const struct service_spec *a, const struct service_spec *b)
{
    json_t *x = schema_print(&SERVICE_SCHEMA, a), *y = schema_print(&SERVICE_SCHEMA, b);
    drop_live(&SERVICE_SCHEMA, x);
    drop_live(&SERVICE_SCHEMA, y);
    bool same = json_equal(x, y);
    json_decref(x);
    json_decref(y);
    return same;
}

/* A value on one line: words bare, lists of plain words in brackets, all else as JSON. */
static char *value_text(const json_t *v)
{
    if (json_is_string(v) && *json_string_value(v) && !strpbrk(json_string_value(v), "\n\r\t\"\\\x1b\x7f"))
        return xstrdup(json_string_value(v));
    char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15) | JSON_ENSURE_ASCII);
    return text ? text : xstrdup("?");
}

/* object's keys as "path" -> text, in order, into flat. */
static void flatten(const char *prefix, const json_t *object, json_t *flat)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value) {
        cleanup_free char *path = xasprintf("%s%s%s", prefix, *prefix ? "." : "", key);
        if (json_is_object(value)) {
            flatten(path, value, flat);
        } else {
            cleanup_free char *text = value_text(value);
            json_object_set_new(flat, path, json_string(text));
        }
    }
}

static json_t *flat_of(const struct schema *s, const void *object)
{
    json_t *whole = schema_print(s, object), *flat = json_object();
    flatten("", whole, flat);
    json_decref(whole);
    return flat;
}

static void diff(const struct schema *s, const void *was, const void *is, struct strbuf *out)
{
    json_t *a = flat_of(s, was), *b = flat_of(s, is);
    const char *key;
    json_t *value;
    json_object_foreach(b, key, value) {
        const char *now = json_string_value(value), *before = json_string_value(json_object_get(a, key));
        if (!before)
            strbuf_printf(out, "  + %s: %s\n", key, now);
        else if (strcmp(before, now) != 0)
            strbuf_printf(out, "  ~ %s: %s -> %s\n", key, before, now);
    }
    json_object_foreach(a, key, value)
        if (!json_object_get(b, key))
            strbuf_printf(out, "  - %s: %s\n", key, json_string_value(value));
    json_decref(a);
    json_decref(b);
}

void service_spec_diff(const struct service_spec *was, const struct service_spec *is, struct strbuf *out)
{
    diff(&SERVICE_SCHEMA, was, is, out);
}

void balancer_spec_diff(const struct balancer_spec *was, const struct balancer_spec *is, struct strbuf *out)
{
    diff(&BALANCER_SCHEMA, was, is, out);
}
