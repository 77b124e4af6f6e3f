/* client.h - HTTP/1.1 to musterd over its unix socket.
 *
 * Acts (socket). libcurl is set up at the first call, never for commands that need no musterd. */
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include "base/err.h"
#include "ctl/paths.h"

struct client;
struct client *client_new(const struct paths *p);                  /* p is borrowed */
void client_free(struct client *c);
/* One request. body NULL: none; borrowed. *ret (may be NULL): the answer, owned by the caller.
 * 0, or a negative errno and e: -ECONNREFUSED nobody listens, -EACCES not our muster, -ENOENT 404, -EINVAL 400, -EBUSY 409, -EIO else.
 * Of an error answer the `error` line is e, its `errors` lines are kept in client_errors until the next call. */
int client_call(struct client *c, const char *method, const char *path, const json_t *body, json_t **ret, struct err *e);
const json_t *client_errors(const struct client *c);               /* array of strings or NULL; borrowed */
/* True if somebody accepts on the socket, without libcurl. */
bool client_alive(const struct paths *p);
/* The exit status for a client_call error. */
int client_exit_status(int rc);
