/* agent_config.h - agent.yaml: who the agent's processes are on this host, and what they may do here. One table of keys (in agent_config.c) makes
 * the parser and the documentation, as for services (model/schema.h). Plain data, owned by the struct. */
#pragma once
#include "base/strbuf.h"
#include "model/spec.h"

enum { AGENT_KEYS_MAX = 32 };
struct agent_place { uint32_t line, column; };          /* 0: it was not there */
struct agent_config {
    char *name;
    char *state_folder, *run_folder;                    /* NULL: not said */
    char *controller_socket, *controller_user;          /* likewise */
    char *supervisor_user, *logger_user, *balancer_user;
    struct strv users; bool users_given;
    bool allow_root;
    struct strv secrets;
    struct agent_place places[AGENT_KEYS_MAX];          /* of the keys' values, in the table's order */
};
struct schema;
extern const struct schema AGENT_SCHEMA;

/* One file. 0 and *ret, or -EINVAL and all that is wrong with it; *ret is then untouched. Asks no name service. */
int agent_config_parse(const struct config_source *src, struct agent_config *ret, struct config_errors *errs);
/* Where the value of this key stood; what follows a `:` in `key` is not looked at. */
struct agent_place agent_config_place(const struct agent_config *c, const char *key);
void agent_config_done(struct agent_config *c);
