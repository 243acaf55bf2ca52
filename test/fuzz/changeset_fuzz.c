/*
 * Messages of the log. Whole and in pieces (their sizes come from the first byte) the same changes
 * must come out, with the same result; the changes of a good message, written by us and read again,
 * are the same; and no input leaves anything behind in the reader for the next message.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "proto/changeset.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What came out, as the list of changes of a message of our own. */
struct out {
    struct buf b;
    uint64_t n;
};

static void put_names(struct buf *b, const char *const *names, unsigned n)
{
    buf_putc(b, '[');
    for (unsigned i = 0; i < n; i++) {
        buf_puts(b, i > 0 ? "," : "");
        json_put_string(b, names[i], strlen(names[i]));
    }
    buf_putc(b, ']');
}

static void put_values(struct buf *b, const char *field, const struct value *v, unsigned n)
{
    if (!v)
        return;
    buf_puts(b, field);
    for (unsigned i = 0; i < n; i++) {
        buf_puts(b, i > 0 ? "," : "");
        changeset_put_value(b, &v[i]);
    }
    buf_putc(b, ']');
}

static enum err_code take(void *arg, const struct change *c, struct err *e)
{
    static const char *const ops[] = {"INSERT", "UPDATE", "DELETE"};
    struct out *o = arg;
    struct buf *b = &o->b;

    (void)e;
    if (o->n++ > 0)
        buf_putc(b, ',');
    if (c->shape == 0)
        abort();
    if (c->op == CHANGE_SQL) {
        if (c->command[c->command_len] != '\0')
            abort();
        changeset_put_sql(b, c->database, c->command, c->command_len);
        return ERR_OK;
    }
    buf_puts(b, "{\"database\":");
    json_put_cstr(b, c->database);
    buf_puts(b, ",\"table\":");
    json_put_cstr(b, c->table);
    buf_puts(b, ",\"columns\":");
    put_names(b, c->columns, c->n_columns);
    buf_puts(b, ",\"pk_columns\":");
    put_names(b, c->pk_columns, c->n_pk);
    buf_printf(b, ",\"operation\":\"%s\"", ops[c->op]);
    if (c->has_old_rowid)
        buf_printf(b, ",\"old_rowid\":%lld", (long long)c->old_rowid);
    if (c->has_new_rowid)
        buf_printf(b, ",\"new_rowid\":%lld", (long long)c->new_rowid);
    put_values(b, ",\"old_values\":[", c->old_values, c->n_columns);
    put_values(b, ",\"new_values\":[", c->new_values, c->n_columns);
    buf_putc(b, '}');
    return ERR_OK;
}

static enum err_code read_pieces(struct changeset_reader *r, const void *bytes, size_t n,
                                 size_t piece, const struct changeset_info **info)
{
    struct err e = ERR_INIT;
    enum err_code code = ERR_OK;
    const char *p = bytes;

    changeset_reader_reset(r);
    for (size_t at = 0; at < n && !code; at += piece)
        code = changeset_feed(r, p + at, n - at < piece ? n - at : piece, &e);
    if (!code)
        code = changeset_finish(r, info, &e);
    if (code != ERR_OK && (code != ERR_FORMAT || e.msg[0] == '\0'))
        abort();
    return code;
}

static void same(const struct out *x, const struct out *y)
{
    if (x->n != y->n || x->b.len != y->b.len ||
        (x->b.len > 0 && memcmp(x->b.data, y->b.data, x->b.len) != 0))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char good[] = "{\"node\":\"n\",\"changes\":[{\"table\":\"t\",\"columns\":[\"a\"],"
                               "\"operation\":\"INSERT\",\"new_values\":[1]}]}";
    struct out whole = {BUF_INIT, 0}, again = {BUF_INIT, 0}, pieces = {BUF_INIT, 0};
    struct out *to;
    const struct changeset_info *info = NULL;
    struct changeset_reader *r;
    size_t piece;
    enum err_code code;

    if (size == 0)
        return 0;
    piece = (size_t)data[0] % 61 + 1;
    data++;
    size--;
    r = changeset_reader_new(take, &whole);
    code = read_pieces(r, data, size, size + 1, &info);
    changeset_reader_free(r);
    /* Twice, because a reader that knows the tables takes a shorter way. */
    to = &again;
    r = changeset_reader_new(take, to);
    (void)read_pieces(r, data, size, size + 1, &info);
    buf_reset(&again.b);
    again.n = 0;
    if (read_pieces(r, data, size, size + 1, &info) != code)
        abort();
    same(&whole, &again);
    changeset_reader_free(r);
    to = &pieces;
    r = changeset_reader_new(take, to);
    if (read_pieces(r, data, size, piece, &info) != code)
        abort();
    same(&whole, &pieces);
    /* The same reader, next message. */
    if (code == ERR_OK) {
        struct buf m = BUF_INIT;

        changeset_put_head(&m, info->node);
        buf_put(&m, whole.b.data, whole.b.len);
        changeset_put_tail(&m, info->id, info->prev, info->filename, info->timestamp_ns,
                           &(struct changeset_txs){.txs = info->txs, .n = info->n_txs});
        buf_reset(&to->b);
        to->n = 0;
        if (read_pieces(r, m.data, m.len, m.len, &info) != ERR_OK)
            abort();
        same(&whole, to);
        buf_free(&m);
    }
    buf_reset(&to->b);
    to->n = 0;
    if (read_pieces(r, good, sizeof good - 1, 7, &info) != ERR_OK || to->n != 1)
        abort();
    changeset_reader_free(r);
    buf_free(&whole.b);
    buf_free(&again.b);
    buf_free(&pieces.b);
    return 0;
}
