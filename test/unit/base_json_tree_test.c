#include "base/json_tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_members(void **state)
{
    static const char text[] = "{\"text\":\"t\",\"n\":-7,\"big\":9223372036854775807,\"real\":1.5,"
                               "\"yes\":true,\"no\":false,\"list\":[1,2]}";
    yajl_val tree = json_tree_parse(text, sizeof text - 1);

    (void)state;
    assert_non_null(tree);
    assert_string_equal(json_tree_text(tree, "text"), "t");
    assert_string_equal(json_tree_text(tree, "n"), "");
    assert_string_equal(json_tree_text(tree, "absent"), "");
    assert_int_equal(json_tree_integer(tree, "n", 1), -7);
    assert_true(json_tree_integer(tree, "big", 0) == INT64_MAX);
    assert_int_equal(json_tree_integer(tree, "real", -1), -1);
    assert_int_equal(json_tree_integer(tree, "text", -1), -1);
    assert_true(json_tree_is_true(tree, "yes"));
    assert_false(json_tree_is_true(tree, "no"));
    assert_false(json_tree_is_true(tree, "n"));
    assert_int_equal(json_tree_length(json_tree_member(tree, "list", yajl_t_array)), 2);
    assert_null(json_tree_member(tree, "text", yajl_t_array));
    yajl_tree_free(tree);
}

static void test_what_has_no_members(void **state)
{
    yajl_val list = json_tree_parse("[1]", 3);

    (void)state;
    assert_non_null(list);
    assert_null(json_tree_member(list, "a", yajl_t_any));
    assert_null(json_tree_member(NULL, "a", yajl_t_any));
    assert_string_equal(json_tree_text(NULL, "a"), "");
    assert_int_equal(json_tree_length(NULL), 0);
    yajl_tree_free(list);
}

static void test_not_json(void **state)
{
    (void)state;
    assert_null(json_tree_parse(NULL, 0));
    assert_null(json_tree_parse("", 0));
    assert_null(json_tree_parse("{\"a\":1}", 6)); /* it is `len` that counts, not a NUL */
    assert_null(json_tree_parse("{\"a\"}", 5));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_what_has_no_members),
        cmocka_unit_test(test_not_json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
