#include "ctl/utf8.h"
#include <string.h>
#include "base/cleanup.h"

size_t utf8_decode(const char *s, size_t n, uint32_t *ret)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    const unsigned char *u = (const unsigned char *)s;
    size_t len = u[0] < 0x80 ? 1 : (u[0] & 0xe0) == 0xc0 ? 2 : (u[0] & 0xf0) == 0xe0 ? 3 : (u[0] & 0xf8) == 0xf0 ? 4 : 0;
    if (len == 0 || len > n) return 0;
    uint32_t cp = len == 1 ? u[0] : u[0] & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if ((u[i] & 0xc0) != 0x80) return 0;
        cp = cp << 6 | (u[i] & 0x3f);
    }
    if (cp < least[len] || cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff)) return 0;
    *ret = cp;
    return len;
}

struct range { uint32_t from, to; };

static int in_ranges(uint32_t cp, const struct range *r, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (cp >= r[i].from && cp <= r[i].to) return 1;
    return 0;
}

unsigned utf8_width(uint32_t cp)
{
    /* The blocks that matter, from UAX #11 (East Asian Width) and the general category Mn/Cf. */
    static const struct range zero[] = { { 0x300, 0x36f }, { 0x483, 0x489 }, { 0x591, 0x5bd }, { 0x610, 0x61a }, { 0x64b, 0x65f },
        { 0x200b, 0x200f }, { 0x202a, 0x202e }, { 0x2060, 0x206f }, { 0x20d0, 0x20f0 }, { 0xfe00, 0xfe0f }, { 0xfe20, 0xfe2f }, { 0xfeff, 0xfeff } };
    static const struct range wide[] = { { 0x1100, 0x115f }, { 0x231a, 0x231b }, { 0x23e9, 0x23ec }, { 0x2e80, 0x303e }, { 0x3041, 0x33ff },
        { 0x3400, 0x4dbf }, { 0x4e00, 0xa4cf }, { 0xa960, 0xa97f }, { 0xac00, 0xd7a3 }, { 0xf900, 0xfaff }, { 0xfe30, 0xfe6f },
        { 0xff00, 0xff60 }, { 0xffe0, 0xffe6 }, { 0x1f300, 0x1f64f }, { 0x1f680, 0x1f6ff }, { 0x1f900, 0x1f9ff }, { 0x20000, 0x3fffd } };
    if (cp < 0x300) return 1;
    if (in_ranges(cp, zero, ARRAY_LEN(zero))) return 0;
    return in_ranges(cp, wide, ARRAY_LEN(wide)) ? 2 : 1;
}

static size_t step(const char *s, size_t left, unsigned *ret_width)
{
    uint32_t cp;
    size_t len = utf8_decode(s, left, &cp);
    *ret_width = len ? utf8_width(cp) : 1;
    return len ? len : 1;
}

size_t utf8_columns(const char *s)
{
    size_t left = strlen(s), columns = 0;
    while (left) {
        unsigned w;
        size_t len = step(s, left, &w);
        s += len, left -= len, columns += w;
    }
    return columns;
}

size_t utf8_fit(const char *s, size_t columns)
{
    size_t left = strlen(s), at = 0;
    while (at < left) {
        unsigned w;
        size_t len = step(s + at, left - at, &w);
        if (w > columns) break;
        columns -= w, at += len;
    }
    return at;
}
