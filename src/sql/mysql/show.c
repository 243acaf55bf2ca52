/*
 * SHOW, DESCRIBE, and CHECK, ANALYZE, OPTIMIZE and REPAIR TABLE, as queries.
 *
 *   SHOW FULL TABLES FROM db LIKE 'a%' WHERE …
 *   SELECT * FROM (SELECT TABLE_NAME AS "Tables_in_db", … FROM (…)) WHERE … LIKE 'a%' ESCAPE '\'
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "sql/mysql/catalog.h"
#include "sql/mysql/rewrite.h"
#include "sql/quote.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* A query of a table of information_schema, with what is selected of it in front. */
static void put_from(struct mysql_rewrite *r, const char *columns, const char *table)
{
    mysql_put(r, "SELECT ");
    mysql_catalog_put(r, columns);
    buf_puts(r->out, " FROM (");
    mysql_catalog_put(r, mysql_catalog(table));
    buf_puts(r->out, ")");
}

static void put_text(struct mysql_rewrite *r, const char *s)
{
    mysql_put_string(r, s, strlen(s));
}

/* LIKE 'pattern' and WHERE at i, of a query that is written up to there as `SELECT * FROM (…)`. */
static void put_filter(struct mysql_rewrite *r, size_t i, const char *column, const char *order)
{
    size_t n;

    if (mysql_word(r, i, "LIKE") && mysql_at(r, i + 1)->type == MYSQL_TOKEN_STRING) {
        const char *s = mysql_string(r, i + 1, &n);
        buf_puts(r->out, " WHERE ");
        quote_put_name(r->out, column);
        buf_puts(r->out, " LIKE ");
        mysql_put_string(r, s, n);
        buf_puts(r->out, " ESCAPE '\\'");
        i += 2;
    } else if (mysql_word(r, i, "WHERE")) {
        buf_puts(r->out, " WHERE (");
        mysql_range(r, i + 1, r->n);
        buf_puts(r->out, ")");
        i = r->n;
    }
    if (i < r->n && !mysql_word(r, i, "LIMIT"))
        mysql_fail_syntax(r, i);
    if (order)
        buf_puts(r->out, order);
    if (mysql_word(r, i, "LIMIT"))
        mysql_range(r, i, r->n);
}

/* The name of a database at token i. Another than the current one is not looked into; that
 * information_schema has no such table is what drivers look for that go through all databases. */
static void expect_current(struct mysql_rewrite *r, size_t i)
{
    const char *name = mysql_name(r, i);

    if (strcasecmp(name, "information_schema") == 0)
        mysql_fail(r, i, ERR_NO_TABLE, "no such table: there is nothing to show of %s", name);
    else if (strcasecmp(name, r->context->schema) != 0)
        mysql_fail(r, i, ERR_UNSUPPORTED,
                   "only the current database can be looked into: USE %.100s", name);
}

/* FROM db at i: behind it. */
static size_t skip_from(struct mysql_rewrite *r, size_t i)
{
    if (!mysql_word(r, i, "FROM") && !mysql_word(r, i, "IN"))
        return i;
    expect_current(r, i + 1);
    return i + 2;
}

/* A table's name at i, maybe with its database. */
const char *mysql_show_table_name(struct mysql_rewrite *r, size_t i, size_t *end)
{
    *end = mysql_skip_name(r, i);
    if (*end == i)
        mysql_fail_syntax(r, i);
    if (*end == i + 3)
        expect_current(r, i);
    return mysql_last_name(r, i, *end);
}

/* What fails where there is no such table. */
void mysql_show_must_exist(struct mysql_rewrite *r, const char *table)
{
    buf_puts(r->out, "(SELECT count(*) FROM (SELECT 1 FROM ");
    quote_put_name(r->out, table);
    buf_puts(r->out, " LIMIT 0)) = 0");
}

/* ---- lists ---- */

static void show_tables(struct mysql_rewrite *r, size_t i, bool full)
{
    char name[300];

    i = skip_from(r, i);
    (void)snprintf(name, sizeof name, "Tables_in_%.255s", r->context->schema);
    mysql_put(r, "SELECT * FROM (SELECT TABLE_NAME AS ");
    quote_put_name(r->out, name);
    if (full)
        buf_puts(r->out, ", TABLE_TYPE AS \"Table_type\"");
    buf_puts(r->out, " FROM (");
    mysql_catalog_put(r, mysql_catalog("TABLES"));
    buf_puts(r->out, "))");
    put_filter(r, i, name, " ORDER BY 1");
}

static void show_databases(struct mysql_rewrite *r, size_t i)
{
    mysql_put(r, "SELECT * FROM (");
    put_from(r, "SCHEMA_NAME AS \"Database\"", "SCHEMATA");
    buf_puts(r->out, ")");
    put_filter(r, i, "Database", " ORDER BY 1");
}

static void show_columns(struct mysql_rewrite *r, size_t i, bool full, const char *only)
{
    size_t end;
    const char *table = mysql_show_table_name(r, i, &end);

    end = skip_from(r, end);
    mysql_put(r, "SELECT * FROM (");
    put_from(r,
             full ? "COLUMN_NAME AS \"Field\", COLUMN_TYPE AS \"Type\", COLLATION_NAME AS "
                    "\"Collation\", IS_NULLABLE AS \"Null\", COLUMN_KEY AS \"Key\", COLUMN_DEFAULT "
                    "AS \"Default\", EXTRA AS \"Extra\", PRIVILEGES AS \"Privileges\", "
                    "COLUMN_COMMENT AS \"Comment\""
                  : "COLUMN_NAME AS \"Field\", COLUMN_TYPE AS \"Type\", IS_NULLABLE AS \"Null\", "
                    "COLUMN_KEY AS \"Key\", COLUMN_DEFAULT AS \"Default\", EXTRA AS \"Extra\"",
             "COLUMNS");
    buf_puts(r->out, " WHERE TABLE_NAME = ");
    put_text(r, table);
    buf_puts(r->out, " COLLATE NOCASE AND ");
    mysql_show_must_exist(r, table);
    if (only) {
        buf_puts(r->out, " AND COLUMN_NAME LIKE ");
        put_text(r, only);
        end = r->n;
    }
    buf_puts(r->out, " ORDER BY ORDINAL_POSITION)");
    put_filter(r, end, "Field", NULL);
}

static void show_index(struct mysql_rewrite *r, size_t i)
{
    size_t end;
    const char *table = mysql_show_table_name(r, i, &end);

    end = skip_from(r, end);
    mysql_put(r, "SELECT * FROM (");
    put_from(r,
             "TABLE_NAME AS \"Table\", NON_UNIQUE AS \"Non_unique\", INDEX_NAME AS \"Key_name\", "
             "SEQ_IN_INDEX AS \"Seq_in_index\", COLUMN_NAME AS \"Column_name\", COLLATION AS "
             "\"Collation\", CARDINALITY AS \"Cardinality\", SUB_PART AS \"Sub_part\", PACKED AS "
             "\"Packed\", NULLABLE AS \"Null\", INDEX_TYPE AS \"Index_type\", COMMENT AS "
             "\"Comment\", INDEX_COMMENT AS \"Index_comment\", IS_VISIBLE AS \"Visible\", "
             "EXPRESSION AS \"Expression\"",
             "STATISTICS");
    buf_puts(r->out, " WHERE TABLE_NAME = ");
    put_text(r, table);
    buf_puts(r->out, " COLLATE NOCASE AND ");
    mysql_show_must_exist(r, table);
    buf_puts(r->out, ")");
    put_filter(r, end, "Key_name", NULL);
}

static void show_table_status(struct mysql_rewrite *r, size_t i)
{
    i = skip_from(r, i);
    mysql_put(r, "SELECT * FROM (");
    put_from(r,
             "TABLE_NAME AS \"Name\", ENGINE AS \"Engine\", VERSION AS \"Version\", ROW_FORMAT AS "
             "\"Row_format\", TABLE_ROWS AS \"Rows\", AVG_ROW_LENGTH AS \"Avg_row_length\", "
             "DATA_LENGTH AS \"Data_length\", MAX_DATA_LENGTH AS \"Max_data_length\", INDEX_LENGTH "
             "AS \"Index_length\", DATA_FREE AS \"Data_free\", AUTO_INCREMENT AS "
             "\"Auto_increment\", CREATE_TIME AS \"Create_time\", UPDATE_TIME AS \"Update_time\", "
             "CHECK_TIME AS \"Check_time\", TABLE_COLLATION AS \"Collation\", CHECKSUM AS "
             "\"Checksum\", CREATE_OPTIONS AS \"Create_options\", TABLE_COMMENT AS \"Comment\"",
             "TABLES");
    buf_puts(r->out, ")");
    put_filter(r, i, "Name", " ORDER BY 1");
}

/* ---- the rest of SHOW ---- */

/* SHOW word …: a fixed query, with a column that LIKE means. */
static const struct {
    const char *words[3];
    const char *sql, *like;
} fixed[] = {
    {{"VARIABLES"},
     "SELECT column1 AS \"Variable_name\", column2 AS \"Value\" FROM (%V)",
     "Variable_name"},
    {{"STATUS"},
     "SELECT column1 AS \"Variable_name\", column2 AS \"Value\" FROM (%S)",
     "Variable_name"},
    {{"PROCESSLIST"},
     "SELECT column1 AS \"Id\", column2 AS \"User\", column3 AS \"Host\", column4 AS db, column5 "
     "AS \"Command\", column6 AS \"Time\", column7 AS \"State\", column8 AS \"Info\" FROM (%P)",
     "Id"},
    {{"WARNINGS"},
     "SELECT column1 AS \"Level\", column2 AS \"Code\", column3 AS \"Message\" FROM (%W)",
     "Level"},
    {{"ERRORS"},
     "SELECT column1 AS \"Level\", column2 AS \"Code\", column3 AS \"Message\" FROM (%E)",
     "Level"},
    {{"ENGINES"},
     "SELECT 'InnoDB' AS \"Engine\", 'DEFAULT' AS \"Support\", 'SQLite, replicated' AS "
     "\"Comment\", 'YES' AS \"Transactions\", 'NO' AS \"XA\", 'YES' AS \"Savepoints\"",
     "Engine"},
    {{"STORAGE", "ENGINES"},
     "SELECT 'InnoDB' AS \"Engine\", 'DEFAULT' AS \"Support\", 'SQLite, replicated' AS "
     "\"Comment\", 'YES' AS \"Transactions\", 'NO' AS \"XA\", 'YES' AS \"Savepoints\"",
     "Engine"},
    {{"CHARSET"},
     "SELECT 'utf8mb4' AS \"Charset\", 'UTF-8 Unicode' AS \"Description\", 'utf8mb4_0900_ai_ci' "
     "AS \"Default collation\", 4 AS \"Maxlen\"",
     "Charset"},
    {{"CHARACTER", "SET"},
     "SELECT 'utf8mb4' AS \"Charset\", 'UTF-8 Unicode' AS \"Description\", 'utf8mb4_0900_ai_ci' "
     "AS \"Default collation\", 4 AS \"Maxlen\"",
     "Charset"},
    {{"COLLATION"},
     "SELECT column1 AS \"Collation\", 'utf8mb4' AS \"Charset\", column2 AS \"Id\", column3 AS "
     "\"Default\", 'Yes' AS \"Compiled\", 1 AS \"Sortlen\", 'PAD SPACE' AS \"Pad_attribute\" FROM "
     "(VALUES ('utf8mb4_0900_ai_ci', 255, 'Yes'), ('utf8mb4_general_ci', 45, ''), "
     "('utf8mb4_bin', 46, ''), ('utf8mb4_unicode_ci', 224, ''))",
     "Collation"},
    {{"PLUGINS"},
     "SELECT 'caching_sha2_password' AS \"Name\", 'ACTIVE' AS \"Status\", 'AUTHENTICATION' AS "
     "\"Type\", NULL AS \"Library\", 'Apache-2.0' AS \"License\"",
     "Name"},
    {{"GRANTS"}, "SELECT 'GRANT ALL PRIVILEGES ON *.* TO `ha`@`%`' AS \"Grants for ha@%\"", NULL},
    {{"PRIVILEGES"},
     "SELECT 'All' AS \"Privilege\", 'Server Admin' AS \"Context\", '' AS \"Comment\"",
     NULL},
    {{"EVENTS"}, "SELECT NULL AS \"Db\", NULL AS \"Name\", NULL AS \"Definer\" WHERE 0", "Name"},
    {{"PROCEDURE", "STATUS"},
     "SELECT NULL AS \"Db\", NULL AS \"Name\", NULL AS \"Type\" WHERE 0",
     "Name"},
    {{"FUNCTION", "STATUS"},
     "SELECT NULL AS \"Db\", NULL AS \"Name\", NULL AS \"Type\" WHERE 0",
     "Name"},
    {{"OPEN", "TABLES"},
     "SELECT NULL AS \"Database\", NULL AS \"Table\", NULL AS \"In_use\", NULL AS "
     "\"Name_locked\" WHERE 0",
     "Table"},
    {{"MASTER", "STATUS"}, "SELECT NULL AS \"File\", NULL AS \"Position\" WHERE 0", NULL},
    {{"BINARY", "LOGS"}, "SELECT NULL AS \"Log_name\", NULL AS \"File_size\" WHERE 0", NULL},
    {{"MASTER", "LOGS"}, "SELECT NULL AS \"Log_name\", NULL AS \"File_size\" WHERE 0", NULL},
    {{"SLAVE", "STATUS"}, "SELECT NULL AS \"Slave_IO_State\" WHERE 0", NULL},
    {{"REPLICA", "STATUS"}, "SELECT NULL AS \"Replica_IO_State\" WHERE 0", NULL},
    {{"PROFILES"},
     "SELECT NULL AS \"Query_ID\", NULL AS \"Duration\", NULL AS \"Query\" WHERE 0",
     NULL},
};

static bool show_fixed(struct mysql_rewrite *r, size_t i)
{
    for (size_t k = 0; k < COUNT(fixed); k++) {
        size_t n = fixed[k].words[1] ? 2 : 1;
        if (!mysql_word(r, i, fixed[k].words[0]) ||
            (n == 2 && !mysql_word(r, i + 1, fixed[k].words[1])))
            continue;
        mysql_put(r, "SELECT * FROM (");
        mysql_catalog_put(r, fixed[k].sql);
        buf_puts(r->out, ")");
        if (mysql_word(r, i, "GRANTS"))
            i = r->n; /* FOR whomever */
        else
            i += n;
        if (mysql_word(r, i, "FROM") || mysql_word(r, i, "IN"))
            i += 2;
        put_filter(r, i, fixed[k].like ? fixed[k].like : "Name", NULL);
        return true;
    }
    return false;
}

static void show_triggers(struct mysql_rewrite *r, size_t i)
{
    i = skip_from(r, i);
    mysql_put(r, "SELECT * FROM (");
    put_from(
        r,
        "TRIGGER_NAME AS \"Trigger\", EVENT_MANIPULATION AS \"Event\", EVENT_OBJECT_TABLE AS "
        "\"Table\", ACTION_STATEMENT AS \"Statement\", ACTION_TIMING AS \"Timing\", CREATED AS "
        "\"Created\", SQL_MODE AS sql_mode, DEFINER AS \"Definer\", CHARACTER_SET_CLIENT AS "
        "character_set_client, COLLATION_CONNECTION AS collation_connection, "
        "DATABASE_COLLATION AS \"Database Collation\"",
        "TRIGGERS");
    buf_puts(r->out, ")");
    put_filter(r, i, "Table", NULL);
}

/* SHOW COUNT(*) WARNINGS */
static bool show_count(struct mysql_rewrite *r, size_t i)
{
    bool errors = mysql_word(r, i + 4, "ERRORS");

    if (!mysql_word(r, i, "COUNT") || (!errors && !mysql_word(r, i + 4, "WARNINGS")))
        return false;
    mysql_put(r, "SELECT count(*) AS ");
    quote_put_name(r->out, errors ? "@@session.error_count" : "@@session.warning_count");
    mysql_catalog_put(r, errors ? " FROM (%E)" : " FROM (%W)");
    return true;
}

static void show(struct mysql_rewrite *r)
{
    size_t i = 1;
    bool full = false;

    for (; mysql_word(r, i, "FULL") || mysql_word(r, i, "GLOBAL") || mysql_word(r, i, "SESSION") ||
           mysql_word(r, i, "LOCAL") || mysql_word(r, i, "EXTENDED");
         i++)
        full = full || mysql_word(r, i, "FULL");
    if (mysql_word(r, i, "TABLES")) {
        show_tables(r, i + 1, full);
    } else if (mysql_word(r, i, "DATABASES") || mysql_word(r, i, "SCHEMAS")) {
        show_databases(r, i + 1);
    } else if ((mysql_word(r, i, "COLUMNS") || mysql_word(r, i, "FIELDS")) &&
               (mysql_word(r, i + 1, "FROM") || mysql_word(r, i + 1, "IN"))) {
        show_columns(r, i + 2, full, NULL);
    } else if ((mysql_word(r, i, "INDEX") || mysql_word(r, i, "INDEXES") ||
                mysql_word(r, i, "KEYS")) &&
               (mysql_word(r, i + 1, "FROM") || mysql_word(r, i + 1, "IN"))) {
        show_index(r, i + 2);
    } else if (mysql_words(r, i, "TABLE", "STATUS")) {
        show_table_status(r, i + 2);
    } else if (mysql_word(r, i, "TRIGGERS")) {
        show_triggers(r, i + 1);
    } else if (mysql_word(r, i, "CREATE")) {
        mysql_show_create(r, i + 1);
    } else if (!show_count(r, i) && !show_fixed(r, i)) {
        mysql_fail(r, i, ERR_UNSUPPORTED, "SHOW %.60s is not supported", mysql_name(r, i));
    }
}

/* CHECK TABLE a, b: what MySQL would say of sound tables. */
static void maintain(struct mysql_rewrite *r)
{
    char verb[16];
    size_t i = 1, n = mysql_at(r, 0)->len;

    (void)snprintf(verb, sizeof verb, "%.*s", (int)(n < 15 ? n : 15), mysql_at(r, 0)->text);
    for (char *p = verb; *p; p++)
        *p = *p >= 'A' && *p <= 'Z' ? (char)(*p - 'A' + 'a') : *p;
    while (i < r->n && !mysql_word(r, i, "TABLE") && !mysql_word(r, i, "TABLES"))
        i++;
    for (bool first = true; ++i < r->n && mysql_is_name(r, i) && !r->failed; first = false) {
        size_t end;
        const char *table = mysql_show_table_name(r, i, &end);
        mysql_put(r, first ? "SELECT " : "UNION ALL SELECT ");
        put_text(r, r->context->schema);
        buf_puts(r->out, " || '.' || ");
        put_text(r, table);
        mysql_putf(r,
                   "AS \"Table\", '%s' AS \"Op\", 'status' AS \"Msg_type\", 'OK' AS "
                   "\"Msg_text\" WHERE",
                   verb);
        buf_putc(r->out, ' ');
        mysql_show_must_exist(r, table);
        i = end;
        if (!mysql_op(r, i, ","))
            break;
    }
}

bool mysql_show(struct mysql_rewrite *r)
{
    static const char *const verbs[] = {"CHECK", "ANALYZE", "OPTIMIZE", "REPAIR", "CHECKSUM"};
    bool describe =
        mysql_word(r, 0, "DESCRIBE") || mysql_word(r, 0, "DESC") || mysql_word(r, 0, "EXPLAIN");

    if (mysql_word(r, 0, "SHOW")) {
        show(r);
    } else if (describe && mysql_skip_name(r, 1) > 1 && !mysql_word(r, 1, "SELECT") &&
               !mysql_word(r, 1, "INSERT") && !mysql_word(r, 1, "UPDATE") &&
               !mysql_word(r, 1, "DELETE") && !mysql_word(r, 1, "REPLACE") &&
               !mysql_word(r, 1, "WITH") && !mysql_word(r, 1, "FORMAT") &&
               !mysql_word(r, 1, "EXTENDED") && !mysql_word(r, 1, "ANALYZE") &&
               !mysql_word(r, 1, "QUERY") && !mysql_word(r, 1, "PARTITIONS")) {
        size_t end = mysql_skip_name(r, 1);
        const char *only = mysql_is_name(r, end) || mysql_at(r, end)->type == MYSQL_TOKEN_STRING
                               ? mysql_name(r, end)
                               : NULL;
        show_columns(r, 1, false, only);
    } else if (mysql_one_of(mysql_at(r, 0), verbs, COUNT(verbs)) &&
               (mysql_word(r, 1, "TABLE") || mysql_word(r, 1, "TABLES") ||
                mysql_word(r, 2, "TABLE"))) {
        maintain(r);
    } else {
        return false;
    }
    r->touched++;
    return true;
}
