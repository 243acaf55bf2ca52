#include "nats/inbox.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "nats/internal.h"

#define INBOX_KEEP 64 /* idle ones: databases that write at the same time */

#define REPLY_SIZE 128 /* of a reply subject: the library's inbox, a point, a number */

struct inbox {
    natsSubscription *sub; /* to everything below `subject` */
    natsInbox *subject;
    uint64_t number;        /* of the request that it was taken for last */
    char reply[REPLY_SIZE]; /* where the answers to that one come */
    /* guarded by the pool's mu */
    struct inbox *prev, *next;
};

/* `c` is the client while its connection is open, NULL afterwards. */
static void inbox_free(struct inbox *in, struct nats_client *c)
{
    if (c)
        nats_client_retire(c, in->sub);
    else
        natsSubscription_Destroy(in->sub);
    natsInbox_Destroy(in->subject);
    free(in);
}

void inbox_pool_init(struct inbox_pool *p, struct nats_client *c)
{
    *p = (struct inbox_pool){.client = c};
    pthread_mutex_init(&p->mu, NULL);
}

void inbox_pool_fini(struct inbox_pool *p)
{
    while (p->idle) {
        struct inbox *in = p->idle;
        p->idle = in->next;
        inbox_free(in, NULL);
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
    if (s == NATS_OK) {
        (void)snprintf(in->reply, sizeof in->reply, "%s.*", in->subject);
        s = natsConnection_SubscribeSync(&in->sub, nc, in->reply);
    }
    if (s == NATS_OK)
        *out = in;
    else
        inbox_free(in, NULL); /* nothing was ever sent to it */
    return s;
}

/* NULL: there is none. Those of a connection that was closed for good go. */
static struct inbox *take_idle(struct inbox_pool *p)
{
    for (;;) {
        pthread_mutex_lock(&p->mu);
        struct inbox *in = p->idle;
        if (in) {
            p->idle = in->next;
            p->n_idle--;
        }
        pthread_mutex_unlock(&p->mu);
        if (!in || natsSubscription_IsValid(in->sub))
            return in;
        inbox_free(in, p->client);
    }
}

natsStatus inbox_take(struct inbox_pool *p, natsConnection *nc, struct inbox **out)
{
    *out = NULL;
    struct inbox *in = take_idle(p);
    natsStatus s = in ? NATS_OK : inbox_new(nc, &in);
    if (s != NATS_OK)
        return s;
    (void)snprintf(in->reply, sizeof in->reply, "%s.%" PRIu64, in->subject, ++in->number);
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
    bool keep = natsSubscription_IsValid(in->sub) && p->n_idle < INBOX_KEEP;
    if (keep) {
        in->next = p->idle;
        p->idle = in;
        p->n_idle++;
    }
    pthread_mutex_unlock(&p->mu);
    if (!keep)
        inbox_free(in, p->client);
}

const char *inbox_subject(const struct inbox *in)
{
    return in->reply;
}

/* Waits for an answer to the request that the inbox was taken for; others are thrown away. */
static natsStatus next_answer(struct inbox *in, int64_t timeout_ms, natsMsg **answer)
{
    int64_t until = clock_deadline(timeout_ms * CLOCK_MS);
    for (;;) {
        natsStatus s = natsSubscription_NextMsg(answer, in->sub, timeout_ms);
        if (s != NATS_OK || strcmp(natsMsg_GetSubject(*answer), in->reply) == 0)
            return s;
        natsMsg_Destroy(*answer);
        *answer = NULL;
        timeout_ms = (until - clock_mono_ns()) / CLOCK_MS;
        if (timeout_ms <= 0)
            return NATS_TIMEOUT;
    }
}

natsStatus inbox_ask(struct inbox *in, natsConnection *nc, natsMsg *msg, int64_t timeout_ms,
                     natsMsg **answer)
{
    *answer = NULL;
    natsStatus s = msg ? natsConnection_PublishMsg(nc, msg) : NATS_OK;
    if (s == NATS_OK)
        s = next_answer(in, timeout_ms, answer);
    return s == NATS_INVALID_SUBSCRIPTION ? NATS_CONNECTION_DISCONNECTED : s;
}
