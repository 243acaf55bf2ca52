/*
 * Random statements, schema and rows, through capture, JSON and apply: a copy that applies every
 * message strictly, and one that applies every message twice and lets the last writer win, both end
 * up with the origin's rows, rowids, schema and sequences.
 *
 *   sql_replay_test [seed [statements [groups between comparisons]]]
 *
 * HA_REPLAY_LOG=1 prints statements and messages.
 */
#include "sql_world.h"

#include "base/log.h"

#define STATEMENTS    20000
#define COMPARE_EVERY 150 /* groups */

static void replay(uint64_t seed, unsigned statements, unsigned every, enum row_identify identify)
{
    struct world w;

    world_open(&w, seed, identify);
    while (w.statements < statements) {
        random_group(&w);
        if (w.groups % every == 0)
            compare_all(&w);
    }
    compare_all(&w);
    pair_dump(&w.p, "fourth.db", identify);
    print_message(
        "seed %llu: %u statements (%u failed), %u groups (%u lost), %u transactions undone\n",
        (unsigned long long)seed, w.statements, w.failed, w.groups, w.lost, w.undone);
    assert_true(w.failed < w.statements / 2);
    world_close(&w);
}

static uint64_t the_seed = 1;
static unsigned the_statements = STATEMENTS, the_every = COMPARE_EVERY;

static void random_statements_replay_to_equal_files(void **state)
{
    (void)state;
    replay(the_seed, the_statements, the_every, ROW_BY_PK);
}

static void rows_may_be_known_by_rowid(void **state)
{
    (void)state;
    replay(the_seed + 1, the_statements / 5, the_every, ROW_BY_ROWID);
}

static void rows_may_be_known_by_all_values(void **state)
{
    (void)state;
    replay(the_seed + 2, the_statements / 5, the_every, ROW_BY_FULL);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_statements_replay_to_equal_files),
        cmocka_unit_test(rows_may_be_known_by_rowid),
        cmocka_unit_test(rows_may_be_known_by_all_values),
    };

    log_configure(LOG_LEVEL_ERROR, LOG_FORMAT_LOGFMT);
    if (argc > 1)
        the_seed = strtoull(argv[1], NULL, 10);
    if (argc > 2)
        the_statements = (unsigned)strtoul(argv[2], NULL, 10);
    if (argc > 3)
        the_every = (unsigned)strtoul(argv[3], NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
