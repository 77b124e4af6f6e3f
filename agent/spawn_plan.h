/* spawn_plan.h - from a service's spec to what the keeper is asked to start.
 *
 * Pure: no I/O. Environment of an instance, later ones win: PATH (the caller's, else the usual one), LANG, HOST, PORT,
 * INSTANCE, then the spec's `environment`. ${NAME} in command, hooks and environment values stands for HOST, PORT, INSTANCE
 * or a key of `environment`; secrets and the environment file are never expanded, the keeper's child reads them. */
#pragma once
#include "agent/core.h"
#include "agent/keeper_proto.h"
#include "base/strbuf.h"

struct spawn_place { const char *address; uint32_t port; };     /* port 0: none */
/* An instance's main process. Fills the fixed record and appends the memfd's records. 0 or -EINVAL and why. */
int spawn_plan_instance(const char *id, const struct spec_ref *ref, struct spawn_place at, struct k_spawn *ret, struct strbuf *records, struct err *e);
/* A probe command or hook that runs as the instance would; helper_id "api.1/liveness". */
int spawn_plan_helper(const char *helper_id, const char *id, const struct spec_ref *ref, const struct strv *argv, bool to_log, struct spawn_place at,
                      struct k_spawn *ret, struct strbuf *records, struct err *e);
