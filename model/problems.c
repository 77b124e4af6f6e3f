#include "model/problems.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/strbuf.h"

/* Bytes of the control character at s, 0: it is none. C0 and DEL, and C1 as UTF-8 (C2 80 .. C2 9F), which some terminals
 * obey as escapes. */
static size_t control_length(const unsigned char *s)
{
    if (s[0] < 0x20 || s[0] == 0x7f)
        return 1;
    return s[0] == 0xc2 && s[1] >= 0x80 && s[1] <= 0x9f ? 2 : 0;
}

/* Whatever a caller forgot to quote. */
static char *without_controls(const char *text)
{
    struct strbuf out = STRBUF_INIT;
    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        size_t control = control_length(s);
        if (!control)
            strbuf_putc(&out, (char)*s++);
        for (; control > 0; control--)
            strbuf_printf(&out, "\\x%02x", *s++);
    }
    return strbuf_take(&out);
}

void problem_add(struct problems *p, int source, uint32_t line, uint32_t column, const char *path, const char *fmt, ...)
{
    if (p->n == CONFIG_ERRORS_MAX) {
        p->more = true;
        return;
    }
    cleanup_strbuf struct strbuf text = STRBUF_INIT;
    va_list ap;
    va_start(ap, fmt);
    strbuf_vprintf(&text, fmt, ap);
    va_end(ap);
    p->v[p->n++] = (struct problem){ source, line, column, xstrdup(path), without_controls(strbuf_str(&text)) };
}

bool problems_full(const struct problems *p)
{
    return p->n == CONFIG_ERRORS_MAX;
}

static int compare_place(const void *a, const void *b)
{
    const struct problem *x = a, *y = b;
    if (x->source != y->source)
        return x->source < y->source ? -1 : 1;
    if (x->line != y->line)
        return x->line < y->line ? -1 : 1;
    if (x->column != y->column)
        return x->column < y->column ? -1 : 1;
    int c = strcmp(x->path, y->path);
    return c ? c : strcmp(x->text, y->text);
}

static char *place_of(const struct problem *q, const struct config_source *src)
{
    if (q->line == 0)
        return xstrdup(src[q->source].name);
    return xasprintf("%s:%u:%u", src[q->source].name, q->line, q->column);
}

void problems_give(struct problems *p, const struct config_source *src, struct config_errors *out)
{
    if (p->n)
        qsort(p->v, p->n, sizeof p->v[0], compare_place);
    if (p->n)
        out->v = xrealloc(out->v, (out->n + p->n) * sizeof out->v[0]);
    for (size_t i = 0; i < p->n; i++) {
        struct problem *q = &p->v[i];
        out->v[out->n++] = (struct config_error){ place_of(q, src), TAKE(q->path), TAKE(q->text) };
    }
    out->more = out->more || p->more;
    problems_done(p);
}

void problems_done(struct problems *p)
{
    for (size_t i = 0; i < p->n; i++) {
        free(p->v[i].path);
        free(p->v[i].text);
    }
    p->n = 0;
    p->more = false;
}

const char *problem_word(const char *text, char buf[PROBLEM_QUOTE_SIZE])
{
    const unsigned char *s = (const unsigned char *)text;
    size_t n = 0, room = PROBLEM_QUOTE_SIZE - 13;
    while (*s && n < room) {
        size_t control = control_length(s);
        if (!control)
            buf[n++] = (char)*s++;
        for (; control > 0; control--)
            n += (size_t)snprintf(buf + n, PROBLEM_QUOTE_SIZE - n, "\\x%02x", *s++);
    }
    if (*s) {
        while (n > 0 && ((unsigned char)buf[n - 1] & 0xc0) == 0x80)     /* never cut within a UTF-8 character */
            n--;
        if (n > 0 && ((unsigned char)buf[n - 1] & 0xc0) == 0xc0)
            n--;
        memcpy(buf + n, "...", 3);
        n += 3;
    }
    buf[n] = '\0';
    return buf;
}

const char *problem_quote(const char *text, char buf[PROBLEM_QUOTE_SIZE])
{
    char word[PROBLEM_QUOTE_SIZE];
    snprintf(buf, PROBLEM_QUOTE_SIZE, "\"%.*s\"", PROBLEM_QUOTE_SIZE - 4, problem_word(text, word));
    return buf;
}

void config_errors_done(struct config_errors *e)
{
    for (size_t i = 0; i < e->n; i++) {
        free(e->v[i].where);
        free(e->v[i].path);
        free(e->v[i].text);
    }
    free(e->v);
    *e = (struct config_errors){0};
}

void config_errors_print(const struct config_errors *e, struct strbuf *out)
{
    for (size_t i = 0; i < e->n; i++) {
        const struct config_error *c = &e->v[i];
        strbuf_printf(out, "%s: %s%s%s\n", c->where, c->path, *c->path ? ": " : "", c->text);
    }
    if (e->more)
        strbuf_printf(out, "... and more: these are the first %zu\n", e->n);
}
