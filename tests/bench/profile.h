/* profile.h - when is the n-th request due, for a rate that changes linearly between given points?
 *
 * Pure: no I/O, clock or allocation. "0:50,20:400,40:50" reads: at 0 s 50 requests/s, rising to 400 at 20 s, falling to 50 at
 * 40 s, where it ends. The load is open-loop: what is due is due, whatever became of the requests before. */
#pragma once
#include <stdint.h>

enum { PROFILE_POINTS_MAX = 64 };
struct profile { struct { double t_s, rate; } p[PROFILE_POINTS_MAX]; int n; };

/* 0; -EINVAL for bad text, times that do not rise, or a start other than 0; -E2BIG for more than PROFILE_POINTS_MAX points. */
int profile_parse(const char *text, struct profile *ret);
void profile_constant(double rate, double duration_s, struct profile *ret);
/* Seconds after the start at which request number n (from 0) is due; negative: the profile ends before it. */
double profile_due_s(const struct profile *p, uint64_t n);
double profile_rate_at(const struct profile *p, double t_s);   /* 0 behind the end */
double profile_end_s(const struct profile *p);
