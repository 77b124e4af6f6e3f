/* spec_host.c - what only this machine can tell about a configuration. See config_check_host in spec.h.
 *
 * Not pure: asks for accounts, folders, modes. What it finds may change at any time after: the agent tells that as `failed`. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "model/draft.h"
#include "model/host_account.h"
#include "model/host_path.h"
#include "model/spawn_env.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct checker { struct draft *d; const struct draft_service *s; struct host_account account; const char *search_path; };

static const char *path_of(const struct service_spec *s)
{
    for (size_t i = 0; i < s->environment.n; i++)
        if (strcmp(s->environment.v[i].key, "PATH") == 0)
            return s->environment.v[i].value;
    const char *own = getenv("PATH");
    return own && *own ? own : DEFAULT_PATH;
}

static void check_program(struct checker *c, const char *key, const struct strv *argv)
{
    struct err e;
    cleanup_free char *program = NULL;
    if (argv->n == 0 || spec_expand(argv->v[0], &c->s->spec.environment, &program, &e) < 0)
        return;                         /* ${INSTANCE} in the program's name: only its agent can tell */
    if (host_path_program(&c->account, program, c->s->spec.directory, c->search_path, &e) < 0)
        draft_complain(c->d, &c->s->at, key, "%s", e.text);
}

static void check_programs(struct checker *c)
{
    const struct service_spec *s = &c->s->spec;
    check_program(c, "command", &s->command);
    check_program(c, "health.startup.command", &s->health.startup.command);
    check_program(c, "health.readiness.command", &s->health.readiness.command);
    check_program(c, "health.liveness.command", &s->health.liveness.command);
    check_program(c, "hooks.before_start.run", &s->hooks[HOOK_BEFORE_START].run);
    check_program(c, "hooks.after_ready.run", &s->hooks[HOOK_AFTER_READY].run);
    check_program(c, "hooks.before_stop.run", &s->hooks[HOOK_BEFORE_STOP].run);
}

static void check_files(struct checker *c)
{
    const struct service_spec *s = &c->s->spec;
    struct err e;
    struct strv dropped = {0};          /* only whether it can be read as one; what it holds is nobody's here */
    if (s->environment_file && (host_path_readable(s->environment_file, &e) < 0 || env_file(&dropped, s->environment_file, &e) < 0))
        draft_complain(c->d, &c->s->at, "environment_file", "%s", e.text);
    strv_done(&dropped);
    for (size_t i = 0; i < s->secret_n; i++)
        if (host_path_readable(s->secrets[i].file, &e) < 0)
            draft_complain_in(c->d, &c->s->at, "secrets", s->secrets[i].name, "%s", e.text);
}

/* False: it is not even known who it is, so nothing else can be said. */
static bool check_account(struct checker *c, uid_t owner_uid)
{
    const struct service_spec *s = &c->s->spec;
    const struct strv none = {0};
    struct err e;
    if (host_account_find(s->user, owner_uid, &none, &c->account, &e) < 0) {
        draft_complain(c->d, &c->s->at, "user", "%s", e.text);
        return false;
    }
    if (geteuid() != 0 && c->account.uid != geteuid()) {
        draft_complain(c->d, &c->s->at, "user", "only root can run it as %s: expected `user` to be left out, or muster to be started by root",
                       c->account.name);
        return false;
    }
    if (host_account_find(s->user, owner_uid, &s->groups, &c->account, &e) < 0)
        draft_complain(c->d, &c->s->at, "groups", "%s", e.text);
    else if (geteuid() != 0 && s->groups.n)
        draft_complain(c->d, &c->s->at, "groups", "only root can set groups: expected `groups` to be left out, or muster to be started by root");
    return true;
}

static void check_service(struct draft *d, const struct draft_service *s, uid_t owner_uid)
{
    struct checker c = { .d = d, .s = s, .search_path = path_of(&s->spec) };
    struct err e;
    check_files(&c);
    if (!check_account(&c, owner_uid))
        return;
    if (host_path_folder(&c.account, s->spec.directory, &e) < 0)
        draft_complain(d, &s->at, "directory", "%s", e.text);
    else
        check_programs(&c);
}

static void check_balancer(struct draft *d, const struct draft_balancer *b)
{
    const struct host_account self = { .uid = geteuid(), .gid = getegid(), .name = "muster" };
    struct err e;
    if (b->spec.tls && host_path_pem(b->spec.tls, &e) < 0)
        draft_complain(d, &b->at, "haproxy.tls", "%s", e.text);
    if (host_path_program(&self, "haproxy", "/", DEFAULT_PATH, &e) < 0)
        draft_complain(d, &b->at, "haproxy", "HAProxy is not installed (apt install haproxy): %s", e.text);
}

int config_check_host(const struct config *c, const struct config_source *src, size_t n, uint32_t owner_uid, struct config_errors *errs)
{
    (void)c;                            /* the sources say the same, and where */
    struct draft d = {0};
    draft_read(&d, src, n);
    for (size_t i = 0; i < d.service_n && d.p.n < CONFIG_ERRORS_MAX; i++)
        check_service(&d, &d.services[i], owner_uid);
    for (size_t i = 0; i < d.balancer_n; i++)
        check_balancer(&d, &d.balancers[i]);
    int found = (int)d.p.n;
    problems_give(&d.p, src, errs);
    draft_done(&d);
    return found;
}
