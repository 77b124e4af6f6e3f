/* Every message there and back; then everything that a peer can get wrong. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/cleanup.h"
#include "base/rng.h"
#include "model/muster.pb-c.h"
#include "model/wire.h"

static const char api_json[] = "{\"command\":[\"/bin/true\",\"--flag\"],\"directory\":\"/srv/api\"}";

static char *spec_json(const char *name)
{
    struct service_spec s;
    struct err e = {""};
    if (service_spec_from_json(name, api_json, &s, &e) != 0)
        fail_msg("the test's own spec: %s", e.text);
    char *json = service_spec_to_json(&s);
    service_spec_done(&s);
    return json;
}

static void fill_spec(struct spec_ref *r, const char *name)
{
    struct err e = {""};
    *r = (struct spec_ref){.generation = UINT64_MAX, .revision = 7, .owner_uid = 4000000000u, .owner_gid = 1000, .json = spec_json(name)};
    assert_int_equal(service_spec_from_json(name, r->json, &r->spec, &e), 0);
}

/* Two services, three items, one balancer with one upstream of two servers. */
static struct desired make_desired(void)
{
    struct desired d = {.epoch = 3, .revision = UINT64_MAX - 1, .end = true};
    d.specs = xcalloc(2, sizeof *d.specs);
    d.spec_n = 2;
    fill_spec(&d.specs[0], "api");
    fill_spec(&d.specs[1], "worker-2");
    d.specs[0].path_env = xstrdup("/bin:/usr/bin");
    static const struct desired_item items[] = {{"api.2", 0, WANT_RUN}, {"api.1", 0, WANT_HOLD}, {"worker-2.4000", 1, WANT_STOP}};
    d.items = xcalloc(3, sizeof *d.items);
    memcpy(d.items, items, sizeof items);
    d.item_n = 3;
    d.balancers = xcalloc(1, sizeof *d.balancers);
    d.balancer_n = 1;
    d.balancers[0].spec = (struct balancer_spec){.name = xstrdup("edge"), .listen_host = xstrdup(""), .listen_port = 8080, .queue_timeout_ms = 5000};
    struct upstream *u = d.balancers[0].upstreams = xcalloc(1, sizeof *u);
    d.balancers[0].upstream_n = 1;
    *u = (struct upstream){.service = "api", .path = xstrdup("/v1"), .retry = true, .maxconn = 4, .slots = 22, .check = PROBE_HTTP, .check_path = xstrdup("/healthz?x=1"),
        .check_every_ms = 1000, .check_timeout_ms = 500, .check_fail_after = 3, .panic = true};
    strv_push(&u->hosts, "api.example.com");
    strv_push(&u->hosts, "*.example.org");
    static const struct upstream_server servers[] = {{"api.1", "127.0.0.1", 20000, SRV_READY}, {"api.2", "::1", 65535, SRV_DRAIN}};
    u->servers = xcalloc(2, sizeof *u->servers);
    memcpy(u->servers, servers, sizeof servers);
    u->server_n = 2;
    return d;
}

static void same_desired(const struct desired *a, const struct desired *b)
{
    assert_true(a->epoch == b->epoch && a->revision == b->revision && a->end == b->end);
    assert_true(a->spec_n == b->spec_n && a->item_n == b->item_n && a->balancer_n == b->balancer_n);
    for (size_t i = 0; i < a->spec_n; i++) {
        const struct spec_ref *x = &a->specs[i], *y = &b->specs[i];
        assert_true(x->generation == y->generation && x->revision == y->revision && x->owner_uid == y->owner_uid && x->owner_gid == y->owner_gid);
        assert_string_equal(x->json, y->json);
        assert_string_equal(x->spec.name, y->spec.name);
        assert_true(strv_equal(&x->spec.command, &y->spec.command));
        assert_true((x->path_env == NULL) == (y->path_env == NULL));
        if (x->path_env)
            assert_string_equal(x->path_env, y->path_env);
    }
    for (size_t i = 0; i < a->item_n; i++) {
        assert_string_equal(a->items[i].id, b->items[i].id);
        assert_true(a->items[i].spec_index == b->items[i].spec_index && a->items[i].want == b->items[i].want);
    }
    for (size_t i = 0; i < a->balancer_n; i++) {
        assert_string_equal(a->balancers[i].spec.name, b->balancers[i].spec.name);
        assert_int_equal(a->balancers[i].spec.listen_port, b->balancers[i].spec.listen_port);
        assert_int_equal(a->balancers[i].upstream_n, b->balancers[i].upstream_n);
        for (size_t k = 0; k < a->balancers[i].upstream_n; k++) {
            const struct upstream *x = &a->balancers[i].upstreams[k], *y = &b->balancers[i].upstreams[k];
            assert_string_equal(x->service, y->service);
            assert_true(strv_equal(&x->hosts, &y->hosts));
            assert_string_equal(x->path, y->path);
            assert_string_equal(x->check_path, y->check_path);
            assert_true(x->retry == y->retry && x->maxconn == y->maxconn && x->slots == y->slots && x->check == y->check && x->panic == y->panic);
            assert_true(x->check_every_ms == y->check_every_ms && x->check_timeout_ms == y->check_timeout_ms && x->check_fail_after == y->check_fail_after);
            assert_int_equal(x->server_n, y->server_n);
            for (size_t j = 0; j < x->server_n; j++)
                assert_memory_equal(&x->servers[j], &y->servers[j], sizeof x->servers[j]);
        }
    }
}

/* Packs, unpacks, and lets every shorter piece of it be refused or be read as something smaller, never crash. */
static struct wire_msg there_and_back(const struct wire_msg *m, int (*unpack)(const void *, size_t, struct wire_msg *, struct err *))
{
    cleanup_strbuf struct strbuf b = STRBUF_INIT;
    struct err e = {""};
    strbuf_puts(&b, "before");
    wire_pack(m, &b);
    assert_memory_equal(b.s, "before", 6);
    struct wire_msg got = {.kind = WIRE_NONE}, piece;
    for (size_t len = 0; len < b.len - 6; len++) {
        char *exact = malloc(len + 1);
        memcpy(exact, b.s + 6, len);
        int rc = unpack(exact, len, &piece, &e);
        assert_true(rc == 0 || rc == -EBADMSG);
        if (rc == 0)
            wire_msg_done(&piece);
        free(exact);
    }
    if (unpack(b.s + 6, b.len - 6, &got, &e) != 0)
        fail_msg("refused: %s", e.text);
    assert_int_equal(got.kind, m->kind);
    return got;
}

static void desired_message(void **st)
{
    (void)st;
    struct wire_msg m = {.kind = WIRE_DESIRED, .desired = make_desired()};
    struct wire_msg got = there_and_back(&m, wire_unpack_to_agent);
    same_desired(&m.desired, &got.desired);
    wire_msg_done(&got);
    assert_int_equal(got.kind, WIRE_NONE);
    free(m.desired.specs[1].json);      /* without its text it is made from the spec */
    m.desired.specs[1].json = NULL;
    got = there_and_back(&m, wire_unpack_to_agent);
    m.desired.specs[1].json = xstrdup(got.desired.specs[1].json);
    same_desired(&m.desired, &got.desired);
    wire_msg_done(&got);
    wire_msg_done(&m);
    m = (struct wire_msg){.kind = WIRE_DESIRED};        /* nothing wanted */
    got = there_and_back(&m, wire_unpack_to_agent);
    same_desired(&m.desired, &got.desired);
    wire_msg_done(&got);
}

static void hello_message(void **st)
{
    (void)st;
    struct wire_msg m = {.kind = WIRE_HELLO, .hello = {.version = 1, .name = "host-1.example", .epoch = 2, .revision = 9, .log_folder = "/var/lib/muster/log", .has_had = true}};
    m.hello.had = make_desired();
    struct wire_msg got = there_and_back(&m, wire_unpack_from_agent);
    assert_true(got.hello.has_had);
    same_desired(&m.hello.had, &got.hello.had);
    assert_string_equal(got.hello.name, m.hello.name);
    assert_string_equal(got.hello.log_folder, m.hello.log_folder);
    assert_true(got.hello.version == 1 && got.hello.epoch == 2 && got.hello.revision == 9);
    wire_msg_done(&got);
    desired_done(&m.hello.had);
    m.hello.has_had = false;
    got = there_and_back(&m, wire_unpack_from_agent);
    assert_false(got.hello.has_had);
    wire_msg_done(&got);
}

static struct inst_status some_status(void)
{
    return (struct inst_status){.id = "api.1", .service = "api", .generation = 5, .revision = 7, .state = INST_BACKOFF, .alive = true, .exited = true, .pid = 4194304, .port = 20000,
        .restarts = UINT32_MAX, .fails = 3, .state_age_ms = 1, .up_ms = INT64_MAX, .retry_in_ms = -1, .last_exit = {EXIT_KIND_SIGNAL, 9}, .reason = "exit code 3", .text = "up"};
}

static void status_message(void **st)
{
    (void)st;
    struct inst_status v[3] = {some_status(), some_status(), some_status()};
    v[1].retry_in_ms = 0;
    v[1].last_exit = (struct exit_info){EXIT_KIND_CODE, 255};
    v[2].last_exit = (struct exit_info){EXIT_KIND_NONE, 0};
    struct wire_msg m = {.kind = WIRE_STATUS, .status = {.seq = 12, .full = true, .v = v, .n = 3}};
    struct wire_msg got = there_and_back(&m, wire_unpack_from_agent);
    assert_true(got.status.seq == 12 && got.status.full && got.status.n == 3);
    for (int i = 0; i < 3; i++) {
        const struct inst_status *a = &v[i], *b = &got.status.v[i];
        assert_string_equal(a->id, b->id);
        assert_string_equal(a->service, b->service);
        assert_string_equal(a->reason, b->reason);
        assert_string_equal(a->text, b->text);
        assert_true(a->generation == b->generation && a->revision == b->revision && a->state == b->state && a->alive == b->alive && a->exited == b->exited);
        assert_true(a->pid == b->pid && a->port == b->port && a->restarts == b->restarts && a->fails == b->fails);
        assert_true(a->state_age_ms == b->state_age_ms && a->up_ms == b->up_ms && a->retry_in_ms == b->retry_in_ms);
        assert_true(a->last_exit.kind == b->last_exit.kind && a->last_exit.value == b->last_exit.value);
    }
    wire_msg_done(&got);
}

static bool same_figure(double a, double b) { return (isnan(a) && isnan(b)) || a == b; }

static void metrics_message(void **st)
{
    (void)st;
    struct inst_metrics iv[2] = {{"api.1", 100, 150.5, 75.25, 1e9, 12.5, 0, 3, 4, 1.5, 20.25, 99, 1000}, {"api.2", 0, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, 0}};
    struct svc_metrics sv[1] = {{"api", 5, 500, 0.5, 8, NAN, 1, 2, 3, 5000, UINT64_MAX, 7, 900, 1000}};
    struct wire_msg m = {.kind = WIRE_METRICS, .metrics = {iv, 2, sv, 1}};
    struct wire_msg got = there_and_back(&m, wire_unpack_from_agent);
    assert_true(got.metrics.in == 2 && got.metrics.sn == 1);
    for (int i = 0; i < 2; i++) {
        const struct inst_metrics *a = &iv[i], *b = &got.metrics.iv[i];
        assert_string_equal(a->id, b->id);
        assert_true(a->age_ms == b->age_ms && a->samples == b->samples);
        const double x[] = {a->cpu_pct, a->cpu_of_limit_pct, a->memory_bytes, a->rate, a->error_rate, a->in_flight, a->queue, a->p50_ms, a->p95_ms, a->p99_ms};
        const double y[] = {b->cpu_pct, b->cpu_of_limit_pct, b->memory_bytes, b->rate, b->error_rate, b->in_flight, b->queue, b->p50_ms, b->p95_ms, b->p99_ms};
        for (size_t k = 0; k < ARRAY_LEN(x); k++)
            assert_true(same_figure(x[k], y[k]));
    }
    const struct svc_metrics *s = got.metrics.sv;
    assert_true(s->rate == 500 && s->error_rate == 0.5 && s->in_flight == 8 && isnan(s->queue) && s->p50_ms == 1 && s->p95_ms == 2 && s->p99_ms == 3);
    assert_true(s->samples == 5000 && s->requests == UINT64_MAX && s->errors == 7 && s->log_seen == 900 && s->log_expected == 1000 && s->age_ms == 5);
    wire_msg_done(&got);
    iv[0].cpu_pct = INFINITY;           /* what cannot be is missing */
    iv[0].rate = -1;
    iv[0].queue = -INFINITY;
    got = there_and_back(&m, wire_unpack_from_agent);
    assert_true(isnan(got.metrics.iv[0].cpu_pct) && isnan(got.metrics.iv[0].rate) && isnan(got.metrics.iv[0].queue) && got.metrics.iv[0].memory_bytes == 1e9);
    wire_msg_done(&got);
}

static void small_messages(void **st)
{
    (void)st;
    struct balancer_server_report servers[] = {{"api.1", SRV_READY, true, 3, 4}, {"api.2", SRV_MAINT, false, 0, 0}};
    struct wire_msg m = {.kind = WIRE_BALANCER, .balancer = {.name = "edge", .epoch = 1, .revision = 2, .running = true, .pid = 77, .problem = "none", .servers = servers, .server_n = 2}};
    struct wire_msg got = there_and_back(&m, wire_unpack_from_agent);
    assert_string_equal(got.balancer.name, "edge");
    assert_string_equal(got.balancer.problem, "none");
    assert_true(got.balancer.epoch == 1 && got.balancer.revision == 2 && got.balancer.running && got.balancer.pid == 77 && got.balancer.server_n == 2);
    for (int i = 0; i < 2; i++) {
        const struct balancer_server_report *a = &servers[i], *b = &got.balancer.servers[i];
        assert_string_equal(a->id, b->id);
        assert_true(a->state == b->state && a->up == b->up && a->in_flight == b->in_flight && a->queued == b->queued);
    }
    wire_msg_done(&got);
    m = (struct wire_msg){.kind = WIRE_EVENT, .event = {.wall_ms = 1795568523004, .level = 4, .kind = "exited", .subject = "api.1", .text = "exit code 3"}};
    got = there_and_back(&m, wire_unpack_from_agent);
    assert_true(got.event.wall_ms == m.event.wall_ms && got.event.level == 4);
    assert_string_equal(got.event.kind, "exited");
    assert_string_equal(got.event.subject, "api.1");
    assert_string_equal(got.event.text, "exit code 3");
    m = (struct wire_msg){.kind = WIRE_BEAT, .beat = UINT64_MAX};
    got = there_and_back(&m, wire_unpack_from_agent);
    assert_true(got.beat == UINT64_MAX);
    m = (struct wire_msg){.kind = WIRE_END};
    there_and_back(&m, wire_unpack_from_agent);
    m = (struct wire_msg){.kind = WIRE_RESYNC};
    there_and_back(&m, wire_unpack_to_agent);
}

/* Free text is made fit rather than refused, on both sides. */
static void free_text(void **st)
{
    (void)st;
    struct inst_status v = some_status();
    snprintf(v.reason, sizeof v.reason, "a\nb\x1b[31m\xff");
    struct wire_msg m = {.kind = WIRE_STATUS, .status = {.v = &v, .n = 1}};
    struct wire_msg got = there_and_back(&m, wire_unpack_from_agent);
    assert_string_equal(got.status.v[0].reason, "a b [31m?");
    wire_msg_done(&got);
}

static void pack_raw(const ProtobufCMessage *p, struct strbuf *b)
{
    size_t n = protobuf_c_message_get_packed_size(p);
    uint8_t *bytes = xmalloc(n);
    protobuf_c_message_pack(p, bytes);
    strbuf_reset(b);
    strbuf_add(b, bytes, n);
    free(bytes);
}

#define S(text) ((char *)(uintptr_t)(text))

/* Sends one status made by hand; true if it was taken. */
static bool status_taken(Muster__InstStatus *s, size_t n)
{
    cleanup_strbuf struct strbuf b = STRBUF_INIT;
    Muster__InstStatus **list = xcalloc(n, sizeof *list);
    for (size_t i = 0; i < n; i++)
        list[i] = s;
    Muster__Status status = MUSTER__STATUS__INIT;
    status.instances = list;
    status.n_instances = n;
    Muster__FromAgent from = MUSTER__FROM_AGENT__INIT;
    from.kind_case = MUSTER__FROM_AGENT__KIND_STATUS;
    from.status = &status;
    pack_raw(&from.base, &b);
    free(list);
    struct wire_msg got = {.beat = 77};
    struct err e = {""};
    int rc = wire_unpack_from_agent(b.s, b.len, &got, &e);
    if (rc != 0) {
        assert_int_equal(rc, -EBADMSG);
        assert_true(*e.text != '\0');
        assert_true(got.beat == 77 && got.kind == WIRE_NONE);  /* untouched */
        return false;
    }
    wire_msg_done(&got);
    return true;
}

static void status_refused(void **st)
{
    (void)st;
    static char long_text[10000];
    memset(long_text, 'x', sizeof long_text - 1);
    const Muster__InstStatus init = MUSTER__INST_STATUS__INIT;
    Muster__InstStatus good = init, s;
    good.id = S("api.1");
    good.service = S("api");
    assert_true(status_taken(&good, 1));
    assert_true(status_taken(&good, 100));
    static const char *const ids[] = {"", "api", "api.", ".1", "api.0", "api.01", "api.-1", "api.1/x", "../api.1", "api.1 ", "api.100000", "apis.1", "API.1", "api.1.2", "api.x",
        "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff.1"};
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        s = good;
        s.id = S(ids[i]);
        if (status_taken(&s, 1))
            fail_msg("taken: %s", ids[i]);
    }
    static const char *const names[] = {"", "Api", "1api", "api.x", "a/b", "..", "-a", "a b"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        s = good;
        s.service = S(names[i]);
        assert_false(status_taken(&s, 1));
    }
#define REFUSED(field, value) do { s = good; s.field = (value); if (status_taken(&s, 1)) fail_msg("taken: " #field " " #value); } while (0)
#define TAKEN(field, value) do { s = good; s.field = (value); if (!status_taken(&s, 1)) fail_msg("refused: " #field " " #value); } while (0)
    REFUSED(state, INSTANCE_STATE_COUNT);
    REFUSED(state, UINT32_MAX);
    TAKEN(state, INSTANCE_STATE_COUNT - 1);
    REFUSED(pid, -1);
    REFUSED(port, 65536);
    TAKEN(port, 65535);
    REFUSED(state_age_ms, -1);
    REFUSED(up_ms, -1);
    REFUSED(retry_in_ms, -2);
    TAKEN(retry_in_ms, -1);
    REFUSED(exit_kind, 4);
    TAKEN(reason, long_text);
    TAKEN(text, long_text);
    static const struct { uint32_t kind; int32_t value; bool ok; } exits[] = {{EXIT_KIND_CODE, 255, true}, {EXIT_KIND_CODE, 256, false}, {EXIT_KIND_CODE, -1, false},
        {EXIT_KIND_SIGNAL, 64, true}, {EXIT_KIND_SIGNAL, 0, false}, {EXIT_KIND_SIGNAL, 65, false}, {EXIT_KIND_UNKNOWN, 0, true}};
    for (size_t i = 0; i < ARRAY_LEN(exits); i++) {
        s = good;
        s.exit_kind = exits[i].kind;
        s.exit_value = exits[i].value;
        assert_int_equal(status_taken(&s, 1), exits[i].ok);
    }
    assert_false(status_taken(&good, 100001));          /* more than is kept */
    s = init;
    assert_false(status_taken(&s, 3000000));            /* six bytes each... and hundreds once decoded */
}

/* The good message with one thing changed in the struct before packing; wire_pack does not check, the reader does. */
static bool desired_taken(const struct desired *d)
{
    cleanup_strbuf struct strbuf b = STRBUF_INIT;
    struct wire_msg m = {.kind = WIRE_DESIRED, .desired = *d}, got;
    struct err e = {""};
    wire_pack(&m, &b);
    int rc = wire_unpack_to_agent(b.s, b.len, &got, &e);
    if (rc != 0) {
        assert_int_equal(rc, -EBADMSG);
        assert_true(*e.text != '\0');
        return false;
    }
    wire_msg_done(&got);
    return true;
}

static void desired_refused(void **st)
{
    (void)st;
    struct desired d = make_desired();
    struct upstream *u = d.balancers[0].upstreams;
    assert_true(desired_taken(&d));
#define WITH(place, value, ok) do { \
        __typeof__(place) was_ = (place); \
        (place) = (value); \
        bool taken_ = desired_taken(&d); \
        (place) = was_; \
        if (taken_ != (ok)) \
            fail_msg("%s: " #place " = " #value, taken_ ? "taken" : "refused"); \
    } while (0)
    WITH(d.items[0].spec_index, 2, false);
    WITH(d.items[0].spec_index, 1, false);              /* another service's */
    WITH(d.items[0].want, WANT_COUNT, false);
    WITH(d.items[0].id[4], '1', false);                 /* api.1 twice */
    WITH(d.items[0].id[0], 'A', false);
    WITH(d.specs[0].json[0], '[', false);
    WITH(d.specs[0].spec.name, S("x y"), false);
    WITH(u->path, S("v1"), false);
    WITH(u->path, S("/v 1"), false);
    WITH(u->path, S("/v1\r\nX: y"), false);
    WITH(u->path, NULL, true);
    WITH(u->check, PROBE_COMMAND, false);
    WITH(u->check, (enum probe_kind)9, false);
    WITH(u->check, PROBE_TCP, true);
    WITH(u->check_path, NULL, false);                   /* http needs one */
    WITH(u->check_every_ms, -1, false);
    WITH(u->slots, 100000, false);
    WITH(u->hosts.v[0], S("a b"), false);
    WITH(u->hosts.v[0], S(""), false);
    WITH(u->hosts.v[0], S("x\ny"), false);
    WITH(u->service[0], '9', false);
    WITH(u->servers[0].port, 65536, false);
    WITH(u->servers[0].state, SERVER_STATE_COUNT, false);
    WITH(u->servers[0].address[0], ' ', false);
    WITH(u->servers[0].address[0], '\0', false);
    WITH(u->servers[0].id[0], 'b', false);              /* not of this service */
    WITH(d.balancers[0].spec.name, S("../edge"), false);
    desired_done(&d);
}

static void event_and_hello_refused(void **st)
{
    (void)st;
    static const struct { int level; const char *kind, *subject; int64_t wall; bool ok; } rows[] = {{6, "ready", "api.1", 0, true}, {3, "rollout", "", 5, true}, {2, "ready", "api", 0, false},
        {7, "ready", "api", 0, false}, {6, "", "api", 0, false}, {6, "a b", "api", 0, false}, {6, "ready", "a\nb", 0, false}, {6, "ready", "api", -1, false}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct wire_msg m = {.kind = WIRE_EVENT, .event = {.level = rows[i].level, .wall_ms = rows[i].wall, .text = "x"}}, got;
        cleanup_strbuf struct strbuf b = STRBUF_INIT;
        fixed_copy(m.event.kind, sizeof m.event.kind, rows[i].kind);
        fixed_copy(m.event.subject, sizeof m.event.subject, rows[i].subject);
        wire_pack(&m, &b);
        assert_int_equal(wire_unpack_from_agent(b.s, b.len, &got, NULL), rows[i].ok ? 0 : -EBADMSG);
    }
    static const struct { const char *name, *folder; bool ok; } hellos[] = {{"host", "/x", true}, {"host", "", true}, {"", "/x", false}, {"a b", "/x", false}, {"host", "x", false}};
    for (size_t i = 0; i < ARRAY_LEN(hellos); i++) {
        struct wire_msg m = {.kind = WIRE_HELLO}, got;
        cleanup_strbuf struct strbuf b = STRBUF_INIT;
        fixed_copy(m.hello.name, sizeof m.hello.name, hellos[i].name);
        fixed_copy(m.hello.log_folder, sizeof m.hello.log_folder, hellos[i].folder);
        wire_pack(&m, &b);
        assert_int_equal(wire_unpack_from_agent(b.s, b.len, &got, NULL), hellos[i].ok ? 0 : -EBADMSG);
    }
}

/* Each direction refuses the other's messages, and noise: random bytes, and good messages with bits turned. */
static void noise(void **st)
{
    (void)st;
    struct rng r = {.state = 5};
    struct wire_msg m = {.kind = WIRE_DESIRED, .desired = make_desired()}, got;
    cleanup_strbuf struct strbuf b = STRBUF_INIT;
    wire_pack(&m, &b);
    assert_int_equal(wire_unpack_from_agent(b.s, b.len, &got, NULL), -EBADMSG);
    assert_int_equal(wire_unpack_from_agent("", 0, &got, NULL), -EBADMSG);
    assert_int_equal(wire_unpack_to_agent("", 0, &got, NULL), -EBADMSG);
    unsigned taken = 0;
    for (int i = 0; i < 3000; i++) {
        char *copy = malloc(b.len);
        memcpy(copy, b.s, b.len);
        for (uint64_t k = rng_below(&r, 4); k < 4; k++)
            copy[rng_below(&r, b.len)] ^= (char)(1u << rng_below(&r, 8));
        if (wire_unpack_to_agent(copy, b.len, &got, NULL) == 0) {
            taken++;
            wire_msg_done(&got);
        }
        size_t n = 1 + rng_below(&r, 100);
        for (size_t k = 0; k < n; k++)
            copy[k] = (char)rng_next(&r);
        if (wire_unpack_from_agent(copy, n, &got, NULL) == 0)
            wire_msg_done(&got);
        free(copy);
    }
    assert_true(taken < 3000);
    wire_msg_done(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(desired_message), cmocka_unit_test(hello_message), cmocka_unit_test(status_message), cmocka_unit_test(metrics_message),
        cmocka_unit_test(small_messages), cmocka_unit_test(free_text), cmocka_unit_test(status_refused), cmocka_unit_test(desired_refused),
        cmocka_unit_test(event_and_hello_refused), cmocka_unit_test(noise)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
