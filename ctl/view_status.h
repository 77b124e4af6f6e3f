/* view_status.h - what `status`, `ps`, `top` and the live view show, made from musterd's JSON.
 *
 * Pure: JSON, a look and its time in; text out. All strings of the JSON are taken as hostile: escaped.
 * Members that are missing or null show as "-". */
#pragma once
#include <jansson.h>
#include "ctl/look.h"

enum view_order { VIEW_AS_GIVEN, VIEW_BY_CPU };
struct view_options {
    bool wide;                  /* no width limit: all columns, nothing broken */
    size_t rows_max;            /* of the main table; 0: all */
    bool brief;                 /* no trouble section and no advice: the live view has its own places for them */
};
/* `status` is the answer of GET /v1/status. */
void view_status(const json_t *status, const struct look *look, struct view_options o, struct strbuf *out);
/* All instances of all services without their services' rows. */
void view_instances(const json_t *status, const struct look *look, struct view_options o, enum view_order order, struct strbuf *out);
/* What is wrong with whom: cause, last lines, next try, log. Nothing if nothing is. */
void view_trouble(const json_t *status, const struct look *look, struct strbuf *out);
/* One line: "3 services, 7 of 8 instances ready". */
void view_summary(const json_t *status, struct strbuf *out);
/* Age of an RFC 3339 time for a table: "5s", "3m"; "-" if there is none. now_ms as in struct look. */
void view_age(const char *rfc3339, int64_t now_ms, char *ret, size_t size);
