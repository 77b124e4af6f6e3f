/* balancers.h - the balancers that this agent drives, one agent/balancer.h each, kept as the desired set wants them. Acts. */
#pragma once
#include <uv.h>
#include "agent/keeper_client.h"
#include "model/desired.h"
#include "model/status.h"

struct balancers;
struct balancers_options {
    uv_loop_t *loop;
    const char *run_folder, *state_folder;
    uint32_t balancer_uid;                                      /* HAProxy's own user, in our group; NO_ID (agent/rights.h): it has none */
    struct keeper_client *keeper;
    void (*report)(void *arg, const struct balancer_report *r);
    void (*event)(void *arg, int level, const char *kind, const char *subject, const char *text);
    void (*settle)(void *arg);                                  /* one has ended */
    void *arg;
};
struct balancers *balancers_new(const struct balancers_options *o);
void balancers_set(struct balancers *b, const struct desired *d);       /* starts, changes, stops; copies what it needs */
bool balancers_owns(const struct balancers *b, const char *keeper_id);
void balancers_on_keeper(struct balancers *b, const struct k_msg *m);
void balancers_instance_gone(struct balancers *b, const char *id);      /* its exit was seen: out of every list at once */
void balancers_instance_back(struct balancers *b, const char *id);
void balancers_report(struct balancers *b);                     /* all of them, now */
bool balancers_ended(const struct balancers *b);                /* none runs */
/* Figures of all balancers; arrays to be freed by the caller. */
void balancers_metrics(struct balancers *b, int64_t now_ms, struct svc_metrics **sv, size_t *sn, struct inst_metrics **iv, size_t *in);
