/* sampler.h - CPU time and memory of instances: of the whole group, not of the main process alone.
 *
 * With a cgroup: cpu.stat and memory.current of it; without the memory controller the resident memory of the processes in it. Without a
 * cgroup: all processes of the main process's session, and the CPU time of those that the main process has reaped. /proc is walked at
 * most once a round, however many targets. cpu.stat stays open from round to round, which makes a look at it four times cheaper.
 * Blocking, but only on /proc and cgroup files. Never fails: what cannot be known is NaN. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SAMPLER_FORGET_MS = 60000 };
struct sampler;
/* id: what the previous sample is remembered by. pid: the main process, 0 none (then the result is all NaN). cgroup: path below the
 * unified root as in k_state ("" or NULL: none). whole: memory and workers too; else they are as at the last whole look at this process.
 * All borrowed for the call. */
struct sample_target { const char *id; int32_t pid; const char *cgroup; bool whole; };
struct sample_result {
    double cpu_pct;             /* of one core, since the previous round; NaN in the first round and after a change of pid */
    double memory_bytes;
    uint32_t workers;           /* direct children of the main process, at least 1 */
};
/* Folders to look in (borrowed while it lives), for tests; NULL: the real ones. cgroup_root NULL: /sys/fs/cgroup/unified if there is
 * one, else /sys/fs/cgroup if that is cgroup v2, else without cgroups. */
struct sampler *sampler_new(const char *cgroup_root, const char *proc_root);
void sampler_free(struct sampler *s);
/* One round: out[i] for t[i], which need not be all there are. Ids that were no target for SAMPLER_FORGET_MS are forgotten. now_ms monotonic. */
void sampler_round(struct sampler *s, int64_t now_ms, const struct sample_target *t, size_t n, struct sample_result *out);
/* Percent of what the instance may use: its limit in cores (0: none), else one core per worker process. NaN stays NaN. */
double sample_cpu_of_limit_pct(double cpu_pct, double limit_cores, uint32_t workers);
