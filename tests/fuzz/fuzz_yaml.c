/* fuzz_yaml.c - any bytes as a configuration: no crash, no leak, each refusal told with a place; and what is accepted survives
 * canonical JSON and back unchanged. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "base/strbuf.h"
#include "model/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_service(const struct service_spec *s)
{
    struct service_spec back;
    struct err e;
    struct strbuf diff = STRBUF_INIT;
    char *json = service_spec_to_json(s);
    if (service_spec_from_json(s->name, json, &back, &e) < 0)
        abort();
    char *again = service_spec_to_json(&back);
    if (strcmp(json, again) != 0 || !service_spec_same_process(s, &back) || back.concurrency != s->concurrency)
        abort();
    service_spec_diff(s, &back, &diff);
    if (diff.len)
        abort();
    service_spec_done(&back);
    strbuf_done(&diff);
    free(json);
    free(again);
}

static void check_balancer(const struct balancer_spec *b)
{
    struct balancer_spec back;
    struct err e;
    char *json = balancer_spec_to_json(b);
    if (balancer_spec_from_json(b->name, json, &back, &e) < 0)
        abort();
    char *again = balancer_spec_to_json(&back);
    if (strcmp(json, again) != 0)
        abort();
    balancer_spec_done(&back);
    free(json);
    free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config_source src = { .name = "f.yaml", .text = (const char *)data, .len = size, .folder = "/srv" };
    struct config c = {0};
    struct config_errors errs = {0};
    struct strbuf out = STRBUF_INIT;
    int rc = config_parse(&src, 1, &c, &errs);
    if ((rc < 0) != (errs.n > 0))
        abort();
    config_errors_print(&errs, &out);
    for (size_t i = 0; i < out.len; i++)
        if (((unsigned char)out.s[i] < 0x20 && out.s[i] != '\n') || out.s[i] == 0x7f)
            abort();                    /* a message could speak to the terminal */
    for (size_t i = 0; i < c.service_n; i++)
        check_service(&c.services[i]);
    for (size_t i = 0; i < c.balancer_n; i++)
        check_balancer(&c.balancers[i]);
    strbuf_done(&out);
    config_errors_done(&errs);
    config_done(&c);
    return 0;
}
