/*
 * libha: a node of a highly available SQLite cluster inside your own process.
 *
 *     struct ha_error e;
 *     struct ha_node *node;
 *     struct ha_session *s;
 *     const char *const settings[] = {"app.db", "--name", "app-1", NULL};
 *
 *     if (!ha_open(&node, settings, &e) || !ha_wait_ready(node, 10000, &e) ||
 *         !ha_session_open(&s, node, NULL, &e))
 *         die(e.message);
 *     struct ha_param who = {NULL, ha_text("world")};
 *     ha_exec(s, "INSERT INTO greeting(name) VALUES (?)", &who, 1, NULL, NULL, NULL, &e);
 *     ha_session_close(s);
 *     ha_close(node);
 *
 * What it does not do: it installs no signal handler, never ends the process, prints nothing to
 * standard output and reads no environment variable but HA_NATS_SERVER (the nats-server program to
 * use). Its threads block all signals.
 *
 * Threads: a node may be used by any number of threads at the same time. A session, and a cursor on
 * it, is used by one thread at a time; ha_session_interrupt() alone may be called by any thread.
 * Every function blocks until it is done. A row callback may use other sessions; its own is BUSY.
 *
 * Ownership: what ha_open(), ha_session_open() and ha_query() hand out is the caller's until the
 * matching close function. Strings and arrays given to a function are read before it returns, and
 * not kept. What a function or callback hands out as a pointer is borrowed; it says how long it
 * lives.
 *
 * Errors: functions that can fail return true or false (HA_FAILED for a cursor) and fill the struct
 * ha_error, which is the caller's and may be NULL. A failed call leaves no handle behind: *out is
 * NULL then. After success the struct's code is "OK".
 *
 * Units: every name says them; sizes are bytes.
 *
 * While its version is 0.x the library may change from one minor version to the next.
 */
#ifndef HA_HA_H
#define HA_HA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HA_API __attribute__((visibility("default")))

struct ha_node;
struct ha_session;
struct ha_rows;

/* ---- errors ---------------------------------------------------------------------------------- */

#define HA_MESSAGE_SIZE 512

/* The strings behind the pointers are static. */
struct ha_error {
    const char *code;     /* "OK", "UNIQUE", "SYNTAX", "CONFLICT", … one word, stable */
    const char *sqlstate; /* of the same: "23505" */
    int sqlite_code;      /* SQLite's extended result code; 0 when it had no part in it */
    int offset;           /* bytes into the SQL text where the mistake is; -1 when unknown */
    bool retry;           /* running the same again may succeed without anyone mending anything */
    char message[HA_MESSAGE_SIZE]; /* for people; terminated UTF-8 */
};

/* Codes that a program is likely to act upon:
 *   CONFLICT         an explicit transaction lost against another node's write: run it again.
 *                    Statements outside of BEGIN … COMMIT are run again by the library itself.
 *   UNKNOWN_OUTCOME  the log did not answer in time; the write may or may not be in it.
 *   LOG_UNAVAILABLE  NATS cannot be reached; nothing was written. Reads go on.
 *   NO_LEADER        --leader-addr, --leader-static: nobody takes the write; nothing was written.
 *   LAGGING          the position asked for by ha_session_min_seq() was not reached in time.
 *   BUSY             the write connection, or an open cursor of this session, is in the way.
 *   INTERRUPTED      by ha_session_interrupt(), or the row callback wanted no more. */

/* ---- values ---------------------------------------------------------------------------------- */

enum ha_type { HA_NULL, HA_INTEGER, HA_REAL, HA_TEXT, HA_BLOB };

/* One of SQLite's five storage classes, nothing copied. Text is UTF-8 by convention, may hold NUL
 * bytes, and need not be terminated: `len` counts. */
struct ha_value {
    enum ha_type type;
    union {
        int64_t i; /* HA_INTEGER */
        double r;  /* HA_REAL */
        struct {
            const char *data; /* HA_TEXT, HA_BLOB; may be NULL where len is 0 */
            size_t len;       /* bytes */
        } s;
    } u;
};

/* A parameter of a statement: by name where there is one (":id", "@id", "$id" or just "id"; a name
 * that the statement does not have is passed over), else by position among the nameless ones. Each
 * parameter of a statement needs a value, be it NULL. */
struct ha_param {
    const char *name; /* NULL: by position */
    struct ha_value value;
};

static inline struct ha_value ha_null(void)
{
    struct ha_value v;
    v.type = HA_NULL;
    v.u.i = 0;
    return v;
}

static inline struct ha_value ha_int(int64_t i)
{
    struct ha_value v;
    v.type = HA_INTEGER;
    v.u.i = i;
    return v;
}

static inline struct ha_value ha_real(double r)
{
    struct ha_value v;
    v.type = HA_REAL;
    v.u.r = r;
    return v;
}

static inline struct ha_value ha_text_n(const char *text, size_t len)
{
    struct ha_value v;
    v.type = HA_TEXT;
    v.u.s.data = text;
    v.u.s.len = len;
    return v;
}

/* A terminated string; NULL becomes SQL's NULL. */
static inline struct ha_value ha_text(const char *text)
{
    return text ? ha_text_n(text, __builtin_strlen(text)) : ha_null();
}

static inline struct ha_value ha_blob(const void *bytes, size_t len)
{
    struct ha_value v = ha_text_n((const char *)bytes, len);
    v.type = HA_BLOB;
    return v;
}

/* ---- nodes ----------------------------------------------------------------------------------- */

/* "0.1.0"; static. */
HA_API const char *ha_version(void);

/*
 * Starts a node in this process. `settings` are the words of ha's command line without the
 * program's name, ended by NULL: flags (docs/configuration.md) and database files; NULL means none
 * at all. The files are created where they are missing, and so is the embedded NATS' store beside
 * the first one. Three things differ from the program:
 *   - there is no HTTP server unless --port says so (--port 0: none)
 *   - only warnings and errors are logged, on standard error, unless --log-level says otherwise;
 *     the log belongs to the process, so the node that was opened last decides
 *   - HA_ environment variables do not count; --config FILE does
 * The embedded nats-server is a child process that ends with this one. Port 4222 is its default:
 * several nodes on one machine need --nats-port, or --replication-url to join another's.
 *
 * Returns when the node runs; it may still be catching up. Codes: CONFIG for settings that are
 * wrong, BUSY for a port or a directory that is in use, otherwise what went wrong.
 */
HA_API bool ha_open(struct ha_node **out, const char *const *settings, struct ha_error *e);

/* Waits until every database holds what the log had when the node connected. LAGGING after
 * timeout_ms, with what is missing in the message. */
HA_API bool ha_wait_ready(struct ha_node *n, int64_t timeout_ms, struct ha_error *e);

/* The URL under which other nodes join (--replication-url): of the embedded NATS, or of the one
 * that this node has joined itself; "" if it has neither. Lives as long as the node. It holds no
 * password of --nats-pass. */
HA_API const char *ha_nats_url(const struct ha_node *n);

/* Stops the node: lets running HTTP requests end, closes the databases, stops NATS last; at most
 * about ten seconds. BUSY, and nothing happens, while a session of it is open. NULL is fine. */
HA_API bool ha_close(struct ha_node *n, struct ha_error *e);

/* ---- sessions -------------------------------------------------------------------------------- */

/* One conversation with one database: the file's base name, NULL for the node's first one. It costs
 * little; it holds a SQLite connection only while a transaction or a cursor is open. */
HA_API bool ha_session_open(struct ha_session **out, struct ha_node *n, const char *database,
                            struct ha_error *e);

/* Rolls an open transaction back. A cursor that is open ends with it (SHUTDOWN), and is still to be
 * closed. NULL is fine. */
HA_API void ha_session_close(struct ha_session *s);

/* From now on every call waits until the file of this node contains message `seq` of the log: give
 * it the `seq` of a write on another node, and this session reads it. 0 = no wait. */
HA_API void ha_session_min_seq(struct ha_session *s, uint64_t seq);

/* The longest time that one call may take, beyond which it fails with TIMEOUT; 0 = --query-timeout.
 */
HA_API void ha_session_timeout(struct ha_session *s, int64_t timeout_ms);

/* After BEGIN and before COMMIT or ROLLBACK; a transaction that has failed counts until ROLLBACK.
 */
HA_API bool ha_session_in_transaction(const struct ha_session *s);

/* Ends the statement that the session runs right now, if it does, with INTERRUPTED. Any thread. */
HA_API void ha_session_interrupt(struct ha_session *s);

/* ---- statements ------------------------------------------------------------------------------ */

/* One row; borrowed, until the callback returns or the cursor moves. */
struct ha_row {
    unsigned columns;
    const char *const *names; /* `columns` terminated strings, and values */
    const struct ha_value *values;
};

/* False: no more rows are wanted, the call ends with INTERRUPTED. What is committed stays so. */
typedef bool ha_row_fn(void *arg, const struct ha_row *row);

/* What a call has done. */
struct ha_result {
    uint64_t seq;           /* HA-Seq: of the log's message that holds its writes; 0 = none */
    uint64_t position;      /* of the file when the call began: what a read has seen */
    uint64_t rows;          /* returned */
    int64_t rows_affected;  /* by all its statements together */
    int64_t last_insert_id; /* of the session */
};

/*
 * Runs the statements of `sql`, one after the other, separated by semicolons. Each commits alone
 * unless BEGIN has opened a transaction; BEGIN, COMMIT, ROLLBACK and SAVEPOINT are statements like
 * any others. A write is committed when the function returns true: it is in the log then, and no
 * crash of this node loses it. The parameters go to each of the statements.
 *
 * `row` is called for each row; of a write not before it is committed. NULL: rows are not wanted.
 * `result` may be NULL; after a failure it tells what the statements before the failed one did.
 */
HA_API bool ha_exec(struct ha_session *s, const char *sql, const struct ha_param *params,
                    size_t n_params, ha_row_fn *row, void *arg, struct ha_result *result,
                    struct ha_error *e);

struct ha_statement {
    const char *sql;
    const struct ha_param *params;
    size_t n_params;
};

/* Runs all statements as one transaction: all or none. Unlike BEGIN … COMMIT, which shows its reads
 * to the caller before they are settled, it is run again by itself when another node was first. Not
 * so inside BEGIN … COMMIT: there the statements become a part of the open transaction, and a
 * failure undoes only the statement that failed. */
HA_API bool ha_batch(struct ha_session *s, const struct ha_statement *statements, size_t n,
                     ha_row_fn *row, void *arg, struct ha_result *result, struct ha_error *e);

/*
 * The same as ha_exec(), with the rows pulled: in flat memory for reads, while a write's rows are
 * kept until it is committed. Fails at once where there is no row before the failure. If `sql`
 * holds several statements, their rows come one after the other. Until HA_END, HA_FAILED or
 * ha_rows_close() the session can run nothing else (BUSY), and a read sees the database as it was.
 */
HA_API bool ha_query(struct ha_rows **out, struct ha_session *s, const char *sql,
                     const struct ha_param *params, size_t n_params, struct ha_error *e);

enum ha_next { HA_FAILED = -1, HA_END = 0, HA_ROW = 1 };

/* The next row into *row (NULL unless the answer is HA_ROW). */
HA_API enum ha_next ha_rows_next(struct ha_rows *rows, const struct ha_row **row,
                                 struct ha_error *e);

/* Ends it, early if need be. `result` may be NULL, and is complete after HA_END. NULL is fine. */
HA_API void ha_rows_close(struct ha_rows *rows, struct ha_result *result);

#ifdef __cplusplus
}
#endif

#endif
