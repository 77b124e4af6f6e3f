/* spawn_plan.c - see spawn_plan.h. */
#include "agent/spawn_plan.h"
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include "agent/keeper_client.h"
#include "base/cleanup.h"

static const char default_path[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

static void kvs_set(struct kvs *k, const char *key, const char *value)
{
    size_t i = 0;

    while (i < k->n && strcmp(k->v[i].key, key))
        i++;
    if (i == k->n) {
        k->v = xrealloc(k->v, (k->n + 1) * sizeof(*k->v));
        k->v[k->n++] = (struct kv){ xstrdup(key), NULL };
    }
    free(k->v[i].value);
    k->v[i].value = xstrdup(value);
}

static void kvs_free(struct kvs *k)
{
    for (size_t i = 0; i < k->n; i++) {
        free(k->v[i].key);
        free(k->v[i].value);
    }
    free(k->v);
    *k = (struct kvs){ NULL, 0 };
}

/* What ${...} may name: the place first, then the spec's environment, each value expanded with those before it. */
static int variables(const char *id, const struct service_spec *spec, struct spawn_place at, struct kvs *ret, struct err *e)
{
    char port[16] = "";
    int rc = 0;

    if (at.port)
        fixed_printf(port, "%u", at.port);
    kvs_set(ret, "HOST", at.address);
    kvs_set(ret, "INSTANCE", id);
    if (at.port)
        kvs_set(ret, "PORT", port);
    for (size_t i = 0; i < spec->environment.n && !rc; i++) {
        cleanup_free char *value = NULL;
        rc = spec_expand(spec->environment.v[i].value, ret, &value, e);
        if (rc)
            return err_wrap(e, rc, "environment.%s", spec->environment.v[i].key);
        kvs_set(ret, spec->environment.v[i].key, value);
    }
    return rc;
}

static int argv_records(const struct strv *argv, const struct kvs *vars, struct strbuf *records, struct err *e)
{
    for (size_t i = 0; i < argv->n; i++) {
        cleanup_free char *word = NULL;
        int rc = spec_expand(argv->v[i], vars, &word, e);
        if (rc)
            return err_wrap(e, rc, "command");
        spawn_record(records, 'A', "%s", word);
    }
    return argv->n ? 0 : err_set(e, -EINVAL, "command: is empty");
}

static void environment_records(const struct spec_ref *ref, const struct kvs *vars, struct strbuf *records)
{
    spawn_record(records, 'E', "PATH=%s", ref->path_env && *ref->path_env ? ref->path_env : default_path);
    spawn_record(records, 'E', "LANG=C.UTF-8");
    for (size_t i = 0; i < vars->n; i++)
        spawn_record(records, 'E', "%s=%s", vars->v[i].key, vars->v[i].value);
}

static void identity_records(const struct service_spec *spec, struct strbuf *records)
{
    static const char *const as[] = { [SECRET_BOTH] = "both", [SECRET_FILE] = "file", [SECRET_VARIABLE] = "variable" };

    spawn_record(records, 'D', "%s", spec->directory);
    spawn_record(records, 'H', "1");
    if (spec->user)
        spawn_record(records, 'U', "%s", spec->user);
    for (size_t i = 0; i < spec->groups.n; i++)
        spawn_record(records, 'G', "%s", spec->groups.v[i]);
    if (spec->environment_file)
        spawn_record(records, 'F', "%s", spec->environment_file);
    for (size_t i = 0; i < spec->secret_n; i++)
        spawn_record(records, 'S', "%s\t%s\t%s", spec->secrets[i].name, spec->secrets[i].file, as[spec->secrets[i].as]);
}

static void fixed_part(const char *id, const struct spec_ref *ref, uint32_t kind, struct k_spawn *k)
{
    const struct service_spec *spec = &ref->spec;

    memset(k, 0, sizeof(*k));
    fixed_copy(k->id, sizeof(k->id), id);
    k->kind = kind;
    k->flags = spec->no_new_privs ? KF_NO_NEW_PRIVS : 0;
    k->umask = spec->umask;
    k->owner_uid = ref->owner_uid;
    k->owner_gid = ref->owner_gid;
    k->files = spec->resources.files;
}

static void log_part(const char *id, const struct service_spec *spec, struct k_spawn *k)
{
    k->flags |= KF_LOG | (spec->log.timestamps ? KF_LOG_TIMESTAMPS : 0);
    fixed_copy(k->log_id, sizeof(k->log_id), id);
    k->log_max_size = spec->log.max_size;
    k->log_keep = spec->log.keep > 0 ? spec->log.keep - 1 : 0;  /* the logger counts those beside the present one */
}

static int common(const char *id, const struct spec_ref *ref, const struct strv *argv, struct spawn_place at, struct strbuf *records, struct err *e)
{
    struct kvs vars = { NULL, 0 };
    int rc = variables(id, &ref->spec, at, &vars, e);

    if (!rc)
        rc = argv_records(argv, &vars, records, e);
    if (!rc) {
        environment_records(ref, &vars, records);
        identity_records(&ref->spec, records);
    }
    kvs_free(&vars);
    return rc;
}

int spawn_plan_instance(const char *id, const struct spec_ref *ref, struct spawn_place at, struct k_spawn *ret, struct strbuf *records, struct err *e)
{
    const struct service_spec *spec = &ref->spec;

    fixed_part(id, ref, K_INSTANCE, ret);
    log_part(id, spec, ret);
    ret->flags |= KF_NOTIFY;
    ret->memory_bytes = spec->resources.memory_bytes;
    ret->tasks = (uint32_t)MIN_OF(spec->resources.tasks, (uint64_t)UINT32_MAX);
    ret->cpu_milli = (uint32_t)(spec->resources.cpu * 1000);
    int rc = common(id, ref, &spec->command, at, records, e);
    /* sd_watchdog_enabled and its like send WATCHDOG=1 only where they are told how often it is awaited. */
    if (!rc && spec->health.liveness.kind == PROBE_NOTIFY)
        spawn_record(records, 'E', "WATCHDOG_USEC=%" PRId64, spec->health.liveness.every_ms * 1000);
    return rc;
}

int spawn_plan_helper(const char *helper_id, const char *id, const struct spec_ref *ref, const struct strv *argv, bool to_log, struct spawn_place at,
                      struct k_spawn *ret, struct strbuf *records, struct err *e)
{
    fixed_part(helper_id, ref, K_HELPER, ret);
    if (to_log)
        log_part(id, &ref->spec, ret);
    return common(id, ref, argv, at, records, e);
}
