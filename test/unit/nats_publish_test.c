/*
 * What a publish makes of answers that a healthy server of its own never gives: a responder, over a
 * plain socket, says what it was told to instead of JetStream.
 */
#include "nats/stream.h"

#include <pthread.h>
#include <stdatomic.h>

#include "nats/internal.h"
#include "support/nats_fixture.h"

#define STORE_FAILED                                                                               \
    "{\"error\":{\"code\":503,\"err_code\":10077,\"description\":\"no space left on device\"}}"
#define NO_RESOURCES                                                                               \
    "{\"error\":{\"code\":503,\"err_code\":10023,\"description\":\"insufficient resources\"}}"
#define WRONG_LAST                                                                                 \
    "{\"error\":{\"code\":400,\"err_code\":10071,\"description\":\"wrong last sequence: 9\"}}"
#define WRONG_ID                                                                                   \
    "{\"error\":{\"code\":400,\"err_code\":10070,\"description\":\"wrong last msg ID: m9\"}}"
#define NOT_LEADING                                                                                \
    "{\"error\":{\"code\":500,\"err_code\":10009,\"description\":\"JetStream cluster not "         \
    "leader\"}}"
#define UNDER_WAY                                                                                  \
    "{\"error\":{\"code\":409,\"err_code\":10158,\"description\":\"duplicate message id is in "    \
    "process\"}}"
#define UNDER_WAY_2_10 "{\"stream\":\"S\", \"seq\":0,\"duplicate\": true}"
#define SILENCE        ""
#define STORED_AT_5    "{\"stream\":\"S\",\"seq\":5,\"duplicate\":true}"
#define STORED_AT_6    "{\"stream\":\"S\",\"seq\":6}"

#define LATE_MS 50

/* Answers requests to "fake.a", one after the other, each as often as `times` says; the last answer
 * again and again. Late ones, after a bar, come a moment after the others, unasked. */
struct responder {
    int fd;
    pthread_t thread;
    const char *const *answers;
    int times;
    atomic_int asked;  /* which answer is next */
    atomic_int copies; /* of all messages, that came */
    const char *stuck; /* an id that it takes for that of a duplicate; NULL = none */
    char last[1024];   /* headers of the last message; read after responder_stop() */
};

static struct nats_fixture server;
static struct nats_client *client;
static int copies; /* that the last put() has sent */

static void changed(void *arg, bool connected)
{
    (void)arg;
    (void)connected;
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

static void say(const struct responder *r, const char *reply, const char *text, int len)
{
    char answer[1024];
    int n = snprintf(answer, sizeof answer, "PUB %s %d\r\n%.*s\r\n", reply, len, len, text);

    for (int i = 0; i < r->times; i++)
        (void)!write(r->fd, answer, (size_t)n);
}

static void answer(const struct responder *r, const char *reply, const char *text)
{
    const char *late = strchr(text, '|');
    int len = (int)(late ? (size_t)(late - text) : strlen(text));

    if (len > 0)
        say(r, reply, text, len);
    if (late) {
        (void)poll(NULL, 0, LATE_MS);
        say(r, reply, late + 1, (int)strlen(late + 1));
    }
}

/* HMSG subject sid reply header-bytes bytes */
static bool is_message(char *line, char *reply, size_t room, size_t *bytes)
{
    char *save, *word = strtok_r(line, " \r\n", &save);
    for (int i = 0; i < 6; i++, word = strtok_r(NULL, " \r\n", &save)) {
        if (!word || (i == 0 && strcmp(word, "HMSG") != 0))
            return false;
        if (i == 3)
            snprintf(reply, room, "%s", word);
        if (i == 5)
            *bytes = strtoul(word, NULL, 10);
    }
    return true;
}

static void *respond(void *arg)
{
    struct responder *r = arg;
    FILE *in = fdopen(dup(r->fd), "r");
    char line[4096], reply[256];
    size_t size = 0;

    while (in && fgets(line, sizeof line, in)) {
        if (strncmp(line, "PING", 4) == 0)
            (void)!write(r->fd, "PONG\r\n", 6);
        if (!is_message(line, reply, sizeof reply, &size))
            continue;
        size_t n = 0;
        for (size_t left = size + 2; left > 0; left--) {
            int c = fgetc(in);
            if (n + 1 < sizeof r->last)
                r->last[n++] = (char)c;
        }
        r->last[n] = '\0';
        bool stuck = r->stuck && strstr(r->last, r->stuck);
        const char *text = stuck ? UNDER_WAY_2_10 : r->answers[atomic_load(&r->asked)];
        if (!stuck && r->answers[atomic_load(&r->asked) + 1])
            atomic_fetch_add(&r->asked, 1);
        atomic_fetch_add(&r->copies, 1);
        answer(r, reply, text);
    }
    if (in)
        (void)fclose(in);
    return NULL;
}

static void responder_start(struct responder *r, const char *const *answers, int times)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)server.port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const char hello[] = "CONNECT {\"verbose\":false,\"headers\":true,\"no_responders\":true}\r\n"
                         "SUB fake.a 1\r\nPING\r\n";
    char c, seen[5] = "";

    r->answers = answers;
    r->times = times;
    atomic_init(&r->asked, 0);
    atomic_init(&r->copies, 0);
    r->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(r->fd, (struct sockaddr *)&to, sizeof to), 0);
    assert_true(write(r->fd, hello, sizeof hello - 1) == sizeof hello - 1);
    while (strcmp(seen, "PONG") != 0) { /* the server has the subscription */
        assert_true(read(r->fd, &c, 1) == 1);
        memmove(seen, seen + 1, 3);
        seen[3] = c;
    }
    assert_int_equal(pthread_create(&r->thread, NULL, respond, r), 0);
}

static void responder_stop(struct responder *r)
{
    (void)shutdown(r->fd, SHUT_RDWR);
    (void)pthread_join(r->thread, NULL);
    close(r->fd);
}

/* The publish goes to the responder, which is named by the subject; looks go to the stream. */
static enum publish_result put(const char *const *answers, const char *stream, const char *id,
                               int64_t wait_ns, uint64_t *seq, struct err *e)
{
    struct responder r = {.stuck = NULL};
    struct publish p = {
        .stream = stream, .subject = "fake.a", .id = id, .data = "x", .len = 1, .expect_seq = 0};

    *seq = 0;
    err_clear(e);
    responder_start(&r, answers, 1);
    enum publish_result result = stream_publish(client, &p, clock_deadline(wait_ns), seq, e);
    responder_stop(&r);
    copies = atomic_load(&r.copies);
    return result;
}

static void store(const char *stream, const char *subject, const char *id, uint64_t expect_seq)
{
    struct stream_config cfg = {.name = stream, .subject = subject, .replicas = 1};
    struct stream_state st;
    struct publish p = {.stream = stream,
                        .subject = subject,
                        .id = id,
                        .data = "x",
                        .len = 1,
                        .expect_seq = expect_seq};
    struct err e = ERR_INIT;
    uint64_t seq;

    assert_int_equal(stream_ensure(client, &cfg, &st, &e), ERR_OK);
    assert_int_equal(stream_publish(client, &p, clock_deadline(PATIENCE_NS), &seq, &e),
                     PUBLISH_ACKED);
    assert_true(seq == expect_seq + 1);
}

/* The disk of the leader is full, or it leads no more; what it has not stored, others may have. */
static void one_server_proves_nothing(void **state)
{
    const char *const then_stored[] = {STORE_FAILED, STORED_AT_5, NULL};
    const char *const never[] = {STORE_FAILED, NULL};
    const char *const full[] = {NO_RESOURCES, NULL};
    const char *const deposed[] = {NOT_LEADING, NULL};
    struct err e = ERR_INIT;
    uint64_t seq;

    (void)state;
    assert_int_equal(put(then_stored, "none", "m1", PATIENCE_NS, &seq, &e), PUBLISH_ACKED);
    assert_true(seq == 5);
    assert_int_equal(e.code, ERR_OK);
    assert_int_equal(put(never, "none", "m1", 300 * CLOCK_MS, &seq, &e), PUBLISH_UNKNOWN);
    assert_int_equal(e.code, ERR_UNKNOWN_OUTCOME);
    assert_int_equal(put(full, "none", "m1", 300 * CLOCK_MS, &seq, &e), PUBLISH_UNKNOWN);
    assert_int_equal(put(deposed, "none", "m1", 300 * CLOCK_MS, &seq, &e), PUBLISH_UNKNOWN);
}

/* Nobody waits long for an answer that may never come. */
static void silence_is_asked_again(void **state)
{
    const char *const lost[] = {SILENCE, SILENCE, STORED_AT_5, NULL};
    const char *const never[] = {SILENCE, NULL};
    struct err e = ERR_INIT;
    uint64_t seq;
    int64_t start = clock_mono_ns();

    (void)state;
    assert_int_equal(put(lost, "none", "m1", PATIENCE_NS, &seq, &e), PUBLISH_ACKED);
    assert_true(seq == 5);
    assert_int_equal(copies, 3);
    assert_true(clock_mono_ns() - start < 4 * CLOCK_S);
    assert_int_equal(put(never, "none", "m1", 1500 * CLOCK_MS, &seq, &e), PUBLISH_UNKNOWN);
    assert_in_range(copies, 2, 4); /* 0, 250, 750 ms */
}

/* The leader has an earlier copy but no majority for it yet: its answer is still to come. */
static void a_copy_under_way_is_waited_for(void **state)
{
    const char *const newer[] = {SILENCE, UNDER_WAY "|" STORED_AT_5, NULL};
    const char *const older[] = {SILENCE, UNDER_WAY_2_10 "|" STORED_AT_5, NULL};
    const char *const never[] = {SILENCE, UNDER_WAY, NULL};
    struct err e = ERR_INIT;
    uint64_t seq;

    (void)state;
    assert_int_equal(put(newer, "none", "m1", PATIENCE_NS, &seq, &e), PUBLISH_ACKED);
    assert_true(seq == 5);
    assert_int_equal(copies, 2);
    assert_int_equal(put(older, "none", "m1", PATIENCE_NS, &seq, &e), PUBLISH_ACKED);
    assert_true(seq == 5);
    assert_int_equal(copies, 2);
    assert_int_equal(put(never, "none", "m1", 700 * CLOCK_MS, &seq, &e), PUBLISH_UNKNOWN);
    /* 2.10 goes on saying so of a message that has failed; the stream knows better. */
    store("way", "way.a", "m2", 0);
    assert_int_equal(put(never, "way", "m1", PATIENCE_NS, &seq, &e), PUBLISH_CONFLICT);
    assert_int_equal(put(never, "way", "m2", PATIENCE_NS, &seq, &e), PUBLISH_ACKED);
    assert_true(seq == 1);
}

/* The message that is in the way may be the one that was sent. */
static void a_conflict_with_oneself_is_none(void **state)
{
    const char *const at_once[] = {WRONG_LAST, NULL};
    const char *const later[] = {STORE_FAILED, WRONG_LAST, NULL};
    struct err e = ERR_INIT;
    uint64_t seq;

    (void)state;
    store("self", "self.a", "m1", 0);
    assert_int_equal(put(later, "self", "m1", PATIENCE_NS, &seq, &e), PUBLISH_ACKED);
    assert_true(seq == 1);
    assert_int_equal(put(later, "self", "m2", PATIENCE_NS, &seq, &e), PUBLISH_CONFLICT);
    /* Two servers may have got the only copy, and the one that refuses it answers first. */
    assert_int_equal(put(at_once, "self", "m1", PATIENCE_NS, &seq, &e), PUBLISH_ACKED);
    assert_true(seq == 1);
    assert_int_equal(put(at_once, "self", "m2", PATIENCE_NS, &seq, &e), PUBLISH_CONFLICT);
    assert_int_equal(copies, 1);
}

/* A leader that was just elected may not know yet what the last one has acknowledged. */
static void an_end_that_nobody_sees_proves_nothing(void **state)
{
    const char *const behind[] = {WRONG_LAST, WRONG_LAST, STORED_AT_5, NULL};
    const char *const later[] = {SILENCE, WRONG_LAST, NULL};
    const char *const at_once[] = {WRONG_LAST, NULL};
    struct stream_config cfg = {.name = "end", .subject = "end.a", .replicas = 1};
    struct stream_state st;
    struct err e = ERR_INIT;
    uint64_t seq;

    (void)state;
    assert_int_equal(stream_ensure(client, &cfg, &st, &e), ERR_OK);
    assert_int_equal(put(behind, "end", "m1", PATIENCE_NS, &seq, &e), PUBLISH_ACKED);
    assert_true(seq == 5);
    assert_int_equal(copies, 3);
    assert_int_equal(put(later, "end", "m1", 700 * CLOCK_MS, &seq, &e), PUBLISH_UNKNOWN);
    assert_int_equal(e.code, ERR_UNKNOWN_OUTCOME);
    /* Whoever takes the message at that place out of the stream takes the proof with it. */
    store("end", "end.a", "m2", 0);
    nats_delete_message(&server, "end", 1);
    assert_int_equal(put(later, "end", "m1", 700 * CLOCK_MS, &seq, &e), PUBLISH_UNKNOWN);
    assert_int_equal(put(at_once, "end", "m1", PATIENCE_NS, &seq, &e), PUBLISH_CONFLICT);
    assert_int_equal(copies, 1);
}

/* Two servers that both believe to lead answer the same publish. */
/* It refuses, and does not have what stands behind the expected end, though the stream has grown:
 * by this very message, as the one that leads says in the end. */
static void a_leader_no_more_proves_nothing(void **state)
{
    const char *const moved[] = {WRONG_LAST, WRONG_LAST, STORED_AT_5, NULL};
    const char *const other[] = {WRONG_ID, WRONG_ID, STORED_AT_5, NULL};
    const char *const *const all[] = {moved, other};
    struct stream_config cfg = {.name = "grown", .subject = "grown.a", .replicas = 1};
    struct stream_state st;
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(stream_ensure(client, &cfg, &st, &e), ERR_OK);
    store("grown", "grown.a", "m1", 0);
    store("grown", "grown.a", "gone", 1);
    store("grown", "grown.a", "m3", 2);
    nats_delete_message(&server, "grown", 2);
    for (unsigned i = 0; i < 2; i++) {
        struct responder r = {.stuck = NULL};
        uint64_t seq = 0;
        struct publish p = {.stream = "grown",
                            .subject = "fake.a",
                            .id = "m2",
                            .expect_id = i > 0 ? "m1" : NULL,
                            .data = "x",
                            .len = 1,
                            .expect_seq = 1};
        responder_start(&r, all[i], 1);
        assert_int_equal(stream_publish(client, &p, clock_deadline(PATIENCE_NS), &seq, &e),
                         PUBLISH_ACKED);
        assert_true(seq == 5);
        responder_stop(&r);
        /* Where the end has another id than expected the refusal is right. */
        p.expect_id = "another";
        responder_start(&r, other, 1);
        assert_int_equal(stream_publish(client, &p, clock_deadline(PATIENCE_NS), &seq, &e),
                         PUBLISH_CONFLICT);
        responder_stop(&r);
    }
}

/* 2.10 goes on calling a message a duplicate that nobody has: it goes under another id, and keeps
 * its own in a header. Without an expected end that could store it twice, and for a part the next
 * one would not know it. */
static void a_duplicate_of_nothing_is_renamed(void **state)
{
    const char *const stored[] = {STORED_AT_5, NULL};
    struct stream_config cfg = {.name = "dup", .subject = "dup.a", .replicas = 1};
    struct stream_state st;
    struct publish p = {.stream = "dup", .subject = "fake.a", .id = "m1", .data = "x", .len = 1};
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(stream_ensure(client, &cfg, &st, &e), ERR_OK);
    for (int i = 0; i < 3; i++) {
        struct responder r = {.stuck = "Nats-Msg-Id: m1\r\n"};
        uint64_t seq = 0;
        p.expect_seq = i == 1 ? PUBLISH_ANY_SEQ : 0;
        p.part = p.parts = i == 2 ? 1 : 0;
        responder_start(&r, stored, 1);
        enum publish_result result = stream_publish(
            client, &p, clock_deadline(i == 0 ? PATIENCE_NS : 2500 * CLOCK_MS), &seq, &e);
        responder_stop(&r);
        assert_int_equal(result, i == 0 ? PUBLISH_ACKED : PUBLISH_UNKNOWN);
        assert_true((strstr(r.last, "HA-Id: m1\r\n") != NULL) == (i == 0));
        assert_true((strstr(r.last, r.stuck) != NULL) == (i != 0));
        assert_true(i != 0 || seq == 5);
    }
}

/* A message without an id of its own is told from another one all the same. */
static void one_refusal_proves_nothing_without_an_id(void **state)
{
    const char *const behind[] = {WRONG_LAST, STORED_AT_5, NULL};
    const char *const moved[] = {WRONG_LAST, NULL};
    struct stream_config cfg = {.name = "noid", .subject = "noid.a", .replicas = 1};
    struct stream_state st;
    struct err e = ERR_INIT;
    uint64_t seq;

    (void)state;
    assert_int_equal(stream_ensure(client, &cfg, &st, &e), ERR_OK);
    assert_int_equal(put(behind, "noid", NULL, PATIENCE_NS, &seq, &e), PUBLISH_ACKED);
    assert_true(seq == 5);
    store("noid", "noid.a", NULL, 0);
    assert_int_equal(put(moved, "noid", NULL, PATIENCE_NS, &seq, &e), PUBLISH_CONFLICT);
}

static void a_second_answer_is_nobody_elses(void **state)
{
    const char *const answers[] = {STORED_AT_5, STORED_AT_6, NULL};
    struct responder r = {.stuck = NULL};
    struct publish p = {.stream = "real",
                        .subject = "fake.a",
                        .id = "m1",
                        .data = "x",
                        .len = 1,
                        .expect_seq = PUBLISH_ANY_SEQ};
    struct err e = ERR_INIT;
    uint64_t seq = 0;

    (void)state;
    responder_start(&r, answers, 2);
    assert_int_equal(stream_publish(client, &p, clock_deadline(PATIENCE_NS), &seq, &e),
                     PUBLISH_ACKED);
    assert_true(seq == 5);
    p.id = "m2";
    assert_int_equal(stream_publish(client, &p, clock_deadline(PATIENCE_NS), &seq, &e),
                     PUBLISH_ACKED);
    assert_true(seq == 6);
    responder_stop(&r);
}

#define FROZEN_NS   (10 * CLOCK_S) /* the client gives up a write after two seconds */
#define FROZEN_SIZE 900000

struct writer {
    atomic_bool over, enough;
};

/* Fills all buffers on the way to the server. */
static void *write_until_it_fails(void *arg)
{
    struct writer *w = arg;
    char *bytes = calloc(1, FROZEN_SIZE);

    while (bytes && !atomic_load(&w->enough) &&
           natsConnection_Publish(nats_client_connection(client), "nobody.listens", bytes,
                                  FROZEN_SIZE) == NATS_OK)
        ;
    free(bytes);
    atomic_store(&w->over, true);
    return NULL;
}

/* It takes connections, for the kernel does that, and reads nothing. */
static void a_frozen_server_holds_nobody(void **state)
{
    struct publish p = {.stream = "frozen",
                        .subject = "frozen.a",
                        .id = "m2",
                        .data = "x",
                        .len = 1,
                        .expect_seq = 1};
    struct err e = ERR_INIT;
    struct writer w = {.over = false};
    pthread_t thread;
    int64_t until;
    uint64_t seq = 0;

    (void)state;
    store("frozen", "frozen.a", "m1", 0);
    nats_pause(&server);
    assert_int_equal(pthread_create(&thread, NULL, write_until_it_fails, &w), 0);
    until = clock_deadline(FROZEN_NS);
    while (!atomic_load(&w.over) && clock_mono_ns() < until)
        (void)poll(NULL, 0, 3);
    bool in_time = atomic_load(&w.over);
    atomic_store(&w.enough, true);
    nats_resume(&server); /* or the thread might never come back */
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(in_time);
    /* What had gone out of the last message is not taken for the beginning of the next one. */
    assert_int_equal(stream_publish(client, &p, clock_deadline(PATIENCE_NS), &seq, &e),
                     PUBLISH_ACKED);
    assert_true(seq == 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_server_proves_nothing),
        cmocka_unit_test(silence_is_asked_again),
        cmocka_unit_test(a_copy_under_way_is_waited_for),
        cmocka_unit_test(a_conflict_with_oneself_is_none),
        cmocka_unit_test(an_end_that_nobody_sees_proves_nothing),
        cmocka_unit_test(a_leader_no_more_proves_nothing),
        cmocka_unit_test(a_duplicate_of_nothing_is_renamed),
        cmocka_unit_test(one_refusal_proves_nothing_without_an_id),
        cmocka_unit_test(a_second_answer_is_nobody_elses),
        cmocka_unit_test(a_frozen_server_holds_nobody),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
