/* sources.h - a configuration from files: read, checked here, and as the body of POST /v1/apply.
 * Acts (files, name service); tells errors to standard error. */
#pragma once
#include <jansson.h>
#include <stdint.h>
#include "model/spec.h"

struct sources {
    char *path;                         /* absolute: what musterd remembers as the services' source */
    const char *shown;                  /* as the user said it; borrowed */
    struct config_files files;
    struct config config;
    uint32_t owner_uid, owner_gid;      /* whom instances without `user:` run as */
};
/* `path` NULL: muster.yaml here. An exit status: EXIT_DONE and *ret (to be freed by sources_done), or EXIT_USAGE with all errors told. */
int sources_load(const char *path, struct sources *ret);
void sources_done(struct sources *s);
json_t *sources_body(const struct sources *s, bool dry_run);
/* "2 services (api, worker), 1 balancer" */
void sources_describe(const struct sources *s, struct strbuf *out);
/* Says to standard error that instances run as root, if they do. */
void sources_note_root(const struct sources *s);
