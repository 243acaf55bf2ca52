/*
 * protobuf-c's memory: pieces of an arena, up to a budget. A message is read with
 *
 *     struct grpcpack pack = grpcpack_begin(arena, len);
 *     T *message = t__unpack(&pack.allocator, len, bytes);        NULL: see grpcpack_failed()
 *
 * and lives as long as the arena does; nothing is to be freed. One thread at a time.
 */
#ifndef HA_PROTO_GRPCPACK_H
#define HA_PROTO_GRPCPACK_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"

struct grpcpack {
    ProtobufCAllocator allocator;
    struct arena *arena;
    size_t left;   /* bytes of the budget */
    bool too_much; /* it was not enough */
    bool no_memory;
};

/* The allocator points at *p, which must stay where it is. */
void grpcpack_begin(struct grpcpack *p, struct arena *a, size_t message_len);

/* Says why nothing was read: ERR_TOO_BIG, ERR_NO_MEMORY, or ERR_PROTOCOL, "this is no <what>". */
enum err_code grpcpack_failed(const struct grpcpack *p, const char *what, struct err *e);

/* A terminated copy; ERR_PROTOCOL where it holds a NUL. */
enum err_code grpcpack_cstr(struct arena *a, const ProtobufCBinaryData *d, const char **out,
                            struct err *e);

#endif
