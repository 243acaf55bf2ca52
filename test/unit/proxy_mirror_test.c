/* The mirror on a node without NATS: what changes do, the tracker's compare-and-set, bounds. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "core/node.h"
#include "core/session.h"
#include "proxy/mirror.h"
#include "support/node_fixture.h"

struct fixture {
    char dir[NODE_DIR_SIZE];
    struct node *node;
    struct session *session;
    struct mirror *mirror;
    atomic_bool stop;
};

/* A sink that prints rows as "1|x" with a blank behind each. */
struct text_sink {
    struct sink sink;
    struct buf out;
};

static void on_columns(struct sink *s, const struct sink_column *cols, unsigned n)
{
    (void)s;
    (void)cols;
    (void)n;
}

static enum sink_verdict on_row(struct sink *s, const struct value *v, unsigned n)
{
    struct buf *out = &((struct text_sink *)s)->out;
    for (unsigned i = 0; i < n; i++) {
        if (i)
            buf_putc(out, '|');
        if (v[i].type == VALUE_INTEGER)
            buf_i64(out, v[i].u.i);
        else if (v[i].type == VALUE_NULL)
            buf_puts(out, "-");
        else
            buf_put(out, v[i].u.s.data, v[i].u.s.len);
    }
    buf_putc(out, ' ');
    return SINK_MORE;
}

static void on_done(struct sink *s, const struct sink_done *d)
{
    (void)s;
    (void)d;
}

static const struct sink_ops text_ops = {on_columns, on_row, on_done};

static enum err_code run_sql(struct fixture *f, const char *sql, struct buf *rows, struct err *e)
{
    struct text_sink t = {.sink = {&text_ops}, .out = BUF_INIT};
    struct query q = {.sql = sql, .len = strlen(sql)};
    struct request_options opt = {0};
    struct request *r = NULL;
    enum err_code code = request_new(&r, f->session, &q, 1, &opt, e);
    if (code == ERR_OK && request_run(r, &t.sink, e) != REQUEST_DONE)
        code = e->code;
    request_free(r);
    if (rows)
        buf_put(rows, t.out.data, t.out.len);
    buf_free(&t.out);
    return code;
}

static void exec(struct fixture *f, const char *sql)
{
    struct err e = ERR_INIT;
    if (run_sql(f, sql, NULL, &e) != ERR_OK)
        fail_msg("%s: %s", sql, e.msg);
}

static void expect(struct fixture *f, const char *sql, const char *rows)
{
    struct err e = ERR_INIT;
    struct buf b = BUF_INIT;
    if (run_sql(f, sql, &b, &e) != ERR_OK)
        fail_msg("%s: %s", sql, e.msg);
    assert_string_equal(buf_cstr(&b), rows);
    buf_free(&b);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct err e = ERR_INIT;
    f->node = node_fixture_open(f->dir, "_foreign_keys=1");
    if (session_open(&f->session, f->node, "http", NULL, NULL, &e) != ERR_OK ||
        mirror_open(&f->mirror, f->node, NULL, &f->stop, &e) != ERR_OK)
        fail_msg("%s", e.msg);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    mirror_close(f->mirror);
    session_close(f->session);
    node_stop(f->node, clock_deadline(CLOCK_S));
    node_fixture_close(f->node, f->dir);
    free(f);
    return 0;
}

/* ---- short ways to say a change ---- */

#define TEXT(s) value_text((s), strlen(s))
#define COLUMNS(...)                                                                               \
    .columns = (const struct mirror_column[]){__VA_ARGS__},                                        \
    .n_columns =                                                                                   \
        sizeof((const struct mirror_column[]){__VA_ARGS__}) / sizeof(struct mirror_column)
#define KEYS(...)                                                                                  \
    .keys = (const struct mirror_column[]){__VA_ARGS__},                                           \
    .n_keys = sizeof((const struct mirror_column[]){__VA_ARGS__}) / sizeof(struct mirror_column)
#define CHANGE(f, ...) change((f), &(const struct mirror_change){__VA_ARGS__})

static void change(struct fixture *f, const struct mirror_change *c)
{
    struct err e = ERR_INIT;
    if (mirror_change(f->mirror, c, &e) != ERR_OK)
        fail_msg("%s", e.msg);
}

static void begin(struct fixture *f)
{
    struct err e = ERR_INIT;
    assert_int_equal(mirror_begin(f->mirror, &e), ERR_OK);
}

static void commit(struct fixture *f, const char *position)
{
    struct err e = ERR_INIT;
    if (mirror_commit(f->mirror, position, 0, &e) != ERR_OK)
        fail_msg("%s", e.msg);
}

static void expect_position(struct fixture *f, const char *position)
{
    struct err e = ERR_INIT;
    struct buf b = BUF_INIT;
    if (mirror_position(f->mirror, &b, &e) != ERR_OK)
        fail_msg("%s", e.msg);
    assert_string_equal(buf_cstr(&b), position);
    buf_free(&b);
}

/* ---- rows ---- */

static void rows_follow_the_source(void **state)
{
    struct fixture *f = *state;
    exec(f, "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b TEXT)");
    expect_position(f, "");
    begin(f);
    CHANGE(f, .op = MIRROR_INSERT, .table = "t", COLUMNS({"id", value_int(1)}, {"a", TEXT("x")}));
    CHANGE(f, .op = MIRROR_INSERT, .table = "t", COLUMNS({"id", value_int(2)}, {"a", TEXT("y")}));
    /* The same key once more replaces the row. */
    CHANGE(f, .op = MIRROR_INSERT, .table = "T", COLUMNS({"ID", value_int(2)}, {"A", TEXT("z")}));
    commit(f, "10");
    expect(f, "SELECT * FROM t", "1|x|- 2|z|- ");
    expect_position(f, "10");

    begin(f);
    /* Columns that are left out stay, the key as in the new row. */
    CHANGE(f, .op = MIRROR_UPDATE, .table = "t", COLUMNS({"id", value_int(1)}, {"b", TEXT("n")}));
    /* Another key. */
    CHANGE(f, .op = MIRROR_UPDATE, .table = "t", COLUMNS({"id", value_int(7)}),
           KEYS({"id", value_int(2)}));
    /* Not there: inserted, with what the key says. */
    CHANGE(f, .op = MIRROR_UPDATE, .table = "t", COLUMNS({"b", TEXT("new")}),
           KEYS({"id", value_int(9)}, {"a", TEXT("old")}));
    CHANGE(f, .op = MIRROR_DELETE, .table = "t", KEYS({"id", value_int(100)}));
    commit(f, "11");
    expect(f, "SELECT * FROM t", "1|x|n 7|z|- 9|old|new ");

    begin(f);
    CHANGE(f, .op = MIRROR_DELETE, .table = "t", KEYS({"id", value_int(7)}, {"a", TEXT("?")}));
    commit(f, "12");
    expect(f, "SELECT id FROM t", "1 9 ");
    begin(f);
    CHANGE(f, .op = MIRROR_TRUNCATE, .table = "t");
    CHANGE(f, .op = MIRROR_INSERT, .table = "t", COLUMNS({"id", value_int(3)}));
    commit(f, "13");
    expect(f, "SELECT id FROM t", "3 ");
    expect_position(f, "13");
}

static void one_of_equal_rows_changes(void **state)
{
    struct fixture *f = *state;
    exec(f, "CREATE TABLE t (a, b)");
    expect_position(f, "");
    begin(f);
    for (int i = 0; i < 3; i++)
        CHANGE(f, .op = MIRROR_INSERT, .table = "t",
               COLUMNS({"a", value_int(1)}, {"b", value_null()}));
    CHANGE(f, .op = MIRROR_DELETE, .table = "t", KEYS({"a", value_int(1)}, {"b", value_null()}));
    CHANGE(f, .op = MIRROR_UPDATE, .table = "t", COLUMNS({"a", value_int(2)}),
           KEYS({"a", value_int(1)}, {"b", value_null()}));
    commit(f, "1");
    expect(f, "SELECT a, count(*) FROM t GROUP BY 1", "1|1 2|1 ");
}

static void source_has_checked(void **state)
{
    struct fixture *f = *state;
    exec(f, "CREATE TABLE parent (id INTEGER PRIMARY KEY)");
    exec(f, "CREATE TABLE t (id INTEGER PRIMARY KEY, p REFERENCES parent, u UNIQUE,"
            " twice AS (id * 2))");
    exec(f, "CREATE TABLE seen (id)");
    exec(f, "CREATE TRIGGER tr AFTER INSERT ON t BEGIN INSERT INTO seen VALUES (new.id); END");
    expect_position(f, "");
    begin(f);
    /* A child before its parent; two rows change places under a unique key. */
    CHANGE(f, .op = MIRROR_INSERT, .table = "t",
           COLUMNS({"id", value_int(1)}, {"p", value_int(5)}, {"u", TEXT("a")},
                   {"twice", value_int(0)}));
    CHANGE(f, .op = MIRROR_INSERT, .table = "t",
           COLUMNS({"id", value_int(2)}, {"p", value_int(5)}, {"u", TEXT("b")},
                   {"twice", value_int(0)}));
    CHANGE(f, .op = MIRROR_UPDATE, .table = "t",
           COLUMNS({"id", value_int(1)}, {"p", value_int(5)}, {"u", TEXT("b")}));
    CHANGE(f, .op = MIRROR_UPDATE, .table = "t",
           COLUMNS({"id", value_int(2)}, {"p", value_int(5)}, {"u", TEXT("a")}));
    commit(f, "1");
    expect(f, "SELECT id, u, twice FROM t ORDER BY id", "1|b|2 2|a|4 ");
    expect(f, "SELECT count(*) > 0 FROM seen", "1 ");
    /* Afterwards they are enforced again. */
    struct err e = ERR_INIT;
    assert_int_equal(run_sql(f, "INSERT INTO t(id, p) VALUES (8, 99)", NULL, &e), ERR_FOREIGN_KEY);
}

static void schema_comes_along(void **state)
{
    struct fixture *f = *state;
    bool has = true;
    struct err e = ERR_INIT;
    expect_position(f, "");
    assert_int_equal(mirror_has_table(f->mirror, "t", &has, &e), ERR_OK);
    assert_false(has);
    begin(f);
    CHANGE(f, .op = MIRROR_SQL, .sql = "CREATE TABLE t (id INTEGER PRIMARY KEY)");
    CHANGE(f, .op = MIRROR_INSERT, .table = "t", COLUMNS({"id", value_int(1)}));
    CHANGE(f, .op = MIRROR_SQL, .sql = "ALTER TABLE t ADD COLUMN v");
    CHANGE(f, .op = MIRROR_UPDATE, .table = "t", COLUMNS({"id", value_int(1)}, {"v", TEXT("new")}));
    commit(f, "1");
    expect(f, "SELECT * FROM t", "1|new ");
    assert_int_equal(mirror_has_table(f->mirror, "T", &has, &e), ERR_OK);
    assert_true(has);
}

/* ---- what cannot be ---- */

static void expect_failure(struct fixture *f, enum err_code code, const char *part)
{
    struct err e = ERR_INIT;
    assert_int_equal(mirror_commit(f->mirror, "99", 0, &e), code);
    if (!strstr(e.msg, part))
        fail_msg("\"%s\" does not say \"%s\"", e.msg, part);
    expect_position(f, "1");
}

static void failures_change_nothing(void **state)
{
    struct fixture *f = *state;
    exec(f, "CREATE TABLE t (id INTEGER PRIMARY KEY, v NOT NULL)");
    expect_position(f, "");
    begin(f);
    commit(f, "1");
    begin(f);
    CHANGE(f, .op = MIRROR_INSERT, .table = "t", COLUMNS({"id", value_int(1)}, {"v", TEXT("")}));
    CHANGE(f, .op = MIRROR_INSERT, .table = "lost", COLUMNS({"id", value_int(1)}));
    expect_failure(f, ERR_NO_TABLE, "lost");
    begin(f);
    CHANGE(f, .op = MIRROR_INSERT, .table = "t", COLUMNS({"id", value_int(1)}, {"w", TEXT("")}));
    expect_failure(f, ERR_NO_COLUMN, "w");
    begin(f);
    CHANGE(f, .op = MIRROR_INSERT, .table = "t", COLUMNS({"id", value_int(1)}));
    expect_failure(f, ERR_NOT_NULL, "t.v");
    begin(f);
    CHANGE(f, .op = MIRROR_UPDATE, .table = "t", COLUMNS({"v", TEXT("")}));
    expect_failure(f, ERR_UNSUPPORTED, "key");
    /* The node's own tables are not the source's. */
    begin(f);
    CHANGE(f, .op = MIRROR_TRUNCATE, .table = "ha_position");
    expect_failure(f, ERR_UNSUPPORTED, "ha_position");
    begin(f);
    CHANGE(f, .op = MIRROR_SQL, .sql = "DROP TABLE ha_proxied_tracker");
    expect_failure(f, ERR_DENIED, "ha_");
    expect(f, "SELECT count(*) FROM t", "0 ");
    struct err e = ERR_INIT;
    assert_int_equal(run_sql(f, "UPDATE ha_proxied_tracker SET position = 'x'", NULL, &e),
                     ERR_DENIED);
    expect(f, "SELECT position, server_time FROM ha_proxied_tracker WHERE rowid = 1", "1|- ");
}

static void only_one_moves_the_tracker(void **state)
{
    struct fixture *f = *state;
    struct mirror *other = NULL;
    struct buf b = BUF_INIT;
    struct err e = ERR_INIT;
    exec(f, "CREATE TABLE t (id INTEGER PRIMARY KEY)");
    expect_position(f, "");
    assert_int_equal(mirror_open(&other, f->node, "t.db", NULL, &e), ERR_OK);
    assert_int_equal(mirror_position(other, &b, &e), ERR_OK);
    begin(f);
    CHANGE(f, .op = MIRROR_INSERT, .table = "t", COLUMNS({"id", value_int(1)}));
    commit(f, "1");
    assert_int_equal(mirror_begin(other, &e), ERR_OK);
    struct mirror_column id = {"id", value_int(2)};
    struct mirror_change c = {.op = MIRROR_INSERT, .table = "t", .columns = &id, .n_columns = 1};
    assert_int_equal(mirror_change(other, &c, &e), ERR_OK);
    assert_int_equal(mirror_commit(other, "1", 0, &e), ERR_CONFLICT);
    expect(f, "SELECT * FROM t", "1 ");
    /* Without asking anew it does not go on. */
    assert_int_equal(mirror_begin(other, &e), ERR_OK);
    assert_int_equal(mirror_commit(other, "2", 0, &e), ERR_INTERNAL);
    mirror_rollback(other);
    assert_int_equal(mirror_position(other, &b, &e), ERR_OK);
    assert_string_equal(buf_cstr(&b), "1");
    assert_int_equal(mirror_begin(other, &e), ERR_OK);
    assert_int_equal(mirror_change(other, &c, &e), ERR_OK);
    assert_int_equal(mirror_commit(other, "2", CLOCK_S, &e), ERR_OK);
    expect(f, "SELECT * FROM t", "1 2 ");
    expect(f, "SELECT server_time FROM ha_proxied_tracker", "1970-01-01T00:00:01.000Z ");
    mirror_close(other);
    assert_int_equal(mirror_open(&other, f->node, "none", NULL, &e), ERR_NO_DATABASE);
    assert_null(other);
    buf_free(&b);
}

/* ---- much ---- */

#define MANY      50000
#define BIG_BYTES ((size_t)3 * 1024 * 1024)

static void much_goes_to_disk(void **state)
{
    struct fixture *f = *state;
    struct err e = ERR_INIT;
    char *big = malloc(BIG_BYTES);
    assert_non_null(big);
    memset(big, 'b', BIG_BYTES);
    exec(f, "CREATE TABLE t (id INTEGER PRIMARY KEY, v)");
    exec(f, "CREATE TABLE u (id INTEGER PRIMARY KEY, v)");
    expect_position(f, "");
    begin(f);
    for (int i = 0; i < MANY; i++) {
        char text[200];
        int n = snprintf(text, sizeof text, "%0*d", 10 + i % 150, i);
        CHANGE(f, .op = MIRROR_INSERT, .table = i % 7 ? "t" : "u",
               COLUMNS({"id", value_int(i)}, {"v", value_text(text, (size_t)n)}));
        if (i % 10000 == 5)
            CHANGE(f, .op = MIRROR_UPDATE, .table = "u",
                   COLUMNS({"id", value_int(-i)}, {"v", value_text(big, BIG_BYTES)}));
    }
    assert_true(mirror_pending_changes(f->mirror) == MANY + 5);
    assert_true(mirror_pending_bytes(f->mirror) > 5 * BIG_BYTES);
    commit(f, "1");
    expect(f,
           "SELECT count(*), sum(CAST(v AS INTEGER)), sum(id), sum(length(v)) FROM"
           " (SELECT * FROM t UNION ALL SELECT * FROM u) WHERE id >= 0",
           "50000|1249975000|1249975000|4222500 ");
    expect(f, "SELECT count(*), sum(length(v)) FROM u WHERE id < 0", "5|15728640 ");
    /* A stop ends a commit, and undoes it. */
    begin(f);
    CHANGE(f, .op = MIRROR_TRUNCATE, .table = "t");
    atomic_store(&f->stop, true);
    assert_int_equal(mirror_commit(f->mirror, "2", 0, &e), ERR_INTERRUPTED);
    atomic_store(&f->stop, false);
    expect(f, "SELECT count(*) > 0 FROM t", "1 ");
    free(big);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rows_follow_the_source, setup, teardown),
        cmocka_unit_test_setup_teardown(one_of_equal_rows_changes, setup, teardown),
        cmocka_unit_test_setup_teardown(source_has_checked, setup, teardown),
        cmocka_unit_test_setup_teardown(schema_comes_along, setup, teardown),
        cmocka_unit_test_setup_teardown(failures_change_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(only_one_moves_the_tracker, setup, teardown),
        cmocka_unit_test_setup_teardown(much_goes_to_disk, setup, teardown),
    };
    return cmocka_run_group_tests_name("proxy_mirror", tests, NULL, NULL);
}
