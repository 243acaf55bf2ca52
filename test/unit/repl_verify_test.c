/* Is this our log? What a replica does when it is not, or not any more. */
#include "repl/replica.h"

#include "support/nats_fixture.h"

#include "support/repl_fixture.h"

/* Stopped: readable, not writable, and says why. */
static void check_stopped(struct peer *p, const char *reason, const char *query, const char *rows)
{
    struct err e;

    WAIT_FOR(peer_stopped(p, reason));
    assert_rows(p, query, rows);
    assert_int_equal(peer_try(p, "CREATE TABLE never (x)", NULL, NULL, &e), ERR_STOPPED);
    assert_non_null(strstr(e.msg, reason));
    assert_true(peer_status(p).apply_errors > 0);
}

static void delete_log(const struct peer *via)
{
    struct err e = ERR_INIT;

    assert_int_equal(stream_delete(via->client, replica_stream(via->replica), &e), ERR_OK);
}

/* ---- the log is another one ------------------------------------------------------------------ */

static void the_log_is_deleted(void **state)
{
    struct peer *p = new_peer("a", "deleted", REPLICA_SERIALIZABLE);

    (void)state;
    peer_write(p, "CREATE TABLE t (v); INSERT INTO t VALUES (1)");
    delete_log(p);
    check_stopped(p, "the log is gone", "SELECT v FROM t", "1;");
    peer_close(p);
    peer_open(p, &server, "deleted");
    check_stopped(p, "the log is gone", "SELECT v FROM t", "1;");
    free_peer(p);
}

static void the_log_is_created_anew(void **state)
{
    struct peer *p = new_peer("a", "anew", REPLICA_SERIALIZABLE);
    struct peer *q;

    (void)state;
    peer_write(p, "CREATE TABLE t (v); INSERT INTO t VALUES (1)");
    delete_log(p);
    q = new_peer("b", "anew", REPLICA_SERIALIZABLE);
    peer_write(q, "CREATE TABLE other (v)");
    check_stopped(p, "created anew", "SELECT v FROM t", "1;");
    assert_rows(p, "SELECT count(*) FROM sqlite_schema WHERE name = 'other'", "0;");
    peer_close(p);
    peer_open(p, &server, "anew");
    check_stopped(p, "created anew", "SELECT v FROM t", "1;");
    free_peer(p);
    free_peer(q);
}

/* A file that was tied to a log which never held anything has nothing to lose. */
static void an_empty_log_may_be_another_one(void **state)
{
    struct peer *p = new_peer("a", "empty", REPLICA_SERIALIZABLE);

    (void)state;
    peer_close(p);
    struct peer *q = new_peer("b", "empty", REPLICA_SERIALIZABLE);
    delete_log(q);
    free_peer(q);
    q = new_peer("c", "empty", REPLICA_SERIALIZABLE);
    peer_write(q, "CREATE TABLE t (v)");
    peer_open(p, &server, "empty");
    WAIT_FOR(peer_follows(p));
    peer_wait(p, 1);
    assert_rows(p, "SELECT count(*) FROM t", "0;");
    free_peer(p);
    free_peer(q);
}

/* ---- the log is shorter, or has another end -------------------------------------------------- */

static void the_log_lost_its_end(void **state)
{
    struct peer *p = new_peer("a", "end", REPLICA_SERIALIZABLE);
    struct peer *q;
    struct err e;

    (void)state;
    peer_write(p, "CREATE TABLE t (v)");
    peer_write(p, "INSERT INTO t VALUES (1)");
    nats_stop(&server);
    nats_keep(&server, "early");
    nats_start(&server);
    WAIT_FOR(peer_follows(p));
    peer_write(p, "INSERT INTO t VALUES (2)");
    peer_write(p, "INSERT INTO t VALUES (3)");
    nats_stop(&server);
    nats_keep(&server, "late");
    nats_restore(&server, "early");
    nats_start(&server);
    check_stopped(p, "has lost its end", "SELECT count(*) FROM t", "3;");
    /* What was lost comes back: so does the replica, without a restart. */
    nats_stop(&server);
    nats_restore(&server, "late");
    nats_start(&server);
    WAIT_FOR(peer_follows(p));
    assert_int_equal(peer_try(p, "INSERT INTO t VALUES (4)", NULL, NULL, &e), ERR_OK);
    /* And once more, but now somebody else writes other messages at the same places. */
    nats_stop(&server);
    nats_restore(&server, "early");
    nats_start(&server);
    q = new_peer("b", "end", REPLICA_SERIALIZABLE);
    peer_wait(q, 2);
    for (int i = 0; i < 3; i++)
        peer_write(q, "INSERT INTO t VALUES ('other')");
    assert_true(log_state(q).last_seq == 5);
    check_stopped(p, "rolled back and written anew", "SELECT max(v) FROM t", "4;");
    peer_close(p);
    peer_open(p, &server, "end");
    check_stopped(p, "rolled back and written anew", "SELECT count(*) FROM t", "4;");
    free_peer(p);
    free_peer(q);
}

static void the_log_begins_too_late(void **state)
{
    struct peer *p = new_peer("a", "late", REPLICA_SERIALIZABLE);
    struct peer *q = new_peer("b", "late", REPLICA_SERIALIZABLE);
    struct peer *r;
    struct err e = ERR_INIT;

    (void)state;
    peer_wait(q, peer_write(p, "CREATE TABLE t (v)"));
    peer_close(q);
    peer_write(p, "INSERT INTO t VALUES (1)");
    peer_write(p, "INSERT INTO t VALUES (2)");
    assert_int_equal(
        stream_purge(p->client, replica_stream(p->replica), replica_subject(p->replica), &e),
        ERR_OK);
    peer_open(q, &server, "late");
    check_stopped(q, "messages in between are gone", "SELECT count(*) FROM t", "0;");
    /* Nor can an empty file begin there. */
    r = calloc(1, sizeof *r);
    peer_make(r, "c");
    peer_open(r, &server, "late");
    WAIT_FOR(peer_stopped(r, "messages in between are gone"));
    /* Who holds all of it goes on, and a purged log is no hindrance to a restart. */
    peer_write(p, "INSERT INTO t VALUES (3)");
    peer_close(p);
    peer_open(p, &server, "late");
    WAIT_FOR(peer_follows(p));
    assert_true(peer_write(p, "INSERT INTO t VALUES (4)") == 5);
    free_peer(p);
    free_peer(q);
    free_peer(r);
}

/* ---- where to begin -------------------------------------------------------------------------- */

static void start_policies(void **state)
{
    struct peer *p = new_peer("a", "start", REPLICA_SERIALIZABLE);
    struct {
        enum replica_start start;
        uint64_t seq;
        uint64_t position;
    } cases[] = {{REPLICA_START_NEW, 0, 3}, {REPLICA_START_SEQ, 4, 3}};

    (void)state;
    peer_write(p, "CREATE TABLE t (v)");
    peer_write(p, "CREATE TABLE u (v)");
    peer_write(p, "CREATE TABLE w (v)");
    for (size_t i = 0; i < 2; i++) {
        struct peer *q = calloc(1, sizeof *q);
        q->start = cases[i].start;
        q->start_seq = cases[i].seq;
        peer_make(q, "b");
        peer_open(q, &server, "start");
        WAIT_FOR(peer_follows(q));
        assert_true(replica_position(q->replica) == cases[i].position);
        free_peer(q);
    }
    struct peer *last = calloc(1, sizeof *last);
    last->start = REPLICA_START_LAST;
    peer_make(last, "c");
    peer_open(last, &server, "start");
    WAIT_FOR(peer_follows(last));
    peer_wait(last, 3);
    assert_rows(last, "SELECT name FROM sqlite_schema WHERE name IN ('t', 'u', 'w')", "w;");
    free_peer(last);
    struct peer *beyond = calloc(1, sizeof *beyond);
    beyond->start = REPLICA_START_SEQ;
    beyond->start_seq = 9;
    peer_make(beyond, "d");
    peer_open(beyond, &server, "start");
    WAIT_FOR(peer_stopped(beyond, "the log ends at 3"));
    free_peer(beyond);
    free_peer(p);
}

/* ---- a position survives --------------------------------------------------------------------- */

static void a_restart_goes_on_where_it_was(void **state)
{
    struct peer *p = new_peer("a", "resume", REPLICA_SERIALIZABLE);
    struct peer *q = new_peer("b", "resume", REPLICA_SERIALIZABLE);
    uint64_t seq = 0;

    (void)state;
    peer_wait(q, peer_write(p, "CREATE TABLE t (id INTEGER PRIMARY KEY, v)"));
    for (int round = 0; round < 3; round++) {
        peer_close(q);
        for (int i = 0; i < 20; i++)
            seq = peer_write(p, "INSERT INTO t (v) VALUES ('x')");
        peer_open(q, &server, "resume");
        peer_wait(q, seq);
        WAIT_FOR(peer_follows(q));
        seq = peer_write(q, "INSERT INTO t (v) VALUES ('y')");
        peer_wait(p, seq);
    }
    assert_rows(p, "SELECT count(*), max(id) FROM t", "63|63;");
    assert_rows(q, "SELECT count(*), max(id) FROM t", "63|63;");
    free_peer(p);
    free_peer(q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_restart_goes_on_where_it_was),
        cmocka_unit_test(start_policies),
        cmocka_unit_test(the_log_begins_too_late),
        cmocka_unit_test(an_empty_log_may_be_another_one),
        cmocka_unit_test(the_log_is_deleted),
        cmocka_unit_test(the_log_is_created_anew),
        cmocka_unit_test(the_log_lost_its_end),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
