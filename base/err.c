#include "base/err.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/strbuf.h"

int err_set(struct err *e, int rc, const char *fmt, ...)
{
    if (!e)
        return rc;
    struct err fresh;           /* apart, because the arguments may point into e->text */
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(fresh.text, sizeof fresh.text, fmt, ap);
    va_end(ap);
    *e = fresh;
    return rc;
}

int err_sys(struct err *e, int rc, const char *fmt, ...)
{
    if (!e)
        return rc;
    struct err fresh;
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(fresh.text, sizeof fresh.text, fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < sizeof fresh.text) {
        const char *why = strerrordesc_np(-rc);     /* not strerror: that one is not safe with threads */
        snprintf(fresh.text + n, sizeof fresh.text - (size_t)n, ": %s", why ? why : "unknown error");
    }
    *e = fresh;
    return rc;
}

int err_wrap(struct err *e, int rc, const char *fmt, ...)
{
    if (!e)
        return rc;
    struct err fresh;
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(fresh.text, sizeof fresh.text, fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n + 2 < sizeof fresh.text && *e->text) {
        memcpy(fresh.text + n, ": ", 2);
        fixed_copy(fresh.text + n + 2, sizeof fresh.text - (size_t)n - 2, e->text);
    }
    *e = fresh;
    return rc;
}
