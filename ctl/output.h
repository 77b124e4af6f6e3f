/* output.h - the forms of -o, and JSON as YAML. */
#pragma once
#include <jansson.h>
#include "ctl/command.h"
enum output { OUTPUT_TABLE, OUTPUT_WIDE, OUTPUT_JSON, OUTPUT_YAML };
/* From --output; false: it is told already, exit with EXIT_USAGE. */
bool output_form(const struct ctl *c, enum output *ret);
/* JSON (indented) or YAML (block style, strings always quoted, so that no reader takes `no` for false). To a terminal with all beyond ASCII escaped. Pure. */
void output_document(const json_t *j, enum output form, bool terminal, struct strbuf *out);
