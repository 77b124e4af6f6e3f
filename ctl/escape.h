/* escape.h - makes bytes of unknown origin harmless on a terminal: what instances print, and every text that may hold some of it.
 *
 * Pure. Control characters (C0 but the tab, DEL, C1), so also every CSI and OSC sequence, bytes that are not UTF-8, and characters that reorder
 * text (bidi controls) become visible as \x1b or \u202e. A backslash stays as it is: the result is for eyes, not for parsing back. */
#pragma once
#include <stddef.h>
#include "base/strbuf.h"

void escape_bytes(const char *data, size_t len, struct strbuf *out);
/* The same into one line: newlines become a blank. To be freed. */
char *escape_line(const char *text);
