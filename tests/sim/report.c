/* report.c - what a run shows: the table of what was hit, and what was there when it failed. */
#include "tests/sim/sim.h"

static const char *const fault_words[FAULT_COUNT] = {
#define FAULT_WORD_(sym, word) [sym] = word,
    FAULTS(FAULT_WORD_)
};

const char *fault_word(enum fault f) { return fault_words[f]; }

/* What was there when it failed, for the trace. */
void print_world(struct world *w)
{
    struct service_view v;
    for (size_t k = 0; w->ctl && controller_service_at(w->ctl, k, &v); k++) {
        printf("%s: %s, %u desired, %u ready %s\n", v.name, service_state_word(v.state), v.desired, v.ready, v.reason);
        for (size_t j = 0; j < v.instance_n; j++) {
            const struct instance_view *i = &v.instances[j];
            struct inst_status s = { .state = INST_WAITING };
            bool has = w->agent && agent_core_status(w->agent, w->now, i->id, &s);
            const struct server *sv = proxy_server(w, i->id);
            printf("  %-10s generation %llu%s wanted %s, told %s, is %s, proxy %s\n", i->id, (unsigned long long)i->generation, i->old_revision ? " (old)" : "", want_word(i->want),
                   i->known ? instance_state_word(i->status.state) : "-", has ? instance_state_word(s.state) : "-", sv ? server_state_word(sv->state) : "-");
        }
    }
}

/* --- the table ------------------------------------------------------------------------------------------------------------------- */
void print_hits(uint64_t hits[FAULT_COUNT][INSTANCE_STATE_COUNT])
{
    printf("%-18s", "fault x state");
    for (int st = 0; st < INSTANCE_STATE_COUNT; st++)
        printf(" %8s", instance_state_word((enum instance_state)st));
    printf("\n");
    for (int f = 0; f < FAULT_COUNT; f++) {
        printf("%-18s", fault_words[f]);
        for (int st = 0; st < INSTANCE_STATE_COUNT; st++)
            printf(" %8llu", (unsigned long long)hits[f][st]);
        printf("\n");
    }
}
