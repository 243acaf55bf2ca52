/* Parameters of SQLite's kinds as those of a source. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/foreign_text.h"

#define TEXT(s) value_text((s), sizeof(s) - 1)

/* The text, and the values in order with a blank behind each; an error's code instead. */
static void expect(const char *sql, const struct param *params, unsigned n, bool numbered,
                   bool dollars, const char *text, const char *values)
{
    const struct query q = {
        .sql = sql, .len = strlen(sql), .params = params, .n_params = n, .numbered = numbered};
    struct foreign_params p = {0};
    struct buf out = BUF_INIT, got = BUF_INIT;
    struct err e = ERR_INIT;
    enum err_code code = foreign_text(&q, q.sql, q.len, dollars, &out, &p, &e);

    if (code != ERR_OK) {
        assert_string_equal(err_name(code), text);
    } else {
        assert_string_equal(buf_cstr(&out), text);
        for (size_t i = 0; i < p.n; i++)
            buf_printf(&got, "%.*s ", (int)p.all[i]->u.s.len, p.all[i]->u.s.data);
        assert_string_equal(buf_cstr(&got), values);
    }
    foreign_params_free(&p);
    buf_free(&out);
    buf_free(&got);
}

static void parameters(void **state)
{
    const struct param list[] = {{NULL, TEXT("a")}, {NULL, TEXT("b")}, {NULL, TEXT("c")}};
    const struct param names[] = {{"x", TEXT("X")}, {":y", TEXT("Y")}, {"$1", TEXT("1")}};

    (void)state;
    expect("SELECT ?, ?", list, 2, false, true, "SELECT $1, $2", "a b ");
    expect("SELECT ?, ?", list, 2, false, false, "SELECT ?, ?", "a b ");
    expect("SELECT ?2, ?1, ?2", list, 2, false, true, "SELECT $1, $2, $1", "b a ");
    expect("SELECT ?2, ?1, ?2", list, 2, false, false, "SELECT ?, ?, ?", "b a b ");
    expect("SELECT ?2, ?", list, 3, false, true, "SELECT $1, $2", "b c ");
    /* Names count by their first appearance where values have none. */
    expect("SELECT :n, :m, :n", list, 2, false, true, "SELECT $1, $2, $1", "a b ");
    expect("SELECT $2, $1", list, 2, true, true, "SELECT $1, $2", "b a ");
    expect("SELECT @x, $x, :y, $1", names, 3, false, true, "SELECT $1, $1, $2, $3", "X Y 1 ");
    expect("SELECT 1", names, 3, false, true, "SELECT 1", "");
    expect("SELECT :z", names, 3, false, true, "PARAM", "");
    expect("SELECT ?", list, 0, false, true, "PARAM", "");
    expect("SELECT ?9", list, 3, false, true, "PARAM", "");
    expect("SELECT $3", list, 2, true, true, "PARAM", "");
}

static void what_is_none(void **state)
{
    const struct param list[] = {{NULL, TEXT("a")}, {"n", TEXT("N")}};

    (void)state;
    expect("SELECT '?', \"?\", `:n` -- ?\n, /* :n */ ?", list, 1, false, true,
           "SELECT '?', \"?\", `:n` -- ?\n, /* :n */ $1", "a ");
    expect("SELECT 'x'::text, $1::int, :n::jsonb",
           (const struct param[]){{"1", TEXT("i")}, list[1]}, 2, false, true,
           "SELECT 'x'::text, $1::int, $2::jsonb", "i N ");
    expect("SELECT 'open", list, 1, false, true, "SELECT 'open", "");
    expect("", list, 1, false, true, "", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(parameters),
                                       cmocka_unit_test(what_is_none)};
    return cmocka_run_group_tests_name("proxy_foreign_text", tests, NULL, NULL);
}
