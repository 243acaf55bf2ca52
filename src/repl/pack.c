#include "repl/pack.h"

#include <stdlib.h>
#include <zstd.h>

#define PACK_LEVEL       3
#define PACK_PIECE_BYTES ((size_t)128 * 1024)

struct pack {
    enum err_code (*write)(void *arg, const void *bytes, size_t len, struct err *e);
    void *arg;
    ZSTD_CCtx *z;
    char *out;
};

enum err_code pack_new(struct pack **out,
                       enum err_code (*write)(void *arg, const void *bytes, size_t len,
                                              struct err *e),
                       void *arg, struct err *e)
{
    *out = NULL;
    struct pack *p = calloc(1, sizeof *p);
    if (!p)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    p->write = write;
    p->arg = arg;
    p->z = ZSTD_createCCtx();
    p->out = malloc(PACK_PIECE_BYTES);
    if (!p->z || !p->out) {
        pack_free(p);
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    }
    ZSTD_CCtx_setParameter(p->z, ZSTD_c_compressionLevel, PACK_LEVEL);
    ZSTD_CCtx_setParameter(p->z, ZSTD_c_checksumFlag, 1);
    *out = p;
    return ERR_OK;
}

static enum err_code compress(struct pack *p, ZSTD_inBuffer *in, ZSTD_EndDirective end,
                              struct err *e)
{
    size_t left;
    do {
        ZSTD_outBuffer o = {p->out, PACK_PIECE_BYTES, 0};
        left = ZSTD_compressStream2(p->z, &o, in, end);
        if (ZSTD_isError(left))
            return err_set(e, ERR_NO_MEMORY, "compressing: %s", ZSTD_getErrorName(left));
        if (o.pos > 0 && p->write(p->arg, p->out, o.pos, e) != ERR_OK)
            return e->code;
    } while (in->pos < in->size || (end == ZSTD_e_end && left > 0));
    return ERR_OK;
}

enum err_code pack_add(struct pack *p, const void *bytes, size_t n, struct err *e)
{
    ZSTD_inBuffer in = {bytes, n, 0};
    return compress(p, &in, ZSTD_e_continue, e);
}

enum err_code pack_end(struct pack *p, struct err *e)
{
    ZSTD_inBuffer none = {NULL, 0, 0};
    return compress(p, &none, ZSTD_e_end, e);
}

void pack_free(struct pack *p)
{
    if (!p)
        return;
    ZSTD_freeCCtx(p->z);
    free(p->out);
    free(p);
}
