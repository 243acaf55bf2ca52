/* Statements, their execution and their results: what the files behind the command loop share. */
#ifndef HA_WIRE_MYSQL_SESSION_H
#define HA_WIRE_MYSQL_SESSION_H

#include "core/rowset.h"
#include "core/sink.h"
#include "proto/mysqltype.h"
#include "sql/mysql/dialect.h"
#include "wire/mysql/conn.h"

/* ---- context.c ---- */

/* What the dialect asks about this session; borrowed from it. */
struct mysql_context mysql_context(struct mysql_conn *c);
/* Appends a value as a literal of SQLite's. */
void mysql_put_literal(struct buf *b, const struct value *v);
void mysql_put_text_literal(struct buf *b, const char *s, size_t n);

/* ---- statement.c ---- */

/* One statement of a client's. */
struct mysql_statement {
    const char *sql; /* as sent; borrowed */
    size_t len;
    enum mysql_command command;
    const char *run; /* as executed: translated, or sql */
    size_t run_len;
    bool nothing;    /* the translation is empty: accepted, and nothing is done */
    bool several;    /* `run` holds several statements */
    bool is_session; /* what the session knew is in it */
    bool calculates; /* FOUND_ROWS() is to tell how many rows there were without LIMIT */
    unsigned n_params;
};

/* Reads and translates; memory from the arena. False with an error written. May ask the session, so
 * not while a request runs. */
bool mysql_statement_read(struct mysql_conn *c, const char *sql, size_t len,
                          struct mysql_statement *t);

struct mysql_prepared;

/* Runs it and writes its result. `p`: it is executed as prepared, with these values and a binary
 * result, which goes into the statement's cursor where it asks for one. False with an error
 * written. */
bool mysql_statement_run(struct mysql_conn *c, const struct mysql_statement *t,
                         struct mysql_prepared *p);
/* A fixed statement, without a word to the client. */
enum err_code mysql_exec(struct mysql_conn *c, const char *sql, struct err *e);
/* Runs a query for its first value, in the arena. False with an error written. */
bool mysql_value_of(struct mysql_conn *c, const char *expression, size_t len, struct value *out);
struct request_options mysql_request_options(const struct mysql_conn *c);

/* ---- result.c: the executor's rows as packets ---- */

#define MYSQL_LOOK_AHEAD 64u /* rows that are looked at for the types of expressions */

struct mysql_field {
    char *name; /* in the result's arena */
    struct mysqltype_ref type;
    bool declared; /* by a column, not by values */
};

struct mysql_result {
    struct sink sink;
    struct mysql_conn *conn;
    bool binary;
    bool columns_only;     /* for descriptions: no rows come */
    struct rowset *cursor; /* rows go here instead; borrowed */
    struct arena *arena;   /* owned: names, and the rows that are looked at */
    unsigned n_fields;
    struct mysql_field *fields;
    bool has_rows;              /* columns have come */
    bool described;             /* … and their definitions have been written */
    const struct value **ahead; /* rows that wait for the definitions */
    unsigned n_ahead;
    uint64_t rows;
    int64_t affected;
    int64_t last_insert_id;
    unsigned fault; /* a value could not be what was promised: MySQL's number */
    char fault_text[256];
};

bool mysql_result_init(struct mysql_result *r, struct mysql_conn *c); /* false: no memory */
void mysql_result_fini(struct mysql_result *r);
/* Writes what waits, and the definitions where no row has come. */
void mysql_result_finish(struct mysql_result *r);
/* Count and definitions, with the EOF behind them. `status` of that EOF. */
void mysql_write_fields(struct mysql_conn *c, const struct mysql_field *fields, unsigned n,
                        bool with_count, uint16_t status);
/* One row; false: `r` has failed. */
bool mysql_write_row(struct mysql_result *r, const struct value *values, unsigned n);
/* The end of rows. */
void mysql_write_end(struct mysql_conn *c, uint16_t status);
void mysql_write_ok(struct mysql_conn *c, uint64_t affected, uint64_t last_insert_id,
                    const char *info);

/* ---- tx.c ---- */

uint16_t mysql_status(const struct mysql_conn *c);
/* BEGIN … ROLLBACK TO. False with an error written; else nothing has been written. */
bool mysql_control(struct mysql_conn *c, const struct mysql_statement *t);
/* Before a statement runs: without autocommit it begins a transaction, and DDL ends one. */
bool mysql_tx_before(struct mysql_conn *c, const struct mysql_statement *t);
/* After an error of core's: a transaction that has lost is over, as in MySQL. */
void mysql_tx_after_error(struct mysql_conn *c);
/* Commits what is open, as many statements do on their way; false with an error written. */
bool mysql_tx_commit(struct mysql_conn *c);
void mysql_tx_rollback(struct mysql_conn *c);
bool mysql_set_autocommit(struct mysql_conn *c, bool on);
void mysql_apply_read_only(struct mysql_conn *c);

/* ---- set.c ---- */

bool mysql_run_set(struct mysql_conn *c, const struct mysql_statement *t);
void mysql_apply_sql_mode(struct mysql_conn *c);

/* ---- command.c: statements of our own; true = done, and nothing has been written ---- */

bool mysql_run_command(struct mysql_conn *c, const struct mysql_statement *t);
bool mysql_use(struct mysql_conn *c, const char *name);
bool mysql_kill(struct mysql_conn *c, uint32_t id, bool connection);

/* ---- query.c ---- */

void mysql_query(struct mysql_conn *c, const char *sql, size_t len);
void mysql_field_list(struct mysql_conn *c, const char *body, size_t len);

/* ---- prepared.c ---- */

struct mysql_param_data { /* COM_STMT_SEND_LONG_DATA */
    struct buf data;
    bool sent;
};

struct mysql_prepared {
    struct mysql_prepared *next;
    uint32_t id;
    char *sql; /* owned */
    size_t len;
    char *run; /* owned: the translation, where it is the same each time; NULL = translate anew */
    struct mysql_statement text;
    unsigned n_params;
    char *types;                     /* two bytes each, as sent last; NULL = never */
    struct mysql_param_data *pieces; /* n_params; NULL = none were sent */
    struct param *params;            /* n_params */
    struct buf data;                 /* of the values */
    bool wants_cursor;
    struct rowset *cursor;     /* open: what has not been fetched */
    struct mysql_result shape; /* of the open cursor */
    bool has_shape;
};

void mysql_prepare(struct mysql_conn *c, const char *sql, size_t len);
void mysql_execute(struct mysql_conn *c, const char *body, size_t len);
void mysql_long_data(struct mysql_conn *c, const char *body, size_t len);
void mysql_close_prepared(struct mysql_conn *c, const char *body, size_t len);
void mysql_reset_prepared(struct mysql_conn *c, const char *body, size_t len);
void mysql_fetch(struct mysql_conn *c, const char *body, size_t len);
void mysql_prepared_clear(struct mysql_conn *c);

/* ---- session.c ---- */

/* As a connection begins: no transaction, no variables, no prepared statements. */
void mysql_reset(struct mysql_conn *c);

#endif
