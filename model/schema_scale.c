/* schema_scale.c - types of scaling and deployment: rules, limits per period, amounts. See schema.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/num.h"
#include "model/schema.h"

enum { RULES_MAX = 8, PERIOD_MIN_MS = 1000, PERIOD_MAX_MS = 24 * 3600 * 1000 };

static void object_text(const struct yaml_node *n, char *buf, size_t size)
{
    fixed_copy(buf, size, n->text);
}

/* --- rules -------------------------------------------------------------------------------------------- */
static int read_rule_cpu(struct reader *r, const struct schema_key *k, const struct yaml_node *n, void *field)
{
    struct scale_rule *rule = field;
    const char *s = reader_scalar(r, k, n);
    double v;
    if (!s)
        return -EINVAL;
    int rc = num_percent(s, &v);
    if (rc == -EINVAL)
        return reader_not(r, k, n);
    if (rc < 0 || v < (double)k->min || v > (double)k->max)
        return reader_range(r, k, n);
    *rule = (struct scale_rule){ .metric = SCALE_CPU, .target = v };
    return 0;
}

static int read_rule_number(struct reader *r, const struct schema_key *k, const struct yaml_node *n, void *field)
{
    struct scale_rule *rule = field;
    double v = 0;
    if (schema_codec(T_NUMBER)->read(r, k, n, &v) < 0)
        return -EINVAL;
    *rule = (struct scale_rule){ .metric = k->type == T_RULE_QUEUE ? SCALE_QUEUE : SCALE_IN_FLIGHT, .target = v };
    return 0;
}

static const struct { const char *name; double quantile; } QUANTILES[] = { { "p50", 0.5 }, { "p95", 0.95 }, { "p99", 0.99 } };

static int read_rule_latency(struct reader *r, const struct schema_key *k, const struct yaml_node *n, void *field)
{
    struct scale_rule *rule = field;
    if (n->kind != YAML_MAPPING || n->n != 2)
        return reader_not(r, k, n);
    const struct yaml_node *key = n->first;
    for (size_t i = 0; i < ARRAY_LEN(QUANTILES) && !key->bad; i++) {
        if (strcmp(key->text, QUANTILES[i].name) != 0)
            continue;
        int64_t ms = 0;
        struct schema_key row = *k;
        row.type = T_DURATION;
        if (reader_value(r, &row, key->next, &ms) < 0)
            return -EINVAL;
        *rule = (struct scale_rule){ .metric = SCALE_LATENCY, .target = (double)ms, .quantile = QUANTILES[i].quantile };
        return 0;
    }
    char what[PROBLEM_QUOTE_SIZE];
    return key->bad ? -EINVAL : reader_complain(r, key, "unknown quantile %s, expected one of p50, p95, p99", problem_quote(key->text, what));
}

static int read_rule(struct reader *r, const struct schema_key *k, const struct yaml_node *n, struct scale_rule *rule)
{
    char what[PROBLEM_QUOTE_SIZE];
    if (n->bad)
        return -EINVAL;
    if (n->kind != YAML_MAPPING || n->n != 2)
        return reader_complain(r, n, "%s is not a rule, expected a map of one key, %s", yaml_describe(n, what), schema_codec(k->type)->sample);
    struct reader sub = *r;
    sub.object = rule;
    sub.seen = NULL;
    int rc = reader_group(&sub, "scale.on[]", n, n);
    r->path = sub.path;
    return rc;
}

static int read_rules(struct reader *r, const struct schema_key *k, const struct yaml_node *n, void *field)
{
    struct service_spec *s = r->object;
    (void)field;
    if (n->kind != YAML_SEQUENCE && !yaml_is_empty(n))
        return reader_not(r, k, n);
    if (n->n > RULES_MAX)
        return reader_complain(r, n, "more than %d rules", RULES_MAX);
    int rc = 0;
    uint32_t at = 0;
    s->scale.rules = xcalloc(n->n + 1, sizeof *s->scale.rules);
    for (const struct yaml_node *i = n->first; i; i = i->next, at++) {
        char index[24];
        fixed_printf(index, "[%u]", at);
        size_t mark = reader_enter(r, index);
        if (read_rule(r, k, i, &s->scale.rules[s->scale.rule_n]) < 0)
            rc = -EINVAL;
        else
            s->scale.rule_n++;
        reader_leave(r, mark);
    }
    return rc;
}

static json_t *print_rule(const struct scale_rule *rule)
{
    char text[48];
    switch (rule->metric) {
    case SCALE_CPU:
        schema_number_text(rule->target, text, sizeof text - 1);
        return json_pack("{s:o}", "cpu", json_sprintf("%s%%", text));
    case SCALE_LATENCY:
        num_format_duration((int64_t)rule->target, text, sizeof text);
        for (size_t i = 0; i < ARRAY_LEN(QUANTILES); i++)
            if (rule->quantile == QUANTILES[i].quantile)
                return json_pack("{s:{s:s}}", "latency", QUANTILES[i].name, text);
        break;
    case SCALE_IN_FLIGHT:
        return json_pack("{s:f}", "in_flight", rule->target);
    case SCALE_QUEUE:
        return json_pack("{s:f}", "queue", rule->target);
    case SCALE_METRIC_COUNT:
        break;
    }
    abort();                            /* no reader makes such a rule */
}

static json_t *print_rules(const struct schema_key *k, const void *field)
{
    const struct service_spec *s = (const void *)((const char *)field - k->offset);
    if (s->scale.rule_n == 0)
        return NULL;
    json_t *a = json_array();
    for (size_t i = 0; i < s->scale.rule_n; i++)
        json_array_append_new(a, print_rule(&s->scale.rules[i]));
    return a;
}

/* --- "100%/15s", "4/15s" ---------------------------------------------------------------------------------- */
static int read_limit(struct reader *r, const struct schema_key *k, const struct yaml_node *n, void *field)
{
    struct scale_limit v = {0};
    uint64_t count = 0;
    char text[64];
    if (!reader_scalar(r, k, n))
        return -EINVAL;
    object_text(n, text, sizeof text);
    char *slash = strchr(text, '/');
    if (!slash)
        return reader_not(r, k, n);
    *slash = '\0';
    bool percent = num_percent(text, &v.percent) == 0;
    if ((!percent && num_u64(text, &count) < 0) || num_duration_ms(slash + 1, &v.period_ms) < 0)
        return reader_not(r, k, n);
    if (percent ? v.percent < 1 || v.percent > 10000 : count < 1 || count > 4000)
        return reader_complain(r, n, "\"%s\" is out of range, expected 1%% to 10000%%, or 1 to 4000, in front of the /", text);
    if (v.period_ms < PERIOD_MIN_MS || v.period_ms > PERIOD_MAX_MS)
        return reader_complain(r, n, "\"%s\" is out of range, expected 1s to 1d behind the /", slash + 1);
    v.count = (uint32_t)count;
    *(struct scale_limit *)field = v;
    return 0;
}

static json_t *print_limit(const struct schema_key *k, const void *field)
{
    (void)k;
    const struct scale_limit *v = field;
    char period[32], amount[32];
    num_format_duration(v->period_ms, period, sizeof period);
    schema_number_text(v->count ? v->count : v->percent, amount, sizeof amount);
    return json_sprintf("%s%s/%s", amount, v->count ? "" : "%", period);
}

/* --- 1, 25% -------------------------------------------------------------------------------------------------- */
static int read_amount(struct reader *r, const struct schema_key *k, const struct yaml_node *n, void *field)
{
    struct amount v = {0};
    uint64_t count = 0;
    const char *s = reader_scalar(r, k, n);
    if (!s)
        return -EINVAL;
    v.is_percent = num_percent(s, &v.value) == 0;
    int rc = v.is_percent ? 0 : num_u64(s, &count);
    if (rc == -EINVAL)
        return reader_not(r, k, n);
    if (rc < 0 || (v.is_percent ? v.value > 100 || (v.value > 0 && v.value < 0.01) : count > (uint64_t)k->max)) {
        char what[PROBLEM_QUOTE_SIZE];
        return reader_complain(r, n, "%s is out of range, expected 0%% to 100%%, or 0 to %lld", problem_quote(s, what), (long long)k->max);
    }
    if (!v.is_percent)
        v.value = (double)count;
    *(struct amount *)field = v;
    return 0;
}

static json_t *print_amount(const struct schema_key *k, const void *field)
{
    (void)k;
    const struct amount *v = field;
    char text[32];
    schema_number_text(v->value, text, sizeof text);
    return v->is_percent ? json_sprintf("%s%%", text) : json_integer((json_int_t)v->value);
}

/* --- "10 in 5m" -------------------------------------------------------------------------------------------- */
static int read_restart_limit(struct reader *r, const struct schema_key *k, const struct yaml_node *n, void *field)
{
    struct service_spec *s = (void *)((char *)field - k->offset);
    char text[64];
    uint64_t count;
    int64_t period;
    if (!reader_scalar(r, k, n))
        return -EINVAL;
    object_text(n, text, sizeof text);
    char *in = strstr(text, " in ");
    if (!in)
        return reader_not(r, k, n);
    *in = '\0';
    if (num_u64(text, &count) < 0 || num_duration_ms(in + 4, &period) < 0)
        return reader_not(r, k, n);
    if (count < (uint64_t)k->min || count > (uint64_t)k->max || period < PERIOD_MIN_MS || period > PERIOD_MAX_MS)
        return reader_complain(r, n, "\"%s in %s\" is out of range, expected 1 to 100000 in 1s to 1d", text, in + 4);
    s->restart.limit_n = (uint32_t)count;
    s->restart.limit_ms = period;
    return 0;
}

static json_t *print_restart_limit(const struct schema_key *k, const void *field)
{
    const struct service_spec *s = (const void *)((const char *)field - k->offset);
    char period[32];
    num_format_duration(s->restart.limit_ms, period, sizeof period);
    return json_sprintf("%u in %s", s->restart.limit_n, period);
}

#define A_RULE "one of cpu: 60%, latency: { p95: 250ms }, in_flight: 8, queue: 2"
const struct schema_codec SCHEMA_SCALING[SCHEMA_TYPE_COUNT] = {
    [T_RULES] = { "a list of rules", A_RULE " (in a list: [ cpu: 60% ])", read_rules, print_rules, schema_free_text },
    [T_RULE_CPU] = { "a percentage", "e.g. 60%", read_rule_cpu, NULL, NULL },
    [T_RULE_LATENCY] = { "a latency", "a map of one key such as { p95: 250ms }", read_rule_latency, NULL, NULL },
    [T_RULE_IN_FLIGHT] = { "a number", "e.g. 8", read_rule_number, NULL, NULL },
    [T_RULE_QUEUE] = { "a number", "e.g. 2", read_rule_number, NULL, NULL },
    [T_LIMIT] = { "a limit per period", "e.g. 100%/15s, 4/15s", read_limit, print_limit, NULL },
    [T_AMOUNT] = { "an amount", "e.g. 1, 25%", read_amount, print_amount, NULL },
    [T_RESTART_LIMIT] = { "a limit of restarts", "e.g. 10 in 5m", read_restart_limit, print_restart_limit, NULL },
};
