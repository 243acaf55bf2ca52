/* Bodies in chunks, whole and in pieces of every length. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/httpchunk.h"

static char body[16384];
static size_t body_len;

/* What became of it; *rest: bytes that were not taken. */
static enum httpchunk_verdict read_all(const char *text, size_t len, size_t piece, size_t *rest)
{
    struct httpchunk c = HTTPCHUNK_INIT;
    enum httpchunk_verdict v = HTTPCHUNK_MORE;

    body_len = 0;
    *rest = len;
    while (*rest > 0 && v == HTTPCHUNK_MORE) {
        const char *p = text + (len - *rest), *data = NULL;
        size_t n = *rest < piece ? *rest : piece, whole = n, data_len = 0;

        while ((v = httpchunk_next(&c, &p, &n, &data, &data_len)) == HTTPCHUNK_DATA) {
            assert_true(body_len + data_len <= sizeof body);
            memcpy(body + body_len, data, data_len);
            body_len += data_len;
        }
        *rest -= whole - n;
    }
    return v;
}

static void bodies(void **state)
{
    static const char text[] = "3\r\nabc\r\n000B;x=\"y\"\r\n0123456789\r\r\n0\r\nA: b\r\n\r\nGET";
    size_t rest;

    (void)state;
    for (size_t piece = 1; piece <= sizeof text; piece++) {
        assert_int_equal(read_all(text, sizeof text - 1, piece, &rest), HTTPCHUNK_END);
        assert_int_equal(rest, 3);
        assert_int_equal(body_len, 14);
        assert_memory_equal(body, "abc0123456789\r", 14);
    }
    for (size_t len = 0; len < sizeof text - 4; len++)
        assert_int_equal(read_all(text, len, len + 1, &rest), HTTPCHUNK_MORE);
}

static void what_is_refused(void **state)
{
    static const char *const texts[] = {
        "\r\n",       "x\r\n",       "3\nabc",          " 3\r\n",     "-1\r\n",
        "3x\r\n",     "3\r\r",       "3\r\nabcd",       "3\r\nabc\n", "3\r\nabc\r\r",
        "0\r\n\n",    "0\r\nA: b\n", "0\r\n\r\r",       "3;a\nb\r\n", "1234567890123456\r\n",
        "0x3\r\nabc", ";a\r\n",      "3\r\nabc\r\n\r\n"};
    size_t rest;

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (read_all(texts[i], strlen(texts[i]), 100, &rest) != HTTPCHUNK_BAD)
            fail_msg("taken: %s", texts[i]);
}

/* What is no body has a limit, though the body has none here. */
static void endless_extensions_and_trailers(void **state)
{
    static char text[3 * HTTPCHUNK_IDLE_BYTES];
    size_t rest;

    (void)state;
    memset(text, 'a', sizeof text);
    memcpy(text, "3;", 2);
    assert_int_equal(read_all(text, sizeof text, 100, &rest), HTTPCHUNK_BAD);
    memcpy(text, "0\r\n", 3);
    assert_int_equal(read_all(text, sizeof text, 100, &rest), HTTPCHUNK_BAD);
    for (size_t i = 0; i + 6 <= sizeof text; i += 6)
        memcpy(text + i, "1\r\na\r\n", 6);
    assert_int_equal(read_all(text, sizeof text / 6 * 6, 100, &rest), HTTPCHUNK_MORE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(endless_extensions_and_trailers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
