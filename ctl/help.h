/* help.h - help texts, made from the table of commands. */
#pragma once
#include <stdio.h>
#include "ctl/command.h"
void help_all(FILE *to);
int help_command(const struct command *cmd);    /* to standard output; an exit status */
/* The same for a terminal of `width` columns. Pure. */
void help_render(const struct command *cmd, size_t width, struct strbuf *out);
