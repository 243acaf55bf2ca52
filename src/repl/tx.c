/*
 * Explicit transactions. Such a transaction leads the queue alone from its beginning to its end. It
 * can be ended from outside, while its session is between two statements: by the applier, because a
 * message of another node has come and it could not commit any more, or because it idles too long.
 * Whoever holds tx->mu may use the write connection.
 *
 * 1. Only the session's thread waits for tx->mu. All others only try, and hold r->mu for as long as
 *    they have it: a try fails because of the session's thread, never because of another one.
 * 2. That thread lets go of tx->mu with r->mu held, and never while the transaction is both open
 *    and doomed: tx_unlock().
 * 3. The applier dooms and tries without letting go of r->mu in between.
 *
 * So an applier whose try fails, and which sleeps until the transaction has ended, is not
 * forgotten: it has doomed it either before tx_unlock() looks, and then that ends it, or after
 * tx->mu was free, and then the try does not fail.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "repl/impl.h"
#include "repl/queue.h"

struct tx {
    /* immutable */
    struct replica *r;
    /* guarded by mu */
    pthread_mutex_t mu;
    bool open;
    struct err ended; /* why it was ended from outside */
    int64_t last_use_ns;
    int64_t timestamp_ns;
    /* atomic; set with r->mu held */
    atomic_bool doomed;
};

/* tx->mu is held, r->mu is held too if `locked`. */
static void give_back(struct tx *tx, bool locked)
{
    struct replica *r = tx->r;
    tx->open = false;
    if (!locked)
        pthread_mutex_lock(&r->mu);
    r->tx = NULL;
    r->write_held = false;
    queue_release_locked(r);
    pthread_cond_broadcast(&r->changed);
    if (!locked)
        pthread_mutex_unlock(&r->mu);
}

/* tx->mu is held. */
static void end_from_outside(struct tx *tx, bool locked, enum err_code code, const char *why)
{
    err_set(&tx->ended, code, "%s", why);
    writer_rollback(tx->r->writer);
    give_back(tx, locked);
}

#define TX_DOOMED_TEXT "another node wrote first; run the transaction again"

void tx_doom_locked(struct replica *r)
{
    struct tx *tx = r->tx;
    if (r->opt.mode != REPLICA_SERIALIZABLE)
        return; /* it can still commit; the applier waits for it */
    atomic_store(&tx->doomed, true);
    if (pthread_mutex_trylock(&tx->mu) != 0) {
        conn_interrupt(writer_conn(r->writer)); /* tx_unlock() ends it */
        return;
    }
    if (tx->open)
        end_from_outside(tx, true, ERR_CONFLICT, TX_DOOMED_TEXT);
    pthread_mutex_unlock(&tx->mu);
}

/* The session's thread lets go of tx->mu. True if it has ended the transaction, because that was
 * doomed; nobody has to wait for r->mu meanwhile. */
static bool tx_unlock(struct tx *tx)
{
    struct replica *r = tx->r;
    FAULT_POINT("tx.unlock");
    pthread_mutex_lock(&r->mu);
    bool lost = tx->open && atomic_load(&tx->doomed);
    if (lost) {
        pthread_mutex_unlock(&r->mu);
        end_from_outside(tx, false, ERR_CONFLICT, TX_DOOMED_TEXT);
        pthread_mutex_lock(&r->mu);
    }
    pthread_mutex_unlock(&tx->mu);
    pthread_mutex_unlock(&r->mu);
    return lost;
}

void tx_abort_locked(struct replica *r)
{
    struct tx *tx = r->tx;
    if (pthread_mutex_trylock(&tx->mu) != 0)
        return;
    if (tx->open)
        end_from_outside(tx, true, ERR_SHUTDOWN, "the node is shutting down");
    pthread_mutex_unlock(&tx->mu);
}

void replica_tick(struct replica *r, int64_t now_ns)
{
    pthread_mutex_lock(&r->mu);
    struct tx *tx = r->tx;
    if (tx && r->opt.tx_idle_ns > 0 && pthread_mutex_trylock(&tx->mu) == 0) {
        if (tx->open && now_ns - tx->last_use_ns > r->opt.tx_idle_ns)
            end_from_outside(tx, true, ERR_TX_IDLE,
                             "the transaction was idle for longer than --tx-idle-timeout");
        pthread_mutex_unlock(&tx->mu);
    }
    pthread_mutex_unlock(&r->mu);
}

/* The queue has let it lead: takes the write lock and opens the SQLite transaction. */
static enum err_code open_transaction(struct tx *tx, struct err *e)
{
    struct replica *r = tx->r;
    enum err_code code = lock_write(r, clock_deadline(r->opt.timeout_ns), e);
    if (code != ERR_OK)
        return code;
    spool_reset(r->changes);
    code = writer_begin(r->writer, e);
    if (code == ERR_OK)
        code = writer_tx_begin(r->writer, e);
    if (code == ERR_OK)
        return ERR_OK;
    writer_rollback(r->writer);
    lock_release(r);
    return code;
}

enum err_code tx_begin(struct tx **out, struct replica *r, int64_t deadline_ns, struct err *e)
{
    *out = NULL;
    struct tx *tx = calloc(1, sizeof *tx);
    if (!tx)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    tx->r = r;
    pthread_mutex_init(&tx->mu, NULL);
    err_clear(&tx->ended);

    struct waiting w;
    bool leads = false;
    enum err_code code = queue_wait(r, &w, NULL, deadline_ns, &leads, e);
    pthread_mutex_lock(&r->mu);
    if (leads)
        queue_shift_locked(r);
    pthread_mutex_unlock(&r->mu);
    if (code == ERR_OK) {
        code = open_transaction(tx, e);
        FAULT_POINT("tx.begin");
        pthread_mutex_lock(&r->mu);
        if (code == ERR_OK) {
            tx->open = true;
            tx->last_use_ns = clock_mono_ns();
            tx->timestamp_ns = clock_wall_ns();
            r->tx = tx;
            if (r->applier_wants) /* it sleeps, and has not seen this one */
                tx_doom_locked(r);
        } else {
            queue_release_locked(r);
        }
        pthread_mutex_unlock(&r->mu);
    }
    if (code != ERR_OK) {
        pthread_mutex_destroy(&tx->mu);
        free(tx);
        return code;
    }
    *out = tx;
    return ERR_OK;
}

static enum err_code why_ended(const struct tx *tx, struct err *e)
{
    if (tx->ended.code == ERR_OK)
        return err_set(e, ERR_TX_NONE, "the transaction has ended");
    *e = tx->ended;
    return e->code;
}

enum err_code tx_enter(struct tx *tx, struct writer **w, struct err *e)
{
    pthread_mutex_lock(&tx->mu);
    if (!tx->open) {
        enum err_code code = why_ended(tx, e);
        tx_unlock(tx);
        return code;
    }
    *w = tx->r->writer;
    return ERR_OK;
}

void tx_leave(struct tx *tx)
{
    tx->last_use_ns = clock_mono_ns();
    /* SQLite ends the transaction of a write that is interrupted, too; that is not why it ends. */
    if (tx->open && writer_lost(tx->r->writer) && !atomic_load(&tx->doomed))
        end_from_outside(tx, false, ERR_TX_ABORTED, "a statement has rolled the transaction back");
    tx_unlock(tx);
}

/* An interruption by tx_doom_locked() is a conflict, and nothing else that has failed is. */
static enum err_code doomed(const struct tx *tx, struct err *e)
{
    if (e->code == ERR_INTERRUPTED && atomic_load(&tx->doomed))
        err_set(e, ERR_CONFLICT, TX_DOOMED_TEXT);
    return e->code;
}

static enum err_code commit_open(struct tx *tx, uint64_t *seq, struct err *e)
{
    struct replica *r = tx->r;
    struct changeset_tx one = {0, tx->timestamp_ns};
    enum err_code code = writer_tx_end(r->writer, &one.changes, e);
    if (code == ERR_FOREIGN_KEY)
        return code; /* it stands, and may be mended */
    if (code != ERR_OK) {
        writer_rollback(r->writer);
        give_back(tx, false);
        return doomed(tx, e);
    }
    const struct changeset_txs txs = {.txs = &one, .n = one.changes > 0 ? 1 : 0};
    enum commit_result result = commit_group(r, &txs, seq, e);
    give_back(tx, false);
    return result == COMMIT_DONE ? ERR_OK : doomed(tx, e);
}

enum err_code tx_commit(struct tx *tx, uint64_t *seq, struct err *e)
{
    *seq = 0;
    pthread_mutex_lock(&tx->mu);
    enum err_code code = tx->open ? commit_open(tx, seq, e) : why_ended(tx, e);
    if (tx_unlock(tx)) /* what was to be mended is lost */
        code = why_ended(tx, e);
    if (code == ERR_OK && *seq > atomic_load(&tx->r->seq)) {
        struct err ignored = ERR_INIT;
        replica_wait(tx->r, *seq, clock_deadline(tx->r->opt.timeout_ns), &ignored);
    }
    return code;
}

void tx_rollback(struct tx *tx)
{
    pthread_mutex_lock(&tx->mu);
    if (tx->open) {
        writer_rollback(tx->r->writer);
        give_back(tx, false);
    }
    tx_unlock(tx);
}

/* tx->mu is not needed: whoever may end it at this moment does so with r->mu held. */
bool tx_open(struct tx *tx)
{
    struct replica *r = tx->r;
    pthread_mutex_lock(&r->mu);
    bool open = r->tx == tx;
    pthread_mutex_unlock(&r->mu);
    return open;
}

void tx_free(struct tx *tx)
{
    if (!tx)
        return;
    tx_rollback(tx);
    /* Whoever ends a transaction from outside does so with r->mu held: after this nobody can. */
    pthread_mutex_lock(&tx->r->mu);
    pthread_mutex_unlock(&tx->r->mu);
    pthread_mutex_destroy(&tx->mu);
    free(tx);
}
