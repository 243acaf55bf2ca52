/* A replica that only reads its log: it follows like any other, and leaves no trace in it. */
#include "repl/replica.h"

#include "support/nats_fixture.h"

#include "support/repl_fixture.h"

static struct peer *new_reader(enum replica_mode mode)
{
    struct peer *p = calloc(1, sizeof *p);

    p->mode = mode;
    p->read_only = true;
    peer_make(p, "r");
    return p;
}

static void it_follows(void **state)
{
    struct peer *w = new_peer("w", "follow", REPLICA_SERIALIZABLE);
    struct peer *r = new_reader(REPLICA_SERIALIZABLE);
    uint64_t seq;

    (void)state;
    peer_write(w, "CREATE TABLE t (v); INSERT INTO t VALUES (1)");
    peer_open(r, &server, "follow");
    WAIT_FOR(peer_follows(r));
    seq = peer_write(w, "UPDATE t SET v = 2; CREATE INDEX i ON t(v)");
    peer_wait(r, seq);
    assert_rows(r, "SELECT v FROM t", "2;");
    assert_rows(r, "SELECT seq FROM ha_position", "2;");
    peer_close(r);
    seq = peer_write(w, "INSERT INTO t VALUES (3)");
    peer_open(r, &server, "follow");
    peer_wait(r, seq);
    assert_rows(r, "SELECT v FROM t", "2;3;");
    assert_int_equal(log_state(w).last_seq, seq);
    free_peer(r);
    free_peer(w);
}

static void it_makes_no_log(void **state)
{
    struct peer *r = new_reader(REPLICA_LWW);
    struct err e = ERR_INIT;
    struct stream_state st;
    struct replica_status rs;
    bool found = true;

    (void)state;
    peer_open(r, &server, "none");
    WAIT_FOR((rs = peer_status(r)).state == REPLICA_OFFLINE &&
             strstr(rs.reason, "there is no log"));
    assert_int_equal(stream_info(r->client, replica_stream(r->replica), &st, &found, &e), ERR_OK);
    assert_false(found);
    /* It is waited for. */
    struct peer *w = new_peer("w", "none", REPLICA_LWW);
    uint64_t seq = peer_write(w, "CREATE TABLE t (v)");
    WAIT_FOR(peer_follows(r));
    peer_wait(r, seq);
    free_peer(r);
    free_peer(w);
}

/* Not even into a log that holds nothing; and a snapshot begins none. */
static void its_content_begins_no_log(void **state)
{
    struct peer *r = new_reader(REPLICA_SERIALIZABLE);
    struct peer *w = new_peer("w", "content", REPLICA_SERIALIZABLE);

    (void)state;
    peer_prepare_file(r, "CREATE TABLE own (v); INSERT INTO own VALUES (1)");
    peer_open(r, &server, "content");
    WAIT_FOR(peer_stopped(r, "content that is not of the log"));
    assert_int_equal(log_state(w).last_seq, 0);
    peer_write(w, "CREATE TABLE t (v)");
    peer_close(r);
    peer_open(r, &server, "content");
    WAIT_FOR(peer_stopped(r, "content that is not of the log"));
    assert_rows(r, "SELECT v FROM own", "1;");
    assert_int_equal(log_state(w).last_seq, 1);
    free_peer(r);
    free_peer(w);
}

/* The mark of an import that a node was killed in. */
static void an_import_is_the_nodes_own(void **state)
{
    struct peer *w = new_peer("w", "mark", REPLICA_SERIALIZABLE);
    struct peer *r = new_reader(REPLICA_SERIALIZABLE);
    char sql[600];

    (void)state;
    (void)snprintf(
        sql, sizeof sql,
        "CREATE TABLE own (v);"
        "CREATE TABLE ha_position(id INTEGER PRIMARY KEY CHECK (id = 1), seq INTEGER NOT "
        "NULL, msg_id TEXT NOT NULL, stream TEXT NOT NULL, stream_created INTEGER NOT NULL);"
        "INSERT INTO ha_position VALUES (1, 0, 'mark', '%s', %lld)",
        replica_stream(w->replica), (long long)log_state(w).created_ns);
    peer_prepare_file(r, sql);
    peer_open(r, &server, "mark");
    WAIT_FOR(peer_stopped(r, "it is that node's"));
    assert_int_equal(log_state(w).last_seq, 0);
    free_peer(r);
    free_peer(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_follows),
        cmocka_unit_test(it_makes_no_log),
        cmocka_unit_test(its_content_begins_no_log),
        cmocka_unit_test(an_import_is_the_nodes_own),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
