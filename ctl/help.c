#include "ctl/help.h"
#include <ctype.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"

static const struct { const char *title; const char *names[8]; } groups[] = {
    { "Begin",   { "init", "check", "up", "down" } },
    { "Look",    { "status", "ps", "top", "events", "logs", "explain" } },
    { "Change",  { "apply", "scale", "restart", "stop", "start", "delete", "run" } },
    { "Else",    { "help", "completion" } },
};

void help_all(FILE *to)
{
    fputs("musterctl - keeps the right number of API server instances running, and the\nload balancer pointed at them\n\n"
          "Usage: musterctl COMMAND [OPTIONS]\n", to);
    for (size_t g = 0; g < ARRAY_LEN(groups); g++) {
        fprintf(to, "\n%s:\n", groups[g].title);
        for (size_t i = 0; i < ARRAY_LEN(groups[g].names) && groups[g].names[i]; i++) {
            const struct command *cmd = command_find(groups[g].names[i]);
            if (cmd) fprintf(to, "  %-11s %s\n", cmd->name, cmd->summary);
        }
    }
    fputs("\nA first run, in your app's folder:\n"
          "  musterctl init     # writes muster.yaml\n"
          "  musterctl up       # runs it: instances, health checks, balancer, scaling\n"
          "  musterctl status   # in another terminal; Ctrl-C in the first stops all\n"
          "\n`musterctl help COMMAND` explains one, with examples.\n"
          "Exit status: 0 done, 1 failed, 2 usage or invalid file, 3 no such thing,\n4 muster not reachable, 5 refused, 6 timed out.\n", to);
}

/* Puts words into lines of at most `width`; lines after the first begin with `indent` blanks, `at` columns of the first are used already. */
static void add_wrapped(const char *text, size_t len, size_t width, size_t indent, size_t at, struct strbuf *out)
{
    const char *end = text + len;
    bool first = true;
    while (text < end) {
        text += strspn(text, " \n");
        size_t n = strcspn(text, " \n");
        if (text >= end || n == 0) break;
        if (!first && at + 1 + n > width) {
            strbuf_printf(out, "\n%*s", (int)indent, "");
            at = indent;
        } else if (!first) {
            strbuf_putc(out, ' ');
            at++;
        }
        strbuf_add(out, text, n);
        at += n, text += n, first = false;
    }
    strbuf_putc(out, '\n');
}

/* Paragraphs are filled; lines that begin with a blank (examples) and titles stay as they are. */
static void add_text(const char *text, size_t width, struct strbuf *out)
{
    while (*text) {
        const char *stop = strstr(text, "\n\n");
        size_t len = stop ? (size_t)(stop - text) + 1 : strlen(text);
        if (strncmp(text, "Examples:", 9) == 0) strbuf_add(out, text, len);
        else add_wrapped(text, len, width, 0, 0, out);
        text += len;
        if (*text == '\n') strbuf_putc(out, *text++);
    }
}

void help_render(const struct command *cmd, size_t width, struct strbuf *out)
{
    enum { LEFT = 23 };
    strbuf_printf(out, "Usage: musterctl %s [OPTIONS]%s%s\n\n%c%s.\n\n", cmd->name, *cmd->arguments ? " " : "", cmd->arguments,
                  toupper((unsigned char)cmd->summary[0]), cmd->summary + 1);
    add_text(cmd->help, width, out);
    strbuf_puts(out, "\nOptions:\n");
    for (size_t i = 0; i < cmd->opt_n; i++) {
        const struct opt *o = &cmd->opts[i];
        char left[40], letter[8] = "    ";
        if (o->letter) fixed_printf(letter, "-%c, ", o->letter);
        fixed_printf(left, "%s--%s%s%s", letter, o->name, o->value ? " " : "", o->value ? o->value : "");
        strbuf_printf(out, "  %-*s ", LEFT - 3, left);
        add_wrapped(o->help, strlen(o->help), width, LEFT, LEFT, out);
    }
}

int help_command(const struct command *cmd)
{
    cleanup_strbuf struct strbuf out = STRBUF_INIT;
    struct look look = look_detect(STDOUT_FILENO);
    help_render(cmd, MIN_OF(look.width, (size_t)100), &out);
    ctl_print(&out);
    return EXIT_DONE;
}

static int help_paths(void)
{
    puts("Where muster keeps things:\n"
         "  state folder    --state DIR, else $MUSTER_STATE, else /var/lib/muster for root,\n"
         "                  else $XDG_STATE_HOME/muster, else ~/.local/state/muster:\n"
         "                  state.db, events.db, log/ (instances' logs; muster's own is muster.log)\n"
         "  runtime folder  /run/muster for root, else $XDG_RUNTIME_DIR/muster, else STATE/run.d:\n"
         "                  sockets. Another state folder has another one; STATE/run is a link to it\n\n"
         "As a service of systemd muster has root's folders (its log is in the journal). Members of\n"
         "the group muster reach it without saying --state, if they run no muster of their own.\n\n"
         "Two musters with two state folders know nothing of each other. `up --state DIR` and\n"
         "MUSTER_STATE=DIR say which one is meant.");
    return EXIT_DONE;
}

int cmd_help(struct ctl *c)
{
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

int cmd_completion(struct ctl *c)
{
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
