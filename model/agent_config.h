/* agent_config.h - agent.yaml: who the agent's processes are on this host, and what they may do here. One table of keys (in agent_config.c) makes
 * the parser and the documentation, as for services (model/schema.h). Plain data, owned by the struct. */
#pragma once
#include "base/strbuf.h"
#include "model/spec.h"

struct agent_config {
    char *name;
    char *state_folder, *run_folder;                    /* NULL: not said */
    char *controller_socket, *controller_user;          /* likewise */
    char *supervisor_user, *logger_user, *balancer_user;
    struct strv users; bool users_given;
    bool allow_root;
    struct strv secrets;
    bool stop_instances_on_exit;
    char *instances_cgroup;
};
struct schema;
extern const struct schema AGENT_SCHEMA;

/* One file. 0 and *ret, or -EINVAL and all that is wrong with it; *ret is then untouched. Asks no name service. */
int agent_config_parse(const struct config_source *src, struct agent_config *ret, struct config_errors *errs);
void agent_config_done(struct agent_config *c);
