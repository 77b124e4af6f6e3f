/* suggest.h - the nearest of several words, for `did you mean`. Pure. */
#pragma once
#include <stddef.h>

/* Edit distance (insert, delete, change, swap of neighbours: optimal string alignment), or max + 1 if it is more than max.
 * Words longer than 64 bytes are near nothing. */
int suggest_distance(const char *a, const char *b, int max);

/* Feed candidates one by one; `best` is the nearest within 2 (within 1 for words of up to 3 letters), NULL: none. */
struct suggest { const char *word; const char *best; int distance; };
void suggest_offer(struct suggest *s, const char *candidate);
