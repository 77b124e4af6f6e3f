/* spec_box.h - an accepted desired set, shared by reference count. An instance points into the set that its process was started
 * from, so an old set lives exactly as long as a process of it. Pure. */
#pragma once
#include <assert.h>
#include <stdlib.h>
#include "model/desired.h"

struct spec_box { size_t refs; struct desired d; };
static inline struct spec_box *spec_box_ref(struct spec_box *b) { if (b) b->refs++; return b; }
static inline void spec_box_unref(struct spec_box *b)
{
    if (!b)
        return;
    assert(b->refs > 0);
    if (--b->refs == 0) {
        desired_done(&b->d);
        free(b);
    }
}
