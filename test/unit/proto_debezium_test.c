/*
 * Events in, changes out: those of test/fuzz/corpus/debezium, where each file is a topic, a key and
 * a value. What begins with pg_, bare_ and flat_ was written by Debezium 3.6 with PostgreSQL 15,
 * the others follow the documentation of their connectors.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/value_text.h"
#include "proto/debezium.h"

#define CORPUS "test/fuzz/corpus/debezium/"

static char *load(const char *name, struct debezium_message *m)
{
    char path[256];
    static char bytes[1 << 20];

    (void)snprintf(path, sizeof path, CORPUS "%s", name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t n = fread(bytes, 1, sizeof bytes - 1, f);
    (void)fclose(f);
    bytes[n] = '\0';
    char *key = strchr(bytes, '\n');
    *key++ = '\0';
    char *value = strchr(key, '\n');
    *value++ = '\0';
    *m = (struct debezium_message){.topic = bytes,
                                   .key = *key ? key : NULL,
                                   .key_len = strlen(key),
                                   .value = *value ? value : NULL,
                                   .value_len = n - (size_t)(value - bytes)};
    return bytes;
}

static void put_fields(struct buf *b, const struct debezium_field *f, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        buf_printf(b, "%s%s=", i ? " " : "", f[i].name);
        value_put_json(b, &f[i].value);
    }
}

/* "UPDATE customers {id=1 …} key {id=1}" */
static void put_event(struct buf *b, const struct debezium_event *ev)
{
    static const char *const kinds[] = {"NOTHING", "INSERT",   "UPDATE",
                                        "DELETE",  "TRUNCATE", "TOMBSTONE"};

    buf_puts(b, kinds[ev->kind]);
    if (ev->kind == DEBEZIUM_NOTHING) {
        buf_printf(b, " %s", ev->why);
        return;
    }
    buf_printf(b, " %s", ev->table);
    if (ev->n_row) {
        buf_puts(b, " {");
        put_fields(b, ev->row, ev->n_row);
        buf_putc(b, '}');
    }
    if (ev->n_keys) {
        buf_puts(b, " key {");
        put_fields(b, ev->keys, ev->n_keys);
        buf_putc(b, '}');
    }
}

static void check(struct debezium *d, const char *name, const char *expected)
{
    struct debezium_message m;
    struct debezium_event ev;
    struct err e = ERR_INIT;
    struct buf b = BUF_INIT;

    load(name, &m);
    if (debezium_decode(d, &m, &ev, &e) == ERR_OK)
        put_event(&b, &ev);
    else
        buf_printf(&b, "%s: %s", err_name(e.code), e.msg);
    assert_string_equal(buf_cstr(&b), expected);
    buf_free(&b);
}

static void check_columns(struct debezium *d, const char *name, const char *expected)
{
    struct debezium_message m;
    struct debezium_event ev;
    struct err e = ERR_INIT;
    struct buf b = BUF_INIT;

    load(name, &m);
    assert_int_equal(debezium_decode(d, &m, &ev, &e), ERR_OK);
    for (size_t i = 0; i < ev.n_columns; i++)
        buf_printf(&b, "%s%s %s%s", i ? ", " : "", ev.columns[i].name, ev.columns[i].type,
                   ev.columns[i].key ? " KEY" : "");
    assert_string_equal(buf_cstr(&b), expected);
    buf_free(&b);
}

struct expectation {
    const char *file, *text;
};

static const struct expectation events[] = {
    {"pg_read", "INSERT customers {id=1 first_name=\"Anne\" last_name=\"Kretchmar\" "
                "email=\"annek@noanswer.org\"}"},
    {"pg_update", "UPDATE customers {id=1 first_name=\"Anne Marie\" last_name=\"Kretchmar\" "
                  "email=\"annek@noanswer.org\"} key {id=1}"},
    {"pg_delete", "DELETE customers key {id=2}"},
    {"pg_tombstone", "TOMBSTONE customers key {id=2}"},
    {"pg_create", "INSERT customers {id=1001 first_name=\"Sally\" last_name=\"Thomas\" "
                  "email=\"sally@acme.com\"}"},
    {"pg_create_column",
     "INSERT customers {id=4 first_name=\"P\" last_name=\"h\" email=\"2\" phone=\"0123\"}"},
    {"pg_types",
     "INSERT every {id=9223372036854775807 i2=-32768 i4=2147483647 f4=0.1 f8=1e+300 "
     "n=12345.6789 nv=\"123456789012345678901234567890.123\" b=1 t=\"naïve \\\"text\\\" €\" "
     "vc=\"vc\" c=\"ch  \" d=\"2026-01-31\" ti=\"12:34:56.789012\" ti3=\"12:34:56.789\" "
     "tz=\"10:34:56+00\" ts=\"2026-01-31 12:34:56.789012\" ts3=\"2026-01-31 12:34:56.789\" "
     "tstz=\"2026-01-31 10:34:56.789012+00:00\" iv=37091106789000 "
     "by={\"type\":\"blob\",\"base64\":\"AP8=\"} j=\"{\\\"a\\\": [1,2]}\" jb=\"{\\\"b\\\": "
     "null}\" u=\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\" m=\"happy\" bi=\"1011000001\" b1=1 "
     "vb=\"1011\" x=\"<a/>\" ia=\"{1,2,NULL}\" ta=\"{a,\\\"b,c\\\",NULL}\" "
     "inet=\"192.168.0.1/24\" mon=12.34 "
     "pt=\"{\\\"x\\\":1.5,\\\"y\\\":2.0,\\\"wkb\\\":\\\"AQEAAAAAAAAAAAD4PwAAAAAAAABA\\\","
     "\\\"srid\\\":null}\" "
     "big=\"xxxxxxxxxxxxxxxxxxxx\"}"},
    {"pg_types_nan",
     "INSERT every {id=2 i2=null i4=null f4={\"type\":\"real\",\"value\":\"inf\"} f8=\"NaN\" "
     "n=null nv=null b=null t=null vc=null c=null d=\"1701533-04-05 BC\" ti=null ti3=null "
     "tz=null ts=\"-infinity\" ts3=null tstz=\"infinity\" iv=null by=null j=null jb=null u=null "
     "m=null bi=null b1=null vb=null x=null ia=null ta=null inet=null mon=null pt=null big=null}"},
    {"pg_types_bc",
     "INSERT every {id=3 i2=null i4=null f4=null f8=null n=-0.0001 nv=null b=null t=null "
     "vc=null c=null d=\"0044-03-15\" ti=null ti3=null tz=null ts=\"0001-01-01 00:00:00\" "
     "ts3=null tstz=\"+12026-01-01T00:00:00.000000Z\" iv=null by=null j=null jb=null u=null "
     "m=null bi=null b1=null vb=null x=null ia=null ta=null inet=null mon=null pt=null big=null}"},
    {"pg_types_unavailable",
     "UPDATE every {id=9223372036854775807 i2=-32768 i4=7 f4=0.1 f8=1e+300 n=12345.6789 "
     "nv=\"123456789012345678901234567890.123\" b=1 t=\"naïve \\\"text\\\" €\" vc=\"vc\" c=\"ch "
     " \" d=\"2026-01-31\" ti=\"12:34:56.789012\" ti3=\"12:34:56.789\" tz=\"10:34:56+00\" "
     "ts=\"2026-01-31 12:34:56.789012\" ts3=\"2026-01-31 12:34:56.789\" tstz=\"2026-01-31 "
     "10:34:56.789012+00:00\" iv=37091106789000 by={\"type\":\"blob\",\"base64\":\"AP8=\"} "
     "j=\"{\\\"a\\\": [1,2]}\" jb=\"{\\\"b\\\": null}\" "
     "u=\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\" m=\"happy\" bi=\"1011000001\" b1=1 vb=\"1011\" "
     "x=\"<a/>\" ia=\"{1,2,NULL}\" ta=\"{a,\\\"b,c\\\",NULL}\" inet=\"192.168.0.1/24\" "
     "mon=12.34 "
     "pt=\"{\\\"x\\\":1.5,\\\"y\\\":2.0,\\\"wkb\\\":\\\"AQEAAAAAAAAAAAD4PwAAAAAAAABA\\\","
     "\\\"srid\\\":null}\"} "
     "key {id=9223372036854775807}"},
    {"pg_keyless_update", "UPDATE keyless {a=1 b=\"uno\"} key {a=1 b=\"one\"}"},
    {"pg_keyless_delete", "DELETE keyless key {a=2 b=\"two\"}"},
    {"pg_truncate", "TRUNCATE doomed"},
    {"pg_message", "NOTHING logical message"},
    {"pg_transaction", "NOTHING transaction border"},
    {"pg_heartbeat", "NOTHING heartbeat"},
    {"bare_read", "INSERT customers {id=1 first_name=\"Anne\" last_name=\"Kretchmar\" "
                  "email=\"annek@noanswer.org\"}"},
    {"bare_update", "UPDATE customers {id=1 first_name=\"Anne Marie\" last_name=\"Kretchmar\" "
                    "email=\"annek@noanswer.org\"} key {id=1}"},
    {"bare_delete", "DELETE customers key {id=2}"},
    {"bare_types",
     "INSERT every {id=9223372036854775807 i2=-32768 i4=2147483647 f4=0.1 f8=1e+300 "
     "n=\"B1vNFQ==\" nv=\"{\\\"scale\\\":3,\\\"value\\\":\\\"BhY+ZlvrfKai4aZCRMs=\\\"}\" b=1 "
     "t=\"naïve \\\"text\\\" €\" vc=\"vc\" c=\"ch  \" d=20484 ti=45296789012 ti3=45296789 "
     "tz=\"10:34:56Z\" ts=1769862896789012 ts3=1769862896789 "
     "tstz=\"2026-01-31T10:34:56.789012Z\" iv=37091106789000 by=\"AP8=\" j=\"{\\\"a\\\": "
     "[1,2]}\" jb=\"{\\\"b\\\": null}\" u=\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\" m=\"happy\" "
     "bi=\"wQI=\" b1=1 vb=\"Cw==\" x=\"<a/>\" ia=\"[1,2,null]\" "
     "ta=\"[\\\"a\\\",\\\"b,c\\\",null]\" inet=\"192.168.0.1/24\" mon=\"BNI=\" "
     "pt=\"{\\\"x\\\":1.5,\\\"y\\\":2.0,\\\"wkb\\\":\\\"AQEAAAAAAAAAAAD4PwAAAAAAAABA\\\","
     "\\\"srid\\\":null}\" "
     "big=\"xxxxxxxxxxxxxxxxxxxx\"}"},
    {"bare_transaction", "NOTHING transaction border"},
    {"bare_heartbeat", "NOTHING heartbeat"},
    {"bare_message", "NOTHING logical message"},
    {"bare_truncate", "TRUNCATE doomed"},
    {"flat_read", "UPDATE customers {id=1 first_name=\"Anne\" last_name=\"Kretchmar\" "
                  "email=\"annek@noanswer.org\"} key {id=1}"},
    {"flat_update", "UPDATE customers {id=1 first_name=\"Anne Marie\" last_name=\"Kretchmar\" "
                    "email=\"annek@noanswer.org\"} key {id=1}"},
    {"flat_delete", "DELETE customers key {id=2}"},
    {"flat_tombstone", "TOMBSTONE customers key {id=2}"},
    {"flat_types",
     "UPDATE every {id=9223372036854775807 i2=-32768 i4=7 f4=0.1 f8=1e+300 n=\"B1vNFQ==\" "
     "nv=\"{\\\"scale\\\":3,\\\"value\\\":\\\"BhY+ZlvrfKai4aZCRMs=\\\"}\" b=1 t=\"naïve "
     "\\\"text\\\" €\" vc=\"vc\" c=\"ch  \" d=20484 ti=45296789012 ti3=45296789 "
     "tz=\"10:34:56Z\" ts=1769862896789012 ts3=1769862896789 "
     "tstz=\"2026-01-31T10:34:56.789012Z\" iv=37091106789000 by=\"AP8=\" j=\"{\\\"a\\\": "
     "[1,2]}\" jb=\"{\\\"b\\\": null}\" u=\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\" m=\"happy\" "
     "bi=\"wQI=\" b1=1 vb=\"Cw==\" x=\"<a/>\" ia=\"[1,2,null]\" "
     "ta=\"[\\\"a\\\",\\\"b,c\\\",null]\" inet=\"192.168.0.1/24\" mon=\"BNI=\" "
     "pt=\"{\\\"x\\\":1.5,\\\"y\\\":2.0,\\\"wkb\\\":\\\"AQEAAAAAAAAAAAD4PwAAAAAAAABA\\\","
     "\\\"srid\\\":null}\"} "
     "key {id=9223372036854775807}"},
    {"mysql_create",
     "INSERT every {id=-1 t1=1 dec1=-48.23 f=3.14 da=\"2026-01-31\" "
     "ti=\"-838:59:59.000001\" dt=\"2026-01-31 12:34:56\" dt6=\"2026-01-31 12:34:56.789012\" "
     "ts=\"2026-01-31 12:34:56.78\" y=2026 b1=1 b10=705 "
     "bl={\"type\":\"blob\",\"base64\":\"AP8=\"} tx=\"naïve\" e=\"b\" s=\"x,z\" j=\"{\\\"a\\\": "
     "[1, 2]}\" g=\"{\\\"wkb\\\":\\\"AQEAAAAAAAAAAADwPwAAAAAAAABA\\\",\\\"srid\\\":null}\"}"},
    {"mysql_update",
     "UPDATE every {id=-1 t1=1 dec1=-48.23 f=3.14 da=\"2026-01-31\" "
     "ti=\"-838:59:59.000001\" dt=\"2026-01-31 12:34:56\" dt6=\"2026-01-31 12:34:56.789012\" "
     "ts=\"2026-01-31 12:34:56.78\" y=2026 b1=1 b10=705 "
     "bl={\"type\":\"blob\",\"base64\":\"AP8=\"} tx=\"naïve\" e=\"b\" s=\"x,z\" j=\"{\\\"a\\\": "
     "[1, 2]}\" g=\"{\\\"wkb\\\":\\\"AQEAAAAAAAAAAADwPwAAAAAAAABA\\\",\\\"srid\\\":null}\"} key "
     "{id=-1}"},
    {"mysql_delete", "DELETE every key {id=-1}"},
    {"mysql_schema_change", "NOTHING schema change"},
    {"oracle_create",
     "INSERT CUSTOMERS {ID=1005 NAME=\"Anne\" PRICE=123.45 BIG=1000 D=\"2026-01-31 "
     "12:34:56\" T9=\"2026-01-31 12:34:56.123456789\" TZ=\"2026-01-31 "
     "10:34:56.123456789+00:00\" DUR=93784000000 IV=\"P1Y2M3DT4H5M6.78S\" "
     "RAW={\"type\":\"blob\",\"base64\":\"3q2+7w==\"}}"},
    {"oracle_delete", "DELETE CUSTOMERS key {ID=1005}"},
    {"sqlserver_update",
     "UPDATE customers {id=1005 bitty=0 money=12.3456 t7=\"12:34:56.7890123\" "
     "dt2=\"2026-01-31 12:34:56.7890123\" dto=\"2026-01-31 10:34:56.7890123+00:00\" "
     "cd=\"1969-12-31\" ct=\"00:00:00\" cts=\"1969-12-31 23:59:59.999\" "
     "guid=\"0E984725-C51C-4BF4-9960-E1C80E27ABA0\" x=\"<a/>\"} key {id=1005}"},
    {"mongodb_create",
     "UNSUPPORTED: the event comes from MongoDB, whose documents are no rows of a table"},
    {"deep", "TOO_BIG: the value: byte 65: nested too deep"},
    {"no_json", "FORMAT: the value: byte 1: parse error: premature EOF"},
    {"routed_tombstone", "NOTHING tombstone of a topic of several tables"},
    {"bare_key", "INSERT t {id=1 v=\"18446744073709551616\" w=100.0 x=\"[1,{\\\"y\\\":null}]\" "
                 "z={\"type\":\"text\",\"base64\":\"AA==\"}}"},
};

static const struct expectation columns[] = {
    {"pg_types",
     "id BIGINT KEY, i2 SMALLINT, i4 INT4, f4 DOUBLE PRECISION, f8 DOUBLE PRECISION, n "
     "NUMERIC(12,4), nv NUMERIC, b BOOLEAN, t TEXT, vc TEXT, c TEXT, d DATE, ti TIME, ti3 TIME, "
     "tz TEXT, ts TIMESTAMP, ts3 TIMESTAMP, tstz TIMESTAMPTZ, iv BIGINT, by BLOB, j JSON, jb "
     "JSON, u UUID, m TEXT, bi TEXT, b1 BOOLEAN, vb TEXT, x TEXT, ia TEXT, ta TEXT, inet TEXT, "
     "mon NUMERIC, pt TEXT, big TEXT"},
    {"pg_keyless_update", "a INT4, b TEXT"},
    {"mysql_create",
     "id BIGINT KEY, t1 SMALLINT, dec1 NUMERIC(10,2), f DOUBLE PRECISION, da DATE, ti TIME, dt "
     "TIMESTAMP, dt6 TIMESTAMP, ts TIMESTAMP, y INT4, b1 BOOLEAN, b10 BIGINT, bl BLOB, tx TEXT, "
     "e TEXT, s TEXT, j JSON, g TEXT"},
    {"oracle_create",
     "ID NUMERIC KEY, NAME TEXT, PRICE NUMERIC(9,2), BIG NUMERIC, D TIMESTAMP, T9 TIMESTAMP, TZ "
     "TIMESTAMPTZ, DUR BIGINT, IV TEXT, RAW BLOB"},
    {"sqlserver_update",
     "id INT4 KEY, bitty BOOLEAN, money NUMERIC, t7 TIME, dt2 TIMESTAMP, dto TIMESTAMPTZ, cd "
     "DATE, ct TIME, cts TIMESTAMP, guid TEXT, x TEXT"},
};

static void events_as_changes(void **state)
{
    (void)state;
    struct debezium *d = debezium_new();

    for (size_t i = 0; i < sizeof events / sizeof *events; i++)
        check(d, events[i].file, events[i].text);
    debezium_free(d);
}

static void columns_of_schemas(void **state)
{
    (void)state;
    struct debezium *d = debezium_new();

    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
        check_columns(d, columns[i].file, columns[i].text);
    debezium_free(d);
}

static void what_else_is_told(void **state)
{
    struct debezium *d = debezium_new();
    struct debezium_message m;
    struct debezium_event ev;
    struct err e = ERR_INIT;

    (void)state;
    load("pg_update", &m);
    assert_int_equal(debezium_decode(d, &m, &ev, &e), ERR_OK);
    assert_string_equal(ev.connector, "postgresql");
    assert_string_equal(ev.database, "postgres");
    assert_string_equal(ev.schema, "public");
    assert_string_equal(ev.transaction, "742:22287040");
    assert_int_equal(ev.time_ms, INT64_C(1795819260771));
    debezium_free(d);
}

static void decode_text(struct debezium *d, const char *key, const char *value,
                        const char *expected)
{
    struct debezium_message m = {.topic = "p.s.t",
                                 .key = key,
                                 .key_len = key ? strlen(key) : 0,
                                 .value = value,
                                 .value_len = value ? strlen(value) : 0};
    struct debezium_event ev;
    struct err e = ERR_INIT;
    struct buf b = BUF_INIT;

    if (debezium_decode(d, &m, &ev, &e) == ERR_OK)
        put_event(&b, &ev);
    else
        buf_printf(&b, "%s: %s", err_name(e.code), e.msg);
    assert_string_equal(buf_cstr(&b), expected);
    buf_free(&b);
}

static void what_is_wrong(void **state)
{
    struct debezium *d = debezium_new();

    (void)state;
    decode_text(d, NULL, "[1]", "FORMAT: it is no JSON object");
    decode_text(d, NULL, "{}", "FORMAT: it is neither a change event nor a row");
    decode_text(d, NULL, "{\"op\":\"c\",\"after\":{},\"source\":{}}",
                "FORMAT: its source names no table");
    decode_text(d, NULL, "{\"op\":\"x\",\"after\":{},\"source\":{\"table\":\"t\"}}",
                "FORMAT: its op is \"x\"");
    decode_text(d, NULL, "{\"op\":\"c\",\"after\":null,\"source\":{\"table\":\"t\"}}",
                "FORMAT: its \"after\" is no row");
    decode_text(
        d, NULL, "{\"op\":\"d\",\"before\":null,\"after\":null,\"source\":{\"table\":\"t\"}}",
        "UNSUPPORTED: an event of a table without a key, and it does not have the row as it "
        "was: give the table a key, or have the source log whole rows");
    decode_text(
        d, NULL,
        "{\"schema\":{\"type\":\"struct\",\"fields\":[{\"type\":\"int32\",\"field\":\"id\"}]},"
        "\"payload\":{\"id\":\"x\"}}",
        "FORMAT: column \"id\": its schema says an integer of 64 bits, and it is something "
        "else");
    decode_text(d, "{\"id\":1}", NULL, "TOMBSTONE t key {id=1}");
    decode_text(d, NULL, NULL, "NOTHING tombstone without a key");
    debezium_free(d);
}

/* A key and a value with one schema each, and without. */
static void keys_find_the_row(void **state)
{
    struct debezium *d = debezium_new();

    (void)state;
    /* The key has no schema, the value has: what is looked for is what was stored. */
    decode_text(
        d, "{\"d\":1}",
        "{\"schema\":{\"type\":\"struct\",\"fields\":[{\"type\":\"struct\",\"field\":\"after\","
        "\"fields\":[{\"type\":\"int32\",\"name\":\"io.debezium.time.Date\",\"field\":\"d\"}]}]},"
        "\"payload\":{\"op\":\"u\",\"before\":null,\"after\":{\"d\":2},\"source\":{\"table\":"
        "\"t\"}}}",
        "UPDATE t {d=\"1970-01-03\"} key {d=\"1970-01-03\"}");
    /* The row as it was says more than the key. */
    decode_text(d, "{\"a\":2,\"b\":3}",
                "{\"op\":\"u\",\"before\":{\"a\":1,\"b\":null},\"after\":{\"a\":2,\"b\":4},"
                "\"source\":{\"table\":\"t\"}}",
                "UPDATE t {a=2 b=4} key {a=1 b=4}");
    debezium_free(d);
}

static void beyond_the_limits(void **state)
{
    struct debezium *d = debezium_new();
    struct buf b = BUF_INIT;

    (void)state;
    buf_puts(&b, "{\"a\":[1");
    for (int i = 0; i < 2000001; i++)
        buf_puts(&b, ",1");
    buf_puts(&b, "]}");
    struct debezium_message m = {.topic = "t", .value = b.data, .value_len = b.len};
    struct debezium_event ev;
    struct err e = ERR_INIT;
    assert_int_equal(debezium_decode(d, &m, &ev, &e), ERR_TOO_BIG);
    m.value_len = DEBEZIUM_MAX_BYTES + 1;
    assert_int_equal(debezium_decode(d, &m, &ev, &e), ERR_TOO_BIG);
    buf_reset(&b);
    buf_putc(&b, '{');
    for (int i = 0; i < 2001; i++)
        buf_printf(&b, "%s\"c%d\":1", i ? "," : "", i);
    buf_putc(&b, '}');
    m.value = b.data;
    m.value_len = b.len;
    assert_int_equal(debezium_decode(d, &m, &ev, &e), ERR_TOO_BIG);
    buf_free(&b);
    debezium_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_as_changes), cmocka_unit_test(columns_of_schemas),
        cmocka_unit_test(what_else_is_told), cmocka_unit_test(what_is_wrong),
        cmocka_unit_test(keys_find_the_row), cmocka_unit_test(beyond_the_limits),
    };

    return cmocka_run_group_tests_name("proto_debezium", tests, NULL, NULL);
}
