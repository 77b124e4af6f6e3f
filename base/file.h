/* file.h - whole files, atomically and with bounds. */
#pragma once
#include <stddef.h>
#include <sys/types.h>
#include "base/err.h"
/* The whole file, NUL-terminated, to be freed, in *ret; its length in *ret_len (may be NULL).
 * -EFBIG above max, -EISDIR for a folder, -EINVAL for another non-regular file, else open/read's errno. */
int file_read(const char *path, size_t max, char **ret, size_t *ret_len, struct err *e);
int file_read_fd(int fd, const char *path, size_t max, char **ret, size_t *ret_len, struct err *e);     /* likewise of an open one, borrowed; path for messages */
/* Replaces path by data: temporary file beside it, rename; `durable`: with an fsync of the file before and of the folder after
 * (milliseconds, on a slow disk seconds). On failure the old file is untouched (but if only the folder's fsync failed, the new one
 * is there) and no temporary one stays. */
int file_write_atomic(const char *path, const void *data, size_t len, mode_t mode, int durable, struct err *e);
int file_mkdirs(const char *path, mode_t mode, struct err *e);   /* mkdir -p; fine if there */
int write_all(int fd, const void *data, size_t len);             /* past EINTR and short writes; 0 or -errno */
