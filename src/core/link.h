/*
 * The node's connections to NATS. A nats-server works off in order what comes over one connection,
 * and syncs each message before it looks at the next; so databases share a few connections instead
 * of one. The first is the node's own, too: catalog, roster, questions, snapshots. The others are
 * opened when there are databases for them.
 */
#ifndef HA_CORE_LINK_H
#define HA_CORE_LINK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "nats/client.h"

#define NODE_LINKS 4

struct database;
struct node;

struct link {
    /* immutable after link_open() */
    struct node *node;
    struct nats_client *client; /* NULL = not opened; set with the node's mu held */
    /* guarded by the node's mu */
    uint64_t losses; /* of the connection */
    /* atomic */
    atomic_bool connected;
};

/* Connects in the background, as nats_client_open() does. No other thread opens links meanwhile:
 * node_start(), or n->opening is held. */
enum err_code link_open(struct link *l, struct node *n, struct err *e);
/* Every database is stopped: where the server does not answer nobody waits for it any longer. */
void link_leave(struct link *l);
void link_close(struct link *l); /* after every database is closed; not opened is fine */

/* The next database's, opened if need be. Guarded like link_open(). */
enum err_code link_choose(struct node *n, struct link **out, struct err *e);

/* Tells a database that has just been listed what it has missed: `losses` is what the link had
 * counted when the database was opened. n->mu is held. */
void link_catch_up_locked(const struct link *l, struct database *d, uint64_t losses);

/* Of all links: nats_client_stepdowns(). Takes n->mu. */
uint64_t link_stepdowns(struct node *n);

#endif
