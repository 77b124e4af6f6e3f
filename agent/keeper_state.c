/* keeper_state.c - what the keeper holds, as records (keeper_record.h), and back. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "agent/keeper_impl.h"

static uint32_t flags_of(const struct slot *s)
{
    uint32_t flags = 0, bit = 1;
#define FLAG_OUT_(f) flags |= s->f ? bit : 0; bit <<= 1;
    REC_SLOT_FLAGS(FLAG_OUT_)
    return flags;
}

static void take_flags(struct slot *s, uint32_t flags)
{
#define FLAG_IN_(f) s->f = flags & 1; flags >>= 1;
    REC_SLOT_FLAGS(FLAG_IN_)
}

void keeper_slot_write(const struct slot *s, struct rec_slot *r)
{
    *r = (struct rec_slot){
        .kind = s->kind, .flags = flags_of(s), .pid = s->pid, .start_ticks = s->start_ticks, .started_ms = s->started_ms,
        .deadline_ms = s->deadline_ms, .exit_kind = (int32_t)s->exit.kind, .exit_value = s->exit.value, .oom_kills = s->oom_kills,
        .log_max_size = s->log_max_size, .log_keep = s->log_keep, .has_log = s->log_fd >= 0, .has_notify = s->notify_fd >= 0,
        .pidfd = s->pidfd, .status_fd = s->status_fd, .notify_fd = s->notify_fd, .log_fd = s->log_fd,
        .port = s->port, .failure_stage = s->failure.stage, .failure_rc = s->failure.rc,
    };
    memcpy(r->id, s->id, ID_SIZE);
    memcpy(r->failure_detail, s->failure.detail, sizeof r->failure_detail);
}

/* Without descriptors: those are the caller's to judge. */
struct slot *keeper_slot_read(struct keeper *k, const struct rec_slot *r)
{
    struct slot *s = rec_slot_valid(r) && keeper_id_valid(r->id) && !slot_find(k, r->id) ? slot_make(k, r->id, r->kind) : NULL;
    if (!s)
        return NULL;
    take_flags(s, r->flags);
    s->start_ticks = r->start_ticks;
    s->started_ms = r->started_ms;
    s->deadline_ms = r->deadline_ms;
    s->exit = (struct exit_info){ (enum exit_kind)r->exit_kind, r->exit_value };
    s->oom_kills = r->oom_kills;
    s->log_max_size = r->log_max_size;
    s->log_keep = r->log_keep;
    s->port = r->port;
    s->failure = (struct k_failed){ .stage = r->failure_stage, .rc = r->failure_rc };
    memcpy(s->failure.id, s->id, ID_SIZE);
    snprintf(s->failure.detail, sizeof s->failure.detail, "%.191s", r->failure_detail);
    slot_set_pid(k, s, r->pid);
    return s;
}

/* The sums over all slots; each log is told to the logger as its own flags say. */
void keeper_slots_count(struct keeper *k)
{
    k->starting_n = k->lingering_n = k->forgetting_n = k->log_due_n = 0;
    for (uint32_t i = 0; i < k->slots_high; i++) {
        const struct slot *s = &k->slots[i];
        if (!s->used)
            continue;
        k->starting_n += s->status_fd >= 0;
        k->lingering_n += s->populated && !s->running;
        k->forgetting_n += s->forgetting;
        k->log_due_n += s->log_due || s->log_end_due;
        k->limited |= s->limited;
    }
}

void keeper_role_write(const struct role *q, struct rec_role *r)
{
    *r = (struct rec_role){ .pid = q->pid, .fd = q->fd, .start_ticks = q->start_ticks, .wanted = q->wanted, .spoke = q->spoke, .delay_ms = q->delay_ms,
                            .started_ms = q->started_ms, .restart_ms = q->restart_ms, .kill_ms = q->kill_ms };
    snprintf(r->name, sizeof r->name, "%s", q->name);
}

void keeper_role_read(struct role *q, const struct rec_role *r)
{
    q->pid = r->pid;
    q->start_ticks = r->start_ticks;
    q->wanted = r->wanted != 0;
    q->spoke = r->spoke != 0;
    q->delay_ms = r->delay_ms;
    q->started_ms = r->started_ms;
    q->restart_ms = r->restart_ms;
    q->kill_ms = r->kill_ms;
}

void keeper_self_write(const struct keeper *k, struct rec_keeper *r)
{
    *r = (struct rec_keeper){
        .pid = getpid(), .format = REC_FORMAT, .protocol = KEEPER_VERSION, .phase = k->phase,
        .lock_fd = k->lock_fd, .run_lock_fd = k->run_lock_fd, .test_supervisor = k->test_supervisor, .files_cur = k->files.rlim_cur, .files_max = k->files.rlim_max,
        .forced_ms = k->forced_ms, .group_mode = k->groups.mode, .base_fd = k->groups.base_fd,
    };
    memcpy(r->boot_id, k->boot_id, sizeof r->boot_id);
    snprintf(r->version, sizeof r->version, "%s", MUSTER_VERSION);
    for (int i = 0; i < LIMIT_COUNT; i++) {
        r->limit_fd[i] = k->groups.limit_fd[i];
        r->limit_v2[i] = k->groups.limit_v2[i];
    }
    memcpy(r->group_path, k->groups.path, sizeof r->group_path);
    memcpy(r->group_line, k->groups.line, sizeof r->group_line);
    memcpy(r->group_folder, k->groups.folder, sizeof r->group_folder);
}

void keeper_self_read(struct keeper *k, const struct rec_keeper *r)
{
    k->phase = (enum keeper_phase)r->phase;
    k->lock_fd = r->lock_fd;
    k->run_lock_fd = r->run_lock_fd;
    k->test_supervisor = r->test_supervisor != 0;
    k->files = (struct rlimit){ r->files_cur, r->files_max };
    k->forced_ms = r->forced_ms;
    k->groups.mode = (enum group_mode)r->group_mode;
    k->groups.base_fd = r->base_fd;
    for (int i = 0; i < LIMIT_COUNT; i++) {
        k->groups.limit_fd[i] = r->limit_fd[i];
        k->groups.limit_v2[i] = r->limit_v2[i] != 0;
    }
    snprintf(k->groups.path, sizeof k->groups.path, "%.127s", r->group_path);
    snprintf(k->groups.line, sizeof k->groups.line, "%.47s", r->group_line);
    snprintf(k->groups.folder, sizeof k->groups.folder, "%.31s", r->group_folder);
}
