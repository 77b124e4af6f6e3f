/* runner_who.c - whose is what listens at an instance's port? Only the keeper may look into other users' processes, so it is asked:
 * before the first pass of a process counts, and to name who holds a port that an instance should have. */
#include <errno.h>
#include <string.h>
#include "agent/runner_internal.h"
#include "base/clock.h"

/* false: nobody listens there, or the keeper does not answer; no reply will come. */
static bool ask(struct runner_inst *i, uint32_t port)
{
    uint64_t inodes[WHO_INODES_MAX] = { 0 };

    if (!ports_listeners(port, inodes, WHO_INODES_MAX) || keeper_client_who(i->r->o.keeper, i->id, inodes) < 0)
        return false;
    i->asked++;
    i->asked_port = port;
    return true;
}

bool runner_who_answers(struct runner_inst *i, const char *attempt_id, uint32_t port)
{
    if (!ask(i, port))
        return false;
    i->asked_spawn = false;
    fixed_copy(i->asked_attempt, sizeof(i->asked_attempt), attempt_id);
    return true;
}

bool runner_who_holds(struct runner_inst *i, uint32_t port)
{
    if (!ask(i, port))
        return false;
    i->asked_spawn = true;
    return true;
}

void runner_who_on_reply(struct runner *r, const struct k_reply *m)
{
    struct runner_inst *i = runner_inst(r, m->id, false);
    char text[256];

    if (!i || !i->asked || --i->asked)          /* an answer to an older question is none to the present one */
        return;
    if (!i->asked_spawn) {
        runner_attempt_checked(i, i->asked_attempt, m->rc != -EAGAIN, m->rc == -EADDRINUSE ? m->detail : NULL, i->asked_port);
        return;
    }
    fixed_printf(text, "port %u is in use by %s", (unsigned)i->asked_port, m->rc == -EADDRINUSE && *m->detail ? m->detail : "another program");
    agent_core_spawn_failed(r->o.core, clock_mono_ms(), i->id, i->serial, text);
}
