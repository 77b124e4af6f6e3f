/* Any bytes as the answers to `show stat` and `show servers state` (split at the first byte 0xff), and then as what lists are compared with. */
#include <stdlib.h>
#include <string.h>
#include "agent/hapdiff.h"
#include "base/strbuf.h"
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct upstream_server server = { "api.1", "127.0.0.1", 80, SRV_READY };
    struct upstream u = { .service = "api", .slots = 2, .maxconn = 4, .servers = &server, .server_n = 1 };
    struct balancer_desired want = { .upstreams = &u, .upstream_n = 1 };
    const unsigned char *cut = size ? memchr(data, 0xff, size) : NULL;
    size_t first = cut ? (size_t)(cut - data) : size;
    struct hapdiff d = { .n = 0 };
    struct hap_stat s;
    if (hap_stat_parse((const char *)data, first, &s) < 0)
        return 0;
    if (cut)
        hap_stat_add_states(&s, (const char *)cut + 1, size - first - 1);
    for (size_t i = 0; i < s.n; i++)
        if (strlen(s.v[i].proxy) >= sizeof s.v[i].proxy || s.v[i].port > 65535)
            abort();
    hapdiff(&want, &s, &d);
    size_t lines = 0;
    for (const char *c = strbuf_str(&d.commands); *c; c++)
        lines += *c == '\n';
    if (lines != d.n)                           /* a name with a line in it would be a command of its own */
        abort();
    hapdiff_done(&d);
    hap_stat_done(&s);
    return 0;
}
