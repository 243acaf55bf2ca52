/* Base64 of RFC 4648, with padding and nothing else in between. Any thread. */
#ifndef HA_BASE_BASE64_H
#define HA_BASE_BASE64_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

void base64_encode(struct buf *b, const void *bytes, size_t len);
/* At most `size` bytes to `out`; false for anything that is not exactly base64 or does not fit. */
bool base64_decode(const char *text, size_t len, void *out, size_t size, size_t *got);

#endif
