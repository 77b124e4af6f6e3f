#include "base/cleanup.h"
#include "ctl/command.h"
#include "ctl/jget.h"
#include "ctl/sources.h"
#include "ctl/view_event.h"
#include "ctl/wait.h"

enum { WAIT_MS = 300000 };

static void show_diff(struct ctl *c, const json_t *answer)
{
    cleanup_strbuf struct strbuf out = STRBUF_INIT;
    view_diff(jget_str(answer, "diff"), &c->look, &out);
    ctl_print(&out);
}

static void tell_result(const json_t *answer, bool dry_run)
{
    long long changes = jget_int(answer, "changes", 0);
    if (changes == 0) puts("Nothing changes: what runs is like the file already.");
    else if (dry_run) printf("%lld change%s; nothing was applied (--dry-run).\n", changes, changes == 1 ? "" : "s");
    else printf("Applied %lld change%s.\n", changes, changes == 1 ? "" : "s");
}

int cmd_apply(struct ctl *c)
{
    struct sources s;
    struct err e = { "" };
    bool dry_run = args_has(&c->args, "dry-run"), wait = args_has(&c->args, "wait");
    const char *file = args_get(&c->args, "file");
    int64_t timeout_ms = ctl_timeout_ms(c, WAIT_MS);
    if (timeout_ms < 0) return EXIT_USAGE;
    int status = sources_load(file ? file : c->args.pos_n ? c->args.pos[0] : NULL, &s);
    if (status != EXIT_DONE) return status;
    if (!dry_run) sources_note_root(&s);
    cleanup_json json_t *body = sources_body(&s, dry_run), *answer = NULL;
    sources_done(&s);
    int r = client_call(c->client, "POST", "/v1/apply", body, &answer, &e);
    if (r < 0) return ctl_call_failed(c, r, &e);
    show_diff(c, answer);
    tell_result(answer, dry_run);
    if (dry_run) return EXIT_DONE;
    fflush(stdout);
    if (wait) return wait_ready(c, NULL, timeout_ms);
    if (jget_int(answer, "changes", 0) > 0) puts("Next: `musterctl status --watch` follows it (or apply with --wait).");
    return EXIT_DONE;
}
