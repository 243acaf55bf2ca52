/* Messages applied: which row is meant, what happens where the file is not as the message expects.
 */
#include "sql_pair.h"

#include "base/log.h"

/* A copy alone, with a schema of its own. */
static void open_copy(struct pair *p, enum apply_mode mode, enum row_identify identify,
                      const char *sql)
{
    sqlite3 *db;

    pair_files(p);
    PAIR_OK(p, apply_open(&p->a, &p->copy_cfg, mode, identify, &p->e));
    PAIR_OK(p, position_init(apply_conn(p->a), &p->e));
    db = pair_look(p->copy);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    sqlite3_close(db);
}

static enum err_code apply_changes(struct pair *p, const char *changes)
{
    struct buf b = BUF_INIT;
    enum err_code code;

    buf_printf(&b, "{\"node\":\"n\",\"changes\":[%s],\"id\":\"i\"}", changes);
    code = pair_apply_bytes(p, b.data, b.len);
    buf_free(&b);
    return code;
}

#define APPLY(p, changes)                                                                          \
    do {                                                                                           \
        if (apply_changes(p, changes) != ERR_OK)                                                   \
            fail_msg("%s: %s", err_name((p)->e.code), (p)->e.msg);                                 \
    } while (0)

#define REFUSED(p, changes, expected, text)                                                        \
    do {                                                                                           \
        assert_int_equal(apply_changes(p, changes), expected);                                     \
        if (!strstr((p)->e.msg, text))                                                             \
            fail_msg("%s", (p)->e.msg);                                                            \
    } while (0)

static void assert_rows(struct pair *p, const char *sql, const char *expected)
{
    struct buf b = BUF_INIT;
    sqlite3 *db = pair_look(p->copy);

    pair_query(db, sql, &b);
    assert_string_equal(buf_cstr(&b), expected);
    sqlite3_close(db);
    buf_free(&b);
}

#define T(op)                                                                                      \
    "{\"table\":\"t\",\"columns\":[\"k\",\"v\"],\"pk_columns\":[\"k\"],\"operation\":\"" op "\","
#define N(op)                                                                                      \
    "{\"table\":\"t\",\"columns\":[\"k\",\"v\"],\"pk_columns\":[],\"operation\":\"" op "\","
#define SQL(text) "{\"operation\":\"SQL\",\"command\":\"" text "\"}"

/* ---- strict ---- */

static void strict_meets_the_row_or_stops(void **state)
{
    struct pair p;

    (void)state;
    open_copy(&p, APPLY_STRICT, ROW_BY_PK, "CREATE TABLE t(k INTEGER PRIMARY KEY, v UNIQUE)");
    APPLY(&p, T("INSERT") "\"new_rowid\":1,\"new_values\":[1,\"a\"]}");
    REFUSED(&p, T("INSERT") "\"new_rowid\":1,\"new_values\":[1,\"b\"]}", ERR_DIVERGED,
            "INSERT of table t, k=1: UNIQUE");
    REFUSED(&p, T("INSERT") "\"new_rowid\":2,\"new_values\":[2,\"a\"]}", ERR_DIVERGED, "t.v");
    REFUSED(
        &p,
        T("UPDATE") "\"old_rowid\":2,\"new_rowid\":2,\"old_values\":[2,1],\"new_values\":[2,3]}",
        ERR_DIVERGED, "UPDATE of table t, k=2: 0 rows");
    REFUSED(&p, T("DELETE") "\"old_rowid\":2,\"old_values\":[2,1]}", ERR_DIVERGED, "0 rows");
    REFUSED(&p, "{\"table\":\"u\",\"columns\":[\"a\"],\"operation\":\"INSERT\",\"new_values\":[1]}",
            ERR_DIVERGED, "table u: no such table");
    REFUSED(
        &p,
        "{\"table\":\"t\",\"columns\":[\"k\",\"w\"],\"operation\":\"INSERT\",\"new_values\":[5,1]}",
        ERR_DIVERGED, "table t");
    /* The whole message goes, not only the change. */
    REFUSED(&p,
            T("DELETE") "\"old_rowid\":1,\"old_values\":[1,\"a\"]}," T(
                "DELETE") "\"old_rowid\":1,\"old_values\":[1,\"a\"]}",
            ERR_DIVERGED, "k=1");
    assert_rows(&p, "SELECT * FROM t", "int:1|text:a|\n");
    pair_close(&p);
}

static void strict_refuses_what_is_there_already(void **state)
{
    struct pair p;

    (void)state;
    open_copy(&p, APPLY_STRICT, ROW_BY_PK, "CREATE TABLE t(k)");
    REFUSED(&p, SQL("CREATE TABLE t(k)"), ERR_DIVERGED, "already exists");
    REFUSED(&p, SQL("DROP TABLE u"), ERR_DIVERGED, "no such table");
    REFUSED(&p, SQL("ALTER TABLE t ADD COLUMN k"), ERR_DIVERGED, "duplicate");
    APPLY(&p, SQL("CREATE TABLE IF NOT EXISTS t(k)"));
    pair_close(&p);
}

static void rows_without_a_key_are_known_by_rowid(void **state)
{
    struct pair p;

    (void)state;
    open_copy(&p, APPLY_STRICT, ROW_BY_PK, "CREATE TABLE t(k, v)");
    APPLY(&p, N("INSERT") "\"new_rowid\":7,\"new_values\":[1,1]}," N(
                  "INSERT") "\"new_rowid\":9,\"new_values\":[1,1]}");
    APPLY(
        &p,
        N("UPDATE") "\"old_rowid\":9,\"new_rowid\":11,\"old_values\":[1,1],\"new_values\":[1,2]}");
    APPLY(&p, N("DELETE") "\"old_rowid\":7,\"old_values\":[1,1]}");
    assert_rows(&p, "SELECT rowid, * FROM t", "int:11|int:1|int:2|\n");
    pair_close(&p);
}

static void a_null_in_the_key_means_the_rowid(void **state)
{
    struct pair p;

    (void)state;
    open_copy(&p, APPLY_STRICT, ROW_BY_PK, "CREATE TABLE t(k TEXT PRIMARY KEY, v)");
    APPLY(&p, T("INSERT") "\"new_rowid\":1,\"new_values\":[null,1]}," T(
                  "INSERT") "\"new_rowid\":2,\"new_values\":[null,1]}");
    APPLY(&p, T("UPDATE") "\"old_rowid\":2,\"new_rowid\":2,\"old_values\":[null,1],\"new_values\":["
                          "\"x\",5]}");
    APPLY(&p, T("DELETE") "\"old_rowid\":1,\"old_values\":[null,1]}");
    assert_rows(&p, "SELECT rowid, * FROM t", "int:2|text:x|int:5|\n");
    pair_close(&p);
}

static void all_values_identify_one_of_equal_rows(void **state)
{
    struct pair p;

    (void)state;
    open_copy(&p, APPLY_STRICT, ROW_BY_FULL,
              "CREATE TABLE t(k, v COLLATE NOCASE); INSERT INTO t VALUES (1, 'a'), (1, 'a'), (1, "
              "'A'), (2, 2)");
    APPLY(&p, N("DELETE") "\"old_rowid\":2,\"old_values\":[1,\"a\"]}");
    assert_rows(&p, "SELECT rowid, v FROM t WHERE k = 1", "int:1|text:a|\nint:3|text:A|\n");
    APPLY(&p, N("DELETE") "\"old_rowid\":55,\"old_values\":[1,\"a\"]}");
    assert_rows(&p, "SELECT rowid, v FROM t WHERE k = 1", "int:3|text:A|\n");
    REFUSED(&p, N("DELETE") "\"old_rowid\":3,\"old_values\":[1,\"a\"]}", ERR_DIVERGED, "0 rows");
    REFUSED(
        &p,
        N("UPDATE") "\"old_rowid\":4,\"new_rowid\":4,\"old_values\":[2,3],\"new_values\":[2,4]}",
        ERR_DIVERGED, "0 rows");
    APPLY(&p, N("UPDATE") "\"old_rowid\":8,\"new_rowid\":8,\"old_values\":[2,2],\"new_values\":[2,"
                          "null]}");
    pair_close(&p);
}

static void a_key_is_what_its_index_says(void **state)
{
    static const char *const tables[] = {
        "CREATE TABLE t(a TEXT COLLATE NOCASE, b, PRIMARY KEY(a COLLATE BINARY))",
        "CREATE TABLE t(a TEXT COLLATE NOCASE, b, PRIMARY KEY(a COLLATE BINARY)) WITHOUT ROWID",
        "CREATE TABLE t(a TEXT COLLATE NOCASE, b, PRIMARY KEY(a COLLATE RTRIM))",
        "CREATE TABLE t(a TEXT COLLATE NOCASE, b, PRIMARY KEY(a, a COLLATE BINARY)) WITHOUT ROWID",
        "CREATE TABLE t(a TEXT COLLATE NOCASE, b, PRIMARY KEY(a, a COLLATE RTRIM))",
        "CREATE TABLE t(b, c DEFAULT 1, a TEXT, PRIMARY KEY(a, a, a, c))",
    };

    (void)state;
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        for (int mode = APPLY_STRICT; mode <= APPLY_LWW; mode++) {
            struct pair p;

            pair_open(&p, (enum apply_mode)mode);
            pair_run(&p, tables[i]);
            pair_run(&p, "INSERT INTO t(a, b) VALUES ('a', 0), ('A', 0), ('b', 0), ('B', 0)");
            pair_run(&p, "UPDATE t SET b = 1 WHERE a = 'a' COLLATE BINARY");
            pair_run(&p, "UPDATE t SET a = 'c' WHERE a = 'b' COLLATE BINARY");
            pair_run(&p, "DELETE FROM t WHERE a = 'A' COLLATE BINARY");
            pair_same(&p);
            pair_close(&p);
        }
    }
}

/* The other way round: two spellings of one key. */
static void lww_keys_are_one_where_their_index_says_so(void **state)
{
    struct pair p;

    (void)state;
    open_copy(&p, APPLY_LWW, ROW_BY_PK,
              "CREATE TABLE t(k TEXT, v, PRIMARY KEY(k COLLATE NOCASE)); INSERT INTO t VALUES"
              "('A', 1), ('B', 1)");
    APPLY(&p, T("INSERT") "\"new_rowid\":9,\"new_values\":[\"a\",2]}," T(
                  "DELETE") "\"old_rowid\":2,\"old_values\":[\"b\",1]}");
    assert_rows(&p, "SELECT * FROM t", "text:a|int:2|\n");
    pair_close(&p);
}

/* WITHOUT ROWID and STRICT are said behind the columns, whatever stands before them. */
static void tables_may_be_called_as_their_options(void **state)
{
    struct pair p;

    (void)state;
    pair_open(&p, APPLY_STRICT);
    pair_run(&p, "CREATE TABLE rowid(a); INSERT INTO rowid VALUES (1), (1), (3);"
                 "CREATE TABLE strict(a ANY, b ANY); INSERT INTO strict VALUES ('1', 2.0);"
                 "CREATE TABLE [without] (rowid INT, strict TEXT, PRIMARY KEY (rowid)) strict,"
                 " without rowid; INSERT INTO [without] VALUES (1, 'a')");
    pair_run(&p, "UPDATE rowid SET rowid = 100 WHERE a = 3");
    pair_same(&p);
    pair_run(&p, "DELETE FROM rowid; UPDATE [without] SET rowid = 2; UPDATE strict SET b = a");
    pair_same(&p);
    pair_close(&p);
}

static void rowids_identify_where_that_is_wanted(void **state)
{
    struct pair p;

    (void)state;
    open_copy(
        &p, APPLY_STRICT, ROW_BY_ROWID,
        "CREATE TABLE t(k TEXT PRIMARY KEY, v); INSERT INTO t(rowid, k, v) VALUES (5, 'a', 1)");
    APPLY(&p, T("UPDATE") "\"old_rowid\":5,\"new_rowid\":5,\"old_values\":[\"zz\",1],\"new_"
                          "values\":[\"b\",2]}");
    assert_rows(&p, "SELECT rowid, * FROM t", "int:5|text:b|int:2|\n");
    pair_close(&p);
}

static void checks_are_the_origins_business(void **state)
{
    struct pair p;

    (void)state;
    open_copy(&p, APPLY_STRICT, ROW_BY_PK,
              "CREATE TABLE t(k INTEGER PRIMARY KEY, v CHECK (v > 0)); CREATE TABLE log(x);"
              "CREATE TRIGGER r AFTER INSERT ON t BEGIN INSERT INTO log VALUES (1); END;"
              "CREATE TABLE c(t REFERENCES t ON DELETE CASCADE); INSERT INTO c VALUES (1)");
    APPLY(&p, T("INSERT") "\"new_rowid\":1,\"new_values\":[1,-5]}," T(
                  "DELETE") "\"old_rowid\":1,\"old_values\":[1,-5]}");
    assert_rows(&p, "SELECT (SELECT count(*) FROM log), (SELECT count(*) FROM c)",
                "int:0|int:1|\n");
    pair_close(&p);
}

static void generated_columns_are_computed(void **state)
{
    struct pair p;

    (void)state;
    open_copy(&p, APPLY_STRICT, ROW_BY_PK,
              "CREATE TABLE t(g AS (v + 1), k INTEGER PRIMARY KEY, v REAL, s AS (v) STORED)");
    APPLY(&p, T("INSERT") "\"new_rowid\":1,\"new_values\":[1,2]}");
    assert_rows(&p, "SELECT * FROM t", "real:0x1.8p+1|int:1|real:0x1p+1|real:0x1p+1|\n");
    pair_close(&p);
}

/* ---- what a message may do ---- */

static void only_schema_statements_are_run(void **state)
{
    static const char *const refused[] = {
        "SELECT 1",
        "INSERT INTO t VALUES (1)",
        "DELETE FROM t",
        "UPDATE t SET k = 1",
        "PRAGMA journal_mode=delete",
        "PRAGMA writable_schema=1",
        "ATTACH 'x' AS y",
        "DETACH y",
        "VACUUM",
        "VACUUM INTO 'x'",
        "BEGIN",
        "COMMIT",
        "SAVEPOINT x",
        "ROLLBACK",
        "",
        "  ",
        "-- nothing",
        "EXPLAIN CREATE TABLE x(a)",
        "CREATE TABLE x(a); DROP TABLE t",
        "CREATE TABLE ha_x(a)",
        "DROP TABLE ha_position",
        "DROP TABLE \\\"HA_position\\\"",
        "ALTER TABLE t RENAME TO ha_t",
        "CREATE TEMP TABLE x(a)",
        "CREATE TABLE temp.x(a)",
        "CREATE TABLE other.x(a)",
        "WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x",
        "CREATE TRIGGER ha_r AFTER INSERT ON t BEGIN SELECT 1; END",
        "CREATE TRIGGER r AFTER INSERT ON ha_position BEGIN SELECT 1; END",
    };
    struct pair p;

    (void)state;
    open_copy(&p, APPLY_LWW, ROW_BY_PK, "CREATE TABLE t(k); INSERT INTO t VALUES (1)");
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        char change[300];
        (void)snprintf(change, sizeof change, "{\"operation\":\"SQL\",\"command\":\"%s\"}",
                       refused[i]);
        if (apply_changes(&p, change) != ERR_FORMAT)
            fail_msg("%s: %s %s", refused[i], err_name(p.e.code), p.e.msg);
    }
    REFUSED(&p,
            "{\"table\":\"ha_position\",\"columns\":[\"id\"],\"operation\":\"INSERT\",\"new_"
            "values\":[1]}",
            ERR_FORMAT, "ha_position");
    REFUSED(&p,
            "{\"database\":\"temp\",\"table\":\"t\",\"columns\":[\"k\"],\"operation\":\"INSERT\","
            "\"new_values\":[1]}",
            ERR_FORMAT, "temp");
    REFUSED(&p,
            "{\"table\":\"sqlite_schema\",\"columns\":[\"name\"],\"operation\":\"INSERT\",\"new_"
            "values\":"
            "[\"x\"]}",
            ERR_FORMAT, "sqlite_schema");
    APPLY(&p, SQL("  /* fine */ PRAGMA user_version = 5 ; -- comment"));
    APPLY(&p, SQL("CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT 1; SELECT 2; END;"));
    APPLY(&p, SQL("CREATE INDEX main.i ON t(k)"));
    assert_rows(&p, "PRAGMA user_version", "int:5|\n");
    assert_rows(&p, "SELECT * FROM t", "int:1|\n");
    pair_close(&p);
}

static void broken_messages_change_nothing(void **state)
{
    struct pair p;

    (void)state;
    open_copy(&p, APPLY_LWW, ROW_BY_PK, "CREATE TABLE t(k, v)");
    assert_int_equal(apply_changes(&p, N("INSERT") "\"new_rowid\":1,\"new_values\":[1,1]},{}"),
                     ERR_FORMAT);
    assert_int_equal(pair_apply_bytes(&p, "{\"changes\":[", 12), ERR_FORMAT);
    assert_rows(&p, "SELECT * FROM t", "");
    APPLY(&p, N("INSERT") "\"new_rowid\":1,\"new_values\":[1,1]}");
    assert_rows(&p, "SELECT * FROM t", "int:1|int:1|\n");
    pair_close(&p);
}

static void the_position_is_in_the_same_transaction(void **state)
{
    const struct changeset_info *info;
    struct position pos = {.seq = 42, .msg_id = "i", .stream = "s", .stream_created = 9};
    const char *text = "{\"changes\":[" SQL("CREATE TABLE t(k)") "]}";
    struct pair p;

    (void)state;
    open_copy(&p, APPLY_STRICT, ROW_BY_PK, "");
    PAIR_OK(&p, apply_begin(p.a, &p.e));
    PAIR_OK(&p, apply_message(p.a, text, strlen(text), &info, &p.e));
    apply_rollback(p.a);
    assert_false(apply_took_schema(p.a));
    assert_rows(&p, "SELECT count(*) FROM ha_position", "int:0|\n");
    PAIR_OK(&p, apply_begin(p.a, &p.e));
    PAIR_OK(&p, apply_message(p.a, text, strlen(text), &info, &p.e));
    PAIR_OK(&p, apply_commit(p.a, &pos, &p.e));
    assert_true(apply_took_schema(p.a));
    assert_false(apply_took_schema(p.a));
    assert_rows(&p, "SELECT seq, msg_id FROM ha_position", "int:42|text:i|\n");
    pair_close(&p);
}

/* ---- last writer wins ---- */

static void lww_inserts_updates_and_deletes(void **state)
{
    struct pair p;

    (void)state;
    open_copy(&p, APPLY_LWW, ROW_BY_PK,
              "CREATE TABLE t(k INTEGER PRIMARY KEY, v UNIQUE);"
              "INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')");
    APPLY(&p, T("INSERT") "\"new_rowid\":1,\"new_values\":[1,\"x\"]}"); /* replaces */
    APPLY(&p, T("INSERT") "\"new_rowid\":4,\"new_values\":[4,\"b\"]}"); /* 2 goes */
    APPLY(&p, T("UPDATE") "\"old_rowid\":9,\"new_rowid\":9,\"old_values\":[9,1],\"new_values\":[9,"
                          "9]}"); /* inserts */
    APPLY(&p, T("UPDATE") "\"old_rowid\":9,\"new_rowid\":9,\"old_values\":[9,1],\"new_values\":[9,"
                          "\"c\"]}"); /* 3 goes */
    APPLY(&p, T("DELETE") "\"old_rowid\":77,\"old_values\":[77,1]}");
    assert_rows(&p, "SELECT * FROM t", "int:1|text:x|\nint:4|text:b|\nint:9|text:c|\n");
    pair_close(&p);
}

/* Two nodes have given the same hidden rowid to different keys: both rows stay. */
static void lww_keeps_rows_that_share_a_hidden_rowid(void **state)
{
    struct pair p;

    (void)state;
    open_copy(&p, APPLY_LWW, ROW_BY_PK,
              "CREATE TABLE t(k TEXT PRIMARY KEY, v); INSERT INTO t VALUES ('mine', 1)");
    APPLY(&p, T("INSERT") "\"new_rowid\":1,\"new_values\":[\"theirs\",2]}");
    assert_rows(&p, "SELECT rowid, * FROM t ORDER BY 1",
                "int:1|text:theirs|int:2|\nint:2|text:mine|int:1|\n");
    APPLY(&p, T("UPDATE") "\"old_rowid\":1,\"new_rowid\":1,\"old_values\":[\"mine\",1],\"new_"
                          "values\":[\"mine\",5]}");
    APPLY(&p, T("DELETE") "\"old_rowid\":1,\"old_values\":[\"theirs\",2]}");
    assert_rows(&p, "SELECT k, v FROM t ORDER BY 1", "text:mine|int:5|\n");
    pair_close(&p);
}

static void lww_without_a_key_goes_by_rowid(void **state)
{
    struct pair p;

    (void)state;
    open_copy(&p, APPLY_LWW, ROW_BY_PK, "CREATE TABLE t(k, v); INSERT INTO t VALUES (1, 1)");
    APPLY(&p, N("INSERT") "\"new_rowid\":1,\"new_values\":[2,2]}");
    APPLY(&p,
          N("UPDATE") "\"old_rowid\":5,\"new_rowid\":5,\"old_values\":[1,1],\"new_values\":[3,3]}");
    APPLY(&p, N("DELETE") "\"old_rowid\":8,\"old_values\":[2,2]}");
    assert_rows(&p, "SELECT rowid, * FROM t", "int:1|int:2|int:2|\nint:5|int:3|int:3|\n");
    pair_close(&p);
}

static void lww_takes_messages_of_the_seed(void **state)
{
    struct pair p;

    (void)state;
    open_copy(&p, APPLY_LWW, ROW_BY_PK,
              "CREATE TABLE users(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT)");
    APPLY(
        &p,
        SQL("CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT)"));
    APPLY(&p, "{\"database\":\"main\",\"table\":\"users\",\"columns\":[\"id\",\"name\"],"
              "\"operation\":\"INSERT\","
              "\"new_rowid\":2,\"new_values\":[2,\"new HA user\"]}");
    APPLY(&p, "{\"database\":\"main\",\"table\":\"users\",\"columns\":[\"id\",\"name\"],"
              "\"operation\":\"UPDATE\","
              "\"old_rowid\":2,\"new_rowid\":2,\"old_values\":[2,\"new HA "
              "user\"],\"new_values\":[2,\"x\"]}");
    assert_rows(&p, "SELECT * FROM users", "int:2|text:x|\n");
    pair_close(&p);
}

static void lww_schema_may_have_happened(void **state)
{
    struct pair p;

    (void)state;
    open_copy(&p, APPLY_LWW, ROW_BY_PK,
              "CREATE TABLE t(k, v); CREATE INDEX i ON t(k); CREATE VIEW w AS SELECT 1;"
              "CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT 1; END; CREATE TABLE u(a, b)");
    APPLY(&p,
          SQL("CREATE TABLE t(k, v)") "," SQL("CREATE INDEX i ON t(k)") "," SQL("CREATE VIEW w AS "
                                                                                "SELECT 1") "," SQL("CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT 1; END") "," SQL("DROP TABLE x") "," SQL("DROP INDEX x") "," SQL("DROP VIEW x") "," SQL("DROP TRIGGER x") "," SQL("ALTER TABLE t ADD COLUMN v") "," SQL("ALTER TABLE t DROP "
                                                                                                                                                                                                                                                                                                             "COLUMN x") "," SQL("AL"
                                                                                                                                                                                                                                                                                                                                 "TE"
                                                                                                                                                                                                                                                                                                                                 "R "
                                                                                                                                                                                                                                                                                                                                 "TA"
                                                                                                                                                                                                                                                                                                                                 "BL"
                                                                                                                                                                                                                                                                                                                                 "E "
                                                                                                                                                                                                                                                                                                                                 "t "
                                                                                                                                                                                                                                                                                                                                 "RE"
                                                                                                                                                                                                                                                                                                                                 "NA"
                                                                                                                                                                                                                                                                                                                                 "ME"
                                                                                                                                                                                                                                                                                                                                 " C"
                                                                                                                                                                                                                                                                                                                                 "OL"
                                                                                                                                                                                                                                                                                                                                 "UM"
                                                                                                                                                                                                                                                                                                                                 "N "
                                                                                                                                                                                                                                                                                                                                 "x "
                                                                                                                                                                                                                                                                                                                                 "TO"
                                                                                                                                                                                                                                                                                                                                 " "
                                                                                                                                                                                                                                                                                                                                 "k") "," SQL("ALTER TABLE x RENAME TO t") "," SQL("ALTER TABLE t RENAME TO u"));
    REFUSED(&p, SQL("CREATE TABLE y(a,"), ERR_DIVERGED, "");
    APPLY(&p, SQL("CREATE INDEX j ON nowhere(a)"));
    REFUSED(&p, SQL("ALTER TABLE u DROP COLUMN a") "," SQL("ALTER TABLE u DROP COLUMN b"),
            ERR_DIVERGED, "b");
    pair_close(&p);
}

/* Dropped or altered by a message that came first: there is nothing left to win against. */
static void lww_rows_of_tables_that_have_gone(void **state)
{
    struct pair p;

    (void)state;
    open_copy(&p, APPLY_LWW, ROW_BY_PK, "CREATE TABLE u(k, v)");
    APPLY(&p, N("INSERT") "\"new_rowid\":1,\"new_values\":[1,1]}");
    APPLY(&p, N("INSERT") "\"new_rowid\":1,\"new_values\":[1,1]}," SQL("DROP TABLE t"));
    APPLY(&p,
          N("INSERT") "\"new_rowid\":1,\"new_values\":[1,1]}," SQL("ALTER TABLE t RENAME TO u"));
    APPLY(&p,
          "{\"table\":\"u\",\"columns\":[\"old\",\"v\"],\"operation\":\"INSERT\",\"new_rowid\":3,"
          "\"new_values\":[1,5]}," SQL("ALTER TABLE u RENAME COLUMN old TO k"));
    assert_rows(&p, "SELECT rowid, * FROM u", "int:3|null:|int:5|\n");
    pair_close(&p);
}

/* A message that creates, renames and fills may come again, too. */
static void lww_renamed_tables_are_not_made_twice(void **state)
{
    static const char message[] = SQL(
        "CREATE TABLE a(k INTEGER PRIMARY KEY)") ","
                                                 "{\"table\":\"a\",\"columns\":[\"k\"],"
                                                 "\"operation\":\"INSERT\",\"new_rowid\":1,\"new_"
                                                 "values\":[1]}," SQL(
                                                     "ALTER TABLE a RENAME TO b") ","
                                                                                  "{\"table\":"
                                                                                  "\"b\","
                                                                                  "\"columns\":["
                                                                                  "\"k\"],"
                                                                                  "\"operation\":"
                                                                                  "\"INSERT\","
                                                                                  "\"new_rowid\":2,"
                                                                                  "\"new_values\":["
                                                                                  "2]}";
    struct pair p;

    (void)state;
    open_copy(&p, APPLY_LWW, ROW_BY_PK, "");
    for (int i = 0; i < 3; i++) {
        APPLY(&p, message);
        assert_rows(&p, "SELECT name FROM sqlite_schema WHERE name NOT LIKE 'ha%'", "text:b|\n");
        assert_rows(&p, "SELECT * FROM b", "int:1|\nint:2|\n");
    }
    pair_close(&p);
}

static void lww_sequences_only_rise(void **state)
{
#define SEQ(op)                                                                                    \
    "{\"table\":\"sqlite_sequence\",\"columns\":[\"name\",\"seq\"],\"operation\":\"" op "\","
    struct pair p;

    (void)state;
    open_copy(&p, APPLY_LWW, ROW_BY_PK,
              "CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO t VALUES (50)");
    APPLY(&p, SEQ("INSERT") "\"new_values\":[\"t\",20]}");
    assert_rows(&p, "SELECT * FROM sqlite_sequence", "text:t|int:50|\n");
    APPLY(&p, SEQ("INSERT") "\"new_values\":[\"t\",70]}");
    assert_rows(&p, "SELECT * FROM sqlite_sequence", "text:t|int:70|\n");
    APPLY(&p, SEQ("UPDATE") "\"old_values\":[\"t\",70],\"new_values\":[\"t\",60]}");
    assert_rows(&p, "SELECT * FROM sqlite_sequence", "text:t|int:60|\n");
    APPLY(&p, SEQ("DELETE") "\"old_values\":[\"t\",70]}");
    assert_rows(&p, "SELECT * FROM sqlite_sequence", "");
    APPLY(&p, SEQ("INSERT") "\"new_values\":[\"t\",5]}");
    assert_rows(&p, "SELECT * FROM sqlite_sequence", "text:t|int:5|\n");
    pair_close(&p);
}

static void another_connections_schema_is_seen(void **state)
{
    struct pair p;
    sqlite3 *db;

    (void)state;
    open_copy(&p, APPLY_STRICT, ROW_BY_PK, "CREATE TABLE t(k INTEGER PRIMARY KEY, v)");
    APPLY(&p, T("INSERT") "\"new_rowid\":1,\"new_values\":[1,1]}");
    db = pair_look(p.copy);
    assert_int_equal(
        sqlite3_exec(db, "DROP TABLE t; CREATE TABLE t(v, k TEXT PRIMARY KEY, w DEFAULT 8)", NULL,
                     NULL, NULL),
        SQLITE_OK);
    sqlite3_close(db);
    APPLY(&p, T("INSERT") "\"new_rowid\":5,\"new_values\":[1,1]}");
    assert_rows(&p, "SELECT rowid, * FROM t", "int:5|int:1|text:1|int:8|\n");
    pair_close(&p);
}

/* Schema statements alone: no row makes the applier look at the schema in between. */
static void schema_statements_in_turns(void **state)
{
    static const char *const turns[][2] = {
        {SQL("ALTER TABLE t ADD COLUMN e"), "ALTER TABLE t DROP COLUMN e"},
        {SQL("CREATE INDEX i ON t(v)"), "DROP INDEX i"},
        {SQL("CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT 1; END"), "DROP TRIGGER r"},
        {SQL("ALTER TABLE t RENAME COLUMN v TO w"), "ALTER TABLE t RENAME COLUMN w TO v"},
        {SQL("CREATE VIEW s AS SELECT 1"), "DROP VIEW s"},
        {SQL("CREATE TABLE u(a)"), "DROP TABLE u"},
    };

    (void)state;
    for (int mode = 0; mode < 2; mode++) {
        struct pair p;
        open_copy(&p, mode ? APPLY_LWW : APPLY_STRICT, ROW_BY_PK,
                  "CREATE TABLE t(k INTEGER PRIMARY KEY, v)");
        for (size_t i = 0; i < sizeof turns / sizeof *turns; i++) {
            APPLY(&p, turns[i][0]);
            sqlite3 *db = pair_look(p.copy);
            assert_int_equal(sqlite3_exec(db, turns[i][1], NULL, NULL, NULL), SQLITE_OK);
            sqlite3_close(db);
            APPLY(&p, turns[i][0]);
            db = pair_look(p.copy); /* it has happened */
            assert_int_equal(sqlite3_exec(db, turns[i][1], NULL, NULL, NULL), SQLITE_OK);
            sqlite3_close(db);
        }
        pair_close(&p);
    }
}

/* SQLite limits columns to 2,000 (the rowid is read besides) and an expression's depth to 1,000. */
static void wide_tables(void **state)
{
    static const enum row_identify ways[] = {ROW_BY_PK, ROW_BY_FULL};
    struct buf sql = BUF_INIT;

    (void)state;
    for (size_t k = 0; k < 2; k++) {
        struct pair p;

        pair_files(&p);
        pair_connect(&p, APPLY_STRICT, ways[k]);
        buf_reset(&sql);
        buf_puts(&sql, "CREATE TABLE t(a0");
        for (int i = 1; i < 1999; i++)
            buf_printf(&sql, ",a%d", i);
        buf_puts(&sql, "); INSERT INTO t(a1, a1998) VALUES (1, 2), (1, 2); UPDATE t SET a5 = 7 "
                       "WHERE rowid = 2;"
                       "DELETE FROM t WHERE rowid = 1");
        pair_run(&p, buf_cstr(&sql));
        pair_same(&p);
        pair_close(&p);
    }
    buf_free(&sql);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strict_meets_the_row_or_stops),
        cmocka_unit_test(strict_refuses_what_is_there_already),
        cmocka_unit_test(rows_without_a_key_are_known_by_rowid),
        cmocka_unit_test(a_null_in_the_key_means_the_rowid),
        cmocka_unit_test(all_values_identify_one_of_equal_rows),
        cmocka_unit_test(a_key_is_what_its_index_says),
        cmocka_unit_test(lww_keys_are_one_where_their_index_says_so),
        cmocka_unit_test(tables_may_be_called_as_their_options),
        cmocka_unit_test(rowids_identify_where_that_is_wanted),
        cmocka_unit_test(checks_are_the_origins_business),
        cmocka_unit_test(generated_columns_are_computed),
        cmocka_unit_test(only_schema_statements_are_run),
        cmocka_unit_test(broken_messages_change_nothing),
        cmocka_unit_test(the_position_is_in_the_same_transaction),
        cmocka_unit_test(lww_inserts_updates_and_deletes),
        cmocka_unit_test(lww_keeps_rows_that_share_a_hidden_rowid),
        cmocka_unit_test(lww_without_a_key_goes_by_rowid),
        cmocka_unit_test(lww_takes_messages_of_the_seed),
        cmocka_unit_test(lww_schema_may_have_happened),
        cmocka_unit_test(lww_rows_of_tables_that_have_gone),
        cmocka_unit_test(lww_renamed_tables_are_not_made_twice),
        cmocka_unit_test(lww_sequences_only_rise),
        cmocka_unit_test(another_connections_schema_is_seen),
        cmocka_unit_test(schema_statements_in_turns),
        cmocka_unit_test(wide_tables),
    };

    log_configure(LOG_LEVEL_ERROR, LOG_FORMAT_LOGFMT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
