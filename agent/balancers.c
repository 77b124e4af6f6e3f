/* balancers.c - see balancers.h. */
#include "agent/balancers.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "agent/balancer.h"
#include "agent/rights.h"
#include "base/strbuf.h"

enum { BALANCERS_MAX = 64, LISTEN_BACKLOG = 4096 };

struct entry { char name[NAME_LEN_MAX + 1]; struct balancer *b; struct balancers *all; bool stopping, seen; };
struct balancers {
    struct balancers_options o;
    struct entry v[BALANCERS_MAX]; size_t n;
};

struct balancers *balancers_new(const struct balancers_options *o)
{
    struct balancers *b = xcalloc(1, sizeof(*b));

    b->o = *o;
    return b;
}

/* --- what a balancer asks of the keeper ------------------------------------------------------------------------ */
static int op_spawn(void *arg, const char *id, char *const argv[], char *const env[], const char *tls, const char *listener, int output_fd)
{
    struct entry *en = arg;
    cleanup_strbuf struct strbuf records = STRBUF_INIT;
    struct k_spawn k = { .kind = K_BALANCER, .umask = 0027, .owner_uid = geteuid(), .owner_gid = getegid() };

    fixed_copy(k.id, sizeof(k.id), id);
    if (listener)
        fixed_copy(k.listeners[0], sizeof(k.listeners[0]), listener);
    if (output_fd >= 0)
        k.flags |= KF_OUTPUT_FD;
    for (size_t i = 0; argv[i]; i++)
        spawn_record(&records, 'A', "%s", argv[i]);
    for (size_t i = 0; env && env[i]; i++)
        spawn_record(&records, 'E', "%s", env[i]);
    if (tls)
        spawn_record(&records, 'S', "tls\t%s\tfile", tls);
    spawn_record(&records, 'D', "/");
    return keeper_client_spawn(en->all->o.keeper, &k, &records, output_fd);
}

static void op_signal(void *arg, const char *id, int32_t pid, int signo)
{
    keeper_client_signal(((struct entry *)arg)->all->o.keeper, id, pid, signo);
}

static int op_listen(void *arg, const char *name, const char *host, uint32_t port)
{
    return keeper_client_listen(((struct entry *)arg)->all->o.keeper, name, host, port, LISTEN_BACKLOG);
}

static void op_unlisten(void *arg, const char *name)
{
    keeper_client_unlisten(((struct entry *)arg)->all->o.keeper, name);
}

static void op_forget(void *arg, const char *id)
{
    keeper_client_forget(((struct entry *)arg)->all->o.keeper, id);
}

static void op_report(void *arg, const struct balancer_report *r)
{
    struct balancers *b = ((struct entry *)arg)->all;

    b->o.report(b->o.arg, r);
}

static void op_event(void *arg, int level, const char *kind, const char *subject, const char *text)
{
    struct balancers *b = ((struct entry *)arg)->all;

    b->o.event(b->o.arg, level, kind, subject, text);
}

static const struct balancer_ops ops = { op_spawn, op_signal, op_listen, op_unlisten, op_forget, op_report, op_event };

/* --- the set ------------------------------------------------------------------------------------------------------ */
static struct entry *find(struct balancers *b, const char *name)
{
    for (size_t i = 0; i < b->n; i++)
        if (b->v[i].b && !strcmp(b->v[i].name, name))
            return &b->v[i];
    return NULL;
}

/* Entries are handed out as callback arguments, so they never move; an ended one's place is used again. */
static struct entry *add(struct balancers *b, const char *name)
{
    struct entry *en = NULL;

    for (size_t i = 0; i < b->n && !en; i++)
        if (!b->v[i].b)
            en = &b->v[i];
    if (!en && b->n < BALANCERS_MAX)
        en = &b->v[b->n++];
    if (!en)
        return NULL;
    *en = (struct entry){ .all = b };
    fixed_copy(en->name, sizeof(en->name), name);
    en->b = balancer_new(b->o.loop, b->o.run_folder, b->o.state_folder, name, &ops, en);
    if (en->b && b->o.balancer_uid != NO_ID)
        balancer_runs_apart(en->b, b->o.balancer_uid);
    return en->b ? en : NULL;
}

static void stop_unwanted(struct balancers *b)
{
    for (size_t i = 0; i < b->n; i++) {
        struct entry *en = &b->v[i];
        if (!en->b || en->seen)
            continue;
        if (!en->stopping)
            balancer_stop(en->b);
        en->stopping = true;
    }
}

static void free_ended(struct balancers *b)
{
    for (size_t i = 0; i < b->n; i++) {
        if (!b->v[i].b || !b->v[i].stopping || !balancer_ended(b->v[i].b))
            continue;
        struct balancer_report gone = { .running = false };     /* the controller waits to hear that it has ended */
        fixed_copy(gone.name, sizeof(gone.name), b->v[i].name);
        b->o.report(b->o.arg, &gone);
        balancer_free(b->v[i].b);
        b->v[i].b = NULL;
    }
}

void balancers_set(struct balancers *b, const struct desired *d)
{
    for (size_t i = 0; i < b->n; i++)
        b->v[i].seen = false;
    for (size_t i = 0; d && i < d->balancer_n; i++) {
        const struct balancer_desired *want = &d->balancers[i];
        struct entry *en = find(b, want->spec.name);
        if (!en && !(en = add(b, want->spec.name))) {
            b->o.event(b->o.arg, 3, "balancer", want->spec.name, "cannot be set up: no folder for it, or more than 64 balancers");
            continue;
        }
        en->seen = true;
        en->stopping = false;
        balancer_set(en->b, d->epoch, d->revision, want);
    }
    stop_unwanted(b);
    free_ended(b);
}

bool balancers_owns(const struct balancers *b, const char *keeper_id)
{
    char name[ID_SIZE];

    (void)b;
    return balancer_name_of_id(keeper_id, name, sizeof(name));
}

void balancers_on_keeper(struct balancers *b, const struct k_msg *m)
{
    char name[ID_SIZE];
    struct entry *en;

    if (!balancer_name_of_id(m->u.id.id, name, sizeof(name)))
        return;
    en = find(b, name);
    if (!en && (m->verb == K_STATE || m->verb == K_HELD))       /* of the supervisor before this one */
        en = add(b, name);
    if (!en)
        return;
    if (m->verb == K_STATE)
        balancer_adopt(en->b, &m->u.state);
    else
        balancer_on_keeper(en->b, m);
    bool was_stopping = en->stopping;
    free_ended(b);
    if (was_stopping)
        b->o.settle(b->o.arg);
}

void balancers_instance_gone(struct balancers *b, const char *id)
{
    for (size_t i = 0; i < b->n; i++)
        if (b->v[i].b)
            balancer_instance_gone(b->v[i].b, id);
}

void balancers_instance_back(struct balancers *b, const char *id)
{
    for (size_t i = 0; i < b->n; i++)
        if (b->v[i].b)
            balancer_instance_back(b->v[i].b, id);
}

void balancers_report(struct balancers *b)
{
    for (size_t i = 0; i < b->n; i++)
        if (b->v[i].b)
            balancer_report_now(b->v[i].b);
}

bool balancers_ended(const struct balancers *b)
{
    for (size_t i = 0; i < b->n; i++)
        if (b->v[i].b && !balancer_ended(b->v[i].b))
            return false;
    return true;
}

void balancers_metrics(struct balancers *b, int64_t now_ms, struct svc_metrics **sv, size_t *sn, struct inst_metrics **iv, size_t *in)
{
    for (size_t i = 0; i < b->n; i++)
        if (b->v[i].b)
            balancer_metrics(b->v[i].b, now_ms, sv, sn, iv, in);
}
