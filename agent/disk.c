/* disk.c - see disk.h. */
#include "agent/disk.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "model/wire.h"

enum { DESIRED_BYTES_MAX = 64 << 20, READY_BYTES_MAX = 4 << 20 };
#define DESIRED_HEAD "muster-desired 1 %zu %016" PRIx64 "\n"

/* FNV-1a (Fowler, Noll, Vo): finds torn and flipped bytes; it is no protection against forgery. */
static uint64_t checksum(const char *s, size_t n)
{
    uint64_t h = 0xcbf29ce484222325u;

    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)s[i]) * 0x100000001b3u;
    return h;
}

int disk_load_desired(const char *state_folder, struct desired *ret, struct err *e)
{
    cleanup_free char *path = xasprintf("%s/desired", state_folder);
    cleanup_free char *text = NULL;
    size_t len = 0, want = 0;
    uint64_t sum = 0;
    int head = 0;
    int rc = file_read(path, DESIRED_BYTES_MAX, &text, &len, e);

    if (rc)
        return rc;
    if (sscanf(text, "muster-desired 1 %zu %16" SCNx64 "%n", &want, &sum, &head) != 2 || (size_t)head >= len || text[head] != '\n' ||
        len - (size_t)head - 1 != want || checksum(text + head + 1, want) != sum)
        return err_set(e, -EBADMSG, "%s is damaged", path);
    struct wire_msg m;
    rc = wire_unpack_to_agent(text + head + 1, want, &m, e);
    if (rc || m.kind != WIRE_DESIRED)
        return err_set(e, -EBADMSG, "%s is not understood: %s", path, rc ? e->text : "it holds another message");
    *ret = m.desired;
    return 0;
}

int disk_save_desired(const char *state_folder, const struct desired *d, struct err *e)
{
    cleanup_free char *path = xasprintf("%s/desired", state_folder);
    cleanup_strbuf struct strbuf body = STRBUF_INIT, out = STRBUF_INIT;
    struct wire_msg m = { .kind = WIRE_DESIRED, .desired = *d };    /* borrowed for the packing */

    wire_pack(&m, &body);
    strbuf_printf(&out, DESIRED_HEAD, body.len, checksum(strbuf_str(&body), body.len));
    strbuf_add(&out, strbuf_str(&body), body.len);
    return file_write_atomic(path, out.s, out.len, 0600, 0, e);
}

void disk_load_ready(const char *run_folder, struct ready_list *ret)
{
    cleanup_free char *path = xasprintf("%s/agent.ready", run_folder);
    cleanup_free char *text = NULL;

    *ret = (struct ready_list){ NULL, 0 };
    if (file_read(path, READY_BYTES_MAX, &text, NULL, NULL))
        return;
    for (char *save = NULL, *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        struct ready_entry r = { .pid = 0 };
        int ready = 0;
        if (sscanf(line, "%63s %" SCNd32 " %d %" SCNu32 " %" SCNu64, r.id, &r.pid, &ready, &r.restarts, &r.generation) != 5)
            continue;
        r.ready = ready == 1;
        r.passed = ready == 2;
        ret->v = xrealloc(ret->v, (ret->n + 1) * sizeof(*ret->v));
        ret->v[ret->n++] = r;
    }
}

int disk_save_ready(const char *run_folder, const struct agent_core *core, int64_t now, struct err *e)
{
    cleanup_free char *path = xasprintf("%s/agent.ready", run_folder);
    cleanup_strbuf struct strbuf out = STRBUF_INIT;
    struct inst_status s;

    for (size_t i = 0; agent_core_status_at(core, now, i, &s); i++)
        strbuf_printf(&out, "%s %d %d %u %" PRIu64 "\n", s.id, s.pid, s.state == INST_READY ? 1 : s.state == INST_UNREADY || s.state == INST_DRAINING ? 2 : 0,
                      s.restarts, s.generation);
    return file_write_atomic(path, strbuf_str(&out), out.len, 0600, 0, e);
}

const struct ready_entry *ready_list_find(const struct ready_list *l, const char *id)
{
    for (size_t i = 0; i < l->n; i++)
        if (!strcmp(l->v[i].id, id))
            return &l->v[i];
    return NULL;
}

void ready_list_done(struct ready_list *l)
{
    free(l->v);
    *l = (struct ready_list){ NULL, 0 };
}
