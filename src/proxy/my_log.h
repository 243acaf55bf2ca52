/*
 * The binary log of a MySQL source as a stream of events, over a connection of its own. Used by one
 * thread. The server sends a heartbeat every second where there is nothing else; where nothing at
 * all comes for ten, the connection counts as lost.
 */
#ifndef HA_PROXY_MY_LOG_H
#define HA_PROXY_MY_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "proto/binlog.h"
#include "proxy/my_link.h"
#include "proxy/my_position.h"

struct my_log;

/* Asks for everything behind `from`. w->wake_fd (not -1) ends the reading, too: readable, it does
 * so for good. What the server says about the place (ERR_TOO_OLD: it no longer has it) comes from
 * the first my_log_next(). */
enum err_code my_log_open(struct my_log **out, const struct my_dsn *dsn, uint32_t server_id,
                          const struct my_position *from, const struct wait *w, struct err *e);
void my_log_close(struct my_log *l); /* NULL is fine */

/* The next event, borrowed until the next call; waits for it. */
enum err_code my_log_next(struct my_log *l, struct binlog_event *event, struct err *e);
/* Does more wait to be read, as far as can be seen from here? */
bool my_log_has_more(struct my_log *l);

#endif
