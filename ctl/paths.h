/* paths.h - where a muster has its state and its sockets.
 *
 * State folder: --state DIR, else $MUSTER_STATE, else /var/lib/muster for root, else $XDG_STATE_HOME/muster, else ~/.local/state/muster.
 * Runtime folder (sockets, FIFOs; short, since a socket's path has 107 bytes): /run/muster for root, else $XDG_RUNTIME_DIR/muster, else STATE/run.d
 * or, where that is too long, /tmp/muster-UID-HASH. A state folder other than the default has one of its own: the same name with -HASH behind.
 * `up` leaves a symlink STATE/run, so that a musterctl with another environment (cron, sudo) finds the same sockets.
 * As a service of systemd, muster has root's folders; a user who runs none of their own reaches that one, if the socket lets them in.
 *
 * paths_resolve is pure given its environment; the others act on the file system. */
#pragma once
#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>
#include "base/err.h"

enum { RUNTIME_LEN_MAX = 50 };      /* leaves 57 bytes for `/notify/NAME.NUMBER` */
struct paths_env { const char *muster_state, *xdg_state_home, *xdg_runtime_dir, *home; uid_t uid; };
struct paths { char state[PATH_MAX]; char run[PATH_MAX]; char socket[PATH_MAX]; char log[PATH_MAX]; char musterd_log[PATH_MAX]; bool is_default; };

/* state_option NULL: not given. Relative folders are taken from cwd. */
int paths_resolve(const struct paths_env *env, const char *state_option, const char *cwd, struct paths *ret, struct err *e);
/* From the process's environment. follow: takes the runtime folder that STATE/run names, if it does (to reach a muster that runs); else the one that
 * a new muster should have. */
int paths_find(const char *state_option, bool follow, struct paths *ret, struct err *e);
/* A user who says no state folder and has no muster of their own that listens: *p becomes the machine's, if there is one, and true is given. */
bool paths_use_system(const char *state_option, struct paths *p);
/* The same with everything given. Pure but for looking whether the two sockets exist. */
bool paths_use_system_at(const char *run, const char *state, struct paths *p);
/* Makes both folders and the link STATE/run; the runtime folder must belong to us. */
int paths_make(struct paths *p, struct err *e);
/* After all has ended: removes the runtime folder and the link to it, if no keeper holds the state folder. Failure does no harm and is not told. */
void paths_clean(const struct paths *p);
