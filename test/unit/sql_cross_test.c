/* A statement over several databases, taken apart: the hint, what each database runs, what merges.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sql/cross_text.h"
#include "sql/scratch.h"

static void hints(void **state)
{
    static const struct {
        const char *sql, *pattern; /* NULL = none */
    } cases[] = {
        {"SELECT 1 /*+ db=a.* */ FROM t", "a.*"},
        {"/*+ db=.* */ SELECT 1", ".*"},
        {"-- x\n/* y */ /*+DB=  a b  */SELECT 1", "a b"},
        {"SELECT 1 /*+db=x*/;", "x"},
        {"SELECT 1 FROM t --\n /*+ db=x */", "x"},
        {"SELECT 1; SELECT 2 /*+ db=x */", NULL},
        {"SELECT '/*+ db=x */'", NULL},
        {"SELECT \"/*+ db=x */\"", NULL},
        {"SELECT 1 -- /*+ db=x */", NULL},
        {"SELECT 1 /* /*+ db=x */", NULL},
        {"SELECT 1 /*+ index=x */", NULL},
        {"SELECT 1 /*+ db= */", ""}, /* matches all */
        {"SELECT 1 /*+ index=x */ /*+ db=y */", "y"},
        {"SELECT 1 /*+ db=x", "x"},
        {"/*+", NULL},
        {"/*+ db", NULL},
        {"", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t len = strlen(cases[i].sql), n = 0;
        const char *pattern = NULL;
        char *copy = malloc(len + 1); /* to the last byte: for the sanitizer */
        memcpy(copy, cases[i].sql, len);
        copy = realloc(copy, len > 0 ? len : 1);
        bool found = cross_hint(copy, len, &pattern, &n);
        if (found != (cases[i].pattern != NULL) ||
            (found && (n != strlen(cases[i].pattern) || memcmp(pattern, cases[i].pattern, n) != 0)))
            fail_msg("'%s': '%.*s'", cases[i].sql, found ? (int)n : 0, found ? pattern : "");
        free(copy);
    }
}

/* One case: the statement, its columns with blanks between, what each runs, what merges. */
struct plan_case {
    const char *sql, *names, *each, *merge;
};

static void check(const struct plan_case *k, bool alias)
{
    struct err e = ERR_INIT;
    struct cross_text *t = NULL;
    struct cross_plan plan;
    struct scratch *s = NULL;
    char text[64], *names[8], *at = text;
    unsigned n = 0;

    (void)snprintf(text, sizeof text, "%s", k->names);
    for (char *name; (name = strsep(&at, " "));)
        names[n++] = name;
    assert_int_equal(cross_text_new(&t, k->sql, strlen(k->sql), &e), ERR_OK);
    assert_int_equal(scratch_open(&s, n, NULL, &e), ERR_OK);
    if (cross_text_plan(t, (const char *const *)names, n, alias, scratch_can, s, &plan, &e))
        fail_msg("'%s': %s", k->sql, e.msg);
    if (strcmp(buf_cstr(&plan.each), k->each) != 0)
        fail_msg("'%s': each\n%s\n%s", k->sql, buf_cstr(&plan.each), k->each);
    if (strcmp(buf_cstr(&plan.merge), k->merge) != 0)
        fail_msg("'%s': merge\n%s\n%s", k->sql, buf_cstr(&plan.merge), k->merge);
    cross_plan_free(&plan);
    cross_text_free(t);
    scratch_close(s);
}

static void plans(void **state)
{
    static const struct plan_case cases[] = {
        {"SELECT a FROM t WHERE b = ?;", "a", "SELECT a FROM t WHERE b = ?1", ""},
        {"SELECT a FROM t LIMIT ? OFFSET :o", "a", "SELECT a FROM t LIMIT :ha__rows", ""},
        {"SELECT a FROM t ORDER BY a DESC", "a", " SELECT a FROM t",
         "SELECT \"ha:c1\" AS \"a\" FROM \"ha:rows\" ORDER BY a DESC"},
        {"SELECT a FROM t ORDER BY b COLLATE NOCASE DESC NULLS LAST LIMIT 3", "a",
         " SELECT a, b FROM t ORDER BY b COLLATE NOCASE DESC NULLS LAST LIMIT :ha__rows",
         "SELECT \"ha:c1\" AS \"a\" FROM \"ha:rows\" ORDER BY \"ha:h1\" COLLATE NOCASE DESC NULLS "
         "LAST LIMIT 3"},
        {"SELECT DISTINCT a FROM t", "a", " SELECT DISTINCT a FROM t",
         "SELECT DISTINCT \"ha:c1\" AS \"a\" FROM \"ha:rows\""},
        {"SELECT count(*) AS n FROM t", "n", " SELECT count(*) AS n, count(*) FROM t",
         "SELECT  (sum(\"ha:h1\"))  AS \"n\" FROM \"ha:rows\""},
        {"SELECT d, avg(p) FROM t GROUP BY d HAVING max(p) > 1", "d avg(p)",
         " SELECT d, avg(p), total(p), count(p), d, max(p), p FROM t GROUP BY d",
         "SELECT \"ha:c1\" AS \"d\",  (CASE WHEN sum(\"ha:h2\") > 0 THEN total(\"ha:h1\") / "
         "sum(\"ha:h2\") END)  AS \"avg(p)\" FROM \"ha:rows\" GROUP BY \"ha:h3\" HAVING  "
         "(max(\"ha:h4\")) > 1"},
        {"SELECT count(DISTINCT a COLLATE NOCASE), 5 FROM t", "c 5",
         " SELECT NULL, 5, a COLLATE NOCASE FROM t",
         "SELECT  count(DISTINCT \"ha:h1\" COLLATE NOCASE)  AS \"c\", \"ha:c2\" AS \"5\" FROM "
         "\"ha:rows\""},
        {"SELECT sum(x) OVER (ORDER BY y) AS s, (SELECT count(*) FROM u) FROM t", "s c",
         "SELECT sum(x) OVER (ORDER BY y) AS s, (SELECT count(*) FROM u) FROM t", ""},
        {"WITH c AS (SELECT 1) SELECT a FROM c ORDER BY 1", "a",
         "WITH c AS (SELECT 1) SELECT a FROM c",
         "SELECT \"ha:c1\" AS \"a\" FROM \"ha:rows\" ORDER BY 1"},
        {"SELECT a FROM t UNION SELECT b FROM u ORDER BY a LIMIT 1", "a",
         "SELECT a FROM t UNION SELECT b FROM u ORDER BY a LIMIT :ha__rows",
         "SELECT DISTINCT \"ha:c1\" AS \"a\" FROM \"ha:rows\" ORDER BY a LIMIT 1"},
        {"VALUES (1), (2)", "column1", "VALUES (1), (2)", ""},
        {"EXPLAIN SELECT a FROM t ORDER BY a", "x", "EXPLAIN SELECT a FROM t ORDER BY a", ""},
    };
    static const struct plan_case named = {
        "SELECT lower(a) AS l, count(*) FROM t GROUP BY l", "l count(*)",
        " SELECT lower(a) AS l, count(*), count(*) FROM t GROUP BY l",
        "SELECT \"ha:c1\" AS \"l\",  (sum(\"ha:h1\"))  AS \"count(*)\" FROM \"ha:rows\" GROUP BY "
        "\"ha:c1\""};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check(&cases[i], false);
    check(&named, true);
}

/* Whatever the text, it ends: SQLite has taken it before, but nothing here may rely on that. */
static void prefixes(void **state)
{
    static const char all[] =
        "WITH c AS (SELECT 1) SELECT DISTINCT a AS b, count(DISTINCT x COLLATE NOCASE) FILTER "
        "(WHERE y), max(z), group_concat(a, '-' ORDER BY b DESC NULLS LAST), t.*, ?, :a FROM t "
        "WHERE (a IS NOT DISTINCT FROM b) GROUP BY 1, b COLLATE x HAVING count(*) > 1 WINDOW w AS "
        "(ORDER BY a) ORDER BY a COLLATE y DESC, count(*) LIMIT 1, 2 UNION ALL SELECT (1";
    static const char *const names[] = {"a", "b", "c"};
    struct err e = ERR_INIT;
    struct scratch *s = NULL;

    (void)state;
    assert_int_equal(scratch_open(&s, 3, NULL, &e), ERR_OK);
    for (size_t from = 0; from < sizeof all; from += 7)
        for (size_t len = 0; from + len < sizeof all; len++) {
            struct cross_text *t = NULL;
            struct cross_plan plan;
            char *copy = malloc(len > 0 ? len : 1);
            memcpy(copy, all + from, len);
            if (cross_text_new(&t, copy, len, &e) == ERR_OK &&
                cross_text_plan(t, names, 3, len % 2, scratch_can, s, &plan, &e) == ERR_OK)
                cross_plan_free(&plan);
            cross_text_free(t);
            free(copy);
        }
    scratch_close(s);
}

static void patterns(void **state)
{
    struct err e = ERR_INIT;
    struct cross_pattern *p = NULL;

    (void)state;
    assert_int_equal(cross_pattern_new(&p, "sers_[ab]", 9, &e), ERR_OK);
    assert_true(cross_pattern_matches(p, "users_a.db"));
    assert_false(cross_pattern_matches(p, "Users_c.db"));
    cross_pattern_free(p);
    assert_int_equal(cross_pattern_new(&p, "(", 1, &e), ERR_PARAM);
    /* What would take for ever is no match. */
    assert_int_equal(cross_pattern_new(&p, "^(a+)+$", 7, &e), ERR_OK);
    assert_false(cross_pattern_matches(p, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"));
    cross_pattern_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hints),
        cmocka_unit_test(plans),
        cmocka_unit_test(prefixes),
        cmocka_unit_test(patterns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
