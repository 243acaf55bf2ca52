#include "proto/grpcinfo.h"

#include <grpc/health/v1/health.pb-c.h>
#include <grpc/reflection/v1/reflection.pb-c.h>
#include <string.h>

#include "base/reader.h"
#include "proto/grpcpack.h"
#include "proto/pbwire.h"

#define NAME_HEAD (1u << 3 | PB_BYTES) /* a descriptor's first field, and a set's only one */

/* ---- health ---- */

enum err_code grpcinfo_read_health(struct arena *a, const void *bytes, size_t len,
                                   const char **service, struct err *e)
{
    struct grpcpack pack;

    *service = NULL;
    grpcpack_begin(&pack, a, len);
    Grpc__Health__V1__HealthCheckRequest *q =
        grpc__health__v1__health_check_request__unpack(&pack.allocator, len, bytes);
    return q ? grpcpack_cstr(a, &q->service, service, e)
             : grpcpack_failed(&pack, "grpc.health.v1.HealthCheckRequest", e);
}

void grpcinfo_put_health(struct buf *b, enum grpcinfo_health status)
{
    pb_number(b, 1, (uint64_t)status);
}

/* ---- reflection ---- */

enum err_code grpcinfo_read_question(struct arena *a, const void *bytes, size_t len,
                                     struct grpcinfo_question *out, struct err *e)
{
    struct grpcpack pack;

    *out = (struct grpcinfo_question){GRPCINFO_OTHER, ""};
    grpcpack_begin(&pack, a, len);
    Grpc__Reflection__V1__ServerReflectionRequest *q =
        grpc__reflection__v1__server_reflection_request__unpack(&pack.allocator, len, bytes);
    if (!q)
        return grpcpack_failed(&pack, "grpc.reflection.v1.ServerReflectionRequest", e);
    switch (q->message_request_case) {
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_BY_FILENAME:
        out->ask = GRPCINFO_FILE;
        return grpcpack_cstr(a, &q->file_by_filename, &out->name, e);
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_SYMBOL:
        out->ask = GRPCINFO_SYMBOL;
        return grpcpack_cstr(a, &q->file_containing_symbol, &out->name, e);
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_LIST_SERVICES:
        out->ask = GRPCINFO_SERVICES;
        return ERR_OK;
    default:
        return ERR_OK;
    }
}

void grpcinfo_put_question(struct buf *b, const void *question, size_t len)
{
    pb_bytes(b, 2, question, len);
}

void grpcinfo_put_file(struct buf *b, const void *descriptor, size_t len)
{
    pb_head(b, 4, 1 + pb_varint_size(len) + len);
    pb_bytes(b, 1, descriptor, len);
}

void grpcinfo_put_services(struct buf *b, const char *const *names, size_t n)
{
    size_t len = 0;

    for (size_t i = 0; i < n; i++) {
        size_t inner = 1 + pb_varint_size(strlen(names[i])) + strlen(names[i]);
        len += 1 + pb_varint_size(inner) + inner;
    }
    pb_head(b, 6, len);
    for (size_t i = 0; i < n; i++) {
        pb_head(b, 1, 1 + pb_varint_size(strlen(names[i])) + strlen(names[i]));
        pb_bytes(b, 1, names[i], strlen(names[i]));
    }
}

void grpcinfo_put_error(struct buf *b, int status, const char *text)
{
    size_t len = strlen(text);

    pb_head(b, 7, 1 + pb_varint_size((uint64_t)status) + 1 + pb_varint_size(len) + len);
    pb_number(b, 1, (uint64_t)status);
    pb_bytes(b, 2, text, len);
}

/* ---- descriptors ---- */

static uint64_t varint(struct reader *r)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = reader_u8(r);
        v |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80)
            return v;
    }
    r->bad = true;
    return 0;
}

static const char *named_bytes(struct reader *r, size_t *len)
{
    if (reader_u8(r) != NAME_HEAD)
        r->bad = true;
    *len = (size_t)varint(r);
    return reader_bytes(r, *len);
}

bool grpcinfo_next_file(const char **at, const char *end, struct grpcinfo_file *f)
{
    struct reader set = reader_of(*at, (size_t)(end - *at));

    f->bytes = named_bytes(&set, &f->len);
    if (!f->bytes)
        return false;
    *at = set.at;
    struct reader file = reader_of(f->bytes, f->len);
    f->name = named_bytes(&file, &f->name_len);
    return f->name != NULL;
}
