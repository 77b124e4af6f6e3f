/* num.h - numbers, durations and sizes as people write them. Strict: the whole string, no sign unless
 * said, no octal, no hex, no blanks; -EINVAL for a bad form, -ERANGE for one that does not fit; outputs
 * are untouched on failure. */
#pragma once
#include <stddef.h>
#include <stdint.h>

int num_u64(const char *s, uint64_t *ret);                 /* 0 | [1-9][0-9]* */
int num_i64(const char *s, int64_t *ret);                  /* -? of the same */
int num_double(const char *s, double *ret);                /* digits[.digits], finite, >= 0 */
int num_duration_ms(const char *s, int64_t *ret_ms);       /* 500ms 10s 1.5s 5m 1h 2d; "0" is refused, "0s" is 0 */
int num_size_bytes(const char *s, uint64_t *ret_bytes);    /* 64K 512M 2G 1T (powers of 1024), B or none = bytes */
int num_percent(const char *s, double *ret_pct);           /* "60%" -> 60.0 */
void num_format_duration(int64_t ms, char *buf, size_t size);  /* shortest exact of the above: 1500 -> 1500ms, 90000 -> 90s, 120000 -> 2m */
void num_format_size(uint64_t bytes, char *buf, size_t size);  /* exact: 65536 -> 64K */
void num_human_size(uint64_t bytes, char *buf, size_t size);   /* for tables: 48.2M */
void num_human_age(int64_t ms, char *buf, size_t size);        /* for tables: 5s 3m 2h 4d */
