/*
 * Running an ALTER:
 *
 *   alter_run ─ SAVEPOINT ─ read_table ─ one of the kinds below ─ alter_edit ─ RELEASE
 *
 * Triggers and foreign keys are off meanwhile: what is written here changes no row's content.
 */
#include "sql/alter.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/hex.h"
#include "base/id.h"
#include "sql/alter_impl.h"
#include "sql/lex.h"

/* ---- what is altered ---- */

static enum err_code read_table(struct alter_run *r, const char *name, struct err *e)
{
    enum err_code code = alter_value(r, &r->sql, e,
                                     "SELECT sql FROM main.sqlite_schema WHERE type = 'table' "
                                     "AND name = %Q COLLATE NOCASE",
                                     name);

    if (!code)
        code = alter_value(r, &r->table, e,
                           "SELECT name FROM main.sqlite_schema WHERE type = 'table' "
                           "AND name = %Q COLLATE NOCASE",
                           name);
    if (code)
        return code;
    if (!r->sql || !r->table)
        return err_set(e, ERR_NO_TABLE, "no such table: %.200s", name);
    if (!table_text_read(&r->text, r->arena, r->sql, strlen(r->sql)))
        return err_set(e, ERR_UNSUPPORTED, "%.200s is no table that can be altered", name);
    return ERR_OK;
}

static enum err_code find_column(struct alter_run *r, const char *name, size_t *column,
                                 struct err *e)
{
    *column = table_text_column(&r->text, name);
    if (*column == TABLE_TEXT_NONE)
        return err_set(e, ERR_NO_COLUMN, "no such column: %.200s", name);
    return ERR_OK;
}

/* The column's constraint of this kind; TABLE_TEXT_NONE: it has none. */
static size_t column_constraint(const struct alter_run *r, size_t column,
                                enum text_constraint_kind kind)
{
    for (size_t i = 0; i < r->text.n_constraints; i++)
        if (r->text.constraints[i].column == column && r->text.constraints[i].kind == kind)
            return i;
    return TABLE_TEXT_NONE;
}

static bool in_primary_key(const struct alter_run *r, const char *column)
{
    for (size_t i = 0; i < r->text.n_constraints; i++) {
        const struct text_constraint *c = &r->text.constraints[i];
        for (size_t k = 0; c->kind == TEXT_PRIMARY_KEY && k < c->n_columns; k++)
            if (strcasecmp(c->columns[k], column) == 0)
                return true;
    }
    return false;
}

static enum err_code edit_one(struct alter_run *r, size_t from, size_t to, const char *text,
                              const char *list, struct err *e)
{
    struct alter_splice s = {from, to, text};

    return text ? alter_edit(r, alter_spliced(r, &s, 1), list, e) : alter_no_memory(e);
}

/* ---- defaults ---- */

/* The text with the column's default replaced; `expression` = "": without one. */
static const char *with_default(struct alter_run *r, size_t column, const char *expression)
{
    size_t old = column_constraint(r, column, TEXT_DEFAULT);
    size_t from = r->text.columns[column].type.to;
    struct alter_splice s = {from, from, ""};

    if (old != TABLE_TEXT_NONE)
        s = (struct alter_splice){r->text.constraints[old].at.from, r->text.constraints[old].at.to,
                                  ""};
    if (expression[0] != '\0')
        s.text = alter_format(r, old == TABLE_TEXT_NONE ? " DEFAULT %s" : "DEFAULT %s", expression);
    return s.text ? alter_spliced(r, &s, 1) : NULL;
}

/* The columns by which rows are found again: the rowid's name, or NULL. */
static const char *rowid_name(const struct alter_run *r)
{
    static const char *const names[] = {"rowid", "_rowid_", "oid"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (table_text_column(&r->text, names[i]) == TABLE_TEXT_NONE)
            return names[i];
    return NULL;
}

/*
 * Rows that are older than the column (ADD COLUMN) do not have it: they show its default. Before
 * that changes, it is written into them. With a default that nobody else has stored, they are the
 * rows that show it. Indexes have kept the old one, so they are not asked, and the rows are written
 * while the old one is in force.
 */
static enum err_code materialize(struct alter_run *r, size_t column, struct err *e)
{
    const char *name = r->text.columns[column].name, *rowid = rowid_name(r), *without;
    char id[ID_SIZE], digits[2 * ID_LEN];
    const char *marker;
    enum err_code code = alter_value(r, &without, e,
                                     "SELECT 1 FROM pragma_table_list(%Q) WHERE schema = 'main' "
                                     "AND wr",
                                     r->table);

    if (code)
        return code;
    if (without || !rowid)
        return alter_exec(r, e, "UPDATE main.\"%w\" SET \"%w\" = \"%w\"", r->table, name, name);
    id_next(id);
    hex_encode(id, ID_LEN, digits);
    marker = alter_format(r, "X'%.*s'", (int)sizeof digits, digits);
    if (!marker)
        return alter_no_memory(e);
    (void)alter_exec(r, e, "DROP TABLE IF EXISTS temp.ha_alter_rows");
    code = alter_put(r, "table", r->table, r->table, with_default(r, column, marker), e);
    if (!code)
        code = alter_exec(r, e,
                          "CREATE TABLE temp.ha_alter_rows AS SELECT %s AS r FROM main.\"%w\" "
                          "NOT INDEXED WHERE \"%w\" IS %s",
                          rowid, r->table, name, marker);
    if (!code)
        code = alter_put(r, "table", r->table, r->table, r->sql, e);
    if (!code)
        code = alter_exec(r, e,
                          "UPDATE main.\"%w\" SET \"%w\" = \"%w\" WHERE %s IN (SELECT r FROM "
                          "temp.ha_alter_rows)",
                          r->table, name, name, rowid);
    if (!code)
        code = alter_exec(r, e, "DROP TABLE temp.ha_alter_rows");
    return code;
}

/* SQLite wants parentheses around what is no literal. */
static bool is_literal(const char *s, size_t len)
{
    const char *at = s, *end = s + len;
    struct lex_token t;

    lex_next(&at, end, &t);
    if (t.type == LEX_TOKEN_PUNCT && (*t.text == '-' || *t.text == '+'))
        lex_next(&at, end, &t);
    if (t.type == LEX_TOKEN_PUNCT && *t.text == '(')
        return false;
    while (t.type == LEX_TOKEN_NUMBER && at < end && *at != ' ')
        lex_next(&at, end, &t);
    return !lex_next(&at, end, &t);
}

static enum err_code set_default(struct alter_run *r, const char *expression, struct err *e)
{
    size_t column;
    enum err_code code = find_column(r, r->x.name, &column, e);

    if (!code && column_constraint(r, column, TEXT_GENERATED) != TABLE_TEXT_NONE)
        code = err_set(e, ERR_SQL, "column %.100s is a generated column", r->x.name);
    if (!code)
        code = materialize(r, column, e);
    if (!code)
        code = alter_edit(r, expression ? with_default(r, column, expression) : NULL, NULL, e);
    return code;
}

/* A constraint's text with the comma that divides it from what stands before it. */
static struct text_span to_cut(const struct alter_run *r, size_t constraint)
{
    struct text_span s = r->text.constraints[constraint].at;

    while (s.from > 0 && strchr(" \t\r\n", r->sql[s.from - 1]))
        s.from--;
    if (r->text.constraints[constraint].column == TABLE_TEXT_NONE && s.from > 0 &&
        r->sql[s.from - 1] == ',')
        s.from--;
    return s;
}

static enum err_code cut_constraint(struct alter_run *r, size_t constraint, struct err *e)
{
    struct text_span s = to_cut(r, constraint);

    return edit_one(r, s.from, s.to, "", NULL, e);
}

/* ---- types ---- */

/* *other: the affinity of the new type where it is not that of the old one, as CREATE TABLE … AS
 * spells it; NULL: it is the same. */
static enum err_code affinities(struct alter_run *r, const char *type, size_t column,
                                const char **other, struct err *e)
{
    const struct text_span *old = &r->text.columns[column].type;
    enum err_code code;

    /* SQLite itself knows best: the types of two columns of a table made from casts. */
    (void)alter_exec(r, e, "DROP TABLE IF EXISTS temp.ha_alter_type");
    code = alter_exec(r, e,
                      "CREATE TABLE temp.ha_alter_old (c %.*s); "
                      "CREATE TABLE temp.ha_alter_new (c %s); "
                      "CREATE TABLE temp.ha_alter_type AS SELECT a.c AS a, b.c AS b "
                      "FROM temp.ha_alter_old a, temp.ha_alter_new b; "
                      "DROP TABLE temp.ha_alter_old; DROP TABLE temp.ha_alter_new",
                      (int)(old->to - old->from), r->sql + old->from, type);
    if (!code)
        code = alter_value(r, other, e,
                           "SELECT b.type FROM pragma_table_info('ha_alter_type', 'temp') a, "
                           "pragma_table_info('ha_alter_type', 'temp') b "
                           "WHERE a.cid = 0 AND b.cid = 1 AND a.type <> b.type");
    if (!code)
        code = alter_exec(r, e, "DROP TABLE temp.ha_alter_type");
    return code;
}

/* What a column of another affinity would need that is not done here. */
static enum err_code check_affinity(struct alter_run *r, size_t column, struct err *e)
{
    const char *found;
    enum err_code code;

    if (in_primary_key(r, r->text.columns[column].name)) {
        code = alter_value(r, &found, e,
                           "SELECT 1 FROM pragma_table_list(%Q) WHERE schema = 'main' AND wr",
                           r->table);
        if (code || found)
            return code ? code
                        : err_set(e, ERR_UNSUPPORTED,
                                  "the primary key of a WITHOUT ROWID table keeps its type");
    }
    code = alter_value(r, &found, e,
                       "SELECT 1 FROM pragma_table_xinfo(%Q, 'main') WHERE hidden = 3 LIMIT 1",
                       r->table);
    if (!code && found)
        code = err_set(e, ERR_UNSUPPORTED,
                       "the type of column %.100s cannot change beside a stored generated column",
                       r->x.name);
    return code;
}

/* The rowid's column is an INTEGER, whatever kind of integer it is called elsewhere. */
static enum err_code set_rowid_type(struct alter_run *r, size_t column, bool int4, struct err *e)
{
    size_t end = r->text.columns[column].type.to;

    if (table_text_is_int4(&r->text, column) == int4)
        return ERR_OK;
    if (int4)
        return edit_one(r, end, end, " CONSTRAINT int4 NOT NULL", NULL, e);
    for (size_t i = 0; i < r->text.n_constraints; i++)
        if (r->text.constraints[i].name && strcmp(r->text.constraints[i].name, "int4") == 0)
            return cut_constraint(r, i, e);
    return ERR_OK;
}

/*
 * What is stored as the old affinity had it gets the new one, as every row gets it that is written
 * from now on, here or where the row is copied to. Before that, indexes are made anew: those on
 * some rows only may be of other rows now.
 */
static enum err_code store_anew(struct alter_run *r, const char *column, const char *affinity,
                                struct err *e)
{
    const char *of_others = affinity[0] == '\0'             ? NULL
                            : strcmp(affinity, "TEXT") == 0 ? "'integer', 'real'"
                                                            : "'text'";
    enum err_code code = alter_exec(r, e, "REINDEX main.\"%w\"", r->table);

    if (!code && of_others)
        code =
            alter_exec(r, e, "UPDATE main.\"%w\" SET \"%w\" = \"%w\" WHERE typeof(\"%w\") IN (%s)",
                       r->table, column, column, column, of_others);
    return code;
}

static enum err_code set_type(struct alter_run *r, struct err *e)
{
    const char *type = arena_strndup(r->arena, r->x.text, r->x.len);
    const struct text_column *c;
    const char *other = NULL;
    size_t column = 0;
    enum err_code code;

    if (!type)
        return alter_no_memory(e);
    code = find_column(r, r->x.name, &column, e);
    if (code)
        return code;
    c = &r->text.columns[column];
    if (in_primary_key(r, c->name) && c->type.to - c->type.from == 7 &&
        strncasecmp(r->sql + c->type.from, "INTEGER", 7) == 0 && strcasestr(type, "INT"))
        return set_rowid_type(r, column, strcasecmp(type, "INT4") == 0, e);
    code = affinities(r, type, column, &other, e);
    if (!code && other)
        code = check_affinity(r, column, e);
    if (!code && other)
        code = materialize(r, column, e);
    if (!code) {
        bool bare = c->type.from == c->type.to;
        code = edit_one(r, c->type.from, c->type.to, bare ? alter_format(r, " %s", type) : type,
                        NULL, e);
    }
    return code || !other ? code : store_anew(r, r->text.columns[column].name, other, e);
}

static enum err_code identity(struct alter_run *r, struct err *e)
{
    size_t column;
    enum err_code code = find_column(r, r->x.name, &column, e);
    const char *rowid;

    if (!code)
        code = alter_value(r, &rowid, e,
                           "SELECT 1 FROM pragma_table_info(%Q, 'main') WHERE name = %Q COLLATE "
                           "NOCASE AND pk = 1 AND lower(type) = 'integer' AND NOT EXISTS (SELECT 1 "
                           "FROM pragma_index_list(%Q, 'main') WHERE origin = 'pk')",
                           r->table, r->x.name, r->table);
    if (!code && !rowid)
        code = err_set(e, ERR_UNSUPPORTED,
                       "an identity column that is not INTEGER PRIMARY KEY is not supported");
    return code;
}

/* ---- constraints ---- */

static enum err_code constraint_exists(const char *name, struct err *e)
{
    return err_set(e, ERR_TABLE_EXISTS, "constraint %.200s already exists", name);
}

/* Appends x.text to the table. */
static enum err_code append(struct alter_run *r, const char *list, struct err *e)
{
    const char *text = alter_format(r, ", %.*s", (int)r->x.len, r->x.text);

    if (r->x.name[0] != '\0' &&
        table_text_constraint(&r->text, r->arena, r->table, r->x.name) != TABLE_TEXT_NONE)
        return constraint_exists(r->x.name, e);
    return edit_one(r, r->text.close, r->text.close, text, list, e);
}

static enum err_code add_foreign_key(struct alter_run *r, struct err *e)
{
    const char *row;
    enum err_code code = append(r, NULL, e);

    if (code || r->applies || r->x.not_valid)
        return code;
    /* The last one of the text is SQLite's number 0. */
    code = alter_value(r, &row, e,
                       "SELECT parent FROM pragma_foreign_key_check(%Q, 'main') "
                       "WHERE fkid = 0 LIMIT 1",
                       r->table);
    if (!code && row) {
        code = err_set(e, ERR_FOREIGN_KEY, "FOREIGN KEY constraint failed");
        e->sqlite_code = SQLITE_CONSTRAINT_FOREIGNKEY;
    }
    return code;
}

/* PostgreSQL's primary keys are NOT NULL. One of a single INTEGER would be the rowid, which the
 * table has already: INT is the same but for that. */
static enum err_code prepare_primary(struct alter_run *r, const struct text_constraint *key,
                                     struct err *e)
{
    struct alter_splice *s = arena_alloc(r->arena, (key->n_columns * 2 + 1) * sizeof *s);
    size_t n = 0;
    enum err_code code = ERR_OK;

    if (!s)
        return alter_no_memory(e);
    for (size_t i = 0; i < key->n_columns && !code; i++) {
        const struct text_column *c;
        const char *row = NULL;
        size_t column, not_null;
        code = find_column(r, key->columns[i], &column, e);
        if (code)
            break;
        c = &r->text.columns[column];
        not_null = column_constraint(r, column, TEXT_NOT_NULL);
        if (key->n_columns == 1 && c->type.to - c->type.from == 7 &&
            strncasecmp(r->sql + c->type.from, "INTEGER", 7) == 0)
            s[n++] = (struct alter_splice){c->type.from, c->type.to, "INT"};
        if (not_null != TABLE_TEXT_NONE)
            continue;
        s[n++] = (struct alter_splice){c->type.to, c->type.to, " NOT NULL"};
        if (!r->applies)
            code = alter_value(r, &row, e, "SELECT 1 FROM main.\"%w\" WHERE \"%w\" IS NULL LIMIT 1",
                               r->table, c->name);
        if (!code && row) {
            code = err_set(e, ERR_NOT_NULL, "NOT NULL constraint failed: %.100s.%.100s", r->table,
                           c->name);
            e->sqlite_code = SQLITE_CONSTRAINT_NOTNULL;
        }
    }
    if (!code && n > 0)
        code = alter_edit(r, alter_spliced(r, s, n), NULL, e);
    return code;
}

static enum err_code add_key(struct alter_run *r, struct err *e)
{
    const char *alone = alter_format(r, "CREATE TABLE t (c, %.*s)", (int)r->x.len, r->x.text);
    const char *list;
    const struct text_constraint *key;
    struct table_text t;
    enum err_code code = ERR_OK;

    if (!alone)
        return alter_no_memory(e);
    if (!table_text_read(&t, r->arena, alone, strlen(alone)) || t.n_constraints != 1)
        return err_set(e, ERR_SYNTAX, "syntax error in ALTER TABLE … ADD");
    key = &t.constraints[0];
    for (size_t i = 0; r->x.primary && i < r->text.n_constraints; i++)
        if (r->text.constraints[i].kind == TEXT_PRIMARY_KEY)
            return err_set(e, ERR_SQL, "table \"%.100s\" has more than one primary key", r->table);
    list = alter_format(r, "%.*s", (int)(key->list.to - key->list.from), alone + key->list.from);
    if (r->x.primary)
        code = prepare_primary(r, key, e);
    return code ? code : append(r, list, e);
}

/* A unique index that was made for a constraint of this name; NULL: there is none. */
static enum err_code find_index(struct alter_run *r, const char *name, const char **index,
                                struct err *e)
{
    return alter_value(r, index, e,
                       "SELECT name FROM pragma_index_list(%Q, 'main') WHERE \"unique\" AND "
                       "origin = 'c' AND name = %Q COLLATE NOCASE",
                       r->table, name);
}

static enum err_code no_constraint(struct alter_run *r, struct err *e)
{
    return err_set(e, ERR_NO_OBJECT, "constraint \"%.100s\" of relation \"%.100s\" does not exist",
                   r->x.name, r->table);
}

static enum err_code drop_constraint(struct alter_run *r, struct err *e)
{
    size_t i = table_text_constraint(&r->text, r->arena, r->table, r->x.name);
    const char *index;
    enum err_code code;

    if (i != TABLE_TEXT_NONE)
        return cut_constraint(r, i, e);
    code = find_index(r, r->x.name, &index, e);
    if (!code && index)
        return alter_exec(r, e, "DROP INDEX main.\"%w\"", index);
    if (!code && !r->x.if_exists)
        code = no_constraint(r, e);
    return code;
}

static enum err_code rename_index(struct alter_run *r, const char *from, const char *to,
                                  struct err *e);

static enum err_code rename_constraint(struct alter_run *r, struct err *e)
{
    size_t i = table_text_constraint(&r->text, r->arena, r->table, r->x.name);
    const struct text_constraint *c;
    const char *index;
    enum err_code code;

    if (table_text_constraint(&r->text, r->arena, r->table, r->x.to) != TABLE_TEXT_NONE)
        return constraint_exists(r->x.to, e);
    if (i == TABLE_TEXT_NONE) {
        code = find_index(r, r->x.name, &index, e);
        return code ? code : index ? rename_index(r, index, r->x.to, e) : no_constraint(r, e);
    }
    c = &r->text.constraints[i];
    if (c->name)
        return edit_one(r, c->name_at.from, c->name_at.to, alter_format(r, "\"%w\"", r->x.to), NULL,
                        e);
    return edit_one(r, c->at.from, c->at.from, alter_format(r, "CONSTRAINT \"%w\" ", r->x.to), NULL,
                    e);
}

/* ---- columns that come and go ---- */

static enum err_code add_column(struct alter_run *r, struct err *e)
{
    if (table_text_column(&r->text, r->x.name) != TABLE_TEXT_NONE)
        return ERR_OK;
    return alter_exec(r, e, "ALTER TABLE main.\"%w\" ADD COLUMN %.*s", r->table, (int)r->x.len,
                      r->x.text);
}

/* Is the column named in this text? */
static bool mentions(const struct alter_run *r, const char *text, size_t len, const char *column)
{
    const char *at = text;
    struct lex_token t;

    while (lex_next(&at, text + len, &t)) {
        char *word = arena_alloc(r->arena, t.len + 1);
        if (!word || (t.type != LEX_TOKEN_WORD && t.type != LEX_TOKEN_QUOTED))
            continue;
        (void)lex_unquote(&t, word);
        if (strcasecmp(word, column) == 0)
            return true;
    }
    return false;
}

/* Does the constraint stand in the way of dropping the column? */
static bool uses(const struct alter_run *r, const struct text_constraint *c, size_t column)
{
    const char *name = r->text.columns[column].name;

    if (c->kind == TEXT_CHECK)
        return mentions(r, r->sql + c->list.from, c->list.to - c->list.from, name);
    for (size_t i = 0; (c->kind == TEXT_UNIQUE || c->kind == TEXT_FOREIGN_KEY) && i < c->n_columns;
         i++)
        if (strcasecmp(c->columns[i], name) == 0)
            return true;
    return false;
}

/* Indexes on the column, on expressions with it, and on rows chosen by it. */
static enum err_code drop_indexes_of(struct alter_run *r, const char *column, struct err *e)
{
    const char *index, *sql, *before = "";
    enum err_code code;

    for (;;) {
        code =
            alter_value(r, &index, e,
                        "SELECT name FROM main.sqlite_schema WHERE type = 'index' AND tbl_name = "
                        "%Q COLLATE NOCASE AND sql IS NOT NULL AND name > %Q ORDER BY name LIMIT 1",
                        r->table, before);
        if (code || !index)
            return code;
        before = index;
        code = alter_value(r, &sql, e,
                           "SELECT sql FROM main.sqlite_schema WHERE type = 'index' AND name = %Q",
                           index);
        /* The name of the index and its table stand before the first parenthesis. */
        if (!code && sql && strchr(sql, '(') &&
            mentions(r, strchr(sql, '('), strlen(strchr(sql, '(')), column))
            code = alter_exec(r, e, "DROP INDEX main.\"%w\"", index);
        if (code)
            return code;
    }
}

static enum err_code drop_column(struct alter_run *r, struct err *e)
{
    size_t column = table_text_column(&r->text, r->x.name);
    enum err_code code;

    if (column == TABLE_TEXT_NONE)
        return r->x.if_exists ? ERR_OK
                              : err_set(e, ERR_NO_COLUMN, "no such column: %.200s", r->x.name);
    code = drop_indexes_of(r, r->x.name, e);
    for (size_t i = r->text.n_constraints; i-- > 0 && !code;)
        if (uses(r, &r->text.constraints[i], column))
            code = cut_constraint(r, i, e);
    if (!code)
        code = alter_exec(r, e, "ALTER TABLE main.\"%w\" DROP COLUMN \"%w\"", r->table, r->x.name);
    return code;
}

/* ---- foreign keys of others ---- */

/* The first foreign key of the table in `r` that refers to `parent`. */
static size_t reference_to(const struct alter_run *r, const char *parent)
{
    for (size_t i = 0; i < r->text.n_constraints; i++)
        if (r->text.constraints[i].parent && strcasecmp(r->text.constraints[i].parent, parent) == 0)
            return i;
    return TABLE_TEXT_NONE;
}

static enum err_code drop_references(struct alter_run *r, struct err *e)
{
    const char *child, *before = "";
    enum err_code code;

    do {
        code =
            alter_value(r, &child, e,
                        "SELECT m.name FROM main.sqlite_schema m WHERE m.type = 'table' AND "
                        "m.name > %Q AND m.name <> %Q COLLATE NOCASE AND EXISTS (SELECT 1 FROM "
                        "pragma_foreign_key_list(m.name, 'main') f WHERE f.\"table\" = %Q COLLATE "
                        "NOCASE) ORDER BY m.name LIMIT 1",
                        before, r->x.table, r->x.table);
        if (code || !child)
            break;
        before = child;
        code = read_table(r, child, e);
        while (!code && reference_to(r, r->x.table) != TABLE_TEXT_NONE)
            code = cut_constraint(r, reference_to(r, r->x.table), e);
    } while (!code);
    return code;
}

/* ---- indexes ---- */

/* CREATE [UNIQUE] INDEX [IF NOT EXISTS] [schema.]name ON … with another name. */
static const char *renamed_text(struct alter_run *r, const char *sql, const char *to)
{
    const char *at = sql, *end = sql + strlen(sql);
    struct lex_token t, name = {.type = LEX_TOKEN_END};

    while (lex_next(&at, end, &t) && !lex_is(&t, "ON"))
        name = t;
    if (name.type == LEX_TOKEN_END)
        return NULL;
    return alter_format(r, "%.*s\"%w\"%s", (int)(name.text - sql), sql, to, name.text + name.len);
}

static enum err_code rename_index(struct alter_run *r, const char *from, const char *to,
                                  struct err *e)
{
    const char *sql, *taken;
    enum err_code code = alter_value(r, &sql, e,
                                     "SELECT sql FROM main.sqlite_schema WHERE type = 'index' AND "
                                     "name = %Q COLLATE NOCASE",
                                     from);

    if (!code)
        code = alter_value(r, &taken, e,
                           "SELECT 1 FROM main.sqlite_schema WHERE name = %Q COLLATE NOCASE", to);
    if (code)
        return code;
    if (!sql)
        return r->x.if_exists ? ERR_OK : err_set(e, ERR_NO_TABLE, "no such index: %.200s", from);
    if (taken)
        return err_set(e, ERR_TABLE_EXISTS,
                       "there is already another table or index with this "
                       "name: %.200s",
                       to);
    sql = renamed_text(r, sql, to);
    return sql ? alter_put(r, "index", from, to, sql, e) : alter_no_memory(e);
}

/* ---- the whole ---- */

static enum err_code run_kind(struct alter_run *r, struct err *e)
{
    const struct alter *x = &r->x;
    enum err_code code;

    if (x->kind == ALTER_RENAME_INDEX)
        return rename_index(r, x->name, x->to, e);
    if (x->kind == ALTER_ENUM_ADD)
        return alter_enum_add(r, e);
    if (x->kind == ALTER_ENUM_RENAME)
        return alter_enum_rename(r, e);
    code = read_table(r, x->table, e);
    if (x->kind == ALTER_DROP_REFERENCES && (!code || x->if_exists))
        return drop_references(r, e);
    if (code)
        return code;
    switch (x->kind) {
    case ALTER_TYPE:
        return set_type(r, e);
    case ALTER_SET_DEFAULT:
        return set_default(
            r,
            alter_format(r, is_literal(x->text, x->len) ? "%.*s" : "(%.*s)", (int)x->len, x->text),
            e);
    case ALTER_DROP_DEFAULT:
        return set_default(r, "", e);
    case ALTER_ADD_FOREIGN_KEY:
        return add_foreign_key(r, e);
    case ALTER_ADD_KEY:
        return add_key(r, e);
    case ALTER_DROP_CONSTRAINT:
        return drop_constraint(r, e);
    case ALTER_RENAME_CONSTRAINT:
        return rename_constraint(r, e);
    case ALTER_ADD_COLUMN:
        return add_column(r, e);
    case ALTER_DROP_COLUMN:
        return drop_column(r, e);
    case ALTER_IDENTITY:
        return identity(r, e);
    case ALTER_DROP_REFERENCES:
    case ALTER_RENAME_INDEX:
    case ALTER_ENUM_ADD:
    case ALTER_ENUM_RENAME:
    case ALTER_NONE:
        break;
    }
    return err_set(e, ERR_INTERNAL, "not an ALTER of ours");
}

static enum err_code run_alone(struct alter_run *r, struct err *e)
{
    struct err ignored = ERR_INIT;
    enum err_code code = conn_exec(r->conn, "SAVEPOINT ha_alter", e);

    if (code)
        return code;
    code = run_kind(r, e);
    if (code)
        (void)conn_exec(r->conn, "ROLLBACK TO ha_alter", &ignored);
    if (conn_exec(r->conn, "RELEASE ha_alter", code ? &ignored : e) != ERR_OK && !code)
        code = e->code;
    return code;
}

static const int options[] = {SQLITE_DBCONFIG_DEFENSIVE, SQLITE_DBCONFIG_ENABLE_TRIGGER,
                              SQLITE_DBCONFIG_ENABLE_FKEY, SQLITE_DBCONFIG_WRITABLE_SCHEMA};
#define OPTIONS (sizeof options / sizeof options[0])

enum err_code alter_run(struct conn *c, const char *sql, size_t len, struct err *e)
{
    struct alter_run r = {.conn = c,
                          .db = conn_handle(c),
                          .arena = arena_new(),
                          .applies = conn_role(c) == CONN_APPLIER};
    int before[OPTIONS] = {0};
    enum err_code code;

    if (!r.arena || !alter_read(&r.x, r.arena, sql, len)) {
        arena_free(r.arena);
        return alter_no_memory(e);
    }
    conn_trust(c, true);
    for (size_t i = 0; i < OPTIONS; i++) {
        (void)sqlite3_db_config(r.db, options[i], -1, &before[i]);
        (void)sqlite3_db_config(r.db, options[i], 0, NULL);
    }
    code = run_alone(&r, e);
    for (size_t i = 0; i < OPTIONS; i++)
        (void)sqlite3_db_config(r.db, options[i], before[i], NULL);
    conn_trust(c, false);
    arena_free(r.arena);
    return code;
}
