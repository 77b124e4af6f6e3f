/* spawn_env.h - the environment of a process about to be executed: a list of "K=V" in which a later value replaces an earlier one, and
 * the reading of environment files and secrets. Runs in the keeper's forked child, and in `musterctl run`. Secrets' values are in the error
 * texts of none of these. Negative errno; the text is one line for a person. */
#pragma once
#include <stdbool.h>
#include <sys/types.h>
#include "base/err.h"
#include "base/strbuf.h"

enum { ENV_FILE_BYTES_MAX = 1 << 20, SECRET_BYTES_MAX = 1 << 20, SECRET_VARIABLE_BYTES_MAX = 100 * 1024 };

bool env_name_valid(const char *s, size_t n);               /* [A-Za-z_][A-Za-z0-9_]* */
int env_set(struct strv *env, const char *kv);              /* "K=V"; -EINVAL */
void env_set2(struct strv *env, const char *key, const char *value);
const char *env_get(const struct strv *env, const char *key);       /* NULL: none; borrowed */
/* The text of an environment file: KEY=VALUE lines; blank lines and those that begin with # are skipped; blanks around and an
 * `export` in front are dropped; a value
 * may stand in '...' (as is) or "..." (\" \\ \n \t). -EINVAL with "path:line: ...". */
int env_parse(struct strv *env, const char *text, size_t len, const char *path, struct err *e);
int env_file(struct strv *env, const char *path, struct err *e);
int env_file_fd(struct strv *env, int fd, const char *path, struct err *e);     /* fd borrowed; path for messages */

/* One secret of "NAME\tPATH\tboth|file|variable": into env (one line end at its end is dropped) and/or a file NAME, 0400 and owned by
 * uid:gid, in dir_fd. *ret_file tells if a file was made. */
int env_secret(struct strv *env, const char *record, int dir_fd, uid_t uid, gid_t gid, bool *ret_file, struct err *e);
/* The same; open_file opens its file: a descriptor, or -errno and why. */
typedef int env_open_fn(void *arg, const char *path, struct err *e);
int env_secret_by(struct strv *env, const char *record, env_open_fn *open_file, void *arg, int dir_fd, uid_t uid, gid_t gid, bool *ret_file, struct err *e);
bool env_secret_wants_file(const char *record);
