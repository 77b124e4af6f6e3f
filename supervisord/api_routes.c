/* api_routes.c - what each request of the HTTP API does: one table, one small function a route. */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/num.h"
#include "supervisord/api.h"
#include "supervisord/daemon.h"
#include "supervisord/view_json.h"

enum { EVENTS_LIMIT_MAX = 1000, WAIT_MAX_S = 30, DECISIONS_MAX = 64, FILES_MAX = 200 };

static struct view_times times(struct api_call *c)
{
    return (struct view_times){ daemon_now(c->daemon), clock_wall_ms() };
}

static unsigned status_of(int rc)
{
    switch (rc) {
    case -ENOENT: return 404;
    case -EBUSY: case -ERANGE: case -EPERM: return 409;
    case -EINVAL: return 400;
    default: return 503;
    }
}

/* --- reading ---------------------------------------------------------------------------------------------- */
static void get_status(struct api_call *c, const char *name)
{
    const struct controller *core = daemon_core(c->daemon);
    json_t *j = json_object(), *services = json_array(), *balancers = json_array(), *problems = json_array();
    struct daemon_info info;
    struct service_view s;
    struct balancer_view b;

    (void)name;
    daemon_info(c->daemon, &info);
    for (size_t i = 0; i < info.problem_n; i++)
        json_array_append_new(problems, json_string(info.problems[i]));
    for (size_t i = 0; controller_service_at(core, i, &s); i++)
        json_array_append_new(services, view_service(core, &s, times(c), info.log_folder));
    for (size_t i = 0; controller_balancer_at(core, i, &b); i++)
        json_array_append_new(balancers, view_balancer(&b));
    json_object_set_new(j, "version", json_string(MUSTER_VERSION));
    json_object_set_new(j, "pid", json_integer(getpid()));
    json_object_set_new(j, "epoch", json_integer((json_int_t)info.epoch));
    json_object_set_new(j, "agent_connected", json_boolean(info.agent_connected));
    json_object_set_new(j, "state_folder", json_string(info.state_folder));
    json_object_set_new(j, "log_folder", info.log_folder ? json_string(info.log_folder) : json_null());
    json_object_set_new(j, "problems", problems);
    json_object_set_new(j, "services", services);
    json_object_set_new(j, "balancers", balancers);
    api_answer_json(c, 200, j);
}

static bool find_service(struct api_call *c, const char *name, struct service_view *ret)
{
    if (controller_service(daemon_core(c->daemon), name, ret))
        return true;
    api_answer_error(c, 404, "there is no service \"%s\"", name);
    return false;
}

static void get_service(struct api_call *c, const char *name)
{
    struct daemon_info info;
    struct service_view s;

    daemon_info(c->daemon, &info);
    if (find_service(c, name, &s))
        api_answer_json(c, 200, view_service(daemon_core(c->daemon), &s, times(c), info.log_folder));
}

/* The spec as running instances have it, with the owner that `user:` left out means. */
static void get_spec(struct api_call *c, const char *name)
{
    struct service_view s;
    struct desired d;
    json_t *j = NULL;

    if (!find_service(c, name, &s))
        return;
    cleanup_free char *text = service_spec_to_json(s.spec);
    controller_desired(daemon_core(c->daemon), &d);
    for (size_t i = 0; i < d.spec_n && !j; i++)
        if (!strcmp(d.specs[i].spec.name, name) && d.specs[i].revision == s.revision)
            j = json_pack("{s:I,s:i,s:i,s:s?}", "revision", (json_int_t)s.revision, "owner_uid", (int)d.specs[i].owner_uid,
                          "owner_gid", (int)d.specs[i].owner_gid, "path_env", d.specs[i].path_env);
    desired_done(&d);
    if (!j)
        j = json_pack("{s:I,s:n,s:n,s:n}", "revision", (json_int_t)s.revision, "owner_uid", "owner_gid", "path_env");
    json_object_set_new(j, "spec", json_loads(text, 0, NULL));
    api_answer_json(c, 200, j);
}

static void get_explain(struct api_call *c, const char *name)
{
    const struct scale_why *why[DECISIONS_MAX];
    struct service_view s;
    uint64_t n = 10;
    const char *q = api_query(c, "n");

    if (!find_service(c, name, &s))
        return;
    if (q && (num_u64(q, &n) || n == 0 || n > DECISIONS_MAX)) {
        api_answer_error(c, 400, "n: \"%s\" is not a number from 1 to %d", q, DECISIONS_MAX);
        return;
    }
    json_t *list = json_array();
    size_t got = controller_explain(daemon_core(c->daemon), name, why, n);
    struct view_times t = times(c);
    for (size_t i = 0; i < got; i++) {
        struct scale_why w = *why[i];
        w.wall_ms = t.wall_ms - (t.now_ms - w.at_ms);
        json_array_append_new(list, view_decision(&w));
    }
    api_answer_json(c, 200, json_pack("{s:s,s:i,s:s,s:s,s:o}", "name", s.name, "desired", (int)s.desired, "state", service_state_word(s.state),
                                      "reason", s.reason ? s.reason : "", "decisions", list));
}

void api_events_answer(struct api_call *c)
{
    struct events *ev = daemon_events(c->daemon);
    json_t *list = json_array();
    const struct muster_event *e;

    for (size_t i = 0; i < c->limit && (e = events_after(ev, c->after, i)); i++)
        json_array_append_new(list, view_event(e));
    api_answer_json(c, 200, json_pack("{s:o}", "events", list));
}

static bool query_number(struct api_call *c, const char *name, uint64_t max, uint64_t *ret)
{
    const char *q = api_query(c, name);

    if (!q || (!num_u64(q, ret) && *ret <= max))
        return true;
    api_answer_error(c, 400, "%s: \"%s\" is not a number from 0 to %llu", name, q, (unsigned long long)max);
    return false;
}

static void get_events(struct api_call *c, const char *name)
{
    struct events *ev = daemon_events(c->daemon);
    uint64_t limit = 100, wait = 0, last = events_last(ev), after;

    (void)name;
    if (!query_number(c, "limit", EVENTS_LIMIT_MAX, &limit) || !query_number(c, "wait", WAIT_MAX_S, &wait))
        return;
    after = last > limit ? last - limit : 0;
    if (!query_number(c, "after", INT64_MAX, &after))
        return;
    c->after = after > last ? last : after;     /* a number from another life of the history */
    c->limit = limit;
    if (wait && c->after == last)
        api_wait_events(c, daemon_now(c->daemon) + (int64_t)wait * 1000);
    else
        api_events_answer(c);
}

static void get_metrics(struct api_call *c, const char *name)
{
    struct daemon_info info;

    (void)name;
    daemon_info(c->daemon, &info);
    api_answer_text(c, 200, "text/plain; version=0.0.4", view_prometheus(daemon_core(c->daemon), info.epoch));
}

static void get_healthz(struct api_call *c, const char *name)
{
    (void)name;
    api_answer_text(c, 200, "text/plain", xstrdup("ok\n"));
}

static void get_readyz(struct api_call *c, const char *name)
{
    struct daemon_info info;

    (void)name;
    daemon_info(c->daemon, &info);
    if (info.agent_connected)
        api_answer_text(c, 200, "text/plain", xstrdup("ok\n"));
    else
        api_answer_text(c, 503, "text/plain", xstrdup("no agent is connected\n"));
}

/* --- changing: the answer is made at once, and given when the change is durable ------------------------------- */
struct change { struct api_call *call; json_t *answer; };

static void on_durable(void *arg, int rc, const char *why)
{
    struct change *ch = arg;

    if (rc) {
        json_decref(ch->answer);
        api_answer_error(ch->call, 503, "the change is refused, nothing was changed: %s", why);
    } else {
        api_answer_json(ch->call, 200, ch->answer);
    }
    free(ch);
}

/* rc: what the core said. */
static void answer_change(struct api_call *c, int rc, const struct err *e, json_t *answer)
{
    if (rc) {
        json_decref(answer);
        api_answer_error(c, status_of(rc), "%s", e->text);
        return;
    }
    struct change *ch = xcalloc(1, sizeof(*ch));
    *ch = (struct change){ c, answer };
    api_hold(c);
    daemon_commit(c->daemon, on_durable, ch);
}

static void post_scale(struct api_call *c, const char *name)
{
    struct err e = { "" };
    json_t *body = json_loads(c->body ? c->body : "", 0, NULL);
    json_t *count = json_object_get(body, "count");

    if (!json_is_integer(count) || json_integer_value(count) < 0 || json_integer_value(count) > INSTANCES_MAX) {
        api_answer_error(c, 400, "count: expected a whole number from 0 to %d", INSTANCES_MAX);
    } else {
        uint32_t n = (uint32_t)json_integer_value(count);
        int rc = controller_scale(daemon_core(c->daemon), daemon_now(c->daemon), name, n, &e);
        answer_change(c, rc, &e, json_pack("{s:i}", "desired", (int)n));
    }
    json_decref(body);
}

static void change_service(struct api_call *c, const char *name, int (*fn)(struct controller *, int64_t, const char *, struct err *))
{
    struct err e = { "" };
    int rc = fn(daemon_core(c->daemon), daemon_now(c->daemon), name, &e);

    answer_change(c, rc, &e, json_object());
}

static void post_restart(struct api_call *c, const char *name) { change_service(c, name, controller_restart); }
static void post_stop(struct api_call *c, const char *name) { change_service(c, name, controller_stop); }
static void post_start(struct api_call *c, const char *name) { change_service(c, name, controller_start); }
static void delete_service(struct api_call *c, const char *name) { change_service(c, name, controller_delete); }

static void post_down(struct api_call *c, const char *name)
{
    struct err none = { "" };
    struct daemon_info info;

    (void)name;
    daemon_info(c->daemon, &info);
    if (info.is_service) {
        api_answer_error(c, 409, "muster is a service of systemd here: `systemctl stop muster-agent` ends it and all instances, `musterctl stop SERVICE` one service");
        return;
    }
    controller_down(daemon_core(c->daemon), daemon_now(c->daemon));
    answer_change(c, 0, &none, json_object());
}

static void answer_invalid(struct api_call *c, const struct config_errors *errs)
{
    json_t *list = json_array();

    for (size_t i = 0; i < errs->n; i++) {
        const struct config_error *e = &errs->v[i];
        cleanup_free char *line = xasprintf("%s: %s%s%s", e->where ? e->where : "", e->path ? e->path : "", e->path && *e->path ? ": " : "", e->text);
        json_t *s = json_string(line);
        json_array_append_new(list, s ? s : json_string("a line that is not UTF-8"));
    }
    api_answer_json(c, 400, json_pack("{s:s,s:o}", "error", "the configuration is not valid; nothing was applied", "errors", list));
}

/* The sources borrow from the request's JSON. */
static size_t read_sources(json_t *files, struct config_source *src)
{
    size_t n = json_array_size(files), i;

    if (n == 0 || n > FILES_MAX)
        return 0;
    for (i = 0; i < n; i++) {
        json_t *f = json_array_get(files, i);
        src[i].name = json_string_value(json_object_get(f, "name"));
        src[i].folder = json_string_value(json_object_get(f, "folder"));
        src[i].text = json_string_value(json_object_get(f, "text"));
        src[i].len = json_string_length(json_object_get(f, "text"));
        if (!src[i].name || !src[i].folder || src[i].folder[0] != '/' || !src[i].text)
            return 0;
    }
    return n;
}

static void apply_config(struct api_call *c, json_t *body, const struct config *config)
{
    cleanup_strbuf struct strbuf diff = STRBUF_INIT;
    struct err e = { "" };
    uint32_t changes = 0;
    bool dry = json_is_true(json_object_get(body, "dry_run"));
    struct apply_request r = {
        .config = config, .source = json_string_value(json_object_get(body, "source")),
        .owner_uid = (uint32_t)json_integer_value(json_object_get(body, "owner_uid")),
        .owner_gid = (uint32_t)json_integer_value(json_object_get(body, "owner_gid")),
        .path_env = json_string_value(json_object_get(body, "path_env")),
    };
    int rc = controller_apply(daemon_core(c->daemon), daemon_now(c->daemon), &r, dry, &diff, &changes, &e);
    json_t *answer = json_pack("{s:s,s:i,s:b}", "diff", strbuf_str(&diff), "changes", (int)changes, "dry_run", (int)dry);

    if (!rc && dry)
        api_answer_json(c, 200, answer);
    else
        answer_change(c, rc, &e, answer);
}

/* `directory` may be a link to the present release. It is resolved here, once a revision: a restart later never runs what a moved link
 * points to by then, and an apply after the move is a change. What cannot be resolved stays, and fails at the start with its cause. */
static void resolve_directories(struct config *config)
{
    for (size_t i = 0; i < config->service_n; i++) {
        char *real = realpath(config->services[i].directory, NULL);
        if (real) {
            free(config->services[i].directory);
            config->services[i].directory = real;
        }
    }
}

static void post_apply(struct api_call *c, const char *name)
{
    struct config_source src[FILES_MAX];
    struct config config;
    struct config_errors errs = { 0 };
    json_error_t je;
    json_t *body = json_loads(c->body ? c->body : "", 0, &je);
    size_t n = read_sources(json_object_get(body, "files"), src);
    json_t *owner = json_object_get(body, "owner_uid");

    (void)name;
    if (!body)
        api_answer_error(c, 400, "the request is not JSON: %s", je.text);
    else if (!n || !json_is_string(json_object_get(body, "source")) || !json_is_integer(owner) || !json_is_integer(json_object_get(body, "owner_gid")))
        api_answer_error(c, 400, "expected source, owner_uid, owner_gid, and files as 1 to %d of {name, folder, text}", FILES_MAX);
    else if (c->peer_uid != 0 && json_integer_value(owner) != (json_int_t)c->peer_uid)
        api_answer_error(c, 403, "user %u may only start services as itself", c->peer_uid);
    else if (config_parse(src, n, &config, &errs)) {
        answer_invalid(c, &errs);
    } else {
        resolve_directories(&config);
        apply_config(c, body, &config);
        config_done(&config);
    }
    config_errors_done(&errs);
    json_decref(body);
}

/* --- the table --------------------------------------------------------------------------------------------------- */
static const struct route { const char *method, *pattern; void (*fn)(struct api_call *c, const char *name); } routes[] = {
    { "GET", "/v1/status", get_status },
    { "GET", "/v1/services/*", get_service },
    { "GET", "/v1/services/*/spec", get_spec },
    { "GET", "/v1/services/*/explain", get_explain },
    { "GET", "/v1/events", get_events },
    { "POST", "/v1/apply", post_apply },
    { "POST", "/v1/services/*/scale", post_scale },
    { "POST", "/v1/services/*/restart", post_restart },
    { "POST", "/v1/services/*/stop", post_stop },
    { "POST", "/v1/services/*/start", post_start },
    { "DELETE", "/v1/services/*", delete_service },
    { "POST", "/v1/down", post_down },
    { "GET", "/metrics", get_metrics },
    { "GET", "/healthz", get_healthz },
    { "GET", "/readyz", get_readyz },
};

/* One `*` stands for one path element, put in name. */
static bool matches(const char *pattern, const char *url, char *name, size_t size)
{
    const char *star = strchr(pattern, '*');
    size_t before = star ? (size_t)(star - pattern) : 0;

    if (!star)
        return !strcmp(pattern, url);
    if (strncmp(pattern, url, before))
        return false;
    const char *end = strchrnul(url + before, '/');
    size_t len = (size_t)(end - url) - before;
    if (len == 0 || len >= size || strcmp(star + 1, end))
        return false;
    memcpy(name, url + before, len);
    name[len] = '\0';
    return true;
}

void api_route(struct api_call *c)
{
    char name[NAME_LEN_MAX + 1] = "";
    bool url_known = false;

    for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
        if (!matches(routes[i].pattern, c->url, name, sizeof(name)))
            continue;
        url_known = true;
        if (!strcmp(routes[i].method, c->method)) {
            routes[i].fn(c, name);
            return;
        }
    }
    if (url_known)
        api_answer_error(c, 405, "%s is not possible on %s", c->method, c->url);
    else
        api_answer_error(c, 404, "there is no %s here; see docs/API.md", c->url);
}
