/* heap.c - what is to happen, by time and, within a millisecond, in the order in which it was said. */
#include "tests/sim/sim.h"

static bool before(const struct ev *a, const struct ev *b) { return a->at != b->at ? a->at < b->at : a->seq < b->seq; }

void ev_push(struct world *w, int64_t delay, struct ev e)
{
    e.at = w->now + delay;
    e.seq = ++w->seq;
    if (w->heap_n == w->heap_cap) {
        w->heap_cap = w->heap_cap ? w->heap_cap * 2 : 256;
        w->heap = xrealloc(w->heap, w->heap_cap * sizeof(*w->heap));
    }
    size_t k = w->heap_n++;
    for (; k > 0 && before(&e, &w->heap[(k - 1) / 2]); k = (k - 1) / 2)
        w->heap[k] = w->heap[(k - 1) / 2];
    w->heap[k] = e;
}

bool ev_pop(struct world *w, struct ev *ret)
{
    if (w->heap_n == 0)
        return false;
    *ret = w->heap[0];
    struct ev last = w->heap[--w->heap_n];
    size_t k = 0;
    for (;;) {
        size_t c = 2 * k + 1;
        if (c >= w->heap_n)
            break;
        if (c + 1 < w->heap_n && before(&w->heap[c + 1], &w->heap[c]))
            c++;
        if (!before(&w->heap[c], &last))
            break;
        w->heap[k] = w->heap[c];
        k = c;
    }
    if (w->heap_n > 0)
        w->heap[k] = last;
    return true;
}

int64_t ev_next_at(const struct world *w) { return w->heap_n ? w->heap[0].at : INT64_MAX; }

void ev_clear(struct world *w)
{
    for (size_t k = 0; k < w->heap_n; k++)
        if (w->heap[k].drop)
            w->heap[k].drop(w->heap[k].ptr);
    free(w->heap);
    w->heap = NULL;
    w->heap_n = w->heap_cap = 0;
}
