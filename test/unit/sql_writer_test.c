/* The write connection and its capture: what reaches the spool, and what does not. */
#include "sql_pair.h"

static void quick(void **state)
{
    struct pair p;

    (void)state;
    pair_open(&p, APPLY_STRICT);
    pair_run(&p, "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b REAL); INSERT INTO t VALUES (1, 'x', 1),"
                 "(2, x'00ff', 2.5); UPDATE t SET a = NULL WHERE id = 1; DELETE FROM t WHERE id = 2;"
                 "CREATE TABLE n(a, b); INSERT INTO n SELECT 1, 2; INSERT INTO n VALUES (3, 4);");
    print_message("%.*s\n", (int)p.message.len, p.message.data);
    pair_same(&p);
    pair_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quick),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
