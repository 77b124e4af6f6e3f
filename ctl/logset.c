#include "ctl/logset.h"
#include <dirent.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/num.h"

enum { AHEAD = 64 /* lines of each log kept for the merge */, LOGS_MAX = 2000 };

struct line { char *text; size_t len; int64_t time_ms; };
struct source { char *name; struct logfollow *follow; struct line ahead[AHEAD + 2]; size_t first, n; int64_t time_ms; };
struct logset { char *folder; struct strv names; struct source **v; size_t n; };

/* "api.12" -> length of "api" and 12; false for what is no instance's name. */
static bool split_name(const char *name, size_t *ret_service, uint64_t *ret_number)
{
    const char *dot = strrchr(name, '.');
    if (!dot || dot == name || num_u64(dot + 1, ret_number) < 0) return false;
    *ret_service = (size_t)(dot - name);
    return true;
}

static bool is_wanted(const struct logset *s, const char *name)
{
    size_t len;
    uint64_t number;
    if (!split_name(name, &len, &number)) return false;
    for (size_t i = 0; i < s->names.n; i++) {
        const char *w = s->names.v[i];
        if (strcmp(w, name) == 0 || (strlen(w) == len && memcmp(w, name, len) == 0)) return true;
    }
    return s->names.n == 0;
}

static int by_name(const void *a, const void *b)
{
    const char *x = (*(struct source *const *)a)->name, *y = (*(struct source *const *)b)->name;
    size_t n = 0, m = 0;
    uint64_t i = 0, j = 0;
    split_name(x, &n, &i);
    split_name(y, &m, &j);
    int r = strncmp(x, y, n < m ? n : m);
    return r ? r : n != m ? (n < m ? -1 : 1) : i < j ? -1 : i > j;
}

static bool is_known(const struct logset *s, const char *name)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->v[i]->name, name) == 0) return true;
    return false;
}

static void add_source(struct logset *s, const char *name)
{
    cleanup_free char *path = xasprintf("%s/%s.log", s->folder, name);
    struct source *src = xcalloc(1, sizeof *src);
    src->name = xstrdup(name);
    src->follow = logfollow_new(path);
    src->time_ms = -1;
    s->v = xrealloc(s->v, (s->n + 1) * sizeof *s->v);
    s->v[s->n++] = src;
}

static void scan(struct logset *s)
{
    DIR *d = opendir(s->folder);
    if (!d) return;
    for (struct dirent *e; s->n < LOGS_MAX && (e = readdir(d));) {
        size_t len = strlen(e->d_name);
        if (len < 5 || strcmp(e->d_name + len - 4, ".log") != 0) continue;
        cleanup_free char *name = xstrndup(e->d_name, len - 4);
        if (is_wanted(s, name) && !is_known(s, name)) add_source(s, name);
    }
    closedir(d);
}

/* All that a log has which was not there before is new, also what was rotated since. */
void logset_rescan(struct logset *s)
{
    size_t known = s->n;
    scan(s);
    for (; known < s->n; known++) logfollow_seek_oldest(s->v[known]->follow);
}

struct logset *logset_new(const char *folder, const struct strv *names)
{
    struct logset *s = xcalloc(1, sizeof *s);
    s->folder = xstrdup(folder);
    strv_copy(&s->names, names);
    scan(s);
    if (s->n) qsort(s->v, s->n, sizeof *s->v, by_name);
    return s;
}

void logset_free(struct logset *s)
{
    if (!s) return;
    for (size_t i = 0; i < s->n; i++) {
        struct source *src = s->v[i];
        for (size_t k = 0; k < src->n; k++) free(src->ahead[src->first + k].text);
        logfollow_free(src->follow);
        free(src->name);
        free(src);
    }
    free(s->v);
    strv_done(&s->names);
    free(s->folder);
    free(s);
}

size_t logset_count(const struct logset *s) { return s->n; }
const char *logset_name(const struct logset *s, size_t index) { return s->v[index]->name; }

size_t logset_widest(const struct logset *s)
{
    size_t w = 0;
    for (size_t i = 0; i < s->n; i++) w = MAX_OF(w, strlen(s->v[i]->name));
    return w;
}

bool logset_matches(const struct logset *s, const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < s->n; i++) {
        const char *have = s->v[i]->name;
        if (strcmp(have, name) == 0 || (strncmp(have, name, len) == 0 && have + len == strrchr(have, '.'))) return true;
    }
    return false;
}

void logset_seek_last(struct logset *s, size_t n)
{
    for (size_t i = 0; i < s->n; i++) logfollow_seek_last(s->v[i]->follow, n);
}

void logset_seek_since(struct logset *s, int64_t wall_ms)
{
    for (size_t i = 0; i < s->n; i++) logfollow_seek_since(s->v[i]->follow, wall_ms);
}

size_t logset_gaps(const struct logset *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++) n += logfollow_gaps(s->v[i]->follow);
    return n;
}

/* --- merging ------------------------------------------------------------------------------------------ */
static int64_t line_time(const char *line, size_t len, int64_t otherwise)
{
    char stamp[40];
    int64_t ms;
    size_t n = 0;
    while (n < len && n < sizeof stamp - 1 && line[n] != ' ') stamp[n] = line[n], n++;
    stamp[n] = '\0';
    return n >= 20 && clock_parse_rfc3339(stamp, &ms) == 0 ? ms : otherwise;
}

static void keep_line(void *arg, const char *line, size_t len)
{
    struct source *src = arg;
    if (src->first + src->n >= ARRAY_LEN(src->ahead)) return;     /* cannot be: refill asks for no more than fits */
    src->time_ms = line_time(line, len, src->time_ms);
    src->ahead[src->first + src->n++] = (struct line){ xstrndup(line, len), len, src->time_ms };
}

static void refill(struct source *src)
{
    if (src->n > 0) return;
    src->first = 0;
    logfollow_read(src->follow, AHEAD, keep_line, src);
}

static void give_first(struct source *src, size_t index, logset_fn *fn, void *arg)
{
    struct line *l = &src->ahead[src->first];
    fn(arg, index, src->name, l->time_ms, l->text, l->len);
    free(l->text);
    src->first++, src->n--;
}

size_t logset_read(struct logset *s, logset_fn *fn, void *arg)
{
    size_t given = 0;
    for (size_t i = 0; i < s->n; i++) refill(s->v[i]);
    for (;; given++) {
        size_t best = s->n;
        for (size_t i = 0; i < s->n; i++)
            if (s->v[i]->n && (best == s->n || s->v[i]->ahead[s->v[i]->first].time_ms < s->v[best]->ahead[s->v[best]->first].time_ms)) best = i;
        if (best == s->n) return given;
        give_first(s->v[best], best, fn, arg);
        refill(s->v[best]);
    }
}

void logset_flush(struct logset *s, logset_fn *fn, void *arg)
{
    for (size_t i = 0; i < s->n; i++) {
        s->v[i]->first = s->v[i]->n = 0;
        logfollow_flush(s->v[i]->follow, keep_line, s->v[i]);
        if (s->v[i]->n) give_first(s->v[i], i, fn, arg);
    }
}
