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

const char *signal_name(int signo)
{
    const char *s = sigabbrev_np(signo);
    return s ? s : "?";
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
        const char *name = sigabbrev_np(i);
        if (name && strcmp(name, s) == 0) {
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
