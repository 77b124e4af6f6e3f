/* daemon.h - musterd as a whole: the pure core, and around it store, agent link, API and timer.
 *
 * The order that keeps promises: event -> core -> dirty rows are committed -> then what they led to is sent to the agent and people get
 * their answer. A commit that fails while a person waits is undone (the core is built again from what is durable) and answered
 * as refused; one that nobody waits for is tried again each second, and nothing is sent before it is durable. */
#pragma once
#include <uv.h>
#include "supervisord/core.h"
#include "supervisord/events.h"
#include "supervisord/systemd.h"

struct daemon_options {
    const char *state_folder, *run_folder;
    const struct systemd_sockets *given;            /* NULL or each -1: they are made in run_folder */
    bool agent_known; uint32_t agent_uid, agent_gid;        /* the account of an agent that runs as neither root nor our own user */
};
int daemon_run(const struct daemon_options *o);         /* until told to end; an exit status */

/* --- for the API -------------------------------------------------------------------------------------- */
struct daemon;
struct controller *daemon_core(struct daemon *d);
struct events *daemon_events(struct daemon *d);
int64_t daemon_now(struct daemon *d);                   /* monotonic ms */
/* The core was changed on a person's behalf: calls done once all of it is durable (rc 0) or undone (rc < 0 and why). */
typedef void (*daemon_done_fn)(void *arg, int rc, const char *why);
void daemon_commit(struct daemon *d, daemon_done_fn done, void *arg);
struct daemon_info {
    uint64_t epoch; const char *state_folder, *log_folder; bool agent_connected, agent_known; const char *const *problems; size_t problem_n;
    bool is_service;                                /* systemd starts and ends us and the agent: `down` is its business */
};
void daemon_info(struct daemon *d, struct daemon_info *ret);
/* Called (arg given) when there are new events; for long polls. One listener. */
void daemon_on_events(struct daemon *d, void (*fn)(void *arg), void *arg);
