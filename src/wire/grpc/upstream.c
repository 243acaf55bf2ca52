/*
 * One write, at a follower:
 *
 *     who leads? ── this node ──► back to the executor
 *      │      ▲
 *      │      └── refused, and there is time (LEADER_WAIT_NS, the deadline): nothing was begun
 *      ▼          there, for there is no connection, or the leader stops
 *     order ── answer ──► done
 *        └──── connection lost ──► UNKNOWN_OUTCOME, never a second time
 *
 * BEGIN changes nothing, so one that was lost is sent again. A transaction is lost with its
 * connection: the leader rolls it back, and the client is told to run it again, unless it was
 * lost during COMMIT.
 */
#include "wire/grpc/upstream.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "core/leader.h"
#include "core/node.h"
#include "core/order.h"
#include "proto/pbwire.h"
#include "wire/grpc/client.h"
#include "wire/tls.h"

#define LEADER_PATH  "/ha.v1.Leader/Run"
#define CLIENTS_MAX  16u               /* connections, where one is full */
#define LOOK_NS      (50 * CLOCK_MS)   /* between two looks whether the client still waits */
#define RETRY_NS     (50 * CLOCK_MS)   /* between two tries with the same leader */
#define CANCEL_NS    (5 * CLOCK_S)     /* for the answer of what was canceled */
#define ANSWER_BYTES ((size_t)1 << 20) /* of an answer, beside its recording */
#define LEARNED_MAX  (ORDER_SETTINGS_MAX / 2)

struct grpc_upstream {
    /* immutable */
    struct node *node;
    char *token;
    SSL_CTX *tls;     /* NULL = none */
    size_t max_bytes; /* of an answer */
    /* guarded by mu */
    pthread_mutex_t mu;
    char address[LEASE_NAME_SIZE];
    struct grpc_client *clients[CLIENTS_MAX]; /* to that address; NULL = none */
    struct order_wanted learned;              /* settings that statements have asked for lately */
};

/* A transaction at the leader. */
struct away {
    struct grpc_upstream *up;
    struct grpc_talk *talk;
    struct order_wanted wanted;
    bool broken; /* nothing more is to be expected of it */
};

/* ---- connections ---- */

static void drop_clients(struct grpc_client *old[CLIENTS_MAX])
{
    for (unsigned i = 0; i < CLIENTS_MAX; i++)
        grpc_client_unref(old[i]);
}

/* One that takes another talk: the first that is alive and has room, else the last one. */
static struct grpc_client *choose_locked(struct grpc_upstream *u, struct grpc_client **dead,
                                         struct err *e)
{
    for (unsigned i = 0; i < CLIENTS_MAX; i++) {
        struct grpc_client **c = &u->clients[i];
        if (*c && !grpc_client_is_alive(*c)) {
            dead[i] = *c;
            *c = NULL;
        }
        if (!*c && grpc_client_open(c, u->address, u->token, u->tls, u->max_bytes, e) != ERR_OK)
            return NULL;
        if (grpc_client_has_room(*c) || i + 1 == CLIENTS_MAX)
            return grpc_client_ref(*c);
    }
    return NULL;
}

static struct grpc_client *client_to(struct grpc_upstream *u, const char *address, struct err *e)
{
    struct grpc_client *old[CLIENTS_MAX] = {NULL}, *dead[CLIENTS_MAX] = {NULL};
    pthread_mutex_lock(&u->mu);
    if (strcmp(u->address, address) != 0) {
        memcpy(old, u->clients, sizeof old);
        memset(u->clients, 0, sizeof u->clients);
        snprintf(u->address, sizeof u->address, "%s", address);
    }
    struct grpc_client *c = choose_locked(u, dead, e);
    pthread_mutex_unlock(&u->mu);
    drop_clients(old);
    drop_clients(dead);
    return c;
}

/* ---- one order and its answer ---- */

enum fate {
    FATE_ANSWERED,
    FATE_REFUSED, /* nothing was begun, and `e` says why: somebody else may be asked, or it again */
    FATE_FAILED,  /* nothing was begun, and nothing will be */
    FATE_LOST     /* it is not known what has become of it */
};

/* The call has ended without an answer. */
static enum fate fate_of_status(struct err *e)
{
    switch (e->code) {
    case ERR_SHUTDOWN:
    case ERR_TOO_MANY:
        return FATE_REFUSED;
    case ERR_AUTH: /* of this node, not of its client */
    case ERR_METHOD:
    case ERR_UNSUPPORTED:
    case ERR_FORMAT:
    case ERR_PROTOCOL:
        err_set(e, ERR_NO_LEADER, "%s", e->msg);
        return FATE_FAILED;
    case ERR_TOO_BIG:
        return FATE_FAILED;
    default:
        if (e->code == ERR_OK)
            err_set(e, ERR_INTERNAL, "the leader has ended the call without an answer");
        return FATE_LOST;
    }
}

/* False: it is not on its way, for there is no memory. */
static bool send_order(struct grpc_talk *t, const struct buf *order)
{
    struct buf message = BUF_INIT;
    pb_bytes(&message, 1, order->data, order->len);
    bool ok = buf_ok(order) && buf_ok(&message) && message.len <= UINT32_MAX;
    if (ok)
        grpc_talk_send(t, message.data, message.len);
    buf_free(&message);
    return ok;
}

static void put_cancel(struct grpc_talk *t, const struct upstream_call *c)
{
    struct buf order = BUF_INIT;
    const struct upstream_call nothing = {.database = c->database, .deadline_ns = CLOCK_EVER};
    order_put(&order, ORDER_CANCEL, &nothing, 0, 0, NULL);
    (void)send_order(t, &order);
    buf_free(&order);
}

/* Waits for the answer; where nobody waits for it here any more the leader is told, and says what
 * has come of it all the same. */
static enum fate await(struct grpc_talk *t, const struct upstream_call *c,
                       struct order_answer *answer, struct err *e)
{
    int64_t give_up = CLOCK_EVER;
    for (;;) {
        const char *bytes = NULL;
        size_t len = 0;
        struct err why = ERR_INIT;
        switch (grpc_talk_wait(t, clock_deadline(LOOK_NS), &bytes, &len, e)) {
        case GRPC_WORD_MESSAGE:
            if (pb_content(&bytes, &len) && order_get_answer(answer, bytes, len))
                return FATE_ANSWERED;
            err_set(e, ERR_FORMAT, "the leader's answer cannot be read");
            return FATE_LOST;
        case GRPC_WORD_END:
            return fate_of_status(e);
        case GRPC_WORD_REFUSED:
            return FATE_REFUSED;
        case GRPC_WORD_LOST:
            return FATE_LOST;
        case GRPC_WORD_NONE:
            break;
        }
        if (give_up == CLOCK_EVER && upstream_check(c, &why) != ERR_OK) {
            put_cancel(t, c);
            give_up = clock_deadline(CANCEL_NS);
        }
        if (clock_mono_ns() >= give_up) {
            (void)upstream_check(c, e);
            return FATE_LOST;
        }
    }
}

static enum fate ask(struct grpc_talk *t, enum order_what what, const struct upstream_call *c,
                     uint64_t base, size_t limit, const struct order_wanted *settings,
                     struct order_answer *answer, struct err *e)
{
    struct buf order = BUF_INIT;
    order_put(&order, what, c, base, limit, settings);
    bool sent = send_order(t, &order);
    buf_free(&order);
    if (!sent) {
        err_set(e, ERR_NO_MEMORY, "no memory for a call to the leader");
        return FATE_FAILED;
    }
    return await(t, c, answer, e);
}

/* Takes what came of it into the call; the leader's error, or ERR_OK. */
static enum err_code take(struct upstream_call *c, const struct order_answer *a,
                          struct recorder *results, struct err *e)
{
    c->failed = a->result.failed;
    c->seq = a->seq;
    if (a->result.err.code != ERR_OK) {
        *e = a->result.err;
        return e->code;
    }
    c->last_rowid = a->result.last_rowid;
    if (results && !recorder_load(results, a->result.recording, a->result.len))
        return err_set(e, buf_ok(&results->bytes) ? ERR_FORMAT : ERR_TOO_BIG,
                       "the leader has run it, but its result cannot be taken");
    return ERR_OK;
}

/* ---- finding the leader ---- */

/* A talk with it. FATE_REFUSED: not now; an earlier reason in `e` is better than "not yet". */
static enum fate talk_to(struct grpc_upstream *u, const struct leader_view *v,
                         const struct upstream_call *c, int64_t give_up_ns, struct grpc_talk **out,
                         struct err *e)
{
    struct grpc_client *client = client_to(u, v->address, e);
    if (!client)
        return FATE_FAILED;
    enum err_code code = ERR_LOG_UNAVAILABLE;
    for (bool again = true; again;) {
        struct err why = ERR_INIT, ignored = ERR_INIT;
        code = grpc_talk_open(out, client, LEADER_PATH, clock_deadline(LOOK_NS), &why);
        bool alive = grpc_client_is_alive(client);
        if (code != ERR_OK && (!alive || e->code == ERR_OK))
            *e = why;
        again = code == ERR_LOG_UNAVAILABLE && alive && clock_mono_ns() < give_up_ns &&
                upstream_check(c, &ignored) == ERR_OK;
    }
    grpc_client_unref(client);
    return code == ERR_OK ? FATE_ANSWERED : code == ERR_NO_MEMORY ? FATE_FAILED : FATE_REFUSED;
}

/* Waits until there is one. */
static enum err_code find(struct grpc_upstream *u, const struct upstream_call *c,
                          int64_t give_up_ns, struct leader_view *v, struct err *e)
{
    for (;;) {
        int64_t until = clock_deadline(LOOK_NS);
        if (leader_wait(u->node, 0, until < give_up_ns ? until : give_up_ns, v))
            return ERR_OK;
        if (upstream_check(c, e) != ERR_OK)
            return e->code;
        if (clock_mono_ns() >= give_up_ns)
            return err_set(e, ERR_NO_LEADER, "there is no leader that takes the write");
    }
}

/* After a refusal: another leader's turn, or the same one's again. */
static void pause_for(struct grpc_upstream *u, const struct leader_view *v)
{
    struct leader_view other;
    if (v->is_static)
        clock_nap(RETRY_NS);
    else
        (void)leader_wait(u->node, v->since, clock_deadline(RETRY_NS), &other);
}

static void recognize(struct grpc_upstream *u, const struct leader_view *v)
{
    char name[GRPC_CLIENT_NAME_SIZE] = "";
    if (!v->is_static)
        return;
    pthread_mutex_lock(&u->mu);
    if (u->clients[0])
        grpc_client_node(u->clients[0], name, sizeof name);
    pthread_mutex_unlock(&u->mu);
    if (name[0])
        leader_recognize(u->node, name);
}

/* Settings that were asked for lately are sent along with every order, for whoever asks once asks
 * again. */
static void recall(struct grpc_upstream *u, struct order_wanted *known)
{
    pthread_mutex_lock(&u->mu);
    *known = u->learned;
    pthread_mutex_unlock(&u->mu);
}

static void learn(struct grpc_upstream *u, const char *name)
{
    struct order_wanted *l = &u->learned;
    pthread_mutex_lock(&u->mu);
    if (l->n == LEARNED_MAX)
        memmove(l->names[0], l->names[1], --l->n * sizeof l->names[0]);
    (void)order_want(l, name);
    pthread_mutex_unlock(&u->mu);
}

/* What a conversation begins with. */
struct opening {
    enum order_what what;
    struct upstream_call *call;
    uint64_t base;
    size_t limit;
    struct order_wanted wanted;
    struct grpc_talk *talk; /* open behind FATE_ANSWERED, unless this node is the leader */
    struct order_answer answer;
};

/* One try with the leader that `v` names; where it fails there is no talk. */
static enum fate try_with(struct grpc_upstream *u, struct opening *o, const struct leader_view *v,
                          int64_t give_up_ns, struct err *e)
{
    struct err ignored = ERR_INIT;
    enum fate fate = talk_to(u, v, o->call, give_up_ns, &o->talk, e);
    if (fate == FATE_ANSWERED)
        fate = ask(o->talk, o->what, o->call, o->base, o->limit, &o->wanted, &o->answer, e);
    if (fate == FATE_LOST && o->what == ORDER_BEGIN && upstream_check(o->call, &ignored) == ERR_OK)
        fate = FATE_REFUSED; /* whatever has begun there ends with the connection */
    enum err_code code = fate == FATE_ANSWERED ? o->answer.result.err.code : ERR_OK;
    /* It stops; or a database was created a moment ago, and has not come to the leader yet. */
    if (code == ERR_SHUTDOWN || code == ERR_NO_DATABASE) {
        *e = o->answer.result.err;
        fate = FATE_REFUSED;
    }
    if (fate != FATE_ANSWERED) {
        grpc_talk_close(o->talk, true);
        o->talk = NULL;
    }
    return fate;
}

/* The statement has been undone because only its own node knows a setting: may it be sent again,
 * with it? */
static bool lacks_more(struct grpc_upstream *u, struct order_wanted *known,
                       const struct order_answer *a)
{
    if (!a->lacks || !order_want(known, a->lacks))
        return false;
    learn(u, a->lacks);
    return true;
}

/* Sends the order to whoever leads, until somebody has begun with it. */
static enum fate begin_with(struct grpc_upstream *u, struct opening *o, struct err *e)
{
    struct leader_view v;
    leader_look(u->node, &v);
    int64_t give_up = clock_deadline(v.is_static ? LEADER_STATIC_WAIT_NS : LEADER_WAIT_NS);
    struct err why = ERR_INIT;
    recall(u, &o->wanted);
    for (;;) {
        if (upstream_check(o->call, e) != ERR_OK || find(u, o->call, give_up, &v, e) != ERR_OK)
            return FATE_FAILED;
        o->call->here = v.mine;
        if (v.mine)
            return FATE_ANSWERED;
        enum fate fate = try_with(u, o, &v, give_up, &why);
        if (fate == FATE_ANSWERED) {
            recognize(u, &v);
            if (!lacks_more(u, &o->wanted, &o->answer))
                return FATE_ANSWERED;
            grpc_talk_close(o->talk, false);
            o->talk = NULL;
            continue;
        }
        if (fate != FATE_REFUSED) {
            *e = why;
            return fate;
        }
        if (clock_mono_ns() >= give_up) {
            err_set(e, ERR_NO_LEADER, "the leader does not take the write: %s", why.msg);
            return FATE_FAILED;
        }
        pause_for(u, &v);
    }
}

static enum err_code unknown(struct err *e)
{
    char text[ERR_MSG_SIZE];
    snprintf(text, sizeof text, "%s", e->msg);
    return err_set(e, ERR_UNKNOWN_OUTCOME,
                   "the leader was asked and has not answered; whether the write is committed will "
                   "be seen in the data: %s",
                   text);
}

/* ---- the table ---- */

static bool is_away(void *arg, const char *database)
{
    struct grpc_upstream *u = arg;
    (void)database;
    return leader_is_away(u->node);
}

static enum err_code do_write(void *arg, struct upstream_call *c, struct recorder *results,
                              struct err *e)
{
    struct opening o = {
        .what = ORDER_WRITE, .call = c, .base = UPSTREAM_ANY, .limit = results->bytes.limit};
    enum err_code code = ERR_OK;
    switch (begin_with(arg, &o, e)) {
    case FATE_ANSWERED:
        code = c->here ? ERR_OK : take(c, &o.answer, results, e);
        break;
    case FATE_LOST:
        code = unknown(e);
        break;
    case FATE_REFUSED:
    case FATE_FAILED:
        code = e->code;
        break;
    }
    grpc_talk_close(o.talk, false);
    return code;
}

static enum err_code do_begin(void *arg, struct upstream_call *c, uint64_t base, void **tx,
                              struct err *e)
{
    struct opening o = {.what = ORDER_BEGIN, .call = c, .base = base};
    struct away *x = calloc(1, sizeof *x);
    *tx = NULL;
    if (!x)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    enum fate fate = begin_with(arg, &o, e);
    enum err_code code = e->code;
    if (fate == FATE_LOST && upstream_check(c, e) == ERR_OK) /* the leader rolls it back */
        code = err_set(e, ERR_LOG_UNAVAILABLE, "the leader has not begun the transaction");
    else if (fate == FATE_LOST)
        code = e->code;
    else if (fate == FATE_ANSWERED)
        code = c->here ? ERR_OK : take(c, &o.answer, NULL, e);
    if (code == ERR_OK && !c->here) {
        *x = (struct away){.up = arg, .talk = o.talk, .wanted = o.wanted};
        *tx = x;
        return ERR_OK;
    }
    grpc_talk_close(o.talk, false);
    free(x);
    return code;
}

/* A statement of the transaction, or a look at one. */
static enum err_code step(struct away *x, enum order_what what, struct upstream_call *c,
                          struct recorder *results, struct order_answer *a, struct err *e)
{
    enum fate fate = FATE_LOST;
    if (!x->broken)
        do
            fate = ask(x->talk, what, c, UPSTREAM_ANY, results->bytes.limit, &x->wanted, a, e);
        while (fate == FATE_ANSWERED && lacks_more(x->up, &x->wanted, a));
    if (fate == FATE_ANSWERED) {
        c->ended = !a->open;
        return take(c, a, results, e);
    }
    x->broken = c->ended = true;
    struct err why = ERR_INIT;
    if (upstream_check(c, &why) != ERR_OK) {
        *e = why;
        return e->code;
    }
    if (fate == FATE_FAILED)
        return e->code;
    return err_set(e, ERR_CONFLICT,
                   "the connection to the leader was lost, and the transaction with it; run it "
                   "again");
}

static enum err_code do_run(void *tx, struct upstream_call *c, struct recorder *results,
                            struct err *e)
{
    struct order_answer a;
    return step(tx, ORDER_RUN, c, results, &a, e);
}

static enum err_code do_describe(void *tx, struct upstream_call *c, struct sink *columns,
                                 struct session_shape *shape, struct err *e)
{
    struct order_answer a;
    struct recorder r;
    recorder_init(&r, ANSWER_BYTES);
    enum err_code code = step(tx, ORDER_DESCRIBE, c, &r, &a, e);
    if (code == ERR_OK) {
        *shape = a.shape;
        (void)recorder_replay(&r, columns);
    }
    recorder_free(&r);
    return code;
}

static enum err_code do_commit(void *tx, struct upstream_call *c, struct err *e)
{
    struct away *x = tx;
    struct order_answer a;
    enum fate fate = FATE_FAILED;
    c->ended = true;
    if (x->broken)
        return err_set(e, ERR_CONFLICT, "the transaction was lost; run it again");
    fate = ask(x->talk, ORDER_COMMIT, c, UPSTREAM_ANY, 0, NULL, &a, e);
    if (fate == FATE_ANSWERED) {
        c->ended = !a.open;
        return take(c, &a, NULL, e);
    }
    x->broken = true;
    return unknown(e);
}

static void do_close(void *tx)
{
    struct away *x = tx;
    grpc_talk_close(x->talk, x->broken);
    free(x);
}

const struct upstream_ops grpc_upstream_ops = {.name = "leader",
                                               .away = is_away,
                                               .write = do_write,
                                               .begin = do_begin,
                                               .run = do_run,
                                               .describe = do_describe,
                                               .commit = do_commit,
                                               .close = do_close};

/* ---- its life ---- */

enum err_code grpc_upstream_new(struct grpc_upstream **out, struct node *n, const char *token,
                                bool insecure, struct err *e)
{
    *out = NULL;
    struct grpc_upstream *u = calloc(1, sizeof *u);
    if (u)
        u->token = strdup(token ? token : "");
    if (!u || !u->token) {
        free(u);
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    }
    if (!insecure && tls_client(&u->tls, "h2", e) != ERR_OK) {
        free(u->token);
        free(u);
        return e->code;
    }
    u->node = n;
    size_t most = node_options(n)->max_result_bytes;
    u->max_bytes = most > 0 && most < INT32_MAX - ANSWER_BYTES ? most + ANSWER_BYTES : INT32_MAX;
    pthread_mutex_init(&u->mu, NULL);
    *out = u;
    return ERR_OK;
}

void grpc_upstream_free(struct grpc_upstream *u)
{
    if (!u)
        return;
    drop_clients(u->clients);
    pthread_mutex_destroy(&u->mu);
    SSL_CTX_free(u->tls);
    free(u->token);
    free(u);
}
