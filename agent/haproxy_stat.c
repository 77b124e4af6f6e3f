#include "agent/haproxy_stat.h"
#include <errno.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/num.h"
#include "base/strbuf.h"
#include "base/banned.h"

enum { CELL_MAX = 80, COL_PROXY, COL_SERVER, COL_STATUS, COL_CHECK, COL_ADDR, COL_FIGURE };
#define COUNT_(f, column) + 1
enum { FIGURES = 0 HAP_FIGURES(COUNT_) };

struct cursor { const char *at, *end; };
struct table { int column[HAP_COLUMNS_MAX]; size_t columns; };

/* One cell, unquoted, cut to CELL_MAX - 1. Returns what ended it: ',' or '\n' (also at the end of the text). */
static char next_cell(struct cursor *c, char *cell)
{
    size_t n = 0;
    bool quoted = c->at < c->end && *c->at == '"';
    c->at += quoted;
    while (c->at < c->end) {
        char ch = *c->at++;
        if (quoted && ch == '"') {
            if (c->at < c->end && *c->at == '"')
                c->at++;                    /* a doubled quote is one */
            else {
                quoted = false;
                continue;
            }
        } else if (!quoted && (ch == ',' || ch == '\n')) {
            cell[n] = 0;
            return ch;
        }
        if (n < CELL_MAX - 1 && ch)
            cell[n++] = ch;
    }
    cell[n] = 0;
    return '\n';
}

static int column_of(const char *name)
{
    static const struct { const char *name; int column; } known[] = {
        { "pxname", COL_PROXY }, { "svname", COL_SERVER }, { "status", COL_STATUS }, { "check_status", COL_CHECK }, { "addr", COL_ADDR },
    };
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (strcmp(name, known[i].name) == 0)
            return known[i].column;
    int i = COL_FIGURE;
#define MATCH_(f, word) if (strcmp(name, word) == 0) return i; i++;
    HAP_FIGURES(MATCH_)
    return 0;
}

static int read_header(struct cursor *c, struct table *t)
{
    char cell[CELL_MAX], end = ',';
    bool proxy = false, server = false;
    while (c->at < c->end && (*c->at == '\n' || *c->at == ' '))
        c->at++;
    if (c->end - c->at >= 2 && memcmp(c->at, "# ", 2) == 0)
        c->at += 2;
    while (end == ',') {
        end = next_cell(c, cell);
        if (t->columns == HAP_COLUMNS_MAX)
            continue;                       /* further columns are none of ours */
        int col = column_of(cell);
        t->column[t->columns++] = col;
        proxy |= col == COL_PROXY;
        server |= col == COL_SERVER;
    }
    return proxy && server ? 0 : -EBADMSG;
}

static void set_figure(struct hap_row *r, int column, const char *cell)
{
    int64_t v;
    if (num_i64(cell, &v) < 0)
        return;
    int i = COL_FIGURE;
#define SET_(f, word) if (column == i++) r->f = v;
    HAP_FIGURES(SET_)
}

/* "10.0.0.1:80", "[::1]:80" or HAProxy's "::1:80": the port is behind the last colon. */
static void set_address(struct hap_row *r, char *cell)
{
    uint64_t port;
    char *colon = strrchr(cell, ':'), *host = cell;
    if (!colon || num_u64(colon + 1, &port) < 0 || port > 65535)
        return;
    *colon = 0;
    if (*host == '[' && colon > host && colon[-1] == ']') {
        host++;
        colon[-1] = 0;
    }
    fixed_copy(r->address, sizeof r->address, host);
    r->port = (uint32_t)port;
}

static bool set_cell(struct hap_row *r, int column, char *cell)
{
    switch (column) {
    case 0: return true;
    case COL_PROXY: return fixed_copy(r->proxy, sizeof r->proxy, cell);
    case COL_SERVER: return fixed_copy(r->server, sizeof r->server, cell);
    case COL_STATUS: fixed_copy(r->status, sizeof r->status, cell); return true;
    case COL_CHECK: fixed_copy(r->check, sizeof r->check, cell); return true;
    case COL_ADDR: set_address(r, cell); return true;
    default: set_figure(r, column, cell); return true;
    }
}

/* HAProxy's names have none of these; a cell that was quoted could. */
static bool plain(const char *name)
{
    for (; *name; name++)
        if ((unsigned char)*name <= ' ' || *name == ';' || *name == '/')
            return false;
    return true;
}

static bool read_row(struct cursor *c, const struct table *t, struct hap_row *r)
{
    char cell[CELL_MAX], end = ',';
    bool good = true;
    *r = (struct hap_row){ 0 };
#define ABSENT_(f, word) r->f = -1;
    HAP_FIGURES(ABSENT_)
    for (size_t i = 0; end == ','; i++) {
        end = next_cell(c, cell);
        if (i < t->columns && !set_cell(r, t->column[i], cell))
            good = false;                   /* a name longer than any of ours */
    }
    r->kind = strcmp(r->server, "FRONTEND") == 0 ? HAP_FRONTEND : strcmp(r->server, "BACKEND") == 0 ? HAP_BACKEND : HAP_SERVER;
    r->up = strncmp(r->status, "UP", 2) == 0 || strcmp(r->status, "no check") == 0;
    r->maint = strncmp(r->status, "MAINT", 5) == 0;
    r->drain = strncmp(r->status, "DRAIN", 5) == 0;
    return good && r->proxy[0] && r->server[0] && plain(r->proxy) && plain(r->server);
}

static int by_name(const void *pa, const void *pb)
{
    const struct hap_row *a = pa, *b = pb;
    int c = strcmp(a->proxy, b->proxy);
    if (c == 0)
        c = (int)a->kind - (int)b->kind;
    return c ? c : a->kind == HAP_SERVER ? strcmp(a->server, b->server) : 0;
}

int hap_stat_parse(const char *csv, size_t len, struct hap_stat *ret)
{
    struct cursor c = { csv, csv + len };
    struct table t = { .columns = 0 };
    struct hap_stat s = { NULL, 0 };
    size_t cap = 0;
    if (read_header(&c, &t) < 0)
        return -EBADMSG;
    while (c.at < c.end) {
        if (s.n == HAP_ROWS_MAX) {
            hap_stat_done(&s);
            return -E2BIG;
        }
        if (s.n == cap)
            s.v = xrealloc(s.v, (cap = cap ? cap * 2 : 32) * sizeof *s.v);
        s.n += read_row(&c, &t, &s.v[s.n]);
    }
    if (s.n)
        qsort(s.v, s.n, sizeof *s.v, by_name);
    *ret = s;
    return 0;
}

const struct hap_row *hap_stat_find(const struct hap_stat *s, const char *proxy, enum hap_row_kind kind, const char *server)
{
    struct hap_row key = { .kind = kind };
    if (!fixed_copy(key.proxy, sizeof key.proxy, proxy) || !fixed_copy(key.server, sizeof key.server, server ? server : ""))
        return NULL;
    return s->n ? bsearch(&key, s->v, s->n, sizeof *s->v, by_name) : NULL;
}

/* The next word of a line, up to a blank or the line's end; an empty one ends the line. */
static size_t next_word(struct cursor *c, char *word)
{
    size_t n = 0;
    while (c->at < c->end && *c->at == ' ')
        c->at++;
    while (c->at < c->end && *c->at != ' ' && *c->at != '\n') {
        if (n < CELL_MAX - 1)
            word[n++] = *c->at;
        c->at++;
    }
    word[n] = 0;
    return n;
}

enum { W_PROXY = 1, W_SERVER, W_ADDR, W_OP, W_ADMIN, W_CHECK, W_PORT, W_COUNT };
struct state_line { char word[W_COUNT][CELL_MAX]; };

static bool state_header(struct cursor *c, struct table *t)
{
    static const char *const names[W_COUNT] = { [W_PROXY] = "be_name", [W_SERVER] = "srv_name", [W_ADDR] = "srv_addr", [W_OP] = "srv_op_state",
        [W_ADMIN] = "srv_admin_state", [W_CHECK] = "srv_check_state", [W_PORT] = "srv_port" };
    char word[CELL_MAX];
    unsigned found = 0;
    t->columns = 0;
    while (t->columns < HAP_COLUMNS_MAX && next_word(c, word)) {
        int col = 0;
        for (int i = 1; i < W_COUNT; i++)
            if (strcmp(word, names[i]) == 0)
                col = i;
        t->column[t->columns++] = col;
        found |= 1u << col;
    }
    return (found >> 1) == (1u << (W_COUNT - 1)) - 1;
}

static void add_state(struct hap_stat *s, const struct state_line *l)
{
    uint64_t op, admin, check, port;
    struct hap_row *r = (struct hap_row *)hap_stat_find(s, l->word[W_PROXY], HAP_SERVER, l->word[W_SERVER]);
    if (!r || num_u64(l->word[W_OP], &op) < 0 || num_u64(l->word[W_ADMIN], &admin) < 0 || num_u64(l->word[W_CHECK], &check) < 0 ||
        num_u64(l->word[W_PORT], &port) < 0 || port > 65535 || !fixed_copy(r->address, sizeof r->address, l->word[W_ADDR]))
        return;
    r->port = (uint32_t)port;
    r->has_state = true;
    r->maint = admin & 0x23;                /* forced, inherited or by name resolution; 4 (was so in the configuration) says nothing of now */
    r->drain = !r->maint && (admin & 0x18);
    r->up = op == 2 || op == 1;             /* running, starting */
    r->check_on = check & 4;
}

int hap_stat_add_states(struct hap_stat *s, const char *text, size_t len)
{
    struct cursor c = { text, text + len };
    struct table t = { .columns = 0 };
    bool header = false;
    while (c.at < c.end) {
        struct state_line l = { 0 };
        if (c.end - c.at >= 2 && memcmp(c.at, "# ", 2) == 0) {
            c.at += 2;
            header = state_header(&c, &t);
        } else if (header) {
            char word[CELL_MAX];
            for (size_t i = 0; next_word(&c, word); i++)
                if (i < t.columns && t.column[i])
                    memcpy(l.word[t.column[i]], word, sizeof word);
            if (l.word[W_PORT][0])
                add_state(s, &l);
        }
        const char *nl = memchr(c.at, '\n', (size_t)(c.end - c.at));
        c.at = nl ? nl + 1 : c.end;
    }
    return header ? 0 : -EBADMSG;
}

void hap_stat_done(struct hap_stat *s)
{
    free(s->v);
    *s = (struct hap_stat){ NULL, 0 };
}
