/* Each directive here was tried with HAProxy 2.6.12; docs/BALANCERS.md says why it is there. */
#include "agent/haproxy_conf.h"
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/num.h"
#include "base/banned.h"

enum { FILES_MAX = 200000 };
static const char signature_mark[] = "# muster signature ";

bool hap_address_ok(const char *address)
{
    unsigned char bin[16];
    return inet_pton(AF_INET, address, bin) == 1 || inet_pton(AF_INET6, address, bin) == 1;
}

uint32_t hap_slot_of(const char *id, const char *service)
{
    size_t n = strlen(service);
    uint64_t slot;
    if (strncmp(id, service, n) != 0 || id[n] != '.' || num_u64(id + n + 1, &slot) < 0 || slot > HAP_SLOTS_MAX)
        return 0;
    return (uint32_t)slot;
}

uint32_t hap_slots(const struct upstream *u, uint32_t present)
{
    uint32_t n = MAX_OF(MAX_OF(u->slots, present), 1u);
    for (size_t i = 0; i < u->server_n; i++)
        n = MAX_OF(n, hap_slot_of(u->servers[i].id, u->service));
    return MIN_OF(n, (uint32_t)HAP_SLOTS_MAX);
}

/* Single quotes take everything but themselves, as in a shell: no `$`, `\` or `#` means anything inside. */
static int quote(struct strbuf *out, const char *value, const char *what, struct err *e)
{
    strbuf_putc(out, '\'');
    for (const char *c = value; *c; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return err_set(e, -EINVAL, "%s: a control character cannot be written into HAProxy's configuration", what);
        if (*c == '\'')
            strbuf_puts(out, "'\\''");
        else
            strbuf_putc(out, *c);
    }
    strbuf_putc(out, '\'');
    return 0;
}

static int name_ok(const char *name, const char *what, struct err *e)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");
    if (n == 0 || name[n] || n > NAME_LEN_MAX || name[0] < 'a')
        return err_set(e, -EINVAL, "%s: \"%.60s\" is not a name", what, name);
    return 0;
}

/* Only what a Host header can hold: letters, digits, dots, hyphens, and brackets and colons of an IPv6 address. */
static int host_ok(const char *host, struct err *e)
{
    const char *h = strncmp(host, "*.", 2) == 0 ? host + 2 : host;
    size_t n = strspn(h, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]");
    if (n == 0 || h[n] || n > 255)
        return err_set(e, -EINVAL, "hosts: \"%.80s\" is not a host name (want e.g. api.example.com or *.example.com)", host);
    return 0;
}

static int add_global(struct strbuf *out, const struct balancer_desired *d, const struct hap_paths *p, struct err *e)
{
    int rc;
    strbuf_puts(out, "global\n    stats socket ");
    if ((rc = quote(out, p->stats_socket, "stats socket", e)) < 0)
        return rc;
    if (p->apart)
        strbuf_puts(out, " mode 660");
    else
        strbuf_printf(out, " mode 600 uid %" PRIu32 " gid %" PRIu32, p->stats_uid, p->stats_gid);
    strbuf_puts(out, " level admin\n    stats timeout 1m\n    server-state-file ");
    if ((rc = quote(out, p->state_file, "state file", e)) < 0)
        return rc;
    strbuf_puts(out, "\n    log ");
    if ((rc = quote(out, p->log_socket, "log socket", e)) < 0)
        return rc;
    strbuf_puts(out, " len 512 format raw local0 info\n    log-tag muster\n    hard-stop-after 5m\n");
    strbuf_printf(out, "    fd-hard-limit %d\n    grace %dms\n", FILES_MAX, HAP_GRACE_MS);
    if (p->user) {
        strbuf_puts(out, "    user ");
        if ((rc = quote(out, p->user, "user", e)) < 0)
            return rc;
        strbuf_puts(out, "\n    group ");
        if ((rc = quote(out, p->group, "group", e)) < 0)
            return rc;
        strbuf_puts(out, "\n");
    }
    if (d->spec.tls)
        strbuf_puts(out, "    ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets\n    tune.ssl.default-dh-param 2048\n");
    return 0;
}

static const char error_502[] = "    http-error status 502 content-type text/plain string \"muster: the instance ended the connection without an answer\\n\"\n";
static const char error_503_504[] =
    "    http-error status 503 content-type text/plain string \"muster: no instance is ready, or none became free in time\\n\"\n"
    "    http-error status 504 content-type text/plain string \"muster: the instance did not answer in time\\n\"\n";

static void add_defaults(struct strbuf *out, const struct balancer_desired *d)
{
    strbuf_printf(out,
        "defaults muster\n"
        "    mode http\n    log global\n    option dontlognull\n"
        "    timeout connect 3s\n    timeout client 1m\n    timeout server 5m\n    timeout http-request 15s\n"
        "    timeout http-keep-alive 1m\n    timeout tunnel 1h\n    timeout client-fin 30s\n    timeout queue %" PRId64 "ms\n"
        "    option http-server-close\n    http-reuse never\n    option idle-close-on-response\n"
        "    retries 1\n    option redispatch 1\n    retry-on conn-failure empty-response\n"
        "%s%s", MAX_OF(d->spec.queue_timeout_ms, 1), error_502, error_503_504);
}

/* One way to a backend. rank: exact hosts before wildcards before any host; then the longer pattern first. */
struct route { int rank; size_t host_len; const char *host, *path, *service; };

static int by_precedence(const void *pa, const void *pb)
{
    const struct route *a = pa, *b = pb;
    size_t la = strlen(a->path), lb = strlen(b->path);
    if (a->rank != b->rank)
        return a->rank - b->rank;
    if (a->rank == 1 && a->host_len != b->host_len)
        return a->host_len > b->host_len ? -1 : 1;
    if (la != lb)
        return la > lb ? -1 : 1;
    int by_name = strcmp(a->service, b->service);
    return by_name ? by_name : strcmp(a->host ? a->host : "", b->host ? b->host : "");
}

static int add_host(struct strbuf *out, const struct route *r, struct err *e)
{
    cleanup_free char *lower = xstrdup(r->rank == 1 ? r->host + 1 : r->host ? r->host : "");   /* "*.x" is matched by its ".x" */
    for (char *c = lower; *c; c++)
        *c = *c >= 'A' && *c <= 'Z' ? (char)(*c + 32) : *c;
    if (!r->host)
        return 0;
    strbuf_printf(out, " { var(txn.muster_host) -m %s -- ", r->rank == 1 ? "end" : "str");
    int rc = quote(out, lower, "hosts", e);
    strbuf_puts(out, " }");
    return rc;
}

/* "/v1" takes /v1 and what is below it, not /v1x. A trailing slash says the same. */
static int add_route(struct strbuf *out, const struct route *r, const char *prefix, const char *and, struct err *e)
{
    int rc;
    size_t n = strlen(r->path);
    while (n > 1 && r->path[n - 1] == '/')
        n--;
    cleanup_free char *path = xstrndup(r->path, n), *below = xasprintf("%s/", path);
    strbuf_printf(out, "    use_backend %s%s if%s", prefix, r->service, and);
    if ((rc = add_host(out, r, e)) < 0)
        return rc;
    if (n > 1) {
        strbuf_puts(out, " { path -m str -- ");
        if ((rc = quote(out, path, "path", e)) < 0)
            return rc;
        strbuf_printf(out, " } or%s", and);
        if ((rc = add_host(out, r, e)) < 0)
            return rc;
        strbuf_puts(out, " { path -m beg -- ");
        if ((rc = quote(out, below, "path", e)) < 0)
            return rc;
        strbuf_puts(out, " }");
    } else if (!r->host && !and[0]) {
        strbuf_puts(out, " TRUE");
    }
    strbuf_puts(out, "\n");
    return 0;
}

static int collect_routes(const struct balancer_desired *d, struct route **ret, size_t *ret_n, struct err *e)
{
    struct route *v = NULL;
    size_t n = 0;
    for (size_t i = 0; i < d->upstream_n; i++) {
        const struct upstream *u = &d->upstreams[i];
        const char *path = u->path && u->path[0] ? u->path : "/";
        if (u->hosts.n > HAP_HOSTS_MAX || strlen(path) > HAP_PATH_MAX || path[0] != '/') {
            free(v);
            return err_set(e, -EINVAL, "services.%s.balance: too many hosts, or a path that is too long or has no / in front", u->service);
        }
        v = xrealloc(v, (n + u->hosts.n + 1) * sizeof *v);
        if (u->hosts.n == 0)
            v[n++] = (struct route){ 2, 0, NULL, path, u->service };
        for (size_t k = 0; k < u->hosts.n; k++) {
            const char *h = u->hosts.v[k];
            if (host_ok(h, e) < 0) {
                free(v);
                return err_wrap(e, -EINVAL, "services.%s.balance", u->service);
            }
            v[n++] = (struct route){ strncmp(h, "*.", 2) == 0, strlen(h), h, path, u->service };
        }
    }
    if (n)
        qsort(v, n, sizeof *v, by_precedence);
    *ret = v;
    *ret_n = n;
    return 0;
}

static int add_bind(struct strbuf *out, const struct balancer_desired *d, const struct hap_paths *p, struct err *e)
{
    /* The address is in the comment so that another one gives another signature. */
    strbuf_puts(out, "frontend _muster from muster\n    # fd: ");
    int bad = quote(out, d->spec.listen_host ? d->spec.listen_host : "", "listen", e);
    if (bad < 0)
        return bad;
    strbuf_printf(out, " port %" PRIu32 "\n", d->spec.listen_port);
    if (d->spec.tls && p->apart) {          /* likewise */
        strbuf_puts(out, "    # certificate: ");
        if ((bad = quote(out, d->spec.tls, "tls", e)) < 0)
            return bad;
        strbuf_puts(out, "\n");
    }
    strbuf_printf(out, "    bind fd@%" PRIu32, p->listen_fd);
    if (d->spec.tls) {
        strbuf_puts(out, p->apart ? " ssl crt \"${CREDENTIALS_DIRECTORY}/tls\"" : " ssl crt ");
        int rc = p->apart ? 0 : quote(out, d->spec.tls, "tls", e);
        if (rc < 0)
            return rc;
        /* No h2: for a server that dies before it answers, 2.6 sends RST_STREAM with REFUSED_STREAM, "not processed, send it again", and
         * clients do, a POST too (curl: six times). */
        strbuf_puts(out, " alpn http/1.1");
    }
    strbuf_puts(out, "\n");
    return 0;
}

/* Each request is two connections of this process, and a client's must never take the place that its own inner one needs. HAProxy's limit is a
 * little less than half of the descriptors. */
static uint64_t client_max(const struct hap_paths *p)
{
    return MAX_OF(MIN_OF(p->files ? p->files : FILES_MAX, (uint64_t)FILES_MAX) / 5, 16u);
}

/* What a client says about where it comes from is dropped, in every spelling that a WSGI server would take for the same name. */
static int add_frontend(struct strbuf *out, const struct balancer_desired *d, const struct hap_paths *p, struct err *e)
{
    cleanup_free struct route *routes = NULL;
    size_t n = 0;
    int rc = collect_routes(d, &routes, &n, e);
    if (rc < 0 || (rc = add_bind(out, d, p, e)) < 0)
        return rc;
    strbuf_printf(out, "    no log\n    maxconn %" PRIu64 "\n", client_max(p));
    strbuf_printf(out,
        "    http-request set-var(txn.muster_host) req.hdr(host),host_only,lower\n"
        "    http-request del-header ^x[-_]forwarded[-_] -m reg\n    http-request del-header ^x[-_]real[-_]ip$ -m reg\n"
        "    http-request del-header forwarded\n    http-request del-header proxy\n"
        "    http-request set-header X-Forwarded-For %%[src,regsub(^::ffff:,)]\n    http-request set-header X-Forwarded-Proto %s\n"
        "    http-request set-header X-Forwarded-Host %%[req.hdr(host)] if { req.hdr(host) -m found }\n"
        "    http-request set-header X-Forwarded-Port %%[dst_port]\n",
        d->spec.tls ? "https" : "http");
    for (size_t i = 0; i < n; i++)
        if ((rc = add_route(out, &routes[i], "", " { stopping }", e)) < 0 || (rc = add_route(out, &routes[i], "_", "", e)) < 0)
            return rc;
    strbuf_puts(out, "    default_backend _none\n");
    if (d->spec.raw) {
        strbuf_puts(out, "# --- raw\n");
        strbuf_puts(out, d->spec.raw);
        strbuf_puts(out, "\n# --- end of raw\n");
    }
    strbuf_printf(out, "backend _none from muster\n    http-request return status %s content-type text/plain string \"%s\\n\"\n",
        d->upstream_n ? "404" : "503", d->upstream_n ? "muster: no service has this host and path" : "muster: no service is behind this balancer yet");
    return 0;
}

/* --- the inner hop: docs/decisions/0004-inner-hop.md ------------------------------------------------------------------ */
static int add_inner_bind(struct strbuf *out, const struct hap_paths *p, int which, struct err *e)
{
    cleanup_free char *path = xasprintf("unix@%s.%d.sock", p->hop, which);
    int rc;
    strbuf_puts(out, "    bind ");
    if ((rc = quote(out, path, "inner socket", e)) < 0)
        return rc;
    strbuf_puts(out, " mode 600 backlog 8192");
    if (p->user) {
        strbuf_puts(out, " user ");
        if ((rc = quote(out, p->user, "user", e)) < 0)
            return rc;
    }
    strbuf_puts(out, "\n");
    return 0;
}

/* Two doors to the same backends. The first says nothing if the answer was cut, so that the outer side sends the request again, to the second,
 * which answers 502. Both are here for each connection's first request only: for a later one HAProxy would close instead of a 502.
 * Time limits towards the outer side are longer than the outer side's own towards the client. */
static int add_inner(struct strbuf *out, const struct balancer_desired *d, const struct hap_paths *p, struct err *e)
{
    strbuf_printf(out,
        "defaults _inner\n"
        "    mode http\n    log global\n    option dontlognull\n"
        "    timeout connect 3s\n    timeout client 10m\n    timeout server 5m\n    timeout http-request 1m\n"
        "    timeout tunnel 1h\n    timeout client-fin 30s\n    timeout queue %" PRId64 "ms\n"
        "    option http-server-close\n    http-reuse never\n"
        "    retries 4\n    option redispatch 1\n    retry-on conn-failure\n"
        "    load-server-state-from-file global\n%s",
        MAX_OF(d->spec.queue_timeout_ms, 1), error_503_504);
    for (int i = 1; i <= 2; i++) {
        strbuf_printf(out, "frontend _inner%d from _inner\n", i);
        int rc = add_inner_bind(out, p, i, e);
        if (rc < 0)
            return rc;
        strbuf_puts(out, i == 1 ? "    errorfile 502 /dev/null\n" : error_502);
        strbuf_puts(out,
            "    log-format 'm1 %b %s %Tw %Tc %Tr %ST %ts %[var(txn.muster_stream)] %rc %HM'\n"
            "    http-request set-var(txn.muster_service) req.hdr(x-muster-service)\n    http-request del-header x-muster-service\n"
            "    http-response set-var(txn.muster_stream) bool(true) if { res.hdr(content-type) -m beg text/event-stream }\n"
            "    use_backend %[var(txn.muster_service)]\n    default_backend _none\n");
    }
    return 0;
}

/* The outer side of a service. `first` has weight 0, so a retry goes to `last`, and whatever is not to be sent twice goes there at once. A body
 * must be short, or HAProxy cannot keep it to send it again. */
static int add_outer(struct strbuf *out, const struct balancer_desired *d, const struct upstream *u, const struct hap_paths *p, struct err *e)
{
    int64_t wait_s = MAX_OF(d->spec.queue_timeout_ms, 1) / 1000 + 1;
    strbuf_printf(out, "backend _%s from muster\n    balance roundrobin\n    timeout server %" PRId64 "s\n    timeout tunnel 61m\n", u->service, wait_s + 600);
    strbuf_printf(out, "    http-request set-header X-Muster-Service %s\n", u->service);
    if (u->retry)
        strbuf_puts(out,
            "    acl muster_again method GET HEAD OPTIONS TRACE PUT DELETE\n"
            "    acl muster_long req.hdr(transfer-encoding) -m found\n    acl muster_long req.hdr_val(content-length) gt 4096\n"
            "    http-request disable-l7-retry if !muster_again or muster_long\n"
            "    use-server first if muster_again !muster_long\n");
    else
        strbuf_puts(out, "    http-request disable-l7-retry\n");
    for (int i = 1; i <= 2; i++) {
        cleanup_free char *path = xasprintf("unix@%s.%d.sock", p->hop, i);
        strbuf_printf(out, "    server %s ", i == 1 ? "first" : "last");
        int rc = quote(out, path, "inner socket", e);
        if (rc < 0)
            return rc;
        strbuf_puts(out, i == 1 ? " weight 0\n" : "\n");
    }
    return 0;
}

static int add_check(struct strbuf *out, const struct upstream *u, struct err *e)
{
    if (u->check == PROBE_HTTP) {
        strbuf_puts(out, "    option httpchk\n    http-check send meth GET uri ");
        int rc = quote(out, u->check_path ? u->check_path : "/", "health: http", e);
        if (rc < 0)
            return rc;
        strbuf_puts(out, " ver HTTP/1.1 hdr Host localhost hdr User-Agent muster-haproxy hdr Connection close\n");
    }
    return 0;
}

/* muster's own readiness decides first: HAProxy waits for twice as many failures. What it marked down by itself it looks at often. */
static void add_server_defaults(struct strbuf *out, const struct upstream *u, bool signature)
{
    int64_t every = MAX_OF(u->check_every_ms > 0 ? u->check_every_ms : 1000, 50), quick = MIN_OF(every, 250);
    uint32_t fall = MIN_OF(MAX_OF(u->check_fail_after, 1u), 1000u) * 2;
    strbuf_printf(out, "    timeout check %" PRId64 "ms\n", MAX_OF(u->check_timeout_ms > 0 ? u->check_timeout_ms : 1000, 10));
    strbuf_printf(out, "    default-server check inter %" PRId64 "ms fastinter %" PRId64 "ms downinter %" PRId64 "ms rise 1 fall %" PRIu32
        " observe layer4 error-limit 1 on-error mark-down init-addr last,none", every, quick, quick, fall);
    if (!signature)
        strbuf_printf(out, " maxconn %" PRIu32, MAX_OF(u->maxconn, 1u));
    strbuf_puts(out, "\n");
}

static void add_template(struct strbuf *out, const char *service, uint32_t from, uint32_t to)
{
    if (from <= to)
        strbuf_printf(out, "    server-template %s. %" PRIu32 "-%" PRIu32 " 127.0.0.1:1 disabled\n", service, from, to);
}

struct placed { uint32_t slot; const struct upstream_server *s; };

static int by_slot(const void *a, const void *b)
{
    const struct placed *pa = a, *pb = b;
    return pa->slot < pb->slot ? -1 : pa->slot > pb->slot;
}

/* The slots in use, ascending, without bad or double ones. */
static struct placed *placed_servers(const struct upstream *u, size_t *ret_n)
{
    struct placed *v = xcalloc(u->server_n + 1, sizeof *v);
    size_t n = 0, kept = 0;
    for (size_t i = 0; i < u->server_n; i++) {
        uint32_t slot = hap_slot_of(u->servers[i].id, u->service);
        if (slot && hap_address_ok(u->servers[i].address) && u->servers[i].port > 0 && u->servers[i].port <= 65535)
            v[n++] = (struct placed){ slot, &u->servers[i] };
    }
    qsort(v, n, sizeof *v, by_slot);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || v[kept - 1].slot != v[i].slot)
            v[kept++] = v[i];
    *ret_n = kept;
    return v;
}

/* The state file restores ports and states, but in 2.6 no address that was not a name: those in use are written out. */
static void add_servers(struct strbuf *out, const struct upstream *u, bool signature)
{
    uint32_t next = 1, slots = hap_slots(u, 0);
    size_t n = 0;
    cleanup_free struct placed *v = signature ? NULL : placed_servers(u, &n);
    for (size_t i = 0; i < n; i++) {
        add_template(out, u->service, next, v[i].slot - 1);
        strbuf_printf(out, "    server %s %s:%" PRIu32 "%s\n", v[i].s->id, v[i].s->address, v[i].s->port, v[i].s->state == SRV_READY ? "" : " disabled");
        next = v[i].slot + 1;
    }
    add_template(out, u->service, next, slots);
}

/* roundrobin, not leastconn: to leastconn the instance that just died, or fails everything at once, looks the least busy and draws the next
 * request and its retry. What leastconn is good for, maxconn does: a full instance is passed over, and what waits goes to the first free one. */
static int add_backend(struct strbuf *out, const struct upstream *u, bool signature, struct err *e)
{
    int rc = name_ok(u->service, "service", e);
    if (rc < 0)
        return rc;
    strbuf_printf(out, "backend %s from _inner\n    balance roundrobin\n", u->service);
    if ((rc = add_check(out, u, e)) < 0)
        return err_wrap(e, rc, "services.%s", u->service);
    add_server_defaults(out, u, signature);
    add_servers(out, u, signature);
    return 0;
}

static int body(struct strbuf *out, const struct balancer_desired *d, const struct hap_paths *p, bool signature, struct err *e)
{
    int rc = add_global(out, d, p, e);
    if (rc < 0)
        return rc;
    add_defaults(out, d);
    if ((rc = add_frontend(out, d, p, e)) < 0 || (rc = add_inner(out, d, p, e)) < 0)
        return rc;
    for (size_t i = 0; i < d->upstream_n; i++)
        if ((rc = add_backend(out, &d->upstreams[i], signature, e)) < 0 || (rc = add_outer(out, d, &d->upstreams[i], p, e)) < 0)
            return rc;
    return 0;
}

int hap_conf_signature(const struct balancer_desired *d, const struct hap_paths *p, uint64_t *ret, struct err *e)
{
    struct hap_paths q = *p;
    q.stats_socket = q.hop = "-";           /* one a generation */
    cleanup_strbuf struct strbuf text = STRBUF_INIT;
    int rc = body(&text, d, &q, true, e);
    if (rc < 0)
        return rc;
    uint64_t h = 0xcbf29ce484222325u;       /* FNV-1a, 64 bits (Fowler, Noll, Vo) */
    for (size_t i = 0; i < text.len; i++)
        h = (h ^ (unsigned char)text.s[i]) * 0x100000001b3u;
    *ret = h ? h : 1;
    return 0;
}

int hap_conf_text(const struct balancer_desired *d, const struct hap_paths *p, char **ret, struct err *e)
{
    uint64_t sig;
    int rc = hap_conf_signature(d, p, &sig, e);
    if (rc < 0)
        return rc;
    cleanup_strbuf struct strbuf out = STRBUF_INIT;
    strbuf_printf(&out, "%s%016" PRIx64 "\n# Balancer %s, written by muster, overwritten without notice. What is not modelled goes into `raw`.\n",
        signature_mark, sig, d->spec.name ? d->spec.name : "");
    if ((rc = body(&out, d, p, false, e)) < 0)
        return rc;
    *ret = strbuf_take(&out);
    return 0;
}

uint64_t hap_conf_signature_of_text(const char *text)
{
    uint64_t v = 0;
    if (strncmp(text, signature_mark, sizeof signature_mark - 1) != 0)
        return 0;
    text += sizeof signature_mark - 1;
    for (int i = 0; i < 16; i++) {
        const char *hex = "0123456789abcdef", *at = text[i] ? strchr(hex, text[i]) : NULL;
        if (!at)
            return 0;
        v = v << 4 | (uint64_t)(at - hex);
    }
    return text[16] == '\n' ? v : 0;
}

/* Version 1 of the format (HAProxy's management guide, `show servers state`). Admin state: 1 forced maint, 4 maint by configuration,
 * 8 forced drain; check state: 2 configured, 4 enabled. A server that is `disabled` in the configuration must carry the 4, or the
 * file is taken for older than the configuration and the server stays out. */
static void add_state(struct strbuf *out, const struct upstream *u, const struct placed *v)
{
    int admin = v->s->state == SRV_READY ? 0 : v->s->state == SRV_DRAIN ? 12 : 5;
    strbuf_printf(out, "1 %s %" PRIu32 " %s %s %d %d 1 1 0 6 3 1 %d 0 0 0 - %" PRIu32 " - 0 0 - - 0\n", u->service, v->slot, v->s->id, v->s->address,
        v->s->state == SRV_MAINT ? 0 : 2, admin, u->panic ? 2 : 6, v->s->port);
}

char *hap_state_text(const struct balancer_desired *d)
{
    cleanup_strbuf struct strbuf out = STRBUF_INIT;
    strbuf_puts(&out, "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time_since_last_change "
        "srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord "
        "srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port\n");
    for (size_t i = 0; i < d->upstream_n; i++) {
        size_t n = 0;
        cleanup_free struct placed *v = placed_servers(&d->upstreams[i], &n);
        for (size_t k = 0; k < n; k++)
            add_state(&out, &d->upstreams[i], &v[k]);
    }
    return strbuf_take(&out);
}
