/* strbuf.h - a growing, always NUL-terminated byte string. A zeroed struct is an empty one.
 * Out of memory aborts: after start-up the programs' memory is bounded by limits, not by malloc's answer. */
#pragma once
#include <stdarg.h>
#include <stddef.h>

struct strbuf { char *s; size_t len, cap; };
#define STRBUF_INIT ((struct strbuf){0})

void strbuf_add(struct strbuf *b, const void *data, size_t len);
void strbuf_puts(struct strbuf *b, const char *s);
void strbuf_putc(struct strbuf *b, char c);
void strbuf_printf(struct strbuf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void strbuf_vprintf(struct strbuf *b, const char *fmt, va_list ap);
void strbuf_reset(struct strbuf *b);           /* length 0, memory kept */
char *strbuf_take(struct strbuf *b);           /* the string (never NULL, to be freed); b is empty after */
const char *strbuf_str(const struct strbuf *b);/* never NULL, borrowed */
void strbuf_done(struct strbuf *b);
static inline void strbuf_done_p(struct strbuf *b) { strbuf_done(b); }
#define cleanup_strbuf __attribute__((cleanup(strbuf_done_p)))

/* malloc family that aborts with a message when memory is out. */
void *xmalloc(size_t n);
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t n);
char *xstrdup(const char *s);                  /* NULL gives NULL */
char *xstrndup(const char *s, size_t n);
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* snprintf into a fixed array; cuts silently, always terminated. */
#define fixed_printf(arr, ...) ((void)snprintf((arr), sizeof(arr), __VA_ARGS__))
/* Copies into a fixed array; false if it was cut. */
int fixed_copy(char *dst, size_t size, const char *src);   /* 1 whole, 0 cut */

/* A NULL-terminated list of strings, owned. A zeroed struct is empty (v may then be NULL). */
struct strv { char **v; size_t n; };
void strv_push(struct strv *l, const char *s);             /* copies */
void strv_push_take(struct strv *l, char *s);              /* takes over */
void strv_copy(struct strv *dst, const struct strv *src);  /* dst must be empty */
int strv_equal(const struct strv *a, const struct strv *b);
int strv_has(const struct strv *l, const char *s);
void strv_done(struct strv *l);
