/*
 * Functions of FROM: unnest(array), generate_series(from, to [, step]), generate_subscripts(array,
 * dimension), _pg_expandarray(array). Columns: value; ordinality, from 1, which * does not show,
 * nor `second` and `third`, the elements of more arrays of unnest(), NULL where one has ended.
 */
#include <sqlite3.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sql/pg/function.h"

enum kind { UNNEST, SERIES, SUBSCRIPTS };

static const struct kind_of {
    const char *name;
    enum kind kind;
    bool direct; /* not from the schema */
} kinds[] = {{"unnest", UNNEST, true},
             {"_pg_expandarray", UNNEST, true},
             {"generate_series", SERIES, true},
             {"generate_subscripts", SUBSCRIPTS, true}},
  catalogs_own[] = {{"unnest", UNNEST, false}};

/* SQLite gives a call's arguments to the hidden columns in their order. */
enum { COL_VALUE, COL_ARG, COL_ORDINALITY = COL_ARG + 3, COL_SECOND, COL_THIRD };

struct series_table {
    sqlite3_vtab base;
    enum kind kind;
};

struct cursor {
    sqlite3_vtab_cursor base;
    enum kind kind;
    int64_t row; /* from 1 */
    bool end;
    /* SERIES and SUBSCRIPTS */
    bool real;
    int64_t i, last, step;
    double r, r_last, r_step;
    /* UNNEST */
    struct {
        char *text;
        struct pg_array array;
        struct buf element;
        bool null;
    } arrays[3];
    int n_arrays;
};

static int on_connect(sqlite3 *db, void *app, int argc, const char *const *argv, sqlite3_vtab **out,
                      char **why)
{
    const struct kind_of *k = app;
    struct series_table *t;
    int rc = sqlite3_declare_vtab(
        db, "CREATE TABLE x(value, a HIDDEN, b HIDDEN, c HIDDEN, ordinality INTEGER HIDDEN, "
            "second HIDDEN, third HIDDEN)");

    (void)argc;
    (void)argv;
    (void)why;
    if (rc != SQLITE_OK)
        return rc;
    t = sqlite3_malloc(sizeof *t);
    if (!t)
        return SQLITE_NOMEM;
    *t = (struct series_table){.kind = k->kind};
    if (k->direct)
        sqlite3_vtab_config(db, SQLITE_VTAB_DIRECTONLY);
    *out = &t->base;
    return SQLITE_OK;
}

static int on_disconnect(sqlite3_vtab *t)
{
    sqlite3_free(t);
    return SQLITE_OK;
}

static int on_open(sqlite3_vtab *t, sqlite3_vtab_cursor **out)
{
    struct cursor *c = sqlite3_malloc(sizeof *c);

    if (!c)
        return SQLITE_NOMEM;
    *c = (struct cursor){.kind = ((struct series_table *)t)->kind};
    *out = &c->base;
    return SQLITE_OK;
}

static int on_close(sqlite3_vtab_cursor *base)
{
    struct cursor *c = (struct cursor *)base;

    for (int i = 0; i < 3; i++) {
        free(c->arrays[i].text);
        buf_free(&c->arrays[i].element);
    }
    sqlite3_free(c);
    return SQLITE_OK;
}

/* Arguments are equalities on the hidden columns; without the first nothing can be produced. */
static int on_best_index(sqlite3_vtab *t, sqlite3_index_info *x)
{
    int found[3] = {-1, -1, -1}, n = 0;

    (void)t;
    for (int i = 0; i < x->nConstraint; i++) {
        int arg = x->aConstraint[i].iColumn - COL_ARG;
        if (arg < 0 || arg > 2 || x->aConstraint[i].op != SQLITE_INDEX_CONSTRAINT_EQ)
            continue;
        if (!x->aConstraint[i].usable)
            return SQLITE_CONSTRAINT;
        found[arg] = i;
    }
    for (int arg = 0; arg < 3 && found[arg] >= 0; arg++, n++) {
        x->aConstraintUsage[found[arg]].argvIndex = arg + 1;
        x->aConstraintUsage[found[arg]].omit = 1;
    }
    x->idxNum = n;
    x->estimatedCost = n ? 20 : 1e12;
    x->estimatedRows = n ? 10 : 1000000000;
    return SQLITE_OK;
}

static void advance(struct cursor *c)
{
    c->row++;
    if (c->kind == UNNEST) {
        c->end = true;
        for (int i = 0; i < c->n_arrays; i++) {
            bool more =
                pg_array_next(&c->arrays[i].array, &c->arrays[i].element, &c->arrays[i].null);
            c->arrays[i].null = c->arrays[i].null || !more;
            c->end = c->end && !more;
        }
    } else if (c->real)
        c->end = c->r_step > 0 ? c->r > c->r_last : c->r < c->r_last;
    else
        c->end = c->step > 0 ? c->i > c->last : c->i < c->last;
}

static bool set_text(struct cursor *c, int i, sqlite3_value *v)
{
    size_t n;
    const char *s = pg_arg(v, &n);

    free(c->arrays[i].text);
    c->arrays[i].text = malloc(n + 1);
    if (!c->arrays[i].text)
        return false;
    memcpy(c->arrays[i].text, s ? s : "", n);
    c->arrays[i].text[n] = '\0';
    pg_array_open(&c->arrays[i].array, c->arrays[i].text, n);
    return true;
}

static int set_series(struct cursor *c, int n, sqlite3_value **v)
{
    for (int i = 0; i < n; i++) {
        int type = sqlite3_value_numeric_type(v[i]);
        if (type == SQLITE_FLOAT)
            c->real = true;
        else if (type != SQLITE_INTEGER && type != SQLITE_NULL) {
            c->base.pVtab->zErrMsg = sqlite3_mprintf("generate_series() is only there for numbers");
            return SQLITE_ERROR;
        }
        if (type == SQLITE_NULL)
            c->end = true;
    }
    c->i = sqlite3_value_int64(v[0]);
    c->last = n > 1 ? sqlite3_value_int64(v[1]) : INT64_MAX;
    c->step = n > 2 ? sqlite3_value_int64(v[2]) : 1;
    c->r = sqlite3_value_double(v[0]);
    c->r_last = n > 1 ? sqlite3_value_double(v[1]) : 0;
    c->r_step = n > 2 ? sqlite3_value_double(v[2]) : 1;
    if (!c->end && (c->real ? c->r_step == 0 : c->step == 0)) {
        c->base.pVtab->zErrMsg = sqlite3_mprintf("step size cannot equal zero");
        return SQLITE_ERROR;
    }
    return SQLITE_OK;
}

static int on_filter(sqlite3_vtab_cursor *base, int idx, const char *idx_text, int n,
                     sqlite3_value **v)
{
    struct cursor *c = (struct cursor *)base;
    int rc = SQLITE_OK;

    (void)idx_text;
    c->row = 0;
    c->real = false;
    c->end = idx == 0 || sqlite3_value_type(v[0]) == SQLITE_NULL;
    if (c->end)
        return SQLITE_OK;
    if (c->kind == SERIES) {
        rc = set_series(c, n, v);
    } else {
        c->n_arrays = c->kind == UNNEST ? n : 1;
        for (int i = 0; i < c->n_arrays; i++)
            if (!set_text(c, i, v[i]))
                return SQLITE_NOMEM;
        if (c->kind == SUBSCRIPTS) {
            int64_t members = 0;
            while (pg_array_next(&c->arrays[0].array, &c->arrays[0].element, &c->arrays[0].null))
                members++;
            c->step = 1;
            c->i = c->arrays[0].array.vector ? 0 : 1;
            c->last = c->i + members - 1;
        }
    }
    if (rc == SQLITE_OK && !c->end)
        advance(c);
    return rc;
}

static int on_next(sqlite3_vtab_cursor *base)
{
    struct cursor *c = (struct cursor *)base;

    if (c->real) {
        c->r += c->r_step;
    } else if (c->kind != UNNEST && __builtin_add_overflow(c->i, c->step, &c->i)) {
        c->end = true;
        return SQLITE_OK;
    }
    advance(c);
    return SQLITE_OK;
}

static int on_eof(sqlite3_vtab_cursor *base)
{
    return ((struct cursor *)base)->end;
}

/* A number where it looks like one and would be written the same again. */
static void put_element(sqlite3_context *ctx, struct buf *b)
{
    const char *s = buf_cstr(b);
    char *end;
    long long i = strtoll(s, &end, 10);
    size_t digits = b->len - (s[0] == '-');

    if (digits > 0 && digits < 19 && *end == '\0' && s[0] != '+' && s[0] != ' ' &&
        (s[s[0] == '-'] != '0' || b->len == 1))
        sqlite3_result_int64(ctx, i);
    else
        sqlite3_result_text64(ctx, s, b->len, SQLITE_TRANSIENT, SQLITE_UTF8);
}

static int on_column(sqlite3_vtab_cursor *base, sqlite3_context *ctx, int i)
{
    struct cursor *c = (struct cursor *)base;
    int array = i >= COL_SECOND ? i - COL_SECOND + 1 : 0;

    if (i == COL_ORDINALITY)
        sqlite3_result_int64(ctx, c->row);
    else if (i != COL_VALUE && (c->kind != UNNEST || array == 0 || array >= c->n_arrays))
        sqlite3_result_null(ctx);
    else if (c->kind != UNNEST && c->real)
        sqlite3_result_double(ctx, c->r);
    else if (c->kind != UNNEST)
        sqlite3_result_int64(ctx, c->i);
    else if (!c->arrays[array].null)
        put_element(ctx, &c->arrays[array].element);
    return SQLITE_OK;
}

static int on_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *out)
{
    *out = ((struct cursor *)base)->row;
    return SQLITE_OK;
}

int pg_series_open(sqlite3 *db, int flags)
{
    static const sqlite3_module module = {.xConnect = on_connect,
                                          .xBestIndex = on_best_index,
                                          .xDisconnect = on_disconnect,
                                          .xOpen = on_open,
                                          .xClose = on_close,
                                          .xFilter = on_filter,
                                          .xNext = on_next,
                                          .xEof = on_eof,
                                          .xColumn = on_column,
                                          .xRowid = on_rowid};
    const struct kind_of *k = flags ? kinds : catalogs_own;
    size_t n = flags ? sizeof kinds / sizeof kinds[0] : 1;
    int rc = SQLITE_OK;

    for (size_t i = 0; rc == SQLITE_OK && i < n; i++)
        rc = sqlite3_create_module_v2(db, k[i].name, &module, (void *)(uintptr_t)&k[i], NULL);
    return rc;
}
