/* schema.h - the one table of configuration keys, and what is made from it.
 *
 * A row names a key by its path below a service (or balancer), its type, range, default, meaning and an example. Reader
 * (schema_read), canonical JSON (schema_print), release of memory (schema_done), `did you mean` and docs/CONFIG.md all walk
 * the same rows, so that a new key is one new row (and, rarely, a new type in schema_values.c or schema_lists.c).
 * Pure but for memory. */
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/strbuf.h"
#include "model/problems.h"
#include "model/yaml.h"

enum schema_type {
    T_GROUP,            /* a map that only holds other keys */
    T_BOOL, T_WHOLE, T_COUNT, T_NUMBER, T_DURATION, T_DURATION_OR_NEVER, T_SIZE, T_TEXT, T_PATH, T_WORD,
    T_SIGNAL, T_UMASK, T_ACCOUNT, T_COMMAND, T_ACCOUNTS, T_USERS, T_PATHS, T_NAMES, T_HOSTS, T_URL_PATH, T_ENVIRONMENT, T_SECRETS,
    T_PORT, T_CONCURRENCY, T_INSTANCES, T_PROBE, T_PROBE_HTTP, T_PROBE_TCP, T_PROBE_COMMAND, T_PROBE_NOTIFY,
    T_RULES, T_RULE_CPU, T_RULE_LATENCY, T_RULE_IN_FLIGHT, T_RULE_QUEUE, T_LIMIT, T_AMOUNT, T_RESTART_LIMIT, T_HOOK, T_BALANCE, T_RETRY, T_NAME, T_LISTEN,
    SCHEMA_TYPE_COUNT
};

enum schema_flag {
    KEY_REQUIRED = 1,
    KEY_LIVE = 2,       /* a change of it (or of what is below) changes no running process */
    KEY_UNSTORED = 4,   /* read and checked, but there is nothing to keep: `strategy: rolling` */
};

struct schema_key {
    const char *path;   /* "health.readiness.every"; "scale.on[].cpu" and "secrets.*.file" are read by their list's type */
    enum schema_type type;
    uint32_t offset;    /* of the field in the struct that the table describes */
    unsigned flags;
    int64_t min, max;   /* in the type's unit: ms, bytes, thousandths for T_NUMBER, cpu and percentages in percent */
    const char *fallback;   /* as one would write it; NULL: unset */
    const char *words;      /* T_WORD: "a|b|c", in the order of the enum */
    const char *unset;      /* for the documentation: what happens without it, where `fallback` does not say so */
    const char *meaning, *example;
};

enum { SCHEMA_KEYS_MAX = 128 };
struct schema { const struct schema_key *keys; size_t n; size_t object_size; const char *kind; };
extern const struct schema SERVICE_SCHEMA, BALANCER_SCHEMA;

/* The row with this path, NULL: none. */
const struct schema_key *schema_find(const struct schema *s, const char *path);
/* The row of the key `name` (len bytes) directly below the path `group` ("" the top). */
const struct schema_key *schema_child(const struct schema *s, const char *group, const char *name, size_t len);
/* Is the row directly below the group? */
bool schema_is_child(const struct schema_key *k, const char *group);
const char *schema_last(const struct schema_key *k);    /* its name: what is behind the last dot */

/* One object being read. */
struct reader {
    const struct schema *schema;
    struct problems *p;
    int source;
    const char *folder;             /* absolute; for relative paths */
    struct strbuf path;             /* where we are, for messages: "services.api.health" */
    const struct yaml_node **seen;  /* per row the value that was there, NULL: none; SCHEMA_KEYS_MAX of them, or NULL */
    void *object;
    bool partial;                   /* the file broke off: what is missing may only be unread */
};
/* Says what is wrong with node n at the reader's path. Returns -EINVAL. */
int reader_complain(struct reader *r, const struct yaml_node *n, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Reads the map's keys, those directly below `group` in the table, into the object. 0 or -EINVAL, told. */
int reader_group(struct reader *r, const char *group, const struct yaml_node *n, const struct yaml_node *place);
/* Reads one value of the row's type into field. */
int reader_value(struct reader *r, const struct schema_key *k, const struct yaml_node *n, void *field);
/* Complains about a key that is not below group: nearest one, or where it belongs, or all that there are.
 * Returns the near one, NULL: none. */
const struct schema_key *reader_unknown(struct reader *r, const char *group, const struct yaml_node *key);
/* Appends a key to the path, returns the length to give to reader_leave. */
size_t reader_enter(struct reader *r, const char *name);
void reader_leave(struct reader *r, size_t mark);

/* The object with all defaults of the table, then with what the map says. */
void schema_defaults(const struct schema *s, void *object);
/* Canonical: keys in the table's order, defaults included, absent ones not. To be freed by json_decref. */
json_t *schema_print(const struct schema *s, const void *object);
void schema_done(const struct schema *s, void *object);     /* frees what the fields own and zeroes it */

/* A type: its noun and a sample for messages and documents, and how to read, print and free a field. */
struct schema_codec {
    const char *noun;               /* "a duration" */
    const char *sample;             /* "e.g. 500ms, 10s, 5m" */
    int (*read)(struct reader *r, const struct schema_key *k, const struct yaml_node *n, void *field);
    json_t *(*print)(const struct schema_key *k, const void *field);    /* NULL: nothing to say; JSON null: nor for what is below */
    void (*done)(void *field);
};
const struct schema_codec *schema_codec(enum schema_type t);
extern const struct schema_codec SCHEMA_SCALARS[SCHEMA_TYPE_COUNT], SCHEMA_SPECIALS[SCHEMA_TYPE_COUNT],
    SCHEMA_LISTS[SCHEMA_TYPE_COUNT], SCHEMA_SCALING[SCHEMA_TYPE_COUNT];    /* each with its own types, the rest empty */

/* For codecs. "X is not NOUN, expected SAMPLE", with the range if there is one. Returns -EINVAL. */
int reader_not(struct reader *r, const struct schema_key *k, const struct yaml_node *n);
/* "X is out of range, expected MIN to MAX". Returns -EINVAL. */
int reader_range(struct reader *r, const struct schema_key *k, const struct yaml_node *n);
/* The text of a scalar with something in it, else NULL after reader_not. */
const char *reader_scalar(struct reader *r, const struct schema_key *k, const struct yaml_node *n);
/* "1s to 1h" as one would write it; "" if the row has no range. */
void schema_range_text(const struct schema_key *k, char *buf, size_t size);

/* Replaces *field by a copy of s. */
void reader_set_text(void *field, const char *s);
void schema_free_text(void *field);
/* s made absolute with the reader's folder, "." and double slashes taken out, to be freed; NULL after a complaint. */
char *reader_path_value(struct reader *r, const struct yaml_node *n, const char *s);
/* A positive number without a noise of digits: 1.5, 60. */
void schema_number_text(double v, char *buf, size_t size);

/* docs/CONFIG.md, to be freed; and the full example in it, which must pass. */
char *config_doc(void);
const char *config_doc_example(void);
