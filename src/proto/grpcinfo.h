/*
 * The messages of gRPC's own services: health checking and reflection. Read into an arena, where
 * everything lives; written to a buffer. One thread at a time for each of them.
 */
#ifndef HA_PROTO_GRPCINFO_H
#define HA_PROTO_GRPCINFO_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

/* ---- grpc.health.v1 ---- */

enum grpcinfo_health {
    GRPCINFO_UNKNOWN,
    GRPCINFO_SERVING,
    GRPCINFO_NOT_SERVING,
    GRPCINFO_SERVICE_UNKNOWN
};

/* *service is "" where the whole server is meant. */
enum err_code grpcinfo_read_health(struct arena *a, const void *bytes, size_t len,
                                   const char **service, struct err *e);
void grpcinfo_put_health(struct buf *b, enum grpcinfo_health status);

/* ---- grpc.reflection.v1 ---- */

enum grpcinfo_ask { GRPCINFO_FILE, GRPCINFO_SYMBOL, GRPCINFO_SERVICES, GRPCINFO_OTHER };

struct grpcinfo_question {
    enum grpcinfo_ask ask;
    const char *name; /* of the file or the symbol */
};

enum err_code grpcinfo_read_question(struct arena *a, const void *bytes, size_t len,
                                     struct grpcinfo_question *out, struct err *e);

/* An answer begins with the question, as it came; then one of the others follows. */
void grpcinfo_put_question(struct buf *b, const void *question, size_t len);
void grpcinfo_put_file(struct buf *b, const void *descriptor, size_t len);
void grpcinfo_put_services(struct buf *b, const char *const *names, size_t n);
void grpcinfo_put_error(struct buf *b, int status, const char *text);

/* A FileDescriptorSet, file by file: moves *at behind the next one. False at the end. */
struct grpcinfo_file {
    const char *bytes, *name; /* borrowed from the set */
    size_t len, name_len;
};
bool grpcinfo_next_file(const char **at, const char *end, struct grpcinfo_file *f);

#endif
