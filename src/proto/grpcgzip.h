/* Messages that were compressed with gzip (RFC 1952), by zlib. Any thread. */
#ifndef HA_PROTO_GRPCGZIP_H
#define HA_PROTO_GRPCGZIP_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

/* Appends what the bytes stand for to `out`. ERR_TOO_BIG where that is more than `most` bytes,
 * ERR_PROTOCOL where they are not exactly one gzip member, ERR_NO_MEMORY. */
enum err_code grpcgzip_inflate(const void *bytes, size_t len, size_t most, struct buf *out,
                               struct err *e);

#endif
