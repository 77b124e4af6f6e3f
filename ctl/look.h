/* look.h - how text may look where it goes: width, colour, symbols; and the few colours there are.
 *
 * Pure but for look_detect. Everything that renders takes a `struct look`, so that a test can ask for any. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/strbuf.h"

struct look {
    size_t width, height;       /* columns; 0: no limit */
    bool terminal;              /* a person looks at it: live redraw, progress */
    bool color;                 /* escape sequences may be written */
    bool symbols;               /* a symbol in front of a state's word */
    bool utf8;                  /* symbols beyond ASCII may be used */
    int64_t now_ms;             /* wall clock, for relative times */
};
enum color { COLOR_NONE, COLOR_BOLD, COLOR_DIM, COLOR_RED, COLOR_GREEN, COLOR_YELLOW, COLOR_BLUE, COLOR_MAGENTA, COLOR_CYAN, COLOR_COUNT };

/* What standard output is. Width: the terminal's; else $COLUMNS; else 80. No colour with NO_COLOR, TERM=dumb or when piped. */
struct look look_detect(int fd);
const char *look_begin(const struct look *l, enum color c);     /* "" without colour */
const char *look_end(const struct look *l, enum color c);
/* A state's (instance's or service's) colour and symbol; an unknown word has none. */
enum color look_state_color(const char *state);
const char *look_state_symbol(const struct look *l, const char *state);     /* "" without symbols */
void look_add_state(const struct look *l, const char *state, struct strbuf *out);   /* "● ready", no colour */
/* Cuts each line of text to the width (escape sequences of look_begin take no room) and at most lines_max lines; for full-screen views. */
void look_clip(const struct look *l, const char *text, size_t lines_max, struct strbuf *out);
const char *look_ellipsis(const struct look *l);
