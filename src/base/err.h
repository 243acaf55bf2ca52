/*
 * Errors: one table for all protocols.
 *
 * Every failure in the program is one `enum err_code` plus, in a `struct err` that the caller owns,
 * what a person needs to know. The table below is the only place where a code is tied to a
 * SQLSTATE, a MySQL error number, an HTTP status and a gRPC status; every wire server reads it from
 * here.
 *
 * A function that can fail returns `enum err_code` and takes a `struct err *` as its last argument,
 * which it fills through err_set() exactly when it returns something else than ERR_OK. The pointer
 * is never NULL. All functions here may be called from any thread.
 */
#ifndef HA_BASE_ERR_H
#define HA_BASE_ERR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/* clang-format off */
/*        name               text                               SQLSTATE  MySQL HTTP gRPC */
#define ERR_TABLE(X)                                                                               \
    X(OK,                    "ok",                               "00000",    0, 200,  0)           \
    X(SYNTAX,                "syntax error",                     "42601", 1064, 400,  3)           \
    X(SQL,                   "SQL error",                        "42000", 1064, 400,  3)           \
    X(NO_TABLE,              "no such table",                    "42P01", 1146, 400,  3)           \
    X(NO_COLUMN,             "no such column",                   "42703", 1054, 400,  3)           \
    X(NO_FUNCTION,           "no such function",                 "42883", 1305, 400,  3)           \
    X(NO_OBJECT,             "no such object",                   "42704", 1091, 400,  3)           \
    X(TABLE_EXISTS,          "object already exists",            "42P07", 1050, 400,  6)           \
    X(UNIQUE,                "unique constraint failed",         "23505", 1062, 409,  6)           \
    X(NOT_NULL,              "not-null constraint failed",       "23502", 1048, 409,  9)           \
    X(FOREIGN_KEY,           "foreign key constraint failed",    "23503", 1452, 409,  9)           \
    X(CHECK,                 "check constraint failed",          "23514", 3819, 409,  9)           \
    X(CONSTRAINT,            "constraint failed",                "23000", 1644, 409,  9)           \
    X(RAISED,                "raised by a trigger",              "P0001", 1644, 409,  9)           \
    X(MISMATCH,              "datatype mismatch",                "42804", 1366, 400,  3)           \
    X(PARAM,                 "invalid parameter",                "22023", 1210, 400,  3)           \
    X(PROTOCOL,              "malformed request",                "08P01", 1047, 400,  3)           \
    X(COPY,                  "malformed COPY data",              "22P04", 1261, 400,  3)           \
    X(TOO_BIG,               "too big",                          "54000", 1153, 413,  8)           \
    X(CONFLICT,              "conflicting write, retry",         "40001", 1213, 409, 10)           \
    X(TX_ABORTED,            "transaction is aborted",           "25P02", 1213, 409,  9)           \
    X(TX_IDLE,               "idle transaction was rolled back", "25P03", 1205, 409, 10)           \
    X(TX_NONE,               "no transaction is active",         "25P01", 1305, 400,  9)           \
    X(TX_ACTIVE,             "a transaction is already active",  "25001", 1568, 400,  9)           \
    X(SAVEPOINT,             "no such savepoint",                "3B001", 1305, 400,  9)           \
    X(BUSY,                  "database is busy",                 "55P03", 1205, 503, 14)           \
    X(CHANGED,               "row has changed since",            "55000", 1020, 409,  9)           \
    X(SCHEMA_CHANGED,        "table has changed since",          "55000", 1412, 409,  9)           \
    X(TOO_OLD,               "no longer in the log",             "72000", 1236, 410, 11)           \
    X(READ_ONLY,             "read-only",                        "25006", 1290, 409,  9)           \
    X(DENIED,                "not permitted",                    "42501", 1142, 400,  7)           \
    X(AUTH,                  "authentication failed",            "28P01", 1045, 401, 16)           \
    X(INTERRUPTED,           "canceled",                         "57014", 1317, 499,  1)           \
    X(TIMEOUT,               "statement timed out",              "57014", 3024, 408,  4)           \
    X(NO_DATABASE,           "no such database",                 "3D000", 1049, 404,  5)           \
    X(DATABASE_EXISTS,       "database already exists",          "42P04", 1007, 409,  6)           \
    X(NOT_FOUND,             "not found",                        "02000", 1176, 404,  5)           \
    X(METHOD,                "method not allowed",               "0A000", 1047, 405, 12)           \
    X(UNSUPPORTED,           "not supported",                    "0A000", 1235, 400, 12)           \
    X(TOO_MANY,              "too many connections",             "53300", 1040, 503,  8)           \
    X(NO_MEMORY,             "out of memory",                    "53200", 1037, 503,  8)           \
    X(DISK_FULL,             "disk full",                        "53100", 1021, 503,  8)           \
    X(IO,                    "input/output error",               "58030", 1030, 503, 15)           \
    X(CORRUPT,               "database file is damaged",         "XX001", 1194, 500, 15)           \
    X(LOG_UNAVAILABLE,       "the log cannot be reached",        "57P03", 1053, 503, 14)           \
    X(NO_LEADER,             "no leader",                        "57P03", 1053, 503, 14)           \
    X(UNKNOWN_OUTCOME,       "commit outcome unknown",           "08007", 1180, 503,  2)           \
    X(STOPPED,               "database is stopped on this node", "57P03", 1290, 503, 14)           \
    X(LAGGING,               "node has not caught up",           "57P03", 1205, 503, 14)           \
    X(SHUTDOWN,              "node is shutting down",            "57P01", 1053, 503, 14)           \
    X(FORMAT,                "message cannot be decoded",        "XX001", 1194, 500, 15)           \
    X(DIVERGED,              "file and log do not agree",        "XX001", 1194, 500, 15)           \
    X(SCRIPT,                "interceptor has failed",           "38000", 1644, 500, 13)           \
    X(CONFIG,                "invalid configuration",            "F0000", 1231, 400,  3)           \
    X(INTERNAL,              "internal error",                   "XX000", 1815, 500, 13)
/* clang-format on */

enum err_code {
#define X(name, text, sqlstate, mysql, http, grpc) ERR_##name,
    ERR_TABLE(X)
#undef X
        ERR_COUNT
};

/* Bytes of a message, terminator included; longer texts are cut at a UTF-8 boundary. */
#define ERR_MSG_SIZE 512

struct err {
    enum err_code code;
    int sqlite_code; /* extended result code, 0 when SQLite had no part in it */
    int offset;      /* byte offset into the SQL text, -1 when unknown */
    char msg[ERR_MSG_SIZE];
    char sqlstate[6]; /* of an error that a source has answered; "" = the code's */
    int number;       /* MySQL's, of such an error; 0 = the code's */
};

#define ERR_INIT                                                                                   \
    {                                                                                              \
        ERR_OK, 0, -1, "", "", 0                                                                   \
    }

/* Fills `e` and returns `code`, so that callers can write `return err_set(e, …)`. */
enum err_code err_set(struct err *e, enum err_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "context: " before the message; code and numbers stay. Returns e->code. */
enum err_code err_wrap(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void err_clear(struct err *e);

/* Static strings and numbers of the table; any code outside it answers as ERR_INTERNAL. */
const char *err_name(enum err_code code); /* "UNIQUE" */
const char *err_text(enum err_code code);
const char *err_sqlstate(enum err_code code);
int err_mysql(enum err_code code);
int err_http(enum err_code code);
int err_grpc(enum err_code code);

/* That of the error itself: a source's own, or its code's. */
const char *err_state(const struct err *e);

/* The code of that name, ERR_INTERNAL where there is none. */
enum err_code err_of_name(const char *name, size_t len);
/* The first code of that SQLSTATE, or one for its class; ERR_SQL where nothing is known about it.
 */
enum err_code err_of_sqlstate(const char *state);

/* True where running the same thing again may succeed without anyone mending anything. */
bool err_is_transient(enum err_code code);

#endif
