/* main.c - musterctl: finds the command in the table, reads its arguments, runs it. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "ctl/command.h"
#include "ctl/help.h"

static int usage(const struct command *cmd)
{
    fprintf(stderr, "Usage: musterctl %s %s\nMore: `musterctl help %s`\n", cmd->name, cmd->arguments, cmd->name);
    return EXIT_USAGE;
}

static int unknown_command(const char *name)
{
    const char *near = command_nearest(name);
    if (near) ctl_fail(0, "there is no command `%s`; did you mean `%s`?", name, near);
    else ctl_fail(0, "there is no command `%s`", name);
    fputs("`musterctl --help` lists all.\n", stderr);
    return EXIT_USAGE;
}

/* `up` is about a muster of one's own; `logs` too where there are any, since it needs no muster that runs. All else may be about the machine's. */
static void maybe_system(const struct command *cmd, struct ctl *c)
{
    if (cmd->run == cmd_up || (cmd->run == cmd_logs && access(c->paths.log, F_OK) == 0)) return;
    (void)paths_use_system(args_get(&c->args, "state"), &c->paths);
}

static int run_command(const struct command *cmd, int argc, char **argv)
{
    struct ctl c = { .command = cmd };
    struct err e = { "" };
    if (args_parse(cmd->opts, cmd->opt_n, argc, argv, &c.args, &e) < 0) {
        ctl_fail(0, "%s: %s", cmd->name, e.text);
        return usage(cmd);
    }
    if (args_has(&c.args, "help")) return help_command(cmd);
    if (c.args.pos_n < cmd->pos_min || c.args.pos_n > cmd->pos_max) {
        ctl_fail(0, c.args.pos_n < cmd->pos_min ? "%s: something is missing" : "%s: too many arguments", cmd->name);
        return usage(cmd);
    }
    if ((c.args.rest_n > 0) != cmd->takes_rest) {
        ctl_fail(0, cmd->takes_rest ? "%s: a command is missing behind `--`" : "%s: nothing may stand behind `--`", cmd->name);
        return usage(cmd);
    }
    if (!cmd->offline) {
        if (paths_find(args_get(&c.args, "state"), true, &c.paths, &e) < 0) return ctl_fail(EXIT_USAGE, "%s", e.text);
        maybe_system(cmd, &c);
        c.client = client_new(&c.paths);
    }
    c.look = look_detect(STDOUT_FILENO);
    int status = cmd->run(&c);
    client_free(c.client);
    return fflush(stdout) == 0 ? status : EXIT_FAILED;
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    const char *word = argc > 1 ? argv[1] : NULL;
    if (!word) {
        help_all(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0 || strcmp(word, "version") == 0) {
        puts("musterctl " MUSTER_VERSION);
        return fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAILED;
    }
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
        help_all(stdout);
        return fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAILED;
    }
    const struct command *cmd = command_find(word);
    if (cmd) return run_command(cmd, argc - 2, argv + 2);
    if (word[0] == '-') return ctl_fail(EXIT_USAGE, "unknown option `%s`; a command comes first: musterctl COMMAND [OPTIONS]. `musterctl --help` lists them.", word);
    return unknown_command(word);
}
