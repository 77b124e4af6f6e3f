#include "base/clock.h"
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t clock_ns(clockid_t id)
{
    struct timespec ts;
    if (clock_gettime(id, &ts) < 0)
        return 0;               /* cannot happen with these two clocks */
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int64_t clock_mono_ms(void) { return clock_ns(CLOCK_BOOTTIME) / 1000000; }
int64_t clock_mono_ns(void) { return clock_ns(CLOCK_BOOTTIME); }
int64_t clock_wall_ms(void) { return clock_ns(CLOCK_REALTIME) / 1000000; }

void clock_rfc3339(int64_t wall_ms, char *buf, size_t size)
{
    int64_t ms = wall_ms % 1000;
    time_t s = (time_t)(wall_ms / 1000);
    if (ms < 0) {
        ms += 1000;
        s--;
    }
    struct tm tm;
    if (!gmtime_r(&s, &tm))
        tm = (struct tm){.tm_year = 70, .tm_mday = 1};
    snprintf(buf, size, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
             tm.tm_hour, tm.tm_min, tm.tm_sec, (int)ms);
}

/* `n` digits at *s, moved behind; -1 if there is anything else. */
static int take_digits(const char **s, int n)
{
    int v = 0;
    for (; n > 0; n--, (*s)++) {
        if (**s < '0' || **s > '9')
            return -1;
        v = v * 10 + (**s - '0');
    }
    return v;
}

static bool take_char(const char **s, char c)
{
    if (**s != c)
        return false;
    (*s)++;
    return true;
}

/* "Z" or "+02:00"; minutes east of Greenwich. */
static int take_zone(const char **s, int *ret_minutes)
{
    *ret_minutes = 0;
    if (take_char(s, 'Z'))
        return 0;
    int sign = **s == '-' ? -1 : 1;
    if (!take_char(s, '+') && !take_char(s, '-'))
        return -EINVAL;
    int h = take_digits(s, 2);
    if (h < 0 || h > 23 || !take_char(s, ':'))
        return -EINVAL;
    int m = take_digits(s, 2);
    if (m < 0 || m > 59)
        return -EINVAL;
    *ret_minutes = sign * (h * 60 + m);
    return 0;
}

int clock_parse_rfc3339(const char *s, int64_t *ret_wall_ms)
{
    struct tm tm = {0};
    int v[6], zone, ms = 0;
    static const struct { int digits; char before; } part[6] = {{4, 0}, {2, '-'}, {2, '-'}, {2, 'T'}, {2, ':'}, {2, ':'}};
    for (int i = 0; i < 6; i++) {
        if (part[i].before && !take_char(&s, part[i].before))
            return -EINVAL;
        if ((v[i] = take_digits(&s, part[i].digits)) < 0)
            return -EINVAL;
    }
    if (take_char(&s, '.')) {
        int weight = 100;
        if (*s < '0' || *s > '9')
            return -EINVAL;
        for (; *s >= '0' && *s <= '9'; s++, weight /= 10)
            ms += (*s - '0') * weight;
    }
    if (take_zone(&s, &zone) < 0 || *s)
        return -EINVAL;
    if (v[3] > 23 || v[4] > 59 || v[5] > 60)
        return -EINVAL;
    tm.tm_year = v[0] - 1900, tm.tm_mon = v[1] - 1, tm.tm_mday = v[2];
    tm.tm_hour = v[3], tm.tm_min = v[4], tm.tm_sec = v[5];
    struct tm same = tm;
    time_t t = timegm(&same);
    if (same.tm_mon != tm.tm_mon || same.tm_mday != v[2] || (v[5] < 60 && same.tm_sec != v[5]))
        return -EINVAL;         /* timegm turned the 31st of February into something else */
    *ret_wall_ms = ((int64_t)t - zone * 60) * 1000 + ms;
    return 0;
}
