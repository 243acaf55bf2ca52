#include "sql/change_text.h"

#include <string.h>

#include "base/json.h"
#include "sql/quote.h"
#include "sql/value.h"

#define KEY_COLUMNS 4  /* of a key that are told */
#define KEY_BYTES   60 /* of a text in it */

/* ---- as SQL ---- */

static void put_insert(struct buf *b, const struct change *c)
{
    buf_puts(b, "INSERT INTO ");
    quote_put_name(b, c->table);
    buf_puts(b, " (");
    for (unsigned i = 0; i < c->n_columns; i++) {
        buf_puts(b, i > 0 ? ", " : "");
        quote_put_name(b, c->columns[i]);
    }
    buf_puts(b, ") VALUES (");
    for (unsigned i = 0; i < c->n_columns; i++) {
        buf_puts(b, i > 0 ? ", " : "");
        quote_put_value(b, &c->new_values[i]);
    }
    buf_putc(b, ')');
}

static bool find_place(const struct change *c, const char *name, unsigned *place)
{
    for (unsigned i = 0; i < c->n_columns; i++) {
        if (strcmp(c->columns[i], name) == 0) {
            *place = i;
            return true;
        }
    }
    return false;
}

static void put_term(struct buf *b, const struct change *c, unsigned i)
{
    quote_put_name(b, c->columns[i]);
    buf_puts(b, c->old_values[i].type == VALUE_NULL ? " IS " : " = ");
    quote_put_value(b, &c->old_values[i]);
}

/* The key; a row without one is what its rowid says, or else all of its values. */
static void put_where(struct buf *b, const struct change *c)
{
    unsigned n = 0, place = 0;

    buf_puts(b, " WHERE ");
    for (unsigned k = 0; k < c->n_pk; k++) {
        if (!find_place(c, c->pk_columns[k], &place))
            continue;
        buf_puts(b, n++ > 0 ? " AND " : "");
        put_term(b, c, place);
    }
    if (n == 0 && c->has_old_rowid) {
        buf_puts(b, "rowid = ");
        buf_i64(b, c->old_rowid);
        return;
    }
    for (unsigned i = 0; n == 0 && i < c->n_columns; i++) {
        buf_puts(b, i > 0 ? " AND " : "");
        put_term(b, c, i);
    }
}

static void put_update(struct buf *b, const struct change *c)
{
    bool moves = c->has_old_rowid && c->has_new_rowid && c->old_rowid != c->new_rowid;
    unsigned n = 0;

    buf_puts(b, "UPDATE ");
    quote_put_name(b, c->table);
    buf_puts(b, " SET ");
    for (unsigned i = 0; i < c->n_columns; i++) {
        if (value_same(&c->old_values[i], &c->new_values[i]))
            continue;
        buf_puts(b, n++ > 0 ? ", " : "");
        quote_put_name(b, c->columns[i]);
        buf_puts(b, " = ");
        quote_put_value(b, &c->new_values[i]);
    }
    if (n == 0 && moves)
        buf_printf(b, "rowid = %lld", (long long)c->new_rowid);
    else if (n == 0 && c->n_columns > 0) { /* it was set to what it was */
        quote_put_name(b, c->columns[0]);
        buf_puts(b, " = ");
        quote_put_name(b, c->columns[0]);
    }
    put_where(b, c);
}

void change_put_sql(struct buf *b, const struct change *c)
{
    size_t len = c->command_len;

    switch (c->op) {
    case CHANGE_INSERT:
        put_insert(b, c);
        break;
    case CHANGE_UPDATE:
        put_update(b, c);
        break;
    case CHANGE_DELETE:
        buf_puts(b, "DELETE FROM ");
        quote_put_name(b, c->table);
        put_where(b, c);
        break;
    case CHANGE_SQL:
        while (len > 0 && strchr("; \t\r\n", c->command[len - 1]))
            len--;
        buf_put(b, c->command, len);
        break;
    }
}

/* ---- the key ---- */

static void put_key_value(struct buf *b, const struct value *v)
{
    size_t n;

    switch (v->type) {
    case VALUE_NULL:
        buf_puts(b, "NULL");
        break;
    case VALUE_INTEGER:
        buf_i64(b, v->u.i);
        break;
    case VALUE_REAL:
        buf_printf(b, "%.17g", v->u.r);
        break;
    case VALUE_TEXT:
        n = json_text_prefix(v->u.s.data, v->u.s.len);
        buf_printf(b, "'%.*s'", (int)(n < KEY_BYTES ? n : KEY_BYTES), n > 0 ? v->u.s.data : "");
        break;
    case VALUE_BLOB:
        buf_printf(b, "a blob of %zu bytes", v->u.s.len);
        break;
    }
}

void change_put_key(struct buf *b, const struct change *c, const struct value *values)
{
    unsigned n = 0, place = 0;

    for (unsigned k = 0; k < c->n_pk && n < KEY_COLUMNS; k++) {
        if (!find_place(c, c->pk_columns[k], &place))
            continue;
        buf_printf(b, "%s%.60s=", n++ > 0 ? ", " : "", c->columns[place]);
        put_key_value(b, &values[place]);
    }
    if (n > 0)
        return;
    if (values == c->old_values && c->has_old_rowid)
        buf_printf(b, "rowid %lld", (long long)c->old_rowid);
    else if (c->has_new_rowid)
        buf_printf(b, "rowid %lld", (long long)c->new_rowid);
}
