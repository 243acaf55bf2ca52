/*
 * A feed is an ephemeral push consumer of our own with heartbeats and flow control. The library's
 * ordered consumer does a little more, it recreates itself after a gap; but it does so in a thread
 * of the library, and closing it meanwhile reads what that thread has just freed (3.4.1). Whoever
 * reads a feed looks at the sequences anyway, and opens another one when they do not fit.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "nats/internal.h"
#include "nats/message.h"

/*
 * After two heartbeats that stay out a feed is taken for lost: its consumer went down with a server
 * of the cluster that this node is not connected to. Every feed has heartbeats of its own, so with
 * many databases they would be all that an idle node and its nats-server do; then they are rarer, a
 * few in a second for all feeds together. Who knows that the log goes on need not wait for them.
 */
#define FEED_HEARTBEAT_MIN_NS (500 * CLOCK_MS)
#define FEED_HEARTBEAT_NS     (300 * CLOCK_MS) /* for each feed that is open */
#define FEED_HEARTBEAT_MAX_NS (30 * CLOCK_S)

/* Flow control alone does not bound what waits here: with every heartbeat that says "stalled" the
 * library (3.4.1) asks for more. What exceeds the limit is dropped, which the reader sees as a gap.
 */
#define FEED_MAX_PENDING_BYTES (48 * 1024 * 1024)

#define FEED_INACTIVE_NS                                                                           \
    INT64_C(30000000000) /* the server forgets a consumer that nobody reads                        \
                          */

struct stream_feed {
    /* immutable after open */
    struct nats_client *client; /* borrowed */
    natsConnection *nc;         /* borrowed */
    natsSubscription *sub;
    struct feed_list *list; /* NULL = not in it */
    /* guarded by list->mu */
    struct stream_feed *next;
    /* atomic */
    atomic_bool lost; /* its consumer does not answer any more */
};

static void list_add(struct stream_feed *f, struct feed_list *l)
{
    f->list = l;
    pthread_mutex_lock(&l->mu);
    f->next = l->first;
    l->first = f;
    l->n++;
    pthread_mutex_unlock(&l->mu);
}

static void list_remove(struct stream_feed *f)
{
    if (!f->list)
        return;
    pthread_mutex_lock(&f->list->mu);
    struct stream_feed **at = &f->list->first;
    while (*at != f)
        at = &(*at)->next;
    *at = f->next;
    f->list->n--;
    pthread_mutex_unlock(&f->list->mu);
}

void feed_list_missed(struct feed_list *l, const natsSubscription *sub)
{
    pthread_mutex_lock(&l->mu);
    for (struct stream_feed *f = l->first; f; f = f->next) {
        if (f->sub == sub) {
            atomic_store(&f->lost, true);
            stream_feed_wake(f);
        }
    }
    pthread_mutex_unlock(&l->mu);
}

/* $JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<time>.<pending>, or the
 * newer form with two more tokens (domain, account hash) in front and one behind: counted from
 * "ACK". */
static bool parse_reply(const char *reply, struct stream_message *m)
{
    uint64_t numbers[5] = {0};
    const char *token[12];
    unsigned n = 0;
    if (!reply || strncmp(reply, "$JS.ACK.", 8) != 0)
        return false;
    for (const char *p = reply; p && n < 12; n++) {
        token[n] = p;
        p = strchr(p, '.');
        if (p)
            p++;
    }
    unsigned first = n >= 11 ? 6 : 4;
    if (n < first + 5)
        return false;
    for (unsigned i = 0; i < 5; i++)
        numbers[i] = strtoull(token[first + i], NULL, 10);
    m->seq = numbers[1];
    m->time_ns = (int64_t)numbers[3];
    m->pending = numbers[4];
    return m->seq > 0;
}

static int64_t heartbeat_ns(struct feed_list *l)
{
    pthread_mutex_lock(&l->mu);
    unsigned n = l->n > l->expected ? l->n : l->expected;
    pthread_mutex_unlock(&l->mu);
    int64_t ns = n * FEED_HEARTBEAT_NS;
    if (ns < FEED_HEARTBEAT_MIN_NS)
        return FEED_HEARTBEAT_MIN_NS;
    return ns < FEED_HEARTBEAT_MAX_NS ? ns : FEED_HEARTBEAT_MAX_NS;
}

static enum err_code open_feed(struct stream_feed *f, struct nats_client *c, const char *stream,
                               const char *subject, uint64_t start_seq, bool headers, struct err *e)
{
    jsErrCode jerr = 0;
    jsOptions o;
    jsSubOptions so;
    jsOptions_Init(&o);
    jsSubOptions_Init(&so);
    f->client = c;
    f->nc = nats_client_connection(c);
    so.Stream = stream;
    so.Config.AckPolicy = js_AckNone;
    so.Config.MaxDeliver = 1;
    so.Config.FlowControl = true;
    so.Config.Heartbeat = heartbeat_ns(nats_client_feeds(c));
    so.Config.InactiveThreshold = FEED_INACTIVE_NS;
    so.Config.MemoryStorage = true;
    so.Config.HeadersOnly = headers;
    so.Config.Replicas = 1;
    so.Config.DeliverPolicy = js_DeliverByStartSequence;
    so.Config.OptStartSeq = start_seq;
    /* An attempt that is given up may leave a consumer behind; nobody reads it, so it goes away.
     * And one may be given a place on a server that has just gone: the next one may have better
     * luck. */
    natsStatus s = NATS_TIMEOUT;
    for (unsigned i = 0; nats_client_wait(c, i, &o.Wait) && s == NATS_TIMEOUT; i++)
        s = js_SubscribeSync(&f->sub, nats_client_js_feeds(c), subject, &o, &so, &jerr);
    if (s == NATS_OK)
        s = natsSubscription_SetPendingLimits(f->sub, -1, FEED_MAX_PENDING_BYTES);
    return s == NATS_OK ? ERR_OK : nats_failure(s, jerr, "following the stream", e);
}

static enum err_code new_feed(struct stream_feed **out, struct nats_client *c, const char *stream,
                              const char *subject, uint64_t start_seq, bool headers, struct err *e)
{
    *out = NULL;
    struct stream_feed *f = calloc(1, sizeof *f);
    if (!f)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    enum err_code code =
        open_feed(f, c, stream, subject, start_seq > 0 ? start_seq : 1, headers, e);
    if (code != ERR_OK) {
        stream_feed_close(f);
        return code;
    }
    list_add(f, nats_client_feeds(c));
    *out = f;
    return ERR_OK;
}

enum err_code stream_feed_open(struct stream_feed **out, struct nats_client *c, const char *stream,
                               const char *subject, uint64_t start_seq, struct err *e)
{
    return new_feed(out, c, stream, subject, start_seq, false, e);
}

enum err_code stream_feed_open_headers(struct stream_feed **out, struct nats_client *c,
                                       const char *stream, const char *subject, uint64_t start_seq,
                                       struct err *e)
{
    return new_feed(out, c, stream, subject, start_seq, true, e);
}

void stream_feed_wake(struct stream_feed *f)
{
    /* To the consumer's inbox: the reader sees a message that no stream sent. */
    natsConnection_PublishString(f->nc, natsSubscription_GetSubject(f->sub), "");
}

enum err_code stream_feed_next(struct stream_feed *f, int64_t timeout_ms, struct stream_message *m,
                               bool *got, struct err *e)
{
    *got = false;
    for (;; timeout_ms = 0) { /* whoever is woken takes what is there */
        natsMsg *msg = NULL;
        natsStatus s = natsSubscription_NextMsg(&msg, f->sub, timeout_ms);
        if (s != NATS_OK && atomic_load(&f->lost))
            return err_set(e, ERR_LOG_UNAVAILABLE,
                           "following the stream: the server has gone quiet");
        if (s == NATS_TIMEOUT)
            return ERR_OK;
        if (s != NATS_OK)
            return nats_failure(s, 0, "following the stream", e);
        *m = (struct stream_message){0};
        if (parse_reply(natsMsg_GetReply(msg), m)) {
            message_view(msg, m);
            *got = true;
            return ERR_OK;
        }
        natsMsg_Destroy(msg); /* stream_feed_wake() */
    }
}

void stream_feed_close(struct stream_feed *f)
{
    if (!f)
        return;
    list_remove(f);
    nats_client_retire(f->client, f->sub);
    free(f);
}
