/* Messages that were compressed with gzip. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

#include "proto/grpcgzip.h"

#define ROOM ((size_t)4 << 20)

/* Owned by the caller. */
static unsigned char *packed(const void *bytes, size_t len, int window, size_t *out_len)
{
    unsigned char *out = malloc(ROOM);
    z_stream z = {.next_in = (Bytef *)(uintptr_t)bytes, .avail_in = (uInt)len};

    assert_non_null(out);
    z.next_out = out;
    z.avail_out = (uInt)ROOM;
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    *out_len = ROOM - z.avail_out;
    assert_int_equal(deflateEnd(&z), Z_OK);
    return out;
}

static void test_there_and_back(void **state)
{
    static const size_t lens[] = {0, 1, 65535, 65536, 65537, 1 << 20};
    char *bytes = calloc(1, 1 << 20);

    (void)state;
    assert_non_null(bytes);
    for (size_t i = 0; i < 1 << 20; i++)
        bytes[i] = (char)(i * i >> 7);
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
        struct buf out = BUF_INIT;
        struct err e = ERR_INIT;
        size_t len;
        unsigned char *p = packed(bytes, lens[i], 31, &len);
        assert_int_equal(grpcgzip_inflate(p, len, lens[i], &out, &e), ERR_OK);
        assert_int_equal(out.len, lens[i]);
        if (lens[i] > 0)
            assert_memory_equal(out.data, bytes, lens[i]);
        if (lens[i] > 0) {
            buf_reset(&out);
            assert_int_equal(grpcgzip_inflate(p, len, lens[i] - 1, &out, &e), ERR_TOO_BIG);
        }
        buf_free(&out);
        free(p);
    }
    free(bytes);
}

static void test_what_is_none(void **state)
{
    struct buf out = BUF_INIT;
    struct err e = ERR_INIT;
    size_t len;
    unsigned char *p = packed("some text, some text", 20, 31, &len);

    (void)state;
    for (size_t n = 0; n < len; n++) { /* cut off anywhere */
        buf_reset(&out);
        assert_int_equal(grpcgzip_inflate(p, n, 100, &out, &e), ERR_PROTOCOL);
    }
    p[len++] = 'x'; /* and something behind it */
    assert_int_equal(grpcgzip_inflate(p, len, 100, &out, &e), ERR_PROTOCOL);
    len--;
    p[len - 1] ^= 1; /* another length than it says */
    assert_int_equal(grpcgzip_inflate(p, len, 100, &out, &e), ERR_PROTOCOL);
    free(p);
    p = packed("zlib's own", 10, 15, &len);
    assert_int_equal(grpcgzip_inflate(p, len, 100, &out, &e), ERR_PROTOCOL);
    free(p);
    assert_int_equal(grpcgzip_inflate("plain", 5, 100, &out, &e), ERR_PROTOCOL);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_what_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
