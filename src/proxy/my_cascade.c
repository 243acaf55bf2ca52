#include "proxy/my_cascade.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/array.h"
#include "proxy/my_impl.h"
#include "sql/quote.h"

#define DEPTH_MOST 15 /* InnoDB's own limit */

/* ---- the catalog ---- */

enum { R_SCHEMA, R_TABLE, R_NAME, R_COLUMN, R_PARENT_SCHEMA, R_PARENT, R_PARENT_COLUMN };

static const char query[] =
    "SELECT TABLE_SCHEMA, TABLE_NAME, CONSTRAINT_NAME, COLUMN_NAME, REFERENCED_TABLE_SCHEMA,"
    " REFERENCED_TABLE_NAME, REFERENCED_COLUMN_NAME FROM information_schema.KEY_COLUMN_USAGE"
    " WHERE REFERENCED_TABLE_NAME IS NOT NULL"
    " ORDER BY TABLE_SCHEMA, TABLE_NAME, CONSTRAINT_NAME, ORDINAL_POSITION";

#define PAIRS_MOST 16 /* columns of a foreign key, as InnoDB has it */

static enum err_code add_pair(struct my_tables *t, size_t *cap, MYSQL_ROW row, struct err *e)
{
    struct my_reference *r = t->n_references ? &t->references[t->n_references - 1] : NULL;

    if (!r || strcmp(r->schema, row[R_SCHEMA]) != 0 || strcmp(r->table, row[R_TABLE]) != 0 ||
        strcmp(r->name, row[R_NAME]) != 0) {
        r = array_room(t->references, t->n_references, cap, sizeof *r);
        if (!r)
            return my_out_of_memory(e);
        t->references = r;
        r += t->n_references++;
        *r = (struct my_reference){.schema = arena_strdup(t->arena, row[R_SCHEMA]),
                                   .table = arena_strdup(t->arena, row[R_TABLE]),
                                   .name = arena_strdup(t->arena, row[R_NAME]),
                                   .parent_schema = arena_strdup(t->arena, row[R_PARENT_SCHEMA]),
                                   .parent = arena_strdup(t->arena, row[R_PARENT]),
                                   .columns = arena_alloc(t->arena, PAIRS_MOST * sizeof(char *)),
                                   .parent_columns =
                                       arena_alloc(t->arena, PAIRS_MOST * sizeof(char *))};
        if (!r->schema || !r->table || !r->name || !r->parent_schema || !r->parent || !r->columns ||
            !r->parent_columns)
            return my_out_of_memory(e);
    }
    if (r->n == PAIRS_MOST)
        return err_set(e, ERR_UNSUPPORTED, "foreign key %.60s has too many columns", r->name);
    r->columns[r->n] = arena_strdup(t->arena, row[R_COLUMN]);
    r->parent_columns[r->n] = arena_strdup(t->arena, row[R_PARENT_COLUMN]);
    return r->columns[r->n] && r->parent_columns[r->n++] ? ERR_OK : my_out_of_memory(e);
}

static enum my_rule rule_of(const char *line, const char *end, const char *event)
{
    const char *at = memmem(line, (size_t)(end - line), event, strlen(event));

    if (!at)
        return MY_RULE_NONE;
    at += strlen(event);
    if (strncmp(at, " CASCADE", 8) == 0)
        return MY_RULE_CASCADE;
    return strncmp(at, " SET NULL", 9) == 0 ? MY_RULE_SET_NULL : MY_RULE_NONE;
}

/* The rules are in the table's text only, for a user who may do no more than read it. */
static enum err_code read_rules(struct my_reference *r, struct my_link *l, const struct wait *w,
                                struct err *e)
{
    struct buf sql = BUF_INIT, text = BUF_INIT, head = BUF_INIT;

    buf_puts(&sql, "SHOW CREATE TABLE ");
    my_put_name(&sql, r->schema);
    buf_putc(&sql, '.');
    my_put_name(&sql, r->table);
    buf_puts(&head, "CONSTRAINT ");
    my_put_name(&head, r->name);
    buf_puts(&head, " FOREIGN KEY ");
    enum err_code code = buf_ok(&sql) && buf_ok(&head)
                             ? my_link_ask(l, buf_cstr(&sql), 1, &text, w, e)
                             : my_out_of_memory(e);
    const char *line = code == ERR_OK ? strstr(buf_cstr(&text), buf_cstr(&head)) : NULL;
    if (line) {
        const char *end = line + strcspn(line, "\n");
        r->on_delete = rule_of(line, end, " ON DELETE");
        r->on_update = rule_of(line, end, " ON UPDATE");
    }
    buf_free(&sql);
    buf_free(&text);
    buf_free(&head);
    return code;
}

enum err_code my_references_load(struct my_tables *t, struct my_link *l, const struct wait *w,
                                 struct err *e)
{
    MYSQL_RES *result = NULL;
    MYSQL_ROW row;
    unsigned long *lengths;
    size_t cap = 0, kept = 0;
    enum err_code code = my_link_run(l, query, &result, w, e);

    while (code == ERR_OK) {
        code = my_link_row(l, result, &row, &lengths, w, e);
        if (code != ERR_OK || !row)
            break;
        if (my_tables_find(t, row[R_SCHEMA], row[R_TABLE]) &&
            my_tables_find(t, row[R_PARENT_SCHEMA], row[R_PARENT]))
            code = add_pair(t, &cap, row, e);
    }
    if (result)
        my.free_result(result);
    for (size_t i = 0; i < t->n_references && code == ERR_OK; i++) {
        struct my_reference *r = &t->references[i];
        code = read_rules(r, l, w, e);
        if (r->on_delete != MY_RULE_NONE || r->on_update != MY_RULE_NONE)
            t->references[kept++] = *r;
    }
    if (code == ERR_OK)
        t->n_references = kept;
    return code;
}

static bool refers_to(const struct my_reference *r, const struct my_table *t)
{
    return strcmp(r->parent, t->name) == 0 && strcmp(r->parent_schema, t->schema) == 0;
}

bool my_is_parent(const struct my_tables *t, const struct my_table *table)
{
    for (size_t i = 0; i < t->n_references; i++)
        if (refers_to(&t->references[i], table))
            return true;
    return false;
}

/* ---- statements ---- */

static void put_names(struct buf *b, const char *const *names, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        buf_puts(b, i ? ", " : "");
        quote_put_name(b, names[i]);
    }
}

static const struct value *find_value(const struct mirror_column *c, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcasecmp(c[i].name, name) == 0)
            return &c[i].value;
    return NULL;
}

static bool same(const struct value *a, const struct value *b)
{
    if (a->type != b->type)
        return false;
    if (a->type == VALUE_TEXT || a->type == VALUE_BLOB)
        return a->u.s.len == b->u.s.len && memcmp(a->u.s.data, b->u.s.data, a->u.s.len) == 0;
    return a->type == VALUE_NULL ||
           (a->type == VALUE_INTEGER ? a->u.i == b->u.i : a->u.r == b->u.r);
}

/* "c1" = 1 AND "c2" = 2: the rows that refer to this one. False: none can. */
static bool put_condition(struct buf *b, const struct my_reference *r, const struct my_gone *row,
                          bool *changed)
{
    *changed = row->now == NULL;
    for (unsigned i = 0; i < r->n; i++) {
        const struct value *v = find_value(row->was, row->n_was, r->parent_columns[i]);
        const struct value *now =
            row->now ? find_value(row->now, row->n_now, r->parent_columns[i]) : NULL;
        if (!v || v->type == VALUE_NULL)
            return false;
        buf_puts(b, i ? " AND " : "");
        quote_put_name(b, r->columns[i]);
        buf_puts(b, " = ");
        quote_put_value(b, v);
        *changed = *changed || (now && !same(v, now));
    }
    return true;
}

static enum err_code run(struct my_source *p, struct buf *sql, struct err *e)
{
    return buf_ok(sql) ? my_change_sql(p, buf_cstr(sql), e) : my_out_of_memory(e);
}

static void put_set_null(struct buf *b, const struct my_reference *r)
{
    buf_puts(b, "UPDATE ");
    quote_put_name(b, r->table);
    for (unsigned i = 0; i < r->n; i++) {
        buf_puts(b, i ? ", " : " SET ");
        quote_put_name(b, r->columns[i]);
        buf_puts(b, " = NULL");
    }
}

/* Deletes the rows of r->table for which `where` holds, those that refer to them first. */
static enum err_code delete_rows(struct my_source *p, const struct my_reference *r,
                                 const char *where, unsigned depth, struct err *e)
{
    struct buf sql = BUF_INIT;
    enum err_code code = ERR_OK;

    for (size_t i = 0; i < p->tables.n_references && code == ERR_OK; i++) {
        const struct my_reference *below = &p->tables.references[i];
        if (strcmp(below->parent, r->table) != 0 || strcmp(below->parent_schema, r->schema) != 0 ||
            below->on_delete == MY_RULE_NONE || depth == DEPTH_MOST)
            continue;
        struct buf deeper = BUF_INIT;
        buf_putc(&deeper, '(');
        put_names(&deeper, below->columns, below->n);
        buf_puts(&deeper, ") IN (SELECT ");
        put_names(&deeper, below->parent_columns, below->n);
        buf_puts(&deeper, " FROM ");
        quote_put_name(&deeper, r->table);
        buf_printf(&deeper, " WHERE %s)", where);
        if (!buf_ok(&deeper)) {
            code = my_out_of_memory(e);
        } else if (below->on_delete == MY_RULE_CASCADE) {
            code = delete_rows(p, below, buf_cstr(&deeper), depth + 1, e);
        } else {
            buf_reset(&sql);
            put_set_null(&sql, below);
            buf_printf(&sql, " WHERE %s", buf_cstr(&deeper));
            code = run(p, &sql, e);
        }
        buf_free(&deeper);
    }
    buf_reset(&sql);
    buf_puts(&sql, "DELETE FROM ");
    quote_put_name(&sql, r->table);
    buf_printf(&sql, " WHERE %s", where);
    if (code == ERR_OK)
        code = run(p, &sql, e);
    buf_free(&sql);
    return code;
}

/* The rows that refer to one whose key has changed get the new one, and those that refer to them by
 * it do, too. */
static enum err_code update_rows(struct my_source *p, const struct my_reference *r,
                                 const struct my_gone *row, const char *where, unsigned depth,
                                 struct err *e);

static enum err_code cascade(struct my_source *p, const struct my_gone *row, unsigned depth,
                             struct err *e)
{
    enum err_code code = ERR_OK;

    for (size_t i = 0; i < p->tables.n_references && code == ERR_OK; i++) {
        const struct my_reference *r = &p->tables.references[i];
        enum my_rule rule = row->now ? r->on_update : r->on_delete;
        struct buf where = BUF_INIT, sql = BUF_INIT;
        bool changed = false;
        if (!refers_to(r, row->table) || rule == MY_RULE_NONE)
            continue;
        if (put_condition(&where, r, row, &changed) && changed) {
            if (!buf_ok(&where)) {
                code = my_out_of_memory(e);
            } else if (rule == MY_RULE_SET_NULL) {
                put_set_null(&sql, r);
                buf_printf(&sql, " WHERE %s", buf_cstr(&where));
                code = run(p, &sql, e);
            } else if (row->now) {
                code = update_rows(p, r, row, buf_cstr(&where), depth, e);
            } else {
                code = delete_rows(p, r, buf_cstr(&where), depth, e);
            }
        }
        buf_free(&where);
        buf_free(&sql);
    }
    return code;
}

static enum err_code update_rows(struct my_source *p, const struct my_reference *r,
                                 const struct my_gone *row, const char *where, unsigned depth,
                                 struct err *e)
{
    struct mirror_column was[PAIRS_MOST], now[PAIRS_MOST];
    struct buf sql = BUF_INIT;
    enum err_code code = ERR_OK;

    buf_puts(&sql, "UPDATE ");
    quote_put_name(&sql, r->table);
    for (unsigned i = 0; i < r->n; i++) {
        const struct value *new = find_value(row->now, row->n_now, r->parent_columns[i]);
        const struct value *old = find_value(row->was, row->n_was, r->parent_columns[i]);
        was[i] = (struct mirror_column){r->columns[i], *old}; /* put_condition() has seen it */
        now[i] = (struct mirror_column){r->columns[i], new ? *new : *old};
        buf_puts(&sql, i ? ", " : " SET ");
        quote_put_name(&sql, r->columns[i]);
        buf_puts(&sql, " = ");
        quote_put_value(&sql, &now[i].value);
    }
    buf_printf(&sql, " WHERE %s", where);
    const struct my_table *t = my_tables_find(&p->tables, r->schema, r->table);
    struct my_gone below = {t, was, r->n, now, r->n};
    if (t && depth < DEPTH_MOST)
        code = cascade(p, &below, depth + 1, e);
    if (code == ERR_OK)
        code = run(p, &sql, e);
    buf_free(&sql);
    return code;
}

enum err_code my_cascade(struct my_source *p, const struct my_gone *row, struct err *e)
{
    return cascade(p, row, 0, e);
}
