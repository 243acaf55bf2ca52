/*
 * Events that a MariaDB 10.11 has written (binlog_checksum = NONE, binlog_row_metadata = FULL), of
 *
 *   CREATE TABLE t (id INT PRIMARY KEY, t1 TINYINT, lu BIGINT UNSIGNED, m MEDIUMINT,
 *     d1 DECIMAL(10,2), d2 DECIMAL(30,12), f FLOAT, d DOUBLE, b9 BIT(9), y YEAR, da DATE,
 *     ti3 TIME(3), dt DATETIME(6), ts TIMESTAMP(1) NULL, c CHAR(5) CHARACTER SET utf8mb4,
 *     v VARCHAR(300) CHARACTER SET latin1, bn BINARY(4), bl BLOB, e ENUM('a','b''c'),
 *     s SET('x','y','z'), g POINT)
 */
#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

#include "base/hex.h"
#include "proto/binlog.h"
#include "proto/mysqltype.h"

static const char format[] =
    "f1160a6b0f01000000fc000000000100000000040031302e31312e31392d4d6172696144422d302b64656231"
    "3275312d6c6f670000000000000000000000000000000000000000f1160a6b13380d00080012000404040412"
    "0000e400041a08000000080808020000000a0a0a0000000000000a0a0a000000000000000000000000000000"
    "0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
    "0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
    "00000000000000000000000000000000041304000d0808080a0a0a0055f7f430";
static const char gtid[] =
    "f1160a6ba2010000002600000060010000080001000000000000000000000029000000000000";
static const char query[] =
    "f1160a6b0201000000aa0100000a030000000004000000000000000100002300000000000101000000000000"
    "00000603737464042d002d0008008106000000000000006400435245415445205441424c4520742028696420"
    "494e54205052494d415259204b45592c2074312054494e59494e542c206c7520424947494e5420554e534947"
    "4e45442c206d204d454449554d494e542c20643120444543494d414c2831302c32292c20643220444543494d"
    "414c2833302c3132292c206620464c4f41542c206420444f55424c452c206239204249542839292c20792059"
    "4541522c20646120444154452c207469332054494d452833292c206474204441544554494d452836292c2074"
    "732054494d455354414d50283129204e554c4c2c206320434841522835292043484152414354455220534554"
    "20757466386d62342c2076205641524348415228333030292043484152414354455220534554206c6174696e"
    "312c20626e2042494e4152592834292c20626c20424c4f422c206520454e554d282761272c27622727632729"
    "2c207320534554282778272c2779272c277a27292c206720504f494e5429";
static const char table[] =
    "f1160a6b1301000000b1000000e1030000000012000000000001000164000174001503010809f6f60405100d"
    "0a131211fe0ffefcfefeff170a021e0c04080101030601fe142c01fe0402f701f80104feff1f010220800205"
    "3f002d01080701010437026964027431026c75016d0264310264320166016402623901790264610374693302"
    "64740274730163017602626e02626c0165017301670a010805070301780179017a0607020161036227630801"
    "00";
static const char inserted[] =
    "f1160a6b17010000009b0000007c0400000000120000000000010015ffff1f0000e00100000080ffffffffff"
    "ffffff0000807f439eb1a4875bcd1500bc614e075bcd15000cc3f548409a9999999999b93f0155ff9f1f4e4b"
    "9105fb3299b8c431050000067fffffff5a02c3a40100e90101020000ff020519000000000000000101000000"
    "000000000000f03f0000000000000040feffff02000000";
static const char commit[] = "f1160a6b10010000001b0000009704000000000700000000000000";
static const char updated[] =
    "f1160a6b18010000000c0100007a0600000000120000000000010015ffff1fffff1f0000e00100000080ffff"
    "ffffffffffff0000807f439eb1a4875bcd1500bc614e075bcd15000cc3f548409a9999999999b93f0155ff9f"
    "1f4e4b9105fb3299b8c431050000067fffffff5a02c3a40100e90101020000ff020519000000000000000101"
    "000000000000000000f03f00000000000000400000e00100000005ffffffffffffffff0000807f439eb1a487"
    "5bcd1500bc614e075bcd15000cc3f548409a9999999999b93f0155ff9f1f4e7ffffffff699b8c43105000006"
    "7fffffff5a02c3a40100e90101020000ff000519000000000000000101000000000000000000f03f00000000"
    "00000040";
static const char deleted[] =
    "f1160a6b190100000026000000920700000000120000000000010015ffff1ffeffff02000000";
static const char query_compressed[] =
    "f1160a6ba501000000ba0000008d080000000005000000000000000100002300000000000101000000000000"
    "00000603737464042d002d000800810f000000000000006400818b789c7dca410a83301005d0abfc9d0a2ea4"
    "3718c340a54d2b43105cda3aa8a0496962cfdff602bef533c2e4188eea2b6347be8c686e0ead3496a4c785fb"
    "121f7424e64c929faaaa2860eed6f22f65039e61dbd427a479485822d6e027a80ffb3423053cf43f5e6f8d51"
    "c712873ffb0215622bce";
static const char table_u[] =
    "f1160a6b130100000038000000eb0800000000160000000000010001640001750002030f02c8000201010002"
    "010804050269640176080100";
static const char inserted_compressed[] =
    "f1160a6ba601000000390000002409000000001600000000000100020382019c789cfbc3c8c0c070a2629880"
    "3f4c20df540e130000a3e4bfd4";
static const char updated_compressed[] =
    "f1160a6ba70100000039000000d60900000000160000000000010002030382019c789cfbc3c8c0c070a26298"
    "803f60df540d130000f19bc09b";
static const char deleted_compressed[] =
    "f1160a6ba801000000300000007f0a000000001600000000000100020381ce789cfbc3c4c0c070a272980000"
    "88d6604f";
static const char rotate[] =
    "f1160a6b040100000025000000bf0a00000000040000000000000062696e2e303030303032";

struct world {
    struct arena *arena;
    struct binlog_format format;
    struct binlog_table table;
    struct buf bytes[4], scratch, rows_scratch;
    struct binlog_cell before[BINLOG_COLUMNS_MAX], after[BINLOG_COLUMNS_MAX];
    struct binlog_rows rows;
};

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    w->arena = arena_new();
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    for (size_t i = 0; i < sizeof w->bytes / sizeof w->bytes[0]; i++)
        buf_free(&w->bytes[i]);
    buf_free(&w->scratch);
    buf_free(&w->rows_scratch);
    arena_free(w->arena);
    free(w);
    return 0;
}

/* In memory of just that size, so that the sanitizer sees a byte too far. */
static bool read_bytes(struct world *w, const void *bytes, size_t len, struct binlog_event *e)
{
    return binlog_read_event(bytes, len, &w->format, &w->rows_scratch, e);
}

static void read_hex(struct world *w, unsigned slot, const char *hex, struct binlog_event *e)
{
    buf_reset(&w->bytes[slot]);
    assert_true(hex_decode(hex, strlen(hex), &w->bytes[slot]));
    assert_true(read_bytes(w, w->bytes[slot].data, w->bytes[slot].len, e));
}

static void read_table(struct world *w, const char *hex)
{
    struct binlog_event e;

    read_hex(w, 0, hex, &e);
    assert_int_equal(e.kind, BINLOG_TABLE);
    assert_true(binlog_read_table(&e, w->arena, &w->table));
}

static void read_rows(struct world *w, const char *hex, enum binlog_change change)
{
    struct binlog_event e;

    read_hex(w, 1, hex, &e);
    assert_int_equal(e.kind, BINLOG_ROWS);
    assert_int_equal(e.u.rows.change, change);
    assert_int_equal(e.u.rows.table_id, w->table.id);
    assert_true(binlog_read_rows(&e, &w->table, &w->rows_scratch, &w->rows));
}

static enum binlog_step next(struct world *w)
{
    return binlog_next_row(&w->rows, w->before, w->after, &w->scratch);
}

static const struct binlog_cell *cell(const struct world *w, const struct binlog_cell *cells,
                                      const char *name)
{
    for (unsigned i = 0; i < w->table.n_columns; i++)
        if (strcmp(w->table.columns[i].name.data, name) == 0) {
            assert_true(cells[i].present);
            return &cells[i];
        }
    fail_msg("no column %s", name);
    return NULL;
}

static void is_bytes(const struct world *w, const struct binlog_cell *cells, const char *name,
                     enum value_type type, const char *want, size_t len)
{
    const struct value *v = &cell(w, cells, name)->value;

    assert_int_equal(v->type, type);
    assert_int_equal(v->u.s.len, len);
    assert_memory_equal(v->u.s.data, want, len);
}

static void is_text(const struct world *w, const struct binlog_cell *cells, const char *name,
                    const char *want)
{
    is_bytes(w, cells, name, VALUE_TEXT, want, strlen(want));
}

static void is_int(const struct world *w, const struct binlog_cell *cells, const char *name,
                   int64_t want)
{
    const struct value *v = &cell(w, cells, name)->value;

    assert_int_equal(v->type, VALUE_INTEGER);
    assert_int_equal(v->u.i, want);
}

static void is_real(const struct world *w, const struct binlog_cell *cells, const char *name,
                    double want)
{
    const struct value *v = &cell(w, cells, name)->value;

    assert_int_equal(v->type, VALUE_REAL);
    assert_true(v->u.r == want);
}

/* ---- events ---- */

static void test_events(void **state)
{
    struct world *w = *state;
    struct binlog_event e;

    w->format.checksum = false;
    read_hex(w, 0, format, &e);
    assert_int_equal(e.kind, BINLOG_FORMAT);
    assert_false(w->format.checksum);
    assert_int_equal(w->format.table_id_bytes, 6);
    read_hex(w, 0, gtid, &e);
    assert_int_equal(e.kind, BINLOG_GTID);
    assert_int_equal(e.server_id, 1);
    assert_int_equal(e.u.gtid.domain, 0);
    assert_int_equal(e.u.gtid.sequence, 1);
    assert_true(e.u.gtid.standalone);
    read_hex(w, 0, query, &e);
    assert_int_equal(e.kind, BINLOG_QUERY);
    assert_int_equal(e.u.query.schema_len, 1);
    assert_memory_equal(e.u.query.schema, "d", 1);
    assert_memory_equal(e.u.query.sql, "CREATE TABLE t (id INT", 22);
    assert_memory_equal(e.u.query.sql + e.u.query.sql_len - 8, "g POINT)", 8);
    read_hex(w, 0, query_compressed, &e);
    assert_int_equal(e.kind, BINLOG_QUERY);
    assert_int_equal(e.u.query.sql_len, 139);
    assert_memory_equal(e.u.query.sql, "CREATE TABLE u (id INT", 22);
    read_hex(w, 0, commit, &e);
    assert_int_equal(e.kind, BINLOG_COMMIT);
    assert_int_equal(e.next_pos, 1175);
    read_hex(w, 0, rotate, &e);
    assert_int_equal(e.kind, BINLOG_ROTATE);
    assert_int_equal(e.u.rotate.pos, 4);
    assert_int_equal(e.u.rotate.file_len, 10);
    assert_memory_equal(e.u.rotate.file, "bin.000002", 10);
}

/* A checksum is looked at, and is none of the event's own bytes. */
static void test_checksum(void **state)
{
    struct world *w = *state;
    struct binlog_event e;
    struct buf b = BUF_INIT;
    uint32_t sum;

    assert_true(hex_decode(rotate, strlen(rotate), &b));
    b.data[9] = (char)(b.data[9] + 4); /* the length */
    sum = htole32((uint32_t)crc32(0, (const Bytef *)b.data, (uInt)b.len));
    buf_put(&b, &sum, sizeof sum);
    w->format.checksum = true;
    assert_true(read_bytes(w, b.data, b.len, &e));
    assert_int_equal(e.u.rotate.file_len, 10);
    b.data[b.len - 1] = (char)(b.data[b.len - 1] ^ 1);
    assert_false(read_bytes(w, b.data, b.len, &e));
    buf_free(&b);
}

static void test_kinds(void **state)
{
    static const struct {
        unsigned type;
        uint16_t flags;
        enum binlog_kind kind;
    } kinds[] = {
        {3, 0, BINLOG_IGNORED},      {26, 0, BINLOG_INCIDENT},    {27, 0, BINLOG_HEARTBEAT},
        {33, 0, BINLOG_MYSQL_GTID},  {38, 0, BINLOG_UNSUPPORTED}, {39, 0, BINLOG_UNSUPPORTED},
        {40, 0, BINLOG_UNSUPPORTED}, {90, 0, BINLOG_UNSUPPORTED}, {90, 0x80, BINLOG_IGNORED},
        {160, 0, BINLOG_IGNORED},    {163, 0, BINLOG_IGNORED},    {200, 0, BINLOG_UNSUPPORTED},
        {164, 0, BINLOG_UNSUPPORTED}};
    struct world *w = *state;

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        unsigned char head[BINLOG_HEADER_BYTES] = {0};
        struct binlog_event e;
        head[4] = (unsigned char)kinds[i].type;
        head[9] = BINLOG_HEADER_BYTES;
        head[17] = (unsigned char)kinds[i].flags;
        assert_true(read_bytes(w, head, sizeof head, &e));
        assert_int_equal(e.kind, kinds[i].kind);
        head[9]++; /* longer than it is */
        assert_false(read_bytes(w, head, sizeof head, &e));
    }
}

/* ---- tables and rows ---- */

static void test_table(void **state)
{
    struct world *w = *state;

    read_table(w, table);
    assert_string_equal(w->table.schema, "d");
    assert_string_equal(w->table.name, "t");
    assert_int_equal(w->table.n_columns, 21);
    assert_true(w->table.has_names && w->table.has_keys);
    const struct binlog_column *c = w->table.columns;
    assert_true(c[0].is_key && !c[1].is_key && !c[0].nullable && c[1].nullable);
    assert_true(c[2].has_sign && c[2].is_unsigned && !c[3].is_unsigned);
    assert_int_equal(c[4].meta, 10 << 8 | 2);
    assert_int_equal(c[14].type, MYSQLTYPE_STRING);
    assert_int_equal(c[14].meta, 20);
    assert_int_equal(c[15].collation, 8);
    assert_int_equal(c[16].collation, 63);
    assert_int_equal(c[18].type, MYSQLTYPE_ENUM);
    assert_int_equal(c[18].n_labels, 2);
    assert_memory_equal(c[18].labels[1].data, "b'c", 3);
    assert_int_equal(c[19].type, MYSQLTYPE_SET);
    assert_int_equal(c[19].n_labels, 3);
}

static void test_inserted(void **state)
{
    struct world *w = *state;

    read_table(w, table);
    read_rows(w, inserted, BINLOG_INSERT);
    assert_int_equal(next(w), BINLOG_ROW);
    is_int(w, w->after, "id", 1);
    is_int(w, w->after, "t1", -128);
    is_text(w, w->after, "lu", "18446744073709551615");
    is_int(w, w->after, "m", -8388608);
    is_real(w, w->after, "d1", -12345678.91);
    is_text(w, w->after, "d2", "123456789012345678.123456789012");
    is_real(w, w->after, "f", 3.14);
    is_real(w, w->after, "d", 0.1);
    is_int(w, w->after, "b9", 0x155);
    is_int(w, w->after, "y", 2155);
    is_text(w, w->after, "da", "9999-12-31");
    is_text(w, w->after, "ti3", "-838:59:58.123");
    is_text(w, w->after, "dt", "2026-01-02 03:04:05.000006");
    is_text(w, w->after, "ts", "2038-01-19 03:14:07.9");
    is_text(w, w->after, "c", "\xC3\xA4");
    is_text(w, w->after, "v", "\xE9"); /* latin1: the caller converts */
    is_bytes(w, w->after, "bn", VALUE_BLOB, "\x01\0\0\0", 4);
    is_bytes(w, w->after, "bl", VALUE_BLOB, "\0\xFF", 2);
    is_text(w, w->after, "e", "b'c");
    is_text(w, w->after, "s", "x,z");
    assert_int_equal(cell(w, w->after, "g")->value.u.s.len, 25);
    assert_int_equal(next(w), BINLOG_ROW);
    is_int(w, w->after, "id", 2);
    for (unsigned i = 1; i < w->table.n_columns; i++)
        assert_true(w->after[i].present && w->after[i].value.type == VALUE_NULL);
    assert_int_equal(next(w), BINLOG_END);
}

static void test_updated_and_deleted(void **state)
{
    struct world *w = *state;

    read_table(w, table);
    read_rows(w, updated, BINLOG_UPDATE);
    assert_int_equal(next(w), BINLOG_ROW);
    is_int(w, w->before, "t1", -128);
    is_int(w, w->after, "t1", 5);
    is_text(w, w->before, "e", "b'c");
    is_text(w, w->after, "e", ""); /* what is none of the labels */
    is_text(w, w->before, "ti3", "-838:59:58.123");
    is_text(w, w->after, "ti3", "-00:00:00.001");
    is_text(w, w->before, "d2", "123456789012345678.123456789012");
    assert_int_equal(next(w), BINLOG_END);
    read_rows(w, deleted, BINLOG_DELETE);
    assert_int_equal(next(w), BINLOG_ROW);
    is_int(w, w->before, "id", 2);
    assert_int_equal(next(w), BINLOG_END);
}

static void test_compressed(void **state)
{
    struct world *w = *state;
    char x[200];

    read_table(w, table_u);
    read_rows(w, inserted_compressed, BINLOG_INSERT);
    assert_int_equal(next(w), BINLOG_ROW);
    memset(x, 'x', sizeof x);
    is_bytes(w, w->after, "v", VALUE_TEXT, x, sizeof x);
    assert_int_equal(next(w), BINLOG_ROW);
    assert_int_equal(next(w), BINLOG_END);
    read_rows(w, updated_compressed, BINLOG_UPDATE);
    assert_int_equal(next(w), BINLOG_ROW);
    memset(x, 'z', sizeof x);
    is_bytes(w, w->after, "v", VALUE_TEXT, x, sizeof x);
    read_rows(w, deleted_compressed, BINLOG_DELETE);
    assert_int_equal(next(w), BINLOG_ROW);
    is_int(w, w->before, "id", 2);
}

/* MySQL's version 2 has a few bytes more in front; not every column has to be there. */
static void test_version_2_and_partial(void **state)
{
    struct world *w = *state;
    struct binlog_event e;
    struct buf b = BUF_INIT;

    read_table(w, table_u);
    assert_true(hex_decode("000000001E0100000000000000000000000000", 38, &b));
    assert_true(hex_decode("160000000000" /* table 22 */
                           "0000"         /* flags */
                           "0400AABB"     /* four bytes of what comes first, itself included */
                           "02"           /* columns */
                           "02"           /* the second one is there */
                           "00"
                           "0261AA" /* no NULL; two bytes */
                           "01",    /* NULL */
                           38, &b));
    b.data[9] = (char)b.len;
    assert_true(read_bytes(w, b.data, b.len, &e));
    assert_true(e.u.rows.version2);
    assert_true(binlog_read_rows(&e, &w->table, &w->rows_scratch, &w->rows));
    assert_int_equal(next(w), BINLOG_ROW);
    assert_false(w->after[0].present);
    is_bytes(w, w->after, "v", VALUE_TEXT, "a\xAA", 2);
    assert_int_equal(next(w), BINLOG_ROW);
    assert_int_equal(w->after[1].value.type, VALUE_NULL);
    assert_int_equal(next(w), BINLOG_END);
    buf_free(&b);
}

/* Cut off anywhere: an error, and no byte beyond the end. */
static void test_cut(void **state)
{
    static const char *const all[] = {format,   gtid,    query,   query_compressed,   table,
                                      inserted, updated, deleted, inserted_compressed};
    struct world *w = *state;

    for (size_t k = 0; k < sizeof all / sizeof all[0]; k++) {
        struct buf b = BUF_INIT;
        assert_true(hex_decode(all[k], strlen(all[k]), &b));
        for (size_t len = 0; len < b.len; len++) {
            char *copy = malloc(len + 1);
            struct binlog_event e;
            memcpy(copy, b.data, len);
            if (len > 12) {
                uint32_t length = htole32((uint32_t)len);
                memcpy(copy + BINLOG_LENGTH_AT, &length, sizeof length);
            }
            if (read_bytes(w, copy, len, &e) && e.kind == BINLOG_TABLE)
                (void)binlog_read_table(&e, w->arena, &w->table);
            if (e.kind == BINLOG_ROWS && w->table.n_columns > 0 &&
                binlog_read_rows(&e, &w->table, &w->rows_scratch, &w->rows))
                while (next(w) == BINLOG_ROW)
                    ;
            free(copy);
        }
        if (k == 4)
            read_table(w, table);
        buf_free(&b);
    }
}

/* ---- parts ---- */

static void decimal_is(unsigned precision, unsigned scale, const char *hex, const char *want)
{
    struct buf bytes = BUF_INIT, out = BUF_INIT;

    assert_true(hex_decode(hex, strlen(hex), &bytes));
    struct reader r = reader_of(bytes.data, bytes.len);
    bool ok = binlog_put_decimal(&out, &r, precision, scale);
    assert_int_equal(ok, want != NULL);
    if (want)
        assert_string_equal(buf_cstr(&out), want);
    buf_free(&bytes);
    buf_free(&out);
}

static void test_decimals(void **state)
{
    (void)state;
    decimal_is(14, 4, "810DFB38D204D2", "1234567890.1234"); /* the example of MySQL's decimal.c */
    decimal_is(14, 4, "7EF204C72DFB2D", "-1234567890.1234");
    decimal_is(4, 2, "8000", "0.00");
    decimal_is(4, 4, "8001", "0.0001");
    decimal_is(1, 0, "89", "9");
    decimal_is(14, 4, "810DFB38D204", NULL);
    decimal_is(9, 0, "FFFFFFFF", NULL); /* more than nine digits */
    decimal_is(0, 0, "80", NULL);
    decimal_is(66, 0, "80", NULL);
    decimal_is(2, 3, "8000", NULL);
}

static void json_is(const char *hex, const char *want)
{
    struct buf bytes = BUF_INIT, out = BUF_INIT;

    assert_true(hex_decode(hex, strlen(hex), &bytes));
    bool ok = binlog_put_json(&out, bytes.data, bytes.len);
    assert_int_equal(ok, want != NULL);
    if (want)
        assert_string_equal(buf_cstr(&out), want);
    buf_free(&bytes);
    buf_free(&out);
}

/* MySQL's binary form, by hand. */
static void test_json(void **state)
{
    (void)state;
    json_is("", "null");
    json_is("0400", "null");
    json_is("0401", "true");
    json_is("0402", "false");
    json_is("0403", NULL);
    json_is("05FFFF", "-1");
    json_is("06FFFF", "65535");
    json_is("0700000080", "-2147483648");
    json_is("09FFFFFFFFFFFFFF7F", "9223372036854775807");
    json_is("0AFFFFFFFFFFFFFFFF", "18446744073709551615");
    json_is("0B000000000000F03F", "1.0");
    json_is("0B9A9999999999B93F", "0.1");
    json_is("0B9C7500883CE4377E", "1e300");
    json_is("0C0461225C0A", "\"a\\\"\\\\\\n\"");
    json_is("0C05616263", NULL);
    /* {"a": 1, "b": [true, "x"]} */
    json_is("00"
            "0200" /* two members */
            "2200" /* 34 bytes */
            "12000100"
            "13000100" /* keys at 18 and 19, a byte each */
            "050100"
            "021400" /* 1; an array at 20 */
            "6162"   /* the keys */
            "0200"
            "0E00"
            "040100"
            "0C0A00"
            "0178"
            "0000",
            "{\"a\": 1, \"b\": [true, \"x\"]}");
    json_is("0200000400", "[]");
    json_is("0000000400", "{}");
    json_is("020100040005", NULL);     /* an element beyond the end */
    json_is("0201000700020000", NULL); /* an array in itself: it never ends */
    /* DECIMAL 1.5, a date, a time, other bytes */
    json_is("0FF604020181"
            "05",
            "1.5");
    json_is("0FFC02AABB", "\"base64:type252:qrs=\"");
    json_is("0FFC05AABB", NULL);
    json_is("63", NULL);
}

static void test_floats(void **state)
{
    (void)state;
    assert_true(binlog_float(3.14F) == 3.14);
    assert_true(binlog_float(16777216.0F) == 16777216.0);
    assert_true(binlog_float(0.1F) == 0.1);
    assert_true(binlog_float(-1.17549435e-38F) == -1.1754944e-38);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_events, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_checksum, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_kinds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_table, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_inserted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_updated_and_deleted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_compressed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_version_2_and_partial, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cut, set_up, tear_down),
        cmocka_unit_test(test_decimals),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_floats),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
