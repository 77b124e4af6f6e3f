/* disk.h - the agent's memory across its own restarts. Acts (disk).
 *
 * `desired` in the state folder: the last desired set (a packed muster.Desired behind a line with length and checksum), so that
 * the agent goes on without a controller. `agent.ready` in the runtime folder: which process of which instance was ready, so that a restarted
 * supervisor flips no readiness; it is about live processes only, so it may vanish with a reboot. */
#pragma once
#include "agent/core.h"

/* 0; -ENOENT if there is none; -EBADMSG and why if it is damaged. */
int disk_load_desired(const char *state_folder, struct desired *ret, struct err *e);
int disk_save_desired(const char *state_folder, const struct desired *d, struct err *e);

struct ready_entry { char id[ID_SIZE]; int32_t pid /* 0: none yet */; bool ready, passed /* not ready just then, but it was once */; uint32_t restarts; uint64_t generation; };
struct ready_list { struct ready_entry *v; size_t n; };
void disk_load_ready(const char *run_folder, struct ready_list *ret);       /* empty if there is none or it is not understood */
int disk_save_ready(const char *run_folder, const struct agent_core *core, int64_t now, struct err *e);
const struct ready_entry *ready_list_find(const struct ready_list *l, const char *id);
void ready_list_done(struct ready_list *l);
