/* spec_variables.c - are the ${NAME} in commands and variables known? At run time an unknown one would be a failed start. See draft.h. */
#include <ctype.h>
#include <string.h>
#include "base/cleanup.h"
#include "model/draft.h"
#include "model/suggest.h"

static size_t name_length(const char *s)
{
    size_t n = 0;
    while (isalnum((unsigned char)s[n]) || s[n] == '_')
        n++;
    return n > 0 && isdigit((unsigned char)*s) ? 0 : n;
}

/* The next ${NAME} or $NAME from *s on; moves *s behind it. NULL: none. `$$` is skipped. *braces: written with them. */
static const char *next_variable(const char **s, size_t *len, bool *braces)
{
    for (const char *p = *s; (p = strchr(p, '$')); ) {
        if (p[1] == '$') {
            p += 2;
            continue;
        }
        *braces = p[1] == '{';
        const char *name = p + 1 + *braces;
        *len = *braces ? strcspn(name, "}") : name_length(name);
        *s = name + *len;
        if (*braces || *len)
            return name;
        p++;
    }
    return NULL;
}

bool spec_mentions(const struct strv *words, const char *name)
{
    for (size_t i = 0; i < words->n; i++) {
        const char *s = words->v[i], *found;
        size_t len;
        bool braces;
        while ((found = next_variable(&s, &len, &braces)))
            if (len == strlen(name) && memcmp(found, name, len) == 0)
                return true;
    }
    return false;
}

static bool is_shell(const struct strv *words)
{
    static const char *const SHELLS[] = { "sh", "bash", "dash", "ash", "zsh", "ksh", "fish", "busybox" };
    const char *slash = strrchr(words->v[0], '/');
    for (size_t i = 0; i < ARRAY_LEN(SHELLS); i++)
        if (strcmp(slash ? slash + 1 : words->v[0], SHELLS[i]) == 0)
            return true;
    return false;
}

/* environment_n: so many of `environment` count. */
static bool is_known(const struct service_spec *s, size_t environment_n, const char *name)
{
    if (strcmp(name, "HOST") == 0 || strcmp(name, "INSTANCE") == 0)
        return true;
    if (strcmp(name, "PORT") == 0 && s->port_kind != PORT_NONE)
        return true;
    for (size_t i = 0; i < environment_n; i++)
        if (strcmp(s->environment.v[i].key, name) == 0)
            return true;
    return false;
}

static const char *near_variable(const struct service_spec *s, const char *name)
{
    struct suggest near = { .word = name };
    suggest_offer(&near, "HOST");
    suggest_offer(&near, "PORT");
    suggest_offer(&near, "INSTANCE");
    for (size_t i = 0; i < s->environment.n; i++)
        suggest_offer(&near, s->environment.v[i].key);
    return near.best;
}

static bool is_secret(const struct service_spec *s, const char *name)
{
    for (size_t i = 0; i < s->secret_n; i++)
        if (strcmp(s->secrets[i].name, name) == 0)
            return true;
    return false;
}

/* One text and where it stood. */
struct place { struct draft *d; const struct draft_service *s; const char *key, *part; size_t environment_n; bool shell; };

static void say_unknown(const struct place *at, const char *name)
{
    const char *near = near_variable(&at->s->spec, name);
    if (is_secret(&at->s->spec, name))
        draft_complain_in(at->d, &at->s->at, at->key, at->part,
                          "${%s} is a secret, and secrets are never put in: the program finds it in its environment", name);
    else if (is_known(&at->s->spec, at->s->spec.environment.n, name))
        draft_complain_in(at->d, &at->s->at, at->key, at->part, "${%s} is not known yet: what is put in must stand further up in `environment`", name);
    else if (strcmp(name, "PORT") == 0)
        draft_complain_in(at->d, &at->s->at, at->key, at->part, "${PORT} is not known with `port: none`, expected port: auto");
    else
        draft_complain_in(at->d, &at->s->at, at->key, at->part,
                          "${%s} is not known, expected HOST, PORT, INSTANCE or a name from `environment`%s%s%s (write $${%s} to pass it on as it is)",
                          name, near ? "; did you mean ${" : "", near ? near : "", near ? "}?" : "", name);
}

/* Says the first thing that is wrong with one variable; false: all is well. */
static bool say_wrong(const struct place *at, const char *found, size_t len, bool braces)
{
    char name[64];
    fixed_printf(name, "%.*s", (int)MIN_OF(len, sizeof name - 1), found);
    bool known = is_known(&at->s->spec, at->environment_n, name);
    if (braces && found[len] != '}')
        draft_complain_in(at->d, &at->s->at, at->key, at->part, "a ${ is not closed by }; write $${ to pass it on as it is");
    else if (braces && (len == 0 || len >= sizeof name || name_length(found) != len))
        draft_complain_in(at->d, &at->s->at, at->key, at->part, "${...} holds no variable's name; write $${ to pass it on as it is");
    else if (braces && !known)
        say_unknown(at, name);
    else if (!braces && !at->shell && known)
        draft_complain_in(at->d, &at->s->at, at->key, at->part, "no shell is run, so $%s stays as it is: write ${%s} (or $$%s to pass it on)", name,
                          name, name);
    else
        return false;
    return true;
}

static bool check_text(const struct place *at, const char *text)
{
    const char *found;
    size_t len;
    bool braces;
    while ((found = next_variable(&text, &len, &braces)))
        if (say_wrong(at, found, len, braces))
            return false;
    return true;
}

void spec_check_command(struct draft *d, const struct draft_service *s, const char *key, const struct strv *words)
{
    const struct place at = { d, s, key, NULL, s->spec.environment.n, is_shell(words) };
    for (size_t i = 0; i < words->n; i++)
        if (!check_text(&at, words->v[i]))
            return;                     /* one a command is enough to go on with */
}

void spec_check_environment(struct draft *d, const struct draft_service *s)
{
    for (size_t i = 0; i < s->spec.environment.n; i++) {
        const struct kv *kv = &s->spec.environment.v[i];
        const struct place at = { d, s, "environment", kv->key, i, true };      /* a lone $ is at home in passwords */
        check_text(&at, kv->value);
    }
}
