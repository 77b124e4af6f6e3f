/* status.h - what an agent tells the controller. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "model/words.h"

struct inst_status {
    char id[ID_SIZE]; char service[NAME_LEN_MAX + 1];
    uint64_t generation; uint32_t revision;
    enum instance_state state;
    bool alive;                             /* there is a process */
    bool exited;                            /* the last process's exit was seen and none runs: leaves the upstream list always (I8) */
    int32_t pid; uint32_t port;             /* 0: none */
    uint32_t restarts;                      /* since it exists */
    uint32_t fails;                         /* exits and failed starts in a row, 0 once stable */
    int64_t state_age_ms;                   /* in this state; at the moment of sending */
    int64_t up_ms;                          /* since the process started; 0: none */
    int64_t retry_in_ms;                    /* backoff, failed: until the next try; else -1 */
    struct exit_info last_exit;
    char reason[256];                       /* one line for a person: the cause of the present trouble; "" if none */
    char text[128];                         /* STATUS= of the notify protocol */
};
/* Figures of one instance; a missing one is NaN (doubles) or -1. Age is that of the sample. */
struct inst_metrics {
    char id[ID_SIZE];
    int64_t age_ms;
    double cpu_pct;                         /* of one core: 150 is one and a half cores */
    double cpu_of_limit_pct;                /* of what it may use */
    double memory_bytes;                    /* whole group */
    double rate, error_rate;                /* requests/s, 5xx or no answer/s */
    double in_flight, queue;                /* now, at the balancer */
    double p50_ms, p95_ms, p99_ms;          /* over the last 10 s */
    uint32_t samples;                       /* requests behind the quantiles */
};
/* Figures of a whole service at its balancer(s). */
struct svc_metrics {
    char service[NAME_LEN_MAX + 1];
    int64_t age_ms;
    double rate, error_rate, in_flight, queue;
    double p50_ms, p95_ms, p99_ms;
    uint32_t samples;                       /* behind the quantiles, over 10 s */
    uint64_t requests, errors;              /* counters since the agent started; 0 at its start */
    uint64_t log_seen, log_expected;        /* log datagrams got / requests counted */
};
struct balancer_server_report { char id[ID_SIZE]; enum server_state state; bool up; uint32_t in_flight, queued; };
struct balancer_report {
    char name[NAME_LEN_MAX + 1];
    uint64_t epoch, revision;               /* the desired revision whose lists are applied and acknowledged by the balancer */
    bool running; int32_t pid;
    char problem[256];                      /* "" or why it does not run / the list is not applied */
    struct balancer_server_report *servers; size_t server_n;
};
struct muster_event {                       /* one line of history */
    int64_t wall_ms; uint64_t seq;          /* given by the controller */
    int level;                              /* 6 info, 5 notice, 4 warning, 3 error */
    char kind[32];                          /* "ready", "exited", "scaled", "rollout", ... */
    char subject[ID_SIZE];                  /* "api", "api.2", "edge" */
    char text[320];
};
