/*
 * The JSON bodies of HTTP requests, read piece by piece as they arrive. Bytes in, structs out: no
 * I/O, no SQL knowledge.
 *
 *     {"sql": text, "params": {name: value, …} | [value, …]}        one query, or
 *     [{"sql": …}, …]                                               several
 *
 * value: null, true (1), false (0), a number (an integer is exact or refused, never turned into a
 * double), a string, or an object for what JSON cannot say:
 *     {"type": "null"}
 *     {"type": "integer", "value": "9223372036854775807"}    the number may also be a JSON number
 *     {"type": "real",    "value": "inf"}                    inf, -inf or a number
 *     {"type": "text",    "value": "…"} or {"type": "text", "base64": "…"}
 *     {"type": "blob",    "base64": "…"}
 * "text" is taken for "value". Fields with other names are skipped, whatever they hold.
 *
 * Parsed values live in the arena that was given to httpreq_begin() and die with it. One thread at
 * a time. Errors are ERR_PROTOCOL (not this shape), ERR_PARAM (a parameter that cannot be taken,
 * named) or ERR_TOO_BIG, and the message says at which byte.
 */
#ifndef HA_PROTO_HTTPREQ_H
#define HA_PROTO_HTTPREQ_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/value.h"

#define HTTPREQ_MAX_DEPTH   64u      /* nested objects and arrays, skipped ones included */
#define HTTPREQ_MAX_QUERIES 1000000u /* of one body */
#define HTTPREQ_MAX_PARAMS  32766u   /* of one query: SQLite's own limit */
#define HTTPREQ_MAX_NAME    255u     /* bytes of a parameter's name */

struct httpreq_param {
    const char *name; /* NULL: positional */
    struct value value;
};

struct httpreq_query {
    const char *sql; /* terminated, but may hold NUL bytes before that: count with len */
    size_t len;
    const struct httpreq_param *params;
    unsigned n_params;
};

struct httpreq_body {
    const struct httpreq_query *queries;
    size_t n;
    bool array; /* the body was an array */
};

struct httpreq;

/* A parser for one body of `expected` bytes, 0 where that is not known: it says only how much is
 * worth collecting, and may be wrong. NULL when out of memory. */
struct httpreq *httpreq_begin(struct arena *a, size_t expected);
/* The next bytes. After an error every further call answers the same error. */
enum err_code httpreq_feed(struct httpreq *h, const char *bytes, size_t n, struct err *e);
/* Everything has arrived: fills `out`. An empty body, and an array without a query, are errors. */
enum err_code httpreq_end(struct httpreq *h, struct httpreq_body *out, struct err *e);
void httpreq_free(struct httpreq *h); /* NULL is fine; what was parsed stays in the arena */

/* For the small bodies of other requests: one object, of which the fields `names` are picked.
 * values[i] is the string of names[i], or NULL where it is missing or null. */
enum err_code httpreq_fields(struct arena *a, const char *bytes, size_t n, const char *const *names,
                             const char **values, size_t n_names, struct err *e);

#endif
