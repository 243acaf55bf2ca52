/*
 * Values as text: as JSON that has room for all of them (openapi.yaml, "Numbers"), and as a field
 * of CSV (RFC 4180) in which NULL is empty, an empty text is "" and a BLOB is base64. Any thread.
 */
#ifndef HA_BASE_VALUE_TEXT_H
#define HA_BASE_VALUE_TEXT_H

#include <stddef.h>

#include "base/buf.h"
#include "base/value.h"

void value_put_json(struct buf *b, const struct value *v);
void value_put_csv(struct buf *b, const struct value *v);
void csv_put_text(struct buf *b, const char *s, size_t len);

#endif
