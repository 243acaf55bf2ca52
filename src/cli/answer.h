/*
 * What a node answers to SQL as application/x-ndjson with ?details (wire/http/rows.h), read as it
 * comes, a line at a time, into a sink: columns, rows, done, as the node's own executor calls them.
 * A statement that returns no rows only has done().
 *
 *     {"columns": […], "types": […]}      a statement begins
 *     [value, …]                          a row
 *     {"returns_rows": …, …}              the statement ends
 *     {"error": {…}}                      it does not: what went wrong after the first row
 *
 * Values are as the node had them, to the last bit. Memory: one line and the values of one row. One
 * thread; the sink is borrowed.
 */
#ifndef HA_CLI_ANSWER_H
#define HA_CLI_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <yajl/yajl_tree.h>

#include "base/buf.h"
#include "base/err.h"
#include "core/sink.h"

struct answer {
    struct sink *sink;
    struct buf line;
    struct buf bytes; /* of the row's values that came as base64 */
    struct value *values;
    unsigned cap;
    yajl_val held;    /* the row of a statement that may be one without rows; NULL = none */
    yajl_val columns; /* where they are not shown yet for the same reason */
    bool open;        /* between the columns and the end of a statement */
    bool failed;      /* nothing more is taken; `err` says why, but where the sink wanted no more */
    struct err err;
};

void answer_init(struct answer *a, struct sink *sink);
void answer_free(struct answer *a);
/* Takes what came. False: it is no such answer, the sink wants no more, or it says that the
 * statement failed. `a` is a struct answer. */
bool answer_take(void *a, const void *bytes, size_t len);
/* Nothing more comes: was that all of it? */
enum err_code answer_end(struct answer *a, struct err *e);

#endif
