/* figures.h - measurements: CPU and memory of each instance (sampler), rates, errors, in-flight, queue and quantiles from the balancers, put
 * together by instance. Acts (/proc, cgroups).
 *
 * An instance whose service scales by CPU is looked at once a second, any other each 10 s, a new process twice within the first two; memory
 * and the number of workers each 10 s. Where there are many, a second has several rounds, each for a part of them. */
#pragma once
#include "agent/balancers.h"
#include "agent/core.h"
#include "agent/runner.h"
#include "model/wire.h"

struct figures;
struct figures *figures_new(struct agent_core *core, struct runner *runner, struct balancers *balancers);
/* Fills m->metrics (owned by the caller: wire_msg_done) with what is new. false: nothing is. */
bool figures_round(struct figures *f, int64_t now_ms, struct wire_msg *m);
int64_t figures_pause_ms(const struct figures *f);      /* until the next round */
