#include "ctl/args.h"
#include <assert.h>
#include <errno.h>
#include <string.h>
#include "base/cleanup.h"
#include "model/suggest.h"

static int find_name(const struct args *a, const char *name, size_t len)
{
    for (size_t i = 0; i < a->opt_n; i++)
        if (strlen(a->opts[i].name) == len && memcmp(a->opts[i].name, name, len) == 0) return (int)i;
    return -1;
}

static int find_letter(const struct args *a, char letter)
{
    for (size_t i = 0; i < a->opt_n; i++)
        if (a->opts[i].letter == letter) return (int)i;
    return -1;
}

static int unknown_option(const struct args *a, const char *name, size_t len, struct err *e)
{
    char word[64] = "";
    memcpy(word, name, MIN_OF(len, sizeof word - 1));
    struct suggest s = { .word = word };
    for (size_t i = 0; i < a->opt_n; i++) suggest_offer(&s, a->opts[i].name);
    return s.best ? err_set(e, -EINVAL, "unknown option `--%s`; did you mean `--%s`?", word, s.best) : err_set(e, -EINVAL, "unknown option `--%s`", word);
}

static int parse_long(struct args *a, const char *arg, int argc, char **argv, int *i, struct err *e)
{
    size_t len = strcspn(arg, "=");
    int o = find_name(a, arg, len);
    if (o < 0) return unknown_option(a, arg, len, e);
    if (!a->opts[o].value) {
        if (arg[len] == '=') return err_set(e, -EINVAL, "`--%s` takes no value", a->opts[o].name);
        a->values[o] = "";
    } else if (arg[len] == '=') {
        a->values[o] = arg + len + 1;
    } else if (*i + 1 < argc) {
        a->values[o] = argv[++*i];
    } else {
        return err_set(e, -EINVAL, "`--%s` wants a value: --%s %s", a->opts[o].name, a->opts[o].name, a->opts[o].value);
    }
    return 0;
}

static int parse_letters(struct args *a, const char *arg, int argc, char **argv, int *i, struct err *e)
{
    for (; *arg; arg++) {
        int o = find_letter(a, *arg);
        if (o < 0) return err_set(e, -EINVAL, "unknown option `-%c`", *arg);
        if (!a->opts[o].value) {
            a->values[o] = "";
            continue;
        }
        if (arg[1]) a->values[o] = arg[1] == '=' ? arg + 2 : arg + 1;
        else if (*i + 1 < argc) a->values[o] = argv[++*i];
        else return err_set(e, -EINVAL, "`-%c` wants a value: -%c %s", *arg, *arg, a->opts[o].value);
        return 0;
    }
    return 0;
}

int args_parse(const struct opt *opts, size_t opt_n, int argc, char **argv, struct args *ret, struct err *e)
{
    assert(opt_n <= ARGS_OPTIONS_MAX);
    struct args a = { .opts = opts, .opt_n = opt_n };
    for (int i = 0; i < argc; i++) {
        const char *s = argv[i];
        int r = 0;
        if (strcmp(s, "--") == 0) {
            a.rest = argv + i + 1, a.rest_n = (size_t)(argc - i - 1);
            break;
        }
        if (s[0] == '-' && s[1] == '-') r = parse_long(&a, s + 2, argc, argv, &i, e);
        else if (s[0] == '-' && s[1] && !strchr("0123456789.", s[1])) r = parse_letters(&a, s + 1, argc, argv, &i, e);
        else if (a.pos_n == ARGS_MAX) r = err_set(e, -EINVAL, "more than %d arguments", ARGS_MAX);
        else a.pos[a.pos_n++] = s;
        if (r < 0) return r;
    }
    *ret = a;
    return 0;
}

const char *args_get(const struct args *a, const char *name)
{
    int o = find_name(a, name, strlen(name));
    assert(o >= 0);
    return a->values[o];
}

bool args_has(const struct args *a, const char *name)
{
    return args_get(a, name) != NULL;
}
