#include "model/yaml_text.h"

#include <string.h>
#include "base/cleanup.h"

/* Length of the well-formed UTF-8 character at s (Unicode 15, table 3-7), 0: none. */
static size_t utf8_length(const unsigned char *s, size_t left)
{
    unsigned char c = s[0];
    size_t n = c < 0x80 ? 1 : c >= 0xc2 && c <= 0xdf ? 2 : (c & 0xf0) == 0xe0 ? 3 : c >= 0xf0 && c <= 0xf4 ? 4 : 0;
    if (n == 0 || n > left)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((c == 0xe0 && s[1] < 0xa0) || (c == 0xed && s[1] > 0x9f) || (c == 0xf0 && s[1] < 0x90) || (c == 0xf4 && s[1] > 0x8f))
        return 0;
    return n;
}

/* What libyaml's reader would refuse, told here because it knows no line at that point. */
static bool is_refused(const unsigned char *s, size_t n)
{
    if (n == 1)
        return (s[0] < 0x20 && s[0] != '\t' && s[0] != '\n' && s[0] != '\r') || s[0] == 0x7f;
    if (n == 2)
        return s[0] == 0xc2 && s[1] < 0xa0 && s[1] != 0x85;
    return n == 3 && s[0] == 0xef && ((s[1] == 0xbb && s[2] == 0xbf) || (s[1] == 0xbf && s[2] >= 0xbe));
}

const char *yaml_text_check(const char *text, size_t len, uint32_t *ret_line, uint32_t *ret_column, unsigned *ret_byte)
{
    const unsigned char *s = (const unsigned char *)text;
    uint32_t line = 1, column = 1;
    size_t i = len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    const char *what = NULL;
    if (len >= 2 && (memcmp(text, "\xff\xfe", 2) == 0 || memcmp(text, "\xfe\xff", 2) == 0))
        what = "the file is UTF-16";
    while (!what && i < len) {
        size_t n = utf8_length(s + i, len - i);
        if (n == 0)
            what = "not a text file: this is not UTF-8";
        else if (is_refused(s + i, n))
            what = s[i] == 0 ? "not a text file: a NUL byte" : "not a text file: a control character";
        else if (s[i] == '\n')
            line++, column = 1;
        else
            column++;
        if (!what)
            i += n;
    }
    if (what)
        *ret_line = line, *ret_column = column, *ret_byte = s[i];
    return what;
}

static const struct { const char *problem, *words; } WORDS[] = {
    { "mapping values are not allowed in this context",
      "no `:` is expected here: look at the indentation of this line and the one above, and put a value that holds `: ` in quotes" },
    { "did not find expected key", "bad indentation: expected another `key: value` like the ones above, in the same column" },
    { "did not find expected '-' indicator", "bad indentation: expected another `- item` like the ones above, in the same column" },
    { "did not find expected ',' or ']'", "expected `,` or `]`: is a list not closed, or does a word with any of {}[],: in it want quotes?" },
    { "did not find expected ',' or '}'", "expected `,` or `}`: is a map not closed, or does a word with any of {}[],: in it want quotes?" },
    { "did not find expected node content", "expected a value here" },
    { "could not find expected ':'", "expected `:` behind the key" },
    { "block sequence entries are not allowed in this context", "no `- item` is expected here: a list starts on a line of its own" },
    { "mapping keys are not allowed in this context", "no key is expected here: look at the indentation" },
    { "did not find expected <document start>", "bad indentation, or a second document: expected nothing more here" },
    { "found unknown escape character", "unknown escape: in \"double quotes\" a backslash starts one, 'single quotes' take it as it is" },
    { "found a tab character that violates indentation", "a tab in the indentation: YAML wants spaces" },
    { "found a tab character where an indentation space is expected", "a tab in the indentation: YAML wants spaces" },
};

const char *yaml_problem_words(const char *problem, const char *context)
{
    if (!problem)
        return NULL;
    if (strcmp(problem, "found unexpected end of stream") == 0 && context && strstr(context, "quoted scalar"))
        return "a quote is not closed";
    if (strcmp(problem, "found character that cannot start any token") == 0)
        return "a value cannot start with this character: put it in quotes";
    for (size_t i = 0; i < ARRAY_LEN(WORDS); i++)
        if (strcmp(problem, WORDS[i].problem) == 0)
            return WORDS[i].words;
    return NULL;
}

uint32_t yaml_tab_in_indent(const char *text, size_t len, uint32_t line)
{
    const char *s = text, *end = text + len;
    for (; line > 1 && s; line--) {
        s = memchr(s, '\n', (size_t)(end - s));
        s = s ? s + 1 : NULL;
    }
    for (const char *t = s; t && t < end && (*t == ' ' || *t == '\t'); t++)
        if (*t == '\t')
            return (uint32_t)(t - s) + 1;
    return 0;
}
