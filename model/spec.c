/* spec.c - what one service is beyond its keys: defaults that hang on other keys, amounts, release. See spec.h, draft.h. */
#include "model/spec.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "model/draft.h"
#include "model/schema.h"

void service_spec_done(struct service_spec *s)
{
    free(s->name);
    schema_done(&SERVICE_SCHEMA, s);
}

void balancer_spec_done(struct balancer_spec *b)
{
    free(b->name);
    schema_done(&BALANCER_SCHEMA, b);
}

uint32_t amount_of(struct amount a, uint32_t total, bool round_up)
{
    if (!a.is_percent)
        return (uint32_t)a.value;
    double exact = a.value * total / 100;
    double near = round(exact);         /* 10% of 30 is 3, not 3.0000000000000004 rounded up to 4 */
    if (fabs(exact - near) < 1e-9)
        return (uint32_t)near;
    return (uint32_t)(round_up ? ceil(exact) : floor(exact));
}

void spec_finish_concurrency(struct service_spec *s)
{
    if (s->concurrency_auto)
        s->concurrency = concurrency_of_command(&s->command);
}

static bool needs_port(const struct probe_spec *p)
{
    return p->kind == PROBE_HTTP || p->kind == PROBE_TCP;
}

/* `port: auto` is everybody's default and costs nothing, so it alone does not say that the program listens: a worker
 * without a word about its port must not wait for ever for a connection to it. */
static bool uses_port(const struct draft_service *s)
{
    const struct service_spec *spec = &s->spec;
    return spec->port_kind != PORT_NONE &&
           (draft_seen(&s->at, "port") || draft_seen(&s->at, "balance") || needs_port(&spec->health.startup) ||
            needs_port(&spec->health.liveness) || spec_mentions(&spec->command, "PORT"));
}

static void finish_readiness(struct draft_service *s)
{
    struct probe_spec *p = &s->spec.health.readiness;
    if (!draft_seen(&s->at, "health.readiness") && uses_port(s))
        p->kind = PROBE_TCP;
}

static void finish_deploy(struct draft_service *s)
{
    if (s->spec.port_kind != PORT_FIXED)
        return;
    if (!draft_seen(&s->at, "deploy.surge"))
        s->spec.deploy.surge = (struct amount){ false, 0 };
    if (!draft_seen(&s->at, "deploy.unavailable"))
        s->spec.deploy.unavailable = (struct amount){ false, 1 };
}

void spec_finish(struct draft_service *s, const char *folder)
{
    if (!s->spec.directory)
        s->spec.directory = xstrdup(folder ? folder : "/");
    finish_readiness(s);
    finish_deploy(s);
    spec_finish_concurrency(&s->spec);
}
