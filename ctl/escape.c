#include "ctl/escape.h"
#include <stdbool.h>
#include <string.h>
#include "ctl/utf8.h"

static bool is_harmful(uint32_t cp)
{
    return (cp < 0x20 && cp != '\t') || (cp >= 0x7f && cp < 0xa0) || cp == 0x61c || (cp >= 0x200e && cp <= 0x200f) ||
           (cp >= 0x2028 && cp <= 0x202e) || (cp >= 0x2066 && cp <= 0x2069) || cp == 0xfeff || (cp >= 0xe0000 && cp <= 0xe007f);
}

void escape_bytes(const char *data, size_t len, struct strbuf *out)
{
    size_t i = 0;
    while (i < len) {
        uint32_t cp = 0;
        size_t n = utf8_decode(data + i, len - i, &cp);
        if (n == 0 || (n == 1 && is_harmful(cp))) {
            strbuf_printf(out, "\\x%02x", (unsigned char)data[i]);
            n = 1;
        } else if (is_harmful(cp)) {
            strbuf_printf(out, cp > 0xffff ? "\\U%08x" : "\\u%04x", cp);
        } else {
            strbuf_add(out, data + i, n);
        }
        i += n;
    }
}

char *escape_line(const char *text)
{
    cleanup_strbuf struct strbuf b = STRBUF_INIT;
    for (const char *end; *text; text = *end ? end + 1 : end) {
        end = text + strcspn(text, "\r\n");
        escape_bytes(text, (size_t)(end - text), &b);
        if (*end && end[1]) strbuf_putc(&b, ' ');
    }
    for (size_t i = 0; i < b.len; i++)
        if (b.s[i] == '\t') b.s[i] = ' ';
    return strbuf_take(&b);
}
