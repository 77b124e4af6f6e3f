/* view_words.h - the sentences around the tables: what is wrong, and what to do next. Pure. */
#pragma once
#include <jansson.h>
#include "ctl/look.h"
void view_words_empty(struct strbuf *out);
void view_words_advice(const json_t *status, const struct look *look, struct strbuf *out);
/* An instance's reason without its "next try in ..." of the moment it was told; to be freed. When that is now, as "4s", or "" if none is planned. */
char *view_words_reason(const json_t *instance);
void view_words_next_try(const json_t *instance, int64_t now_ms, char *ret, size_t size);
/* Is an instance in trouble: does it need a person's eye? */
bool view_words_in_trouble(const json_t *instance);
