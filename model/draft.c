#include "model/draft.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "model/suggest.h"

/* --- where things stood -------------------------------------------------------------------------------- */
const struct yaml_node *draft_seen(const struct draft_item *at, const char *key)
{
    const struct schema_key *k = schema_find(at->schema, key);
    return k ? at->seen[k - at->schema->keys] : NULL;
}

static const struct yaml_node *nearest_seen(const struct draft_item *at, const char *key)
{
    cleanup_free char *path = xstrdup(key);
    for (;;) {
        const struct yaml_node *n = draft_seen(at, path);
        char *dot = strrchr(path, '.');
        if (n)
            return n;
        if (!dot)
            return at->key;
        *dot = '\0';
    }
}

/* The part of a map with this key, or of a list with this text; the whole if there is none. */
static const struct yaml_node *find_part(const struct yaml_node *n, const char *part)
{
    const struct yaml_node *found = yaml_get(n, part, NULL);
    for (const struct yaml_node *i = n->kind == YAML_SEQUENCE ? n->first : NULL; i && !found; i = i->next)
        if (i->kind == YAML_SCALAR && strcmp(i->text, part) == 0)
            found = i;
    return found ? found : n;
}

static void complain(struct draft *d, const struct draft_item *at, const char *key, const char *part, const char *fmt, va_list ap)
{
    const struct yaml_node *n = nearest_seen(at, key);
    bool map = part && n->kind == YAML_MAPPING;
    cleanup_strbuf struct strbuf text = STRBUF_INIT;
    strbuf_vprintf(&text, fmt, ap);
    cleanup_free char *path = xasprintf("%s.%s%s%s%s%s", at->kind, at->name, *key ? "." : "", key, map ? "." : "", map ? part : "");
    if (part)
        n = find_part(n, part);
    problem_add(&d->p, at->source, n->line, n->column, path, "%s", strbuf_str(&text));
}

void draft_complain(struct draft *d, const struct draft_item *at, const char *key, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    complain(d, at, key, NULL, fmt, ap);
    va_end(ap);
}

void draft_complain_in(struct draft *d, const struct draft_item *at, const char *key, const char *part, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    complain(d, at, key, part, fmt, ap);
    va_end(ap);
}

/* --- services and balancers ------------------------------------------------------------------------------- */
static bool is_name(const char *s)
{
    if (!islower((unsigned char)*s) || strlen(s) > NAME_LEN_MAX)
        return false;
    for (; *s; s++)
        if (!islower((unsigned char)*s) && !isdigit((unsigned char)*s) && *s != '-')
            return false;
    return true;
}

static const struct draft_item *find_same(const struct draft *d, bool service, const char *name)
{
    size_t n = service ? d->service_n : d->balancer_n;
    for (size_t i = 0; i < n; i++) {
        const struct draft_item *at = service ? &d->services[i].at : &d->balancers[i].at;
        if (strcmp(at->name, name) == 0)
            return at;
    }
    return NULL;
}

static bool check_name(struct draft *d, struct reader *r, bool service, const struct yaml_node *key)
{
    char what[PROBLEM_QUOTE_SIZE];
    const struct draft_item *same = find_same(d, service, key->text);
    if (!is_name(key->text))
        reader_complain(r, key, "%s is not a name, expected small letters, digits and -, a letter first, at most %d, e.g. api",
                        problem_quote(key->text, what), NAME_LEN_MAX);
    else if (same)
        reader_complain(r, key, "%s is defined twice, the first is at %s:%u:%u", problem_quote(key->text, what), d->src[same->source].name,
                        same->key->line, same->key->column);
    else
        return true;
    return false;
}

static struct draft_item new_item(const struct reader *r, const struct schema *schema, const struct yaml_node *key)
{
    return (struct draft_item){ .kind = schema->kind, .name = key->text, .source = r->source, .schema = schema, .key = key, .value = key->next };
}

static void read_item(struct draft *d, struct reader *r, const struct yaml_node *key, bool service)
{
    void *object;
    struct draft_item *at;
    if (service) {
        struct draft_service *s = &d->services[d->service_n++];
        *s = (struct draft_service){ .at = new_item(r, &SERVICE_SCHEMA, key) };
        object = &s->spec;
        at = &s->at;
    } else {
        struct draft_balancer *b = &d->balancers[d->balancer_n++];
        *b = (struct draft_balancer){ .at = new_item(r, &BALANCER_SCHEMA, key) };
        object = &b->spec;
        at = &b->at;
    }
    schema_defaults(at->schema, object);
    r->schema = at->schema;
    r->object = object;
    r->seen = at->seen;
    if (!key->next->bad)
        reader_group(r, "", key->next, key);
    *(char **)object = xstrdup(key->text);      /* `name` is the first field of both */
}
_Static_assert(offsetof(struct service_spec, name) == 0 && offsetof(struct balancer_spec, name) == 0, "read_item relies on it");

/* The map below `services:` or `balancers:`. */
static void read_section(struct draft *d, struct reader *r, const struct yaml_node *n, bool service)
{
    char what[PROBLEM_QUOTE_SIZE];
    if (n->kind != YAML_MAPPING && !yaml_is_empty(n)) {
        reader_complain(r, n, "%s is not a map, expected names, e.g. %s", yaml_describe(n, what),
                        service ? "api: { command: ... }" : "edge: { haproxy: { listen: \":8080\" } }");
        return;
    }
    for (const struct yaml_node *key = n->first; key && key->next; key = key->next->next) {
        if (key->bad)
            continue;
        size_t mark = reader_enter(r, key->text);
        bool full = service ? d->service_n == CONFIG_SERVICES_MAX : d->balancer_n == CONFIG_BALANCERS_MAX;
        if (full)
            reader_complain(r, key, "too many: at most %d", service ? CONFIG_SERVICES_MAX : CONFIG_BALANCERS_MAX);
        else if (check_name(d, r, service, key))
            read_item(d, r, key, service);
        reader_leave(r, mark);
        if (full)
            break;
    }
}

static void read_top_key(struct draft *d, struct reader *r, const struct yaml_node *key)
{
    bool service = strcmp(key->text, "services") == 0;
    size_t mark = reader_enter(r, key->text);
    if (service || strcmp(key->text, "balancers") == 0) {
        if (!key->next->bad)
            read_section(d, r, key->next, service);
    } else if (!problems_full(&d->p)) {
        char what[PROBLEM_QUOTE_SIZE];
        struct suggest near = { .word = key->text };
        suggest_offer(&near, "services");
        suggest_offer(&near, "balancers");
        bool belongs = schema_child(&SERVICE_SCHEMA, "", key->text, strlen(key->text)) != NULL;
        reader_complain(r, key, "unknown key %s, %s%s%s", problem_quote(key->text, what), near.best ? "did you mean " : "expected services or balancers",
                        near.best ? near.best : "", near.best ? "?" : belongs ? "; it belongs to a service: services: { api: { ... } }" : "");
    }
    reader_leave(r, mark);
}

static void read_root(struct draft *d, int source, const struct yaml_node *root)
{
    struct reader r = { .p = &d->p, .source = source, .folder = d->src[source].folder ? d->src[source].folder : "/", .partial = d->trees[source].broken };
    char what[PROBLEM_QUOTE_SIZE];
    if (root->kind != YAML_MAPPING && !root->bad && !(yaml_is_empty(root) && r.partial))
        reader_complain(&r, root, "%s is not a map, expected `services:` with at least one service", yaml_describe(root, what));
    for (const struct yaml_node *key = root->kind == YAML_MAPPING ? root->first : NULL; key && key->next; key = key->next->next)
        if (!key->bad)
            read_top_key(d, &r, key);
    strbuf_done(&r.path);
}

/* --- files ------------------------------------------------------------------------------------------------ */
static void read_trees(struct draft *d)
{
    uint32_t nodes_left = CONFIG_NODES_MAX;
    size_t bytes = 0;
    d->trees = xcalloc(d->n, sizeof *d->trees);
    for (size_t i = 0; i < d->n; i++) {
        bytes += d->src[i].len;
        if (bytes > CONFIG_BYTES_MAX) {
            problem_add(&d->p, (int)i, 1, 1, "", "too big: %zu bytes%s, expected at most 1 MB", bytes, i ? " with the files before" : "");
            d->partial = true;
            return;
        }
        yaml_read(d->src[i].text, d->src[i].len, (int)i, &nodes_left, &d->trees[i], &d->p);
        d->partial = d->partial || d->trees[i].broken;
    }
}

static int compare_services(const void *a, const void *b)
{
    return strcmp(((const struct draft_service *)a)->at.name, ((const struct draft_service *)b)->at.name);
}

static int compare_balancers(const void *a, const void *b)
{
    return strcmp(((const struct draft_balancer *)a)->at.name, ((const struct draft_balancer *)b)->at.name);
}

static uint32_t section_size(const struct draft *d, const char *section)
{
    uint32_t n = 0;
    for (size_t i = 0; i < d->n; i++) {
        const struct yaml_node *m = yaml_get(d->trees[i].root, section, NULL);
        n += m && m->kind == YAML_MAPPING ? m->n / 2 : 0;
    }
    return n;
}

void draft_read(struct draft *d, const struct config_source *src, size_t n)
{
    d->src = src;
    d->n = n;
    read_trees(d);
    d->services = xcalloc(MIN_OF(section_size(d, "services"), (uint32_t)CONFIG_SERVICES_MAX), sizeof *d->services);
    d->balancers = xcalloc(MIN_OF(section_size(d, "balancers"), (uint32_t)CONFIG_BALANCERS_MAX), sizeof *d->balancers);
    for (size_t i = 0; i < n; i++)
        if (d->trees[i].root)
            read_root(d, (int)i, d->trees[i].root);
        else if (!d->trees[i].broken && !d->partial)
            problem_add(&d->p, (int)i, 1, 1, "", "the file is empty, expected `services:` with at least one service");
    qsort(d->services, d->service_n, sizeof *d->services, compare_services);
    qsort(d->balancers, d->balancer_n, sizeof *d->balancers, compare_balancers);
    for (size_t i = 0; i < d->service_n; i++)
        spec_finish(&d->services[i], src[d->services[i].at.source].folder);
}

void draft_done(struct draft *d)
{
    for (size_t i = 0; i < d->service_n; i++)
        service_spec_done(&d->services[i].spec);
    for (size_t i = 0; i < d->balancer_n; i++)
        balancer_spec_done(&d->balancers[i].spec);
    for (size_t i = 0; d->trees && i < d->n; i++)
        yaml_tree_done(&d->trees[i]);
    free(d->services);
    free(d->balancers);
    free(d->trees);
    problems_done(&d->p);
    *d = (struct draft){0};
}
