/*
 * An entry of the list (numbers big-endian, strings with their NUL, values as in value_pack.h):
 *
 *   u8 operation, u64 shape, u64 seq, u32 index, u8 which of the four fields below there are,
 *   u16 columns, u16 key columns, table, { column }…, { key column }…,
 *   [u64 old rowid] [u64 new rowid] [{ old value }…] [{ new value }…]
 *   u32 length of all that
 *
 * The length comes last, so that a reader who stands behind an entry finds its beginning.
 */
#include "proto/inverse.h"

#include <stdlib.h>
#include <string.h>

#include "base/spool.h"
#include "base/value_pack.h"

#define WINDOW_BYTES  ((size_t)256 * 1024) /* read at once, unless an entry is larger */
#define TRAILER_BYTES ((size_t)4)

#define HAS_OLD_ROWID  1u
#define HAS_NEW_ROWID  2u
#define HAS_OLD_VALUES 4u
#define HAS_NEW_VALUES 8u

bool inverse_of(const struct change *c, struct change *out)
{
    if (c->op == CHANGE_SQL)
        return false;
    *out = *c;
    if (c->op == CHANGE_INSERT)
        out->op = CHANGE_DELETE;
    else if (c->op == CHANGE_DELETE)
        out->op = CHANGE_INSERT;
    out->old_values = c->new_values;
    out->new_values = c->old_values;
    out->has_old_rowid = c->has_new_rowid;
    out->has_new_rowid = c->has_old_rowid;
    out->old_rowid = c->new_rowid;
    out->new_rowid = c->old_rowid;
    return true;
}

struct inverse_list {
    struct spool *spool;
    struct buf entry; /* being written */
    bool too_big;

    uint64_t at; /* reading goes on with what ends here */
    /* bytes [window_at, window_at + window_len) of the spool */
    char *window;
    size_t window_cap, window_len;
    uint64_t window_at;
    struct inverse out;
    const char **names; /* room for the entry that was read */
    struct value *values;
    size_t names_cap, values_cap;
};

struct inverse_list *inverse_list_new(const char *dir, size_t memory_limit)
{
    struct inverse_list *l = calloc(1, sizeof *l);

    if (!l)
        return NULL;
    l->spool = spool_new(dir, memory_limit);
    if (!l->spool) {
        free(l);
        return NULL;
    }
    return l;
}

void inverse_list_free(struct inverse_list *l)
{
    if (!l)
        return;
    spool_free(l->spool);
    buf_free(&l->entry);
    free(l->window);
    free(l->names);
    free(l->values);
    free(l);
}

/* ---- writing ---- */

static void put_text(struct buf *b, const char *s)
{
    buf_put(b, s, strlen(s) + 1);
}

static void put_values(struct buf *b, const struct value *values, unsigned n)
{
    for (unsigned i = 0; values && i < n && buf_ok(b); i++)
        value_pack(b, &values[i]);
}

static void put_entry(struct buf *b, const struct change *c, uint64_t seq, unsigned index)
{
    buf_u8(b, (uint8_t)c->op);
    buf_be64(b, c->shape);
    buf_be64(b, seq);
    buf_be32(b, index);
    buf_u8(b,
           (uint8_t)((c->has_old_rowid ? HAS_OLD_ROWID : 0) |
                     (c->has_new_rowid ? HAS_NEW_ROWID : 0) | (c->old_values ? HAS_OLD_VALUES : 0) |
                     (c->new_values ? HAS_NEW_VALUES : 0)));
    buf_be16(b, (uint16_t)c->n_columns);
    buf_be16(b, (uint16_t)c->n_pk);
    put_text(b, c->table);
    for (unsigned i = 0; i < c->n_columns; i++)
        put_text(b, c->columns[i]);
    for (unsigned i = 0; i < c->n_pk; i++)
        put_text(b, c->pk_columns[i]);
    if (c->has_old_rowid)
        buf_be64(b, (uint64_t)c->old_rowid);
    if (c->has_new_rowid)
        buf_be64(b, (uint64_t)c->new_rowid);
    put_values(b, c->old_values, c->n_columns);
    put_values(b, c->new_values, c->n_columns);
}

void inverse_list_add(struct inverse_list *l, const struct change *c, uint64_t seq, unsigned index)
{
    struct change inverse;

    if (!inverse_of(c, &inverse) || l->too_big)
        return;
    buf_reset(&l->entry);
    put_entry(&l->entry, &inverse, seq, index);
    l->too_big = !buf_ok(&l->entry) || l->entry.len > UINT32_MAX;
    if (l->too_big)
        return;
    buf_put(spool_tail(l->spool), l->entry.data, l->entry.len);
    buf_be32(spool_tail(l->spool), (uint32_t)l->entry.len);
    spool_flush(l->spool);
    if (l->entry.cap > WINDOW_BYTES)
        buf_free(&l->entry);
}

enum err_code inverse_list_error(const struct inverse_list *l, struct err *e)
{
    if (l->too_big)
        return err_set(e, ERR_TOO_BIG, "a row is too big to be turned round");
    return spool_error(l->spool, e);
}

uint64_t inverse_list_end(const struct inverse_list *l)
{
    return spool_len(l->spool);
}

void inverse_list_cut(struct inverse_list *l, uint64_t end)
{
    spool_cut(l->spool, end);
    l->window_len = 0;
}

/* ---- reading ---- */

void inverse_list_rewind(struct inverse_list *l)
{
    l->at = spool_len(l->spool);
    l->window_len = 0;
}

/* Bytes [from, from + n), which lie before l->at; NULL: `e` says why. The window is filled with
 * what lies before them, which is wanted next. */
static const char *window(struct inverse_list *l, uint64_t from, size_t n, struct err *e)
{
    uint64_t end = from + n;
    size_t want = n > WINDOW_BYTES ? n : WINDOW_BYTES, got = 0;

    if (l->window_len > 0 && from >= l->window_at && end <= l->window_at + l->window_len)
        return l->window + (from - l->window_at);
    if (want > end)
        want = (size_t)end;
    if (want > l->window_cap) {
        char *larger = realloc(l->window, want);
        if (!larger) {
            err_set(e, ERR_NO_MEMORY, "out of memory");
            return NULL;
        }
        l->window = larger;
        l->window_cap = want;
    }
    l->window_len = 0;
    if (spool_read(l->spool, end - want, l->window, want, &got, e) != ERR_OK)
        return NULL;
    if (got < want) {
        err_set(e, ERR_IO, "the list of changes is shorter than it was");
        return NULL;
    }
    l->window_at = end - want;
    l->window_len = want;
    return l->window + (from - l->window_at);
}

static bool make_room(struct inverse_list *l, size_t names, size_t values)
{
    if (names > l->names_cap) {
        const char **more = realloc(l->names, names * sizeof *more);
        if (!more)
            return false;
        l->names = more;
        l->names_cap = names;
    }
    if (values > l->values_cap) {
        struct value *more = realloc(l->values, values * sizeof *more);
        if (!more)
            return false;
        l->values = more;
        l->values_cap = values;
    }
    return true;
}

static bool read_entry(struct inverse_list *l, struct reader *in)
{
    struct inverse *out = &l->out;
    struct change *c = &out->change;

    *out = (struct inverse){.change = {.database = "main"}};
    c->op = (enum change_op)reader_u8(in);
    c->shape = reader_u64(in);
    out->seq = reader_u64(in);
    out->index = reader_u32(in);
    unsigned has = reader_u8(in);
    c->n_columns = reader_u16(in);
    c->n_pk = reader_u16(in);
    c->table = reader_cstr(in);
    if (!make_room(l, (size_t)c->n_columns + c->n_pk + 1, 2 * (size_t)c->n_columns + 1))
        return false;
    for (unsigned i = 0; i < c->n_columns + c->n_pk; i++)
        l->names[i] = reader_cstr(in);
    c->columns = l->names;
    c->pk_columns = l->names + c->n_columns;
    c->has_old_rowid = has & HAS_OLD_ROWID;
    c->has_new_rowid = has & HAS_NEW_ROWID;
    c->old_rowid = c->has_old_rowid ? (int64_t)reader_u64(in) : 0;
    c->new_rowid = c->has_new_rowid ? (int64_t)reader_u64(in) : 0;
    for (unsigned i = 0; has & HAS_OLD_VALUES && i < c->n_columns; i++)
        l->values[i] = value_unpack(in);
    for (unsigned i = 0; has & HAS_NEW_VALUES && i < c->n_columns; i++)
        l->values[c->n_columns + i] = value_unpack(in);
    c->old_values = has & HAS_OLD_VALUES ? l->values : NULL;
    c->new_values = has & HAS_NEW_VALUES ? l->values + c->n_columns : NULL;
    return true;
}

enum err_code inverse_list_back(struct inverse_list *l, const struct inverse **out, struct err *e)
{
    *out = NULL;
    if (l->at == 0)
        return ERR_OK;
    const char *p = window(l, l->at - TRAILER_BYTES, TRAILER_BYTES, e);
    if (!p)
        return e->code;
    struct reader trailer = reader_of(p, TRAILER_BYTES);
    uint32_t len = reader_u32(&trailer);
    if (len > l->at - TRAILER_BYTES)
        return err_set(e, ERR_IO, "the list of changes is damaged");
    uint64_t from = l->at - TRAILER_BYTES - len;
    p = window(l, from, len, e);
    if (!p)
        return e->code;
    struct reader in = reader_of(p, len);
    if (!read_entry(l, &in))
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    if (!reader_done(&in))
        return err_set(e, ERR_IO, "the list of changes is damaged");
    l->out.place = from;
    l->at = from;
    *out = &l->out;
    return ERR_OK;
}
