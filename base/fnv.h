/* fnv.h - FNV-1a (Fowler, Noll, Vo), 32 bits: spreads names over a table, and notices any single byte that changed. No defence against
 * somebody who wants it to collide. Pure. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define FNV_INIT 2166136261u

/* Goes on from h (FNV_INIT at first). */
static inline uint32_t fnv(uint32_t h, const void *data, size_t n)
{
    const unsigned char *p = data;
    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * 16777619u;
    return h;
}

static inline uint32_t fnv_str(uint32_t h, const char *s) { return fnv(h, s, strlen(s)); }
