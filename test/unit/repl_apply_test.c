/* The applier: messages that are too big, strange or wrong; last writer wins; the asynchronous
 * outbox. */
#include "repl/replica.h"

#include <pthread.h>

#include "support/nats_fixture.h"

#define NATS_MAX_PAYLOAD 32768 /* bytes */
#include "support/repl_fixture.h"

/* ---- what cannot be applied ------------------------------------------------------------------ */

/* Each ends in STOPPED with its reason, moves nothing, and stays there over a restart. */
static void garbage_stops(void **state)
{
    static const struct {
        const char *name, *bytes, *reason;
    } cases[] = {
        {"nojson", "this is no JSON", "message 2"},
        {"empty", "", "message 2"},
        {"cut", "{\"node\":\"x\",\"changes\":[{\"database\":\"main\",\"table\":\"t\",",
         "message 2"},
        {"format", "{\"node\":\"x\",\"changes\":[],\"format\":99}", "message 2"},
        {"nowhere",
         "{\"node\":\"x\",\"changes\":[{\"database\":\"main\",\"table\":\"nowhere\",\"columns\":["
         "\"v\"],"
         "\"pk_columns\":[],\"operation\":\"INSERT\",\"new_rowid\":1,\"new_values\":[1]}],"
         "\"format\":1}",
         "nowhere"},
        {"badsql",
         "{\"node\":\"x\",\"changes\":[{\"operation\":\"SQL\",\"command\":\"CREATE TABLE (\"}],"
         "\"format\":1}",
         "message 2"},
        {"diverged",
         "{\"node\":\"x\",\"changes\":[{\"database\":\"main\",\"table\":\"t\",\"columns\":[\"id\","
         "\"v\"],\"pk_columns\":[\"id\"],\"operation\":\"DELETE\",\"old_rowid\":77,"
         "\"old_values\":[77,1]}],\"format\":1}",
         "message 2"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct peer *p = new_peer("a", cases[i].name, REPLICA_SERIALIZABLE);
        struct err e;
        peer_write(p, "CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 1)");
        assert_true(log_put(p, "garbage", cases[i].bytes, strlen(cases[i].bytes)) == 2);
        WAIT_FOR(peer_status(p).state == REPLICA_STOPPED);
        if (!strstr(peer_status(p).reason, cases[i].reason))
            fail_msg("%s: %s", cases[i].name, peer_status(p).reason);
        assert_true(replica_position(p->replica) == 1);
        assert_rows(p, "SELECT id, v FROM t", "1|1;");
        assert_int_equal(peer_try(p, "DELETE FROM t", NULL, NULL, &e), ERR_STOPPED);
        err_clear(&e);
        assert_int_equal(replica_wait(p->replica, 2, clock_deadline(PATIENCE_NS), &e), ERR_STOPPED);
        err_clear(&e);
        assert_int_equal(replica_sync(p->replica, clock_deadline(CLOCK_S), &e), ERR_LAGGING);
        assert_true(peer_status(p).apply_errors > 0);
        peer_close(p);
        peer_open(p, &server, cases[i].name);
        WAIT_FOR(peer_status(p).state == REPLICA_STOPPED);
        assert_rows(p, "SELECT id, v FROM t", "1|1;");
        /* Another one gets as far, although it meets both messages at once. */
        struct peer *q = calloc(1, sizeof *q);
        peer_make(q, "b");
        peer_open(q, &server, cases[i].name);
        WAIT_FOR(replica_position(q->replica) == 1);
        WAIT_FOR(peer_status(q).state == REPLICA_STOPPED);
        assert_rows(q, "SELECT id, v FROM t", "1|1;");
        free_peer(q);
        free_peer(p);
    }
}

/* A message that names another predecessor than the one in the file. */
static void another_predecessor_stops(void **state)
{
    struct peer *p = new_peer("a", "prev", REPLICA_SERIALIZABLE);
    const char *text =
        "{\"node\":\"x\",\"changes\":[],\"id\":\"x2\",\"prev\":\"somebody\",\"format\":1}";

    (void)state;
    peer_write(p, "CREATE TABLE t (v)");
    log_put(p, "x2", text, strlen(text));
    WAIT_FOR(peer_stopped(p, "follows \"somebody\""));
    /* It is tried again, and does not look healthy meanwhile. */
    for (uint64_t tries = peer_status(p).apply_errors + 2; peer_status(p).apply_errors < tries;) {
        assert_int_equal(peer_status(p).state, REPLICA_STOPPED);
        (void)poll(NULL, 0, 1);
    }
    free_peer(p);
}

/* The program that this one succeeds writes neither ids nor formats. */
static void messages_without_id_are_applied(void **state)
{
    struct peer *p = new_peer("a", "old", REPLICA_SERIALIZABLE);
    const char *text =
        "{\"node\":\"old\",\"changes\":[{\"database\":\"main\",\"operation\":\"SQL\",\"command\":"
        "\"CREATE TABLE t (id INTEGER PRIMARY KEY, v)\"},{\"database\":\"main\",\"table\":\"t\","
        "\"columns\":[\"id\",\"v\"],\"operation\":\"INSERT\",\"new_rowid\":5,\"new_values\":[5,"
        "\"x\"]}],\"timestamp_ns\":1}";

    (void)state;
    peer_wait(p, log_put(p, NULL, text, strlen(text)));
    assert_rows(p, "SELECT id, v FROM t", "5|x;");
    assert_true(peer_write(p, "INSERT INTO t VALUES (6, 'y')") == 2);
    peer_close(p);
    peer_open(p, &server, "old");
    WAIT_FOR(peer_follows(p));
    assert_rows(p, "SELECT id, v FROM t", "5|x;6|y;");
    free_peer(p);
}

/* A message that somebody has deleted out of the middle is never skipped. */
static void a_hole_in_the_log_stops(void **state)
{
    struct peer *p = new_peer("a", "hole", REPLICA_SERIALIZABLE), *q;
    struct err e;

    (void)state;
    peer_write(p, "CREATE TABLE t (v)");
    peer_write(p, "INSERT INTO t VALUES (1)");
    peer_write(p, "INSERT INTO t VALUES (2)");
    nats_delete_message(&server, replica_stream(p->replica), 2);
    assert_true(log_state(p).messages == 2);
    q = calloc(1, sizeof *q);
    peer_make(q, "b");
    peer_open(q, &server, "hole");
    WAIT_FOR(peer_stopped(q, "message 2"));
    WAIT_FOR(replica_position(q->replica) == 1);
    assert_rows(q, "SELECT count(*) FROM t", "0;");
    assert_int_equal(peer_try(q, "INSERT INTO t VALUES (3)", NULL, NULL, &e), ERR_STOPPED);
    peer_write(p, "INSERT INTO t VALUES (4)"); /* who has all of it goes on */
    free_peer(p);
    free_peer(q);
}

/* The same at the end of the log, where nothing comes behind it that would show it. */
static void a_hole_at_the_end_stops(void **state)
{
    struct peer *p = new_peer("a", "endless", REPLICA_SERIALIZABLE), *q;
    struct err e;

    (void)state;
    peer_write(p, "CREATE TABLE t (v)");
    peer_write(p, "INSERT INTO t VALUES (1)");
    nats_delete_message(&server, replica_stream(p->replica), 2);
    q = calloc(1, sizeof *q);
    peer_make(q, "b");
    peer_open(q, &server, "endless");
    WAIT_FOR(peer_stopped(q, "message 2"));
    assert_true(replica_position(q->replica) == 1);
    assert_int_equal(peer_try(q, "INSERT INTO t VALUES (3)", NULL, NULL, &e), ERR_STOPPED);
    peer_close(p); /* who has it goes on, then and later */
    peer_open(p, &server, "endless");
    WAIT_FOR(peer_follows(p));
    assert_true(peer_write(p, "INSERT INTO t VALUES (4)") == 3);
    assert_rows(p, "SELECT v FROM t", "1;4;");
    free_peer(p);
    free_peer(q);
}

/* ---- parts ----------------------------------------------------------------------------------- */

#define MANY_ROWS                                                                                  \
    "WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 5000) "             \
    "INSERT INTO t (v) SELECT hex(randomblob(400)) FROM c"

static void big_transactions_arrive_whole(void **state)
{
    struct peer *p = new_peer("a", "big", REPLICA_SERIALIZABLE);
    struct peer *q = new_peer("b", "big", REPLICA_SERIALIZABLE);
    uint64_t seq;
    char *a, *b;

    (void)state;
    peer_write(p, "CREATE TABLE t (id INTEGER PRIMARY KEY, v)");
    seq = peer_write(p, MANY_ROWS);
    assert_true(seq > 100); /* parts of 32 KiB */
    peer_wait(q, seq);
    a = peer_rows(p, "SELECT count(*), sum(length(v)), max(v), min(v) FROM t");
    b = peer_rows(q, "SELECT count(*), sum(length(v)), max(v), min(v) FROM t");
    assert_string_equal(a, b);
    free(a);
    free(b);
    assert_true(peer_write(q, "DELETE FROM t WHERE id > 1") > seq);
    peer_wait(p, replica_position(q->replica));
    assert_rows(p, "SELECT count(*) FROM t", "1;");
    free_peer(p);
    free_peer(q);
}

/* Parts without their last one hold nothing and stop nobody for ever. */
static void dead_parts_are_passed_over(void **state)
{
    struct peer *p = new_peer("a", "dead", REPLICA_SERIALIZABLE), *q;
    struct publish part = {.stream = replica_stream(p->replica),
                           .subject = replica_subject(p->replica),
                           .data = "{\"node\":\"x\",\"changes\":[",
                           .len = 24,
                           .expect_seq = PUBLISH_ANY_SEQ,
                           .parts = 3};
    struct err e = ERR_INIT;
    uint64_t seq;

    (void)state;
    peer_write(p, "CREATE TABLE t (v)");
    for (part.part = 1; part.part <= 2; part.part++) {
        part.id = part.part == 1 ? "gone.0.1" : "gone.0.2";
        assert_int_equal(stream_publish(p->client, &part, clock_deadline(PATIENCE_NS), &seq, &e),
                         PUBLISH_ACKED);
    }
    assert_true(seq == 3);
    WAIT_FOR(peer_status(p).last_seq == 3);
    assert_true(peer_follows(p));
    assert_true(replica_position(p->replica) == 1);
    assert_true(peer_write(p, "INSERT INTO t VALUES (1)") == 4); /* once they have stalled */
    q = new_peer("b", "dead", REPLICA_SERIALIZABLE);
    peer_wait(q, 4);
    assert_rows(q, "SELECT v FROM t", "1;");
    peer_close(p);
    peer_open(p, &server, "dead");
    WAIT_FOR(peer_follows(p));
    assert_true(peer_write(p, "INSERT INTO t VALUES (2)") == 5);
    /* Last parts whose first ones are missing, or of another message, are dead, too. */
    part.stream = replica_stream(p->replica);
    part.subject = replica_subject(p->replica);
    part.id = "late";
    part.part = part.parts = 2;
    assert_int_equal(stream_publish(p->client, &part, clock_deadline(PATIENCE_NS), &seq, &e),
                     PUBLISH_ACKED);
    peer_wait(q, peer_write(p, "INSERT INTO t VALUES (3)"));
    assert_rows(q, "SELECT v FROM t", "1;2;3;");
    free_peer(p);
    free_peer(q);
}

/* ---- last writer wins ------------------------------------------------------------------------ */

struct lww_writer {
    struct peer *p;
    int number;
    pthread_t thread;
};

static void *write_lww(void *arg)
{
    struct lww_writer *w = arg;

    for (int i = 0; i < 60; i++) {
        char sql[256];
        int id = (i * 7 + w->number) % 10;
        if (i % 10 == 9)
            (void)snprintf(sql, sizeof sql, "DELETE FROM t WHERE id = %d", id);
        else if (i % 15 == 7)
            (void)snprintf(
                sql, sizeof sql,
                "INSERT INTO big (v) WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i "
                "+ 1 FROM c WHERE i < 200) SELECT hex(randomblob(300)) FROM c");
        else
            (void)snprintf(sql, sizeof sql,
                           "INSERT INTO t VALUES (%d, '%s %d %d') ON CONFLICT DO UPDATE SET v = "
                           "excluded.v",
                           id, w->p->name, w->number, i);
        peer_write(w->p, sql);
    }
    return NULL;
}

static void check_equal(const struct peer *p, const struct peer *q, const char *sql)
{
    char *a = peer_rows(p, sql), *b = peer_rows(q, sql);

    if (strcmp(a, b) != 0)
        fail_msg("%s: \"%.300s\" is not \"%.300s\"", sql, a, b);
    assert_true(a[0] != '\0');
    free(a);
    free(b);
}

static void last_writer_wins(void **state)
{
    struct peer *p[2] = {new_peer("a", "lww", REPLICA_LWW), new_peer("b", "lww", REPLICA_LWW)};
    struct lww_writer w[4];

    (void)state;
    peer_wait(p[1], peer_write(p[0], "CREATE TABLE t (id INTEGER PRIMARY KEY, v); CREATE TABLE big "
                                     "(id INTEGER PRIMARY KEY AUTOINCREMENT, v)"));
    for (int i = 0; i < 4; i++) {
        w[i] = (struct lww_writer){.p = p[i % 2], .number = i};
        assert_int_equal(pthread_create(&w[i].thread, NULL, write_lww, &w[i]), 0);
    }
    for (int i = 0; i < 4; i++)
        pthread_join(w[i].thread, NULL);
    peer_wait(p[0], peer_write(p[1], "INSERT INTO t VALUES (99, 'end')"));
    peer_wait(p[1], peer_write(p[0], "INSERT INTO t VALUES (98, 'end')"));
    peer_wait(p[0], replica_position(p[1]->replica));
    check_equal(p[0], p[1], "SELECT * FROM t ORDER BY id");
    check_equal(p[0], p[1], "SELECT id, v FROM big ORDER BY id");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(peer_status(p[i]).state, REPLICA_FOLLOWING);
        assert_true(peer_status(p[i]).apply_errors == 0);
        assert_true(peer_status(p[i]).conflicts == 0);
    }
    free_peer(p[0]);
    free_peer(p[1]);
}

/* The same row on both sides at once: one value in the end, and no failure for anybody. */
static void the_same_row_at_once(void **state)
{
    struct peer *p = new_peer("a", "same", REPLICA_LWW), *q = new_peer("b", "same", REPLICA_LWW);

    (void)state;
    peer_wait(q, peer_write(p, "CREATE TABLE t (id INTEGER PRIMARY KEY, v UNIQUE)"));
    for (int i = 0; i < 30; i++) {
        char sql[96];
        (void)snprintf(sql, sizeof sql, "REPLACE INTO t VALUES (%d, 'p%d')", i % 3, i);
        peer_write(p, sql);
        (void)snprintf(sql, sizeof sql, "REPLACE INTO t VALUES (%d, 'p%d')", (i + 1) % 3, i);
        peer_write(q, sql);
    }
    peer_wait(p, log_state(p).last_seq);
    peer_wait(q, log_state(p).last_seq);
    check_equal(p, q, "SELECT * FROM t ORDER BY id");
    free_peer(p);
    free_peer(q);
}

/* ---- asynchronous replication ---------------------------------------------------------------- */

static bool drained(const struct peer *p)
{
    struct replica_status st = peer_status(p);

    return st.state == REPLICA_FOLLOWING && st.outbox == 0 && st.seq == log_state(p).last_seq;
}

static void the_outbox_drains(void **state)
{
    struct peer *p = new_peer("a", "out", REPLICA_ASYNC), *q = new_peer("b", "out", REPLICA_ASYNC);

    (void)state;
    assert_true(peer_write(p, "CREATE TABLE t (id INTEGER PRIMARY KEY, v)") == 0);
    for (int i = 0; i < 200; i++)
        peer_write(p, "INSERT INTO t (v) VALUES ('x')");
    peer_write(p, MANY_ROWS);
    WAIT_FOR(drained(p));
    WAIT_FOR(drained(q));
    check_equal(p, q, "SELECT count(*), sum(id), max(v) FROM t");
    assert_rows(q, "SELECT count(*) FROM t", "5200;");
    assert_rows(p, "SELECT count(*) FROM ha_outbox", "0;");
    free_peer(p);
    free_peer(q);
}

/* Offline writes are committed at once; both sides come together afterwards, also over restarts. */
static void writes_go_on_without_the_log(void **state)
{
    struct peer *p = new_peer("a", "off", REPLICA_ASYNC), *q = new_peer("b", "off", REPLICA_ASYNC);

    (void)state;
    peer_write(p, "CREATE TABLE t (id INTEGER PRIMARY KEY, v)");
    peer_write(p, "INSERT INTO t VALUES (1, 'start'), (2, 'start')");
    WAIT_FOR(drained(p));
    WAIT_FOR(drained(q));
    nats_kill(&server);
    WAIT_FOR(peer_status(p).state == REPLICA_OFFLINE && peer_status(q).state == REPLICA_OFFLINE);
    for (int i = 0; i < 20; i++) {
        peer_write(p, "UPDATE t SET v = v || ' p' WHERE id = 1");
        peer_write(q, "UPDATE t SET v = v || ' q' WHERE id = 1");
        peer_write(q, "UPDATE t SET v = v || ' q' WHERE id = 2");
    }
    peer_write(p, "INSERT INTO t VALUES (10, 'of p')");
    peer_write(q, "INSERT INTO t VALUES (10, 'of q'), (11, 'of q')");
    assert_rows(p, "SELECT count(*) FROM ha_outbox", "21;");
    assert_true(peer_status(p).outbox > 0);
    nats_start(&server);
    WAIT_FOR(drained(p) && drained(q));
    WAIT_FOR(drained(p) && drained(q) && peer_status(p).seq == peer_status(q).seq);
    check_equal(p, q, "SELECT * FROM t ORDER BY id");
    assert_rows(p, "SELECT count(*), (SELECT count(*) FROM ha_outbox) FROM t", "4|0;");
    free_peer(p);
    free_peer(q);
}

static void the_outbox_survives_a_restart(void **state)
{
    struct peer *p = new_peer("a", "keep", REPLICA_ASYNC),
                *q = new_peer("b", "keep", REPLICA_ASYNC);

    (void)state;
    peer_write(p, "CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 0)");
    WAIT_FOR(drained(p));
    WAIT_FOR(drained(q));
    nats_kill(&server);
    WAIT_FOR(peer_status(p).state == REPLICA_OFFLINE);
    for (int i = 0; i < 10; i++)
        peer_write(p, "UPDATE t SET v = v + 1; INSERT INTO t (v) VALUES ('kept')");
    /* What the file holds is all there is: the process ends. */
    struct replica *gone = atomic_exchange(&p->replica, NULL);
    replica_close(gone);
    nats_client_close(p->client);
    nats_start(&server);
    peer_open(p, &server, "keep");
    WAIT_FOR(drained(p));
    WAIT_FOR(drained(q) && peer_status(q).seq == peer_status(p).seq);
    check_equal(p, q, "SELECT * FROM t ORDER BY id");
    assert_rows(q, "SELECT v FROM t WHERE id = 1", "10;");
    assert_rows(q, "SELECT count(*) FROM t", "11;");
    free_peer(p);
    free_peer(q);
}

/* An outbox behind the dead parts of a chain drains, too. */
static void the_outbox_passes_dead_parts(void **state)
{
    struct peer *p = new_peer("a", "deadout", REPLICA_ASYNC);
    struct publish part = {.stream = replica_stream(p->replica),
                           .subject = replica_subject(p->replica),
                           .id = "gone.0.1",
                           .data = "x",
                           .len = 1,
                           .expect_seq = PUBLISH_ANY_SEQ,
                           .part = 1,
                           .parts = 3};
    struct err e = ERR_INIT;
    uint64_t seq;

    (void)state;
    peer_write(p, "CREATE TABLE t (v)");
    WAIT_FOR(drained(p));
    assert_int_equal(stream_publish(p->client, &part, clock_deadline(PATIENCE_NS), &seq, &e),
                     PUBLISH_ACKED);
    peer_close(p);
    peer_open(p, &server, "deadout");
    WAIT_FOR(peer_follows(p));
    peer_write(p, "INSERT INTO t VALUES (1)");
    WAIT_FOR(drained(p));
    assert_true(peer_status(p).seq == seq + 1);
    free_peer(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(garbage_stops),
        cmocka_unit_test(another_predecessor_stops),
        cmocka_unit_test(messages_without_id_are_applied),
        cmocka_unit_test(a_hole_in_the_log_stops),
        cmocka_unit_test(a_hole_at_the_end_stops),
        cmocka_unit_test(big_transactions_arrive_whole),
        cmocka_unit_test(dead_parts_are_passed_over),
        cmocka_unit_test(last_writer_wins),
        cmocka_unit_test(the_same_row_at_once),
        cmocka_unit_test(the_outbox_drains),
        cmocka_unit_test(the_outbox_passes_dead_parts),
        cmocka_unit_test(writes_go_on_without_the_log),
        cmocka_unit_test(the_outbox_survives_a_restart),
    };
    /* A batch waits for what comes with its first message: it is to hold more than that one. */
    (void)setenv("HA_FAULT", "apply.begin=pause:10", 1);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
