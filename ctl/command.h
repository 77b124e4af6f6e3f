/* command.h - what musterctl can do: one table (command.c) from which dispatch, help, completion and their tests are made,
 * and what every command is given. */
#pragma once
#include "ctl/args.h"
#include "ctl/client.h"
#include "ctl/look.h"
#include "ctl/paths.h"
#include "model/words.h"

struct ctl {
    const struct command *command;
    struct args args;
    struct paths paths;         /* resolved unless the command is `offline` */
    struct look look;           /* of standard output */
    struct client *client;      /* not connected before its first call */
};
struct command {
    const char *name, *arguments, *summary;     /* "scale", "SERVICE N", "set the number of instances" */
    const char *help;                           /* paragraphs and examples */
    const struct opt *opts; size_t opt_n;
    size_t pos_min, pos_max;
    bool offline;                               /* needs no musterd, no state folder */
    bool takes_rest;                            /* arguments behind `--` */
    int (*run)(struct ctl *c);                  /* an exit status */
};
extern const struct command commands[];
extern const size_t command_n;
const struct command *command_find(const char *name);       /* NULL: none */
const char *command_nearest(const char *name);              /* NULL: none near */

/* Prints "musterctl: <text>" to standard error and gives status. */
int ctl_fail(int status, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Tells a failed client_call: with the way to start one if nobody listens, and the lines of an invalid configuration. Gives the exit status. */
int ctl_call_failed(struct ctl *c, int rc, const struct err *e);
/* As above for a call about a service: on -ENOENT names the nearest one and all there are. */
int ctl_service_failed(struct ctl *c, const char *service, int rc, const struct err *e);
/* Reads option --timeout: a duration, or `otherwise_ms`. -1: it is told already, exit with EXIT_USAGE. */
int64_t ctl_timeout_ms(const struct ctl *c, int64_t otherwise_ms);
/* Is s a name that could be a service's (and so may be put into a path)? */
bool ctl_is_name(const char *s);
/* To standard output; a closed pipe is the end (status 1). */
void ctl_print(const struct strbuf *b);

#define COMMANDS(X) X(init) X(up) X(down) X(apply) X(check) X(delete) X(status) X(ps) X(events) X(logs) X(explain) X(scale) X(restart) X(stop) \
    X(start) X(top) X(run) X(completion) X(help)
#define COMMAND_RUN_(name) int cmd_##name(struct ctl *c);
COMMANDS(COMMAND_RUN_)
