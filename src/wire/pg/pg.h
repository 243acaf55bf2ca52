/*
 * The PostgreSQL server: protocol 3.0 and 3.2 on top of core's sessions. It knows nothing of SQLite
 * or NATS.
 *
 * Threads: one accepts, one serves each connection, blocking. The functions below are called by
 * whoever wires the program together, one thread at a time: pg_start → pg_stop → pg_free. The node
 * is borrowed and must outlive the server.
 */
#ifndef HA_WIRE_PG_PG_H
#define HA_WIRE_PG_PG_H

#include <stdint.h>

#include "base/err.h"

struct node;
struct pg_server;

enum pg_auth { PG_AUTH_SCRAM, PG_AUTH_MD5, PG_AUTH_PASSWORD };

#define PG_DEFAULT_MAX_CONNECTIONS 4096u
#define PG_DEFAULT_AUTH_TIMEOUT_S  60u

/* Zeroed but for user and pass is a valid set of options. Strings are copied by pg_start(). */
struct pg_options {
    const char *address;     /* as http_options' */
    uint16_t port;           /* 0 = any free one, see pg_port() */
    const char *user, *pass; /* an empty password: whoever connects as this user is let in */
    const char *users_file;  /* more of them, see users.c; NULL or "" = none */
    const char *cert, *key;  /* PEM files; NULL or "" = no TLS */
    enum pg_auth auth;
    unsigned max_connections; /* one more is told 53300; 0 = the default */
    unsigned auth_timeout_s;  /* until ReadyForQuery; 0 = the default */
};

/* Are the files that pg_start() would need what they should be? Reads them, starts nothing. */
enum err_code pg_check(const struct pg_options *o, struct err *e);

/* Listens and serves until pg_stop(). ERR_CONFIG for files and addresses that are none, ERR_IO
 * where the port cannot be had. On failure *out is NULL. */
enum err_code pg_start(struct pg_server **out, struct node *n, const struct pg_options *o,
                       struct err *e);
uint16_t pg_port(const struct pg_server *s);

/* Stops accepting, ends idle connections with 57P01, lets running statements end until the deadline
 * (monotonic ns), then cancels them; joins every thread. Call it before node_stop(). NULL is fine,
 * so is a second call. */
void pg_stop(struct pg_server *s, int64_t deadline_ns);
void pg_free(struct pg_server *s);

#endif
