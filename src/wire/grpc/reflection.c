/*
 * grpc.reflection.v1, and v1alpha, which is the same: what the services and their messages are, for
 * grpcurl and others that have no .proto at hand. The descriptions are protoc's, as bytes in the
 * program.
 */
#include <stdio.h>
#include <string.h>

#include "proto/grpcinfo.h"
#include "wire/grpc/conn.h"

extern const char grpc_descriptors[], grpc_descriptors_end[];

/* The assembler finds the file from the root of the tree, where make runs. */
__asm__(".section .rodata, \"a\", @progbits\n"
        ".global grpc_descriptors\n"
        ".hidden grpc_descriptors\n"
        "grpc_descriptors:\n"
        ".incbin \"" HA_GEN "/descriptors.bin\"\n"
        ".global grpc_descriptors_end\n"
        ".hidden grpc_descriptors_end\n"
        "grpc_descriptors_end:\n"
        ".byte 0\n"
        ".previous\n");

static bool find_file(const char *name, struct grpcinfo_file *f)
{
    const char *at = grpc_descriptors;

    while (grpcinfo_next_file(&at, grpc_descriptors_end, f))
        if (strlen(name) == f->name_len && memcmp(name, f->name, f->name_len) == 0)
            return true;
    return false;
}

/* The file of a package: there is one for each. */
static const struct {
    const char *package, *file;
} packages[] = {
    {"sql.v1.", "sql/v1/sql.proto"},
    {"ha.v1.", "ha/v1/database.proto"},
    {"grpc.health.v1.", "grpc/health/v1/health.proto"},
    {"grpc.reflection.v1.", "grpc/reflection/v1/reflection.proto"},
    {"google.protobuf.", "google/protobuf/any.proto"},
};

/* "sql.v1.DatabaseService.Query" → "DatabaseService", which a descriptor holds as field 1 of a
 * message of its own: 0x0A, its length, the name. */
static bool defines(const struct grpcinfo_file *f, const char *symbol)
{
    char field[130];
    size_t n = strcspn(symbol, ".");

    if (n == 0 || n > 127)
        return false;
    field[0] = 0x0A;
    field[1] = (char)n;
    memcpy(field + 2, symbol, n);
    return memmem(f->bytes, f->len, field, n + 2) != NULL;
}

static bool find_symbol(const char *symbol, struct grpcinfo_file *f)
{
    for (size_t i = 0; i < sizeof packages / sizeof *packages; i++) {
        size_t n = strlen(packages[i].package);
        if (strncmp(symbol, packages[i].package, n) == 0)
            return find_file(packages[i].file, f) && defines(f, symbol + n);
    }
    return false;
}

static void answer(struct buf *b, const struct grpcinfo_question *q)
{
    struct grpcinfo_file f = {.bytes = NULL};
    bool found = false;
    struct err e = ERR_INIT;

    switch (q->ask) {
    case GRPCINFO_SERVICES:
        grpcinfo_put_services(b, grpc_services, grpc_n_services);
        return;
    case GRPCINFO_FILE:
        found = find_file(q->name, &f);
        break;
    case GRPCINFO_SYMBOL:
        found = find_symbol(q->name, &f);
        break;
    case GRPCINFO_OTHER:
        grpcinfo_put_error(b, err_grpc(ERR_UNSUPPORTED), "there are no extensions");
        return;
    }
    if (found) {
        grpcinfo_put_file(b, f.bytes, f.len);
        return;
    }
    err_set(&e, ERR_NOT_FOUND, "there is no %.200s", q->name);
    grpcinfo_put_error(b, err_grpc(e.code), e.msg);
}

enum err_code grpc_reflection(struct grpc_call *call, struct err *e)
{
    const char *bytes = NULL;
    size_t len = 0;
    bool end = false;

    while (grpc_call_read(call, true, &bytes, &len, &end, e) == ERR_OK && !end) {
        struct grpcinfo_question q;
        arena_reset(call->request);
        if (grpcinfo_read_question(call->request, bytes, len, &q, e) != ERR_OK)
            break;
        grpcinfo_put_question(&call->reply, bytes, len);
        answer(&call->reply, &q);
        if (grpc_call_reply(call, e) != ERR_OK)
            break;
    }
    return e->code;
}
