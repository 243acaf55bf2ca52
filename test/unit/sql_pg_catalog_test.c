/*
 * The catalogs and functions: what real clients sent to a PostgreSQL when they described a schema
 * (test/unit/pg/<client>.sql, recorded there) runs here, too, and says the right things.
 */
#include "sql/pg/catalog.h"

#include <sqlite3.h>

#include "sql/pg/dialect.h"
#include "sql/pg/session.h"
#include "sql_temp.h"

#define SEPARATOR "\n--;\n"

static char *read_all(const char *name)
{
    char path[128];
    FILE *f;
    char *text = calloc(1, 1 << 20);

    snprintf(path, sizeof path, "test/unit/pg/%s.sql", name);
    f = fopen(path, "rb");
    if (!f || !text)
        fail_msg("%s cannot be read", path);
    assert_true(fread(text, 1, (1 << 20) - 1, f) > 0);
    fclose(f);
    return text;
}

/* Runs one statement of PostgreSQL's dialect; its rows as text, "a|b\n", in `out`. */
static int run(sqlite3 *db, const char *sql, size_t len, struct buf *out)
{
    struct buf b = BUF_INIT;
    struct err e = ERR_INIT;
    sqlite3_stmt *s;
    const char *tail;
    bool changed;
    int rc = SQLITE_OK, rows = 0;

    if (pg_dialect(sql, len, &b, &changed, &e) != ERR_OK)
        fail_msg("%.*s: %s", (int)len, sql, e.msg);
    if (!changed)
        buf_put(&b, sql, len);
    for (tail = buf_cstr(&b); *tail;) {
        rc = sqlite3_prepare_v2(db, tail, -1, &s, &tail);
        if (rc != SQLITE_OK)
            fail_msg("%s: %s", buf_cstr(&b), sqlite3_errmsg(db));
        if (!s)
            break;
        while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
            rows++;
            for (int i = 0; out && i < sqlite3_column_count(s); i++) {
                const char *v = (const char *)sqlite3_column_text(s, i);
                buf_printf(out, "%s%s", i ? "|" : "", v ? v : "");
            }
            if (out)
                buf_putc(out, '\n');
        }
        if (rc != SQLITE_DONE)
            fail_msg("%s: %s", buf_cstr(&b), sqlite3_errmsg(db));
        sqlite3_finalize(s);
    }
    buf_free(&b);
    return rows;
}

/* @name@ stands for the OID that the recorded text had of it: ours. */
static void put_oids(const char *p, size_t len, struct buf *out)
{
    const char *end = p + len;

    while (p < end) {
        const char *at = memchr(p, '@', (size_t)(end - p)), *close = NULL;
        char name[64], *dot;

        if (at)
            close = memchr(at + 1, '@', (size_t)(end - at - 1));
        if (!close || close - at > (int)sizeof name) {
            buf_put(out, p, (size_t)(end - p));
            return;
        }
        buf_put(out, p, (size_t)(at - p));
        snprintf(name, sizeof name, "%.*s", (int)(close - at - 1), at + 1);
        dot = strstr(name, "_title");
        buf_printf(out, "%u", pg_catalog_oid(dot ? "index" : "rel", name));
        p = close + 1;
    }
}

/* Every statement of a file that is not the server's own. Answers the rows of all of them. */
static int run_file(sqlite3 *db, const char *name)
{
    char *text = read_all(name), tag[PG_TAG_SIZE];
    int rows = 0, statements = 0;

    for (const char *p = text, *end; p; p = end ? end + strlen(SEPARATOR) : NULL) {
        size_t len;
        end = strstr(p, SEPARATOR);
        len = end ? (size_t)(end - p) : strlen(p);
        if (pg_command(p, len, tag) != PG_COMMAND_SQL)
            continue;
        struct buf b = BUF_INIT;
        put_oids(p, len, &b);
        rows += run(db, buf_cstr(&b), b.len, NULL);
        buf_free(&b);
        statements++;
    }
    assert_true(statements > 5);
    free(text);
    return rows;
}

static void expect(sqlite3 *db, const char *sql, const char *rows)
{
    struct buf b = BUF_INIT;

    run(db, sql, strlen(sql), &b);
    if (strcmp(buf_cstr(&b), rows) != 0)
        fail_msg("%s:\n%s", sql, buf_cstr(&b));
    buf_free(&b);
}

static struct temp temp;
static struct conn *conn;
static sqlite3 *db;

static int setup(void **state)
{
    (void)state;
    temp_init(&temp);
    temp.cfg.create = true;
    OK(conn_open(&conn, &temp.cfg, CONN_WRITER, e));
    db = conn_handle(conn);
    run_file(db, "schema");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    conn_close(conn);
    temp_fini(&temp);
    return 0;
}

static void test_psql(void **state)
{
    (void)state;
    assert_true(run_file(db, "psql") > 50);
}

static void test_sqlalchemy(void **state)
{
    (void)state;
    assert_true(run_file(db, "sqlalchemy") > 20);
}

static void test_pgjdbc(void **state)
{
    (void)state;
    assert_true(run_file(db, "pgjdbc") > 50);
}

static void test_describes_the_schema(void **state)
{
    (void)state;
    expect(db,
           "SELECT c.relname, c.relkind FROM pg_catalog.pg_class c JOIN pg_namespace n ON n.oid = "
           "c.relnamespace WHERE n.nspname = 'public' ORDER BY 1",
           "album|r\nalbum_artist|i\nalbum_pkey|i\nalbum_title|i\nalbums|v\nartist|r\n"
           "artist_pkey|i\nplaylist_track|r\nplaylist_track_pkey|i\n"
           "playlist_track_track_id_playlist_id_key|i\n");
    expect(db,
           "SELECT attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute WHERE "
           "attrelid = 'album'::regclass AND attnum > 0 ORDER BY attnum",
           "id|integer|1\ntitle|character varying(160)|1\nartist_id|integer|1\n"
           "price|numeric(10,2)|0\nreleased|timestamp without time zone|0\n");
    expect(db,
           "SELECT conname, contype, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = "
           "'album'::regclass ORDER BY 1",
           "album_artist_id_fkey|f|FOREIGN KEY (artist_id) REFERENCES artist(id) ON DELETE "
           "CASCADE\nalbum_pkey|p|PRIMARY KEY (id)\nalbum_price_check|c|CHECK (price >= 0)\n");
    expect(db,
           "SELECT c.relname FROM pg_catalog.pg_class c WHERE c.relname OPERATOR(pg_catalog.~) "
           "'^(album)$' COLLATE pg_catalog.default AND pg_catalog.pg_table_is_visible(c.oid)",
           "album\n");
    expect(db,
           "SELECT table_name FROM information_schema.tables WHERE (table_schema = 'public' AND "
           "table_name = 'album') OR (table_schema = 'public' AND table_name = 'artist')",
           "album\nartist\n");
    expect(db, "SELECT pg_get_indexdef('album_title'::regclass)",
           "CREATE UNIQUE INDEX album_title ON public.album USING btree (title, artist_id DESC) "
           "WHERE ( price > 0)\n");
    expect(db,
           "SELECT column_name, ordinal_position FROM information_schema.key_column_usage WHERE "
           "constraint_name = 'playlist_track_pkey' ORDER BY 2",
           "playlist_id|1\ntrack_id|2\n");
}

/* After a rollback the schema's version is given again, to another schema. */
static void test_follows_the_schema(void **state)
{
    static const char names[] = "SELECT relname FROM pg_class WHERE relname LIKE 'new%'";

    (void)state;
    run(db, "BEGIN", 5, NULL);
    run(db, "CREATE TABLE newa (x)", 21, NULL);
    expect(db, names, "newa\n");
    run(db, "ROLLBACK", 8, NULL);
    run(db, "BEGIN", 5, NULL);
    run(db, "CREATE TABLE newbb (x)", 22, NULL);
    expect(db, names, "newbb\n");
    run(db, "ROLLBACK", 8, NULL);
    expect(db, names, "");
}

static void test_functions(void **state)
{
    static const struct {
        const char *sql, *rows;
    } cases[] = {
        {"SELECT left('héllo', 2), right('héllo', 3), left('abc', -1)", "hé|llo|ab\n"},
        {"SELECT lpad('7', 3, '0'), rpad('a', 3), split_part('a,b,c', ',', 2)", "007|a  |b\n"},
        {"SELECT initcap('hello wORLD'), reverse('abc'), repeat('ab', 2)",
         "Hello World|cba|abab\n"},
        {"SELECT md5('a'), translate('12345', '143', 'ax')",
         "0cc175b9c0f1b6a831c399e269772661|a2x5\n"},
        {"SELECT date_trunc('month', '2024-02-29 10:11:12')", "2024-02-01 00:00:00\n"},
        {"SELECT extract(week from '2021-01-03'), date_part('dow', '2024-02-29')", "53|4\n"},
        {"SELECT to_char('2024-02-09 15:04:05', 'YYYY-MM-DD HH12:MI am Mon FMDay')",
         "2024-02-09 03:04 pm Feb Friday\n"},
        {"SELECT age('2024-03-01', '2023-01-15')", "1 year 1 mon 17 days\n"},
        {"SELECT '2024-01-31' + interval '1 month', '2024-01-01'::date",
         "2024-02-29 00:00:00.000|2024-01-01\n"},
        {"SELECT '2024-03-31'::timestamp - interval '1 mon 1 day', "
         "'2024-01-31'::timestamp + interval '1 year 1 month 1.5 days', "
         "'2024-01-01'::timestamp + interval '0', '2024-01-01'::timestamp + interval '2' hour, "
         "'2024-01-02'::timestamp + interval '1 day 02:30 ago'",
         "2024-02-28 00:00:00.000|2025-03-01 12:00:00.000|2024-01-01 00:00:00.000|"
         "2024-01-01 02:00:00.000|2023-12-31 21:30:00.000\n"},
        {"SELECT regexp_replace('abcabc', 'b(.)', '<\\1>', 'g'), 'Abc' ~* '^aB', 'x' ~ '\\d'",
         "a<c>a<c>|1|0\n"},
        {"SELECT regexp_match('ab', '(a)(x)?(b)(y)?'), regexp_match('a b', '.*')",
         "{a,NULL,b,NULL}|{\"a b\"}\n"},
        {"SELECT array_agg(x) FROM (VALUES (1), (2)) AS t(x)", "{1,2}\n"},
        {"SELECT unnest('{a,\"b c\",NULL}') AS x", "a\nb c\n\n"},
        {"SELECT x.* FROM (SELECT * FROM (VALUES ('{a,b}', '{1,2,3}')) AS t(p, q), unnest(t.p, "
         "t.q) "
         "WITH ORDINALITY u(k, o, n)) x WHERE o > 1",
         "{a,b}|{1,2,3}|b|2|2\n{a,b}|{1,2,3}||3|3\n"},
        {"SELECT (ARRAY[10, 20])[2], 3 = ANY('{1,3}'), 2 = ANY(ARRAY[1])", "20|1|0\n"},
        {"SELECT i, i * 2 FROM generate_series(1, 5, 2) i", "1|2\n3|6\n5|10\n"},
        {"SELECT greatest(1, NULL, 3), least('b', 'a')", "3|a\n"},
        {"SELECT quote_ident('a b'), quote_ident('ab'), quote_literal('it''s')",
         "\"a b\"|ab|'it''s'\n"},
        {"SELECT 'abc' LIKE 'A%', 'abc' ILIKE 'A%', 'a_c' LIKE 'a\\_c', 'a*c' LIKE '%*%'",
         "0|1|1|1\n"},
        {"SELECT '12'::int, 2.5::int, 't'::boolean, 5::text", "12|2|1|5\n"},
        {"SELECT DISTINCT ON (a) a, b FROM (VALUES (1, 2), (1, 3), (2, 1)) AS t(a, b) ORDER BY a, "
         "b DESC",
         "1|3\n2|1\n"},
        {"SELECT format_type(1043, 24), 'int4'::regtype::oid, current_schemas(false)",
         "character varying(20)|23|{public}\n"},
        {"SELECT current_user, current_database(), pg_is_in_recovery()", "me|shop|0\n"},
    };
    static const struct pg_session session = {.user = "me", .database = "shop"};

    (void)state;
    pg_session_enter(&session);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect(db, cases[i].sql, cases[i].rows);
    pg_session_enter(NULL);
}

static void exec(const char *sql)
{
    run(db, sql, strlen(sql), NULL);
}

/* What DEFAULT and a bytea's literal come to depends on the column. */
static void test_stored_values(void **state)
{
    (void)state;
    exec("CREATE TABLE stored (id serial PRIMARY KEY, n integer DEFAULT 7, w text DEFAULT 'it''s', "
         "b bytea DEFAULT X'00', t timestamp DEFAULT now(), x text, "
         "g integer GENERATED ALWAYS AS (n * 2) STORED)");
    exec("INSERT INTO stored (n, w, b, g) VALUES (DEFAULT, 'a', '\\x01ff', DEFAULT), "
         "(1, DEFAULT, DEFAULT, DEFAULT)");
    exec("INSERT INTO stored VALUES (DEFAULT, DEFAULT, DEFAULT, DEFAULT, NULL, '\\x01'), "
         "(10, 11, '\\x', '\\x', DEFAULT, DEFAULT)");
    exec("INSERT INTO stored (n) VALUES (DEFAULT), (DEFAULT)");
    expect(db, "SELECT id, n, w, quote(b), t IS NULL, x, g FROM stored ORDER BY id",
           "1|7|a|X'01FF'|0||14\n2|1|it's|X'00'|0||2\n3|7|it's|X'00'|1|\\x01|14\n"
           "10|11|\\x|X''|0||22\n11|7|it's|X'00'|0||14\n12|7|it's|X'00'|0||14\n");
    exec("UPDATE stored SET n = DEFAULT, b = '\\xAb' WHERE b = '\\x01ff' OR b = '\\x'");
    exec("INSERT INTO stored (id, n) VALUES (10, 1) ON CONFLICT (id) DO UPDATE SET w = DEFAULT");
    expect(db, "SELECT id, n, w, quote(b) FROM stored WHERE b <> '\\x00' ORDER BY id",
           "1|7|a|X'AB'\n10|7|it's|X'AB'\n");
    exec("DROP TABLE stored");
    exec("CREATE TABLE flags (id serial PRIMARY KEY, b boolean DEFAULT (timezone('utc', now()) IS "
         "NULL), n text)");
    exec("INSERT INTO flags (b, n) VALUES ('t', 't'), ('no', 'no'), (true, DEFAULT), (DEFAULT, "
         "'x')");
    exec("UPDATE flags SET b = 'false', n = 'false' WHERE id = 1");
    expect(db, "SELECT b, n FROM flags ORDER BY id", "0|false\n0|no\n1|\n0|x\n");
    expect(db,
           "SELECT setval(pg_get_serial_sequence('flags', 'id'), (SELECT max(id) FROM flags)), "
           "setval('\"public\".flags_id_seq', 3, false)",
           "4|3\n");
    assert_int_equal(sqlite3_exec(db, "SELECT setval('flags_id_seq', 100)", NULL, NULL, NULL),
                     SQLITE_MISMATCH);
    exec("DROP TABLE flags");
}

static void test_privileges(void **state)
{
    static const char ask[] =
        "SELECT has_table_privilege('album', 'SELECT'), has_table_privilege('me', 'album', "
        "'INSERT'), "
        "has_table_privilege('album', 'update, select'), has_schema_privilege('public', 'CREATE'), "
        "has_database_privilege(current_database(), 'CONNECT'), has_table_privilege('album', "
        "NULL), "
        "(SELECT rolsuper FROM pg_roles), (SELECT count(*) FROM "
        "information_schema.table_privileges "
        "WHERE table_name = 'album')";
    static const struct pg_session reader = {.user = "me", .database = "d", .read_only = true};

    (void)state;
    expect(db, ask, "1|1|1|1|1||1|7\n");
    pg_session_enter(&reader);
    expect(db, ask, "1|0|1|0|1||0|1\n");
    pg_session_enter(NULL);
    assert_int_equal(
        sqlite3_exec(db, "SELECT has_table_privilege('album', 'FLY')", NULL, NULL, NULL),
        SQLITE_MISMATCH);
}

static void test_sizes(void **state)
{
    (void)state;
    exec("CREATE TABLE sized (id serial PRIMARY KEY, a text UNIQUE)");
    exec("INSERT INTO sized (a) SELECT printf('%.1000c', 'x') || g FROM generate_series(1, 1000) "
         "AS g");
    expect(db,
           "SELECT pg_table_size('sized') > 1000000, pg_indexes_size('sized') > 1000000, "
           "pg_total_relation_size('sized') = pg_table_size('sized') + pg_indexes_size('sized'), "
           "pg_relation_size('public.sized') = pg_relation_size('sized'::regclass), "
           "pg_relation_size('sized_a_key') = pg_indexes_size('sized'), "
           "pg_database_size('d') >= pg_total_relation_size('sized'), pg_relation_size('nope'), "
           "pg_size_pretty(pg_relation_size('sized_pkey'))",
           "1|1|1|1|1|1||0 bytes\n");
    exec("DROP TABLE sized");
}

static void test_enums(void **state)
{
    (void)state;
    exec("CREATE TYPE public.mood AS ENUM ('sad', 'ok')");
    exec("CREATE TABLE moods (id serial PRIMARY KEY, m mood DEFAULT 'ok', \"N\" "
         "\"public\".\"mood\" NOT NULL)");
    exec("INSERT INTO moods (\"N\") VALUES ('1'::mood)");
    expect(db, "SELECT m, \"N\", typeof(\"N\") FROM moods", "ok|1|text\n");
    expect(
        db,
        "SELECT t.typname, t.typtype, n.nspname, string_agg(e.enumlabel, ',' ORDER BY "
        "e.enumsortorder) FROM pg_type t JOIN pg_enum e ON e.enumtypid = t.oid JOIN pg_namespace "
        "n ON n.oid = t.typnamespace GROUP BY 1, 2, 3",
        "mood|e|public|sad,ok\n");
    expect(db,
           "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = "
           "'moods'::regclass AND attnum > 0 ORDER BY attnum",
           "id|integer\nm|mood\nN|mood\n");
    expect(
        db,
        "SELECT data_type, udt_schema, udt_name FROM information_schema.columns WHERE table_name "
        "= 'moods' AND column_name = 'm'",
        "USER-DEFINED|public|mood\n");
    expect(db, "SELECT count(*) FROM pg_class WHERE relname = 'mood'", "0\n");
    exec("DROP TABLE moods");
    exec("DROP TYPE mood");
}

static void test_schema_is_plain_sqlite(void **state)
{
    static const char ddl[] = "CREATE TABLE plain (id serial PRIMARY KEY, u uuid DEFAULT "
                              "gen_random_uuid(), t timestamp DEFAULT now(), b boolean DEFAULT "
                              "true, CHECK (b = ANY (ARRAY[true, false])))";
    static const char view[] = "CREATE VIEW plainv AS SELECT id::text, left(u, 4) AS l FROM "
                               "public.plain WHERE u LIKE '%a%' AND t > now() - interval '1 day'";
    sqlite3 *other;

    (void)state;
    run(db, ddl, strlen(ddl), NULL);
    run(db, view, strlen(view), NULL);
    assert_int_equal(sqlite3_open(temp.path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "INSERT INTO plain DEFAULT VALUES; SELECT * FROM plainv",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(other);
    run(db, "DROP VIEW plainv", 16, NULL);
    run(db, "DROP TABLE plain", 16, NULL);
}

/* A function of ours in the schema would not be found elsewhere. */
static void test_functions_stay_out_of_the_schema(void **state)
{
    (void)state;
    assert_int_equal(
        sqlite3_exec(db, "CREATE TABLE bad (a CHECK (initcap(a) = a))", NULL, NULL, NULL),
        SQLITE_ERROR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_describes_the_schema),
        cmocka_unit_test(test_follows_the_schema),
        cmocka_unit_test(test_functions),
        cmocka_unit_test(test_stored_values),
        cmocka_unit_test(test_privileges),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_enums),
        cmocka_unit_test(test_schema_is_plain_sqlite),
        cmocka_unit_test(test_functions_stay_out_of_the_schema),
        cmocka_unit_test(test_psql),
        cmocka_unit_test(test_sqlalchemy),
        cmocka_unit_test(test_pgjdbc),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
