/*
 * The head of an HTTP/1.1 request (RFC 9112): request line and header fields. Bytes in, pointers
 * into them out: no I/O, no memory of its own, no knowledge of paths.
 *
 *     POST /query?timeout=5s HTTP/1.1 CRLF
 *     name ":" value CRLF …
 *     CRLF
 *
 * Whatever two readers could take for different requests is refused rather than mended: a proxy in
 * front that saw the end of a body elsewhere would take a part of it for the next request, or the
 * other way round. So beyond what the grammar forbids these are errors:
 *
 *   - a line that ends with LF alone, a CR elsewhere, NUL and other control characters (2.2 leaves
 *     the first to the reader)
 *   - a line that begins with white space: a field that is folded (5.2), or white space between the
 *     request line and the first field (2.2)
 *   - white space before a colon (5.1)
 *   - more than one Content-Length, though both say the same (6.3), or one beside Transfer-Encoding
 *   - any encoding but a single "chunked" (6.1 has 501 for that), or one with HTTP/1.0
 *   - HTTP/1.1 without Host, more than one Host (3.2)
 *
 * One thread at a time.
 */
#ifndef HA_PROTO_HTTPHEAD_H
#define HA_PROTO_HTTPHEAD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define HTTPHEAD_MAX_FIELDS 100u

struct httphead_field {
    const char *name, *value; /* terminated; the value without white space around it */
    size_t name_len;
};

/* All pointers are borrowed from the bytes that were parsed. */
struct httphead {
    const char *method; /* terminated, as are the others */
    const char *path;   /* still percent-encoded */
    const char *query;  /* what stands behind the "?"; "" where there is none */
    bool old;           /* HTTP/1.0 */
    bool close;         /* the client wants the connection to end with the answer, or is old */
    bool expects;       /* it waits for "100 Continue" before it sends the body */
    bool chunked;       /* the body comes in chunks */
    size_t length; /* of the body, where it does not; SIZE_MAX also stands for more than that */
    unsigned n;
    struct httphead_field fields[HTTPHEAD_MAX_FIELDS];
};

/* How many of the first `len` bytes are the head, its empty line included; 0 where its end has not
 * come yet. `seen` bytes were looked at before, in vain. */
size_t httphead_end(const char *bytes, size_t len, size_t seen);

/* `len` as httphead_end() has said. Writes terminators into the bytes. ERR_PROTOCOL: it is none. */
enum err_code httphead_parse(struct httphead *h, char *bytes, size_t len, struct err *e);

/* The value of the first field of that name, in any case; NULL where there is none. */
const char *httphead_field(const struct httphead *h, const char *name);

#endif
