#include "supervisord/service.h"
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/num.h"
#include "supervisord/upstream.h"

enum { START_GRACE_MS = 10000, START_WITHIN_DEFAULT_MS = 60000, FAILS_TO_PAUSE = 3 };

/* --- releases ------------------------------------------------------------------------------------------- */
struct release *release_new(const char *name, const char *json, uint64_t generation, uint32_t revision, uint32_t owner_uid,
                            uint32_t owner_gid, const char *path_env, struct err *e)
{
    struct service_spec spec;
    if (service_spec_from_json(name, json, &spec, e) < 0)
        return NULL;
    struct release *r = xcalloc(1, sizeof *r);
    *r = (struct release){ .refs = 1, .generation = generation, .revision = revision, .owner_uid = owner_uid, .owner_gid = owner_gid,
                           .path_env = xstrdup(path_env), .json = xstrdup(json), .spec = spec };
    return r;
}

struct release *release_ref(struct release *r)
{
    r->refs++;
    return r;
}

void release_unref(struct release *r)
{
    if (!r || --r->refs > 0)
        return;
    service_spec_done(&r->spec);
    free(r->path_env);
    free(r->json);
    free(r);
}

/* --- slots ------------------------------------------------------------------------------------------------ */
struct service *service_new(const char *name)
{
    struct service *s = xcalloc(1, sizeof *s);
    fixed_copy(s->name, sizeof s->name, name);
    s->free_hint = 1;
    s->stale = s->views_stale = true;
    s->state = SVC_DEGRADED;
    s->next_at = INT64_MAX;
    return s;
}

static void instance_free(struct instance *i)
{
    if (!i)
        return;
    release_unref(i->rel);
    free(i);
}

void service_free(struct service *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n; i++)
        instance_free(s->inst[i]);
    free(s->inst);
    release_unref(s->target);
    free(s->source);
    free(s->views);
    free(s);
}

/* The index of `slot`, or where it would stand. */
static size_t slot_index(const struct service *s, uint32_t slot)
{
    size_t lo = 0, hi = s->n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (s->inst[mid]->slot < slot)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

struct instance *service_slot(const struct service *s, uint32_t slot)
{
    size_t at = slot_index(s, slot);
    return at < s->n && s->inst[at]->slot == slot ? s->inst[at] : NULL;
}

struct instance *service_add_slot(struct service *s, uint32_t slot, struct release *rel, enum want want)
{
    size_t at = slot_index(s, slot);
    if (slot == 0 || s->n >= 2 * INSTANCES_MAX || (at < s->n && s->inst[at]->slot == slot))
        return NULL;
    if (s->n == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 8;
        s->inst = xrealloc(s->inst, s->cap * sizeof *s->inst);
    }
    struct instance *i = xcalloc(1, sizeof *i);
    i->slot = slot;
    fixed_printf(i->id, "%s.%u", s->name, slot);
    i->rel = release_ref(rel);
    i->want = want;
    i->born = ++s->born_next;
    memmove(&s->inst[at + 1], &s->inst[at], (s->n - at) * sizeof *s->inst);
    s->inst[at] = i;
    s->n++;
    s->views_stale = true;
    return i;
}

struct instance *service_add(struct service *s, struct release *rel, enum want want)
{
    size_t at = slot_index(s, s->free_hint);
    uint32_t slot = s->free_hint;
    while (at < s->n && s->inst[at]->slot == slot) {
        at++;
        slot++;
    }
    s->free_hint = slot;
    return service_add_slot(s, slot, rel, want);
}

void service_remove(struct service *s, size_t index)
{
    assert(index < s->n);
    if (s->inst[index]->slot < s->free_hint)
        s->free_hint = s->inst[index]->slot;
    instance_free(s->inst[index]);
    memmove(&s->inst[index], &s->inst[index + 1], (s->n - index - 1) * sizeof *s->inst);
    s->n--;
    s->views_stale = true;
}

int instance_id_parse(const char *id, char *name, size_t name_size, uint32_t *ret_slot)
{
    const char *dot = strrchr(id, '.');
    uint64_t slot;
    if (!dot || dot == id || (size_t)(dot - id) >= name_size || num_u64(dot + 1, &slot) < 0 || slot == 0 || slot > UINT32_MAX)
        return -EINVAL;
    memcpy(name, id, (size_t)(dot - id));
    name[dot - id] = '\0';
    *ret_slot = (uint32_t)slot;
    return 0;
}

/* --- one instance ------------------------------------------------------------------------------------------- */
static const bool want_allowed[WANT_COUNT][WANT_COUNT] = {
    [WANT_HOLD]  = { [WANT_RUN] = true, [WANT_STOP] = true },
    [WANT_RUN]   = { [WANT_DRAIN] = true, [WANT_STOP] = true },
    [WANT_DRAIN] = { [WANT_STOP] = true },
};

void instance_want(struct instance *i, enum want want)
{
    assert(want_allowed[i->want][want]);
    i->want = want;
}

bool instance_wanted(const struct instance *i) { return i->want == WANT_HOLD || i->want == WANT_RUN; }
bool instance_matches(const struct instance *i) { return i->known && !i->absent && i->status.generation == i->rel->generation; }
bool instance_alive(const struct instance *i) { return i->known && !i->absent && i->status.alive; }

/* The process it has now is the one that was seen ready. */
static bool same_process(const struct instance *i) { return i->status.alive && i->status.pid > 0 && i->status.pid == i->ready_pid; }

bool instance_ready(const struct instance *i)
{
    if (!instance_matches(i) || i->status.exited || !i->status.alive)
        return false;
    return i->status.state == INST_READY || (i->status.state == INST_STARTING && same_process(i) && i->ready_since > 0);
}

bool instance_passed(const struct instance *i)
{
    if (!instance_matches(i) || i->status.exited || !i->status.alive)
        return false;
    return i->status.state == INST_READY || i->status.state == INST_UNREADY || same_process(i);
}

int64_t instance_fail_at(const struct instance *i)
{
    if (i->want != WANT_RUN || i->run_at <= 0 || i->ready_pid > 0)
        return INT64_MAX;
    const struct service_spec *spec = &i->rel->spec;
    int64_t within = spec->health.startup.within_ms > 0 ? spec->health.startup.within_ms : START_WITHIN_DEFAULT_MS;
    int64_t hook = spec->hooks[HOOK_BEFORE_START].run.n > 0 ? spec->hooks[HOOK_BEFORE_START].timeout_ms : 0;
    return i->run_at + within + hook + START_GRACE_MS;
}

bool instance_failing(const struct instance *i, int64_t now)
{
    if (i->want != WANT_RUN || instance_ready(i))
        return false;
    if (instance_matches(i) && (i->status.state == INST_FAILED || i->status.fails >= FAILS_TO_PAUSE))
        return true;
    return now >= instance_fail_at(i);
}

void instance_fail_reason(const struct instance *i, int64_t now, char *buf, size_t size)
{
    char how[64] = "";
    exit_describe(i->status.last_exit, how, sizeof how);
    const char *cause = i->status.reason;
    if (cause[0] && how[0] && !strstr(cause, how))
        snprintf(buf, size, "%s: %s (last: %s)", i->id, cause, how);
    else if (cause[0])
        snprintf(buf, size, "%s: %s", i->id, cause);
    else if (how[0])
        snprintf(buf, size, "%s: %s", i->id, how);
    else if (instance_matches(i) && i->status.state == INST_FAILED)
        snprintf(buf, size, "%s: failed", i->id);
    else
        snprintf(buf, size, "%s: not ready after %lld s", i->id, (long long)((now - i->run_at) / 1000));
}

/* --- the service ----------------------------------------------------------------------------------------------- */
uint32_t service_goal(const struct service *s) { return s->stopped || s->deleting ? 0 : s->desired; }

static uint32_t ready_of(const struct service *s, uint64_t generation)
{
    uint32_t n = 0;
    for (size_t i = 0; i < s->n; i++)
        n += s->inst[i]->want == WANT_RUN && s->inst[i]->rel->generation == generation && instance_ready(s->inst[i]);
    return n;
}

struct release *service_old_release(const struct service *s)
{
    struct release *best = NULL;
    uint32_t best_ready = 0;
    for (size_t i = 0; i < s->n; i++) {
        struct release *r = s->inst[i]->rel;
        if (!instance_wanted(s->inst[i]) || r->generation == s->target->generation || (best && r->generation == best->generation))
            continue;
        uint32_t ready = ready_of(s, r->generation);
        if (!best || ready > best_ready || (ready == best_ready && r->generation > best->generation)) {
            best = r;
            best_ready = ready;
        }
    }
    return best;
}

uint32_t service_surge(const struct service *s) { return amount_of(s->target->spec.deploy.surge, s->desired, true); }

uint32_t service_slots(const struct service *s)
{
    const struct service_spec *spec = &s->target->spec;
    uint32_t most = MAX_OF(spec->max, s->desired);
    uint32_t slots = upstream_slots(most + amount_of(spec->deploy.surge, most, true));
    return MAX_OF(slots, s->slots);
}

/* The state of a service follows from facts; the first row whose fact holds is the answer. Drawn:
 *
 *    steady <---> degraded           by readiness, panic, `after`
 *       ^  \         |
 *       |   +---> rolling <---> paused     by apply and restart; by the health of the new ones
 *    stopped <--- any ---> deleting ---> (gone)      by a person
 */
enum fact { FACT_DELETING, FACT_STOPPED, FACT_PAUSED, FACT_ROLLING, FACT_PANIC, FACT_SHORT, FACT_NONE };
static const enum service_state fact_state[] = {
    [FACT_DELETING] = SVC_DELETING, [FACT_STOPPED] = SVC_STOPPED, [FACT_PAUSED] = SVC_PAUSED, [FACT_ROLLING] = SVC_ROLLING,
    [FACT_PANIC] = SVC_DEGRADED, [FACT_SHORT] = SVC_DEGRADED, [FACT_NONE] = SVC_STEADY,
};

static enum fact first_fact(const struct service *s)
{
    return s->deleting ? FACT_DELETING : s->stopped ? FACT_STOPPED : s->paused ? FACT_PAUSED : s->rolling ? FACT_ROLLING
         : s->panic ? FACT_PANIC : s->ready < s->desired ? FACT_SHORT : FACT_NONE;
}

/* How much a wanted instance is the cause of the trouble. */
static int trouble(const struct instance *i)
{
    if (!instance_wanted(i) || instance_ready(i))
        return 0;
    if (!i->known)
        return 1;
    switch (i->status.state) {
    case INST_FAILED: return 6;
    case INST_BACKOFF: return 5;
    case INST_UNREADY: return 4;
    case INST_STARTING: return i->status.fails > 0 ? 5 : 3;
    default: return 2;
    }
}

static void short_reason(struct service *s)
{
    const struct instance *worst = NULL;
    for (size_t i = 0; i < s->n; i++)
        if (trouble(s->inst[i]) > (worst ? trouble(worst) : 0))
            worst = s->inst[i];
    char how[64] = "";
    if (worst && worst->status.fails > 0)
        exit_describe(worst->status.last_exit, how, sizeof how);
    const char *word = !worst || !worst->known || worst->absent ? "not started yet" : instance_state_word(worst->status.state);
    if (!worst)
        fixed_printf(s->reason, "%u of %u ready", s->ready, s->desired);
    else if (worst->status.reason[0])
        fixed_printf(s->reason, "%u of %u ready; %s: %s", s->ready, s->desired, worst->id, worst->status.reason);
    else
        fixed_printf(s->reason, "%u of %u ready; %s: %s%s%s", s->ready, s->desired, worst->id, word, how[0] ? ", last " : "", how);
}

static void rolling_reason(struct service *s)
{
    uint32_t fresh = 0;
    for (size_t i = 0; i < s->n; i++)
        fresh += s->inst[i]->want == WANT_RUN && s->inst[i]->rel->generation == s->target->generation && instance_ready(s->inst[i]);
    fixed_printf(s->reason, "revision %u: %u of %u ready", s->target->revision, fresh, s->desired);
}

void service_judge(struct service *s, int64_t now, const char *waits_for)
{
    (void)now;
    uint32_t passed = 0;
    s->ready = 0;
    for (size_t i = 0; i < s->n; i++) {
        s->ready += s->inst[i]->want == WANT_RUN && instance_ready(s->inst[i]);
        passed += s->inst[i]->want == WANT_RUN && instance_passed(s->inst[i]);
    }
    enum fact fact = first_fact(s);
    s->state = fact_state[fact];
    s->reason[0] = '\0';
    switch (fact) {
    case FACT_DELETING: case FACT_STOPPED:
        if (s->n > 0)
            fixed_printf(s->reason, "%zu still to end", s->n);
        break;
    case FACT_PAUSED: fixed_copy(s->reason, sizeof s->reason, s->pause_reason); break;
    case FACT_ROLLING: rolling_reason(s); break;
    case FACT_PANIC:
        fixed_printf(s->reason, "panic: %u of %u running pass their readiness check, all stay in the upstream list", s->ready, passed);
        break;
    case FACT_SHORT:
        if (waits_for && waits_for[0])
            fixed_printf(s->reason, "waits for %s", waits_for);
        else
            short_reason(s);
        break;
    case FACT_NONE: break;
    }
}

static bool same_outcome(const struct scale_why *a, const struct scale_why *b)
{
    return a->current == a->desired && b->current == b->desired && a->current == b->current && a->waiting == b->waiting &&
           a->limited == b->limited && a->no_data == b->no_data && a->clamped_max == b->clamped_max && a->rule_n == b->rule_n && a->rule_n > 0;
}

void service_explain(struct service *s, const struct scale_why *w)
{
    size_t last = (s->why_at + EXPLAIN_KEPT - 1) % EXPLAIN_KEPT;
    if (s->why_n > 0 && same_outcome(&s->why[last], w)) {
        s->why[last] = *w;
        return;
    }
    s->why[s->why_at] = *w;
    s->why_at = (s->why_at + 1) % EXPLAIN_KEPT;
    s->why_n = MIN_OF(s->why_n + 1, (size_t)EXPLAIN_KEPT);
}

static void rebase(int64_t *t, int64_t now)
{
    if (*t != 0)
        *t = MAX_OF(now + *t, 1);       /* ages were stored as negative numbers; 0 means none */
}

void service_rebase(struct service *s, int64_t now)
{
    if (!s->mem_aged)
        return;
    s->mem_aged = false;
    for (uint32_t i = 0; i < s->mem.change_n; i++)
        rebase(&s->mem.changes_at[i], now);
    rebase(&s->mem.up_since, now);
    rebase(&s->mem.down_since, now);
}
