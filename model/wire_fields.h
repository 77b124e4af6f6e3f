/* wire_fields.h - the fields that have the same name in status.h or desired.h and in muster.proto, each listed once; wire.c and
 * wire_read.c copy them from here. A new field of one of these structs needs a line in muster.proto and one word here. */
#pragma once
#define UPSTREAM_NUMBERS(X) X(maxconn) X(slots) X(check_every_ms) X(check_timeout_ms) X(check_fail_after)
#define INST_STATUS_NUMBERS(X) X(generation) X(revision) X(alive) X(exited) X(pid) X(port) X(restarts) X(fails) X(state_age_ms) X(up_ms) \
    X(retry_in_ms)
#define INST_METRICS_DOUBLES(X) X(cpu_pct) X(cpu_of_limit_pct) X(memory_bytes) X(rate) X(error_rate) X(in_flight) X(queue) X(p50_ms) \
    X(p95_ms) X(p99_ms)
#define SVC_METRICS_DOUBLES(X) X(rate) X(error_rate) X(in_flight) X(queue) X(p50_ms) X(p95_ms) X(p99_ms)
#define SVC_METRICS_COUNTS(X) X(samples) X(requests) X(errors) X(log_seen) X(log_expected)
