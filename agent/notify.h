/* notify.h - one datagram of the sd_notify protocol (systemd's sd_notify(3)), parsed. Pure. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
struct notify_msg {
    bool ready, stopping, reloading, watchdog, watchdog_trigger;
    bool has_status; char status[128];
    int64_t extend_timeout_ms;      /* -1: not said */
    int64_t watchdog_ms;            /* WATCHDOG_USEC; -1: not said */
    int32_t mainpid;                /* 0: not said */
    bool mainpid_in_group;          /* put in by the shell, which looked: only then is mainpid taken */
};
/* Unknown lines are ignored; -EINVAL for an empty or over-long datagram (> 4096) or one with a NUL inside. */
int notify_parse(const char *data, size_t len, struct notify_msg *ret);
