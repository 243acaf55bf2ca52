#include "repl/turn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

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

/* Whom to hand over to; "" = nobody. */
static const char *runner(const struct turns *t, int64_t now)
{
    static char process[ID_SIZE];

    memset(process, 0, sizeof process);
    return turn_runner(t, now, process) ? process : "";
}

static void test_runner_is_who_wrote_last(void **state)
{
    struct turns t = {0};
    int64_t now = 1000 * MS;

    (void)state;
    assert_string_equal(runner(&t, now), "");
    turn_process(&t, "b", "process-b");
    turn_process(&t, "c", "process-c");
    assert_string_equal(runner(&t, now), ""); /* known, but they have not written */
    turn_of_other(&t, "b", 1, now);
    assert_string_equal(runner(&t, now), "process-b");
    turn_of_other(&t, "c", 2, now);
    assert_string_equal(runner(&t, now), "process-c");
    turn_of_other(&t, "b", 3, now);
    assert_string_equal(runner(&t, now), "process-b");
    turn_of_own(&t, now, MS); /* newer than any */
    assert_string_equal(runner(&t, now), "");
    turn_of_other(&t, "c", 5, now);
    assert_string_equal(runner(&t, now), "process-c"); /* and not b, which is older than its own */
    turn_of_own(&t, now, MS);
    assert_string_equal(runner(&t, now), "");
}

static void test_runner_has_to_be_recent(void **state)
{
    struct turns t = {0};
    int64_t now = 1000 * MS;

    (void)state;
    turn_process(&t, "b", "process-b");
    turn_process(&t, "c", "process-c");
    turn_of_other(&t, "b", 1, now);
    turn_of_other(&t, "c", 2, now + 100 * MS);
    assert_string_equal(runner(&t, now + TURN_RECENT_MIN_NS - 1), "process-c");
    assert_string_equal(runner(&t, now + 100 * MS + TURN_RECENT_MIN_NS - 1), "process-c");
    assert_string_equal(runner(&t, now + 100 * MS + TURN_RECENT_MIN_NS), "");
}

/* Nodes far away from each other: whoever goes on writing is heard of once in a while only. */
static void test_recent_where_publishes_take_long(void **state)
{
    struct turns t = {0};
    int64_t now = 1000 * MS;

    (void)state;
    assert_true(turn_recent_ns(&t) == TURN_RECENT_MIN_NS);
    turn_of_own(&t, now, 200 * MS);
    assert_true(turn_recent_ns(&t) == 800 * MS);
    turn_process(&t, "b", "process-b");
    turn_of_other(&t, "b", 2, now + 1);
    assert_string_equal(runner(&t, now + 800 * MS), "process-b");
    assert_string_equal(runner(&t, now + 800 * MS + 1), "");
    for (int i = 0; i < 100; i++)
        turn_of_own(&t, now, INT64_C(3600) * CLOCK_S);
    assert_true(turn_recent_ns(&t) <= 4 * CLOCK_S); /* but that was an outage */
}

static void test_runner_rests(void **state)
{
    struct turns t = {0};
    int64_t now = 1000 * MS;

    (void)state;
    turn_process(&t, "b", "process-b");
    turn_process(&t, "c", "process-c");
    turn_of_other(&t, "b", 1, now);
    turn_of_other(&t, "c", 2, now);
    turn_rest(&t, "process-c", now + 50 * MS);
    assert_string_equal(runner(&t, now), "process-b"); /* the next best */
    turn_rest(&t, "process-b", now + 20 * MS);
    assert_string_equal(runner(&t, now), "");
    assert_string_equal(runner(&t, now + 20 * MS), "process-b");
    assert_string_equal(runner(&t, now + 50 * MS), "process-c");
    turn_rest(&t, "process-c", now + 500 * MS);
    turn_rest(&t, "nobody", now + 500 * MS);
    /* Another process of that node has nothing to do with it; the same one again has. */
    turn_process(&t, "c", "process-c");
    assert_string_equal(runner(&t, now + 50 * MS), "process-b");
    turn_process(&t, "c", "process-c2");
    assert_string_equal(runner(&t, now + 50 * MS), "process-c2");
}

static void test_runner_has_to_be_known(void **state)
{
    struct turns t = {0};
    int64_t now = 1000 * MS;
    char longest[100];

    (void)state;
    memset(longest, 'p', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    turn_process(&t, "b", "process-b");
    turn_of_other(&t, "b", 1, now);
    turn_of_other(&t, "c", 2, now);
    assert_string_equal(runner(&t, now), "process-b");
    turn_process(&t, "c", longest); /* cut, and not beyond its end */
    assert_int_equal((int)strlen(runner(&t, now)), ID_LEN);
}

static void test_newest_of(void **state)
{
    struct turns t = {0};

    (void)state;
    assert_true(turn_newest_of(&t, "b") == 0);
    turn_of_other(&t, "b", 7, 1000 * MS);
    assert_true(turn_newest_of(&t, "b") == 7 && turn_newest_of(&t, "c") == 0);
    turn_process(&t, "c", "process-c"); /* known is not written */
    assert_true(turn_newest_of(&t, "c") == 0);
    turn_of_other(&t, "c", 8, 1000 * MS);
    turn_of_other(&t, "b", 9, 1000 * MS);
    turn_of_own(&t, 1000 * MS, MS);
    assert_true(turn_newest_of(&t, "b") == 9 && turn_newest_of(&t, "c") == 8);
}

/* More nodes than are remembered: for none of them is an older message told than its newest, or a
 * node that has written since would run what was taken back. */
static void test_newest_of_many(void **state)
{
    struct turns t = {0};
    uint64_t newest[3 * TURN_OTHERS] = {0};
    char name[2] = "";
    uint32_t random = 1;

    (void)state;
    for (uint64_t seq = 1; seq <= 5000; seq++) {
        random = random * 1664525 + 1013904223;
        unsigned who = (random >> 16) % (3 * TURN_OTHERS);
        name[0] = (char)('A' + who);
        if (seq % 7 == 0) /* makes room for a node that has not written */
            turn_process(&t, name, "process");
        else {
            turn_of_other(&t, name, seq, (int64_t)seq);
            newest[who] = seq;
            assert_true(turn_newest_of(&t, name) == seq); /* not more than that either */
        }
        for (unsigned i = 0; i < 3 * TURN_OTHERS; i++) {
            name[0] = (char)('A' + i);
            assert_true(turn_newest_of(&t, name) >= newest[i]);
            assert_true(turn_newest_of(&t, name) <= seq);
        }
    }
    assert_true(t.forgotten_seq > 0 && t.forgotten_seq < 5000);
    assert_true(turn_newest_of(&t, "nobody") == t.forgotten_seq);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alone),
        cmocka_unit_test(test_who_has_not_written_goes_at_once),
        cmocka_unit_test(test_three_take_turns),
        cmocka_unit_test(test_who_stops_is_not_waited_for),
        cmocka_unit_test(test_many_nodes),
        cmocka_unit_test(test_runner_is_who_wrote_last),
        cmocka_unit_test(test_runner_has_to_be_recent),
        cmocka_unit_test(test_recent_where_publishes_take_long),
        cmocka_unit_test(test_runner_rests),
        cmocka_unit_test(test_runner_has_to_be_known),
        cmocka_unit_test(test_newest_of),
        cmocka_unit_test(test_newest_of_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
