#include "base/cleanup.h"
#include "ctl/command.h"
#include "ctl/sources.h"

int cmd_check(struct ctl *c)
{
    struct sources s;
    cleanup_strbuf struct strbuf what = STRBUF_INIT;
    const char *file = args_get(&c->args, "file");
    int status = sources_load(file ? file : c->args.pos_n ? c->args.pos[0] : NULL, &s);
    if (status != EXIT_DONE) return status;
    sources_describe(&s, &what);
    printf("%s is valid: %s.\n", s.shown, strbuf_str(&what));
    if (s.config.service_n == 0) puts("It has no service yet: begin with `services: { api: { command: ... } }`; `musterctl init` writes an example.");
    else printf("Next: `musterctl up %s` runs it here; `musterctl apply -f %s` if muster runs already.\n", s.shown, s.shown);
    sources_done(&s);
    return EXIT_DONE;
}
