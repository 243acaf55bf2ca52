/* Copies of SQLite's values that outlive their statement. Any thread. */
#ifndef HA_SQL_VALUE_H
#define HA_SQL_VALUE_H

#include <sqlite3.h>
#include <stdbool.h>

#include "base/value.h"

/* The bytes of a text or blob belong to `out` until value_drop(). False: no memory, and nothing to
 * drop. */
bool value_copy(struct value *out, sqlite3_value *v);
void value_drop(struct value *v);

#endif
