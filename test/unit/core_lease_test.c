/* Leases against a real nats-server: at most one holder, hand-over, expiry, a server that is away.
 */
#include "core/lease.h"

#include <pthread.h>
#include <stdatomic.h>

#include "support/nats_fixture.h"

#define MANY 6

static struct nats_fixture server;
static struct nats_client *clients[MANY];

static int set_up(void **state)
{
    (void)state;
    nats_up(&server, 0);
    for (int i = 0; i < MANY; i++)
        clients[i] = nats_connect(&server, NULL, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < MANY; i++)
        nats_client_close(clients[i]);
    nats_down(&server);
    return 0;
}

static atomic_int changes;

static void changed(void *arg)
{
    (void)arg;
    atomic_fetch_add(&changes, 1);
}

static struct lease *open_lease(int client, const char *name, const char *holder, bool candidate)
{
    struct lease *l = NULL;
    struct err e = ERR_INIT;
    struct lease_options o = {.stream = "t",
                              .name = name,
                              .holder = holder,
                              .note = "127.0.0.1:8080",
                              .replicas = 1,
                              .candidate = candidate,
                              .changed = changed};
    if (lease_open(&l, clients[client], &o, &e) != ERR_OK)
        fail_msg("%s", e.msg);
    return l;
}

static int holders(struct lease **l, int n)
{
    int held = 0;
    for (int i = 0; i < n; i++)
        held += l[i] && lease_held(l[i]);
    return held;
}

static void one_of_many(void **state)
{
    (void)state;
    struct lease *l[MANY];
    struct lease_view v, first;
    char name[16];
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(name, sizeof name, "node%d", i);
        l[i] = open_lease(i, "one of.many", name, i > 0); /* the first one only watches */
    }
    for (int i = 0; i < MANY; i++)
        assert_true(lease_wait(l[i], 0, clock_deadline(PATIENCE_NS), &v));
    lease_look(l[0], &first);
    assert_true(first.held && !first.mine && first.since > 0);
    assert_string_equal(first.note, "127.0.0.1:8080");
    /* Longer than a span: it is renewed, and stays with the same node. */
    int64_t until = clock_deadline(LEASE_TTL_NS + 2 * LEASE_RENEW_NS);
    while (clock_mono_ns() < until) {
        assert_int_equal(holders(l, MANY), 1);
        (void)poll(NULL, 0, 20);
    }
    lease_look(l[0], &v);
    assert_string_equal(v.holder, first.holder);
    assert_int_equal(v.since, first.since);

    /* Given up: another one has it long before the span is over. */
    int64_t start = clock_mono_ns();
    for (int i = 1; i < MANY; i++)
        if (lease_held(l[i])) {
            lease_close(l[i]);
            l[i] = NULL;
            break;
        }
    assert_true(lease_wait(l[0], first.since, clock_deadline(PATIENCE_NS), &v));
    assert_true(clock_mono_ns() - start < LEASE_TTL_NS);
    assert_true(v.since > first.since);
    assert_string_not_equal(v.holder, first.holder);
    WAIT_FOR(holders(l, MANY) == 1);
    assert_true(atomic_load(&changes) > 0);
    for (int i = 0; i < MANY; i++)
        lease_close(l[i]);
}

/* A holder that cannot be heard loses it in its own eyes before another one takes it. */
static void holder_cut_off(void **state)
{
    (void)state;
    struct lease_view v;
    struct lease *a = open_lease(0, "cut", "a", true);
    WAIT_FOR(lease_held(a));
    lease_look(a, &v);
    uint64_t since = v.since;
    struct lease *b = open_lease(1, "cut", "b", true);
    assert_true(lease_wait(b, 0, clock_deadline(PATIENCE_NS), &v));
    assert_string_equal(v.holder, "a");

    nats_pause(&server);
    WAIT_FOR(!lease_held(a)); /* nobody answers: it counts by itself */
    assert_false(lease_held(b));
    nats_resume(&server);
    WAIT_FOR(lease_held(a) || lease_held(b));
    assert_false(lease_held(a) && lease_held(b));
    assert_true(lease_wait(b, since, clock_deadline(PATIENCE_NS), &v));
    assert_true(v.since > since);

    /* The server is killed and comes back with what it had stored. */
    since = v.since;
    nats_kill(&server);
    WAIT_FOR(!lease_held(a) && !lease_held(b));
    nats_start(&server);
    assert_true(lease_wait(a, since, clock_deadline(PATIENCE_NS), &v));
    assert_false(lease_held(a) && lease_held(b));
    lease_close(a);
    lease_close(b);
}

/* An earlier life of the same node, that did not give it up, counts like anybody else. */
static void earlier_life(void **state)
{
    (void)state;
    struct lease_view v;
    struct lease *a = open_lease(0, "life", "a", true);
    WAIT_FOR(lease_held(a));
    int64_t start = clock_mono_ns();
    struct lease *again = open_lease(1, "life", "a", true);
    while (clock_mono_ns() - start < LEASE_TTL_NS + 2 * LEASE_GRACE_NS) {
        assert_false(lease_held(again));
        (void)poll(NULL, 0, 20);
    }
    lease_look(again, &v);
    assert_true(v.held && !v.mine);
    lease_close(a);
    WAIT_FOR(lease_held(again));
    lease_close(again);
    /* Nobody waits for one that was released. */
    start = clock_mono_ns();
    a = open_lease(2, "life", "b", true);
    WAIT_FOR(lease_held(a));
    assert_true(clock_mono_ns() - start < LEASE_TTL_NS);
    lease_close(a);
}

static atomic_bool fit[2];

static bool is_fit(void *arg)
{
    return atomic_load((atomic_bool *)arg);
}

static struct lease *open_fit(int i, const char *holder)
{
    struct lease *l = NULL;
    struct err e = ERR_INIT;
    struct lease_options o = {.stream = "t",
                              .name = "fit",
                              .holder = holder,
                              .note = "",
                              .replicas = 1,
                              .candidate = true,
                              .fit = is_fit,
                              .arg = &fit[i]};
    if (lease_open(&l, clients[i], &o, &e) != ERR_OK)
        fail_msg("%s", e.msg);
    return l;
}

/* Whoever is not fit leaves it to another one, and takes it where there is none. */
static void who_is_fit(void **state)
{
    (void)state;
    atomic_store(&fit[0], false);
    atomic_store(&fit[1], true);
    struct lease *a = open_fit(0, "a");
    WAIT_FOR(lease_held(a)); /* nobody else wants it */
    struct lease *b = open_fit(1, "b");
    WAIT_FOR(lease_held(b));
    lease_resign(b);
    WAIT_FOR(lease_held(a));
    lease_close(b);
    lease_close(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_of_many),
        cmocka_unit_test(holder_cut_off),
        cmocka_unit_test(earlier_life),
        cmocka_unit_test(who_is_fit),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
