/* What the keeper says: processes, sockets and refusals; and whose an id is. See balancer.h. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include "agent/balancer_internal.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/num.h"
#include "base/strbuf.h"
#include "base/banned.h"

enum { CAUSE_HEAD = 80 };

/* --- ids ---------------------------------------------------------------------------------------------------- */
bool balancer_name_of_id(const char *keeper_id, char *ret, size_t size)
{
    size_t skip = sizeof balancer_id_prefix - 1;
    if (strncmp(keeper_id, balancer_id_prefix, skip) != 0)
        return false;
    size_t n = strcspn(keeper_id + skip, ".:/");
    if (n == 0 || !keeper_id[skip + n] || size == 0)
        return false;
    snprintf(ret, size, "%.*s", (int)n, keeper_id + skip);
    return true;
}

bool balancer_owns(const struct balancer *b, const char *keeper_id)
{
    char name[ID_SIZE];
    return balancer_name_of_id(keeper_id, name, sizeof name) && strcmp(name, b->name) == 0;
}

/* The number behind '.' or ':' of an id of ours; 0: another kind of id. */
static uint32_t number_of(const struct balancer *b, const char *id, char separator)
{
    uint64_t v;
    if (!balancer_owns(b, id))
        return 0;
    const char *rest = id + sizeof balancer_id_prefix - 1 + strlen(b->name);
    return *rest == separator && num_u64(rest + 1, &v) == 0 && v <= UINT32_MAX ? (uint32_t)v : 0;
}

static struct hapgen *gen_of(struct balancer *b, const char *id)
{
    uint32_t n = number_of(b, id, '.');
    for (size_t i = 0; i < GENS_MAX && n; i++)
        if (b->gens[i].number == n)
            return &b->gens[i];
    return NULL;
}

/* --- messages ------------------------------------------------------------------------------------------------- */
/* The alert that says why, without HAProxy's own decoration; "" if there is none. */
static void read_cause(int fd, char *ret, size_t size)
{
    char text[8192], *alert;
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    *ret = 0;
    if (n <= 0)
        return;
    text[n] = 0;
    if (!(alert = strstr(text, "[ALERT]")) && !(alert = strstr(text, "[WARNING]")))
        alert = text;
    char *from = strstr(alert, ") : ");
    from = from ? from + 4 : alert;
    size_t len = strcspn(from, "\n");
    if (len < size || size < 2 * CAUSE_HEAD)
        snprintf(ret, size, "%.*s", (int)len, from);
    else                        /* where it is, and what it got; between them stands all that it would have taken */
        snprintf(ret, size, "%.*s ... %.*s", CAUSE_HEAD, from, (int)(size - CAUSE_HEAD - 6), from + len - (size - CAUSE_HEAD - 6));
}

static void check_ended(struct balancer *b, const struct k_state *s)
{
    char why[200];
    if (!b->check_runs)
        return;
    read_cause(b->check_output, why, sizeof why);
    close(b->check_output);
    b->check_runs = false;
    if (s->exit.kind == EXIT_KIND_CODE && s->exit.value == 0) {
        b->good = b->checking;
    } else {
        char how[64];
        exit_describe(s->exit, how, sizeof how);
        b->bad = b->checking;
        fixed_printf(b->problem, "HAProxy refuses the configuration: %s", why[0] ? why : how);
        balancer_event(b, 3, "balancer", "%s; %s", b->problem, b->cur ? "the one before stays" : "nothing is served");
    }
}

static void gen_ended(struct balancer *b, struct hapgen *g, const struct k_state *s)
{
    char how[64], why[160], id[ID_SIZE];
    int64_t now = balancer_now(b);
    exit_describe(s->exit, how, sizeof how);
    read_cause(g->output, why, sizeof why);
    if (g == b->next) {
        char text[256];
        fixed_printf(text, "HAProxy does not start (%s)%s%s", how, why[0] ? ": " : "", why);
        balancer_start_failed(b, now, text);
        balancer_event(b, 3, "balancer", "%s", text);
        if (b->cur && b->cur->signature != b->signature)
            b->bad = b->signature;          /* the one before serves on */
        b->next = NULL;
    } else if (g == b->cur) {
        b->cur = NULL;
        if (!b->stop) {
            b->deaths = now - g->born_ms < 2000 ? b->deaths + 1 : 0;
            b->retry_ms = b->deaths > 1 ? now + MIN_OF((int64_t)50 << MIN_OF(b->deaths, 7u), 5000) : 0;
            balancer_event(b, 4, "balancer", "HAProxy %d ended (%s); it is started again, its socket is held meanwhile", (int)g->pid, how);
        }
    }
    balancer_id(b, g->number, id);
    hapgen_end(g);
    if (b->stop && !s->populated)           /* who ends us may not wait for K_EMPTY */
        b->ops->forget(b->arg, id);
}

static void spawned(struct balancer *b, const struct k_state *s)
{
    char id[ID_SIZE];
    struct hapgen *g = gen_of(b, s->id);
    balancer_check_id(b, id);
    if (strcmp(s->id, id) == 0)
        b->check_pid = s->pid;
    if (!g)
        return;
    g->pid = s->pid;
    g->heard_ms = balancer_now(b);
    if (b->stop)
        balancer_retire(b, g, g->heard_ms);
    hapgen_drive(g);
}

static void spawn_failed(struct balancer *b, const struct k_failed *f)
{
    char id[ID_SIZE], why[256];
    struct hapgen *g = gen_of(b, f->id);
    fixed_printf(why, "HAProxy cannot be started: %s", f->detail[0] ? f->detail : strerror(f->rc < 0 ? -f->rc : f->rc));
    balancer_check_id(b, id);
    if (strcmp(f->id, id) == 0 && b->check_runs) {
        close(b->check_output);
        b->check_runs = false;
    } else if (g) {
        if (b->next == g)
            b->next = NULL;
        hapgen_end(g);
    } else {
        return;
    }
    if (strcmp(why, b->problem) != 0)
        balancer_event(b, 3, "balancer", "%s", why);
    balancer_start_failed(b, balancer_now(b), why);
    b->ops->forget(b->arg, f->id);
}

static void hold(struct balancer *b, uint32_t number, const char *address, uint32_t port)
{
    struct held *place = NULL;
    for (size_t i = 0; i < LISTENERS_HELD_MAX; i++)
        if (b->held[i].number == number || (!place && b->held[i].number == 0))
            place = &b->held[i];
    b->last_listener = MAX_OF(b->last_listener, number);
    if (!place)
        return;
    *place = (struct held){ .number = number, .port = port, .ready = true };
    fixed_copy(place->address, sizeof place->address, address);
}

/* The wanted address overlaps with one that we hold ourselves (":8080" after "127.0.0.1:8080"): that one must go first. */
static bool give_up_port(struct balancer *b, uint32_t port)
{
    bool any = false;
    char id[ID_SIZE];
    for (size_t i = 0; i < LISTENERS_HELD_MAX; i++)
        if (b->held[i].number && b->held[i].port == port) {
            balancer_listener_id(b, b->held[i].number, id);
            b->ops->unlisten(b->arg, id);
            b->held[i] = (struct held){ 0 };
            any = true;
        }
    for (size_t i = 0; any && i < GENS_MAX; i++)
        if (b->gens[i].number && !b->gens[i].stopping)
            balancer_retire(b, &b->gens[i], balancer_now(b));
    if (any) {
        b->cur = NULL;
        b->retry_ms = balancer_now(b) + 100;
        balancer_event(b, 5, "balancer", "the address to listen on overlaps with the one before: not reachable for a moment");
    }
    return any;
}

static void listened(struct balancer *b, const struct k_reply *r)
{
    uint32_t n = number_of(b, r->id, ':');
    if (r->verb != K_LISTEN || n == 0 || !b->listen_asked || n != b->asked.number)
        return;
    b->listen_asked = false;
    if (r->rc == 0) {
        b->retry_ms = 0;
        hold(b, n, b->asked.address, b->asked.port);
        return;
    }
    if (r->rc == -EADDRINUSE && give_up_port(b, b->asked.port))
        return;
    char why[256];
    fixed_printf(why, "cannot listen on %s:%" PRIu32 ": %s", b->asked.address, b->asked.port, r->detail[0] ? r->detail : strerror(-r->rc));
    if (strcmp(why, b->problem) != 0)
        balancer_event(b, 3, "balancer", "%s", why);
    fixed_copy(b->problem, sizeof b->problem, why);
}

static void refused_request(struct balancer *b, const struct k_reply *r)
{
    struct k_failed f = { .rc = r->rc };
    if (r->verb != K_SPAWN || r->rc == 0)
        return;
    fixed_printf(f.id, "%s", r->id);
    fixed_printf(f.detail, "%s", r->detail);
    spawn_failed(b, &f);
}

void balancer_on_keeper(struct balancer *b, const struct k_msg *m)
{
    struct hapgen *g;
    char id[ID_SIZE];
    if (b->freed || !balancer_owns(b, m->u.id.id))
        return;
    switch (m->verb) {
    case K_REPLY:
        listened(b, &m->u.reply);
        refused_request(b, &m->u.reply);
        break;
    case K_SPAWNED: spawned(b, &m->u.state); break;
    case K_SPAWN_FAILED: spawn_failed(b, &m->u.failed); break;
    case K_EXITED:
        balancer_check_id(b, id);
        if (strcmp(m->u.state.id, id) == 0)
            check_ended(b, &m->u.state);
        else if ((g = gen_of(b, m->u.state.id)) != NULL)
            gen_ended(b, g, &m->u.state);
        break;
    case K_EMPTY:
        balancer_check_id(b, id);
        if (!gen_of(b, m->u.state.id) && !(b->check_runs && strcmp(m->u.state.id, id) == 0))
            b->ops->forget(b->arg, m->u.state.id);
        break;
    case K_STATE: balancer_adopt(b, &m->u.state); return;
    case K_HELD:
        if (number_of(b, m->u.listen.id, ':'))
            hold(b, number_of(b, m->u.listen.id, ':'), m->u.listen.address, m->u.listen.port);
        return;
    default: return;
    }
    balancer_step(b);
}

/* The newest one serves; those before it were being replaced, and are told so again once the newest has its lists. */
void balancer_adopt(struct balancer *b, const struct k_state *s)
{
    uint32_t number = number_of(b, s->id, '.');
    char conf[512], socket[512];
    cleanup_free char *text = NULL;
    b->last_number = MAX_OF(b->last_number, number);
    if (!s->running) {
        if (!s->populated)
            b->ops->forget(b->arg, s->id);
        return;
    }
    struct hapgen *g = number == 0 || gen_of(b, s->id) ? NULL : hapgen_new(b, number);
    if (!g)
        return;
    hapgen_paths(b, number, conf, socket);
    if (file_read(conf, 4 << 20, &text, NULL, NULL) == 0)
        g->signature = hap_conf_signature_of_text(text);
    g->pid = s->pid;
    if (!b->cur || b->cur->number < number)
        b->cur = g;
    b->good = b->cur->signature;
    hapgen_drive(g);
}
