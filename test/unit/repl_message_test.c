/* Messages on their way into the log, whole and in parts, against a server with a small
 * max_payload. */
#include "repl/message.h"

#include <inttypes.h>

#include "nats/stream.h"
#include "support/nats_fixture.h"

#define PAYLOAD  ((size_t)8192)
#define PART_LEN (PAYLOAD - 1024) /* the rest is for headers */

static struct nats_fixture server;
static struct nats_client *client;
static struct buf scratch = BUF_INIT;

static int set_up(void **state)
{
    (void)state;
    nats_up(&server, PAYLOAD);
    client = nats_connect(&server, NULL, NULL);
    WAIT_FOR(nats_client_max_payload(client) == PAYLOAD);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    buf_free(&scratch);
    nats_client_close(client);
    nats_down(&server);
    return 0;
}

/* A source of bytes that tell where they stand. */
struct pattern {
    uint64_t fails_at;   /* reading from here on fails; 0 = never */
    uint64_t intrude_at; /* somebody else publishes before this byte is read; 0 = never */
    unsigned intrusions; /* how often */
    const char *stream, *subject;
};

static char byte_at(uint64_t i)
{
    return (char)('a' + (i * 7 + i / 1000) % 26);
}

static void intrude(const struct pattern *p)
{
    struct publish other = {.stream = p->stream,
                            .subject = p->subject,
                            .data = "other",
                            .len = 5,
                            .expect_seq = PUBLISH_ANY_SEQ};
    struct err e = ERR_INIT;
    uint64_t seq;

    assert_int_equal(stream_publish(client, &other, clock_deadline(PATIENCE_NS), &seq, &e),
                     PUBLISH_ACKED);
}

static enum err_code read_pattern(void *arg, uint64_t from, uint64_t n, struct buf *out,
                                  struct err *e)
{
    struct pattern *p = arg;

    if (p->fails_at && from >= p->fails_at)
        return err_set(e, ERR_IO, "the disk is broken");
    if (p->intrude_at && from >= p->intrude_at && p->intrusions > 0) {
        p->intrusions--;
        intrude(p);
    }
    assert_int_equal(out->len, 0);
    for (uint64_t i = from; i < from + n; i++)
        buf_putc(out, byte_at(i));
    return ERR_OK;
}

static void make_stream(const char *name, const char *subject)
{
    struct stream_config cfg = {.name = name, .subject = subject, .replicas = 1};
    struct stream_state st;
    struct err e = ERR_INIT;

    if (stream_ensure(client, &cfg, &st, &e) != ERR_OK)
        fail_msg("%s", e.msg);
}

static enum publish_result put(struct pattern *p, uint64_t len, const char *id, uint64_t expect,
                               uint64_t *first, uint64_t *last, struct err *e)
{
    struct message_source src = {.len = len, .read = read_pattern, .arg = p};
    struct message_target to = {.client = client,
                                .stream = p->stream,
                                .subject = p->subject,
                                .timeout_ns = PATIENCE_NS,
                                .expect_seq = expect,
                                .scratch = &scratch};

    err_clear(e);
    *first = *last = 0;
    return message_publish(&src, id, &to, first, last, e);
}

/* The parts of one message stand at first … last, in order, and make up the pattern. */
static void check_parts(const char *stream, const char *id, uint64_t first, uint64_t last,
                        uint64_t len)
{
    uint64_t at = 0;

    for (uint64_t seq = first; seq <= last; seq++) {
        struct stream_message m;
        struct err e = ERR_INIT;
        bool found;

        assert_int_equal(stream_get(client, stream, seq, &m, &found, &e), ERR_OK);
        assert_true(found);
        assert_int_equal(m.part, seq - first + 1);
        assert_int_equal(m.parts, last - first + 1);
        if (seq == last)
            assert_string_equal(m.id, id);
        else
            assert_true(strncmp(m.id, id, strlen(id)) == 0 && m.id[strlen(id)] == '.');
        for (size_t i = 0; i < m.len; i++)
            if (m.data[i] != byte_at(at + i))
                fail_msg("byte %" PRIu64 " of %s is wrong", at + i, id);
        at += m.len;
        stream_message_free(&m);
    }
    assert_true(at == len);
}

static void small_messages_go_whole(void **state)
{
    struct pattern p = {.stream = "whole", .subject = "whole.a"};
    struct stream_message m;
    struct err e;
    uint64_t first, last;
    bool found;

    (void)state;
    make_stream("whole", "whole.a");
    assert_int_equal(put(&p, PART_LEN, "m1", 0, &first, &last, &e), PUBLISH_ACKED);
    assert_true(first == 1 && last == 1);
    assert_int_equal(stream_get(client, "whole", 1, &m, &found, &e), ERR_OK);
    assert_int_equal(m.parts, 0);
    assert_int_equal(m.len, PART_LEN);
    stream_message_free(&m);
    assert_int_equal(put(&p, 10, "m2", 0, &first, &last, &e), PUBLISH_CONFLICT);
    assert_int_equal(put(&p, 10, "m2", 1, &first, &last, &e), PUBLISH_ACKED);
    assert_int_equal(put(&p, 0, "m3", PUBLISH_ANY_SEQ, &first, &last, &e), PUBLISH_ACKED);
    assert_true(first == 3 && last == 3);
}

static void big_messages_go_in_parts(void **state)
{
    static const uint64_t lengths[] = {PART_LEN + 1, 2 * PART_LEN, 2 * PART_LEN + 1,
                                       40 * PART_LEN - 17};
    struct pattern p = {.stream = "parts", .subject = "parts.a"};
    struct err e;
    uint64_t first, last, end = 0;

    (void)state;
    make_stream("parts", "parts.a");
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        char id[16];
        uint64_t parts = (lengths[i] + PART_LEN - 1) / PART_LEN;
        (void)snprintf(id, sizeof id, "big%zu", i);
        if (put(&p, lengths[i], id, i % 2 ? end : PUBLISH_ANY_SEQ, &first, &last, &e) !=
            PUBLISH_ACKED)
            fail_msg("%s", e.msg);
        assert_true(first == end + 1);
        assert_true(last == end + parts);
        check_parts("parts", id, first, last, lengths[i]);
        end = last;
    }
}

/* Somebody else publishes between two parts. */
static void a_broken_chain_is_a_conflict(void **state)
{
    struct pattern p = {
        .stream = "broken", .subject = "broken.a", .intrude_at = 3 * PART_LEN, .intrusions = 1};
    struct err e;
    uint64_t first, last;

    (void)state;
    make_stream("broken", "broken.a");
    assert_int_equal(put(&p, 6 * PART_LEN, "c1", 0, &first, &last, &e), PUBLISH_CONFLICT);
    /* Three dead parts and the intruder. The next attempt of the same message follows them. */
    assert_int_equal(put(&p, 6 * PART_LEN, "c2", 4, &first, &last, &e), PUBLISH_ACKED);
    assert_true(first == 5 && last == 10);
    check_parts("broken", "c2", 5, 10, 6 * PART_LEN);
}

/* Where any place will do, the whole chain is sent again, and the dead parts are no duplicates. */
static void a_broken_chain_is_sent_again(void **state)
{
    struct pattern p = {
        .stream = "again", .subject = "again.a", .intrude_at = 2 * PART_LEN, .intrusions = 3};
    struct err e;
    uint64_t first, last;

    (void)state;
    make_stream("again", "again.a");
    if (put(&p, 5 * PART_LEN, "d1", PUBLISH_ANY_SEQ, &first, &last, &e) != PUBLISH_ACKED)
        fail_msg("%s", e.msg);
    assert_int_equal(p.intrusions, 0);
    assert_true(last - first == 4);
    check_parts("again", "d1", first, last, 5 * PART_LEN);
}

static void a_chain_that_never_gets_through(void **state)
{
    struct pattern p = {
        .stream = "never", .subject = "never.a", .intrude_at = PART_LEN, .intrusions = 1000};
    struct err e;
    uint64_t first, last;

    (void)state;
    make_stream("never", "never.a");
    assert_int_equal(put(&p, 2 * PART_LEN, "n1", PUBLISH_ANY_SEQ, &first, &last, &e),
                     PUBLISH_CONFLICT);
    assert_true(p.intrusions < 1000 - 10); /* it has tried */
}

static void what_cannot_be_read_is_refused(void **state)
{
    struct pattern p = {.stream = "unread", .subject = "unread.a", .fails_at = 2 * PART_LEN};
    struct err e;
    uint64_t first, last;

    (void)state;
    make_stream("unread", "unread.a");
    assert_int_equal(put(&p, 4 * PART_LEN, "u1", 0, &first, &last, &e), PUBLISH_REFUSED);
    assert_int_equal(e.code, ERR_IO);
}

/* Silence behind a part that is not the last proves that the message does not count. */
static void an_unfinished_chain_is_no_unknown_outcome(void **state)
{
    struct pattern p = {.stream = "silent", .subject = "silent.a"};
    struct message_source src = {.len = 3 * PART_LEN, .read = read_pattern, .arg = &p};
    struct message_target to = {.client = client,
                                .stream = "silent",
                                .subject = "silent.a",
                                .timeout_ns = 400 * CLOCK_MS,
                                .expect_seq = 0,
                                .scratch = &scratch};
    struct err e = ERR_INIT;
    uint64_t first, last;

    (void)state;
    make_stream("silent", "silent.a");
    nats_pause(&server);
    assert_int_equal(message_publish(&src, "s1", &to, &first, &last, &e), PUBLISH_REFUSED);
    assert_int_equal(e.code, ERR_LOG_UNAVAILABLE);
    err_clear(&e);
    src.len = 10;
    assert_int_equal(message_publish(&src, "s2", &to, &first, &last, &e), PUBLISH_UNKNOWN);
    assert_int_equal(e.code, ERR_UNKNOWN_OUTCOME);
    nats_resume(&server);
}

/* Head, spool and tail become one message, read at any offset. */
static void messages_are_put_together(void **state)
{
    struct spool *changes = spool_new("/tmp", 100); /* most of it on disk */
    struct changeset_tx tx = {1, 1};
    struct message m;
    struct err e = ERR_INIT;
    struct buf whole = BUF_INIT, piece = BUF_INIT;

    (void)state;
    assert_non_null(changes);
    changeset_put_sql(spool_tail(changes), "main", "CREATE TABLE t (v)", 18);
    for (int i = 0; i < 300; i++)
        buf_putc(spool_tail(changes), ' ');
    spool_flush(changes);
    assert_int_equal(message_make(&m, changes, "n\"1", "id1", "id0", "/some/dir/a.db",
                                  &(struct changeset_txs){.txs = &tx, .n = 1}, &e),
                     ERR_OK);
    assert_int_equal(m.source.read(m.source.arg, 0, m.source.len, &whole, &e), ERR_OK);
    assert_int_equal(whole.len, m.source.len);
    assert_non_null(strstr(buf_cstr(&whole), "\"n\\\"1\""));
    assert_non_null(strstr(buf_cstr(&whole), "CREATE TABLE t (v)"));
    assert_non_null(strstr(buf_cstr(&whole), "\"a.db\""));
    assert_null(strstr(buf_cstr(&whole), "/some/dir"));
    for (uint64_t step = 1; step < whole.len; step = step * 3 + 1) {
        for (uint64_t from = 0; from < whole.len; from += step) {
            uint64_t n = whole.len - from < step ? whole.len - from : step;
            buf_reset(&piece);
            assert_int_equal(m.source.read(m.source.arg, from, n, &piece, &e), ERR_OK);
            assert_int_equal(piece.len, n);
            assert_memory_equal(piece.data, whole.data + from, n);
        }
    }
    message_free(&m);
    spool_free(changes);
    buf_free(&whole);
    buf_free(&piece);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_are_put_together),
        cmocka_unit_test(small_messages_go_whole),
        cmocka_unit_test(big_messages_go_in_parts),
        cmocka_unit_test(a_broken_chain_is_a_conflict),
        cmocka_unit_test(a_broken_chain_is_sent_again),
        cmocka_unit_test(a_chain_that_never_gets_through),
        cmocka_unit_test(what_cannot_be_read_is_refused),
        cmocka_unit_test(an_unfinished_chain_is_no_unknown_outcome),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
