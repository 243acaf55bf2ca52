/* Statements, their execution and their results: what the files behind the message loop share. */
#ifndef HA_WIRE_PG_SESSION_H
#define HA_WIRE_PG_SESSION_H

#include "core/sink.h"
#include "proto/pgtype.h"
#include "wire/pg/conn.h"

/* ---- text.c: one statement of the client's ---- */

enum pg_kind {
    PG_EMPTY,
    PG_READ,  /* very likely reads */
    PG_WRITE, /* rows, schema, anything else for the executor */
    PG_ALONE, /* VACUUM, UNDO: never inside a transaction */
    PG_BEGIN,
    PG_COMMIT,
    PG_ROLLBACK,
    PG_SAVEPOINT,
    PG_RELEASE,
    PG_ROLLBACK_TO,
    PG_COMMAND, /* of our own: command.c */
    PG_CURSOR,  /* DECLARE, FETCH, MOVE, CLOSE: cursor.c */
    PG_COPY
};

/* How the number of rows stands in the tag. */
enum pg_count { PG_COUNT_NONE, PG_COUNT_ROWS, PG_COUNT_INSERT };

struct pg_text {
    const char *sql; /* as sent, terminated or not */
    size_t len;
    const char *run; /* as executed: translated, or sql */
    size_t run_len;
    bool changed;  /* translated: offsets into `run` say nothing about `sql` */
    bool compound; /* `run` holds several statements */
    enum pg_kind kind;
    enum pg_count count;
    char tag[48];                                                   /* without the count */
    enum { PG_AHEAD_UNKNOWN, PG_AHEAD_IDLE, PG_AHEAD_TELLS } ahead; /* pg_infer_ahead()'s own */
};

/* Bytes of the first statement, its semicolon included. */
size_t pg_split(const char *sql, size_t len);
/* Kind and tag; `run` is `sql`. */
void pg_classify(struct pg_text *t, const char *sql, size_t len);
/* What is run of it, without parameters; `t` is borrowed. */
struct query pg_query_of(const struct pg_text *t);
/* Fills `run`; memory from the arena. May ask the session, so not while a request runs. */
enum err_code pg_translate(struct pg_conn *c, struct pg_text *t, struct err *e);
static inline bool pg_is_sql(const struct pg_text *t)
{
    return t->kind == PG_READ || t->kind == PG_WRITE || t->kind == PG_ALONE;
}

/* An error of core about `t` (may be NULL): its position in the client's own text. */
void pg_error_text(struct pg_conn *c, const struct err *e, const struct pg_text *t);

/* ---- run.c: the executor's results as messages ---- */

#define PG_TAG_BYTES 80

struct pg_result {
    struct sink sink;
    struct pg_conn *conn;
    const struct pg_text *text; /* the statement that runs; of several, moves on with each */
    bool several;               /* each one's CommandComplete is written as it ends */
    bool silent;                /* nothing is written: for statements of our own */
    bool describe;              /* RowDescription goes before the rows */
    bool no_data;               /* and NoData where there are no columns */
    struct infer *const *ahead; /* of `text` and, with `several`, those behind it; or NULL */
    const char *formats;        /* Bind's codes */
    unsigned n_formats;
    const uint32_t *promised; /* types told before; NULL = none */
    unsigned n_promised;
    uint64_t max_rows; /* then pause; 0 = no limit */
    /* state */
    unsigned n_columns;
    struct pg_column *columns;
    unsigned cap_columns;
    struct rowset *spill; /* owned: rows beyond max_rows that could not wait */
    struct buf scratch;   /* of one value */
    bool pending;         /* the RowDescription waits for the first row */
    bool has_rows;
    bool failed; /* a value could not be what was promised: the error stands in `fault` */
    uint64_t rows;
    char tag[PG_TAG_BYTES];
    struct pgwire_error fault;
    char fault_text[256];
};

struct pg_column {
    char *name;                    /* owned */
    char *decltype;                /* owned: what the next field was made of; NULL = nothing yet */
    struct pgtype_ref of_decltype; /* by its declaration alone */
    struct pgtype_ref type;
    bool declared; /* by a column or a promise, not guessed */
    bool binary;
};

/* Copies a tag without a count. */
void pg_tag(char tag[PG_TAG_BYTES], const char *text);

void pg_result_init(struct pg_result *r, struct pg_conn *c);
void pg_result_fini(struct pg_result *r);
void pg_result_again(struct pg_result *r); /* for another statement; keeps its memory */
/* RowDescription of its columns, unknown types as text. */
void pg_result_write_columns(struct pg_result *r);

/* For requests of a client: with its statement_timeout. */
struct request_options pg_request_options(const struct pg_conn *c, bool atomic);

/* Runs; true = done. After false an error has been written and the transaction has been told. */
bool pg_run(struct pg_conn *c, struct pg_result *r, const struct query *queries, size_t n,
            bool atomic);
/* The same in pieces, for portals: *request is NULL at the beginning and after the end. */
enum request_status pg_run_some(struct pg_conn *c, struct pg_result *r, struct request **request,
                                const struct query *q, bool atomic);
/* The same for a fixed statement, without a word to the client. */
enum err_code pg_exec(struct pg_conn *c, const char *sql, struct err *e);
/* Writes the result of statements of our own: all columns are text. */
void pg_write_text_columns(struct pg_conn *c, const char *const *names, unsigned n);
void pg_write_text_row(struct pg_conn *c, const char *const *values, unsigned n);

/* ---- tx.c ---- */

char pg_status(const struct pg_conn *c);
/* BEGIN … RELEASE. True = done, with its tag in `tag`; after false an error has been written. */
bool pg_control(struct pg_conn *c, const struct pg_text *t, char tag[PG_TAG_BYTES]);
bool pg_begin_implicit(struct pg_conn *c);
bool pg_end_implicit(struct pg_conn *c); /* commits it if it is open */
/* An error was sent: rolls back what that ends. */
void pg_tx_failed(struct pg_conn *c);
/* How many savepoints are open. */
unsigned pg_tx_depth(const struct pg_conn *c);
void pg_tx_clear(struct pg_conn *c); /* at the connection's end */
/* False, with 25P02 written, where the block has failed and `t` does not end it. */
bool pg_tx_allows(struct pg_conn *c, const struct pg_text *t);
/* The session's read-only state follows user, block and settings. */
void pg_apply_read_only(struct pg_conn *c);

/* ---- undo.c ---- */

/* Sets for the session, undone if the transaction is rolled back, or for the transaction alone.
 * `value` NULL = back to the start value. */
enum pg_set pg_set(struct pg_conn *c, const char *name, const char *value, bool local);
/* Tells the client, where it is a parameter that is reported. */
void pg_report(struct pg_conn *c, const char *name);
/* The same of what set_config() has set: before ReadyForQuery, as PostgreSQL does it. */
void pg_report_untold(struct pg_conn *c);
void pg_undo_end(struct pg_conn *c, bool committed);          /* with the transaction */
void pg_undo_roll_back_to(struct pg_conn *c, unsigned depth); /* what was set since … */
void pg_undo_release(struct pg_conn *c, unsigned depth);      /* … or what now belongs outside */
void pg_undo_clear(struct pg_conn *c);                        /* at the connection's end */

/* ---- set.c: `w` stands at the first word; false with an error written ---- */

struct pg_words;
bool pg_run_show(struct pg_conn *c, struct pg_words *w, bool describe);
bool pg_run_set(struct pg_conn *c, struct pg_words *w);
bool pg_run_reset(struct pg_conn *c, struct pg_words *w);
bool pg_reset_all(struct pg_conn *c);
bool pg_set_database(struct pg_conn *c, const char *name); /* "" = the default one */
/* Writes the error that a database could not be used or dropped; answers false. */
bool pg_database_failed(struct pg_conn *c, const char *name, const struct err *e);
/* Columns of SHOW; 0 = the statement is another one. */
unsigned pg_show_columns(struct pg_conn *c, const struct pg_text *t, const char **names,
                         unsigned max);

/* ---- command.c, cursor.c, copy.c: true = done, tag filled; columns and rows have been written,
 * the RowDescription only with `describe` ---- */

bool pg_run_command(struct pg_conn *c, const struct pg_text *t, bool describe,
                    char tag[PG_TAG_BYTES]);
struct pg_portal;
/* `from` is the portal that it runs in, whose parameters DECLARE hands on; NULL = simple query. */
bool pg_run_cursor(struct pg_conn *c, const struct pg_text *t, bool describe,
                   const struct pg_portal *from, char tag[PG_TAG_BYTES]);
/* The query of a DECLARE. False: `t` is none, or what it declares is no query (a DECLARE, say). */
bool pg_cursor_query(const struct pg_text *t, struct pg_text *query);
/* The cursor that a FETCH reads from; NULL: none. */
struct pg_portal *pg_cursor_of_fetch(struct pg_conn *c, const struct pg_text *t);
bool pg_run_copy(struct pg_conn *c, const struct pg_text *t, char tag[PG_TAG_BYTES]);

/* ---- query.c ---- */

void pg_query(struct pg_conn *c, const char *sql, size_t len);

/* ---- prepared.c ---- */

struct pg_prepared {
    struct pg_prepared *next;
    char *name;
    unsigned refs;
    struct pg_text text; /* its strings owned */
    char *sql, *run;
    unsigned n_params;
    uint32_t *params; /* types, PGTYPE_NONE where not even inferred */
    uint32_t *sent;   /* types as Parse had them */
    unsigned n_sent;
    bool known_params; /* n_params and params are complete */
    bool promised;     /* columns were told to the client */
    uint32_t *types;   /* the promise */
    unsigned n_types;
    struct pg_result shape; /* columns as described */
};

/* Takes `t` apart into copies of its own; the reference is the caller's. */
struct pg_prepared *pg_prepared_new(struct pg_conn *c, const char *name, const struct pg_text *t);
struct pg_prepared *pg_prepared_ref(struct pg_prepared *p);
void pg_prepared_unref(struct pg_prepared *p);
struct pg_prepared *pg_prepared_find(struct pg_conn *c, const char *name);
/* Takes the reference over; false = too many. */
bool pg_prepared_add(struct pg_conn *c, struct pg_prepared *p);
void pg_prepared_remove(struct pg_conn *c, const char *name);
void pg_prepared_clear(struct pg_conn *c);
/* Keeps the types of Parse; false = no memory. */
bool pg_prepared_sent(struct pg_prepared *p, const struct pgwire_parse *m);
/* Counts and types parameters and columns; false with an error written. */
bool pg_prepared_describe(struct pg_conn *c, struct pg_prepared *p);
/* Unknown types of columns become text, and from now on all of them are promised. */
bool pg_prepared_promise(struct pg_prepared *p);
/* RowDescription of the promise, or NoData. */
void pg_prepared_write_columns(struct pg_conn *c, struct pg_prepared *p, const char *formats,
                               unsigned n_formats);

/* ---- params.c ---- */

/* Values are added one by one, and their bytes may move meanwhile: a text has an offset where its
 * pointer belongs. Settling makes pointers of them; until then nobody sees a parameter, `n` is 0.
 * All zeroes is an empty one. */
struct pg_params {
    struct param *list;
    unsigned n; /* settled: what may be used */
    unsigned added;
    size_t cap;      /* of `list` */
    bool failed;     /* no memory; settling says so */
    struct buf data; /* of the values */
};

void pg_params_reset(struct pg_params *s); /* empties it, keeps the memory */
void pg_params_free(struct pg_params *s);
void pg_params_add_null(struct pg_params *s);
/* Of this type, as a client sends it; its bytes are copied. On a fault nothing is added. */
enum pgtype_fault pg_params_add(struct pg_params *s, uint32_t type, bool binary, const char *data,
                                size_t len);
bool pg_params_settle(struct pg_params *s); /* false: no memory */
/* Settled ones into another set, settled; false: no memory. */
bool pg_params_copy(struct pg_params *to, const struct pg_params *from);

/* ---- portal.c ---- */

/*
 *   READY ──some rows──> ACTIVE      its request is paused, or `rows` has what is left
 *     │ │                 │ │  ^
 *     │ └─ the last row ──┘ │  └── put aside: from the request, of a cursor even before its first
 *     │         v           │      row, to `rows`
 *     │       DONE          │
 *     └──── an error ───────┴──> FAILED, whatever becomes of the transaction
 */
enum pg_portal_state { PORTAL_READY, PORTAL_ACTIVE, PORTAL_DONE, PORTAL_FAILED };

struct pg_portal {
    struct pg_portal *next;
    char *name;
    struct pg_prepared *prepared; /* a reference; NULL = to be reused */
    struct pg_params params;
    struct query query;
    struct buf formats;
    unsigned depth; /* savepoints that were open when it was made */
    bool describe;  /* the answer to Describe waits for Execute */
    bool held;      /* WITH HOLD */
    bool kept;      /* … beyond its transaction */
    bool cursor;    /* by DECLARE */
    bool scroll;    /* all its rows are in `rows` from the first FETCH on */
    uint64_t at;    /* scroll: the row it stands on, from 1; 0 = before the first */
    enum pg_portal_state state;
    struct request *request; /* paused */
    struct pg_result result;
    struct rowset *rows; /* what is left, or a cursor's all; NULL = the request has it */
};

struct pg_portal *pg_portal_find(struct pg_conn *c, const char *name);
/* An empty one of this name, in place of an unnamed one; NULL = too many or out of memory. */
struct pg_portal *pg_portal_new(struct pg_conn *c, const char *name);
void pg_portal_remove(struct pg_conn *c, struct pg_portal *p);
/* Before a commit: cursors WITH HOLD are read to their end, all other portals are removed unread.
 */
void pg_portals_commit(struct pg_conn *c);
void pg_portals_end(struct pg_conn *c, bool committed); /* with the transaction, unread */
/* Those made since there were so many savepoints go unread, with their savepoint … */
void pg_portals_roll_back_to(struct pg_conn *c, unsigned depth);
/* … or belong to what it was in. */
void pg_portals_release(struct pg_conn *c, unsigned depth);
void pg_portals_clear(struct pg_conn *c);
/* Whoever wants the session for something else first puts paused rows aside. */
void pg_portals_park(struct pg_conn *c);
enum pg_advance { PG_ADVANCE_FAILED, PG_ADVANCE_SUSPENDED, PG_ADVANCE_DONE };

/* Runs, or runs on, for at most so many rows (0 = all), and says nothing of the end. After a
 * failure, with its error written, the portal may be gone. */
enum pg_advance pg_portal_advance(struct pg_conn *c, struct pg_portal *p, uint64_t max_rows);
/* Puts what it has not handed out yet aside. */
void pg_portal_park(struct pg_conn *c, struct pg_portal *p);
/* Runs, or runs on; writes rows and their end. False with an error written. */
bool pg_portal_execute(struct pg_conn *c, struct pg_portal *p, uint32_t max_rows);

/* ---- extended.c ---- */

void pg_extended(struct pg_conn *c, const struct pg_message *m);

/* ---- infer_list.c ---- */

/* Types for parameters that the client left open; PGTYPE_NONE stays where nothing tells. */
void pg_infer_params(struct pg_conn *c, const struct pg_text *t, uint32_t *types, unsigned n);
/* The same for expression columns, of which `ahead` knows the tables; NULL = without them. */
struct infer;
void pg_infer_columns(struct pg_conn *c, const struct pg_text *t, struct infer *ahead,
                      struct pg_column *columns, unsigned n);
/* The statement with each UUID in lower case, as a uuid is kept, that is compared with such a
 * column; of the same length. Its own text where there is none. */
const char *pg_lower_uuids(struct pg_conn *c, const struct pg_text *t);
/* What a statement's tables say about its result, asked before it runs; NULL: they say nothing that
 * SQLite does not, which the text remembers. In the arena. Not while a request runs. */
struct infer *pg_infer_ahead(struct pg_conn *c, struct pg_text *t);

#endif
