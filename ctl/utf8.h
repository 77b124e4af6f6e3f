/* utf8.h - reading UTF-8 and how many columns a text takes on a terminal.
 *
 * Pure, and independent of the locale (wcwidth is not): the same text gives the same table everywhere, golden files included. */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* Decodes one character at s (n > 0 bytes left): its length 1-4 and *ret, or 0 if the bytes there are not UTF-8 (overlong forms,
 * surrogates, above U+10FFFF and cut ones included). */
size_t utf8_decode(const char *s, size_t n, uint32_t *ret);
/* Columns of one character: 0 (combining, zero width), 1, or 2 (East Asian wide, emoji). */
unsigned utf8_width(uint32_t cp);
/* Columns of a text; a byte that is not UTF-8 counts 1. */
size_t utf8_columns(const char *s);
/* Length in bytes of the longest start of s that takes at most `columns`. */
size_t utf8_fit(const char *s, size_t columns);
