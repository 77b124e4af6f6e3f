/* keeper_record.h - what a keeper writes down for the one after it, be that another version: records of a kind and a size, each with a checksum.
 *
 * A reader takes of a record what it knows and has zeros for what the record lacks; what it does not know it leaves. So fields are only ever
 * added, at the end, and 0 means "as it was before there was such a field". Two media hold them: a sealed memfd for a re-exec in place (records
 * one after the other, descriptors' numbers included), and RUN/keeper.state for after a kill (see keeper_state.c).
 * Pure: no I/O, no allocation. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "agent/group.h"
#include "agent/keeper_proto.h"

enum { REC_FORMAT = 1 /* another one cannot be read at all */, REC_SIZE_MAX = 4096 };
enum rec_kind { REC_NONE, REC_KEEPER, REC_ROLE, REC_HELD, REC_SLOT };
struct rec_head { uint32_t check; uint16_t kind, size /* of the body */; uint64_t seq; };

/* X(member of struct slot): one bit each, in this order for ever. */
#define REC_SLOT_FLAGS(X) X(running) X(populated) X(began) X(failed) X(forgetting) X(kill_all) X(notify_told) X(credentials) X(limited) \
    X(log_due) X(log_end_due) X(log_ending) X(log_timestamps) X(adopted)
struct rec_slot {
    char id[ID_SIZE];
    uint32_t kind, flags;
    int32_t pid; uint32_t pad;
    uint64_t start_ticks;                   /* of pid, as /proc tells it; 0: not looked at yet */
    int64_t started_ms, deadline_ms;
    int32_t exit_kind, exit_value;
    uint64_t oom_kills, log_max_size;
    uint32_t log_keep, has_log, has_notify;
    int32_t pidfd, status_fd, notify_fd, log_fd;    /* -1: none */
    uint32_t failure_stage; int32_t failure_rc;
    char failure_detail[192];               /* for a re-exec only */
    uint32_t port;
};
struct rec_role {
    char name[16];
    int32_t pid, fd;
    uint64_t start_ticks;
    uint32_t wanted, spoke; int32_t delay_ms;
    int64_t started_ms, restart_ms, kill_ms;
};
struct rec_held { struct k_listen listen; int32_t fd; };
struct rec_keeper {
    char boot_id[40], version[24];
    int32_t pid;
    uint32_t format, protocol;              /* REC_FORMAT, KEEPER_VERSION */
    uint32_t head_bytes, cell_bytes;        /* how RUN/keeper.state is laid out */
    uint32_t phase;
    /* from here on for a re-exec only */
    int32_t lock_fd, run_lock_fd;
    uint32_t test_supervisor, group_mode;
    uint64_t files_cur, files_max;
    int64_t forced_ms;
    int32_t base_fd, limit_fd[LIMIT_COUNT];
    uint32_t limit_v2[LIMIT_COUNT];
    char group_path[128], group_line[48], group_folder[32];
};

/* Writes head and body to buf. How many bytes those are. */
size_t rec_put(void *buf, enum rec_kind kind, uint64_t seq, const void *body, size_t size);
/* Is what stands at buf a whole record that fits into `room` bytes? Its head then. */
bool rec_whole(const void *buf, size_t room, struct rec_head *ret);
/* The body of a whole record: what of it there is, zeros for the rest. */
void rec_body(const void *buf, void *ret, size_t size);
/* Its text is terminated, its numbers are in range: fit to be taken over. */
bool rec_slot_valid(const struct rec_slot *r);
