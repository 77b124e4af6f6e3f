/* fuzz_httpresp.c - any answer, in one piece and byte by byte: both ways must agree. */
#include <stdint.h>
#include <stdlib.h>
#include "net/httpresp.h"

static enum httpresp_verdict feed(struct httpresp *r, const uint8_t *data, size_t size, size_t step)
{
    enum httpresp_verdict v = HTTPRESP_MORE;
    const char *why = NULL;

    for (size_t at = 0; at < size && v == HTTPRESP_MORE; at += step)
        v = httpresp_feed(r, (const char *)data + at, size - at < step ? size - at : step, &why);
    if (v == HTTPRESP_BAD && !why)
        abort();
    return v;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct httpresp whole, pieces;
    whole = (struct httpresp){ 0 };
    pieces = (struct httpresp){ 0 };
    enum httpresp_verdict a = feed(&whole, data, size, size ? size : 1), b = feed(&pieces, data, size, 1);

    if (a != b || (a == HTTPRESP_DONE && (whole.status != pieces.status || whole.status < 100 || whole.status > 999)))
        abort();
    return 0;
}
