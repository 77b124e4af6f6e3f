/* main.c - musterd: the controller. Its work is in daemon.c. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/log.h"
#include "supervisord/daemon.h"

static const char usage[] =
    "Usage: musterd --state DIR --run DIR\n"
    "\n"
    "The controller of muster: decides what runs, where, how many, and who gets traffic.\n"
    "`musterctl up FILE` starts it together with everything else; by hand it needs\n"
    "\n"
    "  --state DIR   where its state lies (state.db, events.db)\n"
    "  --run DIR     where its sockets lie (musterd.sock for musterctl, agent.sock for muster-agent)\n"
    "  --version, --help\n";

int main(int argc, char **argv)
{
    static const struct option options[] = {
        { "state", required_argument, NULL, 's' }, { "run", required_argument, NULL, 'r' },
        { "version", no_argument, NULL, 'V' }, { "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 },
    };
    struct daemon_options o = { NULL, NULL };
    int c;

    while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (c) {
        case 's': o.state_folder = optarg; break;
        case 'r': o.run_folder = optarg; break;
        case 'V': puts("musterd " MUSTER_VERSION); return EXIT_DONE;
        case 'h': fputs(usage, stdout); return EXIT_DONE;
        default: fputs(usage, stderr); return EXIT_USAGE;
        }
    }
    if (optind < argc || !o.state_folder || !o.run_folder) {
        fprintf(stderr, "musterd: %s\n\n%s", optind < argc ? "no arguments are taken" : "--state and --run are needed", usage);
        return EXIT_USAGE;
    }
    umask(0077);
    log_init("musterd");
    return daemon_run(&o);
}
