/* An existing file becomes the log's beginning, whatever happens meanwhile. */
#include "repl/replica.h"

#include <pthread.h>

#include "support/nats_fixture.h"

#define NATS_MAX_PAYLOAD 65536 /* bytes */
#include "support/repl_fixture.h"

static struct peer *make_peer(const char *name, const char *content)
{
    struct peer *p = calloc(1, sizeof *p);

    peer_make(p, name);
    if (content)
        peer_prepare_file(p, content);
    return p;
}

#define SMALL                                                                                      \
    "CREATE TABLE t (id INTEGER PRIMARY KEY, v); CREATE INDEX i ON t (v);"                         \
    "CREATE VIEW w AS SELECT v FROM t; INSERT INTO t VALUES (1, 'one'), (2, x'00FF'), (3, 1e300)"

/* About 4 MB: more than 60 parts of this server's 64 KiB. */
#define BIG                                                                                        \
    "CREATE TABLE t (id INTEGER PRIMARY KEY, v);"                                                  \
    "WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 4000) "             \
    "INSERT INTO t SELECT i, hex(randomblob(500)) FROM c"

#define BIG_SUM "SELECT count(*), sum(id), sum(length(v)) FROM t"
#define BIG_ROW "4000|8002000|4000000;"

/* The first commit of a file in this process fails (HA_FAULT in main): the content is in the log,
 * the file has to find that out. So this test stays the first. */
static void the_file_follows_its_own_message(void **state)
{
    struct peer *p = make_peer("a", SMALL), *q = make_peer("b", NULL);

    (void)state;
    peer_open(p, &server, "own");
    WAIT_FOR(peer_stopped(p, "not in the file yet"));
    peer_close(p); /* what it knows is in the file */
    peer_open(p, &server, "own");
    WAIT_FOR(peer_follows(p));
    assert_true(replica_position(p->replica) == 1);
    assert_true(log_state(p).last_seq == 1);
    peer_open(q, &server, "own");
    peer_wait(q, peer_write(p, "INSERT INTO t VALUES (4, 'four')"));
    assert_rows(q, "SELECT id, hex(v) FROM t", "1|6F6E65;2|00FF;3|312E30652B333030;4|666F7572;");
    free_peer(p);
    free_peer(q);
}

static void a_file_becomes_the_log(void **state)
{
    struct peer *p = make_peer("a", SMALL), *q = make_peer("b", NULL);

    (void)state;
    peer_open(p, &server, "small");
    WAIT_FOR(peer_follows(p));
    peer_open(q, &server, "small");
    peer_wait(q, 1);
    assert_rows(q, "SELECT id, typeof(v) FROM t", "1|text;2|blob;3|real;");
    assert_rows(q, "SELECT name FROM sqlite_schema WHERE name IN ('t', 'i', 'w') ORDER BY 1",
                "i;t;w;");
    peer_close(p);
    peer_open(p, &server, "small"); /* not again */
    WAIT_FOR(peer_follows(p));
    assert_true(log_state(p).last_seq == 1);
    assert_true(peer_write(p, "INSERT INTO t VALUES (4, 4)") == 2);
    free_peer(p);
    free_peer(q);
}

static void a_big_file_goes_in_parts(void **state)
{
    struct peer *p = make_peer("a", BIG), *q = make_peer("b", NULL);
    uint64_t end;

    (void)state;
    peer_open(p, &server, "big");
    WAIT_FOR(peer_follows(p));
    end = log_state(p).last_seq;
    assert_true(end > 60);
    assert_true(replica_position(p->replica) == end);
    peer_open(q, &server, "big");
    peer_wait(q, end);
    assert_rows(q, BIG_SUM, BIG_ROW);
    free_peer(p);
    free_peer(q);
}

/* The server dies in the middle of the parts. */
static void an_import_begins_again(void **state)
{
    struct peer *p = make_peer("a", BIG), *q = make_peer("b", NULL);
    struct stream_state st;
    uint64_t end;

    (void)state;
    p->timeout_ns = 300 * CLOCK_MS;
    peer_open(p, &server, "broken");
    WAIT_FOR(log_state(p).last_seq >= 5);
    nats_pause(&server);
    /* Longer than the publisher waits: it gives up. */
    WAIT_FOR(strstr(peer_status(p).reason, "did not answer"));
    nats_kill(&server);
    nats_start(&server);
    WAIT_FOR(peer_follows(p));
    st = log_state(p);
    end = st.last_seq;
    assert_true(replica_position(p->replica) == end);
    peer_open(q, &server, "broken");
    peer_wait(q, end);
    assert_rows(q, BIG_SUM, BIG_ROW);
    assert_rows(p, BIG_SUM, BIG_ROW);
    peer_wait(q, peer_write(p, "DELETE FROM t WHERE id > 1"));
    assert_rows(q, "SELECT id FROM t", "1;");
    free_peer(p);
    free_peer(q);
}

/* The process ends in the middle of the parts. */
static void an_import_survives_a_restart(void **state)
{
    struct peer *p = make_peer("a", BIG), *q = make_peer("b", NULL);
    uint64_t end;

    (void)state;
    p->timeout_ns = 300 * CLOCK_MS;
    peer_open(p, &server, "restart");
    WAIT_FOR(log_state(p).last_seq >= 5);
    nats_pause(&server);
    WAIT_FOR(strstr(peer_status(p).reason, "did not answer"));
    nats_resume(&server);
    peer_close(p);
    peer_open(p, &server, "restart");
    WAIT_FOR(peer_follows(p));
    end = log_state(p).last_seq;
    assert_true(replica_position(p->replica) == end);
    peer_open(q, &server, "restart");
    peer_wait(q, end);
    assert_rows(q, BIG_SUM, BIG_ROW);
    assert_rows(p, BIG_SUM, BIG_ROW);
    free_peer(p);
    free_peer(q);
}

/* Its rows could not be told apart on other nodes; once they can, all goes on. */
static void a_file_that_cannot_be_followed_waits(void **state)
{
    struct peer *p = make_peer("a", "CREATE TABLE t (rowid, _rowid_, oid)");

    (void)state;
    peer_open(p, &server, "alike");
    WAIT_FOR(peer_stopped(p, "columns rowid, _rowid_ and oid"));
    assert_true(log_state(p).last_seq == 0);
    peer_close(p);
    peer_prepare_file(p, "DROP TABLE t; CREATE TABLE t (a)");
    peer_open(p, &server, "alike");
    WAIT_FOR(peer_follows(p));
    assert_true(log_state(p).last_seq == 1);
    free_peer(p);
}

static void content_meets_content(void **state)
{
    struct peer *p = make_peer("a", SMALL), *q = make_peer("b", "CREATE TABLE other (v)");
    struct peer *memory = make_peer("c", "CREATE TABLE other (v)");
    struct err e;

    (void)state;
    peer_open(p, &server, "meets");
    WAIT_FOR(peer_follows(p));
    peer_open(q, &server, "meets");
    WAIT_FOR(peer_stopped(q, "content of its own"));
    assert_int_equal(peer_try(q, "INSERT INTO other VALUES (1)", NULL, NULL, &e), ERR_STOPPED);
    assert_rows(q, "SELECT count(*) FROM sqlite_schema WHERE name = 't'", "0;");
    peer_close(q);
    peer_open(q, &server, "meets");
    WAIT_FOR(peer_stopped(q, "content of its own"));
    /* -m: what was loaded gives way. */
    memory->log_wins = true;
    peer_open(memory, &server, "meets");
    WAIT_FOR(peer_follows(memory));
    peer_wait(memory, 1);
    assert_rows(memory, "SELECT count(*) FROM t", "3;");
    assert_rows(memory, "SELECT count(*) FROM sqlite_schema WHERE name = 'other'", "0;");
    free_peer(p);
    free_peer(q);
    free_peer(memory);
}

/* Several files want to be the beginning at the same time: one is, the others say so and mix
 * nothing. */
struct racer {
    struct peer *p;
    const char *stream;
    pthread_t thread;
};

static void *open_racer(void *arg)
{
    struct racer *r = arg;

    peer_open(r->p, &server, r->stream);
    return NULL;
}

static void race(enum replica_mode mode, const char *stream)
{
    struct racer r[3];
    int winners = 0;

    for (int i = 0; i < 3; i++) {
        char sql[256], name[8];
        (void)snprintf(
            sql, sizeof sql,
            "CREATE TABLE mine%d (v); WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT "
            "i + 1 FROM c WHERE i < 300) INSERT INTO mine%d SELECT hex(randomblob(500)) "
            "FROM c",
            i, i);
        (void)snprintf(name, sizeof name, "r%d", i);
        r[i] = (struct racer){.p = make_peer(name, sql), .stream = stream};
        r[i].p->mode = mode;
    }
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&r[i].thread, NULL, open_racer, &r[i]), 0);
    for (int i = 0; i < 3; i++)
        pthread_join(r[i].thread, NULL);
    for (int i = 0; i < 3; i++) {
        WAIT_FOR(peer_follows(r[i].p) || peer_stopped(r[i].p, "content of its own"));
        winners += peer_follows(r[i].p);
        assert_rows(r[i].p, "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'mine%'", "1;");
    }
    assert_int_equal(winners, 1);
    for (int i = 0; i < 3; i++)
        free_peer(r[i].p);
}

static void one_of_many_begins_the_log(void **state)
{
    (void)state;
    race(REPLICA_SERIALIZABLE, "race1");
    race(REPLICA_SERIALIZABLE, "race2");
    race(REPLICA_LWW, "race3");
}

static void an_asynchronous_import(void **state)
{
    struct peer *p = make_peer("a", BIG), *q = make_peer("b", NULL);

    (void)state;
    p->mode = q->mode = REPLICA_ASYNC;
    peer_open(p, &server, "async");
    WAIT_FOR(peer_follows(p));
    peer_write(p, "DELETE FROM t WHERE id = 4000");
    peer_open(q, &server, "async");
    WAIT_FOR(peer_status(p).seq > 60 && peer_status(p).outbox == 0 &&
             peer_status(p).seq == log_state(p).last_seq);
    peer_wait(q, log_state(p).last_seq);
    assert_rows(q, BIG_SUM, "3999|7998000|3999000;");
    assert_rows(p, BIG_SUM, "3999|7998000|3999000;");
    peer_close(p);
    peer_open(p, &server, "async");
    WAIT_FOR(peer_follows(p));
    assert_rows(p, BIG_SUM, "3999|7998000|3999000;");
    free_peer(p);
    free_peer(q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_file_follows_its_own_message),
        cmocka_unit_test(a_file_becomes_the_log),
        cmocka_unit_test(a_big_file_goes_in_parts),
        cmocka_unit_test(an_import_begins_again),
        cmocka_unit_test(an_import_survives_a_restart),
        cmocka_unit_test(a_file_that_cannot_be_followed_waits),
        cmocka_unit_test(content_meets_content),
        cmocka_unit_test(one_of_many_begins_the_log),
        cmocka_unit_test(an_asynchronous_import),
    };
    /* Slow parts, so that something can happen between them. */
    (void)setenv("HA_FAULT", "commit.file=fail@1,commit.part=pause:10", 1);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
