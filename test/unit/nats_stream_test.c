/* Streams, publishing and feeds against a real nats-server. */
#include "nats/stream.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>

#include "support/nats_fixture.h"

static struct nats_fixture server;
static struct nats_client *client;
static atomic_int connects, losses;

static void changed(void *arg, bool connected)
{
    (void)arg;
    atomic_fetch_add(connected ? &connects : &losses, 1);
}

static int set_up(void **state)
{
    (void)state;
    nats_up(&server, 0);
    client = nats_connect(&server, changed, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    nats_client_close(client);
    nats_down(&server);
    return 0;
}

static struct stream_state make_stream(const char *name, const char *subject)
{
    struct stream_config cfg = {.name = name, .subject = subject, .replicas = 1};
    struct stream_state st = {0};
    struct err e = ERR_INIT;

    if (stream_ensure(client, &cfg, &st, &e) != ERR_OK)
        fail_msg("%s", e.msg);
    return st;
}

static struct stream_state info(const char *name)
{
    struct stream_state st = {0};
    struct err e = ERR_INIT;
    bool found = false;

    if (stream_info(client, name, &st, &found, &e) != ERR_OK)
        fail_msg("%s", e.msg);
    assert_true(found);
    return st;
}

static bool exists(const char *name)
{
    struct stream_state st;
    struct err e = ERR_INIT;
    bool found = true;

    if (stream_info(client, name, &st, &found, &e) != ERR_OK)
        fail_msg("%s", e.msg);
    return found;
}

static enum publish_result put(const char *stream, const char *subject, const char *id,
                               const char *text, uint64_t expect, int64_t wait_ns, uint64_t *seq,
                               struct err *e)
{
    struct publish p = {.stream = stream,
                        .subject = subject,
                        .id = id,
                        .data = text,
                        .len = strlen(text),
                        .expect_seq = expect};

    *seq = 0;
    err_clear(e);
    return stream_publish(client, &p, clock_deadline(wait_ns), seq, e);
}

static uint64_t acked(const char *stream, const char *subject, const char *id, const char *text)
{
    struct err e;
    uint64_t seq;

    if (put(stream, subject, id, text, PUBLISH_ANY_SEQ, PATIENCE_NS, &seq, &e) != PUBLISH_ACKED)
        fail_msg("%s", e.msg);
    return seq;
}

/* ---- streams --------------------------------------------------------------------------------- */

static void streams_are_created_once(void **state)
{
    struct stream_config cfg = {
        .name = "once", .subject = "once.a", .replicas = 1, .max_age_ns = 3600 * CLOCK_S};
    struct stream_state first, again;
    struct err e = ERR_INIT;

    (void)state;
    assert_false(exists("once"));
    assert_int_equal(stream_ensure(client, &cfg, &first, &e), ERR_OK);
    assert_true(first.created_ns > 0);
    assert_true(first.last_seq == 0);
    assert_int_equal(first.replicas, 1);
    assert_true(first.max_age_ns == 3600 * CLOCK_S);
    acked("once", "once.a", NULL, "x");
    cfg.max_age_ns = 0; /* an existing one is left as it is */
    assert_int_equal(stream_ensure(client, &cfg, &again, &e), ERR_OK);
    assert_true(again.created_ns == first.created_ns);
    assert_true(again.max_age_ns == 3600 * CLOCK_S);
    assert_true(again.first_seq == 1 && again.last_seq == 1 && again.messages == 1);
    assert_true(again.bytes > 0);
}

static void settings_change_where_told(void **state)
{
    struct err e = ERR_INIT;
    struct stream_state st;

    (void)state;
    make_stream("change", "change.a");
    assert_int_equal(stream_change(client, "change", -1, 60 * CLOCK_S, &e), ERR_OK);
    st = info("change");
    assert_true(st.max_age_ns == 60 * CLOCK_S);
    assert_int_equal(st.replicas, 1);
    assert_int_equal(stream_change(client, "change", 1, 0, &e), ERR_OK);
    assert_true(info("change").max_age_ns == 0);
    assert_int_equal(stream_change(client, "no-such", -1, 0, &e), ERR_LOG_UNAVAILABLE);
}

static void short_lived_messages(void **state)
{
    struct stream_config cfg = {
        .name = "brief", .subject = "brief.a", .replicas = 1, .max_age_ns = CLOCK_S};
    struct stream_state st;
    struct err e = ERR_INIT;

    (void)state;
    /* The duplicate window must not be longer than the messages live. */
    if (stream_ensure(client, &cfg, &st, &e) != ERR_OK)
        fail_msg("%s", e.msg);
    assert_true(st.max_age_ns == CLOCK_S);
}

static void streams_are_deleted(void **state)
{
    struct stream_state before, after;
    struct err e = ERR_INIT;

    (void)state;
    before = make_stream("gone", "gone.a");
    acked("gone", "gone.a", NULL, "x");
    assert_int_equal(stream_delete(client, "gone", &e), ERR_OK);
    assert_false(exists("gone"));
    assert_int_equal(stream_delete(client, "gone", &e), ERR_OK);
    after = make_stream("gone", "gone.a");
    assert_true(after.created_ns > before.created_ns);
    assert_true(after.last_seq == 0);
}

static void purging_takes_one_subject(void **state)
{
    struct stream_message m;
    struct err e = ERR_INIT;
    bool found;

    (void)state;
    make_stream("purge", "purge.>");
    acked("purge", "purge.a", NULL, "1");
    acked("purge", "purge.b", NULL, "2");
    acked("purge", "purge.a", NULL, "3");
    assert_int_equal(stream_purge(client, "purge", "purge.a", &e), ERR_OK);
    assert_true(info("purge").messages == 1);
    assert_true(info("purge").last_seq == 3);
    assert_int_equal(stream_get(client, "purge", 1, &m, &found, &e), ERR_OK);
    assert_false(found);
    assert_int_equal(stream_last(client, "purge", "purge.a", &m, &found, &e), ERR_OK);
    assert_false(found);
    assert_int_equal(stream_last(client, "purge", "purge.b", &m, &found, &e), ERR_OK);
    assert_true(found);
    assert_true(m.seq == 2);
    stream_message_free(&m);
    assert_int_equal(stream_purge(client, "no-such", "x", &e), ERR_OK);
}

static void only_the_last_one_a_subject(void **state)
{
    struct stream_config cfg = {
        .name = "last", .subject = "last.>", .replicas = 1, .max_per_subject = 1};
    struct stream_state st;
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(stream_ensure(client, &cfg, &st, &e), ERR_OK);
    acked("last", "last.a", NULL, "1");
    acked("last", "last.a", NULL, "2");
    acked("last", "last.b", NULL, "3");
    assert_true(info("last").messages == 2);
}

static void messages_are_read_back(void **state)
{
    struct stream_message m;
    struct err e = ERR_INIT;
    bool found;
    struct publish p = {.stream = "read",
                        .subject = "read.a",
                        .id = "the-id",
                        .data = "a\0b",
                        .len = 3,
                        .expect_seq = PUBLISH_ANY_SEQ,
                        .part = 3,
                        .parts = 200};
    uint64_t seq;
    int64_t before = clock_wall_ns() - 60 * CLOCK_S;

    (void)state;
    make_stream("read", "read.a");
    assert_int_equal(stream_publish(client, &p, clock_deadline(PATIENCE_NS), &seq, &e),
                     PUBLISH_ACKED);
    assert_int_equal(stream_get(client, "read", seq, &m, &found, &e), ERR_OK);
    assert_true(found);
    assert_true(m.seq == seq);
    assert_true(m.time_ns > before);
    assert_string_equal(m.id, "the-id");
    assert_string_equal(m.subject, "read.a");
    assert_int_equal(m.part, 3);
    assert_int_equal(m.parts, 200);
    assert_int_equal(m.len, 3);
    assert_memory_equal(m.data, "a\0b", 3);
    stream_message_free(&m);
    stream_message_free(&m);
    assert_int_equal(stream_get(client, "read", seq + 1, &m, &found, &e), ERR_OK);
    assert_false(found);
    stream_message_free(&m);
    assert_int_equal(stream_get(client, "no-such", 1, &m, &found, &e), ERR_OK);
    assert_false(found);
    acked("read", "read.a", NULL, "");
    assert_int_equal(stream_get(client, "read", seq + 1, &m, &found, &e), ERR_OK);
    assert_true(found);
    assert_string_equal(m.id, "");
    assert_int_equal(m.parts, 0);
    assert_int_equal(m.len, 0);
    stream_message_free(&m);
}

/* ---- publishing ------------------------------------------------------------------------------ */

static void expected_sequences(void **state)
{
    struct err e;
    uint64_t seq;
    struct publish p = {.stream = "cas", .subject = "cas.a", .id = "c3", .data = "", .len = 0};

    (void)state;
    make_stream("cas", "cas.a");
    /* An end that the stream has not reached: whoever says so may be behind, so it is asked again.
     */
    assert_int_equal(put("cas", "cas.a", "c0", "x", 7, 100 * CLOCK_MS, &seq, &e), PUBLISH_UNKNOWN);
    assert_int_equal(put("cas", "cas.a", "c1", "x", 0, PATIENCE_NS, &seq, &e), PUBLISH_ACKED);
    assert_true(seq == 1);
    assert_int_equal(put("cas", "cas.a", "c2", "x", 0, PATIENCE_NS, &seq, &e), PUBLISH_CONFLICT);
    assert_int_equal(put("cas", "cas.a", "c2", "x", 1, PATIENCE_NS, &seq, &e), PUBLISH_ACKED);
    assert_int_equal(put("cas", "cas.a", "cX", "x", 1, PATIENCE_NS, &seq, &e), PUBLISH_CONFLICT);
    assert_int_equal(put("cas", "cas.a", "cX", "x", 3, 100 * CLOCK_MS, &seq, &e), PUBLISH_UNKNOWN);
    p.expect_seq = 2;
    p.expect_id = "c1";
    assert_int_equal(stream_publish(client, &p, clock_deadline(PATIENCE_NS), &seq, &e),
                     PUBLISH_CONFLICT);
    p.expect_id = "c2";
    assert_int_equal(stream_publish(client, &p, clock_deadline(PATIENCE_NS), &seq, &e),
                     PUBLISH_ACKED);
    assert_true(seq == 3);
    assert_true(info("cas").messages == 3);
}

static void duplicates_are_recognised(void **state)
{
    struct err e;
    uint64_t seq;

    (void)state;
    make_stream("dup", "dup.a");
    assert_true(acked("dup", "dup.a", "same", "1") == 1);
    assert_true(acked("dup", "dup.a", "other", "2") == 2);
    assert_true(acked("dup", "dup.a", "same", "1") == 1);
    /* A retry carries the expectation of the first attempt, which has come true by that very
     * attempt. */
    assert_int_equal(put("dup", "dup.a", "same", "1", 0, PATIENCE_NS, &seq, &e), PUBLISH_ACKED);
    assert_true(seq == 1);
    assert_true(info("dup").messages == 2);
}

static void refusals_say_why(void **state)
{
    struct err e;
    uint64_t seq;
    size_t most = nats_client_max_payload(client);
    char *big = calloc(1, most + 1);
    struct publish p = {.stream = "refuse",
                        .subject = "refuse.a",
                        .data = big,
                        .len = most + 1,
                        .expect_seq = PUBLISH_ANY_SEQ};

    (void)state;
    assert_non_null(big);
    assert_int_equal(most, 1024 * 1024);
    /* There is no such stream: nobody answers, and nothing can have happened. */
    assert_int_equal(put("refuse", "refuse.a", "r1", "x", 0, 300 * CLOCK_MS, &seq, &e),
                     PUBLISH_REFUSED);
    assert_int_equal(e.code, ERR_LOG_UNAVAILABLE);
    make_stream("refuse", "refuse.a");
    /* Another stream than the one that takes the subject. */
    assert_int_equal(put("other", "refuse.a", "r2", "x", 0, 300 * CLOCK_MS, &seq, &e),
                     PUBLISH_REFUSED);
    /* More than the server takes. */
    assert_int_equal(stream_publish(client, &p, clock_deadline(PATIENCE_NS), &seq, &e),
                     PUBLISH_REFUSED);
    assert_true(info("refuse").messages == 0);
    free(big);
}

/* SIGSTOP: the connection stands, and nobody answers. */
static void silence_is_an_unknown_outcome(void **state)
{
    struct err e;
    uint64_t seq;
    int64_t start;

    (void)state;
    make_stream("silent", "silent.a");
    assert_true(acked("silent", "silent.a", "s1", "x") == 1);
    nats_pause(&server);
    start = clock_mono_ns();
    assert_int_equal(put("silent", "silent.a", "s2", "y", 1, 700 * CLOCK_MS, &seq, &e),
                     PUBLISH_UNKNOWN);
    assert_int_equal(e.code, ERR_UNKNOWN_OUTCOME);
    assert_true(clock_mono_ns() - start >= 600 * CLOCK_MS);
    nats_resume(&server);
    /* What the socket held is stored now; the retry with the same id tells. */
    assert_int_equal(put("silent", "silent.a", "s2", "y", 1, PATIENCE_NS, &seq, &e), PUBLISH_ACKED);
    assert_true(seq == 2);
    assert_true(info("silent").messages == 2);
}

static void a_retry_bridges_a_restart(void **state)
{
    struct err e;
    uint64_t seq;
    int before = atomic_load(&connects);

    (void)state;
    make_stream("again", "again.a");
    assert_true(acked("again", "again.a", "a1", "x") == 1);
    nats_kill(&server);
    WAIT_FOR(!nats_client_connected(client));
    WAIT_FOR(atomic_load(&losses) > 0);
    /* Down: refused at the deadline, since nothing was sent. */
    assert_int_equal(put("again", "again.a", "a2", "y", 1, 200 * CLOCK_MS, &seq, &e),
                     PUBLISH_REFUSED);
    assert_int_equal(e.code, ERR_LOG_UNAVAILABLE);
    nats_start(&server);
    assert_int_equal(put("again", "again.a", "a2", "y", 1, PATIENCE_NS, &seq, &e), PUBLISH_ACKED);
    assert_true(seq == 2);
    WAIT_FOR(atomic_load(&connects) > before);
    assert_true(info("again").last_seq == 2);
}

/* ---- feeds ----------------------------------------------------------------------------------- */

static struct stream_feed *open_feed(const char *stream, const char *subject, uint64_t from)
{
    struct stream_feed *f = NULL;
    struct err e = ERR_INIT;

    if (stream_feed_open(&f, client, stream, subject, from, &e) != ERR_OK)
        fail_msg("%s", e.msg);
    return f;
}

static void expect_next(struct stream_feed *f, uint64_t seq, uint64_t pending, const char *text)
{
    struct stream_message m;
    struct err e = ERR_INIT;
    bool got = false;

    for (int i = 0; i < 30 && !got; i++)
        if (stream_feed_next(f, 1000, &m, &got, &e) != ERR_OK)
            fail_msg("%s", e.msg);
    assert_true(got);
    if (m.seq != seq || m.pending != pending)
        fail_msg("%" PRIu64 " (%" PRIu64 " pending) instead of %" PRIu64 " (%" PRIu64 ")", m.seq,
                 m.pending, seq, pending);
    assert_int_equal(m.len, strlen(text));
    assert_memory_equal(m.data, text, m.len);
    assert_true(m.time_ns > 0);
    stream_message_free(&m);
}

static void expect_nothing(struct stream_feed *f, int64_t wait_ms)
{
    struct stream_message m;
    struct err e = ERR_INIT;
    bool got = true;

    if (stream_feed_next(f, wait_ms, &m, &got, &e) != ERR_OK)
        fail_msg("%s", e.msg);
    assert_false(got);
}

static void feeds_deliver_in_order(void **state)
{
    struct stream_feed *f;
    char text[16];

    (void)state;
    make_stream("feed", "feed.>");
    for (int i = 1; i <= 100; i++) {
        (void)snprintf(text, sizeof text, "%d", i);
        assert_true(acked("feed", i % 2 ? "feed.odd" : "feed.even", NULL, text) == (uint64_t)i);
    }
    f = open_feed("feed", "feed.>", 1);
    for (int i = 1; i <= 100; i++) {
        (void)snprintf(text, sizeof text, "%d", i);
        expect_next(f, (uint64_t)i, (uint64_t)(100 - i), text);
    }
    expect_nothing(f, 20);
    acked("feed", "feed.odd", NULL, "101");
    expect_next(f, 101, 0, "101");
    stream_feed_close(f);
    f = open_feed("feed", "feed.>", 100);
    expect_next(f, 100, 1, "100");
    expect_next(f, 101, 0, "101");
    stream_feed_close(f);
    f = open_feed("feed", "feed.even", 90);
    expect_next(f, 90, 5, "90");
    expect_next(f, 92, 4, "92");
    stream_feed_close(f);
    f = open_feed("feed", "feed.>", 102); /* behind the end: what will come */
    expect_nothing(f, 20);
    acked("feed", "feed.odd", NULL, "102");
    expect_next(f, 102, 0, "102");
    stream_feed_close(f);
    stream_feed_close(NULL);
}

static void feeds_of_headers_have_no_data(void **state)
{
    struct stream_feed *f;
    struct stream_message m;
    struct err e = ERR_INIT;
    bool got = false;

    (void)state;
    make_stream("heads", "heads.>");
    acked("heads", "heads.a", "its-id", "some data");
    assert_int_equal(stream_feed_open_headers(&f, client, "heads", "heads.>", 1, &e), ERR_OK);
    for (int i = 0; i < 30 && !got; i++)
        assert_int_equal(stream_feed_next(f, 1000, &m, &got, &e), ERR_OK);
    assert_true(got && m.seq == 1 && m.len == 0);
    assert_string_equal(m.id, "its-id");
    stream_message_free(&m);
    stream_feed_close(f);
}

#define WAKES       50000
#define SMALL_STACK ((size_t)256 * 1024)

static void *read_one(void *feed)
{
    struct stream_message m;
    struct err e = ERR_INIT;
    int64_t until = clock_deadline(PATIENCE_NS);
    bool got = false;

    while (!got && clock_mono_ns() < until && stream_feed_next(feed, 100, &m, &got, &e) == ERR_OK)
        ;
    if (!got)
        return NULL;
    stream_message_free(&m);
    return feed;
}

/* However often it was woken for nothing, the reader's stack does not grow. */
static void wakes_do_not_pile_up(void **state)
{
    struct stream_feed *f;
    pthread_attr_t attr;
    pthread_t thread;
    void *read = NULL;

    (void)state;
    make_stream("wakes", "wakes.a");
    f = open_feed("wakes", "wakes.a", 1);
    for (int i = 0; i < WAKES; i++)
        stream_feed_wake(f);
    acked("wakes", "wakes.a", NULL, "x");
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, SMALL_STACK);
    assert_int_equal(pthread_create(&thread, &attr, read_one, f), 0);
    pthread_attr_destroy(&attr);
    assert_int_equal(pthread_join(thread, &read), 0);
    assert_ptr_equal(read, f);
    stream_feed_close(f);
}

static void feeds_need_a_stream(void **state)
{
    struct stream_feed *f;
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(stream_feed_open(&f, client, "no-such", "x", 1, &e), ERR_LOG_UNAVAILABLE);
    assert_null(f);
}

/* A restart breaks the consumer, whose memory is the server's: the feed mends itself or says that
 * it is to be opened again; a message is never left out nor delivered twice. */
static void feeds_survive_a_restart(void **state)
{
    struct stream_feed *f;
    uint64_t next = 1;
    int64_t until;

    (void)state;
    make_stream("survive", "survive.a");
    acked("survive", "survive.a", NULL, "1");
    acked("survive", "survive.a", NULL, "2");
    f = open_feed("survive", "survive.a", 1);
    expect_next(f, next++, 1, "1");
    nats_kill(&server);
    WAIT_FOR(!nats_client_connected(client));
    nats_start(&server);
    WAIT_FOR(nats_client_connected(client));
    acked("survive", "survive.a", NULL, "3");
    until = clock_deadline(PATIENCE_NS);
    while (next <= 3) {
        struct stream_message m;
        struct err e = ERR_INIT;
        bool got = false;

        if (clock_mono_ns() >= until)
            fail_msg("message %" PRIu64 " never came", next);
        if (stream_feed_next(f, 500, &m, &got, &e) != ERR_OK) {
            assert_int_equal(e.code, ERR_LOG_UNAVAILABLE);
            stream_feed_close(f);
            f = open_feed("survive", "survive.a", next);
            continue;
        }
        if (!got)
            continue;
        assert_true(m.seq == next);
        next++;
        stream_message_free(&m);
    }
    stream_feed_close(f);
}

static void sequences_by_time(void **state)
{
    struct err e = ERR_INIT;
    struct stream_message m;
    uint64_t seq = 0;
    int64_t second;
    bool found;

    (void)state;
    assert_int_equal(stream_seq_at(client, "no-such", 0, &seq, &e), ERR_OK);
    assert_true(seq == 1);
    make_stream("time", "time.a");
    assert_int_equal(stream_seq_at(client, "time", clock_wall_ns(), &seq, &e), ERR_OK);
    assert_true(seq == 1);
    acked("time", "time.a", NULL, "1");
    /* At a time whose nanoseconds begin with a zero, which is not to get lost. */
    WAIT_FOR(clock_wall_ns() % CLOCK_S < 50 * CLOCK_MS);
    acked("time", "time.a", NULL, "2");
    assert_int_equal(stream_get(client, "time", 2, &m, &found, &e), ERR_OK);
    assert_true(found);
    second = m.time_ns;
    stream_message_free(&m);
    assert_int_equal(stream_seq_at(client, "time", second, &seq, &e), ERR_OK);
    assert_int_equal(seq, 2);
    assert_int_equal(stream_seq_at(client, "time", second - 60 * CLOCK_S, &seq, &e), ERR_OK);
    assert_true(seq == 1);
    assert_int_equal(stream_seq_at(client, "time", second + 60 * CLOCK_S, &seq, &e), ERR_OK);
    assert_true(seq == 3);
    for (int i = 0; i < 20; i++)
        acked("time", "time.a", NULL, "more");
    /* What it answers is there, so that following from there on leaves nothing out. */
    for (uint64_t at = 1; at <= 22; at++) {
        assert_int_equal(stream_get(client, "time", at, &m, &found, &e), ERR_OK);
        assert_true(found);
        assert_int_equal(stream_seq_at(client, "time", m.time_ns, &seq, &e), ERR_OK);
        assert_int_equal(seq, at);
        assert_int_equal(stream_seq_at(client, "time", m.time_ns + 1, &seq, &e), ERR_OK);
        assert_int_equal(seq, at + 1);
        stream_message_free(&m);
    }
    for (uint64_t at = 8; at <= 12; at++)
        nats_delete_message(&server, "time", at);
    nats_delete_message(&server, "time", 1);
    assert_int_equal(stream_seq_at(client, "time", second - 60 * CLOCK_S, &seq, &e), ERR_OK);
    assert_int_equal(seq, 2);
    assert_int_equal(stream_get(client, "time", 7, &m, &found, &e), ERR_OK);
    assert_int_equal(stream_seq_at(client, "time", m.time_ns + 1, &seq, &e), ERR_OK);
    assert_int_equal(seq, 13);
    stream_message_free(&m);
}

/* ---- the client ------------------------------------------------------------------------------ */

static void urls_are_checked(void **state)
{
    static const char *const bad[] = {"", " , ", "nats://host:notaport"};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct nats_client_options o = {
            .url = bad[i], .user = "", .pass = "", .name = "t", .timeout_ms = 1000};
        struct nats_client *c = NULL;
        struct err e = ERR_INIT;

        if (nats_client_open(&c, &o, &e) != ERR_CONFIG)
            fail_msg("\"%s\" was taken", bad[i]);
        assert_null(c);
    }
    nats_client_close(NULL);
}

/* An unreachable server is no failure: it may come. */
static void a_server_may_come_later(void **state)
{
    struct nats_fixture late;
    struct nats_client *c = NULL;
    struct err e = ERR_INIT;
    struct stream_state st;
    bool found;

    (void)state;
    nats_up(&late, 65536);
    nats_kill(&late);
    struct nats_client_options o = {
        .url = late.url, .user = "", .pass = "", .name = "t", .timeout_ms = 500};
    assert_int_equal(nats_client_open(&c, &o, &e), ERR_OK);
    assert_false(nats_client_connected(c));
    assert_int_equal(stream_info(c, "x", &st, &found, &e), ERR_LOG_UNAVAILABLE);
    nats_start(&late);
    WAIT_FOR(nats_client_connected(c));
    WAIT_FOR(nats_client_max_payload(c) == 65536);
    err_clear(&e);
    assert_int_equal(stream_info(c, "x", &st, &found, &e), ERR_OK);
    assert_false(found);
    nats_client_close(c);
    nats_down(&late);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_are_created_once),
        cmocka_unit_test(settings_change_where_told),
        cmocka_unit_test(short_lived_messages),
        cmocka_unit_test(streams_are_deleted),
        cmocka_unit_test(purging_takes_one_subject),
        cmocka_unit_test(only_the_last_one_a_subject),
        cmocka_unit_test(messages_are_read_back),
        cmocka_unit_test(expected_sequences),
        cmocka_unit_test(duplicates_are_recognised),
        cmocka_unit_test(refusals_say_why),
        cmocka_unit_test(feeds_deliver_in_order),
        cmocka_unit_test(feeds_of_headers_have_no_data),
        cmocka_unit_test(wakes_do_not_pile_up),
        cmocka_unit_test(feeds_need_a_stream),
        cmocka_unit_test(sequences_by_time),
        cmocka_unit_test(urls_are_checked),
        cmocka_unit_test(a_server_may_come_later),
        cmocka_unit_test(silence_is_an_unknown_outcome),
        cmocka_unit_test(a_retry_bridges_a_restart),
        cmocka_unit_test(feeds_survive_a_restart),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
