/* expand.c - ${NAME} in commands. See spec_expand in spec.h. */
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/strbuf.h"
#include "model/spec.h"

static const char *find_value(const struct kvs *vars, const char *name, size_t len)
{
    for (size_t i = 0; i < vars->n; i++)
        if (strncmp(vars->v[i].key, name, len) == 0 && vars->v[i].key[len] == '\0')
            return vars->v[i].value;
    return NULL;
}

static bool is_name(const char *s, size_t len)
{
    if (len == 0 || isdigit((unsigned char)*s))
        return false;
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)s[i]) && s[i] != '_')
            return false;
    return true;
}

/* *s stands behind `${`; moves it behind the `}`. */
static int take_variable(const char **s, const struct kvs *vars, struct strbuf *out, struct err *e)
{
    const char *end = strchr(*s, '}');
    if (!end)
        return err_set(e, -EINVAL, "${%.30s is not closed by }", *s);
    size_t len = (size_t)(end - *s);
    int shown = (int)MIN_OF(len, 60u);
    if (!is_name(*s, len))
        return err_set(e, -EINVAL, "${%.*s} is not a variable's name; write $${ for a plain ${", shown, *s);
    const char *value = find_value(vars, *s, len);
    if (!value)
        return err_set(e, -EINVAL, "${%.*s} is not known", shown, *s);
    strbuf_puts(out, value);
    *s = end + 1;
    return 0;
}

int spec_expand(const char *s, const struct kvs *vars, char **ret, struct err *e)
{
    cleanup_strbuf struct strbuf out = STRBUF_INIT;
    while (*s) {
        if (s[0] == '$' && s[1] == '$') {
            strbuf_putc(&out, '$');
            s += 2;
        } else if (s[0] == '$' && s[1] == '{') {
            s += 2;
            int rc = take_variable(&s, vars, &out, e);
            if (rc < 0)
                return rc;
        } else {
            strbuf_putc(&out, *s++);
        }
    }
    *ret = strbuf_take(&out);
    return 0;
}
