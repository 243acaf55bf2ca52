/* SQLite's values as ours: views, and copies that outlive their statement. Any thread; a value is
 * its connection's. */
#ifndef HA_SQL_VALUE_H
#define HA_SQL_VALUE_H

#include <sqlite3.h>
#include <stdbool.h>

#include "base/value.h"

/* Its bytes last as long as SQLite says: until the next step, or the callback's end. */
struct value value_view(sqlite3_value *v);
/* The bytes of a text or blob belong to `out` until value_drop(). False: no memory, and nothing to
 * drop. */
bool value_copy(struct value *out, sqlite3_value *v);
void value_drop(struct value *v);

#endif
