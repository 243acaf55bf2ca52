/* Answering is here and asking in rpc_ask.c; the frames are described in rpc.h. */
#include "nats/rpc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/sha256.h"
#include "base/stack.h"
#include "nats/internal.h"
#include "nats/rpc_frame.h"

#define RPC_PULSE_NS  CLOCK_S        /* between two signs of life */
#define RPC_STALL_NS  (15 * CLOCK_S) /* a reader that acknowledges nothing has gone */
#define RPC_ACK_MS    500
#define RPC_FLUSH_MS  2000
#define RPC_CLOSE_NS  (5 * CLOCK_S)
#define RPC_SUBJECT   320
#define RPC_REPLY_MAX 256

struct rpc_call {
    /* immutable */
    struct rpc_service *service;
    const struct rpc_method *method;
    natsConnection *nc;
    char reply[RPC_REPLY_MAX];
    char *body;
    size_t len;
    /* the thread that runs it */
    struct buf answer, frame;
    struct sha256 *digest;
    char *piece; /* collected up to the piece's size; NULL before the first byte */
    size_t piece_len, piece_max;
    uint64_t bytes, sent, acked;
    natsInbox *inbox; /* for acknowledgements; NULL before the first piece */
    natsSubscription *acks;
    bool gone;
    /* guarded by service->mu */
    struct rpc_call *next;
};

struct rpc_service {
    /* immutable after open */
    struct nats_client *client;
    natsConnection *nc;
    char prefix[RPC_SUBJECT / 2];
    const struct rpc_method *methods;
    size_t n_methods;
    void *arg;
    natsSubscription *subs[2];
    pthread_t pulse;
    bool has_pulse;
    /* guarded by mu; `changed` is broadcast when one of them changes */
    pthread_mutex_t mu;
    pthread_cond_t changed;
    struct rpc_call *calls;            /* that run in threads of their own */
    unsigned running[RPC_METHODS_MAX]; /* of each method */
    unsigned all_running;
    unsigned open_subs; /* whose callback may still come */
    /* atomic */
    atomic_bool closing;
};

const char *rpc_self(const struct nats_client *c)
{
    return nats_client_self(c);
}

/* ---- one call ------------------------------------------------------------------------------- */

const char *rpc_call_body(const struct rpc_call *call, size_t *len)
{
    *len = call->len;
    return call->body;
}

const atomic_bool *rpc_call_cancel(const struct rpc_call *call)
{
    return &call->service->closing;
}

struct buf *rpc_call_answer(struct rpc_call *call)
{
    return &call->answer;
}

static bool send_frame(struct rpc_call *call, char type, uint64_t number, const void *bytes,
                       size_t len)
{
    struct buf *f = &call->frame;
    const char *ack = call->inbox ? (const char *)call->inbox : NULL;
    buf_reset(f);
    rpc_frame_begin(f, type, rpc_self(call->service->client), number);
    buf_put(f, bytes, len);
    natsStatus s = NATS_NO_MEMORY;
    if (buf_ok(f))
        s = type == 'D'
                ? natsConnection_PublishRequest(call->nc, call->reply, ack, f->data, (int)f->len)
                : natsConnection_Publish(call->nc, call->reply, f->data, (int)f->len);
    if (s != NATS_OK)
        call->gone = true;
    return s == NATS_OK;
}

void rpc_call_size(struct rpc_call *call, uint64_t bytes)
{
    (void)send_frame(call, 'S', bytes, "", 0);
}

/* Reads what has been acknowledged, and waits while the window is full. */
static bool wait_window(struct rpc_call *call)
{
    int64_t stalled = clock_deadline(RPC_STALL_NS);
    while (!call->gone) {
        bool full = call->sent - call->acked >= RPC_WINDOW;
        natsMsg *m = NULL;
        natsStatus s = natsSubscription_NextMsg(&m, call->acks, full ? RPC_ACK_MS : 0);
        if (s == NATS_OK) {
            uint64_t n = 0;
            if (rpc_number(natsMsg_GetData(m), (size_t)natsMsg_GetDataLength(m), &n) &&
                n > call->acked && n <= call->sent) {
                call->acked = n;
                stalled = clock_deadline(RPC_STALL_NS);
            }
            natsMsg_Destroy(m);
            continue;
        }
        if (s != NATS_TIMEOUT || atomic_load(&call->service->closing) || clock_mono_ns() >= stalled)
            call->gone = true; /* NATS_NO_RESPONDERS: nobody listens there any more */
        else if (!full)
            return true;
    }
    return false;
}

static bool flush_piece(struct rpc_call *call)
{
    if (call->piece_len == 0)
        return true;
    if (!wait_window(call))
        return false;
    if (!send_frame(call, 'D', call->sent, call->piece, call->piece_len))
        return false;
    call->sent++;
    call->piece_len = 0;
    return true;
}

static bool begin_stream(struct rpc_call *call)
{
    size_t max = nats_client_max_payload(call->service->client);
    call->piece_max = max > 2 * RPC_PIECE_BYTES ? RPC_PIECE_BYTES : max / 2;
    call->piece = malloc(call->piece_max);
    if (call->piece && natsInbox_Create(&call->inbox) == NATS_OK &&
        natsConnection_SubscribeSync(&call->acks, call->nc, (const char *)call->inbox) == NATS_OK)
        return true;
    call->gone = true;
    return false;
}

bool rpc_call_write(struct rpc_call *call, const void *bytes, size_t len)
{
    const char *p = bytes;
    if (call->gone || (!call->piece && !begin_stream(call)))
        return false;
    sha256_add(call->digest, bytes, len);
    call->bytes += len;
    while (len > 0) {
        size_t room = call->piece_max - call->piece_len;
        size_t n = len < room ? len : room;
        memcpy(call->piece + call->piece_len, p, n);
        call->piece_len += n;
        p += n;
        len -= n;
        if (call->piece_len == call->piece_max && !flush_piece(call))
            return false;
    }
    return true;
}

static void call_free(struct rpc_call *call)
{
    nats_client_retire(call->service->client, call->acks);
    natsInbox_Destroy(call->inbox);
    sha256_free(call->digest);
    buf_free(&call->answer);
    buf_free(&call->frame);
    free(call->piece);
    free(call->body);
    free(call);
}

static void send_failure(struct rpc_call *call, const struct err *e)
{
    char text[ERR_MSG_SIZE + 64];
    int n = snprintf(text, sizeof text, "%s %s", err_name(e->code), e->msg);
    (void)send_frame(call, 'X', 0, text, (size_t)n);
}

static void send_end(struct rpc_call *call)
{
    struct buf end = BUF_INIT;
    unsigned char digest[SHA256_SIZE];
    sha256_end(call->digest, digest);
    buf_put(&end, digest, sizeof digest);
    buf_put(&end, call->answer.data, call->answer.len);
    if (buf_ok(&end))
        (void)send_frame(call, 'E', call->bytes, end.data, end.len);
    buf_free(&end);
}

static void call_run(struct rpc_call *call)
{
    struct err e = ERR_INIT;
    enum err_code code = call->method->run(call->service->arg, call, &e);
    if (code == ERR_OK && !buf_ok(&call->answer))
        code = err_set(&e, ERR_TOO_BIG, "the answer is too big for one message");
    if (code != ERR_OK && call->reply[0])
        send_failure(call, &e);
    else if (code == ERR_OK && !call->gone && flush_piece(call))
        send_end(call);
}

/* ---- the service ---------------------------------------------------------------------------- */

/* s->mu is held. */
static void call_unlink_locked(struct rpc_service *s, struct rpc_call *call)
{
    struct rpc_call **at = &s->calls;
    while (*at != call)
        at = &(*at)->next;
    *at = call->next;
}

/* s->mu is held. */
static void call_count_locked(struct rpc_call *call, int by)
{
    struct rpc_service *s = call->service;
    s->running[call->method - s->methods] += (unsigned)by;
    s->all_running += (unsigned)by;
}

static void *call_main(void *arg)
{
    struct rpc_call *call = arg;
    struct rpc_service *s = call->service;
    struct rpc_call counted = {.service = s, .method = call->method};
    call_run(call);
    pthread_mutex_lock(&s->mu);
    call_unlink_locked(s, call);
    pthread_mutex_unlock(&s->mu);
    call_free(call);
    pthread_mutex_lock(&s->mu);
    call_count_locked(&counted, -1);
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->mu);
    return NULL;
}

/* A thread of its own; false where that is not to be. */
static bool call_start(struct rpc_call *call, struct err *e)
{
    struct rpc_service *s = call->service;
    pthread_mutex_lock(&s->mu);
    bool may = s->running[call->method - s->methods] < call->method->at_once &&
               s->all_running < RPC_RUNNING_MAX && !atomic_load(&s->closing);
    if (may) {
        call_count_locked(call, 1);
        call->next = s->calls;
        s->calls = call;
    }
    pthread_mutex_unlock(&s->mu);
    if (!may) {
        err_set(e, ERR_BUSY, "this node answers %u other questions of that kind",
                call->method->at_once);
        return false;
    }
    int rc = stack_start(NULL, call_main, call);
    if (rc == 0)
        return true;
    pthread_mutex_lock(&s->mu);
    call_unlink_locked(s, call);
    call_count_locked(call, -1);
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->mu);
    err_set(e, ERR_NO_MEMORY, "cannot start a thread: %s", strerror(rc));
    return false;
}

/* "<prefix>.<method>.<target>" */
static const struct rpc_method *method_of(const struct rpc_service *s, const char *subject)
{
    const char *name = subject + strlen(s->prefix) + 1;
    size_t len = strcspn(name, ".");
    for (size_t i = 0; i < s->n_methods; i++)
        if (strlen(s->methods[i].name) == len && memcmp(s->methods[i].name, name, len) == 0)
            return &s->methods[i];
    return NULL;
}

static struct rpc_call *call_new(struct rpc_service *s, const struct rpc_method *method,
                                 natsMsg *msg)
{
    struct rpc_call *call = calloc(1, sizeof *call);
    size_t len = (size_t)natsMsg_GetDataLength(msg);
    if (!call)
        return NULL;
    call->service = s;
    call->method = method;
    call->nc = s->nc;
    call->len = len;
    call->body = malloc(len + 1);
    call->digest = sha256_new();
    buf_init(&call->answer, RPC_ANSWER_MAX);
    if (natsMsg_GetReply(msg))
        snprintf(call->reply, sizeof call->reply, "%s", natsMsg_GetReply(msg));
    call->gone = !call->reply[0]; /* told, not asked */
    if (!call->body || !call->digest) {
        call_free(call);
        return NULL;
    }
    if (len > 0)
        memcpy(call->body, natsMsg_GetData(msg), len);
    call->body[len] = '\0';
    return call;
}

static void on_question(natsConnection *nc, natsSubscription *sub, natsMsg *msg, void *arg)
{
    struct rpc_service *s = arg;
    const char *reply = natsMsg_GetReply(msg);
    const struct rpc_method *method = method_of(s, natsMsg_GetSubject(msg));
    struct rpc_call *call = NULL;
    struct err e = ERR_INIT;
    (void)nc;
    (void)sub;
    bool fits = reply ? strlen(reply) < RPC_REPLY_MAX : method && method->at_once == 0;
    if (fits && method && !atomic_load(&s->closing) &&
        (size_t)natsMsg_GetDataLength(msg) <= RPC_BODY_MAX)
        call = call_new(s, method, msg);
    natsMsg_Destroy(msg);
    if (!call)
        return;
    if (method->at_once == 0) {
        call_run(call);
        call_free(call);
    } else if (!call_start(call, &e)) {
        send_failure(call, &e);
        call_free(call);
    }
}

/* The subscription's last callback. */
static void on_complete(void *arg)
{
    struct rpc_service *s = arg;
    pthread_mutex_lock(&s->mu);
    s->open_subs--;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->mu);
}

/* Whoever asked learns that a method is still at it: a copy of a big file takes its time before
 * the first byte. */
static void *pulse_main(void *arg)
{
    struct rpc_service *s = arg;
    char reply[RPC_RUNNING_MAX][RPC_REPLY_MAX];
    struct buf frame = BUF_INIT;
    rpc_frame_begin(&frame, 'P', rpc_self(s->client), 0);
    pthread_mutex_lock(&s->mu);
    while (!atomic_load(&s->closing)) {
        unsigned n = 0;
        clock_cond_wait(&s->changed, &s->mu, clock_deadline(RPC_PULSE_NS));
        for (struct rpc_call *c = s->calls; c && n < RPC_RUNNING_MAX; c = c->next)
            memcpy(reply[n++], c->reply, RPC_REPLY_MAX);
        pthread_mutex_unlock(&s->mu);
        for (unsigned i = 0; i < n && buf_ok(&frame); i++)
            (void)natsConnection_Publish(s->nc, reply[i], frame.data, (int)frame.len);
        pthread_mutex_lock(&s->mu);
    }
    pthread_mutex_unlock(&s->mu);
    buf_free(&frame);
    return NULL;
}

static enum err_code subscribe(struct rpc_service *s, unsigned i, const char *target, struct err *e)
{
    char subject[RPC_SUBJECT];
    snprintf(subject, sizeof subject, "%s.*.%s", s->prefix, target);
    natsStatus st = natsConnection_Subscribe(&s->subs[i], s->nc, subject, on_question, s);
    if (st == NATS_OK) {
        pthread_mutex_lock(&s->mu);
        s->open_subs++;
        pthread_mutex_unlock(&s->mu);
        st = natsSubscription_SetOnCompleteCB(s->subs[i], on_complete, s);
        if (st != NATS_OK)
            on_complete(s);
    }
    return st == NATS_OK ? ERR_OK : nats_failure(st, 0, "cannot listen for other nodes", e);
}

enum err_code rpc_service_open(struct rpc_service **out, struct nats_client *c, const char *prefix,
                               const struct rpc_method *methods, size_t n, void *arg, struct err *e)
{
    *out = NULL;
    if (!nats_client_connection(c))
        return err_set(e, ERR_LOG_UNAVAILABLE, "NATS is not connected");
    struct rpc_service *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    s->client = c;
    s->nc = nats_client_connection(c);
    s->methods = methods;
    s->n_methods = n;
    s->arg = arg;
    snprintf(s->prefix, sizeof s->prefix, "%s", prefix);
    pthread_mutex_init(&s->mu, NULL);
    clock_cond_init(&s->changed);
    enum err_code code = subscribe(s, 0, "all", e);
    if (code == ERR_OK)
        code = subscribe(s, 1, rpc_self(c), e);
    if (code == ERR_OK) { /* a question that is asked from now on is heard */
        (void)natsConnection_FlushTimeout(s->nc, RPC_FLUSH_MS);
        s->has_pulse = pthread_create(&s->pulse, NULL, pulse_main, s) == 0;
        if (!s->has_pulse)
            code = err_set(e, ERR_NO_MEMORY, "cannot start a thread");
    }
    if (code != ERR_OK) {
        rpc_service_close(s);
        return code;
    }
    *out = s;
    return ERR_OK;
}

bool rpc_service_is_lost(const struct rpc_service *s)
{
    return s->nc != nats_client_connection(s->client);
}

void rpc_service_close(struct rpc_service *s)
{
    if (!s)
        return;
    pthread_mutex_lock(&s->mu);
    atomic_store(&s->closing, true);
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->mu);
    for (unsigned i = 0; i < 2; i++) /* its last callback may still come: on_complete() */
        nats_client_retire(s->client, s->subs[i]);
    int64_t until = clock_deadline(RPC_CLOSE_NS);
    bool in_time = true;
    pthread_mutex_lock(&s->mu);
    while (s->open_subs > 0 && in_time)
        in_time = clock_cond_wait(&s->changed, &s->mu, until);
    while (s->all_running > 0) /* its threads use what is about to be closed */
        clock_cond_wait(&s->changed, &s->mu, CLOCK_EVER);
    pthread_mutex_unlock(&s->mu);
    if (s->has_pulse)
        pthread_join(s->pulse, NULL);
    if (!in_time) {
        LOG_WARN("a subscription does not end; its memory is left to it");
        return;
    }
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->mu);
    free(s);
}
