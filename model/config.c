/* config.c - files in, a whole and valid configuration out, or all that is wrong with them. See spec.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "model/draft.h"

static void move_out(struct draft *d, struct config *ret)
{
    struct config c = { xcalloc(d->service_n, sizeof *c.services), d->service_n, xcalloc(d->balancer_n, sizeof *c.balancers), d->balancer_n };
    for (size_t i = 0; i < d->service_n; i++) {
        c.services[i] = d->services[i].spec;
        d->services[i].spec = (struct service_spec){0};
    }
    for (size_t i = 0; i < d->balancer_n; i++) {
        c.balancers[i] = d->balancers[i].spec;
        d->balancers[i].spec = (struct balancer_spec){0};
    }
    *ret = c;
}

int config_parse(const struct config_source *src, size_t n, struct config *ret, struct config_errors *errs)
{
    struct draft d = {0};
    draft_read(&d, src, n);
    for (size_t i = 0; i < d.service_n; i++)
        spec_check(&d, &d.services[i]);
    if (!d.partial)
        config_check(&d);
    bool good = d.p.n == 0;
    if (good)
        move_out(&d, ret);
    problems_give(&d.p, src, errs);
    draft_done(&d);
    return good ? 0 : -EINVAL;
}

void config_done(struct config *c)
{
    for (size_t i = 0; i < c->service_n; i++)
        service_spec_done(&c->services[i]);
    for (size_t i = 0; i < c->balancer_n; i++)
        balancer_spec_done(&c->balancers[i]);
    free(c->services);
    free(c->balancers);
    *c = (struct config){0};
}

const struct service_spec *config_service(const struct config *c, const char *name)
{
    for (size_t i = 0; i < c->service_n; i++)
        if (strcmp(c->services[i].name, name) == 0)
            return &c->services[i];
    return NULL;
}

const struct balancer_spec *config_balancer(const struct config *c, const char *name)
{
    for (size_t i = 0; i < c->balancer_n; i++)
        if (strcmp(c->balancers[i].name, name) == 0)
            return &c->balancers[i];
    return NULL;
}
