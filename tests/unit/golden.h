/* golden.h - comparing output with a kept file. With UPDATE_GOLDEN=1 the files are renewed instead. Include once per test program. */
#pragma once
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "base/strbuf.h"

/* Tests run from the top folder; elsewhere $MUSTER_TOP says where that is. */
static char *golden_path(const char *name) {
    const char *top = getenv("MUSTER_TOP");
    return xasprintf("%s/tests/golden/%s", top ? top : ".", name);
}

static void golden_check(const char *name, const struct strbuf *got) {
    cleanup_free char *path = golden_path(name), *want = NULL;
    const char *update = getenv("UPDATE_GOLDEN");
    if (update && *update) {
        assert_int_equal(file_write_atomic(path, strbuf_str(got), got->len, 0644, 0, NULL), 0);
        return;
    }
    assert_int_equal(file_read(path, 1 << 20, &want, NULL, NULL), 0);
    if (strcmp(want, strbuf_str(got)) == 0) return;
    print_message("--- %s: wanted\n%s--- got\n%s", name, want, strbuf_str(got));
    fail_msg("%s differs; if the new one is right: UPDATE_GOLDEN=1", name);
}

static json_t *golden_sample(const char *name) {
    cleanup_free char *file = xasprintf("%s.json", name), *path = golden_path(file);
    json_t *j = json_load_file(path, 0, NULL);
    assert_non_null(j);
    return j;
}
