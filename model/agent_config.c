#include "model/agent_config.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "model/problems.h"
#include "model/schema.h"
#include "model/yaml.h"

#define A(field) offsetof(struct agent_config, field)

static const struct schema_key AGENT_KEYS[] = {
    { "name", T_NAME, A(name), 0, 0, 0, NULL, NULL, "`local`", "What this host is called in muster.", "web1" },
    { "state_folder", T_PATH, A(state_folder), 0, 0, 0, NULL, NULL, "`/var/lib/muster-agent`", "What must outlive a restart: the last wanted set, ports, logs.", "/var/lib/muster-agent" },
    { "run_folder", T_PATH, A(run_folder), 0, 0, 0, NULL, NULL, "`/run/muster`", "Sockets and pipes; at most 50 bytes long.", "/run/muster" },
    { "controller_socket", T_PATH, A(controller_socket), 0, 0, 0, NULL, NULL, "`agent.sock` in the run folder", "Where musterd awaits this agent.", "/run/muster/agent.sock" },
    { "controller_user", T_ACCOUNT, A(controller_user), 0, 0, 0, NULL, NULL, "`muster` if there is such a user",
      "Whom musterd runs as; beside this user only root is believed.", "muster" },
    { "supervisor_user", T_ACCOUNT, A(supervisor_user), 0, 0, 0, NULL, NULL, "`muster-agent` if there is such a user, else an id that nobody has",
      "The user of the process that decides, probes and talks with musterd. Name or number; it must own nothing else.", "muster-agent" },
    { "logger_user", T_ACCOUNT, A(logger_user), 0, 0, 0, NULL, NULL, "`muster-log` if there is such a user, else an id that nobody has",
      "The user of the process that writes the logs, and the owner of their folder.", "muster-log" },
    { "balancer_user", T_ACCOUNT, A(balancer_user), 0, 0, 0, NULL, NULL, "`haproxy` if there is such a user, else an id that nobody has",
      "The user that HAProxy runs as.", "haproxy" },
    { "users", T_USERS, A(users), 0, 0, 0, NULL, NULL, "any but root", "The users that services may run as here, whatever a service file says.", "[api, worker]" },
    { "allow_root", T_BOOL, A(allow_root), 0, 0, 0, "false", NULL, NULL, "May a service run as root?", "true" },
    { "secrets", T_PATHS, A(secrets), 0, 0, 0, NULL, NULL, "`[/etc/muster]`",
      "The folders below which `secrets`, `environment_file` and `tls` of a service file may lie: they are read with root's rights. Links and `..` in them are not followed.",
      "[/etc/muster, /srv/secrets]" },
};
_Static_assert(ARRAY_LEN(AGENT_KEYS) <= AGENT_KEYS_MAX, "raise AGENT_KEYS_MAX");
const struct schema AGENT_SCHEMA = { AGENT_KEYS, ARRAY_LEN(AGENT_KEYS), sizeof(struct agent_config), "agent" };

static void read_root(const struct config_source *src, const struct yaml_tree *tree, struct agent_config *c, struct problems *p)
{
    struct reader r = { .schema = &AGENT_SCHEMA, .p = p, .folder = src->folder ? src->folder : "/", .object = c, .partial = tree->broken };
    const struct yaml_node *root = tree->root, *seen[SCHEMA_KEYS_MAX] = { NULL };
    r.seen = seen;
    char what[PROBLEM_QUOTE_SIZE];
    if (!root || root->bad || (yaml_is_empty(root) && tree->broken))
        return;
    if (root->kind != YAML_MAPPING && !yaml_is_empty(root))
        reader_complain(&r, root, "%s is not a map, expected keys such as `users: [api]`", yaml_describe(root, what));
    else if (root->kind == YAML_MAPPING)
        reader_group(&r, "", root, root);
    for (size_t i = 0; i < AGENT_SCHEMA.n && i < AGENT_KEYS_MAX; i++)
        if (seen[i])
            c->places[i] = (struct agent_place){ seen[i]->line, seen[i]->column };
    c->users_given = yaml_get(root, "users", NULL) != NULL;
    strbuf_done(&r.path);
}

int agent_config_parse(const struct config_source *src, struct agent_config *ret, struct config_errors *errs)
{
    struct agent_config c = { 0 };
    struct problems p = { .n = 0 };
    struct yaml_tree tree = { 0 };
    uint32_t nodes_left = CONFIG_NODES_MAX;
    schema_defaults(&AGENT_SCHEMA, &c);
    if (src->len > CONFIG_BYTES_MAX)
        problem_add(&p, 0, 1, 1, "", "too big: %zu bytes, expected at most 1 MB", src->len);
    else {
        yaml_read(src->text, src->len, 0, &nodes_left, &tree, &p);
        read_root(src, &tree, &c, &p);
    }
    bool good = p.n == 0;
    if (good) {
        *ret = c;
        c = (struct agent_config){ 0 };
    }
    problems_give(&p, src, errs);
    agent_config_done(&c);
    yaml_tree_done(&tree);
    return good ? 0 : -EINVAL;
}

struct agent_place agent_config_place(const struct agent_config *c, const char *key)
{
    const struct schema_key *k = schema_child(&AGENT_SCHEMA, "", key, strcspn(key, ":"));
    return k ? c->places[k - AGENT_SCHEMA.keys] : (struct agent_place){ 0, 0 };
}

void agent_config_done(struct agent_config *c)
{
    schema_done(&AGENT_SCHEMA, c);
}
