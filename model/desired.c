#include "model/desired.h"
#include <stdlib.h>

void upstream_done(struct upstream *u)
{
    strv_done(&u->hosts);
    free(u->path);
    free(u->check_path);
    free(u->servers);
    *u = (struct upstream){0};
}

void balancer_desired_done(struct balancer_desired *b)
{
    balancer_spec_done(&b->spec);
    for (size_t i = 0; i < b->upstream_n; i++)
        upstream_done(&b->upstreams[i]);
    free(b->upstreams);
    *b = (struct balancer_desired){0};
}

static void spec_ref_done(struct spec_ref *r)
{
    free(r->path_env);
    free(r->json);
    service_spec_done(&r->spec);
}

void desired_done(struct desired *d)
{
    for (size_t i = 0; i < d->spec_n; i++)
        spec_ref_done(&d->specs[i]);
    for (size_t i = 0; i < d->balancer_n; i++)
        balancer_desired_done(&d->balancers[i]);
    free(d->specs);
    free(d->items);
    free(d->balancers);
    *d = (struct desired){0};
}
