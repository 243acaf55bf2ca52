/*
 * Which messages of an outbox stand in the log? Read-only, blocks; any thread that may use
 * `outbox`.
 *
 * Where the range is small its log's leader is asked for each message, and up to 65,536 of them
 * where the log has copies on several servers, which may differ. Else a feed, which reads the copy
 * of one server, brings their ids, and the leader is asked for what it leaves out.
 */
#ifndef HA_REPL_SEARCH_H
#define HA_REPL_SEARCH_H

#include <stdint.h>

#include "base/err.h"
#include "sql/conn.h"

struct replica;

/* The message of the outbox's entry `id` (its first part's) stands at `seq`, complete. */
typedef enum err_code search_seen(void *arg, uint64_t id, uint64_t seq, struct err *e);

/* Looks at all that the log has from `from` to `to`; what lies before its beginning or behind its
 * end counts as looked at. */
enum err_code search_log(struct replica *r, struct conn *outbox, uint64_t from, uint64_t to,
                         search_seen *seen, void *arg, struct err *e);

#endif
