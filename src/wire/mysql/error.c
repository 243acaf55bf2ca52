/*
 * Errors and warnings as MySQL words them. SQLite names what failed inside its message:
 *
 *   UNIQUE constraint failed: t.a, t.b        index 'name' for expressions
 *   NOT NULL constraint failed: t.a
 *   no such table: t      no such column: a
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/mysql/conn.h"

#define MESSAGE_BYTES (ERR_MSG_SIZE + 256)

/* What a number's SQLSTATE is ("Server Error Message Reference"); HY000 where none is listed. */
static const struct {
    unsigned code;
    char state[6];
} states[] = {
    {1007, "HY000"}, {1008, "HY000"}, {1037, "HY001"}, {1040, "08004"}, {1043, "08S01"},
    {1044, "42000"}, {1045, "28000"}, {1046, "3D000"}, {1047, "08S01"}, {1048, "23000"},
    {1049, "42000"}, {1050, "42S01"}, {1051, "42S02"}, {1053, "08S01"}, {1054, "42S22"},
    {1062, "23000"}, {1064, "42000"}, {1065, "42000"}, {1091, "42000"}, {1142, "42000"},
    {1146, "42S02"}, {1153, "08S01"}, {1176, "42000"}, {1210, "HY000"}, {1213, "40001"},
    {1231, "42000"}, {1235, "42000"}, {1261, "01000"}, {1264, "22003"}, {1305, "42000"},
    {1317, "70100"}, {1366, "HY000"}, {1452, "23000"}, {1461, "42000"}, {1568, "25001"},
    {1644, "45000"}, {1451, "23000"}, {3819, "HY000"}, {1243, "HY000"}, {1094, "HY000"},
};

const char *mysql_sqlstate(unsigned code)
{
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++)
        if (states[i].code == code)
            return states[i].state;
    return "HY000";
}

/* ---- warnings ---- */

void mysql_clear_warnings(struct mysql_conn *c)
{
    c->n_warnings = c->n_errors = 0;
}

static void note(struct mysql_conn *c, const char *level, unsigned code, const char *text)
{
    struct mysql_warning *w;

    if (!c->warnings)
        c->warnings = calloc(MYSQL_WARNINGS_MAX, sizeof *c->warnings);
    if (!c->warnings)
        return;
    if (c->n_warnings < MYSQL_WARNINGS_MAX) {
        w = &c->warnings[c->n_warnings];
        w->code = code;
        w->level = level;
        (void)snprintf(w->text, sizeof w->text, "%s", text);
    }
    if (c->n_warnings < UINT16_MAX)
        c->n_warnings++;
}

void mysql_warn(struct mysql_conn *c, const char *level, unsigned code, const char *fmt, ...)
{
    char text[MESSAGE_BYTES];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    note(c, level, code, text);
}

/* ---- errors ---- */

static void write_error(struct mysql_conn *c, unsigned code, const char *state, const char *text)
{
    mysqlwire_write_error(&c->out, code, state, text);
    note(c, "Error", code, text);
    c->n_errors++;
    c->row_count = -1;
}

void mysql_error(struct mysql_conn *c, unsigned code, const char *fmt, ...)
{
    char text[MESSAGE_BYTES];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    write_error(c, code, mysql_sqlstate(code), text);
}

/* Behind "…: " in SQLite's message; NULL if it is not there. */
static const char *behind(const char *msg, const char *prefix)
{
    const char *p = strstr(msg, prefix);

    return p ? p + strlen(prefix) : NULL;
}

static const char *last_name(const char *list)
{
    const char *dot = strrchr(list, '.');

    return dot ? dot + 1 : list;
}

/* Into `text`; false: SQLite's message says it well enough. */
static bool word(const struct mysql_conn *c, const struct err *e, char text[MESSAGE_BYTES])
{
    const char *p;

    switch (e->code) {
    case ERR_UNIQUE:
        p = behind(e->msg, "UNIQUE constraint failed: ");
        if (!p)
            return false;
        if (strncmp(p, "index '", 7) == 0)
            (void)snprintf(text, MESSAGE_BYTES, "Duplicate entry for key '%.*s'",
                           (int)strcspn(p + 7, "'"), p + 7);
        else
            (void)snprintf(text, MESSAGE_BYTES, "Duplicate entry for key '%s'", p);
        return true;
    case ERR_NOT_NULL:
        p = behind(e->msg, "NOT NULL constraint failed: ");
        if (p)
            (void)snprintf(text, MESSAGE_BYTES, "Column '%s' cannot be null", last_name(p));
        return p != NULL;
    case ERR_CHECK:
        p = behind(e->msg, "CHECK constraint failed: ");
        if (p)
            (void)snprintf(text, MESSAGE_BYTES, "Check constraint '%s' is violated.", p);
        return p != NULL;
    case ERR_FOREIGN_KEY:
        (void)snprintf(text, MESSAGE_BYTES,
                       "Cannot add or update a child row: a foreign key constraint fails");
        return true;
    case ERR_NO_TABLE:
        p = behind(e->msg, "no such table: ");
        if (!p)
            p = behind(e->msg, "no such view: ");
        if (p && strncmp(p, "main.", 5) == 0)
            p += 5;
        if (p)
            (void)snprintf(text, MESSAGE_BYTES, "Table '%s.%s' doesn't exist", c->schema, p);
        return p != NULL;
    case ERR_NO_COLUMN:
        p = behind(e->msg, "no such column: ");
        if (p) {
            (void)snprintf(text, MESSAGE_BYTES, "Unknown column '%s' in 'field list'", p);
            return true;
        }
        p = behind(e->msg, " has no column named ");
        if (p)
            (void)snprintf(text, MESSAGE_BYTES, "Unknown column '%s' in 'field list'", p);
        return p != NULL;
    case ERR_NO_FUNCTION:
        p = behind(e->msg, "no such function: ");
        if (p)
            (void)snprintf(text, MESSAGE_BYTES, "FUNCTION %s.%s does not exist", c->schema, p);
        return p != NULL;
    case ERR_TABLE_EXISTS:
        if (strncmp(e->msg, "table ", 6) == 0)
            (void)snprintf(text, MESSAGE_BYTES, "Table '%.*s' already exists",
                           (int)strcspn(e->msg + 6 + (e->msg[6] == '"'), "\" "),
                           e->msg + 6 + (e->msg[6] == '"'));
        return strncmp(e->msg, "table ", 6) == 0;
    case ERR_SYNTAX:
        (void)snprintf(text, MESSAGE_BYTES, "You have an error in your SQL syntax; %s", e->msg);
        return true;
    case ERR_CONFLICT:
        (void)snprintf(text, MESSAGE_BYTES,
                       "Deadlock found when trying to get lock; try restarting transaction (%s)",
                       e->msg);
        return true;
    case ERR_INTERRUPTED:
        (void)snprintf(text, MESSAGE_BYTES, "Query execution was interrupted");
        return true;
    case ERR_TIMEOUT:
        (void)snprintf(text, MESSAGE_BYTES,
                       "Query execution was interrupted, maximum statement execution time "
                       "exceeded");
        return true;
    case ERR_NO_DATABASE:
        p = strchr(e->msg, '"');
        if (p)
            (void)snprintf(text, MESSAGE_BYTES, "Unknown database '%.*s'",
                           (int)strcspn(p + 1, "\""), p + 1);
        return p != NULL;
    default:
        return false;
    }
}

void mysql_error_core(struct mysql_conn *c, const struct err *e)
{
    char text[MESSAGE_BYTES];
    unsigned code = (unsigned)err_mysql(e->code);

    if (e->number) { /* a MySQL has said it */
        write_error(c, (unsigned)e->number, err_state(e), e->msg);
        return;
    }
    if (!word(c, e, text))
        (void)snprintf(text, sizeof text, "%s", e->msg);
    write_error(c, code, mysql_sqlstate(code), text);
}
