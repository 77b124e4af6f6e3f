#include "model/suggest.h"

#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"

enum { WORD_MAX = 64 };

int suggest_distance(const char *a, const char *b, int max)
{
    int n = (int)strnlen(a, WORD_MAX + 1), m = (int)strnlen(b, WORD_MAX + 1);
    if (n > WORD_MAX || m > WORD_MAX || abs(n - m) > max)
        return max + 1;
    int rows[3][WORD_MAX + 1];          /* two above, the one above, the present one; used in turn */
    for (int j = 0; j <= m; j++)
        rows[0][j] = j;
    for (int i = 1; i <= n; i++) {
        int *now = rows[i % 3], *up = rows[(i + 2) % 3], *up2 = rows[(i + 1) % 3];
        now[0] = i;
        for (int j = 1; j <= m; j++) {
            int best = MIN_OF(MIN_OF(up[j], now[j - 1]) + 1, up[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                best = MIN_OF(best, up2[j - 2] + 1);
            now[j] = best;
        }
    }
    int d = rows[n % 3][m];
    return d > max ? max + 1 : d;
}

void suggest_offer(struct suggest *s, const char *candidate)
{
    size_t len = strnlen(s->word, 4);
    int max = len <= 3 ? 1 : 2;
    int d = suggest_distance(s->word, candidate, max);
    if (d <= max && (!s->best || d < s->distance)) {
        s->best = candidate;
        s->distance = d;
    }
}
