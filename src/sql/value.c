#include "sql/value.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

bool value_same(const struct value *a, const struct value *b)
{
    if (a->type != b->type)
        return false;
    switch (a->type) {
    case VALUE_NULL:
        return true;
    case VALUE_INTEGER:
    case VALUE_REAL: /* its bits */
        return a->u.i == b->u.i;
    default:
        return a->u.s.len == b->u.s.len &&
               (a->u.s.len == 0 || memcmp(a->u.s.data, b->u.s.data, a->u.s.len) == 0);
    }
}

bool value_copy(struct value *out, sqlite3_value *v)
{
    char *copy;

    *out = value_view(v);
    if (out->type != VALUE_TEXT && out->type != VALUE_BLOB)
        return true;
    copy = malloc(out->u.s.len + 1);
    if (!copy)
        return false;
    if (out->u.s.len > 0)
        memcpy(copy, out->u.s.data, out->u.s.len);
    out->u.s.data = copy;
    return true;
}

void value_drop(struct value *v)
{
    if (v->type == VALUE_TEXT || v->type == VALUE_BLOB)
        free((void *)(uintptr_t)v->u.s.data);
    *v = value_null();
}
