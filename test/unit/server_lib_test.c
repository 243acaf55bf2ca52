/* libha as an application sees it: nodes in this process, with real embedded NATS. */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>

#include <ha/ha.h>

#include "support/nats_fixture.h"

static char base[] = "/tmp/ha-lib-XXXXXX";
static struct ha_node *lone; /* without replication, shared by the tests that need no more */

static struct ha_node *open_node(const char *const *settings)
{
    struct ha_error e;
    struct ha_node *n = NULL;

    if (!ha_open(&n, settings, &e))
        fail_msg("%s: %s", e.code, e.message);
    assert_string_equal(e.code, "OK");
    if (!ha_wait_ready(n, 30000, &e))
        fail_msg("%s: %s", e.code, e.message);
    return n;
}

static struct ha_session *open_session(struct ha_node *n)
{
    struct ha_error e;
    struct ha_session *s = NULL;

    if (!ha_session_open(&s, n, NULL, &e))
        fail_msg("%s: %s", e.code, e.message);
    return s;
}

static void run_at(struct ha_session *s, const char *sql, int line)
{
    struct ha_error e;

    if (!ha_exec(s, sql, NULL, 0, NULL, NULL, NULL, &e))
        fail_msg("line %d: %s: %s: %s", line, sql, e.code, e.message);
}

#define RUN(s, sql) run_at(s, sql, __LINE__)

static void refused_at(struct ha_session *s, const char *sql, const char *code, int line)
{
    struct ha_error e;

    if (ha_exec(s, sql, NULL, 0, NULL, NULL, NULL, &e) || strcmp(e.code, code) != 0)
        fail_msg("line %d: %s: %s instead of %s: %s", line, sql, e.code, code, e.message);
}

#define REFUSED(s, sql, code) refused_at(s, sql, code, __LINE__)

static bool take_int(void *arg, const struct ha_row *row)
{
    assert_true(row->columns >= 1);
    assert_int_equal(row->values[0].type, HA_INTEGER);
    *(int64_t *)arg = row->values[0].u.i;
    return true;
}

static int64_t number(struct ha_session *s, const char *sql)
{
    struct ha_error e;
    int64_t n = INT64_MIN;

    if (!ha_exec(s, sql, NULL, 0, take_int, &n, NULL, &e))
        fail_msg("%s: %s: %s", sql, e.code, e.message);
    return n;
}

static int set_up(void **state)
{
    static char path[64];
    const char *settings[] = {path,          "--name",          "lone", "--nats-port", "0",
                              "--db-params", "_foreign_keys=1", NULL};

    (void)state;
    if (!mkdtemp(base))
        return -1;
    (void)snprintf(path, sizeof path, "%s/lone.db", base);
    lone = open_node(settings);
    return 0;
}

static int tear_down(void **state)
{
    struct ha_error e;

    (void)state;
    if (!ha_close(lone, &e))
        fail_msg("%s", e.message);
    return file_remove_tree(base) ? 0 : -1;
}

/* ---- opening --------------------------------------------------------------------------------- */

static void wrong_settings_are_refused(void **state)
{
    static const char *const cases[][4] = {
        {"--no-such-flag", NULL},
        {"--nats-port", NULL},
        {"--nats-port", "x", NULL},
        {"--help", NULL},
        {"--version", NULL},
        {"--print-config", NULL},
        {"--mysql-proxied", "x", NULL},
        {"--port", "70000", NULL},
        {"--config", "/no/such", NULL},
        {"--name=", NULL},
        {"--replication-stream=a.b", "--nats-port=0", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ha_error e;
        struct ha_node *n = (struct ha_node *)(uintptr_t)1;

        assert_false(ha_open(&n, cases[i], &e));
        assert_null(n);
        if (strcmp(e.code, "CONFIG") != 0 || !e.message[0] || e.retry)
            fail_msg("%s: %s: %s", cases[i][0], e.code, e.message);
        assert_false(ha_open(&n, cases[i], NULL));
    }
}

static void the_environment_does_not_count(void **state)
{
    char path[64];
    const char *settings[] = {path, "--nats-port=0", NULL};
    struct ha_node *n;

    (void)state;
    (void)snprintf(path, sizeof path, "%s/env.db", base);
    assert_int_equal(setenv("HA_CONSISTENCY", "nonsense", 1), 0);
    n = open_node(settings);
    assert_int_equal(unsetenv("HA_CONSISTENCY"), 0);
    assert_string_equal(ha_nats_url(n), "");
    assert_true(ha_close(n, NULL));
}

static void no_database_of_that_name(void **state)
{
    struct ha_error e;
    struct ha_session *s;

    (void)state;
    assert_false(ha_session_open(&s, lone, "other.db", &e));
    assert_null(s);
    assert_string_equal(e.code, "NO_DATABASE");
    assert_true(ha_session_open(&s, lone, "lone.db", &e));
    ha_session_close(s);
    ha_session_close(NULL);
    assert_true(ha_close(NULL, &e));
}

static void a_node_with_sessions_does_not_close(void **state)
{
    struct ha_error e;
    struct ha_session *s = open_session(lone);

    (void)state;
    assert_false(ha_close(lone, &e));
    assert_string_equal(e.code, "BUSY");
    assert_int_equal(number(s, "SELECT 1"), 1);
    ha_session_close(s);
}

static void http_only_where_wanted(void **state)
{
    char path[64], port[16];
    int number_of_port = free_port();
    const char *with[] = {path, "--nats-port=0", "--port", port, NULL};
    struct ha_node *n;

    (void)state;
    (void)snprintf(path, sizeof path, "%s/http.db", base);
    (void)snprintf(port, sizeof port, "%d", number_of_port);
    n = open_node(with);
    assert_true(can_connect(number_of_port));
    assert_true(ha_close(n, NULL));
    assert_false(can_connect(number_of_port));
    with[3] = "0";
    n = open_node(with);
    assert_true(ha_close(n, NULL));
}

/* ---- values and errors ----------------------------------------------------------------------- */

static bool check_values(void *arg, const struct ha_row *row)
{
    const struct ha_value *v = row->values;
    bool *seen = arg;

    assert_int_equal(row->columns, 7);
    assert_string_equal(row->names[0], "n");
    assert_string_equal(row->names[6], "empty");
    assert_int_equal(v[0].type, HA_NULL);
    assert_int_equal(v[1].type, HA_INTEGER);
    assert_true(v[1].u.i == INT64_MIN);
    assert_int_equal(v[2].type, HA_REAL);
    assert_true(v[2].u.r == 0.1);
    assert_int_equal(v[3].type, HA_TEXT);
    assert_int_equal(v[3].u.s.len, 5);
    assert_memory_equal(v[3].u.s.data, "a\0\xC3\xA9z", 5);
    assert_int_equal(v[4].type, HA_BLOB);
    assert_int_equal(v[4].u.s.len, 3);
    assert_memory_equal(v[4].u.s.data, "\x00\xFF\x01", 3);
    assert_int_equal(v[5].type, HA_TEXT);
    assert_int_equal(v[5].u.s.len, 0);
    assert_int_equal(v[6].type, HA_BLOB);
    assert_int_equal(v[6].u.s.len, 0);
    *seen = true;
    return true;
}

static void values_come_back_as_they_went(void **state)
{
    struct ha_session *s = open_session(lone);
    struct ha_param p[] = {
        {NULL, ha_null()},
        {NULL, ha_int(INT64_MIN)},
        {NULL, ha_real(0.1)},
        {NULL, ha_text_n("a\0\xC3\xA9z", 5)},
        {NULL, ha_blob("\x00\xFF\x01", 3)},
        {NULL, ha_text("")},
        {NULL, ha_blob(NULL, 0)},
    };
    struct ha_error e;
    struct ha_result r;
    struct ha_rows *rows;
    const struct ha_row *row;
    bool seen = false;

    (void)state;
    RUN(s, "CREATE TABLE val (n, i, r, t, b, empty_text, empty)");
    if (!ha_exec(s, "INSERT INTO val VALUES (?, ?, ?, ?, ?, ?, ?)", p, 7, NULL, NULL, &r, &e))
        fail_msg("%s", e.message);
    assert_int_equal(r.rows_affected, 1);
    assert_int_equal(r.last_insert_id, 1);
    assert_int_equal(r.rows, 0);
    assert_true(ha_exec(s, "SELECT * FROM val", NULL, 0, check_values, &seen, &r, &e));
    assert_true(seen);
    assert_int_equal(r.rows, 1);
    /* Through a cursor, and once more as parameters. */
    assert_true(ha_query(&rows, s, "SELECT * FROM val", NULL, 0, &e));
    assert_int_equal(ha_rows_next(rows, &row, &e), HA_ROW);
    seen = false;
    assert_true(check_values(&seen, row));
    assert_int_equal(ha_rows_next(rows, &row, &e), HA_END);
    assert_null(row);
    assert_int_equal(ha_rows_next(rows, &row, &e), HA_END);
    ha_rows_close(rows, &r);
    assert_int_equal(r.rows, 1);
    ha_session_close(s);
}

static void parameters_by_name(void **state)
{
    struct ha_session *s = open_session(lone);
    struct ha_param p[] = {{"a", ha_int(40)}, {":b", ha_int(2)}, {"unused", ha_text("x")}};
    struct ha_error e;
    int64_t n = 0;

    (void)state;
    assert_true(ha_exec(s, "SELECT :a + $b",
                        (struct ha_param[]){{"a", ha_int(40)}, {"b", ha_int(2)}}, 2, take_int, &n,
                        NULL, &e));
    assert_int_equal(n, 42);
    assert_true(ha_exec(s, "SELECT :a + :b", p, 3, take_int, &n, NULL, &e));
    assert_int_equal(n, 42);
    assert_false(ha_exec(s, "SELECT ?", (struct ha_param[]){{NULL, ha_int(1)}, {NULL, ha_int(2)}},
                         2, NULL, NULL, NULL, &e));
    assert_string_equal(e.code, "PARAM");
    assert_false(ha_exec(s, NULL, NULL, 0, NULL, NULL, NULL, &e));
    assert_string_equal(e.code, "PARAM");
    assert_false(ha_exec(s, "SELECT 1", p, 1000000, NULL, NULL, NULL, &e));
    assert_string_equal(e.code, "PARAM");
    ha_session_close(s);
}

static void errors_say_what_and_where(void **state)
{
    struct ha_session *s = open_session(lone);
    struct ha_error e;
    struct ha_result r;

    (void)state;
    RUN(s, "CREATE TABLE err (id INTEGER PRIMARY KEY, v UNIQUE)");
    assert_false(ha_exec(s, "INSERT INTO err VALUES (1, 1); INSERT INTO err VALUES (2, 1)", NULL, 0,
                         NULL, NULL, &r, &e));
    assert_string_equal(e.code, "UNIQUE");
    assert_string_equal(e.sqlstate, "23505");
    assert_int_equal(e.sqlite_code, 2067); /* SQLITE_CONSTRAINT_UNIQUE */
    assert_false(e.retry);
    assert_int_equal(r.rows_affected, 1); /* the first one is committed */
    assert_int_equal(number(s, "SELECT count(*) FROM err"), 1);
    assert_false(ha_exec(s, "SELECT id, nope FROM err", NULL, 0, NULL, NULL, NULL, &e));
    assert_string_equal(e.code, "NO_COLUMN");
    assert_int_equal(e.offset, 11);
    assert_false(ha_exec(s, "SELEC 1", NULL, 0, NULL, NULL, NULL, &e));
    assert_string_equal(e.code, "SYNTAX");
    assert_string_equal(e.sqlstate, "42601");
    assert_true(ha_exec(s, "  -- nothing\n ;", NULL, 0, NULL, NULL, NULL, &e));
    assert_string_equal(e.code, "OK");
    assert_string_equal(e.message, "");
    ha_session_close(s);
}

static bool stop_at_three(void *arg, const struct ha_row *row)
{
    (void)row;
    return ++*(int *)arg < 3;
}

static void the_callback_may_stop(void **state)
{
    struct ha_session *s = open_session(lone);
    struct ha_error e;
    int rows = 0;

    (void)state;
    RUN(s, "CREATE TABLE stop (v)");
    assert_false(ha_exec(s, "VALUES (1), (2), (3), (4)", NULL, 0, stop_at_three, &rows, NULL, &e));
    assert_string_equal(e.code, "INTERRUPTED");
    assert_int_equal(rows, 3);
    rows = 0;
    assert_false(ha_exec(s, "INSERT INTO stop VALUES (1), (2), (3), (4) RETURNING v", NULL, 0,
                         stop_at_three, &rows, NULL, &e));
    assert_int_equal(rows, 3);
    assert_int_equal(number(s, "SELECT count(*) FROM stop"), 4);
    ha_session_close(s);
}

struct nested {
    struct ha_session *own, *other;
    int rows;
};

static bool run_within(void *arg, const struct ha_row *row)
{
    struct nested *n = arg;

    (void)row;
    REFUSED(n->own, "SELECT 1", "BUSY");
    RUN(n->other, "INSERT INTO nested VALUES (2)");
    return ++n->rows < 10;
}

static void a_callback_may_use_other_sessions(void **state)
{
    struct nested n = {open_session(lone), open_session(lone), 0};
    struct ha_error e;

    (void)state;
    RUN(n.own, "CREATE TABLE nested (v); INSERT INTO nested VALUES (1)");
    if (!ha_exec(n.own, "SELECT v FROM nested", NULL, 0, run_within, &n, NULL, &e))
        fail_msg("%s", e.message);
    assert_int_equal(n.rows, 1);
    if (!ha_exec(n.own, "INSERT INTO nested VALUES (3), (4) RETURNING v", NULL, 0, run_within, &n,
                 NULL, &e))
        fail_msg("%s", e.message);
    assert_int_equal(number(n.own, "SELECT count(*) FROM nested"), 7 - 1);
    ha_session_close(n.own);
    ha_session_close(n.other);
}

/* ---- transactions ---------------------------------------------------------------------------- */

static void transactions_through_sql(void **state)
{
    struct ha_session *s = open_session(lone), *other = open_session(lone);
    struct ha_result r;
    struct ha_error e;

    (void)state;
    RUN(s, "CREATE TABLE tx (id INTEGER PRIMARY KEY, v)");
    assert_false(ha_session_in_transaction(s));
    RUN(s, "BEGIN");
    assert_true(ha_session_in_transaction(s));
    RUN(s, "INSERT INTO tx (v) VALUES ('a'), ('b')");
    assert_int_equal(number(s, "SELECT last_insert_rowid()"), 2);
    assert_int_equal(number(other, "SELECT count(*) FROM tx"), 0);
    RUN(s, "SAVEPOINT p");
    RUN(s, "DELETE FROM tx");
    RUN(s, "ROLLBACK TO p");
    REFUSED(s, "INSERT INTO tx VALUES (1, 'x')", "UNIQUE");
    assert_true(ha_exec(s, "COMMIT", NULL, 0, NULL, NULL, &r, &e));
    assert_int_equal(r.seq, 0); /* there is no log here */
    assert_false(ha_session_in_transaction(s));
    assert_int_equal(number(other, "SELECT count(*) FROM tx"), 2);
    RUN(s, "BEGIN; DELETE FROM tx; ROLLBACK");
    assert_int_equal(number(other, "SELECT count(*) FROM tx"), 2);
    REFUSED(s, "COMMIT", "TX_NONE");
    RUN(s, "BEGIN IMMEDIATE; DELETE FROM tx");
    ha_session_close(s);
    assert_int_equal(number(other, "SELECT count(*) FROM tx"), 2);
    ha_session_close(other);
}

static void batches_are_all_or_nothing(void **state)
{
    struct ha_session *s = open_session(lone);
    struct ha_param one = {NULL, ha_int(1)}, two = {NULL, ha_int(2)};
    struct ha_statement bad[] = {{"INSERT INTO bat VALUES (?)", &one, 1},
                                 {"INSERT INTO bat VALUES (?)", &one, 1}};
    struct ha_statement good[] = {{"INSERT INTO bat VALUES (?)", &one, 1},
                                  {"INSERT INTO bat VALUES (?)", &two, 1},
                                  {"SELECT sum(v) FROM bat", NULL, 0}};
    struct ha_result r;
    struct ha_error e;
    int64_t sum = 0;

    (void)state;
    RUN(s, "CREATE TABLE bat (v UNIQUE)");
    assert_false(ha_batch(s, bad, 2, NULL, NULL, &r, &e));
    assert_string_equal(e.code, "UNIQUE");
    assert_int_equal(r.rows_affected, 0);
    assert_int_equal(number(s, "SELECT count(*) FROM bat"), 0);
    assert_true(ha_batch(s, good, 3, take_int, &sum, &r, &e));
    assert_int_equal(sum, 3);
    assert_int_equal(r.rows_affected, 2);
    assert_int_equal(r.rows, 1);
    assert_true(ha_batch(s, NULL, 0, NULL, NULL, NULL, &e));
    ha_session_close(s);
}

/* ---- cursors --------------------------------------------------------------------------------- */

#define MANY 100000

static void cursors_pull_in_pieces(void **state)
{
    struct ha_session *s = open_session(lone), *writer = open_session(lone);
    struct ha_rows *rows, *second;
    const struct ha_row *row;
    struct ha_result r;
    struct ha_error e;
    int64_t n = 0;

    (void)state;
    RUN(s, "CREATE TABLE cur (v INTEGER PRIMARY KEY, t)");
    RUN(s, "WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 100000) "
           "INSERT INTO cur SELECT i, 'row ' || i FROM c");
    assert_true(ha_query(&rows, s, "SELECT v, t FROM cur ORDER BY v", NULL, 0, &e));
    assert_false(ha_query(&second, s, "SELECT 1", NULL, 0, &e));
    assert_string_equal(e.code, "BUSY");
    assert_null(second);
    REFUSED(s, "SELECT 1", "BUSY");
    RUN(writer, "DELETE FROM cur WHERE v > 50000"); /* the cursor does not see it */
    while (ha_rows_next(rows, &row, &e) == HA_ROW) {
        char expected[32];
        n++;
        assert_int_equal(row->values[0].u.i, n);
        (void)snprintf(expected, sizeof expected, "row %" PRId64, n);
        assert_int_equal(row->values[1].u.s.len, strlen(expected));
        assert_memory_equal(row->values[1].u.s.data, expected, strlen(expected));
    }
    assert_string_equal(e.code, "OK");
    assert_int_equal(n, MANY);
    assert_int_equal(number(s, "SELECT count(*) FROM cur"), 50000); /* free again at the end */
    ha_rows_close(rows, &r);
    assert_int_equal(r.rows, MANY);
    ha_session_close(s);
    ha_session_close(writer);
}

static void cursors_end_early(void **state)
{
    struct ha_session *s = open_session(lone);
    struct ha_rows *rows;
    const struct ha_row *row;
    struct ha_error e;
    char name[] = "who", text[] = "before";
    struct ha_param p[] = {{name, ha_text(text)}};

    (void)state;
    /* Statements behind the first batch run with copies of the parameters. */
    assert_true(ha_query(&rows, s,
                         "WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c "
                         "WHERE i < 1000) SELECT i FROM c; SELECT :who AS w, 2",
                         p, 1, &e));
    memset(name, 'x', sizeof name - 1);
    memset(text, 'x', sizeof text - 1);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(ha_rows_next(rows, &row, &e), HA_ROW);
        assert_int_equal(row->columns, 1);
    }
    assert_int_equal(ha_rows_next(rows, &row, &e), HA_ROW);
    assert_int_equal(row->columns, 2);
    assert_string_equal(row->names[0], "w");
    assert_int_equal(row->values[0].u.s.len, 6);
    assert_memory_equal(row->values[0].u.s.data, "before", 6);
    ha_rows_close(rows, NULL);
    assert_int_equal(number(s, "SELECT 7"), 7);
    assert_true(ha_query(&rows, s, "SELECT 1 WHERE 0", NULL, 0, &e));
    assert_int_equal(ha_rows_next(rows, &row, &e), HA_END);
    ha_rows_close(rows, NULL);
    ha_rows_close(NULL, NULL);
    assert_false(ha_query(&rows, s, "SELECT * FROM nowhere", NULL, 0, &e));
    assert_null(rows);
    assert_string_equal(e.code, "NO_TABLE");
    /* Rows that came before a failure are handed out before it. */
    assert_true(ha_query(&rows, s, "SELECT 1; SELECT * FROM nowhere", NULL, 0, &e));
    assert_int_equal(ha_rows_next(rows, &row, &e), HA_ROW);
    assert_int_equal(ha_rows_next(rows, &row, &e), HA_FAILED);
    assert_string_equal(e.code, "NO_TABLE");
    ha_rows_close(rows, NULL);
    /* A session that closes takes its cursor with it. */
    assert_true(ha_query(&rows, s, "SELECT v FROM cur", NULL, 0, &e));
    ha_session_close(s);
    assert_int_equal(ha_rows_next(rows, &row, &e), HA_FAILED);
    assert_string_equal(e.code, "SHUTDOWN");
    ha_rows_close(rows, NULL);
}

static void a_write_through_a_cursor(void **state)
{
    struct ha_session *s = open_session(lone);
    struct ha_rows *rows;
    const struct ha_row *row;
    struct ha_result r;
    struct ha_error e;

    (void)state;
    RUN(s, "CREATE TABLE ret (id INTEGER PRIMARY KEY, v)");
    assert_true(
        ha_query(&rows, s, "INSERT INTO ret (v) VALUES ('a'), ('b') RETURNING id, v", NULL, 0, &e));
    assert_int_equal(ha_rows_next(rows, &row, &e), HA_ROW);
    assert_int_equal(row->values[0].u.i, 1);
    ha_rows_close(rows, &r);
    assert_int_equal(r.rows_affected, 2);
    assert_int_equal(number(s, "SELECT count(*) FROM ret"), 2);
    ha_session_close(s);
}

/* ---- interrupts ------------------------------------------------------------------------------ */

#define FOR_EVER                                                                                   \
    "WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c) SELECT count(*) FROM c"

struct interrupted {
    struct ha_session *s;
    struct ha_error e;
    atomic_bool done;
};

static void *run_for_ever(void *arg)
{
    struct interrupted *i = arg;

    assert_false(ha_exec(i->s, FOR_EVER, NULL, 0, NULL, NULL, NULL, &i->e));
    atomic_store(&i->done, true);
    return NULL;
}

static void interrupts_from_another_thread(void **state)
{
    struct interrupted i = {.s = open_session(lone)};
    int64_t until = clock_deadline(PATIENCE_NS);
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, run_for_ever, &i), 0);
    while (!atomic_load(&i.done) && clock_mono_ns() < until) {
        ha_session_interrupt(i.s); /* until it has met the running statement */
        (void)poll(NULL, 0, 2);
    }
    pthread_join(thread, NULL);
    assert_string_equal(i.e.code, "INTERRUPTED");
    assert_int_equal(number(i.s, "SELECT 1"), 1);
    ha_session_timeout(i.s, 50);
    REFUSED(i.s, FOR_EVER, "TIMEOUT");
    ha_session_timeout(i.s, 0);
    ha_session_close(i.s);
}

/* ---- two nodes ------------------------------------------------------------------------------- */

struct pair {
    struct ha_node *a, *b;
    char path_a[96], path_b[96], url[64];
};

static void open_pair(struct pair *p, const char *name, const char *consistency)
{
    const char *first[] = {p->path_a, "--name",        "a",         "--nats-port",
                           "-1",      "--consistency", consistency, NULL};
    const char *second[] = {
        p->path_b, "--name",        "b",         "--nats-port", "0", "--replication-url",
        p->url,    "--consistency", consistency, NULL};
    char dir[64];
    struct err e = ERR_INIT;

    (void)snprintf(dir, sizeof dir, "%s/%s-a", base, name);
    assert_int_equal(file_make_dirs(dir, 0700, &e), ERR_OK);
    (void)snprintf(p->path_a, sizeof p->path_a, "%s/t.db", dir);
    (void)snprintf(dir, sizeof dir, "%s/%s-b", base, name);
    assert_int_equal(file_make_dirs(dir, 0700, &e), ERR_OK);
    (void)snprintf(p->path_b, sizeof p->path_b, "%s/t.db", dir);
    p->a = open_node(first);
    (void)snprintf(p->url, sizeof p->url, "%s", ha_nats_url(p->a));
    assert_memory_equal(p->url, "nats://127.0.0.1:", 17);
    p->b = open_node(second);
    assert_string_equal(ha_nats_url(p->b), p->url);
}

static void close_pair(struct pair *p)
{
    struct ha_error e;

    if (!ha_close(p->b, &e) || !ha_close(p->a, &e))
        fail_msg("%s", e.message);
}

static uint64_t seq_of(struct ha_session *s, const char *sql)
{
    struct ha_result r;
    struct ha_error e;

    if (!ha_exec(s, sql, NULL, 0, NULL, NULL, &r, &e))
        fail_msg("%s: %s: %s", sql, e.code, e.message);
    return r.seq;
}

#define TURNS 100

static void *increment(void *node)
{
    struct ha_session *s = open_session(node);

    for (int i = 0; i < TURNS; i++)
        RUN(s, "UPDATE counter SET n = n + 1");
    ha_session_close(s);
    return NULL;
}

static void two_nodes_in_one_process(void **state)
{
    struct pair p = {0};
    struct ha_session *a, *b;
    struct ha_result r;
    struct ha_error e;
    pthread_t threads[4];
    uint64_t seq;

    (void)state;
    open_pair(&p, "two", "serializable");
    a = open_session(p.a);
    b = open_session(p.b);
    seq = seq_of(a, "CREATE TABLE counter (n)");
    assert_int_equal(seq, 1);
    seq = seq_of(a, "INSERT INTO counter VALUES (0)");
    assert_int_equal(seq, 2);
    ha_session_min_seq(b, seq);
    assert_int_equal(number(b, "SELECT n FROM counter"), 0);
    assert_true(ha_exec(b, "SELECT 1", NULL, 0, NULL, NULL, &r, &e));
    assert_int_equal(r.seq, 0);
    assert_true(r.position >= 2);
    ha_session_min_seq(b, seq + 1000);
    ha_session_timeout(b, 50);
    REFUSED(b, "SELECT n FROM counter", "LAGGING");
    ha_session_min_seq(b, 0);
    ha_session_timeout(b, 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, increment, i % 2 ? p.a : p.b), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    ha_session_min_seq(a, seq_of(b, "UPDATE counter SET n = n + 0"));
    assert_int_equal(number(a, "SELECT n FROM counter"), 4 * TURNS);
    assert_int_equal(number(b, "SELECT n FROM counter"), 4 * TURNS);
    ha_session_close(a);
    ha_session_close(b);
    close_pair(&p);
}

/* An open transaction that has lost says so with a code to act upon; the winner does not wait. */
static void conflicts_are_told(void **state)
{
    struct pair p = {0};
    struct ha_session *a, *b, *reader;
    struct ha_error e;
    uint64_t seq;

    (void)state;
    open_pair(&p, "conflict", "serializable");
    a = open_session(p.a);
    b = open_session(p.b);
    ha_session_min_seq(b, seq_of(a, "CREATE TABLE c (v)"));
    assert_int_equal(number(b, "SELECT count(*) FROM c"), 0);
    RUN(b, "BEGIN");
    RUN(b, "INSERT INTO c VALUES ('b')");
    seq = seq_of(a, "INSERT INTO c VALUES ('a')");
    reader = open_session(p.b);
    ha_session_min_seq(reader, seq);
    assert_int_equal(number(reader, "SELECT count(*) FROM c"), 1);
    ha_session_close(reader);
    assert_false(ha_exec(b, "INSERT INTO c VALUES ('b2'); COMMIT", NULL, 0, NULL, NULL, NULL, &e));
    assert_string_equal(e.code, "CONFLICT");
    assert_string_equal(e.sqlstate, "40001");
    assert_true(e.retry);
    assert_true(ha_session_in_transaction(b));
    RUN(b, "ROLLBACK");
    ha_session_min_seq(b, seq);
    assert_int_equal(number(b, "SELECT count(*) FROM c WHERE v = 'a'"), 1);
    assert_int_equal(number(b, "SELECT count(*) FROM c"), 1);
    ha_session_close(a);
    ha_session_close(b);
    close_pair(&p);
}

static void last_writer_wins(void **state)
{
    struct pair p = {0};
    struct ha_session *a, *b;
    uint64_t seq;

    (void)state;
    open_pair(&p, "lww", "lww");
    a = open_session(p.a);
    b = open_session(p.b);
    ha_session_min_seq(b, seq_of(a, "CREATE TABLE w (id INTEGER PRIMARY KEY, v)"));
    seq = seq_of(b, "INSERT INTO w VALUES (1, 10)");
    ha_session_min_seq(a, seq);
    assert_int_equal(number(a, "SELECT v FROM w"), 10);
    ha_session_close(a);
    ha_session_close(b);
    close_pair(&p);
}

/* ---- the process ----------------------------------------------------------------------------- */

static void nothing_of_the_process_is_changed(void **state)
{
    const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGCHLD, SIGALRM, SIGUSR1};
    struct sigaction before[7], after;
    sigset_t mask, now;
    struct pair p = {0};

    (void)state;
    for (size_t i = 0; i < 7; i++)
        assert_int_equal(sigaction(numbers[i], NULL, &before[i]), 0);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &mask), 0);
    open_pair(&p, "signals", "serializable");
    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &now), 0);
    for (int s = 1; s < SIGRTMAX; s++)
        assert_int_equal(sigismember(&now, s), sigismember(&mask, s));
    for (size_t i = 0; i < 7; i++) {
        assert_int_equal(sigaction(numbers[i], NULL, &after), 0);
        assert_true(after.sa_handler == before[i].sa_handler);
    }
    close_pair(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_settings_are_refused),
        cmocka_unit_test(the_environment_does_not_count),
        cmocka_unit_test(no_database_of_that_name),
        cmocka_unit_test(a_node_with_sessions_does_not_close),
        cmocka_unit_test(http_only_where_wanted),
        cmocka_unit_test(values_come_back_as_they_went),
        cmocka_unit_test(parameters_by_name),
        cmocka_unit_test(errors_say_what_and_where),
        cmocka_unit_test(the_callback_may_stop),
        cmocka_unit_test(a_callback_may_use_other_sessions),
        cmocka_unit_test(transactions_through_sql),
        cmocka_unit_test(batches_are_all_or_nothing),
        cmocka_unit_test(cursors_pull_in_pieces),
        cmocka_unit_test(cursors_end_early),
        cmocka_unit_test(a_write_through_a_cursor),
        cmocka_unit_test(interrupts_from_another_thread),
        cmocka_unit_test(nothing_of_the_process_is_changed),
        cmocka_unit_test(two_nodes_in_one_process),
        cmocka_unit_test(conflicts_are_told),
        cmocka_unit_test(last_writer_wins),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
