/* Looking at a socket for a moment before sleeping on it. */
#include "os/spin.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

static int pair[2];

static int setup(void **state)
{
    (void)state;
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);
}

static int teardown(void **state)
{
    (void)state;
    close(pair[0]);
    if (pair[1] >= 0)
        close(pair[1]);
    return 0;
}

static void the_first_ones_are_left_out(void **state)
{
    struct spin w = SPIN_INIT;

    (void)state;
    for (unsigned left = w.skip; left > 0; left--) {
        assert_int_equal(w.skip, left);
        spin_on(&w, pair[0]);
        assert_int_equal(w.in_vain, 0);
    }
    spin_on(&w, pair[0]);
    assert_int_equal(w.in_vain, 1);
}

static void in_vain_ever_rarer(void **state)
{
    struct spin w = {0};
    unsigned watched = 0;

    (void)state;
    for (unsigned i = 0; i < 10000; i++) {
        watched += w.skip == 0;
        spin_on(&w, pair[0]);
        assert_in_range(w.in_vain, 1, 1023);
    }
    assert_in_range(watched, 10, 20);
}

static void what_comes_makes_it_frequent_again(void **state)
{
    struct spin w = {.in_vain = 1023};

    (void)state;
    assert_int_equal(write(pair[1], "x", 1), 1);
    for (unsigned i = 0; i < 10; i++) {
        spin_on(&w, pair[0]);
        assert_int_equal(w.skip, 0);
    }
    assert_int_equal(w.in_vain, 0);
}

/* The owner reads on and sees what happened. */
static void a_closed_socket_ends_it(void **state)
{
    struct spin w = {.in_vain = 8};

    (void)state;
    close(pair[1]);
    pair[1] = -1;
    spin_on(&w, pair[0]);
    assert_int_equal(w.skip, 0);
    assert_int_equal(w.in_vain, 4);
}

static void takes_what_is_there(void **state)
{
    static const struct timeval soon = {.tv_usec = 1000};
    struct spin w = {0}, rests = {.skip = 1};
    char got[4] = "";

    (void)state;
    assert_int_equal(write(pair[1], "abc", 3), 3);
    assert_int_equal(spin_recv(&w, pair[0], got, 2), 2);
    assert_int_equal(spin_recv(&rests, pair[0], got + 2, 2), 1);
    assert_string_equal(got, "abc");
    /* Nothing: asleep until the socket's own time-out. */
    assert_int_equal(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon), 0);
    assert_int_equal(spin_recv(&w, pair[0], got, sizeof got), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(w.skip, 1);
    w.skip = 0;
    close(pair[1]);
    pair[1] = -1;
    assert_int_equal(spin_recv(&w, pair[0], got, sizeof got), 0);
}

/* Exchanges of `with_ns` where looks are taken, `without_ns` where not, told to it by its own
 * clock: how many stretches of the last 100 are without. */
static unsigned stretches_without(int64_t with_ns, int64_t without_ns)
{
    struct spin w = {0};
    unsigned without = 0;
    char got;

    for (unsigned i = 0; i < 200; i++) {
        unsigned before = w.stretches;
        do {
            /* A stretch is over when its time has passed: its beginning is put back instead. */
            w.begun_ns -= w.sleeps ? without_ns : with_ns;
            assert_int_equal(write(pair[1], "x", 1), 1);
            assert_int_equal(spin_recv(&w, pair[0], &got, 1), 1);
        } while (w.stretches == before);
        without += i >= 100 && w.sleeps;
    }
    return without;
}

static void what_is_faster_is_done(void **state)
{
    (void)state;
    assert_in_range(stretches_without(1000000, 300000), 60, 99);
    assert_in_range(stretches_without(300000, 1000000), 1, 40);
    /* No faster with looks: without. */
    assert_in_range(stretches_without(1000000, 1000000), 60, 99);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_first_ones_are_left_out, setup, teardown),
        cmocka_unit_test_setup_teardown(in_vain_ever_rarer, setup, teardown),
        cmocka_unit_test_setup_teardown(what_comes_makes_it_frequent_again, setup, teardown),
        cmocka_unit_test_setup_teardown(a_closed_socket_ends_it, setup, teardown),
        cmocka_unit_test_setup_teardown(takes_what_is_there, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_faster_is_done, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
