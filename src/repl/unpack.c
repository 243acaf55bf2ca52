#include "repl/unpack.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "base/sha256.h"

#define UNPACK_PIECE_BYTES ((size_t)128 * 1024)
#define UNPACK_WINDOW_LOG  23 /* 8 MiB: more than level 3 asks for */

struct unpack {
    uint64_t size, done;
    char expected[SHA256_TEXT_SIZE];
    bool (*write)(void *arg, const void *bytes, size_t len);
    void *arg;
    ZSTD_DCtx *z;
    struct sha256 *sha;
    char *out;
    size_t left; /* what zstd still expects: 0 = a frame has ended */
};

enum err_code unpack_new(struct unpack **out, uint64_t size, const char *sha256,
                         bool (*write)(void *arg, const void *bytes, size_t len), void *arg,
                         struct err *e)
{
    *out = NULL;
    struct unpack *u = calloc(1, sizeof *u);
    if (!u)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    u->size = size;
    u->write = write;
    u->arg = arg;
    u->left = 1;
    snprintf(u->expected, sizeof u->expected, "%s", sha256 ? sha256 : "");
    u->sha = sha256_new();
    u->z = ZSTD_createDCtx();
    u->out = malloc(UNPACK_PIECE_BYTES);
    if (!u->z || !u->out) {
        unpack_free(u);
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    }
    if (sha256) /* written by a node; other programs may have taken more, up to zstd's own limit */
        ZSTD_DCtx_setParameter(u->z, ZSTD_d_windowLogMax, UNPACK_WINDOW_LOG);
    *out = u;
    return ERR_OK;
}

enum err_code unpack_add(struct unpack *u, const void *bytes, size_t n, struct err *e)
{
    ZSTD_inBuffer in = {bytes, n, 0};
    bool full = false; /* there may be more to come of what was taken in already */
    while (in.pos < in.size || full) {
        ZSTD_outBuffer o = {u->out, UNPACK_PIECE_BYTES, 0};
        u->left = ZSTD_decompressStream(u->z, &o, &in);
        if (ZSTD_isError(u->left))
            return err_set(e, ERR_CORRUPT, "compressed bytes are damaged: %s",
                           ZSTD_getErrorName(u->left));
        full = o.pos == o.size && u->left > 0;
        u->done += o.pos;
        if (u->done > u->size)
            return err_set(e, ERR_CORRUPT, "there are more than %" PRIu64 " bytes", u->size);
        sha256_add(u->sha, u->out, o.pos);
        if (o.pos > 0 && !u->write(u->arg, u->out, o.pos))
            return err_set(e, ERR_INTERRUPTED, "canceled");
    }
    return ERR_OK;
}

enum err_code unpack_end(struct unpack *u, struct err *e)
{
    unsigned char digest[SHA256_SIZE];
    char text[SHA256_TEXT_SIZE];
    sha256_end(u->sha, digest);
    sha256_text(digest, text);
    if (u->left != 0 && u->size == UNPACK_ANY)
        return err_set(e, ERR_CORRUPT, "the compressed bytes end early");
    if (u->left != 0 || (u->done != u->size && u->size != UNPACK_ANY))
        return err_set(e, ERR_CORRUPT, "there are %" PRIu64 " bytes of %" PRIu64, u->done, u->size);
    if (u->expected[0] && strcmp(text, u->expected) != 0)
        return err_set(e, ERR_CORRUPT, "the bytes do not have the SHA-256 that they should have");
    return ERR_OK;
}

void unpack_free(struct unpack *u)
{
    if (!u)
        return;
    ZSTD_freeDCtx(u->z);
    sha256_free(u->sha);
    free(u->out);
    free(u);
}
