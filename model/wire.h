/* wire.h - the structs of desired.h and status.h as protobuf messages (model/muster.proto), both ways. Every string that comes in is
 * bounded and checked (ids, names, states in range); -EBADMSG with a reason for anything else, outputs untouched. Two things are put right
 * instead: free text (reasons, problems) is cut and cleaned, and a figure that is infinite or negative counts as missing (NaN). Pure. */
#pragma once
#include "model/desired.h"
#include "model/status.h"

struct hello { uint32_t version; char name[64]; uint64_t epoch, revision; char log_folder[256]; struct desired had; bool has_had; };
enum wire_kind { WIRE_NONE, WIRE_DESIRED, WIRE_RESYNC, WIRE_HELLO, WIRE_STATUS, WIRE_METRICS, WIRE_BALANCER, WIRE_EVENT, WIRE_BEAT,
                 WIRE_END /* the agent was told to end: please run `down` */ };
struct wire_msg {                       /* one decoded message; only the part named by kind is set */
    enum wire_kind kind;
    struct desired desired;
    struct hello hello;
    struct { uint64_t seq; bool full; struct inst_status *v; size_t n; } status;
    struct { struct inst_metrics *iv; size_t in; struct svc_metrics *sv; size_t sn; } metrics;
    struct balancer_report balancer;
    struct muster_event event;
    uint64_t beat;
};
void wire_msg_done(struct wire_msg *m);
/* Appends one message's bytes (no length prefix) to out. */
void wire_pack(const struct wire_msg *m, struct strbuf *out);
int wire_unpack_to_agent(const void *data, size_t len, struct wire_msg *ret, struct err *e);
int wire_unpack_from_agent(const void *data, size_t len, struct wire_msg *ret, struct err *e);
