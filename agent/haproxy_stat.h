/* haproxy_stat.h - what HAProxy's `show stat` (CSV) and `show servers state` say, as one table of proxies and servers.
 *
 * Pure; owns what it allocates, hap_stat_done frees. Columns are found by the header's names, so another HAProxy version's order does no harm;
 * an absent figure is -1. Bounded: HAP_ROWS_MAX rows, further ones are -E2BIG. Input may be anything: a bad line is skipped, a text without
 * a usable header is -EBADMSG. Outputs are untouched on failure. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "model/words.h"

enum { HAP_ROWS_MAX = 60000, HAP_COLUMNS_MAX = 200 };
enum hap_row_kind { HAP_FRONTEND, HAP_BACKEND, HAP_SERVER };
/* X(field, "column") */
#define HAP_FIGURES(X) X(qcur, "qcur") X(scur, "scur") X(slim, "slim") X(stot, "stot") X(req_tot, "req_tot") X(hrsp_5xx, "hrsp_5xx") \
    X(econ, "econ") X(eresp, "eresp") X(wretr, "wretr") X(lastchg, "lastchg") X(hanafail, "hanafail")
#define HAP_FIELD_(f, column) int64_t f;
struct hap_row {
    char proxy[NAME_LEN_MAX + 1], server[ID_SIZE];
    enum hap_row_kind kind;
    HAP_FIGURES(HAP_FIELD_)
    char status[24];                        /* UP, DOWN, MAINT, DRAIN, "UP 1/3", "no check", OPEN, STOP */
    char check[16];                         /* L4CON, L7STS, ... */
    char address[64]; uint32_t port;        /* servers; port 0: not said */
    /* From `show servers state`, if has_state: */
    bool has_state, maint, drain, up, check_on;
};
struct hap_stat { struct hap_row *v; size_t n; };   /* sorted by proxy, kind, server */

int hap_stat_parse(const char *csv, size_t len, struct hap_stat *ret);
/* Adds the states of a `show servers state` answer to the servers that it names. */
int hap_stat_add_states(struct hap_stat *s, const char *text, size_t len);
const struct hap_row *hap_stat_find(const struct hap_stat *s, const char *proxy, enum hap_row_kind kind, const char *server);   /* server: NULL unless HAP_SERVER */
void hap_stat_done(struct hap_stat *s);
