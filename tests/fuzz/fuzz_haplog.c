/* Any bytes as a log datagram. */
#include <stdlib.h>
#include <string.h>
#include "agent/haplog.h"
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct haplog l;
    if (haplog_parse((const char *)data, size, &l) < 0)
        return 0;
    if (strlen(l.service) >= sizeof l.service || strlen(l.instance) >= sizeof l.instance || haplog_latency_us(&l) < -1)
        abort();
    return 0;
}
