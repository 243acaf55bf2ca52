#include "nats/url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* One case a line: what is given, then URLs joined by a blank, user and password; NULL = refused.
 */
static const struct {
    const char *text, *urls, *user, *pass;
} cases[] = {
    {"nats://localhost:4222", "nats://localhost:4222", "", ""},
    {"localhost", "localhost", "", ""},
    {"nats://a:1, nats://b:2,c", "nats://a:1 nats://b:2 c", "", ""},
    {"tls://u:p@h:1", "tls://h:1", "u", "p"},
    {"u:p@h", "h", "u", "p"},
    {"nats://u:p%20w%40x@h:1,nats://u:p@i", "nats://h:1 nats://i", "u", "p w@x"},
    {"nats://u:a@b@h:1", "nats://h:1", "u", "a@b"},
    {"nats://token@h:1", "nats://token@h:1", "", ""},
    {"nats://u:@h", "nats://h", "u", ""},
    {"nats://u:%zz@h", NULL, NULL, NULL},
    {"nats://u:%4@h", NULL, NULL, NULL},
    {"nats://u:%00@h", NULL, NULL, NULL},
    {" , ", NULL, NULL, NULL},
    {"", NULL, NULL, NULL},
};

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[256], joined[256] = "";
        struct nats_urls u;
        snprintf(text, sizeof text, "%s", cases[i].text);
        if (!cases[i].urls) {
            assert_int_equal(nats_urls_parse(text, &u), -1);
            continue;
        }
        assert_int_equal(nats_urls_parse(text, &u), 0);
        for (int k = 0; k < u.n; k++) {
            strncat(joined, k ? " " : "", sizeof joined - strlen(joined) - 1);
            strncat(joined, u.url[k], sizeof joined - strlen(joined) - 1);
        }
        assert_string_equal(joined, cases[i].urls);
        assert_string_equal(u.user, cases[i].user);
        assert_string_equal(u.pass, cases[i].pass);
    }
}

static void test_limits(void **state)
{
    char text[4 * NATS_URL_MAX + 8] = "", name[1024];
    struct nats_urls u;
    (void)state;
    for (int i = 0; i <= NATS_URL_MAX; i++)
        memcpy(text + (size_t)2 * (size_t)i, "h,", 3);
    assert_int_equal(nats_urls_parse(text, &u), -1);
    memset(name, 'x', sizeof name);
    memcpy(name + 600, ":p@h", 5);
    assert_int_equal(nats_urls_parse(name, &u), -1);
}

/* One case a line: what is given, and what is said to be wrong; NULL = nothing. */
static const struct {
    const char *text, *wrong;
} checks[] = {
    {"nats://localhost:4222", NULL},
    {"tls://user:p%40ss@host", NULL},
    {"localhost:4222,other", NULL},
    {"nats://[::1]:4222, nats://[::1]", NULL},
    {"nats://token@host:4222/", NULL},
    {"http://localhost:4222", "'http://'"},
    {"nats://a,https://user:secret@b", "'https://'"},
    {"ws://localhost:80", "'ws://'"}, /* the library has no WebSocket */
    {"nats:localhost", "'localhost' is no port"},
    {"nats://", "no host"},
    {"nats://user:secret@:4222", "no host"},
    {"nats://h:0", "'0' is no port"},
    {"nats://h:65536", "'65536' is no port"},
    {"nats://h:42a", "'42a' is no port"},
    {"nats://h:", "'' is no port"},
    {" , ", "not a list"},
    {"nats://u:%zz@h", "percent-encoded"},
};

static void test_checks(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        struct err e = ERR_INIT;
        enum err_code code = nats_urls_check(checks[i].text, &e);
        if (!checks[i].wrong) {
            if (code != ERR_OK)
                fail_msg("%s: %s", checks[i].text, e.msg);
            continue;
        }
        assert_int_equal(code, ERR_CONFIG);
        if (!strstr(e.msg, checks[i].wrong) || strstr(e.msg, "secret"))
            fail_msg("%s: %s", checks[i].text, e.msg);
    }
}

static void test_ports(void **state)
{
    (void)state;
    assert_int_equal(nats_url_port("nats://127.0.0.1:43307"), 43307);
    assert_int_equal(nats_url_port("tls://[::1]:4222"), 4222);
    assert_int_equal(nats_url_port("host:1"), 1);
    assert_int_equal(nats_url_port("nats://host"), 0);
    assert_int_equal(nats_url_port("nats://[::1]"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_checks),
        cmocka_unit_test(test_ports),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
