#include "base/num.h"
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool digit(char c) { return c >= '0' && c <= '9'; }

/* Reads 0 | [1-9][0-9]* from *s and moves it behind. */
static int take_u64(const char **s, uint64_t *ret)
{
    const char *p = *s;
    uint64_t v = 0;
    if (!digit(*p) || (*p == '0' && digit(p[1])))
        return -EINVAL;
    bool over = false;
    for (; digit(*p); p++)
        over |= __builtin_mul_overflow(v, (uint64_t)10, &v) || __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v);
    if (over)
        return -ERANGE;
    *s = p;
    *ret = v;
    return 0;
}

int num_u64(const char *s, uint64_t *ret)
{
    uint64_t v;
    if (strspn(s, "0123456789") != strlen(s))
        return -EINVAL;
    int rc = take_u64(&s, &v);
    if (rc < 0)
        return rc;
    *ret = v;
    return 0;
}

int num_i64(const char *s, int64_t *ret)
{
    bool minus = *s == '-';
    uint64_t v, limit = (uint64_t)INT64_MAX + minus;
    int rc = num_u64(s + minus, &v);
    if (rc < 0)
        return rc;
    if (v > limit)
        return -ERANGE;
    *ret = minus ? (int64_t)(0 - v) : (int64_t)v;
    return 0;
}

/* The extent of digits[.digits] at s, or 0 if there is no such thing. */
static size_t decimal_extent(const char *s)
{
    size_t n = strspn(s, "0123456789");
    if (n == 0 || (n > 1 && *s == '0'))
        return 0;
    if (s[n] == '.') {
        size_t frac = strspn(s + n + 1, "0123456789");
        if (frac == 0)
            return 0;
        n += 1 + frac;
    }
    return n;
}

int num_double(const char *s, double *ret)
{
    size_t n = decimal_extent(s);
    if (n == 0 || s[n])
        return -EINVAL;
    double v = strtod(s, NULL);         /* the programs never call setlocale for LC_NUMERIC: '.' it is */
    if (!isfinite(v))
        return -ERANGE;
    *ret = v;
    return 0;
}

/* "1.5" times `unit`, exactly: -EINVAL if that is not a whole number. */
static int scaled_u64(const char *s, size_t extent, uint64_t unit, uint64_t *ret)
{
    uint64_t whole;
    const char *p = s;
    int rc = take_u64(&p, &whole);
    if (rc < 0)
        return rc;
    if (__builtin_mul_overflow(whole, unit, &whole))
        return -ERANGE;
    unsigned __int128 frac = 0, tens = 1;
    const char *end = s + extent;
    while (end > p && p < end && end[-1] == '0')    /* 1.50 is 1.5 */
        end--;
    for (p += p < end; p < end; p++) {
        if (tens > 1000000000000000000u)
            return -EINVAL;
        frac = frac * 10 + (unsigned)(*p - '0');
        tens *= 10;
    }
    if (frac * unit % tens)
        return -EINVAL;
    if (__builtin_add_overflow(whole, (uint64_t)(frac * unit / tens), &whole))
        return -ERANGE;
    *ret = whole;
    return 0;
}

struct unit { const char *name; uint64_t factor; };

/* Biggest first: the formatters take the first that divides. */
static const struct unit time_units[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}, {NULL, 0}};
static const struct unit size_units[] = {
    {"T", 1ull << 40}, {"G", 1ull << 30}, {"M", 1ull << 20}, {"K", 1ull << 10}, {"B", 1}, {"", 1}, {NULL, 0}};

static int num_with_unit(const char *s, const struct unit *units, uint64_t *ret)
{
    size_t n = decimal_extent(s);
    if (n == 0)
        return -EINVAL;
    for (; units->name; units++)
        if (strcmp(units->name, s + n) == 0)
            return scaled_u64(s, n, units->factor, ret);
    return -EINVAL;
}

int num_duration_ms(const char *s, int64_t *ret_ms)
{
    uint64_t v;
    int rc = num_with_unit(s, time_units, &v);
    if (rc < 0)
        return rc;
    if (v > INT64_MAX)
        return -ERANGE;
    *ret_ms = (int64_t)v;
    return 0;
}

int num_size_bytes(const char *s, uint64_t *ret_bytes)
{
    return num_with_unit(s, size_units, ret_bytes);
}

int num_percent(const char *s, double *ret_pct)
{
    size_t n = decimal_extent(s);
    if (n == 0 || strcmp(s + n, "%") != 0)
        return -EINVAL;
    double v = strtod(s, NULL);
    if (!isfinite(v))
        return -ERANGE;
    *ret_pct = v;
    return 0;
}

void num_format_duration(int64_t ms, char *buf, size_t size)
{
    uint64_t v = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
    const struct unit *u = time_units;
    while (v % u->factor)
        u++;
    if (v == 0)
        u = &time_units[3];
    snprintf(buf, size, "%s%llu%s", ms < 0 ? "-" : "", (unsigned long long)(v / u->factor), u->name);
}

void num_format_size(uint64_t bytes, char *buf, size_t size)
{
    const struct unit *u = size_units;
    while (bytes % u->factor)
        u++;
    if (bytes == 0)
        u = &size_units[4];
    snprintf(buf, size, "%llu%s", (unsigned long long)(bytes / u->factor), u->factor == 1 ? "" : u->name);
}

void num_human_size(uint64_t bytes, char *buf, size_t size)
{
    static const char units[] = "BKMGTPE";
    double v = (double)bytes;
    int i = 0;
    while (v >= 999.95 && units[i + 1]) {     /* 1023K would be wider than the column */
        v /= 1024;
        i++;
    }
    if (i == 0)
        snprintf(buf, size, "%.0fB", v);
    else
        snprintf(buf, size, v < 99.95 ? "%.1f%c" : "%.0f%c", v, units[i]);
}

void num_human_age(int64_t ms, char *buf, size_t size)
{
    int64_t s = ms < 0 ? 0 : ms / 1000;
    if (s < 60)
        snprintf(buf, size, "%llds", (long long)s);
    else if (s < 3600)
        snprintf(buf, size, "%lldm", (long long)(s / 60));
    else if (s < 86400)
        snprintf(buf, size, "%lldh", (long long)(s / 3600));
    else
        snprintf(buf, size, "%lldd", (long long)(s / 86400));
}
