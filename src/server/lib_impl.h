/* What lib.c and lib_rows.c share. See ha/ha.h. */
#ifndef HA_SERVER_LIB_IMPL_H
#define HA_SERVER_LIB_IMPL_H

#include <signal.h>
#include <stdatomic.h>

#include "base/err.h"
#include "base/value.h"
#include "core/session.h"
#include "ha/ha.h"

/* Used by one thread at a time; ha_session_interrupt() reads `core` only. */
struct ha_session {
    struct ha_node *node;
    struct session *core;
    struct ha_rows *rows; /* the open cursor, or NULL */
    bool running;         /* inside ha_exec() or ha_batch(), whose callback may come back here */
    uint64_t min_seq;
    int64_t timeout_ns;
};

/* Hands `e` over; true if it is none. `out` may be NULL. */
bool lib_result(struct ha_error *out, const struct err *e);

/* In between, a connection that the other side has closed raises no SIGPIPE in the caller's thread,
 * whatever the application has made of that signal. */
struct lib_quiet {
    sigset_t before;
};
void lib_quiet_begin(struct lib_quiet *q);
void lib_quiet_end(const struct lib_quiet *q);

/* Views of the same bytes. */
struct value lib_value_in(const struct ha_value *v);
struct ha_value lib_value_out(const struct value *v);
/* To be freed; texts and names are borrowed. */
enum err_code lib_params(struct param **out, const struct ha_param *params, size_t n,
                         struct err *e);

/* With the session's settings; ERR_BUSY while a cursor is open or another request runs. */
enum err_code lib_request(struct request **out, struct ha_session *s, const struct query *queries,
                          size_t n, bool atomic, struct err *e);
void lib_count(struct ha_result *result, const struct sink_done *d);

/* The session closes under its cursor, which answers with an error from now on. NULL is fine. */
void lib_rows_abandon(struct ha_rows *rows);

#endif
