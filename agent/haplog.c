#include "agent/haplog.h"
#include <errno.h>
#include <string.h>
#include "base/num.h"
#include "base/strbuf.h"
#include "base/banned.h"

enum { LINE_MAX_BYTES = 512, FIELDS = 11 };

/* Splits in place at single blanks; false unless there are exactly FIELDS, none empty. */
static bool split(char *line, char **field)
{
    for (int i = 0; i < FIELDS; i++) {
        field[i] = line;
        char *blank = strchr(line, ' ');
        if ((i < FIELDS - 1) != (blank != NULL) || *line == 0 || blank == line)
            return false;
        if (blank) {
            *blank = 0;
            line = blank + 1;
        }
    }
    return true;
}

static int ms(const char *s, int32_t *ret)
{
    int64_t v;
    if (num_i64(*s == '+' ? s + 1 : s, &v) < 0 || v < -1 || v > INT32_MAX / 4)
        return -EINVAL;
    *ret = (int32_t)v;
    return 0;
}

int haplog_parse(const char *data, size_t len, struct haplog *ret)
{
    char line[LINE_MAX_BYTES], *f[FIELDS];
    struct haplog l = { .status = -1 };
    int64_t status;
    uint64_t retries;
    while (len > 0 && (data[len - 1] == '\n' || data[len - 1] == 0))
        len--;
    if (len == 0 || len >= sizeof line || memchr(data, 0, len))
        return -EINVAL;
    memcpy(line, data, len);
    line[len] = 0;
    if (!split(line, f) || strcmp(f[0], "m1") != 0 || !fixed_copy(l.service, sizeof l.service, f[1]))
        return -EINVAL;
    if (f[2][0] != '<' && !fixed_copy(l.instance, sizeof l.instance, f[2]))
        return -EINVAL;
    if (ms(f[3], &l.queue_ms) < 0 || ms(f[4], &l.connect_ms) < 0 || ms(f[5], &l.response_ms) < 0)
        return -EINVAL;
    if (num_i64(f[6], &status) < 0 || status < -1 || status > 999 || !fixed_copy(l.termination, sizeof l.termination, f[7]))
        return -EINVAL;
    if (num_u64(f[9][0] == '+' ? f[9] + 1 : f[9], &retries) < 0 || retries > UINT32_MAX)
        return -EINVAL;
    l.status = (int)status;
    l.stream = strcmp(f[8], "1") == 0;
    l.retries = (uint32_t)retries;
    fixed_copy(l.method, sizeof l.method, f[10]);
    *ret = l;
    return 0;
}

int64_t haplog_latency_us(const struct haplog *l)
{
    if (l->queue_ms < 0 || l->connect_ms < 0 || l->response_ms < 0 || l->status < 0 || l->status == 101 || l->stream)
        return -1;
    return ((int64_t)l->queue_ms + l->connect_ms + l->response_ms) * 1000;
}
