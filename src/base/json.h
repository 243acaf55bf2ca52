/*
 * JSON out: RFC 8259 texts appended to a buffer. For JSON in, see json_tree.h and yajl's users in
 * src/proto.
 *
 * Numbers are exact: an INTEGER is printed as one, a REAL always with a point or an exponent and
 * with the fewest digits that read back as the same double (shortest.h).
 */
#ifndef HA_BASE_JSON_H
#define HA_BASE_JSON_H

#include "base/buf.h"
#include "base/value.h"

/* Valid UTF-8 as a quoted, escaped string; invalid bytes become U+FFFD. */
void json_put_string(struct buf *b, const char *s, size_t len);
void json_put_cstr(struct buf *b, const char *s); /* NULL is written as null */

/* A finite double. The caller handles infinities. */
void json_put_double(struct buf *b, double r);

/* Valid UTF-8 without NUL? Rejects surrogates, overlong forms and code points over U+10FFFF. */
bool json_is_text(const char *s, size_t len);
/* How many bytes of it are, from the beginning. */
size_t json_text_prefix(const char *s, size_t len);

#endif
