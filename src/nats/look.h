/*
 * Does JetStream answer the node: through the server that a client is connected to, and through
 * others that it knows? A server may be connected to all the others and still answer every question
 * with "temporarily unavailable", for it knows no leader of the cluster's metadata (seen with
 * 2.10.27 after a partition): then its clients are better off elsewhere.
 *
 * Everything here blocks for a second or two. Any thread.
 */
#ifndef HA_NATS_LOOK_H
#define HA_NATS_LOOK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "nats/client.h"

#define NATS_SERVER_ID_SIZE 128 /* of what a server calls itself since it was started */

enum look {
    LOOK_OK,      /* JetStream answers */
    LOOK_USELESS, /* not, or says that it cannot */
    LOOK_NOBODY   /* the client is not connected */
};

/* `id`: the server that was asked; "" = not connected. */
enum look nats_look(struct nats_client *c, char id[NATS_SERVER_ID_SIZE]);

/* Where the client is connected to now; "" = nowhere. Does not block. */
void nats_look_url(struct nats_client *c, char *url, size_t size);

/* Asks the server at `url` over a connection of its own. LOOK_OK also where it is not the one
 * called `id` (any more). */
enum look nats_look_at(struct nats_client *c, const char *url, const char *id);

/* Does JetStream answer through another server than the one called `but`? Asks over connections of
 * its own, one server of the client's list after the other, discovered ones included, until one
 * answers (its URL is in `url`), none is left, or *cancel. *asked = how many others were tried. */
bool nats_look_elsewhere(struct nats_client *c, const char *but, const atomic_bool *cancel,
                         char *url, size_t size, unsigned *asked);

/* Drops the connection, so that the library takes the next server of its list. */
void nats_leave(struct nats_client *c);

#endif
