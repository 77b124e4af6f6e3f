/* table.h - rows and columns to text of a given width.
 *
 * Pure. Columns that do not fit are dropped, the lowest priority first; those with TABLE_KEEP never. The last kept column may be
 * a flowing one (`flow`): it gets what is left and is broken between words, continued below itself, rather than cut. No line is ever wider than the width.
 *
 * Not libsmartcols: it pads and truncates, but which column gives way, flowing text, and one output for all locales (it asks the locale
 * which bytes are printable, so golden files would differ) would all be left to do here; what remains for it is the padding. */
#pragma once
#include "ctl/look.h"

enum { TABLE_COLUMNS_MAX = 16, TABLE_KEEP = 1000 };
struct table_column {
    const char *title;          /* static */
    int priority;               /* 0: hidden */
    bool right;                 /* right-aligned: numbers */
    bool flow;                  /* only the last column */
};
struct table;
struct table *table_new(const struct table_column *columns, size_t n);
void table_free(struct table *t);
static inline void table_free_p(struct table **t) { table_free(*t); }
#define cleanup_table __attribute__((cleanup(table_free_p)))
void table_row(struct table *t);                                    /* begins a row; its cells are empty */
/* Sets a cell of the last row. Escapes what could move the cursor; copies. */
void table_cell(struct table *t, size_t column, enum color color, const char *text);
void table_cellf(struct table *t, size_t column, enum color color, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
size_t table_rows(const struct table *t);
/* Prints title line and rows, each with a newline. rows_max 0: all; else what is left out is told in one line. */
void table_print(const struct table *t, const struct look *look, size_t rows_max, struct strbuf *out);
