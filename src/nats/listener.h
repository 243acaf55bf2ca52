/*
 * What is published on a subject from now on, by core NATS: nothing is stored, nothing comes again,
 * and who does not look often enough loses the rest. No thread waits for it; the owner looks when
 * it likes to. One thread at a time.
 */
#ifndef HA_NATS_LISTENER_H
#define HA_NATS_LISTENER_H

#include <stdbool.h>

#include "base/err.h"
#include "nats/client.h"
#include "nats/stream.h"

struct listener;

/* The client must have been connected once: ERR_LOG_UNAVAILABLE. It comes back by itself after a
 * loss of the connection. */
enum err_code listener_open(struct listener **out, struct nats_client *c, const char *subject,
                            struct err *e);
/* False: there is nothing at the moment. Otherwise stream_message_free(m) ends it; seq, pending and
 * time are 0. */
bool listener_next(struct listener *l, struct stream_message *m);
void listener_close(struct listener *l); /* NULL is fine; before the client closes */

#endif
