/* answer.h - reads one HTTP/1.1 answer from a stream of bytes, keeps status and what ends the connection, drops the body.
 *
 * Pure: no I/O, clock or allocation. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum answer_state { ANSWER_HEAD, ANSWER_LENGTH, ANSWER_CHUNK_SIZE, ANSWER_CHUNK, ANSWER_CHUNK_END, ANSWER_TRAILER, ANSWER_TO_EOF, ANSWER_DONE };
struct answer {
    enum answer_state state;
    int status;                     /* 0: no status line yet */
    bool any;                       /* a byte came */
    bool closes;                    /* the server will close, or the body ends with the connection */
    bool chunked, has_length;
    uint64_t left;                  /* of the body or chunk */
    char instance[32];              /* value of X-Instance, cut */
    char line[256]; size_t line_n;  /* the present header line; what is longer is cut: no header we look at is */
};
void answer_init(struct answer *a);
/* Takes bytes; *ret_used says how many belong to this answer. 1: complete, 0: more is wanted, -EBADMSG: not HTTP. */
int answer_feed(struct answer *a, const char *data, size_t n, size_t *ret_used);
/* The stream ended. 1: that completes the answer; 0: it came too early. */
int answer_eof(struct answer *a);
