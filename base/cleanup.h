/* cleanup.h - scope-bound release of resources, and "steal" to hand them on.
 * Usage: `cleanup_free char *s = ...; ... return TAKE(s);` */
#pragma once
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_free_p(void *p) { free(*(void **)p); }
static inline void cleanup_close_p(int *fd) { if (*fd >= 0) close(*fd); }
static inline void cleanup_fclose_p(FILE **f) { if (*f) fclose(*f); }
#define cleanup_free   __attribute__((unused, cleanup(cleanup_free_p)))
#define cleanup_close  __attribute__((unused, cleanup(cleanup_close_p)))     /* an int, -1 is none */
#define cleanup_fclose __attribute__((unused, cleanup(cleanup_fclose_p)))
#define TAKE(p)    __extension__({ __typeof__(p) take_ = (p); (p) = NULL; take_; })
#define TAKE_FD(fd) __extension__({ int take_ = (fd); (fd) = -1; take_; })
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MIN_OF(a, b) ((a) < (b) ? (a) : (b))
#define MAX_OF(a, b) ((a) > (b) ? (a) : (b))
