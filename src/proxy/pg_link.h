/*
 * A connection to the PostgreSQL that is a source. Calls block, but no longer than their struct
 * wait allows. One thread at a time. An error that is no answer of the server (SQLSTATE class 08:
 * it is gone) leaves a connection that can only be closed; pg_link_broken() tells.
 */
#ifndef HA_PROXY_PG_LINK_H
#define HA_PROXY_PG_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "proxy/pq.h"
#include "proxy/wait.h"

struct pg_link;

/* Is it a connection string or URL as libpq takes it? ERR_CONFIG. pq_load() must have succeeded, as
 * for everything here. */
enum err_code pg_link_check(const char *dsn, struct err *e);

/* With `replication` (an application_name; NULL = no) the session may copy, follow a slot and run
 * SQL, one text at a time. Values come in ISO dates, UTC, hexadecimal bytea, and with all digits.
 */
enum err_code pg_link_open(struct pg_link **out, const char *dsn, const char *replication,
                           const struct wait *w, struct err *e);
void pg_link_close(struct pg_link *l); /* NULL is fine */
bool pg_link_broken(const struct pg_link *l);
void pg_link_break(struct pg_link *l);     /* nobody knows what it would answer to */
PGconn *pg_link_handle(struct pg_link *l); /* for what is not here and does not block */

/* The server's error as one of ours; with its detail and hint. */
enum err_code pg_link_error(const PGresult *result, struct err *e);

/* Runs `sql` with text parameters (`values` may be NULL where n is 0; then it may hold several
 * statements, and the last one's result counts). *out (owned; NULL = not wanted) is a result
 * without an error. */
enum err_code pg_link_run(struct pg_link *l, const char *sql, const char *const *values, size_t n,
                          const struct wait *w, PGresult **out, struct err *e);
/* One that enters COPY: rows are read with pg_link_copied(). */
enum err_code pg_link_copy(struct pg_link *l, const char *sql, const struct wait *w, struct err *e);
/* The next piece; *bytes is NULL at the end, else to be given to pq.freemem(). */
enum err_code pg_link_copied(struct pg_link *l, char **bytes, size_t *len, const struct wait *w,
                             struct err *e);
/* Is there a piece without waiting? *bytes NULL: none yet; with *end there will be none, and
 * pg_link_ended() says why. */
enum err_code pg_link_try_copied(struct pg_link *l, char **bytes, size_t *len, bool *end,
                                 struct err *e);
/* Behind the end of a copy: ERR_OK where it was a good one. */
enum err_code pg_link_ended(struct pg_link *l, const struct wait *w, struct err *e);
enum err_code pg_link_put(struct pg_link *l, const void *bytes, size_t len, const struct wait *w,
                          struct err *e);
/* Waits for something to read. */
enum err_code pg_link_wait(struct pg_link *l, const struct wait *w, struct err *e);
/* The next result of what was sent; *out NULL: that was the last one. */
enum err_code pg_link_result(struct pg_link *l, PGresult **out, const struct wait *w,
                             struct err *e);
/* Asks the server to end what it runs. */
void pg_link_cancel(struct pg_link *l);

/* A name in quotes. Owned (free()); NULL: no memory. */
char *pg_link_name(struct pg_link *l, const char *name);
/* Appends a text as a literal; NULL where there is no memory. */
void pg_link_put_literal(struct pg_link *l, struct buf *sql, const char *text);

#endif
