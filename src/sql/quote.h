/* SQL's own way to write a name or a text so that every byte of it stands for itself. Any thread.
 */
#ifndef HA_SQL_QUOTE_H
#define HA_SQL_QUOTE_H

#include <stddef.h>

#include "base/buf.h"
#include "base/value.h"

/* Appends `len` bytes between two `quote`s, with each `quote` in them doubled: '"' for a name, '\''
 * for a text. */
void quote_put(struct buf *b, const char *s, size_t len, char quote);

/* A terminated name, in double quotes. */
void quote_put_name(struct buf *b, const char *name);

/* Any value, as an expression that is the very same one. */
void quote_put_value(struct buf *b, const struct value *v);

#endif
