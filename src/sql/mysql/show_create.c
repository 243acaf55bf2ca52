/*
 * SHOW CREATE: the schema in MySQL's words, made by one query of the pragmas, since clients read it
 * (SQLAlchemy's reflection) and dumps repeat it.
 */
#include <string.h>

#include "sql/mysql/rewrite.h"

static void put_text(struct mysql_rewrite *r, const char *s)
{
    mysql_put_string(r, s, strlen(s));
}

/* clang-format off */

/* A name in backticks, of an expression of SQLite's. */
#define TICKED(x) "'`' || replace(" x ", '`', '``') || '`'"

/* l is the table, k says which of its columns is the rowid. */
static const char columns[] =
    "SELECT 1 AS part, c.cid AS at, '  ' || " TICKED("c.name") " || ' ' || "
    "mysql_column_type(CASE WHEN k.rowid_column = c.name AND l.sql LIKE '%CONSTRAINT int4%' THEN 'INT' ELSE c.type END, l.sql, c.name) || "
    "CASE WHEN c.hidden IN (2, 3) THEN mysql_generated(l.sql, c.name) WHEN c.\"notnull\" OR c.pk > 0 THEN ' NOT NULL' ELSE '' END || "
    "CASE WHEN k.rowid_column = c.name THEN ' AUTO_INCREMENT' WHEN c.hidden <> 0 THEN '' "
    "WHEN c.dflt_value IS NOT NULL THEN ' DEFAULT ' || mysql_default_text(c.dflt_value) "
    "WHEN c.\"notnull\" OR c.pk > 0 THEN '' ELSE ' DEFAULT NULL' END || "
    "CASE WHEN EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = l.name AND "
    "name = l.name || '_' || c.name || '_on_update') THEN ' ON UPDATE CURRENT_TIMESTAMP' || mysql_fraction(c.type) ELSE '' END AS line "
    "FROM l, k, pragma_table_xinfo(l.name) c WHERE c.hidden <> 1";

static const char primary_key[] =
    "SELECT 2, 0, '  PRIMARY KEY (' || group_concat(" TICKED("name") ", ',') || ')' "
    "FROM (SELECT c.name FROM l, pragma_table_xinfo(l.name) c WHERE c.pk > 0 ORDER BY c.pk) HAVING count(*) > 0";

static const char keys[] =
    "SELECT 3, x.seq * -1, CASE x.\"unique\" WHEN 1 THEN '  UNIQUE KEY ' ELSE '  KEY ' END || "
    TICKED("CASE WHEN x.name LIKE 'sqlite!_autoindex!_%' ESCAPE '!' THEN "
           "(SELECT name FROM pragma_index_info(x.name) WHERE seqno = 0) ELSE x.name END")
    " || ' (' || (SELECT group_concat(" TICKED("name") ", ',') FROM "
    "(SELECT i.name FROM pragma_index_info(x.name) i ORDER BY i.seqno)) || ')' FROM l, pragma_index_list(l.name) x "
    "WHERE x.origin <> 'pk' AND NOT EXISTS (SELECT 1 FROM pragma_index_info(x.name) WHERE name IS NULL)";

static const char foreign_keys[] =
    "SELECT 4, f.id * -1, '  CONSTRAINT ' || " TICKED("mysql_foreign_key(l.sql, l.name, f.id)")
    " || ' FOREIGN KEY (' || group_concat(" TICKED("f.\"from\"") ", ', ') || ') REFERENCES ' || " TICKED("f.\"table\"")
    " || ' (' || group_concat("
    TICKED("coalesce(f.\"to\", (SELECT name FROM pragma_table_xinfo(f.\"table\") WHERE pk = f.seq + 1), '')") ", ', ') || ')' || "
    "CASE f.on_delete WHEN 'NO ACTION' THEN '' ELSE ' ON DELETE ' || f.on_delete END || "
    "CASE f.on_update WHEN 'NO ACTION' THEN '' ELSE ' ON UPDATE ' || f.on_update END "
    "FROM l, pragma_foreign_key_list(l.name) f GROUP BY f.id";

/* clang-format on */

static void show_create_table(struct mysql_rewrite *r, size_t i)
{
    size_t end;
    const char *table = mysql_show_table_name(r, i, &end);

    mysql_put(r, "WITH l AS (SELECT l.name, l.type, l.wr, s.sql FROM pragma_table_list l JOIN "
                 "sqlite_schema s ON s.name = l.name WHERE l.schema = 'main' AND s.type IN "
                 "('table', 'view') AND l.name = ");
    put_text(r, table);
    buf_puts(r->out, " COLLATE NOCASE AND ");
    mysql_show_must_exist(r, table);
    buf_puts(r->out,
             "), k AS (SELECT CASE WHEN max(c.pk) = 1 AND NOT l.wr THEN max(CASE WHEN c.pk = 1 AND "
             "upper(c.type) = 'INTEGER' THEN c.name END) END AS rowid_column FROM l, "
             "pragma_table_xinfo(l.name) c) SELECT l.name AS \"Table\", CASE l.type WHEN 'view' "
             "THEN l.sql ELSE 'CREATE TABLE ' || " TICKED(
                 "l.name") " || ' (' || char(10) || "
                           "(SELECT group_concat(line, ',' || char(10)) FROM (SELECT line FROM (");
    buf_puts(r->out, columns);
    buf_puts(r->out, " UNION ALL ");
    buf_puts(r->out, primary_key);
    buf_puts(r->out, " UNION ALL ");
    buf_puts(r->out, keys);
    buf_puts(r->out, " UNION ALL ");
    buf_puts(r->out, foreign_keys);
    buf_puts(r->out, ") ORDER BY part, at)) || char(10) || ') ENGINE=InnoDB DEFAULT "
                     "CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci' END AS \"Create Table\" FROM l");
}

void mysql_show_create(struct mysql_rewrite *r, size_t i)
{
    size_t end;
    const char *name;

    if (mysql_word(r, i, "TABLE")) {
        show_create_table(r, i + 1);
    } else if (mysql_word(r, i, "VIEW")) {
        name = mysql_show_table_name(r, i + 1, &end);
        mysql_put(r, "SELECT name AS \"View\", sql AS \"Create View\", 'utf8mb4' AS "
                     "character_set_client, 'utf8mb4_0900_ai_ci' AS collation_connection FROM "
                     "sqlite_schema WHERE type = 'view' AND ");
        mysql_show_must_exist(r, name);
        buf_puts(r->out, " AND name = ");
        put_text(r, name);
        buf_puts(r->out, " COLLATE NOCASE");
    } else if (mysql_word(r, i, "TRIGGER")) {
        name = mysql_show_table_name(r, i + 1, &end);
        mysql_put(r, "SELECT name AS \"Trigger\", '' AS sql_mode, sql AS \"SQL Original "
                     "Statement\", 'utf8mb4' AS character_set_client, 'utf8mb4_0900_ai_ci' AS "
                     "collation_connection, 'utf8mb4_0900_ai_ci' AS \"Database Collation\", NULL "
                     "AS \"Created\" FROM sqlite_schema WHERE type = 'trigger' AND name = ");
        put_text(r, name);
        buf_puts(r->out, " COLLATE NOCASE");
    } else if (mysql_word(r, i, "DATABASE") || mysql_word(r, i, "SCHEMA")) {
        i += mysql_words(r, i + 1, "IF", "NOT") ? 4 : 1;
        name = mysql_name(r, i);
        mysql_put(r, "SELECT ");
        put_text(r, name);
        buf_puts(r->out, " AS \"Database\", 'CREATE DATABASE `' || ");
        put_text(r, name);
        buf_puts(r->out, " || '` /*!40100 DEFAULT CHARACTER SET utf8mb4 */' AS \"Create "
                         "Database\"");
    } else {
        mysql_fail(r, i, ERR_UNSUPPORTED, "SHOW CREATE %.40s is not supported", mysql_name(r, i));
    }
}
