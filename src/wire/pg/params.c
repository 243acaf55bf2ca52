/* Parameters with bytes of their own: what a portal was bound to, and the rows of a COPY. */
#include <stdlib.h>

#include "base/array.h"
#include "wire/pg/session.h"

void pg_params_reset(struct pg_params *s)
{
    s->n = s->added = 0;
    s->failed = false;
    buf_reset(&s->data);
}

void pg_params_free(struct pg_params *s)
{
    buf_free(&s->data);
    free(s->list);
    *s = (struct pg_params){0};
}

/* The place of one more, NULL so far; without memory none. Nor is there one behind settled ones,
 * whose bytes must not move any more. */
static struct value *add(struct pg_params *s)
{
    if (s->n > 0) {
        s->failed = true;
        return NULL;
    }
    struct param *room = array_room(s->list, s->added, &s->cap, sizeof *room);
    if (!room) {
        s->failed = true;
        return NULL;
    }
    s->list = room;
    s->list[s->added] = (struct param){.value = value_null()};
    return &s->list[s->added++].value;
}

static bool has_bytes(const struct value *v)
{
    return v->type == VALUE_TEXT || v->type == VALUE_BLOB;
}

void pg_params_add_null(struct pg_params *s)
{
    (void)add(s);
}

enum pgtype_fault pg_params_add(struct pg_params *s, uint32_t type, bool binary, const char *data,
                                size_t len)
{
    struct value *v = add(s);
    bool in_data = false;

    if (!v)
        return PGTYPE_FINE;
    enum pgtype_fault f = pgtype_get(type, binary, data, len, v, &s->data, &in_data);
    if (f != PGTYPE_FINE) {
        s->added--;
        return f;
    }
    if (!in_data && has_bytes(v)) {
        size_t at = s->data.len;
        buf_put(&s->data, v->u.s.data, v->u.s.len);
        v->u.s.data = (const char *)(uintptr_t)at;
    }
    return PGTYPE_FINE;
}

bool pg_params_settle(struct pg_params *s)
{
    if (s->failed || !buf_ok(&s->data))
        return false;
    if (s->n == s->added) /* offsets become pointers once */
        return true;
    for (unsigned i = 0; i < s->added; i++)
        if (has_bytes(&s->list[i].value))
            pgtype_settle(&s->list[i].value, &s->data);
    s->n = s->added;
    return true;
}

bool pg_params_copy(struct pg_params *to, const struct pg_params *from)
{
    pg_params_reset(to);
    for (unsigned i = 0; i < from->n; i++) {
        const struct value *v = &from->list[i].value;
        struct value *copy = add(to);
        if (!copy)
            return false;
        *copy = *v;
        if (has_bytes(v)) {
            copy->u.s.data = (const char *)(uintptr_t)to->data.len;
            buf_put(&to->data, v->u.s.data, v->u.s.len);
        }
    }
    return pg_params_settle(to);
}
