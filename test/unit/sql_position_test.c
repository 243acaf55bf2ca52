/* The position row: made, stored, loaded, protected. */
#include "sql/position.h"

#include "sql_temp.h"

static struct temp t;
static struct conn *c;

static int setup(void **state)
{
    (void)state;
    temp_init(&t);
    c = temp_open(&t, CONN_WRITER);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    conn_close(c);
    temp_fini(&t);
    return 0;
}

static struct position some_position(uint64_t seq)
{
    struct position p = {.seq = seq, .stream_created = INT64_C(1758574275504509677)};

    snprintf(p.msg_id, sizeof p.msg_id, "message-%llu", (unsigned long long)seq);
    memset(p.stream, 's', sizeof p.stream - 1);
    return p;
}

static void test_life(void **state)
{
    struct position p = some_position(7), q;
    struct conn *r;
    bool found = true;

    (void)state;
    OK(position_load(c, &q, &found, e)); /* no table yet */
    assert_false(found);
    assert_int_equal(q.seq, 0);
    OK(position_init(c, e));
    OK(position_init(c, e));
    OK(position_load(c, &q, &found, e)); /* no row yet */
    assert_false(found);

    r = temp_open(&t, CONN_READER);
    for (uint64_t seq = 7; seq < 10; seq++) {
        p = some_position(seq);
        OK(conn_exec(c, "BEGIN IMMEDIATE", e));
        OK(position_store(c, &p, e));
        OK(conn_exec(c, "COMMIT", e));
        OK(position_load(r, &q, &found, e));
        assert_true(found);
        assert_int_equal(q.seq, seq);
        assert_string_equal(q.msg_id, p.msg_id);
        assert_string_equal(q.stream, p.stream);
        assert_true(q.stream_created == p.stream_created);
    }
    OK(conn_exec(c, "BEGIN IMMEDIATE", e));
    p = some_position(99);
    OK(position_store(c, &p, e));
    OK(conn_exec(c, "ROLLBACK", e));
    OK(position_load(c, &q, &found, e));
    assert_int_equal(q.seq, 9);
    conn_close(r);
}

static void test_last_rowid_stays(void **state)
{
    struct position p = some_position(1);

    (void)state;
    OK(position_init(c, e));
    conn_set_last_rowid(c, 4711);
    OK(position_store(c, &p, e));
    OK(position_store(c, &p, e));
    assert_int_equal(conn_last_rowid(c), 4711);
}

/* Neither users' statements nor their temporary objects get at it. */
static void test_protected(void **state)
{
    struct position p = some_position(1), q;
    struct err e1 = ERR_INIT;
    bool found;
    char out[256];

    (void)state;
    OK(position_init(c, e));
    OK(position_store(c, &p, e));
    assert_int_equal(temp_run(c, "UPDATE ha_position SET seq = 5", &e1), ERR_DENIED);
    assert_int_equal(temp_run(c, "CREATE TEMP TABLE ha_position(a)", &e1), ERR_DENIED);
    /* Even the very text of our own statement is theirs when they send it. */
    assert_int_equal(
        temp_run(
            c,
            "INSERT INTO main.ha_position(id, seq, msg_id, stream, stream_created) VALUES(1, ?1,"
            " ?2, ?3, ?4) ON CONFLICT(id) DO UPDATE SET seq = excluded.seq, msg_id ="
            " excluded.msg_id, stream = excluded.stream, stream_created ="
            " excluded.stream_created",
            &e1),
        ERR_DENIED);
    assert_string_equal(temp_text(c, "SELECT seq FROM ha_position", out), "1");
    OK(position_load(c, &q, &found, e));
    assert_int_equal(q.seq, 1);
}

static void test_damaged(void **state)
{
    static const char *const bad[] = {
        "PRAGMA ignore_check_constraints=1; UPDATE ha_position SET seq = 'x'",
        "UPDATE ha_position SET seq = -1",
        "UPDATE ha_position SET seq = 1, msg_id = x'00'",
        "UPDATE ha_position SET msg_id = printf('%.*c', 64, 'm')",
        "UPDATE ha_position SET msg_id = 'a' || char(0) || 'b'",
        "UPDATE ha_position SET msg_id = '', stream = printf('%.*c', 256, 's')",
        "UPDATE ha_position SET stream = '', stream_created = 'x'",
    };
    struct position p = some_position(1);
    bool found;

    (void)state;
    OK(position_init(c, e));
    OK(position_store(c, &p, e));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct err e1 = ERR_INIT;
        OK(conn_exec(c, bad[i], e));
        assert_int_equal(position_load(c, &p, &found, &e1), ERR_CORRUPT);
        assert_false(found);
    }
}

static void test_content(void **state)
{
    static const struct {
        const char *sql;
        bool content;
    } cases[] = {
        {"SELECT 1", false},
        {"CREATE TABLE ha_other(a PRIMARY KEY)", false},
        {"CREATE INDEX odd ON ha_other(a)", false},
        {"ANALYZE", false},
        {"CREATE TABLE HA_THIRD(a INTEGER PRIMARY KEY AUTOINCREMENT)", false},
        {"CREATE TEMP TABLE tt(a)", false},
        {"CREATE TABLE hax(a)", true},
        {"DROP TABLE hax", false},
        {"CREATE VIEW v AS SELECT 1", true},
    };
    bool content;

    (void)state;
    OK(position_init(c, e));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        OK(conn_exec(c, cases[i].sql, e));
        OK(position_has_content(c, &content, e));
        if (content != cases[i].content)
            fail_msg("%s: %d", cases[i].sql, content);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_life),    TEST(test_last_rowid_stays), TEST(test_protected),
        TEST(test_damaged), TEST(test_content),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
