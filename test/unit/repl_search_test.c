/* Looking for the messages of an outbox in the log. */
#include "repl/search.h"

#include "support/nats_fixture.h"

#include "sql/outbox.h"
#include "support/repl_fixture.h"

/* One replica makes the log; the outbox is a file beside it. */
struct scene {
    struct peer p;
    struct conn *outbox;
    uint64_t next_id;
};

static void open_scene(struct scene *s, const char *stream)
{
    char path[128];
    struct err e = ERR_INIT;

    *s = (struct scene){.p = {.mode = REPLICA_LWW}, .next_id = 1};
    peer_make(&s->p, "a");
    peer_open(&s->p, &server, stream);
    WAIT_FOR(peer_follows(&s->p));
    (void)snprintf(path, sizeof path, "%s/outbox.db", s->p.dir);
    struct conn_config cfg = {.path = path, .create = true};
    if (conn_open(&s->outbox, &cfg, CONN_APPLIER, &e) != ERR_OK ||
        outbox_create(s->outbox, &e) != ERR_OK)
        fail_msg("%s", e.msg);
}

static void close_scene(struct scene *s)
{
    conn_close(s->outbox);
    peer_remove(&s->p);
}

static void waits(struct scene *s, const char *msg_id)
{
    struct err e = ERR_INIT;

    for (uint64_t part = 0; part < 2; part++) {
        const struct outbox_place at = {.id = s->next_id++, .msg_id = msg_id, .part = part};
        if (outbox_insert(s->outbox, &at, "x", 1, &e) != ERR_OK)
            fail_msg("%s", e.msg);
    }
}

static uint64_t put(const struct scene *s, const char *id, uint32_t part, uint32_t parts)
{
    struct publish m = {.stream = replica_stream(s->p.replica),
                        .subject = replica_subject(s->p.replica),
                        .id = id,
                        .data = "{}",
                        .len = 2,
                        .expect_seq = PUBLISH_ANY_SEQ,
                        .part = part,
                        .parts = parts};
    struct err e = ERR_INIT;
    uint64_t seq = 0;

    if (stream_publish(s->p.client, &m, clock_deadline(PATIENCE_NS), &seq, &e) != PUBLISH_ACKED)
        fail_msg("%s", e.msg);
    return seq;
}

static enum err_code note(void *arg, uint64_t id, uint64_t seq, struct err *e)
{
    char *text = arg;
    size_t n = strlen(text);

    (void)e;
    (void)snprintf(text + n, 256 - n, "%" PRIu64 "@%" PRIu64 " ", id, seq);
    return ERR_OK;
}

static void expect_found(const struct scene *s, uint64_t from, uint64_t to, const char *expected)
{
    char text[256] = "";
    struct err e = ERR_INIT;

    if (search_log(s->p.replica, s->outbox, from, to, note, text, &e) != ERR_OK)
        fail_msg("%s", e.msg);
    assert_string_equal(text, expected);
}

static void erase(const struct scene *s, uint64_t seq)
{
    struct err e = ERR_INIT;
    bool erased = false;

    assert_int_equal(stream_erase(s->p.client, replica_stream(s->p.replica), seq, &erased, &e),
                     ERR_OK);
    assert_true(erased);
}

static void few_are_asked_for(void **state)
{
    struct scene s;

    (void)state;
    open_scene(&s, "few");
    waits(&s, "first");
    waits(&s, "second");
    waits(&s, "third");
    expect_found(&s, 1, 100, "");
    assert_true(put(&s, "other", 0, 0) == 1);
    assert_true(put(&s, "second", 0, 0) == 2);
    assert_true(put(&s, "first.0.1", 1, 2) == 3);
    expect_found(&s, 0, 100, "3@2 ");
    assert_true(put(&s, "first", 2, 2) == 4);
    expect_found(&s, 1, 100, "3@2 1@4 ");
    expect_found(&s, 1, 3, "3@2 ");
    expect_found(&s, 3, 100, "1@4 ");
    expect_found(&s, 5, 100, "");
    erase(&s, 1);
    erase(&s, 2);
    expect_found(&s, 1, 100, "1@4 ");
    close_scene(&s);
}

/* What the feed leaves out is asked for, at its beginning, in the middle, and at its end. */
static void many_are_read(void **state)
{
    struct scene s;
    char id[32];

    (void)state;
    open_scene(&s, "many");
    waits(&s, "m7");
    waits(&s, "m400");
    waits(&s, "nowhere");
    waits(&s, "m600");
    for (int i = 1; i <= 600; i++) {
        (void)snprintf(id, sizeof id, "m%d", i);
        assert_true(put(&s, id, 0, 0) == (uint64_t)i);
    }
    expect_found(&s, 1, 600, "1@7 3@400 7@600 ");
    expect_found(&s, 8, 599, "3@400 ");
    expect_found(&s, 1, UINT64_MAX, "1@7 3@400 7@600 ");
    erase(&s, 1);
    erase(&s, 8);
    for (uint64_t i = 300; i <= 400; i++)
        erase(&s, i);
    erase(&s, 599);
    erase(&s, 600);
    expect_found(&s, 1, 600, "1@7 ");
    close_scene(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(few_are_asked_for),
        cmocka_unit_test(many_are_read),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
