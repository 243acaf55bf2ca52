/*
 * When is a stream's leader asked to step down? A server over a plain socket says who leads, as a
 * cluster would, and counts what it is asked; nothing here waits for as long as a publish would.
 */
#include "nats/stall.h"

#include <stdatomic.h>

#include "support/nats_fixture.h"

#define SOON (6 * CLOCK_S)  /* waited in vain: enough for the first look */
#define LONG (16 * CLOCK_S) /* … for every limit */

#define MAX_SUBS 64

struct fake {
    struct nats_fixture fixture; /* its URL only */
    int listener;
    atomic_int fd;
    pthread_t thread;
    atomic_int infos, stepdowns;
    /* what it says; the test changes them between calls */
    const char *_Atomic leader;
    atomic_int replicas;
    atomic_bool current;
    char subs[MAX_SUBS][256]; /* pattern and id */
    int n_subs;
};

static struct fake fake;
static struct nats_client *client;

static void send_text(const char *text)
{
    (void)!write(fake.fd, text, strlen(text));
}

/* To the subscription that takes `reply`; patterns end with a star or are the subject. */
static void answer(const char *reply, const char *json)
{
    char line[2048], pattern[200], sid[32];

    for (int i = 0; i < fake.n_subs; i++) {
        if (sscanf(fake.subs[i], "%199s %31s", pattern, sid) != 2)
            continue;
        size_t n = strcspn(pattern, "*");
        if (strncmp(pattern, reply, n) != 0 || (!pattern[n] && strcmp(pattern, reply) != 0))
            continue;
        (void)snprintf(line, sizeof line, "MSG %s %s %zu\r\n%s\r\n", reply, sid, strlen(json),
                       json);
        send_text(line);
        return;
    }
}

static void asked(const char *subject, const char *reply)
{
    char json[1536];
    const char *current = atomic_load(&fake.current) ? "true" : "false";

    if (strncmp(subject, "$JS.API.STREAM.LEADER.STEPDOWN.", 31) == 0) {
        atomic_fetch_add(&fake.stepdowns, 1);
        answer(reply, "{\"type\":\"io.nats.jetstream.api.v1.stream_leader_stepdown_response\","
                      "\"success\":true}");
    } else if (strncmp(subject, "$JS.API.STREAM.INFO.", 20) == 0) {
        atomic_fetch_add(&fake.infos, 1);
        (void)snprintf(
            json, sizeof json,
            "{\"type\":\"io.nats.jetstream.api.v1.stream_info_response\",\"config\":{\"name\":"
            "\"S\","
            "\"subjects\":[\"s.a\"],\"retention\":\"limits\",\"max_consumers\":-1,\"max_msgs\":-1,"
            "\"max_bytes\":-1,\"max_age\":0,\"storage\":\"file\",\"discard\":\"old\","
            "\"num_replicas\":%d},\"created\":\"2026-01-01T00:00:00Z\",\"state\":{\"messages\":0,"
            "\"bytes\":0,\"first_seq\":0,\"last_seq\":0,\"consumer_count\":0},\"cluster\":{"
            "\"name\":"
            "\"c\",\"leader\":\"%s\",\"replicas\":[{\"name\":\"x\",\"current\":%s,\"active\":1},"
            "{\"name\":\"y\",\"current\":false,\"offline\":true,\"active\":1}]}}",
            atomic_load(&fake.replicas), atomic_load(&fake.leader), current);
        answer(reply, json);
    }
}

static void *serve(void *arg)
{
    char line[4096], word[16], a[256], b[256], c[32];

    (void)arg;
    fake.fd = accept(fake.listener, NULL, NULL);
    FILE *in = fake.fd >= 0 ? fdopen(dup(fake.fd), "r") : NULL;
    send_text("INFO {\"server_id\":\"FAKE\",\"version\":\"2.9.10\",\"headers\":true,\"proto\":1,"
              "\"max_payload\":1048576,\"jetstream\":true}\r\n");
    while (in && fgets(line, sizeof line, in)) {
        int n = sscanf(line, "%15s %255s %255s %31s", word, a, b, c);
        if (n >= 1 && strcmp(word, "PING") == 0)
            send_text("PONG\r\n");
        if (n == 3 && strcmp(word, "SUB") == 0 && fake.n_subs < MAX_SUBS)
            (void)snprintf(fake.subs[fake.n_subs++], sizeof fake.subs[0], "%.199s %.31s", a, b);
        if (n == 4 && strcmp(word, "PUB") == 0) {
            for (long left = strtol(c, NULL, 10) + 2; left > 0; left--)
                (void)fgetc(in);
            asked(a, b);
        }
    }
    if (in)
        (void)fclose(in);
    return NULL;
}

static int set_up(void **state)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t len = sizeof a;

    (void)state;
    memset(&fake, 0, sizeof fake);
    atomic_init(&fake.leader, "L1");
    atomic_init(&fake.replicas, 3);
    atomic_init(&fake.current, true);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    fake.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fake.listener, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fake.listener, 1), 0);
    assert_int_equal(getsockname(fake.listener, (struct sockaddr *)&a, &len), 0);
    (void)snprintf(fake.fixture.url, sizeof fake.fixture.url, "nats://127.0.0.1:%d",
                   ntohs(a.sin_port));
    assert_int_equal(pthread_create(&fake.thread, NULL, serve, NULL), 0);
    client = nats_connect(&fake.fixture, NULL, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    nats_client_close(client);
    (void)shutdown(fake.fd, SHUT_RDWR);
    (void)pthread_join(fake.thread, NULL);
    (void)close(fake.fd);
    (void)close(fake.listener);
    return 0;
}

static void expect(int infos, int stepdowns)
{
    assert_int_equal(atomic_load(&fake.infos), infos);
    assert_int_equal(atomic_load(&fake.stepdowns), stepdowns);
    assert_int_equal((int)nats_client_stepdowns(client), stepdowns);
}

static void a_silent_leader_is_asked_once(void **state)
{
    (void)state;
    stall_silent(client, "S", CLOCK_S);
    expect(0, 0);
    stall_silent(client, "S", SOON);
    expect(1, 0);
    stall_silent(client, "S", CLOCK_S);
    expect(1, 0);
    stall_silent(client, "S", LONG);
    expect(2, 1);
    /* Not again within a minute, though the leader looks the same. */
    for (int i = 0; i < 4; i++)
        stall_silent(client, "S", LONG);
    expect(3, 1);
    stall_over(client, "S"); /* nor where it has answered in between */
    for (int i = 0; i < 4; i++)
        stall_silent(client, "S", LONG);
    expect(4, 1);
}

static void an_answer_ends_it(void **state)
{
    (void)state;
    stall_over(client, "S");
    for (int i = 0; i < 5; i++) {
        stall_silent(client, "S", SOON);
        stall_over(client, "S");
    }
    expect(5, 0);
    stall_silent(client, "other", LONG); /* the first look */
    stall_silent(client, "S", SOON);
    stall_silent(client, "other", CLOCK_S);
    expect(7 + 1, 1);
}

static void another_leader_is_given_its_time(void **state)
{
    (void)state;
    stall_silent(client, "S", SOON);
    atomic_store(&fake.leader, "L2");
    stall_silent(client, "S", LONG);
    expect(2, 0);
    stall_silent(client, "S", SOON);
    stall_silent(client, "S", LONG);
    expect(4, 1);
}

static void nobody_steps_down_for_nobody(void **state)
{
    (void)state;
    atomic_store(&fake.current, false);
    for (int i = 0; i < 3; i++)
        stall_silent(client, "S", LONG);
    expect(3, 0);
    atomic_store(&fake.current, true);
    atomic_store(&fake.replicas, 1);
    for (int i = 0; i < 3; i++)
        stall_silent(client, "S", LONG);
    expect(6, 0);
    atomic_store(&fake.replicas, 5); /* one follower and the leader are no majority */
    for (int i = 0; i < 3; i++)
        stall_silent(client, "S", LONG);
    expect(9, 0);
    atomic_store(&fake.replicas, 3);
    atomic_store(&fake.leader, "");
    for (int i = 0; i < 3; i++)
        stall_silent(client, "S", LONG);
    expect(12, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_silent_leader_is_asked_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_answer_ends_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_leader_is_given_its_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nobody_steps_down_for_nobody, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
