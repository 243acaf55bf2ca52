#include "proxy/my_ddl.h"

#include <string.h>

#include "sql/mysql/lex.h"

struct words {
    struct mysql_lexer lex;
    struct mysql_token t; /* the one that stands here */
    const char *schema;
    size_t schema_len;
};

static void next(struct words *w)
{
    (void)mysql_lex_next(&w->lex, &w->t);
}

static bool is(const struct words *w, const char *keyword)
{
    return mysql_lex_is(&w->t, keyword);
}

/* Over the keyword if it stands here. */
static bool take(struct words *w, const char *keyword)
{
    if (!is(w, keyword))
        return false;
    next(w);
    return true;
}

static bool is_end(const struct words *w)
{
    return w->t.type == MYSQL_TOKEN_END || w->t.type == MYSQL_TOKEN_ILLEGAL;
}

static bool take_name(struct words *w, char out[MY_DDL_NAME_BYTES])
{
    if ((w->t.type != MYSQL_TOKEN_WORD && w->t.type != MYSQL_TOKEN_QUOTED) ||
        w->t.len >= MY_DDL_NAME_BYTES)
        return false;
    out[mysql_lex_value(&w->lex, &w->t, out)] = '\0';
    next(w);
    return true;
}

/* [schema.]table, added to the statement's. */
static enum err_code take_table(struct words *w, struct my_ddl *d, struct err *e)
{
    if (d->n == MY_DDL_TABLES_MAX)
        return err_set(e, ERR_UNSUPPORTED, "a statement of the source names more than %d tables",
                       MY_DDL_TABLES_MAX);
    struct my_ddl_name *n = &d->tables[d->n];
    if (w->schema_len >= sizeof n->schema || !take_name(w, n->table))
        return err_set(e, ERR_UNSUPPORTED, "a schema statement of the source cannot be read");
    memcpy(n->schema, w->schema, w->schema_len);
    n->schema[w->schema_len] = '\0';
    if (mysql_lex_is_op(&w->t, ".")) {
        next(w);
        memcpy(n->schema, n->table, sizeof n->schema);
        if (!take_name(w, n->table))
            return err_set(e, ERR_UNSUPPORTED, "a schema statement of the source cannot be read");
    }
    d->n++;
    return ERR_OK;
}

static void skip_exists(struct words *w)
{
    if (take(w, "IF")) {
        (void)take(w, "NOT");
        (void)take(w, "EXISTS");
    }
}

/* MariaDB: [WAIT n | NOWAIT] */
static void skip_wait(struct words *w)
{
    if (take(w, "WAIT"))
        next(w);
    else
        (void)take(w, "NOWAIT");
}

static enum err_code take_list(struct words *w, struct my_ddl *d, struct err *e)
{
    enum err_code code;

    do {
        code = take_table(w, d, e);
        skip_wait(w);
    } while (code == ERR_OK && mysql_lex_is_op(&w->t, ",") && (next(w), true));
    return code;
}

static enum err_code read_rename(struct words *w, struct my_ddl *d, struct err *e)
{
    enum err_code code;

    skip_exists(w);
    do {
        code = take_table(w, d, e);
        skip_wait(w);
        (void)take(w, "TO");
        if (code == ERR_OK)
            code = take_table(w, d, e);
    } while (code == ERR_OK && mysql_lex_is_op(&w->t, ",") && (next(w), true));
    return code;
}

static bool drops_no_column(const struct words *w)
{
    static const char *const others[] = {"INDEX",      "KEY",   "PRIMARY",   "FOREIGN",
                                         "CONSTRAINT", "CHECK", "PARTITION", "DEFAULT"};

    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (is(w, others[i]))
            return true;
    return false;
}

/* ALTER TABLE t …: what else it says, words inside of parentheses left out. */
static enum err_code read_alter(struct words *w, struct my_ddl *d, struct err *e)
{
    unsigned depth = 0;

    skip_exists(w);
    enum err_code code = take_table(w, d, e);
    while (code == ERR_OK && !is_end(w)) {
        bool plain = depth == 0 && w->t.type == MYSQL_TOKEN_WORD;
        if (mysql_lex_is_op(&w->t, "("))
            depth++;
        else if (mysql_lex_is_op(&w->t, ")") && depth > 0)
            depth--;
        if (plain && is(w, "RENAME")) {
            next(w);
            if (is(w, "COLUMN") || is(w, "INDEX") || is(w, "KEY")) {
                d->renames = d->renames || is(w, "COLUMN");
                continue;
            }
            if (!take(w, "TO"))
                (void)take(w, "AS");
            d->kind = MY_DDL_RENAME;
            return take_table(w, d, e);
        }
        if (plain && is(w, "DROP")) {
            next(w);
            d->drops = d->drops || !drops_no_column(w);
            continue;
        }
        d->renames = d->renames || (plain && is(w, "CHANGE"));
        d->modifies = d->modifies || (plain && is(w, "MODIFY"));
        d->moves = d->moves || (plain && (is(w, "TABLESPACE") || is(w, "PARTITION")));
        next(w);
    }
    return code;
}

static enum err_code read_create(struct words *w, struct my_ddl *d, struct err *e)
{
    if (take(w, "OR") && take(w, "REPLACE"))
        d->replaces = true;
    if (is(w, "TEMPORARY")) {
        d->kind = MY_DDL_NOTHING;
        return ERR_OK;
    }
    while (is(w, "UNIQUE") || is(w, "FULLTEXT") || is(w, "SPATIAL") || is(w, "ONLINE") ||
           is(w, "OFFLINE"))
        next(w);
    if (take(w, "TABLE")) {
        d->kind = MY_DDL_CREATE;
        skip_exists(w);
        return take_table(w, d, e);
    }
    if (!take(w, "INDEX"))
        return ERR_OK;
    d->kind = MY_DDL_ALTER;
    d->replaces = false;
    while (!is_end(w) && !take(w, "ON"))
        next(w);
    return take_table(w, d, e);
}

static enum err_code read_drop(struct words *w, struct my_ddl *d, struct err *e)
{
    if (is(w, "TEMPORARY"))
        return ERR_OK;
    if (take(w, "TABLE") || take(w, "TABLES")) {
        d->kind = MY_DDL_DROP;
        skip_exists(w);
        return take_list(w, d, e);
    }
    if (take(w, "DATABASE") || take(w, "SCHEMA")) {
        d->kind = MY_DDL_DROP_SCHEMA;
        skip_exists(w);
        d->n = 1;
        return take_name(w, d->tables[0].schema)
                   ? ERR_OK
                   : err_set(e, ERR_UNSUPPORTED, "a schema statement of the source cannot be read");
    }
    if (take(w, "INDEX")) {
        d->kind = MY_DDL_ALTER;
        while (!is_end(w) && !take(w, "ON"))
            next(w);
        return take_table(w, d, e);
    }
    return ERR_OK;
}

static enum err_code read_rest(struct words *w, struct my_ddl *d, struct err *e)
{
    static const char *const rows[] = {"INSERT", "UPDATE", "DELETE", "REPLACE", "LOAD"};

    if (take(w, "BEGIN") || is(w, "START"))
        d->kind = MY_DDL_BEGIN;
    else if (is(w, "COMMIT"))
        d->kind = MY_DDL_COMMIT;
    else if (is(w, "XA"))
        d->kind = MY_DDL_PARTIAL;
    else if (take(w, "ROLLBACK"))
        d->kind = is(w, "TO") ? MY_DDL_PARTIAL : MY_DDL_ROLLBACK;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (d->kind == MY_DDL_NOTHING && is(w, rows[i]))
            d->kind = MY_DDL_ROWS;
    if (d->kind != MY_DDL_NOTHING)
        return ERR_OK;
    if (take(w, "TRUNCATE")) {
        d->kind = MY_DDL_TRUNCATE;
        (void)take(w, "TABLE");
        return take_table(w, d, e);
    }
    if (take(w, "CREATE"))
        return read_create(w, d, e);
    if (take(w, "DROP"))
        return read_drop(w, d, e);
    if (take(w, "ALTER")) {
        while (is(w, "ONLINE") || is(w, "OFFLINE") || is(w, "IGNORE"))
            next(w);
        if (!take(w, "TABLE"))
            return ERR_OK;
        d->kind = MY_DDL_ALTER;
        return read_alter(w, d, e);
    }
    if (take(w, "RENAME") && (take(w, "TABLE") || take(w, "TABLES"))) {
        d->kind = MY_DDL_RENAME;
        return read_rename(w, d, e);
    }
    return ERR_OK;
}

enum err_code my_ddl_read(struct my_ddl *d, const char *schema, size_t schema_len, const char *sql,
                          size_t len, struct err *e)
{
    struct words w = {.schema = schema, .schema_len = schema_len};

    d->kind = MY_DDL_NOTHING;
    d->renames = d->drops = d->modifies = d->replaces = d->moves = false;
    d->n = 0;
    mysql_lex_init(&w.lex, sql, len);
    next(&w);
    return read_rest(&w, d, e);
}
