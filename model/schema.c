#include "model/schema.h"

#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "model/words.h"

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR };
#define KIB (INT64_C(1) << 10)
#define MIB (INT64_C(1) << 20)
#define GIB (INT64_C(1) << 30)
#define TIB (INT64_C(1) << 40)

#define S(field) offsetof(struct service_spec, field)
#define B(field) offsetof(struct balancer_spec, field)

/* What the three probes share. */
#define PROBE(name, field, every_default, timeout_default)                                                                      \
    { "health." name ".http", T_PROBE_HTTP, S(health.field), 0, 0, 0, NULL, NULL, NULL,                                         \
      "A GET of this path on the instance's port; an answer of 200 to 399 passes.", "/healthz" },                               \
    { "health." name ".tcp", T_PROBE_TCP, S(health.field), 0, 0, 0, NULL, NULL, NULL,                                           \
      "A connection to the instance's port that is accepted passes.", "true" },                                                 \
    { "health." name ".command", T_PROBE_COMMAND, S(health.field), 0, 0, 0, NULL, NULL, NULL,                                   \
      "A command, run as the instance is, that ends with exit code 0 passes.", "[./check, --quick]" },                          \
    { "health." name ".notify", T_PROBE_NOTIFY, S(health.field), 0, 0, 0, NULL, NULL, NULL,                                     \
      "The instance tells by itself, through `$NOTIFY_SOCKET` (sd_notify).", "true" },                                          \
    { "health." name ".every", T_DURATION, S(health.field.every_ms), 0, 10, HOUR, every_default, NULL, NULL,                    \
      "From the start of one probe to the next. A little jitter is added.", "2s" },                                             \
    { "health." name ".timeout", T_DURATION, S(health.field.timeout_ms), 0, 10, 10 * MINUTE, timeout_default, NULL, NULL,       \
      "A probe that takes longer has failed.", "1s" },                                                                          \
    { "health." name ".pass_after", T_WHOLE, S(health.field.pass_after), 0, 1, 100, "1", NULL, NULL,                            \
      "So many passes in a row are needed.", "2" }
#define FAIL_AFTER(name, field)                                                                                                 \
    { "health." name ".fail_after", T_WHOLE, S(health.field.fail_after), 0, 1, 100, "3", NULL, NULL,                            \
      "So many failures in a row are needed.", "3" }
#define HOOK(name, index, text)                                                                                                 \
    { "hooks." name, T_HOOK, S(hooks[index]), 0, 0, 0, NULL, NULL, "none", text, "{ run: [./migrate], timeout: 30s }" },        \
    { "hooks." name ".run", T_COMMAND, S(hooks[index].run), KEY_REQUIRED, 0, 0, NULL, NULL, NULL,                               \
      "The command, run as the instance is.", "[./warm-up, --all]" },                                                           \
    { "hooks." name ".timeout", T_DURATION, S(hooks[index].timeout_ms), 0, 10, HOUR, "30s", NULL, NULL,                         \
      "Then it is killed, with its group, and has failed.", "10s" }

static const struct schema_key SERVICE_KEYS[] = {
    { "command", T_COMMAND, S(command), KEY_REQUIRED, 0, 0, NULL, NULL, NULL,
      "What an instance runs. A string is split as a shell would, but no shell is run; a list is taken as it is. `${HOST}`, `${PORT}`, "
      "`${INSTANCE}` and what `environment` holds are put in; `$$` is a plain dollar sign.",
      "gunicorn --bind ${HOST}:${PORT} app:app" },
    { "directory", T_PATH, S(directory), 0, 0, 0, NULL, NULL, "the file's folder", "Where it runs. A relative path starts at the file's folder. "
      "A link is followed once, at the apply: a restart stays with the release that was applied.",
      "/srv/api" },
    { "user", T_ACCOUNT, S(user), 0, 0, 0, NULL, NULL, "who owns the file, or who runs muster if that is not root",
      "The user (name or number) it runs as. Another than oneself needs root.", "api" },
    { "groups", T_ACCOUNTS, S(groups), 0, 0, 0, NULL, NULL, "the user's own", "Its supplementary groups, by name or number. Needs root.", "[api, media]" },
    { "umask", T_UMASK, S(umask), 0, 0, 0777, "022", NULL, NULL, "The file mode mask, three or four octal digits.", "\"027\"" },
    { "no_new_privs", T_BOOL, S(no_new_privs), 0, 0, 0, "true", NULL, NULL,
      "The instance and what it starts can gain no rights, through set-user-id programs such as sudo for one.", "false" },
    { "environment", T_ENVIRONMENT, S(environment), 0, 0, 0, NULL, NULL, "empty",
      "Variables, on top of PATH, HOME, USER and LANG. `${HOST}`, `${PORT}`, `${INSTANCE}` and variables further up are put in; `$$` is a plain dollar sign.", "{ APP_ENV: production }" },
    { "environment_file", T_PATH, S(environment_file), 0, 0, 0, NULL, NULL, "none",
      "A file of NAME=value lines, read when an instance starts. Its contents go to the instance and nowhere else.", "/etc/muster/api.env" },
    { "secrets", T_SECRETS, S(secrets), 0, 0, 0, NULL, NULL, "none",
      "Secret values: name and the file that holds the value, read when an instance starts. The instance gets each as a variable and as a "
      "file under `$CREDENTIALS_DIRECTORY`; nobody else does.", "{ DATABASE_URL: /etc/muster/secrets/api_db }" },
    { "secrets.*.file", T_PATH, offsetof(struct secret, file), KEY_REQUIRED, 0, 0, NULL, NULL, NULL, "The file that holds the value.",
      "/etc/muster/secrets/api_db" },
    { "secrets.*.as", T_WORD, offsetof(struct secret, as), 0, 0, 0, "both", "both|file|variable", NULL, "How the instance gets it.", "file" },
    { "port", T_PORT, S(port_kind), 0, 1, 65535, "auto", NULL, NULL,
      "`auto`: each instance gets a free port of its own, `$PORT`. A number: that one (then there can be but one instance). `none`: it listens nowhere.",
      "none" },
    { "concurrency", T_CONCURRENCY, S(concurrency), KEY_LIVE, 1, 100000, "auto", NULL, NULL,
      "How many requests an instance takes at a time; more wait at the balancer. `auto`: from the command line of gunicorn (workers times threads), "
      "uvicorn and celery, else 100.", "8" },
    { "instances", T_INSTANCES, S(min), KEY_LIVE, 1, INSTANCES_MAX, "1", NULL, NULL, "How many: a number, or a range in which `scale` decides.",
      "{ min: 2, max: 6 }" },
    { "instances.min", T_WHOLE, S(min), 0, 1, INSTANCES_MAX, "1", NULL, NULL, "Never fewer.", "2" },
    { "instances.max", T_WHOLE, S(max), KEY_REQUIRED, 1, INSTANCES_MAX, NULL, NULL, NULL, "Never more.", "6" },
    { "health", T_GROUP, 0, 0, 0, 0, NULL, NULL, NULL, "Probes. Each is exactly one of http, tcp, command, notify; or `none`.",
      "{ readiness: { http: /healthz } }" },
    { "health.startup", T_PROBE, S(health.startup), 0, 0, 0, NULL, NULL, "none",
      "Has it started? Until this passes the other two probes wait.", "{ http: /healthz, within: 60s }" },
    PROBE("startup", startup, "500ms", "1s"),
    { "health.startup.within", T_DURATION, S(health.startup.within_ms), 0, 100, DAY, "60s", NULL, NULL,
      "It must pass so soon after the start, or the instance is stopped and started again.", "2m" },
    { "health.readiness", T_PROBE, S(health.readiness), 0, 0, 0, NULL, NULL, "`{ tcp: true }` if the service uses a port (see below), else none",
      "May it get traffic? Only while this passes.", "{ http: /healthz }" },
    PROBE("readiness", readiness, "1s", "500ms"),
    FAIL_AFTER("readiness", readiness),
    { "health.liveness", T_PROBE, S(health.liveness), 0, 0, 0, NULL, NULL, "none",
      "Is it beyond help? When this fails the instance is restarted, never many of a service at once.", "{ tcp: true, every: 10s }" },
    PROBE("liveness", liveness, "10s", "2s"),
    FAIL_AFTER("liveness", liveness),
    { "scale", T_GROUP, 0, KEY_LIVE, 0, 0, NULL, NULL, NULL, "How many instances within the range of `instances`.", "{ on: [ cpu: 60% ] }" },
    { "scale.on", T_RULES, S(scale.rules), 0, 0, 0, NULL, NULL, "not scaled",
      "Rules, each a map of one key. Each says how many instances it wants; the largest number counts.", "[ cpu: 60%, in_flight: 8 ]" },
    { "scale.on[].cpu", T_RULE_CPU, 0, 0, 1, 1000, NULL, NULL, NULL,
      "CPU, as a share of what an instance may use (`resources.cpu`, else one core per worker process, else one core), on average over the instances.",
      "60%" },
    { "scale.on[].latency", T_RULE_LATENCY, 0, 0, 1, HOUR, NULL, NULL, NULL,
      "Time at the balancer: queue, connect and response. One of p50, p95, p99. Needs `balance`.", "{ p95: 250ms }" },
    { "scale.on[].in_flight", T_RULE_IN_FLIGHT, 0, 0, 10, 100000000, NULL, NULL, NULL,
      "Requests being answered, per instance. Needs `balance`.", "8" },
    { "scale.on[].queue", T_RULE_QUEUE, 0, 0, 10, 100000000, NULL, NULL, NULL,
      "Requests waiting at the balancer, per instance. Needs `balance`.", "2" },
    { "scale.up", T_GROUP, 0, 0, 0, 0, NULL, NULL, NULL, "How fast it may grow.", "{ limit: 4/15s }" },
    { "scale.up.limit", T_LIMIT, S(scale.up.limit), 0, 0, 0, "100%/15s", NULL, NULL,
      "At most so much more (of the present count, or a number) within so long. One instance per period is always allowed.", "4/15s" },
    { "scale.up.wait", T_DURATION, S(scale.up.wait_ms), 0, 0, DAY, "0s", NULL, NULL, "Only once more have been wanted for so long.", "10s" },
    { "scale.down", T_GROUP, 0, 0, 0, 0, NULL, NULL, NULL, "How fast it may shrink.", "{ wait: 10m }" },
    { "scale.down.limit", T_LIMIT, S(scale.down.limit), 0, 0, 0, "10%/30s", NULL, NULL,
      "At most so much less within so long. One instance per period is always allowed.", "1/1m" },
    { "scale.down.wait", T_DURATION, S(scale.down.wait_ms), 0, 0, DAY, "5m", NULL, NULL,
      "Only once fewer have been wanted for so long; then to the most that was wanted in that time.", "10m" },
    { "restart", T_GROUP, 0, KEY_LIVE, 0, 0, NULL, NULL, NULL, "What happens when an instance exits by itself.", "{ policy: on-failure }" },
    { "restart.policy", T_WORD, S(restart.policy), 0, 0, 0, "always", "always|on-failure|never", NULL,
      "Start it again: always, only after an exit code other than 0 or a signal, or never.", "on-failure" },
    { "restart.delay", T_DURATION, S(restart.delay_ms), 0, 0, HOUR, "100ms", NULL, NULL,
      "Before the first restart; doubled (with jitter) for each further failure in a row.", "1s" },
    { "restart.max_delay", T_DURATION, S(restart.max_delay_ms), 0, 0, DAY, "30s", NULL, NULL, "Never longer than this.", "1m" },
    { "restart.limit", T_RESTART_LIMIT, S(restart.limit_n), 0, 1, 100000, "10 in 5m", NULL, NULL,
      "More exits than that within so long: the instance is `failed`. It says so, and is still tried again, slowly.", "5 in 1m" },
    { "stop", T_GROUP, 0, KEY_LIVE, 0, 0, NULL, NULL, NULL, "How an instance is stopped.", "{ signal: INT, timeout: 10s }" },
    { "stop.signal", T_SIGNAL, S(stop.signal), 0, 0, 0, "TERM", NULL, NULL, "The signal to its main process.", "INT" },
    { "stop.drain", T_DURATION, S(stop.drain_ms), 0, 0, DAY, "30s", NULL, NULL,
      "Before the signal: out of the balancer, and at most so long for the requests in flight.", "5s" },
    { "stop.timeout", T_DURATION_OR_NEVER, S(stop.timeout_ms), 0, 0, DAY, "30s", NULL, NULL,
      "After the signal: so long to exit, then all that it started is killed. `never`: for workers that must finish.", "never" },
    { "resources", T_GROUP, 0, 0, 0, 0, NULL, NULL, NULL, "What one instance, all of its processes together, may use.", "{ memory: 512M }" },
    { "resources.cpu", T_NUMBER, S(resources.cpu), 0, 10, 1024000, NULL, NULL, "no limit", "Cores.", "1.5" },
    { "resources.memory", T_SIZE, S(resources.memory_bytes), 0, MIB, 64 * TIB, NULL, NULL, "no limit", "Memory.", "512M" },
    { "resources.files", T_COUNT, S(resources.files), 0, 16, 1 << 30, NULL, NULL, "as muster has it", "Open files, of each process.", "65536" },
    { "resources.tasks", T_COUNT, S(resources.tasks), 0, 1, 1 << 22, NULL, NULL, "no limit", "Processes and threads.", "512" },
    { "deploy", T_GROUP, 0, KEY_LIVE, 0, 0, NULL, NULL, NULL,
      "How a new revision replaces the old one: a few at a time. One that does not become healthy pauses there, and the old one keeps serving.",
      "{ surge: 25% }" },
    { "deploy.strategy", T_WORD, 0, KEY_UNSTORED, 0, 0, "rolling", "rolling", NULL, "There is but this one.", "rolling" },
    { "deploy.surge", T_AMOUNT, S(deploy.surge), 0, 0, INSTANCES_MAX, "1", NULL, NULL,
      "So many more than wanted may run meanwhile: a number, or a percentage (rounded up). With a fixed `port` it is 0.", "25%" },
    { "deploy.unavailable", T_AMOUNT, S(deploy.unavailable), 0, 0, INSTANCES_MAX, "0", NULL, NULL,
      "So many fewer than wanted may be ready meanwhile: a number, or a percentage (rounded down). With a fixed `port` it is 1.", "1" },
    { "deploy.healthy_for", T_DURATION, S(deploy.healthy_for_ms), 0, 0, DAY, "10s", NULL, NULL, "A new instance counts once it has been ready so long.", "30s" },
    { "after", T_NAMES, S(after), KEY_LIVE, 0, 0, NULL, NULL, "at once", "Services that must be ready before this one is started.", "[postgres]" },
    { "hooks", T_GROUP, 0, 0, 0, 0, NULL, NULL, NULL, "Commands at points of an instance's life.", "{ before_start: { run: [./migrate] } }" },
    HOOK("before_start", HOOK_BEFORE_START, "Before the command is started; if it fails, that start has failed."),
    HOOK("after_ready", HOOK_AFTER_READY, "Once the instance is ready for the first time; a failure is told and changes nothing."),
    HOOK("before_stop", HOOK_BEFORE_STOP, "After the drain, before the stop signal; a failure is told and changes nothing."),
    { "log", T_GROUP, 0, KEY_LIVE, 0, 0, NULL, NULL, NULL, "What instances print, both streams, one file each.", "{ max_size: 16M }" },
    { "log.to", T_WORD, 0, KEY_UNSTORED, 0, 0, "file", "file", NULL, "There is but this one: rotated files in the state folder.", "file" },
    { "log.max_size", T_SIZE, S(log.max_size), 0, 4 * KIB, TIB, "64M", NULL, NULL, "A file is rotated at this size.", "16M" },
    { "log.keep", T_WHOLE, S(log.keep), 0, 1, 1000, "5", NULL, NULL, "So many files an instance, the present one included.", "3" },
    { "log.timestamps", T_BOOL, S(log.timestamps), 0, 0, 0, "true", NULL, NULL, "The time in front of each line.", "false" },
    { "balance", T_BALANCE, S(balance), KEY_LIVE, 0, 0, NULL, NULL, "not balanced",
      "Behind which balancer: its name, or a map.", "edge" },
    { "balance.with", T_NAME, S(balance.with), KEY_REQUIRED, 0, 0, NULL, NULL, NULL, "The balancer's name.", "edge" },
    { "balance.hosts", T_HOSTS, S(balance.hosts), 0, 0, 0, NULL, NULL, "any", "Only requests for these host names.", "[api.example.com]" },
    { "balance.path", T_URL_PATH, S(balance.path), 0, 0, 0, NULL, NULL, "`/`, which is all", "Only requests at or below this path; the longest that fits wins.", "/v1" },
    { "balance.retry", T_RETRY, S(balance.retry), 0, 0, 0, "idempotent", NULL, NULL,
      "`idempotent`: a GET (HEAD, PUT, DELETE, OPTIONS) that got no answer is sent once more, to another instance. `none`: nothing is.", "none" },
};

static const struct schema_key BALANCER_KEYS[] = {
    { "haproxy", T_GROUP, 0, KEY_REQUIRED, 0, 0, NULL, NULL, NULL, "An HAProxy that muster runs.", "{ listen: \":8080\" }" },
    { "haproxy.listen", T_LISTEN, B(listen_host), KEY_REQUIRED, 1, 65535, NULL, NULL, NULL, "Where it listens: a port, or a numeric address and a port.",
      "\"127.0.0.1:8080\"" },
    { "haproxy.tls", T_PATH, B(tls), 0, 0, 0, NULL, NULL, "plain HTTP", "A PEM file with the certificate (and chain) and its key: HTTPS.", "/etc/muster/edge.pem" },
    { "haproxy.raw", T_TEXT, B(raw), 0, 0, 64 * KIB, NULL, NULL, "nothing", "Lines of HAProxy's own configuration, put at the end of its frontend section.",
      "\"http-response set-header X-Served-By muster\"" },
    { "haproxy.queue_timeout", T_DURATION, B(queue_timeout_ms), 0, 10, HOUR, "5s", NULL, NULL,
      "A request that waits longer for a free instance gets 503.", "2s" },
};

const struct schema SERVICE_SCHEMA = { SERVICE_KEYS, ARRAY_LEN(SERVICE_KEYS), sizeof(struct service_spec), "services" };
const struct schema BALANCER_SCHEMA = { BALANCER_KEYS, ARRAY_LEN(BALANCER_KEYS), sizeof(struct balancer_spec), "balancers" };
_Static_assert(ARRAY_LEN(SERVICE_KEYS) <= SCHEMA_KEYS_MAX, "raise SCHEMA_KEYS_MAX");

const struct schema_key *schema_find(const struct schema *s, const char *path)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->keys[i].path, path) == 0)
            return &s->keys[i];
    return NULL;
}

const char *schema_last(const struct schema_key *k)
{
    const char *dot = strrchr(k->path, '.');
    return dot ? dot + 1 : k->path;
}

bool schema_is_child(const struct schema_key *k, const char *group)
{
    size_t n = strlen(group);
    if (n == 0)
        return !strchr(k->path, '.');
    return strncmp(k->path, group, n) == 0 && k->path[n] == '.' && !strchr(k->path + n + 1, '.');
}

const struct schema_key *schema_child(const struct schema *s, const char *group, const char *name, size_t len)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct schema_key *k = &s->keys[i];
        if (schema_is_child(k, group) && strlen(schema_last(k)) == len && memcmp(schema_last(k), name, len) == 0)
            return k;
    }
    return NULL;
}

const struct schema_codec *schema_codec(enum schema_type t)
{
    static const struct schema_codec *const SETS[] = { SCHEMA_SCALARS, SCHEMA_SPECIALS, SCHEMA_LISTS, SCHEMA_SCALING };
    for (size_t i = 0; i < ARRAY_LEN(SETS); i++)
        if (SETS[i][t].noun)
            return &SETS[i][t];
    abort();                            /* a type without a codec */
}
