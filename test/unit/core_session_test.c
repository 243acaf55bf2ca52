/* The executor on a node without NATS: the paths of a request, explicit transactions, limits. */
#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "core/impl.h"
#include "core/node.h"
#include "core/session.h"
#include "support/node_fixture.h"

struct fixture {
    char dir[NODE_DIR_SIZE];
    struct node *node;
};

/* A sink that prints: "a|b" and rows "1|x" on lines, "=changed/rowid" for statements without rows.
 */
struct text_sink {
    struct sink sink;
    struct buf out;
    unsigned full_every; /* SINK_FULL after every n-th row; 0 = never */
    unsigned rows;
};

static void on_columns(struct sink *s, const struct sink_column *cols, unsigned n)
{
    struct text_sink *t = (struct text_sink *)s;
    for (unsigned i = 0; i < n; i++)
        buf_printf(&t->out, "%s%s", i ? "|" : "", cols[i].name);
    buf_putc(&t->out, '\n');
}

static enum sink_verdict on_row(struct sink *s, const struct value *v, unsigned n)
{
    struct text_sink *t = (struct text_sink *)s;
    for (unsigned i = 0; i < n; i++) {
        if (i)
            buf_putc(&t->out, '|');
        if (v[i].type == VALUE_INTEGER)
            buf_i64(&t->out, v[i].u.i);
        else if (v[i].type == VALUE_REAL)
            buf_printf(&t->out, "%g", v[i].u.r);
        else if (v[i].type == VALUE_NULL)
            buf_puts(&t->out, "NULL");
        else
            buf_put(&t->out, v[i].u.s.data, v[i].u.s.len);
    }
    buf_putc(&t->out, '\n');
    t->rows++;
    return t->full_every && t->rows % t->full_every == 0 ? SINK_FULL : SINK_MORE;
}

static void on_done(struct sink *s, const struct sink_done *d)
{
    struct text_sink *t = (struct text_sink *)s;
    if (!d->has_rows)
        buf_printf(&t->out, "=%" PRId64 "/%" PRId64 "\n", d->rows_affected, d->last_insert_id);
}

static const struct sink_ops text_ops = {on_columns, on_row, on_done};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->node = node_fixture_open(f->dir, "_foreign_keys=1");
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    node_stop(f->node, clock_deadline(CLOCK_S));
    node_fixture_close(f->node, f->dir);
    free(f);
    return 0;
}

static struct session *open_session(struct fixture *f)
{
    struct session *s = NULL;
    struct err e = ERR_INIT;
    assert_int_equal(session_open(&s, f->node, "test", NULL, NULL, &e), ERR_OK);
    return s;
}

/* Runs texts and compares with what the sink printed; or with the error's name where one is
 * expected. */
static void check_many(struct session *s, const char *const *sql, size_t n, bool atomic,
                       const char *expected, int line)
{
    struct err e = ERR_INIT;
    struct text_sink t = {.sink.ops = &text_ops, .out = BUF_INIT, .full_every = 1};
    struct query q[8] = {0};
    struct request *r = NULL;
    for (size_t i = 0; i < n; i++)
        q[i] = (struct query){.sql = sql[i], .len = strlen(sql[i])};
    struct request_options o = {.atomic = atomic};
    assert_int_equal(request_new(&r, s, q, n, &o, &e), ERR_OK);
    enum request_status st;
    while ((st = request_run(r, &t.sink, &e)) == REQUEST_PAUSED)
        ;
    const char *got = st == REQUEST_DONE ? buf_cstr(&t.out) : err_name(e.code);
    if (strcmp(got, expected) != 0)
        fail_msg("line %d: \"%s\": got \"%s\" (%s), wanted \"%s\"", line, sql[0], got, e.msg,
                 expected);
    request_free(r);
    buf_free(&t.out);
}

#define CHECK(s, sql, expected) check_many(s, (const char *[]){sql}, 1, false, expected, __LINE__)
#define CHECK_ATOMIC(s, expected, ...)                                                             \
    check_many(s, (const char *[]){__VA_ARGS__},                                                   \
               sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *), true, expected, __LINE__)

static void reads_and_writes(void **state)
{
    struct session *s = open_session(*state);
    CHECK(s, "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT)", "=0/0\n");
    CHECK(s, "INSERT INTO t (v) VALUES ('a'), ('b')", "=2/2\n");
    CHECK(s, "SELECT last_insert_rowid()", "last_insert_rowid()\n2\n");
    CHECK(s, "SELECT * FROM t ORDER BY id", "id|v\n1|a\n2|b\n");
    CHECK(s, "-- note\n /* c */ WITH x AS (SELECT 1 AS n) SELECT n FROM x;", "n\n1\n");
    CHECK(s, "VALUES (1), (2)", "column1\n1\n2\n");
    CHECK(s, "INSERT INTO t (v) VALUES ('c') RETURNING id, v", "id|v\n3|c\n");
    CHECK(s,
          "UPDATE t SET v = 'x' WHERE id > 1; DELETE FROM t WHERE id = 1; SELECT count(*) AS n "
          "FROM t;",
          "=2/3\n=1/3\nn\n2\n");
    CHECK(s, "", "");
    CHECK(s, " ; -- nothing\n ;", "");
    CHECK(s, "PRAGMA user_version = 7", "=0/3\n");
    CHECK(s, "PRAGMA user_version", "user_version\n7\n");
    CHECK(s, "SELEC 1", "SYNTAX");
    CHECK(s, "SELECT * FROM nowhere", "NO_TABLE");
    CHECK(s, "ATTACH 'x.db' AS x", "DENIED");
    CHECK(s, "PRAGMA journal_mode = DELETE", "DENIED");
    CHECK(s, "DELETE FROM ha_position", "DENIED");
    session_close(s);
}

static void arrays_are_atomic(void **state)
{
    struct session *s = open_session(*state);
    CHECK(s, "CREATE TABLE u (id INTEGER PRIMARY KEY, v UNIQUE)", "=0/0\n");
    CHECK_ATOMIC(s, "UNIQUE", "INSERT INTO u (v) VALUES (1)", "INSERT INTO u (v) VALUES (1)");
    CHECK_ATOMIC(s, "=1/1\nv\n1\n", "INSERT INTO u (v) VALUES (1)", "SELECT v FROM u");
    CHECK_ATOMIC(s, "v\n1\nn\n1\n", "SELECT v FROM u", "SELECT count(*) AS n FROM u");
    CHECK_ATOMIC(s, "TX_ACTIVE", "INSERT INTO u (v) VALUES (2)", "COMMIT");
    CHECK(s, "SELECT count(*) AS n FROM u", "n\n1\n");
    CHECK_ATOMIC(s, "UNIQUE", "INSERT INTO u (v) VALUES (3)",
                 "INSERT OR ROLLBACK INTO u (v) VALUES (1)");
    CHECK(s, "SELECT count(*) AS n FROM u", "n\n1\n");
    session_close(s);
}

static void explicit_transactions(void **state)
{
    struct session *a = open_session(*state), *b = open_session(*state);
    CHECK(a, "CREATE TABLE x (v)", "=0/0\n");
    CHECK(a, "COMMIT", "TX_NONE");
    CHECK(a, "BEGIN", "=0/0\n");
    CHECK(a, "BEGIN", "TX_ACTIVE");
    CHECK(a, "INSERT INTO x VALUES (1)", "=1/1\n");
    CHECK(b, "SELECT count(*) AS n FROM x", "n\n0\n");
    CHECK(a, "SAVEPOINT \"Sp\"", "=0/1\n");
    CHECK(a, "INSERT INTO x VALUES (2)", "=1/2\n");
    CHECK(a, "INSERT INTO x VALUES (abs(-9223372036854775808))", "SQL");
    CHECK(a, "SELECT count(*) AS n FROM x", "n\n2\n");
    CHECK(a, "ROLLBACK TO sp", "=0/2\n");
    CHECK(a, "RELEASE nosuch", "SAVEPOINT");
    CHECK(a, "COMMIT", "=0/2\n");
    CHECK(b, "SELECT v FROM x", "v\n1\n");
    CHECK(a, "BEGIN; INSERT INTO x VALUES (3); ROLLBACK", "=0/2\n=1/2\n=0/2\n");
    CHECK(b, "SELECT v FROM x", "v\n1\n");
    session_close(a);
    session_close(b);
}

/* A transaction that has read may only go on to write if nothing has changed since. */
static void upgrade_conflicts(void **state)
{
    struct session *a = open_session(*state), *b = open_session(*state);
    CHECK(a, "CREATE TABLE c (v); INSERT INTO c VALUES (1)", "=0/0\n=1/1\n");
    CHECK(a, "BEGIN; SELECT v FROM c", "=0/1\nv\n1\n");
    CHECK(b, "UPDATE c SET v = 2", "=1/0\n");
    CHECK(a, "SELECT v FROM c", "v\n1\n");
    CHECK(a, "UPDATE c SET v = v + 1", "CONFLICT");
    assert_int_equal(session_state(a), SESSION_TX_FAILED);
    CHECK(a, "ROLLBACK", "=0/1\n");
    assert_int_equal(session_state(a), SESSION_IDLE);
    CHECK(a, "BEGIN; SELECT v FROM c; UPDATE c SET v = v + 1; COMMIT", "=0/1\nv\n2\n=1/1\n=0/1\n");
    CHECK(b, "SELECT v FROM c", "v\n3\n");
    session_close(a);
    session_close(b);
}

static void deferred_foreign_keys(void **state)
{
    struct session *s = open_session(*state);
    CHECK(s,
          "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE k (p REFERENCES p DEFERRABLE "
          "INITIALLY DEFERRED)",
          "=0/0\n=0/0\n");
    CHECK(s, "INSERT INTO k VALUES (9)", "FOREIGN_KEY");
    CHECK_ATOMIC(s, "=1/1\n=1/9\n", "INSERT INTO k VALUES (9)", "INSERT INTO p VALUES (9)");
    CHECK(s, "BEGIN; INSERT INTO k VALUES (8)", "=0/9\n=1/2\n");
    CHECK(s, "COMMIT", "FOREIGN_KEY");
    assert_int_equal(session_state(s), SESSION_IN_TX);
    CHECK(s, "INSERT INTO p VALUES (8)", "=1/8\n");
    CHECK(s, "COMMIT", "=0/8\n");
    session_close(s);
}

static void idle_transactions_end(void **state)
{
    struct session *a = open_session(*state), *b = open_session(*state);
    CHECK(a, "CREATE TABLE i (v)", "=0/0\n");
    CHECK(a, "BEGIN IMMEDIATE; INSERT INTO i VALUES (1)", "=0/0\n=1/1\n");
    CHECK(b, "INSERT INTO i VALUES (2)", "=1/1\n"); /* waits until a's time is over */
    CHECK(a, "INSERT INTO i VALUES (3)", "TX_IDLE");
    CHECK(a, "ROLLBACK", "=0/1\n");
    CHECK(a, "SELECT v FROM i", "v\n2\n");
    session_close(a);
    session_close(b);
}

static void closing_a_session_rolls_back(void **state)
{
    struct session *a = open_session(*state), *b = open_session(*state);
    CHECK(a, "CREATE TABLE r (v)", "=0/0\n");
    CHECK(a, "BEGIN IMMEDIATE; INSERT INTO r VALUES (1)", "=0/0\n=1/1\n");
    session_close(a);
    CHECK(b, "SELECT count(*) AS n FROM r", "n\n0\n");
    session_close(b);
}

#define WRITERS 16
#define EACH    100

static void *increment(void *arg)
{
    struct session *s = open_session(arg);
    for (int i = 0; i < EACH; i++)
        CHECK(s, "UPDATE n SET v = v + 1", "=1/0\n");
    session_close(s);
    return NULL;
}

static void groups_lose_nothing(void **state)
{
    struct session *s = open_session(*state);
    pthread_t threads[WRITERS];
    CHECK(s, "CREATE TABLE n (v); INSERT INTO n VALUES (0)", "=0/0\n=1/1\n");
    for (int i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, increment, *state), 0);
    for (int i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    CHECK(s, "SELECT v FROM n", "v\n1600\n");
    session_close(s);
}

static void results_are_limited(void **state)
{
    struct session *s = open_session(*state);
    CHECK(s, "CREATE TABLE big (v)", "=0/0\n");
    CHECK(s, "INSERT INTO big VALUES (zeroblob(2000000)) RETURNING v", "TOO_BIG");
    CHECK(s, "SELECT count(*) AS n FROM big", "n\n0\n");
    session_close(s);
}

/* ---- details of requests ---- */

static enum err_code run_one(struct session *s, const struct query *q, size_t n,
                             const struct request_options *o, size_t *index, struct err *e)
{
    struct text_sink t = {.sink.ops = &text_ops, .out = BUF_INIT};
    struct request *r = NULL;
    err_clear(e);
    assert_int_equal(request_new(&r, s, q, n, o, e), ERR_OK);
    request_run(r, &t.sink, e);
    if (index)
        *index = request_index(r);
    request_free(r);
    buf_free(&t.out);
    return e->code;
}

static void errors_tell_where(void **state)
{
    struct session *s = open_session(*state);
    const struct request_options alone = {0}, atomic = {.atomic = true};
    struct query one = {.sql = "SELECT 1; SELECT nope", .len = 21};
    struct query many[] = {{.sql = "INSERT INTO w VALUES (1)", .len = 24},
                           {.sql = "INSERT INTO w VALUES (2)", .len = 24},
                           {.sql = " INSERT INTO w VALUES (nope)", .len = 28}};
    struct err e = ERR_INIT;
    size_t index = 9;
    CHECK(s, "CREATE TABLE w (v)", "=0/0\n");
    assert_int_equal(run_one(s, &one, 1, &alone, &index, &e), ERR_NO_COLUMN);
    assert_int_equal(e.offset, 17);
    assert_int_equal(index, 0);
    assert_int_equal(run_one(s, many, 3, &atomic, &index, &e), ERR_NO_COLUMN);
    assert_int_equal(index, 2);
    assert_int_equal(e.offset, 23);
    CHECK(s, "SELECT count(*) AS n FROM w", "n\n0\n");
    assert_int_equal(run_one(s, many, 3, &alone, &index, &e), ERR_NO_COLUMN);
    assert_int_equal(index, 2);
    CHECK(s, "SELECT count(*) AS n FROM w", "n\n2\n");
    session_close(s);
}

static void parameters(void **state)
{
    struct session *s = open_session(*state);
    const struct request_options alone = {0};
    struct param p[] = {{NULL, value_int(1)}, {NULL, value_int(2)}};
    struct param named[] = {{"b", value_int(2)}, {":a", value_int(1)}, {"other", value_null()}};
    struct query q = {.sql = "SELECT ?, ?", .len = 11, .params = p, .n_params = 2};
    struct err e = ERR_INIT;
    assert_int_equal(run_one(s, &q, 1, &alone, NULL, &e), ERR_OK);
    q.sql = "SELECT ? -- x";
    q.len = 8;
    assert_int_equal(run_one(s, &q, 1, &alone, NULL, &e), ERR_PARAM);
    q = (struct query){.sql = "SELECT :a, @b", .len = 13, .params = named, .n_params = 3};
    assert_int_equal(run_one(s, &q, 1, &alone, NULL, &e), ERR_OK);
    session_close(s);
}

static void parameters_without_a_value(void **state)
{
    static const struct {
        const char *sql;
        unsigned n; /* of the named ones below */
        const char *says;
    } cases[] = {
        {"SELECT :a, :b", 1, "parameter :b"},
        {"SELECT :a; SELECT :b", 1, "parameter :b"},
        {"SELECT :a; SELECT :b", 2, NULL}, /* they share what is given */
        {"SELECT $A", 2, "parameter $A"},
        {"SELECT ?2", 0, "parameter ?2"},
        {"SELECT ?", 0, "parameter 1 of 1"},
        {"SELECT ?, :a", 1, "parameter 1 of 2"},
        {"SELECT ?7", 3, NULL}, /* the gap before it needs nothing */
        {"SELECT 1", 3, NULL},
    };
    struct session *s = open_session(*state);
    struct param named[] = {{"a", value_int(1)}, {"b", value_null()}, {"7", value_int(7)}};
    const struct request_options alone = {0};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e = ERR_INIT;
        const struct query q = {.sql = cases[i].sql,
                                .len = strlen(cases[i].sql),
                                .params = named,
                                .n_params = cases[i].n};
        enum err_code code = run_one(s, &q, 1, &alone, NULL, &e);
        assert_int_equal(code, cases[i].says ? ERR_PARAM : ERR_OK);
        if (cases[i].says && !strstr(e.msg, cases[i].says))
            fail_msg("%s: %s", cases[i].sql, e.msg);
    }
    session_close(s);
}

static void timeouts_and_positions(void **state)
{
    struct session *s = open_session(*state);
    const char *endless =
        "WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c) SELECT max(i) FROM c";
    const struct request_options brief = {.timeout_ns = 30 * CLOCK_MS};
    const struct request_options later = {.min_seq = 5, .timeout_ns = 30 * CLOCK_MS};
    struct query q = {.sql = endless, .len = strlen(endless)};
    struct err e = ERR_INIT;
    assert_int_equal(run_one(s, &q, 1, &brief, NULL, &e), ERR_TIMEOUT);
    q = (struct query){.sql = "SELECT 1", .len = 8};
    assert_int_equal(run_one(s, &q, 1, &later, NULL, &e), ERR_LAGGING);
    CHECK(s, "CREATE TABLE tm (v)", "=0/0\n");
    q = (struct query){
        .sql = "INSERT INTO tm WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 "
               "FROM c) SELECT i FROM c"};
    q.len = strlen(q.sql);
    assert_int_equal(run_one(s, &q, 1, &brief, NULL, &e), ERR_TIMEOUT);
    CHECK(s, "SELECT count(*) AS n FROM tm", "n\n0\n");
    session_close(s);
}

/* A client that reads slowly inside a transaction is not idle: its snapshot stays. */
static void a_paused_read_is_not_idle(void **state)
{
    struct session *s = open_session(*state);
    struct text_sink t = {.sink.ops = &text_ops, .out = BUF_INIT, .full_every = 1};
    struct query q = {.sql = "SELECT v FROM pa ORDER BY v", .len = 27};
    const struct request_options o = {0};
    struct request *r = NULL;
    struct err e = ERR_INIT;
    struct fixture *f = *state;
    CHECK(s, "CREATE TABLE pa (v); INSERT INTO pa VALUES (1), (2), (3)", "=0/0\n=3/3\n");
    CHECK(s, "BEGIN", "=0/3\n");
    assert_int_equal(request_new(&r, s, &q, 1, &o, &e), ERR_OK);
    assert_int_equal(request_run(r, &t.sink, &e), REQUEST_PAUSED);
    pthread_mutex_lock(&f->node->mu);
    session_tick_locked(f->node, clock_mono_ns() + 10 * CLOCK_S);
    pthread_mutex_unlock(&f->node->mu);
    assert_int_equal(session_state(s), SESSION_IN_TX);
    while (request_run(r, &t.sink, &e) == REQUEST_PAUSED)
        ;
    assert_int_equal(e.code, ERR_OK);
    assert_string_equal(buf_cstr(&t.out), "v\n1\n2\n3\n");
    request_free(r);
    pthread_mutex_lock(&f->node->mu);
    session_tick_locked(f->node, clock_mono_ns() + 10 * CLOCK_S);
    pthread_mutex_unlock(&f->node->mu);
    CHECK(s, "SELECT 1", "TX_IDLE");
    CHECK(s, "ROLLBACK", "=0/3\n");
    buf_free(&t.out);
    session_close(s);
}

static void temporary_objects_and_vacuum(void **state)
{
    struct session *s = open_session(*state);
    CHECK(s, "CREATE TABLE va (id INTEGER PRIMARY KEY, v)", "=0/0\n");
    CHECK(s, "VACUUM", "=0/0\n");
    CHECK(s, "BEGIN; VACUUM", "TX_ACTIVE");
    CHECK(s, "ROLLBACK", "=0/0\n");
    CHECK(s, "SAVEPOINT x", "TX_NONE");
    CHECK(s, "BEGIN; CREATE TEMP TABLE tt (v); INSERT INTO tt VALUES (1); SELECT v FROM tt; COMMIT",
          "=0/0\n=0/0\n=1/1\nv\n1\n=0/1\n");
    session_close(s);
}

static void databases_by_name(void **state)
{
    struct session *s = open_session(*state);
    struct err e = ERR_INIT;
    assert_null(session_database(s));
    assert_int_equal(session_use(s, "nope.db", &e), ERR_NO_DATABASE);
    assert_int_equal(session_use(s, "t.db", &e), ERR_OK);
    assert_string_equal(session_database(s), "t.db");
    CHECK(s, "BEGIN", "=0/0\n");
    assert_int_equal(session_use(s, NULL, &e), ERR_TX_ACTIVE);
    session_close(s);
    session_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reads_and_writes, setup, teardown),
        cmocka_unit_test_setup_teardown(arrays_are_atomic, setup, teardown),
        cmocka_unit_test_setup_teardown(explicit_transactions, setup, teardown),
        cmocka_unit_test_setup_teardown(upgrade_conflicts, setup, teardown),
        cmocka_unit_test_setup_teardown(deferred_foreign_keys, setup, teardown),
        cmocka_unit_test_setup_teardown(idle_transactions_end, setup, teardown),
        cmocka_unit_test_setup_teardown(closing_a_session_rolls_back, setup, teardown),
        cmocka_unit_test_setup_teardown(groups_lose_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(results_are_limited, setup, teardown),
        cmocka_unit_test_setup_teardown(errors_tell_where, setup, teardown),
        cmocka_unit_test_setup_teardown(parameters, setup, teardown),
        cmocka_unit_test_setup_teardown(parameters_without_a_value, setup, teardown),
        cmocka_unit_test_setup_teardown(timeouts_and_positions, setup, teardown),
        cmocka_unit_test_setup_teardown(a_paused_read_is_not_idle, setup, teardown),
        cmocka_unit_test_setup_teardown(temporary_objects_and_vacuum, setup, teardown),
        cmocka_unit_test_setup_teardown(databases_by_name, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
