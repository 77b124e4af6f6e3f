/* load.c - main of build/load: options, and the loop that starts what is due. */
#include <errno.h>
#include <getopt.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "tests/bench/load.h"

static const char usage[] =
    "usage: load --url http://HOST:PORT/PATH (--rate N --duration S | --profile 0:50,20:400,40:50) [options]\n"
    "  --rate N, --duration S   N requests/s for S seconds\n"
    "  --profile T:RATE,...     the rate changes linearly between these points (seconds : requests/s)\n"
    "  --path PATH              instead of the URL's path\n"
    "  --mix get=80,post=20     shares of the methods (default get=100)\n"
    "  --conn pool|new|mixed    keep-alive pool, a new connection a request, or half of each (default pool)\n"
    "  --timeout MS             for one request (default 10000)\n"
    "  --max N                  connections at a time (default 4000)\n"
    "  --log FILE               a line a request: due (wall ms), id, method, status or error, latency in us, X-Instance\n"
    "  --id PREFIX              of the request ids (default: from pid and time)\n"
    "  --live                   a line a second\n"
    "  --seed N                 for the order of methods and kinds of connection\n"
    "The last line is a JSON summary. Exit status 0: all answered 2xx or 3xx; 1: some failed; 2: usage. TERM or INT: stop sending, wait, sum up.\n";

static volatile sig_atomic_t stopping;
static void on_signal(int signo)
{
    (void)signo;
    stopping = 1;
}

static int64_t mono_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static int die(const char *what, const char *value)
{
    fprintf(stderr, "load: %s: %s\n", what, value ? value : "missing");
    return -EINVAL;
}

static int parse_url(const char *url, struct options *o)
{
    char rest[640], port[8] = "80";
    if (strncmp(url, "http://", 7) != 0 || strlen(url) >= sizeof rest)
        return die("want http://HOST:PORT/PATH", url);
    snprintf(rest, sizeof rest, "%s", url + 7);
    char *slash = strchr(rest, '/');
    if (o->path[0] == '\0')
        snprintf(o->path, sizeof o->path, "%.500s", slash ? slash : "/");
    if (slash)
        *slash = '\0';
    char *colon = strrchr(rest, ':');
    if (colon && !strchr(colon, ']')) {
        *colon = '\0';
        snprintf(port, sizeof port, "%.7s", colon + 1);
    }
    snprintf(o->host, sizeof o->host, "%.120s", rest);
    struct addrinfo hint = { .ai_socktype = SOCK_STREAM }, *ai;
    char *bare = rest[0] == '[' ? rest + 1 : rest;
    bare[strcspn(bare, "]")] = '\0';
    if (getaddrinfo(bare, port, &hint, &ai) != 0)
        return die("unknown address", url);
    memcpy(&o->addr, ai->ai_addr, ai->ai_addrlen);
    o->addr_len = ai->ai_addrlen;
    o->port = (uint16_t)atoi(port);
    freeaddrinfo(ai);
    return 0;
}

static int parse_mix(const char *s, struct options *o)
{
    int get, post;
    if (sscanf(s, "get=%d,post=%d", &get, &post) == 2 && get >= 0 && post >= 0 && get + post == 100)
        return o->get_share = get, 0;
    if (!strcmp(s, "get=100") || !strcmp(s, "post=100"))
        return o->get_share = s[0] == 'g' ? 100 : 0, 0;
    return die("want get=A,post=B with A + B = 100", s);
}

static int parse_conn(const char *s, struct options *o)
{
    static const char *const words[] = { "pool", "new", "mixed" };
    for (int i = 0; i < 3; i++)
        if (!strcmp(s, words[i]))
            return o->conn = (enum conn_mode)i, 0;
    return die("want pool, new or mixed", s);
}

enum { O_URL = 256, O_RATE, O_PROFILE, O_DURATION, O_MIX, O_CONN, O_PATH, O_LOG, O_LIVE, O_TIMEOUT, O_ID, O_MAX, O_SEED, O_HELP };
static const struct option longs[] = {
    { "url", 1, 0, O_URL }, { "rate", 1, 0, O_RATE }, { "profile", 1, 0, O_PROFILE }, { "duration", 1, 0, O_DURATION }, { "mix", 1, 0, O_MIX },
    { "conn", 1, 0, O_CONN }, { "path", 1, 0, O_PATH }, { "log", 1, 0, O_LOG }, { "live", 0, 0, O_LIVE }, { "timeout", 1, 0, O_TIMEOUT },
    { "id", 1, 0, O_ID }, { "max", 1, 0, O_MAX }, { "seed", 1, 0, O_SEED }, { "help", 0, 0, O_HELP }, { 0, 0, 0, 0 },
};

struct raw { const char *url, *profile; double rate, duration_s; };

static int take_option(int opt, struct options *o, struct raw *raw)
{
    switch (opt) {
    case O_URL: raw->url = optarg; return 0;
    case O_RATE: raw->rate = atof(optarg); return 0;
    case O_PROFILE: raw->profile = optarg; return 0;
    case O_DURATION: raw->duration_s = atof(optarg); return 0;
    case O_MIX: return parse_mix(optarg, o);
    case O_CONN: return parse_conn(optarg, o);
    case O_PATH: snprintf(o->path, sizeof o->path, "%.500s", optarg); return 0;
    case O_LOG: o->log_path = optarg; return 0;
    case O_LIVE: o->live = true; return 0;
    case O_TIMEOUT: o->timeout_ms = atoi(optarg); return o->timeout_ms > 0 ? 0 : die("--timeout", optarg);
    case O_ID: o->id_prefix = optarg; return strlen(optarg) < 64 ? 0 : die("--id", optarg);
    case O_MAX: o->conns_max = atoi(optarg); return o->conns_max > 0 && o->conns_max <= 60000 ? 0 : die("--max", optarg);
    case O_SEED: o->seed = strtoull(optarg, NULL, 10) * 2 + 1; return 0;
    case O_HELP: fputs(usage, stdout); exit(0);
    default: return -EINVAL;
    }
}

static int parse_options(int argc, char **argv, struct options *o)
{
    struct raw raw = { 0 };
    int opt, r = 0;
    while (r == 0 && (opt = getopt_long(argc, argv, "", longs, NULL)) != -1)
        r = take_option(opt, o, &raw);
    if (r < 0)
        return r;
    if (!raw.url || optind < argc)
        return die("--url", raw.url ? argv[optind] : NULL);
    if (raw.profile) {
        if (profile_parse(raw.profile, &o->profile) < 0)
            return die("--profile", raw.profile);
    } else if (raw.rate > 0 && raw.duration_s > 0) {
        profile_constant(raw.rate, raw.duration_s, &o->profile);
    } else {
        return die("--profile, or --rate with --duration", NULL);
    }
    return parse_url(raw.url, o);
}

static uint64_t next_random(uint64_t *s) {      /* xorshift64* (Vigna 2016) */
    *s ^= *s >> 12;
    *s ^= *s << 25;
    *s ^= *s >> 27;
    return *s * 0x2545F4914F6CDD1DULL;
}

struct load {
    struct options o;
    struct report report;
    struct pool pool;
    int epoll, timer;
    uint64_t n, random;
    int64_t start_ns, next_ns;              /* next_ns: when request n is due; -1: none more */
};

static void plan_next(struct load *l)
{
    double due = stopping ? -1 : profile_due_s(&l->o.profile, l->n);
    l->next_ns = due < 0 ? -1 : l->start_ns + (int64_t)(due * 1e9);
}

static void start_due(struct load *l)
{
    enum { BATCH = 256 };                   /* then look at the answers again */
    for (int i = 0; i < BATCH; i++) {
        int64_t now = mono_ns();
        if (stopping)
            l->next_ns = -1;
        if (l->next_ns < 0 || l->next_ns > now)
            return;
        struct request q = { .n = l->n++, .due_ns = l->next_ns };
        q.method = (int)((next_random(&l->random) >> 33) % 100) < l->o.get_share ? GET : POST;
        bool keep = l->o.conn == CONN_POOL || (l->o.conn == CONN_MIXED && (next_random(&l->random) >> 40) % 2 == 0);
        pool_start(&l->pool, &q, keep, now);
        plan_next(l);
    }
}

/* Wakes at the next due request, the next live line, or in 50 ms for time-outs. */
static void arm_timer(struct load *l)
{
    int64_t at = mono_ns() + 50000000;
    if (l->next_ns >= 0 && l->next_ns < at)
        at = l->next_ns;
    struct itimerspec its = { .it_value = { .tv_sec = at / 1000000000, .tv_nsec = at % 1000000000 } };
    timerfd_settime(l->timer, TFD_TIMER_ABSTIME, &its, NULL);
}

static void run(struct load *l)
{
    struct epoll_event ev[256];
    int64_t live_ns = l->start_ns + 1000000000;
    plan_next(l);
    while (l->next_ns >= 0 || l->pool.busy_n > 0) {
        arm_timer(l);
        int n = epoll_wait(l->epoll, ev, ARRAY_LEN(ev), -1);
        for (int i = 0; i < n; i++)
            if (ev[i].data.ptr)
                pool_event(&l->pool, ev[i].data.ptr, ev[i].events, mono_ns());
        pool_expire(&l->pool, mono_ns());
        start_due(l);
        if (l->o.live && mono_ns() >= live_ns) {
            report_live(&l->report, mono_ns(), l->pool.busy_n);
            live_ns += 1000000000;
        }
    }
}

static void raise_files(struct options *o)
{
    struct rlimit rl;
    if (getrlimit(RLIMIT_NOFILE, &rl) < 0)
        return;
    rl.rlim_cur = rl.rlim_max;
    setrlimit(RLIMIT_NOFILE, &rl);
    if (rl.rlim_cur != RLIM_INFINITY && (rlim_t)o->conns_max > rl.rlim_cur - 32)
        o->conns_max = (int)rl.rlim_cur - 32;
}

static int set_up(struct load *l)
{
    raise_files(&l->o);
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    l->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct epoll_event e = { .events = EPOLLIN, .data.ptr = NULL };
    if (l->epoll < 0 || l->timer < 0 || epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->timer, &e) < 0)
        return -errno;
    l->start_ns = mono_ns();
    int r = report_init(&l->report, &l->o, l->start_ns);
    return r < 0 ? r : pool_init(&l->pool, &l->o, &l->report, l->epoll);
}

int main(int argc, char **argv)
{
    static struct load l;
    char prefix[48];
    l.o = (struct options){ .get_share = 100, .timeout_ms = 10000, .conns_max = 4000, .seed = 88172645463325253ULL };
    if (parse_options(argc, argv, &l.o) < 0) {
        fputs(usage, stderr);
        return 2;
    }
    snprintf(prefix, sizeof prefix, "%x%llx", getpid(), (unsigned long long)time(NULL));
    if (!l.o.id_prefix)
        l.o.id_prefix = prefix;
    l.random = l.o.seed;
    struct sigaction sa = { .sa_handler = on_signal };
    sigaction(SIGTERM, &sa, NULL);
    sigaction(SIGINT, &sa, NULL);
    signal(SIGPIPE, SIG_IGN);
    int r = set_up(&l);
    if (r < 0) {
        fprintf(stderr, "load: cannot start: %s\n", strerror(-r));
        return 2;
    }
    run(&l);
    report_end(&l.report, mono_ns(), l.pool.busy_n);
    pool_done(&l.pool);
    return report_failed(&l.report) ? 1 : 0;
}
