/* haplog.h - one datagram of HAProxy's access log, in the format that haproxy_conf.c sets ("m1 ..."). Pure, no allocation.
 *
 *   m1 BACKEND SERVER TW TC TR STATUS TS STREAM RETRIES METHOD
 * TW, TC, TR: ms waiting in the queue, connecting, until the answer's first byte; -1: it did not come so far. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "model/words.h"

struct haplog {
    char service[NAME_LEN_MAX + 1];         /* the backend; "_none": no service had that host and path */
    char instance[ID_SIZE];                 /* the server; "" if none was reached */
    int32_t queue_ms, connect_ms, response_ms;
    int status;                             /* -1: none */
    char termination[3];
    bool stream;                            /* an event stream */
    uint32_t retries;
    char method[12];                        /* cut */
};
/* -EINVAL: not such a line (then *ret is untouched). A newline or NUL at the end is fine. */
int haplog_parse(const char *data, size_t len, struct haplog *ret);
/* Queue + connect + response in microseconds; -1 where that says nothing about the service: no answer, a switched protocol (101), an event stream. */
int64_t haplog_latency_us(const struct haplog *l);
