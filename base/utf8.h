/* utf8.h - text from outside made fit for a fixed array, a table and JSON. Pure. */
#pragma once
#include <stddef.h>
/* Bytes (1-4) of the valid, shortest-form UTF-8 character at s (NUL-terminated); 0 if there is none or s is at its end. */
size_t utf8_char(const char *s);
/* Copies src into dst (size > 0, always terminated), cut at a character's border. Control characters become a space, bytes that are
 * not UTF-8 a `?`. 1 whole, 0 cut. */
int utf8_clean(char *dst, size_t size, const char *src);
