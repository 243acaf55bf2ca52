/* The write group and explicit transactions, with one or two replicas on one log. */
#include "repl/replica.h"

#include <pthread.h>

#include "repl/queue.h"
#include "support/nats_fixture.h"

#include "support/repl_fixture.h"

/* ---- one replica ----------------------------------------------------------------------------- */

static void sequences_are_dense(void **state)
{
    struct peer *p = new_peer("a", "dense", REPLICA_SERIALIZABLE);
    struct err e;
    uint64_t seq;
    unsigned index;

    (void)state;
    assert_true(peer_write(p, "CREATE TABLE t (id INTEGER PRIMARY KEY, v)") == 1);
    assert_true(peer_write(p, "INSERT INTO t (v) VALUES (1)") == 2);
    assert_int_equal(peer_try(p, "INSERT INTO t (v) VALUES (2)", &seq, &index, &e), ERR_OK);
    assert_true(seq == 3);
    assert_int_equal(index, 1);
    /* Nothing to replicate: no message. */
    assert_int_equal(peer_try(p, "UPDATE t SET v = 9 WHERE id = 99", &seq, &index, &e), ERR_OK);
    assert_true(seq == 0);
    assert_int_equal(index, 0);
    assert_int_equal(peer_try(p, "SELECT 1", &seq, NULL, &e), ERR_OK);
    assert_true(seq == 0);
    assert_true(log_state(p).last_seq == 3);
    assert_true(replica_position(p->replica) == 3);
    free_peer(p);
}

#define THREADS 16
#define EACH    50

struct worker {
    struct peer *p;
    int number;
    int failed;
    pthread_t thread;
};

/* Every third transaction fails by itself, every seventh ends SQLite's whole transaction. */
static void *work(void *arg)
{
    struct worker *w = arg;

    for (int i = 0; i < EACH; i++) {
        char sql[160];
        struct err e;
        enum err_code wanted = i % 7 == 6 ? ERR_UNIQUE : i % 3 == 2 ? ERR_NOT_NULL : ERR_OK;
        int id = w->number * EACH + i + 1;
        enum err_code code;

        (void)snprintf(sql, sizeof sql,
                       "UPDATE counter SET n = n + 1; INSERT%s INTO t VALUES (%d, %s)",
                       wanted == ERR_UNIQUE ? " OR ROLLBACK" : "", wanted == ERR_UNIQUE ? 0 : id,
                       wanted == ERR_NOT_NULL ? "NULL" : "'v'");
        code = peer_try(w->p, sql, NULL, NULL, &e);
        if (code != wanted)
            fail_msg("%s: %s: %s", sql, err_name(code), e.msg);
        w->failed += code != ERR_OK;
    }
    return NULL;
}

static void groups_keep_members_apart(void **state)
{
    struct peer *p = new_peer("a", "apart", REPLICA_SERIALIZABLE);
    struct peer *q = new_peer("b", "apart", REPLICA_SERIALIZABLE);
    struct worker w[THREADS];
    struct replica_status st;
    char expected[64];
    int good = THREADS * EACH;

    (void)state;
    peer_write(p, "CREATE TABLE t (id INTEGER PRIMARY KEY, v NOT NULL)");
    peer_write(p, "INSERT INTO t VALUES (0, 'there'); CREATE TABLE counter (n)");
    peer_write(p, "INSERT INTO counter VALUES (0)");
    for (int i = 0; i < THREADS; i++) {
        w[i] = (struct worker){.p = p, .number = i};
        assert_int_equal(pthread_create(&w[i].thread, NULL, work, &w[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(w[i].thread, NULL);
        good -= w[i].failed;
    }
    st = peer_status(p);
    (void)snprintf(expected, sizeof expected, "%d|%d;", good, good + 1);
    assert_rows(p, "SELECT n, (SELECT count(*) FROM t) FROM counter", expected);
    assert_true(st.commits == (uint64_t)good + 3);
    assert_true(st.groups == log_state(p).last_seq);
    assert_true(st.groups <= st.commits);
    assert_true(st.conflicts == 0 && st.retries == 0);
    peer_wait(q, st.seq);
    assert_rows(q, "SELECT n, (SELECT count(*) FROM t) FROM counter", expected);
    free_peer(p);
    free_peer(q);
}

struct gate {
    pthread_mutex_t mu;
    pthread_cond_t cond;
    bool entered, open;
    atomic_int runs;
};

static enum err_code run_gate(void *arg, struct writer *w, struct err *e)
{
    struct gate *g = arg;

    atomic_fetch_add(&g->runs, 1);
    pthread_mutex_lock(&g->mu);
    g->entered = true;
    pthread_cond_broadcast(&g->cond);
    while (!g->open)
        pthread_cond_wait(&g->cond, &g->mu);
    pthread_mutex_unlock(&g->mu);
    return run_sql(w, "INSERT INTO t VALUES ('gate')", false, e);
}

struct gated {
    struct peer *p;
    struct gate *g;
    enum err_code code;
};

static void *write_gate(void *arg)
{
    struct gated *x = arg;
    struct err e = ERR_INIT;
    struct txn t = {.run = run_gate, .arg = x->g, .deadline_ns = CLOCK_EVER};

    x->code = replica_write(x->p->replica, &t, &e);
    return NULL;
}

struct queued {
    struct peer *p;
    const char *sql;
    uint64_t seq;
    unsigned index;
    enum err_code code;
    pthread_t thread;
};

static void *write_queued(void *arg)
{
    struct queued *x = arg;
    struct err e;

    x->code = peer_try(x->p, x->sql, &x->seq, &x->index, &e);
    return NULL;
}

static bool queue_is(struct peer *p, size_t n)
{
    struct replica *r = p->replica;
    size_t have = 0;

    pthread_mutex_lock(&r->mu);
    for (struct waiting *w = r->head; w; w = w->next)
        have++;
    pthread_mutex_unlock(&r->mu);
    return have == n;
}

/* While a leader runs, others queue; the next group takes them all, in order, into one message. A
 * member that fails leaves no hole in the numbering; one that destroys the SQLite transaction makes
 * the ones before it run again, and its own failure is its own. */
static void one_message_for_the_queue(void **state)
{
    struct peer *p = new_peer("a", "queue", REPLICA_SERIALIZABLE);
    struct gate g = {.mu = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};
    struct gated first = {p, &g, ERR_INTERNAL};
    struct queued q[] = {
        {.sql = "INSERT INTO t VALUES ('1')"},
        {.sql = "INSERT INTO t VALUES ('there')"},
        {.sql = "INSERT INTO t VALUES ('2')"},
        {.sql = "INSERT OR ROLLBACK INTO t VALUES ('there')"},
        {.sql = "INSERT INTO t VALUES ('3')"},
        {.sql = "INSERT INTO t VALUES ('4')"},
    };
    size_t n = sizeof q / sizeof *q;
    pthread_t thread;

    (void)state;
    peer_write(p, "CREATE TABLE t (v UNIQUE)");
    peer_write(p, "INSERT INTO t VALUES ('there')");
    assert_int_equal(pthread_create(&thread, NULL, write_gate, &first), 0);
    pthread_mutex_lock(&g.mu);
    while (!g.entered)
        pthread_cond_wait(&g.cond, &g.mu);
    pthread_mutex_unlock(&g.mu);
    for (size_t i = 0; i < n; i++) {
        q[i].p = p;
        assert_int_equal(pthread_create(&q[i].thread, NULL, write_queued, &q[i]), 0);
        WAIT_FOR(queue_is(p, i + 1));
    }
    pthread_mutex_lock(&g.mu);
    g.open = true;
    pthread_cond_broadcast(&g.cond);
    pthread_mutex_unlock(&g.mu);
    pthread_join(thread, NULL);
    for (size_t i = 0; i < n; i++)
        pthread_join(q[i].thread, NULL);
    assert_int_equal(first.code, ERR_OK);
    assert_int_equal(q[0].code, ERR_OK);
    assert_int_equal(q[1].code, ERR_UNIQUE);
    assert_int_equal(q[2].code, ERR_OK);
    assert_int_equal(q[3].code, ERR_UNIQUE);
    assert_int_equal(q[4].code, ERR_OK);
    assert_int_equal(q[5].code, ERR_OK);
    assert_true(q[0].seq == 4 && q[0].index == 1);
    assert_true(q[1].seq == 0 && q[1].index == 0);
    assert_true(q[2].seq == 4 && q[2].index == 2);
    assert_true(q[4].seq == 5 && q[4].index == 1);
    assert_true(q[5].seq == 5 && q[5].index == 2);
    assert_rows(p, "SELECT v FROM t ORDER BY rowid", "there;gate;1;2;3;4;");
    assert_true(log_state(p).last_seq == 5);
    free_peer(p);
}

/* ---- two replicas ---------------------------------------------------------------------------- */

static void *increments(void *arg)
{
    struct worker *w = arg;

    for (int i = 0; i < EACH; i++)
        peer_write(w->p, "UPDATE counter SET n = n + 1; INSERT INTO ids (who) VALUES (1)");
    return NULL;
}

static void nothing_is_lost_between_two(void **state)
{
    struct peer *p[2] = {new_peer("a", "both", REPLICA_SERIALIZABLE),
                         new_peer("b", "both", REPLICA_SERIALIZABLE)};
    struct worker w[8];
    struct replica_status st[2];
    struct stream_state log;

    (void)state;
    peer_wait(p[1],
              peer_write(p[0], "CREATE TABLE counter (n); INSERT INTO counter VALUES (0); "
                               "CREATE TABLE ids (id INTEGER PRIMARY KEY AUTOINCREMENT, who)"));
    for (int i = 0; i < 8; i++) {
        w[i] = (struct worker){.p = p[i % 2], .number = i};
        assert_int_equal(pthread_create(&w[i].thread, NULL, increments, &w[i]), 0);
    }
    for (int i = 0; i < 8; i++)
        pthread_join(w[i].thread, NULL);
    log = log_state(p[0]);
    for (int i = 0; i < 2; i++) {
        peer_wait(p[i], log.last_seq);
        assert_rows(p[i], "SELECT n FROM counter", "400;");
        assert_rows(p[i], "SELECT count(*), min(id), max(id) FROM ids", "400|1|400;");
        st[i] = peer_status(p[i]);
        assert_int_equal(st[i].state, REPLICA_FOLLOWING);
        assert_true(st[i].seq == log.last_seq);
        assert_true(st[i].last_seq == log.last_seq);
        assert_true(st[i].apply_errors == 0);
        assert_true(st[i].retries >= st[i].conflicts);
    }
    assert_true(st[0].commits + st[1].commits == 401);
    assert_true(st[0].groups + st[1].groups == log.last_seq);
    assert_true(st[0].conflicts + st[1].conflicts > 0); /* else this has tested nothing */
    free_peer(p[0]);
    free_peer(p[1]);
}

static enum err_code insert_one(void *arg, struct writer *w, struct err *e)
{
    (void)arg;
    return run_sql(w, "INSERT INTO t VALUES (1)", false, e);
}

/* What wants to be alone shares its message neither with who came before nor with who comes after;
 * those who do not mind share theirs. */
static void alone_in_its_group(void **state)
{
    static const bool alone[] = {false, false, true, true, false, false};
    struct peer *p = new_peer("a", "alone", REPLICA_SERIALIZABLE);
    struct txn t[6];
    struct err errs[6], e = ERR_INIT;

    (void)state;
    peer_write(p, "CREATE TABLE t (v)");
    for (int i = 0; i < 6; i++)
        t[i] = (struct txn){
            .run = insert_one, .alone = alone[i], .deadline_ns = clock_deadline(PATIENCE_NS)};
    assert_int_equal(replica_write_all(p->replica, t, 6, errs, &e), ERR_OK);
    for (int i = 0; i < 6; i++)
        assert_int_equal(errs[i].code, ERR_OK);
    assert_true(t[0].seq == 2 && t[1].seq == 2 && t[1].index == 2);
    assert_true(t[2].seq == 3 && t[2].index == 1);
    assert_true(t[3].seq == 4 && t[3].index == 1);
    assert_true(t[4].seq == 5 && t[5].seq == 5 && t[5].index == 2);
    assert_rows(p, "SELECT count(*) FROM t", "6;");
    free_peer(p);
}

/* An open transaction that can no longer commit does not stand in the way of the winner's message.
 */
static void a_lost_transaction_ends_at_once(void **state)
{
    struct peer *p = new_peer("a", "doomed", REPLICA_SERIALIZABLE);
    struct peer *q = new_peer("b", "doomed", REPLICA_SERIALIZABLE);
    struct err e = ERR_INIT;
    struct tx *tx = NULL;
    struct writer *w = NULL;
    uint64_t seq;

    (void)state;
    peer_wait(q, peer_write(p, "CREATE TABLE t (v)"));
    assert_int_equal(tx_begin(&tx, q->replica, clock_deadline(PATIENCE_NS), &e), ERR_OK);
    assert_int_equal(tx_enter(tx, &w, &e), ERR_OK);
    assert_int_equal(run_sql(w, "INSERT INTO t VALUES ('lost')", true, &e), ERR_OK);
    tx_leave(tx);
    seq = peer_write(p, "INSERT INTO t VALUES ('won')");
    peer_wait(q, seq); /* although the transaction is still held by its client */
    assert_rows(q, "SELECT v FROM t", "won;");
    assert_false(tx_open(tx));
    assert_int_equal(tx_enter(tx, &w, &e), ERR_CONFLICT);
    assert_int_equal(tx_commit(tx, &seq, &e), ERR_CONFLICT);
    assert_true(seq == 0);
    tx_free(tx);
    peer_wait(p, peer_write(q, "INSERT INTO t VALUES ('next')"));
    assert_rows(p, "SELECT v FROM t", "won;next;");
    free_peer(p);
    free_peer(q);
}

/* The same while its client is inside a statement: the statement is interrupted. */
static void *slow_statement(void *arg)
{
    struct tx *tx = arg;
    struct writer *w = NULL;
    struct err e = ERR_INIT;
    struct conn_guard g = {.deadline_ns = CLOCK_EVER};

    if (tx_enter(tx, &w, &e) == ERR_OK) {
        conn_guard(writer_conn(w), &g);
        run_sql(w,
                "INSERT INTO t WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c) "
                "SELECT max(i) FROM c",
                true, &e);
        conn_unguard(writer_conn(w));
        tx_leave(tx);
    }
    return NULL;
}

static void a_lost_statement_is_interrupted(void **state)
{
    struct peer *p = new_peer("a", "inside", REPLICA_SERIALIZABLE);
    struct peer *q = new_peer("b", "inside", REPLICA_SERIALIZABLE);
    struct err e = ERR_INIT;
    struct tx *tx = NULL;
    struct writer *w = NULL;
    pthread_t thread;

    (void)state;
    peer_wait(q, peer_write(p, "CREATE TABLE t (v)"));
    assert_int_equal(tx_begin(&tx, q->replica, clock_deadline(PATIENCE_NS), &e), ERR_OK);
    assert_int_equal(pthread_create(&thread, NULL, slow_statement, tx), 0);
    peer_wait(q, peer_write(p, "INSERT INTO t VALUES ('won')"));
    pthread_join(thread, NULL);
    assert_int_equal(tx_enter(tx, &w, &e), ERR_CONFLICT);
    tx_free(tx);
    assert_rows(q, "SELECT v FROM t", "won;");
    free_peer(p);
    free_peer(q);
}

/* ---- explicit transactions on one replica ---------------------------------------------------- */

static void explicit_transactions(void **state)
{
    struct peer *p = new_peer("a", "explicit", REPLICA_SERIALIZABLE);
    struct err e = ERR_INIT;
    struct tx *tx = NULL;
    struct writer *w = NULL;
    uint64_t seq;

    (void)state;
    peer_write(p, "CREATE TABLE parent (id INTEGER PRIMARY KEY); CREATE TABLE child (p REFERENCES "
                  "parent DEFERRABLE INITIALLY DEFERRED)");
    assert_int_equal(tx_begin(&tx, p->replica, clock_deadline(PATIENCE_NS), &e), ERR_OK);
    assert_int_equal(tx_enter(tx, &w, &e), ERR_OK);
    assert_int_equal(run_sql(w, "INSERT INTO child VALUES (5)", true, &e), ERR_OK);
    tx_leave(tx);
    assert_int_equal(tx_commit(tx, &seq, &e), ERR_FOREIGN_KEY);
    assert_true(tx_open(tx));
    assert_int_equal(tx_enter(tx, &w, &e), ERR_OK);
    assert_int_equal(run_sql(w, "INSERT INTO parent VALUES (5)", true, &e), ERR_OK);
    tx_leave(tx);
    assert_int_equal(tx_commit(tx, &seq, &e), ERR_OK);
    assert_true(seq == 2);
    err_clear(&e);
    assert_int_equal(tx_commit(tx, &seq, &e), ERR_TX_NONE);
    tx_free(tx);
    tx_free(NULL);
    /* One that has written nothing. */
    assert_int_equal(tx_begin(&tx, p->replica, clock_deadline(PATIENCE_NS), &e), ERR_OK);
    assert_int_equal(tx_commit(tx, &seq, &e), ERR_OK);
    assert_true(seq == 0);
    tx_free(tx);
    assert_rows(p, "SELECT p FROM child", "5;");
    free_peer(p);
}

static void idle_transactions_end(void **state)
{
    struct peer *p = calloc(1, sizeof *p);
    struct err e = ERR_INIT;
    struct tx *tx = NULL;
    struct writer *w = NULL;

    (void)state;
    p->tx_idle_ns = 50 * CLOCK_MS;
    peer_make(p, "a");
    peer_open(p, &server, "idle");
    WAIT_FOR(peer_follows(p));
    peer_write(p, "CREATE TABLE t (v)");
    assert_int_equal(tx_begin(&tx, p->replica, clock_deadline(PATIENCE_NS), &e), ERR_OK);
    replica_tick(p->replica, clock_mono_ns());
    assert_true(tx_open(tx));
    replica_tick(p->replica, clock_mono_ns() + 60 * CLOCK_MS);
    assert_false(tx_open(tx));
    assert_int_equal(tx_enter(tx, &w, &e), ERR_TX_IDLE);
    peer_write(p, "INSERT INTO t VALUES (1)");
    tx_free(tx);
    free_peer(p);
}

static void a_transaction_that_ends_itself(void **state)
{
    struct peer *p = new_peer("a", "itself", REPLICA_SERIALIZABLE);
    struct err e = ERR_INIT;
    struct tx *tx = NULL;
    struct writer *w = NULL;
    uint64_t seq;

    (void)state;
    peer_write(p, "CREATE TABLE t (v UNIQUE); INSERT INTO t VALUES (1)");
    assert_int_equal(tx_begin(&tx, p->replica, clock_deadline(PATIENCE_NS), &e), ERR_OK);
    assert_int_equal(tx_enter(tx, &w, &e), ERR_OK);
    assert_int_equal(run_sql(w, "INSERT INTO t VALUES (2)", true, &e), ERR_OK);
    assert_int_equal(run_sql(w, "INSERT OR ROLLBACK INTO t VALUES (1)", true, &e), ERR_UNIQUE);
    tx_leave(tx);
    assert_false(tx_open(tx));
    assert_int_equal(tx_commit(tx, &seq, &e), ERR_TX_ABORTED);
    tx_free(tx);
    assert_rows(p, "SELECT v FROM t", "1;");
    peer_write(p, "INSERT INTO t VALUES (3)");
    free_peer(p);
}

/* ---- outages --------------------------------------------------------------------------------- */

static void writes_wait_for_the_log(void **state)
{
    struct peer *p = calloc(1, sizeof *p);
    struct queued q = {.p = p, .sql = "INSERT INTO t VALUES ('waited')", .code = ERR_INTERNAL};
    struct err e;

    (void)state;
    p->timeout_ns = 300 * CLOCK_MS;
    peer_make(p, "a");
    peer_open(p, &server, "outage");
    WAIT_FOR(peer_follows(p));
    peer_write(p, "CREATE TABLE t (v)");
    nats_kill(&server);
    WAIT_FOR(peer_status(p).state == REPLICA_OFFLINE);
    assert_int_equal(peer_try(p, "INSERT INTO t VALUES ('refused')", NULL, NULL, &e),
                     ERR_LOG_UNAVAILABLE);
    assert_rows(p, "SELECT count(*) FROM t", "0;"); /* reads go on */
    nats_start(&server);
    WAIT_FOR(peer_follows(p));
    peer_close(p);
    p->timeout_ns = 20 * CLOCK_S;
    peer_open(p, &server, "outage");
    WAIT_FOR(peer_follows(p));
    nats_kill(&server);
    WAIT_FOR(peer_status(p).state == REPLICA_OFFLINE);
    assert_int_equal(pthread_create(&q.thread, NULL, write_queued, &q), 0);
    WAIT_FOR(!queue_is(p, 1)); /* it leads */
    nats_start(&server);
    pthread_join(q.thread, NULL);
    assert_int_equal(q.code, ERR_OK);
    assert_rows(p, "SELECT v FROM t", "waited;");
    free_peer(p);
}

/* No answer until the deadline: the client is told so, the file follows what the log says. */
static void unknown_outcomes_are_settled_by_the_log(void **state)
{
    struct peer *p = calloc(1, sizeof *p);
    struct err e;

    (void)state;
    p->timeout_ns = 500 * CLOCK_MS;
    peer_make(p, "a");
    peer_open(p, &server, "unknown");
    WAIT_FOR(peer_follows(p));
    peer_write(p, "CREATE TABLE t (v)");
    nats_pause(&server);
    assert_int_equal(peer_try(p, "INSERT INTO t VALUES ('perhaps')", NULL, NULL, &e),
                     ERR_UNKNOWN_OUTCOME);
    assert_rows(p, "SELECT count(*) FROM t", "0;");
    nats_resume(&server);
    WAIT_FOR(rows_are(p, "SELECT v FROM t", "perhaps;"));
    peer_write(p, "INSERT INTO t VALUES ('sure')");
    assert_rows(p, "SELECT v FROM t", "perhaps;sure;");
    assert_true(log_state(p).last_seq == 3);
    free_peer(p);
}

static void closing_refuses_what_waits(void **state)
{
    struct peer *p = new_peer("a", "closing", REPLICA_SERIALIZABLE);
    struct err e = ERR_INIT;
    struct tx *tx = NULL;
    struct queued q = {.p = p, .sql = "INSERT INTO t VALUES (1)", .code = ERR_OK};
    struct replica *r;

    (void)state;
    peer_write(p, "CREATE TABLE t (v)");
    r = p->replica;
    assert_int_equal(tx_begin(&tx, r, clock_deadline(PATIENCE_NS), &e), ERR_OK);
    assert_int_equal(pthread_create(&q.thread, NULL, write_queued, &q), 0);
    WAIT_FOR(queue_is(p, 1));
    replica_stop(r, clock_deadline(20 * CLOCK_MS)); /* ends the transaction at its deadline */
    pthread_join(q.thread, NULL);
    assert_int_equal(q.code, ERR_SHUTDOWN);
    assert_false(tx_open(tx));
    tx_free(tx);
    assert_int_equal(peer_try(p, "INSERT INTO t VALUES (2)", NULL, NULL, &e), ERR_SHUTDOWN);
    free_peer(p);
}

/* A replica without NATS has a group, too. */
static void standalone(void **state)
{
    struct peer p = {.name = "alone"};
    struct replica *r = NULL;
    struct err e = ERR_INIT;
    uint64_t seq = 7;

    (void)state;
    peer_make(&p, "alone");
    struct replica_options o = {.id = "t.db",
                                .node = "n",
                                .conn = {.path = p.path, .create = true},
                                .spool_dir = p.dir,
                                .replicate_ddl = true,
                                .stream = "s",
                                .timeout_ns = CLOCK_S};
    assert_int_equal(replica_open(&r, &o, &e), ERR_OK);
    atomic_store(&p.replica, r);
    assert_true(peer_follows(&p));
    assert_int_equal(peer_try(&p, "CREATE TABLE t (v); INSERT INTO t VALUES (1)", &seq, NULL, &e),
                     ERR_OK);
    assert_true(seq == 0);
    assert_rows(&p, "SELECT v FROM t", "1;");
    assert_int_equal(replica_sync(r, clock_deadline(CLOCK_S), &e), ERR_OK);
    assert_int_equal(replica_vacuum(r, clock_deadline(CLOCK_S), &e),
                     ERR_DENIED); /* no primary key */
    atomic_store(&p.replica, NULL);
    replica_close(r);
    assert_true(file_remove_tree(p.dir));
    replica_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sequences_are_dense),
        cmocka_unit_test(groups_keep_members_apart),
        cmocka_unit_test(one_message_for_the_queue),
        cmocka_unit_test(nothing_is_lost_between_two),
        cmocka_unit_test(alone_in_its_group),
        cmocka_unit_test(a_lost_transaction_ends_at_once),
        cmocka_unit_test(a_lost_statement_is_interrupted),
        cmocka_unit_test(explicit_transactions),
        cmocka_unit_test(idle_transactions_end),
        cmocka_unit_test(a_transaction_that_ends_itself),
        cmocka_unit_test(writes_wait_for_the_log),
        cmocka_unit_test(unknown_outcomes_are_settled_by_the_log),
        cmocka_unit_test(closing_refuses_what_waits),
        cmocka_unit_test(standalone),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
