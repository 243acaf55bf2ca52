/* The table of paths: matching, captures, methods; and openapi.yaml says the same as it does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/core_double.h"
#include "wire/http/exchange.h"

static struct http_captures c;
static unsigned allowed;

static const char *operation(enum http_method m, const char *path)
{
    const struct http_route *r = http_route_find(m, path, &c, &allowed);

    return r ? r->operation : "";
}

static void finds_paths(void **state)
{
    (void)state;
    assert_string_equal(operation(HTTP_POST, "/"), "queryRoot");
    assert_string_equal(operation(HTTP_POST, "/query"), "queryMainDatabase");
    assert_string_equal(operation(HTTP_GET, "/databases"), "listDatabases");
    assert_string_equal(operation(HTTP_GET, "/healthz"), "healthz");
}

static void captures_parts(void **state)
{
    (void)state;
    assert_string_equal(operation(HTTP_DELETE, "/databases/a%2Fb/replications/node"),
                        "deleteDatabaseReplication");
    assert_int_equal(c.id_len, 5);
    assert_memory_equal(c.id, "a%2Fb", 5);
    assert_int_equal(c.name_len, 4);
    assert_memory_equal(c.name, "node", 4);
    assert_string_equal(operation(HTTP_POST, "/transactions/x/commit"), "commitTransaction");
    assert_int_equal(c.name_len, 1);
    assert_null(c.id);
}

static void knows_what_is_not_there(void **state)
{
    static const char *const none[] = {"",
                                       "//",
                                       "/query/",
                                       "/queryx",
                                       "/quer",
                                       "/databases/",
                                       "/databases/a/",
                                       "/replications/",
                                       "/snapshots",
                                       "/databases/a/snapshot/1",
                                       "/undo",
                                       "/transactions/a",
                                       "/transactions//commit",
                                       "/databases//replications"};

    (void)state;
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        assert_string_equal(operation(HTTP_GET, none[i]), "");
        assert_int_equal(allowed, 0);
    }
}

static void tells_allowed_methods(void **state)
{
    struct buf b = BUF_INIT;

    (void)state;
    assert_string_equal(operation(HTTP_OTHER, "/databases/a"), "");
    assert_int_equal(allowed, HTTP_GET | HTTP_POST | HTTP_DELETE);
    http_allow_put(&b, allowed);
    assert_string_equal(buf_cstr(&b), "GET, HEAD, POST, DELETE, OPTIONS");
    buf_free(&b);
}

/* ---- openapi.yaml ---- */

static enum http_method method_of(const char *s, size_t len)
{
    if (len == 3 && memcmp(s, "get", 3) == 0)
        return HTTP_GET;
    if (len == 4 && memcmp(s, "post", 4) == 0)
        return HTTP_POST;
    if (len == 6 && memcmp(s, "delete", 6) == 0)
        return HTTP_DELETE;
    return HTTP_OTHER;
}

struct operation {
    char path[128];
    enum http_method method;
    char id[64];
};

/* Reads the part of the file that is needed, by indentation: paths at 2, methods at 4, operationId
 * at 6 spaces. */
static size_t read_operations(struct operation *ops, size_t max)
{
    const char *at = strstr(http_openapi_text, "\npaths:\n");
    char path[128] = "";
    enum http_method method = HTTP_OTHER;
    size_t n = 0;

    assert_non_null(at);
    for (at += strlen("\npaths:\n"); *at == ' ' || *at == '\n'; at += strcspn(at, "\n") + 1) {
        size_t len = strcspn(at, "\n");
        size_t indent = strspn(at, " ");

        if (indent == 2)
            snprintf(path, sizeof path, "%.*s", (int)(len - 3), at + 2);
        else if (indent == 4)
            method = method_of(at + 4, len - 5);
        else if (indent == 6 && strncmp(at + 6, "operationId: ", 13) == 0) {
            assert_true(n < max);
            snprintf(ops[n].path, sizeof ops[n].path, "%s", path);
            ops[n].method = method;
            snprintf(ops[n].id, sizeof ops[n].id, "%.*s", (int)(len - 19), at + 19);
            n++;
        }
    }
    return n;
}

static void openapi_is_the_table(void **state)
{
    static struct operation ops[128];
    size_t n = read_operations(ops, 128);
    size_t routes = 0;

    (void)state;
    assert_true(n > 20);
    for (const struct http_route *r = http_routes; r->pattern; r++, routes++) {
        size_t i = 0;
        while (i < n && !(ops[i].method == r->method && strcmp(ops[i].path, r->pattern) == 0))
            i++;
        if (i == n)
            fail_msg("openapi.yaml lacks %s", r->pattern);
        assert_string_equal(ops[i].id, r->operation);
    }
    assert_int_equal(n, routes); /* and nothing else */
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(ops[i].id, ops[j].id);
}

static void openapi_is_whole(void **state)
{
    (void)state;
    assert_int_equal(strlen(http_openapi_text), http_openapi_len());
    assert_memory_equal(http_openapi_text, "openapi: 3.1", 12);
    assert_int_equal(http_openapi_text[http_openapi_len() - 1], '\n');
}

/* ---- durations ---- */

static void durations(void **state)
{
    static const struct {
        const char *text;
        int64_t ns;
    } good[] = {{"5", 5000000000},
                {"5s", 5000000000},
                {"500ms", 500000000},
                {"1.5s", 1500000000},
                {"1m30s", 90000000000},
                {"2h", 7200000000000},
                {"10us", 10000},
                {"7ns", 7},
                {"0", 0},
                {".5s", 500000000},
                {"1h1m1s1ms", 3661001000000}};
    static const char *const bad[] = {"",
                                      "s",
                                      ".",
                                      ".s",
                                      "5x",
                                      "-5s",
                                      "+5s",
                                      "5 s",
                                      "5s ",
                                      "5ss",
                                      "1e3",
                                      "inf",
                                      "99999999999999999999h",
                                      "5m3x"};
    int64_t ns;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(http_duration_parse(good[i].text, &ns));
        assert_true(ns == good[i].ns);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (http_duration_parse(bad[i], &ns))
            fail_msg("\"%s\" was taken for a duration", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_paths),
        cmocka_unit_test(captures_parts),
        cmocka_unit_test(knows_what_is_not_there),
        cmocka_unit_test(tells_allowed_methods),
        cmocka_unit_test(openapi_is_the_table),
        cmocka_unit_test(openapi_is_whole),
        cmocka_unit_test(durations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
