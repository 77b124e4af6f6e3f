/* gen_man.c - prints a manual page in scdoc's form, from the programs' own tables: `gen-man musterctl.1`, `gen-man muster.yaml.5`, `gen-man agent.yaml.5`. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/strbuf.h"
#include "ctl/command.h"
#include "model/agent_config.h"
#include "model/schema.h"

static struct strbuf out;

/* Text in which nothing is an order to scdoc. */
static void put(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (strchr("\\*_<>#`", s[i]))
            strbuf_putc(&out, '\\');
        strbuf_putc(&out, s[i]);
    }
}

/* Without the marks of Markdown: what is in backquotes becomes bold. */
static void put_marked(const char *s)
{
    bool bold = false;
    for (; *s; s++) {
        if (*s == '`')
            strbuf_putc(&out, '*'), bold = !bold;
        else
            put(s, 1);
    }
    if (bold)
        strbuf_putc(&out, '*');
}

static void put_verbatim(const char *s, size_t len)
{
    strbuf_puts(&out, "```\n");
    strbuf_add(&out, s, len);
    strbuf_printf(&out, "%s```\n\n", len && s[len - 1] == '\n' ? "" : "\n");
}

/* --- musterctl.1 ---------------------------------------------------------------------------------------------- */
static void put_help(const char *text)
{
    while (*text) {
        const char *stop = strstr(text, "\n\n");
        size_t len = stop ? (size_t)(stop - text) + 1 : strlen(text);
        if (!strncmp(text, "Examples:\n", 10)) {
            put_verbatim(text + 10, len - 10);
        } else {
            cleanup_free char *paragraph = xstrndup(text, len);
            for (char *c = paragraph; *c; c++)
                if (*c == '\n')
                    *c = ' ';
            put_marked(paragraph);
            strbuf_puts(&out, "\n\n");
        }
        text += len;
        text += *text == '\n';
    }
}

static void put_option(const struct opt *o)
{
    if (o->letter)
        strbuf_printf(&out, "*-%c*, ", o->letter);
    strbuf_printf(&out, "*--%s*", o->name);
    if (o->value)
        strbuf_printf(&out, " _%s_", o->value);
    strbuf_puts(&out, "\n\t");
    put_marked(o->help);
    strbuf_puts(&out, "\n\n");
}

static void put_command(const struct command *c)
{
    strbuf_printf(&out, "## musterctl %s ", c->name);
    put(c->arguments, strlen(c->arguments));
    strbuf_printf(&out, "\n\n%c", toupper((unsigned char)c->summary[0]));
    put_marked(c->summary + 1);
    strbuf_puts(&out, ".\n\n");
    put_help(c->help);
    for (size_t i = 0; i < c->opt_n; i++)
        if (strcmp(c->opts[i].name, "state") && strcmp(c->opts[i].name, "help"))
            put_option(&c->opts[i]);
}

static void musterctl(void)
{
    strbuf_puts(&out,
        "musterctl(1)\n\n# NAME\n\nmusterctl - keeps the right number of API server instances running, and the load balancer pointed at them\n\n"
        "# SYNOPSIS\n\n*musterctl* _COMMAND_ [_OPTIONS_] [_ARGUMENTS_]\n\n"
        "# DESCRIPTION\n\nWhat a person types. *musterctl up* runs everything in a *muster.yaml*(5) in the foreground; where muster is a service of systemd, "
        "*musterctl apply* says what should run. It speaks with *musterd*(8) through a unix socket.\n\n"
        "Every command knows *--help*. *--state* _DIR_ (or *MUSTER\\_STATE*) says which muster is meant, if it is not the usual one.\n\n# COMMANDS\n\n");
    for (size_t i = 0; i < command_n; i++)
        put_command(&commands[i]);
    strbuf_puts(&out,
        "# WHICH MUSTER\n\nThe state folder is *--state* _DIR_, else *MUSTER\\_STATE*, else _/var/lib/muster_ for root, else _$XDG\\_STATE\\_HOME/muster_, else "
        "_~/.local/state/muster_. A user who says none and runs no muster of their own reaches the machine's, at _/run/muster/musterd.sock_: members of the group "
        "*muster* may use it.\n\n"
        "# ENVIRONMENT\n\n*MUSTER\\_STATE*\n\tThe state folder.\n\n*NO\\_COLOR*\n\tNo colours, if it is set.\n\n"
        "# EXIT STATUS\n\n0 done, 1 failed, 2 usage or invalid file, 3 no such thing, 4 muster not reachable, 5 refused, 6 timed out.\n\n"
        "# SEE ALSO\n\n*muster.yaml*(5), *musterd*(8), *muster-agent*(8)\n");
}

/* --- muster.yaml.5 ---------------------------------------------------------------------------------------------- */
static void put_key(const struct schema_key *k)
{
    strbuf_putc(&out, '*');
    put(k->path, strlen(k->path));
    strbuf_putc(&out, '*');
    if (k->flags & KEY_REQUIRED)
        strbuf_puts(&out, " (required)");
    else if (k->fallback)
        strbuf_puts(&out, " (default: "), put(k->fallback, strlen(k->fallback)), strbuf_putc(&out, ')');
    strbuf_puts(&out, "\n\t");
    put_marked(k->meaning);
    if (!strchr(".;:", k->meaning[strlen(k->meaning) - 1]))
        put(".", 1);
    if (!k->fallback && k->unset && *k->unset)
        strbuf_puts(&out, " Not given: "), put_marked(k->unset), put(".", 1);
    strbuf_puts(&out, " Example: *");
    put(schema_last(k), strlen(schema_last(k)));
    strbuf_puts(&out, ": ");
    put(k->example, strlen(k->example));
    strbuf_puts(&out, "*\n\n");
}

static void put_keys(const struct schema *s)
{
    for (size_t i = 0; i < s->n; i++)
        put_key(&s->keys[i]);
}

static void muster_yaml(void)
{
    const char *example = config_doc_example();
    strbuf_puts(&out,
        "muster.yaml(5)\n\n# NAME\n\nmuster.yaml - what muster runs: services and the balancers before them\n\n"
        "# DESCRIPTION\n\nOne YAML file, or a folder of *\\*.yaml* files that is read as one, given to *musterctl up* or *musterctl apply*. "
        "*musterctl check* _FILE_ tells all that is wrong with it, with line and column; nothing is applied unless all is right. Unknown keys are errors.\n\n"
        "Durations are written *500ms*, *10s*, *5m*, *1h*; sizes *64K*, *512M*, *2G*; switches *true* or *false* and no other word.\n\n"
        "# SERVICES\n\nEach is *services: { NAME: { ... } }*. *a\\.b* below stands for *a: { b: ... }*.\n\n");
    put_keys(&SERVICE_SCHEMA);
    strbuf_puts(&out, "# BALANCERS\n\nEach is *balancers: { NAME: { ... } }*.\n\n");
    put_keys(&BALANCER_SCHEMA);
    strbuf_puts(&out, "# EXAMPLE\n\n");
    put_verbatim(example, strlen(example));
    strbuf_puts(&out, "# SEE ALSO\n\n*musterctl*(1), *musterd*(8), *muster-agent*(8)\n");
}

static void agent_yaml(void)
{
    strbuf_puts(&out,
        "agent.yaml(5)\n\n# NAME\n\nagent.yaml - what this host allows its muster-agent\n\n"
        "# DESCRIPTION\n\nRead by *muster-agent*(8) as it starts, whatever a service file says. Unknown keys are errors, told with line and column.\n\n# KEYS\n\n");
    put_keys(&AGENT_SCHEMA);
    strbuf_puts(&out, "# SEE ALSO\n\n*muster-agent*(8), *muster.yaml*(5)\n");
}

int main(int argc, char **argv)
{
    const char *page = argc == 2 ? argv[1] : "";

    if (!strcmp(page, "musterctl.1"))
        musterctl();
    else if (!strcmp(page, "muster.yaml.5"))
        muster_yaml();
    else if (!strcmp(page, "agent.yaml.5"))
        agent_yaml();
    else
        return fprintf(stderr, "usage: gen-man musterctl.1|muster.yaml.5|agent.yaml.5\n"), 2;
    int rc = fputs(strbuf_str(&out), stdout) == EOF || fflush(stdout) == EOF;
    strbuf_done(&out);
    return rc;
}
