/* hapctl.h - one connection to HAProxy's runtime API (its stats socket), kept open. Acts, asynchronous.
 *
 * Kept open because an old HAProxy that only ends its last requests takes no new connection there; and it does not exit while one is open,
 * so whoever waits for its end closes this. Asks may be sent one behind the other; answers come in order.
 * Bounds: HAPCTL_ASKS_MAX asks under way (more: -ENOBUFS), HAPCTL_ANSWER_MAX bytes an answer and `timeout_ms` for it: past either the
 * connection is closed. When it closes, every ask under way is answered with its errno, then on_closed is called, once. */
#pragma once
#include <uv.h>
#include <stddef.h>
#include <stdint.h>

enum { HAPCTL_ASKS_MAX = 64, HAPCTL_ANSWER_MAX = 32 << 20, HAPCTL_TIMEOUT_MS = 3000 };
struct hapctl;
typedef void (*hapctl_answer)(void *arg, int rc, const char *text, size_t len);     /* text: valid for the call */
/* Connects to `path`; on_open(arg, 0) once it speaks, or on_closed if it cannot be reached. */
struct hapctl *hapctl_new(uv_loop_t *loop, const char *path, void (*on_open)(void *arg), void (*on_closed)(void *arg, int rc), void *arg);
/* `commands`: n of them, a line each. The callback gets the answers of all, one behind the other. 0, or -errno: then no answer comes. */
int hapctl_ask(struct hapctl *c, const char *commands, size_t n, hapctl_answer answer, void *arg);
void hapctl_close(struct hapctl *c);        /* no callback follows; NULL is fine */
