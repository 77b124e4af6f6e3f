#include "ctl/table.h"
#include <assert.h>
#include <string.h>
#include "base/cleanup.h"
#include "ctl/escape.h"
#include "ctl/utf8.h"

enum { FLOW_LEAST = 24 };       /* columns that a flowing text should have before others are kept at its cost */

struct cell { char *text; enum color color; };
struct row { struct cell cells[TABLE_COLUMNS_MAX]; };
struct table { struct table_column columns[TABLE_COLUMNS_MAX]; size_t column_n; struct row *rows; size_t row_n, row_cap; };
struct layout { bool shown[TABLE_COLUMNS_MAX]; size_t width[TABLE_COLUMNS_MAX]; size_t gap; size_t flow_width; /* 0: no limit */ };

struct table *table_new(const struct table_column *columns, size_t n)
{
    assert(n <= TABLE_COLUMNS_MAX);
    struct table *t = xcalloc(1, sizeof *t);
    memcpy(t->columns, columns, n * sizeof *columns);
    t->column_n = n;
    return t;
}

void table_free(struct table *t)
{
    if (!t) return;
    for (size_t r = 0; r < t->row_n; r++)
        for (size_t c = 0; c < t->column_n; c++) free(t->rows[r].cells[c].text);
    free(t->rows);
    free(t);
}

void table_row(struct table *t)
{
    if (t->row_n == t->row_cap) {
        t->row_cap = t->row_cap ? 2 * t->row_cap : 16;
        t->rows = xrealloc(t->rows, t->row_cap * sizeof *t->rows);
    }
    memset(&t->rows[t->row_n++], 0, sizeof *t->rows);
}

void table_cell(struct table *t, size_t column, enum color color, const char *text)
{
    assert(t->row_n > 0 && column < t->column_n);
    struct cell *c = &t->rows[t->row_n - 1].cells[column];
    free(c->text);
    *c = (struct cell){ .text = escape_line(text), .color = color };
}

void table_cellf(struct table *t, size_t column, enum color color, const char *fmt, ...)
{
    cleanup_strbuf struct strbuf b = STRBUF_INIT;
    va_list ap;
    va_start(ap, fmt);
    strbuf_vprintf(&b, fmt, ap);
    va_end(ap);
    table_cell(t, column, color, strbuf_str(&b));
}

size_t table_rows(const struct table *t) { return t->row_n; }

static const char *cell_text(const struct table *t, size_t row, size_t column)
{
    const char *s = t->rows[row].cells[column].text;
    return s ? s : "";
}

static size_t natural_width(const struct table *t, size_t column)
{
    size_t w = utf8_columns(t->columns[column].title);
    for (size_t r = 0; r < t->row_n; r++) w = MAX_OF(w, utf8_columns(cell_text(t, r, column)));
    return w;
}

/* Columns needed, the flowing one counted with what it should at least have. */
static size_t needed(const struct table *t, const struct layout *l)
{
    size_t sum = 0, shown = 0;
    for (size_t c = 0; c < t->column_n; c++) {
        if (!l->shown[c]) continue;
        sum += t->columns[c].flow ? MIN_OF(l->width[c], (size_t)FLOW_LEAST) : l->width[c];
        shown++;
    }
    return sum + (shown > 1 ? (shown - 1) * l->gap : 0);
}

static int lowest_priority(const struct table *t, const struct layout *l)
{
    int lowest = -1;
    for (size_t c = 0; c < t->column_n; c++) {
        if (!l->shown[c] || t->columns[c].priority >= TABLE_KEEP) continue;
        if (lowest < 0 || t->columns[c].priority < t->columns[lowest].priority) lowest = (int)c;
    }
    return lowest;
}

/* What is kept and still too wide gives way: the widest column that does not flow is cut, down to 4. */
static void squeeze(const struct table *t, struct layout *l, size_t width)
{
    while (needed(t, l) > width) {
        int widest = -1;
        for (size_t c = 0; c < t->column_n; c++)
            if (l->shown[c] && l->width[c] > 4 && (widest < 0 || l->width[c] > l->width[widest])) widest = (int)c;
        if (widest < 0) return;
        l->width[widest]--;
    }
}

static void choose(const struct table *t, size_t width, struct layout *l)
{
    *l = (struct layout){ .gap = 2 };
    for (size_t c = 0; c < t->column_n; c++) l->shown[c] = t->columns[c].priority != 0, l->width[c] = natural_width(t, c);
    if (width == 0) return;
    for (int drop = 0; needed(t, l) > width; l->shown[drop] = false) {
        l->gap = 1;
        if (needed(t, l) <= width) break;
        l->gap = 2;
        if ((drop = lowest_priority(t, l)) < 0) break;
    }
    if (needed(t, l) > width) l->gap = 1;
    squeeze(t, l, width);
    for (size_t c = 0; c < t->column_n; c++) {
        if (!l->shown[c] || !t->columns[c].flow) continue;
        size_t others = needed(t, l) - MIN_OF(l->width[c], (size_t)FLOW_LEAST);
        l->flow_width = width > others ? width - others : 1;
    }
}

/* Bytes of the next line of a flowing text: up to the last blank that fits; a word that is too long is broken. */
static size_t flow_line(const char *s, size_t columns)
{
    size_t fit = utf8_fit(s, columns);
    if (!s[fit]) return fit;
    for (size_t i = fit; i > 0; i--)
        if (s[i] == ' ') return i;
    return fit ? fit : strlen(s);
}

static void put_padded(const struct look *look, const char *s, size_t len, size_t width, bool right, bool last, enum color color, struct strbuf *out)
{
    cleanup_free char *text = xstrndup(s, len);
    size_t columns = utf8_columns(text), pad = width > columns ? width - columns : 0;
    if (right) strbuf_printf(out, "%*s", (int)pad, "");
    if (*text) strbuf_printf(out, "%s%s%s", look_begin(look, color), text, look_end(look, color));
    if (!right && !last) strbuf_printf(out, "%*s", (int)pad, "");
}

static void put_cell(const struct look *look, const char *s, size_t width, bool right, bool last, enum color color, struct strbuf *out)
{
    if (utf8_columns(s) <= width || width == 0) {
        put_padded(look, s, strlen(s), width, right, last, color, out);
        return;
    }
    cleanup_strbuf struct strbuf cut = STRBUF_INIT;
    strbuf_add(&cut, s, utf8_fit(s, width - 1));
    strbuf_puts(&cut, look_ellipsis(look));
    put_padded(look, cut.s, cut.len, width, right, last, color, out);
}

static void trim_line(struct strbuf *out, size_t from)
{
    while (out->len > from && out->s[out->len - 1] == ' ') out->s[--out->len] = '\0';
    strbuf_putc(out, '\n');
}

/* One row; row < 0 is the titles. */
static void put_row(const struct table *t, const struct layout *l, const struct look *look, long row, struct strbuf *out)
{
    size_t from = out->len, at = 0, flow_at = 0;
    const char *rest = "";
    enum color flow_color = COLOR_NONE;
    size_t last = 0;
    for (size_t c = 0; c < t->column_n; c++)
        if (l->shown[c]) last = c;
    for (size_t c = 0; c < t->column_n; c++) {
        if (!l->shown[c]) continue;
        const char *s = row < 0 ? t->columns[c].title : cell_text(t, (size_t)row, c);
        enum color color = row < 0 ? COLOR_DIM : t->rows[row].cells[c].color;
        if (at) strbuf_printf(out, "%*s", (int)l->gap, ""), at += l->gap;
        if (t->columns[c].flow && l->flow_width) {
            size_t n = flow_line(s, l->flow_width);
            put_padded(look, s, n, 0, false, true, color, out);
            rest = s + n, flow_at = at, flow_color = color;
        } else {
            put_cell(look, s, l->width[c], t->columns[c].right, c == last, color, out);
        }
        at += l->width[c];
    }
    trim_line(out, from);
    while (*(rest += strspn(rest, " "))) {
        size_t n = flow_line(rest, l->flow_width);
        strbuf_printf(out, "%*s%s%.*s%s\n", (int)flow_at, "", look_begin(look, flow_color), (int)n, rest, look_end(look, flow_color));
        rest += n;
    }
}

void table_print(const struct table *t, const struct look *look, size_t rows_max, struct strbuf *out)
{
    struct layout l;
    choose(t, look->width, &l);
    put_row(t, &l, look, -1, out);
    size_t n = rows_max && rows_max < t->row_n ? rows_max : t->row_n;
    for (size_t r = 0; r < n; r++) put_row(t, &l, look, (long)r, out);
    if (n < t->row_n) strbuf_printf(out, "%s(%zu more)%s\n", look_begin(look, COLOR_DIM), t->row_n - n, look_end(look, COLOR_DIM));
}
