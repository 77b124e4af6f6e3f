/* keeper_proto.h - what supervisor and logger say with the keeper: fixed-size records over SOCK_SEQPACKET socketpairs
 * (fd KEEPER_FD in the role), descriptors by SCM_RIGHTS. One list makes the verbs' numbers, names and sizes.
 * Every request is answered (ok or errno) except as said. The keeper checks each field; a bad record is answered -EINVAL. */
#pragma once
#include <stdint.h>
#include "model/words.h"

enum { KEEPER_FD = 3, KEEPER_VERSION = 2, SPAWN_LISTENERS_MAX = 4, WHO_INODES_MAX = 8, KEEPER_SLOTS = 5000 };

/* X(SYMBOL, "word", struct of its body) */
#define KEEPER_REQUESTS(X) \
    X(K_SPAWN,    "spawn",    struct k_spawn)    /* + memfd (see below). Answer: k_reply at once, then K_SPAWNED or K_SPAWN_FAILED */ \
    X(K_SIGNAL,   "signal",   struct k_signal)   /* to the main process, by pidfd; -ESRCH if it ended */ \
    X(K_GROUP,    "group",    struct k_signal)   /* to every process of the group (cgroup, else session + marker) */ \
    X(K_FORGET,   "forget",   struct k_id)       /* the slot's folders, FIFO, notify socket, cgroup go; -EBUSY while its group lives */ \
    X(K_LISTEN,   "listen",   struct k_listen)   /* bind, listen and hold a TCP socket under a name; fine if held already at that address */ \
    X(K_UNLISTEN, "unlisten", struct k_id) \
    X(K_LIST,     "list",     struct k_id)       /* answers with a K_STATE per slot (+ notify fd), a K_HELD per listener, then K_REPLY; id unused */ \
    X(K_WHO,      "who",      struct k_who)      /* which process has one of these sockets open? rc 0: one of the id's group; -EADDRINUSE: another, named in detail; else not known */ \
    X(K_END,      "end",      struct k_id)       /* end all of muster: TERM to the other roles, controller included, then exit; refused (-EBUSY) while an instance lives */
#define KEEPER_EVENTS(X) \
    X(K_REPLY,        "reply",        struct k_reply) \
    X(K_SPAWNED,      "spawned",      struct k_state)    /* exec succeeded; + notify fd at an instance's first spawn */ \
    X(K_SPAWN_FAILED, "spawn-failed", struct k_failed) \
    X(K_EXITED,       "exited",       struct k_state)    /* main process reaped; state.populated tells if others of its group live */ \
    X(K_EMPTY,        "empty",        struct k_state)    /* after K_EXITED: nobody of the group is left. Also sent right after K_EXITED when it was the last */ \
    X(K_STATE,        "state",        struct k_state) \
    X(K_HELD,         "held",         struct k_listen) \
    X(K_OOM,          "oom",          struct k_state)    /* the kernel killed a process of the group for memory */
#define KEEPER_ENUM_(sym, word, body) sym,
enum keeper_verb { K_NONE, KEEPER_REQUESTS(KEEPER_ENUM_) KEEPER_EVENTS(KEEPER_ENUM_) KEEPER_VERB_COUNT };

/* What lives under an id. A helper (probe command, hook) has an id "api.1/liveness" and a group of its own. */
enum k_kind { K_INSTANCE = 1, K_HELPER = 2, K_BALANCER = 3 };
enum k_spawn_flags {
    KF_NO_NEW_PRIVS = 1, KF_NOTIFY = 2 /* give it a notify socket */, KF_LOG = 4 /* FIFO to the logger, else output goes to output_fd or /dev/null */,
    KF_LOG_TIMESTAMPS = 8, KF_OUTPUT_FD = 16 /* 2nd descriptor beside the memfd: stdout and stderr of a helper */,
};
struct k_id { char id[ID_SIZE]; };
struct k_spawn {
    char id[ID_SIZE];
    uint32_t kind, flags;
    uint32_t umask;
    uint32_t owner_uid, owner_gid;          /* if the memfd names no user. A balancer's are the host's (agent/host_rules.h) where the roles have users of their own */
    uint32_t port;                          /* told back in k_state, for a supervisor that has lost its table; 0: none */
    uint64_t files;                         /* RLIMIT_NOFILE; 0: what muster was started with */
    uint64_t memory_bytes, tasks; uint32_t cpu_milli;   /* cgroup limits where they can be had; 0: none */
    char log_id[ID_SIZE];                   /* KF_LOG: whose log file (the instance's id) */
    uint64_t log_max_size; uint32_t log_keep;
    char listeners[SPAWN_LISTENERS_MAX][ID_SIZE];   /* held sockets to pass, from descriptor 3 on, in this order; LISTEN_FDS is not set */
    uint64_t memfd_bytes;
};
/* The memfd (sealed: write, grow, shrink): records "<letter><text>\0". A argv element · E "K=V" environment · D directory ·
 * U user name or number · G supplementary group · F environment file (read by the child, as the keeper's user, before it drops rights) ·
 * S "NAME\tPATH\tboth|file|variable" secret · H "1": set HOME, USER, LOGNAME from the user. Unknown letter: -EINVAL.
 * The child also gets MUSTER_ID=<id> (the group's marker), NOTIFY_SOCKET, CREDENTIALS_DIRECTORY. */
struct k_signal { char id[ID_SIZE]; int32_t pid; int32_t signo; };     /* pid must be the slot's present main pid (K_SIGNAL) or last one (K_GROUP), else -ESRCH */
struct k_listen { char id[ID_SIZE]; char address[64]; uint32_t port; uint32_t backlog; };    /* address "" = any (IPv6 dual-stack, else IPv4) */
struct k_who { char id[ID_SIZE]; uint64_t inodes[WHO_INODES_MAX]; };     /* of sockets; 0: none */
struct k_reply { char id[ID_SIZE]; uint32_t verb; int32_t rc; char detail[128]; };
/* stage: what the child was doing when it failed. */
#define SPAWN_STAGES(X) X(STAGE_FORK, "fork") X(STAGE_USER, "user") X(STAGE_GROUP, "group") X(STAGE_ENV_FILE, "environment_file") \
    X(STAGE_SECRET, "secret") X(STAGE_LIMIT, "resources") X(STAGE_LOG, "log") X(STAGE_CHDIR, "directory") X(STAGE_EXEC, "command") X(STAGE_SETUP, "set-up")
#define STAGE_ENUM_(sym, word) sym,
enum spawn_stage { SPAWN_STAGES(STAGE_ENUM_) SPAWN_STAGE_COUNT };
struct k_failed { char id[ID_SIZE]; uint32_t stage; int32_t rc; char detail[192]; };   /* detail: a line for a person, e.g. "cannot execute /srv/x: permission denied" */
struct k_state {
    char id[ID_SIZE]; uint32_t kind;
    int32_t pid;                            /* main process; 0: never started */
    uint32_t running;                       /* main process not reaped yet */
    uint32_t populated;                     /* somebody of the group lives (main included) */
    uint32_t port;                          /* of the last k_spawn */
    struct exit_info exit;                  /* of the last one reaped */
    int64_t started_mono_ms;
    char cgroup[160];                       /* path below the cgroup root(s), or "" */
};
struct k_msg {
    uint32_t verb, version;
    union {
        struct k_id id; struct k_spawn spawn; struct k_signal signal; struct k_listen listen; struct k_who who;
        struct k_reply reply; struct k_failed failed; struct k_state state;
    } u;
};

/* Keeper -> logger (SOCK_SEQPACKET, fd KEEPER_FD in the logger), no answers but L_DONE. */
/* L_FOLDER is the logger's: the folder of the logs is gone; answered by L_REOPEN once there is one. */
enum l_verb { L_ADD = 1 /* + FIFO read end */, L_CONFIG = 2, L_END = 3 /* id: drain it, close, answer L_DONE */, L_DONE = 4, L_REOPEN = 5, L_FOLDER = 6 };
struct l_msg { uint32_t verb; uint32_t timestamps; uint32_t keep; uint64_t max_size; char id[ID_SIZE]; };
