/* jget.h - reading members of a JSON object without caring whether they are there. Pure. */
#pragma once
#include <jansson.h>
#include <math.h>
#include <stdbool.h>

static inline const char *jget_str(const json_t *o, const char *key) {      /* "" if absent or null; borrowed */
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}
static inline double jget_num(const json_t *o, const char *key) {           /* NaN if absent or null */
    const json_t *v = json_object_get(o, key);
    return json_is_number(v) ? json_number_value(v) : NAN;
}
static inline long long jget_int(const json_t *o, const char *key, long long otherwise) {
    double d = jget_num(o, key);
    return d >= -9e15 && d <= 9e15 ? (long long)d : otherwise;
}
static inline bool jget_bool(const json_t *o, const char *key) { return json_is_true(json_object_get(o, key)); }

static inline void jget_decref_p(json_t **j) { json_decref(*j); }
#define cleanup_json __attribute__((cleanup(jget_decref_p)))
