/*
 * The running program: what is started, in which order, and stopped in the reverse one.
 *
 *     start   NATS → node (databases, appliers) → HTTP → says where to connect
 *     stop    HTTP (no new requests, running ones end) → node (checkpoint, close) → NATS last
 *
 * Main thread only.
 */
#ifndef HA_SERVER_SERVER_H
#define HA_SERVER_SERVER_H

#include "base/err.h"
#include "server/config.h"

struct server;

/* `c` is checked (config_check) and must outlive the server. On failure everything that ran is
 * stopped. ERR_SHUTDOWN: a stop signal came during the start. */
enum err_code server_start(struct server **out, const struct config *c, struct err *e);

/* Graceful, within SERVER_STOP_S seconds; frees it, too. NULL is fine. */
#define SERVER_STOP_S 10
void server_stop(struct server *s);

#endif
