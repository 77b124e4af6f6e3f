/* concurrency.c - how many requests does one instance of this command take at a time? See spec.h.
 *
 * gunicorn: workers x threads; threads count for the thread worker only, which gunicorn takes by itself once --threads is
 * above 1 with the sync worker (docs.gunicorn.org, settings: worker_class). Event-loop workers (gevent, eventlet, uvicorn)
 * take --worker-connections, of which 100 a worker is a modest share. uvicorn: --limit-concurrency if given, a worker.
 * celery: -c, else one a core, which is not known here: 100. */
#include <string.h>
#include "base/cleanup.h"
#include "base/num.h"
#include "model/spec.h"

enum { CONCURRENCY_DEFAULT = 100, CONCURRENCY_MAX = 100000, LOOP_WORKER = 100 };

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* The value of an option in its usual forms: --long V, --long=V, -s V, -sV. The last one counts, as with argparse. NULL: none. */
static const char *option(const struct strv *argv, size_t from, const char *longer, const char *shorter)
{
    const char *found = NULL;
    size_t n = strlen(longer), m = shorter ? strlen(shorter) : 0;
    for (size_t i = from; i < argv->n; i++) {
        const char *a = argv->v[i];
        const char *next = i + 1 < argv->n ? argv->v[i + 1] : NULL;
        if (strcmp(a, longer) == 0 || (shorter && strcmp(a, shorter) == 0))
            found = next ? next : found;
        else if (strncmp(a, longer, n) == 0 && a[n] == '=')
            found = a + n + 1;
        else if (shorter && strncmp(a, shorter, m) == 0 && a[1] != '-')
            found = a + m + (a[m] == '=');
    }
    return found;
}

static uint64_t number_option(const struct strv *argv, size_t from, const char *longer, const char *shorter, uint64_t fallback)
{
    const char *s = option(argv, from, longer, shorter);
    uint64_t v;
    return s && num_u64(s, &v) == 0 && v > 0 && v <= CONCURRENCY_MAX ? v : fallback;
}

static uint64_t of_gunicorn(const struct strv *argv, size_t from)
{
    uint64_t workers = number_option(argv, from, "--workers", "-w", 1);
    uint64_t threads = number_option(argv, from, "--threads", NULL, 1);
    const char *class = option(argv, from, "--worker-class", "-k");
    if (!class || strcmp(class, "sync") == 0 || strcmp(class, "gthread") == 0)
        return workers * threads;
    return workers * MIN_OF(number_option(argv, from, "--worker-connections", NULL, LOOP_WORKER), (uint64_t)LOOP_WORKER);
}

static uint64_t of_uvicorn(const struct strv *argv, size_t from)
{
    uint64_t workers = number_option(argv, from, "--workers", NULL, 1);
    return workers * number_option(argv, from, "--limit-concurrency", NULL, LOOP_WORKER);
}

static uint64_t of_celery(const struct strv *argv, size_t from)
{
    return number_option(argv, from, "--concurrency", "-c", CONCURRENCY_DEFAULT);
}

static const struct { const char *program; uint64_t (*count)(const struct strv *, size_t); } PROGRAMS[] = {
    { "gunicorn", of_gunicorn }, { "gunicorn3", of_gunicorn }, { "uvicorn", of_uvicorn }, { "celery", of_celery },
};

/* Where the server's name stands: the program itself, `python3 -m NAME`, `python3 .../bin/NAME`, or behind a launcher
 * such as `poetry run`, `env A=b` or `nice -n 5`. Options of the launcher are skipped, but no further than 8 words. */
static size_t find_program(const struct strv *argv, uint64_t (**ret)(const struct strv *, size_t))
{
    for (size_t i = 0; i < argv->n && i < 8; i++)
        for (size_t p = 0; p < ARRAY_LEN(PROGRAMS); p++)
            if (strcmp(base_name(argv->v[i]), PROGRAMS[p].program) == 0) {
                *ret = PROGRAMS[p].count;
                return i + 1;
            }
    return 0;
}

uint32_t concurrency_of_command(const struct strv *argv)
{
    uint64_t (*count)(const struct strv *, size_t) = NULL;
    size_t from = find_program(argv, &count);
    uint64_t n = from ? count(argv, from) : CONCURRENCY_DEFAULT;
    return (uint32_t)MIN_OF(n, (uint64_t)CONCURRENCY_MAX);
}
