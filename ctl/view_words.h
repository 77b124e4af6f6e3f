/* view_words.h - the sentences around the tables: what is wrong, and what to do next. Pure. */
#pragma once
#include <jansson.h>
#include "ctl/look.h"
void view_words_empty(struct strbuf *out);
void view_words_advice(const json_t *status, const struct look *look, struct strbuf *out);
/* Is an instance in trouble: does it need a person's eye? */
bool view_words_in_trouble(const json_t *instance);
