/* fuzz_notify.c - any datagram: parsed or refused, and what comes out is within its bounds. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "agent/notify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct notify_msg m;

    memset(&m, 0x5a, sizeof(m));
    if (notify_parse((const char *)data, size, &m))
        return 0;
    if (memchr(m.status, '\0', sizeof(m.status)) == NULL || m.extend_timeout_ms < -1 || m.watchdog_ms < -1 || m.mainpid < 0)
        abort();
    return 0;
}
