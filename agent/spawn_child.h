/* spawn_child.h - from fork to exec: what runs in the child. It may allocate and use NSS (it is a process of its own, with one
 * thread), reads environment files and secrets while it still has the keeper's rights, then drops them and executes.
 * Each failure is told to the keeper as struct child_report through a pipe that closes at exec. */
#pragma once
#include <sys/resource.h>
#include "agent/group.h"
#include "agent/host_rules.h"
#include "agent/keeper_proto.h"
#include "agent/spawn_user.h"

struct child_setup {
    const struct k_spawn *spawn;            /* checked by the keeper */
    const struct groups *groups;
    const struct group_limits *limits;
    char group[ID_SIZE];
    bool may_clone_into, cloned_into;
    int memfd, output_fd, null_fd, status_fd;       /* output_fd: a helper's output, or -1 */
    int log_fd;                             /* the FIFO, or -1 */
    bool notify;                            /* its socket is there */
    int listeners[SPAWN_LISTENERS_MAX]; int listeners_n;
    int shared_below;                       /* > 0: the table of descriptors is the keeper's own until it is left; what the child needs is below this number */
    const struct spawn_user *known;         /* who it is to be, NULL: to be asked and told */
    struct rlimit files;                    /* when the spawn says none */
    const struct host_rules *rules;         /* NULL: anything may be started */
    const char *run_dir;                    /* as it was given; absolute */
};
enum { CHILD_USER = 'u', CHILD_EXEC = 'x', CHILD_FAILED = 'f' };
/* 'x' alone (1 byte, right before exec), or a whole report or user (the answer of the name services). Each less than PIPE_BUF, so whole
 * or not at all. The first of them says that the shared table was left, too. */
struct child_report { char tag; uint8_t stage; int32_t rc; char detail[192]; };
struct child_user { char tag; struct spawn_user user; };

_Noreturn void spawn_child(const struct child_setup *c);
