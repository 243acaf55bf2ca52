/* The head of an HTTP request: where it ends, what it says, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proto/httphead.h"

static char bytes[16384];
static struct httphead h;
static struct err e;

static enum err_code parse(const char *text)
{
    size_t len = strlen(text);

    memcpy(bytes, text, len + 1);
    e = (struct err)ERR_INIT;
    return httphead_parse(&h, bytes, len, &e);
}

static void finds_the_end(void **state)
{
    static const char text[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\nrest\r\n\r\n";
    size_t end = strlen("GET / HTTP/1.1\r\nHost: x\r\n\r\n");

    (void)state;
    for (size_t len = 0; len < end; len++)
        assert_int_equal(httphead_end(text, len, 0), 0);
    for (size_t len = end; len < sizeof text; len++)
        for (size_t seen = 0; seen < end; seen++)
            assert_int_equal(httphead_end(text, len, seen), end);
    assert_int_equal(httphead_end("a\n\nb", 4, 0), 3); /* to be refused */
}

static void says_what_stands_there(void **state)
{
    (void)state;
    assert_int_equal(parse("POST /a%2Fb?x=1&y HTTP/1.1\r\nHost:x\r\nA: \t b c \t\r\nE:\r\n"
                           "content-LENGTH: 12\r\nExpect: 100-Continue\r\n\r\n"),
                     ERR_OK);
    assert_string_equal(h.method, "POST");
    assert_string_equal(h.path, "/a%2Fb");
    assert_string_equal(h.query, "x=1&y");
    assert_int_equal(h.n, 5);
    assert_string_equal(httphead_field(&h, "host"), "x");
    assert_string_equal(httphead_field(&h, "a"), "b c");
    assert_string_equal(httphead_field(&h, "E"), "");
    assert_null(httphead_field(&h, "b"));
    assert_int_equal(h.length, 12);
    assert_true(h.expects);
    assert_false(h.chunked || h.old || h.close);
}

static void targets(void **state)
{
    static const struct {
        const char *target, *path, *query;
    } cases[] = {{"/", "/", ""},
                 {"/?", "/", ""},
                 {"/a?b?c", "/a", "b?c"},
                 {"*", "*", ""},
                 {"HTTP://x:80/a?b", "/a", "b"},
                 {"http://x", "/", ""},
                 {"http://x?b", "/", "b"}};
    char text[128];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        (void)snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", cases[i].target);
        assert_int_equal(parse(text), ERR_OK);
        assert_string_equal(h.path, cases[i].path);
        assert_string_equal(h.query, cases[i].query);
    }
}

static void connections(void **state)
{
    static const struct {
        const char *version, *field;
        bool close;
    } cases[] = {
        {"1.1", "", false},
        {"1.0", "", true},
        {"1.1", "Connection: close\r\n", true},
        {"1.1", "Connection: Upgrade, Close\r\n", true},
        {"1.1", "Connection: closed\r\n", false},
        {"1.1", "Connection: keep-alive\r\n", false},
        {"1.0", "Connection: Keep-Alive\r\n", false},
        {"1.0", "Connection: keep-alive, close\r\n", true},
        {"1.2", "", false},
    };
    char text[128];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        (void)snprintf(text, sizeof text, "GET / HTTP/%s\r\nHost: x\r\n%s\r\n", cases[i].version,
                       cases[i].field);
        assert_int_equal(parse(text), ERR_OK);
        assert_int_equal(h.close, cases[i].close);
    }
}

static void bodies(void **state)
{
    (void)state;
    assert_int_equal(parse("POST / HTTP/1.1\r\nHost: x\r\n\r\n"), ERR_OK);
    assert_int_equal(h.length, 0);
    assert_int_equal(
        parse("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n"),
        ERR_OK);
    assert_true(h.length == SIZE_MAX);
    assert_int_equal(parse("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:CHUNKED\r\n\r\n"),
                     ERR_OK);
    assert_true(h.chunked);
    assert_int_equal(parse("POST / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n"), ERR_OK);
    assert_false(h.expects);
}

static void what_is_refused(void **state)
{
    static const char *const lines[] = {
        "GET",
        "GET /",
        "GET / ",
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        "GET\t/ HTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET / HTTP/1.",
        "GET / HTTP/1.11",
        "GET / HTTP/2.0",
        "GET / http/1.1",
        "GET / /b HTTP/1.1",
        " GET / HTTP/1.1",
        "G(T / HTTP/1.1",
        "GET /\x01 HTTP/1.1",
        "GET /\x7f HTTP/1.1",
        "GET /\r HTTP/1.1",
    };
    static const char *const fields[] = {
        "",                                                      /* no Host */
        "Host: x\r\nHost: x\r\n",                                /**/
        "Host: x\n",                                             /**/
        "Host: x\r\nA: b\nC: d\r\n",                             /**/
        "Host: x\r\n a: b\r\n",                                  /* folded */
        " Host: x\r\n",                                          /**/
        "Host: x\r\nA : b\r\n",                                  /**/
        "Host: x\r\nA\r\n",                                      /**/
        "Host: x\r\n: b\r\n",                                    /**/
        "Host: x\r\nA: b\rc\r\n",                                /**/
        "Host: x\r\nA\x01: b\r\n",                               /**/
        "Host: x\r\nA: \x01\r\n",                                /**/
        "Host: x\r\n\xe9: b\r\n",                                /**/
        "Host: x\r\nContent-Length:\r\n",                        /**/
        "Host: x\r\nContent-Length: +1\r\n",                     /**/
        "Host: x\r\nContent-Length: 1, 1\r\n",                   /**/
        "Host: x\r\nContent-Length: 0x1\r\n",                    /**/
        "Host: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n", /**/
        "Host: x\r\nTransfer-Encoding: chunked, chunked\r\n",    /**/
        "Host: x\r\nTransfer-Encoding: chunked;a=b\r\n",         /**/
        "Host: x\r\nTransfer-Encoding:\r\n",                     /**/
        "Host: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n",
    };
    char text[256];

    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        (void)snprintf(text, sizeof text, "%s\r\nHost: x\r\n\r\n", lines[i]);
        if (parse(text) != ERR_PROTOCOL)
            fail_msg("taken: %s", lines[i]);
    }
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        (void)snprintf(text, sizeof text, "GET / HTTP/1.1\r\n%s\r\n", fields[i]);
        if (parse(text) != ERR_PROTOCOL)
            fail_msg("taken: %s", fields[i]);
    }
    assert_int_equal(parse("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), ERR_PROTOCOL);
}

static void nul_bytes(void **state)
{
    static const char *const texts[] = {
        "G@T / HTTP/1.1\r\nHost: x\r\n\r\n",  "GET /@ HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1@\r\nHost: x\r\n\r\n", "GET / HTTP/1.1\r\nHo@st: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost:@\r\n\r\n",   "GET / HTTP/1.1\r\nHost: x\r\n@\r\n\r\n"};

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        size_t len = strlen(texts[i]);
        memcpy(bytes, texts[i], len);
        *(char *)memchr(bytes, '@', len) = '\0';
        e = (struct err)ERR_INIT;
        if (httphead_parse(&h, bytes, len, &e) != ERR_PROTOCOL)
            fail_msg("taken: %s", texts[i]);
    }
}

static void so_many_fields(void **state)
{
    char text[4096] = "GET / HTTP/1.1\r\nHost: x\r\n";

    (void)state;
    for (unsigned i = 1; i < HTTPHEAD_MAX_FIELDS; i++)
        strncat(text, "a: b\r\n", sizeof text - strlen(text) - 1);
    size_t len = strlen(text);
    (void)snprintf(text + len, sizeof text - len, "\r\n");
    assert_int_equal(parse(text), ERR_OK);
    (void)snprintf(text + len, sizeof text - len, "a: b\r\n\r\n");
    assert_int_equal(parse(text), ERR_PROTOCOL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_end), cmocka_unit_test(says_what_stands_there),
        cmocka_unit_test(targets),       cmocka_unit_test(connections),
        cmocka_unit_test(bodies),        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(nul_bytes),     cmocka_unit_test(so_many_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
