/* What the dialect makes of statements: input and output, line by line; errors; splitting; tags. */
#include "sql/pg/dialect.h"

#include "base/clock.h"
#include "sql_temp.h"

static const struct {
    const char *in, *out; /* out: NULL = goes to SQLite as it is */
} pairs[] = {
    /* plain SQLite */
    {"SELECT 1", NULL},
    {"SELECT a, b FROM t WHERE a = ?1 AND b = :b ORDER BY a LIMIT 3", NULL},
    {"INSERT INTO t(a, b) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING a", NULL},
    {"UPDATE t SET a = a || 'x' WHERE b IS NOT DISTINCT FROM 3", NULL},
    {"SELECT `a` FROM t UNION ALL SELECT \"b\" FROM u", NULL},
    {"CREATE TRIGGER g AFTER INSERT ON t BEGIN UPDATE t SET a = 1; END", NULL},
    {"PRAGMA user_version = 3", NULL},
    {"SELECT coalesce(a, 0), count(*) FROM t JOIN u USING (id)", NULL},
    /* the server's own */
    {"SET search_path = public", NULL},
    {"SHOW default_transaction_read_only", NULL},
    /* names and strings */
    {"SELECT * FROM public.t", "SELECT * FROM t"},
    {"SELECT * FROM \"public\".\"T\"", "SELECT * FROM \"T\""},
    {"SELECT E'a\\'b\\n' AS x", "SELECT 'a''b\n' AS \"x\""},
    {"SELECT $$it's$$ AS x", "SELECT 'it''s' AS \"x\""},
    /* comments that SQLite ends elsewhere, behind the last token, too */
    {"SELECT 1 AS x /* /* */ ; INSERT INTO t VALUES (9); -- */", "SELECT 1 AS \"x\""},
    {"/* /* */ SELECT 2; */ SELECT 1 AS x", "SELECT 1 AS \"x\""},
    {"SELECT 1 AS x -- c\r, 2 AS y", "SELECT 1 AS \"x\" , 2 AS \"y\""},
    {"SELECT 1 -- c\r\n", NULL},
    {"PRAGMA user_version -- c\r= 3;", "PRAGMA user_version = 3 ;"},
    {"PRAGMA user_version /* /* */ ; COMMIT; -- */", "PRAGMA user_version"},
    {"PRAGMA user_version -- c\n= 3", NULL},
    {"CREATE TRIGGER g AFTER INSERT ON t BEGIN -- c\rUPDATE t SET a = 1; END;",
     "CREATE TRIGGER g AFTER INSERT ON t BEGIN UPDATE t SET a = 1 ; END ;"},
    {"CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; END /* /* */ ; COMMIT; -- */",
     "CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1 ; END"},
    {"SELECT 1 /* ; */; -- ;", NULL},
    {"SELECT /* a /* b */ c */ 1 AS x", "SELECT 1 AS \"x\""},
    {"SELECT x FROM pg_catalog.pg_class", "SELECT x FROM pg_class"},
    {"SELECT 1 AS x FROM information_schema.tables",
     "SELECT 1 AS \"x\" FROM information_schema_tables AS \"tables\""},
    /* casts */
    {"SELECT a::text FROM t", "SELECT CAST(a AS TEXT) AS \"a\" FROM t"},
    {"SELECT a FROM t WHERE b = '5'::int", "SELECT a FROM t WHERE b = pg_int4('5')"},
    {"SELECT a FROM t WHERE f(b)::bigint = 1", "SELECT a FROM t WHERE pg_int8(f(b)) = 1"},
    {"SELECT '\\x00ff'::bytea AS b", "SELECT X'00ff' AS \"b\""},
    {"SELECT date '2024-01-02' AS d", "SELECT pg_date('2024-01-02') AS \"d\""},
    {"SELECT CASE WHEN a THEN b END::text FROM t",
     "SELECT CAST(CASE WHEN a THEN b END AS TEXT) AS \"case\" FROM t"},
    {"SELECT a FROM t WHERE c = 't'::regclass", "SELECT a FROM t WHERE c = pg_regclass_oid('t')"},
    /* a uuid's text, which depends on the column */
    {"INSERT INTO t(a) VALUES ('A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11')",
     "INSERT INTO t(a) VALUES ( pg_stored( 't' , 'a' , 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11' ))"},
    {"INSERT INTO t(a) VALUES ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11')", NULL},
    /* sums that do not overflow; but not in the schema, and not where it is no call */
    {"SELECT sum(a) AS s FROM t", "SELECT pg_sum(a) AS \"s\" FROM t"},
    {"SELECT a FROM t GROUP BY a HAVING sum(b) > 1",
     "SELECT a FROM t GROUP BY a HAVING pg_sum(b) > 1"},
    {"CREATE VIEW v AS SELECT sum(a) AS s FROM t",
     "CREATE VIEW v AS SELECT sum(a) AS \"s\" FROM t"},
    {"INSERT INTO sum(a) VALUES (1)", "INSERT INTO sum(a) VALUES (1)"},
    {"INSERT INTO public.sum(a) VALUES (1)", "INSERT INTO sum(a) VALUES (1)"},
    {"WITH sum(x) AS (SELECT 1 AS y) SELECT x FROM sum",
     "WITH sum(x) AS (SELECT 1 AS \"y\") SELECT x FROM sum"},
    /* operators */
    {"SELECT a FROM t WHERE a LIKE 'x\\_%'", "SELECT a FROM t WHERE a GLOB 'x_*'"},
    {"SELECT a FROM t WHERE a NOT LIKE '[*]'", "SELECT a FROM t WHERE a NOT GLOB '[[][*]]'"},
    {"SELECT a FROM t WHERE a LIKE $1", "SELECT a FROM t WHERE a GLOB pg_glob( $1 )"},
    {"SELECT a FROM t WHERE a ILIKE 'x%'", "SELECT a FROM t WHERE a LIKE 'x%'"},
    {"SELECT a FROM t WHERE a ~ 'x'", "SELECT a FROM t WHERE a REGEXP 'x'"},
    {"SELECT a FROM t WHERE a !~* 'x'", "SELECT a FROM t WHERE a NOT REGEXP ('(?i)' || 'x' )"},
    {"SELECT a FROM t WHERE a OPERATOR(pg_catalog.~) '^(x)$' COLLATE pg_catalog.default",
     "SELECT a FROM t WHERE a REGEXP '^(x)$'"},
    {"SELECT a FROM t WHERE a = ANY($1)",
     "SELECT a FROM t WHERE a IN (SELECT +value FROM unnest($1 ))"},
    {"SELECT a FROM t WHERE a <> ALL (ARRAY[1, 2])", "SELECT a FROM t WHERE a NOT IN (1, 2 )"},
    /* functions */
    {"SELECT a FROM t WHERE now() < b",
     "SELECT a FROM t WHERE strftime('%Y-%m-%d %H:%M:%f', 'now') < b"},
    {"SELECT a FROM t WHERE b > now() - interval '1 day 2 hours'",
     "SELECT a FROM t WHERE b > strftime('%Y-%m-%d %H:%M:%f', strftime('%Y-%m-%d %H:%M:%f', "
     "'now'), '-1 days', '-7200 seconds')"},
    {"SELECT a + interval '1 year 2 mons' AS x FROM t",
     "SELECT strftime('%Y-%m-%d %H:%M:%f', a, '+14 months', 'floor') AS \"x\" FROM t"},
    {"SELECT substring(a from 2 for 3) AS x FROM t", "SELECT substr(a , 2 , 3) AS \"x\" FROM t"},
    {"SELECT position('a' in b) AS x FROM t", "SELECT instr( b ,'a') AS \"x\" FROM t"},
    {"SELECT extract(year from a) AS x FROM t", "SELECT date_part( 'year' , a) AS \"x\" FROM t"},
    {"SELECT timezone('UTC', b) AS x FROM t", "SELECT ( b ) AS \"x\" FROM t"},
    {"INSERT INTO t (b) VALUES ('t'), ('x')",
     "INSERT INTO t (b) VALUES ( pg_stored( 't' , 'b' , 't' )), ('x')"},
    {"UPDATE t SET a = 1, b = 'false' WHERE c = 'no'",
     "UPDATE t SET a = 1, b = pg_stored( 't' , 'b' , 'false' ) WHERE c = 'no'"},
    /* booleans of catalogs */
    {"SELECT 1 AS x FROM pg_index i WHERE i.indisprimary = 't' AND 'f' <> indisunique",
     "SELECT 1 AS \"x\" FROM pg_index i WHERE i.indisprimary = 1 AND 0 <> indisunique"},
    {"SELECT CASE indisunique WHEN 't' THEN 'f' ELSE 't' END AS x FROM pg_index",
     "SELECT CASE indisunique WHEN 1 THEN 'f' ELSE 't' END AS \"x\" FROM pg_index"},
    {"SELECT 1 AS x FROM pg_index WHERE indisunique NOT IN ('true', 'no') AND indisprimary IS NOT "
     "DISTINCT FROM 'F'",
     "SELECT 1 AS \"x\" FROM pg_index WHERE indisunique NOT IN ( 1, 0) AND indisprimary IS NOT "
     "DISTINCT FROM 0"},
    {"SELECT a FROM t WHERE active = 't' AND indisprimary = 't'",
     "SELECT a FROM t WHERE active = 't' AND indisprimary = 't'"},
    {"SELECT a FROM t, pg_class WHERE a = 't'", "SELECT a FROM t, pg_class WHERE a = 't'"},
    {"SELECT current_user", "SELECT current_user() AS \"current_user\""},
    /* clauses */
    {"SELECT a FROM t FOR UPDATE OF t SKIP LOCKED", "SELECT a FROM t"},
    {"SELECT a FROM t LIMIT ALL OFFSET 2", "SELECT a FROM t LIMIT -1 OFFSET 2"},
    {"SELECT a FROM t OFFSET 2 ROWS FETCH NEXT 3 ROWS ONLY", "SELECT a FROM t LIMIT 3 OFFSET 2"},
    {"SELECT g FROM generate_series(1, 3) AS g",
     "SELECT g FROM (SELECT value AS \"g\" FROM generate_series(1, 3) ) AS \"g\""},
    {"INSERT INTO t (id, n) VALUES (DEFAULT, 'a'), (DEFAULT, 'b')",
     "INSERT INTO t ( n) VALUES ( 'a'), ( 'b')"},
    {"INSERT INTO t VALUES (DEFAULT, 'a')", "INSERT INTO t VALUES ( pg_default( 't' , 1 ), 'a')"},
    {"INSERT INTO public.t (id, n) VALUES (DEFAULT, DEFAULT), (2, DEFAULT)",
     "INSERT INTO t (id) VALUES ( pg_default( 't' , 'id' )), (2)"},
    {"INSERT INTO t (id, n) VALUES (DEFAULT, DEFAULT), (DEFAULT, DEFAULT)",
     "INSERT INTO t (id) VALUES ( pg_default( 't' , 'id' )), ( pg_default( 't' , 'id' ))"},
    {"INSERT INTO t (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET b = DEFAULT, c = 2",
     "INSERT INTO t (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET b = pg_default( 't' , 'b' ), c = "
     "2"},
    {"UPDATE \"T\" SET \"b\" = DEFAULT WHERE a = 1",
     "UPDATE \"T\" SET \"b\" = pg_default( 'T' , 'b' ) WHERE a = 1"},
    {"INSERT INTO t (a, b) VALUES (1, '\\x00fF')",
     "INSERT INTO t (a, b) VALUES (1, pg_stored( 't' , 'b' , '\\x00fF' ))"},
    {"UPDATE t SET b = '\\x' WHERE b = '\\x00' AND c <> '\\x01'",
     "UPDATE t SET b = pg_stored( 't' , 'b' , '\\x' ) WHERE b IN ('\\x00', X'00') AND c NOT IN "
     "('\\x01', X'01')"},
    {"INSERT INTO t (id) VALUES (DEFAULT)", "INSERT INTO t DEFAULT VALUES"},
    {"INSERT INTO t VALUES (1) ON CONFLICT ON CONSTRAINT k DO NOTHING",
     "INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING"},
    {"DELETE FROM a USING b WHERE a.id = b.id",
     "DELETE FROM a WHERE rowid IN (SELECT \"a\".rowid FROM a , b WHERE a.id = b.id )"},
    /* the schema */
    {"CREATE TABLE t (id SERIAL PRIMARY KEY, n VARCHAR(5))",
     "CREATE TABLE t (id INTEGER CONSTRAINT int4 NOT NULL PRIMARY KEY, n VARCHAR(5))"},
    {"CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n integer, m mood)",
     "CREATE TABLE t (id INTEGER PRIMARY KEY, n INT4, m TEXT mood)"},
    {"CREATE TABLE t (n INTEGER, m \"public\".\"Mood\"[]) STRICT",
     "CREATE TABLE t (n INTEGER, m TEXT) STRICT"},
    {"CREATE TYPE public.mood AS ENUM ('sad', 'it''s')",
     "CREATE VIEW mood (enumlabel, enumsortorder) AS VALUES ( 'sad' , 1) , ( 'it''s' , 2)"},
    {"DO $$ BEGIN CREATE TYPE mood AS ENUM ('a'); EXCEPTION WHEN duplicate_object THEN null; END "
     "$$",
     "CREATE VIEW IF NOT EXISTS mood (enumlabel, enumsortorder) AS VALUES ( 'a' , 1)"},
    {"ALTER TYPE public.mood ADD VALUE 'b' BEFORE 'a'", "ALTER TYPE mood ADD VALUE 'b' BEFORE 'a'"},
    {"DROP TABLE IF EXISTS a, public.b CASCADE",
     "ALTER TABLE IF EXISTS a DROP REFERENCES ; DROP TABLE IF EXISTS a ; ALTER TABLE IF EXISTS b "
     "DROP REFERENCES ; DROP TABLE IF EXISTS b"},
    {"DROP TYPE IF EXISTS public.mood", "DROP VIEW IF EXISTS mood"},
    {"ALTER INDEX IF EXISTS public.i RENAME TO j", "ALTER INDEX IF EXISTS i RENAME TO j"},
    {"SELECT a AS primary, b AS \"order\" FROM t",
     "SELECT a AS \"primary\", b AS \"order\" FROM t"},
    {"CREATE TABLE t (id BIGSERIAL NOT NULL, PRIMARY KEY (id)) WITH (fillfactor=100)",
     "CREATE TABLE t (id INTEGER NOT NULL, PRIMARY KEY (id))"},
    {"CREATE TABLE t (id int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY)",
     "CREATE TABLE t (id INTEGER CONSTRAINT int4 NOT NULL PRIMARY KEY)"},
    {"CREATE TABLE t (c text PRIMARY KEY, d timestamptz DEFAULT now())",
     "CREATE TABLE t (c TEXT PRIMARY KEY NOT NULL, d TIMESTAMPTZ DEFAULT ( "
     "strftime('%Y-%m-%d %H:%M:%f', 'now') ))"},
    {"CREATE INDEX CONCURRENTLY i ON public.t USING btree (a text_pattern_ops DESC NULLS LAST)",
     "CREATE INDEX i ON t (a DESC)"},
    {"ALTER TABLE t ADD PRIMARY KEY (a)", "ALTER TABLE t ADD PRIMARY KEY (a)"},
    {"ALTER TABLE ONLY public.t ADD CONSTRAINT x UNIQUE (a) DEFERRABLE, ADD CONSTRAINT y FOREIGN "
     "KEY (b) REFERENCES public.u (id) ON DELETE SET NULL NOT VALID",
     "ALTER TABLE t ADD CONSTRAINT x UNIQUE (a) ; ALTER TABLE t ADD CONSTRAINT y FOREIGN KEY (b) "
     "REFERENCES u (id) ON DELETE SET NULL NOT VALID"},
    {"ALTER TABLE t ALTER a TYPE bigint, ALTER COLUMN b DROP NOT NULL",
     "ALTER TABLE t ALTER COLUMN a TYPE bigint ; UPDATE t SET a = pg_int8( a ) WHERE a IS NOT "
     "pg_int8( a ) OR typeof( a ) <> typeof( pg_int8( a ) ) ; ALTER TABLE t ALTER COLUMN b DROP "
     "NOT "
     "NULL"},
    {"ALTER TABLE t ALTER COLUMN a SET DATA TYPE varchar(20) USING a::text",
     "ALTER TABLE t ALTER COLUMN a TYPE BLOB ; UPDATE t SET a = ( CAST(a AS TEXT) ) WHERE a IS NOT "
     "( CAST(a AS TEXT) ) OR typeof( a ) <> typeof( ( CAST(a AS TEXT) ) ) ; ALTER TABLE t ALTER "
     "COLUMN a TYPE VARCHAR(20)"},
    {"ALTER TABLE t ALTER a SET DEFAULT now(), ALTER b SET DEFAULT 'x'::text, ALTER c DROP DEFAULT",
     "ALTER TABLE t ALTER COLUMN a SET DEFAULT ( strftime('%Y-%m-%d %H:%M:%f', 'now') ) ; ALTER "
     "TABLE t ALTER COLUMN b SET DEFAULT ( CAST('x' AS TEXT) ) ; ALTER TABLE t ALTER COLUMN c DROP "
     "DEFAULT"},
    {"ALTER TABLE t DROP COLUMN IF EXISTS a, DROP CONSTRAINT IF EXISTS x CASCADE, DROP b",
     "ALTER TABLE t DROP COLUMN IF EXISTS a CASCADE ; ALTER TABLE t DROP CONSTRAINT IF EXISTS x ; "
     "ALTER TABLE t DROP COLUMN b CASCADE"},
    {"ALTER TABLE t ADD a int NOT NULL CONSTRAINT u UNIQUE CHECK (a > 0)",
     "ALTER TABLE t ADD COLUMN a INT4 CHECK (a > 0) ; ALTER TABLE t ALTER COLUMN a SET NOT NULL ; "
     "ALTER TABLE t ADD CONSTRAINT u UNIQUE ( a )"},
    {"ALTER TABLE t ADD COLUMN a timestamptz DEFAULT now() NOT NULL",
     "ALTER TABLE t ADD COLUMN a TIMESTAMPTZ ; ALTER TABLE t ALTER COLUMN a SET DEFAULT ( "
     "strftime('%Y-%m-%d %H:%M:%f', 'now') ) ; UPDATE t SET a = pg_default( 't' , 'a' ) ; ALTER "
     "TABLE t ALTER COLUMN a SET NOT NULL"},
    {"ALTER TABLE t ADD COLUMN a INT4 DEFAULT 1 NOT NULL CONSTRAINT f REFERENCES u (id) ON DELETE "
     "SET DEFAULT DEFERRABLE INITIALLY DEFERRED",
     "ALTER TABLE t ADD COLUMN a INT4 DEFAULT 1 NOT NULL ; ALTER TABLE t ADD CONSTRAINT f FOREIGN "
     "KEY ( a ) REFERENCES u (id) ON DELETE SET DEFAULT DEFERRABLE INITIALLY DEFERRED"},
    {"ALTER TABLE t ADD COLUMN a INT4 GENERATED ALWAYS AS (b * 2) STORED",
     "ALTER TABLE t ADD COLUMN a INT4 GENERATED ALWAYS AS (b * 2)"},
    {"ALTER TABLE t ALTER id SET DEFAULT nextval('t_id_seq'::regclass)",
     "ALTER TABLE t ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY"},
    {"ALTER TABLE t RENAME CONSTRAINT a TO b", "ALTER TABLE t RENAME CONSTRAINT a TO b"},
    {"ALTER TABLE t OWNER TO me", ""},
    {"DROP TABLE IF EXISTS a, b", "DROP TABLE IF EXISTS a ; DROP TABLE IF EXISTS b"},
    {"TRUNCATE a, b RESTART IDENTITY", "DELETE FROM a ; DELETE FROM b"},
    {"COMMENT ON TABLE t IS 'x'", ""},
    /* the rest */
    {"START TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ WRITE", "BEGIN"},
    {"ABORT", "ROLLBACK"},
    {"ROLLBACK TO SAVEPOINT a", "ROLLBACK TO SAVEPOINT a"},
    {"VACUUM ANALYZE t", "ANALYZE t"},
    {"VACUUM t", ""},
};

static void test_pairs(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        struct buf b = BUF_INIT;
        struct err e = ERR_INIT;
        bool changed;

        if (pg_dialect(pairs[i].in, strlen(pairs[i].in), &b, &changed, &e) != ERR_OK)
            fail_msg("%s: %s", pairs[i].in, e.msg);
        if (changed != (pairs[i].out != NULL))
            fail_msg("%s: %s", pairs[i].in, changed ? buf_cstr(&b) : "was not changed");
        if (changed)
            assert_string_equal(buf_cstr(&b), pairs[i].out);
        buf_free(&b);
    }
}

static const struct {
    const char *in;
    enum err_code code;
    int offset;
} errors[] = {
    {"SELECT E'abc", ERR_SYNTAX, 7},
    {"SELECT (a::int", ERR_SYNTAX, 14},
    {"SELECT a::int)", ERR_SYNTAX, 13},
    {"SELECT a::", ERR_SYNTAX, -2},
    {"SELECT a @> b FROM t", ERR_UNSUPPORTED, 9},
    {"SELECT a > ANY(b) FROM t", ERR_UNSUPPORTED, 9},
    {"SELECT E'\\u0000'", ERR_SYNTAX, 7},
    {"SELECT now() - interval '1 parsec'", ERR_PARAM, 24},
    {"CREATE TABLE t (a int, n serial)", ERR_UNSUPPORTED, -2},
    {"CREATE VIEW v AS SELECT a ~ 'x' FROM t", ERR_UNSUPPORTED, -2},
    {"CREATE TABLE t (a text DEFAULT md5('x'))", ERR_UNSUPPORTED, -2},
    {"ALTER VIEW v RENAME TO w", ERR_UNSUPPORTED, 6},
    {"CREATE FUNCTION f() RETURNS int AS $$ $$ LANGUAGE sql", ERR_UNSUPPORTED, -2},
    {"DO $$ BEGIN END $$", ERR_UNSUPPORTED, -2},
    {"COMMIT AND CHAIN", ERR_UNSUPPORTED, -2},
    /* two statements for SQLite */
    {"PRAGMA user_version /* /* */ */ = E'\\'; COMMIT; --'", ERR_SYNTAX, -1},
    {"SELECT (1; COMMIT)", ERR_SYNTAX, 9},
};

static void test_errors(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        struct buf b = BUF_INIT;
        struct err e = ERR_INIT;
        bool changed;

        if (pg_dialect(errors[i].in, strlen(errors[i].in), &b, &changed, &e) != errors[i].code)
            fail_msg("%s: %s", errors[i].in, e.code ? e.msg : "was taken");
        if (errors[i].offset != -2)
            assert_int_equal(e.offset, errors[i].offset);
        buf_free(&b);
    }
}

static void test_deep(void **state)
{
    struct buf in = BUF_INIT, out = BUF_INIT;
    struct err e = ERR_INIT;
    bool changed;

    (void)state;
    buf_puts(&in, "SELECT ");
    for (int i = 0; i < 5000; i++)
        buf_puts(&in, "substring(a from ");
    buf_puts(&in, "1");
    for (int i = 0; i < 5000; i++)
        buf_puts(&in, ")");
    assert_int_equal(pg_dialect(in.data, in.len, &out, &changed, &e), ERR_TOO_BIG);
    buf_free(&in);
    buf_free(&out);
}

/* What stands around an operand is as deep, however flat it is written: refused, and soon. */
static void test_deep_operands(void **state)
{
    static const struct {
        const char *first, *again;
    } cases[] = {{"SELECT 1", "::int"},
                 {"SELECT a", "[1]"},
                 {"SELECT now()", " - interval '1 day'"},
                 {"SELECT 2", " ^ 2"}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf in = BUF_INIT, out = BUF_INIT;
        struct err e = ERR_INIT;
        bool changed;

        buf_puts(&in, cases[i].first);
        for (int k = 0; k < 500; k++)
            buf_puts(&in, cases[i].again);
        assert_int_equal(pg_dialect(in.data, in.len, &out, &changed, &e), ERR_OK);
        for (int k = 500; k < 100000; k++)
            buf_puts(&in, cases[i].again);
        assert_int_equal(pg_dialect(in.data, in.len, &out, &changed, &e), ERR_TOO_BIG);
        assert_string_equal(err_sqlstate(e.code), "54000");
        buf_free(&in);
        buf_free(&out);
    }
}

/* No token is looked for from the beginning of the statement for each other one. */
static void test_long(void **state)
{
    static const struct {
        const char *first, *again, *last;
    } cases[] = {{"SELECT 1::int", ", now()", ""},
                 {"SELECT 1::int FROM t WHERE a IN ('t'", ", 't'", ")"},
                 {"SELECT 1::int FROM pg_class WHERE 1 = 1", " AND indisunique = 't'", ""},
                 {"SELECT 1::int, CASE indisunique", " WHEN 't' THEN 1", " END FROM pg_index"},
                 {"UPDATE t SET a = DEFAULT", ", a = DEFAULT", ""},
                 {"CREATE INDEX ON t (a", ", a text_ops", ")"}};
    int64_t began = clock_mono_ns();

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf in = BUF_INIT, out = BUF_INIT;
        struct err e = ERR_INIT;
        bool changed;

        buf_puts(&in, cases[i].first);
        for (int k = 0; k < 30000; k++)
            buf_puts(&in, cases[i].again);
        buf_puts(&in, cases[i].last);
        assert_int_equal(pg_dialect(in.data, in.len, &out, &changed, &e), ERR_OK);
        buf_free(&in);
        buf_free(&out);
        assert_true((clock_mono_ns() - began) / CLOCK_S < 30);
    }
}

static void test_split(void **state)
{
    static const struct {
        const char *first, *rest;
    } cases[] = {
        {"SELECT 1;", " SELECT 2"},
        {"SELECT ';' ;", "x"},
        {"SELECT E'\\';' ;", "x"},
        {"SELECT $a$ ; $b$ ; $a$;", "x"},
        {"SELECT /* ; /* ; */ ; */ 1;", "x"},
        {"SELECT \"a;b\" -- ;\n;", "x"},
        {"SELECT 1 -- ;\r;", "x"},
        {"CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT CASE 1 WHEN 1 THEN 2 END; SELECT 1; END;",
         "x"},
        {"SELECT 1", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf b = BUF_INIT;
        buf_puts(&b, cases[i].first);
        buf_puts(&b, cases[i].rest);
        assert_int_equal(pg_dialect_split(b.data, b.len), strlen(cases[i].first));
        buf_free(&b);
    }
}

static void test_commands(void **state)
{
    static const struct {
        const char *sql;
        enum pg_command command;
        const char *tag;
    } cases[] = {
        {" ; ", PG_COMMAND_EMPTY, ""},
        {"-- x", PG_COMMAND_EMPTY, ""},
        {"select 1", PG_COMMAND_SQL, "SELECT"},
        {"(SELECT 1)", PG_COMMAND_SQL, "SELECT"},
        {"WITH x AS (SELECT 1) DELETE FROM t", PG_COMMAND_SQL, "DELETE"},
        {"create unique index i on t(a)", PG_COMMAND_SQL, "CREATE INDEX"},
        {"START TRANSACTION", PG_COMMAND_BEGIN, "START TRANSACTION"},
        {"ROLLBACK TO a", PG_COMMAND_ROLLBACK_TO, "ROLLBACK"},
        {"end", PG_COMMAND_COMMIT, "COMMIT"},
        {"CREATE DATABASE x", PG_COMMAND_CREATE_DATABASE, "CREATE DATABASE"},
        {"TRUNCATE a", PG_COMMAND_SQL, "TRUNCATE TABLE"},
        {"deallocate all", PG_COMMAND_DEALLOCATE, "DEALLOCATE ALL"},
    };
    char tag[PG_TAG_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(pg_command(cases[i].sql, strlen(cases[i].sql), tag), cases[i].command);
        assert_string_equal(tag, cases[i].tag);
    }
}

static void test_column_names(void **state)
{
    static const struct {
        const char *sqlite, *name;
    } cases[] = {
        {"count(*)", "count"},
        {"version()", "version"},
        {"1 + 1", "?column?"},
        {"CAST(t.x AS TEXT)", "x"},
        {"'a'", "?column?"},
        {"a || b", "?column?"},
        {"CASE WHEN 1 THEN 2 END", "case"},
        {"sum(a) FILTER (WHERE b)", "sum"},
        {"max(a) + 1", "?column?"},
        {"plain", "plain"},
        {"5", "?column?"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t n;
        const char *s = pg_column_name(cases[i].sqlite, &n);
        assert_int_equal(n, strlen(cases[i].name));
        assert_memory_equal(s, cases[i].name, n);
    }
}

static void test_position(void **state)
{
    static const char in[] = "SELECT a::text, nope FROM public.t";
    struct buf b = BUF_INIT;
    struct err e = ERR_INIT;
    bool changed;

    (void)state;
    assert_int_equal(pg_dialect(in, strlen(in), &b, &changed, &e), ERR_OK);
    assert_int_equal(
        pg_dialect_position(in, strlen(in), (size_t)(strstr(buf_cstr(&b), "nope") - b.data)),
        strstr(in, "nope") - in);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pairs),    cmocka_unit_test(test_errors),
        cmocka_unit_test(test_deep),     cmocka_unit_test(test_deep_operands),
        cmocka_unit_test(test_long),     cmocka_unit_test(test_split),
        cmocka_unit_test(test_commands), cmocka_unit_test(test_column_names),
        cmocka_unit_test(test_position),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
