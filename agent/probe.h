/* probe.h - one attempt of a network probe (http or tcp) on the loop. Command probes are the keeper's.
 *
 * Calling sequence: probe_x_start; then either exactly one call of cb, from the loop and never from inside start, or probe_cancel.
 * After either the run is gone (its memory is freed in its handles' close callbacks, so the loop must run once more); nothing is left
 * on the loop. Each run is one connection, one timer, one request; the answer's body is not read. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct probe_run;
/* detail: a phrase for a person ("HTTP 200", "connection refused", "no answer within 500ms"), borrowed for the call. */
typedef void (*probe_cb)(void *arg, bool pass, const char *detail);

/* `address` is a numeric IPv4 or IPv6 address, `path` the path with an optional query. GET; passes with 200 to 399; redirects are not
 * followed. timeout_ms is for the whole attempt. NULL: bad address, port or path, and cb is not called. */
struct probe_run *probe_http_start(uv_loop_t *loop, const char *address, uint32_t port, const char *path, int64_t timeout_ms,
                                   probe_cb cb, void *arg);
/* Passes as soon as the connection stands. */
struct probe_run *probe_tcp_start(uv_loop_t *loop, const char *address, uint32_t port, int64_t timeout_ms, probe_cb cb, void *arg);
void probe_cancel(struct probe_run *run);      /* cb is not called any more; NULL is fine */
