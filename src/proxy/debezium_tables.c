#include "proxy/debezium_tables.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/array.h"
#include "base/digits.h"
#include "base/hash.h"
#include "base/log.h"
#include "sql/quote.h"

#define TABLES_MAX 20000 /* of tables, and of topics */

/* A table as it is here, what was put aside included: only this thread changes it. */
struct table {
    char *name;
    char *database, *schema; /* of the source, where its first event came from */
    struct mirror_table local;
    uint64_t shape;   /* of the columns of its last event; 0 = none was looked at */
    bool told_second; /* that another one of the source has its name was logged */
};

struct topic {
    char *name, *table;
    bool mixed; /* events of several tables */
};

struct debezium_tables {
    struct mirror *mirror;
    bool use_schema;
    struct table *tables;
    size_t n_tables, cap_tables;
    struct topic *topics;
    size_t n_topics, cap_topics;
};

static enum err_code no_memory(struct err *e)
{
    return err_set(e, ERR_NO_MEMORY, "out of memory");
}

struct debezium_tables *debezium_tables_new(struct mirror *m, bool use_schema)
{
    struct debezium_tables *t = calloc(1, sizeof *t);

    if (t) {
        t->mirror = m;
        t->use_schema = use_schema;
    }
    return t;
}

static void table_free(struct table *t)
{
    free(t->name);
    free(t->database);
    free(t->schema);
    mirror_table_free(&t->local);
}

void debezium_tables_free(struct debezium_tables *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->n_tables; i++)
        table_free(&t->tables[i]);
    for (size_t i = 0; i < t->n_topics; i++) {
        free(t->topics[i].name);
        free(t->topics[i].table);
    }
    free(t->tables);
    free(t->topics);
    free(t);
}

/* ---- tables ---- */

/* Makes it known if it is not yet; NULL: it could not be, and why. */
static struct table *find_table(struct debezium_tables *t, const struct debezium_event *ev,
                                const char *name, struct err *e)
{
    for (size_t i = 0; i < t->n_tables; i++)
        if (strcasecmp(t->tables[i].name, name) == 0)
            return &t->tables[i];
    if (t->n_tables == TABLES_MAX) {
        err_set(e, ERR_TOO_BIG, "events of more than %d tables", TABLES_MAX);
        return NULL;
    }
    struct table *tables = array_room(t->tables, t->n_tables, &t->cap_tables, sizeof *tables);
    if (!tables) {
        no_memory(e);
        return NULL;
    }
    t->tables = tables;
    struct table fresh = {
        .name = strdup(name), .database = strdup(ev->database), .schema = strdup(ev->schema)};
    enum err_code code = fresh.name && fresh.database && fresh.schema
                             ? mirror_describe(t->mirror, name, &fresh.local, e)
                             : no_memory(e);
    if (code != ERR_OK) {
        table_free(&fresh);
        return NULL;
    }
    tables[t->n_tables] = fresh;
    return &tables[t->n_tables++];
}

static void look_for_second(struct table *t, const struct debezium_event *ev)
{
    if (t->told_second ||
        (strcmp(t->database, ev->database) == 0 && strcmp(t->schema, ev->schema) == 0))
        return;
    LOG_WARN("two tables of the source have one name, and so one table here",
             LOG_STR("table", t->name), LOG_STR("schema", t->schema),
             LOG_STR("database", t->database), LOG_STR("other_schema", ev->schema),
             LOG_STR("other_database", ev->database));
    t->told_second = true;
}

/* ---- topics ---- */

static enum err_code keep_topic(struct debezium_tables *t, const char *name, const char *table,
                                struct err *e)
{
    for (size_t i = 0; i < t->n_topics; i++)
        if (strcmp(t->topics[i].name, name) == 0) {
            t->topics[i].mixed |= strcasecmp(t->topics[i].table, table) != 0;
            return ERR_OK;
        }
    if (t->n_topics == TABLES_MAX)
        return err_set(e, ERR_TOO_BIG, "events of more than %d topics", TABLES_MAX);
    struct topic *topics = array_room(t->topics, t->n_topics, &t->cap_topics, sizeof *topics);
    if (!topics)
        return no_memory(e);
    t->topics = topics;
    struct topic fresh = {.name = strdup(name), .table = strdup(table)};
    if (!fresh.name || !fresh.table) {
        free(fresh.name);
        free(fresh.table);
        return no_memory(e);
    }
    topics[t->n_topics++] = fresh;
    return ERR_OK;
}

enum err_code debezium_tables_of_tombstone(struct debezium_tables *t, const char *topic,
                                           const struct debezium_event *ev, const char **table,
                                           struct err *e)
{
    const char *name = ev->table;

    *table = NULL;
    for (size_t i = 0; i < t->n_topics; i++)
        if (strcmp(t->topics[i].name, topic) == 0) {
            if (t->topics[i].mixed)
                return ERR_OK;
            name = t->topics[i].table;
        }
    const struct table *local = find_table(t, ev, name, e);
    if (!local)
        return e->code;
    if (local->local.n_columns > 0)
        *table = local->name;
    return ERR_OK;
}

/* ---- schemas ---- */

static uint64_t shape_of(const struct debezium_event *ev)
{
    uint64_t h = HASH_BEGIN;

    for (size_t i = 0; i < ev->n_columns; i++) {
        const struct debezium_column *c = &ev->columns[i];
        h = hash_part(h, c->name, strlen(c->name));
        h = hash_part(h, c->key ? "k" : "", c->key);
    }
    return h | 1;
}

static enum err_code put_sql(struct debezium_tables *t, struct buf *sql, struct err *e)
{
    struct mirror_change c = {.op = MIRROR_SQL, .sql = buf_cstr(sql)};
    enum err_code code = buf_ok(sql) ? mirror_change(t->mirror, &c, e) : no_memory(e);

    buf_free(sql);
    return code;
}

/* SQLite makes a floating-point number of what a column of numeric affinity gets, and keys with
 * more than these digits would become one. */
#define NUMERIC_DIGITS 15

static bool is_wide_numeric(const char *type)
{
    static const char name[] = "NUMERIC";
    const char *digits = type + sizeof name; /* behind the parenthesis */
    uint64_t precision;

    if (strncmp(type, name, sizeof name - 1) != 0)
        return false;
    return digits[-1] != '(' || !digits_read(&digits, &precision) || precision > NUMERIC_DIGITS;
}

/* A key of one integer becomes SQLite's rowid. Nothing but the key is NOT NULL: the source has
 * checked that, and may stop to. */
static void put_column(struct buf *sql, const struct debezium_column *c, bool whole_key)
{
    bool small = strcmp(c->type, "INT4") == 0 || strcmp(c->type, "SMALLINT") == 0;

    quote_put_name(sql, c->name);
    if (whole_key && (small || strcmp(c->type, "BIGINT") == 0)) {
        /* The constraint's name tells PostgreSQL's clients how wide it is. */
        buf_puts(sql, small ? " INTEGER CONSTRAINT int4 NOT NULL PRIMARY KEY"
                            : " INTEGER NOT NULL PRIMARY KEY");
        return;
    }
    if (!c->key || !is_wide_numeric(c->type)) /* without a type it stays what it is */
        buf_printf(sql, " %s", c->type);
    if (c->key)
        buf_puts(sql, whole_key ? " NOT NULL PRIMARY KEY" : " NOT NULL");
}

static enum err_code create(struct debezium_tables *t, struct table *table,
                            const struct debezium_event *ev, struct err *e)
{
    struct buf sql = BUF_INIT;
    size_t keys = 0, seen = 0;

    buf_puts(&sql, "CREATE TABLE IF NOT EXISTS ");
    quote_put_name(&sql, table->name);
    for (size_t i = 0; i < ev->n_columns; i++)
        keys += ev->columns[i].key;
    for (size_t i = 0; i < ev->n_columns; i++) {
        buf_puts(&sql, i ? ", " : " (");
        put_column(&sql, &ev->columns[i], keys == 1 && ev->columns[i].key);
        if (mirror_table_add(&table->local, ev->columns[i].name, e) != ERR_OK) {
            buf_free(&sql);
            return e->code;
        }
    }
    for (size_t i = 0; i < ev->n_columns && keys > 1; i++)
        if (ev->columns[i].key) {
            buf_puts(&sql, seen++ ? ", " : ", PRIMARY KEY (");
            quote_put_name(&sql, ev->columns[i].name);
        }
    buf_puts(&sql, keys > 1 ? "))" : ")");
    LOG_INFO("a table of the source is made", LOG_STR("table", table->name));
    return put_sql(t, &sql, e);
}

static void put_initial(struct buf *sql, const struct value *v)
{
    switch (v->type) {
    case VALUE_NULL:
        return;
    case VALUE_INTEGER:
        buf_puts(sql, " DEFAULT ");
        buf_i64(sql, v->u.i);
        return;
    case VALUE_REAL:
        buf_printf(sql, " DEFAULT %.17g", v->u.r);
        return;
    case VALUE_TEXT:
        buf_puts(sql, " DEFAULT ");
        quote_put(sql, v->u.s.data, v->u.s.len, '\'');
        return;
    case VALUE_BLOB:
        buf_puts(sql, " DEFAULT x'");
        for (size_t i = 0; i < v->u.s.len; i++)
            buf_printf(sql, "%02x", (unsigned char)v->u.s.data[i]);
        buf_putc(sql, '\'');
        return;
    }
}

static enum err_code extend(struct debezium_tables *t, struct table *table,
                            const struct debezium_column *c, struct err *e)
{
    struct buf sql = BUF_INIT;

    buf_puts(&sql, "ALTER TABLE ");
    quote_put_name(&sql, table->name);
    buf_puts(&sql, " ADD COLUMN ");
    quote_put_name(&sql, c->name);
    buf_printf(&sql, " %s", c->type);
    put_initial(&sql, &c->initial);
    LOG_INFO("a column of the source is added", LOG_STR("table", table->name),
             LOG_STR("column", c->name));
    enum err_code code = put_sql(t, &sql, e);
    return code == ERR_OK ? mirror_table_add(&table->local, c->name, e) : code;
}

static enum err_code use_schema(struct debezium_tables *t, struct table *table,
                                const struct debezium_event *ev, struct err *e)
{
    uint64_t shape = shape_of(ev);

    if (ev->n_columns == 0 || table->shape == shape)
        return ERR_OK;
    enum err_code code = ERR_OK;
    if (table->local.n_columns == 0)
        code = create(t, table, ev, e);
    for (size_t i = 0; i < ev->n_columns && code == ERR_OK; i++)
        if (!mirror_table_has(&table->local, ev->columns[i].name))
            code = extend(t, table, &ev->columns[i], e);
    if (code == ERR_OK)
        table->shape = shape;
    return code;
}

enum err_code debezium_tables_prepare(struct debezium_tables *t, const char *topic,
                                      const struct debezium_event *ev, struct err *e)
{
    struct table *table = find_table(t, ev, ev->table, e);

    if (!table || keep_topic(t, topic, ev->table, e) != ERR_OK)
        return e->code;
    look_for_second(table, ev);
    return t->use_schema ? use_schema(t, table, ev, e) : ERR_OK;
}
