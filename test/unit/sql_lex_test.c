/* One case a line: what lex_statement() makes of a text, and where statements end. */
#include "sql/lex.h"

#include "sql_temp.h"

struct lex_case {
    const char *sql;
    enum lex_kind kind;
    const char *name; /* NULL = none */
    const char *rest; /* behind the statement; NULL = not a kind that has a length */
};

static const struct lex_case kinds[] = {
    {"", LEX_EMPTY, NULL, ""},
    {" \t\r\n\f", LEX_EMPTY, NULL, ""},
    {";", LEX_EMPTY, NULL, ""},
    {";;", LEX_EMPTY, NULL, ";"},
    {" -- nothing", LEX_EMPTY, NULL, ""},
    {"-- nothing\n; SELECT 1", LEX_EMPTY, NULL, " SELECT 1"},
    {"/* ; */ ; x", LEX_EMPTY, NULL, " x"},
    {"/* never ends ; SELECT", LEX_EMPTY, NULL, ""},
    {"/* not /* nested */ SELECT 1", LEX_READ, NULL, NULL},
    {"/*/ still inside */", LEX_EMPTY, NULL, ""},
    {"/**/", LEX_EMPTY, NULL, ""},
    {"/*", LEX_OTHER, NULL, NULL},
    {"\xEF\xBB\xBFSELECT 1", LEX_READ, NULL, NULL},
    {"\xEF\xBB\xBF ; x", LEX_EMPTY, NULL, " x"},
    {"\xEF\xBB", LEX_OTHER, NULL, NULL},
    {"\v;", LEX_OTHER, NULL, NULL},
    {" \v\n;x", LEX_EMPTY, NULL, "x"},

    {"BEGIN", LEX_BEGIN, NULL, ""},
    {"begin;SELECT 1", LEX_BEGIN, NULL, "SELECT 1"},
    {" /* c */ Begin /* d */ ; -- x", LEX_BEGIN, NULL, " -- x"},
    {"BEGIN -- to the end", LEX_BEGIN, NULL, ""},
    {"BEGIN TRANSACTION;", LEX_BEGIN, NULL, ""},
    {"BEGIN TRANSACTION mine;", LEX_BEGIN, NULL, ""},
    {"BEGIN DEFERRED", LEX_BEGIN, NULL, ""},
    {"BEGIN DEFERRED TRANSACTION", LEX_BEGIN, NULL, ""},
    {"BEGIN IMMEDIATE", LEX_BEGIN_WRITE, NULL, ""},
    {"BEGIN IMMEDIATE TRANSACTION;", LEX_BEGIN_WRITE, NULL, ""},
    {"begin exclusive ;;", LEX_BEGIN_WRITE, NULL, ";"},
    {"BEGIN CONCURRENT", LEX_OTHER, NULL, NULL},
    {"BEGIN IMMEDIATE EXCLUSIVE", LEX_OTHER, NULL, NULL},
    {"BEGIN 1", LEX_OTHER, NULL, NULL},
    {"BEGIN SELECT 1", LEX_OTHER, NULL, NULL},
    {"BEGINNING", LEX_OTHER, NULL, NULL},
    {"\"BEGIN\"", LEX_OTHER, NULL, NULL},
    {"START TRANSACTION", LEX_BEGIN, NULL, ""},
    {"start transaction; x", LEX_BEGIN, NULL, " x"},
    {"START", LEX_OTHER, NULL, NULL},
    {"START TRANSACTION x", LEX_OTHER, NULL, NULL},

    {"COMMIT", LEX_COMMIT, NULL, ""},
    {"END", LEX_COMMIT, NULL, ""},
    {"END TRANSACTION;", LEX_COMMIT, NULL, ""},
    {"COMMIT TRANSACTION mine ;", LEX_COMMIT, NULL, ""},
    {"COMMIT 'x'", LEX_OTHER, NULL, NULL},
    {"COMMIT AND CHAIN", LEX_OTHER, NULL, NULL},

    {"ROLLBACK", LEX_ROLLBACK, NULL, ""},
    {"ROLLBACK TRANSACTION;", LEX_ROLLBACK, NULL, ""},
    {"ROLLBACK TRANSACTION mine;", LEX_ROLLBACK, NULL, ""},
    {"ROLLBACK TO a;", LEX_ROLLBACK_TO, "a", ""},
    {"ROLLBACK TO SAVEPOINT a", LEX_ROLLBACK_TO, "a", ""},
    {"ROLLBACK TRANSACTION TO a", LEX_ROLLBACK_TO, "a", ""},
    {"ROLLBACK TRANSACTION mine TO SAVEPOINT [a b]", LEX_ROLLBACK_TO, "a b", ""},
    {"ROLLBACK TO", LEX_OTHER, NULL, NULL},
    {"ROLLBACK TO SAVEPOINT", LEX_OTHER, NULL, NULL},
    {"ROLLBACK x", LEX_OTHER, NULL, NULL},

    {"SAVEPOINT a", LEX_SAVEPOINT, "a", ""},
    {"SAVEPOINT \"a\"\"b\" ; x", LEX_SAVEPOINT, "a\"\"b", " x"},
    {"SAVEPOINT `a`", LEX_SAVEPOINT, "a", ""},
    {"SAVEPOINT 'a;b'", LEX_SAVEPOINT, "a;b", ""},
    {"SAVEPOINT \"\"", LEX_SAVEPOINT, "", ""},
    {"SAVEPOINT s\xC3\xA9", LEX_SAVEPOINT, "s\xC3\xA9", ""},
    {"SAVEPOINT savepoint", LEX_SAVEPOINT, "savepoint", ""},
    {"SAVEPOINT", LEX_OTHER, NULL, NULL},
    {"SAVEPOINT 1", LEX_OTHER, NULL, NULL},
    {"SAVEPOINT a b", LEX_OTHER, NULL, NULL},
    {"SAVEPOINT \"a", LEX_OTHER, NULL, NULL},
    {"RELEASE a", LEX_RELEASE, "a", ""},
    {"RELEASE SAVEPOINT a;", LEX_RELEASE, "a", ""},
    {"RELEASE", LEX_OTHER, NULL, NULL},

    {"select 1", LEX_READ, NULL, NULL},
    {"VALUES(1)", LEX_READ, NULL, NULL},
    {"EXPLAIN INSERT INTO t VALUES(1)", LEX_READ, NULL, NULL},
    {"INSERT INTO t VALUES(1)", LEX_WRITE, NULL, NULL},
    {"replace into t values(1)", LEX_WRITE, NULL, NULL},
    {"UPDATE t SET a=1", LEX_WRITE, NULL, NULL},
    {"DELETE FROM t", LEX_WRITE, NULL, NULL},
    {"CREATE TABLE t(a)", LEX_DDL, NULL, NULL},
    {"DROP TABLE t", LEX_DDL, NULL, NULL},
    {"ALTER TABLE t ADD b", LEX_DDL, NULL, NULL},
    {"REINDEX", LEX_DDL, NULL, NULL},
    {"ANALYZE", LEX_DDL, NULL, NULL},
    {"PRAGMA user_version", LEX_PRAGMA, NULL, NULL},
    {"VACUUM INTO 'x'", LEX_VACUUM, NULL, NULL},
    {"HISTORY", LEX_HISTORY, NULL, ""},
    {"history 100; SELECT 1", LEX_HISTORY, NULL, " SELECT 1"},
    {"/* ; */ HISTORY '5;m';x", LEX_HISTORY, NULL, "x"},
    {"UNDO 150.2", LEX_UNDO, NULL, ""},
    {"undoe $1 -- ;\n; y", LEX_UNDO, NULL, " y"},
    {"UnDoT '10m'", LEX_UNDO, NULL, ""},
    {"UNDOX 1", LEX_OTHER, NULL, NULL},
    {"\"UNDO\" 1", LEX_OTHER, NULL, NULL},
    {"WITH x AS (SELECT 1) SELECT * FROM x", LEX_OTHER, NULL, NULL},
    {"ATTACH 'x' AS y", LEX_OTHER, NULL, NULL},
    {"(SELECT 1)", LEX_OTHER, NULL, NULL},
    {"selected", LEX_OTHER, NULL, NULL},
    {"?", LEX_OTHER, NULL, NULL},
};

static void test_kinds(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        const struct lex_case *k = &kinds[i];
        /* A copy of exactly the text's length, so that a sanitizer sees every byte too far. */
        size_t len = strlen(k->sql);
        char *copy = malloc(len + 1);
        struct lex x;

        memcpy(copy, k->sql, len);
        copy = realloc(copy, len ? len : 1);
        x = lex_statement(copy, len);
        if (x.kind != k->kind)
            fail_msg("'%s': kind %d, not %d", k->sql, x.kind, k->kind);
        if ((x.name != NULL) != (k->name != NULL) ||
            (k->name &&
             (x.name_len != strlen(k->name) || memcmp(x.name, k->name, x.name_len) != 0)))
            fail_msg("'%s': name '%.*s'", k->sql, (int)x.name_len, x.name ? x.name : "");
        if (k->rest && (x.len > len || strcmp(k->sql + x.len, k->rest) != 0))
            fail_msg("'%s': length %zu", k->sql, x.len);
        free(copy);
    }
}

/* Statements are separated by "|" here. */
static const char *const splits[] = {
    "SELECT 1;|SELECT 2",
    "SELECT ';';| x",
    "SELECT \"a;b\", `;`, [;], 'it''s ;';|",
    "SELECT 1 /* ; */ + 2 -- ;\n ;| x",
    "SELECT $a(;), :b;| x",
    "SELECT $a::b(;);|",
    "SELECT '",
    "SELECT ';",
    "SELECT 1 -- ;",
    "SELECT x'3B';|",
    "CREATE TABLE t(a);| x",
    "CREATE TRIGGER t AFTER INSERT ON u BEGIN SELECT 1; SELECT 2; END;| x",
    "CREATE TEMP TRIGGER t AFTER INSERT ON u BEGIN SELECT CASE 1 WHEN 1 THEN 2 END; END;| x",
    "create temporary trigger t after insert on u begin select 1;\n end -- c\n ;| x",
    "CREATE TRIGGER IF NOT EXISTS t AFTER INSERT ON u BEGIN SELECT 1; END",
    "EXPLAIN CREATE TRIGGER t AFTER INSERT ON u BEGIN SELECT 1; END;| x",
    "EXPLAIN QUERY PLAN CREATE TRIGGER t AFTER INSERT ON u BEGIN SELECT 1; END;| x",
    "EXPLAIN SELECT 1;| x",
    "CREATE TRIGGER t AFTER INSERT ON u BEGIN SELECT 1; ended; END;| x",
    "CREATE TRIGGER t AFTER INSERT ON u BEGIN SELECT 1; SELECT \"END\"; END;| x",
    "CREATE VIEW trigger AS SELECT 1;| x",
    ";|",
    "\xEF\xBB\xBF;| x",
};

static void test_length(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof splits / sizeof splits[0]; i++) {
        const char *bar = strchr(splits[i], '|');
        size_t want = bar ? (size_t)(bar - splits[i]) : strlen(splits[i]);
        char sql[256];

        snprintf(sql, sizeof sql, "%.*s%s", (int)want, splits[i], bar ? bar + 1 : "");
        if (lex_length(sql, strlen(sql)) != want)
            fail_msg("'%s': %zu, not %zu", sql, lex_length(sql, strlen(sql)), want);
    }
}

/* Byte by byte it ends where it ends as a whole, and never before. */
static void test_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof splits / sizeof splits[0]; i++) {
        const char *bar = strchr(splits[i], '|');
        size_t want = bar ? (size_t)(bar - splits[i]) : 0;
        struct lex_split s = LEX_SPLIT_INIT;
        char sql[256];

        snprintf(sql, sizeof sql, "%.*s%s", (int)(bar ? want : strlen(splits[i])), splits[i],
                 bar ? bar + 1 : "");
        for (size_t n = 0; n <= strlen(sql) && (want == 0 || n <= want); n++) {
            size_t got = lex_split(&s, sql, n);
            if (got != (n == want ? want : 0))
                fail_msg("'%s': %zu at byte %zu, not at %zu", sql, got, n, want);
        }
    }
}

static void test_split_of_hard_places(void **state)
{
    static const char *const cases[] = {
        "SELECT 1 /*;*/ ;",
        "SELECT $a::b;",
        "SELECT 'a;''b;';",
        "\xEF\xBB\xBFSELECT 1;",
        "CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT 1; END;",
        "-- ;\nSELECT 1;",
        "SELECT [;];",
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct lex_split s = LEX_SPLIT_INIT;
        size_t len = strlen(cases[i]);

        for (size_t n = 0; n < len; n++)
            if (lex_split(&s, cases[i], n) > 0)
                fail_msg("'%s' ends at byte %zu", cases[i], n);
        assert_int_equal(lex_split(&s, cases[i], len), len);
    }
}

static void test_unquote(void **state)
{
    static const char *const cases[][2] = {
        {"abc", "abc"},      {"\"a\"\"b\"", "a\"b"}, {"`a``b`", "a`b"}, {"[a]", "a"},
        {"'it''s'", "it's"}, {"\"\"", ""},           {"[a[b]", "a[b"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *at = cases[i][0];
        struct lex_token t;
        char out[32];

        assert_true(lex_next(&at, at + strlen(at), &t));
        assert_int_equal(lex_unquote(&t, out), strlen(cases[i][1]));
        assert_string_equal(out, cases[i][1]);
        assert_false(lex_next(&at, at + strlen(at), &t));
        assert_int_equal(t.type, LEX_TOKEN_END);
    }
}

/* Every prefix of a text with everything in it: no byte beyond the end, and every token moves on.
 */
static void test_prefixes(void **state)
{
    static const char all[] =
        "/* c */ SELECT \"q\"\"\", [b], `t`, 'x''y', $a::b(c), ?12, :n, @v, #1,"
        "1.5e+3, .5, a->>'$', b||c -- d\n; \xEF\xBB\xBF \xC3\xA9 ROLLBACK TO x";

    (void)state;
    for (size_t n = 0; n < sizeof all; n++) {
        char *copy = malloc(n ? n : 1);
        const char *at = copy, *before = copy;
        struct lex_token t;

        memcpy(copy, all, n);
        while (lex_next(&at, copy + n, &t)) {
            assert_true(t.len > 0 && at > before && at <= copy + n);
            before = at;
        }
        assert_true(lex_length(copy, n) <= n);
        assert_true(lex_statement(copy, n).len <= n);
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),   cmocka_unit_test(test_length),
        cmocka_unit_test(test_split),   cmocka_unit_test(test_split_of_hard_places),
        cmocka_unit_test(test_unquote), cmocka_unit_test(test_prefixes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
