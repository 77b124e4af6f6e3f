/* spec_json.c - a spec as canonical JSON and back, through the same table and types as the file. See spec.h. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "model/draft.h"
#include "model/schema.h"
#include "model/yaml.h"

static char *dump_and_free(json_t *j)
{
    char *text = json_dumps(j, JSON_COMPACT | JSON_REAL_PRECISION(15));
    json_decref(j);
    if (!text)
        abort();                        /* all texts are UTF-8 and all numbers finite: the reader saw to it */
    return text;
}

char *service_spec_to_json(const struct service_spec *s)
{
    return dump_and_free(schema_print(&SERVICE_SCHEMA, s));
}

char *balancer_spec_to_json(const struct balancer_spec *b)
{
    return dump_and_free(schema_print(&BALANCER_SCHEMA, b));
}

/* --- JSON as a tree of nodes --------------------------------------------------------------------------- */
static struct yaml_node *scalar_node(struct yaml_tree *t, const json_t *j)
{
    char buf[64];
    switch (json_typeof(j)) {
    case JSON_STRING: {
        struct yaml_node *n = yaml_node_new(t, YAML_SCALAR, json_string_value(j), json_string_length(j));
        n->quoted = true;
        return n;
    }
    case JSON_INTEGER:
        fixed_printf(buf, "%" JSON_INTEGER_FORMAT, json_integer_value(j));
        break;
    case JSON_REAL:
        schema_number_text(json_real_value(j), buf, sizeof buf);
        break;
    default:
        fixed_printf(buf, "%s", json_is_true(j) ? "true" : json_is_false(j) ? "false" : "");
    }
    return yaml_node_new(t, YAML_SCALAR, buf, strlen(buf));
}

static struct yaml_node *json_node(struct yaml_tree *t, const json_t *j, int depth);

static struct yaml_node *array_node(struct yaml_tree *t, const json_t *j, int depth)
{
    struct yaml_node *n = yaml_node_new(t, YAML_SEQUENCE, NULL, 0), *last = NULL;
    size_t i;
    json_t *item;
    json_array_foreach(j, i, item) {
        struct yaml_node *child = json_node(t, item, depth + 1);
        if (!child)
            return NULL;
        yaml_node_append(n, last, child);
        last = child;
    }
    return n;
}

static struct yaml_node *object_node(struct yaml_tree *t, const json_t *j, int depth)
{
    struct yaml_node *n = yaml_node_new(t, YAML_MAPPING, NULL, 0), *last = NULL;
    const char *key;
    json_t *item;
    json_object_foreach((json_t *)j, key, item) {
        struct yaml_node *k = yaml_node_new(t, YAML_SCALAR, key, strlen(key));
        struct yaml_node *child = json_node(t, item, depth + 1);
        if (!child)
            return NULL;
        yaml_node_append(n, last, k);
        yaml_node_append(n, k, child);
        last = child;
    }
    return n;
}

/* NULL: nested too deeply, or too much. */
static struct yaml_node *json_node(struct yaml_tree *t, const json_t *j, int depth)
{
    if (depth > CONFIG_DEPTH_MAX || t->node_n > CONFIG_NODES_MAX)
        return NULL;
    return json_is_array(j) ? array_node(t, j, depth) : json_is_object(j) ? object_node(t, j, depth) : scalar_node(t, j);
}

/* --- reading --------------------------------------------------------------------------------------------- */
static int read_object(const struct schema *schema, const json_t *j, void *object, struct err *e)
{
    struct yaml_tree t = {0};
    struct problems p = {0};
    struct reader r = { .schema = schema, .p = &p, .folder = "/", .object = object };
    struct yaml_node *n = json_node(&t, j, 0);
    int rc = 0;
    schema_defaults(schema, object);
    if (!n)
        rc = err_set(e, -EINVAL, "nested too deeply, or too much in it");
    else if (reader_group(&r, "", n, n) < 0)
        rc = err_set(e, -EINVAL, "%s%s%s", p.n ? p.v[0].path : "", p.n && *p.v[0].path ? ": " : "", p.n ? p.v[0].text : "not a spec");
    strbuf_done(&r.path);
    problems_done(&p);
    yaml_tree_done(&t);
    return rc;
}

static int from_json(const struct schema *schema, const char *json, void *object, struct err *e)
{
    json_error_t why;
    json_t *j = json_loads(json, JSON_REJECT_DUPLICATES, &why);
    if (!j)
        return err_set(e, -EINVAL, "not JSON: %s", why.text);
    int rc = read_object(schema, j, object, e);
    json_decref(j);
    if (rc < 0)
        schema_done(schema, object);
    return rc;
}

int service_spec_from_json(const char *name, const char *json, struct service_spec *ret, struct err *e)
{
    struct service_spec s;
    int rc = from_json(&SERVICE_SCHEMA, json, &s, e);
    if (rc < 0)
        return err_wrap(e, rc, "service %s", name);
    s.name = xstrdup(name);
    if (!s.directory)
        s.directory = xstrdup("/");
    spec_finish_concurrency(&s);
    *ret = s;
    return 0;
}

int balancer_spec_from_json(const char *name, const char *json, struct balancer_spec *ret, struct err *e)
{
    struct balancer_spec b;
    int rc = from_json(&BALANCER_SCHEMA, json, &b, e);
    if (rc < 0)
        return err_wrap(e, rc, "balancer %s", name);
    b.name = xstrdup(name);
    *ret = b;
    return 0;
}
