/* words.h - the words that all programs share, each list defined once (X-macro) so that printers, parsers,
 * documents and tests are made from it. */
#pragma once
#include <stdint.h>

/* X(SYMBOL, "word", "what it means") */
#define INSTANCE_STATES(X) \
    X(INST_WAITING,  "waiting",  "not started yet: waits for what it comes after, or for its slot") \
    X(INST_STARTING, "starting", "the process is being started, or has not passed startup and readiness yet") \
    X(INST_READY,    "ready",    "passed; gets traffic") \
    X(INST_UNREADY,  "unready",  "runs, but fails its readiness check") \
    X(INST_DRAINING, "draining", "gets no new requests; those in flight end") \
    X(INST_STOPPING, "stopping", "has got its stop signal") \
    X(INST_STOPPED,  "stopped",  "ended as wanted") \
    X(INST_BACKOFF,  "backoff",  "exited; will be started again after a delay") \
    X(INST_FAILED,   "failed",   "exited too often; tried again slowly")
#define SERVICE_STATES(X) \
    X(SVC_STEADY,       "steady",       "what runs is what is wanted") \
    X(SVC_ROLLING,      "rolling",      "a new revision replaces the old one") \
    X(SVC_PAUSED,       "paused",       "the new revision does not become healthy; the old one serves on") \
    X(SVC_DEGRADED,     "degraded",     "fewer instances are ready than wanted") \
    X(SVC_STOPPED,      "stopped",      "stopped by a person") \
    X(SVC_DELETING,     "deleting",     "its last instances end")
/* What the controller wants of an instance. */
#define WANTS(X) \
    X(WANT_HOLD,  "hold",  "exist, but do not start yet (what it comes after is not ready)") \
    X(WANT_RUN,   "run",   "run") \
    X(WANT_DRAIN, "drain", "run on, but take no new traffic") \
    X(WANT_STOP,  "stop",  "stop, and stay stopped until it is gone from the list")
/* State of a server in an upstream list. */
#define SERVER_STATES(X) \
    X(SRV_READY, "ready", "gets traffic") \
    X(SRV_DRAIN, "drain", "no new requests, those in flight end") \
    X(SRV_MAINT, "maint", "out, at once")

#define WORD_ENUM_(sym, word, text) sym,
enum instance_state { INSTANCE_STATES(WORD_ENUM_) INSTANCE_STATE_COUNT };
enum service_state { SERVICE_STATES(WORD_ENUM_) SERVICE_STATE_COUNT };
enum want { WANTS(WORD_ENUM_) WANT_COUNT };
enum server_state { SERVER_STATES(WORD_ENUM_) SERVER_STATE_COUNT };
const char *instance_state_word(enum instance_state s);    /* "?" out of range */
const char *service_state_word(enum service_state s);
const char *want_word(enum want w);
const char *server_state_word(enum server_state s);

/* Exit statuses of musterctl. */
enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_NO_SUCH = 3, EXIT_UNREACHABLE = 4, EXIT_REFUSED = 5, EXIT_TIMED_OUT = 6 };

enum {
    NAME_LEN_MAX = 40,          /* a service's or balancer's name: [a-z][a-z0-9-]*, no dot */
    ID_SIZE = 64,               /* "api.17" and its NUL; also "api.17/readiness" */
    INSTANCES_MAX = 4000,       /* per service */
};

/* How a process ended. */
enum exit_kind { EXIT_KIND_NONE, EXIT_KIND_CODE, EXIT_KIND_SIGNAL, EXIT_KIND_UNKNOWN };
struct exit_info { enum exit_kind kind; int value; };      /* value: code 0-255 or signal number */
/* "exit code 3", "signal 9 (KILL)", "unknown exit", "" */
void exit_describe(struct exit_info x, char *buf, unsigned long size);
/* "TERM", "SIGTERM", "15" -> 15; -EINVAL. Its name without SIG, or "?" */
int signal_parse(const char *s, int *ret);
const char *signal_name(int signo);
