/* draft.h - a configuration while it is being read: the specs so far, and where each key stood. Internal to model/.
 *
 * Pure but for memory. draft_read does syntax, types and ranges; spec_check.c what must fit within a service; config_check.c
 * what must fit between them. All complaints land in one list. */
#pragma once
#include "model/problems.h"
#include "model/schema.h"
#include "model/spec.h"
#include "model/yaml.h"

enum { CONFIG_SERVICES_MAX = 1000, CONFIG_BALANCERS_MAX = 100 };

struct draft_item {
    const char *kind, *name;                    /* "services", "api" */
    int source;
    const struct schema *schema;
    const struct yaml_node *key, *value;        /* borrowed from the trees */
    const struct yaml_node *seen[SCHEMA_KEYS_MAX];
};
struct draft_service { struct draft_item at; struct service_spec spec; };
struct draft_balancer { struct draft_item at; struct balancer_spec spec; };

struct draft {
    const struct config_source *src; size_t n;
    struct yaml_tree *trees;
    bool partial;                               /* a file broke off: what is missing or unknown may only be unread */
    struct draft_service *services; size_t service_n;
    struct draft_balancer *balancers; size_t balancer_n;    /* both sorted by name once read */
    struct problems p;
};

/* d zeroed by the caller; src is borrowed. */
void draft_read(struct draft *d, const struct config_source *src, size_t n);
void draft_done(struct draft *d);

/* Where the key (path in the table) stood, NULL: it was not there. */
const struct yaml_node *draft_seen(const struct draft_item *at, const char *key);
/* Complains at the key, or at the nearest thing above it that is in the file. */
void draft_complain(struct draft *d, const struct draft_item *at, const char *key, const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* Defaults that depend on other keys: folder, port's readiness, deploy with a fixed port, concurrency. */
void spec_finish(struct draft_service *s, const char *folder);
void spec_finish_concurrency(struct service_spec *s);
/* The same for one part of the key's value: a map's key, or an item of a list. */
void draft_complain_in(struct draft *d, const struct draft_item *at, const char *key, const char *part, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/* What must fit within one service. */
void spec_check(struct draft *d, const struct draft_service *s);
/* What must fit between services and balancers: names that refer, cycles, ports, routes. */
void config_check(struct draft *d);
/* ${...} in the words of one command (key: where it stood), and in the values of `environment`. */
void spec_check_command(struct draft *d, const struct draft_service *s, const char *key, const struct strv *words);
void spec_check_environment(struct draft *d, const struct draft_service *s);
/* Is ${NAME} or $NAME in one of the words? */
bool spec_mentions(const struct strv *words, const char *name);
