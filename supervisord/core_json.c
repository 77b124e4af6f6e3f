/* core_json.c - a service's and a balancer's row: one line of JSON and back. Times are stored as ages, since a monotonic clock
 * starts anew with the machine. What an unknown key says is ignored, so that the next version's rows can be read. */
#include "supervisord/core_priv.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { RELEASES_MAX = 4096 };

/* --- writing ------------------------------------------------------------------------------------------------------------ */
static json_t *release_json(const struct release *r)
{
    return json_pack("{s:I s:I s:I s:I s:s? s:s}", "generation", (json_int_t)r->generation, "revision", (json_int_t)r->revision,
                     "uid", (json_int_t)r->owner_uid, "gid", (json_int_t)r->owner_gid, "path", r->path_env, "spec", r->json);
}

/* The target and every other release that an instance still has, each once. */
static json_t *releases_json(const struct service *s)
{
    json_t *a = json_array();
    json_array_append_new(a, release_json(s->target));
    uint64_t *seen = xcalloc(s->n + 1, sizeof *seen);
    size_t n = 0;
    for (size_t k = 0; k < s->n; k++) {
        const struct release *r = s->inst[k]->rel;
        bool had = r->generation == s->target->generation;
        for (size_t j = n; j-- > 0 && !had;)            /* few generations at a time, so this is short */
            had = seen[j] == r->generation;
        if (had)
            continue;
        seen[n++] = r->generation;
        json_array_append_new(a, release_json(r));
    }
    free(seen);
    return a;
}

static json_t *instances_json(const struct service *s)
{
    json_t *a = json_array();
    for (size_t k = 0; k < s->n; k++) {
        const struct instance *i = s->inst[k];
        json_array_append_new(a, json_pack("[I,I,s,I]", (json_int_t)i->slot, (json_int_t)i->rel->generation, want_word(i->want), (json_int_t)i->born));
    }
    return a;
}

static json_int_t age(int64_t t, int64_t now) { return t == 0 ? 0 : (json_int_t)(MAX_OF(now - t, 0) + 1); }

static json_t *memory_json(const struct scale_memory *m, int64_t now, bool aged)
{
    json_t *changes = json_array();
    for (uint32_t k = 0; k < m->change_n && k < SCALE_HISTORY; k++)
        json_array_append_new(changes, json_pack("[I,i]", aged ? (json_int_t)-m->changes_at[k] : age(m->changes_at[k], now), (int)m->changes[k]));
    return json_pack("{s:o}", "changes", changes);      /* the waits begin anew: who was away does not know what was asked for meanwhile */
}

char *service_to_json(const struct service *s, int64_t now)
{
    json_t *o = json_pack("{s:i s:s s:o s:o s:I s:b s:b s:b s:b s:I s:b s:b s:s s:s s:b s:I s:o}", "v", 1, "source", s->source,
                          "releases", releases_json(s), "instances", instances_json(s), "desired", (json_int_t)s->desired, "held", s->held,
                          "stopped", s->stopped, "deleting", s->deleting, "gate_open", s->gate_open, "gate_seen", (json_int_t)(s->gate_seen & INT64_MAX),
                          "rolling", s->rolling, "paused", s->paused, "pause_reason", s->pause_reason, "pause_id", s->pause_id,
                          "announced", s->announced, "slots", (json_int_t)s->slots, "memory", memory_json(&s->mem, now, s->mem_aged));
    assert(o);
    char *text = json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(o);
    assert(text);
    return text;
}

char *balancer_row_to_json(const struct balancer *b)
{
    json_t *o = json_pack("{s:i s:s s:s s:b}", "v", 1, "source", b->source, "spec", b->json, "deleting", b->deleting);
    assert(o);
    char *text = json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(o);
    assert(text);
    return text;
}

/* --- reading -------------------------------------------------------------------------------------------------------------- */
static bool get_bool(const json_t *o, const char *key) { return json_is_true(json_object_get(o, key)); }
static const char *get_str(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}
static bool get_num(const json_t *o, const char *key, int64_t max, int64_t *ret)
{
    const json_t *v = json_object_get(o, key);
    if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > max)
        return false;
    *ret = json_integer_value(v);
    return true;
}

struct release_list { struct release *v[RELEASES_MAX]; size_t n; };
static void release_list_free(struct release_list *l)
{
    for (size_t i = 0; l && i < l->n; i++)
        release_unref(l->v[i]);
    free(l);
}

static int read_release(const char *name, const json_t *o, struct release **ret, struct err *e)
{
    int64_t generation, revision, uid, gid;
    const char *spec = json_string_value(json_object_get(o, "spec"));
    if (!spec || !get_num(o, "generation", INT64_MAX, &generation) || !get_num(o, "revision", UINT32_MAX, &revision) ||
        !get_num(o, "uid", UINT32_MAX, &uid) || !get_num(o, "gid", UINT32_MAX, &gid))
        return err_set(e, -EBADMSG, "a release is incomplete");
    *ret = release_new(name, spec, (uint64_t)generation, (uint32_t)revision, (uint32_t)uid, (uint32_t)gid,
                       json_string_value(json_object_get(o, "path")), e);
    return *ret ? 0 : err_wrap(e, -EBADMSG, "revision %lld", (long long)revision);
}

static int read_releases(const char *name, const json_t *a, struct release_list *l, struct err *e)
{
    size_t i;
    json_t *o;
    if (json_array_size(a) == 0 || json_array_size(a) > RELEASES_MAX)
        return err_set(e, -EBADMSG, "no releases, or too many");
    json_array_foreach(a, i, o) {
        int rc = read_release(name, o, &l->v[l->n], e);
        if (rc < 0)
            return rc;
        l->n++;
    }
    return 0;
}

static bool parse_want(const char *s, enum want *ret)
{
    for (int w = 0; s && w < WANT_COUNT; w++)
        if (!strcmp(s, want_word((enum want)w))) {
            *ret = (enum want)w;
            return true;
        }
    return false;
}

static int read_instance(struct service *s, const json_t *o, const struct release_list *l, struct err *e)
{
    json_int_t slot, generation, born = 0;
    const char *word;
    enum want want;
    if (json_unpack((json_t *)(uintptr_t)o, "[I,I,s,I]", &slot, &generation, &word, &born) < 0 || !parse_want(word, &want) || slot < 1 || slot > 2 * INSTANCES_MAX)
        return err_set(e, -EBADMSG, "an instance is incomplete");
    struct release *r = NULL;
    for (size_t k = 0; k < l->n && !r; k++)
        if (l->v[k]->generation == (uint64_t)generation)
            r = l->v[k];
    struct instance *i = r ? service_add_slot(s, (uint32_t)slot, r, want) : NULL;
    if (!i)
        return err_set(e, -EBADMSG, "instance %lld: its release is missing, or it is there twice", (long long)slot);
    i->born = (uint64_t)born;
    s->born_next = MAX_OF(s->born_next, i->born);
    return 0;
}

static void read_memory(struct service *s, const json_t *o)
{
    size_t i;
    json_t *c;
    json_array_foreach(json_object_get(o, "changes"), i, c) {
        json_int_t ago;
        int by;
        if (s->mem.change_n >= SCALE_HISTORY || json_unpack(c, "[I,i]", &ago, &by) < 0 || ago < 0)
            continue;
        s->mem.changes_at[s->mem.change_n] = -(int64_t)ago;
        s->mem.changes[s->mem.change_n++] = by;
    }
    s->mem_aged = true;
}

static int read_service(struct service *s, const json_t *o, struct release_list *l, struct err *e)
{
    int64_t desired, slots = 0, seen = 0;
    int rc = read_releases(s->name, json_object_get(o, "releases"), l, e);
    if (rc < 0)
        return rc;
    s->target = release_ref(l->v[0]);
    size_t i;
    json_t *v;
    json_array_foreach(json_object_get(o, "instances"), i, v)
        if ((rc = read_instance(s, v, l, e)) < 0)
            return rc;
    if (!get_num(o, "desired", INSTANCES_MAX, &desired))
        return err_set(e, -EBADMSG, "no number of instances");
    if (get_num(o, "slots", 1 << 16, &slots))
        s->slots = (uint32_t)slots;
    if (get_num(o, "gate_seen", INT64_MAX, &seen))
        s->gate_seen = (uint64_t)seen;
    s->desired = (uint32_t)desired;
    s->source = xstrdup(get_str(o, "source"));
    s->held = get_bool(o, "held");
    s->stopped = get_bool(o, "stopped");
    s->deleting = get_bool(o, "deleting");
    s->gate_open = get_bool(o, "gate_open");
    s->rolling = get_bool(o, "rolling");
    s->paused = get_bool(o, "paused");
    s->announced = get_bool(o, "announced");
    fixed_copy(s->pause_reason, sizeof s->pause_reason, get_str(o, "pause_reason"));
    fixed_copy(s->pause_id, sizeof s->pause_id, get_str(o, "pause_id"));
    read_memory(s, json_object_get(o, "memory"));
    return 0;
}

static json_t *parse_row(const char *json, struct err *e)
{
    json_error_t je;
    json_t *o = json_loads(json, JSON_REJECT_DUPLICATES, &je);
    int64_t version;
    if (!o)
        err_set(e, -EBADMSG, "its row is no JSON: %s", je.text);
    else if (!get_num(o, "v", 1, &version) || version != 1) {
        err_set(e, -EBADMSG, "its row is of another version");
        json_decref(o);
        o = NULL;
    }
    return o;
}

int service_from_json(const char *name, const char *json, struct service **ret, struct err *e)
{
    json_t *o = parse_row(json, e);
    if (!o)
        return -EBADMSG;
    struct service *s = service_new(name);
    struct release_list *l = xcalloc(1, sizeof *l);
    int rc = read_service(s, o, l, e);
    release_list_free(l);
    json_decref(o);
    if (rc < 0)
        service_free(s);
    else
        *ret = s;
    return rc;
}

int balancer_row_from_json(const char *name, const char *json, struct balancer **ret, struct err *e)
{
    json_t *o = parse_row(json, e);
    if (!o)
        return -EBADMSG;
    struct balancer *b = xcalloc(1, sizeof *b);
    fixed_copy(b->name, sizeof b->name, name);
    b->source = xstrdup(get_str(o, "source"));
    b->json = xstrdup(get_str(o, "spec"));
    b->deleting = get_bool(o, "deleting");
    int rc = balancer_spec_from_json(name, b->json, &b->spec, e);
    json_decref(o);
    if (rc < 0)
        controller_balancer_free(b);
    else
        *ret = b;
    return rc;
}
