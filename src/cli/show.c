/*
 * Rows in their frames.
 *
 *     show_reset → columns → row… → done, then show_reset for the next statement
 */
#include "cli/show.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/value_text.h"
#include "cli/text.h"

#define SHOW_PART_ROWS  500
#define SHOW_PART_BYTES ((size_t)1 << 20)
#define SHOW_FLUSH      ((size_t)64 << 10)
#define SHOW_WIDE       120 /* a value that is wider does not make its column so */

static const char *const names[] = {"table", "line", "csv", "tabs", "json", "jsonl"};

const char *show_mode_name(enum show_mode mode)
{
    return names[mode];
}

bool show_mode_parse(const char *name, enum show_mode *mode)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0) {
            *mode = (enum show_mode)i;
            return true;
        }
    return false;
}

bool show_ok(const struct show *s)
{
    return !ferror(s->out) && buf_ok(&s->text) && buf_ok(&s->cells);
}

static void flush(struct show *s)
{
    if (s->text.len > 0)
        (void)fwrite(s->text.data, 1, s->text.len, s->out);
    buf_reset(&s->text);
}

static const char *null_text(const struct show *s)
{
    return s->null_text ? s->null_text : s->mode == SHOW_CSV ? "" : "NULL";
}

/* ---- a table ---- */

static void pad(struct buf *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_putc(b, ' ');
}

/* The last column has no blanks behind it. */
static void put_cell(struct show *s, unsigned i, const char *text, size_t len, size_t width)
{
    const struct show_column *c = &s->columns[i];
    size_t gap = c->width > width ? c->width - width : 0;
    buf_puts(&s->text, i > 0 ? " | " : " ");
    if (c->right)
        pad(&s->text, gap);
    buf_put(&s->text, text, len);
    if (!c->right && i + 1 < s->n_columns)
        pad(&s->text, gap);
}

static void table_header(struct show *s)
{
    for (unsigned i = 0; i < s->n_columns; i++)
        put_cell(s, i, s->columns[i].name, strlen(s->columns[i].name),
                 text_width(s->columns[i].name, strlen(s->columns[i].name)));
    buf_putc(&s->text, '\n');
    for (unsigned i = 0; i < s->n_columns; i++) {
        buf_puts(&s->text, i > 0 ? "+" : "");
        for (size_t k = 0; k < s->columns[i].width + 2; k++)
            buf_putc(&s->text, '-');
    }
    buf_putc(&s->text, '\n');
}

static void table_part(struct show *s)
{
    const char *cells = s->cells.data ? s->cells.data : "";
    size_t at = 0;
    unsigned column = 0;
    if (s->headers && !s->begun)
        table_header(s);
    s->begun = true;
    for (size_t i = 0; i < s->n_cells; i++) {
        put_cell(s, column, cells + at, s->cell[i].end - at, s->cell[i].width);
        at = s->cell[i].end;
        if (++column == s->n_columns) {
            buf_putc(&s->text, '\n');
            column = 0;
        }
        if (s->text.len >= SHOW_FLUSH)
            flush(s);
    }
    s->n_cells = 0;
    buf_reset(&s->cells);
    flush(s);
}

static bool reserve_cells(struct show *s, unsigned n)
{
    size_t cap = s->cap_cells > 0 ? s->cap_cells : 64;
    while (cap < s->n_cells + n)
        cap *= 2;
    if (cap == s->cap_cells)
        return true;
    struct show_cell *grown = realloc(s->cell, cap * sizeof *grown);
    if (!grown)
        return false;
    s->cell = grown;
    s->cap_cells = cap;
    return true;
}

static bool table_row(struct show *s, const struct value *values, unsigned n)
{
    if (!reserve_cells(s, n))
        return false;
    for (unsigned i = 0; i < n; i++) {
        struct show_column *c = &s->columns[i];
        size_t at = s->cells.len;
        show_put_plain(&s->cells, &values[i], null_text(s));
        if (!buf_ok(&s->cells))
            return false;
        size_t width = s->cells.data ? text_width(s->cells.data + at, s->cells.len - at) : 0;
        if (width > c->width)
            c->width = width < SHOW_WIDE ? width : SHOW_WIDE > c->width ? SHOW_WIDE : c->width;
        if (values[i].type != VALUE_NULL && !s->begun) {
            bool number = values[i].type == VALUE_INTEGER || values[i].type == VALUE_REAL;
            c->right = number && (c->right || !c->has_some);
            c->has_some = true;
        }
        s->cell[s->n_cells++] = (struct show_cell){s->cells.len, width};
    }
    if (s->n_cells >= (size_t)SHOW_PART_ROWS * s->n_columns || s->cells.len >= SHOW_PART_BYTES)
        table_part(s);
    return true;
}

/* ---- the others ---- */

static void line_row(struct show *s, const struct value *values, unsigned n)
{
    size_t widest = 0;
    for (unsigned i = 0; i < n; i++)
        if (s->columns[i].width > widest)
            widest = s->columns[i].width;
    if (s->begun)
        buf_putc(&s->text, '\n');
    for (unsigned i = 0; i < n; i++) {
        pad(&s->text, widest - s->columns[i].width);
        buf_puts(&s->text, s->columns[i].name);
        buf_puts(&s->text, " = ");
        if (values[i].type == VALUE_TEXT)
            text_put_plain(&s->text, values[i].u.s.data, values[i].u.s.len, true);
        else
            show_put_plain(&s->text, &values[i], null_text(s));
        buf_putc(&s->text, '\n');
    }
}

static void separated_row(struct show *s, const struct value *values, unsigned n)
{
    bool csv = s->mode == SHOW_CSV;
    for (unsigned i = 0; i < n; i++) {
        if (i > 0)
            buf_putc(&s->text, csv ? ',' : '\t');
        if (csv && values[i].type != VALUE_NULL)
            value_put_csv(&s->text, &values[i]);
        else
            show_put_tabs(&s->text, &values[i], null_text(s));
    }
    buf_puts(&s->text, csv ? "\r\n" : "\n");
}

static void json_row(struct show *s, const struct value *values, unsigned n)
{
    if (s->mode == SHOW_JSON)
        buf_puts(&s->text, s->begun ? ",\n" : "[");
    buf_putc(&s->text, '{');
    for (unsigned i = 0; i < n; i++) {
        if (i > 0)
            buf_putc(&s->text, ',');
        buf_puts(&s->text, s->columns[i].key);
        value_put_json(&s->text, &values[i]);
    }
    buf_puts(&s->text, s->mode == SHOW_JSON ? "}" : "}\n");
}

/* ---- the sink ---- */

static void free_columns(struct show *s)
{
    for (unsigned i = 0; i < s->n_columns; i++) {
        free(s->columns[i].name);
        free(s->columns[i].key);
    }
    free(s->columns);
    s->columns = NULL;
    s->n_columns = 0;
}

/* The second "a" becomes "a:1", as in the node's own objects: no value hides another. */
static char *make_key(const struct sink_column *cols, unsigned i)
{
    struct buf name = BUF_INIT, key = BUF_INIT;
    unsigned same = 0;
    for (unsigned j = 0; j < i; j++)
        same += strcmp(cols[j].name, cols[i].name) == 0;
    buf_puts(&name, cols[i].name);
    if (same > 0)
        buf_printf(&name, ":%u", same);
    json_put_cstr(&key, buf_cstr(&name));
    buf_putc(&key, ':');
    char *out = buf_ok(&name) && buf_ok(&key) ? strdup(buf_cstr(&key)) : NULL;
    buf_free(&name);
    buf_free(&key);
    return out;
}

static char *make_name(const char *name)
{
    struct buf b = BUF_INIT;
    text_put_plain(&b, name, strlen(name), false);
    char *out = buf_ok(&b) ? strdup(buf_cstr(&b)) : NULL;
    buf_free(&b);
    return out;
}

static void separated_names(struct show *s, const struct sink_column *cols)
{
    for (unsigned i = 0; i < s->n_columns; i++) {
        struct value v = value_text(cols[i].name, strlen(cols[i].name));
        buf_puts(&s->text, i == 0 ? "" : s->mode == SHOW_CSV ? "," : "\t");
        if (s->mode == SHOW_CSV)
            value_put_csv(&s->text, &v);
        else
            show_put_tabs(&s->text, &v, "");
    }
    buf_puts(&s->text, s->mode == SHOW_CSV ? "\r\n" : "\n");
}

static void on_columns(struct sink *sink, const struct sink_column *cols, unsigned n)
{
    struct show *s = (struct show *)sink;
    free_columns(s);
    s->columns = calloc(n > 0 ? n : 1, sizeof *s->columns);
    if (!s->columns) {
        s->text.failed = true;
        return;
    }
    s->n_columns = n;
    for (unsigned i = 0; i < n; i++) {
        struct show_column *c = &s->columns[i];
        c->name = make_name(cols[i].name);
        c->key = make_key(cols, i);
        if (!c->name || !c->key) {
            s->text.failed = true;
            return;
        }
        c->width = s->headers || s->mode == SHOW_LINE ? text_width(c->name, strlen(c->name)) : 0;
    }
    if (s->headers && (s->mode == SHOW_CSV || s->mode == SHOW_TABS))
        separated_names(s, cols);
}

static enum sink_verdict on_row(struct sink *sink, const struct value *values, unsigned n)
{
    struct show *s = (struct show *)sink;
    if (!show_ok(s) || n != s->n_columns || n == 0)
        return SINK_STOP;
    s->rows++;
    if (s->mode == SHOW_TABLE) {
        if (!table_row(s, values, n))
            return SINK_STOP;
    } else if (s->mode == SHOW_LINE) {
        line_row(s, values, n);
    } else if (s->mode == SHOW_CSV || s->mode == SHOW_TABS) {
        separated_row(s, values, n);
    } else {
        json_row(s, values, n);
    }
    if (s->mode != SHOW_TABLE)
        s->begun = true;
    if (s->text.len >= SHOW_FLUSH)
        flush(s);
    return show_ok(s) ? SINK_MORE : SINK_STOP;
}

/* What is left of the statement's rows. */
static void close_rows(struct show *s)
{
    if (s->mode == SHOW_TABLE && (s->n_cells > 0 || (s->n_columns > 0 && !s->begun)))
        table_part(s);
    if (s->mode == SHOW_JSON)
        buf_puts(&s->text, s->begun ? "]\n" : "[]\n");
    flush(s);
}

static void on_done(struct sink *sink, const struct sink_done *d)
{
    struct show *s = (struct show *)sink;
    s->done = *d;
    if (d->has_rows || s->n_columns > 0)
        close_rows(s);
    free_columns(s);
}

/* ---- the whole ---- */

void show_init(struct show *s, FILE *out, enum show_mode mode)
{
    static const struct sink_ops ops = {on_columns, on_row, on_done};
    *s = (struct show){.sink = {&ops}, .out = out, .mode = mode, .headers = true};
}

void show_reset(struct show *s)
{
    /* The rows of a failed statement that have come are shown; an array stays without its end, so
     * that nobody takes it for the whole. */
    if (s->mode == SHOW_TABLE && s->n_cells > 0)
        table_part(s);
    flush(s);
    free_columns(s);
    buf_reset(&s->cells);
    s->n_cells = 0;
    s->rows = 0;
    s->begun = false;
    s->done = (struct sink_done){0};
}

void show_free(struct show *s)
{
    free_columns(s);
    free(s->cell);
    buf_free(&s->text);
    buf_free(&s->cells);
}
