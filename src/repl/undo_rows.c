#include "repl/undo_rows.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/sha256.h"
#include "base/value_pack.h"

#define FIRST_CAP ((size_t)64)

void row_set_fini(struct row_set *s)
{
    free(s->at);
    buf_free(&s->scratch);
    *s = (struct row_set){0};
}

/* ---- what a row is called ---- */

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

/* The primary key's values; false where a part of it is NULL or missing, or there is none. */
static bool put_key(struct buf *b, const struct change *c, const struct value *values)
{
    unsigned place = 0;

    for (unsigned k = 0; k < c->n_pk; k++) {
        if (!find_place(c, c->pk_columns[k], &place) || values[place].type == VALUE_NULL)
            return false;
        value_pack(b, &values[place]);
    }
    return c->n_pk > 0;
}

/* By its key, or its rowid, or all of its values; as revert.c finds it. False: no memory. */
static bool name_row(struct row_set *s, const struct change *c, bool old, struct row_id *out)
{
    const struct value *values = old ? c->old_values : c->new_values;
    bool has_rowid = old ? c->has_old_rowid : c->has_new_rowid;
    unsigned char digest[SHA256_SIZE];
    struct buf *b = &s->scratch;

    buf_reset(b);
    for (const char *p = c->table; *p; p++)
        buf_putc(b, (char)tolower((unsigned char)*p));
    buf_putc(b, '\0');
    size_t start = b->len;
    if (!put_key(b, c, values)) {
        buf_cut(b, start);
        buf_u8(b, has_rowid);
        buf_be64(b, has_rowid ? (uint64_t)(old ? c->old_rowid : c->new_rowid) : 0);
        for (unsigned i = 0; !has_rowid && i < c->n_columns; i++)
            value_pack(b, &values[i]);
    }
    if (!buf_ok(b))
        return false;
    sha256(b->data, b->len, digest);
    memcpy(&out->a, digest, sizeof out->a);
    memcpy(&out->b, digest + sizeof out->a, sizeof out->b);
    out->a |= 1; /* never all zeros */
    return true;
}

/* ---- the set ---- */

static struct row_id *slot(const struct row_set *s, const struct row_id *id)
{
    size_t i = id->b & (s->cap - 1);

    while (s->at[i].a != 0 && (s->at[i].a != id->a || s->at[i].b != id->b))
        i = (i + 1) & (s->cap - 1);
    return &s->at[i];
}

static bool contains(struct row_set *s, const struct change *c, bool old)
{
    struct row_id id;

    return s->n > 0 && (old ? c->old_values : c->new_values) && name_row(s, c, old, &id) &&
           slot(s, &id)->a != 0;
}

bool row_set_touches(struct row_set *s, const struct change *c)
{
    return contains(s, c, true) || contains(s, c, false);
}

static bool grow(struct row_set *s)
{
    struct row_set larger = {.cap = s->cap > 0 ? 2 * s->cap : FIRST_CAP};

    if (s->n < s->cap / 2)
        return true;
    larger.at = calloc(larger.cap, sizeof *larger.at);
    if (!larger.at)
        return false;
    for (size_t i = 0; i < s->cap; i++)
        if (s->at[i].a != 0)
            *slot(&larger, &s->at[i]) = s->at[i];
    free(s->at);
    s->at = larger.at;
    s->cap = larger.cap;
    return true;
}

static enum err_code add(struct row_set *s, const struct change *c, bool old, size_t max,
                         struct err *e)
{
    struct row_id id;

    if (!(old ? c->old_values : c->new_values))
        return ERR_OK;
    if (!grow(s) || !name_row(s, c, old, &id))
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    struct row_id *at = slot(s, &id);
    if (at->a != 0)
        return ERR_OK;
    if (s->n >= max)
        return err_set(e, ERR_TOO_BIG, "more than %zu rows are concerned: UNDO takes back all",
                       max);
    *at = id;
    s->n++;
    return ERR_OK;
}

enum err_code row_set_add(struct row_set *s, const struct change *c, size_t max, struct err *e)
{
    enum err_code code = add(s, c, true, max, e);

    return code == ERR_OK ? add(s, c, false, max, e) : code;
}
