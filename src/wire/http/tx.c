/*
 * Transactions that span requests: a session with an open transaction, found again by an
 * unguessable name. The core rolls back what idles longer than --tx-idle-timeout; the entry here
 * outlives that for a while, so that the client hears what happened (TX_IDLE) instead of "not
 * found".
 *
 *     POST /transactions ──▶ open ⇄ in use (a request with HA-Transaction)
 *                              └──▶ commit, rollback, SQL that ends it, sweep ──▶ closed
 */
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/json.h"
#include "wire/http/exchange.h"

#define GRACE_NS    (60 * CLOCK_S)   /* an entry is kept beyond the idle limit */
#define NO_LIMIT_NS (3600 * CLOCK_S) /* where the core has no idle limit */

struct http_tx {
    struct http_tx *next; /* guarded by server->mu */
    char token[HTTP_TOKEN_SIZE];
    struct session *session; /* of whoever has in_use */
    atomic_int fd;           /* connection that is using it, -1 = none */
    bool in_use;             /* guarded by server->mu */
    int64_t last_used;       /* guarded by server->mu; monotonic */
};

/* ---- the table ---- */

static bool token_make(char out[HTTP_TOKEN_SIZE])
{
    unsigned char bytes[(HTTP_TOKEN_SIZE - 1) / 2];

    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        return false;
    hex_encode(bytes, sizeof bytes, out);
    out[HTTP_TOKEN_SIZE - 1] = '\0';
    return true;
}

static bool gone(void *arg)
{
    struct http_tx *t = arg;

    return http_client_gone(atomic_load(&t->fd));
}

static void tx_free(struct http_tx *t)
{
    if (!t)
        return;
    session_close(t->session);
    free(t);
}

/* server->mu is held. */
static struct http_tx *find_locked(struct http_server *s, const char *token)
{
    if (strlen(token) != HTTP_TOKEN_SIZE - 1)
        return NULL;
    for (struct http_tx *t = s->txs; t; t = t->next)
        if (CRYPTO_memcmp(t->token, token, HTTP_TOKEN_SIZE) == 0)
            return t;
    return NULL;
}

/* server->mu is held. */
static void unlink_locked(struct http_server *s, struct http_tx *t)
{
    struct http_tx **p = &s->txs;

    while (*p != t)
        p = &(*p)->next;
    *p = t->next;
    s->n_txs--;
}

enum err_code http_tx_take(struct exchange *x, const char *token, struct http_tx **out,
                           struct err *e)
{
    struct http_server *s = x->server;
    struct http_tx *t;
    enum err_code code = ERR_OK;

    pthread_mutex_lock(&s->mu);
    t = find_locked(s, token);
    if (!t)
        code = err_set(e, ERR_NOT_FOUND, "there is no such transaction (any more)");
    else if (t->in_use)
        code = err_set(e, ERR_BUSY, "another request is running in this transaction");
    else
        t->in_use = true;
    pthread_mutex_unlock(&s->mu);
    if (code != ERR_OK || !t)
        return code;
    atomic_store(&t->fd, x->fd);
    http_exchange_session(x, t->session);
    *out = t;
    return ERR_OK;
}

struct session *http_tx_session(struct http_tx *t)
{
    return t->session;
}

void http_tx_give(struct exchange *x, struct http_tx *t, bool over)
{
    struct http_server *s = x->server;

    http_exchange_session(x, NULL);
    atomic_store(&t->fd, -1);
    /* SQL may have ended it, and so may the core. */
    over = over || session_state(t->session) == SESSION_IDLE;
    pthread_mutex_lock(&s->mu);
    t->in_use = false;
    t->last_used = clock_mono_ns();
    if (over)
        unlink_locked(s, t);
    pthread_mutex_unlock(&s->mu);
    if (over)
        tx_free(t);
}

unsigned http_tx_sweep(struct http_server *s, bool all)
{
    int64_t limit = node_options(s->node)->tx_idle_timeout_ns;
    int64_t now = clock_mono_ns();
    struct http_tx *old = NULL;
    struct http_tx **p;
    unsigned left;

    limit = limit > 0 && limit < INT64_MAX - GRACE_NS ? limit + GRACE_NS : NO_LIMIT_NS;
    pthread_mutex_lock(&s->mu);
    for (p = &s->txs; *p;) {
        struct http_tx *t = *p;
        if (t->in_use || (!all && now - t->last_used < limit)) {
            p = &t->next;
            continue;
        }
        *p = t->next;
        s->n_txs--;
        t->next = old;
        old = t;
    }
    left = s->n_txs;
    pthread_mutex_unlock(&s->mu);
    while (old) {
        struct http_tx *t = old;
        old = t->next;
        tx_free(t);
    }
    return left;
}

/* ---- paths ---- */

/* A place in the table for a transaction that has begun. */
static enum err_code tx_add(struct http_server *s, struct http_tx *t, struct err *e)
{
    bool first;

    pthread_mutex_lock(&s->mu);
    if (s->n_txs >= HTTP_MAX_TRANSACTIONS) {
        pthread_mutex_unlock(&s->mu);
        return err_set(e, ERR_TOO_MANY, "%u transactions are open already", HTTP_MAX_TRANSACTIONS);
    }
    first = s->n_txs++ == 0;
    t->last_used = clock_mono_ns();
    t->next = s->txs;
    s->txs = t;
    pthread_mutex_unlock(&s->mu);
    if (first) /* now there is something to sweep */
        acceptor_wake(&s->acceptor);
    return ERR_OK;
}

static enum err_code tx_open(struct exchange *x, struct http_tx *t, const char *id,
                             const char *mode, struct err *e)
{
    uint64_t seq;
    bool write = mode && (strcmp(mode, "immediate") == 0 || strcmp(mode, "exclusive") == 0);

    if (mode && !write && strcmp(mode, "deferred") != 0)
        return err_set(e, ERR_PARAM, "\"mode\" is deferred, immediate or exclusive");
    if (!token_make(t->token))
        return err_set(e, ERR_IO, "no random bytes to be had");
    if (session_open(&t->session, x->server->node, "http", gone, t, e) != ERR_OK)
        return e->code;
    if (session_use(t->session, id, e) != ERR_OK) /* NULL: the default one, which is then fixed */
        return e->code;
    if (http_run_text(t->session, write ? "BEGIN IMMEDIATE" : "BEGIN", &seq, e) != ERR_OK)
        return e->code;
    return tx_add(x->server, t, e);
}

bool http_tx_begin(struct exchange *x)
{
    static const char *const names[] = {"database", "mode"};
    const char *values[] = {NULL, NULL};
    char location[sizeof "/transactions/" + HTTP_TOKEN_SIZE];
    struct http_tx *t;
    struct err e = ERR_INIT;

    if (x->raw.len > 0 &&
        httpreq_fields(x->arena, x->raw.data, x->raw.len, names, values, 2, &e) != ERR_OK)
        return http_reply_error(x, &e);
    t = calloc(1, sizeof *t);
    if (!t) {
        err_set(&e, ERR_NO_MEMORY, "no memory for a transaction");
        return http_reply_error(x, &e);
    }
    atomic_init(&t->fd, -1);
    if (tx_open(x, t, values[0], values[1], &e) != ERR_OK) {
        tx_free(t);
        return http_reply_error(x, &e);
    }
    buf_puts(&x->out, "{\"transaction\":");
    json_put_cstr(&x->out, t->token);
    buf_puts(&x->out, ",\"database\":");
    json_put_cstr(&x->out, session_database(t->session));
    buf_puts(&x->out, "}\n");
    (void)snprintf(location, sizeof location, "/transactions/%s", t->token);
    return http_reply_location(x, "application/json", location);
}

/* Ends it one way or the other; it is over even where that fails. */
static enum err_code tx_end(struct exchange *x, const char *sql, uint64_t *seq, struct err *e)
{
    struct http_tx *t = NULL;
    enum err_code code;

    if (http_tx_take(x, x->name, &t, e) != ERR_OK || !t)
        return e->code;
    code = http_run_text(t->session, sql, seq, e);
    http_tx_give(x, t, true);
    return code;
}

bool http_tx_commit(struct exchange *x)
{
    struct err e = ERR_INIT;

    if (tx_end(x, "COMMIT", &x->seq, &e) != ERR_OK)
        return http_reply_error(x, &e);
    buf_puts(&x->out, "{\"seq\":");
    buf_u64(&x->out, x->seq);
    buf_puts(&x->out, "}\n");
    return http_reply(x, 200, "application/json", 0);
}

bool http_tx_rollback(struct exchange *x)
{
    uint64_t seq;
    struct err e = ERR_INIT;

    if (tx_end(x, "ROLLBACK", &seq, &e) != ERR_OK)
        return http_reply_error(x, &e);
    return http_reply_empty(x, 204);
}
