/* shellwords.h - splits a command line into words as a shell would, without being one. Pure but for memory. */
#pragma once
#include "base/err.h"
#include "base/strbuf.h"

enum { SHELL_WORDS_MAX = 4096 };

/* Blanks separate; 'single quotes', "double quotes" and \ quote. What is meant to reach the program unexpanded by
 * single quotes or a backslash has its $ doubled, which spec_expand undoes. Operators of a shell (&& | > ; & ...) and a
 * leading NAME=value are refused with what to do instead. -EINVAL, *ret untouched (must be empty). */
int shellwords_split(const char *s, struct strv *ret, struct err *e);
