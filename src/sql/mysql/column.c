/*
 * A column's definition in CREATE TABLE and ALTER TABLE:
 *
 *   id INT(11) UNSIGNED NOT NULL AUTO_INCREMENT COMMENT 'x'
 *   id INTEGER CONSTRAINT int4 NOT NULL PRIMARY KEY AUTOINCREMENT
 */
#include <stdio.h>
#include <string.h>

#include "sql/mysql/rewrite.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static bool skip_options(const struct mysql_rewrite *r, size_t *i, size_t to)
{
    static const char *const with_value[] = {"COMMENT",          "CHARSET",
                                             "COLUMN_FORMAT",    "STORAGE",
                                             "ENGINE_ATTRIBUTE", "SECONDARY_ENGINE_ATTRIBUTE",
                                             "KEY_BLOCK_SIZE",   "SRID"};
    static const char *const alone[] = {"BINARY",   "VISIBLE", "INVISIBLE", "ZEROFILL",
                                        "UNSIGNED", "SIGNED",  "ENFORCED"};

    (void)to;
    if (mysql_words(r, *i, "CHARACTER", "SET")) {
        *i += 3;
        return true;
    }
    if (mysql_one_of(mysql_at(r, *i), with_value, COUNT(with_value))) {
        *i += mysql_op(r, *i + 1, "=") ? 3 : 2;
        return true;
    }
    if (mysql_one_of(mysql_at(r, *i), alone, COUNT(alone)) ||
        mysql_words(r, *i, "NOT", "ENFORCED")) {
        *i += mysql_word(r, *i, "NOT") ? 2 : 1;
        return true;
    }
    return false;
}

static bool is_integer(const struct mysql_rewrite *r, size_t i)
{
    static const char *const types[] = {"INT",       "INTEGER", "TINYINT", "SMALLINT",
                                        "MEDIUMINT", "BIGINT",  "INT1",    "INT2",
                                        "INT3",      "INT4",    "INT8",    "MIDDLEINT"};

    return mysql_one_of(mysql_at(r, i), types, COUNT(types));
}

/* The name of an ENUM's check, by which the type is known again (function_catalog.c). */
static const char *enum_name(struct mysql_rewrite *r, const char *column)
{
    size_t n = strlen(column) + sizeof "_enum";
    char *name = arena_alloc(r->arena, n);

    if (!name) {
        mysql_fail(r, MYSQL_NONE, ERR_NO_MEMORY, "out of memory");
        return "";
    }
    (void)snprintf(name, n, "%s_enum", column);
    return name;
}

void mysql_enum_check(struct mysql_rewrite *r, size_t i, const char *column)
{
    mysql_put(r, "CONSTRAINT ");
    mysql_put_name(r, enum_name(r, column));
    mysql_put(r, "CHECK (");
    mysql_put_name(r, column);
    mysql_put(r, "IN");
    mysql_range(r, i + 1, mysql_skip(r, i + 1));
    buf_puts(r->out, ")");
}

bool mysql_is_enum(const struct mysql_rewrite *r, size_t i)
{
    return mysql_word(r, i, "ENUM") && mysql_op(r, i + 1, "(");
}

/* ENUM('a', 'b') is a text with a check; SET('a', 'b') a text. */
static size_t choice(struct mysql_rewrite *r, size_t i, const char *column)
{
    mysql_put(r, "TEXT");
    if (column && mysql_is_enum(r, i))
        mysql_enum_check(r, i, column);
    return mysql_skip(r, i + 1);
}

/* An INTEGER that is the primary key is SQLite's rowid, and must be called so. */
static bool keeps_integer(const struct mysql_rewrite *r, size_t i, size_t to)
{
    return r->rowid || mysql_find(r, i, to, "PRIMARY") < to;
}

/* The type: its display width goes, UNSIGNED moves in front of what stands in parentheses. */
size_t mysql_column_type(struct mysql_rewrite *r, size_t i, size_t to, const char *column)
{
    size_t args = MYSQL_NONE, end = i + 1;
    bool integer = is_integer(r, i), tiny = mysql_word(r, i, "TINYINT");
    bool is_unsigned = false;

    if (i >= to || !mysql_is_name(r, i))
        return i;
    if ((mysql_word(r, i, "ENUM") || mysql_word(r, i, "SET")) && mysql_op(r, i + 1, "("))
        return choice(r, i, column);
    mysql_put(r, "");
    if (mysql_word(r, i, "NATIONAL")) {
        i++;
        end++;
    }
    if (mysql_word(r, i, "INTEGER") && !keeps_integer(r, i, to))
        buf_puts(r->out, "INT"); /* MySQL's has 32 bits, SQLite's 64 */
    else
        buf_put(r->out, mysql_at(r, i)->text, mysql_at(r, i)->len);
    if (mysql_words(r, i, "DOUBLE", "PRECISION"))
        end++;
    if (mysql_word(r, i, "LONG") &&
        (mysql_word(r, i + 1, "VARCHAR") || mysql_word(r, i + 1, "VARBINARY")))
        mysql_copy(r, end++);
    if (mysql_word(r, end, "VARYING"))
        mysql_copy(r, end++);
    if (mysql_op(r, end, "(")) {
        args = end;
        end = mysql_skip(r, end);
    }
    while (end < to && (mysql_word(r, end, "UNSIGNED") || mysql_word(r, end, "SIGNED") ||
                        mysql_word(r, end, "ZEROFILL"))) {
        is_unsigned = is_unsigned || mysql_word(r, end, "UNSIGNED");
        end++;
    }
    if (is_unsigned)
        mysql_put(r, "UNSIGNED");
    bool bit = args != MYSQL_NONE && mysql_op(r, args + 2, ")") &&
               mysql_at(r, args + 1)->len == 1 && *mysql_at(r, args + 1)->text == '1';
    if (args != MYSQL_NONE && (!integer || (tiny && bit)))
        for (size_t k = args; k < mysql_skip(r, args); k++)
            mysql_copy(r, k);
    return end;
}

/* DEFAULT and what follows it: a value, or an expression, which SQLite wants in parentheses. */
size_t mysql_column_default(struct mysql_rewrite *r, size_t i, size_t to)
{
    size_t at = i + 1, end;
    const struct mysql_token *t = mysql_at(r, at);

    mysql_put(r, "DEFAULT");
    if (mysql_op(r, at, "(")) {
        end = mysql_skip(r, at);
        mysql_range(r, at, end);
        return end;
    }
    if (t->type == MYSQL_TOKEN_WORD && (mysql_op(r, at + 1, "(") || mysql_is_call(r, at))) {
        end = mysql_skip(r, at + 1);
        mysql_put(r, "(");
        mysql_range(r, at, end);
        buf_puts(r->out, ")");
        return end;
    }
    if (mysql_word(r, at, "LOCALTIME") || mysql_word(r, at, "LOCALTIMESTAMP")) {
        mysql_put(r, "CURRENT_TIMESTAMP");
        return at + 1;
    }
    end = at + 1;
    if (mysql_op(r, at, "-") || mysql_op(r, at, "+") ||
        (t->type == MYSQL_TOKEN_WORD && *t->text == '_'))
        end++;
    if (end > to)
        end = to;
    for (size_t k = at; k < end; k++)
        mysql_copy(r, k);
    return end;
}

/* Where it ends, without a word of it. */
static size_t skip_default(struct mysql_rewrite *r, size_t i, size_t to)
{
    struct buf nowhere = BUF_INIT, *out = r->out;

    r->out = &nowhere;
    i = mysql_column_default(r, i, to);
    r->out = out;
    buf_free(&nowhere);
    return i;
}

/* GENERATED ALWAYS AS (…) STORED */
static size_t generated(struct mysql_rewrite *r, size_t i)
{
    if (mysql_words(r, i, "GENERATED", "ALWAYS"))
        i += 2;
    mysql_put(r, "GENERATED ALWAYS AS");
    mysql_range(r, i + 1, mysql_skip(r, i + 1));
    return mysql_skip(r, i + 1);
}

void mysql_column_def(struct mysql_rewrite *r, size_t from, size_t to, bool key, unsigned without,
                      struct mysql_column *c)
{
    size_t i = from + 1;
    bool is_int4 = mysql_word(r, i, "INT") || mysql_word(r, i, "INTEGER");

    *c = (struct mysql_column){.name = mysql_name(r, from)};
    mysql_put_name(r, c->name);
    bool serial = mysql_word(r, i, "SERIAL");
    bool increments = mysql_find(r, i, to, "AUTO_INCREMENT") < to || serial;
    bool rowid = increments && (key || serial || mysql_find(r, i, to, "PRIMARY") < to ||
                                mysql_find(r, i, to, "KEY") < to);
    c->auto_increment = increments;
    c->primary = rowid;
    if (rowid) { /* the name that SQLite wants, and the mark that tells an int (table_text.h) */
        struct buf nowhere = BUF_INIT, *out = r->out;
        r->out = &nowhere;
        i = serial ? i + 1 : mysql_column_type(r, i, to, c->name);
        r->out = out;
        buf_free(&nowhere);
        mysql_put(r, is_int4 ? "INTEGER CONSTRAINT int4 NOT NULL PRIMARY KEY AUTOINCREMENT"
                             : "INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT");
    } else {
        i = mysql_column_type(r, i, to, c->name);
    }
    while (i < to && !r->failed) {
        if (skip_options(r, &i, to))
            continue;
        if (mysql_words(r, i, "NOT", "NULL")) {
            if (!rowid && !(without & MYSQL_WITHOUT_NOT_NULL))
                mysql_put(r, "NOT NULL");
            i += 2;
        } else if (mysql_word(r, i, "NULL") || mysql_word(r, i, "AUTO_INCREMENT") ||
                   mysql_word(r, i, "FIRST")) {
            i++;
        } else if (mysql_words(r, i, "PRIMARY", "KEY") || mysql_word(r, i, "KEY")) {
            if (!rowid)
                mysql_put(r, "PRIMARY KEY");
            c->primary = true;
            i += mysql_word(r, i, "PRIMARY") ? 2 : 1;
        } else if (mysql_word(r, i, "UNIQUE")) {
            mysql_put(r, "UNIQUE");
            i += mysql_word(r, i + 1, "KEY") ? 2 : 1;
        } else if (mysql_word(r, i, "DEFAULT")) {
            i = without & MYSQL_WITHOUT_DEFAULT ? skip_default(r, i, to)
                                                : mysql_column_default(r, i, to);
        } else if (mysql_words(r, i, "ON", "UPDATE")) {
            c->on_update = true;
            i += 3;
            c->fraction = mysql_op(r, i, "(") && !mysql_op(r, i + 1, ")");
            if (mysql_op(r, i, "("))
                i = mysql_skip(r, i);
        } else if (mysql_word(r, i, "GENERATED") || mysql_words(r, i, "AS", "(") ||
                   (mysql_word(r, i, "AS") && mysql_op(r, i + 1, "("))) {
            i = generated(r, i);
        } else if (mysql_word(r, i, "COLLATE")) {
            size_t end = mysql_expr(r, i, to);
            if (end == i) {
                mysql_copy(r, i);
                mysql_copy(r, i + 1);
                end = i + 2;
            }
            i = end;
        } else if (mysql_word(r, i, "REFERENCES")) {
            i = mysql_references(r, i, to);
        } else if (mysql_op(r, i, "(")) {
            mysql_range(r, i, mysql_skip(r, i));
            i = mysql_skip(r, i);
        } else if (mysql_word(r, i, "AFTER")) {
            i += 2;
        } else {
            mysql_copy(r, i++); /* CHECK, CONSTRAINT a, VIRTUAL …; SQLite says what it is not */
        }
    }
}

void mysql_on_update(struct mysql_rewrite *r, const char *table, const struct mysql_column *c)
{
    size_t n = strlen(table) + strlen(c->name) + sizeof "__on_update";
    char *name = arena_alloc(r->arena, n);

    if (!name) {
        mysql_fail(r, MYSQL_NONE, ERR_NO_MEMORY, "out of memory");
        return;
    }
    (void)snprintf(name, n, "%s_%s_on_update", table, c->name);
    mysql_put(r, c->on_update ? "CREATE TRIGGER " : "DROP TRIGGER IF EXISTS ");
    mysql_put_name(r, name);
    if (!c->on_update)
        return;
    /* Unless the statement itself gave the column another value. */
    mysql_put(r, "AFTER UPDATE ON ");
    mysql_put_name(r, table);
    mysql_put(r, "FOR EACH ROW WHEN NEW.");
    mysql_put_name(r, c->name);
    mysql_put(r, "IS OLD.");
    mysql_put_name(r, c->name);
    mysql_put(r, "BEGIN UPDATE ");
    mysql_put_name(r, table);
    mysql_put(r, "SET ");
    mysql_put_name(r, c->name);
    mysql_put(r, c->fraction ? "= strftime('%Y-%m-%d %H:%M:%f', 'now')" : "= CURRENT_TIMESTAMP");
    mysql_put(r, "WHERE rowid = NEW.rowid; END");
}
