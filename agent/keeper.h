/* keeper.h - the keeper: parent of all instances, helpers and roles, and the only part that signals processes.
 *
 * One thread, one epoll loop, libc only, no allocation after its start (what needs NSS or memory runs in the forked child,
 * see spawn_child.h). Everything it holds is a slot of a fixed table (KEEPER_SLOTS); events for a supervisor that does not
 * read are kept as one flag a kind and slot, so nothing queues without bound and nothing is lost. */
#pragma once
#include <stdbool.h>
#include "agent/host_rules.h"

struct keeper_options {
    const char *state_dir, *run_dir;
    const char *controller;         /* path of musterd, started as a third role; NULL: none */
    const char *exe;                /* what the roles are made of; NULL: /proc/self/exe */
    char *const *argv;              /* what SIGHUP executes in place, with a program that is found anew; NULL: it cannot */
    const struct host_rules *rules; /* who the roles are and what may be started; NULL: roles as the keeper, anything */
    bool no_cgroups;                /* groups by session and marker even where cgroups exist */
    bool no_logger;                 /* tests: output goes to /dev/null, no logger role */
    int supervisor_fd;              /* tests: >= 0: the supervisor's end is elsewhere; when it closes, everything is killed */
};
#define KEEPER_OPTIONS_INIT ((struct keeper_options){ .supervisor_fd = -1 })

/* Runs until everything has ended (K_END, or two SIGTERM). The process's exit status. */
int keeper_run(const struct keeper_options *o);
