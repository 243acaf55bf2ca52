/*
 * Functions that know the column they are for, for pg/insert.c:
 *
 *   pg_default(table, column)          what the column's DEFAULT comes to, now and for this row
 *   pg_stored(table, column, value)    '\x00ff' as a blob where the column is a bytea, 't' as 1
 * where it is a boolean, 'A0EE…' in lower case where it is a uuid
 *
 * The column is a name, or a number counted from 1 as INSERT without names counts. What was looked
 * up stays with the statement that calls, as long as it runs.
 */
#include <ctype.h>
#include <sqlite3.h>
#include <string.h>

#include "base/hex.h"
#include "proto/pgtype.h"
#include "sql/pg/function.h"
#include "sql/pg/type.h"

static const char by_name[] =
    "SELECT dflt_value, type FROM pragma_table_xinfo(?1) WHERE name = ?2 COLLATE NOCASE";
static const char by_place[] =
    "SELECT dflt_value, type FROM pragma_table_info(?1) ORDER BY cid LIMIT 1 OFFSET ?2 - 1";

/* The row of by_name or by_place; NULL with the call's error where there is none. */
static sqlite3_stmt *find_column(sqlite3_context *ctx, sqlite3_value **v)
{
    sqlite3 *db = sqlite3_context_db_handle(ctx);
    const char *sql = sqlite3_value_type(v[1]) == SQLITE_INTEGER ? by_place : by_name;
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &s, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_bind_value(s, 1, v[0]);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_value(s, 2, v[1]);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(s);
    if (rc == SQLITE_ROW)
        return s;
    if (rc == SQLITE_DONE)
        pg_result_error(ctx, "table \"%.100s\" has no column \"%.100s\"",
                        (const char *)sqlite3_value_text(v[0]),
                        (const char *)sqlite3_value_text(v[1]));
    else
        sqlite3_result_error(ctx, sqlite3_errmsg(db), -1);
    sqlite3_finalize(s);
    return NULL;
}

static void finalize(void *s)
{
    sqlite3_finalize(s);
}

/* SELECT of the expression. SQLite takes DEFAULT word for a text, too. */
static sqlite3_stmt *prepare_default(sqlite3_context *ctx, sqlite3_value **v)
{
    sqlite3 *db = sqlite3_context_db_handle(ctx);
    sqlite3_stmt *column = find_column(ctx, v), *s = NULL;
    const char *text;
    char *sql;
    int rc;

    if (!column)
        return NULL;
    text = (const char *)sqlite3_column_text(column, 0);
    sql = sqlite3_mprintf("SELECT %s", text ? text : "NULL");
    rc = sql ? sqlite3_prepare_v2(db, sql, -1, &s, NULL) : SQLITE_NOMEM;
    if (rc == SQLITE_ERROR && text && (isalpha((unsigned char)*text) || *text == '"')) {
        sqlite3_free(sql);
        sql = sqlite3_mprintf("SELECT %Q", text);
        rc = sql ? sqlite3_prepare_v2(db, sql, -1, &s, NULL) : SQLITE_NOMEM;
    }
    if (rc != SQLITE_OK)
        sqlite3_result_error(ctx, sqlite3_errmsg(db), -1);
    sqlite3_free(sql);
    sqlite3_finalize(column);
    return s;
}

static void column_default(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    sqlite3_stmt *s = sqlite3_get_auxdata(ctx, 0);
    bool kept = s != NULL;
    int rc;

    (void)n;
    if (!s && !(s = prepare_default(ctx, v)))
        return;
    rc = sqlite3_step(s);
    if (rc == SQLITE_ROW)
        sqlite3_result_value(ctx, sqlite3_column_value(s, 0));
    else
        sqlite3_result_error(ctx, sqlite3_errmsg(sqlite3_context_db_handle(ctx)), -1);
    sqlite3_reset(s);
    if (!kept)
        sqlite3_set_auxdata(ctx, 0, s, finalize); /* which may finalize it at once */
}

static void stored(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    sqlite3_stmt *column = find_column(ctx, v);
    struct buf bytes = BUF_INIT;
    int32_t modifier;
    size_t len;
    const char *s = pg_arg(v[2], &len), *type;
    uint32_t oid;
    bool value;

    (void)n;
    if (!column)
        return;
    type = (const char *)sqlite3_column_text(column, 1);
    oid = type && *type ? pg_type_declared(type, &modifier)->oid : PG_OID_TEXT;
    if (s && oid == PG_OID_BOOL && pg_boolean_of(s, len, &value)) {
        sqlite3_result_int(ctx, value);
    } else if (s && oid == PG_OID_UUID && pgtype_format_uuid(&bytes, s, len)) {
        sqlite3_result_text64(ctx, buf_cstr(&bytes), bytes.len, SQLITE_TRANSIENT, SQLITE_UTF8);
    } else if (s && len >= 2 && s[0] == '\\' && oid == PG_OID_BYTEA) {
        if (!hex_decode(s + 2, len - 2, &bytes))
            pg_result_error(ctx, "invalid hexadecimal data");
        else if (!buf_ok(&bytes))
            sqlite3_result_error_nomem(ctx);
        else
            sqlite3_result_blob64(ctx, bytes.len ? bytes.data : "", bytes.len, SQLITE_TRANSIENT);
    } else {
        sqlite3_result_value(ctx, v[2]);
    }
    buf_free(&bytes);
    sqlite3_finalize(column);
}

int pg_function_column_open(sqlite3 *db, int flags)
{
    static const struct pg_function functions[] = {
        {"pg_default", 2, column_default, NULL, 0},
        {"pg_stored", 3, stored, NULL, 0},
    };

    return pg_functions_register(db, functions, sizeof functions / sizeof functions[0], NULL,
                                 flags);
}
