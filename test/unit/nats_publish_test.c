/*
 * What a publish makes of answers that a healthy server of its own never gives: a responder, over a
 * plain socket, says what it was told to instead of JetStream.
 */
#include "nats/stream.h"

#include <pthread.h>
#include <stdatomic.h>

#include "support/nats_fixture.h"

#define STORE_FAILED                                                                               \
    "{\"error\":{\"code\":503,\"err_code\":10077,\"description\":\"no space left on device\"}}"
#define NO_RESOURCES                                                                               \
    "{\"error\":{\"code\":503,\"err_code\":10023,\"description\":\"insufficient resources\"}}"
#define WRONG_LAST                                                                                 \
    "{\"error\":{\"code\":400,\"err_code\":10071,\"description\":\"wrong last sequence: 9\"}}"
#define STORED_AT_5 "{\"stream\":\"S\",\"seq\":5,\"duplicate\":true}"
#define STORED_AT_6 "{\"stream\":\"S\",\"seq\":6}"

/* Answers requests to "fake.a", one after the other, each as often as `times` says; the last answer
 * again and again. */
struct responder {
    int fd;
    pthread_t thread;
    const char *const *answers;
    int times;
    atomic_int asked;
};

static struct nats_fixture server;
static struct nats_client *client;

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

static void *respond(void *arg)
{
    struct responder *r = arg;
    FILE *in = fdopen(dup(r->fd), "r");
    char line[4096], reply[256], answer[1024];
    size_t head, size;

    while (in && fgets(line, sizeof line, in)) {
        if (strncmp(line, "PING", 4) == 0)
            (void)!write(r->fd, "PONG\r\n", 6);
        if (sscanf(line, "HMSG %*s %*s %255s %zu %zu", reply, &head, &size) != 3)
            continue;
        for (size_t left = size + 2; left > 0; left--)
            (void)fgetc(in);
        const char *text = r->answers[atomic_load(&r->asked)];
        if (r->answers[atomic_load(&r->asked) + 1])
            atomic_fetch_add(&r->asked, 1);
        int n = snprintf(answer, sizeof answer, "PUB %s %zu\r\n%s\r\n", reply, strlen(text), text);
        for (int i = 0; i < r->times; i++)
            (void)!write(r->fd, answer, (size_t)n);
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

static enum publish_result put(const char *const *answers, const char *id, int64_t wait_ns,
                               uint64_t *seq, struct err *e)
{
    struct responder r;
    struct publish p = {
        .stream = "real", .subject = "fake.a", .id = id, .data = "x", .len = 1, .expect_seq = 0};

    *seq = 0;
    err_clear(e);
    responder_start(&r, answers, 1);
    enum publish_result result = stream_publish(client, &p, clock_deadline(wait_ns), seq, e);
    responder_stop(&r);
    return result;
}

/* The disk of the leader is full; what it could not store, other replicas may have. */
static void a_leader_that_cannot_store_proves_nothing(void **state)
{
    const char *const then_stored[] = {STORE_FAILED, STORED_AT_5, NULL};
    const char *const never[] = {STORE_FAILED, NULL};
    const char *const full[] = {NO_RESOURCES, NULL};
    struct err e = ERR_INIT;
    uint64_t seq;

    (void)state;
    assert_int_equal(put(then_stored, "m1", PATIENCE_NS, &seq, &e), PUBLISH_ACKED);
    assert_true(seq == 5);
    assert_int_equal(put(never, "m1", 300 * CLOCK_MS, &seq, &e), PUBLISH_UNKNOWN);
    assert_int_equal(e.code, ERR_UNKNOWN_OUTCOME);
    assert_int_equal(put(full, "m1", 300 * CLOCK_MS, &seq, &e), PUBLISH_UNKNOWN);
}

/* After an attempt without an answer, the message that is in the way may be our own. */
static void a_conflict_with_oneself_is_none(void **state)
{
    const char *const at_once[] = {WRONG_LAST, NULL};
    const char *const later[] = {STORE_FAILED, WRONG_LAST, NULL};
    struct stream_config cfg = {.name = "real", .subject = "real.a", .replicas = 1};
    struct stream_state st;
    struct publish p = {
        .stream = "real", .subject = "real.a", .id = "m1", .data = "x", .len = 1, .expect_seq = 0};
    struct err e = ERR_INIT;
    uint64_t seq;

    (void)state;
    assert_int_equal(stream_ensure(client, &cfg, &st, &e), ERR_OK);
    /* Nothing stands there yet. */
    assert_int_equal(put(later, "m1", PATIENCE_NS, &seq, &e), PUBLISH_CONFLICT);
    assert_int_equal(stream_publish(client, &p, clock_deadline(PATIENCE_NS), &seq, &e),
                     PUBLISH_ACKED);
    assert_int_equal(put(later, "m1", PATIENCE_NS, &seq, &e), PUBLISH_ACKED);
    assert_true(seq == 1);
    assert_int_equal(put(later, "m2", PATIENCE_NS, &seq, &e), PUBLISH_CONFLICT);
    /* The first attempt was refused: it cannot be ours. */
    assert_int_equal(put(at_once, "m2", PATIENCE_NS, &seq, &e), PUBLISH_CONFLICT);
}

/* Two servers that both believe to lead answer the same publish. */
static void a_second_answer_is_nobody_elses(void **state)
{
    const char *const answers[] = {STORED_AT_5, STORED_AT_6, NULL};
    struct responder r;
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_leader_that_cannot_store_proves_nothing),
        cmocka_unit_test(a_conflict_with_oneself_is_none),
        cmocka_unit_test(a_second_answer_is_nobody_elses),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
