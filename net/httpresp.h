/* httpresp.h - the head of an HTTP/1.x answer, read piece by piece, as far as a probe needs it: the status code.
 *
 * Pure, no allocation. Strict where two readers could disagree (RFC 9112, sections 2.2, 5, 6.3): two different Content-Length, one
 * beside Transfer-Encoding, blanks before a colon, folded lines, bare CR and NUL are refused. Informational answers (1xx but 101) are read over. */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { HTTPRESP_HEAD_MAX = 16 * 1024, HTTPRESP_LINE_MAX = 8 * 1024 };
/* Zeroed is ready for use. Only `status` is for the caller, once HTTPRESP_DONE was returned. */
struct httpresp {
    int status;                 /* 200 */
    int state;
    uint32_t head_bytes, line_len;
    uint64_t content_length; int has_length, has_encoding;
    char line[HTTPRESP_LINE_MAX];
};
enum httpresp_verdict { HTTPRESP_MORE, HTTPRESP_DONE, HTTPRESP_BAD };
/* Takes the next bytes. DONE: the head is complete (what follows is the body and not looked at). BAD: *ret_why is a phrase
 * ("not an HTTP answer"), static. After DONE or BAD it must not be called again. */
enum httpresp_verdict httpresp_feed(struct httpresp *r, const char *data, size_t len, const char **ret_why);
