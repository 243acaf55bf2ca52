/*
 * Where the writes of a database go that mirrors a MySQL: there. An implementation of
 * core/upstream.h on a pool of connections.
 *
 * Statements run as they were written: by clients of MySQL's protocol in its own words, by others
 * with double quotes around names, || between texts and no escapes, as SQLite has them. Values of
 * parameters become literals. Explicit transactions run there from BEGIN on, reads included; a
 * schema statement in one is refused, since MySQL would commit with it.
 *
 * With read_your_writes a write is answered when this node's file holds it: its GTID with MariaDB,
 * with MySQL the end of the log as it was behind the write.
 */
#ifndef HA_PROXY_MY_UPSTREAM_H
#define HA_PROXY_MY_UPSTREAM_H

#include <stdbool.h>

#include "base/err.h"
#include "core/upstream.h"

struct my_upstream;

/* Strings are borrowed, and outlive it. */
struct my_upstream_options {
    struct node *node;
    const char *dsn;
    const char *database; /* id of the local one */
    bool read_your_writes;
};

enum err_code my_upstream_new(struct my_upstream **out, const struct my_upstream_options *o,
                              struct err *e);
void my_upstream_free(struct my_upstream *u); /* after the sessions; NULL is fine */

extern const struct upstream_ops my_upstream_ops; /* their argument is a struct my_upstream */

#endif
