#include "nats/listener.h"

#include <stdlib.h>

#include "nats/internal.h"
#include "nats/message.h"

#define LISTENER_MAX_MESSAGES 16384
#define LISTENER_MAX_BYTES    (8 * 1024 * 1024)

struct listener {
    struct nats_client *client; /* borrowed */
    natsSubscription *sub;
};

enum err_code listener_open(struct listener **out, struct nats_client *c, const char *subject,
                            struct err *e)
{
    *out = NULL;
    if (!nats_client_connection(c))
        return err_set(e, ERR_LOG_UNAVAILABLE, "NATS is not connected");
    struct listener *l = calloc(1, sizeof *l);
    if (!l)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    l->client = c;
    natsStatus s = natsConnection_SubscribeSync(&l->sub, nats_client_connection(c), subject);
    if (s == NATS_OK)
        s = natsSubscription_SetPendingLimits(l->sub, LISTENER_MAX_MESSAGES, LISTENER_MAX_BYTES);
    if (s != NATS_OK) {
        nats_failure(s, 0, "listening", e);
        listener_close(l);
        return e->code;
    }
    *out = l;
    return ERR_OK;
}

bool listener_next(struct listener *l, struct stream_message *m)
{
    natsMsg *msg = NULL;
    *m = (struct stream_message){0};
    natsStatus s = natsSubscription_NextMsg(&msg, l->sub, 0);
    if (s == NATS_SLOW_CONSUMER) /* told once, what is there can be read on */
        s = natsSubscription_NextMsg(&msg, l->sub, 0);
    if (s != NATS_OK)
        return false;
    message_view(msg, m);
    return true;
}

void listener_close(struct listener *l)
{
    if (!l)
        return;
    nats_client_retire(l->client, l->sub);
    free(l);
}
