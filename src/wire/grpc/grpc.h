/*
 * The gRPC server: the services of proto/ on top of core's sessions, over HTTP/2 with prior
 * knowledge or TLS, on the HTTP server's port (docs/grpc.md). It has no listener of its own:
 * whoever does hands over a connection that begins as HTTP/2 does. It knows nothing of SQLite or
 * NATS.
 *
 * Threads: grpc_serve() runs a connection, in its caller's thread; calls run in threads of a pool.
 * The others are called by whoever wires the program together, one thread at a time:
 *
 *     grpc_new ──► grpc_serve… ──► grpc_quit ──► every grpc_serve() has returned ──► grpc_free
 */
#ifndef HA_WIRE_GRPC_GRPC_H
#define HA_WIRE_GRPC_GRPC_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct channel;
struct grpc_server;
struct node;

#define GRPC_DEFAULT_MAX_MESSAGE_BYTES ((size_t)64 << 20)

/* Zeroed is a valid set of options. */
struct grpc_options {
    const char *token;        /* copied; NULL or "" = the node's */
    int64_t timeout_ns;       /* of a call that brings no deadline; 0 = none */
    size_t max_message_bytes; /* that is taken; 0 = the default */
};

/* The node is borrowed and must outlive the server. ERR_NO_MEMORY. */
enum err_code grpc_new(struct grpc_server **out, struct node *n, const struct grpc_options *o,
                       struct err *e);

/* Serves one connection until its end; `server` is the struct grpc_server. The channel is borrowed.
 * Any thread. */
void grpc_serve(void *server, struct channel *channel);

/* Tells every client to go, ends calls that wait for their client, lets the others end; returns at
 * once. A connection that is shut down from then on cancels what it runs. NULL is fine. */
void grpc_quit(struct grpc_server *s);
void grpc_free(struct grpc_server *s); /* NULL is fine */

#endif
