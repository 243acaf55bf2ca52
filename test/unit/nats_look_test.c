/* Does JetStream answer, here and elsewhere: with real servers, which are paused. */
#include "nats/look.h"

#include "nats/stream.h"
#include "support/nats_fixture.h"

static struct nats_fixture one, other;
static atomic_bool cancel;
static atomic_int losses;

static void changed(void *arg, bool connected)
{
    (void)arg;
    atomic_fetch_add(&losses, connected ? 0 : 1);
}

static int set_up(void **state)
{
    (void)state;
    nats_up(&one, 0);
    nats_up(&other, 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    nats_down(&one);
    nats_down(&other);
    return 0;
}

static struct nats_client *connect_to_both(void)
{
    struct nats_fixture both = one;
    struct nats_client *c;

    (void)snprintf(both.url, sizeof both.url, "nats://127.0.0.1:%d,nats://127.0.0.1:%d", one.port,
                   other.port);
    c = nats_connect(&both, changed, NULL);
    return c;
}

static void a_server_alone_is_left_alone(void **state)
{
    struct nats_client *c = nats_connect(&one, changed, NULL);
    char id[NATS_SERVER_ID_SIZE], same[NATS_SERVER_ID_SIZE], url[256];
    unsigned asked = 7;

    (void)state;
    assert_int_equal(nats_look(c, id), LOOK_OK);
    assert_true(strlen(id) > 0);
    nats_pause(&one);
    assert_int_equal(nats_look(c, same), LOOK_USELESS);
    assert_string_equal(same, id);
    assert_false(nats_look_elsewhere(c, id, &cancel, url, sizeof url, &asked));
    assert_int_equal(asked, 0);
    nats_resume(&one);
    WAIT_FOR(nats_look(c, same) == LOOK_OK);
    nats_client_close(c);
}

static void another_one_answers(void **state)
{
    struct nats_client *c = connect_to_both();
    char id[NATS_SERVER_ID_SIZE], now[NATS_SERVER_ID_SIZE], url[256];
    unsigned asked = 0;

    (void)state;
    assert_int_equal(nats_look(c, id), LOOK_OK);
    assert_true(nats_look_elsewhere(c, id, &cancel, url, sizeof url, &asked));
    assert_int_equal(asked, 1);
    /* The client itself has not moved, until it is told to. */
    assert_int_equal(atomic_load(&losses), 0);
    assert_int_equal(nats_look(c, now), LOOK_OK);
    assert_string_equal(now, id);
    nats_leave(c);
    WAIT_FOR(nats_look(c, now) == LOOK_OK && strcmp(now, id) != 0);
    assert_int_equal(atomic_load(&losses), 1);
    /* And back. It is of use for all that it did before. */
    nats_leave(c);
    WAIT_FOR(nats_look(c, now) == LOOK_OK && strcmp(now, id) == 0);
    struct stream_config cfg = {.name = "left", .subject = "left.a", .replicas = 1};
    struct stream_state st;
    struct err e = ERR_INIT;
    assert_int_equal(stream_ensure(c, &cfg, &st, &e), ERR_OK);
    nats_client_close(c);
}

static void nobody_answers(void **state)
{
    struct nats_client *c = connect_to_both();
    char id[NATS_SERVER_ID_SIZE], url[256];
    unsigned asked = 0;

    (void)state;
    assert_int_equal(nats_look(c, id), LOOK_OK);
    nats_pause(&one);
    nats_pause(&other);
    assert_false(nats_look_elsewhere(c, id, &cancel, url, sizeof url, &asked));
    assert_int_equal(asked, 1);
    atomic_store(&cancel, true);
    assert_false(nats_look_elsewhere(c, id, &cancel, url, sizeof url, &asked));
    assert_int_equal(asked, 0);
    atomic_store(&cancel, false);
    nats_resume(&one);
    nats_resume(&other);
    nats_client_close(c);
}

static void no_connection_is_no_server(void **state)
{
    struct nats_client *c = nats_connect(&one, changed, NULL);
    char id[NATS_SERVER_ID_SIZE];

    (void)state;
    nats_kill(&one);
    WAIT_FOR(nats_look(c, id) == LOOK_NOBODY);
    nats_leave(c); /* nothing to leave */
    nats_start(&one);
    WAIT_FOR(nats_look(c, id) == LOOK_OK);
    nats_client_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_alone_is_left_alone),
        cmocka_unit_test(another_one_answers),
        cmocka_unit_test(nobody_answers),
        cmocka_unit_test(no_connection_is_no_server),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
