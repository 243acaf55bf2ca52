/*
 * A body in chunks (RFC 9112, 7.1), read piece by piece as it arrives. Bytes in, pointers into them
 * out: no I/O, no memory of its own.
 *
 *     size in hex [";" extension] CRLF  bytes CRLF  …  "0" CRLF  [trailer CRLF …]  CRLF
 *
 * Extensions and trailers are skipped. Refused: a line that ends with LF alone, a size of more than
 * 15 digits or with anything but an extension behind it, and more than HTTPCHUNK_IDLE_BYTES of what
 * is not body between two chunks, or behind the last one. One thread at a time.
 */
#ifndef HA_PROTO_HTTPCHUNK_H
#define HA_PROTO_HTTPCHUNK_H

#include <stddef.h>
#include <stdint.h>

#define HTTPCHUNK_IDLE_BYTES 4096u

enum httpchunk_verdict {
    HTTPCHUNK_MORE, /* all bytes were taken, more have to come */
    HTTPCHUNK_DATA, /* a piece of the body */
    HTTPCHUNK_END,  /* the body has ended */
    HTTPCHUNK_BAD   /* these are no chunks: nobody knows where it ends */
};

enum httpchunk_state {
    HTTPCHUNK_SIZE,      /* in the size */
    HTTPCHUNK_EXTENSION, /* behind it */
    HTTPCHUNK_SIZE_LF,
    HTTPCHUNK_BYTES,
    HTTPCHUNK_BYTES_CR,
    HTTPCHUNK_BYTES_LF,
    HTTPCHUNK_TRAILER_BEGIN, /* at the beginning of a line behind the last chunk */
    HTTPCHUNK_TRAILER,
    HTTPCHUNK_TRAILER_LF,
    HTTPCHUNK_LAST_LF
};

struct httpchunk {
    enum httpchunk_state state;
    uint64_t left; /* of the chunk; while its size is read: what was read of it */
    unsigned digits;
    unsigned idle; /* bytes since the last ones of a body */
};

#define HTTPCHUNK_INIT ((struct httpchunk){.state = HTTPCHUNK_SIZE})

/* Takes from *bytes and *n what it has read. DATA: *data and *len are the piece, borrowed from the
 * bytes. To be called again until it is not DATA; not again after END or BAD. */
enum httpchunk_verdict httpchunk_next(struct httpchunk *c, const char **bytes, size_t *n,
                                      const char **data, size_t *len);

#endif
