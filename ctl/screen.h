/* screen.h - the alternate screen of a terminal, and putting it back. Acts; one at a time. */
#pragma once
#include <stdbool.h>
/* Alternate screen, hidden cursor, keys at once and unechoed (Ctrl-C stays a signal). Put back by screen_leave, at exit() and before a crash ends us. */
void screen_enter(void);
void screen_leave(void);
/* Draws text over what is there, without flicker: each line's rest and the screen's rest are cleared. false: the terminal is gone. */
bool screen_draw(const char *text);
