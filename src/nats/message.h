/* A library message as a struct stream_message, and the headers that ours carry. */
#ifndef HA_NATS_MESSAGE_H
#define HA_NATS_MESSAGE_H

#include "nats/internal.h"
#include "nats/stream.h"

#define MESSAGE_HEADER_ID   "Nats-Msg-Id"
#define MESSAGE_HEADER_NAME "HA-Id"   /* the message's own id, where that of the copy is another */
#define MESSAGE_HEADER_PART "HA-Part" /* "3/200": this is part 3 of 200 of one message */

/* natsMsg_Destroy(), sooner or later; NULL is fine. The library hands every message to a thread of
 * its own to be freed, and wakes that thread for it; so small ones are kept until there are some.
 * Any thread. */
void message_discard(natsMsg *msg);

/* Fills everything but seq, pending and time; takes ownership of `msg` (m->handle). */
void message_view(natsMsg *msg, struct stream_message *m);

#endif
