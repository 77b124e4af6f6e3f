#include "net/httpresp.h"
#include <stdbool.h>
#include <string.h>
#include <strings.h>
#include "base/num.h"

enum { AT_STATUS, AT_HEADERS, AT_END };

static enum httpresp_verdict bad(const char **ret_why, const char *why)
{
    *ret_why = why;
    return HTTPRESP_BAD;
}

static bool digit(char c) { return c >= '0' && c <= '9'; }

/* "HTTP/1.1 200 OK"; the phrase, and the blank before it, may be missing. */
static bool status_line(struct httpresp *r)
{
    const char *s = r->line;
    if (strncmp(s, "HTTP/1.", 7) != 0 || !digit(s[7]) || s[8] != ' ')
        return false;
    s += 9;
    if (s[0] < '1' || s[0] > '5' || !digit(s[1]) || !digit(s[2]) || (s[3] != '\0' && s[3] != ' '))
        return false;
    r->status = (s[0] - '0') * 100 + (s[1] - '0') * 10 + (s[2] - '0');
    return true;
}

static bool token_char(unsigned char c)
{
    return c > ' ' && c < 0x7f && !strchr("\"(),/:;<=>?@[\\]{}", c);
}

static char *trim(char *s)
{
    s += strspn(s, " \t");
    size_t n = strlen(s);
    while (n && (s[n - 1] == ' ' || s[n - 1] == '\t'))
        s[--n] = '\0';
    return s;
}

static const char *length_header(struct httpresp *r, const char *value)
{
    uint64_t n;
    /* "5, 5" (one value sent twice and joined by a proxy) is legal to accept, and not worth it. */
    if (num_u64(value, &n) < 0)
        return "Content-Length is not a number";
    if (r->has_length && r->content_length != n)
        return "two different Content-Length";
    r->has_length = 1;
    r->content_length = n;
    return NULL;
}

/* NULL: fine. */
static const char *header_line(struct httpresp *r)
{
    char *colon = strchr(r->line, ':');
    if (*r->line == ' ' || *r->line == '\t')
        return "a folded header line";
    if (!colon || colon == r->line)
        return "a header line without a name";
    for (char *p = r->line; p < colon; p++)
        if (!token_char((unsigned char)*p))
            return "a header name with odd characters";
    *colon = '\0';
    char *value = trim(colon + 1);
    if (strcasecmp(r->line, "Content-Length") == 0)
        return length_header(r, value);
    if (strcasecmp(r->line, "Transfer-Encoding") == 0)
        r->has_encoding = 1;
    return NULL;
}

/* The empty line. An interim answer (100, 103) makes place for the one that follows. */
static enum httpresp_verdict end_of_head(struct httpresp *r, const char **ret_why)
{
    if (r->has_length && r->has_encoding)
        return bad(ret_why, "Content-Length beside Transfer-Encoding");
    if (r->status / 100 == 1 && r->status != 101) {
        if (r->has_length || r->has_encoding)
            return bad(ret_why, "an interim answer with a length");
        r->state = AT_STATUS;
        r->status = 0;
        return HTTPRESP_MORE;
    }
    r->state = AT_END;
    return HTTPRESP_DONE;
}

static enum httpresp_verdict whole_line(struct httpresp *r, const char **ret_why)
{
    if (r->line_len && r->line[r->line_len - 1] == '\r')
        r->line_len--;
    r->line[r->line_len] = '\0';
    if (memchr(r->line, '\0', r->line_len) || memchr(r->line, '\r', r->line_len))
        return bad(ret_why, "a NUL or a bare CR in the answer's head");
    if (r->state == AT_STATUS) {
        if (!status_line(r))
            return bad(ret_why, "not an HTTP answer");
        r->state = AT_HEADERS;
        return HTTPRESP_MORE;
    }
    if (r->line_len == 0)
        return end_of_head(r, ret_why);
    const char *why = header_line(r);
    return why ? bad(ret_why, why) : HTTPRESP_MORE;
}

/* What cannot become "HTTP/1." any more is said at once: a server of another protocol may never send a newline. */
static bool still_http(const struct httpresp *r)
{
    static const char start[] = "HTTP/1.";
    size_t n = r->line_len < sizeof start - 1 ? r->line_len : sizeof start - 1;
    return r->state != AT_STATUS || memcmp(r->line, start, n) == 0;
}

enum httpresp_verdict httpresp_feed(struct httpresp *r, const char *data, size_t len, const char **ret_why)
{
    while (len > 0) {
        const char *newline = memchr(data, '\n', len);
        size_t n = newline ? (size_t)(newline - data) : len;
        if (r->line_len + n >= sizeof r->line)
            return bad(ret_why, "the answer's head has a line that is too long");
        memcpy(r->line + r->line_len, data, n);
        r->line_len += (uint32_t)n;
        r->head_bytes += (uint32_t)n + (newline != NULL);
        if (!still_http(r))
            return bad(ret_why, "not an HTTP answer");
        if (r->head_bytes > HTTPRESP_HEAD_MAX)
            return bad(ret_why, "the answer's head is too long");
        if (!newline)
            return HTTPRESP_MORE;
        enum httpresp_verdict v = whole_line(r, ret_why);
        r->line_len = 0;
        if (v != HTTPRESP_MORE)
            return v;
        data += n + 1;
        len -= n + 1;
    }
    return HTTPRESP_MORE;
}
