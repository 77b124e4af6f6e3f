/* args.h - reads a command's options and arguments by its table. Pure: prints nothing, exits nowhere.
 *
 * `--name value`, `--name=value`, `-n value`, `-n20`, several letters in one (`-fa`); options and arguments in any order; `--` ends the
 * options. Something like `-1` is an argument, not an option, so that a command can refuse it with its own words. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

enum { ARGS_MAX = 64, ARGS_OPTIONS_MAX = 16 };
struct opt { char letter; /* 0: none */ const char *name; /* without dashes */ const char *value; /* its name in the help; NULL: a flag */ const char *help; };

struct args {
    const struct opt *opts; size_t opt_n;
    const char *values[ARGS_OPTIONS_MAX];       /* "" for a flag that is set, NULL: not given; borrowed from argv */
    const char *pos[ARGS_MAX]; size_t pos_n;
    char **rest; size_t rest_n;                 /* behind `--` */
};
/* argv without the program and the command. -EINVAL and e for an unknown option (with the nearest one), a missing or unwanted value, too many arguments. */
int args_parse(const struct opt *opts, size_t opt_n, int argc, char **argv, struct args *ret, struct err *e);
const char *args_get(const struct args *a, const char *name);      /* NULL: not given; asserts that the option exists */
bool args_has(const struct args *a, const char *name);
