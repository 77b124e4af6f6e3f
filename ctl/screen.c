#include "ctl/screen.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>
#include "base/file.h"
#include "base/strbuf.h"

static struct termios before;
static volatile sig_atomic_t entered, has_before;

static void put_back(void)
{
    static const char leave[] = "\033[?25h\033[?1049l";
    if (!entered) return;
    entered = 0;
    if (write(STDOUT_FILENO, leave, sizeof leave - 1) < 0) { /* gone: nothing to put back */ }
    if (has_before) (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
}

static void on_crash(int signo)
{
    put_back();                 /* write and tcsetattr are async-signal-safe */
    signal(signo, SIG_DFL);
    raise(signo);
}

void screen_leave(void) { put_back(); }

void screen_enter(void)
{
    static const char enter[] = "\033[?1049h\033[?25l";
    static bool registered;
    if (!registered) {
        registered = true;
        atexit(put_back);
        for (size_t i = 0; i < 5; i++) signal((int[]){ SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGQUIT }[i], on_crash);
    }
    if (!has_before) has_before = tcgetattr(STDIN_FILENO, &before) == 0;
    if (has_before) {
        struct termios t = before;
        t.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        t.c_cc[VMIN] = 0, t.c_cc[VTIME] = 0;
        (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &t);
    }
    entered = 1;
    (void)write_all(STDOUT_FILENO, enter, sizeof enter - 1);
}

bool screen_draw(const char *text)
{
    cleanup_strbuf struct strbuf b = STRBUF_INIT;
    strbuf_puts(&b, "\033[H");
    for (const char *end; *text; text = *end ? end + 1 : end) {
        end = text + strcspn(text, "\n");
        strbuf_add(&b, text, (size_t)(end - text));
        strbuf_puts(&b, *end ? "\033[K\r\n" : "\033[K");
    }
    strbuf_puts(&b, "\033[J");
    return write_all(STDOUT_FILENO, b.s, b.len) == 0;
}
