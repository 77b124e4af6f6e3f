/* view_json.h - the controller's views as the JSON of docs/API.md. Pure but for log_tail, which reads the last lines of a log. */
#pragma once
#include <jansson.h>
#include "supervisord/core.h"

struct view_times { int64_t now_ms, wall_ms; };     /* the same moment on both clocks */
json_t *view_service(const struct controller *c, const struct service_view *s, struct view_times t, const char *log_folder);
json_t *view_balancer(const struct balancer_view *b);
json_t *view_event(const struct muster_event *e);
/* Text of any bytes, cut anywhere: what is not UTF-8 is put as \xNN. */
json_t *view_text(const char *s);
json_t *view_decision(const struct scale_why *w);
/* Prometheus text format, to be freed. */
char *view_prometheus(const struct controller *c, uint64_t epoch);
