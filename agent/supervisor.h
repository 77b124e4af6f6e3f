/* supervisor.h - the supervisor role: decides (agent/core.h) and acts through the keeper at descriptor KEEPER_FD. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct supervisor_options {
    const char *state_folder, *run_folder;      /* STATE and RUN; its own are the folders `agent` in them */
    const char *log_folder;                     /* as people would name it */
    const char *name;                           /* of this host */
    const char *controller_socket;              /* NULL: RUN/agent.sock */
    uint32_t controller_uid, balancer_uid;      /* NO_ID (agent/rights.h): none */
    bool apart;                                 /* it has a user of its own; so has HAProxy, in its group */
};
/* Runs until SIGTERM has drained everything and the keeper took K_END. The process's exit status. */
int supervisor_main(const struct supervisor_options *o);
