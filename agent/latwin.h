/* latwin.h - latencies of the last 10 s, by service and by instance. Pure: the time is given. Owns its memory (about 42 KB a name, made at the
 * first sample, gone a minute after the last). At LATWIN_NAMES_MAX names further ones are only counted in `dropped`. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "model/words.h"

enum { LATWIN_NAMES_MAX = 6000, LATWIN_SLICE_MS = 2000, LATWIN_SLICES = 6, LATWIN_WINDOW_MS = 10000, LATWIN_IDLE_MS = 60000 };
struct latwin;
struct latwin_figures {
    double p50_ms, p95_ms, p99_ms;          /* NaN without a sample */
    uint32_t samples;                       /* behind them */
    uint64_t seen;                          /* all ever counted under this name since it exists, without a latency too */
};
struct latwin *latwin_new(void);
void latwin_free(struct latwin *w);
/* us -1: counts as seen only. Names are those of services ("api") and instances ("api.3"): they cannot be mixed up. */
void latwin_add(struct latwin *w, int64_t now_ms, const char *name, int64_t us);
void latwin_figures(const struct latwin *w, int64_t now_ms, const char *name, struct latwin_figures *ret);
void latwin_expire(struct latwin *w, int64_t now_ms);       /* lets go of the histograms of idle names; now and then */
uint64_t latwin_dropped(const struct latwin *w);
