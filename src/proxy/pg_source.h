/*
 * A PostgreSQL as a source: its publication is copied and followed through a logical replication
 * slot (pgoutput). Needs PostgreSQL 10 or newer with wal_level = logical, and a user who may
 * replicate.
 *
 *   connect ─ wal_level, publication (made if missing) ─ the tracker's position
 *      none, or the slot is gone or ahead of it:  new slot ─ COPY of all tables ─ commit
 *      otherwise:                                 START_REPLICATION there ─ commit, commit, …
 *
 * The slot keeps what the source has written since the place that was confirmed, and only what is
 * in the log (mirror_commit()) is confirmed. So a death at any point loses nothing and takes
 * nothing twice: what was not committed here is sent again, what was has moved the tracker.
 */
#ifndef HA_PROXY_PG_SOURCE_H
#define HA_PROXY_PG_SOURCE_H

#include "base/err.h"
#include "proxy/source.h"

struct pg_source;

/* Strings are borrowed, and outlive it. */
struct pg_source_options {
    const char *dsn;         /* connection string or URL, as libpq takes it */
    const char *publication; /* --pg-publication */
    const char *slot;        /* --pg-slot */
};

/* Can it be what it says? Connects to nothing. ERR_CONFIG. */
enum err_code pg_source_check(const struct pg_source_options *o, struct err *e);

enum err_code pg_source_new(struct pg_source **out, const struct pg_source_options *o,
                            struct err *e);
void pg_source_free(struct pg_source *p); /* after source_free(); NULL is fine */

extern const struct source_driver pg_source_driver; /* its argument is a struct pg_source */

#endif
