/*
 * The texts. Tables of the node's own (ha_…) and SQLite's are not told. Statistics are zero, what
 * there is none of is empty.
 *
 *   %D  the current database's name      %V  variables      %S  status
 *   %B  databases                        %P  connections    %W  warnings    %E  errors
 */
#include "sql/mysql/catalog.h"

#include <string.h>
#include <strings.h>

#include "sql/mysql/rewrite.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Tables and views, as `l`. */
#define TABLES                                                                                     \
    "(SELECT l.name, l.type, l.wr, coalesce(s.sql, '') AS sql FROM pragma_table_list l LEFT JOIN " \
    "sqlite_schema s ON s.name = l.name AND s.type IN ('table', 'view') WHERE l.schema = 'main' "  \
    "AND l.type IN ('table', 'view', 'virtual') AND l.name NOT LIKE 'sqlite!_%' ESCAPE '!' AND "   \
    "l.name NOT LIKE 'ha!_%' ESCAPE '!') l"

/* Is column c of table l its rowid? */
#define IS_ROWID                                                                                   \
    "(c.pk = 1 AND upper(c.type) = 'INTEGER' AND NOT l.wr AND (SELECT max(pk) FROM "               \
    "pragma_table_xinfo(l.name)) = 1)"

#define COLUMN_TYPE                                                                                \
    "mysql_column_type(CASE WHEN " IS_ROWID                                                        \
    " AND l.sql LIKE '%CONSTRAINT int4%' THEN 'INT' ELSE c.type END, l.sql, c.name)"

/* An index's name; that of a UNIQUE inside the table is its first column's. */
#define INDEX_NAME                                                                                 \
    "CASE WHEN x.name LIKE 'sqlite!_autoindex!_%' ESCAPE '!' THEN (SELECT name FROM "              \
    "pragma_index_info(x.name) WHERE seqno = 0) ELSE x.name END"

#define COLUMN_KEY                                                                                 \
    "CASE WHEN c.pk > 0 THEN 'PRI' ELSE coalesce((SELECT CASE WHEN max(x.\"unique\" AND (SELECT "  \
    "count(*) FROM pragma_index_info(x.name)) = 1) THEN 'UNI' ELSE 'MUL' END FROM "                \
    "pragma_index_list(l.name) x, pragma_index_info(x.name) i WHERE i.seqno = 0 AND i.name = "     \
    "c.name HAVING count(*) > 0), '') END"

/* ON UPDATE CURRENT_TIMESTAMP is a trigger (ddl.c). */
#define ON_UPDATE                                                                                  \
    "EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = l.name AND name = " \
    "l.name || '_' || c.name || '_on_update')"

#define EXTRA                                                                                      \
    "CASE WHEN " IS_ROWID " THEN 'auto_increment' WHEN c.hidden = 2 THEN 'VIRTUAL GENERATED' "     \
    "WHEN c.hidden = 3 THEN 'STORED GENERATED' WHEN " ON_UPDATE                                    \
    " THEN 'DEFAULT_GENERATED on update CURRENT_TIMESTAMP' || mysql_fraction(c.type) WHEN "        \
    "mysql_default_is_expression(c.dflt_value) THEN 'DEFAULT_GENERATED' ELSE '' END"

#define NULLABLE "CASE WHEN c.\"notnull\" OR c.pk > 0 THEN 'NO' ELSE 'YES' END"

static const struct {
    const char *name, *sql;
} tables[] = {
    {"TABLES",
     "SELECT 'def' AS TABLE_CATALOG, %D AS TABLE_SCHEMA, l.name AS TABLE_NAME, CASE l.type WHEN "
     "'view' THEN 'VIEW' ELSE 'BASE TABLE' END AS TABLE_TYPE, CASE l.type WHEN 'view' THEN NULL "
     "ELSE 'InnoDB' END AS ENGINE, CASE l.type WHEN 'view' THEN NULL ELSE 10 END AS VERSION, CASE "
     "l.type WHEN 'view' THEN NULL ELSE 'Dynamic' END AS ROW_FORMAT, CASE l.type WHEN 'view' THEN "
     "NULL ELSE 0 END AS TABLE_ROWS, 0 AS AVG_ROW_LENGTH, 0 AS DATA_LENGTH, 0 AS MAX_DATA_LENGTH, "
     "0 AS INDEX_LENGTH, 0 AS DATA_FREE, NULL AS AUTO_INCREMENT, NULL AS CREATE_TIME, NULL AS "
     "UPDATE_TIME, NULL AS CHECK_TIME, CASE l.type WHEN 'view' THEN NULL ELSE "
     "'utf8mb4_0900_ai_ci' END AS TABLE_COLLATION, NULL AS CHECKSUM, '' AS CREATE_OPTIONS, CASE "
     "l.type WHEN 'view' THEN 'VIEW' ELSE '' END AS TABLE_COMMENT FROM " TABLES},
    {"COLUMNS",
     "SELECT 'def' AS TABLE_CATALOG, %D AS TABLE_SCHEMA, l.name AS TABLE_NAME, c.name AS "
     "COLUMN_NAME, c.cid + 1 AS ORDINAL_POSITION, mysql_default_value(c.dflt_value) AS "
     "COLUMN_DEFAULT, " NULLABLE " AS IS_NULLABLE, mysql_data_type(" COLUMN_TYPE
     ") AS DATA_TYPE, mysql_type_detail(" COLUMN_TYPE
     ", 'length') AS CHARACTER_MAXIMUM_LENGTH, mysql_type_detail(" COLUMN_TYPE
     ", 'octets') AS CHARACTER_OCTET_LENGTH, mysql_type_detail(" COLUMN_TYPE
     ", 'precision') AS NUMERIC_PRECISION, mysql_type_detail(" COLUMN_TYPE
     ", 'scale') AS NUMERIC_SCALE, mysql_type_detail(" COLUMN_TYPE
     ", 'fraction') AS DATETIME_PRECISION, mysql_type_detail(" COLUMN_TYPE
     ", 'charset') AS CHARACTER_SET_NAME, mysql_type_detail(" COLUMN_TYPE
     ", 'collation') AS COLLATION_NAME, " COLUMN_TYPE " AS COLUMN_TYPE, " COLUMN_KEY
     " AS COLUMN_KEY, " EXTRA " AS EXTRA, 'select,insert,update,references' AS PRIVILEGES, '' AS "
     "COLUMN_COMMENT, '' AS GENERATION_EXPRESSION, NULL AS SRS_ID FROM " TABLES
     ", pragma_table_xinfo(l.name) c WHERE c.hidden <> 1"},
    {"STATISTICS",
     "SELECT 'def' AS TABLE_CATALOG, %D AS TABLE_SCHEMA, l.name AS TABLE_NAME, 0 AS NON_UNIQUE, %D "
     "AS INDEX_SCHEMA, 'PRIMARY' AS INDEX_NAME, c.pk AS SEQ_IN_INDEX, c.name AS COLUMN_NAME, 'A' "
     "AS COLLATION, 0 AS CARDINALITY, NULL AS SUB_PART, NULL AS PACKED, '' AS NULLABLE, 'BTREE' AS "
     "INDEX_TYPE, '' AS COMMENT, '' AS INDEX_COMMENT, 'YES' AS IS_VISIBLE, NULL AS EXPRESSION "
     "FROM " TABLES ", pragma_table_xinfo(l.name) c WHERE c.pk > 0 UNION ALL SELECT 'def', %D, "
     "l.name, 1 - x.\"unique\", %D, " INDEX_NAME
     ", i.seqno + 1, i.name, CASE i.\"desc\" WHEN 1 THEN 'D' ELSE 'A' END, 0, NULL, NULL, CASE "
     "WHEN c.\"notnull\" OR c.pk > 0 THEN '' ELSE 'YES' END, 'BTREE', '', '', 'YES', NULL "
     "FROM " TABLES ", pragma_index_list(l.name) x, pragma_index_xinfo(x.name) i LEFT JOIN "
     "pragma_table_xinfo(l.name) c ON c.cid = i.cid WHERE x.origin <> 'pk' AND i.key = 1"},
    {"SCHEMATA",
     "SELECT 'def' AS CATALOG_NAME, column1 AS SCHEMA_NAME, 'utf8mb4' AS "
     "DEFAULT_CHARACTER_SET_NAME, 'utf8mb4_0900_ai_ci' AS DEFAULT_COLLATION_NAME, NULL AS "
     "SQL_PATH, 'NO' AS DEFAULT_ENCRYPTION FROM (%B)"},
    {"KEY_COLUMN_USAGE",
     "SELECT 'def' AS CONSTRAINT_CATALOG, %D AS CONSTRAINT_SCHEMA, 'PRIMARY' AS CONSTRAINT_NAME, "
     "'def' AS TABLE_CATALOG, %D AS TABLE_SCHEMA, l.name AS TABLE_NAME, c.name AS COLUMN_NAME, "
     "c.pk AS ORDINAL_POSITION, NULL AS POSITION_IN_UNIQUE_CONSTRAINT, NULL AS "
     "REFERENCED_TABLE_SCHEMA, NULL AS REFERENCED_TABLE_NAME, NULL AS REFERENCED_COLUMN_NAME "
     "FROM " TABLES
     ", pragma_table_xinfo(l.name) c WHERE c.pk > 0 UNION ALL SELECT 'def', %D, " INDEX_NAME
     ", 'def', %D, l.name, i.name, i.seqno + 1, NULL, NULL, NULL, NULL FROM " TABLES
     ", pragma_index_list(l.name) x, pragma_index_info(x.name) i WHERE x.\"unique\" AND x.origin "
     "<> 'pk' UNION ALL SELECT 'def', %D, mysql_foreign_key(l.sql, l.name, f.id), 'def', %D, "
     "l.name, f.\"from\", f.seq + 1, f.seq + 1, %D, f.\"table\", coalesce(f.\"to\", (SELECT name "
     "FROM pragma_table_xinfo(f.\"table\") WHERE pk = f.seq + 1)) FROM " TABLES
     ", pragma_foreign_key_list(l.name) f"},
    {"REFERENTIAL_CONSTRAINTS",
     "SELECT 'def' AS CONSTRAINT_CATALOG, %D AS CONSTRAINT_SCHEMA, mysql_foreign_key(l.sql, "
     "l.name, f.id) AS CONSTRAINT_NAME, 'def' AS UNIQUE_CONSTRAINT_CATALOG, %D AS "
     "UNIQUE_CONSTRAINT_SCHEMA, 'PRIMARY' AS UNIQUE_CONSTRAINT_NAME, 'NONE' AS MATCH_OPTION, "
     "f.on_update AS UPDATE_RULE, f.on_delete AS DELETE_RULE, l.name AS TABLE_NAME, f.\"table\" "
     "AS REFERENCED_TABLE_NAME FROM " TABLES ", pragma_foreign_key_list(l.name) f WHERE f.seq = 0"},
    {"TABLE_CONSTRAINTS",
     "SELECT 'def' AS CONSTRAINT_CATALOG, %D AS CONSTRAINT_SCHEMA, 'PRIMARY' AS CONSTRAINT_NAME, "
     "%D AS TABLE_SCHEMA, l.name AS TABLE_NAME, 'PRIMARY KEY' AS CONSTRAINT_TYPE, 'YES' AS "
     "ENFORCED FROM " TABLES " WHERE (SELECT max(pk) FROM pragma_table_xinfo(l.name)) > 0 UNION "
     "ALL SELECT 'def', %D, " INDEX_NAME ", %D, l.name, 'UNIQUE', 'YES' FROM " TABLES
     ", pragma_index_list(l.name) x WHERE x.\"unique\" AND x.origin <> 'pk' UNION ALL SELECT "
     "'def', %D, mysql_foreign_key(l.sql, l.name, f.id), %D, l.name, 'FOREIGN KEY', 'YES' "
     "FROM " TABLES ", pragma_foreign_key_list(l.name) f WHERE f.seq = 0 UNION ALL SELECT 'def', "
     "%D, k.value ->> 0, %D, l.name, 'CHECK', 'YES' FROM " TABLES
     ", json_each(mysql_checks(l.sql, l.name)) k"},
    {"VIEWS",
     "SELECT 'def' AS TABLE_CATALOG, %D AS TABLE_SCHEMA, l.name AS TABLE_NAME, l.sql AS "
     "VIEW_DEFINITION, 'NONE' AS CHECK_OPTION, 'NO' AS IS_UPDATABLE, 'ha@%' AS DEFINER, 'INVOKER' "
     "AS SECURITY_TYPE, 'utf8mb4' AS CHARACTER_SET_CLIENT, 'utf8mb4_0900_ai_ci' AS "
     "COLLATION_CONNECTION FROM " TABLES " WHERE l.type = 'view'"},
    {"TRIGGERS",
     "SELECT 'def' AS TRIGGER_CATALOG, %D AS TRIGGER_SCHEMA, name AS TRIGGER_NAME, CASE WHEN sql "
     "LIKE '%DELETE ON%' THEN 'DELETE' WHEN sql LIKE '%INSERT ON%' THEN 'INSERT' ELSE 'UPDATE' "
     "END AS EVENT_MANIPULATION, 'def' AS EVENT_OBJECT_CATALOG, %D AS EVENT_OBJECT_SCHEMA, "
     "tbl_name AS EVENT_OBJECT_TABLE, 1 AS ACTION_ORDER, NULL AS ACTION_CONDITION, sql AS "
     "ACTION_STATEMENT, 'ROW' AS ACTION_ORIENTATION, CASE WHEN sql LIKE '%BEFORE%' THEN 'BEFORE' "
     "ELSE 'AFTER' END AS ACTION_TIMING, NULL AS CREATED, '' AS SQL_MODE, 'ha@%' AS DEFINER, "
     "'utf8mb4' AS CHARACTER_SET_CLIENT, 'utf8mb4_0900_ai_ci' AS COLLATION_CONNECTION, "
     "'utf8mb4_0900_ai_ci' AS DATABASE_COLLATION FROM sqlite_schema WHERE type = 'trigger' AND "
     "name NOT LIKE 'ha!_%' ESCAPE '!' AND name NOT LIKE '%!_on!_update' ESCAPE '!'"},
    {"ENGINES",
     "SELECT 'InnoDB' AS ENGINE, 'DEFAULT' AS SUPPORT, 'SQLite, replicated' AS COMMENT, 'YES' AS "
     "TRANSACTIONS, 'NO' AS XA, 'YES' AS SAVEPOINTS"},
    {"CHARACTER_SETS",
     "SELECT 'utf8mb4' AS CHARACTER_SET_NAME, 'utf8mb4_0900_ai_ci' AS DEFAULT_COLLATE_NAME, "
     "'UTF-8 Unicode' AS DESCRIPTION, 4 AS MAXLEN"},
    {"COLLATIONS",
     "SELECT column1 AS COLLATION_NAME, 'utf8mb4' AS CHARACTER_SET_NAME, column2 AS ID, column3 AS "
     "IS_DEFAULT, 'Yes' AS IS_COMPILED, 1 AS SORTLEN, 'PAD SPACE' AS PAD_ATTRIBUTE FROM (VALUES "
     "('utf8mb4_0900_ai_ci', 255, 'Yes'), ('utf8mb4_general_ci', 45, ''), ('utf8mb4_bin', 46, "
     "''), ('utf8mb4_unicode_ci', 224, ''))"},
    {"COLLATION_CHARACTER_SET_APPLICABILITY",
     "SELECT column1 AS COLLATION_NAME, 'utf8mb4' AS CHARACTER_SET_NAME FROM (VALUES "
     "('utf8mb4_0900_ai_ci'), ('utf8mb4_general_ci'), ('utf8mb4_bin'), ('utf8mb4_unicode_ci'))"},
    {"PROCESSLIST",
     "SELECT column1 AS ID, column2 AS USER, column3 AS HOST, column4 AS DB, column5 AS COMMAND, "
     "column6 AS TIME, column7 AS STATE, column8 AS INFO FROM (%P)"},
    {"SESSION_VARIABLES", "SELECT column1 AS VARIABLE_NAME, column2 AS VARIABLE_VALUE FROM (%V)"},
    {"GLOBAL_VARIABLES", "SELECT column1 AS VARIABLE_NAME, column2 AS VARIABLE_VALUE FROM (%V)"},
    {"SESSION_STATUS", "SELECT column1 AS VARIABLE_NAME, column2 AS VARIABLE_VALUE FROM (%S)"},
    {"GLOBAL_STATUS", "SELECT column1 AS VARIABLE_NAME, column2 AS VARIABLE_VALUE FROM (%S)"},
    {"PLUGINS",
     "SELECT 'caching_sha2_password' AS PLUGIN_NAME, '1.0' AS PLUGIN_VERSION, 'ACTIVE' AS "
     "PLUGIN_STATUS, 'AUTHENTICATION' AS PLUGIN_TYPE, NULL AS PLUGIN_LIBRARY, 'Apache-2.0' AS "
     "PLUGIN_LICENSE"},
    {"USER_PRIVILEGES",
     "SELECT '''ha''@''%''' AS GRANTEE, 'def' AS TABLE_CATALOG, 'ALL' AS PRIVILEGE_TYPE, 'NO' AS "
     "IS_GRANTABLE"},
    {"SCHEMA_PRIVILEGES",
     "SELECT NULL AS GRANTEE, NULL AS TABLE_CATALOG, NULL AS TABLE_SCHEMA, NULL AS "
     "PRIVILEGE_TYPE, NULL AS IS_GRANTABLE WHERE 0"},
    {"TABLE_PRIVILEGES",
     "SELECT NULL AS GRANTEE, NULL AS TABLE_CATALOG, NULL AS TABLE_SCHEMA, NULL AS TABLE_NAME, "
     "NULL AS PRIVILEGE_TYPE, NULL AS IS_GRANTABLE WHERE 0"},
    {"CHECK_CONSTRAINTS",
     "SELECT 'def' AS CONSTRAINT_CATALOG, %D AS CONSTRAINT_SCHEMA, k.value ->> 0 AS "
     "CONSTRAINT_NAME, k.value ->> 1 AS CHECK_CLAUSE FROM " TABLES
     ", json_each(mysql_checks(l.sql, l.name)) k"},
    {"ROUTINES",
     "SELECT NULL AS SPECIFIC_NAME, NULL AS ROUTINE_CATALOG, NULL AS ROUTINE_SCHEMA, NULL AS "
     "ROUTINE_NAME, NULL AS ROUTINE_TYPE, NULL AS DATA_TYPE, NULL AS DTD_IDENTIFIER, NULL AS "
     "ROUTINE_DEFINITION, NULL AS CREATED, NULL AS LAST_ALTERED, NULL AS ROUTINE_COMMENT, NULL AS "
     "DEFINER, NULL AS SECURITY_TYPE WHERE 0"},
    {"PARAMETERS",
     "SELECT NULL AS SPECIFIC_CATALOG, NULL AS SPECIFIC_SCHEMA, NULL AS SPECIFIC_NAME, NULL AS "
     "ORDINAL_POSITION, NULL AS PARAMETER_MODE, NULL AS PARAMETER_NAME, NULL AS DATA_TYPE WHERE "
     "0"},
    {"EVENTS",
     "SELECT NULL AS EVENT_CATALOG, NULL AS EVENT_SCHEMA, NULL AS EVENT_NAME, NULL AS DEFINER, "
     "NULL AS TIME_ZONE, NULL AS EVENT_TYPE, NULL AS STATUS WHERE 0"},
    {"PARTITIONS",
     "SELECT 'def' AS TABLE_CATALOG, %D AS TABLE_SCHEMA, l.name AS TABLE_NAME, NULL AS "
     "PARTITION_NAME, NULL AS SUBPARTITION_NAME, NULL AS PARTITION_ORDINAL_POSITION, NULL AS "
     "PARTITION_METHOD, NULL AS PARTITION_EXPRESSION, 0 AS TABLE_ROWS FROM " TABLES},
    {"FILES",
     "SELECT NULL AS FILE_ID, NULL AS FILE_NAME, NULL AS FILE_TYPE, NULL AS TABLESPACE_NAME, NULL "
     "AS LOGFILE_GROUP_NAME, NULL AS ENGINE, NULL AS TOTAL_EXTENTS, NULL AS EXTENT_SIZE, NULL AS "
     "INITIAL_SIZE, NULL AS EXTRA WHERE 0"},
    {"INNODB_TABLES", "SELECT NULL AS TABLE_ID, NULL AS NAME WHERE 0"},
};

const char *mysql_catalog(const char *name)
{
    for (size_t i = 0; i < COUNT(tables); i++)
        if (strcasecmp(tables[i].name, name) == 0)
            return tables[i].sql;
    return NULL;
}

static void put_rows(struct mysql_rewrite *r, enum mysql_rows which, unsigned n_columns)
{
    struct buf rows = BUF_INIT;

    if (r->context->rows)
        r->context->rows(r->context->arg, which, &rows);
    if (!buf_ok(&rows))
        mysql_fail(r, MYSQL_NONE, ERR_NO_MEMORY, "out of memory");
    if (rows.len > 0) {
        buf_puts(r->out, "VALUES ");
        buf_put(r->out, rows.data, rows.len);
    } else {
        for (unsigned i = 1; i <= n_columns; i++)
            buf_printf(r->out, "%sNULL AS column%u", i == 1 ? "SELECT " : ", ", i);
        buf_puts(r->out, " WHERE 0");
    }
    buf_free(&rows);
    r->is_session = true;
}

void mysql_catalog_put(struct mysql_rewrite *r, const char *text)
{
    static const struct {
        char letter;
        enum mysql_rows rows;
        unsigned n_columns;
    } kinds[] = {{'V', MYSQL_ROWS_VARIABLES, 2}, {'S', MYSQL_ROWS_STATUS, 2},
                 {'B', MYSQL_ROWS_DATABASES, 1}, {'P', MYSQL_ROWS_PROCESSES, 8},
                 {'W', MYSQL_ROWS_WARNINGS, 3},  {'E', MYSQL_ROWS_ERRORS, 3}};
    const char *p;

    for (; (p = strchr(text, '%')) != NULL; text = p) {
        bool known = p[1] == 'D';
        buf_put(r->out, text, (size_t)(p - text));
        if (known && (p[2] == ' ' || p[2] == ',')) {
            mysql_put_string(r, r->context->schema, strlen(r->context->schema));
            r->is_session = true;
            p += 2;
            continue;
        }
        known = false;
        for (size_t i = 0; i < COUNT(kinds) && !known; i++)
            if (p[1] == kinds[i].letter && p[2] == ')') {
                put_rows(r, kinds[i].rows, kinds[i].n_columns);
                known = true;
            }
        if (known) {
            p += 2;
        } else {
            buf_putc(r->out, '%');
            p++;
        }
    }
    buf_puts(r->out, text);
}
