/* host_rules.h - what holds on this host: who the roles are, and what the keeper starts for its supervisor. Fixed records, filled once before
 * the keeper's loop begins, by a child that may parse and ask the name services (host_rules_make). Not changed afterwards. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "agent/rights.h"
#include "base/err.h"

enum { RULES_USERS_MAX = 256, RULES_FOLDERS_MAX = 16, RULES_PATH_SIZE = 256 };
struct role_id { uint32_t uid, gid; };              /* NO_ID: as the keeper */

struct host_rules {
    bool apart;                     /* the roles are users of their own (below); else they run as the keeper does */
    struct role_id supervisor, logger, balancer;    /* balancer: what HAProxy runs as, in the supervisor's group */
    uint32_t controller_uid;        /* whose socket the supervisor believes, beside root's; NO_ID: nobody's */

    bool limited;                   /* agent.yaml says what may be started; else the service file decides alone */
    bool allow_root;
    bool any_user;                  /* but root and the roles */
    uint32_t users_n, users[RULES_USERS_MAX];
    uint32_t folders_n;             /* where files may be read for instances with the keeper's rights */
    char folders[RULES_FOLDERS_MAX][RULES_PATH_SIZE];

    char name[64];
    char state[RULES_PATH_SIZE], run[RULES_PATH_SIZE];      /* "": not said */
    char controller_socket[RULES_PATH_SIZE];
};

/* --- asked in the forked child of a start; what the supervisor says is checked against the databases, not believed -------------- */
struct spawn_user;
/* 0, or -EPERM and why. */
int host_rules_allow(const struct host_rules *r, const struct spawn_user *u, struct err *e);
/* Opens a file that the keeper reads for an instance. A descriptor, or -errno and why (-EPERM: outside of the folders). */
int host_rules_open(const struct host_rules *r, const char *path, struct err *e);

/* --- before the loop ------------------------------------------------------------------------------------------------------------- */
/* `file`: agent.yaml, or NULL; state: where the roles' folders lie (tells what they were before), NULL: as the file says. Forks, waits, prints what
 * is wrong to standard error. 0, or an exit status. */
int host_rules_load(const char *file, const char *state, struct host_rules *ret);
/* In that child: what of the configuration is for the keeper. -errno and why. */
struct agent_config;
int host_rules_make(const struct agent_config *c, const char *state, struct host_rules *ret, struct err *e);
