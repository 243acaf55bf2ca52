#include "sql/value.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

bool value_copy(struct value *out, sqlite3_value *v)
{
    int type = sqlite3_value_type(v);

    switch (type) {
    case SQLITE_INTEGER:
        *out = value_int(sqlite3_value_int64(v));
        return true;
    case SQLITE_FLOAT:
        *out = value_real(sqlite3_value_double(v));
        return true;
    case SQLITE_NULL:
        *out = value_null();
        return true;
    default:
        break;
    }
    const void *bytes = sqlite3_value_blob(v); /* of a text: its bytes */
    size_t n = (size_t)sqlite3_value_bytes(v);
    char *copy = malloc(n + 1);
    if (!copy)
        return false;
    if (n > 0)
        memcpy(copy, bytes, n);
    *out = type == SQLITE_TEXT ? value_text(copy, n) : value_blob(copy, n);
    return true;
}

void value_drop(struct value *v)
{
    if (v->type == VALUE_TEXT || v->type == VALUE_BLOB)
        free((void *)(uintptr_t)v->u.s.data);
    *v = value_null();
}
