/* balancer.h - drives one HAProxy that muster runs: starts it through the keeper, keeps its server lists as wanted, measures. Acts.
 *
 * Calling sequence: balancer_new; then, from the keeper's K_LIST, every K_STATE and K_HELD that balancer_owns says is its own goes into
 * balancer_adopt / balancer_on_keeper (a HAProxy that already runs is taken over through its socket, never restarted); then balancer_set as
 * often as the wanted set changes. Nothing is started before the first balancer_set.
 * One thread (the loop's); a second one, inside, reads the log datagrams. All is bounded and asynchronous.
 *
 * Keeper ids of a balancer `edge`: "balancer:edge.7" a HAProxy of generation 7, "balancer:edge/check" the validation of a configuration,
 * "balancer:edge:2" a held listening socket. Files: RUN/edge/ with haproxy.7.cfg, ctl.7.sock, h.7.1.sock, h.7.2.sock, log.sock, servers.state. */
#pragma once
#include <uv.h>
#include "agent/keeper_proto.h"
#include "model/desired.h"
#include "model/status.h"

struct balancer_ops {
    /* Starts argv under id with the held socket `listener` as descriptor 3. output_fd: standard output and error of it (borrowed: the
     * callee duplicates or sends it before it returns). tls (NULL: none): a file that it gets as $CREDENTIALS_DIRECTORY/tls.
     * The answer comes by balancer_on_keeper (K_SPAWNED, K_SPAWN_FAILED). 0, or -errno: then no answer comes. */
    int (*spawn)(void *arg, const char *id, char *const argv[], char *const env[], const char *tls, const char *listener, int output_fd);
    void (*signal)(void *arg, const char *id, int32_t pid, int signo);
    /* Bind and hold. 0, or -errno; the outcome comes by balancer_on_keeper (K_REPLY of K_LISTEN with that name). */
    int (*listen)(void *arg, const char *name, const char *host, uint32_t port);
    void (*unlisten)(void *arg, const char *name);
    void (*forget)(void *arg, const char *id);
    void (*report)(void *arg, const struct balancer_report *r);    /* borrowed; at each change of what it says */
    void (*event)(void *arg, int level, const char *kind, const char *subject, const char *text);
};
struct balancer;
/* run_dir, state_dir: muster's own folders, which exist; a folder `name` is made below run_dir. NULL if that cannot be done (errno). */
struct balancer *balancer_new(uv_loop_t *loop, const char *run_dir, const char *state_dir, const char *name, const struct balancer_ops *ops, void *arg);
/* HAProxy starts as root, so it changes to this user and group once it has read what it needs. Default: user `haproxy` if it exists
 * and this process is root itself. NULL: it stays what it was started as. */
void balancer_run_as(struct balancer *b, const char *user, const char *group);
/* HAProxy is started as another user, with this id, in our group, and may become nobody else; its certificate is handed to it. */
void balancer_runs_apart(struct balancer *b, uint32_t uid);
/* The wanted set (copied), and which revision it is of: told back in the report once the lists are in the balancer. */
void balancer_set(struct balancer *b, uint64_t epoch, uint64_t revision, const struct balancer_desired *d);
/* Ends HAProxy in order: it accepts nothing more, requests in flight end (at most ~30 s). balancer_ended turns true. */
void balancer_stop(struct balancer *b);
bool balancer_ended(const struct balancer *b);                      /* no process of it lives, and none is being started */
bool balancer_owns(const struct balancer *b, const char *keeper_id);
void balancer_on_keeper(struct balancer *b, const struct k_msg *m); /* of an id that it owns; others are ignored */
void balancer_adopt(struct balancer *b, const struct k_state *s);
/* The name of a balancer out of a keeper id of the forms above (NUL-terminated, cut to size); false if it is none of them. */
bool balancer_name_of_id(const char *keeper_id, char *ret, size_t size);
/* An instance's exit was seen here: it leaves every list at once, whatever the wanted set says, until balancer_instance_back (it is
 * ready again), or until the wanted set has no such service any more. */
void balancer_instance_gone(struct balancer *b, const char *id);
void balancer_instance_back(struct balancer *b, const char *id);
void balancer_report_now(struct balancer *b);
/* Figures, appended to arrays (grown by realloc, owned by the caller): one a service, one an instance. cpu and memory are NaN. */
void balancer_metrics(struct balancer *b, int64_t now_ms, struct svc_metrics **sv, size_t *sn, struct inst_metrics **iv, size_t *in);
void balancer_free(struct balancer *b);                             /* lets go; HAProxy runs on. Memory goes in the loop's next turns */
