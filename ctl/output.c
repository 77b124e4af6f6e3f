#include "ctl/output.h"
#include <string.h>
#include "base/cleanup.h"
#include "ctl/escape.h"
#include "model/suggest.h"

bool output_form(const struct ctl *c, enum output *ret)
{
    static const char *const words[] = { [OUTPUT_TABLE] = "table", [OUTPUT_WIDE] = "wide", [OUTPUT_JSON] = "json", [OUTPUT_YAML] = "yaml" };
    const char *said = args_get(&c->args, "output");
    struct suggest near = { .word = said };
    *ret = OUTPUT_TABLE;
    if (!said) return true;
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        suggest_offer(&near, words[i]);
        if (strcmp(said, words[i]) != 0) continue;
        *ret = (enum output)i;
        return true;
    }
    if (near.best) ctl_fail(0, "--output: `%s` is not known; did you mean `%s`?", said, near.best);
    else ctl_fail(0, "--output: `%s` is not known; want table, wide, json or yaml", said);
    return false;
}

static void add_scalar(const json_t *j, size_t flags, struct strbuf *out)
{
    cleanup_free char *text = json_dumps(j, JSON_ENCODE_ANY | JSON_REAL_PRECISION(12) | flags);
    strbuf_puts(out, text ? text : "null");
}

static bool is_block(const json_t *j)
{
    return (json_is_object(j) && json_object_size(j) > 0) || (json_is_array(j) && json_array_size(j) > 0);
}

static void add_yaml(const json_t *j, unsigned indent, bool inline_first, size_t flags, struct strbuf *out);

static void add_member(const json_t *value, unsigned indent, size_t flags, struct strbuf *out)
{
    if (!is_block(value)) {
        strbuf_putc(out, ' ');
        add_yaml(value, indent, false, flags, out);
        return;
    }
    strbuf_putc(out, '\n');
    add_yaml(value, indent + 2, false, flags, out);
}

/* The first member of an object in a list stands behind its dash. Depth is that of musterd's answers, which jansson has bounded. */
static void add_yaml(const json_t *j, unsigned indent, bool inline_first, size_t flags, struct strbuf *out)
{
    const char *key;
    size_t i;
    json_t *v;
    if (!is_block(j)) {
        add_scalar(j, flags, out);
        strbuf_putc(out, '\n');
    } else if (json_is_object(j)) {
        json_object_foreach((json_t *)j, key, v) {
            if (!inline_first) strbuf_printf(out, "%*s", (int)indent, "");
            inline_first = false;
            strbuf_printf(out, "%s:", key);
            add_member(v, indent, flags, out);
        }
    } else {
        json_array_foreach(j, i, v) {
            strbuf_printf(out, "%*s- ", (int)indent, "");
            add_yaml(v, indent + 2, true, flags, out);
        }
    }
}

void output_document(const json_t *j, enum output form, bool terminal, struct strbuf *out)
{
    size_t flags = terminal ? JSON_ENSURE_ASCII : 0;
    if (form == OUTPUT_YAML) {
        add_yaml(j, 0, false, flags, out);
        return;
    }
    cleanup_free char *text = json_dumps(j, JSON_INDENT(2) | JSON_REAL_PRECISION(12) | flags);
    strbuf_printf(out, "%s\n", text ? text : "null");
}
