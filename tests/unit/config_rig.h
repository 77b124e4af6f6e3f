/* config_rig.h - for tests of the configuration: a text in, a configuration or the messages out. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/strbuf.h"
#include "model/spec.h"

static inline struct config_source rig_source(const char *name, const char *text)
{
    return (struct config_source){ .name = name, .text = text, .len = strlen(text), .folder = "/srv/app" };
}

/* All messages as lines; "" if there were none. To be freed. *ret (may be NULL) holds the configuration then. */
static inline char *rig_parse_sources(const struct config_source *src, size_t n, struct config *ret)
{
    struct config c = {0};
    struct config_errors e = {0};
    struct strbuf out = STRBUF_INIT;
    int rc = config_parse(src, n, &c, &e);
    assert_int_equal(rc < 0, e.n > 0);      /* an error is always told, and never told without being one */
    config_errors_print(&e, &out);
    config_errors_done(&e);
    if (rc == 0 && ret)
        *ret = c;
    else
        config_done(&c);
    return strbuf_take(&out);
}

static inline char *rig_parse(const char *text, struct config *ret)
{
    struct config_source src = rig_source("m.yaml", text);
    return rig_parse_sources(&src, 1, ret);
}

/* The configuration of a text that must be right. */
static inline struct config rig_good(const char *text)
{
    struct config c = {0};
    cleanup_free char *messages = rig_parse(text, &c);
    if (*messages)
        fail_msg("refused:\n%s\n%s", text, messages);
    return c;
}
