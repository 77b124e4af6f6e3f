/* config_doc.c - docs/CONFIG.md from the table of keys. See schema.h. */
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/strbuf.h"
#include "model/agent_config.h"
#include "model/schema.h"

static const char INTRO[] =
    "# Configuration\n"
    "\n"
    "<!-- Made by `make docs/CONFIG.md` from the table in model/schema.c, which is also what reads the file. Do not edit. -->\n"
    "\n"
    "One YAML file says what should run; a folder of `*.yaml` files is read as one. `musterctl check FILE` tells all that is wrong with it, each as\n"
    "`file:line:column: path: what is wrong, what was expected`, and nothing is applied unless all is right. This much is enough for an API behind a balancer:\n"
    "\n"
    "```yaml\n"
    "services:\n"
    "  api:\n"
    "    command: gunicorn --bind ${HOST}:${PORT} app:app\n"
    "    instances: { min: 2, max: 6 }\n"
    "    health: { readiness: { http: /healthz } }\n"
    "    scale: { on: [ cpu: 60% ] }\n"
    "    balance: edge\n"
    "balancers: { edge: { haproxy: { listen: \":8080\" } } }\n"
    "```\n"
    "\n"
    "Names of services and balancers are small letters, digits and `-`, a letter first, at most 40.\n"
    "\n"
    "## How values are written\n"
    "\n"
    "| kind | forms |\n"
    "| --- | --- |\n"
    "| duration | `500ms` `10s` `1.5s` `5m` `1h` `2d`; a unit is always needed |\n"
    "| size | `64K` `512M` `2G` `1T` (powers of 1024), or plain bytes |\n"
    "| percentage | `60%` |\n"
    "| number | `8`, without sign and leading zeros |\n"
    "| switch | `true` or `false`, and no other word |\n"
    "| list | `[a, b]`, or `- a` lines |\n"
    "\n"
    "The key decides the type, never the look of the value: `no` is the text \"no\" where a text is wanted and an error where a switch is; `012` and `1:20` are\n"
    "never turned into other numbers; quotes change nothing but what YAML needs them for. Within `{ }` and `[ ]` a word with any of `{}[],` in it wants quotes:\n"
    "`[gunicorn, --bind, \"${HOST}:${PORT}\"]`.\n"
    "\n"
    "Unknown keys, a key twice, anchors and aliases, merge keys, tags and several documents in one file are errors. So are more than 1 MB (all files together),\n"
    "more than 32 levels, 100,000 keys and values, 1,000 services, 100 balancers. A relative path starts at the folder of its file; `~` is not expanded.\n"
    "\n"
    "A change of a key marked with * is applied without restarting anything; a change of another one replaces the service's instances, a few at a time.\n";

static const char EXAMPLE[] =
    "services:\n"
    "  api:\n"
    "    command: gunicorn --bind ${HOST}:${PORT} --workers 2 app:app\n"
    "    directory: /srv/api\n"
    "    user: api\n"
    "    groups: [api]\n"
    "    umask: \"027\"\n"
    "    no_new_privs: true\n"
    "    environment: { APP_ENV: production }\n"
    "    environment_file: /etc/muster/api.env\n"
    "    secrets:\n"
    "      DATABASE_URL: /etc/muster/secrets/api_db\n"
    "      SIGNING_KEY: { file: /etc/muster/secrets/api_key, as: file }\n"
    "    port: auto\n"
    "    concurrency: auto\n"
    "    instances: { min: 2, max: 20 }\n"
    "    health:\n"
    "      startup: { http: /healthz, within: 60s }\n"
    "      readiness: { http: /healthz, every: 1s, timeout: 500ms, fail_after: 3, pass_after: 1 }\n"
    "      liveness: { tcp: true, every: 10s, fail_after: 3 }\n"
    "    scale:\n"
    "      on:\n"
    "        - cpu: 60%\n"
    "        - latency: { p95: 250ms }\n"
    "        - in_flight: 8\n"
    "        - queue: 2\n"
    "      up: { limit: 100%/15s, wait: 0s }\n"
    "      down: { limit: 10%/30s, wait: 5m }\n"
    "    restart: { policy: always, delay: 100ms, max_delay: 30s, limit: 10 in 5m }\n"
    "    stop: { signal: TERM, drain: 30s, timeout: 30s }\n"
    "    resources: { cpu: 1.5, memory: 512M, files: 65536, tasks: 512 }\n"
    "    deploy: { strategy: rolling, surge: 1, unavailable: 0, healthy_for: 10s }\n"
    "    after: [jobs]\n"
    "    hooks:\n"
    "      before_start: { run: [./migrate, --check], timeout: 30s }\n"
    "    log: { to: file, max_size: 64M, keep: 5, timestamps: true }\n"
    "    balance: { with: edge, hosts: [api.example.com], path: /v1, retry: idempotent }\n"
    "  jobs:\n"
    "    command: celery --app tasks worker --concurrency 4\n"
    "    directory: /srv/api\n"
    "    port: none\n"
    "    health: { liveness: { command: [celery, --app, tasks, inspect, ping], every: 1m, timeout: 20s } }\n"
    "    stop: { timeout: never }\n"
    "balancers:\n"
    "  edge:\n"
    "    haproxy:\n"
    "      listen: \":8080\"\n"
    "      tls: /etc/muster/edge.pem\n"
    "      queue_timeout: 5s\n"
    "      raw: |\n"
    "        http-response set-header X-Served-By muster\n";

const char *config_doc_example(void)
{
    return EXAMPLE;
}

/* A cell of a table: a | would end it. */
static void put_cell(struct strbuf *out, const char *s)
{
    for (; *s; s++)
        strbuf_printf(out, *s == '|' ? "\\|" : "%c", *s);
}

static const char *type_word(const struct schema_key *k)
{
    static const char *const WORDS[SCHEMA_TYPE_COUNT] = {
        [T_GROUP] = "map", [T_BOOL] = "switch", [T_WHOLE] = "number", [T_COUNT] = "number", [T_NUMBER] = "number", [T_DURATION] = "duration",
        [T_DURATION_OR_NEVER] = "duration or `never`", [T_SIZE] = "size", [T_TEXT] = "text", [T_PATH] = "path", [T_WORD] = "word", [T_SIGNAL] = "signal",
        [T_UMASK] = "octal digits", [T_ACCOUNT] = "name or number", [T_COMMAND] = "text or list", [T_ACCOUNTS] = "list", [T_USERS] = "list", [T_PATHS] = "list", [T_NAMES] = "list",
        [T_HOSTS] = "list", [T_URL_PATH] = "path in a URL", [T_ENVIRONMENT] = "map of texts", [T_SECRETS] = "map", [T_PORT] = "`auto`, `none` or number",
        [T_CONCURRENCY] = "`auto` or number", [T_INSTANCES] = "number or map", [T_PROBE] = "map or `none`", [T_PROBE_HTTP] = "path in a URL",
        [T_PROBE_TCP] = "`true`", [T_PROBE_COMMAND] = "text or list", [T_PROBE_NOTIFY] = "`true`", [T_RULES] = "list of maps", [T_RULE_CPU] = "percentage",
        [T_RULE_LATENCY] = "map", [T_RULE_IN_FLIGHT] = "number", [T_RULE_QUEUE] = "number", [T_LIMIT] = "amount/duration", [T_AMOUNT] = "number or percentage",
        [T_RESTART_LIMIT] = "number `in` duration", [T_HOOK] = "map or `none`", [T_BALANCE] = "name or map", [T_RETRY] = "`idempotent` or `none`",
        [T_NAME] = "name", [T_LISTEN] = "port or address:port",
    };
    return WORDS[k->type] ? WORDS[k->type] : "?";
}

static void put_type(struct strbuf *out, const struct schema_key *k)
{
    char range[80];
    schema_range_text(k, range, sizeof range);
    if (k->type == T_WORD) {
        cleanup_free char *words = xstrdup(k->words);
        char *save = NULL;
        const char *separator = "";
        for (char *w = strtok_r(words, "|", &save); w; w = strtok_r(NULL, "|", &save), separator = ", ")
            strbuf_printf(out, "%s`%s`", separator, w);
        return;
    }
    put_cell(out, type_word(k));
    if (*range && k->type != T_TEXT)
        strbuf_printf(out, ", %s", range);
}

static void put_default(struct strbuf *out, const struct schema_key *k)
{
    if (k->flags & KEY_REQUIRED)
        strbuf_puts(out, "required");
    else if (k->fallback)
        strbuf_printf(out, "`%s`", k->fallback);
    else if (k->unset)
        put_cell(out, k->unset);
}

static bool is_live(const struct schema *s, const struct schema_key *k)
{
    cleanup_free char *top = xstrndup(k->path, strcspn(k->path, "."));
    const struct schema_key *t = schema_find(s, top);
    return s == &BALANCER_SCHEMA || (s == &SERVICE_SCHEMA && t && (t->flags & KEY_LIVE));
}

static void put_row(struct strbuf *out, const struct schema *s, const struct schema_key *k)
{
    strbuf_printf(out, "| `%s`%s | ", k->path, is_live(s, k) ? " *" : "");
    put_type(out, k);
    strbuf_puts(out, " | ");
    put_default(out, k);
    strbuf_puts(out, " | ");
    put_cell(out, k->meaning);
    strbuf_printf(out, " | `%s: ", schema_last(k));
    put_cell(out, k->example);
    strbuf_puts(out, "` |\n");
}

static void put_table(struct strbuf *out, const struct schema *s)
{
    strbuf_puts(out, "| key | value | default | meaning | example |\n| --- | --- | --- | --- | --- |\n");
    for (size_t i = 0; i < s->n; i++)
        put_row(out, s, &s->keys[i]);
}

static const char NOTES[] =
    "\nWhere `readiness` is not given: a service uses its port if it is balanced, says a `port` itself, has an http or tcp probe, or names `${PORT}` in its command;\n"
    "then a connection to the port must be accepted before it counts as ready. Another service is ready as soon as it runs. A balanced service always has a\n"
    "readiness probe. In a `startup` probe the number of failures does not count, only `within`.\n"
    "\nEach instance finds in its environment: `HOST` and `PORT` (where it should listen; not with `port: none`), `INSTANCE` (such as `api.1`),\n"
    "`NOTIFY_SOCKET`, with a liveness of `notify` also `WATCHDOG_USEC` (its `every`), and what the table above adds. No shell is run: for pipes and the like write `[sh, -c, \"...\"]`.\n";

static const char AGENT[] =
    "\n## A host: agent.yaml\n\n"
    "`/etc/muster/agent.yaml`, read by muster-agent where it is a service of the system (`--config FILE` names another one). It has the last word on its\n"
    "host: the keeper, the only process with root's rights, starts nothing that this does not allow. `muster-agent check FILE` tells what is wrong with\n"
    "one. With `musterctl up` there is none: then the service file decides alone. [SECURITY.md](SECURITY.md) says what it protects from.\n\n";

char *config_doc(void)
{
    struct strbuf out = STRBUF_INIT;
    strbuf_puts(&out, INTRO);
    strbuf_puts(&out, "\n## A service\n\nEach is `services: { NAME: { ... } }`. `a.b` stands for `a: { b: ... }`.\n\n");
    put_table(&out, &SERVICE_SCHEMA);
    strbuf_puts(&out, NOTES);
    strbuf_puts(&out, "\n## A balancer\n\nEach is `balancers: { NAME: { ... } }`. A change restarts no instance.\n\n");
    put_table(&out, &BALANCER_SCHEMA);
    strbuf_puts(&out, AGENT);
    put_table(&out, &AGENT_SCHEMA);
    strbuf_puts(&out, "\n## All of it\n\nA whole service file:\n\n```yaml\n");
    strbuf_puts(&out, EXAMPLE);
    strbuf_puts(&out, "```\n");
    return strbuf_take(&out);
}
