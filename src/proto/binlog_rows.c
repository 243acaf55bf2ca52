/*
 * Rows: the images of a WRITE, UPDATE or DELETE event.
 *
 *   binlog_read_rows, binlog_next_row
 *
 *   columns   count(lenenc)
 *   present   a bit for each column; of UPDATE twice: before and after
 *   rows      nulls (a bit for each column that is present), values; of UPDATE twice
 */
#include <string.h>

#include "proto/binlog_impl.h"
#include "proto/mysqlwire.h"

static bool bit(const uint8_t *bits, unsigned i)
{
    return (bits[i / 8] >> (i % 8) & 1) != 0;
}

bool binlog_read_rows(const struct binlog_event *e, const struct binlog_table *table,
                      struct buf *scratch, struct binlog_rows *out)
{
    struct reader r = e->u.rows.body;
    uint64_t n = mysqlwire_lenenc(&r);
    size_t bytes = (table->n_columns + 7) / 8;

    if (r.bad || n != table->n_columns)
        return false;
    out->change = e->u.rows.change;
    out->table = table;
    out->before = (const uint8_t *)reader_bytes(&r, bytes);
    out->after = out->before;
    if (out->change == BINLOG_UPDATE)
        out->after = (const uint8_t *)reader_bytes(&r, bytes);
    if (r.bad)
        return false;
    if (e->u.rows.compressed) {
        buf_reset(scratch);
        if (!binlog_uncompress(&r, scratch))
            return false;
        r = reader_of(scratch->data, scratch->len);
    }
    out->r = r;
    return true;
}

/* The data of those that are in scratch are offsets until scratch stops growing. */
struct image {
    struct binlog_cell *cells;
    uint8_t moved[BINLOG_COLUMNS_MAX / 8];
};

static bool read_image(struct binlog_rows *rows, const uint8_t *present, struct image *m,
                       struct buf *scratch)
{
    unsigned n = rows->table->n_columns, there = 0;

    for (unsigned i = 0; i < n; i++)
        there += bit(present, i);
    const uint8_t *nulls = (const uint8_t *)reader_bytes(&rows->r, (there + 7) / 8);
    if (!nulls)
        return false;
    memset(m->moved, 0, (n + 7) / 8);
    for (unsigned i = 0, k = 0; i < n; i++) {
        struct binlog_cell *cell = &m->cells[i];
        bool in_scratch = false;
        cell->present = bit(present, i);
        cell->value = value_null();
        if (!cell->present || bit(nulls, k++))
            continue;
        if (!binlog_get(&rows->r, &rows->table->columns[i], scratch, &cell->value, &in_scratch))
            return false;
        if (in_scratch)
            m->moved[i / 8] |= (uint8_t)(1u << (i % 8));
    }
    return true;
}

static void settle(const struct binlog_rows *rows, struct image *m, const struct buf *scratch)
{
    const char *base = scratch->data ? scratch->data : ""; /* nothing but empty texts */

    for (unsigned i = 0; i < rows->table->n_columns; i++)
        if (bit(m->moved, i))
            m->cells[i].value.u.s.data = base + (uintptr_t)m->cells[i].value.u.s.data;
}

enum binlog_step binlog_next_row(struct binlog_rows *rows, struct binlog_cell *before,
                                 struct binlog_cell *after, struct buf *scratch)
{
    struct image old = {.cells = before}, new = {.cells = after};
    bool has_old = rows->change != BINLOG_INSERT, has_new = rows->change != BINLOG_DELETE;

    if (rows->r.bad)
        return BINLOG_BAD;
    if (rows->r.at == rows->r.end)
        return BINLOG_END;
    const char *start = rows->r.at;
    buf_reset(scratch);
    if ((has_old && !read_image(rows, rows->before, &old, scratch)) ||
        (has_new && !read_image(rows, rows->after, &new, scratch)) || !buf_ok(scratch) ||
        rows->r.at == start) { /* a row of no bytes would never end */
        rows->r.bad = true;
        return BINLOG_BAD;
    }
    if (has_old)
        settle(rows, &old, scratch);
    if (has_new)
        settle(rows, &new, scratch);
    return BINLOG_ROW;
}
