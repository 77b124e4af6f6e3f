/* gen_config_doc.c - prints docs/CONFIG.md: `make docs/CONFIG.md`. */
#include <stdio.h>
#include <stdlib.h>
#include "model/schema.h"

int main(void)
{
    char *text = config_doc();
    int rc = fputs(text, stdout) == EOF || fflush(stdout) == EOF;
    free(text);
    return rc;
}
