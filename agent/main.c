/* main.c - muster-agent: the keeper, and the roles that it starts from this same program. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "agent/keeper.h"
#include "agent/keeper_record.h"
#include "agent/logger.h"
#include "agent/supervisor.h"
#include "base/log.h"
#include "model/words.h"

static const char usage[] =
    "Usage: muster-agent --state DIR --run DIR [--controller MUSTERD]\n"
    "Runs the instances of this host. Normally started by `musterctl up`.\n"
    "\n"
    "  --state DIR        what must outlive a restart: logs, the last wanted set\n"
    "  --run DIR          sockets and pipes; may be lost at a reboot\n"
    "  --controller PROG  run this musterd too, with the same folders\n"
    "  --role ROLE        supervisor or logger: started by the keeper, not by hand\n"
    "  --version, --help\n"
    "\n"
    "SIGTERM or SIGINT stops everything in order; a second one kills it. SIGHUP starts the program on disk in its place, with all that runs.\n"
    "MUSTER_NO_CGROUPS=1 does without cgroups even where there are some.\n";

static int bad_usage(const char *what)
{
    fprintf(stderr, "muster-agent: %s\nTry: muster-agent --help\n", what);
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        { "state", required_argument, NULL, 's' }, { "run", required_argument, NULL, 'r' }, { "controller", required_argument, NULL, 'c' },
        { "takes-over", required_argument, NULL, 'T' }, { "role", required_argument, NULL, 'R' }, { "version", no_argument, NULL, 'V' }, { "help", no_argument, NULL, 'h' }, { 0 },
    };
    struct keeper_options o = KEEPER_OPTIONS_INIT;
    o.argv = argv;
    const char *role = NULL;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;)
        switch (c) {
        case 's': o.state_dir = optarg; break;
        case 'r': o.run_dir = optarg; break;
        case 'c': o.controller = optarg; break;
        case 'R': role = optarg; break;
        case 'T': return atoi(optarg) == REC_FORMAT ? EXIT_DONE : EXIT_FAILED;     /* asked by a keeper that is to be replaced in place */
        case 'V': puts("muster-agent " MUSTER_VERSION); return EXIT_DONE;
        case 'h': fputs(usage, stdout); return EXIT_DONE;
        default: return bad_usage("see above");
        }
    if (optind < argc)
        return bad_usage("it takes no arguments");
    if (!o.state_dir || !o.run_dir)
        return bad_usage("--state and --run are needed");
    const char *no = getenv("MUSTER_NO_CGROUPS");
    o.no_cgroups = no && strcmp(no, "0") && *no;
    log_init(role ? role : "keeper");
    if (!role)
        return keeper_run(&o);
    if (!strcmp(role, "supervisor"))
        return supervisor_main(o.state_dir, o.run_dir);
    if (!strcmp(role, "logger"))
        return logger_main(o.state_dir);
    return bad_usage("--role is supervisor or logger");
}
