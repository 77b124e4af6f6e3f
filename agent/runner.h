/* runner.h - carries out what the agent core decided: asks the keeper for processes, runs probes and hooks, listens on the
 * notify sockets, and brings every outcome back to the core as an event. Acts; decides nothing. */
#pragma once
#include <uv.h>
#include "agent/core.h"
#include "agent/keeper_client.h"
#include "agent/ports.h"

struct runner;
struct runner_options {
    uv_loop_t *loop;
    struct agent_core *core;
    struct keeper_client *keeper;
    struct ports *ports;
    const char *address;                        /* ${HOST} of instances, where probes go */
    void (*settle)(void *arg);                  /* the core has had an event outside of a keeper message: take its actions */
    void *arg;
};
struct runner *runner_new(const struct runner_options *o);
/* AA_SPAWN .. AA_HOOK_CANCEL; AA_STATUS and AA_EVENT are not for here. */
void runner_act(struct runner *r, const struct agent_action *a);
/* A message about an instance or helper (not a balancer). fd: taken over. */
void runner_on_keeper(struct runner *r, const struct k_msg *m, int fd);
/* What runs now, for the sampler: fills at most max, gives the number. cgroup borrowed until the next keeper message. */
struct runner_process { const char *id; int32_t pid; const char *cgroup; };
size_t runner_processes(const struct runner *r, struct runner_process *ret, size_t max);
