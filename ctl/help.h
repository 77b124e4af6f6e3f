/* help.h - help texts, made from the table of commands. */
#pragma once
#include <stdio.h>
#include "ctl/command.h"
void help_all(FILE *to);
int help_command(const struct command *cmd);    /* to standard output; an exit status */
