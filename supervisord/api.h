/* api.h - the HTTP API on a unix socket (docs/API.md): libmicrohttpd driven by the loop. Acts. */
#pragma once
#include <jansson.h>
#include <microhttpd.h>
#include <uv.h>
#include "base/err.h"

struct api;
struct daemon;
/* given_fd >= 0: the listening socket, systemd's too (systemd.h): members of our own group may talk to us as well, since its mode lets them in.
 * Else one is made at socket_path, for root and our own user. */
int api_new(uv_loop_t *loop, struct daemon *d, const char *socket_path, int given_fd, struct api **ret, struct err *e);
void api_kick(struct api *a);           /* answers may be due: run libmicrohttpd once, from the loop. NULL is harmless */
void api_close(struct api *a);

/* --- for the routes (api_routes.c) ------------------------------------------------------------------------ */
struct api_call {
    struct MHD_Connection *connection;
    struct daemon *daemon;
    struct api *api;
    const char *method, *url;
    char *body; size_t body_len;
    bool answered;
    unsigned status; char *answer; const char *content_type;    /* the answer, once there */
    bool suspended;
    uint64_t after; size_t limit; int64_t wait_until;           /* a held GET /v1/events */
    struct api_call *next_waiting;
    unsigned peer_uid;
};
void api_answer_json(struct api_call *c, unsigned status, json_t *body /* taken */);
void api_answer_text(struct api_call *c, unsigned status, const char *type, char *text /* taken */);
void api_answer_error(struct api_call *c, unsigned status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void api_hold(struct api_call *c);                              /* answered later: by api_answer_*, from the loop */
void api_wait_events(struct api_call *c, int64_t until_ms);     /* answered by api_events_answer when there are some, or at `until` */
const char *api_query(struct api_call *c, const char *name);    /* NULL: not given */
void api_route(struct api_call *c);                             /* answers, or holds */
void api_events_answer(struct api_call *c);
