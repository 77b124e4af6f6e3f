/* yaml_text.h - is this text at all? And libyaml's complaints in words for a person. Pure. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where the first thing stands that no YAML file may hold (NUL, control characters, bytes that are no UTF-8, UTF-16).
 * NULL if all is well, else what it is (static) with its place and the byte. */
const char *yaml_text_check(const char *text, size_t len, uint32_t *ret_line, uint32_t *ret_column, unsigned *ret_byte);
/* A sentence for libyaml's problem and context (both may be NULL); NULL: none better than libyaml's own. */
const char *yaml_problem_words(const char *problem, const char *context);
/* Column (from 1) of the first tab in the indentation of the line (from 1), 0: none. */
uint32_t yaml_tab_in_indent(const char *text, size_t len, uint32_t line);
