#include "ctl/help.h"
#include <string.h>
#include "base/cleanup.h"

static const struct { const char *title; const char *names[8]; } groups[] = {
    { "Begin",   { "init", "check", "up", "down" } },
    { "Look",    { "status", "ps", "top", "events", "logs", "explain" } },
    { "Change",  { "apply", "scale", "restart", "stop", "start", "delete", "run" } },
    { "Else",    { "help", "completion" } },
};

void help_all(FILE *to) {
    fputs("musterctl - keeps the right number of API server instances running, and the load balancer pointed at them\n\n"
          "Usage: musterctl COMMAND [OPTIONS]\n", to);
    for (size_t g = 0; g < ARRAY_LEN(groups); g++) {
        fprintf(to, "\n%s:\n", groups[g].title);
        for (size_t i = 0; i < ARRAY_LEN(groups[g].names) && groups[g].names[i]; i++) {
            const struct command *cmd = command_find(groups[g].names[i]);
            if (cmd) fprintf(to, "  %-11s %s\n", cmd->name, cmd->summary);
        }
    }
    fputs("\nA first run, in your app's folder:\n"
          "  musterctl init                 # writes muster.yaml\n"
          "  musterctl up                   # runs it: instances, health checks, balancer, scaling; Ctrl-C stops all\n"
          "  musterctl status               # in another terminal\n"
          "\n`musterctl help COMMAND` explains one, with examples. `musterctl --version` tells the version.\n"
          "Exit status: 0 done, 1 failed, 2 usage or invalid file, 3 no such thing, 4 muster not reachable, 5 refused, 6 timed out.\n", to);
}

int help_command(const struct command *cmd) {
    printf("Usage: musterctl %s %s%s%s\n\n%s%c%s.\n\n%s\nOptions:\n", cmd->name, cmd->arguments, *cmd->arguments ? " " : "", "[OPTIONS]",
           "", cmd->summary[0] - ('a' <= cmd->summary[0] && cmd->summary[0] <= 'z' ? 32 : 0), cmd->summary + 1, cmd->help);
    for (size_t i = 0; i < cmd->opt_n; i++) {
        const struct opt *o = &cmd->opts[i];
        char left[40], letter[8] = "    ";
        if (o->letter) fixed_printf(letter, "-%c, ", o->letter);
        fixed_printf(left, "%s--%s%s%s", letter, o->name, o->value ? " " : "", o->value ? o->value : "");
        printf("  %-20s %s\n", left, o->help);
    }
    return EXIT_DONE;
}

static int help_paths(void) {
    puts("Where muster keeps things:\n"
         "  state folder   --state DIR, else $MUSTER_STATE, else /var/lib/muster for root, else $XDG_STATE_HOME/muster, else ~/.local/state/muster\n"
         "                 state.db, events.db, log/ (instances' logs, and muster.log: muster's own)\n"
         "  runtime folder /run/muster for root, else $XDG_RUNTIME_DIR/muster, else STATE/run.d: sockets. Another state folder has another one;\n"
         "                 STATE/run is a link to it.\n\n"
         "Two musters with two state folders know nothing of each other. `up --state DIR` and MUSTER_STATE=DIR say which one is meant.");
    return EXIT_DONE;
}

int cmd_help(struct ctl *c) {
    if (c->args.pos_n == 0) {
        help_all(stdout);
        return EXIT_DONE;
    }
    const char *name = c->args.pos[0];
    if (strcmp(name, "paths") == 0) return help_paths();
    const struct command *cmd = command_find(name);
    if (cmd) return help_command(cmd);
    const char *near = command_nearest(name);
    return near ? ctl_fail(EXIT_USAGE, "there is no command `%s`; did you mean `%s`?", name, near) : ctl_fail(EXIT_USAGE, "there is no command `%s`", name);
}

int cmd_completion(struct ctl *c) {
    if (c->args.pos_n && strcmp(c->args.pos[0], "bash") != 0) return ctl_fail(EXIT_USAGE, "completion: only bash is known");
    puts("# bash completion for musterctl: source <(musterctl completion bash)\n_musterctl() {\n"
         "    local cur=${COMP_WORDS[COMP_CWORD]} cmd=${COMP_WORDS[1]} words=");
    printf("    if [ \"$COMP_CWORD\" -eq 1 ]; then\n        words=\"");
    for (size_t i = 0; i < command_n; i++) printf("%s%s", i ? " " : "", commands[i].name);
    printf(" --help --version\"\n    else\n        case $cmd in\n");
    for (size_t i = 0; i < command_n; i++) {
        printf("        %s) words=\"", commands[i].name);
        for (size_t o = 0; o < commands[i].opt_n; o++) printf("%s--%s", o ? " " : "", commands[i].opts[o].name);
        if (strstr(commands[i].arguments, "SERVICE")) printf(" $(musterctl ps 2>/dev/null | awk 'NR > 1 { sub(/\\.[0-9]+$/, \"\", $1); print $1 }' | sort -u)");
        printf("\" ;;\n");
    }
    puts("        esac\n    fi\n    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
         "    [ ${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- \"$cur\"))\n}\ncomplete -o filenames -F _musterctl musterctl");
    return EXIT_DONE;
}
