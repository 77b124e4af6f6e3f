#include "agent/notify.h"
#include <errno.h>
#include <string.h>
#include "base/num.h"
#include "base/utf8.h"

enum { DATAGRAM_MAX = 4096 };
static const int64_t time_ms_max = 365ll * 86400 * 1000;

/* "KEY" or NULL: the value behind "KEY=" at the start of line. */
static const char *value_of(const char *line, const char *key)
{
    size_t n = strlen(key);
    return strncmp(line, key, n) == 0 && line[n] == '=' ? line + n + 1 : NULL;
}

static bool is_one(const char *value) { return value && strcmp(value, "1") == 0; }

/* Microseconds to ms, rounded up so that a short time does not become none; nonsense leaves *ret alone. Above a year is a year. */
static void take_usec(const char *value, int64_t *ret_ms)
{
    uint64_t us;
    if (!value || num_u64(value, &us) < 0)
        return;
    uint64_t ms = us / 1000 + (us % 1000 != 0);
    *ret_ms = ms > (uint64_t)time_ms_max ? time_ms_max : (int64_t)ms;
}

static void take_pid(const char *value, int32_t *ret)
{
    uint64_t pid;
    if (value && num_u64(value, &pid) == 0 && pid >= 2 && pid <= INT32_MAX)     /* 0 means "my group" to kill(2), and 1 is never an app's */
        *ret = (int32_t)pid;
}

static void take_line(const char *line, struct notify_msg *m)
{
    const char *v;
    if ((v = value_of(line, "READY")))
        m->ready |= is_one(v);
    else if ((v = value_of(line, "STOPPING")))
        m->stopping |= is_one(v);
    else if ((v = value_of(line, "RELOADING")))
        m->reloading |= is_one(v);
    else if ((v = value_of(line, "WATCHDOG"))) {
        m->watchdog |= is_one(v);
        m->watchdog_trigger |= strcmp(v, "trigger") == 0;
    } else if ((v = value_of(line, "STATUS"))) {
        m->has_status = true;
        utf8_clean(m->status, sizeof m->status, v);
    } else if ((v = value_of(line, "EXTEND_TIMEOUT_USEC")))
        take_usec(v, &m->extend_timeout_ms);
    else if ((v = value_of(line, "WATCHDOG_USEC")))
        take_usec(v, &m->watchdog_ms);
    else if ((v = value_of(line, "MAINPID")))
        take_pid(v, &m->mainpid);
}

int notify_parse(const char *data, size_t len, struct notify_msg *ret)
{
    char text[DATAGRAM_MAX + 1];
    if (len == 0 || len > DATAGRAM_MAX || memchr(data, '\0', len))
        return -EINVAL;
    memcpy(text, data, len);
    text[len] = '\0';
    struct notify_msg m = {.extend_timeout_ms = -1, .watchdog_ms = -1};
    for (char *line = text, *end; line; line = end) {
        if ((end = strchr(line, '\n')))
            *end++ = '\0';
        take_line(line, &m);
    }
    *ret = m;
    return 0;
}
