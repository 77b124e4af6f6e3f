#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include "tests/bench/profile.h"

int profile_parse(const char *text, struct profile *ret)
{
    struct profile p = { .n = 0 };
    for (const char *s = text;; s++) {
        if (p.n == PROFILE_POINTS_MAX)
            return -E2BIG;
        char *end;
        double t = strtod(s, &end);
        if (end == s || *end != ':')
            return -EINVAL;
        s = end + 1;
        double rate = strtod(s, &end);
        if (end == s || !(rate >= 0) || !(t >= 0) || (p.n == 0 ? t != 0 : t <= p.p[p.n - 1].t_s))
            return -EINVAL;
        p.p[p.n].t_s = t;
        p.p[p.n++].rate = rate;
        if (*end == '\0')
            break;
        if (*end != ',')
            return -EINVAL;
        s = end;
    }
    if (p.n < 2)
        return -EINVAL;
    *ret = p;
    return 0;
}

void profile_constant(double rate, double duration_s, struct profile *ret)
{
    *ret = (struct profile){ .n = 2, .p = { { 0, rate }, { duration_s, rate } } };
}

/* Within a segment the number of requests due by x is a*x + (b-a)/(2*d)*x^2; this solves it for x. */
static double segment_x(double a, double b, double d, double count)
{
    double k = (b - a) / (2 * d);
    if (fabs(k) < 1e-12)
        return a > 0 ? count / a : d;
    double root = a * a + 4 * k * count;
    return (-a + sqrt(root < 0 ? 0 : root)) / (2 * k);
}

double profile_due_s(const struct profile *p, uint64_t n)
{
    double left = (double)n;
    for (int i = 0; i + 1 < p->n; i++) {
        double d = p->p[i + 1].t_s - p->p[i].t_s, a = p->p[i].rate, b = p->p[i + 1].rate, total = (a + b) / 2 * d;
        if (left < total)
            return p->p[i].t_s + segment_x(a, b, d, left);
        left -= total;
    }
    return -1;
}

double profile_rate_at(const struct profile *p, double t_s)
{
    for (int i = 0; i + 1 < p->n; i++)
        if (t_s >= p->p[i].t_s && t_s < p->p[i + 1].t_s)
            return p->p[i].rate + (p->p[i + 1].rate - p->p[i].rate) * (t_s - p->p[i].t_s) / (p->p[i + 1].t_s - p->p[i].t_s);
    return 0;
}

double profile_end_s(const struct profile *p)
{
    return p->p[p->n - 1].t_s;
}
