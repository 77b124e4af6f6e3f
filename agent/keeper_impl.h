/* keeper_impl.h - what the keeper's files share; not for others.
 *   keeper.c        start, loop, signals, end            keeper_slots.c  the table: by id, by pid, events due
 *   keeper_spawn.c  a start, the parent's side           keeper_watch.c  reaping, groups that outlive their main process, timers
 *   keeper_verbs.c  the protocol with the supervisor     keeper_logs.c   FIFOs and the logger
 *   keeper_roles.c  supervisor, logger, controller       spawn_child.c   a start, the child's side
 *   keeper_stage.c  descriptors on their way to a child  keeper_users.c  what the name services have answered
 *   keeper_state.c  what it holds, as records            keeper_reexec.c the next version in place
 *   keeper_who.c    whose is a socket?                   keeper_folders.c  folders, their owners and modes */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/types.h>
#include "agent/group.h"
#include "agent/keeper.h"
#include "agent/keeper_proto.h"
#include "agent/keeper_record.h"
#include "agent/spawn_child.h"

enum {
    SETUP_MS_MAX = 30000,           /* from fork to exec */
    WATCH_MS = 20, OOM_MS = 1000,
    FORGET_MS_MAX = 5000,           /* for the logger to drain and the cgroup to be removable */
    ROLE_END_MS_MAX = 5000, FORCED_KILL_MS = 5000,
    HELD_MAX = 64, MEMFD_BYTES_MAX = 4 << 20, HASH_SIZE = 8192,
    STAGES = 8, USERS_MAX = 32, USER_KEY_MAX = 256, USER_FILES = 3,
};
enum slot_event { SE_SPAWNED = 1, SE_OOM = 2, SE_EXITED = 4, SE_EMPTY = 8, SE_FAILED = 16 };   /* told in this order */

struct slot {
    char id[ID_SIZE];
    bool used, running, populated, began /* told of exec */, failed, forgetting, kill_all, seen;
    uint8_t kind, events;
    uint16_t id_next, pid_next, event_next;     /* index + 1 */
    bool event_queued;
    bool adopted;                               /* of a keeper that was killed: not our child */
    pid_t pid; uint64_t start_ticks;            /* as /proc tells it; 0: not looked at yet */
    int pidfd, status_fd;                       /* status_fd >= 0: between fork and exec */
    int64_t started_ms, deadline_ms;            /* of the set-up, or of the forgetting */
    struct exit_info exit;
    struct k_failed failure;
    uint8_t user; uint32_t user_asked;          /* whose place its child's answer is for (index + 1), and of which asking */
    int notify_fd; bool notify_told, credentials;
    bool limited; uint64_t oom_kills;
    uint32_t port;                              /* as the supervisor told it with the spawn, for its successor */
    int log_fd; bool log_due, log_end_due, log_ending, log_timestamps;      /* due: the logger must be told */
    uint64_t log_max_size; uint32_t log_keep;
};

enum role_kind { ROLE_SUPERVISOR, ROLE_LOGGER, ROLE_CONTROLLER, ROLE_COUNT };
struct role {
    const char *name;
    bool wanted, spoke;
    pid_t pid; int fd; uint64_t start_ticks;
    int64_t started_ms, restart_ms, kill_ms;    /* 0: not set */
    int delay_ms;
};
struct held { struct k_listen listen; int fd; bool used; };
struct stage { int first_fd, used; uint32_t slot; };            /* slot: index + 1 of whose child it is, 0: free */
struct known_user { char key[USER_KEY_MAX]; size_t key_len; bool has; uint32_t asked; int64_t at_ms; struct spawn_user user; };
struct user_file { ino_t ino; off_t size; struct timespec mtime, ctime; };
struct keeper_users { struct known_user v[USERS_MAX]; struct user_file files[USER_FILES]; int next; uint32_t serial; };

/* RUN -> DRAINING (first SIGTERM: the supervisor ends everything and says K_END) -> ENDING; FORCED (second SIGTERM) -> ENDING. */
enum keeper_phase { PHASE_RUN, PHASE_DRAINING, PHASE_FORCED, PHASE_ENDING, PHASE_LOGS };

struct keeper {
    const struct keeper_options *o;
    struct groups groups;
    int epoll, signal_fd, run_dir, lock_fd, run_lock_fd, null_fd;
    char boot_id[40];
    const char *exe; char *const *argv; char **envp, **trial_argv;      /* what a re-exec executes, and asks before; argv NULL: it cannot */
    pid_t trial_pid; bool reexec_due;           /* the program on disk is being asked; it can */
    struct rlimit files;                        /* as it was at the start, for the instances */
    enum keeper_phase phase;
    int64_t forced_ms, said_ms, oom_ms;
    bool test_supervisor;
    struct role roles[ROLE_COUNT];
    struct slot slots[KEEPER_SLOTS];
    uint32_t slots_high, slots_n;               /* slots[0 .. high-1] have ever been used */
    uint16_t by_id[HASH_SIZE], by_pid[HASH_SIZE];
    uint16_t event_first, event_last;
    uint32_t starting_n, lingering_n, forgetting_n, log_due_n;      /* lingering: populated without a main process */
    bool said_limits, limited;                  /* some slot has ever had a memory limit */
    int64_t tick_ms;
    struct held held[HELD_MAX];
    struct k_msg reply; bool reply_due, listing, blocked; uint32_t list_at;
    struct stage stages[STAGES]; int stage_end; /* 0: no stages here */
    struct keeper_users users;
    bool logger_blocked; int64_t folder_ms, who_ms;
    int64_t spawn_tokens_milli, spawn_tokens_ms; bool throttled;     /* see keeper_verbs.c */
};
/* What an epoll event is about: the kind in the upper half, a slot's index in the lower. */
enum { ON_SIGNAL = 1, ON_SUPERVISOR, ON_LOGGER, ON_STATUS };

/* keeper_slots.c */
bool keeper_id_valid(const char *id /* ID_SIZE bytes, maybe unterminated */);
struct slot *slot_find(struct keeper *k, const char *id);
struct slot *slot_by_pid(struct keeper *k, pid_t pid);      /* also after its exit, as long as its group is populated */
struct slot *slot_make(struct keeper *k, const char *id, uint32_t kind);    /* found or new; NULL: table full */
void slot_set_pid(struct keeper *k, struct slot *s, pid_t pid);             /* 0: none */
void slot_free(struct keeper *k, struct slot *s);
void slot_event(struct keeper *k, struct slot *s, enum slot_event e);       /* queued, sent by keeper_flush */
struct slot *slot_event_first(struct keeper *k);                            /* NULL: none */
void slot_event_done(struct keeper *k, uint8_t events);                     /* of the first; the next comes up when it has none left */
void slots_events_drop(struct keeper *k);
static inline uint32_t slot_index(const struct keeper *k, const struct slot *s) { return (uint32_t)(s - k->slots); }

/* keeper_spawn.c. 0, or -errno and why in detail; takes over no descriptor. */
int keeper_spawn(struct keeper *k, const struct k_spawn *w, int memfd, int output_fd, char *detail, size_t detail_size);
void keeper_status_read(struct keeper *k, struct slot *s);                  /* the child's report: exec, or a failure */

/* keeper_stage.c. Init comes when the keeper has opened what children use (null_fd, groups) and little else. */
void keeper_stage_init(struct keeper *k);
bool keeper_stage_take(struct keeper *k, struct slot *s, struct child_setup *c);    /* c's descriptors become the stage's; false: as they were */
void keeper_stage_clear(struct keeper *k, const struct slot *s);                    /* its child has left the shared table; fine if it had none */

/* keeper_users.c. NULL: not known, so the child asks and tells (keeper_user_found). Borrowed until the next call. */
const struct spawn_user *keeper_user_known(struct keeper *k, struct slot *s, const struct k_spawn *w, int memfd);
void keeper_user_found(struct keeper *k, struct slot *s, const struct spawn_user *found);

/* keeper_watch.c */
void keeper_reap(struct keeper *k);
void keeper_tick(struct keeper *k);
int keeper_timeout(const struct keeper *k);     /* ms for epoll_wait */
bool keeper_is_member(struct keeper *k, const struct slot *s, pid_t pid);
int keeper_group_signal(struct keeper *k, struct slot *s, int signo);
void keeper_signal_all(struct keeper *k, int signo);        /* every group that lives */
void keeper_forget(struct keeper *k, struct slot *s);       /* begins it; the slot goes when its log is drained */
void keeper_watch_all(struct keeper *k);        /* looks at each group that lives without its main process */

/* keeper_verbs.c */
void keeper_supervisor_readable(struct keeper *k);
void keeper_requests_again(struct keeper *k);   /* after a pause that too many of them brought about */
void keeper_flush(struct keeper *k);            /* sends what is due, in order, until done or the socket is full */
void keeper_state_of(const struct keeper *k, const struct slot *s, struct k_state *ret);

/* keeper_logs.c */
int keeper_log_open(struct keeper *k, struct slot *s, const struct k_spawn *w);     /* FIFO of slot s (whose id is the log's) */
void keeper_log_end(struct keeper *k, struct slot *s);
void keeper_logger_flush(struct keeper *k);
void keeper_logger_readable(struct keeper *k);
void keeper_logger_again(struct keeper *k);     /* a new logger: hand over all */

/* keeper_roles.c */
void keeper_roles_init(struct keeper *k);
void keeper_roles_check(struct keeper *k);      /* after a re-exec: those that are not the users that they should be now are ended, and come again */
void keeper_roles_tick(struct keeper *k);       /* starts what is due, kills what does not end */
bool keeper_role_exited(struct keeper *k, pid_t pid, int code, int status);     /* false: not a role's pid */
void keeper_role_term(struct keeper *k, enum role_kind r, int kill_after_ms);   /* 0: never killed */
void keeper_role_closed(struct keeper *k, enum role_kind r);                    /* its socket ended */
int64_t keeper_roles_deadline(const struct keeper *k);                          /* INT64_MAX: none */

/* keeper_state.c */
void keeper_slot_write(const struct slot *s, struct rec_slot *r);
struct slot *keeper_slot_read(struct keeper *k, const struct rec_slot *r);      /* NULL: not valid, or there already */
void keeper_slots_count(struct keeper *k);      /* the sums, after slots were read */
void keeper_role_write(const struct role *q, struct rec_role *r);
void keeper_role_read(struct role *q, const struct rec_role *r);
void keeper_self_write(const struct keeper *k, struct rec_keeper *r);
void keeper_self_read(struct keeper *k, const struct rec_keeper *r);

/* keeper_reexec.c */
int keeper_reexec_init(struct keeper *k, char *const *argv);        /* at the start: allocates */
void keeper_reexec_ask(struct keeper *k);       /* SIGHUP: tries the program on disk; if it can, reexec_due */
bool keeper_trial_exited(struct keeper *k, pid_t pid, int code, int status);    /* false: not the trial's pid */
void keeper_reexec(struct keeper *k);           /* returns if it failed, or must wait */
int keeper_take_over(struct keeper *k);         /* 0: we were executed in place and hold all; -ENOENT: a start like any other */

/* keeper_folders.c. 0, or -errno after saying why. */
void keeper_passages_open(const struct keeper_options *o);
int keeper_folders_make(const struct keeper_options *o);
int keeper_log_folder(const struct keeper_options *o);      /* somebody may have removed it */

/* keeper_who.c. Which process has one of the sockets with these inodes open? 0: one of slot s; -EADDRINUSE: another ("pid 123 (python3)" in detail); -ENOENT: none is
 * seen; -EAGAIN: asked too often. */
int keeper_who(struct keeper *k, const struct slot *s, const uint64_t inodes[WHO_INODES_MAX], char *detail, size_t detail_size);

/* keeper.c */
int64_t keeper_now_ms(void);
void keeper_watch_fd(struct keeper *k, int fd, uint32_t events, uint32_t on, uint32_t index);       /* adds or changes */
void keeper_end(struct keeper *k);              /* K_END, or forced and empty */
void keeper_supervisor_spoke(struct keeper *k);
