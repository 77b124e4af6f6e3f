/* view_json.c - see view_json.h. */
#include "supervisord/view_json.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/strbuf.h"

enum { LAST_LINES = 3, TAIL_BYTES = 4096 };

static json_t *number_or_null(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

static json_t *time_or_null(int64_t wall_ms)
{
    char buf[32];

    if (wall_ms <= 0)
        return json_null();
    clock_rfc3339(wall_ms, buf, sizeof(buf));
    return json_string(buf);
}

/* Text from instances may be any bytes; JSON takes UTF-8 only, so what is not ASCII-safe is put as \xNN. */
json_t *view_text(const char *s)
{
    json_t *j = json_string(s);

    if (j)
        return j;
    cleanup_strbuf struct strbuf b = STRBUF_INIT;
    for (; *s; s++) {
        if ((unsigned char)*s < 0x80)
            strbuf_putc(&b, *s);
        else
            strbuf_printf(&b, "\\x%02x", (unsigned char)*s);
    }
    return json_string(strbuf_str(&b));
}

static json_t *last_lines(const char *path)
{
    json_t *lines = json_array();
    cleanup_fclose FILE *f = fopen(path, "re");
    char buf[TAIL_BYTES + 1];

    if (!f)
        return lines;
    struct stat st;
    if (fstat(fileno(f), &st) || !S_ISREG(st.st_mode))
        return lines;
    if (st.st_size > TAIL_BYTES)
        fseeko(f, st.st_size - TAIL_BYTES, SEEK_SET);
    size_t n = fread(buf, 1, TAIL_BYTES, f);
    while (n && buf[n - 1] == '\n')
        n--;
    buf[n] = '\0';
    char *start = buf + n;
    for (int newlines = 0; start > buf; start--)
        if (start[-1] == '\n' && ++newlines == LAST_LINES)
            break;
    for (char *save = NULL, *line = strtok_r(start, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        json_array_append_new(lines, view_text(line));
    return lines;
}

static bool in_trouble(const struct inst_status *s)
{
    return s->state == INST_BACKOFF || s->state == INST_FAILED || (s->state != INST_READY && s->fails > 0);
}

static void add_metrics(json_t *j, const struct instance_view *i)
{
    /* Where nothing runs, the figures are those of what ran before. */
    const struct inst_metrics *m = i->has_metrics && i->status.pid > 0 ? &i->metrics : NULL;

    json_object_set_new(j, "cpu_pct", number_or_null(m ? m->cpu_pct : NAN));
    json_object_set_new(j, "cpu_of_limit_pct", number_or_null(m ? m->cpu_of_limit_pct : NAN));
    json_object_set_new(j, "memory_bytes", number_or_null(m ? m->memory_bytes : NAN));
    json_object_set_new(j, "rate", number_or_null(m ? m->rate : NAN));
    json_object_set_new(j, "in_flight", number_or_null(m ? m->in_flight : NAN));
    json_object_set_new(j, "p50_ms", number_or_null(m ? m->p50_ms : NAN));
    json_object_set_new(j, "p95_ms", number_or_null(m ? m->p95_ms : NAN));
    json_object_set_new(j, "p99_ms", number_or_null(m ? m->p99_ms : NAN));
}

/* What the agent has not told yet is shown by what is wanted. */
static const char *state_word(const struct instance_view *i)
{
    return i->known ? instance_state_word(i->status.state) : "waiting";
}

static json_t *view_instance(const struct instance_view *i, struct view_times t, const char *log_folder)
{
    const struct inst_status *s = &i->status;
    int64_t told_wall = t.wall_ms - (t.now_ms - i->status_at);
    char exit_text[64] = "";
    cleanup_free char *log = xasprintf("%s/%s.log", log_folder ? log_folder : "", i->id);
    json_t *j = json_object();

    exit_describe(s->last_exit, exit_text, sizeof(exit_text));
    json_object_set_new(j, "name", json_string(i->id));
    json_object_set_new(j, "state", json_string(state_word(i)));
    json_object_set_new(j, "ready", json_boolean(i->known && s->state == INST_READY));
    json_object_set_new(j, "want", json_string(want_word(i->want)));
    json_object_set_new(j, "pid", s->pid > 0 ? json_integer(s->pid) : json_null());
    json_object_set_new(j, "host", json_string("local"));
    json_object_set_new(j, "port", s->port ? json_integer(s->port) : json_null());
    json_object_set_new(j, "revision", json_integer(i->revision));
    json_object_set_new(j, "restarts", json_integer(s->restarts));
    json_object_set_new(j, "fails", json_integer(s->fails));
    json_object_set_new(j, "state_since", i->known ? time_or_null(told_wall - s->state_age_ms) : json_null());
    json_object_set_new(j, "started", i->known && s->pid > 0 ? time_or_null(told_wall - s->up_ms) : json_null());
    add_metrics(j, i);
    json_object_set_new(j, "reason", view_text(s->reason));
    json_object_set_new(j, "text", view_text(s->text));
    json_object_set_new(j, "last_exit", json_string(exit_text));
    json_object_set_new(j, "next_try", i->known && s->retry_in_ms >= 0 ? time_or_null(told_wall + s->retry_in_ms) : json_null());
    json_object_set_new(j, "log", json_string(log));
    if (log_folder && i->known && in_trouble(s))
        json_object_set_new(j, "last_lines", last_lines(log));
    return j;
}

static void add_service_metrics(json_t *j, const struct service_view *s)
{
    const struct svc_metrics *m = s->has_metrics ? &s->metrics : NULL;

    json_object_set_new(j, "rate", number_or_null(m ? m->rate : NAN));
    json_object_set_new(j, "error_rate", number_or_null(m ? m->error_rate : NAN));
    json_object_set_new(j, "in_flight", number_or_null(m ? m->in_flight : NAN));
    json_object_set_new(j, "queue", number_or_null(m ? m->queue : NAN));
    json_object_set_new(j, "p50_ms", number_or_null(m ? m->p50_ms : NAN));
    json_object_set_new(j, "p95_ms", number_or_null(m ? m->p95_ms : NAN));
    json_object_set_new(j, "p99_ms", number_or_null(m ? m->p99_ms : NAN));
    json_object_set_new(j, "requests", m ? json_integer((json_int_t)m->requests) : json_null());
    json_object_set_new(j, "errors", m ? json_integer((json_int_t)m->errors) : json_null());
}

/* Where a person's browser finds the service. */
static json_t *service_url(const struct controller *c, const struct service_spec *spec)
{
    struct balancer_view b;

    for (size_t i = 0; spec->balance.with && controller_balancer_at(c, i, &b); i++) {
        if (strcmp(b.name, spec->balance.with))
            continue;
        const char *host = spec->balance.hosts.n ? spec->balance.hosts.v[0] : b.spec->listen_host;
        if (!*host || !strcmp(host, "0.0.0.0") || !strcmp(host, "::") || *host == '*')
            host = "127.0.0.1";
        cleanup_free char *url = xasprintf("%s://%s%s%s:%u%s", b.spec->tls ? "https" : "http", strchr(host, ':') ? "[" : "", host,
                                           strchr(host, ':') ? "]" : "", b.spec->listen_port, spec->balance.path ? spec->balance.path : "/");
        return json_string(url);
    }
    return json_null();
}

json_t *view_service(const struct controller *c, const struct service_view *s, struct view_times t, const char *log_folder)
{
    json_t *j = json_object(), *list = json_array();

    json_object_set_new(j, "name", json_string(s->name));
    json_object_set_new(j, "revision", json_integer(s->revision));
    json_object_set_new(j, "desired", json_integer(s->desired));
    json_object_set_new(j, "ready", json_integer(s->ready));
    json_object_set_new(j, "min", json_integer(s->min));
    json_object_set_new(j, "max", json_integer(s->max));
    json_object_set_new(j, "fixed", json_boolean(s->fixed));
    json_object_set_new(j, "held", json_boolean(s->held));
    json_object_set_new(j, "stopped", json_boolean(s->stopped));
    json_object_set_new(j, "state", json_string(service_state_word(s->state)));
    json_object_set_new(j, "reason", view_text(s->reason ? s->reason : ""));
    json_object_set_new(j, "balancer", s->spec && s->spec->balance.with ? json_string(s->spec->balance.with) : json_null());
    json_object_set_new(j, "url", s->spec ? service_url(c, s->spec) : json_null());
    add_service_metrics(j, s);
    for (size_t i = 0; i < s->instance_n; i++)
        json_array_append_new(list, view_instance(&s->instances[i], t, log_folder));
    json_object_set_new(j, "instances", list);
    return j;
}

json_t *view_balancer(const struct balancer_view *b)
{
    const struct balancer_report *r = b->report;
    json_t *j = json_object(), *list = json_array();
    bool v6 = strchr(b->spec->listen_host, ':') != NULL;
    cleanup_free char *listen = xasprintf("%s%s%s:%u", v6 ? "[" : "", b->spec->listen_host, v6 ? "]" : "", b->spec->listen_port);

    json_object_set_new(j, "name", json_string(b->name));
    json_object_set_new(j, "listen", json_string(listen));
    json_object_set_new(j, "running", json_boolean(r && r->running));
    json_object_set_new(j, "applied", json_boolean(b->applied));
    json_object_set_new(j, "pid", r && r->pid > 0 ? json_integer(r->pid) : json_null());
    json_object_set_new(j, "problem", view_text(r ? r->problem : ""));
    for (size_t i = 0; r && i < r->server_n; i++) {
        const struct balancer_server_report *v = &r->servers[i];
        json_array_append_new(list, json_pack("{s:s,s:s,s:b,s:i,s:i}", "name", v->id, "state", server_state_word(v->state), "up", (int)v->up,
                                              "in_flight", (int)v->in_flight, "queued", (int)v->queued));
    }
    json_object_set_new(j, "servers", list);
    return j;
}

json_t *view_event(const struct muster_event *e)
{
    static const char *const words[] = { "", "", "", "error", "warning", "notice", "info", "debug" };
    json_t *j = json_object();

    json_object_set_new(j, "seq", json_integer((json_int_t)e->seq));
    json_object_set_new(j, "time", time_or_null(e->wall_ms));
    json_object_set_new(j, "level", json_string(e->level >= 3 && e->level <= 7 ? words[e->level] : "info"));
    json_object_set_new(j, "kind", view_text(e->kind));
    json_object_set_new(j, "subject", view_text(e->subject));
    json_object_set_new(j, "text", view_text(e->text));
    return j;
}

static json_t *view_rule(const struct scale_rule_why *r)
{
    static const char *const metrics[] = { "cpu", "latency", "in_flight", "queue" };
    static const char *const verdicts[] = { "ok", "within tolerance", "no data", "too few samples" };
    json_t *j = json_object();

    json_object_set_new(j, "metric", json_string(r->metric < ARRAY_LEN(metrics) ? metrics[r->metric] : "?"));
    json_object_set_new(j, "quantile", r->metric == SCALE_LATENCY ? json_real(r->quantile) : json_null());
    json_object_set_new(j, "target", number_or_null(r->target));
    json_object_set_new(j, "value", number_or_null(r->value));
    json_object_set_new(j, "proposal", json_integer(r->proposal));
    json_object_set_new(j, "used", json_integer(r->used));
    json_object_set_new(j, "missing", json_integer(r->missing));
    json_object_set_new(j, "verdict", json_string(r->verdict < ARRAY_LEN(verdicts) ? verdicts[r->verdict] : "?"));
    return j;
}

json_t *view_decision(const struct scale_why *w)
{
    json_t *rules = json_array(), *clamps = json_array(), *j = json_object();
    const struct { bool on; const char *word; } flags[] = {
        { w->clamped_min, "min" }, { w->clamped_max, "max" }, { w->limited, "limit" }, { w->waiting, "wait" }, { w->no_data, "no data" }, { w->held, "held" },
    };

    for (uint32_t i = 0; i < w->rule_n && i < SCALE_RULES_MAX; i++)
        json_array_append_new(rules, view_rule(&w->rules[i]));
    for (size_t i = 0; i < ARRAY_LEN(flags); i++)
        if (flags[i].on)
            json_array_append_new(clamps, json_string(flags[i].word));
    json_object_set_new(j, "time", time_or_null(w->wall_ms));
    json_object_set_new(j, "current", json_integer(w->current));
    json_object_set_new(j, "desired", json_integer(w->desired));
    json_object_set_new(j, "wanted", json_integer(w->wanted));
    json_object_set_new(j, "text", view_text(w->text));
    json_object_set_new(j, "rules", rules);
    json_object_set_new(j, "clamps", clamps);
    return j;
}

/* --- Prometheus ------------------------------------------------------------------------------------------------ */
static void head(struct strbuf *b, const char *name, const char *type, const char *help)
{
    strbuf_printf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void instances_by_state(struct strbuf *b, const struct service_view *s)
{
    uint32_t count[INSTANCE_STATE_COUNT] = { 0 };

    for (size_t i = 0; i < s->instance_n; i++)
        count[s->instances[i].known ? s->instances[i].status.state : INST_WAITING]++;
    for (int st = 0; st < INSTANCE_STATE_COUNT; st++)
        strbuf_printf(b, "muster_instances{service=\"%s\",state=\"%s\"} %u\n", s->name, instance_state_word((enum instance_state)st), count[st]);
}

static double figure(const struct service_view *s, double v)
{
    return s->has_metrics ? v : NAN;
}

char *view_prometheus(const struct controller *c, uint64_t epoch)
{
    static const struct { const char *name, *type, *help; } families[] = {
        { "muster_instances", "gauge", "instances by state" },
        { "muster_scaler_desired", "gauge", "how many instances the service should have" },
        { "muster_service_ready", "gauge", "instances that get traffic" },
        { "muster_requests_total", "counter", "requests at the balancer since the agent started" },
        { "muster_request_errors_total", "counter", "requests answered with 5xx or not at all" },
        { "muster_in_flight", "gauge", "requests being served" },
        { "muster_queue", "gauge", "requests waiting at the balancer" },
        { "muster_latency_p95_seconds", "gauge", "95th percentile of queue, connect and response time over 10 s" },
        { "muster_restarts_total", "counter", "restarts of the present instances" },
    };
    struct strbuf b = STRBUF_INIT;
    struct service_view s;

    for (size_t f = 0; f < ARRAY_LEN(families); f++) {
        head(&b, families[f].name, families[f].type, families[f].help);
        for (size_t i = 0; controller_service_at(c, i, &s); i++) {
            double restarts = 0;
            for (size_t k = 0; k < s.instance_n; k++)
                restarts += s.instances[k].status.restarts;
            const double values[] = { 0, s.desired, s.ready, figure(&s, (double)s.metrics.requests), figure(&s, (double)s.metrics.errors),
                                      figure(&s, s.metrics.in_flight), figure(&s, s.metrics.queue), figure(&s, s.metrics.p95_ms / 1000), restarts };
            if (f == 0)
                instances_by_state(&b, &s);
            else if (isfinite(values[f]))
                strbuf_printf(&b, "%s{service=\"%s\"} %.17g\n", families[f].name, s.name, values[f]);
        }
    }
    head(&b, "muster_epoch", "gauge", "this controller's epoch");
    strbuf_printf(&b, "muster_epoch %llu\n", (unsigned long long)epoch);
    return strbuf_take(&b);
}
