/* core_people.c - what people want of a service beside its file: scale, restart, stop, start, delete; and down. */
#include "supervisord/core_priv.h"
#include <stdlib.h>
#include <string.h>

/* The service, or NULL and *ret_rc: no such one, an instance's name, or all of muster is going down. */
static struct service *wanted_service(struct controller *c, const char *name, const char *verb, int *ret_rc, struct err *e)
{
    struct service *s = controller_find(c, name);
    *ret_rc = 0;
    if (strchr(name, '.'))
        *ret_rc = err_set(e, -EINVAL, "%s is an instance: %s works on a whole service", name, verb);
    else if (!s)
        *ret_rc = err_set(e, -ENOENT, "no service %s", name);
    else if (c->down)
        *ret_rc = err_set(e, -EBUSY, "everything is being ended (down)");
    else if (s->deleting && strcmp(verb, "delete") != 0)
        *ret_rc = err_set(e, -EBUSY, "service %s is being deleted", name);
    return *ret_rc == 0 ? s : NULL;
}

static void record_scale(struct controller *c, struct service *s, uint32_t was, const char *text)
{
    struct scale_why w = { .at_ms = c->now, .current = was, .desired = s->desired, .wanted = s->desired, .deciding_rule = -1, .held = s->held };
    fixed_copy(w.text, sizeof w.text, text);
    service_explain(s, &w);
    controller_event(c, 5, "scaled", s->name, "%u -> %u: %s", was, s->desired, text);
}

int controller_scale(struct controller *c, int64_t now, const char *service, uint32_t count, struct err *e)
{
    int rc;
    struct service *s = wanted_service(c, service, "scale", &rc, e);
    if (!s)
        return rc;
    const struct service_spec *spec = &s->target->spec;
    uint32_t lo = spec->fixed ? 1 : spec->min, hi = !spec->fixed ? spec->max : spec->port_kind == PORT_FIXED ? 1 : INSTANCES_MAX;
    if (count < lo || count > hi)
        return err_set(e, -ERANGE, spec->port_kind == PORT_FIXED && spec->fixed ? "%u: the range is %u..%u (it has a fixed port)" : "%u: the range is %u..%u",
                       count, lo, hi);
    controller_begin(c, now);
    uint32_t was = s->desired;
    s->desired = count;
    s->held = spec->fixed && count != spec->max;
    s->mem.up_since = s->mem.down_since = 0;        /* the scaler goes on from here, with its whole waits */
    if (was != count)
        record_scale(c, s, was, s->held ? "by a person; holds until an apply changes the number in the file" : "by a person");
    service_changed(s);
    controller_settle(c);
    return 0;
}

int controller_restart(struct controller *c, int64_t now, const char *service, struct err *e)
{
    int rc;
    struct service *s = wanted_service(c, service, "restart", &rc, e);
    if (!s)
        return rc;
    if (s->stopped)
        return err_set(e, -EBUSY, "service %s is stopped: start it instead", service);
    controller_begin(c, now);
    const struct release *t = s->target;
    struct release *r = release_new(s->name, t->json, controller_generation(c), t->revision, t->owner_uid, t->owner_gid, t->path_env, NULL);
    assert(r);
    release_unref(s->target);
    s->target = r;
    s->paused = false;
    s->pause_reason[0] = s->pause_id[0] = '\0';
    controller_event(c, 5, "restart", s->name, "restart of all instances, one after the other");
    service_changed(s);
    controller_settle(c);
    return 0;
}

static int set_stopped(struct controller *c, int64_t now, const char *service, bool stopped, struct err *e)
{
    int rc;
    struct service *s = wanted_service(c, service, stopped ? "stop" : "start", &rc, e);
    if (!s)
        return rc;
    if (s->stopped == stopped)
        return 0;
    controller_begin(c, now);
    s->stopped = stopped;
    controller_event(c, 5, stopped ? "stop" : "start", s->name, stopped ? "stopped by a person: drained, then ended" : "started by a person");
    service_changed(s);
    controller_settle(c);
    return 0;
}

int controller_stop(struct controller *c, int64_t now, const char *service, struct err *e) { return set_stopped(c, now, service, true, e); }
int controller_start(struct controller *c, int64_t now, const char *service, struct err *e) { return set_stopped(c, now, service, false, e); }

int controller_delete(struct controller *c, int64_t now, const char *service, struct err *e)
{
    int rc;
    struct service *s = wanted_service(c, service, "delete", &rc, e);
    if (!s)
        return rc;
    if (s->deleting)
        return 0;
    controller_begin(c, now);
    s->deleting = true;
    controller_event(c, 5, "deleting", s->name, "deleted by a person: drained and stopped");
    service_changed(s);
    controller_settle(c);
    return 0;
}

void controller_down(struct controller *c, int64_t now)
{
    controller_begin(c, now);
    if (!c->down)
        controller_event(c, 5, "down", "", "everything is being ended");
    c->down = true;
    for (size_t i = 0; i < c->svc_n; i++)
        c->svc[i]->stale = true;
    controller_settle(c);
}
