#include "model/words.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include "base/num.h"

#define WORD_NAME_(sym, word, text) [sym] = word,
#define WORD_PRINTER(fn, type, list, count) \
    const char *fn(type v) \
    { \
        static const char *const words[] = {list(WORD_NAME_)}; \
        return (unsigned)v < (unsigned)(count) ? words[v] : "?"; \
    }
WORD_PRINTER(instance_state_word, enum instance_state, INSTANCE_STATES, INSTANCE_STATE_COUNT)
WORD_PRINTER(service_state_word, enum service_state, SERVICE_STATES, SERVICE_STATE_COUNT)
WORD_PRINTER(want_word, enum want, WANTS, WANT_COUNT)
WORD_PRINTER(server_state_word, enum server_state, SERVER_STATES, SERVER_STATE_COUNT)

/* As kill(1) and the shell call the real-time ones, which have no names in the C library. */
static const char *const realtime[] = {
#define RT_(n) "RTMIN+" #n
    "RTMIN", RT_(1), RT_(2), RT_(3), RT_(4), RT_(5), RT_(6), RT_(7), RT_(8), RT_(9), RT_(10), RT_(11), RT_(12), RT_(13), RT_(14), RT_(15),
    RT_(16), RT_(17), RT_(18), RT_(19), RT_(20), RT_(21), RT_(22), RT_(23), RT_(24), RT_(25), RT_(26), RT_(27), RT_(28), RT_(29), RT_(30),
#undef RT_
};

const char *signal_name(int signo)
{
    const char *s = sigabbrev_np(signo);
    if (s)
        return s;
    int n = signo - SIGRTMIN;
    return n >= 0 && signo <= SIGRTMAX && n < (int)(sizeof realtime / sizeof *realtime) ? realtime[n] : "?";
}

int signal_parse(const char *s, int *ret)
{
    uint64_t number;
    if (num_u64(s, &number) == 0) {
        if (number < 1 || number > 64)
            return -EINVAL;
        *ret = (int)number;
        return 0;
    }
    if (strncmp(s, "SIG", 3) == 0)
        s += 3;
    for (int i = 1; i <= 64; i++) {
        if (strcmp(signal_name(i), s) == 0 && *s != '?') {
            *ret = i;
            return 0;
        }
    }
    return -EINVAL;
}

void exit_describe(struct exit_info x, char *buf, unsigned long size)
{
    switch (x.kind) {
    case EXIT_KIND_CODE:
        snprintf(buf, size, "exit code %d", x.value);
        return;
    case EXIT_KIND_SIGNAL:
        snprintf(buf, size, "signal %d (%s)", x.value, signal_name(x.value));
        return;
    case EXIT_KIND_UNKNOWN:
        snprintf(buf, size, "unknown exit");
        return;
    case EXIT_KIND_NONE:
        break;
    }
    if (size)
        *buf = '\0';
}
