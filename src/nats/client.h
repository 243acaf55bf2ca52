/*
 * A connection to NATS, shared by databases of the node. It reconnects for ever, by itself.
 *
 * src/nats is the only caller of libnats. Every function may be called by any thread.
 */
#ifndef HA_NATS_CLIENT_H
#define HA_NATS_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct nats_client;

struct nats_client_options {
    const char *url;         /* comma-separated nats:// or tls:// URLs, credentials allowed */
    const char *user, *pass; /* "" = what the URL says */
    const char *token;       /* instead of these; NULL or "" = none */
    /* TLS, which tls:// URLs and these ask for: PEM files, NULL or "" = none beyond the system's.
     */
    const char *ca_file, *cert_file, *key_file;
    bool insecure;      /* the server's certificate is not verified */
    const char *name;   /* shown in the server's connection list */
    int64_t timeout_ms; /* of a request to JetStream */
    unsigned feeds;     /* about as many will be open: the more, the rarer each one's heartbeats */
    /* Called from a thread of the library after every connect, reconnect and loss; must not block.
     */
    void (*changed)(void *arg, bool connected);
    void *arg;
};

/* Returns with a client that may still be connecting: an unreachable server is no error here, a URL
 * that cannot be parsed is (ERR_CONFIG). Strings are copied. */
enum err_code nats_client_open(struct nats_client **out, const struct nats_client_options *opt,
                               struct err *e);
/* Before feeds are closed, of which somebody may be waiting for the next message: if the server
 * does not answer, or there is no connection, all of them end at once. Nothing but closing follows.
 */
void nats_client_leave(struct nats_client *c);
void nats_client_close(struct nats_client *c); /* NULL is fine; feeds must be closed before */

bool nats_client_connected(const struct nats_client *c);
/* Why the last attempt to make a connection failed, "" where nothing is known; terminated, cut to
 * `size`. */
void nats_client_reason(struct nats_client *c, char *out, size_t size);
/* Bytes of payload and headers that the server takes in one message; 1 MB until it has said. */
size_t nats_client_max_payload(const struct nats_client *c);

/* How often the leader of a stream that answers no publish was made to step down: nats/stall.h. */
uint64_t nats_client_stepdowns(struct nats_client *c);

#endif
