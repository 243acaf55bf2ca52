/*
 * Where results go: the interface through which one executor serves every protocol.
 *
 * The executor calls, for each statement of a request in order:
 *     columns (only where it returns rows) → row… → done
 * Results of a transaction that writes are kept back by the executor until it is committed (I2) and
 * then handed over in one go, so a sink never has to take anything back. While they are handed over
 * a SINK_FULL is not obeyed (their size is limited by max_result_bytes).
 */
#ifndef HA_CORE_SINK_H
#define HA_CORE_SINK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/value.h"

struct sink_column {
    const char *name;     /* borrowed until the statement is done */
    const char *decltype; /* as declared, NULL for an expression */
};

struct sink_done {
    bool has_rows;          /* columns() was called for it */
    uint64_t rows;          /* rows returned */
    int64_t rows_affected;  /* rows changed by this statement (0 for reads and DDL) */
    int64_t last_insert_id; /* of the session, after this statement */
    int64_t elapsed_ns;
};

enum sink_verdict {
    SINK_MORE, /* go on */
    SINK_FULL, /* taken; pause here if you can (reads), and come back when there is room */
    SINK_STOP, /* not taken and nothing more wanted: ends the request with ERR_TOO_BIG */
};

struct sink;

struct sink_ops {
    void (*columns)(struct sink *s, const struct sink_column *cols, unsigned n);
    enum sink_verdict (*row)(struct sink *s, const struct value *values, unsigned n);
    void (*done)(struct sink *s, const struct sink_done *d);
};

/* Embedded at the head of a protocol's own sink. */
struct sink {
    const struct sink_ops *ops;
};

/* Forgets everything that it is given. Stateless: any threads at once. */
extern struct sink sink_nowhere;

#endif
