/*
 * Results as text: a sink that appends what the executor hands out to a buffer, in one of three
 * formats. It does no I/O and knows nothing of HTTP beyond that.
 *
 *   JSON    {"columns": […], "rows": [[…], …]} for one statement, {"results": [ … ]} for several
 *   NDJSON  a line {"columns": […], "types": […]} for each statement, then a line for each row
 *   CSV     RFC 4180, a header line first; NULL is empty, an empty text is "", a BLOB is base64,
 *           results of several statements have an empty line between them
 *
 * A statement without rows shows one: columns rows_affected and last_insert_id. Values of JSON:
 * NULL null, INTEGER a number without point, REAL one with point or exponent, TEXT a string; what
 * JSON cannot say is {"type": "blob"|"text"|"real", …} as httpreq.h takes it.
 *
 * One thread at a time. The buffer is borrowed.
 */
#ifndef HA_WIRE_HTTP_ROWS_H
#define HA_WIRE_HTTP_ROWS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "core/sink.h"

#define HTTP_ROWS_FULL_BYTES ((size_t)64 << 10) /* when to ask the executor for a pause */

enum http_format { HTTP_JSON, HTTP_NDJSON, HTTP_CSV };

struct http_rows_options {
    enum http_format format;
    bool associative;     /* rows as objects */
    bool details;         /* types, rows_affected, last_insert_id and time of each statement */
    bool array;           /* JSON: {"results": …} even for one statement */
    size_t max_row_bytes; /* a larger row ends the request; 0 = no limit */
};

struct http_rows {
    struct sink sink;
    struct http_rows_options opt;
    struct buf *out;
    struct buf keys;  /* "name": of every column, for rows as objects */
    size_t *key_ends; /* offsets behind each of them; owned */
    unsigned cap_keys;
    unsigned n_columns;
    size_t statements; /* begun */
    bool open;         /* columns() was called and done() was not */
    bool any_row;
    bool several; /* decided: JSON is {"results": …} */
    bool decided;
};

/* Begins a result in `out`, which is empty. */
void http_rows_begin(struct http_rows *r, const struct http_rows_options *opt, struct buf *out);
/* Before the first byte leaves: may another statement follow? Returns how many bytes at the start
 * of the buffer are not to be sent. */
size_t http_rows_decide(struct http_rows *r, bool more_statements);
/* Closes what is open. Then all is in the buffer. */
void http_rows_end(struct http_rows *r);
void http_rows_fini(struct http_rows *r);

/* Does the text hold more than one statement? Good enough for reads: a trigger's body counts. */
bool http_rows_is_several(const char *sql, size_t len);

#endif
