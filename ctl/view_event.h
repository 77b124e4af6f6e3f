/* view_event.h - history and decisions as text. Pure. */
#pragma once
#include <jansson.h>
#include "ctl/look.h"
/* "01:02:03 api.1 ready ..." and a newline. utc: with date, as RFC 3339. The clock time is local else. */
void view_event_line(const json_t *event, const struct look *look, bool utc, struct strbuf *out);
/* The answer of /v1/services/NAME/explain. */
void view_explain(const json_t *answer, const struct look *look, struct strbuf *out);
/* A diff as the API gives it, +, - and ~ lines coloured. */
void view_diff(const char *diff, const struct look *look, struct strbuf *out);
