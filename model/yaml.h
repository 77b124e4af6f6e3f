/* yaml.h - reads one YAML document into a bounded tree of nodes that know where they stood.
 *
 * No I/O. Scalars are kept as their source text and never given a type here: `no`, 012 and 1:20 are what was typed, and the
 * schema decides. Anchors, aliases, merge keys, tags, several documents and duplicate keys are refused. Bounds are kept while
 * libyaml reads (events, not its document tree), so that 20,000 brackets or a bomb cost what the first few do. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "model/problems.h"

enum yaml_kind { YAML_SCALAR, YAML_SEQUENCE, YAML_MAPPING };

struct yaml_node {
    enum yaml_kind kind;
    bool quoted;                        /* scalar: written in quotes or as a block */
    bool bad;                           /* already complained about: skip without a word */
    uint32_t line, column;              /* from 1 */
    uint32_t n;                         /* children: items, or keys and values together */
    const char *text;                   /* scalar; NUL-terminated, holds no other NUL */
    struct yaml_node *first, *next;     /* a mapping's children are key, value, key, value, ... */
};

struct yaml_chunk;
struct yaml_tree {
    struct yaml_node *root;             /* NULL: nothing in it */
    bool broken;                        /* the syntax ended the reading: what is there is true, but not all */
    uint32_t node_n;
    struct yaml_chunk *chunks;          /* all memory of the nodes */
};

/* Puts what could be read in *tree (zeroed by the caller) and every problem in p. 0, or -EINVAL if there was any problem.
 * nodes_left: what this and other trees may still hold together; counted down. */
int yaml_read(const char *text, size_t len, int source, uint32_t *nodes_left, struct yaml_tree *tree, struct problems *p);
void yaml_tree_done(struct yaml_tree *tree);

/* A new node owned by the tree; text (may be NULL) is copied. For who builds a tree from something else. */
struct yaml_node *yaml_node_new(struct yaml_tree *tree, enum yaml_kind kind, const char *text, size_t len);
/* Appends to parent; last: the present last child or NULL. */
void yaml_node_append(struct yaml_node *parent, struct yaml_node *last, struct yaml_node *child);

/* The value of key in a mapping, and the key's node in *ret_key (may be NULL); NULL: none, or not a mapping. */
const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key, const struct yaml_node **ret_key);
/* Nothing was written: `key:` and the end of the line. */
bool yaml_is_empty(const struct yaml_node *n);
/* "a list", "a map", "nothing", or the quoted text. */
const char *yaml_describe(const struct yaml_node *n, char buf[PROBLEM_QUOTE_SIZE]);
