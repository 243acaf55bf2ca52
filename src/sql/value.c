#include "sql/value.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct value value_view(sqlite3_value *v)
{
    const void *data;

    switch (sqlite3_value_type(v)) {
    case SQLITE_INTEGER:
        return value_int(sqlite3_value_int64(v));
    case SQLITE_FLOAT:
        return value_real(sqlite3_value_double(v));
    case SQLITE_TEXT: /* the pointer first: it may convert, and only then the length is right */
        data = sqlite3_value_text(v);
        return value_text(data, data ? (size_t)sqlite3_value_bytes(v) : 0);
    case SQLITE_BLOB:
        data = sqlite3_value_blob(v);
        return value_blob(data, (size_t)sqlite3_value_bytes(v));
    default:
        return value_null();
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
