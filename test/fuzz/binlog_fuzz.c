/*
 * A MySQL source's binary log: whatever its bytes are, nothing is read beyond them, and rows come
 * to an end. The first byte says what follows: events one behind the other, as in a log file
 * without its first four bytes, or a binary JSON, or a DECIMAL.
 */
#include <endian.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/binlog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TABLES_MAX 16
#define TEXT_MAX   (1u << 20)

static struct binlog_cell before[BINLOG_COLUMNS_MAX], after[BINLOG_COLUMNS_MAX];

static void check(bool ok)
{
    if (!ok)
        abort();
}

/* Every byte of a value can be read. */
static void touch(const struct binlog_cell *cells, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        const struct value *v = &cells[i].value;
        unsigned sum = 0;
        if (!cells[i].present || (v->type != VALUE_TEXT && v->type != VALUE_BLOB))
            continue;
        for (size_t k = 0; k < v->u.s.len; k++)
            sum += (unsigned char)v->u.s.data[k];
        check(sum < UINT32_MAX);
    }
}

struct log {
    struct arena *arena;
    struct binlog_format format;
    struct binlog_table tables[TABLES_MAX];
    unsigned n_tables;
    struct buf scratch, rows_scratch;
};

static void rows(struct log *l, const struct binlog_event *e)
{
    for (unsigned i = 0; i < l->n_tables; i++) {
        struct binlog_rows r;
        const struct binlog_table *t = &l->tables[i];
        if (t->id != e->u.rows.table_id || !binlog_read_rows(e, t, &l->rows_scratch, &r))
            continue;
        while (binlog_next_row(&r, before, after, &l->scratch) == BINLOG_ROW) {
            if (r.change != BINLOG_INSERT)
                touch(before, t->n_columns);
            if (r.change != BINLOG_DELETE)
                touch(after, t->n_columns);
        }
    }
}

static void events(const uint8_t *data, size_t size)
{
    struct log l = {.arena = arena_new()};

    buf_init(&l.scratch, TEXT_MAX);
    buf_init(&l.rows_scratch, TEXT_MAX);
    check(l.arena != NULL);
    for (size_t at = 0; size - at >= BINLOG_HEADER_BYTES;) {
        uint32_t length;
        struct binlog_event e;
        memcpy(&length, data + at + BINLOG_LENGTH_AT, sizeof length);
        length = le32toh(length);
        if (length < BINLOG_HEADER_BYTES || length > size - at)
            break;
        char *copy = malloc(length);
        check(copy != NULL);
        memcpy(copy, data + at, length);
        if (binlog_read_event(copy, length, &l.format, &l.rows_scratch, &e)) {
            if (e.kind == BINLOG_TABLE && l.n_tables < TABLES_MAX &&
                binlog_read_table(&e, l.arena, &l.tables[l.n_tables]))
                l.n_tables++;
            else if (e.kind == BINLOG_ROWS)
                rows(&l, &e);
        }
        free(copy);
        at += length;
    }
    buf_free(&l.scratch);
    buf_free(&l.rows_scratch);
    arena_free(l.arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf out = BUF_INIT;

    if (size < 3)
        return 0;
    buf_init(&out, TEXT_MAX);
    if (data[0] == 'j') {
        (void)binlog_put_json(&out, data + 1, size - 1);
    } else if (data[0] == 'd') {
        struct reader r = reader_of(data + 3, size - 3);
        (void)binlog_put_decimal(&out, &r, data[1], data[2]);
    } else {
        events(data + 1, size - 1);
    }
    buf_free(&out);
    return 0;
}
