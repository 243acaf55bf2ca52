/*
 * What a user may do: everything, or, as a read-only user, nothing but read. There are no other
 * rights, and nobody but the session's own user is known.
 */
#include <sqlite3.h>
#include <string.h>
#include <strings.h>

#include "sql/pg/function.h"
#include "sql/pg/session.h"

static const struct {
    const char *name;
    bool reads; /* a read-only user has it, too */
} privileges[] = {
    {"SELECT", true},    {"INSERT", false},  {"UPDATE", false},     {"DELETE", false},
    {"TRUNCATE", false}, {"TRIGGER", false}, {"REFERENCES", false}, {"MAINTAIN", false},
    {"USAGE", true},     {"CREATE", false},  {"CONNECT", true},     {"TEMPORARY", false},
    {"TEMP", false},     {"EXECUTE", true},  {"MEMBER", true},      {"SET", true},
};

/* One of the list, with or without WITH GRANT OPTION. 1 = yes, 0 = no, -1 = there is none such. */
static int has(const char *s, size_t n)
{
    bool writes = !pg_session_current()->read_only;

    while (n > 0 && strchr(" \t\n", *s)) {
        s++;
        n--;
    }
    for (size_t i = 0; i < sizeof privileges / sizeof privileges[0]; i++) {
        size_t len = strlen(privileges[i].name);
        if (n >= len && strncasecmp(s, privileges[i].name, len) == 0 &&
            (n == len || strchr(" \t\n", s[len])))
            return writes || (privileges[i].reads && !memmem(s, n, "GRANT", 5));
    }
    return -1;
}

/* The last argument is a list, of which any one will do. */
static void privilege(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    const char *list = (const char *)sqlite3_value_text(v[n - 1]);
    bool any = false;

    for (int i = 0; i < n; i++)
        if (sqlite3_value_type(v[i]) == SQLITE_NULL)
            return;
    while (list && *list) {
        size_t len = strcspn(list, ",");
        int one = has(list, len);
        if (one < 0) {
            pg_result_error(ctx, "unrecognized privilege type: \"%.*s\"", (int)len, list);
            return;
        }
        any = any || one;
        list += len + (list[len] == ',');
    }
    sqlite3_result_int(ctx, any);
}

static void may_write(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    (void)n;
    (void)v;
    sqlite3_result_int(ctx, !pg_session_current()->read_only);
}

int pg_function_privilege_open(sqlite3 *db, int flags)
{
    static const struct pg_function functions[] = {
        {"pg_may_write", 0, may_write, NULL, 0},
        {"has_table_privilege", 2, privilege, NULL, 0},
        {"has_table_privilege", 3, privilege, NULL, 0},
        {"has_any_column_privilege", 2, privilege, NULL, 0},
        {"has_any_column_privilege", 3, privilege, NULL, 0},
        {"has_column_privilege", 3, privilege, NULL, 0},
        {"has_column_privilege", 4, privilege, NULL, 0},
        {"has_schema_privilege", 2, privilege, NULL, 0},
        {"has_schema_privilege", 3, privilege, NULL, 0},
        {"has_database_privilege", 2, privilege, NULL, 0},
        {"has_database_privilege", 3, privilege, NULL, 0},
        {"has_function_privilege", 2, privilege, NULL, 0},
        {"has_function_privilege", 3, privilege, NULL, 0},
        {"has_sequence_privilege", 2, privilege, NULL, 0},
        {"has_sequence_privilege", 3, privilege, NULL, 0},
        {"has_tablespace_privilege", 2, privilege, NULL, 0},
        {"has_tablespace_privilege", 3, privilege, NULL, 0},
        {"has_type_privilege", 2, privilege, NULL, 0},
        {"has_type_privilege", 3, privilege, NULL, 0},
        {"has_language_privilege", 2, privilege, NULL, 0},
        {"has_language_privilege", 3, privilege, NULL, 0},
        {"pg_has_role", 2, privilege, NULL, 0},
        {"pg_has_role", 3, privilege, NULL, 0},
    };

    return pg_functions_register(db, functions, sizeof functions / sizeof functions[0], NULL,
                                 flags);
}
