#include "proto/grpcgzip.h"

#include <limits.h>
#include <zlib.h>

#define PIECE_BYTES ((size_t)64 << 10)
#define GZIP_ONLY   16 /* beside the window's size: no header of zlib's own */

/* One piece of the output; Z_OK: there is more. */
static int piece(z_stream *z, struct buf *out)
{
    char *to = buf_reserve(out, PIECE_BYTES);

    if (!to)
        return Z_MEM_ERROR;
    z->next_out = (Bytef *)to;
    z->avail_out = (uInt)PIECE_BYTES;
    int rc = inflate(z, Z_NO_FLUSH);
    out->len += PIECE_BYTES - z->avail_out;
    return rc;
}

enum err_code grpcgzip_inflate(const void *bytes, size_t len, size_t most, struct buf *out,
                               struct err *e)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)bytes};
    size_t before = out->len;
    int rc;

    if (len > UINT_MAX)
        return err_set(e, ERR_TOO_BIG, "the compressed message is too large");
    z.avail_in = (uInt)len;
    if (inflateInit2(&z, GZIP_ONLY + MAX_WBITS) != Z_OK)
        return err_set(e, ERR_NO_MEMORY, "no memory for the message");
    do
        rc = piece(&z, out);
    while (rc == Z_OK && out->len - before <= most);
    size_t left = z.avail_in;
    (void)inflateEnd(&z);
    if (out->len - before > most)
        return err_set(e, ERR_TOO_BIG, "a message is larger than %zu bytes", most);
    if (rc == Z_MEM_ERROR)
        return err_set(e, ERR_NO_MEMORY, "no memory for the message");
    if (rc != Z_STREAM_END || left > 0)
        return err_set(e, ERR_PROTOCOL, "the message is not compressed with gzip, or not whole");
    return ERR_OK;
}
