/* figures.h - one round of measurements: CPU and memory of each instance (sampler), rates, errors, in-flight, queue and quantiles from the
 * balancers, put together by instance. Acts (/proc, cgroups). */
#pragma once
#include "agent/balancers.h"
#include "agent/core.h"
#include "agent/runner.h"
#include "model/wire.h"

struct figures;
struct figures *figures_new(struct agent_core *core, struct runner *runner, struct balancers *balancers);
/* Fills m->metrics (owned by the caller: wire_msg_done). */
void figures_round(struct figures *f, int64_t now_ms, struct wire_msg *m);
