/* stamp.h - the file in which small test children note when they reached main(). Shared by build/stamp (writes), build/floor and
 * tests/bench/bench.py (read): a mapped file of this struct; a child takes the next record by an atomic add, fills it, and sets `pid` last. */
#pragma once
#include <stdatomic.h>
#include <stdint.h>

enum { STAMPS_MAX = 65536 };
struct stamp { int64_t mono_ns; int32_t tag; _Atomic int32_t pid; };      /* CLOCK_MONOTONIC; tag: the number at the end of $MUSTER_ID or argv[2] */
struct stamps { _Atomic uint64_t n; uint64_t pad; struct stamp v[STAMPS_MAX]; };
