/* SQLite's values as ours: views, and copies that outlive their statement. Any thread; a value is
 * its connection's. */
#ifndef HA_SQL_VALUE_H
#define HA_SQL_VALUE_H

#include <sqlite3.h>
#include <stdbool.h>

#include "base/value.h"

/* Its bytes last as long as SQLite says: until the next step, or the callback's end. Here and not
 * in value.c because every value of every row that is read or written comes through it. */
static inline struct value value_view(sqlite3_value *v)
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

/* Is it the very same value, so that nobody needs to be told? Of REALs the bits decide: -0.0 equals
 * 0.0 in SQL, but is printed and stored as another number, and every value arrives as it left. */
bool value_same(const struct value *a, const struct value *b);
/* The bytes of a text or blob belong to `out` until value_drop(). False: no memory, and nothing to
 * drop. */
bool value_copy(struct value *out, sqlite3_value *v);
void value_drop(struct value *v);

#endif
