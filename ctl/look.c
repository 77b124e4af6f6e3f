#include "ctl/look.h"
#include <langinfo.h>
#include <locale.h>
#include <string.h>
#include <sys/ioctl.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/num.h"
#include "ctl/utf8.h"

static const struct { const char *word; enum color color; const char *symbol, *ascii; } states[] = {
    { "waiting",  COLOR_DIM,    "○", "-" }, { "starting", COLOR_YELLOW, "◐", "~" }, { "ready",    COLOR_GREEN,  "●", "+" },
    { "unready",  COLOR_YELLOW, "▲", "!" }, { "draining", COLOR_CYAN,   "◑", "~" }, { "stopping", COLOR_CYAN,   "◑", "~" },
    { "stopped",  COLOR_DIM,    "○", "-" }, { "backoff",  COLOR_RED,    "▲", "!" }, { "failed",   COLOR_RED,    "✗", "x" },
    { "steady",   COLOR_GREEN,  "●", "+" }, { "rolling",  COLOR_CYAN,   "◐", "~" }, { "paused",   COLOR_RED,    "▲", "!" },
    { "degraded", COLOR_YELLOW, "▲", "!" }, { "deleting", COLOR_DIM,    "◑", "~" },
};

struct look look_detect(int fd)
{
    struct look l = { .width = 80, .height = 24, .now_ms = clock_wall_ms() };
    struct winsize ws;
    const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR"), *columns = getenv("COLUMNS");
    uint64_t n;
    l.terminal = isatty(fd) == 1;
    setlocale(LC_CTYPE, "");
    l.utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    l.symbols = l.terminal;
    l.color = l.terminal && (!no_color || !*no_color) && (!term || strcmp(term, "dumb") != 0);
    if (l.terminal && ioctl(fd, TIOCGWINSZ, &ws) == 0 && ws.ws_col > 0) {
        l.width = ws.ws_col;
        if (ws.ws_row > 0) l.height = ws.ws_row;
    } else if (columns && num_u64(columns, &n) == 0 && n >= 20 && n <= 10000) {
        l.width = n;
    }
    return l;
}

const char *look_begin(const struct look *l, enum color c)
{
    static const char *const codes[COLOR_COUNT] = { "", "\033[1m", "\033[2m", "\033[31m", "\033[32m", "\033[33m", "\033[34m", "\033[35m", "\033[36m" };
    return l->color ? codes[c] : "";
}

const char *look_end(const struct look *l, enum color c)
{
    return l->color && c != COLOR_NONE ? "\033[0m" : "";
}

enum color look_state_color(const char *state)
{
    for (size_t i = 0; i < ARRAY_LEN(states); i++)
        if (strcmp(states[i].word, state) == 0) return states[i].color;
    return COLOR_NONE;
}

const char *look_state_symbol(const struct look *l, const char *state)
{
    if (!l->symbols) return "";
    for (size_t i = 0; i < ARRAY_LEN(states); i++)
        if (strcmp(states[i].word, state) == 0) return l->utf8 ? states[i].symbol : states[i].ascii;
    return l->utf8 ? "·" : "?";
}

void look_add_state(const struct look *l, const char *state, struct strbuf *out)
{
    const char *symbol = look_state_symbol(l, state);
    strbuf_printf(out, "%s%s%s", symbol, *symbol ? " " : "", state);
}

const char *look_ellipsis(const struct look *l)
{
    return l->utf8 ? "…" : "~";
}

static void clip_line(const struct look *l, const char *s, size_t len, struct strbuf *out)
{
    size_t columns = 0, i = 0;
    bool colored = false;
    while (i < len) {
        uint32_t cp;
        if (s[i] == '\033') {
            size_t n = strcspn(s + i, "m") + 1;
            colored = strncmp(s + i, "\033[0m", 4) != 0;
            strbuf_add(out, s + i, n);
            i += n;
            continue;
        }
        size_t n = utf8_decode(s + i, len - i, &cp);
        unsigned w = n ? utf8_width(cp) : 1;
        if (columns + w > l->width) break;
        strbuf_add(out, s + i, n ? n : 1);
        columns += w, i += n ? n : 1;
    }
    if (colored) strbuf_puts(out, "\033[0m");
}

void look_clip(const struct look *l, const char *text, size_t lines_max, struct strbuf *out)
{
    for (size_t n = 0; *text && n < lines_max; n++) {
        size_t len = strcspn(text, "\n");
        if (n) strbuf_putc(out, '\n');
        clip_line(l, text, len, out);
        text += len + (text[len] == '\n');
    }
}
