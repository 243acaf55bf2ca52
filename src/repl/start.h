/*
 * Where in its log a file begins that has not met it yet, as people write it. Pure; any thread.
 */
#ifndef HA_REPL_START_H
#define HA_REPL_START_H

#include <stdint.h>

#include "base/err.h"

enum replica_start {
    REPLICA_START_ALL,
    REPLICA_START_LAST,
    REPLICA_START_NEW,
    REPLICA_START_SEQ,
    REPLICA_START_TIME
};

/* "all" or nothing, "last", "new", "by_start_sequence=X" (*seq is set), "by_start_time=T" (*time_ns
 * is, since 1970; RFC 3339, a blank for the T and no zone, UTC, are accepted). ERR_CONFIG. */
enum err_code start_parse(const char *text, enum replica_start *start, uint64_t *seq,
                          int64_t *time_ns, struct err *e);

#endif
