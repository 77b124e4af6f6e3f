#include "base/log.h"
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"

/* A process has one standard error, so this state is the process's. */
static struct { char program[32]; bool debug, journal; } log_state = {.program = "muster"};

/* systemd sets JOURNAL_STREAM to the device and inode of the socket it gave us. It is inherited, so compare. */
static bool stderr_is_journal(void)
{
    const char *s = getenv("JOURNAL_STREAM");
    unsigned long long dev, ino;
    struct stat st;
    if (!s || sscanf(s, "%llu:%llu", &dev, &ino) != 2 || fstat(STDERR_FILENO, &st) < 0)
        return false;
    return st.st_dev == dev && st.st_ino == ino;
}

void log_init(const char *program)
{
    snprintf(log_state.program, sizeof log_state.program, "%s", program);
    log_state.debug = getenv("MUSTER_DEBUG") != NULL;
    log_state.journal = stderr_is_journal();
}

void log_line(enum log_level level, const char *fmt, ...)
{
    if (level >= LOG_DEBUGS && !log_state.debug)
        return;
    char line[2048];
    int head;
    if (log_state.journal)
        head = snprintf(line, sizeof line, "<%d>", (int)level);
    else {
        char when[32];
        clock_rfc3339(clock_wall_ms(), when, sizeof when);
        static const char *const word[] = {[LOG_ERROR] = "error: ", [LOG_WARN] = "warning: "};
        const char *w = (level == LOG_ERROR || level == LOG_WARN) ? word[level] : "";
        head = snprintf(line, sizeof line, "%s %s: %s", when, log_state.program, w);
    }
    size_t room = sizeof line - (size_t)head - 1;       /* one byte stays for the newline */
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(line + head, room, fmt, ap);
    va_end(ap);
    size_t body = n < 0 ? 0 : (size_t)n < room ? (size_t)n : room - 1;
    /* One event is one line, and what others wrote must not steer the reader's terminal. */
    for (char *p = line + head; p < line + head + body; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = ' ';
    line[(size_t)head + body] = '\n';
    ssize_t done = write(STDERR_FILENO, line, (size_t)head + body + 1);     /* one write: lines of several processes do not mix */
    (void)done;
}
