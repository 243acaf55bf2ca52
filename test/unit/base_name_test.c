#include "base/name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char *encode(const char *name)
{
    static char out[NAME_TOKEN_SIZE];

    name_encode(name, out);
    return out;
}

static void test_plain_and_escaped(void **state)
{
    (void)state;
    assert_string_equal(encode("ha_node-1"), "ha_node-1");
    assert_string_equal(encode("a.db"), "a=2Edb");
    assert_string_equal(encode("a_db"), "a_db");
    assert_string_equal(encode("a=2Edb"), "a=3D2Edb");
    assert_string_equal(encode("x y*>"), "x=20y=2A=3E");
    assert_string_equal(encode("\xC3\xA9"), "=C3=A9");
    assert_string_equal(encode(""), "=e");
    assert_string_equal(encode("=e"), "=3De");
}

static void test_long_names(void **state)
{
    char name[300], one[NAME_TOKEN_SIZE], two[NAME_TOKEN_SIZE];

    (void)state;
    memset(name, 'a', sizeof name);
    name[160] = '\0';
    assert_int_equal(strlen(encode(name)), 160);
    assert_string_equal(encode(name), name);
    name[160] = 'a';
    name[161] = '\0';
    name_encode(name, one);
    assert_int_equal(strlen(one), 96 + 2 + 32);
    assert_memory_equal(one + 96, "=h", 2);
    name[160] = 'b';
    name_encode(name, two);
    assert_string_not_equal(one, two);
    assert_memory_equal(one, two, 98);
    /* An escape is never cut. */
    memset(name, 'a', sizeof name);
    name[95] = '.';
    name[200] = '\0';
    assert_memory_equal(encode(name) + 95, "=h", 2);
    /* SHA-256 of 200 times "a", computed elsewhere. */
    name[95] = 'a';
    assert_string_equal(encode(name) + 98, "C2A908D98F5DF987ADE41B5FCE213067");
}

static void assert_decoded(const char *token, const char *name)
{
    char out[NAME_TOKEN_SIZE];

    assert_true(name_decode(token, out));
    assert_string_equal(out, name);
    assert_string_equal(encode(name), token);
}

static void test_decoding(void **state)
{
    static const char *const none[] = {"a.b", "a=2edb", "a=2", "a=",  "a=zz",
                                       "=00", "=e",     "=41", "\xC3"};
    char name[300], out[NAME_TOKEN_SIZE];

    (void)state;
    assert_decoded("ha=2Edb", "ha.db");
    assert_decoded("a_b-C9", "a_b-C9");
    assert_decoded("=C3=A4=3D", "\xC3\xA4=");
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        if (name_decode(none[i], out))
            fail_msg("%s is a token of %s", none[i], out);
    memset(name, 'a', sizeof name);
    name[250] = '\0';
    assert_false(name_decode(encode(name), out));
    assert_false(name_decode(name, out));
    name[160] = '\0';
    assert_decoded(name, name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_and_escaped),
        cmocka_unit_test(test_long_names),
        cmocka_unit_test(test_decoding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
