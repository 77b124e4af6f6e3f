/* What is wrong is told: where, which key, what was expected. Each row is a file and the lines that it must give, whole. */
#include "tests/unit/config_rig.h"
#include "model/problems.h"
#include "model/suggest.h"

struct row { const char *text, *want; };

/* Lines in `want`, without the file's name in front. */
static void check_rows(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        cleanup_free char *got = rig_parse(rows[i].text, NULL);
        cleanup_strbuf struct strbuf want = STRBUF_INIT;
        for (const char *s = rows[i].want; *s;) {
            size_t len = strcspn(s, "\n");
            strbuf_printf(&want, "m.yaml:%.*s\n", (int)len, s);
            s += len + (s[len] == '\n');
        }
        if (strcmp(got, strbuf_str(&want)) != 0)
            fail_msg("\n%s\n--- gave:\n%s--- wanted:\n%s", rows[i].text, got, strbuf_str(&want));
    }
}

/* One key of a service in an else right file: `KEY: VALUE` and what is said behind "m.yaml:". */
struct key_row { const char *keys, *want; };

static void check_keys(const struct key_row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        cleanup_free char *text = xasprintf("services:\n  a:\n    command: x\n    %s\n", rows[i].keys);
        const struct row row = { text, rows[i].want };
        check_rows(&row, 1);
    }
}
#define CHECK_ROWS(rows) check_rows(rows, ARRAY_LEN(rows))
#define CHECK_KEYS(rows) check_keys(rows, ARRAY_LEN(rows))

static void test_types(void **state)
{
    (void)state;
    static const struct key_row ROWS[] = {
        { "health: { readiness: { http: /x, every: 5 } }", "4:45: services.a.health.readiness.every: \"5\" is not a duration, expected e.g. 500ms, 10s, 5m" },
        { "health: { readiness: { http: /x, every: 5 s } }", "4:45: services.a.health.readiness.every: \"5 s\" is not a duration, expected e.g. 500ms, 10s, 5m" },
        { "health: { readiness: { http: /x, every: 1:20 } }", "4:45: services.a.health.readiness.every: \"1:20\" is not a duration, expected e.g. 500ms, 10s, 5m" },
        { "health: { readiness: { http: /x, every: 0s } }", "4:45: services.a.health.readiness.every: \"0s\" is out of range, expected 10ms to 1h" },
        { "health: { readiness: { http: /x, every: [1s] } }", "4:45: services.a.health.readiness.every: a list is not a duration, expected e.g. 500ms, 10s, 5m" },
        { "health: { readiness: { http: /x, every: } }", "4:45: services.a.health.readiness.every: nothing is not a duration, expected e.g. 500ms, 10s, 5m" },
        { "health: { readiness: { http: /x, every: -1s } }", "4:45: services.a.health.readiness.every: \"-1s\" is not a duration, expected e.g. 500ms, 10s, 5m" },
        { "health: { readiness: { http: /x, every: 99999999999999999999s } }", "4:45: services.a.health.readiness.every: \"99999999999999999999s\" is out of range, expected 10ms to 1h" },
        { "health: { readiness: { http: /x, fail_after: 1.5 } }", "4:50: services.a.health.readiness.fail_after: \"1.5\" is not a whole number, expected 1 to 100" },
        { "health: { readiness: { http: x } }", "4:34: services.a.health.readiness.http: \"x\" is not a path in a URL, expected e.g. /healthz" },
        { "health: { readiness: { http: \"/a b\" } }", "4:34: services.a.health.readiness.http: \"/a b\" is not a path in a URL, expected e.g. /healthz" },
        { "health: { readiness: { http: \"/a\\r\\nX: y\" } }", "4:34: services.a.health.readiness.http: \"/a\\x0d\\x0aX: y\" is not a path in a URL, expected e.g. /healthz" },
        { "health: { readiness: { tcp: yes } }", "4:33: services.a.health.readiness.tcp: \"yes\" is not a choice, expected true (or leave it out)" },
        { "health: { readiness: { every: 1s } }", "4:26: services.a.health.readiness: what is probed is missing, expected one of http, tcp, command, notify" },
        { "health: { readiness: { http: /x, tcp: true } }", "4:43: services.a.health.readiness.tcp: a probe is exactly one of http, tcp, command, notify, and there is one already" },
        { "health: { readiness: /x }", "4:26: services.a.health.readiness: \"/x\" is not a probe, expected a map such as { http: /healthz }, or none" },
        { "health: [readiness]", "4:13: services.a.health: a list is not a map, expected keys such as startup, readiness, liveness" },
        { "no_new_privs: no", "4:19: services.a.no_new_privs: \"no\" is not a switch, expected true or false" },
        { "no_new_privs: True", "4:19: services.a.no_new_privs: \"True\" is not a switch, expected true or false" },
        { "umask: 18", "4:12: services.a.umask: \"18\" is not a file mode mask, expected three or four octal digits such as \"027\"" },
        { "umask: 0o27", "4:12: services.a.umask: \"0o27\" is not a file mode mask, expected three or four octal digits such as \"027\"" },
        { "umask: 7777", "4:12: services.a.umask: \"7777\" is not a file mode mask, expected three or four octal digits such as \"027\"" },
        { "user: 4000000000", "4:11: services.a.user: \"4000000000\" is not a user or group id, expected a name or 0 to 2147483647" },
        { "user: 99999999999999999999", "4:11: services.a.user: \"99999999999999999999\" is not a user or group id, expected a name or 0 to 2147483647" },
        { "user: -1", "4:11: services.a.user: \"-1\" is not a user or group, expected a name such as api, or a number" },
        { "user: 012", "4:11: services.a.user: \"012\" is not a user or group id, expected a name or 0 to 2147483647" },
        { "groups: [a, 4000000000]", "4:17: services.a.groups[1]: \"4000000000\" is not a user or group id, expected a name or 0 to 2147483647" },
        { "groups: api", "4:13: services.a.groups: \"api\" is not a list, expected a list of groups such as [api, media]" },
        { "groups: [a, a]", "4:17: services.a.groups[1]: \"a\" is in the list twice" },
        { "directory: ~/x", "4:16: services.a.directory: \"~/x\": ~ and variables are not expanded in a path, expected e.g. /srv/api or a path relative to this file" },
        { "directory: { a: b }", "4:16: services.a.directory: a map is not a path, expected e.g. /srv/api, or one relative to this file" },
        { "environment: [A=b]", "4:18: services.a.environment: a list is not a map of variables, expected e.g. { APP_ENV: production }" },
        { "environment: { A: { b: c } }", "4:23: services.a.environment.A: a map is not a text, expected a value (write \"\" for an empty one)" },
        { "environment: { A-B: c }", "4:20: services.a.environment.A-B: \"A-B\" is not a variable's name, expected letters, digits and _, e.g. APP_ENV" },
        { "environment: { NOTIFY_SOCKET: c }", "4:20: services.a.environment.NOTIFY_SOCKET: NOTIFY_SOCKET cannot be set here: muster sets it for each instance" },
        { "environment: { PORT: 80 }", "4:26: services.a.environment.PORT: muster sets it for each instance, so it cannot be set here; expected e.g. port: 8000, or port: none" },
        { "environment: { A: \"${B}\", B: x }", "4:23: services.a.environment.A: ${B} is not known yet: what is put in must stand further up in `environment`" },
        { "secrets: { A: /x, B: { file: /y, as: env } }", "4:42: services.a.secrets.B.as: \"env\" is unknown here, expected one of both, file, variable" },
        { "secrets: { A: { as: file } }", "4:19: services.a.secrets.A: `file` is missing, expected e.g. file: /etc/muster/secrets/api_db" },
        { "stop: { signal: TREM }", "4:21: services.a.stop.signal: \"TREM\" is not a signal, expected e.g. TERM, INT, QUIT; did you mean TERM?" },
        { "stop: { signal: 99 }", "4:21: services.a.stop.signal: \"99\" is not a signal, expected e.g. TERM, INT, QUIT" },
        { "stop: { timeout: nver }", "4:22: services.a.stop.timeout: \"nver\" is not a duration, expected e.g. 10s, 5m, never" },
        { "stop: { drain: never }", "4:20: services.a.stop.drain: \"never\" is not a duration, expected e.g. 500ms, 10s, 5m" },
        { "restart: { policy: alwasy }", "4:24: services.a.restart.policy: \"alwasy\" is unknown here, expected one of always, on-failure, never; did you mean always?" },
        { "restart: { limit: 10/5m }", "4:23: services.a.restart.limit: \"10/5m\" is not a limit of restarts, expected e.g. 10 in 5m" },
        { "restart: { limit: 0 in 5m }", "4:23: services.a.restart.limit: \"0 in 5m\" is out of range, expected 1 to 100000 in 1s to 1d" },
        { "restart: { delay: 10s, max_delay: 1s }", "4:39: services.a.restart.max_delay: delay 10s is more than max_delay 1s" },
        { "resources: { memory: 512X }", "4:26: services.a.resources.memory: \"512X\" is not a size, expected e.g. 64K, 512M, 2G" },
        { "resources: { memory: 1K }", "4:26: services.a.resources.memory: \"1K\" is out of range, expected 1M to 64T" },
        { "resources: { cpu: -1 }", "4:23: services.a.resources.cpu: \"-1\" is not a number, expected 0.01 to 1024" },
        { "resources: { cpu: 50% }", "4:23: services.a.resources.cpu: \"50%\" is not a number, expected 0.01 to 1024" },
        { "resources: { files: 64K }", "4:25: services.a.resources.files: \"64K\" is not a whole number, expected 16 to 1073741824" },
        { "deploy: { surge: 101% }", "4:22: services.a.deploy.surge: \"101%\" is out of range, expected 0% to 100%, or 0 to 4000" },
        { "deploy: { surge: 0 }", "4:22: services.a.deploy.surge: surge and unavailable are both 0, so nothing could ever be replaced: expected one of them to be at least 1" },
        { "deploy: { strategy: canary }", "4:25: services.a.deploy.strategy: \"canary\" is unknown here, expected rolling" },
        { "log: { to: journal }", "4:16: services.a.log.to: \"journal\" is unknown here, expected file" },
        { "log: { keep: 0 }", "4:18: services.a.log.keep: \"0\" is out of range, expected 1 to 1000" },
        { "hooks: { before_start: ./x }", "4:28: services.a.hooks.before_start: \"./x\" is not a hook, expected a map such as { run: [./migrate], timeout: 30s }" },
        { "hooks: { before_start: { timeout: 5s } }", "4:28: services.a.hooks.before_start: `run` is missing, expected e.g. run: [./warm-up, --all]" },
        { "concurrency: 9022:22", "4:18: services.a.concurrency: \"9022:22\" is not a number of requests, expected auto or 1 to 100000" },
        { "concurrency: 0", "4:18: services.a.concurrency: \"0\" is out of range, expected 1 to 100000" },
    };
    CHECK_KEYS(ROWS);
}

static void test_numbers(void **state)
{
    (void)state;
    static const struct key_row ROWS[] = {
        { "port: 012", "4:11: services.a.port: \"012\" is not a port, expected auto, none or 1 to 65535, without leading zeros" },
        { "port: 1:20", "4:11: services.a.port: \"1:20\" is not a port, expected auto, none or 1 to 65535" },
        { "port: 9022:22", "4:11: services.a.port: \"9022:22\" is not a port, expected auto, none or 1 to 65535" },
        { "port: 0", "4:11: services.a.port: \"0\" is out of range, expected 1 to 65535" },
        { "port: 65536", "4:11: services.a.port: \"65536\" is out of range, expected 1 to 65535" },
        { "port: no", "4:11: services.a.port: \"no\" is not a port, expected auto, none or 1 to 65535" },
        { "port: 0x50", "4:11: services.a.port: \"0x50\" is not a port, expected auto, none or 1 to 65535" },
        { "instances: -1", "4:16: services.a.instances: \"-1\" is not a number of instances, expected 1 to 4000, or a range such as { min: 2, max: 6 }" },
        { "instances: 0", "4:16: services.a.instances: \"0\" is out of range, expected 1 to 4000" },
        { "instances: 1.5", "4:16: services.a.instances: \"1.5\" is not a number of instances, expected 1 to 4000, or a range such as { min: 2, max: 6 }" },
        { "instances: 012", "4:16: services.a.instances: \"012\" is not a number of instances, expected 1 to 4000, or a range such as { min: 2, max: 6 }, without leading zeros" },
        { "instances: 5000", "4:16: services.a.instances: \"5000\" is out of range, expected 1 to 4000" },
        { "instances: [2, 6]", "4:16: services.a.instances: a list is not a number of instances, expected 1 to 4000, or a range such as { min: 2, max: 6 }" },
        { "instances: { min: 6, max: 2 }", "4:23: services.a.instances.min: min 6 is more than max 2" },
        { "instances: { min: -2, max: 2 }", "4:23: services.a.instances.min: \"-2\" is not a whole number, expected 1 to 4000" },
        { "instances: { min: 2 }", "4:16: services.a.instances: `max` is missing, expected e.g. max: 6" },
        { "instances: { min: 1, mx: 2 }", "4:26: services.a.instances.mx: unknown key \"mx\", did you mean max?" },
    };
    CHECK_KEYS(ROWS);
}

static void test_scale(void **state)
{
    (void)state;
    static const struct row ROWS[] = {
        { "services:\n  a:\n    command: x\n    instances: 3\n    scale: { on: [ cpu: 60% ] }\n",
          "4:16: services.a.instances: with a plain number there is nothing to scale: expected a range such as { min: 3, max: 9 }" },
        { "services:\n  a:\n    command: x\n    instances: { max: 3 }\n    scale: { on: [ cpu: 60, cpu: 0%, cpu: 70%, cpu: 60% ] }\n",
          "5:18: services.a.scale.on: cpu is there twice\n"
          "5:25: services.a.scale.on[0].cpu: \"60\" is not a percentage, expected e.g. 60%\n"
          "5:34: services.a.scale.on[1].cpu: \"0%\" is out of range, expected 1% to 1000%" },
        { "services:\n  a:\n    command: x\n    instances: { max: 3 }\n    scale: { on: [ latency: { p90: 250ms }, latency: 5ms, queue: 2, memory: 5, { cpu: 1%, queue: 2 }, cpu ] }\n",
          "5:18: services.a.scale.on: queue is measured at the balancer: expected `balance` as well\n"
          "5:31: services.a.scale.on[0].latency: unknown quantile \"p90\", expected one of p50, p95, p99\n"
          "5:54: services.a.scale.on[1].latency: \"5ms\" is not a latency, expected a map of one key such as { p95: 250ms }\n"
          "5:69: services.a.scale.on[3].memory: unknown key \"memory\" here, it belongs to resources\n"
          "5:80: services.a.scale.on[4]: a map is not a rule, expected a map of one key, one of cpu: 60%, latency: { p95: 250ms }, in_flight: 8, queue: 2 (in a list: [ cpu: 60% ])\n"
          "5:103: services.a.scale.on[5]: \"cpu\" is not a rule, expected a map of one key, one of cpu: 60%, latency: { p95: 250ms }, in_flight: 8, queue: 2 (in a list: [ cpu: 60% ])" },
        { "services:\n  a:\n    command: x\n    scale: { on: { cpu: 60% }, up: { limit: 4 }, down: { limit: 0/15s, wait: 5 } }\n",
          "4:18: services.a.scale.on: a map is not a list of rules, expected one of cpu: 60%, latency: { p95: 250ms }, in_flight: 8, queue: 2 (in a list: [ cpu: 60% ])\n"
          "4:45: services.a.scale.up.limit: \"4\" is not a limit per period, expected e.g. 100%/15s, 4/15s\n"
          "4:65: services.a.scale.down.limit: \"0\" is out of range, expected 1% to 10000%, or 1 to 4000, in front of the /\n"
          "4:78: services.a.scale.down.wait: \"5\" is not a duration, expected e.g. 500ms, 10s, 5m" },
    };
    CHECK_ROWS(ROWS);
}

static void test_commands(void **state)
{
    (void)state;
    static const struct row ROWS[] = {
        { "services:\n  a:\n    user: api\n", "2:3: services.a: `command` is missing, expected e.g. command: gunicorn --bind ${HOST}:${PORT} app:app" },
        { "services:\n  a:\n", "2:3: services.a: `command` is missing, expected e.g. command: gunicorn --bind ${HOST}:${PORT} app:app" },
        { "services:\n  a:\n    comand: x\n", "3:5: services.a.comand: unknown key \"comand\", did you mean command?" },
        { "services: { a: { command: \"\" } }\n", "1:27: services.a.command: \"\" is not a command, expected e.g. gunicorn app:app, or a list such as [gunicorn, \"app:app\"]" },
        { "services: { a: { command: [] } }\n", "1:27: services.a.command: the command is empty, expected e.g. gunicorn app:app, or a list such as [gunicorn, \"app:app\"]" },
        { "services: { a: { command: [a, [b]] } }\n", "1:31: services.a.command: a list is not a word of a command, expected a text (write \"\" for an empty one)" },
        { "services: { a: { command: [a, b: c] } }\n", "1:31: services.a.command: a map is not a word of a command: within [...] a word with { } or `: ` wants quotes, e.g. \"${PORT}\"" },
        { "services: { a: { command: \"a | b\" } }\n", "1:27: services.a.command: not a command: no shell is run, so `|` would do nothing; quote it, or use [sh, -c, \"...\"]" },
        { "services: { a: { command: cd /x && b } }\n", "1:27: services.a.command: not a command: no shell is run, so `&` would do nothing; quote it, or use [sh, -c, \"...\"]" },
        { "services: { a: { command: A=b c } }\n", "1:27: services.a.command: not a command: no shell is run, so NAME=value in front is no variable; put it in `environment`" },
        { "services: { a: { command: a 'b } }\n", "1:27: services.a.command: not a command: a ' is not closed" },
        { "services:\n  a:\n    command: a $(date)\n", "3:14: services.a.command: not a command: no shell is run, so $(...) runs nothing; use [sh, -c, \"...\"]" },
        { "services:\n  a:\n    command: a $PORT\n", "3:14: services.a.command: no shell is run, so $PORT stays as it is: write ${PORT} (or $$PORT to pass it on)" },
        { "services:\n  a:\n    command: a ${PROT}\n",
          "3:14: services.a.command: ${PROT} is not known, expected HOST, PORT, INSTANCE or a name from `environment`; did you mean ${PORT}? (write $${PROT} to pass it on as it is)" },
        { "services:\n  a:\n    command: a ${PORT}\n    port: none\n", "3:14: services.a.command: ${PORT} is not known with `port: none`, expected port: auto" },
        { "services:\n  a:\n    command: a ${DB}\n    secrets: { DB: /x }\n",
          "3:14: services.a.command: ${DB} is a secret, and secrets are never put in: the program finds it in its environment" },
        { "services:\n  a:\n    command: a ${PORT\n", "3:14: services.a.command: a ${ is not closed by }; write $${ to pass it on as it is" },
        { "services:\n  a:\n    command: 'a ${X:-1}'\n", "3:14: services.a.command: ${...} holds no variable's name; write $${ to pass it on as it is" },
        { "services:\n  a:\n    command: x\n    hooks: { before_stop: { run: 'a ${NO}' } }\n",
          "4:34: services.a.hooks.before_stop.run: ${NO} is not known, expected HOST, PORT, INSTANCE or a name from `environment` (write $${NO} to pass it on as it is)" },
    };
    CHECK_ROWS(ROWS);
}

static void test_unknown_keys(void **state)
{
    (void)state;
    static const struct row ROWS[] = {
        { "service: { a: { command: x } }\n", "1:1: service: unknown key \"service\", did you mean services?" },
        { "services: { a: { command: x } }\ncommand: x\n", "2:1: command: unknown key \"command\", expected services or balancers; it belongs to a service: services: { api: { ... } }" },
        { "services: { a: { command: x, every: 1s, min: 2 } }\n",
          "1:30: services.a.every: unknown key \"every\", expected one of command, directory, user, groups, umask, no_new_privs, environment, environment_file, secrets, "
          "port, concurrency, instances, health, scale, restart, stop, resources, deploy, after, hooks, log, balance\n"
          "1:41: services.a.min: unknown key \"min\" here, it belongs to instances" },
        { "services: { a: { command: x, health: { user: api } } }\n",
          "1:40: services.a.health.user: unknown key \"user\" here, it belongs one level up, beside `command`: look at the indentation" },
        { "services: { a: { command: x, health: { startup: { http: /x, fail_after: 3 } } } }\n",
          "1:61: services.a.health.startup.fail_after: unknown key \"fail_after\", expected one of http, tcp, command, notify, every, timeout, pass_after, within" },
        { "services: { a: { command: x, scale: { cpu: 60% } } }\n", "1:39: services.a.scale.cpu: unknown key \"cpu\" here, it belongs to scale.on" },
        { "services: { a: { command: x, health: { http: /x } } }\n", "1:40: services.a.health.http: unknown key \"http\", expected one of startup, readiness, liveness" },
        { "services: { a: { command: x, Command: y } }\n", "1:30: services.a.Command: unknown key \"Command\", did you mean command?" },
        { "services: { a: { command: x, balance: { with: e, tls: x } } }\nbalancers: { e: { haproxy: { listen: 80, lisen: 9 }, nginx: {} } }\n",
          "1:50: services.a.balance.tls: unknown key \"tls\", expected one of with, hosts, path, retry\n"
          "2:42: balancers.e.haproxy.lisen: unknown key \"lisen\", did you mean listen?\n"
          "2:54: balancers.e.nginx: unknown key \"nginx\", expected one of haproxy" },
    };
    CHECK_ROWS(ROWS);
}

/* Keys of later releases are unknown until they are built. */
static void test_later_keys(void **state)
{
    (void)state;
    static const char *const KEYS[] = { "exclusive: true", "socket: 0.0.0.0:80", "budgets: { a: 1 }", "placement: { spread: host }", "canary: { share: 10% }",
                                        "unit: api@.service", "scale: { schedule: [] }", "scale: { objective: {} }", "deploy: { deadline: 10m }",
                                        "deploy: { on_failure: rollback }", "instances: { per_host: 1 }" };
    for (size_t i = 0; i < ARRAY_LEN(KEYS); i++) {
        cleanup_free char *text = xasprintf("services:\n  a:\n    command: x\n    %s\n", KEYS[i]);
        cleanup_free char *got = rig_parse(text, NULL);
        if (!strstr(got, "unknown key"))
            fail_msg("%s was accepted: %s", KEYS[i], got);
    }
}

static void test_between_services(void **state)
{
    (void)state;
    static const struct row ROWS[] = {
        { "services:\n  a: { command: x, after: [b] }\n  b: { command: x, after: [c] }\n  c: { command: x, after: [a] }\n",
          "2:27: services.a.after: a cycle, so none could start: a -> b -> c -> a" },
        { "services:\n  a: { command: x, after: [a] }\n", "2:27: services.a.after: a cycle, so none could start: a -> a" },
        { "services:\n  a: { command: x, after: [bb, zzz] }\n  b: { command: x }\n",
          "2:28: services.a.after: there is no service \"bb\", did you mean b?\n"
          "2:32: services.a.after: there is no service \"zzz\", expected the name of one in this configuration" },
        { "services:\n  a: { command: x, port: 8000 }\n  b: { command: x, port: 8000 }\n", "3:26: services.b.port: port 8000 is also that of services.a" },
        { "services:\n  a: { command: x, port: 8000 }\nbalancers: { e: { haproxy: { listen: 127.0.0.1:8000 } } }\n",
          "3:38: balancers.e.haproxy.listen: port 8000 is also that of services.a" },
        { "services:\n  a: { command: x }\nbalancers:\n  e: { haproxy: { listen: 80 } }\n  f: { haproxy: { listen: 127.0.0.1:80 } }\n",
          "5:27: balancers.f.haproxy.listen: port 80 is also that of balancers.e" },
        { "services:\n  a: { command: x }\nbalancers:\n  e: { haproxy: { listen: 127.0.0.1:80 } }\n  f: { haproxy: { listen: 127.0.0.2:80 } }\n"
          "  g: { haproxy: { listen: 80 } }\n  h: { haproxy: { listen: 127.0.0.2:80 } }\n  i: { haproxy: { listen: 127.0.0.2:81 } }\n",
          "4:27: balancers.e.haproxy.listen: port 80 is also that of balancers.g\n"
          "5:27: balancers.f.haproxy.listen: port 80 is also that of balancers.g\n"
          "7:27: balancers.h.haproxy.listen: port 80 is also that of balancers.g" },
        { "services:\n  a: { command: x }\nbalancers:\n  e: { haproxy: { listen: 127.0.0.1:80 } }\n  f: { haproxy: { listen: 127.0.0.2:80 } }\n"
          "  h: { haproxy: { listen: 127.0.0.2:80 } }\n",
          "6:27: balancers.h.haproxy.listen: port 80 is also that of balancers.f" },
        { "services:\n  a: { command: x, port: 8000, instances: 2 }\n",
          "2:26: services.a.port: port 8000 can be used by one instance only, and there may be 2: expected port: auto, or instances: 1" },
        { "services:\n  a: { command: x, port: 8000, deploy: { surge: 1, unavailable: 0 } }\n",
          "2:49: services.a.deploy.surge: with a fixed port the new instance cannot run beside the old one: expected surge: 0, or port: auto\n"
          "2:65: services.a.deploy.unavailable: with a fixed port the old instance must go first: expected unavailable: 1, or port: auto" },
        { "services:\n  a: { command: x, port: none, health: { readiness: { http: /x } } }\n",
          "2:53: services.a.health.readiness: an http or tcp probe needs a port, and `port` is none: expected port: auto, or a command or notify probe" },
        { "services:\n  a: { command: x, balance: edg }\nbalancers: { edge: { haproxy: { listen: 80 } } }\n",
          "2:29: services.a.balance: there is no balancer \"edg\", did you mean edge?" },
        { "services:\n  a: { command: x, balance: { with: lb } }\n",
          "2:37: services.a.balance.with: there is no balancer \"lb\", expected one such as balancers: { edge: { haproxy: { listen: \":8080\" } } }" },
        { "services:\n  a: { command: x, port: none, balance: e }\nbalancers: { e: { haproxy: { listen: 80 } } }\n",
          "2:26: services.a.port: a balanced service needs a port, and `port` is none: expected port: auto" },
        { "services:\n  a: { command: x, balance: e, health: { readiness: none } }\nbalancers: { e: { haproxy: { listen: 80 } } }\n",
          "2:53: services.a.health.readiness: a balanced service needs a readiness probe, for nothing gets traffic before it has passed" },
        { "services:\n  a: { command: x, balance: e }\n  b: { command: x, balance: { with: e, path: / } }\nbalancers: { e: { haproxy: { listen: 80 } } }\n",
          "3:29: services.b.balance: any host, / at e goes to service a already: expected other `hosts` or another `path`" },
        { "services:\n  a: { command: x, balance: { with: e, hosts: [A.x, b.x], path: /v1 } }\n  b: { command: x, balance: { with: e, hosts: [c.x, a.x], path: /v1/ } }\n"
          "balancers: { e: { haproxy: { listen: 80 } } }\n",
          "3:29: services.b.balance: a.x/v1 at e goes to service a already: expected other `hosts` or another `path`" },
        { "services:\n  A: { command: x }\n  my_api: { command: x }\n  api.1: { command: x }\n",
          "2:3: services.A: \"A\" is not a name, expected small letters, digits and -, a letter first, at most 40, e.g. api\n"
          "3:3: services.my_api: \"my_api\" is not a name, expected small letters, digits and -, a letter first, at most 40, e.g. api\n"
          "4:3: services.api.1: \"api.1\" is not a name, expected small letters, digits and -, a letter first, at most 40, e.g. api" },
        { "services:\n  a: { command: x }\nbalancers: { e: { haproxy: {} }, f: }\n",
          "3:28: balancers.e.haproxy: `listen` is missing, expected e.g. listen: \"127.0.0.1:8080\"\n"
          "3:34: balancers.f: `haproxy` is missing, expected e.g. haproxy: { listen: \":8080\" }" },
        { "services: { a: { command: x } }\nbalancers:\n  e: { haproxy: { listen: localhost:80 } }\n  f: { haproxy: { listen: 99999 } }\n  g: { haproxy: { listen: 081, queue_timeout: 5 } }\n",
          "3:27: balancers.e.haproxy.listen: \"localhost:80\" is not an address to listen at, expected e.g. \":8080\", \"127.0.0.1:8080\", \"[::1]:8080\"\n"
          "4:27: balancers.f.haproxy.listen: the port in \"99999\" is out of range, expected 1 to 65535\n"
          "5:27: balancers.g.haproxy.listen: \"081\" is not an address to listen at, expected e.g. \":8080\", \"127.0.0.1:8080\", \"[::1]:8080\", without leading zeros\n"
          "5:47: balancers.g.haproxy.queue_timeout: \"5\" is not a duration, expected e.g. 500ms, 10s, 5m" },
    };
    CHECK_ROWS(ROWS);
}

static void test_two_files(void **state)
{
    (void)state;
    const struct config_source src[] = { rig_source("b.yaml", "services: { api: { command: x, port: no } }\n"),
                                         rig_source("a.yaml", "services:\n  api: { command: y }\n  w: { command: y, after: [api], x: y }\n") };
    cleanup_free char *got = rig_parse_sources(src, 2, NULL);
    assert_string_equal(got,
        "b.yaml:1:38: services.api.port: \"no\" is not a port, expected auto, none or 1 to 65535\n"
        "a.yaml:2:3: services.api: \"api\" is defined twice, the first is at b.yaml:1:13\n"
        "a.yaml:3:34: services.w.x: unknown key \"x\", expected one of command, directory, user, groups, umask, no_new_privs, environment, environment_file, "
        "secrets, port, concurrency, instances, health, scale, restart, stop, resources, deploy, after, hooks, log, balance\n");
}

/* A hundred are told, and that there are more; what a file holds cannot speak to the terminal. */
static void test_bounds_of_messages(void **state)
{
    (void)state;
    cleanup_strbuf struct strbuf text = STRBUF_INIT;
    strbuf_puts(&text, "services:\n  a:\n    command: x\n    \"\\e[2J\\u009b\": 1\n");
    for (int i = 0; i < 500; i++)
        strbuf_printf(&text, "    key%d: x\n", i);
    cleanup_free char *got = rig_parse(strbuf_str(&text), NULL);
    size_t lines = 0;
    for (const char *s = got; (s = strchr(s, '\n')); s++)
        lines++;
    assert_int_equal(lines, CONFIG_ERRORS_MAX + 1);
    assert_non_null(strstr(got, "... and more: these are the first 100\n"));
    assert_non_null(strstr(got, "m.yaml:4:5: services.a.\\x1b[2J\\xc2\\x9b: unknown key \"\\x1b[2J\\xc2\\x9b\""));
    assert_null(strchr(got, '\x1b'));
    cleanup_free char *longer = xmalloc(3001);
    memset(longer, 'k', 3000);
    longer[3000] = '\0';
    cleanup_free char *with_long = xasprintf("services: { a: { command: x, user: %s!, %s: y } }\n", longer, longer + 2000);
    cleanup_free char *cut = rig_parse(with_long, NULL);
    assert_true(strlen(cut) < 1000);
    assert_non_null(strstr(cut, "kkk...\" is not a user or group"));
}

static void test_quoting(void **state)
{
    (void)state;
    char buf[PROBLEM_QUOTE_SIZE];
    cleanup_strbuf struct strbuf text = STRBUF_INIT;
    for (int i = 0; i < 85; i++)
        strbuf_puts(&text, i == 84 ? "x" : "\xc3\xa4");     /* cut between two bytes of an a-umlaut */
    problem_word(strbuf_str(&text), buf);
    size_t len = strlen(buf);
    assert_true(len < PROBLEM_QUOTE_SIZE && strcmp(buf + len - 5, "\xc3\xa4...") == 0);
    assert_string_equal(problem_quote("a\"\n\x7f", buf), "\"a\"\\x0a\\x7f\"");
    assert_string_equal(problem_quote("", buf), "\"\"");
}

static void test_suggestions(void **state)
{
    (void)state;
    static const struct { const char *a, *b; int distance; } ROWS[] = {
        { "command", "command", 0 }, { "comand", "command", 1 }, { "commnad", "command", 1 }, { "kommando", "command", 2 }, { "", "ab", 2 }, { "x", "", 1 },
        { "port", "health", 3 }, { "abcdef", "fedcba", 3 },
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        assert_int_equal(suggest_distance(ROWS[i].a, ROWS[i].b, 2), ROWS[i].distance);
        assert_int_equal(suggest_distance(ROWS[i].b, ROWS[i].a, 2), ROWS[i].distance);
    }
    struct suggest near = { .word = "prot" };
    suggest_offer(&near, "path");
    suggest_offer(&near, "port");
    suggest_offer(&near, "plot");
    assert_string_equal(near.best, "port");
    struct suggest far = { .word = "ab" };      /* two changes make another word of a word of two letters */
    suggest_offer(&far, "cd");
    assert_null(far.best);
    struct suggest none = { .word = "" };
    suggest_offer(&none, "up");
    assert_null(none.best);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types), cmocka_unit_test(test_numbers), cmocka_unit_test(test_scale), cmocka_unit_test(test_commands),
        cmocka_unit_test(test_unknown_keys), cmocka_unit_test(test_later_keys), cmocka_unit_test(test_between_services),
        cmocka_unit_test(test_two_files), cmocka_unit_test(test_bounds_of_messages), cmocka_unit_test(test_quoting),
        cmocka_unit_test(test_suggestions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
