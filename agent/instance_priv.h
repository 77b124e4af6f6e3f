/* instance_priv.h - what instance.c (the table and its handlers) and instance_enter.c (duties of a transition) share. */
#pragma once
#include "agent/instance.h"

enum { KILL_AGAIN_MS = 1000, HOOK_GRACE_MS = 2000, STOP_TIMEOUT_UNKNOWN_MS = 30000 };

/* Every transition: ends what belongs to the state left, does the duties of the next one, syncs the probes. The same state: nothing. */
void inst_go(struct inst *i, struct inst_host *h, enum inst_st next);
int inst_stop_signal(const struct inst *i);
void inst_to_group(const struct inst *i, struct inst_host *h, int signo);   /* signo to the whole group */
bool inst_has_hook(const struct inst *i, enum hook_kind k);
void inst_hook_cancel(struct inst *i, struct inst_host *h);                 /* of the one that runs, if any */
const char *inst_hook_word(enum hook_kind k);
