#include "ctl/command.h"
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/num.h"
#include "ctl/escape.h"
#include "ctl/jget.h"
#include "model/suggest.h"

#define OPT_STATE   { 0, "state", "DIR", "state folder; else $MUSTER_STATE, else the user's own (see `musterctl help paths`)" }
#define OPT_HELP    { 'h', "help", NULL, "this help" }
#define OPT_WAIT    { 'w', "wait", NULL, "wait until all instances are ready; 1 if a service pauses or fails" }
#define OPT_TIMEOUT { 't', "timeout", "TIME", "give up waiting after this long: 30s, 5m (exit status 6)" }
#define OPT_OUTPUT  { 'o', "output", "FORM", "table, wide, json or yaml" }
#define OPT_WATCH   { 'w', "watch", NULL, "show it again and again, until Ctrl-C" }
#define OPTS(name, ...) static const struct opt opts_##name[] = { __VA_ARGS__ }

OPTS(common, OPT_STATE, OPT_HELP);
OPTS(help, OPT_HELP);
OPTS(init, { 'n', "dry-run", NULL, "print the file, write nothing" }, OPT_HELP);
OPTS(up, { 'd', "detach", NULL, "return once everything is ready, muster runs on" }, OPT_TIMEOUT, OPT_STATE, OPT_HELP);
OPTS(down, OPT_TIMEOUT, OPT_STATE, OPT_HELP);
OPTS(apply, { 'f', "file", "FILE", "a file, or a folder of *.yaml files (default: muster.yaml)" }, { 'n', "dry-run", NULL, "show what would change, change nothing" },
     OPT_WAIT, OPT_TIMEOUT, OPT_STATE, OPT_HELP);
OPTS(check, { 'f', "file", "FILE", "the same as the argument" }, OPT_HELP);
OPTS(change, OPT_WAIT, OPT_TIMEOUT, OPT_STATE, OPT_HELP);
OPTS(view, OPT_OUTPUT, OPT_WATCH, OPT_STATE, OPT_HELP);
OPTS(events, { 'f', "follow", NULL, "go on with each new one, until Ctrl-C" }, { 'n', "lines", "N", "the last N (default: 30)" },
     { 'o', "output", "FORM", "table, wide (with dates) or json (one object a line)" }, OPT_STATE, OPT_HELP);
OPTS(logs, { 'f', "follow", NULL, "go on with each new line, until Ctrl-C" }, { 'n', "lines", "N", "the last N lines (default: 100; all with --since)" },
     { 0, "since", "WHEN", "from then on: 10m, 2h, or 2026-11-25T01:02:03Z" }, OPT_STATE, OPT_HELP);
OPTS(explain, { 'n', "lines", "N", "the last N decisions (default: 10)" }, { 'o', "output", "FORM", "table, json or yaml" }, OPT_STATE, OPT_HELP);
OPTS(top, { 0, "once", NULL, "print once and end" }, OPT_STATE, OPT_HELP);

#define ENTRY(n, args, sum, o, min, max, off, rest, text) \
    { .name = #n, .arguments = args, .summary = sum, .opts = opts_##o, .opt_n = ARRAY_LEN(opts_##o), .pos_min = min, .pos_max = max, .offline = off, \
      .takes_rest = rest, .run = cmd_##n, .help = text }

const struct command commands[] = {
    ENTRY(init, "[DIR]", "write a first muster.yaml for the app in this folder", init, 0, 1, true, false,
        "Looks for a Flask, Django, FastAPI or other app in DIR (default: here) and writes DIR/muster.yaml with comments.\n"
        "It never overwrites a file.\n\n"
        "Examples:\n"
        "  musterctl init              # then: musterctl up muster.yaml\n"
        "  musterctl init --dry-run    # only look at what it would write\n"),
    ENTRY(up, "[FILE]", "run everything in FILE here, until Ctrl-C", up, 0, 1, false, false,
        "Checks FILE (default: muster.yaml), starts muster if it does not run yet, applies the file, and shows what happens: a live view on a\n"
        "terminal, else one line an event. Needs no root and no set-up; writes only to its state and runtime folders.\n"
        "Ctrl-C stops all in order; again: tells how to force it; a third time: leaves, and the stop goes on. q, or closing the terminal, leaves it running.\n\n"
        "Examples:\n"
        "  musterctl up                          # muster.yaml, in the foreground\n"
        "  musterctl up api.yaml --detach        # return once all is ready; later: musterctl status, musterctl down\n"
        "  musterctl up api.yaml --state /tmp/x  # a second muster beside the first; MUSTER_STATE=/tmp/x for the other commands\n"),
    ENTRY(down, "", "stop everything that `up` started, in order", down, 0, 0, false, false,
        "Drains and stops all instances, what depends on others first, then the balancers, then muster itself; returns when all is gone.\n"
        "What was applied is kept in the state folder.\n\n"
        "Examples:\n"
        "  musterctl down\n"
        "  musterctl down --timeout 2m\n"),
    ENTRY(apply, "[-f FILE]", "make what runs like FILE", apply, 0, 1, false, false,
        "Checks the file, shows the difference to what runs now, and applies it: all of it, or nothing if any of it is invalid. Changing one service\n"
        "touches no other; changing `instances` or `scale` restarts nobody; other changes roll, new instances first. Services that came\n"
        "from this file and are not in it any more are deleted.\n\n"
        "Examples:\n"
        "  musterctl apply                       # muster.yaml\n"
        "  musterctl apply -f prod.yaml --dry-run\n"
        "  musterctl apply -f prod.yaml --wait --timeout 5m && echo released\n"),
    ENTRY(check, "[FILE]", "check a file without applying it", check, 0, 1, true, false,
        "Reads FILE (default: muster.yaml; a folder: all *.yaml in it) and tells every error with file, line and column: words, types, units, and\n"
        "what this machine can tell (users, folders, programs). Needs no running muster and changes nothing. Exit status 2 if there is an error.\n\n"
        "Examples:\n"
        "  musterctl check\n"
        "  musterctl check prod.yaml && musterctl apply -f prod.yaml\n"),
    ENTRY(delete, "SERVICE", "stop a service and forget it", common, 1, 1, false, false,
        "Its instances drain and stop, then it is gone, its scaled count too; its logs stay. Applying a file that has it starts it anew.\n\n"
        "Examples:\n"
        "  musterctl delete worker\n"),
    ENTRY(status, "[SERVICE]", "services and instances, and what is wrong", view, 0, 1, false, false,
        "One row a service, and one an instance. `ready` means: a live process that passed its checks. Below the table, for what is in trouble: exit code or\n"
        "signal, its last log lines, the next try, and where the log is. Columns give way on narrow terminals; -o wide shows all.\n\n"
        "Examples:\n"
        "  musterctl status\n"
        "  musterctl status api --watch\n"
        "  musterctl status -o json | jq '.services[].ready'\n"),
    ENTRY(ps, "[SERVICE]", "all instances, one a line", view, 0, 1, false, false,
        "As `status`, but only instances: for awk and for many services.\n\n"
        "Examples:\n"
        "  musterctl ps\n"
        "  musterctl ps api -o wide\n"),
    ENTRY(events, "[SERVICE]", "what happened: starts, exits, scaling, changes", events, 0, 1, false, false,
        "Examples:\n"
        "  musterctl events -n 100\n"
        "  musterctl events -f api\n"),
    ENTRY(logs, "[SERVICE|INSTANCE...]", "what instances wrote", logs, 0, ARGS_MAX, false, false,
        "Without a name: of all instances. Several are put in order of time and each line begins with its instance's name. Works from the log\n"
        "files, so also when muster does not run; rotation loses no line. On a terminal control characters are made visible.\n\n"
        "Examples:\n"
        "  musterctl logs -f api               # all instances of api\n"
        "  musterctl logs api.2 -n 20\n"
        "  musterctl logs api --since 10m | grep ERROR\n"),
    ENTRY(explain, "SERVICE", "why a service has as many instances as it has", explain, 1, 1, false, false,
        "Shows the last decisions of the scaler and of rollouts: figures, targets, what each rule asked for, and what limited it.\n\n"
        "Examples:\n"
        "  musterctl explain api\n"),
    ENTRY(scale, "SERVICE N", "set the number of instances", change, 2, 2, false, false,
        "N must be within the service's min and max; the scaler goes on from there. For a service with a plain number (`instances: 3`) it holds\n"
        "until an apply changes that number in the file.\n\n"
        "Examples:\n"
        "  musterctl scale api 4\n"
        "  musterctl scale api 4 --wait\n"),
    ENTRY(restart, "SERVICE", "replace all instances, one after the other", change, 1, 1, false, false,
        "A rolling restart of the same revision: as for a new release, no request is lost.\n\n"
        "Examples:\n"
        "  musterctl restart api --wait\n"),
    ENTRY(stop, "SERVICE", "stop all instances of a service, keep it known", change, 1, 1, false, false,
        "They drain, then stop; the service stays known and stopped, also over restarts of muster, until `start`.\n\n"
        "Examples:\n"
        "  musterctl stop worker\n"),
    ENTRY(start, "SERVICE", "start a stopped service", change, 1, 1, false, false,
        "Examples:\n"
        "  musterctl start worker --wait\n"),
    ENTRY(top, "", "instances by CPU, live", top, 0, 0, false, false,
        "Examples:\n"
        "  musterctl top\n"
        "  musterctl top --once\n"),
    ENTRY(run, "SERVICE -- COMMAND [ARGUMENT...]", "run a command as the service's instances run", common, 1, 1, false, true,
        "With the service's user, groups, umask, directory, environment, environment_file and secrets: for migrations, shells and one-off\n"
        "jobs. It runs here and now, is not supervised, and has no port (${PORT} is 0). A service of another user needs root.\n\n"
        "Examples:\n"
        "  musterctl run api -- flask db upgrade\n"
        "  musterctl run api -- python3 -m app.shell\n"),
    ENTRY(completion, "bash", "print a completion script for bash", help, 0, 1, true, false,
        "Examples:\n"
        "  source <(musterctl completion bash)\n"),
    ENTRY(help, "[COMMAND]", "help on a command", help, 0, 1, true, false,
        "Examples:\n"
        "  musterctl help apply\n"
        "  musterctl help paths\n"),
};
const size_t command_n = ARRAY_LEN(commands);

const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < command_n; i++)
        if (strcmp(commands[i].name, name) == 0) return &commands[i];
    return NULL;
}

const char *command_nearest(const char *name)
{
    /* What people type who come from other tools. */
    static const char *const others[][2] = { { "list", "ps" }, { "ls", "ps" }, { "get", "status" }, { "log", "logs" }, { "tail", "logs" }, { "rm", "delete" },
        { "remove", "delete" }, { "deploy", "apply" }, { "reload", "restart" }, { "validate", "check" }, { "lint", "check" }, { "exec", "run" },
        { "describe", "explain" }, { "why", "explain" }, { "new", "init" }, { "kill", "stop" }, { "shutdown", "down" }, { "htop", "top" } };
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        if (strcmp(name, others[i][0]) == 0) return others[i][1];
    struct suggest s = { .word = name };
    for (size_t i = 0; i < command_n; i++) suggest_offer(&s, commands[i].name);
    return s.best;
}

int ctl_fail(int status, const char *fmt, ...)
{
    cleanup_strbuf struct strbuf b = STRBUF_INIT;
    va_list ap;
    va_start(ap, fmt);
    strbuf_vprintf(&b, fmt, ap);
    va_end(ap);
    fflush(stdout);
    fprintf(stderr, "musterctl: %s\n", strbuf_str(&b));
    return status;
}

void ctl_print(const struct strbuf *b)
{
    if (fwrite(strbuf_str(b), 1, b->len, stdout) != b->len || fflush(stdout) != 0) exit(EXIT_FAILED);
}

int ctl_call_failed(struct ctl *c, int rc, const struct err *e)
{
    const json_t *errors = client_errors(c->client), *x;
    cleanup_free char *text = escape_line(e->text);
    size_t i;
    json_array_foreach(errors, i, x) {
        cleanup_free char *line = escape_line(json_is_string(x) ? json_string_value(x) : "?");
        fprintf(stderr, "%s\n", line);
    }
    ctl_fail(0, "%s", text);
    if (rc == -ECONNREFUSED)
        fprintf(stderr, "Next: `musterctl up FILE` starts one%s.\n", c->paths.is_default ? "; --state DIR or MUSTER_STATE says which, if it is not the usual" : " for this state folder");
    return client_exit_status(rc);
}

int ctl_service_failed(struct ctl *c, const char *service, int rc, const struct err *e)
{
    cleanup_json json_t *status = NULL;
    cleanup_strbuf struct strbuf all = STRBUF_INIT;
    struct suggest near = { .word = service };
    size_t i;
    json_t *s;
    if (rc != -ENOENT || client_call(c->client, "GET", "/v1/status", NULL, &status, NULL) < 0) return ctl_call_failed(c, rc, e);
    cleanup_free char *word = escape_line(service);
    json_array_foreach(json_object_get(status, "services"), i, s) {
        suggest_offer(&near, jget_str(s, "name"));
        strbuf_printf(&all, "%s%s", i ? ", " : "", jget_str(s, "name"));
    }
    if (near.best) ctl_fail(0, "there is no service `%s`; did you mean `%s`?", word, near.best);
    else ctl_fail(0, "there is no service `%s`", word);
    if (all.len) fprintf(stderr, "Services: %s\n", strbuf_str(&all));
    else fprintf(stderr, "There is none at all yet. Next: `musterctl apply -f FILE`.\n");
    return EXIT_NO_SUCH;
}

int64_t ctl_timeout_ms(const struct ctl *c, int64_t otherwise_ms)
{
    const char *s = args_get(&c->args, "timeout");
    int64_t ms = otherwise_ms;
    if (s && (num_duration_ms(s, &ms) < 0 || ms <= 0)) {
        ctl_fail(0, "--timeout: `%s` is not a duration, want e.g. 30s or 5m", s);
        return -1;
    }
    return ms;
}

bool ctl_is_name(const char *s)
{
    size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-");
    return n > 0 && n <= NAME_LEN_MAX && !s[n];
}
