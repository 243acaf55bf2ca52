/*
 * Errors as PostgreSQL words them. SQLite names what failed inside its message:
 *
 *   UNIQUE constraint failed: t.a, t.b        index 'name' for expressions
 *   NOT NULL constraint failed: t.a
 *   CHECK constraint failed: name or expression
 *   FOREIGN KEY constraint failed
 *
 * so table, column and constraint come from there.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "sql/pg/dialect.h"
#include "wire/pg/conn.h"
#include "wire/pg/session.h"

#define SQLITE_PRIMARYKEY 1555 /* SQLITE_CONSTRAINT_PRIMARYKEY */
#define SQLITE_ROWID      2579 /* SQLITE_CONSTRAINT_ROWID */

static void write_text(struct pg_conn *c, char type, const char *severity, const char *sqlstate,
                       const char *fmt, va_list args) __attribute__((format(printf, 5, 0)));

static void write_text(struct pg_conn *c, char type, const char *severity, const char *sqlstate,
                       const char *fmt, va_list args)
{
    char text[ERR_MSG_SIZE + 256];
    struct pgwire_error e = {
        .severity = severity, .sqlstate = sqlstate, .message = text, .where = c->context};

    (void)vsnprintf(text, sizeof text, fmt, args);
    pgwire_write_error(&c->io.out, type, &e);
}

void pg_error(struct pg_conn *c, const char *sqlstate, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    write_text(c, 'E', "ERROR", sqlstate, fmt, args);
    va_end(args);
    pg_tx_failed(c);
}

void pg_fatal(struct pg_conn *c, const char *sqlstate, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    write_text(c, 'E', "FATAL", sqlstate, fmt, args);
    va_end(args);
    c->closing = true;
}

void pg_notice(struct pg_conn *c, const char *severity, const char *sqlstate, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    write_text(c, 'N', severity, sqlstate, fmt, args);
    va_end(args);
}

bool pg_check_text(struct pg_conn *c, const char *text, size_t len)
{
    char bytes[PGTYPE_BAD_BYTES];

    if (json_is_text(text, len))
        return true;
    pgtype_bad_bytes(text, len, bytes);
    pg_error(c, "22021", "invalid byte sequence for encoding \"UTF8\": %s", bytes);
    return false;
}

/* Behind "…: " in SQLite's message; NULL if it is not there. */
static const char *behind(const char *msg, const char *prefix)
{
    const char *p = strstr(msg, prefix);

    return p ? p + strlen(prefix) : NULL;
}

struct names {
    char table[128], column[128], constraint[264], columns[256];
};

/* "t.a, t.b" → table t, column a (where it is the only one), columns "a, b". */
static void read_names(struct names *n, const char *list)
{
    unsigned count = 0;

    memset(n, 0, sizeof *n);
    while (*list) {
        const char *end = strstr(list, ", ");
        size_t len = end ? (size_t)(end - list) : strlen(list);
        const char *dot = memchr(list, '.', len);
        if (!dot)
            return;
        (void)snprintf(n->table, sizeof n->table, "%.*s", (int)(dot - list), list);
        (void)snprintf(n->column, sizeof n->column, "%.*s", (int)(len - (size_t)(dot - list) - 1),
                       dot + 1);
        size_t at = strlen(n->columns);
        (void)snprintf(n->columns + at, sizeof n->columns - at, "%s%s", count > 0 ? "_" : "",
                       n->column);
        count++;
        list += len + (end ? 2 : 0);
    }
    if (count > 1)
        n->column[0] = '\0';
}

static const char *or_null(const char *s)
{
    return *s ? s : NULL;
}

struct wording {
    char message[ERR_MSG_SIZE];
    struct names names;
};

static void word_unique(struct pgwire_error *out, struct wording *w, const struct err *e)
{
    const char *list = behind(e->msg, "UNIQUE constraint failed: ");

    if (!list)
        return;
    if (strncmp(list, "index '", 7) == 0) {
        (void)snprintf(w->names.constraint, sizeof w->names.constraint, "%.*s",
                       (int)strcspn(list + 7, "'"), list + 7);
    } else {
        read_names(&w->names, list);
        if (e->sqlite_code == SQLITE_PRIMARYKEY || e->sqlite_code == SQLITE_ROWID)
            (void)snprintf(w->names.constraint, sizeof w->names.constraint, "%s_pkey",
                           w->names.table);
        else
            (void)snprintf(w->names.constraint, sizeof w->names.constraint, "%.100s_%.150s_key",
                           w->names.table, w->names.columns);
    }
    (void)snprintf(w->message, sizeof w->message,
                   "duplicate key value violates unique constraint \"%s\"", w->names.constraint);
    out->message = w->message;
    out->detail = e->msg;
    out->table = or_null(w->names.table);
    out->constraint = w->names.constraint;
}

static void word_not_null(struct pgwire_error *out, struct wording *w, const struct err *e)
{
    const char *list = behind(e->msg, "NOT NULL constraint failed: ");

    if (!list)
        return;
    read_names(&w->names, list);
    (void)snprintf(w->message, sizeof w->message,
                   "null value in column \"%s\" of relation \"%s\" violates not-null constraint",
                   w->names.column, w->names.table);
    out->message = w->message;
    out->detail = e->msg;
    out->table = or_null(w->names.table);
    out->column = or_null(w->names.column);
}

static void word_check(struct pgwire_error *out, struct wording *w, const struct err *e)
{
    const char *name = behind(e->msg, "CHECK constraint failed: ");

    if (!name)
        return;
    (void)snprintf(w->names.constraint, sizeof w->names.constraint, "%s", name);
    (void)snprintf(w->message, sizeof w->message, "new row violates check constraint \"%s\"",
                   w->names.constraint);
    out->message = w->message;
    out->detail = e->msg;
    out->constraint = w->names.constraint;
}

static void word_name(struct pgwire_error *out, struct wording *w, const struct err *e,
                      const char *prefix, const char *fmt_before, const char *fmt_after)
{
    const char *name = behind(e->msg, prefix);

    if (!name)
        return;
    (void)snprintf(w->message, sizeof w->message, "%s\"%s\"%s", fmt_before, name, fmt_after);
    out->message = w->message;
    out->detail = e->msg;
}

static void word_syntax(struct pgwire_error *out, struct wording *w, const struct err *e)
{
    size_t n = strlen(e->msg);
    static const char tail[] = ": syntax error";

    if (strcmp(e->msg, "incomplete input") == 0) {
        out->message = "syntax error at end of input";
    } else if (strncmp(e->msg, "near ", 5) == 0 && n > sizeof tail + 5 &&
               strcmp(e->msg + n - (sizeof tail - 1), tail) == 0) {
        (void)snprintf(w->message, sizeof w->message, "syntax error at or near %.*s",
                       (int)(n - 5 - (sizeof tail - 1)), e->msg + 5);
        out->message = w->message;
    }
}

/*
 * Where one code stands for several SQLSTATEs the message tells, of SQLite or of our functions. It
 * may quote the client's own text, but nowhere at its beginning or, outside quotes, at its end.
 */
static const struct {
    enum err_code code;
    const char *begins, *ends; /* NULL: whatever */
    const char *sqlstate;
} by_message[] = {
    {ERR_MISMATCH, "date/time field value out of range", NULL, "22008"},
    {ERR_MISMATCH, "timestamp out of range", NULL, "22008"},
    {ERR_MISMATCH, "value \"", NULL, "22003"}, /* … is out of range for type … */
    {ERR_MISMATCH, NULL, " out of range", "22003"},
    {ERR_MISMATCH, "invalid input syntax for type date", NULL, "22007"},
    {ERR_MISMATCH, "invalid input syntax for type time", NULL, "22007"}, /* timestamp */
    {ERR_MISMATCH, "invalid input syntax for type interval", NULL, "22007"},
    {ERR_MISMATCH, "invalid hexadecimal data", NULL, "22023"},
    {ERR_MISMATCH, "invalid regular expression: ", NULL, "2201B"},
    {ERR_MISMATCH, "invalid escape string: ", NULL, "22025"},
    {ERR_MISMATCH, "LIKE pattern must not end", NULL, "22025"},
    {ERR_MISMATCH, "field position must not be zero", NULL, "22023"},
    {ERR_MISMATCH, "unit \"", NULL, "22023"},
    {ERR_MISMATCH, "unrecognized privilege type: ", NULL, "22023"},
    {ERR_MISMATCH, "unrecognized configuration parameter ", NULL, "42704"},
    {ERR_MISMATCH, "invalid value for parameter ", NULL, "22023"},
    {ERR_MISMATCH, "parameter \"", NULL, "55P02"}, /* … cannot be changed */
    {ERR_MISMATCH, NULL, NULL, "22P02"},
    {ERR_PARAM, "there is no parameter ", NULL, "42P02"},
    {ERR_PARAM, "HISTORY: ", NULL, "22023"},
    {ERR_PARAM, "UNDO: ", NULL, "22023"},
    {ERR_PARAM, "UNDOE: ", NULL, "22023"},
    {ERR_PARAM, "UNDOT: ", NULL, "22023"},
    {ERR_PARAM, NULL, NULL, "08P01"},
    {ERR_SQL, "ambiguous column name: ", NULL, "42702"},
    {ERR_SQL, "duplicate column name: ", NULL, "42701"},
    {ERR_SQL, "no such index: ", NULL, "42704"},
    {ERR_SQL, "wrong number of arguments to function ", NULL, "42883"},
    {ERR_SQL, "misuse of aggregate", NULL, "42803"},
    {ERR_SQL, "integer overflow", NULL, "22003"},
    {ERR_SQL, NULL, NULL, "42601"},
};

static bool fits(const char *msg, const char *begins, const char *ends)
{
    size_t n = strlen(msg), m = ends ? strlen(ends) : 0;

    return (!begins || strncmp(msg, begins, strlen(begins)) == 0) &&
           (!ends || (n >= m && strcmp(msg + n - m, ends) == 0));
}

static const char *sqlstate_of(const struct err *e)
{
    if (e->sqlstate[0])
        return e->sqlstate;
    if (e->code == ERR_BUSY)
        return "40001"; /* so that drivers run the transaction again */
    for (size_t i = 0; i < sizeof by_message / sizeof *by_message; i++)
        if (by_message[i].code == e->code && fits(e->msg, by_message[i].begins, by_message[i].ends))
            return by_message[i].sqlstate;
    return err_state(e);
}

/* Characters up to byte `offset`, from 1. */
static size_t position(const char *sql, size_t len, int offset)
{
    size_t n = 1;

    for (size_t i = 0; i < len && i < (size_t)offset; i++)
        n += ((unsigned char)sql[i] & 0xC0) != 0x80;
    return n;
}

void pg_error_core(struct pg_conn *c, const struct err *e, const char *sql, size_t len)
{
    struct wording w = {0};
    struct pgwire_error out = {
        .severity = "ERROR", .sqlstate = sqlstate_of(e), .message = e->msg, .where = c->context};

    switch (e->code) {
    case ERR_UNIQUE:
        word_unique(&out, &w, e);
        break;
    case ERR_NOT_NULL:
        word_not_null(&out, &w, e);
        break;
    case ERR_CHECK:
        word_check(&out, &w, e);
        break;
    case ERR_NO_TABLE:
        word_name(&out, &w, e, "no such table: ", "relation ", " does not exist");
        break;
    case ERR_NO_COLUMN:
        word_name(&out, &w, e, "no such column: ", "column ", " does not exist");
        break;
    case ERR_NO_FUNCTION:
        word_name(&out, &w, e, "no such function: ", "function ", " does not exist");
        break;
    case ERR_SYNTAX:
        word_syntax(&out, &w, e);
        break;
    case ERR_INTERRUPTED:
        out.message = "canceling statement due to user request";
        break;
    case ERR_TIMEOUT:
        out.message = "canceling statement due to statement timeout";
        break;
    case ERR_READ_ONLY:
        out.message = "cannot execute statement in a read-only transaction";
        out.detail = e->msg;
        break;
    case ERR_TX_ABORTED:
        out.message =
            "current transaction is aborted, commands ignored until end of transaction block";
        break;
    default:
        break;
    }
    if (sql && e->offset >= 0)
        out.position = position(sql, len, e->offset);
    pgwire_write_error(&c->io.out, 'E', &out);
    pg_tx_failed(c);
}

void pg_error_text(struct pg_conn *c, const struct err *e, const struct pg_text *t)
{
    struct err moved = *e;
    const char *base = c->query && t && t->sql >= c->query ? c->query : t ? t->sql : NULL;

    if (!t || e->offset < 0) {
        pg_error_core(c, e, NULL, 0);
        return;
    }
    if (t->changed)
        moved.offset = (int)pg_dialect_position(t->sql, t->len, (size_t)e->offset);
    moved.offset += (int)(t->sql - base);
    pg_error_core(c, &moved, base, (size_t)(t->sql - base) + t->len);
}
