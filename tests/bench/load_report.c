#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "tests/bench/load.h"

#define FAIL_WORD_(sym, word) [sym] = word,
static const char *const fail_words[FAIL_COUNT] = { FAILS(FAIL_WORD_) };
static const char *const method_words[METHOD_COUNT] = { [GET] = "GET", [POST] = "POST" };

int report_init(struct report *r, const struct options *o, int64_t start_ns)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    *r = (struct report){ .o = o, .start_ns = start_ns, .start_wall_ms = (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000 };
    if (o->log_path && !(r->log = fopen(o->log_path, "we")))
        return -errno;
    return 0;
}

void report_sent(struct report *r, const struct request *q)
{
    r->method[q->method].sent++;
    r->second.sent++;
}

static void finish(struct report *r, const struct request *q, bool ok, const char *word, const char *instance, int64_t now_ns)
{
    int64_t us = (now_ns - q->due_ns) / 1000;
    us = us < 1 ? 1 : us;
    *(ok ? &r->method[q->method].ok : &r->method[q->method].failed) += 1;
    *(ok ? &r->second.ok : &r->second.failed) += 1;
    hist_add(&r->all, (uint64_t)us);
    hist_add(&r->recent, (uint64_t)us);
    if (r->log)
        fprintf(r->log, "%lld %s-%llu %s %s %lld %s\n", (long long)(r->start_wall_ms + (q->due_ns - r->start_ns) / 1000000), r->o->id_prefix,
                (unsigned long long)q->n, method_words[q->method], word, (long long)us, instance[0] ? instance : "-");
}

void report_answer(struct report *r, const struct request *q, int status, const char *instance, int64_t now_ns)
{
    char word[8];
    snprintf(word, sizeof word, "%d", status);
    bool ok = status >= 200 && status < 400;
    if (!ok)
        r->status[status]++;
    finish(r, q, ok, word, instance, now_ns);
}

void report_fail(struct report *r, const struct request *q, enum fail why, int64_t now_ns)
{
    char word[24];
    snprintf(word, sizeof word, "%s%s", fail_words[why], q->reused ? "+reused" : "");
    r->fails[why]++;
    r->fails_reused += q->reused;
    finish(r, q, false, word, "", now_ns);
}

static double quantile_ms(const struct hist *h, double q)
{
    int64_t us = hist_quantile_us(h, q);
    return us < 0 ? 0 : (double)us / 1000;
}

void report_live(struct report *r, int64_t now_ns, unsigned in_flight)
{
    double t = (double)(now_ns - r->start_ns) / 1e9;
    printf("%4.0f s  %6llu/s sent  %6llu ok  %4llu failed  p50 %.1f ms  p95 %.1f ms  in flight %u\n", t, (unsigned long long)r->second.sent,
           (unsigned long long)r->second.ok, (unsigned long long)r->second.failed, quantile_ms(&r->recent, 0.5), quantile_ms(&r->recent, 0.95), in_flight);
    fflush(stdout);
    r->second = (struct tally){ 0 };
    hist_reset(&r->recent);
    if (r->log)
        fflush(r->log);
}

uint64_t report_failed(const struct report *r)
{
    return r->method[GET].failed + r->method[POST].failed;
}

static void print_fails(const struct report *r)
{
    printf("\"failed\":{\"total\":%llu", (unsigned long long)report_failed(r));
    for (int i = 0; i < FAIL_COUNT; i++)
        if (r->fails[i])
            printf(",\"%s\":%llu", fail_words[i], (unsigned long long)r->fails[i]);
    if (r->fails_reused)
        printf(",\"on_reused_connection\":%llu", (unsigned long long)r->fails_reused);
    for (int i = 0; i < 600; i++)
        if (r->status[i])
            printf(",\"%d\":%llu", i, (unsigned long long)r->status[i]);
    printf("}");
}

void report_end(struct report *r, int64_t now_ns, unsigned unfinished)
{
    printf("{\"url\":\"http://%s:%u%s\",\"seconds\":%.2f,\"sent\":%llu,\"ok\":%llu,", r->o->host, r->o->port, r->o->path,
           (double)(now_ns - r->start_ns) / 1e9, (unsigned long long)(r->method[GET].sent + r->method[POST].sent),
           (unsigned long long)(r->method[GET].ok + r->method[POST].ok));
    print_fails(r);
    for (int m = 0; m < METHOD_COUNT; m++)
        printf(",\"%s\":{\"sent\":%llu,\"ok\":%llu,\"failed\":%llu}", method_words[m], (unsigned long long)r->method[m].sent,
               (unsigned long long)r->method[m].ok, (unsigned long long)r->method[m].failed);
    printf(",\"unfinished\":%u,\"p50_ms\":%.2f,\"p95_ms\":%.2f,\"p99_ms\":%.2f,\"max_ms\":%.2f}\n", unfinished, quantile_ms(&r->all, 0.5),
           quantile_ms(&r->all, 0.95), quantile_ms(&r->all, 0.99), quantile_ms(&r->all, 1.0));
    if (r->log)
        fclose(r->log);
    r->log = NULL;
}
