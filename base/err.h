/* err.h - errors that a person will read. Functions return 0 or a negative errno; those whose failure
 * is told to a person also take a `struct err *` (may be NULL) into which each layer puts one phrase in
 * front: err_wrap turns "no such file" into "state folder: no such file". Fixed size, never allocates. */
#pragma once
#include <stdbool.h>

struct err { char text[512]; };

/* Sets the text (printf) and returns `rc` (a negative errno), so: return err_set(e, -EINVAL, "..."). */
int err_set(struct err *e, int rc, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* As err_set, with ": strerror(-rc)" behind. */
int err_sys(struct err *e, int rc, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Puts "phrase: " in front of the present text and returns rc. */
int err_wrap(struct err *e, int rc, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
