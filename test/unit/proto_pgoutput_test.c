/* Messages of PostgreSQL's logical replication, byte by byte as its documentation has them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/pgoutput.h"

#define MILLENNIUM_NS INT64_C(946684800000000000) /* 2000-01-01 */

static struct pgoutput *decoder;

static int setup(void **state)
{
    (void)state;
    decoder = pgoutput_new();
    return decoder ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    pgoutput_free(decoder);
    return 0;
}

/* The message, and that no shorter beginning of it is taken for one. */
static struct pgoutput_message read_message(const struct buf *b)
{
    struct pgoutput_message m;

    for (size_t n = 0; n < b->len; n++) {
        char *copy = malloc(n ? n : 1); /* so that a sanitizer sees what lies behind it */
        assert_non_null(copy);
        memcpy(copy, b->data, n);
        assert_false(pgoutput_read(decoder, copy, n, &m));
        free(copy);
    }
    assert_true(pgoutput_read(decoder, b->data, b->len, &m));
    return m;
}

static void put_text(struct buf *b, const char *s)
{
    buf_put(b, s, strlen(s) + 1);
}

static void put_value(struct buf *b, const char *s)
{
    buf_putc(b, 't');
    buf_be32(b, (uint32_t)strlen(s));
    buf_puts(b, s);
}

static void frames(void **state)
{
    struct buf b = BUF_INIT;
    struct pgoutput_frame f;

    (void)state;
    buf_putc(&b, 'w');
    buf_be64(&b, 0x100);
    buf_be64(&b, 0x200);
    buf_be64(&b, 1000000);
    buf_puts(&b, "body");
    assert_true(pgoutput_frame(b.data, b.len, &f));
    assert_int_equal(f.kind, PGOUTPUT_DATA);
    assert_true(f.start == 0x100 && f.end == 0x200);
    assert_true(f.time_ns == MILLENNIUM_NS + INT64_C(1000000000));
    assert_int_equal(f.len, 4);
    assert_memory_equal(f.data, "body", 4);
    assert_false(pgoutput_frame(b.data, 20, &f));

    buf_reset(&b);
    buf_putc(&b, 'k');
    buf_be64(&b, 0x300);
    buf_be64(&b, (uint64_t)INT64_MAX); /* no time that there is */
    buf_u8(&b, 1);
    assert_true(pgoutput_frame(b.data, b.len, &f));
    assert_int_equal(f.kind, PGOUTPUT_KEEPALIVE);
    assert_true(f.end == 0x300 && f.reply && f.time_ns == 0);
    buf_putc(&b, 'x');
    assert_false(pgoutput_frame(b.data, b.len, &f));
    assert_false(pgoutput_frame("x", 1, &f));
    assert_false(pgoutput_frame("", 0, &f));

    buf_reset(&b);
    pgoutput_put_status(&b, 3, 2, 1, MILLENNIUM_NS + 5000);
    assert_int_equal(b.len, 34);
    assert_memory_equal(b.data,
                        "r\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\5\0", 34);
    buf_free(&b);
}

static void transactions(void **state)
{
    struct buf b = BUF_INIT;

    (void)state;
    buf_putc(&b, 'B');
    buf_be64(&b, 0x42);
    buf_be64(&b, 7);
    buf_be32(&b, 700);
    struct pgoutput_message m = read_message(&b);
    assert_int_equal(m.type, PGOUTPUT_BEGIN);
    assert_true(m.lsn == 0x42 && m.time_ns == MILLENNIUM_NS + 7000);

    buf_reset(&b);
    buf_putc(&b, 'C');
    buf_u8(&b, 0);
    buf_be64(&b, 0x42);
    buf_be64(&b, 0x50);
    buf_be64(&b, 8);
    m = read_message(&b);
    assert_int_equal(m.type, PGOUTPUT_COMMIT);
    assert_true(m.lsn == 0x50);
    assert_true(pgoutput_read(decoder, "Oorigin", 7, &m) && m.type == PGOUTPUT_OTHER);
    assert_false(pgoutput_read(decoder, "S", 1, &m)); /* a stream, which was not asked for */
    buf_free(&b);
}

static void relations(void **state)
{
    struct buf b = BUF_INIT;

    (void)state;
    buf_putc(&b, 'R');
    buf_be32(&b, 16385);
    put_text(&b, "public");
    put_text(&b, "users");
    buf_putc(&b, 'd');
    buf_be16(&b, 2);
    buf_u8(&b, 1);
    put_text(&b, "id");
    buf_be32(&b, 23);
    buf_be32(&b, (uint32_t)-1);
    buf_u8(&b, 0);
    put_text(&b, "name");
    buf_be32(&b, 1043);
    buf_be32(&b, 104);
    struct pgoutput_message m = read_message(&b);
    assert_int_equal(m.type, PGOUTPUT_RELATION);
    assert_true(m.relation == 16385 && m.identity == 'd' && m.n_columns == 2);
    assert_string_equal(m.schema, "public");
    assert_string_equal(m.table, "users");
    assert_true(m.columns[0].key && m.columns[0].type == 23 && m.columns[0].modifier == -1);
    assert_string_equal(m.columns[1].name, "name");
    assert_true(!m.columns[1].key && m.columns[1].modifier == 104);

    buf_reset(&b);
    buf_putc(&b, 'T');
    buf_be32(&b, 2);
    buf_u8(&b, 3);
    buf_be32(&b, 16385);
    buf_be32(&b, 16390);
    m = read_message(&b);
    assert_int_equal(m.type, PGOUTPUT_TRUNCATE);
    assert_true(m.n_relations == 2 && m.relations[1] == 16390);
    buf_free(&b);
}

static void rows(void **state)
{
    struct buf b = BUF_INIT;

    (void)state;
    buf_putc(&b, 'I');
    buf_be32(&b, 5);
    buf_putc(&b, 'N');
    buf_be16(&b, 3);
    put_value(&b, "1");
    buf_putc(&b, 'n');
    put_value(&b, "");
    struct pgoutput_message m = read_message(&b);
    assert_int_equal(m.type, PGOUTPUT_INSERT);
    assert_true(m.relation == 5 && m.new_row.n == 3 && !m.old_row.values);
    assert_memory_equal(m.new_row.values[0].data, "1", 1);
    assert_int_equal(m.new_row.values[1].kind, 'n');
    assert_true(m.new_row.values[2].kind == 't' && m.new_row.values[2].len == 0);

    buf_reset(&b); /* the key has changed, and a big value has not */
    buf_putc(&b, 'U');
    buf_be32(&b, 5);
    buf_putc(&b, 'K');
    buf_be16(&b, 2);
    put_value(&b, "1");
    buf_putc(&b, 'n');
    buf_putc(&b, 'N');
    buf_be16(&b, 2);
    put_value(&b, "2");
    buf_putc(&b, 'u');
    m = read_message(&b);
    assert_int_equal(m.type, PGOUTPUT_UPDATE);
    assert_true(m.old_key && m.old_row.n == 2 && m.new_row.n == 2);
    assert_int_equal(m.new_row.values[1].kind, 'u');

    buf_reset(&b);
    buf_putc(&b, 'U');
    buf_be32(&b, 5);
    buf_putc(&b, 'N');
    buf_be16(&b, 1);
    put_value(&b, "2");
    m = read_message(&b);
    assert_true(!m.old_row.values && m.new_row.n == 1);

    buf_reset(&b);
    buf_putc(&b, 'D');
    buf_be32(&b, 5);
    buf_putc(&b, 'O');
    buf_be16(&b, 1);
    put_value(&b, "2");
    m = read_message(&b);
    assert_int_equal(m.type, PGOUTPUT_DELETE);
    assert_true(!m.old_key && m.old_row.n == 1 && !m.new_row.values);
    buf_free(&b);
}

/* Counts and lengths that promise more than there is. */
static void lies(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } cases[] = {
        {"I\0\0\0\1N\xff\xff"
         "n",
         9},
        {"I\0\0\0\1N\0\1t\xff\xff\xff\xff"
         "a",
         14},
        {"I\0\0\0\1N\0\1x", 9},
        {"I\0\0\0\1K\0\0", 8},
        {"D\0\0\0\1N\0\0", 8},
        {"T\xff\xff\xff\xff\0\0\0\0\1", 10},
        {"R\0\0\0\1s\0t\0d\xff\xff", 12},
        {"U\0\0\0\1O\0\0", 8},
        {"", 0},
    };
    struct pgoutput_message m;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_false(pgoutput_read(decoder, cases[i].bytes, cases[i].len, &m));
}

static void places(void **state)
{
    char text[PGOUTPUT_LSN_SIZE];
    uint64_t lsn;

    (void)state;
    pgoutput_print_lsn(UINT64_C(0x16b374d848), text);
    assert_string_equal(text, "16/B374D848");
    assert_true(pgoutput_parse_lsn(text, &lsn) && lsn == UINT64_C(0x16b374d848));
    assert_true(pgoutput_parse_lsn("ffffffff/ffffffff", &lsn) && lsn == UINT64_MAX);
    assert_true(pgoutput_parse_lsn("0/0", &lsn) && lsn == 0);
    static const char *const bad[] = {"", "/", "1/", "/1", "1/2 ", "g/0", "100000000/0", "1/2/3"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(pgoutput_parse_lsn(bad[i], &lsn));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(frames, setup, teardown),
        cmocka_unit_test_setup_teardown(transactions, setup, teardown),
        cmocka_unit_test_setup_teardown(relations, setup, teardown),
        cmocka_unit_test_setup_teardown(rows, setup, teardown),
        cmocka_unit_test_setup_teardown(lies, setup, teardown),
        cmocka_unit_test_setup_teardown(places, setup, teardown),
    };
    return cmocka_run_group_tests_name("proto_pgoutput", tests, NULL, NULL);
}
