/* Explicit transactions that the applier ends at an awkward moment. Pauses (HA_FAULT in main) hold
 * the session's thread where it would be passed over: just before it lets go of the transaction,
 * and where it has the write lock but nobody can see its transaction yet. */
#include "repl/replica.h"

#include <pthread.h>

#include "support/nats_fixture.h"

#include "support/repl_fixture.h"

#define SCHEMA                                                                                     \
    "CREATE TABLE parent (id INTEGER PRIMARY KEY); CREATE TABLE t (v REFERENCES parent "           \
    "DEFERRABLE INITIALLY DEFERRED)"

/* Two nodes with the same content; the transactions are those of the second one. They do not end
 * because they idle: whoever is passed over waits for ever. */
struct pair {
    struct peer p, q;
    struct tx *tx;
    pthread_t thread;
    atomic_bool there; /* the thread is about to do what the test is about */
    enum err_code code;
};

static struct pair *pair_up(const char *stream)
{
    struct pair *x = calloc(1, sizeof *x);

    peer_make(&x->p, "a");
    peer_make(&x->q, "b");
    peer_open(&x->p, &server, stream);
    peer_open(&x->q, &server, stream);
    WAIT_FOR(peer_follows(&x->p) && peer_follows(&x->q));
    peer_wait(&x->q, peer_write(&x->p, SCHEMA));
    return x;
}

static void pair_down(struct pair *x)
{
    peer_remove(&x->p);
    peer_remove(&x->q);
    free(x);
}

static void begin(struct pair *x)
{
    struct err e = ERR_INIT;

    if (tx_begin(&x->tx, x->q.replica, clock_deadline(PATIENCE_NS), &e) != ERR_OK)
        fail_msg("%s", e.msg);
}

/* The other node was first. */
static void assert_conflict(struct pair *x)
{
    struct writer *w = NULL;
    struct err e = ERR_INIT;

    assert_false(tx_open(x->tx));
    assert_int_equal(tx_enter(x->tx, &w, &e), ERR_CONFLICT);
    tx_free(x->tx);
    assert_rows(&x->q, "SELECT count(*) FROM t", "0;");
}

static void insert(struct pair *x)
{
    struct writer *w = NULL;
    struct err e = ERR_INIT;

    if (tx_enter(x->tx, &w, &e) != ERR_OK)
        return;
    run_sql(w, "INSERT INTO t VALUES (7)", true, &e);
    atomic_store(&x->there, true);
    tx_leave(x->tx);
}

static void *insert_main(void *arg)
{
    insert(arg);
    return NULL;
}

static void a_statement_that_ends_just_then(void **state)
{
    struct pair *x = pair_up("leave");

    (void)state;
    begin(x);
    assert_int_equal(pthread_create(&x->thread, NULL, insert_main, x), 0);
    WAIT_FOR(atomic_load(&x->there));
    peer_wait(&x->q, peer_write(&x->p, "INSERT INTO parent VALUES (1)"));
    pthread_join(x->thread, NULL);
    assert_conflict(x);
    pair_down(x);
}

static void *commit_main(void *arg)
{
    struct pair *x = arg;
    struct err e = ERR_INIT;
    uint64_t seq;

    atomic_store(&x->there, true);
    x->code = tx_commit(x->tx, &seq, &e);
    return NULL;
}

/* It stands, for it may be mended; not if it has lost meanwhile. */
static void a_commit_that_is_refused_just_then(void **state)
{
    struct pair *x = pair_up("refused");

    (void)state;
    begin(x);
    insert(x);
    atomic_store(&x->there, false);
    assert_int_equal(pthread_create(&x->thread, NULL, commit_main, x), 0);
    WAIT_FOR(atomic_load(&x->there));
    peer_wait(&x->q, peer_write(&x->p, "INSERT INTO parent VALUES (1)"));
    pthread_join(x->thread, NULL);
    assert_int_equal(x->code, ERR_CONFLICT);
    assert_conflict(x);
    pair_down(x);
}

static void *ask_main(void *arg)
{
    struct pair *x = arg;

    while (tx_open(x->tx))
        atomic_store(&x->there, true);
    return NULL;
}

#define ROUNDS 8 /* not each time is the applier there at a bad moment */

static void a_session_that_only_asks(void **state)
{
    struct pair *x = pair_up("ask");

    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        begin(x);
        atomic_store(&x->there, false);
        assert_int_equal(pthread_create(&x->thread, NULL, ask_main, x), 0);
        WAIT_FOR(atomic_load(&x->there));
        peer_wait(&x->q, peer_write(&x->p, "INSERT INTO parent DEFAULT VALUES"));
        pthread_join(x->thread, NULL);
        assert_conflict(x);
    }
    pair_down(x);
}

static void *begin_main(void *arg)
{
    begin(arg);
    return NULL;
}

static bool write_is_held(struct replica *r)
{
    pthread_mutex_lock(&r->mu);
    bool held = r->write_held;
    pthread_mutex_unlock(&r->mu);
    return held;
}

/* The applier comes for the lock with a message, or to look at the log anew. */
static void a_transaction_that_begins_just_then(void **state)
{
    struct pair *x = pair_up("begin");

    (void)state;
    for (int i = 0; i < 2; i++) {
        WAIT_FOR(!write_is_held(x->q.replica)); /* the applier is through with the last message */
        assert_int_equal(pthread_create(&x->thread, NULL, begin_main, x), 0);
        WAIT_FOR(write_is_held(x->q.replica));
        if (i == 0)
            peer_wait(&x->q, peer_write(&x->p, "INSERT INTO parent VALUES (1)"));
        else
            replica_doubt(x->q.replica);
        pthread_join(x->thread, NULL);
        WAIT_FOR(!tx_open(x->tx));
        assert_conflict(x);
    }
    pair_down(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_statement_that_ends_just_then),
        cmocka_unit_test(a_commit_that_is_refused_just_then),
        cmocka_unit_test(a_session_that_only_asks),
        cmocka_unit_test(a_transaction_that_begins_just_then),
    };
    (void)setenv("HA_FAULT", "tx.begin=pause:200,tx.unlock=pause:200", 1);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
