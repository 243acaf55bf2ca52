/* Asking other nodes; see rpc.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/sha256.h"
#include "nats/inbox.h"
#include "nats/internal.h"
#include "nats/rpc.h"
#include "nats/rpc_frame.h"

#define ASK_LOOK_MS    200
#define ASK_SILENCE_NS (15 * CLOCK_S) /* signs of life come every second */
#define ASK_SUBJECT    320
#define ASK_ACK_EVERY  4u /* pieces */

/* A question that was asked, and the inbox that its answers come to. */
struct asked {
    struct nats_client *client;
    natsConnection *nc;
    natsInbox *inbox;
    natsSubscription *sub;
};

static void asked_close(struct asked *a)
{
    nats_client_retire(a->client, a->sub);
    natsInbox_Destroy(a->inbox);
}

/* Where it goes; ERR_OK: it can be sent. */
static enum err_code address(struct nats_client *c, const struct rpc_question *q,
                             char subject[ASK_SUBJECT], struct err *e)
{
    if (!nats_client_connection(c) || !nats_client_connected(c))
        return err_set(e, ERR_LOG_UNAVAILABLE, "NATS is not connected");
    if (q->len > RPC_BODY_MAX)
        return err_set(e, ERR_TOO_BIG, "a question to other nodes is too long");
    snprintf(subject, ASK_SUBJECT, "%s.%s.%s", q->prefix, q->method, q->target ? q->target : "all");
    return ERR_OK;
}

static enum err_code asked_open(struct asked *a, struct nats_client *c,
                                const struct rpc_question *q, struct err *e)
{
    char subject[ASK_SUBJECT];
    *a = (struct asked){.client = c, .nc = nats_client_connection(c)};
    if (address(c, q, subject, e) != ERR_OK)
        return e->code;
    natsStatus s = natsInbox_Create(&a->inbox);
    if (s == NATS_OK)
        s = natsConnection_SubscribeSync(&a->sub, a->nc, (const char *)a->inbox);
    if (s == NATS_OK)
        s = natsConnection_PublishRequest(a->nc, subject, (const char *)a->inbox, q->body,
                                          (int)q->len);
    if (s == NATS_OK)
        return ERR_OK;
    asked_close(a);
    return nats_failure(s, 0, "cannot ask other nodes", e);
}

/* *got = false at the deadline or when nobody is there (*nobody). The frame is borrowed from the
 * message, which the caller destroys. */
static enum err_code asked_next(struct asked *a, int64_t deadline_ns, struct rpc_frame *f,
                                natsMsg **msg, bool *got, bool *nobody, struct err *e)
{
    *got = *nobody = false;
    for (;;) {
        int64_t left_ms = (deadline_ns - clock_mono_ns()) / CLOCK_MS;
        if (left_ms <= 0)
            return ERR_OK;
        natsStatus s =
            natsSubscription_NextMsg(msg, a->sub, left_ms < ASK_LOOK_MS ? left_ms : ASK_LOOK_MS);
        if (s == NATS_TIMEOUT)
            return ERR_OK;
        if (s == NATS_NO_RESPONDERS) {
            *nobody = true;
            return ERR_OK;
        }
        if (s != NATS_OK)
            return nats_failure(s, 0, "cannot hear other nodes", e);
        if (rpc_frame_parse(natsMsg_GetData(*msg), (size_t)natsMsg_GetDataLength(*msg), f)) {
            *got = true;
            return ERR_OK;
        }
        natsMsg_Destroy(*msg);
    }
}

/* "CODE message" */
static void failure_of(const struct rpc_frame *f, struct err *e)
{
    const char *blank = memchr(f->data, ' ', f->len);
    size_t name = blank ? (size_t)(blank - f->data) : f->len;
    enum err_code code = err_of_name(f->data, name);
    err_set(e, code == ERR_OK ? ERR_INTERNAL : code, "%.*s", blank ? (int)(f->len - name - 1) : 0,
            blank ? blank + 1 : "");
}

/* ---- small texts ---------------------------------------------------------------------------- */

enum err_code rpc_ask(struct nats_client *c, const struct rpc_question *q, int64_t deadline_ns,
                      bool (*answer)(void *arg, const struct rpc_answer *a), void *arg,
                      struct err *e)
{
    struct asked asked;
    bool more = true;
    enum err_code code = asked_open(&asked, c, q, e);
    if (code != ERR_OK)
        return code;
    while (code == ERR_OK && more && clock_mono_ns() < deadline_ns) {
        struct rpc_frame f;
        natsMsg *msg = NULL;
        bool got = false, nobody = false;
        code = asked_next(&asked, deadline_ns, &f, &msg, &got, &nobody, e);
        if (nobody)
            break;
        if (code != ERR_OK || !got)
            continue;
        struct rpc_answer a = {.err = ERR_INIT};
        memcpy(a.node, f.node, sizeof a.node);
        if (f.type == 'X')
            failure_of(&f, &a.err);
        if (f.type == 'E' && f.len >= SHA256_SIZE) {
            a.data = f.data + SHA256_SIZE;
            a.len = f.len - SHA256_SIZE;
        }
        if (f.type == 'X' || a.data)
            more = answer(arg, &a) && !q->target;
        natsMsg_Destroy(msg);
    }
    asked_close(&asked);
    return code;
}

enum err_code rpc_tell(struct nats_client *c, const struct rpc_question *q, struct err *e)
{
    char subject[ASK_SUBJECT];
    if (address(c, q, subject, e) != ERR_OK)
        return e->code;
    natsStatus s = natsConnection_Publish(nats_client_connection(c), subject, q->body, (int)q->len);
    return s == NATS_OK ? ERR_OK : nats_failure(s, 0, "cannot tell other nodes", e);
}

/* ---- one small text -------------------------------------------------------------------------- */

struct rpc_pending {
    struct nats_client *client;
    natsConnection *nc;
    struct inbox *inbox;
};

enum err_code rpc_send(struct rpc_pending **out, struct nats_client *c,
                       const struct rpc_question *q, struct err *e)
{
    char subject[ASK_SUBJECT];
    *out = NULL;
    if (address(c, q, subject, e) != ERR_OK)
        return e->code;
    struct rpc_pending *p = calloc(1, sizeof *p);
    if (!p)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    p->client = c;
    p->nc = nats_client_connection(c);
    natsStatus s = inbox_take(nats_client_inboxes(c), p->nc, &p->inbox);
    if (s == NATS_OK)
        s = natsConnection_PublishRequest(p->nc, subject, inbox_subject(p->inbox), q->body,
                                          (int)q->len);
    if (s == NATS_OK) {
        *out = p;
        return ERR_OK;
    }
    rpc_forget(p);
    return nats_failure(s, 0, "cannot ask another node", e);
}

/* False: a sign of life, no answer. */
static bool receive_frame(const struct rpc_frame *f, struct buf *answer, struct err *e)
{
    if (f->type == 'X')
        failure_of(f, e);
    else if (f->type == 'E' && f->len >= SHA256_SIZE)
        buf_put(answer, f->data + SHA256_SIZE, f->len - SHA256_SIZE);
    else
        return false;
    if (!buf_ok(answer))
        err_set(e, ERR_NO_MEMORY, "out of memory");
    return true;
}

enum err_code rpc_receive(struct rpc_pending *p, int64_t deadline_ns, struct buf *answer, bool *got,
                          struct err *e)
{
    *got = false;
    while (!*got) {
        natsMsg *msg = NULL;
        struct rpc_frame f;
        int64_t left_ms = (deadline_ns - clock_mono_ns()) / CLOCK_MS;
        natsStatus s = inbox_ask(p->inbox, p->nc, NULL, left_ms > 0 ? left_ms : 0, &msg);
        if (s == NATS_TIMEOUT)
            return ERR_OK;
        if (s == NATS_NO_RESPONDERS)
            return err_set(e, ERR_NOT_FOUND, "the other node is not there");
        if (s != NATS_OK)
            return err_set(e, ERR_LOG_UNAVAILABLE, "cannot hear another node: %s",
                           natsStatus_GetText(s));
        if (rpc_frame_parse(natsMsg_GetData(msg), (size_t)natsMsg_GetDataLength(msg), &f))
            *got = receive_frame(&f, answer, e);
        natsMsg_Destroy(msg);
    }
    return e->code;
}

void rpc_forget(struct rpc_pending *p)
{
    if (!p)
        return;
    inbox_give(nats_client_inboxes(p->client), p->inbox);
    free(p);
}

/* ---- streams -------------------------------------------------------------------------------- */

struct fetch {
    const struct rpc_reader *reader;
    struct sha256 *digest;
    struct buf *answer;
    uint64_t pieces, bytes;
    bool ended;
};

static enum err_code take_piece(struct fetch *t, struct asked *a, const struct rpc_frame *f,
                                const char *reply, struct err *e)
{
    if (f->number != t->pieces)
        return err_set(e, ERR_LOG_UNAVAILABLE, "a piece of the stream was lost on the way");
    t->pieces++;
    t->bytes += f->len;
    sha256_add(t->digest, f->data, f->len);
    if (!t->reader->write(t->reader->arg, f->data, f->len))
        return err_set(e, ERR_INTERRUPTED, "the transfer was canceled");
    if (reply && t->pieces % ASK_ACK_EVERY == 0) {
        struct buf ack = BUF_INIT;
        buf_be64(&ack, t->pieces);
        if (buf_ok(&ack))
            (void)natsConnection_Publish(a->nc, reply, ack.data, (int)ack.len);
        buf_free(&ack);
    }
    return ERR_OK;
}

static enum err_code take_end(struct fetch *t, const struct rpc_frame *f, struct err *e)
{
    unsigned char digest[SHA256_SIZE];
    sha256_end(t->digest, digest);
    t->ended = true;
    if (f->number != t->bytes)
        return err_set(e, ERR_LOG_UNAVAILABLE, "the stream's last piece was lost on the way");
    if (f->len < SHA256_SIZE || memcmp(f->data, digest, SHA256_SIZE) != 0)
        return err_set(e, ERR_CORRUPT, "the stream's digest is not that of its bytes");
    if (t->answer)
        buf_put(t->answer, f->data + SHA256_SIZE, f->len - SHA256_SIZE);
    return ERR_OK;
}

static enum err_code take(struct fetch *t, struct asked *a, const struct rpc_frame *f,
                          const char *reply, struct err *e)
{
    switch (f->type) {
    case 'S':
        if (t->reader->size)
            t->reader->size(t->reader->arg, f->number);
        return ERR_OK;
    case 'D':
        return take_piece(t, a, f, reply, e);
    case 'E':
        return take_end(t, f, e);
    case 'X':
        failure_of(f, e);
        return e->code;
    default:
        return ERR_OK;
    }
}

enum err_code rpc_fetch(struct nats_client *c, const struct rpc_question *q,
                        const struct rpc_reader *reader, struct buf *answer, struct err *e)
{
    struct asked asked;
    struct fetch t = {.reader = reader, .answer = answer, .digest = sha256_new()};
    int64_t silent = clock_deadline(ASK_SILENCE_NS);
    if (!t.digest)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    enum err_code code = asked_open(&asked, c, q, e);
    bool open = code == ERR_OK;
    while (code == ERR_OK && !t.ended) {
        struct rpc_frame f;
        natsMsg *msg = NULL;
        bool got = false, nobody = false;
        code = asked_next(&asked, silent, &f, &msg, &got, &nobody, e);
        if (code != ERR_OK)
            break;
        if (got) {
            code = take(&t, &asked, &f, natsMsg_GetReply(msg), e);
            natsMsg_Destroy(msg);
            silent = clock_deadline(ASK_SILENCE_NS);
        } else if (nobody) {
            code = err_set(e, ERR_LOG_UNAVAILABLE, "the other node is not there");
        } else if (clock_mono_ns() >= silent) {
            code = err_set(e, ERR_LOG_UNAVAILABLE, "the other node has become silent");
        }
        if (code == ERR_OK && reader->cancel && atomic_load(reader->cancel))
            code = err_set(e, ERR_INTERRUPTED, "the transfer was canceled");
    }
    if (open)
        asked_close(&asked);
    sha256_free(t.digest);
    return code;
}
