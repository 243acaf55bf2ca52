/* The COPY statement in both spellings, and what is refused of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sql/pg/copy.h"

static struct arena *arena;
static struct pg_copy copy;
static struct err e;

static int setup(void **state)
{
    (void)state;
    arena = arena_new();
    return arena ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

static enum err_code parse(const char *sql)
{
    arena_reset(arena);
    return pg_copy_parse(arena, sql, strlen(sql), &copy, &e);
}

static void targets(void **state)
{
    (void)state;
    assert_int_equal(parse("COPY t FROM STDIN"), ERR_OK);
    assert_true(copy.reading);
    assert_string_equal(copy.table, "t");
    assert_int_equal(copy.columns.n, 0);
    assert_int_equal(copy.options.format, COPY_TEXT);
    assert_string_equal(copy.options.null, "\\N");
    assert_int_equal(parse("copy public.\"My T\" (a, \"b \"\"c\") to stdout;"), ERR_OK);
    assert_false(copy.reading);
    assert_string_equal(copy.table, "My T");
    assert_int_equal(copy.columns.n, 2);
    assert_string_equal(copy.columns.list[1], "b \"c");
    assert_int_equal(parse("COPY (SELECT (1), ')' FROM t) TO STDOUT"), ERR_OK);
    assert_int_equal(copy.query_len, strlen("SELECT (1), ')' FROM t"));
    assert_memory_equal(copy.query, "SELECT (1)", 10);
    assert_int_equal(parse("COPY BINARY t FROM STDIN"), ERR_OK);
    assert_int_equal(copy.options.format, COPY_BINARY);
}

static void named_options(void **state)
{
    static const char *const names[] = {"a", "b"};

    (void)state;
    assert_int_equal(parse("COPY t FROM STDIN WITH (NULL 'x', DELIMITER E'\\t', FORMAT csv, HEADER "
                           "match, QUOTE '''', FREEZE on, FORCE_NOT_NULL (B), FORCE_NULL (a, b))"),
                     ERR_OK);
    assert_int_equal(copy.options.format, COPY_CSV);
    assert_int_equal(copy.options.delimiter, '\t');
    assert_int_equal(copy.options.quote, '\'');
    assert_int_equal(copy.options.escape, '\'');
    assert_string_equal(copy.options.null, "x");
    assert_int_equal(copy.options.header, COPY_HEADER_MATCH);
    assert_int_equal(pg_copy_resolve(arena, &copy, names, 2, &e), ERR_OK);
    assert_false(copy.options.force_not_null[0]);
    assert_true(copy.options.force_not_null[1]);
    assert_true(copy.options.force_null[0]);
    assert_null(copy.options.force_quote);
    assert_int_equal(parse("copy pgbench_accounts from stdin with (freeze on)"), ERR_OK);
    assert_int_equal(parse("COPY t TO STDOUT (FORMAT 'csv', FORCE_QUOTE *, HEADER)"), ERR_OK);
    assert_int_equal(pg_copy_resolve(arena, &copy, names, 2, &e), ERR_OK);
    assert_true(copy.options.force_quote_all);
    assert_int_equal(parse("COPY t TO STDOUT (FORMAT csv, FORCE_QUOTE (nothing))"), ERR_OK);
    assert_int_equal(pg_copy_resolve(arena, &copy, names, 2, &e), ERR_NO_COLUMN);
}

static void old_options(void **state)
{
    (void)state;
    assert_int_equal(parse("COPY t FROM STDIN DELIMITER AS ';' NULL ''"), ERR_OK);
    assert_int_equal(copy.options.format, COPY_TEXT);
    assert_int_equal(copy.options.delimiter, ';');
    assert_int_equal(copy.options.null_len, 0);
    assert_int_equal(parse("COPY t TO STDOUT WITH CSV HEADER QUOTE '|' FORCE QUOTE a, b"), ERR_OK);
    assert_int_equal(copy.options.format, COPY_CSV);
    assert_int_equal(copy.options.header, COPY_HEADER_YES);
    assert_int_equal(copy.force_quote.n, 2);
    assert_int_equal(parse("COPY t FROM STDIN WITH BINARY"), ERR_OK);
    assert_int_equal(copy.options.format, COPY_BINARY);
    assert_int_equal(parse("COPY t FROM STDIN csv FORCE NOT NULL a"), ERR_OK);
    assert_int_equal(copy.force_not_null.n, 1);
}

static void refused(void **state)
{
    (void)state;
    assert_int_equal(parse("COPY t FROM"), ERR_SYNTAX);
    assert_int_equal(parse("COPY t SIDEWAYS STDIN"), ERR_SYNTAX);
    assert_int_equal(e.offset, 7);
    assert_int_equal(parse("COPY (SELECT 1 TO STDOUT"), ERR_SYNTAX);
    assert_int_equal(parse("COPY (SELECT 1) FROM STDIN"), ERR_SYNTAX);
    assert_int_equal(parse("COPY t FROM STDIN (FORMAT xml)"), ERR_PARAM);
    assert_int_equal(parse("COPY t FROM STDIN (NOTHING 1)"), ERR_SYNTAX);
    assert_int_equal(parse("COPY t FROM STDIN (DELIMITER 'ab')"), ERR_UNSUPPORTED);
    assert_int_equal(parse("COPY t FROM STDIN (DELIMITER '')"), ERR_UNSUPPORTED);
    assert_int_equal(parse("COPY t FROM STDIN (QUOTE 'a')"), ERR_UNSUPPORTED);
    assert_int_equal(parse("COPY t FROM STDIN (FORMAT binary, NULL 'a')"), ERR_SYNTAX);
    assert_int_equal(parse("COPY t FROM STDIN (HEADER maybe)"), ERR_PARAM);
    assert_int_equal(parse("COPY t FROM '/etc/passwd'"), ERR_UNSUPPORTED);
    assert_int_equal(parse("COPY t TO PROGRAM 'rm'"), ERR_UNSUPPORTED);
    assert_int_equal(parse("COPY t FROM STDIN WHERE a > 1"), ERR_UNSUPPORTED);
    assert_int_equal(parse("COPY t FROM STDIN (ENCODING 'latin1')"), ERR_UNSUPPORTED);
    assert_int_equal(parse("COPY t FROM STDIN; SELECT 1"), ERR_SYNTAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(targets),
        cmocka_unit_test(named_options),
        cmocka_unit_test(old_options),
        cmocka_unit_test(refused),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
