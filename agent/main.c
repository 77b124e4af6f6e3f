/* main.c - muster-agent: the keeper, and the roles that it starts from this same program (--role and what goes with it are not for people). */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "agent/keeper.h"
#include "agent/keeper_record.h"
#include "agent/logger.h"
#include "agent/rights.h"
#include "agent/supervisor.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/num.h"
#include "base/strbuf.h"
#include "model/words.h"

static const char usage[] =
    "Usage: muster-agent [--config FILE] [--state DIR --run DIR] [--controller MUSTERD]\n"
    "       muster-agent check FILE\n"
    "Runs the instances of this host. Normally started by `musterctl up`, or by systemd.\n"
    "\n"
    "  --config FILE      agent.yaml: users, folders, what services may do on this host (default where\n"
    "                     --state is not said: /etc/muster/agent.yaml, if it is there)\n"
    "  --state DIR        what must outlive a restart: logs, the last wanted set\n"
    "  --run DIR          sockets and pipes; may be lost at a reboot\n"
    "  --controller PROG  run this musterd too, with the same folders\n"
    "  --version, --help\n"
    "\n"
    "`muster-agent check FILE` tells what is wrong with an agent.yaml; exit status 2 if there is anything.\n"
    "SIGTERM or SIGINT stops everything in order; a second one kills it. SIGHUP starts the program on disk in its place, with all that runs.\n"
    "MUSTER_NO_CGROUPS=1 does without cgroups even where there are some.\n";

#define CONFIG_USUAL "/etc/muster/agent.yaml"

static int bad_usage(const char *what)
{
    fprintf(stderr, "muster-agent: %s\nTry: muster-agent --help\n", what);
    return EXIT_USAGE;
}

/* --- the roles, as agent/keeper_roles.c starts them ------------------------------------------------------------------- */

struct role_options { const char *role, *as, *controller_uid, *balancer_uid; struct supervisor_options s; };

static uint32_t id_of(const char *s)
{
    uint64_t n;
    return s && num_u64(s, &n) == 0 && n < NO_ID ? (uint32_t)n : NO_ID;
}

/* Nothing is read or opened before. */
static int become(const char *as)
{
    unsigned uid, gid;
    char end;
    if (sscanf(as, "%u:%u%c", &uid, &gid, &end) != 2 || uid == 0 || uid == NO_ID || gid == NO_ID)
        return -EINVAL;
    return rights_become(uid, gid);
}

static int run_role(struct role_options *o)
{
    int rc = o->as ? become(o->as) : 0;
    cleanup_free char *logs = xasprintf("%s/log", o->s.state_folder);
    if (rc < 0) {
        log_error("cannot change to user %s: %s", o->as, strerror(-rc));
        return EXIT_FAILED;
    }
    o->s.apart = o->as != NULL;
    o->s.log_folder = logs;
    o->s.controller_uid = id_of(o->controller_uid);
    o->s.balancer_uid = id_of(o->balancer_uid);
    /* A state folder below one that others may not enter: then we are in it already. */
    if (o->as && access(o->s.state_folder, X_OK) < 0)
        o->s.state_folder = ".";
    if (!strcmp(o->role, "supervisor"))
        return supervisor_main(&o->s);
    if (!strcmp(o->role, "logger"))
        return logger_main(o->s.state_folder);
    return bad_usage("--role is supervisor or logger");
}

/* --- the keeper ------------------------------------------------------------------------------------------------------------ */

static int check(const char *file)
{
    static struct host_rules r;
    int status = host_rules_load(file, NULL, &r);
    if (status == EXIT_DONE)
        printf("%s is valid.\n", file);
    return status;
}

/* The rules of this host, and with them the folders if they were not said. 0, or an exit status. */
static int load_rules(const char *config, struct keeper_options *o, struct host_rules *r)
{
    if (!config && !o->state_dir && access(CONFIG_USUAL, F_OK) == 0)
        config = CONFIG_USUAL;
    if (!config && (!o->state_dir || !o->run_dir))
        return bad_usage("--state and --run are needed, or --config");
    int status = host_rules_load(config, o->state_dir, r);
    if (status)
        return status;
    o->rules = r;
    o->state_dir = o->state_dir ? o->state_dir : r->state[0] ? r->state : "/var/lib/muster-agent";
    o->run_dir = o->run_dir ? o->run_dir : r->run[0] ? r->run : "/run/muster";
    return EXIT_DONE;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        { "state", required_argument, NULL, 's' }, { "run", required_argument, NULL, 'r' }, { "controller", required_argument, NULL, 'c' },
        { "config", required_argument, NULL, 'f' }, { "role", required_argument, NULL, 'R' }, { "as", required_argument, NULL, 'A' },
        { "controller-user", required_argument, NULL, 'C' }, { "balancer-user", required_argument, NULL, 'B' },
        { "controller-socket", required_argument, NULL, 'S' }, { "name", required_argument, NULL, 'N' },
        { "takes-over", required_argument, NULL, 'T' }, { "version", no_argument, NULL, 'V' }, { "help", no_argument, NULL, 'h' }, { 0 },
    };
    static struct host_rules rules;
    struct keeper_options o = KEEPER_OPTIONS_INIT;
    struct role_options role = { .s = { .name = "local" } };
    const char *config = NULL, *takes_over = NULL;
    o.argv = argv;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;)
        switch (c) {
        case 's': o.state_dir = optarg; break;
        case 'r': o.run_dir = optarg; break;
        case 'c': o.controller = optarg; break;
        case 'f': config = optarg; break;
        case 'R': role.role = optarg; break;
        case 'A': role.as = optarg; break;
        case 'C': role.controller_uid = optarg; break;
        case 'B': role.balancer_uid = optarg; break;
        case 'S': role.s.controller_socket = optarg; break;
        case 'N': role.s.name = optarg; break;
        case 'T': takes_over = optarg; break;       /* asked by a keeper that is to be replaced in place */
        case 'V': puts("muster-agent " MUSTER_VERSION); return EXIT_DONE;
        case 'h': fputs(usage, stdout); return EXIT_DONE;
        default: return bad_usage("see above");
        }
    log_init(role.role ? role.role : "keeper");
    if (argc - optind == 2 && !strcmp(argv[optind], "check"))
        return check(argv[optind + 1]);
    if (optind < argc)
        return bad_usage("it takes no arguments but `check FILE`");
    const char *no = getenv("MUSTER_NO_CGROUPS");
    o.no_cgroups = no && strcmp(no, "0") && *no;
    if (role.role) {
        role.s.state_folder = o.state_dir;
        role.s.run_folder = o.run_dir;
        return o.state_dir && o.run_dir ? run_role(&role) : bad_usage("--role is for the keeper");
    }
    if (takes_over && (atoi(takes_over) != REC_FORMAT || (!config && !o.state_dir)))        /* an older version says no more */
        return atoi(takes_over) == REC_FORMAT ? EXIT_DONE : EXIT_FAILED;
    int status = load_rules(config, &o, &rules);
    if (takes_over)                     /* with a configuration that is wrong by now it could not */
        return status;
    return status ? status : keeper_run(&o);
}
