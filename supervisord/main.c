/* main.c - musterd: the controller. Its work is in daemon.c. */
#include <errno.h>
#include <getopt.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/log.h"
#include "base/num.h"
#include "supervisord/daemon.h"

#define AGENT_USER "muster-agent"       /* as etc/systemd/muster.sysusers makes it */

static const char usage[] =
    "Usage: musterd --state DIR --run DIR [--agent-user USER]\n"
    "\n"
    "The controller of muster: decides what runs, where, how many, and who gets traffic.\n"
    "`musterctl up FILE` starts it together with everything else, systemd as musterd.service; by hand it needs\n"
    "\n"
    "  --state DIR        where its state lies (state.db, events.db)\n"
    "  --run DIR          where its sockets lie (musterd.sock for musterctl, agent.sock for muster-agent)\n"
    "  --agent-user USER  who, beside root and its own user, may connect as muster-agent: a name or a number\n"
    "                     (default as root or as a service: muster-agent, if there is such a user)\n"
    "  --version, --help\n";

/* 0; -ENOENT: no such user. */
static int find_user(const char *user, struct daemon_options *o)
{
    uint64_t number;
    const struct passwd *p = getpwnam(user);

    if (!p && num_u64(user, &number) == 0 && number < UINT32_MAX) {
        p = getpwuid((uid_t)number);
        o->agent_uid = o->agent_gid = (uint32_t)number;
        o->agent_known = true;
    }
    if (p) {
        o->agent_uid = p->pw_uid;
        o->agent_gid = p->pw_gid;
        o->agent_known = true;
    }
    return o->agent_known ? 0 : -ENOENT;
}

static int run(struct daemon_options *o, const char *agent_user)
{
    struct systemd_sockets given;
    struct err e = { "" };

    umask(0077);
    log_init("musterd");
    if (systemd_sockets_take(&given, &e)) {
        log_error("%s", e.text);
        return EXIT_FAILED;
    }
    o->given = &given;
    if (agent_user && find_user(agent_user, o)) {
        log_error("--agent-user: there is no user %s", agent_user);
        return EXIT_FAILED;
    }
    if (!agent_user && (geteuid() == 0 || given.agent >= 0))
        (void)find_user(AGENT_USER, o);             /* without it the agent runs as root or as we do */
    return daemon_run(o);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        { "state", required_argument, NULL, 's' }, { "run", required_argument, NULL, 'r' }, { "agent-user", required_argument, NULL, 'a' },
        { "version", no_argument, NULL, 'V' }, { "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 },
    };
    struct daemon_options o = { 0 };
    const char *agent_user = NULL;
    int c;

    while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (c) {
        case 's': o.state_folder = optarg; break;
        case 'r': o.run_folder = optarg; break;
        case 'a': agent_user = optarg; break;
        case 'V': puts("musterd " MUSTER_VERSION); return EXIT_DONE;
        case 'h': fputs(usage, stdout); return EXIT_DONE;
        default: fputs(usage, stderr); return EXIT_USAGE;
        }
    }
    if (optind < argc || !o.state_folder || !o.run_folder) {
        fprintf(stderr, "musterd: %s\n\n%s", optind < argc ? "no arguments are taken" : "--state and --run are needed", usage);
        return EXIT_USAGE;
    }
    return run(&o, agent_user);
}
