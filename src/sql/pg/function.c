/* Registration, and what the parts share. */
#include "sql/pg/function.h"

#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int pg_functions_register(sqlite3 *db, const struct pg_function *f, size_t n, void *app, int flags)
{
    for (size_t i = 0; i < n; i++) {
        int rc = sqlite3_create_function_v2(
            db, f[i].name, f[i].n_arg, SQLITE_UTF8 | flags | f[i].flags, app,
            f[i].final ? NULL : f[i].call, f[i].final ? f[i].call : NULL, f[i].final, NULL);
        if (rc != SQLITE_OK)
            return rc;
    }
    return SQLITE_OK;
}

int pg_functions_open(sqlite3 *db, int flags)
{
    int rc = pg_function_text_open(db, flags);

    if (rc == SQLITE_OK)
        rc = pg_function_cast_open(db, flags);
    if (rc == SQLITE_OK)
        rc = pg_function_time_open(db, flags);
    if (rc == SQLITE_OK)
        rc = pg_function_regexp_open(db, flags);
    if (rc == SQLITE_OK)
        rc = pg_function_array_open(db, flags);
    if (rc == SQLITE_OK)
        rc = pg_function_system_open(db, flags);
    if (rc == SQLITE_OK)
        rc = pg_function_column_open(db, flags);
    if (rc == SQLITE_OK)
        rc = pg_function_privilege_open(db, flags);
    if (rc == SQLITE_OK)
        rc = pg_function_sum_open(db, flags);
    if (rc == SQLITE_OK)
        rc = pg_series_open(db, flags);
    return rc;
}

const char *pg_arg(sqlite3_value *v, size_t *n)
{
    const char *s = (const char *)sqlite3_value_text(v);

    *n = s ? (size_t)sqlite3_value_bytes(v) : 0;
    return s;
}

void pg_result_buf(sqlite3_context *ctx, struct buf *b)
{
    if (!buf_ok(b))
        sqlite3_result_error_nomem(ctx);
    else
        sqlite3_result_text64(ctx, b->data ? b->data : "", b->len, SQLITE_TRANSIENT, SQLITE_UTF8);
    buf_free(b);
}

void pg_result_error(sqlite3_context *ctx, const char *fmt, ...)
{
    char msg[256];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(msg, sizeof msg, fmt, ap);
    va_end(ap);
    sqlite3_result_error(ctx, msg, -1);
    sqlite3_result_error_code(ctx, SQLITE_MISMATCH); /* keeps the message */
}
