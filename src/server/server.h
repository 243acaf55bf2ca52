/*
 * The running program: what is started, in which order, and stopped in the reverse one.
 *
 *     start   NATS → node (databases, appliers) → HTTP → says where to connect
 *     stop    HTTP (no new requests, running ones end) → node (checkpoint, close) → NATS last
 *
 * Start and stop by one thread.
 */
#ifndef HA_SERVER_SERVER_H
#define HA_SERVER_SERVER_H

#include <stdbool.h>

#include "base/err.h"
#include "server/config.h"

struct node;
struct server;

/* In whose process it runs. */
struct server_host {
    bool (*gave_up)(void); /* asked while starting: true ends the start (ERR_SHUTDOWN); or NULL */
    bool greet;            /* a terminal on standard output is told where to connect */
};

/* Is what the configuration names there, and of use: files' parameters, patterns, certificates,
 * users? Reads, and changes nothing. `c` is checked (config_check). */
enum err_code server_check(const struct config *c, struct err *e);

/* `c` is checked (config_check) and must outlive the server. On failure everything that ran is
 * stopped. ERR_SHUTDOWN: the host gave up during the start, because a stop signal came. */
enum err_code server_start(struct server **out, const struct config *c,
                           const struct server_host *host, struct err *e);

struct node *server_node(const struct server *s);
/* Of the embedded NATS or of --replication-url; "" = none. */
const char *server_nats_url(const struct server *s);

/* Graceful, within SERVER_STOP_S seconds; frees it, too. NULL is fine. */
#define SERVER_STOP_S 10
void server_stop(struct server *s);

#endif
