#include "proto/grpcpack.h"

#include <string.h>

/* Values are copied twice at most: as the Any's bytes, and as the wrapper's. */
#define COPIES       3u
#define BUDGET_BYTES ((size_t)16 << 20) /* for structures: 60,000 parameters */

static void *take(void *data, size_t n)
{
    struct grpcpack *p = data;
    void *piece = NULL;

    if (n > p->left) {
        p->too_much = true;
        return NULL;
    }
    p->left -= n;
    piece = arena_alloc(p->arena, n ? n : 1);
    p->no_memory |= !piece;
    return piece;
}

static void give(void *data, void *piece)
{
    (void)data;
    (void)piece;
}

void grpcpack_begin(struct grpcpack *p, struct arena *a, size_t message_len)
{
    *p = (struct grpcpack){.allocator = {take, give, p}, .arena = a};
    p->left = COPIES * message_len + BUDGET_BYTES;
}

enum err_code grpcpack_failed(const struct grpcpack *p, const char *what, struct err *e)
{
    if (p->too_much)
        return err_set(e, ERR_TOO_BIG, "the message has too many fields");
    if (p->no_memory)
        return err_set(e, ERR_NO_MEMORY, "no memory for the message");
    return err_set(e, ERR_PROTOCOL, "the message is no %s", what);
}

enum err_code grpcpack_cstr(struct arena *a, const ProtobufCBinaryData *d, const char **out,
                            struct err *e)
{
    *out = NULL;
    if (d->len > 0 && memchr(d->data, '\0', d->len))
        return err_set(e, ERR_PROTOCOL, "a name holds a NUL");
    *out = arena_strndup(a, d->len > 0 ? (const char *)d->data : "", d->len);
    return *out ? ERR_OK : err_set(e, ERR_NO_MEMORY, "no memory for the message");
}
