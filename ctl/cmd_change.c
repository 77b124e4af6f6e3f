/* cmd_change.c - the commands that change one service by one call: scale, restart, stop, start, delete. */
#include <errno.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/num.h"
#include "ctl/command.h"
#include "ctl/escape.h"
#include "ctl/jget.h"
#include "ctl/wait.h"

enum { WAIT_MS = 300000 };

static int no_such(struct ctl *c, const char *service)
{
    struct err e = { "" };
    /* `api.2` is an instance: say so, rather than "no such service". */
    cleanup_free char *name = xstrndup(service, strcspn(service, "."));
    if (strcmp(name, service) != 0 && ctl_is_name(name))
        return ctl_fail(EXIT_NO_SUCH, "`%s` is no service; %s works on a whole one: musterctl %s %s", service, c->command->name, c->command->name, name);
    return ctl_service_failed(c, service, -ENOENT, &e);
}

static int call(struct ctl *c, const char *method, const char *verb, const json_t *body, json_t **ret, struct err *e)
{
    cleanup_free char *path = xasprintf("/v1/services/%s%s%s", c->args.pos[0], *verb ? "/" : "", verb);
    return client_call(c->client, method, path, body, ret, e);
}

static int change(struct ctl *c, const char *method, const char *verb, const json_t *body)
{
    const char *service = c->args.pos[0];
    struct err e = { "" };
    if (!ctl_is_name(service)) return no_such(c, service);
    int r = call(c, method, verb, body, NULL, &e);
    return r < 0 ? ctl_service_failed(c, service, r, &e) : EXIT_DONE;
}

static int finish(struct ctl *c, const char *done, const char *next)
{
    const char *service = c->args.pos[0];
    int64_t timeout_ms = ctl_timeout_ms(c, WAIT_MS);
    printf("%s\n", done);
    fflush(stdout);
    if (args_has(&c->args, "wait")) return wait_ready(c, service, timeout_ms);
    if (*next) printf("Next: %s\n", next);
    return EXIT_DONE;
}

static int simple(struct ctl *c, const char *verb, const char *done_format, const char *next)
{
    cleanup_json json_t *body = json_object();
    if (ctl_timeout_ms(c, WAIT_MS) < 0) return EXIT_USAGE;
    int status = change(c, "POST", verb, body);
    if (status != EXIT_DONE) return status;
    cleanup_free char *done = xasprintf("%s: %s.", c->args.pos[0], done_format);
    return finish(c, done, next);
}

int cmd_restart(struct ctl *c) { return simple(c, "restart", "restarts, new instances first", "`musterctl status --watch` follows it (or restart with --wait)."); }
int cmd_start(struct ctl *c) { return simple(c, "start", "starts", "`musterctl status --watch` follows it (or start with --wait)."); }

int cmd_stop(struct ctl *c)
{
    cleanup_free char *next = xasprintf("`musterctl start %s` starts it again.", c->args.pos[0]);
    return simple(c, "stop", "stops: drains, then ends", next);
}

int cmd_delete(struct ctl *c)
{
    int status = change(c, "DELETE", "", NULL);
    if (status != EXIT_DONE) return status;
    printf("%s: its instances drain and stop, then it is forgotten. Its logs stay.\n", c->args.pos[0]);
    return EXIT_DONE;
}

/* --- scale --------------------------------------------------------------------------------------- */
/* A plain number has no range of its own. */
static void find_range(struct ctl *c, const char *service, long long *ret_min, long long *ret_max)
{
    cleanup_free char *path = xasprintf("/v1/services/%s", service);
    cleanup_json json_t *s = NULL;
    *ret_min = 0, *ret_max = INSTANCES_MAX;
    if (!ctl_is_name(service) || client_call(c->client, "GET", path, NULL, &s, NULL) < 0 || jget_bool(s, "fixed")) return;
    *ret_min = jget_int(s, "min", 0), *ret_max = jget_int(s, "max", INSTANCES_MAX);
}

static int not_a_count(struct ctl *c, int status, const char *what)
{
    const char *service = c->args.pos[0];
    long long min, max;
    cleanup_free char *word = escape_line(c->args.pos[1]);
    find_range(c, service, &min, &max);
    return ctl_fail(status, "scale: `%s` is %s; want a whole number from %lld to %lld, e.g. musterctl scale %s %lld", word, what, min, max, service,
                    min > 0 ? min : 1);
}

int cmd_scale(struct ctl *c)
{
    uint64_t count;
    int parsed = num_u64(c->args.pos[1], &count);
    if (parsed == -EINVAL) return not_a_count(c, EXIT_USAGE, "not a number of instances");
    if (ctl_timeout_ms(c, WAIT_MS) < 0) return EXIT_USAGE;
    if (parsed < 0 || count > INSTANCES_MAX) return not_a_count(c, EXIT_REFUSED, "too many");
    cleanup_json json_t *body = json_pack("{s:I}", "count", (json_int_t)count), *answer = NULL;
    const char *service = c->args.pos[0];
    struct err e = { "" };
    if (!ctl_is_name(service)) return no_such(c, service);
    int r = call(c, "POST", "scale", body, &answer, &e);
    if (r == -EBUSY) {
        long long min, max;
        find_range(c, service, &min, &max);
        if ((long long)count < min || (long long)count > max) return not_a_count(c, EXIT_REFUSED, "outside of the range");
    }
    if (r < 0) return ctl_service_failed(c, service, r, &e);
    long long desired = jget_int(answer, "desired", (long long)count);
    cleanup_free char *done = xasprintf("%s: %lld instance%s wanted.", c->args.pos[0], desired, desired == 1 ? "" : "s");
    return finish(c, done, "`musterctl status --watch` follows it (or scale with --wait).");
}
