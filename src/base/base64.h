/* Base64 of RFC 4648, and nothing else in between. Any thread. */
#ifndef HA_BASE_BASE64_H
#define HA_BASE_BASE64_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* With padding. */
void base64_encode(struct buf *b, const void *bytes, size_t len);
/* Appends the bytes; the padding may be missing. False for anything that is not exactly base64,
 * and where there is no memory: then `b` holds what it held. */
bool base64_decode(struct buf *b, const char *text, size_t len);
/* At most `size` bytes to `out`, of padded text only; false too where they do not fit. */
bool base64_decode_into(const char *text, size_t len, void *out, size_t size, size_t *got);

#endif
