#include "repl/turn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/clock.h"

#define MS CLOCK_MS

static void test_alone(void **state)
{
    struct turns t = {0};

    (void)state;
    assert_true(turn_begins(&t, 0) <= 0);
    for (int i = 1; i < 100; i++) {
        turn_of_own(&t, i * MS, MS / 2);
        assert_true(turn_begins(&t, i * MS) <= i * MS);
    }
}

static void test_who_has_not_written_goes_at_once(void **state)
{
    struct turns t = {0};

    (void)state;
    turn_of_other(&t, "b", 1, 1000 * MS);
    turn_of_other(&t, "c", 1, 1001 * MS);
    assert_true(turn_begins(&t, 1001 * MS) <= 1001 * MS);
}

/* Three nodes, each with its own view of the same log. */
static void test_three_take_turns(void **state)
{
    static const char *const names[3] = {"a", "b", "c"};
    struct turns t[3] = {{0}};
    int64_t now = 0;

    (void)state;
    for (int turn = 0; turn < 30; turn++) {
        now += 2 * MS;
        for (int i = 0; i < 3; i++) {
            if (i == turn % 3)
                turn_of_own(&t[i], now, MS);
            else
                turn_of_other(&t[i], names[turn % 3], 1, now);
        }
        if (turn < 3)
            continue;
        for (int i = 0; i < 3; i++) {
            int64_t wait = turn_begins(&t[i], now) - now;
            if (i == (turn + 1) % 3)
                assert_true(wait <= 0);
            else if (i == (turn + 2) % 3)
                assert_int_equal(wait, 4 * MS); /* one slot: four publishes */
            else
                assert_int_equal(wait, 8 * MS);
        }
    }
}

static void test_who_stops_is_not_waited_for(void **state)
{
    struct turns t = {0};
    int64_t now = 1000 * MS;
    int waits = 0;

    (void)state;
    turn_of_own(&t, now, MS);
    turn_of_other(&t, "b", 1, now + MS);
    for (int i = 0; i < 20; i++) {
        now += 2 * MS;
        turn_of_own(&t, now, MS);
        waits += turn_begins(&t, now) > now;
    }
    assert_true(waits > 0 && waits < 5); /* twice as many messages as nodes */

    turn_of_other(&t, "b", 1, now);
    turn_of_own(&t, now + MS, MS);
    assert_true(turn_begins(&t, now + 2 * MS) > now + 2 * MS);
    assert_true(turn_begins(&t, now + 600 * MS) <= now + 600 * MS); /* or for so long */
}

static void test_many_nodes(void **state)
{
    struct turns t = {0};
    char name[2] = "A";

    (void)state;
    turn_of_own(&t, 1, 0);
    for (int i = 0; i < 40; i++) {
        name[0] = (char)('A' + i);
        turn_of_other(&t, name, 1, i + 2);
    }
    assert_true(turn_begins(&t, 50) <= 50); /* all of them have written since */
    turn_of_own(&t, 60, INT64_C(3600) * CLOCK_S);
    assert_true(turn_begins(&t, 60) <= 60 + 50 * MS * TURN_OTHERS); /* a slot has an end */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alone),
        cmocka_unit_test(test_who_has_not_written_goes_at_once),
        cmocka_unit_test(test_three_take_turns),
        cmocka_unit_test(test_who_stops_is_not_waited_for),
        cmocka_unit_test(test_many_nodes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
