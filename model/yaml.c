#include "model/yaml.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>
#include "base/cleanup.h"
#include "base/strbuf.h"
#include "model/yaml_text.h"

enum { CHUNK_BYTES = 64 * 1024 };
struct yaml_chunk { struct yaml_chunk *next; size_t used, size; max_align_t data[]; };

static void *tree_alloc(struct yaml_tree *t, size_t n)
{
    n = (n + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
    if (!t->chunks || t->chunks->size - t->chunks->used < n) {
        size_t size = MAX_OF(n, (size_t)CHUNK_BYTES);
        struct yaml_chunk *c = xmalloc(sizeof *c + size);
        *c = (struct yaml_chunk){ .next = t->chunks, .size = size };
        t->chunks = c;
    }
    void *p = (char *)t->chunks->data + t->chunks->used;
    t->chunks->used += n;
    return p;
}

void yaml_tree_done(struct yaml_tree *tree)
{
    while (tree->chunks) {
        struct yaml_chunk *next = tree->chunks->next;
        free(tree->chunks);
        tree->chunks = next;
    }
    *tree = (struct yaml_tree){0};
}

struct yaml_node *yaml_node_new(struct yaml_tree *tree, enum yaml_kind kind, const char *text, size_t len)
{
    struct yaml_node *n = tree_alloc(tree, sizeof *n);
    *n = (struct yaml_node){ .kind = kind };
    if (kind == YAML_SCALAR) {
        char *copy = tree_alloc(tree, len + 1);
        if (len)
            memcpy(copy, text, len);
        copy[len] = '\0';
        n->text = copy;
    }
    tree->node_n++;
    return n;
}

void yaml_node_append(struct yaml_node *parent, struct yaml_node *last, struct yaml_node *child)
{
    if (last)
        last->next = child;
    else
        parent->first = child;
    parent->n++;
}

/* --- building from events ------------------------------------------------------------------------- */
struct frame { struct yaml_node *node, *last; const struct yaml_node *key; };
struct builder {
    struct yaml_tree *tree;
    struct problems *p;
    int source;
    uint32_t *nodes_left;
    struct frame stack[CONFIG_DEPTH_MAX];
    int depth;
    bool stop;
    bool documents;                     /* one has been seen */
};

static void complain(struct builder *b, uint32_t line, uint32_t column, const char *text)
{
    cleanup_strbuf struct strbuf path = STRBUF_INIT;
    char word[PROBLEM_QUOTE_SIZE];
    for (int i = 0; i < b->depth; i++)
        if (b->stack[i].node->kind == YAML_SEQUENCE)
            strbuf_printf(&path, "[%u]", b->stack[i].node->n ? b->stack[i].node->n - 1 : 0);
        else if (b->stack[i].key)
            strbuf_printf(&path, "%s%s", path.len ? "." : "", problem_word(b->stack[i].key->text, word));
    problem_add(b->p, b->source, line, column, strbuf_str(&path), "%s", text);
}

static void complain_at(struct builder *b, struct yaml_node *n, const char *text)
{
    n->bad = true;
    complain(b, n->line, n->column, text);
}

static void stop_at(struct builder *b, yaml_mark_t mark, const char *text)
{
    complain(b, (uint32_t)mark.line + 1, (uint32_t)mark.column + 1, text);
    b->stop = b->tree->broken = true;
}

static bool is_key_place(const struct builder *b)
{
    const struct frame *f = b->depth ? &b->stack[b->depth - 1] : NULL;
    return f && f->node->kind == YAML_MAPPING && f->node->n % 2 == 0;
}

static void check_key(struct builder *b, struct yaml_node *n)
{
    if (n->kind != YAML_SCALAR)
        complain_at(b, n, "a key must be a word, not a list or a map");
    else if (!n->quoted && strcmp(n->text, "<<") == 0)
        complain_at(b, n, "merge keys (<<) are not expanded: write the keys out");
}

static struct yaml_node *add_node(struct builder *b, enum yaml_kind kind, const char *text, size_t len, yaml_mark_t mark)
{
    if (*b->nodes_left == 0) {
        stop_at(b, mark, "too much in it: at most 100000 keys and values are read");
        return NULL;
    }
    --*b->nodes_left;
    bool key = is_key_place(b);
    struct yaml_node *n = yaml_node_new(b->tree, kind, text, len);
    n->line = (uint32_t)mark.line + 1;
    n->column = (uint32_t)mark.column + 1;
    if (b->depth == 0) {
        b->tree->root = n;
        return n;
    }
    struct frame *f = &b->stack[b->depth - 1];
    yaml_node_append(f->node, f->last, n);
    f->last = n;
    if (key)
        f->key = kind == YAML_SCALAR ? n : NULL;
    return n;
}

static void check_decoration(struct builder *b, struct yaml_node *n, const void *anchor, const void *tag)
{
    if (anchor)
        complain_at(b, n, "anchors (&name) are not used: aliases are not expanded");
    if (tag)
        complain_at(b, n, "tags (!name) are not used: the key decides the type");
}

static void on_scalar(struct builder *b, const yaml_event_t *e)
{
    const char *text = (const char *)e->data.scalar.value;
    bool key = is_key_place(b);
    struct yaml_node *n = add_node(b, YAML_SCALAR, text, e->data.scalar.length, e->start_mark);
    if (!n)
        return;
    n->quoted = e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    check_decoration(b, n, e->data.scalar.anchor, e->data.scalar.tag);
    if (memchr(text, '\0', e->data.scalar.length))
        complain_at(b, n, "a NUL cannot be part of a text");
    if (key)
        check_key(b, n);
}

static void on_alias(struct builder *b, const yaml_event_t *e)
{
    struct yaml_node *n = add_node(b, YAML_SCALAR, "", 0, e->start_mark);
    if (n)
        complain_at(b, n, "aliases (*name) are not expanded: write the value out");
}

static void on_open(struct builder *b, const yaml_event_t *e, enum yaml_kind kind, const void *anchor, const void *tag)
{
    if (b->depth == CONFIG_DEPTH_MAX) {
        stop_at(b, e->start_mark, "nested too deeply: at most 32 levels are read");
        return;
    }
    bool key = is_key_place(b);
    struct yaml_node *n = add_node(b, kind, NULL, 0, e->start_mark);
    if (!n)
        return;
    if (key)
        check_key(b, n);
    check_decoration(b, n, anchor, tag);
    b->stack[b->depth++] = (struct frame){ .node = n };
}

/* --- duplicate keys ------------------------------------------------------------------------------- */
static int compare_keys(const void *a, const void *b)
{
    const struct yaml_node *x = *(struct yaml_node *const *)a, *y = *(struct yaml_node *const *)b;
    int c = strcmp(x->text, y->text);
    if (c)
        return c;
    if (x->line != y->line)
        return x->line < y->line ? -1 : 1;
    return x->column < y->column ? -1 : 1;
}

/* By sorting: a map of 50,000 keys must not cost their square. */
static void check_duplicates(struct builder *b, struct yaml_node *map)
{
    if (map->n < 4)
        return;
    cleanup_free struct yaml_node **keys = xmalloc(map->n / 2 * sizeof *keys);
    size_t n = 0;
    for (struct yaml_node *k = map->first; k && k->next; k = k->next->next)
        if (!k->bad && k->kind == YAML_SCALAR)
            keys[n++] = k;
    qsort(keys, n, sizeof *keys, compare_keys);
    const struct yaml_node *first = n ? keys[0] : NULL;
    for (size_t i = 1; i < n; i++) {
        if (strcmp(first->text, keys[i]->text) != 0) {
            first = keys[i];
            continue;
        }
        char quoted[PROBLEM_QUOTE_SIZE], text[PROBLEM_QUOTE_SIZE + 80];
        fixed_printf(text, "the key %s is there twice, the first is at line %u, column %u", problem_quote(first->text, quoted),
                     first->line, first->column);
        b->stack[b->depth - 1].key = keys[i];
        complain_at(b, keys[i], text);
    }
}

static void on_close(struct builder *b)
{
    struct frame *f = &b->stack[b->depth - 1];
    if (f->node->kind == YAML_MAPPING)
        check_duplicates(b, f->node);
    b->depth--;
}

static void on_event(struct builder *b, const yaml_event_t *e)
{
    switch (e->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (b->documents)
            stop_at(b, e->start_mark, "a second document starts here: one file is one document");
        b->documents = true;
        break;
    case YAML_SCALAR_EVENT:
        on_scalar(b, e);
        break;
    case YAML_ALIAS_EVENT:
        on_alias(b, e);
        break;
    case YAML_SEQUENCE_START_EVENT:
        on_open(b, e, YAML_SEQUENCE, e->data.sequence_start.anchor, e->data.sequence_start.tag);
        break;
    case YAML_MAPPING_START_EVENT:
        on_open(b, e, YAML_MAPPING, e->data.mapping_start.anchor, e->data.mapping_start.tag);
        break;
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        on_close(b);
        break;
    case YAML_STREAM_END_EVENT:
        b->stop = true;
        break;
    default:
        break;
    }
}

/* What was open stays as far as it was read; a key whose value was not reached gets a value that nobody looks at. */
static void close_all(struct builder *b)
{
    while (b->depth > 0) {
        struct frame *f = &b->stack[b->depth - 1];
        if (f->node->kind == YAML_MAPPING && f->node->n % 2 == 1) {
            struct yaml_node *n = yaml_node_new(b->tree, YAML_SCALAR, "", 0);
            n->bad = true;
            yaml_node_append(f->node, f->last, n);
        }
        on_close(b);
    }
}

static void tell_syntax(struct builder *b, const yaml_parser_t *parser, const char *text, size_t len)
{
    uint32_t line = (uint32_t)parser->problem_mark.line + 1, column = (uint32_t)parser->problem_mark.column + 1;
    uint32_t tab = yaml_tab_in_indent(text, len, line);
    const char *words = yaml_problem_words(parser->problem, parser->context);
    char since[64] = "";
    if (parser->context && parser->context_mark.line + 1 != line && parser->context_mark.line > 0)
        fixed_printf(since, " (it began at line %zu)", parser->context_mark.line + 1);
    b->tree->broken = true;
    if (tab)
        problem_add(b->p, b->source, line, tab, "", "a tab in the indentation: YAML wants spaces");
    else
        problem_add(b->p, b->source, line, column, "", "%s%s", words ? words : parser->problem ? parser->problem : "not valid YAML", since);
}

static void read_events(struct builder *b, const char *text, size_t len)
{
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        abort();                        /* out of memory, as everywhere */
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
    while (!b->stop) {
        yaml_event_t event;
        if (!yaml_parser_parse(&parser, &event)) {
            tell_syntax(b, &parser, text, len);
            break;
        }
        on_event(b, &event);
        yaml_event_delete(&event);
    }
    close_all(b);
    yaml_parser_delete(&parser);
}

int yaml_read(const char *text, size_t len, int source, uint32_t *nodes_left, struct yaml_tree *tree, struct problems *p)
{
    size_t before = p->n;
    bool more = p->more;
    uint32_t line, column;
    unsigned byte;
    const char *what = yaml_text_check(text, len, &line, &column, &byte);
    if (what) {
        tree->broken = true;
        problem_add(p, source, line, column, "", "%s (byte 0x%02x), expected a YAML file in UTF-8", what, byte);
        return -EINVAL;
    }
    struct builder b = { .tree = tree, .p = p, .source = source, .nodes_left = nodes_left };
    read_events(&b, text, len);
    return p->n != before || p->more != more || tree->broken ? -EINVAL : 0;
}

/* --- looking ------------------------------------------------------------------------------------------ */
const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key, const struct yaml_node **ret_key)
{
    if (!map || map->kind != YAML_MAPPING)
        return NULL;
    for (const struct yaml_node *k = map->first; k && k->next; k = k->next->next)
        if (!k->bad && k->kind == YAML_SCALAR && strcmp(k->text, key) == 0) {
            if (ret_key)
                *ret_key = k;
            return k->next;
        }
    return NULL;
}

bool yaml_is_empty(const struct yaml_node *n)
{
    return n->kind == YAML_SCALAR && !n->quoted && n->text[0] == '\0';
}

const char *yaml_describe(const struct yaml_node *n, char buf[PROBLEM_QUOTE_SIZE])
{
    if (n->kind != YAML_SCALAR || yaml_is_empty(n))
        return n->kind == YAML_MAPPING ? "a map" : n->kind == YAML_SEQUENCE ? "a list" : "nothing";
    return problem_quote(n->text, buf);
}
