#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char line[16384];
static int saved_fd, pipe_fds[2];

/* What the code between begin() and end() logged, times blanked. */
static void begin(void)
{
    assert_int_equal(pipe(pipe_fds), 0);
    saved_fd = dup(STDERR_FILENO);
    assert_true(saved_fd >= 0);
    assert_true(dup2(pipe_fds[1], STDERR_FILENO) >= 0);
}

static const char *end(void)
{
    ssize_t n;
    char *t;

    (void)dup2(saved_fd, STDERR_FILENO);
    (void)close(saved_fd);
    (void)close(pipe_fds[1]);
    n = read(pipe_fds[0], line, sizeof line - 1);
    (void)close(pipe_fds[0]);
    line[n > 0 ? n : 0] = '\0';
    t = strstr(line, "20");
    if (t) {
        assert_int_equal(t[10], 'T');
        assert_int_equal(t[23], 'Z');
        memmove(t, t + 24, strlen(t + 24) + 1);
    }
    return line;
}

static void test_logfmt(void **state)
{
    (void)state;
    log_configure(LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT);
    begin();
    LOG_INFO("database opened", LOG_STR("db", "a.db"), LOG_UINT("seq", UINT64_MAX),
             LOG_INT("n", -5), LOG_REAL("s", 0.25), LOG_STR("none", NULL),
             LOG_STR("odd", "a=\"b\"\n"));
    assert_string_equal(end(), "time= level=info msg=\"database opened\" db=a.db "
                               "seq=18446744073709551615 n=-5 s=0.25 none=\"\" "
                               "odd=\"a=\\\"b\\\"\\n\"\n");
    begin();
    LOG_DEBUG("hidden");
    LOG_ERROR("plain");
    assert_string_equal(end(), "time= level=error msg=plain\n");
}

static void test_json(void **state)
{
    (void)state;
    log_configure(LOG_LEVEL_DEBUG, LOG_FORMAT_JSON);
    begin();
    LOG_DEBUG("x y", LOG_STR("k", "v\""), LOG_UINT("u", 7), LOG_REAL("r", 1.0 / 0.0));
    assert_string_equal(
        end(), "{\"time\":\"\",\"level\":\"debug\",\"msg\":\"x y\",\"k\":\"v\\\"\",\"u\":7,"
               "\"r\":null}\n");
    log_configure(LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT);
}

static void test_long_values_are_cut(void **state)
{
    static char text[12001];

    (void)state;
    for (size_t i = 0; i + 3 < sizeof text; i += 3)
        memcpy(text + i, "\xE2\x82\xAC", 3);
    begin();
    LOG_WARN("long", LOG_STR("v", text));
    (void)end();
    assert_true(strlen(line) > 8000 && strlen(line) < 8400);
    assert_null(strstr(line, "\xEF\xBF\xBD")); /* not cut within a character */
}

static const char *blank(const char *url)
{
    static char out[256];

    return log_url(url, out, sizeof out);
}

static void test_url(void **state)
{
    char small[12];

    (void)state;
    assert_string_equal(blank("nats://localhost:4222"), "nats://localhost:4222");
    assert_string_equal(blank("nats://u:p@h:4222"), "nats://***@h:4222");
    assert_string_equal(blank("nats://u:p@@h/x"), "nats://***@h/x");
    assert_string_equal(blank("u:p@h"), "***@h");
    assert_string_equal(blank("nats://a:b@h1,nats://h2,tls://c:d@h3"),
                        "nats://***@h1,nats://h2,tls://***@h3");
    assert_string_equal(blank("nats://a:b,c@h1, nats://d:e@h2"), "nats://***@h1, nats://***@h2");
    assert_string_equal(blank(""), "");
    assert_string_equal(blank(NULL), "");
    assert_string_equal(log_url("nats://user:pass@host", small, sizeof small), "nats://***@");
}

static void test_elsewhere(void **state)
{
    char got[256];
    int fds[2];

    (void)state;
    log_configure(LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT);
    assert_int_equal(pipe(fds), 0);
    begin();
    log_to(fds[1]);
    LOG_INFO("there");
    log_to(-1);
    assert_false(log_enabled(LOG_LEVEL_ERROR));
    LOG_ERROR("nowhere");
    log_to(STDERR_FILENO);
    LOG_INFO("here");
    assert_string_equal(end(), "time= level=info msg=here\n");
    ssize_t n = read(fds[0], got, sizeof got - 1);
    got[n > 0 ? n : 0] = '\0';
    assert_non_null(strstr(got, "msg=there\n"));
    (void)close(fds[0]);
    (void)close(fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_logfmt),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_long_values_are_cut),
        cmocka_unit_test(test_url),
        cmocka_unit_test(test_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
