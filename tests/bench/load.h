/* load.h - the parts of build/load, an open-loop HTTP/1.1 load generator.
 *
 * A request is due at a time that the profile alone decides, and its latency counts from that time: a server (or this
 * program) that stalls is seen in the figures and not left out of them. Each request has an id of its own, is sent once,
 * and is counted once, by what became of it. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include "base/hist.h"
#include "tests/bench/answer.h"
#include "tests/bench/profile.h"

/* What became of a request, beside an answer with a status. One list makes enum and words. */
#define FAILS(X) \
    X(FAIL_REFUSED, "refused")      /* connection refused */ \
    X(FAIL_RESET,   "reset")        /* reset before a byte of the answer */ \
    X(FAIL_EMPTY,   "empty")        /* sent, then the end of the stream and no byte of an answer */ \
    X(FAIL_PARTIAL, "partial")      /* the answer broke off */ \
    X(FAIL_TIMEOUT, "timeout")      /* no whole answer in --timeout */ \
    X(FAIL_BAD,     "bad")          /* not HTTP */ \
    X(FAIL_CONNECT, "connect")      /* another error of connect() */ \
    X(FAIL_LOCAL,   "local")        /* this side had no socket, no port, or --max connections in use: not the server's fault */
#define FAIL_ENUM_(sym, word) sym,
enum fail { FAILS(FAIL_ENUM_) FAIL_COUNT };
enum method { GET, POST, METHOD_COUNT };
enum conn_mode { CONN_POOL, CONN_NEW, CONN_MIXED };

struct options {
    char host[128]; uint16_t port; char path[512];
    struct sockaddr_storage addr; socklen_t addr_len;
    struct profile profile;
    int get_share;                  /* of 100 */
    enum conn_mode conn;
    int timeout_ms, conns_max;
    const char *log_path, *id_prefix;
    bool live;
    uint64_t seed;
};

struct request {
    uint64_t n;
    enum method method;
    int64_t due_ns;                 /* on CLOCK_MONOTONIC */
    bool reused;                    /* went out on a connection that had served one before */
};

/* --- load_report.c: counts and prints --- */
struct tally { uint64_t sent, ok, failed; };
struct report {
    const struct options *o;
    FILE *log;
    int64_t start_ns, start_wall_ms;
    struct tally method[METHOD_COUNT], second;      /* second: since the last live line */
    uint64_t fails[FAIL_COUNT], fails_reused, status[600];
    struct hist all, recent;
};
int report_init(struct report *r, const struct options *o, int64_t start_ns);
void report_sent(struct report *r, const struct request *q);
void report_answer(struct report *r, const struct request *q, int status, const char *instance, int64_t now_ns);
void report_fail(struct report *r, const struct request *q, enum fail why, int64_t now_ns);
void report_live(struct report *r, int64_t now_ns, unsigned in_flight);
void report_end(struct report *r, int64_t now_ns, unsigned unfinished);     /* JSON on stdout; closes the log */
uint64_t report_failed(const struct report *r);

/* --- load_conn.c: connections --- */
enum conn_state { C_FREE, C_CONNECTING, C_SENDING, C_READING, C_IDLE, C_LINGER };
struct conn {
    int fd;
    enum conn_state state;
    bool fresh, keep;               /* fresh: has served none before; keep: goes back to the pool */
    int64_t since_ns;
    struct request req;
    struct answer answer;
    char out[1024]; size_t out_n, out_sent;
    TAILQ_ENTRY(conn) link;
};
TAILQ_HEAD(conn_list, conn);
struct pool {
    const struct options *o;
    struct report *report;
    int epoll;
    struct conn *all;
    struct conn_list free, busy, idle, linger;      /* busy and linger: oldest first; idle: last used first */
    unsigned busy_n;
};
int pool_init(struct pool *p, const struct options *o, struct report *r, int epoll);
void pool_start(struct pool *p, const struct request *q, bool keep, int64_t now_ns);    /* takes the request; its end is told to the report */
void pool_event(struct pool *p, struct conn *c, uint32_t events, int64_t now_ns);
void pool_expire(struct pool *p, int64_t now_ns);
void pool_done(struct pool *p);
