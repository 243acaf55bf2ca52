#include "core/session.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "core/session_impl.h"

enum err_code session_open(struct session **out, struct node *n, const char *protocol,
                           bool (*gone)(void *arg), void *arg, struct err *e)
{
    *out = NULL;
    struct session *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    s->node = n;
    s->protocol = protocol;
    s->gone = gone;
    s->arg = arg;
    pthread_mutex_init(&s->mu, NULL);
    err_clear(&s->failed);
    session_list_add(s);
    *out = s;
    return ERR_OK;
}

void session_close(struct session *s)
{
    if (!s)
        return;
    session_list_remove(s);
    transaction_rollback(s);
    database_unref(s->db);
    pthread_mutex_destroy(&s->mu);
    free(s);
}

void session_list_add(struct session *s)
{
    struct node *n = s->node;
    pthread_mutex_lock(&n->mu);
    s->next = n->sessions;
    if (s->next)
        s->next->previous = s;
    n->sessions = s;
    pthread_mutex_unlock(&n->mu);
}

void session_list_remove(struct session *s)
{
    struct node *n = s->node;
    pthread_mutex_lock(&n->mu);
    if (s->previous)
        s->previous->next = s->next;
    else
        n->sessions = s->next;
    if (s->next)
        s->next->previous = s->previous;
    pthread_mutex_unlock(&n->mu);
}

struct session *session_list_next(struct session *s)
{
    return s->next;
}

enum err_code session_use(struct session *s, const char *id, struct err *e)
{
    struct database *db = NULL;
    pthread_mutex_lock(&s->mu);
    enum err_code code = ERR_OK;
    if (s->phase != TX_NONE)
        code = err_set(e, ERR_TX_ACTIVE, "the database cannot be changed inside a transaction");
    if (code == ERR_OK)
        code = node_find(s->node, id, &db, e);
    if (code == ERR_OK) {
        database_unref(s->db);
        s->db = db;
    }
    pthread_mutex_unlock(&s->mu);
    return code;
}

const char *session_database(const struct session *s)
{
    return s->db ? database_id(s->db) : NULL;
}

void session_set_read_only(struct session *s, bool read_only)
{
    pthread_mutex_lock(&s->mu);
    s->read_only = read_only;
    pthread_mutex_unlock(&s->mu);
}

void session_set_front(struct session *s, const struct pg_session *front)
{
    pthread_mutex_lock(&s->mu);
    s->front = front;
    pthread_mutex_unlock(&s->mu);
}

enum session_state session_state(const struct session *s)
{
    enum tx_phase phase = atomic_load(&s->phase);
    switch (phase) {
    case TX_NONE:
        return SESSION_IDLE;
    case TX_READING:
    case TX_WRITING:
    case TX_AWAY:
        return SESSION_IN_TX;
    case TX_FAILED:
        return SESSION_TX_FAILED;
    }
    return SESSION_IDLE;
}

void session_cancel(struct session *s)
{
    atomic_store(&s->cancel, true);
}

void session_tick_locked(struct node *n, int64_t now_ns)
{
    int64_t limit = n->opt.tx_idle_timeout_ns;
    if (limit <= 0)
        return;
    for (struct session *s = n->sessions; s; s = s->next) {
        if (pthread_mutex_trylock(&s->mu) != 0)
            continue;
        /* Whoever reads slowly is not idle; what is under way needs the connection. */
        if (s->phase == TX_READING && !s->paused && now_ns - s->last_use_ns > limit) {
            struct err why = ERR_INIT;
            err_set(&why, ERR_TX_IDLE,
                    "the transaction was idle for longer than --tx-idle-timeout");
            transaction_fail(s, &why);
        }
        pthread_mutex_unlock(&s->mu);
    }
}
