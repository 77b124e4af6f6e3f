#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "tests/bench/answer.h"

void answer_init(struct answer *a)
{
    *a = (struct answer){ .state = ANSWER_HEAD };
}

static int status_line(struct answer *a)
{
    if (strncmp(a->line, "HTTP/1.", 7) != 0 || a->line_n < 12 || a->line[8] != ' ')
        return -EBADMSG;
    a->status = atoi(a->line + 9);
    a->closes = a->line[7] == '0';
    return a->status >= 100 && a->status <= 599 ? 0 : -EBADMSG;
}

static const char *value_of(const char *line, const char *name)
{
    size_t n = strlen(name);
    if (strncasecmp(line, name, n) != 0 || line[n] != ':')
        return NULL;
    return line + n + 1 + strspn(line + n + 1, " \t");
}

static void header_line(struct answer *a)
{
    const char *v;
    if ((v = value_of(a->line, "content-length"))) {
        a->has_length = true;
        a->left = strtoull(v, NULL, 10);
    } else if ((v = value_of(a->line, "transfer-encoding"))) {
        a->chunked = strcasestr(v, "chunked") != NULL;
    } else if ((v = value_of(a->line, "connection"))) {
        if (strcasestr(v, "close"))
            a->closes = true;
    } else if ((v = value_of(a->line, "x-instance"))) {
        snprintf(a->instance, sizeof a->instance, "%s", v);
    }
}

static void head_end(struct answer *a)
{
    if (a->status < 200) {              /* 100, 103: the real one follows */
        answer_init(a);
        a->any = true;
    } else if (a->status == 204 || a->status == 304) {
        a->state = ANSWER_DONE;
    } else if (a->chunked) {
        a->state = ANSWER_CHUNK_SIZE;
    } else if (a->has_length) {
        a->state = a->left ? ANSWER_LENGTH : ANSWER_DONE;
    } else {
        a->state = ANSWER_TO_EOF;
        a->closes = true;
    }
}

static int line_end(struct answer *a)
{
    if (a->line_n && a->line[a->line_n - 1] == '\r')
        a->line_n--;
    a->line[a->line_n] = '\0';
    int r = 0;
    if (a->state == ANSWER_HEAD) {
        if (a->status == 0)
            r = status_line(a);
        else if (a->line_n == 0)
            head_end(a);
        else
            header_line(a);
    } else if (a->state == ANSWER_CHUNK_SIZE) {
        char *end;
        a->left = strtoull(a->line, &end, 16);
        r = end == a->line ? -EBADMSG : 0;
        a->state = a->left ? ANSWER_CHUNK : ANSWER_TRAILER;
    } else if (a->state == ANSWER_CHUNK_END) {
        a->state = ANSWER_CHUNK_SIZE;
    } else if (a->line_n == 0) {
        a->state = ANSWER_DONE;         /* the empty line behind the trailers */
    }
    a->line_n = 0;
    return r;
}

static size_t body(struct answer *a, size_t n)
{
    size_t take = a->left < n ? (size_t)a->left : n;
    a->left -= take;
    if (a->left == 0)
        a->state = a->state == ANSWER_CHUNK ? ANSWER_CHUNK_END : ANSWER_DONE;
    return take;
}

int answer_feed(struct answer *a, const char *data, size_t n, size_t *ret_used)
{
    size_t i = 0;
    int r = 0;
    if (n)
        a->any = true;
    while (i < n && a->state != ANSWER_DONE && r == 0) {
        if (a->state == ANSWER_LENGTH || a->state == ANSWER_CHUNK) {
            i += body(a, n - i);
        } else if (a->state == ANSWER_TO_EOF) {
            i = n;
        } else if (data[i] == '\n') {
            r = line_end(a);
            i++;
        } else {
            if (a->line_n < sizeof a->line - 1)
                a->line[a->line_n++] = data[i];
            i++;
        }
    }
    *ret_used = i;
    return r ? r : a->state == ANSWER_DONE;
}

int answer_eof(struct answer *a)
{
    if (a->state == ANSWER_TO_EOF)
        a->state = ANSWER_DONE;
    return a->state == ANSWER_DONE;
}
