/* hapdiff.h - from the servers wanted and those that a HAProxy has: the runtime commands, in order, that make one the other.
 *
 * Pure and level-triggered: run again on what HAProxy then says, it gives nothing once all is as wanted. An instance's slot is fixed
 * (haproxy_conf.h), so no map is kept. A slot gets another address only when it is in maint and nothing is in flight to the old one,
 * or HAPDIFF_REUSE_S after it went there. Order: what is gone leaves; what is ready comes; what drains drains; what is not wanted leaves:
 * a whole exchange of instances never leaves the list empty in between. */
#pragma once
#include "agent/haproxy_stat.h"
#include "model/desired.h"

enum { HAPDIFF_REUSE_S = 30 };
struct hapdiff {
    struct strbuf commands; size_t n;       /* one a line */
    uint32_t missing;                       /* wanted servers that this HAProxy has no slot for (it must be reloaded) */
    uint32_t waiting;                       /* slots whose old requests must end before they are used again */
    uint32_t refused;                       /* wanted servers with an impossible id, address or port: left out */
};
/* *ret must be zeroed; hapdiff_done frees it. */
void hapdiff(const struct balancer_desired *want, const struct hap_stat *present, struct hapdiff *ret);
void hapdiff_done(struct hapdiff *d);
