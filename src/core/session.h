/*
 * A session: one client's conversation, whatever its protocol. It knows the current database, an
 * explicit transaction if one is open, and the last insert id. Used by one thread at a time;
 * session_cancel() alone may be called by any thread.
 *
 * A request is one or more statements (each text may itself hold several, separated by semicolons).
 * It runs in three ways, chosen here and not by the protocol:
 *   - only reads: on a pooled read connection, in one read transaction; may pause (SINK_FULL)
 *   - with writes, no transaction open: as one transaction of the write group (run again by itself
 *     when the log was extended by somebody else in between)
 *   - inside an explicit transaction: on the write connection that the session holds, or, until its
 *     first write, on a read connection
 */
#ifndef HA_CORE_SESSION_H
#define HA_CORE_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/value.h"
#include "core/sink.h"

struct node;
struct pg_session;
struct session;

/* One parameter: by name (with or without prefix) if `name` is set, else by position. */
struct param {
    const char *name; /* NULL: positional */
    struct value value;
};

/* One statement text with its parameters; everything borrowed while the request exists. */
struct query {
    const char *sql;
    size_t len;
    const struct param *params;
    unsigned n_params;
    bool numbered; /* params[k - 1] goes where $k or ?k stands; a bare ? counts by its place */
    /* The same as the client wrote it, where that was in another dialect: for a source that speaks
     * it (upstream.h). Its parameters are $1, $2 …, or a ? each. NULL = as `sql`. */
    const char *written;
    size_t written_len;
    const char *written_in; /* "postgresql", "mysql" */
};

enum session_state { SESSION_IDLE, SESSION_IN_TX, SESSION_TX_FAILED };

/* `protocol` is a static string ("http"); `gone` (may be NULL) tells whether the client has left,
 * and is asked now and then while a statement runs, from whichever thread runs it. */
enum err_code session_open(struct session **out, struct node *n, const char *protocol,
                           bool (*gone)(void *arg), void *arg, struct err *e);
void session_close(struct session *s); /* rolls back; NULL is fine */

/* The current database by id; NULL = the node's default one. */
enum err_code session_use(struct session *s, const char *id, struct err *e);
const char *session_database(const struct session *s);

/* Its writes are refused with ERR_READ_ONLY. Between requests, by the session's thread. */
void session_set_read_only(struct session *s, bool read_only);

/* What SQL functions answer about this session (current_user …), borrowed until it is closed; NULL,
 * as at the beginning: nobody in particular. Between requests. */
void session_set_front(struct session *s, const struct pg_session *front);

enum session_state session_state(const struct session *s);
void session_cancel(struct session *s); /* interrupts the running statement */

struct request_options {
    bool atomic;      /* all statements in one transaction (array body); else each commits alone */
    bool local;       /* ?local=true: never redirect */
    uint64_t min_seq; /* reads wait until the file holds at least this position; 0 = no wait */
    int64_t timeout_ns; /* of the whole request; 0 = the node's --query-timeout */
};

/* What a statement is, without running it. */
struct session_shape {
    bool empty;        /* there is no statement in the text */
    bool reads;        /* changes nothing */
    unsigned n_params; /* the highest number of $k and ?k, or how many there are */
};

/* Prepares the first statement of `q` where it would run, and calls columns->ops->columns() if it
 * returns rows. Not while a request runs or is paused. */
enum err_code session_describe(struct session *s, const struct query *q, struct sink *columns,
                               struct session_shape *shape, struct err *e);

enum request_status { REQUEST_DONE, REQUEST_PAUSED, REQUEST_FAILED };

struct request;

/* Takes no action yet. The session must outlive the request; one request a session at a time. */
enum err_code request_new(struct request **out, struct session *s, const struct query *queries,
                          size_t n, const struct request_options *opt, struct err *e);
/* Runs until the end, an error, or a pause asked for by the sink (reads only): then call again. */
enum request_status request_run(struct request *r, struct sink *sink, struct err *e);
/* After REQUEST_DONE: seq of the message that holds the request's writes, 0 if it wrote nothing;
 * for reads request_position() is the position of the snapshot it read. */
uint64_t request_seq(const struct request *r);
uint64_t request_position(const struct request *r);
/* Which query (0-based) failed or ran last. */
size_t request_index(const struct request *r);
void request_free(struct request *r); /* ends a paused one; NULL is fine */

#endif
