/* Arguments of the extension's table, and subjects. */
#include "ext/params.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct ext_params p;
static struct err e;

static int begin(void **state)
{
    (void)state;
    err_clear(&e);
    return ext_params_init(&p) ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    ext_params_free(&p);
    return 0;
}

static void take(const char *argument)
{
    if (ext_params_take(&p, argument, &e) != ERR_OK)
        fail_msg("%s: %s", argument, e.msg);
}

static void refuse(const char *argument, const char *message)
{
    assert_int_equal(ext_params_take(&p, argument, &e), ERR_CONFIG);
    if (!strstr(e.msg, message))
        fail_msg("%s: %s", argument, e.msg);
}

static void test_defaults(void **state)
{
    (void)state;
    assert_string_equal(p.client_name, "ha-sync");
    assert_string_equal(p.servers, "");
    assert_int_equal(p.timeout_ms, 5000);
    assert_int_equal(p.row_identify, ROW_BY_PK);
    assert_true(p.snapshot);
    assert_false(p.serializable || p.insecure || p.allow_writes);
    assert_int_equal(ext_params_check(&p, &e), ERR_CONFIG);
    take("servers=nats://h");
    assert_int_equal(ext_params_check(&p, &e), ERR_OK);
}

static void test_values(void **state)
{
    (void)state;
    take("servers='nats://a:1,nats://b'");
    assert_string_equal(p.servers, "nats://a:1,nats://b");
    take("  SERVERS = \"nats://c\" ");
    assert_string_equal(p.servers, "nats://c");
    take("timeout=0");
    assert_int_equal(p.timeout_ms, 0);
    take("timeout='1500'");
    assert_int_equal(p.timeout_ms, 1500);
    take("row_identify=full");
    assert_int_equal(p.row_identify, ROW_BY_FULL);
    take("row_identify=rowid");
    assert_int_equal(p.row_identify, ROW_BY_ROWID);
    take("insecure=TRUE");
    assert_true(p.insecure);
    take("insecure=0");
    assert_false(p.insecure);
    take("consistency=serializable");
    assert_true(p.serializable);
    take("snapshot=false");
    assert_false(p.snapshot);
    take("writes=allow");
    assert_true(p.allow_writes);
    take("logger=file:/tmp/x");
    assert_string_equal(p.logger, "file:/tmp/x");
    take("password=it''s");
    assert_string_equal(p.password, "it''s");
    take("password='it''s = \"x\"'");
    assert_string_equal(p.password, "it's = \"x\"");
    take("token=");
    assert_string_equal(p.token, "");
    take("token='");
    assert_string_equal(p.token, "'");
    take("token=a=b");
    assert_string_equal(p.token, "a=b");
}

static void test_variables(void **state)
{
    (void)state;
    assert_int_equal(setenv("EXT_TEST", "se'cret", 1), 0);
    assert_int_equal(unsetenv("EXT_NONE"), 0);
    take("password='$EXT_TEST'");
    assert_string_equal(p.password, "se'cret");
    take("password=a${EXT_TEST}b$EXT_TEST-");
    assert_string_equal(p.password, "ase'cretbse'cret-");
    take("password='<$EXT_NONE>'");
    assert_string_equal(p.password, "<>");
    take("password='1$ $, ${ ${x $'");
    assert_string_equal(p.password, "1$ $, ${ ${x $");
}

static void test_wrong(void **state)
{
    char *longest = malloc(100000);

    (void)state;
    refuse("servers", "not key=value");
    refuse("", "not key=value");
    refuse("=x", "no option \"\"");
    refuse("server=x", "no option \"server\"");
    refuse("serverss=x", "no option");
    refuse("timeout=", "milliseconds");
    refuse("timeout=1s", "milliseconds");
    refuse("timeout=99999999999999999999", "milliseconds");
    refuse("timeout=3600001", "milliseconds");
    refuse("row_identify=", "pk, rowid or full");
    refuse("logger=file:", "file:PATH");
    assert_non_null(longest);
    memset(longest, 'x', 99999);
    memcpy(longest, "password=", 9);
    longest[99999] = '\0';
    assert_int_equal(ext_params_take(&p, longest, &e), ERR_NO_MEMORY);
    assert_null(strstr(e.msg, "xxx"));
    free(longest);
    take("servers=nats://user:secret@h:port");
    assert_int_equal(ext_params_check(&p, &e), ERR_CONFIG);
    assert_null(strstr(e.msg, "secret"));
}

static void test_copy(void **state)
{
    struct ext_params copy;

    (void)state;
    take("servers=nats://h");
    take("timeout=7");
    assert_true(ext_params_copy(&copy, &p));
    ext_params_free(&p);
    assert_string_equal(copy.servers, "nats://h");
    assert_string_equal(copy.client_name, "ha-sync");
    assert_int_equal(copy.timeout_ms, 7);
    ext_params_free(&copy);
}

/* `ids` with a blank between two. */
static void subject(const char *text, const char *stream, const char *ids)
{
    struct ext_subject s;
    char got[EXT_IDS_MAX * NAME_TOKEN_SIZE] = "";

    if (ext_subject_parse(text, &s, &e) != ERR_OK)
        fail_msg("%s: %s", text, e.msg);
    assert_string_equal(s.stream, stream);
    for (unsigned i = 0; i < s.n; i++) {
        size_t n = strlen(got);
        (void)snprintf(got + n, sizeof got - n, "%s%s", i > 0 ? " " : "", s.ids[i]);
    }
    assert_string_equal(got, ids);
}

static void test_subjects(void **state)
{
    static const char *const wrong[] = {"",     "ha",    ".x",     "ha.",   "ha.*",
                                        "ha.>", "h a.b", "ha.a/b", "a\n.b", "ha.a\\b"};
    char longest[300];
    struct ext_subject s;

    (void)state;
    subject("ha_replication.ha.db", "ha_replication", "ha.db");
    subject("ha_replication.ha=2Edb", "ha_replication", "ha.db ha=2Edb");
    subject("s.a=b", "s", "a=b");
    subject("s.ha_db", "s", "ha_db ha.db");
    subject("s.my_own_db", "s", "my_own_db my_own.db my.own.db");
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(ext_subject_parse(wrong[i], &s, &e), ERR_CONFIG);
    memset(longest, 'x', sizeof longest);
    longest[65] = '.';
    longest[80] = '\0';
    assert_int_equal(ext_subject_parse(longest, &s, &e), ERR_CONFIG);
    /* The longest names of both. */
    memset(longest, '_', sizeof longest);
    longest[EXT_STREAM_MAX] = '.';
    longest[EXT_STREAM_MAX + 1 + NAME_TOKEN_MAX + 1] = '\0';
    assert_int_equal(ext_subject_parse(longest, &s, &e), ERR_CONFIG);
    longest[EXT_STREAM_MAX + 1 + NAME_TOKEN_MAX] = '\0';
    assert_int_equal(ext_subject_parse(longest, &s, &e), ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_defaults, begin, end),
        cmocka_unit_test_setup_teardown(test_values, begin, end),
        cmocka_unit_test_setup_teardown(test_variables, begin, end),
        cmocka_unit_test_setup_teardown(test_wrong, begin, end),
        cmocka_unit_test_setup_teardown(test_copy, begin, end),
        cmocka_unit_test(test_subjects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
