#include "nats/inbox.h"

#include <stdlib.h>

#define INBOX_KEEP 64 /* idle ones: databases that write at the same time */

struct inbox {
    natsSubscription *sub;
    natsInbox *subject;
    unsigned owed; /* answers that are still to come */
    /* guarded by the pool's mu */
    struct inbox *prev, *next;
};

static void inbox_free(struct inbox *in)
{
    if (!in)
        return;
    natsSubscription_Destroy(in->sub);
    natsInbox_Destroy(in->subject);
    free(in);
}

void inbox_pool_init(struct inbox_pool *p)
{
    *p = (struct inbox_pool){.asking = NULL};
    pthread_mutex_init(&p->mu, NULL);
}

void inbox_pool_fini(struct inbox_pool *p)
{
    while (p->idle) {
        struct inbox *in = p->idle;
        p->idle = in->next;
        inbox_free(in);
    }
    pthread_mutex_destroy(&p->mu);
}

void inbox_pool_lost(struct inbox_pool *p)
{
    pthread_mutex_lock(&p->mu);
    for (struct inbox *in = p->asking; in; in = in->next)
        natsSubscription_Unsubscribe(in->sub);
    pthread_mutex_unlock(&p->mu);
}

static natsStatus inbox_new(natsConnection *nc, struct inbox **out)
{
    struct inbox *in = calloc(1, sizeof *in);
    if (!in)
        return NATS_NO_MEMORY;
    natsStatus s = natsInbox_Create(&in->subject);
    if (s == NATS_OK)
        s = natsConnection_SubscribeSync(&in->sub, nc, in->subject);
    if (s == NATS_OK)
        *out = in;
    else
        inbox_free(in);
    return s;
}

natsStatus inbox_take(struct inbox_pool *p, natsConnection *nc, struct inbox **out)
{
    *out = NULL;
    pthread_mutex_lock(&p->mu);
    struct inbox *in = p->idle;
    if (in) {
        p->idle = in->next;
        p->n_idle--;
    }
    pthread_mutex_unlock(&p->mu);
    natsStatus s = in ? NATS_OK : inbox_new(nc, &in);
    if (s != NATS_OK)
        return s;
    pthread_mutex_lock(&p->mu);
    in->prev = NULL;
    in->next = p->asking;
    if (in->next)
        in->next->prev = in;
    p->asking = in;
    pthread_mutex_unlock(&p->mu);
    *out = in;
    return NATS_OK;
}

void inbox_give(struct inbox_pool *p, struct inbox *in)
{
    if (!in)
        return;
    pthread_mutex_lock(&p->mu);
    if (in->prev)
        in->prev->next = in->next;
    else
        p->asking = in->next;
    if (in->next)
        in->next->prev = in->prev;
    bool keep = in->owed == 0 && natsSubscription_IsValid(in->sub) && p->n_idle < INBOX_KEEP;
    if (keep) {
        in->next = p->idle;
        p->idle = in;
        p->n_idle++;
    }
    pthread_mutex_unlock(&p->mu);
    if (!keep)
        inbox_free(in);
}

const char *inbox_subject(const struct inbox *in)
{
    return in->subject;
}

natsStatus inbox_ask(struct inbox *in, natsConnection *nc, natsMsg *msg, int64_t timeout_ms,
                     natsMsg **answer)
{
    *answer = NULL;
    natsStatus s = natsConnection_PublishMsg(nc, msg);
    if (s != NATS_OK)
        return s;
    in->owed++;
    s = natsSubscription_NextMsg(answer, in->sub, timeout_ms);
    if (s == NATS_OK || s == NATS_NO_RESPONDERS)
        in->owed--;
    return s == NATS_INVALID_SUBSCRIPTION ? NATS_CONNECTION_DISCONNECTED : s;
}
