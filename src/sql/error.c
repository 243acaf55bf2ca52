/* Extended result codes first; for the plain SQLITE_ERROR only the message tells. */
#include "sql/error.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <string.h>

static const struct {
    int rc;
    enum err_code code;
} by_extended[] = {
    {SQLITE_CONSTRAINT_UNIQUE, ERR_UNIQUE},
    {SQLITE_CONSTRAINT_PRIMARYKEY, ERR_UNIQUE},
    {SQLITE_CONSTRAINT_ROWID, ERR_UNIQUE},
    {SQLITE_CONSTRAINT_NOTNULL, ERR_NOT_NULL},
    {SQLITE_CONSTRAINT_FOREIGNKEY, ERR_FOREIGN_KEY},
    {SQLITE_CONSTRAINT_CHECK, ERR_CHECK},
    {SQLITE_CONSTRAINT_TRIGGER, ERR_RAISED},
    {SQLITE_CONSTRAINT_DATATYPE, ERR_MISMATCH}, /* STRICT tables */
    {SQLITE_IOERR_NOMEM, ERR_NO_MEMORY},
    {SQLITE_IOERR_SHMSIZE, ERR_DISK_FULL}, /* no room for the shared-memory file's next part */
    {SQLITE_IOERR_CORRUPTFS, ERR_CORRUPT},
    {SQLITE_IOERR_DATA, ERR_CORRUPT},
    {SQLITE_ABORT_ROLLBACK, ERR_TX_ABORTED},
};

static const struct {
    int rc;
    enum err_code code;
} by_primary[] = {
    {SQLITE_CONSTRAINT, ERR_CONSTRAINT},
    {SQLITE_MISMATCH, ERR_MISMATCH},
    {SQLITE_BUSY, ERR_BUSY},
    {SQLITE_LOCKED, ERR_BUSY},
    {SQLITE_SCHEMA, ERR_BUSY}, /* the schema kept changing under the statement */
    {SQLITE_PROTOCOL, ERR_BUSY},
    {SQLITE_READONLY, ERR_READ_ONLY},
    {SQLITE_INTERRUPT, ERR_INTERRUPTED},
    {SQLITE_ABORT, ERR_INTERRUPTED},
    {SQLITE_TOOBIG, ERR_TOO_BIG},
    {SQLITE_NOMEM, ERR_NO_MEMORY},
    {SQLITE_FULL, ERR_TOO_BIG}, /* of the database itself; of the disk, from_errno() */
    {SQLITE_IOERR, ERR_IO},
    {SQLITE_CANTOPEN, ERR_IO},
    {SQLITE_PERM, ERR_IO},
    {SQLITE_CORRUPT, ERR_CORRUPT},
    {SQLITE_NOTADB, ERR_CORRUPT},
    {SQLITE_AUTH, ERR_DENIED},
    {SQLITE_RANGE, ERR_PARAM},
    {SQLITE_NOLFS, ERR_TOO_BIG},
    {SQLITE_ERROR, ERR_SQL},
};

/*
 * Messages of SQLITE_ERROR. They may quote the user's own text, so that only their beginning or
 * their end is compared, never the middle.
 */
enum how { BEGINS, ENDS, IS };

static const struct {
    enum how how;
    const char *text;
    enum err_code code;
} by_message[] = {
    {BEGINS, "no such table: ", ERR_NO_TABLE},
    {BEGINS, "no such view: ", ERR_NO_TABLE},
    {BEGINS, "no such table column: ", ERR_NO_COLUMN}, /* sqlite3_table_column_metadata() */
    {BEGINS, "no such column: ", ERR_NO_COLUMN},
    {BEGINS, "no such function: ", ERR_NO_FUNCTION},
    {BEGINS, "no such table-valued function: ", ERR_NO_FUNCTION},
    {BEGINS, "no such savepoint: ", ERR_SAVEPOINT},
    {BEGINS, "there is already ", ERR_TABLE_EXISTS},
    {BEGINS, "unrecognized token: ", ERR_SYNTAX},
    {IS, "incomplete input", ERR_SYNTAX},
    {IS, "cannot start a transaction within a transaction", ERR_TX_ACTIVE},
    {IS, "cannot commit - no transaction is active", ERR_TX_NONE},
    {IS, "cannot rollback - no transaction is active", ERR_TX_NONE},
    {ENDS, ": syntax error", ERR_SYNTAX},
    {ENDS, " already exists", ERR_TABLE_EXISTS},
};

static bool matches(enum how how, const char *text, const char *msg)
{
    size_t n = strlen(text), m = strlen(msg);

    switch (how) {
    case BEGINS:
        return strncmp(msg, text, n) == 0;
    case ENDS:
        return m >= n && strcmp(msg + m - n, text) == 0;
    case IS:
        break;
    }
    return strcmp(msg, text) == 0;
}

/* `table t has no column named c`: the names come from the user, the words between do not. */
static bool is_missing_column(const char *msg)
{
    return strncmp(msg, "table ", 6) == 0 && strstr(msg, " has no column named ") != NULL;
}

static enum err_code from_message(const char *msg)
{
    for (size_t i = 0; i < sizeof by_message / sizeof by_message[0]; i++)
        if (matches(by_message[i].how, by_message[i].text, msg))
            return by_message[i].code;
    return is_missing_column(msg) ? ERR_NO_COLUMN : ERR_SQL;
}

static enum err_code from_errno(int rc, int sys_errno)
{
    if ((rc & 0xff) != SQLITE_IOERR && (rc & 0xff) != SQLITE_CANTOPEN && (rc & 0xff) != SQLITE_FULL)
        return ERR_OK;
    switch (sys_errno) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return ERR_DISK_FULL;
    case EROFS:
        return ERR_READ_ONLY;
    case ENOMEM:
        return ERR_NO_MEMORY;
    default:
        return ERR_OK;
    }
}

enum err_code error_from_sqlite(int rc, const char *msg, int sys_errno)
{
    enum err_code code = from_errno(rc, sys_errno);

    if (rc == SQLITE_OK || rc == SQLITE_ROW || rc == SQLITE_DONE)
        return ERR_OK;
    if (code != ERR_OK)
        return code;
    for (size_t i = 0; i < sizeof by_extended / sizeof by_extended[0]; i++)
        if (by_extended[i].rc == rc)
            return by_extended[i].code;
    if ((rc & 0xff) == SQLITE_ERROR && msg)
        return from_message(msg);
    for (size_t i = 0; i < sizeof by_primary / sizeof by_primary[0]; i++)
        if (by_primary[i].rc == (rc & 0xff))
            return by_primary[i].code;
    return ERR_INTERNAL;
}
