/* The frames of rpc.h. Pure. */
#ifndef HA_NATS_RPC_FRAME_H
#define HA_NATS_RPC_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/id.h"

#define RPC_FRAME_HEAD (1 + ID_LEN + 8)

struct rpc_frame {
    char type;
    char node[ID_SIZE];
    uint64_t number;
    const char *data; /* borrowed */
    size_t len;
};

static inline void rpc_frame_begin(struct buf *b, char type, const char *node, uint64_t number)
{
    buf_putc(b, type);
    buf_put(b, node, ID_LEN);
    buf_be64(b, number);
}

/* False unless there are 8 bytes. */
static inline bool rpc_number(const char *bytes, size_t len, uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < 8 && len == 8; i++)
        *out = *out << 8 | (unsigned char)bytes[i];
    return len == 8;
}

static inline bool rpc_frame_parse(const char *bytes, size_t len, struct rpc_frame *f)
{
    if (len < RPC_FRAME_HEAD || !strchr("PSDEX", bytes[0]) || bytes[0] == '\0')
        return false;
    f->type = bytes[0];
    memcpy(f->node, bytes + 1, ID_LEN);
    f->node[ID_LEN] = '\0';
    f->data = bytes + RPC_FRAME_HEAD;
    f->len = len - RPC_FRAME_HEAD;
    return rpc_number(bytes + 1 + ID_LEN, 8, &f->number);
}

#endif
