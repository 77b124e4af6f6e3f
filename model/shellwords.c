#include "model/shellwords.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

struct splitter { const char *s; struct strbuf word; bool in_word, quoted; };

static void put_literal(struct splitter *w, char c)
{
    strbuf_putc(&w->word, c);
    if (c == '$')
        strbuf_putc(&w->word, '$');
}

static int take_single(struct splitter *w, struct err *e)
{
    const char *end = strchr(w->s, '\'');
    if (!end)
        return err_set(e, -EINVAL, "a ' is not closed");
    for (; w->s < end; w->s++)
        put_literal(w, *w->s);
    w->s++;
    return 0;
}

static int take_double(struct splitter *w, struct err *e)
{
    while (*w->s && *w->s != '"') {
        if (*w->s == '\\' && w->s[1] && strchr("\"\\$`", w->s[1])) {
            put_literal(w, w->s[1]);
            w->s += 2;
        } else if (*w->s == '`') {
            return err_set(e, -EINVAL, "no shell is run, so `...` runs nothing; use [sh, -c, \"...\"]");
        } else {
            strbuf_putc(&w->word, *w->s++);
        }
    }
    if (!*w->s)
        return err_set(e, -EINVAL, "a \" is not closed");
    w->s++;
    return 0;
}

/* Unquoted: what only a shell could do is refused, for it would silently become an argument. */
static int take_plain(struct splitter *w, struct err *e)
{
    char c = *w->s++;
    if (strchr("&|;<>`", c))
        return err_set(e, -EINVAL, "no shell is run, so `%c` would do nothing; quote it, or use [sh, -c, \"...\"]", c);
    if (c == '$' && *w->s == '(')
        return err_set(e, -EINVAL, "no shell is run, so $(...) runs nothing; use [sh, -c, \"...\"]");
    strbuf_putc(&w->word, c);
    return 0;
}

static int take_piece(struct splitter *w, struct err *e)
{
    w->in_word = true;
    switch (*w->s) {
    case '\'':
        w->s++;
        w->quoted = true;
        return take_single(w, e);
    case '"':
        w->s++;
        w->quoted = true;
        return take_double(w, e);
    case '\\':
        if (!w->s[1])
            return err_set(e, -EINVAL, "a \\ at the end quotes nothing");
        w->quoted = true;
        if (w->s[1] != '\n')            /* backslash and newline: a continued line */
            put_literal(w, w->s[1]);
        w->s += 2;
        return 0;
    default:
        return take_plain(w, e);
    }
}

/* NAME=value in front of the program. */
static bool is_assignment(const char *s)
{
    if (!isalpha((unsigned char)*s) && *s != '_')
        return false;
    while (isalnum((unsigned char)*s) || *s == '_')
        s++;
    return *s == '=';
}

static int end_word(struct splitter *w, struct strv *words, struct err *e)
{
    if (!w->in_word)
        return 0;
    if (words->n == SHELL_WORDS_MAX)
        return err_set(e, -EINVAL, "more than %d words", SHELL_WORDS_MAX);
    if (words->n == 0 && !w->quoted && is_assignment(strbuf_str(&w->word)))
        return err_set(e, -EINVAL, "no shell is run, so NAME=value in front is no variable; put it in `environment`");
    strv_push(words, strbuf_str(&w->word));
    strbuf_reset(&w->word);
    w->in_word = w->quoted = false;
    return 0;
}

int shellwords_split(const char *s, struct strv *ret, struct err *e)
{
    struct splitter w = { .s = s };
    struct strv words = {0};
    int rc = 0;
    while (rc == 0 && *w.s) {
        if (strchr(" \t\r\n", *w.s)) {
            w.s++;
            rc = end_word(&w, &words, e);
        } else {
            rc = take_piece(&w, e);
        }
    }
    if (rc == 0)
        rc = end_word(&w, &words, e);
    if (rc == 0 && words.n == 0)
        rc = err_set(e, -EINVAL, "it is empty");
    strbuf_done(&w.word);
    if (rc < 0)
        strv_done(&words);
    else
        *ret = words;
    return rc;
}
