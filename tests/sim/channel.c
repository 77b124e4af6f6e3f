/* channel.c - the link between agent and controller: ordered, late, and broken now and then; what is under way then is lost. */
#include <errno.h>
#include <stdlib.h>
#include "tests/sim/sim.h"

void wire_free(void *m)
{
    wire_msg_done(m);
    free(m);
}

static struct wire_msg *boxed(struct wire_msg *m)
{
    struct wire_msg *b = xmalloc(sizeof(*b));
    *b = *m;
    *m = (struct wire_msg){ 0 };
    return b;
}

static void at_agent(struct world *w, struct ev *e)
{
    if (w->agent && e->life == w->link)
        agent_message(w, e->ptr);
    wire_free(TAKE(e->ptr));
}

static void at_ctl(struct world *w, struct ev *e)
{
    if (w->ctl && e->life == w->link)
        ctl_message(w, e->ptr);
    wire_free(TAKE(e->ptr));
}

static int64_t delay(struct world *w, int64_t *last)
{
    int64_t at = w->now + (chance(w, 20) ? between(w, 50, 2000) : between(w, 0, 10));
    *last = MAX_OF(*last, at);
    return *last - w->now;
}

/* Now and then through the real encoding and back. */
static void through_the_wire(struct world *w, struct wire_msg *m, bool to_agent)
{
    cleanup_strbuf struct strbuf out = STRBUF_INIT;
    struct wire_msg back = { 0 };
    struct err e = { "" };
    wire_pack(m, &out);
    int rc = to_agent ? wire_unpack_to_agent(out.s, out.len, &back, &e) : wire_unpack_from_agent(out.s, out.len, &back, &e);
    if (rc < 0)
        fail(w, "a message is not understood by its own reader: %s", e.text);
    wire_msg_done(m);
    *m = back;
}

void channel_to_agent(struct world *w, struct wire_msg *m)
{
    if (!w->link_up) {
        wire_msg_done(m);
        return;
    }
    if (chance(w, 50))
        through_the_wire(w, m, true);
    ev_push(w, delay(w, &w->to_agent_at), (struct ev){ .fn = at_agent, .life = w->link, .ptr = boxed(m), .drop = wire_free });
}

void channel_to_ctl(struct world *w, struct wire_msg *m)
{
    if (!w->link_up) {
        wire_msg_done(m);
        return;
    }
    if (chance(w, 20))
        through_the_wire(w, m, false);
    ev_push(w, delay(w, &w->to_ctl_at), (struct ev){ .fn = at_ctl, .life = w->link, .ptr = boxed(m), .drop = wire_free });
}

static void on_connect(struct world *w, struct ev *e)
{
    if (w->link_up || e->life != w->link)
        return;
    if (!w->agent || !w->ctl) {
        channel_connect_soon(w);
        return;
    }
    w->link_up = true;
    w->link++;
    trace(w, "--- the link is up");
    agent_linked(w);
}

void channel_connect_soon(struct world *w)
{
    ev_push(w, between(w, 50, 1000), (struct ev){ .fn = on_connect, .life = w->link });
}

static void on_reconnect(struct world *w, struct ev *e)
{
    if (e->life == w->link)
        channel_connect_soon(w);
}

void channel_break(struct world *w)
{
    if (w->link_up) {
        trace(w, "--- the link breaks");
        w->link_up = false;
        if (w->ctl)
            ctl_agent_gone(w);
    }
    w->link++;
    int64_t away = w->calm || chance(w, 800) ? 0 : between(w, 1 * SEC, 60 * SEC);
    ev_push(w, away, (struct ev){ .fn = on_reconnect, .life = w->link });
}
