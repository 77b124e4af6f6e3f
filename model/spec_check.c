/* spec_check.c - what must fit within one service. See draft.h. Each rule is one function and says what to write instead. */
#include <string.h>
#include "base/cleanup.h"
#include "base/num.h"
#include "model/draft.h"

static bool was_seen(const struct draft_service *s, const char *key)
{
    return draft_seen(&s->at, key) != NULL;
}

static void check_instances(struct draft *d, const struct draft_service *s)
{
    const struct service_spec *spec = &s->spec;
    if (spec->fixed || spec->max == 0)
        return;                         /* max 0: it was missing or wrong, and has been told */
    if (spec->min > spec->max)
        draft_complain(d, &s->at, "instances.min", "min %u is more than max %u", spec->min, spec->max);
}

static void check_fixed_port(struct draft *d, const struct draft_service *s)
{
    const struct service_spec *spec = &s->spec;
    if (spec->port_kind != PORT_FIXED)
        return;
    if (spec->max > 1)
        draft_complain(d, &s->at, "port", "port %u can be used by one instance only, and there may be %u: expected port: auto, or instances: 1",
                       spec->port, spec->max);
    if (was_seen(s, "deploy.surge") && spec->deploy.surge.value > 0)
        draft_complain(d, &s->at, "deploy.surge", "with a fixed port the new instance cannot run beside the old one: expected surge: 0, or port: auto");
    if (was_seen(s, "deploy.unavailable") && spec->deploy.unavailable.value <= 0)
        draft_complain(d, &s->at, "deploy.unavailable", "with a fixed port the old instance must go first: expected unavailable: 1, or port: auto");
}

static void check_deploy(struct draft *d, const struct draft_service *s)
{
    const struct service_spec *spec = &s->spec;
    if (spec->port_kind != PORT_FIXED && spec->deploy.surge.value <= 0 && spec->deploy.unavailable.value <= 0)
        draft_complain(d, &s->at, was_seen(s, "deploy.surge") ? "deploy.surge" : "deploy.unavailable",
                       "surge and unavailable are both 0, so nothing could ever be replaced: expected one of them to be at least 1");
}

/* --- probes ------------------------------------------------------------------------------------------- */
static void check_probe(struct draft *d, const struct draft_service *s, const char *key, const struct probe_spec *p)
{
    if (s->spec.port_kind == PORT_NONE && (p->kind == PROBE_HTTP || p->kind == PROBE_TCP))
        draft_complain(d, &s->at, key, "an http or tcp probe needs a port, and `port` is none: expected port: auto, or a command or notify probe");
    char path[64];
    fixed_printf(path, "%s.command", key);
    if (p->kind == PROBE_COMMAND && p->command.n)
        spec_check_command(d, s, path, &p->command);
}

static void check_health(struct draft *d, const struct draft_service *s)
{
    const struct service_spec *spec = &s->spec;
    check_probe(d, s, "health.startup", &spec->health.startup);
    check_probe(d, s, "health.readiness", &spec->health.readiness);
    check_probe(d, s, "health.liveness", &spec->health.liveness);
    const struct yaml_node *n = draft_seen(&s->at, "health.readiness");
    if (was_seen(s, "balance") && n && n->kind == YAML_SCALAR && spec->health.readiness.kind == PROBE_NONE && strcmp(n->text, "none") == 0)
        draft_complain(d, &s->at, "health.readiness", "a balanced service needs a readiness probe, for nothing gets traffic before it has passed");
}

/* --- scaling -------------------------------------------------------------------------------------------- */
static const char *const METRIC_WORDS[] = { [SCALE_CPU] = "cpu", [SCALE_LATENCY] = "latency", [SCALE_IN_FLIGHT] = "in_flight", [SCALE_QUEUE] = "queue" };

static void check_rules(struct draft *d, const struct draft_service *s)
{
    const struct scale_spec *scale = &s->spec.scale;
    for (size_t i = 0; i < scale->rule_n; i++) {
        const struct scale_rule *r = &scale->rules[i];
        if (r->metric != SCALE_CPU && !was_seen(s, "balance"))
            draft_complain(d, &s->at, "scale.on", "%s is measured at the balancer: expected `balance` as well", METRIC_WORDS[r->metric]);
        for (size_t j = 0; j < i; j++)
            if (scale->rules[j].metric == r->metric && scale->rules[j].quantile == r->quantile)
                draft_complain(d, &s->at, "scale.on", "%s is there twice", METRIC_WORDS[r->metric]);
    }
    if (scale->rule_n && s->spec.fixed)
        draft_complain(d, &s->at, "instances", "with a plain number there is nothing to scale: expected a range such as { min: %u, max: %u }", s->spec.min,
                       MIN_OF(s->spec.min * 3, (uint32_t)INSTANCES_MAX));
}

/* --- the rest ----------------------------------------------------------------------------------------------- */
static void check_restart(struct draft *d, const struct draft_service *s)
{
    char delay[32], max[32];
    if (s->spec.restart.delay_ms <= s->spec.restart.max_delay_ms)
        return;
    num_format_duration(s->spec.restart.delay_ms, delay, sizeof delay);
    num_format_duration(s->spec.restart.max_delay_ms, max, sizeof max);
    draft_complain(d, &s->at, was_seen(s, "restart.max_delay") ? "restart.max_delay" : "restart.delay", "delay %s is more than max_delay %s", delay, max);
}

static void check_environment(struct draft *d, const struct draft_service *s)
{
    const struct service_spec *spec = &s->spec;
    for (size_t i = 0; i < spec->environment.n; i++) {
        const char *key = spec->environment.v[i].key;
        bool port = strcmp(key, "PORT") == 0;
        if (spec->port_kind != PORT_NONE && (port || strcmp(key, "HOST") == 0))
            draft_complain_in(d, &s->at, "environment", key, "muster sets it for each instance, so it cannot be set here%s",
                              port ? "; expected e.g. port: 8000, or port: none" : "");
        for (size_t j = 0; j < spec->secret_n; j++)
            if (strcmp(key, spec->secrets[j].name) == 0)
                draft_complain_in(d, &s->at, "secrets", key, "it is in `environment` too");
    }
    spec_check_environment(d, s);
}

static void check_commands(struct draft *d, const struct draft_service *s)
{
    static const char *const HOOK_KEYS[HOOK_COUNT] = { "hooks.before_start.run", "hooks.after_ready.run", "hooks.before_stop.run" };
    if (s->spec.command.n)
        spec_check_command(d, s, "command", &s->spec.command);
    for (int i = 0; i < HOOK_COUNT; i++)
        if (s->spec.hooks[i].run.n)
            spec_check_command(d, s, HOOK_KEYS[i], &s->spec.hooks[i].run);
}

static void check_balance(struct draft *d, const struct draft_service *s)
{
    if (was_seen(s, "balance") && s->spec.port_kind == PORT_NONE)
        draft_complain(d, &s->at, "port", "a balanced service needs a port, and `port` is none: expected port: auto");
}

void spec_check(struct draft *d, const struct draft_service *s)
{
    check_instances(d, s);
    check_fixed_port(d, s);
    check_deploy(d, s);
    check_health(d, s);
    check_rules(d, s);
    check_restart(d, s);
    check_environment(d, s);
    check_commands(d, s);
    check_balance(d, s);
}
