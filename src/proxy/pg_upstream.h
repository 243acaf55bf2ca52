/*
 * Where the writes of a database go that mirrors a PostgreSQL: there. An implementation of
 * core/upstream.h on a pool of connections.
 *
 * Statements run as they were written: by clients of PostgreSQL's protocol in its own words, by
 * others with parameters ?, :name, @name and $name turned into $1, $2 …; values are sent as text,
 * and get the types that the source gives them. Explicit transactions run there from BEGIN on,
 * reads included; a statement that fails in one is undone alone (a savepoint).
 *
 * With read_your_writes a write is answered when this node's file holds it: the source is asked to
 * write a mark into its WAL behind the write (pg_logical_emit_message(), PostgreSQL 14 and newer),
 * which moves the tracker when it comes back through the slot.
 */
#ifndef HA_PROXY_PG_UPSTREAM_H
#define HA_PROXY_PG_UPSTREAM_H

#include <stdbool.h>

#include "base/err.h"
#include "core/upstream.h"

struct pg_upstream;

/* Strings are borrowed, and outlive it. */
struct pg_upstream_options {
    struct node *node;
    const char *dsn;
    const char *database; /* id of the local one */
    bool read_your_writes;
};

enum err_code pg_upstream_new(struct pg_upstream **out, const struct pg_upstream_options *o,
                              struct err *e);
void pg_upstream_free(struct pg_upstream *u); /* after the sessions; NULL is fine */

extern const struct upstream_ops pg_upstream_ops; /* their argument is a struct pg_upstream */

#endif
