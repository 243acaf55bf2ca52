#include "proxy/my_result.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "proto/mysqlwire.h"
#include "proxy/my_impl.h"

#define COLUMNS_MAX 4096 /* of a result, MySQL's own limit */

struct result {
    MYSQL_RES *rows; /* NULL: it has none to have */
    unsigned n;
    struct my_column *columns;
    struct sink_column *shown;
    struct value *values;
    struct arena *names, *row;
};

static bool is_bytes(const MYSQL_FIELD *f)
{
    return f->charsetnr == MYSQLWIRE_CHARSET_BINARY;
}

/* As a column of a table here would be declared. */
static const char *declared(struct arena *a, const MYSQL_FIELD *f, struct my_column *c)
{
    static const struct {
        enum enum_field_types type;
        const char *name;
        enum my_kind kind;
    } types[] = {{MYSQL_TYPE_TINY, "TINYINT", MY_INTEGER},
                 {MYSQL_TYPE_SHORT, "SMALLINT", MY_INTEGER},
                 {MYSQL_TYPE_INT24, "MEDIUMINT", MY_INTEGER},
                 {MYSQL_TYPE_LONG, "INT", MY_INTEGER},
                 {MYSQL_TYPE_LONGLONG, "BIGINT", MY_INTEGER},
                 {MYSQL_TYPE_YEAR, "YEAR", MY_INTEGER},
                 {MYSQL_TYPE_BIT, "BIT", MY_BIT},
                 {MYSQL_TYPE_FLOAT, "FLOAT", MY_FLOAT},
                 {MYSQL_TYPE_DOUBLE, "DOUBLE", MY_DOUBLE},
                 {MYSQL_TYPE_DATE, "DATE", MY_MOMENT},
                 {MYSQL_TYPE_TIME, "TIME", MY_MOMENT},
                 {MYSQL_TYPE_DATETIME, "DATETIME", MY_MOMENT},
                 {MYSQL_TYPE_TIMESTAMP, "TIMESTAMP", MY_MOMENT},
                 {MYSQL_TYPE_JSON, "JSON", MY_TEXT},
                 {MYSQL_TYPE_GEOMETRY, "BLOB", MY_BYTES}};

    *c = (struct my_column){.name = f->name, .type = "", .full_type = "", .charset = ""};
    if (f->type == MYSQL_TYPE_NEWDECIMAL || f->type == MYSQL_TYPE_DECIMAL) {
        char *text = arena_alloc(a, 32);
        c->kind = MY_DECIMAL;
        if (text)
            (void)snprintf(text, 32, "DECIMAL(%lu,%u)", f->length > 2 ? f->length - 2 : 1,
                           f->decimals);
        return text;
    }
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (types[i].type == f->type) {
            c->kind = types[i].kind;
            return types[i].name;
        }
    c->kind = is_bytes(f) ? MY_BYTES : MY_TEXT;
    if (f->type == MYSQL_TYPE_VAR_STRING || f->type == MYSQL_TYPE_STRING)
        return is_bytes(f) ? "VARBINARY" : "VARCHAR";
    return is_bytes(f) ? "BLOB" : "TEXT";
}

static enum err_code describe(struct result *r, struct sink *sink, struct err *e)
{
    const MYSQL_FIELD *fields = my.fetch_fields(r->rows);

    r->n = my.num_fields(r->rows);
    if (r->n > COLUMNS_MAX)
        return err_set(e, ERR_TOO_BIG, "the result has too many columns");
    r->names = arena_new();
    r->row = arena_new();
    r->columns = calloc(r->n + 1, sizeof *r->columns);
    r->shown = calloc(r->n + 1, sizeof *r->shown);
    r->values = calloc(r->n + 1, sizeof *r->values);
    if (!r->names || !r->row || !r->columns || !r->shown || !r->values)
        return my_out_of_memory(e);
    for (unsigned i = 0; i < r->n; i++) {
        const char *type = declared(r->names, &fields[i], &r->columns[i]);
        r->shown[i] = (struct sink_column){fields[i].name, type};
    }
    sink->ops->columns(sink, r->shown, r->n);
    return ERR_OK;
}

/* All rows are read, so that the connection can be used again; they are shown unless `verdict` says
 * already that the result cannot be. */
static enum err_code put_rows(struct result *r, struct my_link *l, struct sink *sink,
                              enum err_code verdict, uint64_t *count, const struct wait *w,
                              struct err *e)
{
    MYSQL_ROW row;
    unsigned long *lengths;
    enum err_code code = ERR_OK;

    for (*count = 0;; (*count)++) {
        code = my_link_row(l, r->rows, &row, &lengths, w, e);
        if (code != ERR_OK || !row)
            break;
        if (verdict != ERR_OK || !r->values)
            continue;
        arena_reset(r->row);
        for (unsigned i = 0; i < r->n && verdict == ERR_OK; i++) {
            r->values[i] = value_null();
            if (row[i])
                verdict =
                    my_value_of_text(&r->columns[i], row[i], lengths[i], r->row, &r->values[i], e);
        }
        if (verdict == ERR_OK && sink->ops->row(sink, r->values, r->n) == SINK_STOP)
            verdict = err_set(e, ERR_TOO_BIG,
                              "the result is larger than the node keeps for one transaction");
    }
    return code != ERR_OK ? code : verdict;
}

static void free_result(struct result *r)
{
    if (r->rows)
        my.free_result(r->rows);
    if (r->names)
        arena_free(r->names);
    if (r->row)
        arena_free(r->row);
    free(r->columns);
    free(r->shown);
    free(r->values);
}

/* MySQL tells the id that the first row got, SQLite the last one's: those of one statement come one
 * behind the other. */
static int64_t last_id(MYSQL *c, int64_t affected, int64_t before)
{
    int64_t first = (int64_t)my.insert_id(c);

    if (first == 0)
        return before;
    return affected > 1 ? first + affected - 1 : first;
}

enum err_code my_result_put(struct my_link *l, int64_t since_ns, int64_t *last_rowid,
                            struct sink *sink, const struct wait *w, struct err *e)
{
    MYSQL *c = my_link_handle(l);
    struct result r = {.rows = my.use_result(c)};
    uint64_t count = 0;
    enum err_code code = ERR_OK;

    if (!r.rows && my.number(c) != 0)
        return my_link_error(l, e);
    if (r.rows) {
        code = describe(&r, sink, e);
        code = put_rows(&r, l, sink, code, &count, w, e);
    }
    int64_t affected = r.rows ? 0 : (int64_t)my.affected_rows(c);
    if (!r.rows)
        *last_rowid = last_id(c, affected, *last_rowid);
    const struct sink_done d = {.has_rows = r.rows != NULL,
                                .rows = count,
                                .rows_affected = affected < 0 ? 0 : affected,
                                .last_insert_id = *last_rowid,
                                .elapsed_ns = clock_mono_ns() - since_ns};
    if (code == ERR_OK)
        sink->ops->done(sink, &d);
    free_result(&r);
    return code;
}
