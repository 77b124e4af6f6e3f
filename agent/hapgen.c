#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>
#include "agent/balancer_internal.h"
#include "base/cleanup.h"
#include "base/strbuf.h"
#include "base/banned.h"

struct hapgen *hapgen_new(struct balancer *b, uint32_t number)
{
    for (size_t i = 0; i < GENS_MAX; i++)
        if (b->gens[i].number == 0) {
            b->gens[i] = (struct hapgen){ .b = b, .number = number, .output = -1, .born_ms = balancer_now(b), .heard_ms = balancer_now(b) };
            return &b->gens[i];
        }
    return NULL;
}

void hapgen_paths(const struct balancer *b, uint32_t number, char conf[512], char socket[512])
{
    snprintf(conf, 512, "%s/haproxy.%" PRIu32 ".cfg", b->dir, number);
    snprintf(socket, 512, "%s/ctl.%" PRIu32 ".sock", b->dir, number);
}

/* No longer than the path above: HAProxy binds under a temporary name that is longer still (see prepare in balancer.c). */
void hapgen_hop(const struct balancer *b, uint32_t number, char ret[512]) { snprintf(ret, 512, "%s/h.%" PRIu32, b->dir, number); }

void hapgen_let_go(struct hapgen *g)
{
    hapctl_close(g->ctl);
    g->ctl = NULL;
    g->open = g->asking = false;
    g->let_go = true;
}

void hapgen_end(struct hapgen *g)
{
    char conf[512], sock[512];
    hapgen_paths(g->b, g->number, conf, sock);
    hapctl_close(g->ctl);
    hap_stat_done(&g->stat);
    hap_stat_done(&g->coming);
    if (g->output >= 0)
        close(g->output);
    unlink(conf);
    unlink(sock);
    for (int i = 1; i <= 2; i++) {
        char hop[512], path[sizeof hop + 16];
        hapgen_hop(g->b, g->number, hop);
        fixed_printf(path, "%s.%d.sock", hop, i);
        unlink(path);
    }
    g->number = 0;
}

bool hapgen_synced(const struct hapgen *g) { return g->has_stat && g->synced == g->b->serial; }
bool hapgen_busy(const struct hapgen *g) { return g->stopping ? !g->let_go : !hapgen_synced(g); }

static int64_t sum_of(const struct hapgen *g, enum hap_row_kind kind)
{
    int64_t sum = 0;
    if (!g->has_stat)
        return -1;
    for (size_t i = 0; i < g->stat.n; i++)
        if (g->stat.v[i].kind == kind)
            sum += MAX_OF(g->stat.v[i].scur, 0);
    return sum;
}

int64_t hapgen_connections(const struct hapgen *g) { return sum_of(g, HAP_FRONTEND); }
int64_t hapgen_requests(const struct hapgen *g) { return sum_of(g, HAP_BACKEND); }

/* --- lists ---------------------------------------------------------------------------------------- */

/* Commands answer nothing, or what they changed; anything else is a refusal, kept for the report. */
static void keep_refusal(struct hapgen *g, const char *text, size_t len)
{
    if (!text)
        return;
    for (const char *at = text, *end = text + len; at < end;) {
        const char *nl = memchr(at, '\n', (size_t)(end - at));
        size_t n = (size_t)((nl ? nl : end) - at);
        if (n >= 2 && memcmp(at, "> ", 2) == 0)
            at += 2, n -= 2;
        if (n > 0 && !memmem(at, n, "by 'stats socket command'", 25) && !memmem(at, n, "no need to change", 17)) {
            fixed_printf(g->refusal, "%.*s", (int)MIN_OF(n, sizeof g->refusal - 1), at);
            return;
        }
        at = nl ? nl + 1 : end;
    }
}

static void on_applied(void *arg, int rc, const char *text, size_t len)
{
    struct hapgen *g = arg;
    g->asking = false;
    if (rc < 0)
        return;
    keep_refusal(g, text, len);
    hapgen_drive(g);                        /* looks whether it is so now */
}

static void compare(struct hapgen *g)
{
    struct hapdiff d = { 0 };
    hapdiff(&g->b->want, &g->stat, &d);
    g->missing = d.missing;
    g->waiting = d.waiting;
    g->refused = d.refused;
    if (d.n == 0) {
        g->rounds = 0;
        g->refusal[0] = 0;
        if (d.waiting == 0)
            g->synced = g->b->serial;
        return hapdiff_done(&d);
    }
    int64_t now = balancer_now(g->b);
    if (g->rounds >= ROUNDS_MAX && now - g->applied_ms >= POLL_MS)
        g->rounds = 0;
    if (g->rounds < ROUNDS_MAX && hapctl_ask(g->ctl, strbuf_str(&d.commands), d.n, on_applied, g) == 0) {
        g->asking = true;
        g->applied_ms = now;
        g->rounds++;
    }
    hapdiff_done(&d);
}

/* --- asking ----------------------------------------------------------------------------------------- */
static void on_states(void *arg, int rc, const char *text, size_t len)
{
    struct hapgen *g = arg;
    struct balancer *b = g->b;
    g->asking = false;
    if (rc < 0 || g->coming.n == 0 || hap_stat_add_states(&g->coming, text, len) < 0)
        return;
    hapmetrics_add(b->metrics, g->has_stat ? &g->stat : NULL, &g->coming, g->fresh);
    hap_stat_done(&g->stat);
    g->stat = g->coming;
    g->coming = (struct hap_stat){ 0 };
    bool first = !g->has_stat;
    g->has_stat = true;
    g->b->fresh_stat = true;
    g->failures = 0;
    g->heard_ms = balancer_now(b);
    if (first && !g->fresh && b->has_want && !b->stop)
        balancer_refresh(b);
    if (!g->stopping && b->has_want && !b->stop)
        compare(g);
    balancer_step(b);
}

static void on_stat(void *arg, int rc, const char *text, size_t len)
{
    struct hapgen *g = arg;
    hap_stat_done(&g->coming);
    if (rc == 0)
        hap_stat_parse(text, len, &g->coming);      /* no table: then nothing is changed when the states come */
}

static void on_open(void *arg)
{
    struct hapgen *g = arg;
    g->open = true;
    g->heard_ms = balancer_now(g->b);
    hapgen_drive(g);
}

/* Tried again from the timer. */
static void on_closed(void *arg, int rc)
{
    struct hapgen *g = arg;
    (void)rc;
    g->ctl = NULL;
    g->open = g->asking = false;
    g->failures++;
}

void hapgen_drive(struct hapgen *g)
{
    char conf[512], sock[512];
    if (g->number == 0 || g->pid == 0 || g->let_go || g->b->freed)
        return;
    if (!g->ctl) {
        hapgen_paths(g->b, g->number, conf, sock);
        g->ctl = hapctl_new(g->b->loop, sock, on_open, on_closed, g);
        return;
    }
    if (!g->open || g->asking)
        return;
    if (hapctl_ask(g->ctl, "show stat\n", 1, on_stat, g) == 0 && hapctl_ask(g->ctl, "show servers state\n", 1, on_states, g) == 0)
        g->asking = true;
}

void hapgen_maint(struct hapgen *g, const char *service, const char *id)
{
    char line[160];
    if (!g->open || g->stopping)
        return;
    fixed_printf(line, "set server %s/%s state maint\n", service, id);
    hapctl_ask(g->ctl, line, 1, NULL, NULL);
}
