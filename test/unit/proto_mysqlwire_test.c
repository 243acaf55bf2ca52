/* Packets as bytes and back: what clients have sent (captured), what is malformed, what is long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/mysqltype.h"
#include "proto/mysqlwire.h"

/* ---- numbers ---- */

static void lenenc_round_trip(void **state)
{
    static const uint64_t numbers[] = {0,     1,        250,      251,        252,       65535,
                                       65536, 16777215, 16777216, UINT32_MAX, UINT64_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct buf b = BUF_INIT;
        mysqlwire_put_lenenc(&b, numbers[i]);
        struct reader r = reader_of(b.data, b.len);
        assert_true(mysqlwire_lenenc(&r) == numbers[i]);
        assert_true(reader_done(&r));
        for (size_t n = 0; n < b.len; n++) { /* cut short */
            r = reader_of(b.data, n);
            (void)mysqlwire_lenenc(&r);
            assert_true(r.bad);
        }
        buf_free(&b);
    }
}

static void what_is_no_length(void **state)
{
    struct reader r = reader_of("\xFB", 1);
    size_t n;

    (void)state;
    (void)mysqlwire_lenenc(&r);
    assert_true(r.bad);
    r = reader_of("\xFF", 1);
    (void)mysqlwire_lenenc(&r);
    assert_true(r.bad);
    r = reader_of("\x05"
                  "abcd",
                  5);
    assert_string_equal(mysqlwire_lenenc_text(&r, &n), "");
    assert_true(r.bad && n == 0);
}

/* ---- logins ---- */

static const char login[] = "\x8d\xa6\xff\x01\x00\x00\x00\x01\x2d"
                            "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
                            "ha\0"
                            "\x05proof"
                            "shop\0"
                            "caching_sha2_password\0"
                            "\x0c\x03_os\x05Linux";

static void a_login(void **state)
{
    struct mysqlwire_login l;

    (void)state;
    assert_true(mysqlwire_read_login(login, sizeof login - 1, &l));
    assert_string_equal(l.user, "ha");
    assert_string_equal(l.database, "shop");
    assert_string_equal(l.plugin, "caching_sha2_password");
    assert_int_equal(l.auth_len, 5);
    assert_memory_equal(l.auth, "proof", 5);
    assert_int_equal(l.charset, 45);
    assert_false(l.ssl_only);
}

static void a_login_that_is_cut(void **state)
{
    struct mysqlwire_login l;

    (void)state;
    for (size_t n = 0; n < 32; n++)
        assert_false(mysqlwire_read_login(login, n, &l));
    for (size_t n = 32; n < sizeof login; n++) { /* exactly as long as it says */
        char *copy = malloc(n);
        assert_non_null(copy);
        memcpy(copy, login, n);
        (void)mysqlwire_read_login(copy, n, &l);
        free(copy);
    }
}

static void tls_first(void **state)
{
    char request[32] = {0};
    struct mysqlwire_login l;

    (void)state;
    request[1] = 0x0A; /* PROTOCOL_41 and SSL */
    assert_true(mysqlwire_read_login(request, sizeof request, &l) && l.ssl_only);
    request[1] = 0x02;
    assert_false(mysqlwire_read_login(request, sizeof request, &l));
    request[1] = 0x08; /* the old protocol is not spoken */
    assert_false(mysqlwire_read_login(request, sizeof request, &l));
}

static void another_user(void **state)
{
    static const char body[] = "u\0\x03"
                               "abc"
                               "d\0\x2d\0mysql_native_password\0";
    struct mysqlwire_login l;

    (void)state;
    assert_true(mysqlwire_read_change_user(body, sizeof body - 1, MYSQLWIRE_PLUGIN_AUTH, &l));
    assert_string_equal(l.user, "u");
    assert_int_equal(l.auth_len, 3);
    assert_string_equal(l.database, "d");
    assert_string_equal(l.plugin, "mysql_native_password");
    for (size_t n = 0; n < 6; n++)
        assert_false(mysqlwire_read_change_user(body, n, MYSQLWIRE_PLUGIN_AUTH, &l));
}

/* ---- commands ---- */

static void a_query_with_attributes(void **state)
{
    static const char body[] = "\x01\x01\x00\x01\xfd\x00\x04name\x02hi"
                               "SELECT 1";
    const char *sql;
    size_t n;

    (void)state;
    assert_true(mysqlwire_read_query(body, sizeof body - 1, MYSQLWIRE_QUERY_ATTRIBUTES, &sql, &n));
    assert_int_equal(n, 8);
    assert_memory_equal(sql, "SELECT 1", 8);
    assert_true(mysqlwire_read_query("SELECT 1", 8, 0, &sql, &n) && n == 8);
    assert_true(mysqlwire_read_query("\0\x01SELECT 1", 10, MYSQLWIRE_QUERY_ATTRIBUTES, &sql, &n));
    assert_int_equal(n, 8);
    for (size_t k = 0; k < sizeof body - 9; k++)
        assert_false(mysqlwire_read_query(body, k, MYSQLWIRE_QUERY_ATTRIBUTES, &sql, &n));
}

static void an_execution(void **state)
{
    static const char body[] = "\x07\0\0\0"
                               "\x01"
                               "\x01\0\0\0"
                               "\x02"
                               "\x01"
                               "\x08\0\xfd\0"
                               "\x05\0\0\0\0\0\0\0";
    struct mysqlwire_execute x;
    struct value v;
    struct buf scratch = BUF_INIT;
    bool in_scratch;

    (void)state;
    assert_int_equal(mysqlwire_execute_statement(body, sizeof body - 1), 7);
    assert_true(mysqlwire_read_execute(body, sizeof body - 1, 0, 2, NULL, &x));
    assert_int_equal(x.flags, 1);
    assert_false(mysqlwire_is_null(&x, 0));
    assert_true(mysqlwire_is_null(&x, 1));
    assert_true(mysqltype_get(&x.values, (uint8_t)x.types[0], false, &v, &scratch, &in_scratch));
    assert_true(v.type == VALUE_INTEGER && v.u.i == 5 && reader_done(&x.values));
    for (size_t n = 0; n < 15; n++)
        assert_false(mysqlwire_read_execute(body, n, 0, 2, NULL, &x));
}

/* Parameters with names: what clients of 8.0.23 and newer send. */
static void an_execution_with_names(void **state)
{
    static const char body[] = "\x07\0\0\0"
                               "\x08"
                               "\x01\0\0\0"
                               "\x02"
                               "\0"
                               "\x01"
                               "\x01\0\0"
                               "\xfd\0\x01n"
                               "\x05"
                               "\x02hi";
    struct mysqlwire_execute x;
    char types[MYSQLWIRE_PARAMS_MAX * 2];

    (void)state;
    assert_true(
        mysqlwire_read_execute(body, sizeof body - 1, MYSQLWIRE_QUERY_ATTRIBUTES, 1, types, &x));
    assert_int_equal((uint8_t)x.types[0], MYSQLTYPE_TINY);
    assert_int_equal(reader_u8(&x.values), 5);
    /* Fewer than the statement has. */
    assert_false(
        mysqlwire_read_execute(body, sizeof body - 1, MYSQLWIRE_QUERY_ATTRIBUTES, 3, types, &x));
}

/* ---- packets out ---- */

static void a_long_payload_is_split(void **state)
{
    static const size_t sizes[] = {MYSQLWIRE_PART_BYTES - 1, MYSQLWIRE_PART_BYTES,
                                   MYSQLWIRE_PART_BYTES + 1, 2 * (size_t)MYSQLWIRE_PART_BYTES};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct buf b = BUF_INIT;
        struct mysqlwire_out o = {&b, 3};
        size_t start = mysqlwire_begin(&o), at = 0, total = 0;
        uint8_t sequence = 3;
        char *room = buf_reserve(&b, sizes[i]);
        assert_non_null(room);
        for (size_t k = 0; k < sizes[i]; k++)
            room[k] = (char)(k % 251);
        b.len += sizes[i];
        mysqlwire_end(&o, start);
        assert_true(buf_ok(&b));
        for (size_t n = MYSQLWIRE_PART_BYTES; n == MYSQLWIRE_PART_BYTES;) {
            const unsigned char *h = (const unsigned char *)b.data + at;
            n = (size_t)h[0] | (size_t)h[1] << 8 | (size_t)h[2] << 16;
            assert_int_equal(h[3], sequence++);
            for (size_t k = 0; k < n; k += 1009)
                assert_int_equal((unsigned char)h[4 + k], (total + k) % 251);
            at += MYSQLWIRE_HEADER_BYTES + n;
            total += n;
        }
        assert_int_equal(at, b.len);
        assert_int_equal(total, sizes[i]);
        assert_int_equal(o.sequence, sequence);
        buf_free(&b);
    }
}

static void answers(void **state)
{
    struct buf b = BUF_INIT;
    struct mysqlwire_out o = {&b, 1};
    const struct mysqlwire_ok ok = {
        .affected = 2, .last_insert_id = 300, .status = MYSQLWIRE_AUTOCOMMIT, .warnings = 1};
    const struct mysqlwire_ok used = {.status = MYSQLWIRE_AUTOCOMMIT, .schema = "shop"};

    (void)state;
    mysqlwire_write_ok(&o, 0, &ok, false);
    assert_int_equal(b.len, 13);
    assert_memory_equal(b.data, "\x09\0\0\x01\0\x02\xfc\x2c\x01\x02\0\x01\0", 13);
    buf_reset(&b);
    mysqlwire_write_ok(&o, MYSQLWIRE_SESSION_TRACK, &used, false);
    assert_memory_equal(b.data, "\x10\0\0\x02\0\0\0\x02\x40\0\0\0\x07\x01\x05\x04shop", 20);
    buf_reset(&b);
    mysqlwire_write_error(&o, 1146, "42S02", "no");
    assert_memory_equal(b.data, "\x0b\0\0\x03\xff\x7a\x04#42S02no", 15);
    buf_reset(&b);
    mysqlwire_write_eof(&o, 2, 0);
    assert_memory_equal(b.data, "\x05\0\0\x04\xfe\0\0\x02\0", 9);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lenenc_round_trip),
        cmocka_unit_test(what_is_no_length),
        cmocka_unit_test(a_login),
        cmocka_unit_test(a_login_that_is_cut),
        cmocka_unit_test(tls_first),
        cmocka_unit_test(another_user),
        cmocka_unit_test(a_query_with_attributes),
        cmocka_unit_test(an_execution),
        cmocka_unit_test(an_execution_with_names),
        cmocka_unit_test(a_long_payload_is_split),
        cmocka_unit_test(answers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
