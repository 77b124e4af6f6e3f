/* daemon_rig.h - a musterd as a child of the test, in a folder of its own: for test_daemon.c and test_musterd_service.c. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/strbuf.h"

enum { CAP_MS = 10000 };
static char folder[64];
static pid_t child;

/* The folder and, should it still run, the child. 0, or not. */
static int drop_all(void)
{
    char cmd[128];

    if (child > 0) {
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
    }
    child = 0;
    fixed_printf(cmd, "rm -rf %s", folder);
    return system(cmd);
}

/* Its exit status as waitpid tells it; -1: it did not end in time. */
static int end_child(void)
{
    int status = -1;
    int64_t until = clock_mono_ms() + CAP_MS;

    kill(child, SIGTERM);
    while (waitpid(child, &status, WNOHANG) == 0 && clock_mono_ms() < until)
        usleep(5000);
    child = 0;
    return status;
}
