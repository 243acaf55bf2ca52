/*
 * A running HTTP server over the stand-in for the core, and the questions that tests ask of it. To
 * be included by one file of a test program, behind cmocka.h.
 */
#ifndef HA_TEST_HTTP_FIXTURE_H
#define HA_TEST_HTTP_FIXTURE_H

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core_double.h"
#include "http_client.h"
#include "wire/http/http.h"

#define PATIENCE_NS (10 * CLOCK_S)

static struct http_server *server;
static struct answer a;

static inline void start_with(const struct http_options *o)
{
    struct err e = ERR_INIT;

    if (http_start(&server, NULL, o, &e) != ERR_OK)
        fail_msg("%s", e.msg);
}

static int setup(void **state)
{
    (void)state;
    core.options.token = "";
    core.options.max_result_bytes = 0;
    core.options.tx_idle_timeout_ns = 10 * CLOCK_S;
    core.not_ready = core.idle_rollback = false;
    core.download_bytes = 0;
    core.download_fails_early = core.download_fails_late = false;
    core.saw_gone = core.saw_cancel = core.waiting = 0;
    start_with(&(struct http_options){.address = "127.0.0.1"});
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    answer_free(&a);
    http_free(server);
    server = NULL;
    assert_int_equal(core.open_sessions, 0);
    assert_int_equal(core.open_requests, 0);
    assert_int_equal(core.connections, 0);
    return 0;
}

static inline int request(const char *method, const char *path, const char *headers,
                          const char *body)
{
    answer_free(&a);
    client_request(-1, http_port(server), method, path, headers, body, &a);
    return a.status;
}

static inline int post(const char *path, const char *body)
{
    return request("POST", path, "", body);
}

static inline int get(const char *path)
{
    return request("GET", path, "", NULL);
}

static inline void assert_body(const char *text)
{
    assert_string_equal(buf_cstr(&a.body), text);
}

static inline void assert_body_has(const char *text)
{
    if (!strstr(buf_cstr(&a.body), text))
        fail_msg("%s is not in %s", text, buf_cstr(&a.body));
}

static inline void assert_header(const char *name, const char *value)
{
    const char *has = answer_header(&a, name);

    if (!has)
        fail_msg("no header %s in %s", name, buf_cstr(&a.head));
    assert_string_equal(has, value);
}

static inline void wait_for(atomic_int *what, int value)
{
    int64_t deadline = clock_deadline(PATIENCE_NS);

    while (atomic_load(what) != value) {
        if (clock_mono_ns() > deadline)
            fail_msg("still %d, not %d", atomic_load(what), value);
        (void)poll(NULL, 0, 1);
    }
}

#define ONE_WRITE "{\"columns\":[\"rows_affected\",\"last_insert_id\"],\"rows\":[[1,3]]}"

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
