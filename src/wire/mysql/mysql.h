/*
 * The MySQL server: its client/server protocol 4.1 and newer on top of core's sessions. It knows
 * nothing of SQLite or NATS.
 *
 * Threads: one accepts, one serves each connection, blocking. The functions below are called by
 * whoever wires the program together, one thread at a time: mysql_start → mysql_stop → mysql_free.
 * The node is borrowed and must outlive the server.
 */
#ifndef HA_WIRE_MYSQL_MYSQL_H
#define HA_WIRE_MYSQL_MYSQL_H

#include <stdint.h>

#include "base/err.h"

struct node;
struct mysql_server;

#define MYSQL_DEFAULT_MAX_CONNECTIONS 4096u
#define MYSQL_DEFAULT_AUTH_TIMEOUT_S  60u

/* Zeroed but for user and pass is a valid set of options. Strings are copied by mysql_start(). */
struct mysql_options {
    const char *address; /* as http_options' */
    uint16_t port;       /* 0 = any free one, see mysql_port() */
    const char *user,
        *pass;              /* the password, or what stands for it (secret.h); empty: none needed */
    const char *cert, *key; /* PEM files; NULL or "" = no TLS */
    unsigned max_connections; /* one more is told 1040; 0 = the default */
    unsigned auth_timeout_s;  /* until the client is let in; 0 = the default */
};

/* Are the files that mysql_start() would need what they should be? Reads them, starts nothing. */
enum err_code mysql_check(const struct mysql_options *o, struct err *e);

/* Listens and serves until mysql_stop(). ERR_CONFIG for files and addresses that are none, ERR_IO
 * where the port cannot be had. On failure *out is NULL. */
enum err_code mysql_start(struct mysql_server **out, struct node *n, const struct mysql_options *o,
                          struct err *e);
uint16_t mysql_port(const struct mysql_server *s);

/* Stops accepting, ends idle connections with 1053, lets running statements end until the deadline
 * (monotonic ns), then cancels them; joins every thread. Call it before node_stop(). NULL is fine,
 * so is a second call. */
void mysql_stop(struct mysql_server *s, int64_t deadline_ns);
void mysql_free(struct mysql_server *s);

#endif
