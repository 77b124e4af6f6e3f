/* clock.h - the two clocks. Only code that acts calls these; code that decides is given `now_ms`. */
#pragma once
#include <stddef.h>
#include <stdint.h>
int64_t clock_mono_ms(void);                               /* CLOCK_BOOTTIME: counts suspended time */
int64_t clock_mono_ns(void);
int64_t clock_wall_ms(void);                               /* since 1970, UTC */
void clock_rfc3339(int64_t wall_ms, char *buf, size_t size);   /* 2026-11-25T01:02:03.004Z; size >= 25 */
int clock_parse_rfc3339(const char *s, int64_t *ret_wall_ms);
