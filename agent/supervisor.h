/* supervisor.h - the supervisor role: decides (agent/core.h) and acts through the keeper at descriptor KEEPER_FD. */
#pragma once
/* Runs until SIGTERM has drained everything and the keeper took K_END. The process's exit status. */
int supervisor_main(const char *state_dir, const char *run_dir);
