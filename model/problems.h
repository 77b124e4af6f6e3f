/* problems.h - collects what is wrong with a configuration, with where it stands, for one report in one pass.
 *
 * Pure but for memory. Keeps the first CONFIG_ERRORS_MAX and notes that there were more. Everything taken from a file is
 * quoted by problem_quote first, so that a message cannot carry terminal escapes or run to a megabyte. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "model/spec.h"

enum { CONFIG_ERRORS_MAX = 100, PROBLEM_QUOTE_SIZE = 96 };

struct problem { int source; uint32_t line, column; char *path, *text; };
struct problems { struct problem v[CONFIG_ERRORS_MAX]; size_t n; bool more; };

/* source: index of the file; line and column from 1, 0 is "no place". path is copied, may be "" (of the whole file). */
void problem_add(struct problems *p, int source, uint32_t line, uint32_t column, const char *path, const char *fmt, ...)
    __attribute__((format(printf, 6, 7)));
/* Full: the caller may skip dear work such as looking for a near name. */
bool problems_full(const struct problems *p);
/* Sorts by place and appends to *out as `file:line:column`; p is empty after. */
void problems_give(struct problems *p, const struct config_source *src, struct config_errors *out);
void problems_done(struct problems *p);

/* "text" in quotes for a message: control characters as \xNN, cut with ... to fit. Returns buf. */
const char *problem_quote(const char *text, char buf[PROBLEM_QUOTE_SIZE]);
/* The same without the quotes, for a path. */
const char *problem_word(const char *text, char buf[PROBLEM_QUOTE_SIZE]);
