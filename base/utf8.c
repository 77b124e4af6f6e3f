#include "base/utf8.h"
#include <stdbool.h>
#include <string.h>

static bool tail(unsigned char c) { return (c & 0xc0) == 0x80; }

size_t utf8_char(const char *s)
{
    const unsigned char *u = (const unsigned char *)s;
    if (u[0] == 0)
        return 0;
    if (u[0] < 0x80)
        return 1;
    if (u[0] >= 0xc2 && u[0] <= 0xdf)
        return tail(u[1]) ? 2 : 0;
    if ((u[0] & 0xf0) == 0xe0) {
        /* neither longer than needed nor a surrogate */
        bool odd = (u[0] == 0xe0 && u[1] < 0xa0) || (u[0] == 0xed && u[1] > 0x9f);
        return !odd && tail(u[1]) && tail(u[2]) ? 3 : 0;
    }
    if (u[0] >= 0xf0 && u[0] <= 0xf4) {
        bool odd = (u[0] == 0xf0 && u[1] < 0x90) || (u[0] == 0xf4 && u[1] > 0x8f);
        return !odd && tail(u[1]) && tail(u[2]) && tail(u[3]) ? 4 : 0;
    }
    return 0;
}

static bool control(const char *s, size_t n)
{
    const unsigned char *u = (const unsigned char *)s;
    return (n == 1 && (u[0] < 0x20 || u[0] == 0x7f)) || (n == 2 && u[0] == 0xc2 && u[1] < 0xa0);    /* C0, DEL, C1 */
}

int utf8_clean(char *dst, size_t size, const char *src)
{
    size_t at = 0;
    while (*src) {
        size_t n = utf8_char(src);
        size_t out = n && !control(src, n) ? n : 1;
        if (at + out >= size)
            break;
        if (n == 0)
            dst[at] = '?';
        else if (control(src, n))
            dst[at] = ' ';
        else
            memcpy(dst + at, src, n);
        at += out;
        src += n ? n : 1;
    }
    dst[at] = '\0';
    return *src == '\0';
}
