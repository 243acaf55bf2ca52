/*
 * What gRPC puts around messages and into headers (grpc/grpc, doc/PROTOCOL-HTTP2.md). Pure; any
 * thread.
 *
 *     message  ┌────────────────┬───────────────┬───────────┐
 *              │ u8 compressed? │ u32 length    │ the bytes │
 *              └────────────────┴───────────────┴───────────┘
 */
#ifndef HA_PROTO_GRPCFRAME_H
#define HA_PROTO_GRPCFRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define GRPCFRAME_HEAD 5u /* bytes */

struct grpcframe {
    bool compressed;
    uint32_t len; /* of the message, without its head */
};

enum grpcframe_verdict {
    GRPCFRAME_MORE,  /* not even its head is there */
    GRPCFRAME_PART,  /* *f tells how long it will be */
    GRPCFRAME_WHOLE, /* it stands behind its head */
    GRPCFRAME_BAD    /* the first byte is neither 0 nor 1 */
};

/* What the `n` bytes begin with. */
enum grpcframe_verdict grpcframe_look(const void *bytes, size_t n, struct grpcframe *f);
void grpcframe_head(unsigned char out[GRPCFRAME_HEAD], uint32_t len);

/* grpc-timeout: up to eight digits and one of H M S m u n. False if it is none. */
bool grpcframe_timeout(const char *s, int64_t *ns);

/* grpc-message: the bytes that a header may not hold, and %, as %XX. */
void grpcframe_put_text(struct buf *b, const char *s, size_t len);
/* The other way, in place; returns `s`. A % that begins no %XX stays. */
char *grpcframe_text(char *s);

#endif
