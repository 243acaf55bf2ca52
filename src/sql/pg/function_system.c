/* Functions about the server and the session, and those whose answer is always the same here. */
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/json.h"
#include "sql/pg/catalog.h"
#include "sql/pg/function.h"
#include "sql/pg/session.h"
#include "sql/pg/type.h"

#define UNKNOWN_SETTING "unrecognized configuration parameter \"%.80s\""

static void text(sqlite3_context *ctx, const char *s)
{
    if (s)
        sqlite3_result_text(ctx, s, -1, SQLITE_TRANSIENT);
}

static void version(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    char out[160];

    (void)n;
    (void)v;
    snprintf(out, sizeof out, "PostgreSQL %s (ha %s, SQLite %s)",
             pg_session_setting("server_version"), HA_VERSION, sqlite3_libversion());
    text(ctx, out);
}

static void user(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    (void)n;
    (void)v;
    text(ctx, pg_session_current()->user);
}

static void database(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    (void)n;
    (void)v;
    text(ctx, pg_session_current()->database);
}

/* For pg_database: [{"oid": 1, "name": "a.db"}, …]. */
static void databases(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    const struct pg_session *s = pg_session_current();
    struct buf b = BUF_INIT;
    char id[256];

    (void)n;
    (void)v;
    for (size_t i = 0; s->database_at ? s->database_at(s->arg, i, id, sizeof id) : i == 0; i++) {
        const char *name = s->database_at ? id : s->database;
        buf_printf(&b, "%s{\"oid\":%u,\"name\":", i ? "," : "[", pg_catalog_oid("database", name));
        json_put_cstr(&b, name);
        buf_putc(&b, '}');
    }
    if (b.len == 0)
        buf_putc(&b, '[');
    buf_putc(&b, ']');
    if (buf_ok(&b))
        sqlite3_result_text(ctx, b.data, (int)b.len, SQLITE_TRANSIENT);
    else
        sqlite3_result_error_nomem(ctx);
    buf_free(&b);
}

static void schema(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    (void)n;
    (void)v;
    text(ctx, "public");
}

static void schemas(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    (void)n;
    text(ctx, sqlite3_value_int(v[0]) ? "{pg_catalog,public}" : "{public}");
}

static void pid(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    (void)n;
    (void)v;
    sqlite3_result_int(ctx, pg_session_current()->pid ? pg_session_current()->pid : getpid());
}

static void in_recovery(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    (void)n;
    (void)v;
    sqlite3_result_int(ctx, pg_session_current()->in_recovery);
}

static void setting(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    const char *name = (const char *)sqlite3_value_text(v[0]);
    const char *value = name ? pg_session_setting(name) : NULL;

    if (value)
        text(ctx, value);
    else if (name && !(n > 1 && sqlite3_value_int(v[1])))
        pg_result_error(ctx, UNKNOWN_SETTING, name);
}

/* Answers the value as it is now, which may be spelled otherwise than it was given. */
static void set_config(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    const struct pg_session *s = pg_session_current();
    const char *name = (const char *)sqlite3_value_text(v[0]);
    const char *value = (const char *)sqlite3_value_text(v[1]);

    (void)n;
    if (!name)
        return;
    value = value ? value : "";
    if (!s->set) { /* nobody keeps it */
        text(ctx, value);
        return;
    }
    switch (s->set(s->arg, name, value, sqlite3_value_int(v[2]) != 0)) {
    case PG_SET_OK:
        text(ctx, pg_session_setting(name));
        break;
    case PG_SET_UNKNOWN:
        pg_result_error(ctx, UNKNOWN_SETTING, name);
        break;
    case PG_SET_FIXED:
        pg_result_error(ctx, "parameter \"%.80s\" cannot be changed", name);
        break;
    case PG_SET_INVALID:
        pg_result_error(ctx, "invalid value for parameter \"%.80s\": \"%.80s\"", name, value);
        break;
    case PG_SET_NO_MEMORY:
        sqlite3_result_error_nomem(ctx);
        break;
    }
}

static void encoding(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    (void)n;
    text(ctx, sqlite3_value_int(v[0]) == 6   ? "UTF8"
              : sqlite3_value_int(v[0]) == 0 ? "SQL_ASCII"
                                             : "");
}

static void char_encoding(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    const char *s = (const char *)sqlite3_value_text(v[0]);

    (void)n;
    sqlite3_result_int(ctx,
                       s && (strcasecmp(s, "utf8") == 0 || strcasecmp(s, "unicode") == 0) ? 6 : -1);
}

void pg_format_type(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    int64_t oid = sqlite3_value_int64(v[0]);
    int modifier = n > 1 && sqlite3_value_type(v[1]) != SQLITE_NULL ? sqlite3_value_int(v[1]) : -1;
    const struct pg_type *t = pg_type_by_oid((uint32_t)oid);
    bool array = false;
    char out[96];

    if (sqlite3_value_type(v[0]) == SQLITE_NULL)
        return;
    for (size_t i = 0; !t && pg_type_nth(i); i++)
        if (pg_type_nth(i)->array_oid == oid) {
            t = pg_type_nth(i);
            array = true;
        }
    if (!t)
        snprintf(out, sizeof out, "%s", oid == 0 ? "-" : "???");
    else if (modifier > 4 && t->oid == PG_OID_NUMERIC)
        snprintf(out, sizeof out, "numeric(%d,%d)%s", (modifier - 4) >> 16, (modifier - 4) & 0xFFFF,
                 array ? "[]" : "");
    else if (modifier > 4 && (t->oid == PG_OID_VARCHAR || t->oid == PG_OID_BPCHAR))
        snprintf(out, sizeof out, "%s(%d)%s", t->sql_name, modifier - 4, array ? "[]" : "");
    else
        snprintf(out, sizeof out, "%s%s", t->sql_name, array ? "[]" : "");
    text(ctx, out);
}

/* What it was given: pg_get_expr(), whose trees are texts here. */
static void first(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    (void)n;
    sqlite3_result_value(ctx, v[0]);
}

static void yes(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    (void)n;
    (void)v;
    sqlite3_result_int(ctx, 1);
}

static void zero(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    (void)n;
    (void)v;
    sqlite3_result_int(ctx, 0);
}

static void nothing(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    (void)ctx;
    (void)n;
    (void)v;
}

static void utf8(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    (void)n;
    (void)v;
    text(ctx, "UTF8");
}

static void size_pretty(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB"};
    double d = sqlite3_value_double(v[0]);
    unsigned u = 0;
    char out[48];

    (void)n;
    for (; (d >= 10240 || d <= -10240) && u < 4; u++)
        d /= 1024;
    snprintf(out, sizeof out, "%.0f %s", d, units[u]);
    text(ctx, out);
}

/* The file's size, for there is one. */
static void database_size(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    sqlite3_stmt *s = NULL;

    (void)n;
    (void)v;
    if (sqlite3_prepare_v2(sqlite3_context_db_handle(ctx),
                           "SELECT page_count * page_size FROM pragma_page_count(), "
                           "pragma_page_size()",
                           -1, &s, NULL) == SQLITE_OK &&
        sqlite3_step(s) == SQLITE_ROW)
        sqlite3_result_int64(ctx, sqlite3_column_int64(s, 0));
    sqlite3_finalize(s);
}

int pg_function_system_open(sqlite3 *db, int flags)
{
    static const struct pg_function functions[] = {
        {"version", 0, version, NULL, 0},
        {"current_user", 0, user, NULL, 0},
        {"session_user", 0, user, NULL, 0},
        {"current_database", 0, database, NULL, 0},
        {"current_catalog", 0, database, NULL, 0},
        {"ha_databases", 0, databases, NULL, 0},
        {"current_schema", 0, schema, NULL, 0},
        {"current_schemas", 1, schemas, NULL, 0},
        {"pg_backend_pid", 0, pid, NULL, 0},
        {"pg_is_in_recovery", 0, in_recovery, NULL, 0},
        {"current_setting", 1, setting, NULL, 0},
        {"current_setting", 2, setting, NULL, 0},
        {"set_config", 3, set_config, NULL, 0},
        {"pg_encoding_to_char", 1, encoding, NULL, 0},
        {"pg_char_to_encoding", 1, char_encoding, NULL, 0},
        {"format_type", 2, pg_format_type, NULL, 0},
        {"pg_get_userbyid", 1, user, NULL, 0},
        {"pg_get_expr", 2, first, NULL, 0},
        {"pg_get_expr", 3, first, NULL, 0},
        {"pg_table_is_visible", 1, yes, NULL, 0},
        {"pg_type_is_visible", 1, yes, NULL, 0},
        {"pg_function_is_visible", 1, yes, NULL, 0},
        {"pg_operator_is_visible", 1, yes, NULL, 0},
        {"pg_collation_is_visible", 1, yes, NULL, 0},
        {"pg_conversion_is_visible", 1, yes, NULL, 0},
        {"pg_opclass_is_visible", 1, yes, NULL, 0},
        {"pg_statistics_obj_is_visible", 1, yes, NULL, 0},
        {"pg_opfamily_is_visible", 1, yes, NULL, 0},
        {"pg_ts_config_is_visible", 1, yes, NULL, 0},
        {"pg_ts_dict_is_visible", 1, yes, NULL, 0},
        {"pg_ts_parser_is_visible", 1, yes, NULL, 0},
        {"pg_ts_template_is_visible", 1, yes, NULL, 0},
        {"row_security_active", 1, zero, NULL, 0},
        {"pg_relation_is_publishable", 1, zero, NULL, 0},
        {"pg_is_other_temp_schema", 1, zero, NULL, 0},
        {"pg_advisory_unlock_all", 0, nothing, NULL, 0}, /* nobody can hold one */
        {"pg_my_temp_schema", 0, zero, NULL, 0},
        {"obj_description", 1, nothing, NULL, 0},
        {"obj_description", 2, nothing, NULL, 0},
        {"shobj_description", 2, nothing, NULL, 0},
        {"col_description", 2, nothing, NULL, 0},
        {"pg_get_functiondef", 1, nothing, NULL, 0},
        {"pg_get_function_result", 1, nothing, NULL, 0},
        {"pg_get_function_arguments", 1, nothing, NULL, 0},
        {"pg_get_function_identity_arguments", 1, nothing, NULL, 0},
        {"pg_get_ruledef", 1, nothing, NULL, 0},
        {"pg_get_ruledef", 2, nothing, NULL, 0},
        {"pg_get_function_sqlbody", 1, nothing, NULL, 0},
        {"pg_get_function_arg_default", 2, nothing, NULL, 0},
        {"pg_get_statisticsobjdef", 1, nothing, NULL, 0},
        {"pg_get_partition_constraintdef", 1, nothing, NULL, 0},
        {"pg_get_replica_identity_index", 1, nothing, NULL, 0},
        {"pg_tablespace_size", 1, database_size, NULL, 0},
        {"pg_partition_ancestors", 1, nothing, NULL, 0},
        {"array_remove", 2, first, NULL, 0},
        {"getdatabaseencoding", 0, utf8, NULL, 0},
        {"pg_get_partkeydef", 1, nothing, NULL, 0},
        {"pg_get_statisticsobjdef_columns", 1, nothing, NULL, 0},
        {"pg_tablespace_location", 1, nothing, NULL, 0},
        {"pg_relation_filenode", 1, first, NULL, 0},
        {"inet_server_addr", 0, nothing, NULL, 0},
        {"inet_client_addr", 0, nothing, NULL, 0},
        {"inet_server_port", 0, nothing, NULL, 0},
        {"array_to_json", 1, first, NULL, 0},
        {"pg_size_pretty", 1, size_pretty, NULL, 0},
        {"pg_database_size", 1, database_size, NULL, 0},
        {"pg_stat_get_numscans", 1, zero, NULL, 0},
        {"pg_stat_get_live_tuples", 1, zero, NULL, 0},
        {"pg_stat_get_dead_tuples", 1, zero, NULL, 0},
    };

    return pg_functions_register(db, functions, sizeof functions / sizeof functions[0], NULL,
                                 flags);
}
