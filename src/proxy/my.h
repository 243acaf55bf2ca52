/*
 * libmariadb, loaded when it is first needed, as libpq is (pq.h). Its interface without the
 * "mysql_" in front; what a replica needs without "mariadb_".
 */
#ifndef HA_PROXY_MY_H
#define HA_PROXY_MY_H

/* One of its own lists' functions has the name of one of ours (base/list.h). */
#define list_free my_list_free
#include <mysql.h>
#undef list_free
/* Needs the one above. */
#include <mariadb_rpl.h>

#include "base/err.h"

#define MY_FUNCTIONS(X)                                                                            \
    X(affected_rows)                                                                               \
    X(close)                                                                                       \
    X(error)                                                                                       \
    X(fetch_fields)                                                                                \
    X(fetch_lengths)                                                                               \
    X(fetch_row_cont)                                                                              \
    X(fetch_row_start)                                                                             \
    X(free_result)                                                                                 \
    X(get_server_info)                                                                             \
    X(get_socket)                                                                                  \
    X(get_timeout_value_ms)                                                                        \
    X(init)                                                                                        \
    X(insert_id)                                                                                   \
    X(more_results)                                                                                \
    X(next_result_cont)                                                                            \
    X(next_result_start)                                                                           \
    X(num_fields)                                                                                  \
    X(options)                                                                                     \
    X(real_connect_cont)                                                                           \
    X(real_connect_start)                                                                          \
    X(real_query_cont)                                                                             \
    X(real_query_start)                                                                            \
    X(sqlstate)                                                                                    \
    X(store_result_cont)                                                                           \
    X(store_result_start)                                                                          \
    X(thread_id)                                                                                   \
    X(use_result)

#define MY_RPL_FUNCTIONS(X)                                                                        \
    X(free_rpl_event)                                                                              \
    X(rpl_close)                                                                                   \
    X(rpl_fetch)                                                                                   \
    X(rpl_init_ex)                                                                                 \
    X(rpl_open)                                                                                    \
    X(rpl_optionsv)

struct my {
    __typeof__(mysql_errno) *number;            /* "errno" is a macro */
#define X(name) __typeof__(mysql_##name) *name; /* NOLINT(bugprone-macro-parentheses) */
    MY_FUNCTIONS(X)
#undef X
#define X(name) __typeof__(mariadb_##name) *name; /* NOLINT(bugprone-macro-parentheses) */
    MY_RPL_FUNCTIONS(X)
#undef X
};

/* Immutable after my_load(), which must have succeeded before any of them is called. */
extern struct my my;

/* Before the first use; more do no harm. One thread. ERR_CONFIG where the machine does not have it.
 */
enum err_code my_load(struct err *e);

#endif
