#include "proxy/my_table.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/array.h"
#include "proto/mysqltype.h"
#include "proxy/my_cascade.h"
#include "sql/quote.h"

#define NUMBER_DIGITS 15 /* that SQLite's numbers keep */
#define BITS_MOST     63

static enum err_code out_of_memory(struct err *e)
{
    return err_set(e, ERR_NO_MEMORY, "out of memory");
}

static bool is(const struct my_column *c, const char *type)
{
    return strcmp(c->type, type) == 0;
}

/* ---- the catalog ---- */

enum {
    C_SCHEMA,
    C_TABLE,
    C_COLUMN,
    C_TYPE,
    C_FULL_TYPE,
    C_NULLABLE,
    C_KEY,
    C_CHARSET,
    C_COLLATION,
    C_EXTRA,
    C_PRECISION,
    C_SCALE,
    C_FRACTION,
    C_OCTETS,
    C_DEFAULT
};

static const char query[] =
    "SELECT c.TABLE_SCHEMA, c.TABLE_NAME, c.COLUMN_NAME, LOWER(c.DATA_TYPE), c.COLUMN_TYPE,"
    " c.IS_NULLABLE, c.COLUMN_KEY, c.CHARACTER_SET_NAME, c.COLLATION_NAME, c.EXTRA,"
    " c.NUMERIC_PRECISION, c.NUMERIC_SCALE, c.DATETIME_PRECISION, c.CHARACTER_OCTET_LENGTH,"
    " c.COLUMN_DEFAULT"
    " FROM information_schema.COLUMNS c JOIN information_schema.TABLES t"
    " ON t.TABLE_SCHEMA = c.TABLE_SCHEMA AND t.TABLE_NAME = c.TABLE_NAME"
    " WHERE t.TABLE_TYPE = 'BASE TABLE' AND c.TABLE_SCHEMA NOT IN"
    " ('mysql', 'information_schema', 'performance_schema', 'sys')"
    " ORDER BY c.TABLE_SCHEMA, c.TABLE_NAME, c.ORDINAL_POSITION";

static enum my_kind kind_of(const struct my_column *c)
{
    static const struct {
        const char *type;
        enum my_kind kind;
    } kinds[] = {{"tinyint", MY_INTEGER},
                 {"smallint", MY_INTEGER},
                 {"mediumint", MY_INTEGER},
                 {"int", MY_INTEGER},
                 {"bigint", MY_INTEGER},
                 {"year", MY_INTEGER},
                 {"bit", MY_BIT},
                 {"decimal", MY_DECIMAL},
                 {"float", MY_FLOAT},
                 {"double", MY_DOUBLE},
                 {"date", MY_MOMENT},
                 {"time", MY_MOMENT},
                 {"datetime", MY_MOMENT},
                 {"timestamp", MY_MOMENT},
                 {"char", MY_TEXT},
                 {"varchar", MY_TEXT},
                 {"tinytext", MY_TEXT},
                 {"text", MY_TEXT},
                 {"mediumtext", MY_TEXT},
                 {"longtext", MY_TEXT},
                 {"enum", MY_TEXT},
                 {"set", MY_TEXT},
                 {"json", MY_TEXT},
                 {"binary", MY_BYTES},
                 {"varbinary", MY_BYTES},
                 {"tinyblob", MY_BYTES},
                 {"blob", MY_BYTES},
                 {"mediumblob", MY_BYTES},
                 {"longblob", MY_BYTES},
                 {"geometry", MY_BYTES},
                 {"point", MY_BYTES},
                 {"linestring", MY_BYTES},
                 {"polygon", MY_BYTES},
                 {"multipoint", MY_BYTES},
                 {"multilinestring", MY_BYTES},
                 {"multipolygon", MY_BYTES},
                 {"geometrycollection", MY_BYTES},
                 {"geomcollection", MY_BYTES},
                 {"uuid", MY_UUID},
                 {"inet6", MY_INET6},
                 {"inet4", MY_INET4}};

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (is(c, kinds[i].type))
            return kinds[i].kind;
    return MY_UNKNOWN;
}

/* enum('a','b''c'): the labels. */
static bool read_labels(struct arena *a, struct my_column *c)
{
    const char *s = strchr(c->full_type, '(');
    unsigned n = 0;

    for (const char *p = s; p && *p; p++)
        n += *p == '\'';
    struct binlog_text *labels = arena_alloc(a, (n / 2 + 1) * sizeof *labels);
    if (!labels)
        return false;
    n = 0;
    while (s && *s && *s != '\'')
        s++;
    while (s && *s == '\'') {
        char *label = arena_strdup(a, ++s), *to = label;
        if (!label)
            return false;
        for (; *s && (*s != '\'' || s[1] == '\''); s++) {
            s += *s == '\'';
            *to++ = *s;
        }
        labels[n++] = (struct binlog_text){label, (size_t)(to - label)};
        s += *s == '\'';
        while (*s && *s != '\'' && *s != ')')
            s++;
    }
    c->labels = labels;
    c->n_labels = n;
    return true;
}

static uint64_t number(const char *s)
{
    return s ? strtoull(s, NULL, 10) : 0;
}

static bool read_column(struct arena *a, MYSQL_ROW row, struct my_column *c)
{
    const char *extra = row[C_EXTRA] ? row[C_EXTRA] : "";

    *c = (struct my_column){.name = arena_strdup(a, row[C_COLUMN]),
                            .type = arena_strdup(a, row[C_TYPE]),
                            .full_type = arena_strdup(a, row[C_FULL_TYPE]),
                            .charset = arena_strdup(a, row[C_CHARSET] ? row[C_CHARSET] : ""),
                            .collation = arena_strdup(a, row[C_COLLATION] ? row[C_COLLATION] : ""),
                            .fallback = row[C_DEFAULT] ? arena_strdup(a, row[C_DEFAULT]) : NULL};
    if (!c->name || !c->type || !c->full_type || !c->charset || !c->collation ||
        (row[C_DEFAULT] && !c->fallback))
        return false;
    c->kind = kind_of(c);
    c->is_unsigned = strstr(c->full_type, " unsigned") != NULL;
    c->nullable = strcasecmp(row[C_NULLABLE], "YES") == 0;
    c->is_key = strcmp(row[C_KEY] ? row[C_KEY] : "", "PRI") == 0;
    c->is_auto = strcasestr(extra, "auto_increment") != NULL;
    c->virtual = strcasestr(extra, "VIRTUAL GENERATED") != NULL;
    c->is_computed = strcasestr(extra, "GENERATED") != NULL;
    c->precision = (unsigned)number(row[c->kind == MY_MOMENT ? C_FRACTION : C_PRECISION]);
    c->scale = (unsigned)number(row[C_SCALE]);
    c->octets = number(row[C_OCTETS]);
    return (!is(c, "enum") && !is(c, "set")) || read_labels(a, c);
}

/* The rows of one table stand together. */
static enum err_code add_column(struct my_tables *t, size_t *cap, size_t *columns_cap,
                                MYSQL_ROW row, struct err *e)
{
    struct my_table *last = t->n ? &t->all[t->n - 1] : NULL;

    if (!last || strcmp(last->schema, row[C_SCHEMA]) != 0 ||
        strcmp(last->name, row[C_TABLE]) != 0) {
        struct my_table *room = array_room(t->all, t->n, cap, sizeof *room);
        if (!room)
            return out_of_memory(e);
        t->all = room;
        last = room + t->n++;
        *last = (struct my_table){.schema = arena_strdup(t->arena, row[C_SCHEMA]),
                                  .name = arena_strdup(t->arena, row[C_TABLE])};
        *columns_cap = 0;
        if (!last->schema || !last->name)
            return out_of_memory(e);
    }
    struct my_column *columns =
        array_room(last->columns, last->n_columns, columns_cap, sizeof *columns);
    if (!columns)
        return out_of_memory(e);
    last->columns = columns;
    if (!read_column(t->arena, row, &columns[last->n_columns]))
        return out_of_memory(e);
    last->n_keys += columns[last->n_columns++].is_key;
    return ERR_OK;
}

/* Unique keys that are too long for an index: MariaDB keeps a hash of each in a column that nobody
 * sees. */
static enum err_code count_hidden(struct my_tables *t, struct my_link *l, const struct wait *w,
                                  struct err *e)
{
    MYSQL_RES *result = NULL;
    MYSQL_ROW row;
    unsigned long *lengths;
    enum err_code code = my_link_run(
        l,
        "SELECT TABLE_SCHEMA, TABLE_NAME, COUNT(DISTINCT INDEX_NAME)"
        " FROM information_schema.STATISTICS WHERE INDEX_TYPE = 'HASH' AND NON_UNIQUE = 0"
        " GROUP BY TABLE_SCHEMA, TABLE_NAME",
        &result, w, e);

    while (code == ERR_OK) {
        code = my_link_row(l, result, &row, &lengths, w, e);
        if (code != ERR_OK || !row)
            break;
        for (size_t i = 0; i < t->n; i++)
            if (strcmp(t->all[i].schema, row[0]) == 0 && strcmp(t->all[i].name, row[1]) == 0)
                t->all[i].n_hidden = (unsigned)number(row[2]);
    }
    if (result)
        my.free_result(result);
    return code;
}

enum err_code my_tables_load(struct my_tables *t, struct my_link *l, const struct my_filter *f,
                             const struct wait *w, struct err *e)
{
    MYSQL_RES *result = NULL;
    MYSQL_ROW row;
    unsigned long *lengths;
    size_t cap = 0, columns_cap = 0;

    *t = (struct my_tables){.arena = arena_new()};
    enum err_code code = t->arena ? my_link_run(l, query, &result, w, e) : out_of_memory(e);
    while (code == ERR_OK) {
        code = my_link_row(l, result, &row, &lengths, w, e);
        if (code != ERR_OK || !row)
            break;
        if (my_filter_takes(f, row[C_SCHEMA], row[C_TABLE]))
            code = add_column(t, &cap, &columns_cap, row, e);
    }
    if (result)
        my.free_result(result);
    if (code == ERR_OK && my_link_is_mariadb(l))
        code = count_hidden(t, l, w, e);
    if (code == ERR_OK)
        code = my_references_load(t, l, w, e);
    if (code != ERR_OK)
        my_tables_free(t);
    return code;
}

void my_tables_free(struct my_tables *t)
{
    for (size_t i = 0; i < t->n; i++)
        free(t->all[i].columns);
    free(t->all);
    free(t->references);
    if (t->arena)
        arena_free(t->arena);
    *t = (struct my_tables){.n = 0};
}

enum err_code my_tables_check(const struct my_tables *t, struct err *e)
{
    for (size_t i = 0; i < t->n; i++)
        for (size_t k = 0; k < i; k++)
            if (strcasecmp(t->all[i].name, t->all[k].name) == 0)
                return err_set(e, ERR_UNSUPPORTED,
                               "%.60s.%.60s and %.60s.%.60s would be the same table here: "
                               "--mysql-include and --mysql-exclude choose",
                               t->all[k].schema, t->all[k].name, t->all[i].schema, t->all[i].name);
    for (size_t i = 0; i < t->n; i++)
        for (unsigned k = 0; k < t->all[i].n_columns; k++)
            if (t->all[i].columns[k].kind == MY_UNKNOWN)
                return err_set(e, ERR_UNSUPPORTED,
                               "column %.60s of %.60s.%.60s is of the type %.60s, which is not "
                               "known here",
                               t->all[i].columns[k].name, t->all[i].schema, t->all[i].name,
                               t->all[i].columns[k].full_type);
    return ERR_OK;
}

const struct my_table *my_tables_find(const struct my_tables *t, const char *schema,
                                      const char *name)
{
    for (size_t i = 0; i < t->n; i++)
        if (strcmp(t->all[i].schema, schema) == 0 && strcmp(t->all[i].name, name) == 0)
            return &t->all[i];
    return NULL;
}

const struct my_column *my_table_column(const struct my_table *t, const char *name)
{
    for (unsigned i = 0; i < t->n_columns; i++)
        if (strcasecmp(t->columns[i].name, name) == 0)
            return &t->columns[i];
    return NULL;
}

/* ---- the local table ---- */

/* May it be SQLite's rowid? Where it is the whole key. */
static bool is_rowid(const struct my_table *t, const struct my_column *c)
{
    bool wide = is(c, "bigint") && c->is_unsigned && !c->is_auto;

    return t->n_keys == 1 && c->is_key && c->kind == MY_INTEGER && !wide;
}

static void put_upper(struct buf *b, const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        buf_putc(b, s[i] >= 'a' && s[i] <= 'z' ? (char)(s[i] - 'a' + 'A') : s[i]);
}

/* "varchar(50)" without what may stand behind it. */
static void put_sized(struct buf *b, const struct my_column *c)
{
    const char *close = strchr(c->full_type, ')');

    put_upper(b, c->full_type, close ? (size_t)(close + 1 - c->full_type) : strlen(c->full_type));
}

static void put_integer(struct buf *b, const struct my_column *c)
{
    if (is(c, "bigint") && c->is_unsigned && !c->is_auto)
        return; /* no type: some do not fit into SQLite's integers */
    put_upper(b, c->type, strlen(c->type));
    if (strncmp(c->full_type, "tinyint(1)", 10) == 0)
        buf_puts(b, "(1)");
    if (c->is_unsigned)
        buf_puts(b, " UNSIGNED");
}

static void put_type(struct buf *b, const struct my_column *c)
{
    switch (c->kind) {
    case MY_INTEGER:
        put_integer(b, c);
        break;
    case MY_DECIMAL:
        if (c->precision <= NUMBER_DIGITS)
            buf_printf(b, "DECIMAL(%u,%u)", c->precision, c->scale);
        break;
    case MY_BIT:
        if (c->precision <= BITS_MOST)
            buf_printf(b, "BIT(%u)", c->precision);
        break;
    case MY_MOMENT:
        put_upper(b, c->type, strlen(c->type));
        if (c->precision > 0)
            buf_printf(b, "(%u)", c->precision);
        break;
    case MY_TEXT:
        if (is(c, "char") || is(c, "varchar"))
            put_sized(b, c);
        else if (is(c, "enum") || is(c, "set"))
            buf_puts(b, "TEXT");
        else
            put_upper(b, c->type, strlen(c->type));
        break;
    case MY_BYTES:
        if (is(c, "binary") || is(c, "varbinary"))
            put_sized(b, c);
        else if (strstr(c->type, "blob"))
            put_upper(b, c->type, strlen(c->type));
        else
            buf_puts(b, "BLOB");
        break;
    case MY_UUID:
        buf_puts(b, "UUID");
        break;
    case MY_INET6:
    case MY_INET4:
        buf_puts(b, "VARCHAR(39)");
        break;
    default:
        put_upper(b, c->type, strlen(c->type)); /* FLOAT, DOUBLE */
        break;
    }
}

/* ---- defaults ---- */

static bool is_number_text(const char *s, bool whole)
{
    s += *s == '-';
    return *s && strspn(s, whole ? "0123456789" : "0123456789.") == strlen(s);
}

/* A default that is a literal, and means the same here. MariaDB shows it as SQL has it ('a''b', 5,
 * NULL), MySQL the value of a literal. False: it has none. */
static bool put_literal_default(struct buf *b, const struct my_column *c)
{
    const char *s = c->fallback ? c->fallback : "";
    size_t n = strlen(s);

    if ((c->kind == MY_INTEGER && is_number_text(s, true)) ||
        ((c->kind == MY_DECIMAL || c->kind == MY_DOUBLE || c->kind == MY_FLOAT) &&
         n <= NUMBER_DIGITS && is_number_text(s, false)) ||
        (c->kind == MY_TEXT && n >= 2 && *s == '\'' && s[n - 1] == '\'' && !strchr(s, '\\'))) {
        buf_printf(b, " DEFAULT %s", s);
        return true;
    }
    return false;
}

/* What older rows have in a new column. False: it is not known here. */
static bool put_older_default(struct buf *b, const struct my_column *c)
{
    if (put_literal_default(b, c))
        return true;
    if (c->fallback && strcmp(c->fallback, "NULL") != 0)
        return false;
    if (c->nullable)
        return true;
    /* What a column that has to have a value gets: MySQL's implicit default. */
    if (c->kind == MY_INTEGER || c->kind == MY_DECIMAL || c->kind == MY_FLOAT ||
        c->kind == MY_DOUBLE || c->kind == MY_BIT)
        buf_puts(b, " DEFAULT 0");
    else if (c->kind == MY_TEXT && !is(c, "enum") && !is(c, "json"))
        buf_puts(b, " DEFAULT ''");
    else
        return false;
    return true;
}

/* Without a default; false: it is SQLite's rowid, and has none. */
static bool put_column(struct buf *b, const struct my_table *t, const struct my_column *c)
{
    size_t n = strlen(c->collation);

    quote_put_name(b, c->name);
    buf_putc(b, ' ');
    if (is_rowid(t, c)) {
        buf_puts(b, "INTEGER");
        if (is(c, "int"))
            buf_puts(b, " CONSTRAINT int4"); /* by which the MySQL port knows it again */
        buf_puts(b, c->is_auto ? " NOT NULL PRIMARY KEY AUTOINCREMENT" : " NOT NULL PRIMARY KEY");
        return false;
    }
    put_type(b, c);
    if (!c->nullable)
        buf_puts(b, " NOT NULL");
    if (c->kind == MY_TEXT && n > 3 && strcmp(c->collation + n - 3, "_ci") == 0)
        buf_puts(b, " COLLATE NOCASE");
    return true;
}

static void put_key(struct buf *b, const struct my_table *t)
{
    bool first = true;

    for (unsigned i = 0; i < t->n_columns; i++) {
        const struct my_column *c = &t->columns[i];
        if (!c->is_key || is_rowid(t, c))
            continue;
        buf_puts(b, first ? ", PRIMARY KEY (" : ", ");
        quote_put_name(b, c->name);
        first = false;
    }
    if (!first)
        buf_putc(b, ')');
}

enum err_code my_table_create(const struct my_table *t, struct buf *sql, struct err *e)
{
    bool first = true;

    buf_puts(sql, "CREATE TABLE ");
    quote_put_name(sql, t->name);
    buf_puts(sql, " (");
    for (unsigned i = 0; i < t->n_columns; i++) {
        if (t->columns[i].virtual)
            continue;
        if (!first)
            buf_puts(sql, ", ");
        if (put_column(sql, t, &t->columns[i]) && !t->columns[i].is_auto)
            (void)put_literal_default(sql, &t->columns[i]);
        first = false;
    }
    put_key(sql, t);
    buf_putc(sql, ')');
    return buf_ok(sql) ? ERR_OK : out_of_memory(e);
}

/* ---- new columns ---- */

enum err_code my_table_add_column(const struct my_table *t, const struct my_column *c,
                                  struct buf *sql, struct err *e)
{
    buf_puts(sql, "ALTER TABLE ");
    quote_put_name(sql, t->name);
    buf_puts(sql, " ADD COLUMN ");
    (void)put_column(sql, t, c);
    if (c->is_key || c->is_auto || c->is_computed || !put_older_default(sql, c))
        return err_set(e, ERR_UNSUPPORTED,
                       "column %.60s of %.60s.%.60s is new, and what older rows have in it is not "
                       "known here",
                       c->name, t->schema, t->name);
    return buf_ok(sql) ? ERR_OK : out_of_memory(e);
}

/* ---- indexes ---- */

enum { I_NAME, I_NOT_UNIQUE, I_COLUMN, I_PART };

/* The index whose rows begin with `row`, to its end: false where it cannot be one here. *row is the
 * next one's first, NULL at the end. */
static bool put_index(struct buf *b, const struct my_table *t, struct my_link *l, MYSQL_RES *result,
                      MYSQL_ROW *row, const struct wait *w, struct err *e)
{
    unsigned long *lengths;
    struct buf columns = BUF_INIT;
    char name[256];
    bool unique = *(*row)[I_NOT_UNIQUE] == '0', whole = true;

    (void)strncpy(name, (*row)[I_NAME], sizeof name - 1);
    name[sizeof name - 1] = '\0';
    while (*row && strcmp((*row)[I_NAME], name) == 0) {
        const struct my_column *c = (*row)[I_COLUMN] ? my_table_column(t, (*row)[I_COLUMN]) : NULL;
        whole = whole && c && !c->virtual;
        unique = unique && !(*row)[I_PART]; /* only the beginning of it is unique */
        if (c) {
            buf_puts(&columns, columns.len ? ", " : "");
            quote_put_name(&columns, c->name);
        }
        if (my_link_row(l, result, row, &lengths, w, e) != ERR_OK)
            *row = NULL;
    }
    buf_reset(b);
    buf_puts(b, unique ? "CREATE UNIQUE INDEX IF NOT EXISTS " : "CREATE INDEX IF NOT EXISTS ");
    struct buf full = BUF_INIT; /* names of indexes are the whole database's here */
    buf_printf(&full, "%s_%s", t->name, name);
    quote_put_name(b, buf_cstr(&full));
    buf_free(&full);
    buf_puts(b, " ON ");
    quote_put_name(b, t->name);
    buf_printf(b, " (%s)", buf_cstr(&columns));
    buf_free(&columns);
    return whole;
}

enum err_code my_table_indexes(const struct my_table *t, struct my_link *l, const struct wait *w,
                               enum err_code (*each)(void *arg, const char *sql, struct err *e),
                               void *arg, struct err *e)
{
    struct buf b = BUF_INIT;
    MYSQL_RES *result = NULL;

    buf_puts(&b, "SELECT INDEX_NAME, NON_UNIQUE, COLUMN_NAME, SUB_PART"
                 " FROM information_schema.STATISTICS WHERE INDEX_NAME <> 'PRIMARY'"
                 " AND INDEX_TYPE IN ('BTREE', 'HASH') AND TABLE_SCHEMA = ");
    my_put_text(&b, t->schema, strlen(t->schema));
    buf_puts(&b, " AND TABLE_NAME = ");
    my_put_text(&b, t->name, strlen(t->name));
    buf_puts(&b, " ORDER BY INDEX_NAME, SEQ_IN_INDEX");
    enum err_code code =
        buf_ok(&b) ? my_link_run(l, buf_cstr(&b), &result, w, e) : out_of_memory(e);
    MYSQL_ROW row = code == ERR_OK ? my_link_first(result) : NULL;
    while (code == ERR_OK && row)
        if (put_index(&b, t, l, result, &row, w, e))
            code = buf_ok(&b) ? each(arg, buf_cstr(&b), e) : out_of_memory(e);
    if (result)
        my.free_result(result);
    buf_free(&b);
    return code;
}
