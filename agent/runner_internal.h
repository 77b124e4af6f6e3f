/* runner_internal.h - what the files of the runner share. */
#pragma once
#include <uthash.h>
#include "agent/probe.h"
#include "agent/runner.h"
#include "base/cleanup.h"

struct runner_inst {                            /* one slot that has or had a process */
    char id[ID_SIZE];
    struct runner *r;
    uint64_t serial;                            /* of the last AA_SPAWN */
    int32_t pid;                                /* 0: none runs */
    char cgroup[160];
    uint32_t asked, asked_port; bool asked_spawn; char asked_attempt[ID_SIZE * 2];      /* questions to the keeper, see runner_who.c */
    bool port_checked;                          /* this very process's port was seen to be its own group's */
    uv_poll_t *notify; int notify_fd;
    UT_hash_handle hh;
};
struct runner {
    struct runner_options o;
    struct runner_inst *insts;
    struct attempt *attempts;                   /* by helper id */
};
struct runner_inst *runner_inst(struct runner *r, const char *id, bool make);
void runner_settle(struct runner *r);

/* runner_attempt.c: `what` is a probe_role, or PROBE_ROLE_COUNT + a hook_kind. */
void runner_probe(struct runner *r, const struct agent_action *a);
void runner_hook(struct runner *r, const struct agent_action *a);
void runner_cancel(struct runner *r, const char *id, int what);
bool runner_attempt_on_keeper(struct runner *r, const struct k_msg *m);     /* false: not about a helper */

/* The keeper has told whose the port is: other (NULL: not a stranger's, as far as can be seen) says who; not sure: it had no time to look. */
void runner_attempt_checked(struct runner_inst *i, const char *attempt_id, bool sure, const char *other, uint32_t port);

/* runner_who.c. true: the keeper is asked; the answer goes to runner_attempt_checked, or is a failed start. */
bool runner_who_answers(struct runner_inst *i, const char *attempt_id, uint32_t port);
bool runner_who_holds(struct runner_inst *i, uint32_t port);
void runner_who_on_reply(struct runner *r, const struct k_reply *m);

/* runner_notify.c */
bool runner_in_group(const struct runner_inst *i, int32_t pid);      /* by cgroup, else by session */
void runner_notify_open(struct runner_inst *i, int fd);
void runner_notify_close(struct runner_inst *i);
